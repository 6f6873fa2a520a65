//! A second attempt beside a slow first one: who wins, who pays, and when there is none.

use std::time::{Duration, Instant};

use domain::price::Pricing;
use domain::{KeyOwner, NanoUsd};
use http::Method;

use super::client::Answer;
use super::harness::{Harness, config};
use super::payer::{CALL, CHARGE, JSON, PRICE, REPORT, STREAM, managed_with, price};
use super::provider::{Provider, Step, answer, chunk};
use crate::edge::EdgeConfig;

const AFTER: Duration = Duration::from_millis(150);
const FIRST: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
/// The input of [`CALL`]: 32 bytes are 8 tokens.
const INPUT: i64 = 8 * 3_000;

fn says(status: u16, body: &str) -> Step {
    Step::Send(answer(status, &[JSON], body.as_bytes()))
}

fn slow(millis: u64, status: u16) -> Vec<Step> {
    vec![
        Step::Wait(Duration::from_millis(millis)),
        says(status, REPORT),
    ]
}

impl Harness {
    async fn hedges(&self) {
        let after_ms = u32::try_from(AFTER.as_millis()).expect("few");
        self.policy(|policy| policy.hedge_after_ms = Some(after_ms))
            .await;
    }
}

/// A workspace that hedges, with two own keys.
async fn two() -> (Harness, Provider, Provider) {
    two_with(config()).await
}

async fn two_with(config: crate::GatewayConfig) -> (Harness, Provider, Provider) {
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness
        .settings(|settings| settings.prices = vec![price("openai", "*", PRICE)])
        .await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.says(REPORT);
    second.says(REPORT);
    harness.hedges().await;
    (harness, first, second)
}

fn served(answer: &Answer) -> (u16, &str, &str) {
    let header = |name| answer.header(name);
    (
        answer.status,
        header("x-keybearer-key-label"),
        header("x-keybearer-attempts"),
    )
}

/// The outcome and status of each attempt of the newest row.
async fn attempts(harness: &Harness) -> Vec<(String, Option<i64>)> {
    let row = harness.usage().await.pop().expect("a row");
    let each = row.attempts.into_iter();
    each.map(|it| (it.outcome, it.status)).collect()
}

fn is(outcome: &str, status: Option<i64>) -> (String, Option<i64>) {
    (outcome.to_owned(), status)
}

/// Waits until the provider has so many requests.
async fn asked(provider: &Provider, hits: usize) {
    let waiting = async {
        while provider.hits() < hits {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waiting = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    waiting.expect("it is asked");
}

#[tokio::test]
async fn a_slow_provider_is_waited_for_unless_the_workspace_says_otherwise() {
    let (harness, first, second) = two().await;
    harness.policy(|policy| policy.hedge_after_ms = None).await;
    first.script(slow(500, 200));
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "1"));
    assert_eq!(second.hits(), 0);
    // One that answers in time is not joined either.
    harness.hedges().await;
    first.says(REPORT);
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "1"));
    tokio::time::sleep(2 * AFTER).await;
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn the_hedge_wins_and_the_first_attempt_is_cancelled_at_once() {
    let (harness, first, second) = two().await;
    first.script(vec![Step::Gate]);
    let begun = Instant::now();
    assert_eq!(served(&harness.chat(CALL).await), (200, "two", "2"));
    assert!(begun.elapsed() >= AFTER);
    assert!(first.hung_up_within(Duration::from_secs(2)).await);
    assert_eq!((first.hits(), second.hits()), (1, 1));
    let expected = [is("cancelled", None), is("ok", Some(200))];
    assert_eq!(attempts(&harness).await, expected);
    let row = harness.usage().await.pop().expect("a row");
    // The call costs what the one that served reported; what the other may be billed for stands beside it.
    assert_eq!(row.cost, Some(NanoUsd::new(CHARGE)));
    assert_eq!(row.pricing, Some(Pricing::Priced));
    assert_eq!(row.attempts[0].cost, Some(NanoUsd::new(INPUT)));
    assert_eq!(row.attempts[1].cost, None);
    assert!(row.attempts[0].latency_ms >= 150);
    assert_eq!(
        row.key_label.map(|it| it.to_string()).as_deref(),
        Some("two")
    );
    // To be slow is no failure: it comes first again.
    for _ in 0..3 {
        first.says(REPORT);
        assert_eq!(served(&harness.chat(CALL).await), (200, "one", "1"));
    }
}

