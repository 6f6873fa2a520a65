//! What becomes no session, and how the client learns it.

use domain::policy::Mode;
use http::{HeaderValue, Method};

use super::super::client::Answer;
use super::super::harness::Harness;
use super::super::payer::managed;
use super::super::provider::{self, Step};
use super::{HANDSHAKE, PATH, PROOF, bearer, open, opening, rows, speaker, switching};

/// Sends a request that is not upgraded.
async fn refused(
    harness: &Harness,
    path: &str,
    changes: &[(&'static str, Option<&str>)],
) -> Answer {
    let mut request = harness.request(Method::GET, path, "");
    let headers = request.headers_mut();
    headers.remove("content-type");
    for (name, value) in HANDSHAKE {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in changes {
        headers.remove(*name);
        if let Some(value) = value {
            headers.insert(*name, HeaderValue::from_str(value).expect("a value"));
        }
    }
    harness.send(request).await
}

#[tokio::test]
async fn what_is_no_handshake_or_names_no_model_is_refused_in_plain_http() {
    let (harness, provider) = speaker().await;
    harness.bring("anthropic").await;
    let long = format!("/v1/realtime?model={}", "x".repeat(257));
    for (path, changes, status, code) in [
        (PATH, &[("upgrade", None)][..], 426, "upgrade_required"),
        (PATH, &[("connection", None)], 426, "upgrade_required"),
        (PATH, &[("upgrade", Some("h2c"))], 426, "upgrade_required"),
        (
            PATH,
            &[("sec-websocket-version", Some("8"))],
            426,
            "upgrade_required",
        ),
        (PATH, &[("sec-websocket-key", None)], 400, "invalid_request"),
        (
            PATH,
            &[("sec-websocket-key", Some("c2hvcnQ="))],
            400,
            "invalid_request",
        ),
        (
            PATH,
            &[("sec-websocket-protocol", Some("chat"))],
            400,
            "invalid_request",
        ),
        (PATH, &[("authorization", None)], 401, "api_key_missing"),
        (
            PATH,
            &[(
                "sec-websocket-protocol",
                Some("realtime, openai-insecure-api-key.kb_other"),
            )],
            400,
            "ambiguous_credentials",
        ),
        (
            PATH,
            &[
                ("authorization", None),
                (
                    "sec-websocket-protocol",
                    Some("realtime, openai-insecure-api-key.kb_other"),
                ),
            ],
            401,
            "api_key_invalid",
        ),
        ("/v1/realtime", &[], 400, "invalid_request"),
        ("/v1/realtime?model=", &[], 400, "invalid_request"),
        ("/v1/realtime?model=a&model=b", &[], 400, "invalid_request"),
        ("/v1/realtime?model=%0a", &[], 400, "invalid_request"),
        ("/v1/realtime?model=%zz", &[], 400, "invalid_request"),
        (long.as_str(), &[], 400, "invalid_request"),
        ("/v1/realtime?model=unheard-of", &[], 404, "model_not_found"),
        (
            "/v1/realtime?model=claude-x",
            &[],
            400,
            "format_not_supported",
        ),
        ("/v1/realtime/x?model=gpt-x", &[], 404, "endpoint_not_found"),
    ] {
        let answer = refused(&harness, path, changes).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{path} {changes:?}");
        assert_eq!(
            answer.header("upgrade"),
            if status == 426 { "websocket" } else { "" }
        );
    }
    let post = harness.send(harness.request(Method::POST, PATH, "")).await;
    assert_eq!((post.status, post.header("allow")), (405, "GET"));
    let with_body = harness.request(Method::GET, PATH, "{}");
    let mut with_body = with_body;
    for (name, value) in HANDSHAKE {
        with_body
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    assert_eq!(harness.send(with_body).await.status, 400);
    assert_eq!(provider.hits(), 0);
}

#[tokio::test]
async fn credits_do_not_pay_for_a_session() {
    let (harness, provider, _) = managed().await;
    let answer = refused(&harness, PATH, &[]).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "byok_required")
    );
    assert_eq!(answer.json()["error"]["layer"], "endpoint");
    assert_eq!(provider.hits(), 0);
    // Where own keys may serve, one is missed.
    harness.mode(Mode::Auto).await;
    assert_eq!(
        refused(&harness, PATH, &[]).await.code(),
        "byok_key_missing"
    );
}

#[tokio::test]
async fn a_provider_that_does_not_switch_is_judged_as_in_any_call() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let json = ("content-type", "application/json");
    // In its own words.
    first.answers(400, &[json], br#"{"error":{"code":"bad_model"}}"#);
    let answer = refused(&harness, PATH, &[]).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_model"));
    assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
    first.fails(401);
    let answer = refused(&harness, PATH, &[]).await;
    assert_eq!(answer.code(), "upstream_credentials_exhausted");
    // It says that all is well and is none of what was asked for.
    let no_proof = String::from_utf8(switching(""))
        .expect("text")
        .replace(PROOF, "AAAA");
    let deflating = switching("sec-websocket-extensions: permessage-deflate\r\n");
    let chatting = switching("sec-websocket-protocol: chat\r\n");
    for strange in [
        provider::answer(200, &[json], b"{}"),
        no_proof.into_bytes(),
        deflating,
        chatting,
    ] {
        first.script(vec![Step::Send(strange), Step::Close]);
        let answer = refused(&harness, PATH, &[]).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (502, "upstream_invalid_response".to_owned()));
    }
    // Another key takes over before the upgrade is answered.
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.script(vec![Step::Send(answer_429()), Step::Close]);
    second.script(vec![Step::Send(switching("")), Step::HandOver]);
    let (head, client) = open(&harness, &opening(PATH, &bearer(&harness), "")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("x-keybearer-key-label: two\r\n"), "{head}");
    assert!(head.contains("x-keybearer-attempts: 2\r\n"), "{head}");
    drop((client, second.handed().await));
    let rows = rows(&harness, 7).await;
    let outcomes = rows.last().expect("a row").attempts.iter();
    let outcomes: Vec<&str> = outcomes.map(|it| it.outcome.as_str()).collect();
    assert_eq!(outcomes, ["rate_limited", "ok"]);
}

fn answer_429() -> Vec<u8> {
    provider::answer(
        429,
        &[("content-type", "application/json")],
        br#"{"error":{}}"#,
    )
}

#[tokio::test]
async fn a_page_of_another_site_has_nothing_but_the_key_that_it_was_given() {
    // T126: no cookie counts, so a browser adds no right of its user's, whatever `Origin` it names.
    let (harness, provider) = speaker().await;
    let page = "origin: https://evil.test\r\nsec-fetch-site: cross-site\r\n";
    let key = format!(
        "sec-websocket-protocol: realtime, openai-insecure-api-key.{}\r\n",
        harness.api_key
    );
    let cookies = format!(
        "cookie: keybearer_session={0}; __Host-keybearer_session={0}\r\n",
        harness.api_key
    );
    for (credential, status) in [("", "401"), (cookies.as_str(), "401"), (&key, "101")] {
        provider.script(vec![
            Step::Send(switching("sec-websocket-protocol: realtime\r\n")),
            Step::HandOver,
        ]);
        let (head, _client) = open(&harness, &opening(PATH, credential, page)).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{credential} {head}"
        );
    }
    let (sent, _) = provider.requests().pop().expect("a request");
    assert_eq!(provider.hits(), 1);
    for word in ["origin", "cookie", "evil", harness.api_key.as_str()] {
        assert!(!sent.to_lowercase().contains(word), "{word} {sent}");
    }
}
