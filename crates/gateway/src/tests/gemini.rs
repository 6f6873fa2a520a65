//! Gemini's own formats: the path names the model, the bytes pass, the key goes into Google's header at the place that it
//! is bound to.

use std::time::Duration;

use bytes::Bytes;
use domain::policy::{KeySource, Mode};
use domain::record::ProviderKeyRecord;
use domain::{KeyOwner, NanoUsd, Usage};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::client::Answer;
use super::harness::{Harness, KEY};
use super::payer::{PRICE, STREAM, price};
use super::provider::{Provider, Step, chunk};

mod credits;
mod models;
mod refusals;
mod translated;

const CALL: &str = r#"{"contents":[{"parts":[{"text":"hi"}]}],"unknown":[1.0e3],"generationConfig":{"maxOutputTokens":40}}"#;
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"four"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":30,"cachedContentTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":4,"totalTokenCount":39}}"#;
const FIRST: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"fo\"}]}}],\"usageMetadata\":{\"promptTokenCount\":30,\"candidatesTokenCount\":1,\"totalTokenCount\":31}}\r\n\r\n";
const LAST: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ur\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":30,\"cachedContentTokenCount\":10,\"candidatesTokenCount\":5,\"thoughtsTokenCount\":4,\"totalTokenCount\":39}}\r\n\r\n";
const BUSY: &str =
    "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n";
const USED: Usage = Usage {
    input_tokens: 20,
    cached_input_tokens: 10,
    cache_write_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 4,
};

/// Gives the workspace a key for Google, with a provider of its own behind it.
async fn own(
    harness: &Harness,
    label: &str,
    change: impl FnOnce(&mut ProviderKeyRecord),
) -> Provider {
    let upstream = Provider::start().await;
    let owner = KeyOwner::Workspace(harness.workspace);
    let mut record = harness.record_of(owner, "google", label, &upstream).await;
    change(&mut record);
    record.envelope = harness.seal(KEY, &record).await;
    harness.put(&record).await;
    upstream
}

/// A request as Google's clients send it.
fn request(harness: &Harness, method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = harness.request(method, path, body);
    request.headers_mut().remove("authorization");
    let key = HeaderValue::from_str(&harness.api_key).expect("a value");
    request.headers_mut().insert("x-goog-api-key", key);
    request
}

async fn post(harness: &Harness, path: &str, body: &str) -> Answer {
    harness
        .send(request(harness, Method::POST, path, body))
        .await
}

fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

/// The only value of a header of a request that a provider got.
fn sent<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| {
        let (it, value) = line.split_once(": ")?;
        (it == name).then_some(value)
    });
    let value = values.next();
    assert!(values.next().is_none(), "{name} twice: {head}");
    value
}

