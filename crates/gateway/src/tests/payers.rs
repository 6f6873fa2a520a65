//! Who pays: never credits without consent, on the wire.

use domain::access::Action;
use domain::policy::{ByokRule, Mode};
use domain::settings::OnByokDisabled;
use serde_json::json;

use super::payer::{REPORT, paid, priced, with};

const CALL: &str = r#"{"model":"gpt-x"}"#;
const NO_MANAGED: (&str, &str) = ("x-keybearer-no-managed", "true");

#[tokio::test]
async fn the_state_matrix_holds_on_the_wire() {
    let off = |settings: &mut domain::settings::Settings| {
        let openai = settings.providers.entry("openai".parse().expect("an id"));
        openai.or_default().byok = false;
    };
    for (mode, expected) in [
        (
            Mode::Managed,
            [
                "managed",
                "managed",
                "managed_unavailable",
                "managed",
                "managed",
                "managed",
            ],
        ),
        (
            Mode::Byok,
            [
                "byok",
                "byok_key_missing",
                "byok_key_missing",
                "byok_key_revoked",
                "byok_disabled_for_provider",
                "byok_key_dormant",
            ],
        ),
        (
            Mode::Auto,
            [
                "byok",
                "managed",
                "managed_unavailable",
                "managed",
                "managed",
                "managed",
            ],
        ),
    ] {
        for (state, expected) in expected.into_iter().enumerate() {
            let harness = priced().await;
            harness.provider.says(REPORT);
            harness.mode(mode).await;
            let (has_own, has_platform) = (!matches!(state, 1 | 2), state != 2);
            let platform = match has_platform {
                true => Some(harness.platform("openai").await.1),
                false => None,
            };
            let own = match has_own {
                true => Some(harness.bring("openai").await),
                false => None,
            };
            if let (3, Some(own)) = (state, &own) {
                let scope = harness.scope(Action::WriteProviderKeys).await;
                let keys = harness.store.within(&scope).provider_keys();
                let (note, now) = (harness.note(), harness.sources.now());
                keys.remove(own.context.key, &note, now)
                    .await
                    .expect("removed");
            }
            if state == 4 {
                harness.settings(off).await;
            }
            if state == 5 {
                harness.without_byok().await;
            }
            let answer = harness.chat(CALL).await;
            assert_eq!(paid(&answer), expected, "{mode} in state {state}");
            let hits = platform.map_or(0, |it| it.hits());
            assert_eq!(hits, usize::from(expected == "managed"), "{mode}, {state}");
            let own_hits = harness.provider.hits();
            assert_eq!(own_hits, usize::from(expected == "byok"), "{mode}, {state}");
        }
    }
}

#[tokio::test]
async fn credits_never_stand_in_for_own_keys_without_consent() {
    let harness = priced().await;
    let (_, platform) = harness.platform("openai").await;
    harness.bring("openai").await;
    let before = harness.credits().await.available;
    for mode in [Mode::Byok, Mode::Auto] {
        harness.mode(mode).await;
        for status in [429, 500, 401] {
            harness.provider.fails(status);
            assert_ne!(harness.chat(CALL).await.status, 200);
        }
    }
    harness.consents().await;
    harness.provider.fails(429);
    assert_eq!(with(&harness, CALL, &[NO_MANAGED]).await.status, 429);
    // Consent to failures is no consent to keys that are turned away.
    for status in [401, 402, 403] {
        harness.provider.fails(status);
        assert_eq!(
            harness.chat(CALL).await.code(),
            "upstream_credentials_exhausted"
        );
    }
    harness
        .settings(|settings| settings.managed_fallback_allowed = false)
        .await;
    harness.provider.fails(500);
    assert_eq!(harness.chat(CALL).await.status, 502);
    assert_eq!(platform.hits(), 0);
    harness.usage().await;
    assert_eq!(harness.credits().await.available, before);
}

#[tokio::test]
async fn with_consent_credits_stand_in_and_the_first_time_is_audited() {
    let harness = priced().await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    let own = harness.bring("openai").await;
    harness.consents().await;
    for status in [429, 500] {
        harness.provider.fails(status);
        let answer = harness.chat(CALL).await;
        assert_eq!(paid(&answer), "managed", "{status}");
        assert_eq!(answer.header("x-keybearer-key-label"), "");
    }
    harness.provider.fails(401);
    assert_ne!(harness.chat(CALL).await.status, 200);
    harness
        .policy(|policy| policy.managed_on_denied = true)
        .await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    let rows = harness.usage().await;
    let fallbacks: Vec<bool> = rows.iter().map(|row| row.fallback).collect();
    assert_eq!(fallbacks, [true, true, false, true]);
    assert_eq!(rows[0].attempts.len(), 2);
    assert_eq!(rows[0].attempts[1].label, None);
    let scope = harness.scope(Action::ReadAudit).await;
    let page = store::PageRequest {
        limit: 100,
        after: None,
    };
    let audit = harness
        .store
        .within(&scope)
        .audit(&store::AuditFilter::default(), &page)
        .await;
    let audit = audit.expect("read").items;
    let noted: Vec<_> = audit
        .iter()
        .filter(|row| row.action == "provider_key.managed_fallback")
        .collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].subject, Some(own.context.key.to_string()));
    assert_eq!(noted[0].request, rows[0].request);
}

