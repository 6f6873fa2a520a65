//! What follows a failed attempt, row by row.

use std::time::Duration;

use domain::key::FailureKind;
use domain::policy::Mode;

use super::harness::Harness;
use super::provider::{Step, answer, chunk};

const CALL: &str = r#"{"model":"gpt-x"}"#;
const FIRST: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const JSON: (&str, &str) = ("content-type", "application/json");

fn status(status: u16) -> Vec<Step> {
    vec![Step::Send(answer(status, &[JSON], br#"{"error":{}}"#))]
}

/// The attempts of the newest row: label, status and outcome of each.
async fn attempts(harness: &Harness) -> Vec<(String, Option<i64>, String)> {
    let row = harness.usage().await.pop().expect("a row");
    let name = |label: Option<domain::Label>| label.map_or(String::new(), |it| it.to_string());
    let each = row.attempts.into_iter();
    each.map(|it| (name(it.label), it.status, it.outcome))
        .collect()
}

fn tried(attempts: &[(&str, u16, &str)]) -> Vec<(String, Option<i64>, String)> {
    let each = attempts.iter().copied();
    let own = |(label, status, outcome): (&str, u16, &str)| {
        let status = (status > 0).then_some(i64::from(status));
        (label.to_owned(), status, outcome.to_owned())
    };
    each.map(own).collect()
}

#[tokio::test]
async fn a_limited_key_is_followed_by_the_next_one_and_sleeps() {
    let harness = Harness::start().await;
    let (one, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.fails(429);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
    let expected = tried(&[("one", 429, "rate_limited"), ("two", 200, "ok")]);
    assert_eq!(attempts(&harness).await, expected);
    let failure = harness.stored(&one).await.last_failure.expect("noted");
    assert_eq!(failure.1, FailureKind::RateLimited);
    let probe = harness.gateway.probe();
    assert!(probe.sleeping_until(one.context.key, 1).is_some());
    assert_eq!(probe.sleeping_until(one.context.key, 2), None);
    // While it sleeps it is passed by.
    assert_eq!(harness.chat(CALL).await.header("x-keybearer-attempts"), "1");
    assert_eq!((first.hits(), second.hits()), (1, 2));
    // Awake again it comes first, and one success forgets everything.
    harness.advance(1_000);
    first.says("{}");
    for _ in 0..2 {
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.header("x-keybearer-key-label"), "one");
    }
    assert_eq!(probe.sleeping_until(one.context.key, 1), None);
}

#[tokio::test]
async fn a_key_sleeps_as_long_as_the_provider_says_and_one_call_tries_it_then() {
    let harness = Harness::start().await;
    let (one, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.answers(429, &[JSON, ("retry-after", "30")], b"{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let probe = harness.gateway.probe();
    let until = probe.sleeping_until(one.context.key, 1).expect("it sleeps");
    assert_eq!(until.millis_since(harness.sources.now()), 30_000);
    harness.advance(30_000);
    first.script(vec![Step::Gate, Step::Send(answer(429, &[JSON], b"{}"))]);
    let trying = harness.chat(CALL);
    let others = async {
        while first.hits() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..3 {
            let answer = harness.chat(CALL).await;
            assert_eq!(answer.header("x-keybearer-key-label"), "two");
            assert_eq!(answer.header("x-keybearer-attempts"), "1");
        }
        first.open(1);
    };
    let (answer, ()) = tokio::join!(trying, others);
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
    assert_eq!((first.hits(), second.hits()), (2, 5));
    // It failed on trial and sleeps on.
    assert!(probe.sleeping_until(one.context.key, 1).is_some());
}

#[tokio::test]
async fn when_all_keys_are_limited_the_client_is_told_so_and_none_is_lost() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let words = br#"{"error":{"message":"slow down","code":"c"}}"#;
    first.answers(429, &[JSON, ("retry-after", "9")], words);
    second.answers(429, &[JSON, ("retry-after", "7")], words);
    let refused = harness.chat(CALL).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "c"));
    assert_eq!(refused.header("retry-after"), "7");
    assert_eq!(refused.header("x-keybearer-attempts"), "2");
    // Both sleep; the one that wakes first is tried all the same.
    second.says("{}");
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!((first.hits(), second.hits()), (1, 2));
}

#[tokio::test]
async fn a_failing_provider_is_asked_once_more_with_the_same_key_then_with_the_next() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.once(status(503));
    assert_eq!(harness.chat(CALL).await.status, 200);
    let expected = tried(&[("one", 503, "provider_error"), ("one", 200, "ok")]);
    assert_eq!(attempts(&harness).await, expected);
    assert_eq!(second.hits(), 0);
    for (steps, status, outcome) in [
        (status(500), 500, "provider_error"),
        (status(504), 504, "provider_error"),
        (vec![Step::Close], 0, "unreachable"),
    ] {
        first.once(steps.clone());
        first.once(steps);
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.header("x-keybearer-key-label"), "two");
        let expected = [
            ("one", status, outcome),
            ("one", status, outcome),
            ("two", 200, "ok"),
        ];
        assert_eq!(attempts(&harness).await, tried(&expected));
        // Two in a row put it to sleep; here it wakes.
        harness.advance(60_000);
    }
}

