//! Provider keys of a workspace on their way in: boxes, plain text, probe, destination.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use http::Method;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{KEY, OTHER_KEY, Person, World, data, path, with};
use crate::{ControlConfig, ProbePolicy, SubmissionPolicy};

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
    assert_eq!(stored["probed"], true);
    let mut stored = stored;
    stored.as_object_mut().expect("an object").remove("probed");
    let listed = data(world.get(&root.session, &path(&root)).await);
    assert_eq!(listed, [stored]);
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
    let refused = ("provider_key.create".to_owned(), "refused".to_owned());
    let rows = world.audited(&root).await;
    assert_eq!(rows.iter().filter(|row| **row == refused).count(), 4);
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
    let refused = ("provider_key.create".to_owned(), "refused".to_owned());
    assert_eq!(strict.audited(&root).await.last(), Some(&refused));
}

#[tokio::test]
async fn without_a_probe_a_key_is_stored_as_it_is() {
    let world = World::with(ControlConfig {
        probe: ProbePolicy::Off,
        ..ControlConfig::default()
    })
    .await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    assert_eq!(stored["probed"], false);
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_hundred_failed_submissions_close_the_door_for_a_quarter_of_an_hour() {
    // T53, T90
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let good = world.raw("openai", KEY).await;
    world
        .post(&root.session, &path(&root), good)
        .await
        .expect(201);
    let bad = with(
        &world.raw("openai", KEY).await,
        "ciphertext_b64",
        json!("AAAA"),
    );
    for _ in 0..100 {
        world
            .post(&root.session, &path(&root), bad.clone())
            .await
            .refused(422, "invalid_sealed_box");
    }
    let good = world.raw("openai", OTHER_KEY).await;
    let answer = world.post(&root.session, &path(&root), good.clone()).await;
    assert_eq!(answer.header("retry-after"), Some("901"));
    answer.refused(429, "too_many_attempts");
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    world.post(&root.session, &account, good).await.expect(201);
    world.pass_ms(15 * 60 * 1000);
    let good = world.raw("openai", OTHER_KEY).await;
    world
        .post(&root.session, &path(&root), good)
        .await
        .expect(200);
}

#[tokio::test]
async fn places_stay_in_their_range() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    for (position, status) in [(-1, 400), (10_000, 400), (9999, 200)] {
        let body = json!({"position": position});
        world.patch(&root.session, &one, body).await.expect(status);
    }
    let second = with(
        &world.raw("openai", OTHER_KEY).await,
        "label",
        json!("second"),
    );
    let second = world
        .post(&root.session, &path(&root), second)
        .await
        .expect(201)
        .json();
    assert_eq!(second["position"], 9999);
}
