//! Provider keys of a workspace: submission, probe, rotation, views, audit.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use http::Method;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{KEY, OTHER_KEY, Person, World, data};
use crate::{ControlConfig, ProbePolicy, SubmissionPolicy};

fn path(person: &Person) -> String {
    format!("/api/v1/workspaces/{}/provider-keys", person.workspace)
}

/// A body with another field or value.
fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

async fn custom_world() -> (World, Person) {
    let world = World::with(ControlConfig {
        custom_base_urls: true,
        ..ControlConfig::default()
    })
    .await;
    let (root, _) = world.set_up().await;
    (world, root)
}

#[tokio::test]
async fn a_sealed_key_is_probed_stored_and_shown_by_its_mask_only() {
    // T78, T87
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = world.raw("openai", KEY).await;
    let stored = world
        .post(&root.session, &path(&root), body.clone())
        .await
        .expect(201);
    assert!(!stored.text.contains(&KEY[4..30]));
    let stored = stored.json();
    assert_eq!(stored["mask"], "sk-t...mnop");
    assert_eq!(
        (&stored["label"], &stored["scope"]),
        (&json!("primary"), &json!("workspace"))
    );
    assert_eq!(
        (&stored["version"], &stored["enabled"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(stored["kek_id"], body["kek_id"]);
    assert!(stored.get("base_url").is_none(), "{stored}");
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 1);
    let listed = data(world.get(&root.session, &path(&root)).await);
    assert_eq!(listed, [stored]);
}

#[tokio::test]
async fn the_same_label_rotates_in_place_and_another_stands_beside() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let first = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    world.pass_ms(1000);
    let second = world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", OTHER_KEY).await,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&second["id"], &second["created_at"]),
        (&first["id"], &first["created_at"])
    );
    assert_eq!(second["version"], 2);
    assert_ne!(second["updated_at"], first["updated_at"]);
    let backup = with(&world.raw("openai", KEY).await, "label", json!("backup"));
    let backup = world
        .post(&root.session, &path(&root), backup)
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&first["position"], &backup["position"]),
        (&json!(0), &json!(1))
    );
    let value = world.raw("openai", KEY).await;
    let value = json!({"kek_id": value["kek_id"], "ciphertext_b64": value["ciphertext_b64"]});
    let one = format!("{}/{}", path(&root), first["id"].as_str().expect("an id"));
    let third = world
        .put(&root.session, &one, value)
        .await
        .expect(200)
        .json();
    assert_eq!((&third["id"], &third["version"]), (&first["id"], &json!(3)));
    assert_eq!(data(world.get(&root.session, &path(&root)).await).len(), 2);
}

#[tokio::test]
async fn a_failed_probe_stores_nothing_but_an_audit_row() {
    // T35
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for kind in FailureKind::ALL {
        let failure = ProbeFailure::Rejected(kind);
        world
            .probe
            .script
            .lock()
            .expect("not poisoned")
            .push_back(failure);
        let answer = world
            .post(&root.session, &path(&root), world.raw("openai", KEY).await)
            .await;
        if kind == FailureKind::Unreachable {
            answer.refused(503, "probe_unreachable");
        } else {
            let body = answer.refused(422, "probe_failed");
            assert_eq!(body["details"]["reason"], kind.as_str());
        }
    }
    for (failure, code) in [
        (ProbeFailure::Unreachable, "probe_unreachable"),
        (ProbeFailure::Unreadable, "unavailable"),
    ] {
        world
            .probe
            .script
            .lock()
            .expect("not poisoned")
            .push_back(failure);
        let answer = world
            .post(&root.session, &path(&root), world.raw("openai", KEY).await)
            .await;
        answer.refused(503, code);
    }
    assert_eq!(
        data(world.get(&root.session, &path(&root)).await),
        Vec::<Value>::new()
    );
    let failed = ("provider_key.create".to_owned(), "probe_failed".to_owned());
    let rows = world.audited(&root).await;
    assert_eq!(
        rows.iter().filter(|row| **row == failed).count(),
        8,
        "{rows:?}"
    );
}

#[tokio::test]
async fn a_box_that_failed_its_probe_may_come_again_and_a_stored_one_may_not() {
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
    world.delete(&root.session, &one).await.expect(204);
    world
        .post(&root.session, &path(&root), body)
        .await
        .refused(422, "invalid_sealed_box");
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
    let (first, _) = world.seal_key().await;
    crate::jobs::ensure_seal_key(&world.state)
        .await
        .expect("runs");
    assert_eq!(world.seal_key().await.0, first);
    world.pass_ms(ControlConfig::SEAL_KEY_LIFETIME_MS);
    let (one, two) = tokio::join!(
        crate::jobs::ensure_seal_key(&world.state),
        crate::jobs::ensure_seal_key(&world.state)
    );
    one.and(two).expect("both run, one wins");
    assert_ne!(world.seal_key().await.0, first);
}

