//! Bad input gets one clear error of the documented shape, and changes nothing.

use http::Method;
use serde_json::{Value, json};

use crate::{Fixture, chat};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn broken_submissions_store_nothing() {
    // T19, T20, T21, T26, T31
    let fixture = Fixture::start().await;
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let key = fixture.canary.openai_key();
    let good = sealing_key.submission("openai", &key);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let sealed = good["ciphertext_b64"].as_str().expect("a text").to_owned();
    let cases = [
        (
            with("provider_name", json!("OpenAI")),
            400,
            "unknown_provider",
        ),
        (
            with("provider_name", json!("nobody")),
            400,
            "unknown_provider",
        ),
        (with("provider_name", json!(7)), 400, "invalid_request"),
        (
            with("kek_id", json!("0123456789abcdef0123456789abcdef")),
            409,
            "stale_kek",
        ),
        (with("kek_id", json!("' OR 1=1 --")), 409, "stale_kek"),
        (with("ciphertext_b64", json!("")), 422, "invalid_sealed_box"),
        (
            with("ciphertext_b64", json!("!!!!")),
            422,
            "invalid_sealed_box",
        ),
        (
            with("ciphertext_b64", json!(sealed.trim_end_matches('='))),
            422,
            "invalid_sealed_box",
        ),
        (
            with("ciphertext_b64", json!(format!(" {sealed}"))),
            422,
            "invalid_sealed_box",
        ),
        (
            with(
                "ciphertext_b64",
                json!(sealed.replace('+', "-").replace('/', "_") + "-_"),
            ),
            422,
            "invalid_sealed_box",
        ),
        (
            with("ciphertext_b64", json!(sealing_key.seal_bytes(b""))),
            422,
            "invalid_sealed_box",
        ),
        (
            with("ciphertext_b64", json!(sealing_key.seal_bytes(b"short"))),
            422,
            "invalid_provider_key",
        ),
        (
            with(
                "ciphertext_b64",
                json!(sealing_key.seal_bytes(format!("{key}\n").as_bytes())),
            ),
            422,
            "invalid_provider_key",
        ),
        (
            with(
                "ciphertext_b64",
                json!(sealing_key.seal_bytes(format!("Bearer {key}").as_bytes())),
            ),
            422,
            "invalid_provider_key",
        ),
        (
            with(
                "ciphertext_b64",
                json!(sealing_key.seal_bytes("sk-caf\u{e9}-0123456789".as_bytes())),
            ),
            422,
            "invalid_provider_key",
        ),
        (
            with(
                "ciphertext_b64",
                json!(sealing_key.seal_bytes(&[b'k'; 5000])),
            ),
            422,
            "invalid_provider_key",
        ),
        (with("label", json!("..")), 400, "invalid_request"),
        (with("label", json!("a".repeat(65))), 400, "invalid_request"),
        (with("surprise", json!(true)), 400, "invalid_request"),
        (
            with("api_base", json!("https://evil.example")),
            403,
            "custom_base_url_not_allowed",
        ),
        (
            json!({"provider_name": "openai", "kek_id": sealing_key.kek_id}),
            400,
            "invalid_request",
        ),
        (json!([]), 400, "invalid_request"),
        (json!(null), 400, "invalid_request"),
    ];
    for (body, status, code) in cases {
        let reply = fixture
            .owner
            .key
            .post("/v1/byok/keys", &body)
            .await
            .expect_error(status, code);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json"),
            "{body}"
        );
        let problem = reply.json();
        for field in ["type", "title", "status", "code", "detail", "request_id"] {
            assert!(!problem[field].is_null(), "{field} in {problem}");
        }
        assert!(
            !reply.text().contains("evil") && !reply.text().contains("OR 1"),
            "an echo: {}",
            reply.text()
        );
    }
    let reply = fixture
        .owner
        .key
        .post("/v1/byok/keys", &with("provider_name", json!("OpenAI")))
        .await;
    assert_eq!(reply.json()["details"]["suggestion"], "openai");
    let list = fixture
        .owner
        .key
        .get("/v1/byok/keys")
        .await
        .expect(200)
        .json();
    assert_eq!(list["data"], json!([]));
    assert_eq!(fixture.provider.requests().len(), 0, "nothing was tried");
    fixture.finish().await;
}

