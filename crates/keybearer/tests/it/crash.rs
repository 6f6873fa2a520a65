//! `kill -9` in the middle of a load of key changes: what was acknowledged is there, opens, and was audited.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::json;
use testkit::random::alphanumeric;

use crate::Fixture;

const ROUNDS: usize = 5;
const WRITERS: usize = 4;

#[tokio::test]
async fn acknowledged_key_changes_survive_kill_9() {
    // T147
    let mut fixture = Fixture::start_with(|builder| builder.env("KEYBEARER_LOG", "info")).await;
    // Label -> the mask that was acknowledged last, or None after an acknowledged removal.
    let acknowledged: Arc<Mutex<BTreeMap<String, Option<String>>>> = Arc::default();
    let mut changes = 0;
    for round in 0..ROUNDS {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let session = fixture.owner.person.session.clone();
                let path = fixture.path("/provider-keys");
                // A few of the keys are searched for at the end; all of them would take too long.
                let mut keys: Vec<_> = (0..400)
                    .map(|_| format!("sk-proj-{}", alphanumeric(48)))
                    .collect();
                keys[0] = fixture.canary.openai_key();
                let acknowledged = Arc::clone(&acknowledged);
                tokio::spawn(async move {
                    let mut done = 0;
                    for (turn, key) in keys.into_iter().enumerate() {
                        let label = format!("w{writer}-{}", turn % 3);
                        let body =
                            json!({"provider": "openai", "label": label, "key": key}).to_string();
                        let headers = [("content-type", "application/json")];
                        let reply = session
                            .try_send(Method::POST, &path, &headers, Some(body.into_bytes()))
                            .await;
                        let Ok(reply) = reply else { break };
                        assert!(
                            reply.status == 200 || reply.status == 201,
                            "{}",
                            reply.text()
                        );
                        let stored = reply.json();
                        let mask = stored["mask"].as_str().expect("a mask").to_owned();
                        acknowledged
                            .lock()
                            .expect("no panic")
                            .insert(label.clone(), Some(mask));
                        done += 1;
                        if turn % 5 == 4 {
                            let path = format!("{path}/{}", stored["id"].as_str().expect("an id"));
                            let Ok(reply) =
                                session.try_send(Method::DELETE, &path, &[], None).await
                            else {
                                break;
                            };
                            assert_eq!(reply.status, 200, "{}", reply.text());
                            acknowledged.lock().expect("no panic").insert(label, None);
                            done += 1;
                        }
                    }
                    done
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700 + 150 * round as u64)).await;
        fixture.app.kill9();
        for writer in writers {
            changes += writer.await.expect("a writer panicked");
        }
        fixture.app.restart().await;
        let so_far = acknowledged.lock().expect("no panic").clone();
        check(&fixture, &so_far, changes).await;
    }
    assert!(
        changes > ROUNDS * WRITERS,
        "only {changes} changes were acknowledged"
    );
    fixture.app.terminate().await;
    let doctor = fixture.app.run(&["doctor"]).await;
    assert!(
        doctor.status.success() && doctor.says(" 0 records do not"),
        "{doctor}"
    );
    fixture.finish().await;
}

async fn check(fixture: &Fixture, acknowledged: &BTreeMap<String, Option<String>>, changes: usize) {
    let session = &fixture.owner.person.session;
    let listed = session
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200)
        .json();
    let stored: BTreeMap<String, String> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| {
            (
                key["label"].as_str().expect("a text").to_owned(),
                key["mask"].as_str().expect("a text").to_owned(),
            )
        })
        .collect();
    let mut unacknowledged = 0;
    for (label, mask) in acknowledged {
        // The change that was under way at the kill may have been made without being acknowledged: one a writer.
        unacknowledged += usize::from(stored.get(label) != mask.as_ref());
    }
    assert!(
        unacknowledged <= WRITERS,
        "{unacknowledged} labels differ: {stored:?} {acknowledged:?}"
    );
    // No audit row is missing.
    let mut rows = 0;
    let mut after = String::new();
    loop {
        let page = session
            .get(&fixture.path(&format!("/audit?limit=100{after}")))
            .await
            .expect(200)
            .json();
        let data = page["data"].as_array().expect("a list");
        rows += data
            .iter()
            .filter(|row| row["provider"] == "openai" && row["outcome"] == "ok")
            .count();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(
        rows >= changes,
        "{changes} changes were acknowledged, {rows} are in the audit log"
    );
    assert!(
        rows <= changes + WRITERS * ROUNDS,
        "{rows} audit rows for {changes} changes"
    );
    // A stored key opens: it serves.
    if !stored.is_empty() {
        fixture.chat("gpt-4o").await.expect(200);
    }
}