#[tokio::test]
async fn content_passes_byte_for_byte_with_the_key_in_googles_header_below_the_bound_place() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.says(ANSWER);
    for (path, model) in [
        ("/v1beta/models/gemini-x:generateContent", "gemini-x"),
        ("/v1/models/gemini-x:generateContent", "gemini-x"),
        (
            "/v1/models/google/gemini-x:generateContent?alt=json&$alt=proto",
            "gemini-x",
        ),
        (
            "/v1beta/models/google%2Fgemini-x:generateContent",
            "gemini-x",
        ),
        (
            "/v1/models/google/v1%3Fkey=1:generateContent",
            "v1%3Fkey%3D1",
        ),
        (
            "/v1/models/google/tuned models%C3%A9:generateContent",
            "tuned%20models%C3%A9",
        ),
    ] {
        let path = path.replace(' ', "%20");
        let answer = post(&harness, &path, CALL).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, ANSWER.as_bytes()),
            "{path}"
        );
        let (head, body) = provider.requests().pop().expect("a request");
        // Always the same version of Google's API, the one that knows every field.
        let line = format!("POST /base/models/{model}:generateContent HTTP/1.1\r\n");
        assert!(head.starts_with(&line), "{head}");
        assert_eq!(sent(&head, "x-goog-api-key"), Some(KEY));
        assert_eq!(sent(&head, "authorization"), None);
        assert!(!head.contains(&harness.api_key), "{head}");
        assert_eq!(body, CALL.as_bytes());
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.wire_format.as_str(), row.operation.as_str()),
            ("gemini_generate_content", "generate_content")
        );
        assert_eq!((row.usage, row.streamed), (Some(USED), false));
    }
    // The same key still serves the format that it was brought for, in that format's header.
    provider.says("{}");
    assert_eq!(harness.chat(r#"{"model":"gemini-x"}"#).await.status, 200);
    let (head, _) = provider.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/openai/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        sent(&head, "authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert_eq!(sent(&head, "x-goog-api-key"), None);
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_its_last_report_counts() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.script(stream(&[FIRST, LAST]));
    let path = "/v1/models/gemini-x:streamGenerateContent?alt=sse";
    let answer = post(&harness, path, CALL).await;
    assert_eq!(&answer.body[..], [FIRST, LAST].concat().as_bytes());
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let (head, _) = provider.requests().pop().expect("a request");
    let line = "POST /base/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.streamed), (Some(USED), true));
    // Without `alt=sse` the same comes as a list.
    let chunks = [FIRST, LAST].map(|it| it.trim().trim_start_matches("data: "));
    let list = format!("[{}]", chunks.join(",\r\n"));
    provider.says(&list);
    let path = "/v1beta/models/gemini-x:streamGenerateContent";
    let answer = post(&harness, path, CALL).await;
    assert_eq!((answer.status, &answer.body[..]), (200, list.as_bytes()));
    let (head, _) = provider.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/models/gemini-x:streamGenerateContent HTTP/1.1\r\n"),
        "{head}"
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.streamed), (Some(USED), true));
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_in_googles_shape() {
    let harness = Harness::start().await;
    harness
        .settings(|settings| settings.prices = vec![price("google", "*", PRICE)])
        .await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(FIRST)),
        Step::Close,
    ]);
    let path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let answer = post(&harness, path, CALL).await;
    let text = String::from_utf8_lossy(&answer.body);
    let rest = text.strip_prefix(FIRST).expect("what came first");
    let event = rest.trim().strip_prefix("data: ").expect("an event");
    let error: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!(error["error"]["code"], 502);
    assert_eq!(error["error"]["status"], "UNAVAILABLE");
    assert_eq!(error["error"]["details"][0]["reason"], "upstream_broken");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("upstream_broken"));
    let usage = row.usage.expect("what was reported until then");
    assert_eq!((usage.input_tokens, usage.output_tokens), (30, 1));
    assert_eq!(row.pricing, Some(domain::price::Pricing::Estimated));
}