#[tokio::test]
async fn the_first_attempt_may_still_win_and_the_hedge_is_cancelled_at_once() {
    let (harness, first, second) = two().await;
    first.script(slow(400, 200));
    second.script(vec![Step::Gate]);
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "2"));
    assert!(second.hung_up_within(Duration::from_secs(2)).await);
    let expected = [is("ok", Some(200)), is("cancelled", None)];
    assert_eq!(attempts(&harness).await, expected);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.attempts[1].cost, Some(NanoUsd::new(INPUT)));
    // What a provider says of the request is the client's, as ever.
    first.script(slow(400, 400));
    assert_eq!(served(&harness.chat(CALL).await).0, 400);
    let expected = [is("upstream_rejected", Some(400)), is("cancelled", None)];
    assert_eq!(attempts(&harness).await, expected);
}

#[tokio::test]
async fn a_hedge_outlives_the_first_attempt_as_the_retry_that_it_is() {
    let (harness, first, second) = two().await;
    first.script(slow(1_000, 503));
    second.script(slow(2_000, 200));
    assert_eq!(served(&harness.chat(CALL).await), (200, "two", "2"));
    let expected = [is("provider_error", Some(503)), is("ok", Some(200))];
    assert_eq!(attempts(&harness).await, expected);
    assert_eq!((first.hits(), second.hits()), (1, 1));
}

#[tokio::test]
async fn a_hedge_that_does_not_succeed_leaves_the_first_attempt_alone() {
    let (harness, first, second) = two().await;
    for (status, outcome) in [
        (400, "upstream_rejected"),
        (401, "invalid_key"),
        (503, "provider_error"),
    ] {
        first.script(slow(400, 200));
        second.fails(status);
        assert_eq!(served(&harness.chat(CALL).await), (200, "one", "2"));
        let expected = [is("ok", Some(200)), is(outcome, Some(i64::from(status)))];
        assert_eq!(attempts(&harness).await, expected);
    }
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.upstream_status, row.status), (Some(200), 200));
    assert_eq!(row.key_label, row.attempts[0].label);
    // A redirect would be told at once if nobody else was under way.
    second.answers(302, &[("location", "/x")], b"");
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "2"));
}

#[tokio::test]
async fn when_both_fail_the_rules_go_on_after_two_attempts() {
    let (harness, first, second) = two().await;
    let (_, third) = harness.own("three", |key| key.position = 2).await;
    third.says(REPORT);
    first.script(slow(1_000, 503));
    second.script(slow(2_000, 429));
    assert_eq!(served(&harness.chat(CALL).await), (200, "three", "3"));
    let expected = [
        is("provider_error", Some(503)),
        is("rate_limited", Some(429)),
        is("ok", Some(200)),
    ];
    assert_eq!(attempts(&harness).await, expected);
    // What failed last is asked once more, where the rules say so; and a call has one hedge.
    harness.advance(60_000);
    second.once(slow(2_000, 503));
    second.script(slow(400, 200));
    assert_eq!(served(&harness.chat(CALL).await), (200, "two", "3"));
    assert_eq!(third.hits(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_takes_both_attempts_along() {
    let (harness, first, second) = two().await;
    first.script(vec![Step::Gate]);
    second.script(vec![Step::Gate]);
    let waiting = harness.open(harness.chat_request(CALL));
    let given_up = tokio::time::timeout(4 * AFTER, waiting).await;
    assert!(given_up.is_err());
    for provider in [&first, &second] {
        assert!(provider.hung_up_within(Duration::from_secs(2)).await);
        assert_eq!(provider.hits(), 1);
    }
    let expected = [is("client_closed", None), is("client_closed", None)];
    assert_eq!(attempts(&harness).await, expected);
    assert_eq!(harness.usage().await.len(), 1);
}

#[tokio::test]
async fn a_stream_is_hedged_until_its_first_output() {
    let (harness, first, second) = two().await;
    let prelude = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    first.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(prelude)),
        Step::Gate,
    ]);
    second.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(FIRST)),
        Step::Send(chunk(DONE)),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    let call = r#"{"model":"gpt-x","stream":true}"#;
    let answer = harness.chat(call).await;
    assert_eq!(served(&answer), (200, "two", "2"));
    assert!(answer.body.starts_with(FIRST.as_bytes()));
    assert!(first.hung_up_within(Duration::from_secs(2)).await);
    // From the first output on nothing is sent elsewhere.
    first.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(FIRST)),
        Step::Wait(3 * AFTER),
        Step::Send(chunk(DONE)),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    assert_eq!(served(&harness.chat(call).await), (200, "one", "1"));
    assert_eq!(second.hits(), 1);
}

