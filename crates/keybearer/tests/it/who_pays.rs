//! Whose key serves and who pays, over the running server: the state matrix, consent, switches, explanations.

use http::Method;
use serde_json::{Value, json};
use testkit::app::Reply;
use testkit::provider::wire::chat_error;
use testkit::provider::{Script, ScriptedProvider};

use crate::{Fixture, builder, chat};

/// A price at which the well-behaved provider's answer costs [`COST`] nano-USD: 11 x 2 + 8 x 0.5 + 5 x 8 millionths.
pub(crate) fn price() -> Value {
    json!({"input": "2", "output": "8", "cache_read": "0.5"})
}

/// What one answer of the well-behaved provider costs at [`price`], in nano-USD.
pub(crate) const COST: i64 = 66_000;

impl Fixture {
    /// The instance admin's session.
    pub(crate) async fn admin_patch(&self, path: &str, body: &Value) -> Reply {
        let path = format!("/api/v1/admin{path}");
        self.owner.person.session.patch(&path, body).await
    }

    pub(crate) async fn settings(&self, changes: &Value) {
        self.admin_patch("/settings", changes).await.expect(200);
    }

    /// Every model of every provider at [`price`], so that no test depends on today's prices.
    pub(crate) async fn priced(&self) {
        let rule = |provider: &str| json!({"provider": provider, "model": "*", "price": price()});
        let prices = [rule("openai"), rule("anthropic"), rule("openrouter")];
        let settings = json!({"prices": prices, "held_output_tokens": 1024});
        self.settings(&settings).await;
    }

