//! What reaches the provider, and who serves.

use std::time::Duration;

use http::{HeaderValue, Method};

use super::harness::{Harness, KEY, config};
use super::provider::{Step, answer};
use crate::GatewayConfig;
use crate::edge::EdgeConfig;

const ANSWER: &str = r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}"#;

#[tokio::test]
async fn the_provider_gets_the_allowed_headers_one_key_and_the_body_unchanged() {
    // T45, T51, T129
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says(ANSWER);
    let body = "{ \"model\" : \"openai/gpt-x\",\n\"api_base\":\"https://evil.test\", \"api_key\":\"sk-other\", \"n\":1.0 }";
    let mut request = harness.chat_request(body);
    *request.uri_mut() = "/v1/chat/completions?key=sk-q&beta=true&api_key=x"
        .parse()
        .expect("a URI");
    for (name, value) in [
        ("api-key", harness.api_key.as_str()),
        ("openai-organization", "org"),
        ("openai-project", "proj"),
        ("connection", "x-api-key, close"),
        ("forwarded", "for=1.2.3.4"),
        ("cookie", "a=b"),
        ("user-agent", "OpenAI/Python 1.0"),
        ("x-stainless-os", "Linux"),
        ("accept-encoding", "gzip"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "i-1"),
        ("accept", "application/json"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, ANSWER);
    let (head, received) = harness.provider.requests().remove(0);
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(
        lines.remove(0),
        "POST /base/chat/completions?beta=true HTTP/1.1"
    );
    lines.sort_unstable();
    let host = format!("host: {}", harness.provider.address);
    let length = format!("content-length: {}", received.len());
    let bearer = format!("authorization: Bearer {KEY}");
    let agent = concat!("user-agent: keybearer/", env!("CARGO_PKG_VERSION"));
    let mut expected = vec![
        "accept: application/json",
        "accept-encoding: identity",
        &bearer,
        &length,
        "content-type: application/json",
        &host,
        "idempotency-key: i-1",
        "openai-beta: assistants=v2",
        agent,
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let spliced = body.replace("openai/gpt-x", "gpt-x");
    assert_eq!(String::from_utf8_lossy(&received), spliced);
}

#[tokio::test]
async fn a_long_body_reaches_the_provider_with_another_model_and_nothing_else_changed() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let text = "a word ".repeat(30_000);
    for body in [
        format!(r#"{{"model":"openai/gpt-x","messages":["{text}"]}}"#),
        format!(r#"{{"messages":["{text}"], "model" : "openai/gpt-x"}}"#),
    ] {
        harness.provider.says(ANSWER);
        let answer = harness.chat(&body).await;
        assert_eq!(answer.status, 200);
        let seen = harness.provider.requests().pop();
        let (head, received) = seen.expect("a request");
        assert!(head.contains(&format!("content-length: {}", received.len())));
        assert!(received == body.replace("openai/gpt-x", "gpt-x").as_bytes());
    }
}

#[tokio::test]
async fn the_answer_says_who_served_and_one_row_is_written() {
    let harness = Harness::start().await;
    let record = harness.bring("openai").await;
    harness.provider.answers(
        200,
        &[
            ("content-type", "application/json"),
            ("set-cookie", "a=b"),
            ("x-request-id", "up-1"),
            ("server", "x"),
        ],
        ANSWER.as_bytes(),
    );
    let answer = harness.chat(r#"{"model":"gpt-x"}"#).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-keybearer-request-id").starts_with("req_"));
    for (name, value) in [
        ("x-keybearer-provider", "openai"),
        ("x-keybearer-model", "gpt-x"),
        ("x-keybearer-key-source", "byok"),
        ("x-keybearer-key-label", "primary"),
        ("x-keybearer-attempts", "1"),
        ("x-request-id", "up-1"),
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("set-cookie", ""),
        ("server", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        row.request.to_string(),
        answer.header("x-keybearer-request-id")
    );
    assert_eq!(
        (row.status, row.upstream_status, row.error_code.as_deref()),
        (200, Some(200), None)
    );
    assert_eq!(
        (row.wire_format.as_str(), row.operation.as_str()),
        ("openai_chat", "chat_completions")
    );
    assert_eq!(
        (row.model_requested.as_str(), row.model.as_deref()),
        ("gpt-x", Some("gpt-x"))
    );
    assert_eq!(row.key, Some(record.context.key));
    assert_eq!(row.key_source, Some(domain::policy::KeySource::Byok));
    let usage = row.usage.expect("reported");
    assert_eq!(
        (
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens
        ),
        (8, 4, 5)
    );
    assert_eq!(row.response_bytes, ANSWER.len() as i64);
    assert!(!row.streamed && row.first_byte_ms.is_some());
    assert!(harness.stored(&record).await.last_used_at.is_some());
}

#[tokio::test]
async fn messages_go_out_with_the_providers_own_header_and_version() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness
        .provider
        .says(r#"{"type":"message","usage":{"input_tokens":3,"output_tokens":4}}"#);
    assert_eq!(
        harness.messages(r#"{"model":"claude-x"}"#).await.status,
        200
    );
    let mut request = harness.request(
        Method::POST,
        "/v1/messages",
        r#"{"model":"anthropic/claude-x"}"#,
    );
    request
        .headers_mut()
        .insert("anthropic-version", HeaderValue::from_static("2024-01-01"));
    assert_eq!(harness.send(request).await.status, 200);
    let requests = harness.provider.requests();
    assert!(requests[0].0.starts_with("POST /base/v1/messages HTTP/1.1"));
    assert!(requests[0].0.contains(&format!("x-api-key: {KEY}\r\n")));
    assert!(!requests[0].0.contains("authorization"));
    assert!(requests[0].0.contains("anthropic-version: 2023-06-01\r\n"));
    assert!(requests[1].0.contains("anthropic-version: 2024-01-01\r\n"));
    assert!(!requests[1].0.contains("2023-06-01"));
    let usage = harness.usage().await[0].usage.expect("reported");
    assert_eq!((usage.input_tokens, usage.output_tokens), (3, 4));
}

#[tokio::test]
async fn models_are_listed_for_the_keys_that_are_there() {
    let harness = Harness::start().await;
    assert_eq!(
        harness.get("/v1/models").await.json()["data"],
        serde_json::json!([])
    );
    assert_eq!(
        harness.get("/v1/models/gpt-tiny").await.code(),
        "byok_key_missing"
    );
    harness.bring("openai").await;
    let list = harness.get("/v1/models").await;
    assert_eq!(list.status, 200);
    assert_eq!(list.json()["data"][0]["id"], "openai/gpt-tiny");
    assert_eq!(list.json()["data"].as_array().map(Vec::len), Some(1));
    for path in [
        "/v1/models/openai/gpt-tiny",
        "/v1/models/openai%2Fgpt-tiny",
        "/v1/models/gpt-tiny",
    ] {
        let model = harness.get(path).await;
        assert_eq!(
            (model.status, model.json()["owned_by"].as_str()),
            (200, Some("openai")),
            "{path}"
        );
    }
    assert_eq!(harness.get("/v1/models/nobody").await.status, 404);
    assert!(harness.usage().await.is_empty());
}

#[tokio::test]
async fn loopback_providers_are_refused_unless_the_configuration_allows_them() {
    // T48
    let harness = Harness::with(GatewayConfig::default(), EdgeConfig::default()).await;
    harness.bring("openai").await;
    let answer = harness.chat(r#"{"model":"gpt-x"}"#).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_address_refused")
    );
    assert_eq!(
        harness.provider.seen.lock().expect("no panic").connections,
        0
    );
}

#[tokio::test]
async fn a_record_that_does_not_open_is_never_sent() {
    // T2, T7
    let harness = Harness::start().await;
    let mut record = harness.record("openai", "primary").await;
    let last = record.envelope.len() - 1;
    record.envelope[last] ^= 1;
    harness.put(&record).await;
    let answer = harness.chat(r#"{"model":"gpt-x"}"#).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "key_unreadable")
    );
    let mut moved = harness.record("anthropic", "primary").await;
    moved.context.base_url = format!("http://{}/elsewhere", harness.provider.address);
    harness.put(&moved).await;
    let answer = harness.messages(r#"{"model":"claude-x"}"#).await;
    assert_eq!(
        (answer.status, answer.header("x-should-retry")),
        (503, "false")
    );
    assert_eq!(
        harness.provider.seen.lock().expect("no panic").connections,
        0
    );
    assert_eq!(harness.usage().await.len(), 2);
}

#[tokio::test]
async fn connections_are_reused_by_one_key_and_never_shared_by_two() {
    // T61
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.bring("anthropic").await;
    harness.provider.says(ANSWER);
    for _ in 0..3 {
        assert_eq!(harness.chat(r#"{"model":"gpt-x"}"#).await.status, 200);
    }
    assert_eq!(
        harness.provider.seen.lock().expect("no panic").connections,
        1
    );
    assert_eq!(
        harness.messages(r#"{"model":"claude-x"}"#).await.status,
        200
    );
    assert_eq!(
        harness.provider.seen.lock().expect("no panic").connections,
        2
    );
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_serves_no_call() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let answer = answer(
        200,
        &[("content-type", "application/json")],
        ANSWER.as_bytes(),
    );
    harness
        .provider
        .script(vec![Step::Send(answer), Step::Close]);
    for calls in 1..=3 {
        assert_eq!(harness.chat(r#"{"model":"gpt-x"}"#).await.status, 200);
        // The end of the connection comes behind the answer.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let connections = harness.provider.seen.lock().expect("no panic").connections;
        assert_eq!(connections, calls);
    }
}

#[tokio::test]
async fn calls_at_the_same_time_have_connections_of_their_own() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let answer = answer(
        200,
        &[("content-type", "application/json")],
        ANSWER.as_bytes(),
    );
    harness
        .provider
        .script(vec![Step::Gate, Step::Send(answer)]);
    let connections = || harness.provider.seen.lock().expect("no panic").connections;
    for _ in 0..2 {
        let call = || harness.chat(r#"{"model":"gpt-x"}"#);
        harness.provider.open(3);
        let (one, two, three) = tokio::join!(call(), call(), call());
        assert_eq!([one.status, two.status, three.status], [200; 3]);
        assert!(connections() <= 3, "{}", connections());
    }
}

#[tokio::test]
async fn a_second_answer_on_a_connection_reaches_nobody() {
    // T61
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let body = r#"{"x":1}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let second = format!("{head}{}", r#"{"x":2}"#);
    harness.provider.script(vec![Step::Send(
        format!("{head}{body}{second}").into_bytes(),
    )]);
    for _ in 0..3 {
        let answer = harness.chat(r#"{"model":"gpt-x"}"#).await;
        assert_eq!(
            (answer.status, answer.body.as_ref()),
            (200, body.as_bytes())
        );
    }
}

#[tokio::test]
async fn numbers_that_no_answer_has_are_the_providers_to_judge_or_are_not_translated() {
    // T121
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.bring("anthropic").await;
    for (field, number) in [
        ("max_tokens", "18446744073709551615"),
        ("max_tokens", "1000000000001"),
        ("max_completion_tokens", "9223372036854775807"),
        ("max_tokens", "1.0"),
        ("max_tokens", "-1"),
        ("max_tokens", "1e3"),
        ("n", "10000000000000000000"),
        ("n", "99999999999999999999"),
        ("n", "1.0"),
    ] {
        let body = |model: &str| {
            format!(
                r#"{{"model":"{model}","{field}":{number},"messages":[{{"role":"user","content":"hi"}}]}}"#
            )
        };
        // Its own format passes as it came; what the provider makes of it, the client is told.
        let call = body("gpt-x");
        let refusal = r#"{"error":{"message":"too many","type":"invalid_request_error"}}"#;
        let json = [("content-type", "application/json")];
        harness.provider.answers(400, &json, refusal.as_bytes());
        let answer = harness.chat(&call).await;
        assert_eq!((answer.status, &answer.body[..]), (400, refusal.as_bytes()));
        let (_, sent) = harness.provider.requests().pop().expect("a request");
        assert_eq!(sent, call.as_bytes());
        // Another format would say another number.
        let asked = harness.provider.requests().len();
        let answer = harness.chat(&body("claude-x")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "not_translatable"),
            "{field} {number}"
        );
        assert_eq!(answer.json()["error"]["field"], field);
        assert_eq!(harness.provider.requests().len(), asked);
    }
}

#[tokio::test]
async fn bodies_are_judged_before_anything_is_sent() {
    // T119, T120, T122
    let mut config = config();
    config.limits.body_bytes = 1000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    for (body, status, code) in [
        (r#"{"model":"gpt-x""#, 400, "invalid_request"),
        (r#"{"model":"gpt-x"}x"#, 400, "invalid_request"),
        (
            r#"{"model":"gpt-x","model":"gpt-y"}"#,
            400,
            "invalid_request",
        ),
        (
            r#"{"model":"gpt-x","Model":"gpt-y"}"#,
            400,
            "invalid_request",
        ),
        (r#"{"messages":[]}"#, 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        ("", 400, "invalid_request"),
        (
            "{\"model\":\"gpt-x\",\"a\":\"\u{0}\"}",
            400,
            "invalid_request",
        ),
        (
            &format!(r#"{{"model":"gpt-x","a":"{}"}}"#, "x".repeat(1000)),
            413,
            "request_too_large",
        ),
    ] {
        let answer = harness.chat(body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{body}"
        );
    }
    let mut compressed = harness.chat_request(r#"{"model":"gpt-x"}"#);
    compressed
        .headers_mut()
        .insert("content-encoding", HeaderValue::from_static("gzip"));
    assert_eq!(
        harness.send(compressed).await.code(),
        "unsupported_content_encoding"
    );
    let mut form = harness.chat_request("model=gpt-x");
    form.headers_mut()
        .insert("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(harness.send(form).await.code(), "unsupported_media_type");
    assert!(harness.provider.requests().is_empty());
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 11);
    assert!(
        rows.iter()
            .all(|row| row.model_requested.is_empty() && row.provider.is_none())
    );
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut() {
    // T119
    let mut config = config();
    config.limits.body_bytes = 10_000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    let mut bytes = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        harness.api_key
    )
    .into_bytes();
    for _ in 0..100 {
        bytes.extend_from_slice(&super::provider::chunk(&"x".repeat(1000)));
    }
    let answer = harness.raw(&bytes).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("request_too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn gateways_that_call_each_other_stop() {
    // T44
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says(ANSWER);
    let mut request = harness.chat_request(r#"{"model":"gpt-x"}"#);
    let agent = HeaderValue::from_static("keybearer/9 (hop 3)");
    request.headers_mut().insert("user-agent", agent);
    assert_eq!(harness.send(request).await.status, 200);
    let (head, _) = harness.provider.requests().remove(0);
    assert!(head.contains("(hop 4)\r\n"), "{head}");
    let mut request = harness.chat_request(r#"{"model":"gpt-x"}"#);
    let agent = HeaderValue::from_static("keybearer/9 (hop 4)");
    request.headers_mut().insert("user-agent", agent);
    let answer = harness.send(request).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (508, "loop_detected")
    );
    assert_eq!(harness.provider.requests().len(), 1);
}
