//! Provider keys: submission in both forms, probe, labels, rotation, masks, audit.

use http::Method;
use serde_json::{Value, json};
use testkit::provider::Script;
use testkit::provider::wire::chat_error;
use testkit::sealing::BoxContext;

use crate::{Fixture, chat};

impl Fixture {
    async fn deployment(&self) -> String {
        let instance = self
            .app
            .anonymous()
            .get("/api/v1/instance")
            .await
            .expect(200)
            .json();
        instance["deployment_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    async fn base_url(&self, provider: &str) -> String {
        let list = self
            .app
            .anonymous()
            .get("/v1/providers")
            .await
            .expect(200)
            .json();
        let found = list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|entry| entry["id"] == provider)
            .cloned();
        found.expect("the provider")["base_url"]
            .as_str()
            .expect("a URL")
            .to_owned()
    }

    async fn account_keys(&self) -> Vec<Value> {
        self.owner.key.get("/v1/byok/keys").await.expect(200).json()["data"]
            .as_array()
            .expect("a list")
            .clone()
    }

    async fn audit(&self) -> Vec<Value> {
        let path = self.path("/audit?limit=100");
        self.owner
            .person
            .session
            .get(&path)
            .await
            .expect(200)
            .json()["data"]
            .as_array()
            .expect("a list")
            .clone()
    }
}

