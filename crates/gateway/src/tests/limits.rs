//! A key of whose limits nothing is left rests before a provider refuses it.

use super::harness::Harness;

const CALL: &str = r#"{"model":"gpt-x"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const NONE_LEFT: (&str, &str) = ("x-ratelimit-remaining-requests", "0");

#[tokio::test]
async fn a_key_without_requests_left_is_behind_the_others_until_the_reset() {
    let harness = Harness::start().await;
    let (one, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let reset = ("x-ratelimit-reset-requests", "30s");
    first.answers(200, &[JSON, NONE_LEFT, reset], b"{}");
    let label = async || {
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.header("x-keybearer-attempts"), "1");
        answer.header("x-keybearer-key-label").to_owned()
    };
    assert_eq!(label().await, "one");
    let probe = harness.gateway.probe();
    let until = probe.sleeping_until(one.context.key, 1).expect("it rests");
    assert_eq!(until.millis_since(harness.sources.now()), 30_000);
    assert_eq!(label().await, "two");
    // It rests for this model, not for others.
    let answer = harness.chat(r#"{"model":"gpt-z"}"#).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "one");
    harness.advance(30_000);
    first.says("{}");
    assert_eq!(label().await, "one");
    assert_eq!(label().await, "one");
    assert_eq!(second.hits(), 1);
    // Nothing of it is a failure of the key.
    assert_eq!(harness.stored(&one).await.last_failure, None);
}

#[tokio::test]
async fn the_only_key_serves_all_the_same() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let reset = ("x-ratelimit-reset-requests", "6m0s");
    first.answers(200, &[JSON, NONE_LEFT, reset], b"{}");
    for _ in 0..3 {
        assert_eq!(harness.chat(CALL).await.status, 200);
    }
    assert_eq!(first.hits(), 3);
}

#[tokio::test]
async fn anthropics_limits_are_read_too() {
    let harness = Harness::start().await;
    let record = harness.bring("anthropic").await;
    let headers = [
        JSON,
        ("anthropic-ratelimit-output-tokens-remaining", "0"),
        // The harness's clock stands at 2023-11-14T22:13:20Z.
        (
            "anthropic-ratelimit-output-tokens-reset",
            "2023-11-14T22:13:40Z",
        ),
    ];
    harness.provider.answers(200, &headers, b"{}");
    let answer = harness.messages(r#"{"model":"claude-a","max_tokens":1}"#);
    assert_eq!(answer.await.status, 200);
    let probe = harness.gateway.probe();
    let until = probe.sleeping_until(record.context.key, 1);
    let rest = until.expect("it rests").millis_since(harness.sources.now());
    assert!((19_000..=20_000).contains(&rest), "{rest}");
}
