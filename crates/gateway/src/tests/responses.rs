//! OpenAI's responses: the bytes pass, the end is metered, and credits pay for nothing that the provider keeps.

use domain::policy::KeySource;
use domain::{NanoUsd, Usage};
use http::Method;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{STREAM, managed};
use super::provider::{Step, chunk};

const PATH: &str = "/v1/responses";
const CALL: &str = r#"{"model":"gpt-x","input":"hi","unknown":[1.0e3],"stream":true}"#;
const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"four\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":30,\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":9,\"output_tokens_details\":{\"reasoning_tokens\":4}}}}\n\n";
const USED: Usage = Usage {
    input_tokens: 20,
    cached_input_tokens: 10,
    cache_write_tokens: 0,
    output_tokens: 9,
    reasoning_tokens: 4,
};

fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

async fn respond(harness: &Harness, body: &str) -> Answer {
    harness
        .send(harness.request(Method::POST, PATH, body))
        .await
}

#[tokio::test]
async fn the_error_that_ends_a_stream_has_the_next_number() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let numbered = |text: &str, number: u64| {
        let field = format!("{{\"sequence_number\":{number},");
        text.replace("data: {", &format!("data: {field}"))
    };
    for (pieces, expected) in [
        (vec![numbered(CREATED, 0), numbered(DELTA, 7)], Some(8)),
        (vec![CREATED.to_owned(), DELTA.to_owned()], None),
    ] {
        let mut steps = stream(&pieces.iter().map(String::as_str).collect::<Vec<_>>());
        steps.pop();
        steps.push(Step::Close);
        provider.script(steps);
        let answer = respond(&harness, CALL).await;
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        let last = text.trim_end().lines().last().expect("an event");
        let last = last.strip_prefix("data: ").expect("its data");
        let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(
            (&last["type"], &last["code"]),
            (&"error".into(), &"upstream_broken".into())
        );
        assert_eq!(
            last.get("sequence_number").and_then(|it| it.as_u64()),
            expected,
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_response_passes_byte_for_byte_and_its_end_is_metered() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let whole = [CREATED, DELTA, COMPLETED];
    provider.script(stream(&whole));
    let answer = respond(&harness, CALL).await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, whole.concat().as_bytes())
    );
    let (head, body) = provider.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/responses HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(body, CALL.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.wire_format.as_str(), row.operation.as_str()),
        ("openai_responses", "responses")
    );
    assert_eq!((row.usage, row.streamed), (Some(USED), true));
}

#[tokio::test]
async fn a_response_that_failed_before_any_output_is_tried_elsewhere() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\"}}}\n\n";
    first.script(stream(&[CREATED, failed]));
    second.script(stream(&[CREATED, DELTA, COMPLETED]));
    let answer = respond(&harness, CALL).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
}

#[tokio::test]
async fn credits_pay_for_a_response_and_for_nothing_that_the_provider_keeps() {
    let (harness, openai, _) = managed().await;
    openai.script(stream(&[CREATED, DELTA, COMPLETED]));
    let call = r#"{"model":"gpt-x","input":"hi","stream":true,"max_output_tokens":40}"#;
    let answer = respond(&harness, call).await;
    assert_eq!(
        &answer.body[..],
        [CREATED, DELTA, COMPLETED].concat().as_bytes()
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.key_source, row.usage),
        (Some(KeySource::Managed), Some(USED))
    );
    assert!(row.charge > NanoUsd::ZERO && Some(row.charge) == row.cost);
    for (field, value) in [
        ("previous_response_id", "\"resp_1\""),
        ("conversation", "\"conv_1\""),
        ("background", "true"),
        ("tools", r#"[{"type":"web_search"}]"#),
        ("prompt", r#"{"id":"pmpt_1"}"#),
    ] {
        let call = format!(r#"{{"model":"gpt-x","input":"hi","{field}":{value}}}"#);
        let refused = respond(&harness, &call).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "field_needs_own_key")
        );
        assert_eq!(refused.json()["error"]["field"], field);
    }
    assert_eq!(openai.hits(), 1);
}