    /// Adds a platform key and returns its id.
    pub(crate) async fn platform_key(&self, provider: &str, key: &str) -> String {
        let body = json!({"provider": provider, "key": key});
        let session = &self.owner.person.session;
        let reply = session.post("/api/v1/admin/platform-keys", &body).await;
        let stored = reply.expect(201).json();
        stored["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn policy(&self, changes: &Value) {
        let path = self.path("/policy");
        let session = &self.owner.person.session;
        session.patch(&path, changes).await.expect(200);
    }

    pub(crate) async fn mode(&self, mode: &str) {
        self.policy(&json!({ "mode": mode })).await;
    }

    pub(crate) async fn resolve(&self, model: &str) -> Value {
        let path = self.path("/resolve");
        let body = json!({ "model": model });
        let session = &self.owner.person.session;
        session.post(&path, &body).await.expect(200).json()
    }

    /// Remaining credits in micro-USD.
    pub(crate) async fn micro_left(&self) -> i64 {
        let credits = self
            .owner
            .person
            .session
            .get("/api/v1/users/me/credits")
            .await;
        let left = credits.expect(200).json()["remaining_micro"].as_i64();
        left.expect("an integer")
    }

    /// Which key the latest call to the provider carried.
    fn last_key(&self) -> String {
        let last = self.provider.last();
        last.key().expect("a key").to_owned()
    }

    async fn subscribe(&self, plan: &str) {
        let path = format!("/api/v1/admin/accounts/{}/subscription", self.owner.account);
        let session = &self.owner.person.session;
        session
            .put(&path, &json!({ "plan": plan }))
            .await
            .expect(200);
    }

    /// A plan like Pro without own keys.
    async fn plan_without_byok(&self) {
        let body = json!({"name": "No own keys", "rank": 1, "terms": {
            "monthly_credits": 1000, "byok": false, "tiers": ["level_1", "level_2", "level_3"], "limits": {},
        }});
        let session = &self.owner.person.session;
        let reply = session.put("/api/v1/admin/plans/no-own-keys", &body).await;
        assert!(
            reply.status == 200 || reply.status == 201,
            "{}",
            reply.text()
        );
        self.subscribe("no-own-keys").await;
    }
}

/// What became of a call: who paid, or status and code.
fn outcome(reply: &Reply) -> String {
    if reply.status == 200 {
        return reply
            .header("x-keybearer-key-source")
            .expect("a source")
            .to_owned();
    }
    let body = reply.json();
    format!(
        "{} {}",
        reply.status,
        body["error"]["code"].as_str().unwrap_or("-")
    )
}

#[tokio::test]
async fn the_state_matrix_holds_over_the_running_server_and_the_explanation_agrees() {
    let expected = [
        // state, managed, byok, auto
        ("K", ["402 managed_unavailable", "byok", "byok"]),
        ("K and P", ["managed", "byok", "byok"]),
        ("P", ["managed", "402 byok_key_missing", "managed"]),
        (
            "none",
            [
                "402 managed_unavailable",
                "402 byok_key_missing",
                "402 managed_unavailable",
            ],
        ),
        ("revoked", ["managed", "402 byok_key_revoked", "managed"]),
        (
            "switched off",
            ["managed", "402 byok_disabled_for_provider", "managed"],
        ),
        ("plan", ["managed", "402 byok_key_dormant", "managed"]),
    ];
    for (state, row) in expected {
        let fixture = Fixture::start().await;
        fixture.priced().await;
        let (own, platform) = (fixture.canary.openai_key(), fixture.canary.openai_key());
        if state != "P" && state != "none" {
            fixture.workspace_key("openai", "primary", &own).await;
        }
        if state != "K" && state != "none" {
            fixture.platform_key("openai", &platform).await;
        }
        match state {
            "revoked" => {
                let listed = fixture
                    .owner
                    .person
                    .session
                    .get(&fixture.path("/provider-keys"))
                    .await;
                let listed = listed.expect(200).json();
                let id = listed["data"][0]["id"].as_str().expect("an id");
                let path = fixture.path(&format!("/provider-keys/{id}"));
                let reply = fixture.owner.person.session.delete(&path).await;
                assert!(reply.status < 300, "{}", reply.text());
            }
            "switched off" => {
                let off = json!({"byok": false});
                fixture
                    .admin_patch("/providers/openai", &off)
                    .await
                    .expect(200);
            }
            "plan" => fixture.plan_without_byok().await,
            _ => {}
        }
        for (mode, expected) in ["managed", "byok", "auto"].into_iter().zip(row) {
            fixture.mode(mode).await;
            let explained = fixture.resolve("gpt-4o").await;
            let reply = fixture.chat("gpt-4o").await;
            assert_eq!(
                outcome(&reply),
                expected,
                "{state} in mode {mode}: {}",
                reply.text()
            );
            let said = match explained["refusal"]["code"].as_str() {
                Some(code) => format!("402 {code}"),
                None => explained["targets"][0]["key_source"]
                    .as_str()
                    .expect("a source")
                    .to_owned(),
            };
            assert_eq!(said, expected, "{state} in mode {mode}: {explained}");
            if reply.status == 200 {
                let used = if expected == "byok" { &own } else { &platform };
                assert_eq!(&fixture.last_key(), used, "{state} in mode {mode}");
            }
        }
        if state == "plan" {
            // A new key is refused by name of the plans that would take it.
            let body = json!({"provider": "openai", "label": "second", "key": fixture.canary.openai_key()});
            let path = fixture.path("/provider-keys");
            let refused = fixture.owner.person.session.post(&path, &body).await;
            let refused = refused.expect_error(403, "plan_required").text();
            assert!(refused.contains("\"pro\""), "{refused}");
            // The key was kept: another plan wakes it.
            fixture.subscribe("pro").await;
            fixture.mode("byok").await;
            assert_eq!(outcome(&fixture.chat("gpt-4o").await), "byok");
        }
        if state == "switched off" {
            let on = json!({"byok": true});
            fixture
                .admin_patch("/providers/openai", &on)
                .await
                .expect(200);
            fixture.mode("byok").await;
            assert_eq!(outcome(&fixture.chat("gpt-4o").await), "byok");
            assert_eq!(fixture.last_key(), own, "the key that rested is back");
        }
        fixture.finish().await;
    }
}

#[tokio::test]
async fn credits_never_follow_a_failed_own_key_without_consent() {
    let fixture = Fixture::start().await;
    fixture.priced().await;
    let own = fixture.canary.openai_key();
    let platform = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &own).await;
    fixture.platform_key("openai", &platform).await;
    fixture.mode("auto").await;
    let before = fixture.micro_left().await;
    let carried = |key: &str| {
        let requests = fixture.provider.requests();
        requests.iter().filter(|it| it.key() == Some(key)).count()
    };
    let probed = carried(&platform);

    fixture
        .provider
        .on_key(&own, chat_error(500, "server_error", "no"));
    let reply = fixture.chat("gpt-4o").await;
    assert!(reply.status >= 500, "{}", reply.text());
    assert_eq!(
        carried(&platform),
        probed,
        "credits were spent without consent"
    );

    fixture.policy(&json!({"managed_on_failure": true})).await;
    assert_eq!(outcome(&fixture.chat("gpt-4o").await), "managed");
    // The request may tighten, never relax.
    let body = chat("gpt-4o").to_string().into_bytes();
    let tight = [
        ("content-type", "application/json"),
        ("x-keybearer-no-managed", "true"),
    ];
    let path = "/v1/chat/completions";
    let reply = fixture
        .owner
        .key
        .send(Method::POST, path, &tight, Some(body.clone()))
        .await;
    assert!(reply.status >= 500, "{}", reply.text());
    fixture.policy(&json!({"managed_on_failure": false})).await;
    let loose = [
        ("content-type", "application/json"),
        ("x-keybearer-no-managed", "false"),
    ];
    let reply = fixture
        .owner
        .key
        .send(Method::POST, path, &loose, Some(body))
        .await;
    assert!(reply.status >= 500, "{}", reply.text());
    assert_eq!(carried(&platform), probed + 1);