#[tokio::test]
async fn a_key_in_plain_text_needs_a_way_that_nobody_reads() {
    // T34
    let body = json!({"provider": "openai", "key": KEY});
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let send = async |peer: [u8; 4], headers: &[(&'static str, &str)]| {
        let mut request = World::request(&root.session, Method::POST, &path(&root), Some(&body));
        request
            .extensions_mut()
            .insert(crate::Peer((peer, 1).into()));
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a value"));
        }
        world.send(request).await
    };
    send([192, 0, 2, 1], &[])
        .await
        .refused(400, "sealed_submission_required");
    send([192, 0, 2, 1], &[("x-forwarded-proto", "https")])
        .await
        .refused(400, "sealed_submission_required");
    send([127, 0, 0, 1], &[("x-forwarded-proto", "http")])
        .await
        .refused(400, "sealed_submission_required");
    send([127, 0, 0, 1], &[("x-forwarded-for", "192.0.2.1")])
        .await
        .refused(400, "sealed_submission_required");
    let stored = send([127, 0, 0, 1], &[]).await.expect(201);
    assert!(!stored.text.contains(KEY));
    assert!(stored.json().get("kek_id").is_none());

    for (trusted, submission, proto, status) in [
        (true, SubmissionPolicy::Both, "https", 201),
        (true, SubmissionPolicy::Both, "http", 400),
        (true, SubmissionPolicy::SealedOnly, "https", 400),
    ] {
        let world = World::with(ControlConfig {
            submission,
            trust_forwarded_proto: trusted,
            ..ControlConfig::default()
        })
        .await;
        let (root, _) = world.set_up().await;
        let mut request = World::request(&root.session, Method::POST, &path(&root), Some(&body));
        request
            .headers_mut()
            .insert("x-forwarded-proto", proto.parse().expect("a value"));
        assert_eq!(
            world.send(request).await.status,
            status,
            "{submission:?} {proto}"
        );
    }
}

