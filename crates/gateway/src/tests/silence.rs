//! A provider that takes a request and says nothing: who is asked next, and what is told of who was not.

use std::time::{Duration, Instant};

use domain::KeyOwner;
use domain::access::Action;
use domain::key::FailureKind;
use domain::policy::KeySource;
use http_body_util::BodyExt;

use super::harness::{Harness, config};
use super::payer::{PRICE, REPORT, paid, price};
use super::provider::{Provider, Step};
use crate::GatewayConfig;
use crate::edge::EdgeConfig;

const CALL: &str = r#"{"model":"gpt-x","max_tokens":2}"#;
const SOON: Duration = Duration::from_secs(5);

/// A harness where the head of an answer, and the call as a whole, may take so long.
async fn with(first_byte_ms: u64, total_ms: u64) -> Harness {
    let mut config: GatewayConfig = config();
    config.timeouts.first_byte_ms = first_byte_ms;
    config.timeouts.total_ms = total_ms;
    Harness::with(config, EdgeConfig::default()).await
}

/// The label, status and outcome of each attempt of the newest row.
async fn attempts(harness: &Harness) -> Vec<(String, Option<i64>, String)> {
    let row = harness.usage().await.pop().expect("a row");
    let label = |it: Option<domain::Label>| it.map_or(String::new(), |it| it.to_string());
    let each = row.attempts.into_iter();
    each.map(|it| (label(it.label), it.status, it.outcome))
        .collect()
}

fn own(label: &str, status: Option<i64>, outcome: &str) -> (String, Option<i64>, String) {
    (label.to_owned(), status, outcome.to_owned())
}

/// How often credits stood in for an own key, as the audit log has it.
async fn noted(harness: &Harness) -> usize {
    let scope = harness.scope(Action::ReadAudit).await;
    let page = store::PageRequest {
        limit: 100,
        after: None,
    };
    let within = harness.store.within(&scope);
    let audit = within.audit(&store::AuditFilter::default(), &page).await;
    let audit = audit.expect("read").items.into_iter();
    audit
        .filter(|row| row.action == "provider_key.managed_fallback")
        .count()
}

/// The same with an own key, consent to credits where it fails, and the provider that they would pay.
async fn consenting(first_byte_ms: u64, total_ms: u64) -> (Harness, Provider) {
    let harness = with(first_byte_ms, total_ms).await;
    harness
        .settings(|settings| settings.prices = vec![price("openai", "gpt-*", PRICE)])
        .await;
    let (_, platform) = harness.platform("openai").await;
    platform.says(REPORT);
    harness.bring("openai").await;
    harness.consents().await;
    (harness, platform)
}

#[tokio::test]
async fn a_silent_provider_is_followed_by_the_next_key_and_not_asked_again() {
    let harness = with(300, 60_000).await;
    let (one, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.script(vec![Step::Gate]);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
    assert_eq!((first.hits(), second.hits()), (1, 1));
    let expected = [own("one", None, "unreachable"), own("two", Some(200), "ok")];
    assert_eq!(attempts(&harness).await, expected);
    // It failed, as far as its sleep is concerned.
    assert_eq!(harness.chat(CALL).await.status, 200);
    let probe = harness.gateway.probe();
    assert!(probe.sleeping_until(one.context.key, 1).is_some());
    let failure = harness.stored(&one).await.last_failure;
    assert_ne!(failure.map(|it| it.1), Some(FailureKind::Unreachable));
}

#[tokio::test]
async fn a_silent_provider_is_followed_by_the_next_model() {
    let harness = with(300, 60_000).await;
    let (_, openai) = harness.own("one", |_| {}).await;
    let google = Provider::start().await;
    google.says("{}");
    let owner = KeyOwner::Workspace(harness.workspace);
    let record = harness.record_of(owner, "google", "other", &google).await;
    harness.put(&record).await;
    openai.script(vec![Step::Gate]);
    let answer = harness
        .chat(r#"{"model":"gpt-x","models":["gemini-y"]}"#)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-keybearer-model"), "gemini-y");
    assert_eq!((openai.hits(), google.hits()), (1, 1));
}

#[tokio::test]
async fn a_silent_provider_leaves_time_for_the_others() {
    // The head may take as long as the whole.
    let harness = with(2_000, 2_000).await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.script(vec![Step::Gate]);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-key-label")),
        (200, "two")
    );
    // Who is alone has all of it.
    second.script(vec![
        Step::Wait(Duration::from_millis(1_300)),
        Step::Send(super::provider::answer(
            200,
            &[("content-type", "application/json")],
            b"{}",
        )),
    ]);
    first.fails(401);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-key-label")),
        (200, "two")
    );
}

#[tokio::test]
async fn silence_is_bounded_by_the_time_of_the_whole_call() {
    let harness = with(400, 1_000).await;
    let mut providers = Vec::new();
    for position in 0..6 {
        let (_, provider) = harness
            .own(&format!("key-{position}"), |key| key.position = position)
            .await;
        provider.script(vec![Step::Gate]);
        providers.push(provider);
    }
    let begun = Instant::now();
    let answer = tokio::time::timeout(SOON, harness.chat(CALL)).await;
    let answer = answer.expect("in time");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(answer.code(), "upstream_credentials_exhausted");
    let hits: usize = providers.iter().map(Provider::hits).sum();
    let told = answer.json()["error"]["attempts"].as_array().map(Vec::len);
    assert_eq!(told, Some(hits));
    assert!((2..=5).contains(&hits), "{hits}");
}