    // A key that is turned away is another matter: it takes a second consent.
    fixture
        .provider
        .on_key(&own, chat_error(401, "invalid_api_key", "no"));
    fixture.policy(&json!({"managed_on_failure": true})).await;
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(502, "upstream_credentials_exhausted");
    fixture.policy(&json!({"managed_on_denied": true})).await;
    assert_eq!(outcome(&fixture.chat("gpt-4o").await), "managed");

    assert_eq!(before - fixture.micro_left().await, 2 * COST / 1_000);
    let audit = fixture
        .owner
        .person
        .session
        .get(&fixture.path("/audit?limit=100"))
        .await;
    let audit = audit.expect(200).json();
    let rows = audit["data"].as_array().expect("rows");
    let fallbacks = rows
        .iter()
        .filter(|row| row["action"] == "provider_key.managed_fallback")
        .count();
    assert_eq!(
        fallbacks, 1,
        "the first managed fallback of a key, and only the first"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn managed_fallback_stops_at_its_cap() {
    let fixture = Fixture::start().await;
    fixture.priced().await;
    let own = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &own).await;
    fixture
        .platform_key("openai", &fixture.canary.openai_key())
        .await;
    fixture.mode("auto").await;
    // A hold for 1024 output tokens is about 8.3 million nano-USD; two answers cost 132,000.
    fixture
        .policy(&json!({"managed_on_failure": true, "managed_fallback_cap_nano_usd": 8_400_000}))
        .await;
    fixture
        .provider
        .on_key(&own, chat_error(500, "server_error", "no"));
    assert_eq!(outcome(&fixture.chat("gpt-4o").await), "managed");
    fixture.app.usage(&fixture.owner, 1).await;
    fixture
        .policy(&json!({"managed_fallback_cap_nano_usd": 70_000}))
        .await;
    let refused = fixture.chat("gpt-4o").await;
    refused.expect_error(402, "managed_fallback_cap_reached");
    fixture.finish().await;
}

#[tokio::test]
async fn own_keys_go_straight_to_the_provider_and_the_managed_gateway_sees_nothing_of_them() {
    let gateway = ScriptedProvider::start();
    let provider = ScriptedProvider::start();
    let app = builder()
        .provider("openai", &provider)
        .provider("openrouter", &gateway)
        .start()
        .await;
    let owner = app.setup().await;
    let fixture = Fixture {
        app,
        owner,
        provider,
        canary: testkit::canary::Canary::new(),
    };
    fixture.priced().await;
    fixture
        .settings(&json!({"managed_gateway": "openrouter"}))
        .await;
    let own = fixture.canary.openai_key();
    let platform = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &own).await;
    fixture.platform_key("openrouter", &platform).await;
    let probes = gateway.requests().len();
    fixture.mode("byok").await;
    for _ in 0..20 {
        assert_eq!(outcome(&fixture.chat("gpt-4o").await), "byok");
    }
    assert_eq!(
        gateway.requests().len(),
        probes,
        "an own call went to the managed gateway"
    );
    let seen = gateway.bytes().concat();
    assert!(
        !seen
            .windows(own.len())
            .any(|window| window == own.as_bytes())
    );

