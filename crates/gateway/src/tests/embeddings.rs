//! OpenAI's embeddings: nothing is generated, and what was read is metered.

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{NanoUsd, Usage};
use http::Method;
use http_body_util::BodyExt;

use super::harness::Harness;
use super::payer::{JSON, managed};
use super::provider::{Step, chunk};

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

#[tokio::test]
async fn what_is_not_reported_is_estimated_by_the_text_and_marked() {
    let harness = super::payer::priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    for (says, call, tokens) in [
        (
            r#"{"data":[{"embedding":[0.5]}]}"#,
            r#"{"model":"gpt-x","input":["twelve bytes","five5"]}"#,
            5,
        ),
        // Numbers that become base64 on their way, and a report that cannot be true.
        (
            r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":-1}}"#,
            r#"{"model":"gpt-x","input":"twelve bytes","encoding_format":"base64"}"#,
            3,
        ),
        // Each of 40 bytes may be a part of a token.
        (
            r#"{"data":[{"embedding":"AAAAPw=="}],"usage":null}"#,
            r#"{"model":"gpt-x","input":[[1,2],[30,40]]}"#,
            11,
        ),
    ] {
        provider.says(says);
        let request = harness.request(Method::POST, "/v1/embeddings", call);
        assert_eq!(harness.send(request).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        let usage = row
            .usage
            .map(|usage| (usage.input_tokens, usage.output_tokens));
        assert_eq!(
            (usage, row.pricing),
            (Some((tokens, 0)), Some(Pricing::Estimated))
        );
        harness.advance(1);
    }
}

/// Numbers where base64 was asked for, and what the client gets of it.
const NUMBERS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5, -2.5]},{"embedding":[1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
const ENCODED: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAIMA="},{"embedding":"AACAPw=="}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;

#[tokio::test]
async fn numbers_are_encoded_where_base64_was_asked_for() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    for (call, says, gets) in [
        (CALL, NUMBERS, ENCODED),
        (CALL, ANSWER, ANSWER),
        (CALL, "{}", "{}"),
        (r#"{"model":"gpt-x","input":"a"}"#, NUMBERS, NUMBERS),
        (
            r#"{"model":"gpt-x","input":"a","encoding_format":"float"}"#,
            NUMBERS,
            NUMBERS,
        ),
        (
            r#"{"model":"gpt-x","input":"\"encoding_format\":\"base64\""}"#,
            NUMBERS,
            NUMBERS,
        ),
    ] {
        provider.says(says);
        let request = harness.request(Method::POST, "/v1/embeddings", call);
        let answer = harness.send(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(str::from_utf8(&answer.body), Ok(gets), "{call}");
    }
    let row = harness.usage().await.remove(0);
    assert_eq!(row.usage, Some(USED));
    // An error has no vectors.
    provider.answers(400, &[JSON], NUMBERS.as_bytes());
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    assert_eq!(harness.send(request).await.body, NUMBERS);
}

#[tokio::test]
async fn credits_pay_for_encoded_vectors_too() {
    let (harness, openai, _) = managed().await;
    openai.says(NUMBERS);
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    assert_eq!(harness.send(request).await.body, ENCODED);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.charge, NanoUsd::new(8 * 3_000));
}

#[tokio::test]
async fn base64_passes_as_it_comes_and_numbers_when_they_are_whole() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let pieces = |pieces: [&str; 2]| {
        let [one, two] = pieces.map(chunk);
        vec![
            Step::Send(head.into()),
            Step::Send(one),
            Step::Gate,
            Step::Send(two),
            Step::Send(b"0\r\n\r\n".to_vec()),
        ]
    };
    provider.script(pieces(ANSWER.split_at(30).into()));
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    // The head is there before the provider is at its end.
    let response = harness.open(request).await;
    provider.open(1);
    let body = response.into_body().collect().await.expect("whole");
    assert_eq!(body.to_bytes(), ANSWER);
    provider.script(pieces(NUMBERS.split_at(75).into()));
    provider.open(1);
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    assert_eq!(harness.send(request).await.body, ENCODED);
}

#[tokio::test]
async fn what_cannot_be_encoded_is_no_answer() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let long = format!(
        r#"{{"data":[{{"embedding":[0{}]}}]}}"#,
        ",0".repeat(16 << 20)
    );
    for says in [
        r#"{"data":[{"embedding":[[1]]}]}"#,
        r#"{"data":[{"embedding":[1e39]}]}"#,
        &long,
    ] {
        provider.says(says);
        let request = harness.request(Method::POST, "/v1/embeddings", CALL);
        let answer = harness.send(request).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.code(), "upstream_not_encodable");
        assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
        harness.advance(1);
    }
    assert_eq!(provider.hits(), 3);
    // They were made all the same.
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.usage.is_some()), "{rows:?}");
}

#[tokio::test]
async fn vectors_that_are_not_told_cost_what_the_provider_reports() {
    let (harness, openai, _) = managed().await;
    openai.says(r#"{"data":[{"embedding":[1e39]}],"usage":{"prompt_tokens":8}}"#);
    let request = harness.request(Method::POST, "/v1/embeddings", CALL);
    assert_eq!(harness.send(request).await.code(), "upstream_not_encodable");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.usage, row.pricing),
        (Some(USED), Some(Pricing::Priced))
    );
    assert_eq!(row.charge, NanoUsd::new(8 * 3_000));
}

#[tokio::test]
async fn whoever_wants_vectors_is_not_sent_to_an_endpoint_of_words() {
    let harness = Harness::start().await;
    for provider in ["anthropic", "google"] {
        harness.bring(provider).await;
    }
    for (model, endpoint) in [
        ("claude-x", serde_json::Value::Null),
        // Where the same can be had.
        ("gemini-x", "/v1beta/models/{model}:embedContent".into()),
    ] {
        let call = format!(r#"{{"model":"{model}","input":"a"}}"#);
        let request = harness.request(Method::POST, "/v1/embeddings", &call);
        let answer = harness.send(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "format_not_supported")
        );
        let error = &answer.json()["error"];
        assert_eq!(error["endpoint"], endpoint, "{error}");
        let hint = error["hint"].as_str().expect("a hint");
        assert_eq!(hint.starts_with("no endpoint serves"), endpoint.is_null());
    }
}