#[tokio::test]
async fn a_body_has_exactly_one_key_and_a_known_provider() {
    // T21, T31
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let good = world.raw("openai", KEY).await;
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    for body in [
        with(&good, "key", json!(KEY)),
        without("kek_id"),
        without("ciphertext_b64"),
        json!({"provider": "openai"}),
        with(&good, "mask", json!("sk-x...y")),
        with(&good, "label", json!("not a label")),
    ] {
        world
            .post(&root.session, &path(&root), body)
            .await
            .refused(400, "invalid_request");
    }
    let refused = world
        .post(
            &root.session,
            &path(&root),
            with(&good, "provider", json!("OpenAI")),
        )
        .await;
    assert_eq!(
        refused.refused(400, "unknown_provider")["details"]["suggestion"],
        "openai"
    );
    for key in [
        "short",
        "sk-test with blanks 0123456789",
        "sk-0123456789012345\n",
        "\"sk-01234567890123\"",
    ] {
        let answer = world
            .post(
                &root.session,
                &path(&root),
                json!({"provider": "openai", "key": key}),
            )
            .await;
        assert!(!answer.text.contains("sk-"), "{}", answer.text);
        answer.refused(422, "invalid_provider_key");
    }
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_custom_base_url_takes_a_box_that_names_it_and_nothing_else() {
    // T23, T36, T46
    let (world, root) = custom_world().await;
    let url = "https://llm.example.com/v1";
    let raw = with(&world.raw("openai", KEY).await, "base_url", json!(url));
    world
        .post(&root.session, &path(&root), raw)
        .await
        .refused(422, "invalid_sealed_box");
    let plain = json!({"provider": "openai", "key": KEY, "base_url": url});
    world
        .post(&root.session, &path(&root), plain)
        .await
        .refused(400, "sealed_submission_required");
    let elsewhere = world
        .boxed(&root.workspace, "openai", "https://evil.example", KEY)
        .await;
    let elsewhere = with(&elsewhere, "base_url", json!(url));
    world
        .post(&root.session, &path(&root), elsewhere)
        .await
        .refused(422, "invalid_sealed_box");
    for bad in [
        "https://127.0.0.1/v1",
        "http://llm.example.com",
        "https://localhost",
        "env:KEK",
    ] {
        let body = with(
            &world.boxed(&root.workspace, "openai", bad, KEY).await,
            "base_url",
            json!(bad),
        );
        world
            .post(&root.session, &path(&root), body)
            .await
            .refused(422, "invalid_base_url");
    }
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
    let good = with(
        &world.boxed(&root.workspace, "openai", url, KEY).await,
        "base_url",
        json!(url),
    );
    let stored = world
        .post(&root.session, &path(&root), good)
        .await
        .expect(201)
        .json();
    assert_eq!(stored["base_url"], url);
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    for change in ["provider", "base_url", "auth_header"] {
        let body = json!({change: "https://evil.example"});
        world
            .patch(&root.session, &one, body)
            .await
            .refused(409, "resubmit_key");
    }
    // A new value without context does not go where the old one's box allowed it.
    let value = world.raw("openai", OTHER_KEY).await;
    let value = json!({"kek_id": value["kek_id"], "ciphertext_b64": value["ciphertext_b64"]});
    world
        .put(&root.session, &one, value)
        .await
        .refused(422, "invalid_sealed_box");

    let strict = World::start().await;
    let (root, _) = strict.set_up().await;
    let body = with(
        &strict.boxed(&root.workspace, "openai", url, KEY).await,
        "base_url",
        json!(url),
    );
    strict
        .post(&root.session, &path(&root), body)
        .await
        .refused(403, "custom_base_url_not_allowed");
}

#[tokio::test]
async fn members_see_only_that_there_is_a_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let (admin, member) = (
        world.person(&root, "admin").await,
        world.person(&root, "member").await,
    );
    world.join(&root, &admin, "admin").await;
    world.join(&root, &member, "member").await;
    let backup = with(
        &world.raw("openai", OTHER_KEY).await,
        "label",
        json!("backup"),
    );
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    world
        .post(&admin.session, &path(&root), backup)
        .await
        .expect(201);
    assert_eq!(
        data(world.get(&admin.session, &path(&root)).await)[0]["mask"],
        "sk-t...mnop"
    );
    let seen = data(world.get(&member.session, &path(&root)).await);
    assert_eq!(seen, [json!({"provider": "openai", "available": true})]);
    let body = world.raw("openai", KEY).await;
    world
        .post(&member.session, &path(&root), body)
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn keys_are_relabelled_ordered_disabled_and_removed_with_audit_rows() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    let changes = json!({"label": "main", "position": 7, "enabled": false});
    let changed = world
        .patch(&root.session, &one, changes)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["label"], &changed["position"], &changed["enabled"]),
        (&json!("main"), &json!(7), &json!(false))
    );
    world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", OTHER_KEY).await,
        )
        .await
        .expect(201);
    let taken = world
        .patch(&root.session, &one, json!({"label": "primary"}))
        .await;
    taken.refused(409, "conflict");
    world
        .patch(&root.session, &one, json!({"position": -1}))
        .await
        .refused(400, "invalid_request");
    world
        .patch(&root.session, &one, json!({"version": 9}))
        .await
        .refused(400, "invalid_request");
    world.delete(&root.session, &one).await.expect(204);
    world
        .delete(&root.session, &one)
        .await
        .refused(404, "not_found");
    let rows = world.audited(&root).await;
    let actions: Vec<_> = rows
        .iter()
        .map(|(action, _)| action.as_str())
        .filter(|action| action.starts_with("provider_key"))
        .collect();
    let expected = [
        "create",
        "set_label",
        "set_position",
        "disable",
        "create",
        "remove",
    ];
    assert_eq!(
        actions,
        expected.map(|action| format!("provider_key.{action}"))
    );
    let path = format!("/api/v1/workspaces/{}/audit", root.workspace);
    let log = world.get(&root.session, &path).await.expect(200);
    for hidden in ["sk-", "mnop", "mask"] {
        assert!(!log.text.contains(hidden), "{}", log.text);
    }
    let row = &log.json()["data"][0];
    assert_eq!(
        (&row["actor"], &row["provider"]),
        (&json!(root.id), &json!("openai"))
    );
}

#[tokio::test]
async fn rotations_at_once_end_with_one_value_and_no_half_row() {
    // T168
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    let (a, b) = (
        world.raw("openai", KEY).await,
        world.raw("openai", OTHER_KEY).await,
    );
    let keys = path(&root);
    let (a, b) = tokio::join!(
        world.post(&root.session, &keys, a),
        world.post(&root.session, &keys, b)
    );
    assert_eq!((a.status, b.status), (200, 200), "{} {}", a.text, b.text);
    let listed = data(world.get(&root.session, &path(&root)).await);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["version"], 3);
}

#[tokio::test]
async fn without_a_probe_a_key_is_stored_as_it_is() {
    let world = World::with(ControlConfig {
        probe: ProbePolicy::Off,
        ..ControlConfig::default()
    })
    .await;
    let (root, _) = world.set_up().await;
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn anothers_key_is_not_there() {
    // T96
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let id = stored["id"].as_str().expect("an id");
    for path in [
        format!("{}/{id}", path(&root)),
        format!("{}/{id}", path(&other)),
    ] {
        world
            .delete(&other.session, &path)
            .await
            .refused(404, "not_found");
        world
            .patch(&other.session, &path, json!({"enabled": false}))
            .await
            .refused(404, "not_found");
    }
    let account = format!("/api/v1/accounts/{}/provider-keys/{id}", root.account);
    world
        .delete(&root.session, &account)
        .await
        .refused(404, "not_found");
    assert_eq!(data(world.get(&root.session, &path(&root)).await).len(), 1);
}