#[tokio::test]
async fn bodies_that_are_not_json_or_too_large_are_refused() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let seen = fixture.provider.requests().len();
    let control = "/v1/byok/keys";
    let data = "/v1/chat/completions";
    let big = |bytes: usize| {
        let mut body = br#"{"model":"gpt-4o","x":""#.to_vec();
        body.resize(bytes, b'a');
        body.extend_from_slice(b"\"}");
        body
    };
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep_model = [br#"{"model":"gpt-4o","x":"#.to_vec(), deep, b"}".to_vec()].concat();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>, u16);
    let cases: Vec<Case<'_>> = vec![
        (control, &[JSON], b"{".to_vec(), 400),
        (control, &[JSON], b"".to_vec(), 400),
        (control, &[JSON], b"{\"a\":\xff}".to_vec(), 400),
        (control, &[], b"{}".to_vec(), 415),
        (
            control,
            &[("content-type", "text/plain")],
            b"{}".to_vec(),
            415,
        ),
        (control, &[JSON], big(300_000), 413),
        (data, &[JSON], b"".to_vec(), 400),
        (data, &[JSON], b"[]".to_vec(), 400),
        (data, &[JSON], b"{}".to_vec(), 400),
        (data, &[JSON], b"{\"model\":\"\"}".to_vec(), 400),
        (data, &[JSON], b"{\"model\":7}".to_vec(), 400),
        (data, &[JSON], b"{\"model\":\"gpt-4o\"".to_vec(), 400),
        (data, &[JSON], b"{\"model\":\"gpt-4o\"} x".to_vec(), 400),
        (
            data,
            &[JSON],
            b"\xef\xbb\xbf{\"model\":\"gpt-4o\"}".to_vec(),
            400,
        ),
        (
            data,
            &[JSON],
            b"{\"model\":\"gpt-4o\",\"model\":\"gpt-4o-mini\"}".to_vec(),
            400,
        ),
        // T120: what is checked is what is forwarded.
        (
            data,
            &[JSON],
            b"{\"model\":\"gpt-4o\",\"Model\":\"gpt-4o-mini\"}".to_vec(),
            400,
        ),
        (
            data,
            &[JSON],
            b"{\"model\":\"gpt-4o\",\"x\":\xff}".to_vec(),
            400,
        ),
        (data, &[JSON], deep_model, 400),
        (
            data,
            &[("content-type", "text/plain")],
            b"{\"model\":\"gpt-4o\"}".to_vec(),
            415,
        ),
        (
            data,
            &[JSON, ("content-encoding", "gzip")],
            b"{\"model\":\"gpt-4o\"}".to_vec(),
            415,
        ),
    ];
    for (path, headers, body, status) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let reply = fixture
            .owner
            .key
            .send(Method::POST, path, headers, Some(body))
            .await;
        assert_eq!(reply.status, status, "{path} {shown}: {}", reply.text());
        assert!(reply.code().is_some(), "{path} {shown}: {}", reply.text());
    }
    assert_eq!(
        fixture.provider.requests().len(),
        seen,
        "nothing went upstream"
    );
    fixture.app.anonymous().get("/health").await.expect(200);
    fixture.finish().await;
}

#[tokio::test]
async fn large_bodies_pass_up_to_the_limit_of_the_instance() {
    // T119
    let fixture =
        Fixture::start_with(|builder| builder.env("KEYBEARER_MAX_BODY_BYTES", "3000000")).await;
    fixture.with_openai_key().await;
    let body = |padding: usize| {
        let mut body = chat("gpt-4o");
        body["padding"] = json!("p".repeat(padding));
        body
    };
    fixture
        .owner
        .key
        .post("/v1/chat/completions", &body(2_900_000))
        .await
        .expect(200);
    assert!(fixture.provider.last().body.len() > 2_900_000);
    fixture
        .owner
        .key
        .post("/v1/chat/completions", &body(3_100_000))
        .await
        .expect_error(413, "request_too_large");
    fixture.finish().await;
}

