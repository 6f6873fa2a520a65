//! Profiles: each sets its bundle by one command, and then the product's documented story plays end to end.

use serde_json::{Value, json};
use testkit::app::{Exit, Person};
use testkit::provider::wire::chat_error;

use crate::{Fixture, chat};

impl Fixture {
    /// `keybearer profile ARGUMENTS --email ADDRESS`, with the password on standard input.
    async fn profile(&self, arguments: &[&str]) -> Exit {
        let mut all = vec!["profile", "--email", &self.owner.person.email];
        all.extend_from_slice(arguments);
        self.app
            .run_with_input(&all, &format!("{}\n", self.owner.person.password))
            .await
    }

    async fn with_profile(name: &str) -> Self {
        let mut fixture = Self::start().await;
        let url = fixture.app.url();
        fixture.app.builder_mut().set_env("KEYBEARER_URL", &url);
        fixture.priced().await;
        let shown = fixture.profile(&["apply", name, "--dry-run"]).await;
        assert!(shown.status.success(), "{shown}");
        let applied = fixture.profile(&["apply", name, "--yes"]).await;
        assert!(applied.status.success(), "{applied}");
        assert_eq!(
            shown.stdout, applied.stdout,
            "the difference that was shown is the one that was applied"
        );
        let again = fixture.profile(&["apply", name, "--dry-run"]).await;
        assert!(again.status.success() && again.stdout.is_empty(), "{again}");
        fixture
    }

    /// Somebody new, their workspace, and an API key of it.
    async fn newcomer(&self) -> Newcomer {
        let person = self.app.outsider(&self.owner).await;
        let listed = person
            .session
            .get("/api/v1/workspaces")
            .await
            .expect(200)
            .json();
        let workspace = listed["data"][0]["id"].as_str().expect("an id").to_owned();
        let scopes = [
            "inference:invoke",
            "byok:read",
            "byok:write",
            "policy:read",
            "policy:write",
            "billing:read",
        ];
        let key = self.app.api_key(&person.session, &workspace, &scopes).await;
        Newcomer {
            person,
            workspace,
            key,
        }
    }
}

struct Newcomer {
    person: Person,
    workspace: String,
    key: testkit::app::Caller,
}

impl Newcomer {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/workspaces/{}{rest}", self.workspace)
    }

    async fn chat(&self) -> testkit::app::Reply {
        self.key.post("/v1/chat/completions", &chat("gpt-4o")).await
    }

    async fn left(&self) -> Value {
        let credits = self.key.get("/api/v1/users/me/credits").await;
        credits.expect(200).json()["remaining_micro"].clone()
    }

    async fn add_key(&self, provider: &str, key: &str) -> testkit::app::Reply {
        let body = json!({"provider": provider, "key": key});
        self.person
            .session
            .post(&self.path("/provider-keys"), &body)
            .await
    }
}

fn source(reply: &testkit::app::Reply) -> &str {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-keybearer-key-source").expect("a source")
}

#[tokio::test]
async fn rigbox_managed_until_a_key_is_set_and_no_access_when_it_is_cleared() {
    let fixture = Fixture::with_profile("rigbox").await;
    let platform = fixture.canary.openai_key();
    fixture.platform_key("openai", &platform).await;
    let user = fixture.newcomer().await;
    let config = user.path("/ai-config").replace("/api/v1/", "/api/");
    let shown = user.key.get(&config).await.expect(200).json();
    assert_eq!(
        (&shown["mode"], &shown["status"]),
        (&json!("managed"), &json!("managed_active"))
    );
    assert_eq!(user.left().await, 2_500_000, "Free has 250 credits");
    assert_eq!(source(&user.chat().await), "managed");
    let left = user.left().await;
    assert!(left.as_i64() < Some(2_500_000));

    let own = fixture.canary.openai_key();
    let body = json!({"mode": "byok", "provider": "openai", "api_key": own});
    let shown = user.key.put(&config, &body).await.expect(200).json();
    assert_eq!(shown["status"], "byok_active");
    assert_eq!(source(&user.chat().await), "byok");
    assert_eq!(fixture.provider.last().key(), Some(own.as_str()));
    assert_eq!(user.left().await, left, "own keys take no credits");
    let rotated = fixture.canary.openai_key();
    user.key
        .put(&config, &json!({"api_key": rotated}))
        .await
        .expect(200);
    user.chat().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(rotated.as_str()));

    let shown = user
        .key
        .put(&config, &json!({"api_key": null}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&shown["mode"], &shown["status"]),
        (&json!("byok"), &json!("invalid_missing_key"))
    );
    assert_eq!(user.chat().await.status, 402);
    user.key
        .put(&config, &json!({"mode": "auto"}))
        .await
        .expect_error(400, "mode_not_offered");
    let shown = user
        .key
        .put(&config, &json!({"mode": "managed"}))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["status"], "managed_active");
    assert_eq!(source(&user.chat().await), "managed");
    let usage = user
        .key
        .get("/api/users/me/ai-usage")
        .await
        .expect(200)
        .json();
    assert_eq!(
        usage["by_workspace"][0]["workspace_id"],
        user.workspace.as_str()
    );
    fixture.finish().await;
}

