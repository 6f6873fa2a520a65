//! Reranking passes as it is, at either path.

use domain::price::Pricing;
use http::Method;

use super::payer::{managed, priced};

const CALL: &str = r#"{"model":"gpt-x","query":"a","documents":["b",{"text":"c"}],"top_n":1}"#;
const BY_SEARCH: &str = r#"{"id":"r","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}"#;
const BY_TOKEN: &str =
    r#"{"model":"m","usage":{"total_tokens":815},"results":[{"index":0,"relevance_score":0.1}]}"#;

#[tokio::test]
async fn both_paths_pass_byte_for_byte_and_only_tokens_are_metered_as_tokens() {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    for (path, answered, tokens, pricing) in [
        ("/v1/rerank", BY_SEARCH, None, Pricing::Unpriced),
        ("/v2/rerank", BY_SEARCH, None, Pricing::Unpriced),
        ("/v1/rerank", BY_TOKEN, Some(815), Pricing::Priced),
    ] {
        provider.says(answered);
        let answer = harness
            .send(harness.request(Method::POST, path, CALL))
            .await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, answered.as_bytes())
        );
        let (head, body) = provider.requests().pop().expect("a request");
        assert!(head.starts_with("POST /base/rerank HTTP/1.1\r\n"), "{head}");
        assert_eq!(body, CALL.as_bytes());
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.operation, "rerank");
        assert_eq!(row.usage.map(|usage| usage.input_tokens), tokens);
        assert_eq!(row.pricing, Some(pricing));
    }
}

#[tokio::test]
async fn credits_do_not_pay_for_searches() {
    let (harness, openai, _) = managed().await;
    let answer = harness
        .send(harness.request(Method::POST, "/v1/rerank", CALL))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "byok_required")
    );
    assert_eq!(openai.hits(), 0);
}
