//! What a refusal advises helps the one who reads it.

use domain::KeyOwner;
use domain::policy::{ByokRule, Mode};

use super::client::Answer;
use super::payer::{JSON, managed, paid, priced};

const CALL: &str = r#"{"model":"gpt-x"}"#;

fn hint(answer: &Answer) -> String {
    let error = answer.json()["error"].clone();
    error["hint"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn without_a_platform_key_only_what_would_serve_is_advised() {
    let harness = priced().await;
    let ask = "ask the operator of this instance to add a platform key";
    let bring = "bring a provider key";
    harness.mode(Mode::Managed).await;
    let advised = async || {
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.code(), "managed_unavailable");
        hint(&answer)
    };
    let in_either = format!("{bring} and set the mode to `byok` or `auto`, or {ask}");
    assert_eq!(advised().await, in_either);
    harness
        .settings(|settings| settings.modes = vec![Mode::Managed, Mode::Auto])
        .await;
    let in_auto = format!("{bring} and set the mode to `auto`, or {ask}");
    assert_eq!(advised().await, in_auto);
    harness
        .settings(|settings| settings.modes = vec![Mode::Managed])
        .await;
    assert_eq!(advised().await, ask);
    harness
        .settings(|settings| settings.modes = Mode::ALL.to_vec())
        .await;
    harness.mode(Mode::Auto).await;
    assert_eq!(advised().await, format!("{bring}, or {ask}"));
    harness
        .policy(|policy| policy.byok = ByokRule::Forbidden)
        .await;
    assert_eq!(advised().await, ask);
    harness
        .policy(|policy| policy.byok = ByokRule::Optional)
        .await;
    harness.without_byok().await;
    assert_eq!(advised().await, ask);
}

#[tokio::test]
async fn a_provider_that_is_switched_off_is_not_suggested() {
    let harness = priced().await;
    let suggested = async |model: &str| {
        let answer = harness.chat(&format!(r#"{{"model":"{model}"}}"#)).await;
        assert_eq!(answer.code(), "model_not_found", "{model}");
        assert_eq!(
            hint(&answer).contains("did you mean"),
            !answer.json()["error"]["suggestion"].is_null()
        );
        answer.json()["error"]["suggestion"].clone()
    };
    assert_eq!(suggested("opneai/gpt-x").await, "openai");
    let openai = |settings: &mut domain::settings::Settings| {
        let id = "openai".parse().expect("an id");
        settings.providers.entry(id).or_default().enabled = false;
    };
    harness.settings(openai).await;
    for model in ["openai/gpt-x", "opneai/gpt-x", "gpt-x", "gpt"] {
        assert_eq!(suggested(model).await, serde_json::Value::Null, "{model}");
    }
    // A model that its provider does not open is not there, either.
    let id: domain::ProviderId = "openai".parse().expect("an id");
    harness
        .settings(|settings| {
            let switch = settings.providers.entry(id).or_default();
            switch.enabled = true;
            switch.models = Some(vec![domain::glob::Glob::parse("o3").expect("a pattern")]);
        })
        .await;
    assert_eq!(suggested("openai/gpt-x").await, serde_json::Value::Null);
}

#[tokio::test]
async fn a_platform_key_that_fails_is_the_operators_business() {
    let (harness, openai, _) = managed().await;
    let denied = br#"{"error":{"code":"invalid_api_key"}}"#;
    openai.answers(401, &[JSON], denied);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.code(), "upstream_credentials_exhausted");
    let said = hint(&answer);
    assert!(said.contains("this instance's own key failed"), "{said}");
    assert!(said.contains("operator"), "{said}");
    assert!(!said.contains("check"), "{said}");
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("this instance's own key"), "{message}");
    // With own keys before it, both have something to do.
    harness.bring("openai").await;
    harness.provider.answers(401, &[JSON], denied);
    harness.consents().await;
    harness
        .policy(|policy| policy.managed_on_denied = true)
        .await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        answer.json()["error"]["attempts"].as_array().map(Vec::len),
        Some(2)
    );
    let said = hint(&answer);
    assert!(said.contains("check your provider keys"), "{said}");
    assert!(said.contains("tell its operator"), "{said}");
}

#[tokio::test]
async fn nobody_is_told_to_submit_a_platform_key_that_does_not_open() {
    let harness = priced().await;
    harness.mode(Mode::Managed).await;
    let owner = KeyOwner::Instance(harness.deployment);
    let mut record = harness
        .record_of(owner, "openai", "damaged", &harness.provider)
        .await;
    let last = record.envelope.last_mut().expect("bytes");
    *last ^= 1;
    harness.put(&record).await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "key_unreadable")
    );
    let said = hint(&answer);
    assert!(
        said.contains("operator") && !said.contains("submit"),
        "{said}"
    );
}

#[tokio::test]
async fn who_names_no_model_learns_how_to_leave_the_choice() {
    let harness = priced().await;
    let answer = harness.chat(r#"{"messages":[]}"#).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "invalid_request")
    );
    assert!(hint(&answer).contains("`default`"), "{}", hint(&answer));
}

#[tokio::test]
async fn a_mode_that_is_not_offered_binds_workspaces_that_have_it() {
    let (harness, openai, _) = managed().await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    harness
        .settings(|settings| settings.modes = vec![Mode::Byok])
        .await;
    assert_eq!(paid(&harness.chat(CALL).await), "byok_key_missing");
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(paid(&harness.chat(CALL).await), "byok");
    harness
        .settings(|settings| settings.modes = vec![Mode::Auto])
        .await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, paid(&refused).as_str()),
        (403, "mode_not_offered")
    );
    assert_eq!(refused.json()["error"]["layer"], "instance");
    assert_eq!(openai.hits(), 1);
}
