//! Streams that begin with something else than an answer.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;

use super::harness::Harness;
use super::provider::{Step, chunk};

const CALL: &str = r#"{"model":"gpt-x","stream":true}"#;
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const LIMITED: &str = "data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n";

/// A stream of these pieces that ends as it should.
fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(HEAD.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

/// A stream of these pieces that breaks off.
fn broken(pieces: &[&str]) -> Vec<Step> {
    let mut steps = stream(pieces);
    steps.pop();
    steps.push(Step::Close);
    steps
}

async fn outcomes(harness: &Harness) -> Vec<(Option<i64>, String)> {
    let row = harness.usage().await.pop().expect("a row");
    let each = row.attempts.into_iter();
    each.map(|it| (it.status, it.outcome)).collect()
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[tokio::test]
async fn an_error_in_the_place_of_a_stream_leaves_the_turn_to_the_next_key() {
    for opening in [
        &[LIMITED][..],
        &[ROLE, LIMITED],
        &[": waiting\n\n", ROLE, LIMITED],
    ] {
        let harness = Harness::start().await;
        let (_, first) = harness.own("one", |_| {}).await;
        let (_, second) = harness.own("two", |key| key.position = 1).await;
        first.script(stream(opening));
        second.script(stream(&[ROLE, TEXT, DONE]));
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-keybearer-key-label"), "two");
        assert_eq!(text(&answer.body), format!("{ROLE}{TEXT}{DONE}"));
        let expected = [(Some(429), "rate_limited"), (Some(200), "ok")];
        let expected = expected.map(|(status, outcome)| (status, outcome.to_owned()));
        assert_eq!(outcomes(&harness).await, expected);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_output_is_asked_for_once_more() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.once(broken(&[ROLE]));
    provider.script(stream(&[TEXT, DONE]));
    let answer = harness.chat(CALL).await;
    assert_eq!(text(&answer.body), format!("{TEXT}{DONE}"));
    let expected = [(Some(200), "upstream_broken"), (Some(200), "ok")];
    let expected = expected.map(|(status, outcome)| (status, outcome.to_owned()));
    assert_eq!(outcomes(&harness).await, expected);
}

#[tokio::test]
async fn what_a_stream_says_of_the_request_is_told_as_a_refusal() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let words = r#"{"error":{"type":"invalid_request_error","code":"c","message":"no"}}"#;
    provider.script(stream(&[&format!("data: {words}\n\n")]));
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(text(&answer.body), words);
    assert_eq!(provider.hits(), 1);
}

#[tokio::test]
async fn an_error_behind_output_stays_where_it_is() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.script(stream(&[TEXT, LIMITED]));
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 200);
    assert_eq!(text(&answer.body), format!("{TEXT}{LIMITED}"));
    assert_eq!(provider.hits(), 1);
}

#[tokio::test]
async fn a_stream_without_output_reaches_the_client_if_it_says_its_end() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.script(stream(&[ROLE, DONE]));
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, text(&answer.body)),
        (200, [ROLE, DONE].concat())
    );
    for pieces in [&[][..], &[": only\n\n"], &["data: {"], &[ROLE]] {
        let harness = Harness::start().await;
        let (_, provider) = harness.own("one", |_| {}).await;
        provider.script(stream(pieces));
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.code(), "upstream_broken", "{pieces:?}");
        // It was asked once more.
        assert_eq!((answer.status, provider.hits()), (502, 2));
    }
}

#[tokio::test]
async fn what_was_read_ahead_is_metered_for_a_client_that_takes_none_of_it() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.script(stream(&[TEXT, DONE]));
    let request = harness.request(Method::POST, "/v1/chat/completions", CALL);
    let call = crate::Gateway::endpoint(&Method::POST, "/v1/chat/completions");
    let response = harness.gateway.handle(call.expect("an endpoint"), request);
    drop(response.await);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.response_bytes), (499, 0));
    assert_eq!(row.usage.expect("estimated").output_tokens, 1);
}

#[tokio::test]
async fn no_more_than_a_little_is_kept_back() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let heartbeat = format!(": {}\n\n", "x".repeat(70_000));
    let mut steps = stream(&[&heartbeat, DONE]);
    steps.insert(2, Step::Gate);
    provider.script(steps);
    let request = harness.request(Method::POST, "/v1/chat/completions", CALL);
    let opened = tokio::time::timeout(Duration::from_secs(5), harness.open(request)).await;
    let body = opened.expect("before the next piece").into_body();
    provider.open(1);
    let all = body.collect().await.expect("a whole body").to_bytes();
    assert_eq!(all.len(), heartbeat.len() + DONE.len());
}
