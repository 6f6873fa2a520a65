//! Two processes on one PostgreSQL database.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::app::{Auth, Engine, TestApp};

use crate::console::hear;
use crate::{Fixture, builder, chat};

/// A second process on the fixture's database and root key.
async fn replica(fixture: &Fixture) -> TestApp {
    let root_key = fixture.app.data_dir().join("root.key");
    builder()
        .provider("openai", &fixture.provider)
        .provider("anthropic", &fixture.provider)
        .env("KEYBEARER_DATABASE_URL", &fixture.app.database_url())
        .env("KEYBEARER_ROOT_KEY_FILE", root_key.to_str().expect("UTF-8"))
        .start()
        .await
}

#[tokio::test]
async fn a_change_reaches_the_other_process_within_seconds() {
    // T28, T105
    // SQLite serves one process, so this runs wherever there is a server, whatever the run's engine.
    if !Engine::Postgres.is_available() {
        return;
    }
    let fixture = Fixture::start_with(|builder| builder.engine(Engine::Postgres)).await;
    let key = fixture.with_openai_key().await;
    let other = replica(&fixture).await;
    let here = fixture.app.sealing_key(&fixture.owner.key).await;
    let owner = &fixture.owner.person.session;
    let path = fixture.path("/api-keys");
    let body = json!({"name": "to be revoked", "scopes": ["inference:invoke"]});
    let minted = owner.post(&path, &body).await.expect(201).json();
    let text = minted["key"].as_str().expect("the key").to_owned();
    let caller = other.caller("at the replica", Auth::Bearer(text));
    let call = || async {
        caller
            .post("/v1/chat/completions", &chat("gpt-4o"))
            .await
            .status
    };
    assert_eq!(call().await, 200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    let there = other.sealing_key(&caller).await;
    assert_eq!(here.kek_id, there.kek_id, "one sealing key for both");

    let revoke = format!("{path}/{}", minted["id"].as_str().expect("an id"));
    owner.delete(&revoke).await.expect(204);
    let revoked_at = Instant::now();
    while call().await != 401 {
        assert!(
            revoked_at.elapsed() < Duration::from_secs(5),
            "a revoked API key is still served"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(other);
    fixture.finish().await;
}

#[tokio::test]
async fn what_one_process_does_is_heard_at_the_other() {
    if !Engine::Postgres.is_available() {
        return;
    }
    let fixture = Fixture::start_with(|builder| builder.engine(Engine::Postgres)).await;
    let other = replica(&fixture).await;
    let key = fixture.owner.key.api_key().expect("a key").to_owned();
    let listener = other.caller("at the replica", Auth::Bearer(key));
    let mut stream = listener.listen(&fixture.path("/events"), &[]).await;
    hear(&mut stream, "retry").await;
    let key = fixture.canary.openai_key();
    fixture.workspace_key("openai", "here", &key).await;
    hear(&mut stream, "provider_keys").await;
    fixture.chat("gpt-4o").await.expect(200);
    hear(&mut stream, "event: usage").await;
    drop(stream);
    drop(other);
    fixture.finish().await;
}
