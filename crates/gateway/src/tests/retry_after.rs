//! When a failing provider says when it wants to be asked again.

use std::time::{Duration, Instant};

use super::harness::Harness;
use super::provider::{Step, answer};

const CALL: &str = r#"{"model":"gpt-x"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

fn fails(status: u16, header: (&str, &str)) -> Vec<Step> {
    vec![Step::Send(answer(status, &[JSON, header], b"{}"))]
}

#[tokio::test]
async fn the_same_key_is_tried_again_when_the_provider_says_if_that_is_soon() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    for (header, least) in [
        (("retry-after-ms", "600"), 600),
        (("retry-after", "1"), 1_000),
        // Sooner than we would ask by ourselves.
        (("retry-after", "0"), 50),
    ] {
        first.once(fails(503, header));
        let begun = Instant::now();
        let answer = harness.chat(CALL).await;
        assert!(
            begun.elapsed() >= Duration::from_millis(least),
            "{header:?}"
        );
        assert_eq!(answer.header("x-keybearer-key-label"), "one", "{header:?}");
        assert_eq!(answer.header("x-keybearer-attempts"), "2", "{header:?}");
    }
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn the_next_key_is_tried_at_once_if_it_is_not() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    harness.own("two", |key| key.position = 1).await;
    first.once(fails(503, ("retry-after-ms", "2001")));
    let begun = Instant::now();
    let answer = harness.chat(CALL).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!(
        (answer.header("x-keybearer-attempts"), first.hits()),
        ("2", 1)
    );
}

#[tokio::test]
async fn without_another_key_the_client_is_told_when() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    for (status, header, told) in [
        (503, ("retry-after", "30"), "30"),
        (529, ("retry-after-ms", "2500"), "3"),
        (500, ("retry-after", "7"), "7"),
        (504, ("retry-after", "8"), "8"),
        // Half a minute from now, and a minute ago (RFC 9110, section 10.2.3).
        (503, ("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT"), "30"),
        (
            503,
            ("retry-after", "Tuesday, 14-Nov-23 22:13:50 GMT"),
            "30",
        ),
        (503, ("retry-after", "soon"), ""),
    ] {
        first.once(fails(status, header));
        if told.is_empty() {
            first.once(fails(status, header));
        }
        let answer = harness.chat(CALL).await;
        assert!((502..=504).contains(&answer.status), "{status}");
        assert_eq!(answer.header("retry-after"), told, "{status}");
        let attempts = if told.is_empty() { "2" } else { "1" };
        assert_eq!(answer.header("x-keybearer-attempts"), attempts, "{status}");
    }
    // Nor is it waited for beyond the end of the call.
    let mut config = super::harness::config();
    config.timeouts.total_ms = 1_000;
    let harness = Harness::with(config, crate::edge::EdgeConfig::default()).await;
    let (_, first) = harness.own("one", |_| {}).await;
    first.once(fails(503, ("retry-after-ms", "1500")));
    let begun = Instant::now();
    let answer = harness.chat(CALL).await;
    assert!(begun.elapsed() < Duration::from_millis(900));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
}

/// One that does not say when is left alone for longer each time, but never beyond the end of the call.
#[tokio::test]
async fn keys_of_one_provider_are_tried_at_growing_intervals() {
    let all_ms = 50 + 100 + 200 + 400 + 500;
    // In the second call the fourth pause would end behind the call's end at the earliest; before it a slow machine may stop, too.
    for (total_ms, attempts, least_ms, most_ms) in
        [(60_000, 6..=6, all_ms, 60_000), (740, 2..=4, 50, all_ms)]
    {
        let mut config = super::harness::config();
        config.timeouts.total_ms = total_ms;
        let harness = Harness::with(config, crate::edge::EdgeConfig::default()).await;
        for position in 0..6 {
            let label = format!("key-{position}");
            let (_, provider) = harness.own(&label, |key| key.position = position).await;
            provider.fails(429);
        }
        let begun = Instant::now();
        let answer = harness.chat(CALL).await;
        let took = begun.elapsed();
        assert_eq!(answer.status, 429);
        let made = answer.header("x-keybearer-attempts").parse();
        assert!(attempts.contains(&made.expect("a number")));
        assert!(took >= Duration::from_millis(least_ms), "{took:?}");
        assert!(took < Duration::from_millis(most_ms), "{took:?}");
    }
}

#[tokio::test]
async fn a_moment_that_is_past_is_no_reason_to_wait() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    first.once(fails(503, ("retry-after", "Tue, 14 Nov 2023 22:12:20 GMT")));
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
}

#[tokio::test]
async fn google_says_when_in_the_error_itself() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    for (status, told) in [(503, 503), (429, 429)] {
        let body = format!(
            r#"{{"error":{{"code":{status},"details":[{{"@type":"type.googleapis.com/google.rpc.Help"}},{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}}]}}}}"#
        );
        first.once(vec![Step::Send(answer(status, &[JSON], body.as_bytes()))]);
        let answer = harness.chat(CALL).await;
        assert_eq!((answer.status, answer.header("retry-after")), (told, "13"));
        assert_eq!(answer.header("x-keybearer-attempts"), "1");
        harness.advance(60_000);
    }
    // What stands in the head counts more.
    let body = br#"{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12s"}]}}"#;
    let headers = [JSON, ("retry-after", "40")];
    first.once(vec![Step::Send(answer(503, &headers, body))]);
    assert_eq!(harness.chat(CALL).await.header("retry-after"), "40");
}