    let at_provider = fixture.provider.requests().len();
    fixture.mode("managed").await;
    let reply = fixture.chat("gpt-4o").await;
    assert_eq!(outcome(&reply), "managed");
    assert_eq!(reply.header("x-keybearer-provider"), Some("openrouter"));
    assert_eq!(fixture.provider.requests().len(), at_provider);
    assert_eq!(gateway.last().json()["model"], "openai/gpt-4o");
    assert_eq!(gateway.last().key(), Some(platform.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn keys_of_a_level_share_the_load_and_a_limited_one_sleeps_and_wakes() {
    let fixture = Fixture::start().await;
    let keys = [fixture.canary.openai_key(), fixture.canary.openai_key()];
    for (label, key) in ["one", "two"].into_iter().zip(&keys) {
        let body = json!({"provider": "openai", "label": label, "key": key, "level": 1});
        let session = &fixture.owner.person.session;
        session
            .post(&fixture.path("/provider-keys"), &body)
            .await
            .expect(201);
    }
    let served = |from: usize| {
        let requests = fixture.provider.requests();
        let count = |key: &String| {
            requests[from..]
                .iter()
                .filter(|it| it.key() == Some(key))
                .count()
        };
        [count(&keys[0]), count(&keys[1])]
    };
    let from = fixture.provider.requests().len();
    for _ in 0..10 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    assert_eq!(served(from), [5, 5]);

    let limited = chat_error(429, "rate_limit_exceeded", "slow").header("retry-after", "2");
    fixture.provider.on_key(&keys[0], limited);
    let from = fixture.provider.requests().len();
    for _ in 0..10 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    assert_eq!(served(from), [1, 10], "a key that sleeps is asked once");

    fixture.provider.on_key(
        &keys[0],
        testkit::provider::wire::chat("gpt-4o", "hi", testkit::provider::wire::TOKENS),
    );
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let from = fixture.provider.requests().len();
    for _ in 0..10 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    let [woken, _] = served(from);
    assert!(woken >= 4, "the key did not wake: {woken} of 10");
    fixture.finish().await;
}

#[tokio::test]
async fn a_provider_or_model_that_is_switched_off_is_not_there_and_not_listed() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let ids = async || {
        let listed = fixture.owner.key.get("/v1/models").await.expect(200).json();
        let data = listed["data"].as_array().expect("a list").clone();
        data.iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert!(ids().await.iter().any(|id| id.contains("gpt-4o")));
    assert!(
        !ids().await.iter().any(|id| id.contains("claude")),
        "no key for it"
    );
    fixture
        .admin_patch("/providers/openai", &json!({"models": ["gpt-4.1*"]}))
        .await
        .expect(200);
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(404, "model_not_found");
    assert!(!ids().await.iter().any(|id| id.ends_with("gpt-4o")));
    fixture
        .admin_patch(
            "/providers/openai",
            &json!({"models": null, "enabled": false}),
        )
        .await
        .expect(200);
    fixture
        .chat("gpt-4.1")
        .await
        .expect_error(404, "model_not_found");
    fixture
        .admin_patch("/providers/openai", &json!({"enabled": true}))
        .await
        .expect(200);
    fixture.chat("gpt-4o").await.expect(200);
    fixture.finish().await;
}

#[tokio::test]
async fn tiers_and_mappings_stand_for_models_and_the_closest_choice_wins() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    fixture
        .chat("default")
        .await
        .expect_error(400, "model_not_chosen");
    fixture
        .settings(&json!({"tiers": {"level_1": "gpt-4o-mini", "level_2": "gpt-4.1"}}))
        .await;
    let asked = async |model: &str| {
        fixture.chat(model).await.expect(200);
        fixture.provider.last().json()["model"]
            .as_str()
            .expect("a model")
            .to_owned()
    };
    assert_eq!(asked("default").await, "gpt-4o-mini");
    assert_eq!(asked("level_2").await, "gpt-4.1");
    fixture
        .policy(&json!({"tiers": {"level_2": "gpt-4o"}, "model": "gpt-4.1-mini"}))
        .await;
    assert_eq!(asked("level_2").await, "gpt-4o");
    assert_eq!(asked("default").await, "gpt-4.1-mini");
    fixture
        .policy(&json!({"tiers": {"level_2": "managed"}}))
        .await;
    assert_eq!(asked("level_2").await, "gpt-4.1");
    fixture
        .policy(&json!({"model_mappings": [{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}]}))
        .await;
    assert_eq!(asked("gpt-3.5-turbo").await, "gpt-4o-mini");
    let row = fixture.app.usage(&fixture.owner, 7).await.remove(0);
    assert_eq!(row["model"], "gpt-4o-mini", "the target is what counts");

    // The plan gates tiers by name, not other people's defaults.
    fixture.subscribe("free").await;
    let refused = fixture.chat("level_2").await;
    let refused = refused.expect_error(403, "plan_required").text();
    assert!(refused.contains("\"pro\""), "{refused}");
    assert_eq!(asked("level_1").await, "gpt-4o-mini");
    fixture.finish().await;
}

#[tokio::test]
async fn a_running_call_ends_well_when_its_key_is_removed_and_the_next_is_refused() {
    let fixture = Fixture::start().await;
    let key = fixture.canary.openai_key();
    let stored = fixture.workspace_key("openai", "primary", &key).await;
    let words: Vec<String> = (0..20)
        .map(|n| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"w{n} \"}}}}]}}\n\n"
            )
        })
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect();
    fixture.provider.on_key(
        &key,
        Script::stream(words).pace(std::time::Duration::from_millis(50)),
    );
    let path = "/v1/chat/completions";
    let streaming = fixture
        .owner
        .key
        .stream(path, &crate::chat_stream("gpt-4o"))
        .await;
    assert_eq!(streaming.status, 200);
    let id = stored["id"].as_str().expect("an id");
    let removed = fixture
        .owner
        .person
        .session
        .delete(&fixture.path(&format!("/provider-keys/{id}")))
        .await;
    let removed = removed.expect(200).json();
    assert_eq!(
        (&removed["deleted"], &removed["then"]),
        (&json!(true), &json!("refused_402"))
    );
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    let rest = streaming.rest().await.expect("a whole stream");
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    fixture.finish().await;
}
