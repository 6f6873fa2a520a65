//! What a provider keeps stays with the key that made it, also behind a restart.

use serde_json::json;
use testkit::provider::Script;

use crate::Fixture;
use crate::usage_spool::Lock;

/// Two keys that share the load, each of which makes a response of its own name.
async fn two_keys(fixture: &mut Fixture) {
    let keys = [fixture.canary.openai_key(), fixture.canary.openai_key()];
    for (label, key) in ["one", "two"].into_iter().zip(&keys) {
        let body = json!({"provider": "openai", "label": label, "key": key, "level": 1});
        let session = &fixture.owner.person.session;
        let path = fixture.path("/provider-keys");
        session.post(&path, &body).await.expect(201);
        let answer = json!({"id": format!("resp_{label}"), "object": "response", "output": []});
        fixture.provider.on_key(key, Script::json(200, &answer));
    }
}

/// Which key served.
async fn respond(fixture: &Fixture, more: serde_json::Value) -> String {
    let mut body = json!({"model": "openai/gpt-4o", "input": "hi"});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let reply = fixture.owner.key.post("/v1/responses", &body).await;
    let reply = reply.expect(200);
    let label = reply.header("x-keybearer-key-label");
    label.expect("a label").to_owned()
}

#[tokio::test]
async fn a_conversation_goes_on_with_its_key_behind_a_restart() {
    let mut fixture = Fixture::start().await;
    two_keys(&mut fixture).await;
    assert_eq!(respond(&fixture, json!({})).await, "one");
    assert_eq!(respond(&fixture, json!({})).await, "two");
    // The store learns it with the calls' rows; then nothing of the process is needed.
    fixture.app.usage(&fixture.owner, 2).await;
    fixture.app.restart().await;
    for _ in 0..2 {
        let goes_on = json!({"previous_response_id": "resp_two"});
        assert_eq!(respond(&fixture, goes_on).await, "two");
        let path = "/v1/responses/resp_one";
        let got = fixture.owner.key.get(path).await.expect(200);
        assert_eq!(got.header("x-keybearer-key-label"), Some("one"));
    }
    fixture.finish().await;
}

#[tokio::test]
async fn what_was_made_right_before_kill_9_is_known_behind_it() {
    let mut fixture = Fixture::start().await;
    two_keys(&mut fixture).await;
    // The database takes nothing meanwhile, so that only what the process wrote itself is left of it.
    let lock = Lock::take(&fixture.app).await;
    assert_eq!(respond(&fixture, json!({})).await, "one");
    assert_eq!(respond(&fixture, json!({})).await, "two");
    fixture.app.kill9();
    lock.release().await;
    fixture.app.restart().await;
    for _ in 0..2 {
        let goes_on = json!({"previous_response_id": "resp_two"});
        assert_eq!(respond(&fixture, goes_on).await, "two");
        let goes_on = json!({"previous_response_id": "resp_one"});
        assert_eq!(respond(&fixture, goes_on).await, "one");
    }
    fixture.finish().await;
}
