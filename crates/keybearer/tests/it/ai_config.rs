//! The AI config of a workspace, and what new workspaces inherit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use testkit::app::Reply;

use crate::{Fixture, chat};

impl Fixture {
    async fn ai_config(&self) -> Value {
        let session = &self.owner.person.session;
        session
            .get(&self.path("/ai-config"))
            .await
            .expect(200)
            .json()
    }

    async fn put_ai_config(&self, body: &Value) -> Reply {
        let session = &self.owner.person.session;
        session.put(&self.path("/ai-config"), body).await
    }

    async fn labels(&self) -> Vec<String> {
        let session = &self.owner.person.session;
        let listed = session
            .get(&self.path("/provider-keys"))
            .await
            .expect(200)
            .json();
        let labels = listed["data"].as_array().expect("a list").iter();
        labels
            .map(|key| key["label"].as_str().expect("a label").to_owned())
            .collect()
    }
}

#[tokio::test]
async fn what_is_omitted_stays_null_clears_and_the_key_never_comes_back() {
    let fixture = Fixture::start().await;
    let key = fixture.canary.openai_key();
    assert_eq!(fixture.ai_config().await["managed_available"], false);
    let fields = |config: &Value| -> Vec<String> {
        config
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let config = fixture.ai_config().await;
    assert_eq!(
        fields(&config),
        [
            "credits_left",
            "effective_mode",
            "managed_available",
            "mode",
            "model",
            "offered_modes",
            "provider",
            "status",
            "updated_at"
        ]
    );
    assert_eq!(
        (&config["mode"], &config["status"]),
        (&json!("byok"), &json!("invalid_missing_key"))
    );

    let body = json!({"mode": "byok", "provider": "openai", "api_key": key, "model": "gpt-4o"});
    let config = fixture.put_ai_config(&body).await.expect(200).json();
    assert_eq!(
        fields(&config),
        [
            "credits_left",
            "effective_mode",
            "managed_available",
            "mode",
            "model",
            "offered_modes",
            "provider",
            "status",
            "updated_at"
        ]
    );
    assert_eq!(
        (&config["status"], &config["model"]),
        (&json!("byok_active"), &json!("gpt-4o"))
    );
    fixture.chat("default").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    assert_eq!(fixture.provider.last().json()["model"], "gpt-4o");

    let config = fixture
        .put_ai_config(&json!({"model": "gpt-4o-mini"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&config["status"], &config["provider"]),
        (&json!("byok_active"), &json!("openai"))
    );
    let config = fixture
        .put_ai_config(&json!({"model": null}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&config["status"], &config["model"]),
        (&json!("byok_active"), &Value::Null)
    );
    for bad in [
        json!({"foo": 1}),
        json!({"mode": "other"}),
        json!({"mode": 1}),
        json!([]),
    ] {
        fixture
            .put_ai_config(&bad)
            .await
            .expect_error(400, "invalid_request");
    }
    assert_eq!(fixture.ai_config().await["status"], "byok_active");

    let config = fixture
        .put_ai_config(&json!({"api_key": null}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&config["mode"], &config["status"]),
        (&json!("byok"), &json!("invalid_missing_key"))
    );
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    fixture.finish().await;
}

#[tokio::test]
async fn the_older_path_answers_the_same() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let older = format!("/api/workspaces/{}/ai-config", fixture.owner.workspace);
    session
        .put(&older, &json!({"model": "gpt-4o"}))
        .await
        .expect(200);
    assert_eq!(
        session.get(&older).await.expect(200).json(),
        fixture.ai_config().await
    );
    let credits = session
        .get("/api/users/me/credits")
        .await
        .expect(200)
        .json();
    assert_eq!(
        session
            .get("/api/v1/users/me/credits")
            .await
            .expect(200)
            .json(),
        credits
    );
}

#[tokio::test]
async fn switching_to_managed_clears_this_key_and_leaves_labelled_ones() {
    let fixture = Fixture::start().await;
    fixture.priced().await;
    let labelled = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &labelled).await;
    let platform = fixture.canary.openai_key();
    fixture.platform_key("openai", &platform).await;
    let body =
        json!({"mode": "byok", "provider": "openai", "api_key": fixture.canary.openai_key()});
    fixture.put_ai_config(&body).await.expect(200);
    assert_eq!(fixture.labels().await.len(), 2);

    let config = fixture
        .put_ai_config(&json!({"mode": "managed"}))
        .await
        .expect(200)
        .json();
    assert_eq!(config["status"], "managed_active");
    assert_eq!(config["managed_available"], true);
    assert_eq!(fixture.labels().await, ["primary"]);
    let before = fixture.micro_left().await;
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(platform.as_str()));
    assert!(fixture.micro_left().await < before);

    let config = fixture
        .put_ai_config(&json!({"mode": "byok"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        config["status"], "byok_active",
        "the labelled key is still there"
    );
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(labelled.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_that_the_provider_refuses_changes_nothing() {
    let fixture = Fixture::start().await;
    let bad = fixture.canary.openai_key();
    let no = testkit::provider::wire::chat_error(401, "invalid_api_key", "no");
    fixture.provider.on_key(&bad, no);
    let before = fixture.ai_config().await;
    let body = json!({"mode": "auto", "provider": "openai", "api_key": bad, "model": "gpt-4o"});
    fixture
        .put_ai_config(&body)
        .await
        .expect_error(422, "probe_failed");
    assert_eq!(fixture.ai_config().await, before);
    assert!(fixture.labels().await.is_empty());
    fixture.finish().await;
}

#[tokio::test]
async fn plain_keys_are_refused_where_only_sealed_ones_are_taken() {
    let fixture = Fixture::start().await;
    fixture
        .settings(&json!({"submission": "sealed_only"}))
        .await;
    let body = json!({"provider": "openai", "api_key": fixture.canary.openai_key()});
    fixture
        .put_ai_config(&body)
        .await
        .expect_error(400, "sealed_submission_required");
    fixture.settings(&json!({"submission": "both"})).await;
    let body = json!({"provider": "openai", "api_key": fixture.canary.openai_key()});
    fixture.put_ai_config(&body).await.expect(200);
    fixture.finish().await;
}

#[tokio::test]
async fn a_change_of_mode_holds_from_the_next_call_on_under_load() {
    let fixture = Fixture::start().await;
    fixture.priced().await;
    let own = fixture.canary.openai_key();
    let platform = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &own).await;
    fixture.platform_key("openai", &platform).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (key, stop) = (fixture.owner.key.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut calls = 0;
                while !stop.load(Ordering::Relaxed) {
                    let reply = key.post("/v1/chat/completions", &chat("gpt-4o")).await;
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for round in 0..10 {
        let mode = ["managed", "byok"][round % 2];
        fixture
            .put_ai_config(&json!({ "mode": mode }))
            .await
            .expect(200);
        let reply = fixture.chat("gpt-4o").await.expect(200);
        assert_eq!(
            reply.header("x-keybearer-key-source"),
            Some(mode),
            "round {round}"
        );
    }
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for task in load {
        calls += task.await.expect("no call failed");
    }
    assert!(calls > 20, "only {calls} calls ran beside the changes");
    fixture.finish().await;
}

#[tokio::test]
async fn of_200_calls_during_a_rotation_each_uses_the_old_or_the_new_key() {
    let fixture = Fixture::start().await;
    let old = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &old).await;
    let slow = testkit::provider::wire::chat("gpt-4o", "hi", testkit::provider::wire::TOKENS);
    fixture
        .provider
        .always(slow.delay(std::time::Duration::from_millis(300)));
    let from = fixture.provider.requests().len();
    let spawn = |count: u64| -> Vec<_> {
        let call = |n: u64| {
            let key = fixture.owner.key.clone();
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(n * 10)).await;
                key.post("/v1/chat/completions", &chat("gpt-4o"))
                    .await
                    .status
            })
        };
        (0..count).map(call).collect()
    };
    let mut calls = spawn(150);
    // Some have left with the old key, and some begin after the new one is there.
    fixture.provider.wait_for_requests(from + 20).await;
    let new = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &new).await;
    calls.extend(spawn(50));
    for call in calls {
        assert_eq!(call.await.expect("no panic"), 200);
    }
    let requests = fixture.provider.requests();
    let count = |key: &str| {
        requests[from..]
            .iter()
            .filter(|it| it.key() == Some(key))
            .count()
    };
    let (before, after) = (count(&old), count(&new));
    // The probe of the new key is one of its requests.
    assert_eq!(before + after, 201);
    assert!(
        before > 0 && after > 1,
        "{before} with the old key, {after} with the new one"
    );
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(new.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn new_workspaces_inherit_the_defaults_with_the_key_and_old_ones_keep_theirs() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let key = fixture.canary.openai_key();
    let path = "/api/v1/users/me/ai-defaults";
    let body = json!({"mode": "byok", "provider": "openai", "api_key": key, "model": "gpt-4o"});
    let defaults = session.put(path, &body).await.expect(200);
    assert!(!defaults.text().contains(&key));
    assert_eq!(
        fixture.ai_config().await["status"],
        "invalid_missing_key",
        "the old workspace"
    );
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");

    let made = session
        .post("/api/v1/workspaces", &json!({"name": "New"}))
        .await
        .expect(201)
        .json();
    let id = made["id"].as_str().expect("an id");
    let config = session
        .get(&format!("/api/v1/workspaces/{id}/ai-config"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &config["mode"],
            &config["provider"],
            &config["model"],
            &config["status"]
        ),
        (
            &json!("byok"),
            &json!("openai"),
            &json!("gpt-4o"),
            &json!("byok_active")
        )
    );
    let caller = fixture
        .app
        .api_key(session, id, &["inference:invoke"])
        .await;
    caller
        .post("/v1/chat/completions", &chat("default"))
        .await
        .expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");

    // Later defaults change neither.
    let mode = session
        .put("/api/v1/users/me/ai-mode", &json!({"mode": "managed"}))
        .await
        .expect(200)
        .json();
    let fields: Vec<&String> = mode.as_object().expect("an object").keys().collect();
    assert_eq!(
        fields,
        [
            "mode",
            "remaining",
            "remaining_micro",
            "total",
            "total_micro"
        ]
    );
    session
        .put(path, &json!({"api_key": null}))
        .await
        .expect(200);
    caller
        .post("/v1/chat/completions", &chat("default"))
        .await
        .expect(200);
    fixture.finish().await;
}