#[tokio::test]
async fn a_key_that_is_limited_or_unknown_or_a_stream_that_begins_with_an_error_leaves_the_turn_to_the_next()
 {
    let invalid = br#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    let json = [("content-type", "application/json; charset=UTF-8")];
    for (status, error) in [
        (429, &br#"{"error":{"code":429}}"#[..]),
        (400, invalid),
        (200, b""),
    ] {
        let harness = Harness::start().await;
        let first = own(&harness, "one", |_| {}).await;
        let second = own(&harness, "two", |key| key.position = 1).await;
        if status == 200 {
            // Asked once more, since it fails and does not limit.
            first.script(stream(&[BUSY]));
        } else {
            first.answers(status, &json, error);
        }
        second.script(stream(&[FIRST, LAST]));
        let path = "/v1/models/gemini-x:streamGenerateContent?alt=sse";
        let answer = post(&harness, path, CALL).await;
        assert_eq!(answer.header("x-keybearer-key-label"), "two", "{status}");
        assert_eq!(&answer.body[..], [FIRST, LAST].concat().as_bytes());
    }
}

#[tokio::test]
async fn embeddings_and_counts_pass_and_only_what_a_model_read_is_usage() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    let batch = r#"{"requests":[{"model":"models/gemini-x","content":{"parts":[{"text":"hi"}]}}]}"#;
    let vectors = r#"{"embeddings":[{"values":[0.5]}],"usageMetadata":{"promptTokenCount":8}}"#;
    let unreported = r#"{"embedding":{"values":[0.5]}}"#;
    let one =
        r#"{"content":{"parts":[{"text":"hi"}]},"taskType":"CLUSTERING","outputDimensionality":1}"#;
    for (action, body, answer, operation, read) in [
        (
            "batchEmbedContents",
            batch,
            vectors,
            "embed_content",
            Some(8),
        ),
        (
            "embedContent",
            one,
            unreported,
            "embed_content",
            // Two bytes of text.
            Some(1),
        ),
        (
            "countTokens",
            CALL,
            r#"{"totalTokens":3}"#,
            "count_tokens",
            None,
        ),
    ] {
        provider.says(answer);
        let path = format!("/v1/models/gemini-x:{action}");
        let got = post(&harness, &path, body).await;
        assert_eq!((got.status, &got.body[..]), (200, answer.as_bytes()));
        let (head, sent) = provider.requests().pop().expect("a request");
        assert!(
            head.starts_with(&format!("POST /base/models/gemini-x:{action} ")),
            "{head}"
        );
        assert_eq!(sent, body.as_bytes());
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.operation, operation);
        assert_eq!(
            row.usage
                .map(|usage| (usage.input_tokens, usage.output_tokens)),
            read.map(|it| (it, 0))
        );
    }
}

#[tokio::test]
async fn another_name_takes_the_place_of_the_first_in_path_and_body() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.says("{}");
    harness
        .policy(|policy| policy.model = Some("google/gemini-default".parse().expect("a model")))
        .await;
    for (name, model) in [
        ("google/gemini-x", "gemini-x"),
        ("default", "gemini-default"),
    ] {
        let call = format!(
            r#"{{"requests":[{{"model":"models/{name}","content":{{}}}},{{"content":{{}}}}]}}"#
        );
        let path = format!("/v1beta/models/{name}:batchEmbedContents");
        assert_eq!(post(&harness, &path, &call).await.status, 200);
        let (head, body) = provider.requests().pop().expect("a request");
        assert!(
            head.starts_with(&format!("POST /base/models/{model}:batchEmbedContents ")),
            "{head}"
        );
        let expected = call.replace(&format!("models/{name}"), &format!("models/{model}"));
        assert_eq!(body, expected.as_bytes());
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.model_requested.as_str(), row.model.as_deref()),
            (name, Some(model))
        );
    }
    let call = r#"{"requests":[{"model":"models/gemini-y"}]}"#;
    let refused = post(&harness, "/v1/models/gemini-x:batchEmbedContents", call).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "invalid_request")
    );
    assert_eq!(
        refused.json()["error"]["details"][0]["metadata"]["field"],
        "model"
    );
    let long = format!("/v1/models/{}:generateContent", "x".repeat(257));
    assert_eq!(post(&harness, &long, CALL).await.code(), "invalid_request");
    for (body, status) in [("[]", 400), ("{", 400), ("", 400)] {
        let refused = post(&harness, "/v1/models/gemini-x:generateContent", body).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (status, "invalid_request")
        );
    }
    // In an encoded path somebody might find another model.
    for name in [
        "google/gemini-x/..%2Fgemini-y",
        "google/gemini-x%252f",
        "google/..",
    ] {
        // Counts, which are not translated to a format where the body names the model.
        let path = format!("/v1beta/models/{name}:countTokens");
        assert_eq!(
            post(&harness, &path, CALL).await.code(),
            "format_not_supported",
            "{name}"
        );
    }
    assert_eq!(provider.hits(), 2);
}