#[tokio::test]
async fn what_credits_pay_for_failed_keys_has_a_cap() {
    let harness = priced().await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    harness.bring("openai").await;
    harness.provider.fails(429);
    harness.consents().await;
    let call = r#"{"model":"gpt-x","max_tokens":2}"#;
    // 31 bytes are 8 tokens: 8 * 3000 + 2 * 15000 are held, 10 * 3000 + 2 * 15000 charged.
    harness
        .policy(|policy| {
            policy.managed_fallback_cap_nano_usd = Some(domain::NanoUsd::new(114_000));
        })
        .await;
    assert_eq!(paid(&harness.chat(call).await), "managed");
    assert_eq!(paid(&harness.chat(call).await), "managed");
    let refused = harness.chat(call).await;
    assert_eq!(
        (refused.status, paid(&refused).as_str()),
        (402, "managed_fallback_cap_reached")
    );
    let error = refused.json()["error"].clone();
    assert_eq!(error["limit"]["nano_usd"], 114_000);
    assert_eq!(error["spent"]["nano_usd"], 120_000);
    assert_eq!(error["window"], "month");
    assert!(error["resets_at"].is_string());
    assert_eq!(platform.hits(), 2);
}

#[tokio::test]
async fn the_header_only_tightens_and_is_said_exactly() {
    let harness = priced().await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    harness.mode(Mode::Managed).await;
    let refused = with(&harness, CALL, &[NO_MANAGED]).await;
    assert_eq!(
        (refused.status, paid(&refused).as_str()),
        (403, "byok_required")
    );
    assert_eq!(refused.json()["error"]["layer"], "request");
    harness.mode(Mode::Auto).await;
    let refused = with(&harness, CALL, &[NO_MANAGED]).await;
    assert_eq!(paid(&refused), "byok_key_missing");
    let name = NO_MANAGED.0;
    for value in ["1", "TRUE", "no", ""] {
        let refused = with(&harness, CALL, &[(name, value)]).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "invalid_request")
        );
        assert_eq!(refused.json()["error"]["header"], name);
    }
    assert_eq!(platform.hits(), 0);
    assert_eq!(
        paid(&with(&harness, CALL, &[(name, "false")]).await),
        "managed"
    );
    // It relaxes nothing.
    harness.mode(Mode::Byok).await;
    let refused = with(&harness, CALL, &[(name, "false")]).await;
    assert_eq!(paid(&refused), "byok_key_missing");
}

#[tokio::test]
async fn refusals_of_the_policy_name_their_layer_and_the_plans_that_help() {
    let harness = priced().await;
    harness.platform("openai").await;
    harness
        .policy(|policy| {
            policy.mode = Mode::Auto;
            policy.byok = ByokRule::Required;
        })
        .await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "byok_required")
    );
    assert_eq!(refused.json()["error"]["layer"], "workspace");
    harness
        .policy(|policy| {
            policy.mode = Mode::Byok;
            policy.byok = ByokRule::Forbidden;
        })
        .await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "byok_forbidden")
    );
    harness
        .policy(|policy| policy.byok = ByokRule::Optional)
        .await;
    harness.bring("openai").await;
    harness.without_byok().await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "byok_key_dormant")
    );
    let error = refused.json()["error"].clone();
    assert_eq!(
        error["plans"],
        json!(["free", "pro", "ultra", "enterprise"])
    );
    assert_eq!(error["label"], "primary");
    let refused = harness.chat(r#"{"model":"level_2"}"#).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "plan_required")
    );
    assert_eq!(
        refused.json()["error"]["plans"],
        json!(["pro", "ultra", "enterprise"])
    );
    assert_eq!(refused.json()["error"]["layer"], "plan");
}

#[tokio::test]
async fn switches_and_settings_count_from_the_next_call_on() {
    let harness = priced().await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    harness.provider.says(REPORT);
    harness.bring("openai").await;
    assert_eq!(paid(&harness.chat(CALL).await), "byok");
    harness.mode(Mode::Managed).await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    harness.mode(Mode::Byok).await;
    assert_eq!(paid(&harness.chat(CALL).await), "byok");
    let openai: domain::ProviderId = "openai".parse().expect("an id");
    let switch = |byok: bool, enabled: bool| {
        let openai = openai.clone();
        move |settings: &mut domain::settings::Settings| {
            let switch = settings.providers.entry(openai).or_default();
            (switch.byok, switch.enabled) = (byok, enabled);
        }
    };
    harness.settings(switch(false, true)).await;
    assert_eq!(
        paid(&harness.chat(CALL).await),
        "byok_disabled_for_provider"
    );
    harness
        .settings(|settings| settings.on_byok_disabled = OnByokDisabled::Managed)
        .await;
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    harness.settings(switch(true, false)).await;
    assert_eq!(paid(&harness.chat(CALL).await), "model_not_found");
    harness.settings(switch(true, true)).await;
    assert_eq!(paid(&harness.chat(CALL).await), "byok");
}