#[tokio::test]
async fn the_next_model_of_a_list_may_be_the_hedge() {
    let harness = Harness::start().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    harness.hedges().await;
    let google = Provider::start().await;
    google.says("{}");
    let owner = KeyOwner::Workspace(harness.workspace);
    let record = harness.record_of(owner, "google", "other", &google).await;
    harness.put(&record).await;
    openai.script(vec![Step::Gate]);
    let call = r#"{"model":"gpt-x","models":["gemini-y"]}"#;
    let answer = harness.chat(call).await;
    assert_eq!(served(&answer), (200, "other", "2"));
    assert_eq!(answer.header("x-keybearer-model"), "gemini-y");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model.as_deref(), Some("gemini-y"));
    assert_eq!(row.provider.as_ref().map(|it| it.as_str()), Some("google"));
}

#[tokio::test]
async fn nobody_else_pays_for_slowness() {
    // Credits, the account's own key, and a key that its owner keeps for when everything else failed.
    for other in ["credits", "account", "last resort"] {
        let harness = Harness::start().await;
        harness
            .settings(|settings| {
                settings.prices = vec![price("openai", "*", PRICE)];
                settings.managed_hedging_allowed = true;
            })
            .await;
        harness.consents().await;
        harness.hedges().await;
        let (_, first) = harness.own("one", |_| {}).await;
        first.script(slow(500, 200));
        let upstream = match other {
            "credits" => harness.platform("openai").await.1,
            "account" => {
                let upstream = Provider::start().await;
                let owner = KeyOwner::Account(harness.account);
                let record = harness.record_of(owner, "openai", "mine", &upstream).await;
                harness.put(&record).await;
                upstream
            }
            _ => harness.own("resort", |key| key.fallback = true).await.1,
        };
        upstream.says(REPORT);
        assert_eq!(served(&harness.chat(CALL).await), (200, "one", "1"));
        assert_eq!(upstream.hits(), 0, "{other}");
        // They come when it failed.
        first.fails(429);
        assert_eq!(harness.chat(CALL).await.status, 200);
        assert_eq!(upstream.hits(), 1, "{other}");
    }
}

