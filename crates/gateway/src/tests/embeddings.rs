//! OpenAI's embeddings: nothing is generated, and what was read is metered.

use domain::policy::KeySource;
use domain::{NanoUsd, Usage};
use http::Method;

use super::harness::Harness;
use super::payer::managed;

const CALL: &str =
    r#"{"model":"gpt-x","input":["a","b"],"encoding_format":"base64","dimensions":2}"#;
const ANSWER: &str =
    r#"{"data":[{"embedding":"AAAAPw=="}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
const USED: Usage = Usage {
    input_tokens: 8,
    cached_input_tokens: 0,
    cache_write_tokens: 0,
    output_tokens: 0,
    reasoning_tokens: 0,
};

#[tokio::test]
async fn embeddings_pass_byte_for_byte_and_their_input_is_metered() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.says(ANSWER);
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    let answer = harness.send(request).await;
    assert_eq!((answer.status, &answer.body[..]), (200, ANSWER.as_bytes()));
    let (head, body) = provider.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/embeddings HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(body, CALL.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.operation.as_str(), row.usage),
        ("embeddings", Some(USED))
    );
    assert!(!row.streamed);
}

#[tokio::test]
async fn credits_pay_for_what_was_read() {
    let (harness, openai, _) = managed().await;
    openai.says(ANSWER);
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    assert_eq!(harness.send(request).await.status, 200);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.key_source, row.usage),
        (Some(KeySource::Managed), Some(USED))
    );
    // Input is 3 USD for a million tokens.
    assert_eq!(row.charge, NanoUsd::new(8 * 3_000));
}
