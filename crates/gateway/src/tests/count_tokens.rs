//! Counting tokens before a call: a question to the provider that costs nothing.

use domain::NanoUsd;
use http::Method;

use super::harness::Harness;
use super::payer::managed;

const PATH: &str = "/v1/messages/count_tokens?beta=true";
const CALL: &str = r#"{"model":"claude-x","messages":[{"role":"user","content":"hi"}]}"#;
const ANSWER: &str = r#"{"input_tokens":14}"#;

#[tokio::test]
async fn a_count_passes_byte_for_byte_with_its_betas_and_meters_no_tokens() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(ANSWER);
    let mut request = harness.request(Method::POST, PATH, CALL);
    let beta = http::HeaderValue::from_static("token-counting-2024-11-01");
    request.headers_mut().insert("anthropic-beta", beta);
    let answer = harness.send(request).await;
    assert_eq!((answer.status, &answer.body[..]), (200, ANSWER.as_bytes()));
    let (head, body) = harness.provider.requests().pop().expect("a request");
    let path = "POST /base/v1/messages/count_tokens?beta=true HTTP/1.1\r\n";
    assert!(head.starts_with(path), "{head}");
    assert!(head.contains("anthropic-beta: token-counting-2024-11-01\r\n"));
    assert_eq!(body, CALL.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    let written = (row.operation.as_str(), row.wire_format.as_str(), row.status);
    assert_eq!(written, ("count_tokens", "anthropic_messages", 200));
    assert_eq!((row.usage, row.cost, row.pricing), (None, None, None));
}

#[tokio::test]
async fn a_count_with_credits_takes_none_whatever_the_provider_says() {
    let (harness, _, anthropic) = managed().await;
    let before = harness.credits().await;
    anthropic.says(r#"{"input_tokens":14,"usage":{"input_tokens":1000,"output_tokens":1000}}"#);
    let request = harness.request(Method::POST, PATH, CALL);
    assert_eq!(harness.send(request).await.status, 200);
    anthropic.fails(503);
    let request = harness.request(Method::POST, PATH, CALL);
    assert_eq!(harness.send(request).await.status, 503);
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.charge == NanoUsd::ZERO && row.usage.is_none())
    );
    assert_eq!(harness.credits().await.available, before.available);
}

#[tokio::test]
async fn a_provider_without_counts_is_not_asked() {
    let harness = Harness::start().await;
    harness.bring("relay").await;
    let call = CALL.replace("claude-x", "relay/claude-x");
    let answer = harness
        .send(harness.request(Method::POST, PATH, &call))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "format_not_supported")
    );
    assert_eq!(answer.json()["type"], "error");
    assert!(answer.json()["error"]["endpoint"].is_null());
    assert!(harness.provider.requests().is_empty());
}
