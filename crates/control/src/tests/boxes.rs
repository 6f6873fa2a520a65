//! Sealed boxes: faults, replay, rotation of the sealing key.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{KEY, OTHER_KEY, World, path, with};
use crate::ControlConfig;

#[tokio::test]
async fn a_box_is_taken_once_whether_its_key_was_accepted_or_not() {
    // T24
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let failure = ProbeFailure::Rejected(FailureKind::NoQuota);
    world
        .probe
        .script
        .lock()
        .expect("not poisoned")
        .push_back(failure);
    let body = world.raw("openai", KEY).await;
    world
        .post(&root.session, &path(&root), body.clone())
        .await
        .refused(422, "probe_failed");
    world
        .post(&root.session, &path(&root), body)
        .await
        .refused(422, "invalid_sealed_box");
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 1);
    let body = world.raw("openai", KEY).await;
    let stored = world
        .post(&root.session, &path(&root), body.clone())
        .await
        .expect(201)
        .json();
    world
        .post(&root.session, &path(&root), body.clone())
        .await
        .refused(422, "invalid_sealed_box");
    world
        .post(&other.session, &path(&other), body.clone())
        .await
        .refused(422, "invalid_sealed_box");
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    world.delete(&root.session, &one).await.expect(200);
    world
        .post(&root.session, &path(&root), body)
        .await
        .refused(422, "invalid_sealed_box");
}

#[tokio::test]
async fn of_two_who_submit_a_box_at_once_one_causes_a_call() {
    // T24
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = world.raw("openai", KEY).await;
    let keys = path(&root);
    let other = with(&body, "label", json!("other"));
    let (one, two) = tokio::join!(
        world.post(&root.session, &keys, body),
        world.post(&root.session, &keys, other)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_fault_of_a_box_has_one_answer_and_no_probe() {
    // T19, T20, T22, T25, T32
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let registry = &world.state.registry;
    let openai = registry
        .get(&"openai".parse().expect("an id"))
        .expect("bundled")
        .base_url
        .clone();
    let good = world.raw("openai", KEY).await;
    let sealed = good["ciphertext_b64"].as_str().expect("a text").to_owned();
    let mut flipped = sealed.clone().into_bytes();
    flipped[70] = if flipped[70] == b'A' { b'B' } else { b'A' };
    let late = world.boxed(&root.workspace, "openai", &openai, KEY).await;
    world.pass_ms(16 * 60 * 1000);
    let faulty = [
        with(&good, "ciphertext_b64", json!("")),
        with(&good, "ciphertext_b64", json!("AAAA")),
        with(&good, "ciphertext_b64", json!("not base64!")),
        with(&good, "ciphertext_b64", json!(format!("{sealed} "))),
        with(
            &good,
            "ciphertext_b64",
            json!(String::from_utf8(flipped).expect("ASCII")),
        ),
        world.boxed(&other.workspace, "openai", &openai, KEY).await,
        world.boxed(&root.account, "openai", &openai, KEY).await,
        world
            .boxed(&root.workspace, "openai", "https://evil.example", KEY)
            .await,
        with(
            &world
                .boxed(&root.workspace, "anthropic", &openai, KEY)
                .await,
            "provider",
            json!("openai"),
        ),
        late,
    ];
    let mut answers = Vec::new();
    for body in faulty {
        let mut answer = world
            .post(&root.session, &path(&root), body)
            .await
            .refused(422, "invalid_sealed_box");
        answer["request_id"] = Value::Null;
        answers.push(answer);
    }
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
    let refused = ("provider_key.create".to_owned(), "refused".to_owned());
    assert_eq!(
        world
            .audited(&root)
            .await
            .iter()
            .filter(|row| **row == refused)
            .count(),
        10
    );
    // A good box is taken once; the second time it is as faulty as any other.
    let fresh = world.boxed(&root.workspace, "openai", &openai, KEY).await;
    let keys = path(&root);
    world
        .post(&root.session, &keys, fresh.clone())
        .await
        .expect(201);
    let replayed = world.post(&root.session, &keys, fresh).await;
    let mut answer = replayed.refused(422, "invalid_sealed_box");
    answer["request_id"] = Value::Null;
    answers.push(answer);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn after_a_rotation_old_boxes_are_stale_and_stored_keys_stay() {
    // T26, T28, T29
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    let old = world.raw("openai", OTHER_KEY).await;
    let rotated = world
        .post(&root.session, "/api/v1/sealing-key/rotate", json!({}))
        .await
        .expect(200)
        .json();
    assert_ne!(rotated["kek_id"], old["kek_id"]);
    let stale = world
        .post(&root.session, &path(&root), old.clone())
        .await
        .refused(409, "stale_kek");
    assert_eq!(stale["details"]["kek_id"], rotated["kek_id"]);
    let relabelled = with(&old, "kek_id", rotated["kek_id"].clone());
    world
        .post(&root.session, &path(&root), relabelled)
        .await
        .refused(422, "invalid_sealed_box");
    world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", OTHER_KEY).await,
        )
        .await
        .expect(200);
    let seen = world
        .get(&root.session, "/api/v1/sealing-key")
        .await
        .expect(200)
        .json();
    assert_eq!(seen["kek_id"], rotated["kek_id"]);
    assert_eq!(
        seen["fingerprint"]
            .as_str()
            .expect("a text")
            .replace(' ', ""),
        seen["kek_id"]
    );
}

#[tokio::test]
async fn the_sealing_key_is_renewed_when_its_time_is_over() {
    // T28
    let world = World::start().await;
    let (first, _) = world.sealing_key().await;
    crate::jobs::ensure_sealing_key(&world.state)
        .await
        .expect("runs");
    assert_eq!(world.sealing_key().await.0, first);
    world.pass_ms(ControlConfig::SEAL_KEY_LIFETIME_MS);
    let (one, two) = tokio::join!(
        crate::jobs::ensure_sealing_key(&world.state),
        crate::jobs::ensure_sealing_key(&world.state)
    );
    one.and(two).expect("both run, one wins");
    assert_ne!(world.sealing_key().await.0, first);
}