#[tokio::test]
async fn credits_pay_for_the_winner_alone_and_only_where_the_instance_allows_it() {
    // T137
    let (harness, first, _) = managed_with(config()).await;
    let (_, second) = harness.platform("openai").await;
    second.says(REPORT);
    harness.hedges().await;
    for provider in [&first, &second] {
        provider.script(slow(400, 200));
    }
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.header("x-keybearer-attempts"), "1");
    harness
        .settings(|settings| settings.managed_hedging_allowed = true)
        .await;
    for provider in [&first, &second] {
        provider.script(vec![Step::Gate, says(200, REPORT)]);
    }
    for hedge_wins in [true, false] {
        let before = harness.credits().await.available;
        let hits = (first.hits(), second.hits());
        let deciding = async {
            // The keys of the instance take turns.
            while (first.hits(), second.hits()) == hits {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let one_is_first = first.hits() > hits.0;
            asked(&first, hits.0 + 1).await;
            asked(&second, hits.1 + 1).await;
            match one_is_first != hedge_wins {
                true => first.open(1),
                false => second.open(1),
            }
        };
        let (answer, ()) = tokio::join!(harness.chat(CALL), deciding);
        assert_eq!(
            (answer.status, answer.header("x-keybearer-attempts")),
            (200, "2")
        );
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.charge, NanoUsd::new(CHARGE));
        let outcomes = row.attempts.iter().map(|it| it.outcome.as_str());
        let expected = match hedge_wins {
            true => ["cancelled", "ok"],
            false => ["ok", "cancelled"],
        };
        assert!(outcomes.eq(expected));
        let after = harness.credits().await;
        assert_eq!(before.minus(after.available), NanoUsd::new(CHARGE));
        assert_eq!(after.reserved, NanoUsd::ZERO);
    }
    let check = harness.store.system().check_ledger().await;
    assert_eq!(check.expect("read"), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_that_has_effects_is_sent_once() {
    let (harness, first, second) = two().await;
    first.script(slow(400, 200));
    let send = async |path: &str, body: &str| {
        let answer = harness
            .send(harness.request(Method::POST, path, body))
            .await;
        answer.header("x-keybearer-attempts").to_owned()
    };
    for (path, body) in [
        ("/v1/responses", r#"{"model":"gpt-x","input":"hi"}"#),
        (
            "/v1/responses",
            r#"{"model":"gpt-x","input":"hi","store":false,"previous_response_id":"r"}"#,
        ),
        ("/v1/chat/completions", r#"{"model":"gpt-x","store":true}"#),
        ("/providers/openai/base/anything", "{}"),
        ("/v1/files", "{}"),
        ("/v1/batches", "{}"),
    ] {
        send(path, body).await;
        assert_eq!(second.hits(), 0, "{path} {body}");
    }
    let stateless = r#"{"model":"gpt-x","input":"hi","store":false}"#;
    second.script(vec![Step::Gate]);
    assert_eq!(send("/v1/responses", stateless).await, "2");
}

#[tokio::test]
async fn hedges_are_few_in_the_long_run_and_never_with_a_key_that_sleeps() {
    let (harness, first, second) = two().await;
    first.script(slow(1_000, 200));
    second.script(vec![Step::Gate]);
    for _ in 0..14 {
        assert_eq!(harness.chat(CALL).await.status, 200);
    }
    // Ten repeats are there at first, one more comes with five attempts.
    assert!((10..=13).contains(&second.hits()), "{}", second.hits());
    let (harness, first, second) = two().await;
    second.fails(429);
    first.script(slow(1_000, 200));
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "2"));
    assert_eq!(served(&harness.chat(CALL).await), (200, "one", "1"));
    assert_eq!(second.hits(), 1);
}

#[tokio::test]
async fn a_hedged_call_is_one_call_and_its_body_is_held_once() {
    const BYTES: usize = 512 * 1024;
    let mut config = config();
    config.limits.calls_per_key = 1;
    let (harness, first, second) = two_with(config).await;
    let free = || harness.gateway.0.body_memory.available_permits();
    let all = free();
    // A name that is written otherwise for the provider makes a text of its own, and that is counted.
    for (model, copies) in [("gpt-x", 1), ("openai/gpt-x", 2)] {
        first.script(vec![Step::Gate, says(200, REPORT)]);
        second.script(vec![Step::Gate]);
        let hits = (first.hits(), second.hits());
        let call = format!(r#"{{"model":"{model}","user":"{}"}}"#, "x".repeat(BYTES));
        let calling = harness.chat(&call);
        let looking = async {
            asked(&first, hits.0 + 1).await;
            let alone = all - free();
            asked(&second, hits.1 + 1).await;
            let both = all - free();
            first.open(1);
            (alone, both)
        };
        let (answer, (alone, both)) = tokio::join!(calling, looking);
        assert_eq!(served(&answer), (200, "one", "2"));
        let kib = BYTES / 1024;
        assert!((kib..kib + 16).contains(&alone), "{alone}");
        assert!(
            (copies * kib..copies * (kib + 16)).contains(&both),
            "{both}"
        );
        assert_eq!(free(), all);
    }
}
