//! How many calls one API key makes at once.

use domain::access::ApiScope;
use http_body_util::BodyExt;

use super::harness::{Harness, config};
use crate::edge::EdgeConfig;

const CALL: &str = r#"{"model":"gpt-x","stream":true}"#;
const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

async fn narrow() -> Harness {
    let mut config = config();
    config.limits.calls_per_key = 2;
    Harness::with(config, EdgeConfig::default()).await
}

#[tokio::test]
async fn a_key_makes_so_many_calls_at_once_and_is_told_to_wait() {
    let mut harness = narrow().await;
    harness.bring("openai").await;
    harness.bring("brave").await;
    harness.provider.streams(&[PIECE]);
    let first = harness.open(harness.chat_request(CALL)).await;
    let second = harness.open(harness.chat_request(CALL)).await;
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 200)
    );
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "too_many_calls")
    );
    assert_eq!(refused.header("retry-after"), "1");
    for (what, value) in [("limit", "2"), ("remaining", "0"), ("reset", "1s")] {
        let name = format!("x-ratelimit-{what}-requests");
        assert_eq!(refused.header(&name), value, "{name}");
    }
    assert_eq!(refused.header("x-keybearer-error-source"), "");
    assert_eq!(refused.json()["error"]["limit"], 2);
    // In each client's format, and for paths of providers, too.
    let refused = harness.messages(r#"{"model":"claude-a"}"#).await;
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let passed = harness.get("/brave/res/v1/web/search?q=a").await;
    assert_eq!(
        (passed.status, passed.code().as_str()),
        (429, "too_many_calls")
    );
    assert_eq!(harness.provider.hits(), 2);
    // Another key of the same workspace has calls of its own, and lists are no calls.
    assert_eq!(harness.get("/v1/models").await.status, 200);
    let full = std::mem::take(&mut harness.api_key);
    harness.api_key = harness.mint(&[ApiScope::InferenceInvoke]).await.1;
    let other = harness.open(harness.chat_request(CALL)).await;
    assert_eq!(other.status(), 200);
    harness.api_key = full;
    // A call ends with its body, or when the client goes away.
    harness.provider.open(3);
    first.into_body().collect().await.expect("whole");
    let third = harness.open(harness.chat_request(CALL)).await;
    assert_eq!(third.status(), 200);
    drop((second, third, other));
    let rows = harness.usage().await;
    let refused: Vec<_> = rows.iter().filter(|row| row.status == 429).collect();
    assert_eq!(refused.len(), 3);
    for row in refused {
        assert_eq!(row.error_code.as_deref(), Some("too_many_calls"));
        assert_eq!((row.attempts.len(), row.usage), (0, None));
    }
}
