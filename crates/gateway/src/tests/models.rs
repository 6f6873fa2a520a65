//! Which model stands behind a name, what it is called where, and which are listed.

use domain::access::{Action, ApiScope};
use domain::policy::{Mode, ModelMapping, Tier};
use domain::settings::Unpriced;
use http::Method;
use serde_json::json;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{PRICE, REPORT, paid, price, priced, with};

const CALL: &str = r#"{"model":"gpt-x"}"#;

#[tokio::test]
async fn managed_calls_may_go_through_a_gateway_and_own_keys_never_do() {
    let harness = priced().await;
    let (_, relay) = harness.platform("relay").await;
    relay.says(REPORT);
    harness.provider.says(REPORT);
    harness.mode(Mode::Auto).await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed_unavailable");
    harness
        .settings(|settings| {
            settings.managed_gateway = Some("relay".parse().expect("an id"));
            settings.prices.push(price("relay", "*", PRICE));
        })
        .await;
    let answer = harness.chat(CALL).await;
    assert_eq!(paid(&answer), "managed");
    assert_eq!(answer.header("x-keybearer-provider"), "relay");
    assert_eq!(answer.header("x-keybearer-model"), "open-ai/gpt-x");
    let (head, body) = relay.requests().remove(0);
    assert!(head.starts_with("POST /base/relayed HTTP/1.1"), "{head}");
    assert_eq!(body, br#"{"model":"open-ai/gpt-x"}"#);
    harness.bring("openai").await;
    for _ in 0..3 {
        assert_eq!(paid(&harness.chat(CALL).await), "byok");
    }
    harness.provider.fails(500);
    assert_eq!(harness.chat(CALL).await.status, 502);
    assert_eq!(relay.hits(), 1);
    // An own key for another provider that knows the name is nobody's to relay.
    assert_eq!(harness.chat(r#"{"model":"claude-x"}"#).await.status, 402);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_or_served_as_the_instance_says() {
    let harness = Harness::start().await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    harness.mode(Mode::Managed).await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "price_unknown")
    );
    assert_eq!(platform.hits(), 0);
    let before = harness.credits().await.available;
    harness
        .settings(|settings| settings.unpriced_managed = Unpriced::CountTokens)
        .await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.pricing, Some(domain::price::Pricing::Unpriced));
    assert_eq!((row.cost, row.charge.nanos()), (None, 0));
    assert!(row.usage.is_some());
    assert_eq!(harness.credits().await.available, before);
    // Own keys serve unless the instance says otherwise, and then credits do not take their place.
    harness.bring("openai").await;
    harness.provider.says(REPORT);
    harness.consents().await;
    assert_eq!(paid(&harness.chat(CALL).await), "byok");
    harness
        .settings(|settings| settings.unpriced_byok = Unpriced::Block)
        .await;
    assert_eq!(paid(&harness.chat(CALL).await), "price_unknown");
    assert_eq!(platform.hits(), 1);
}

#[tokio::test]
async fn own_keys_that_do_not_speak_the_format_do_not_call_for_credits() {
    let harness = priced().await;
    let (_, relay) = harness.platform("relay").await;
    harness
        .settings(|settings| {
            settings.managed_gateway = Some("relay".parse().expect("an id"));
            settings.prices.push(price("relay", "*", PRICE));
        })
        .await;
    harness.bring("anthropic").await;
    harness.consents().await;
    let call = r#"{"model":"claude-x","input":"hi"}"#;
    let refused = harness.request(Method::POST, "/v1/embeddings", call);
    let refused = harness.send(refused).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "format_not_supported")
    );
    assert_eq!(relay.hits(), 0);
}