#[tokio::test]
async fn a_key_that_is_turned_away_is_followed_by_the_next_and_stays_awake() {
    let harness = Harness::start().await;
    let (one, first) = harness.own("one", |_| {}).await;
    harness.own("two", |key| key.position = 1).await;
    for (status, kind) in [
        (401, FailureKind::InvalidKey),
        (402, FailureKind::NoQuota),
        (403, FailureKind::NoPermission),
    ] {
        first.fails(status);
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.header("x-keybearer-key-label"), "two");
        let expected = [("one", status, kind.as_str()), ("two", 200, "ok")];
        assert_eq!(attempts(&harness).await, tried(&expected));
        let failure = harness.stored(&one).await.last_failure.expect("noted");
        assert_eq!(failure.1, kind);
    }
    assert_eq!(first.hits(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_at_once() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    for status in [400, 404, 409, 413, 422] {
        first.fails(status);
        assert_eq!(harness.chat(CALL).await.status, status);
    }
    first.answers(302, &[("location", "/x")], b"");
    assert_eq!(harness.chat(CALL).await.code(), "upstream_redirect");
    first.answers(200, &[("content-type", "text/html")], b"<html>");
    assert_eq!(harness.chat(CALL).await.code(), "upstream_invalid_response");
    assert_eq!((first.hits(), second.hits()), (7, 0));
}

#[tokio::test]
async fn a_provider_in_trouble_does_not_get_twice_the_load() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.fails(503);
    for _ in 0..30 {
        assert_eq!(harness.chat(CALL).await.code(), "upstream_unavailable");
    }
    // Ten repeats are there at first, one more comes with five attempts.
    assert!((40..=46).contains(&provider.hits()), "{}", provider.hits());
}

#[tokio::test]
async fn nothing_follows_the_first_byte() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    first.script(vec![
        Step::Send(head.into()),
        Step::Send(chunk(FIRST)),
        Step::Wait(Duration::from_millis(20)),
        Step::Close,
    ]);
    let answer = harness.chat(r#"{"model":"gpt-x","stream":true}"#).await;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(body.starts_with(FIRST) && body.contains("upstream_broken"));
    assert_eq!((first.hits(), second.hits()), (1, 0));
}

#[tokio::test]
async fn when_all_keys_failed_each_attempt_is_listed_and_the_caller_is_not_blamed() {
    let harness = Harness::start().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.fails(401);
    second.fails(503);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_credentials_exhausted")
    );
    let own = |label: &str, status: u16, kind: &str| {
        serde_json::json!({
            "provider": "openai", "label": label, "key_source": "byok", "status": status, "kind": kind,
        })
    };
    let expected = serde_json::json!([
        own("one", 401, "invalid_key"),
        own("two", 503, "provider_error"),
        own("two", 503, "provider_error"),
    ]);
    assert_eq!(answer.json()["error"]["attempts"], expected);
    assert_eq!(answer.header("x-keybearer-attempts"), "3");
    // Another try may help where a provider failed; none helps where all keys are turned away.
    assert_eq!(answer.header("x-should-retry"), "");
    second.fails(403);
    assert_eq!(harness.chat(CALL).await.header("x-should-retry"), "false");
}

#[tokio::test]
async fn one_call_makes_at_most_eight_attempts() {
    let harness = Harness::start().await;
    for at in 0..10 {
        let record = harness.record("openai", &format!("key-{at}")).await;
        harness.put(&record).await;
    }
    harness.provider.fails(401);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.code(), "upstream_credentials_exhausted");
    assert_eq!(harness.provider.hits(), 8);
}