#[tokio::test]
async fn credentials_in_odd_places_and_shapes_are_refused_without_an_echo() {
    // T79, T85, T88, T97
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let ours = &fixture.owner.api_key;
    let body = || Some(chat("gpt-4o").to_string().into_bytes());
    let anonymous = fixture.app.anonymous();
    let provider_key = fixture.canary.openai_key();
    let last = if ours.ends_with('x') { 'y' } else { 'x' };
    let almost = format!("{}{last}", &ours[..ours.len() - 1]);
    let bearer = format!("Bearer {ours}");
    let cases: Vec<(Vec<(&str, String)>, u16)> = vec![
        (vec![], 401),
        (
            vec![("authorization", format!("Bearer {provider_key}"))],
            401,
        ),
        (
            vec![("authorization", "Bearer ' OR 1=1 --".to_owned())],
            401,
        ),
        (
            vec![("authorization", format!("Bearer {}", "a".repeat(10_000)))],
            401,
        ),
        (vec![("authorization", ours.clone())], 401),
        (
            vec![("authorization", format!("Bearer {}", ours.to_uppercase()))],
            401,
        ),
        (vec![("authorization", format!("Bearer {almost}"))], 401),
        (
            vec![
                ("authorization", bearer.clone()),
                ("x-api-key", provider_key.clone()),
            ],
            400,
        ),
        (
            vec![
                ("authorization", bearer.clone()),
                ("authorization", bearer.clone()),
            ],
            400,
        ),
        (vec![("x-api-key", ours.clone())], 200),
        (vec![("x-goog-api-key", ours.clone())], 200),
        (vec![("authorization", bearer.clone())], 200),
    ];
    for (headers, status) in cases {
        let mut all = vec![JSON];
        all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        let reply = anonymous
            .send(Method::POST, "/v1/chat/completions", &all, body())
            .await;
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(reply.status, status, "{names:?}: {}", reply.text());
        assert!(
            !reply.text().contains("OR 1") && !reply.text().contains("aaaaaaaa"),
            "{}",
            reply.text()
        );
    }
    anonymous
        .get(&format!("/v1/models?key={ours}"))
        .await
        .expect(401);
    // A provider key as a model name does not come back.
    let reply = fixture
        .owner
        .key
        .post("/v1/chat/completions", &chat(&provider_key))
        .await
        .expect(404);
    assert!(!reply.text().contains(&provider_key));
    // Usage keeps the requested model's name, so this key is not searched for; see the canary's own test.
    drop(fixture);
}

#[tokio::test]
async fn ids_and_queries_that_are_none_are_refused() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    for path in [
        "/api/v1/workspaces/nonsense",
        "/api/v1/workspaces/ws_zzz",
        "/api/v1/workspaces/usr_00000000000000000000000000",
        "/api/v1/nothing",
        "/nothing",
        "/api/v1/workspaces/%00",
    ] {
        session.get(path).await.expect_error(404, "not_found");
    }
    session
        .get("/v1/nothing")
        .await
        .expect_error(404, "endpoint_not_found");
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "after=%27%20OR%201",
        "after=zzz",
        "unknown=1",
    ] {
        let path = fixture.path(&format!("/audit?{query}"));
        session
            .get(&path)
            .await
            .expect_error(400, "invalid_request");
    }
    session
        .send(Method::DELETE, "/api/v1/workspaces", &[], None)
        .await
        .expect_error(405, "method_not_allowed");
    fixture
        .owner
        .key
        .get("/v1/chat/completions")
        .await
        .expect(405);
}