#[tokio::test]
async fn the_sealing_key_is_cacheable_by_its_id() {
    // T27
    let fixture = Fixture::start().await;
    let path = "/v1/byok/encryption-pubkey";
    let anonymous = fixture.app.anonymous();
    let reply = anonymous.get(path).await.expect(200);
    let body = reply.json();
    let names: Vec<_> = body
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(names, ["kek_id", "public_key"]);
    let etag = format!("\"{}\"", body["kek_id"].as_str().expect("a text"));
    assert_eq!(reply.header("etag"), Some(etag.as_str()));
    assert_eq!(reply.header("cache-control"), Some("private, max-age=300"));
    for (condition, status) in [
        (etag.as_str(), 304),
        ("*", 304),
        (&format!("\"other\", {etag}"), 304),
        ("\"0123456789abcdef0123456789abcdef\"", 200),
        (etag.trim_matches('"'), 200),
    ] {
        let reply = anonymous
            .send(Method::GET, path, &[("if-none-match", condition)], None)
            .await
            .expect(status);
        assert_eq!(reply.body.is_empty(), status == 304, "{condition}");
        assert_eq!(reply.header("etag"), Some(etag.as_str()));
    }
    let head = anonymous
        .send(Method::HEAD, path, &[], None)
        .await
        .expect(200);
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn both_forms_of_box_are_taken_and_each_only_once() {
    // T18, T24
    let fixture = Fixture::start().await;
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let raw = sealing_key.submission("openai", &fixture.canary.openai_key());
    let reply = fixture
        .owner
        .key
        .post("/v1/byok/keys", &raw)
        .await
        .expect(200)
        .json();
    assert_eq!(reply["provider_name"], "openai");
    assert_eq!(reply["kek_id"], sealing_key.kek_id.as_str());
    let probes = fixture.provider.requests().len();
    fixture
        .owner
        .key
        .post("/v1/byok/keys", &raw)
        .await
        .expect_error(422, "invalid_sealed_box");
    assert_eq!(
        fixture.provider.requests().len(),
        probes,
        "a replayed box caused a call with its key"
    );

    let key = fixture.canary.openai_key();
    let context = BoxContext::now(
        &fixture.deployment().await,
        &fixture.owner.workspace,
        "openai",
        &fixture.base_url("openai").await,
    );
    let body = json!({
        "provider": "openai", "kek_id": sealing_key.kek_id, "ciphertext_b64": sealing_key.seal_v1(&key, &context),
    });
    let session = &fixture.owner.person.session;
    session
        .post(&fixture.path("/provider-keys"), &body)
        .await
        .expect(201);
    session
        .post(&fixture.path("/provider-keys"), &body)
        .await
        .expect_error(422, "invalid_sealed_box");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    // Also after a restart.
    let mut fixture = fixture;
    fixture.app.restart().await;
    fixture
        .owner
        .key
        .post("/v1/byok/keys", &raw)
        .await
        .expect_error(422, "invalid_sealed_box");
    fixture.finish().await;
}

#[tokio::test]
async fn a_box_with_another_context_is_refused_like_any_broken_box() {
    // T22, T23, T32
    let fixture = Fixture::start().await;
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let good = BoxContext::now(
        &fixture.deployment().await,
        &fixture.owner.workspace,
        "openai",
        &fixture.base_url("openai").await,
    );
    let now = good.issued_at;
    let probes = fixture.provider.requests().len();
    let mut wrong = vec![
        String::from("AAAA"),
        sealing_key.seal_bytes(b"{\"v\":1}"),
        sealing_key.seal_bytes(b"{not json"),
    ];
    let key = fixture.canary.openai_key();
    for change in [
        |context: &mut BoxContext| context.owner = "ws_00000000000000000000000000".to_owned(),
        |context: &mut BoxContext| context.node = "dep_00000000000000000000000000".to_owned(),
        |context: &mut BoxContext| context.provider = "anthropic".to_owned(),
        |context: &mut BoxContext| context.base_url = "https://evil.example/v1".to_owned(),
        |context: &mut BoxContext| context.issued_at -= 16 * 60,
        |context: &mut BoxContext| context.issued_at += 16 * 60,
        |context: &mut BoxContext| context.issued_at = i64::MIN,
    ] {
        let mut context = good.clone();
        context.jti = format!("{:032x}", wrong.len());
        change(&mut context);
        wrong.push(sealing_key.seal_v1(&key, &context));
    }
    let mut flipped = sealing_key.seal_v1(&key, &good).into_bytes();
    flipped[100] = if flipped[100] == b'A' { b'B' } else { b'A' };
    wrong.push(String::from_utf8(flipped).expect("base64"));
    let session = &fixture.owner.person.session;
    let mut answers = Vec::new();
    for ciphertext in wrong {
        let body = json!({"provider": "openai", "kek_id": sealing_key.kek_id, "ciphertext_b64": ciphertext});
        let reply = session.post(&fixture.path("/provider-keys"), &body).await;
        let mut answer = reply.expect_error(422, "invalid_sealed_box").json();
        answer["request_id"] = Value::Null;
        answers.push(answer);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all faults look the same: {answers:?}");
    assert_eq!(
        fixture.provider.requests().len(),
        probes,
        "nothing was tried at the provider"
    );
    // Fourteen minutes either way are fine.
    for offset in [-14 * 60, 14 * 60] {
        let mut context = good.clone();
        context.jti = format!("{offset:032}").replace('-', "a");
        context.issued_at = now + offset;
        let body = json!({
            "provider": "openai", "label": format!("at{}", offset.abs() + offset), "kek_id": sealing_key.kek_id,
            "ciphertext_b64": sealing_key.seal_v1(&fixture.canary.openai_key(), &context),
        });
        session
            .post(&fixture.path("/provider-keys"), &body)
            .await
            .expect(201);
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_sealing_key_rotates_on_command_and_stored_keys_go_on_serving() {
    // T26, T28
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let old = fixture.app.sealing_key(&fixture.owner.key).await;
    let session = &fixture.owner.person.session;
    session
        .post("/api/v1/sealing-key/rotate", &json!({}))
        .await
        .expect(200);
    let new = fixture.app.sealing_key(&fixture.owner.key).await;
    assert_ne!(old.kek_id, new.kek_id);
    let stale = old.submission("openai", &fixture.canary.openai_key());
    let reply = fixture
        .owner
        .key
        .post("/v1/byok/keys", &stale)
        .await
        .expect_error(409, "stale_kek");
    assert!(reply.text().contains(&new.kek_id), "{}", reply.text());
    // A box for the old key under the new id does not open.
    let mut mixed = stale.clone();
    mixed["kek_id"] = json!(new.kek_id);
    fixture
        .owner
        .key
        .post("/v1/byok/keys", &mixed)
        .await
        .expect_error(422, "invalid_sealed_box");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    fixture.with_openai_key().await;
    // A member of the public cannot rotate it.
    fixture
        .owner
        .key
        .post("/api/v1/sealing-key/rotate", &json!({}))
        .await
        .expect(403);
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_that_fails_its_probe_is_not_stored_and_the_reason_is_told() {
    // T35
    let fixture = Fixture::start().await;
    for (status, code, reason) in [
        (401, "invalid_api_key", "invalid_key"),
        (403, "forbidden", "no_permission"),
        (429, "insufficient_quota", "no_quota"),
    ] {
        let key = fixture.canary.openai_key();
        fixture.provider.next(chat_error(
            status,
            code,
            &format!("Incorrect API key provided: {key}"),
        ));
        let reply = fixture
            .app
            .submit(&fixture.owner.key, "openai", &key)
            .await
            .expect_error(422, "probe_failed");
        assert_eq!(
            reply.json()["details"]["reason"],
            reason,
            "{}",
            reply.text()
        );
    }
    for script in [
        Script::hang_up(),
        Script::text(200, "text/html", "<html>a captive portal</html>"),
        Script::redirect(302, "http://127.0.0.1:9/"),
    ] {
        fixture.provider.next(script);
        let reply = fixture
            .app
            .submit(&fixture.owner.key, "openai", &fixture.canary.openai_key())
            .await;
        reply.expect_error(503, "probe_unreachable");
    }
    assert_eq!(fixture.account_keys().await, Vec::<Value>::new());
    // One token is asked for.
    fixture.with_openai_key().await;
    let probe = fixture.provider.last().json();
    assert!(
        probe["max_completion_tokens"] == 1 || probe["max_tokens"] == 1,
        "{probe}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_box_is_spent_also_when_its_key_is_refused() {
    // T24: whoever caught it cannot try it around.
    let fixture = Fixture::start().await;
    let seal_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let sealed = seal_key.submission("openai", &fixture.canary.openai_key());
    fixture
        .provider
        .next(chat_error(401, "invalid_api_key", "no"));
    let submit = || fixture.owner.key.post("/v1/byok/keys", &sealed);
    submit().await.expect_error(422, "probe_failed");
    let probes = fixture.provider.requests().len();
    submit().await.expect_error(422, "invalid_sealed_box");
    assert_eq!(fixture.provider.requests().len(), probes);
    fixture.finish().await;
}

#[tokio::test]
async fn a_failed_rotation_leaves_the_old_key_serving() {
    let fixture = Fixture::start().await;
    let old = fixture.with_openai_key().await;
    fixture
        .provider
        .next(chat_error(401, "invalid_api_key", "no"));
    let refused = fixture
        .app
        .submit(&fixture.owner.key, "openai", &fixture.canary.openai_key())
        .await;
    refused.expect_error(422, "probe_failed");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(old.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn rotation_under_load_fails_no_call() {
    let fixture = Fixture::start().await;
    let old = fixture.with_openai_key().await;
    let new = fixture.canary.openai_key();
    let calls = (0..40).map(|_| {
        let caller = fixture.owner.key.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                caller
                    .post("/v1/chat/completions", &chat("gpt-4o"))
                    .await
                    .expect(200);
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    fixture
        .app
        .submit(&fixture.owner.key, "openai", &new)
        .await
        .expect(200);
    for call in calls {
        call.await.expect("no call failed");
    }
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(new.as_str()));
    let served = fixture.provider.requests();
    assert!(
        served
            .iter()
            .all(|request| [Some(old.as_str()), Some(new.as_str())].contains(&request.key()))
    );
    assert_eq!(
        fixture.account_keys().await.len(),
        1,
        "a rotation replaces, it does not add"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn labels_keep_several_keys_of_one_provider_apart() {
    let fixture = Fixture::start().await;
    let (first, second) = (fixture.canary.openai_key(), fixture.canary.openai_key());
    let primary = fixture.workspace_key("openai", "primary", &first).await;
    let backup = fixture.workspace_key("openai", "backup", &second).await;
    let session = &fixture.owner.person.session;
    let path = |key: &Value| {
        fixture.path(&format!(
            "/provider-keys/{}",
            key["id"].as_str().expect("an id")
        ))
    };
    let call = || fixture.chat("gpt-4o");
    call().await.expect(200);
    assert_eq!(
        fixture.provider.last().key(),
        Some(first.as_str()),
        "the first key brought comes first"
    );
    session
        .patch(&path(&primary), &json!({"position": 9}))
        .await
        .expect(200);
    call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(second.as_str()));
    session
        .patch(&path(&primary), &json!({"label": "backup"}))
        .await
        .expect_error(409, "conflict");
    session
        .patch(&path(&primary), &json!({"label": "main"}))
        .await
        .expect(200);
    session
        .patch(&path(&backup), &json!({"enabled": false}))
        .await
        .expect(200);
    let reply = call().await.expect(200);
    assert_eq!(reply.header("x-keybearer-key-label"), Some("main"));
    // T46: where a key goes cannot change without the key.
    for change in [
        json!({"base_url": "https://evil.example"}),
        json!({"provider": "anthropic"}),
    ] {
        session
            .patch(&path(&primary), &change)
            .await
            .expect_error(409, "resubmit_key");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn masks_are_ours_and_only_for_owners_and_admins() {
    // T31, T78
    let fixture = Fixture::start().await;
    let key = fixture.canary.openai_key();
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let mut lying = sealing_key.submission("openai", &key);
    lying["key_prefix"] = json!("sk-something-else");
    let stored = fixture
        .owner
        .key
        .post("/v1/byok/keys", &lying)
        .await
        .expect(200)
        .json();
    let mask = format!("{}...{}", &key[..4], &key[key.len() - 4..]);
    assert_eq!(stored["key_prefix"], mask.as_str());

    let long = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &long).await;
    let path = fixture.path("/provider-keys");
    let admin = fixture.app.admin(&fixture.owner).await;
    let member = fixture.app.member(&fixture.owner).await;
    let listed = admin.session.get(&path).await.expect(200).json();
    assert_eq!(
        listed["data"][0]["mask"],
        format!("{}...{}", &long[..4], &long[long.len() - 4..])
    );
    let listed = member.session.get(&path).await.expect(200);
    assert_eq!(listed.json()["data"][0]["provider"], "openai");
    for hidden in [
        "mask",
        "label",
        "kek_id",
        &long[..4],
        &long[long.len() - 4..],
    ] {
        assert!(
            !listed.text().contains(hidden),
            "a member sees {hidden}: {}",
            listed.text()
        );
    }
    let body = sealing_key.submission("openai", &long);
    let body = json!({"provider": "openai", "kek_id": body["kek_id"], "ciphertext_b64": body["ciphertext_b64"]});
    member
        .session
        .post(&path, &body)
        .await
        .expect_error(403, "permission_denied");
    fixture.finish().await;
}

#[tokio::test]
async fn every_operation_on_a_key_leaves_its_audit_row() {
    let fixture = Fixture::start().await;
    let key = fixture.canary.openai_key();
    let stored = fixture.workspace_key("openai", "primary", &key).await;
    let rotated = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &rotated).await;
    fixture
        .provider
        .next(chat_error(401, "invalid_api_key", "no"));
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let session = &fixture.owner.person.session;
    let body = json!({
        "provider": "openai", "kek_id": sealing_key.kek_id,
        "ciphertext_b64": sealing_key.seal_raw(&fixture.canary.openai_key()),
    });
    session
        .post(&fixture.path("/provider-keys"), &body)
        .await
        .expect_error(422, "probe_failed");
    let path = fixture.path(&format!(
        "/provider-keys/{}",
        stored["id"].as_str().expect("an id")
    ));
    session
        .patch(&path, &json!({"enabled": false}))
        .await
        .expect(200);
    session.delete(&path).await.expect(200);
    let rows = fixture.audit().await;
    let about_keys: Vec<_> = rows
        .iter()
        .rev()
        .filter(|row| row["provider"] == "openai")
        .collect();
    let seen: Vec<_> = about_keys
        .iter()
        .map(|row| {
            (
                row["action"].as_str().expect("a text"),
                row["outcome"].as_str().expect("a text"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("provider_key.create", "ok"),
            ("provider_key.replace", "ok"),
            ("provider_key.replace", "probe_failed"),
            ("provider_key.disable", "ok"),
            ("provider_key.remove", "ok"),
        ]
    );
    for row in &about_keys {
        assert_eq!(row["label"], "primary", "{row}");
        assert_eq!(row["actor"], fixture.owner.person.user.as_str(), "{row}");
        assert!(
            row["at"].as_str().is_some_and(|at| at.ends_with('Z')),
            "{row}"
        );
    }
    assert_eq!(about_keys[0]["kek_id"], sealing_key.kek_id.as_str());
    fixture.finish().await;
}

#[tokio::test]
async fn plain_submission_works_over_loopback_unless_only_boxes_are_taken() {
    // T34
    for (policy, status) in [("both", 201), ("sealed_only", 400)] {
        let fixture =
            Fixture::start_with(|builder| builder.env("KEYBEARER_SUBMISSION", policy)).await;
        let key = fixture.canary.openai_key();
        let body = json!({"provider": "openai", "key": key});
        let reply = fixture
            .owner
            .person
            .session
            .post(&fixture.path("/provider-keys"), &body)
            .await
            .expect(status);
        if status == 400 {
            assert_eq!(reply.code().as_deref(), Some("sealed_submission_required"));
        } else {
            fixture.chat("gpt-4o").await.expect(200);
            assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
        }
        fixture.finish().await;
    }
}