#[tokio::test]
async fn the_closest_choice_of_a_model_wins_and_tiers_and_mappings_stand_for_others() {
    let mut harness = priced().await;
    harness.bring("openai").await;
    harness.provider.says(REPORT);
    let default = r#"{"model":"default"}"#;
    let refused = harness.chat(default).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "model_not_chosen")
    );
    let refused = harness.chat(r#"{"model":"level_1"}"#).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "model_not_found")
    );
    assert_eq!(refused.json()["error"]["tier"], "level_1");
    let model = |name: &str| name.parse().expect("a model");
    harness
        .policy(|policy| {
            policy.model = Some(model("gpt-workspace"));
            policy.tiers.insert(Tier::Level2, model("gpt-better"));
            policy.model_mappings.push(ModelMapping {
                pattern: domain::glob::Glob::parse("gpt-old*").expect("a pattern"),
                model: model("gpt-new"),
            });
        })
        .await;
    let (id, key) = harness.mint(&[ApiScope::InferenceInvoke]).await;
    let scope = harness.scope(Action::WriteApiKeys).await;
    let (note, now) = (harness.note(), harness.sources.now());
    let agent = model("gpt-agent");
    let within = harness.store.within(&scope);
    let set = within.set_api_key_default_model(id, Some(&agent), &note, now);
    set.await.expect("set");
    let conversation = ("x-keybearer-conversation-model", "gpt-conversation");
    assert_eq!(
        harness.chat(default).await.header("x-keybearer-model"),
        "gpt-workspace"
    );
    harness.api_key = key;
    for (body, headers, expected) in [
        (default, &[][..], "gpt-agent"),
        (default, &[conversation], "gpt-conversation"),
        (CALL, &[conversation], "gpt-x"),
        (r#"{"model":"level_2"}"#, &[conversation], "gpt-better"),
        (r#"{"model":"gpt-old-1"}"#, &[], "gpt-new"),
    ] {
        let answer = with(&harness, body, headers).await;
        assert_eq!(answer.header("x-keybearer-model"), expected, "{body}");
        let (_, sent) = harness.provider.requests().pop().expect("a request");
        assert_eq!(sent, format!(r#"{{"model":"{expected}"}}"#).as_bytes());
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.model.as_deref(), Some(expected));
        assert!(body.contains(&row.model_requested), "{row:?}");
    }
}

#[tokio::test]
async fn the_list_has_the_fields_that_anthropics_clients_read() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.bring("anthropic").await;
    let list = harness.get("/v1/models").await.json();
    let models = list["data"].as_array().expect("a list");
    let [first, last] = models.as_slice() else {
        panic!("{list}");
    };
    assert_eq!(list["first_id"], first["id"]);
    assert_eq!(list["last_id"], last["id"]);
    assert_eq!(list["has_more"], false);
    for model in models {
        assert_eq!(model["type"], "model");
        assert_eq!(model["display_name"], model["id"]);
        assert_eq!(model["created_at"], "1970-01-01T00:00:00Z");
        let id = model["id"].as_str().expect("a text");
        let alone = harness.get(&format!("/v1/models/{id}")).await;
        assert_eq!(&alone.json(), model);
    }
}

#[tokio::test]
async fn models_are_listed_with_who_pays_own_ones_first() {
    let harness = priced().await;
    let (_, _platform) = harness.platform("anthropic").await;
    harness.bring("openai").await;
    let ids = |answer: &Answer| {
        let data = answer.json()["data"].clone();
        let data = data.as_array().cloned().unwrap_or_default();
        let each = data.into_iter();
        each.map(|it| (it["id"].clone(), it["keybearer"].clone()))
            .collect::<Vec<_>>()
    };
    let own = |model: &str| json!({"key_source": "byok", "provider": "openai", "model": model});
    let openai = (json!("openai/gpt-tiny"), own("gpt-tiny"));
    assert_eq!(
        ids(&harness.get("/v1/models").await),
        std::slice::from_ref(&openai)
    );
    harness.mode(Mode::Auto).await;
    // Its price is not known: a call for it would be refused.
    assert_eq!(
        ids(&harness.get("/v1/models").await),
        std::slice::from_ref(&openai)
    );
    let model = |name: &str| name.parse().expect("a model");
    harness
        .settings(|settings| {
            settings.prices.push(price("anthropic", "*", PRICE));
            settings.tiers.insert(Tier::Level1, model("claude-tiny"));
            settings.tiers.insert(Tier::Level3, model("gpt-tiny"));
        })
        .await;
    let managed = json!({"key_source": "managed", "provider": "anthropic", "model": "claude-tiny"});
    let mut tier_1 = managed.clone();
    tier_1["tier"] = json!("level_1");
    let mut tier_3 = own("gpt-tiny");
    tier_3["tier"] = json!("level_3");
    let expected = [
        (json!("level_3"), tier_3),
        openai,
        (json!("level_1"), tier_1.clone()),
        (json!("anthropic/claude-tiny"), managed.clone()),
    ];
    assert_eq!(ids(&harness.get("/v1/models").await), expected);
    let one = harness.get("/v1/models/level_1").await;
    assert_eq!(one.json()["keybearer"], tier_1);
    // A plan without level 3, and the mode in which only credits pay.
    harness.without_byok().await;
    harness.mode(Mode::Managed).await;
    let listed = ids(&harness.get("/v1/models").await);
    assert_eq!(
        listed,
        [
            (json!("level_1"), tier_1),
            (json!("anthropic/claude-tiny"), managed),
        ]
    );
    assert_eq!(
        harness.get("/v1/models/openai/gpt-tiny").await.code(),
        "managed_unavailable"
    );
    assert_eq!(
        harness.get("/v1/models/level_3").await.code(),
        "plan_required"
    );
}