#[tokio::test]
async fn aikeedo_the_global_key_serves_until_the_admin_lets_owners_bring_theirs() {
    let fixture = Fixture::with_profile("aikeedo").await;
    let global = fixture.canary.openai_key();
    fixture.platform_key("openai", &global).await;
    let user = fixture.newcomer().await;
    assert_eq!(source(&user.chat().await), "managed");
    let own = fixture.canary.openai_key();
    user.add_key("openai", &own)
        .await
        .expect_error(403, "byok_disabled_for_provider");

    fixture
        .admin_patch("/providers/openai", &json!({"byok": true}))
        .await
        .expect(200);
    user.add_key("openai", &own).await.expect(201);
    assert_eq!(source(&user.chat().await), "byok");
    // The admin turns it off: everybody moves to the global key, whatever the mode; on again, the key is back.
    let byok = json!({"mode": "byok"});
    user.key
        .patch(&user.path("/policy"), &byok)
        .await
        .expect(200);
    fixture
        .admin_patch("/providers/openai", &json!({"byok": false}))
        .await
        .expect(200);
    assert_eq!(source(&user.chat().await), "managed");
    assert_eq!(fixture.provider.last().key(), Some(global.as_str()));
    fixture
        .admin_patch("/providers/openai", &json!({"byok": true}))
        .await
        .expect(200);
    assert_eq!(source(&user.chat().await), "byok");
    assert_eq!(fixture.provider.last().key(), Some(own.as_str()));
    // Only the two providers exist.
    let reply = user
        .key
        .post(
            "/v1/chat/completions",
            &chat("mistral/mistral-large-latest"),
        )
        .await;
    reply.expect_error(404, "model_not_found");
    fixture.finish().await;
}

#[tokio::test]
async fn bitrouter_sealed_keys_of_the_account_and_402_after_a_revoke() {
    let fixture = Fixture::with_profile("bitrouter").await;
    let platform = fixture.canary.openai_key();
    let sealed = fixture.app.sealing_key(&fixture.owner.key).await;
    let body = json!({"provider": "openai", "kek_id": sealed.kek_id, "ciphertext_b64": sealed.seal_raw(&platform)});
    fixture
        .owner
        .person
        .session
        .post("/api/v1/admin/platform-keys", &body)
        .await
        .expect(201);
    let user = fixture.newcomer().await;
    let own = fixture.canary.openai_key();
    user.add_key("openai", &own)
        .await
        .expect_error(400, "sealed_submission_required");
    user.chat().await.expect_error(402, "byok_key_missing");
    fixture
        .app
        .submit(&user.key, "openai", &own)
        .await
        .expect(200);
    let listed = user.key.get("/v1/byok/keys").await.expect(200).json();
    let prefix = listed["data"][0]["key_prefix"].as_str().expect("a prefix");
    assert!(
        own.starts_with(prefix.trim_end_matches('.')) && !prefix.contains(&own[own.len() - 4..]),
        "{prefix}"
    );
    assert_eq!(source(&user.chat().await), "byok");
    let mode = json!({"mode": "auto"});
    user.key
        .patch(&user.path("/policy"), &mode)
        .await
        .expect(200);
    user.key.delete("/v1/byok/keys/openai").await.expect(200);
    user.chat().await.expect_error(402, "byok_key_revoked");
    let balance = user.key.get("/v1/billing/balance").await.expect(200).json();
    assert_eq!(balance["currency"], "USD");
    fixture.finish().await;
}