#[tokio::test]
async fn credits_stand_in_for_a_silent_own_key() {
    let (harness, _platform) = consenting(300, 60_000).await;
    harness.provider.script(vec![Step::Gate]);
    assert_eq!(paid(&harness.chat(CALL).await), "managed");
    let row = harness.usage().await.pop().expect("a row");
    assert!(row.fallback);
    assert_eq!((row.attempts.len(), noted(&harness).await), (2, 1));
}

#[tokio::test]
async fn credits_that_had_no_time_to_stand_in_are_neither_recorded_nor_audited() {
    // Half of it is the own key's, and the pause before the next attempt is at least 50 ms.
    let (harness, platform) = consenting(100, 100).await;
    harness.provider.says(REPORT);
    // So that none of the time goes by before the first attempt.
    harness.chat(CALL).await;
    harness.provider.script(vec![Step::Gate]);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
    assert_eq!(answer.header("x-keybearer-key-source"), "byok");
    assert_eq!(answer.header("x-keybearer-key-label"), "primary");
    assert_eq!(answer.header("x-keybearer-attempts"), "1");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.key_source, Some(KeySource::Byok));
    assert!(!row.fallback);
    assert_eq!((row.attempts.len(), platform.hits()), (1, 0));
    assert_eq!(noted(&harness).await, 0);
    assert_eq!(harness.credits().await.reserved, domain::NanoUsd::ZERO);
}

#[tokio::test]
async fn a_key_that_was_not_asked_is_not_named() {
    let harness = with(100, 100).await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    harness.chat(CALL).await;
    first.script(vec![Step::Gate]);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("x-keybearer-key-label"), "one");
    assert_eq!(answer.header("x-keybearer-attempts"), "1");
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn a_model_whose_provider_has_no_words_for_the_request_hides_no_failure_before_it() {
    let harness = Harness::start().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    harness.bring("anthropic").await;
    openai.fails(503);
    let call = r#"{"model":"gpt-x","models":["claude-x"],"n":2,"messages":[]}"#;
    let answer = harness.chat(call).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "upstream_unavailable")
    );
    assert_eq!(answer.header("x-keybearer-provider"), "openai");
    assert_eq!(answer.header("x-keybearer-key-label"), "one");
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        row.provider.as_ref().map(domain::ProviderId::as_str),
        Some("openai")
    );
    assert_eq!(row.model.as_deref(), Some("gpt-x"));
    assert_eq!(harness.provider.hits(), 0);
    // In the other order the refusal is passed by as well.
    let call = r#"{"model":"claude-x","models":["gpt-x"],"n":2,"messages":[]}"#;
    assert_eq!(harness.chat(call).await.code(), "upstream_unavailable");
}

#[tokio::test]
async fn a_refusal_before_the_first_attempt_names_no_key() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let call = r#"{"model":"claude-x","n":2,"messages":[{"role":"user","content":"hi"}]}"#;
    let refused = harness.chat(call).await;
    assert_eq!(refused.code(), "not_translatable");
    assert_eq!(refused.header("x-keybearer-provider"), "anthropic");
    assert_eq!(refused.header("x-keybearer-model"), "claude-x");
    for header in [
        "x-keybearer-key-label",
        "x-keybearer-key-source",
        "x-keybearer-attempts",
    ] {
        assert_eq!(refused.header(header), "", "{header}");
    }
}

/// Two own keys where the first provider sends this and then nothing more, and the second answers.
async fn falls_silent(sent: &str, idle_ms: u64, total_ms: u64) -> (Harness, [Provider; 2]) {
    let mut config: GatewayConfig = config();
    config.timeouts.idle_ms = idle_ms;
    config.timeouts.total_ms = total_ms;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.script(vec![Step::Send(sent.into()), Step::Gate]);
    second.says(REPORT);
    (harness, [first, second])
}

const JSON_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n";
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

#[tokio::test]
async fn silence_behind_a_head_leaves_the_turn_to_the_next_key() {
    for sent in [
        JSON_HEAD.to_owned(),
        STREAM_HEAD.to_owned(),
        format!("{STREAM_HEAD}: at work\n\n"),
    ] {
        let (harness, [first, _]) = falls_silent(&sent, 300, 60_000).await;
        let begun = Instant::now();
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.status, 200, "{sent}");
        assert_eq!(answer.header("x-keybearer-key-label"), "two");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        let tried = [
            own("one", Some(200), "upstream_timeout"),
            own("two", Some(200), "ok"),
        ];
        assert_eq!(attempts(&harness).await, tried);
        assert!(first.hung_up_soon().await);
    }
}

#[tokio::test]
async fn silence_behind_a_head_is_bounded_by_the_time_of_the_whole_call() {
    for sent in [JSON_HEAD, STREAM_HEAD] {
        let (harness, [_, second]) = falls_silent(sent, 60_000, 500).await;
        let begun = Instant::now();
        let answer = harness.chat(CALL).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (504, "upstream_timeout")
        );
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert_eq!(second.hits(), 0);
    }
}

#[tokio::test]
async fn what_has_begun_is_not_asked_of_another() {
    // Blanks, by which a provider says that it is at work, are the client's.
    let begun = format!("{JSON_HEAD} ");
    let (harness, [_, second]) = falls_silent(&begun, 300, 60_000).await;
    let cut = harness.open(harness.chat_request(CALL)).await;
    assert_eq!(cut.status(), 200);
    assert!(cut.into_body().collect().await.is_err());
    assert_eq!(second.hits(), 0);
}