#[tokio::test]
async fn keys_of_one_level_take_turns_and_others_do_not() {
    let harness = Harness::start().await;
    for label in ["a", "b", "c"] {
        harness.own(label, |key| key.level = Some(1)).await;
    }
    let (_, last) = harness.own("d", |_| {}).await;
    let mut labels = Vec::new();
    for _ in 0..6 {
        let answer = harness.chat(CALL).await;
        labels.push(answer.header("x-keybearer-key-label").to_owned());
    }
    assert_eq!(labels, ["a", "b", "c", "a", "b", "c"]);
    assert_eq!(last.hits(), 0);
    let plain = Harness::start().await;
    for label in ["a", "b"] {
        plain.own(label, |_| {}).await;
    }
    for _ in 0..3 {
        let answer = plain.chat(CALL).await;
        assert_eq!(answer.header("x-keybearer-key-label"), "a");
    }
}

#[tokio::test]
async fn the_rest_of_a_pool_shares_the_load_of_a_key_that_sleeps() {
    let harness = Harness::start().await;
    let mut upstreams = Vec::new();
    for label in ["a", "b", "c"] {
        upstreams.push(harness.own(label, |key| key.level = Some(1)).await.1);
    }
    upstreams[0].answers(429, &[JSON, ("retry-after", "100")], b"{}");
    let mut labels = Vec::new();
    for _ in 0..5 {
        let answer = harness.chat(CALL).await;
        labels.push(answer.header("x-keybearer-key-label").to_owned());
    }
    assert_eq!(upstreams[0].hits(), 1);
    assert!((2..=3).contains(&upstreams[1].hits()), "{labels:?}");
    assert!((2..=3).contains(&upstreams[2].hits()), "{labels:?}");
}

#[tokio::test]
async fn a_key_that_does_not_open_is_followed_by_own_keys_and_never_by_credits() {
    let harness = Harness::start().await;
    harness.consents().await;
    harness
        .settings(|settings| settings.unpriced_managed = domain::settings::Unpriced::CountTokens)
        .await;
    let (_, platform) = harness.platform("openai").await;
    let broken = |key: &mut domain::record::ProviderKeyRecord| {
        let last = key.envelope.len() - 1;
        key.envelope[last] ^= 1;
    };
    harness.own("one", broken).await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "key_unreadable")
    );
    assert_eq!(platform.hits(), 0);
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!((second.hits(), platform.hits()), (1, 0));
}

#[tokio::test]
async fn a_key_for_the_last_resort_waits_for_everything_else() {
    let harness = Harness::start().await;
    harness.consents().await;
    harness
        .settings(|settings| settings.unpriced_managed = domain::settings::Unpriced::CountTokens)
        .await;
    let (_, platform) = harness.platform("openai").await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, resort) = harness.own("resort", |key| key.fallback = true).await;
    first.fails(429);
    platform.fails(500);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "resort");
    assert_eq!(answer.header("x-keybearer-attempts"), "4");
    assert_eq!((platform.hits(), resort.hits()), (2, 1));
    // Without credits it is next in turn: no balance blocks an own key.
    harness.has_credits(0).await;
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "resort");
    assert_eq!((platform.hits(), resort.hits()), (2, 2));
    harness.mode(Mode::Byok).await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!(platform.hits(), 2);
}

#[tokio::test]
async fn two_hundred_calls_while_a_key_is_replaced_use_the_old_or_the_new_value_and_none_fails() {
    let harness = std::sync::Arc::new(Harness::start().await);
    let old = harness.bring("openai").await;
    harness.provider.says("{}");
    let mut calls = tokio::task::JoinSet::new();
    let mut spawn = |count: u64| {
        for at in 0..count {
            let harness = std::sync::Arc::clone(&harness);
            calls.spawn(async move {
                tokio::time::sleep(Duration::from_millis(at)).await;
                harness.chat(CALL).await.status
            });
        }
    };
    spawn(150);
    // Some have left with the old value, and some begin after the new one is there.
    while harness.provider.requests().len() < 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let new = harness
        .replace(&old, "sk-test-another-key-0123456789")
        .await;
    assert_eq!(new.context.version, 2);
    spawn(50);
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.expect("no panic"), 200);
    }
    let used = |key: &str| {
        let presented = format!("authorization: Bearer {key}\r\n");
        let requests = harness.provider.requests();
        let with = requests
            .iter()
            .filter(|(head, _)| head.contains(&presented));
        with.count()
    };
    let (before, after) = (
        used(super::harness::KEY),
        used("sk-test-another-key-0123456789"),
    );
    assert_eq!(before + after, 200);
    assert!(before > 0 && after > 0, "{before} and {after}");
    // From the moment on at which the change is there, every call uses the new value.
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!(used("sk-test-another-key-0123456789"), after + 1);
}