#[tokio::test]
async fn xai_a_pool_of_own_keys_with_levels_and_no_platform_pool() {
    let fixture = Fixture::with_profile("xai").await;
    let user = fixture.newcomer().await;
    let keys = [
        fixture.canary.openai_key(),
        fixture.canary.openai_key(),
        fixture.canary.openai_key(),
    ];
    for (n, key) in keys.iter().enumerate() {
        let mut body = json!({"provider": "openai", "label": format!("k{n}"), "key": key});
        if n == 2 {
            body["level"] = json!(2);
        }
        let stored = user
            .person
            .session
            .post(&user.path("/provider-keys"), &body)
            .await
            .expect(201)
            .json();
        assert_eq!(stored["level"], if n == 2 { 2 } else { 1 });
    }
    let from = fixture.provider.requests().len();
    for _ in 0..6 {
        assert_eq!(source(&user.chat().await), "byok");
    }
    let counted = |from: usize| {
        let requests = fixture.provider.requests();
        keys.each_ref().map(|key| {
            requests[from..]
                .iter()
                .filter(|it| it.key() == Some(key))
                .count()
        })
    };
    assert_eq!(counted(from), [3, 3, 0]);
    // The level that a model is mapped to comes first.
    let rules = json!({"level_mappings": [{"pattern": "gpt-4o*", "level": 2}]});
    user.key
        .patch(&user.path("/policy"), &rules)
        .await
        .expect(200);
    let from = fixture.provider.requests().len();
    user.chat().await.expect(200);
    assert_eq!(counted(from), [0, 0, 1]);
    // It fails: another level is next.
    fixture
        .provider
        .on_key(&keys[2], chat_error(429, "rate_limit_exceeded", "slow"));
    user.chat().await.expect(200);
    let mode = json!({"mode": "managed"});
    user.key
        .patch(&user.path("/policy"), &mode)
        .await
        .expect_error(400, "mode_not_offered");
    fixture.finish().await;
}

#[tokio::test]
async fn oxagen_probe_labels_masks_the_plan_gate_and_back_to_credits_after_removal() {
    let fixture = Fixture::with_profile("oxagen").await;
    let platform = fixture.canary.openai_key();
    fixture.platform_key("openai", &platform).await;
    let user = fixture.newcomer().await;
    let own = fixture.canary.openai_key();
    let refused = user
        .add_key("openai", &own)
        .await
        .expect_error(403, "plan_required")
        .text();
    for plan in ["pro", "ultra", "enterprise"] {
        assert!(refused.contains(&format!("\"{plan}\"")), "{refused}");
    }
    let accounts = fixture
        .owner
        .person
        .session
        .get("/api/v1/admin/accounts?limit=100")
        .await;
    let accounts = accounts.expect(200).json();
    let listed = accounts["data"].as_array().expect("accounts");
    let theirs = listed
        .iter()
        .find(|it| it["owner_email"] == user.person.email.as_str());
    let account = theirs.expect("the account")["id"].as_str().expect("an id");
    let path = format!("/api/v1/admin/accounts/{account}/subscription");
    fixture
        .owner
        .person
        .session
        .put(&path, &json!({"plan": "pro"}))
        .await
        .expect(200);
    fixture
        .provider
        .next(chat_error(401, "invalid_api_key", "no"));
    user.add_key("openai", &own)
        .await
        .expect_error(422, "probe_failed");
    let stored = user.add_key("openai", &own).await.expect(201).json();
    assert_eq!(stored["label"], "primary");
    let mask = format!("{}...{}", &own[..4], &own[own.len() - 4..]);
    assert_eq!(stored["mask"], mask.as_str());
    let left = user.left().await;
    assert_eq!(source(&user.chat().await), "byok");
    assert_eq!(user.left().await, left);
    let models = user.key.get("/v1/models").await.expect(200).json();
    let models = models["data"].as_array().expect("a list").clone();
    assert!(
        models
            .iter()
            .any(|model| model["keybearer"]["key_source"] == "byok")
    );
    let audit = user
        .person
        .session
        .get(&user.path("/audit"))
        .await
        .expect(200)
        .json();
    let rows = audit["data"].as_array().expect("rows");
    assert!(
        rows.iter()
            .all(|row| row["actor"].is_null() && row["kek_id"].is_null()),
        "{audit}"
    );

    let id = stored["id"].as_str().expect("an id");
    let removed = user
        .person
        .session
        .delete(&user.path(&format!("/provider-keys/{id}")))
        .await;
    assert_eq!(removed.expect(200).json()["then"], "managed_credits");
    assert_eq!(source(&user.chat().await), "managed");
    assert!(user.left().await.as_i64() < left.as_i64());
    fixture.finish().await;
}

#[tokio::test]
async fn default_fails_closed_and_spends_nothing_unasked() {
    let fixture = Fixture::with_profile("rigbox").await;
    let applied = fixture.profile(&["apply", "default", "--yes"]).await;
    assert!(applied.status.success(), "{applied}");
    let user = fixture.newcomer().await;
    let shown = user
        .key
        .get(&user.path("/ai-config"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["mode"], "byok", "without a platform key");
    user.chat().await.expect_error(402, "byok_key_missing");
    fixture
        .platform_key("openai", &fixture.canary.openai_key())
        .await;
    user.chat().await.expect_error(402, "byok_key_missing");
    let mode = json!({"mode": "auto"});
    user.key
        .patch(&user.path("/policy"), &mode)
        .await
        .expect(200);
    assert_eq!(source(&user.chat().await), "managed");
    let unknown = fixture.profile(&["apply", "nonesuch", "--yes"]).await;
    assert!(!unknown.status.success(), "{unknown}");
    fixture.finish().await;
}
