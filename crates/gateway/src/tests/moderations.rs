//! Moderations: they pass as they are, and their price is not one of tokens.

use domain::policy::Mode;
use domain::price::Pricing;
use http::Method;

use super::harness::Harness;
use super::payer::{managed, priced};

const CALL: &str = r#"{"model":"gpt-x","input":["a",{"type":"text","text":"b"}]}"#;
const ANSWER: &str = r#"{"id":"modr-1","results":[{"flagged":false}]}"#;

#[tokio::test]
async fn moderations_pass_byte_for_byte_and_leave_a_row_without_usage() {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.says(ANSWER);
    let request = harness.request(Method::POST, "/v1/moderations", CALL);
    let answer = harness.send(request).await;
    assert_eq!((answer.status, &answer.body[..]), (200, ANSWER.as_bytes()));
    let (head, body) = provider.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/moderations HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(body, CALL.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.operation.as_str(), row.status), ("moderations", 200));
    // It was served, nobody knows for how much, and that is not nothing.
    let money = (row.usage, row.cost, row.pricing);
    assert_eq!(money, (None, None, Some(Pricing::Unpriced)));
}

#[tokio::test]
async fn what_was_read_is_metered_where_the_provider_says_it() {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.says(r#"{"results":[],"usage":{"prompt_tokens":18,"total_tokens":18}}"#);
    let request = harness.request(Method::POST, "/v1/moderations", CALL);
    assert_eq!(harness.send(request).await.status, 200);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.usage.map(|usage| usage.input_tokens), Some(18));
    assert_eq!(row.pricing, Some(Pricing::Priced));
}

#[tokio::test]
async fn an_error_in_place_of_a_moderation_is_not_called_unpriced() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.fails(400);
    let request = harness.request(Method::POST, "/v1/moderations", CALL);
    assert_eq!(harness.send(request).await.status, 400);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.pricing), (400, None));
}

#[tokio::test]
async fn credits_do_not_pay_for_what_is_not_priced_by_tokens() {
    let (harness, openai, _) = managed().await;
    for (path, body) in [
        ("/v1/moderations", CALL),
        (
            "/v1/images/generations",
            r#"{"model":"gpt-x","prompt":"a"}"#,
        ),
    ] {
        let request = harness.request(Method::POST, path, body);
        let answer = harness.send(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "byok_required"),
            "{path}"
        );
        assert_eq!(answer.json()["error"]["layer"], "endpoint");
    }
    assert_eq!(openai.hits(), 0);
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.charge == domain::NanoUsd::ZERO));
}

#[tokio::test]
async fn an_own_key_that_fails_is_not_followed_by_credits() {
    let (harness, openai, _) = managed().await;
    harness.consents().await;
    harness.mode(Mode::Auto).await;
    let (_, own) = harness.own("one", |_| {}).await;
    own.fails(503);
    openai.says(ANSWER);
    let request = harness.request(Method::POST, "/v1/moderations", CALL);
    let answer = harness.send(request).await;
    assert_eq!(answer.code(), "upstream_unavailable");
    assert_eq!(openai.hits(), 0);
    // The same workspace's chat is served by credits then.
    openai.says(super::payer::REPORT);
    assert_eq!(harness.chat(super::payer::CALL).await.status, 200);
    assert_eq!(openai.hits(), 1);
}
