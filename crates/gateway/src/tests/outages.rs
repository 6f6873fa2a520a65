//! The database away, the queue full, time passing.

use std::time::Duration;

use domain::access::ApiScope;
use tokio::io::AsyncWriteExt;

use super::Log;
use super::harness::{Harness, KEY, config};
use crate::edge::EdgeConfig;

const CALL: &str = r#"{"model":"gpt-x"}"#;

#[tokio::test]
async fn known_callers_are_served_for_a_bounded_time_while_the_store_is_away() {
    let mut config = config();
    config.max_staleness_ms = 1_500;
    let mut harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    let known = harness.api_key.clone();
    let unknown = harness.mint(&[ApiScope::InferenceInvoke]).await.1;
    harness
        .store
        .poll_changes()
        .await
        .expect("the store answers");
    assert_eq!(harness.chat(CALL).await.status, 200);
    harness.store.close().await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    harness.api_key = unknown;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "store_unavailable")
    );
    assert_eq!(answer.header("retry-after"), "1");
    harness.api_key = known;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "store_unavailable")
    );
}

#[tokio::test]
async fn a_view_that_is_too_old_is_read_anew_while_the_store_answers() {
    let mut config = config();
    config.max_staleness_ms = 1;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(harness.chat(CALL).await.status, 200);
}

#[tokio::test]
async fn a_call_that_cannot_be_metered_is_refused() {
    // T140
    let mut config = config();
    config.limits.waiting_usage_rows = 1;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "usage_unavailable")
    );
    assert_eq!(harness.provider.requests().len(), 1);
    // Once somebody writes, calls are served again.
    harness.gateway.spawn_jobs();
    assert_eq!(harness.usage().await.len(), 1);
    assert_eq!(harness.chat(CALL).await.status, 200);
}

#[tokio::test]
async fn an_expired_api_key_is_refused_by_the_clock_alone() {
    // T101
    let mut harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    let end = harness.sources.now().plus_millis(60_000);
    harness.api_key = harness
        .mint_until(&[ApiScope::InferenceInvoke], Some(end))
        .await
        .1;
    harness.advance(59_000);
    assert_eq!(harness.chat(CALL).await.status, 200);
    // Nothing was changed in the store and the caller is in memory.
    harness.advance(1_000);
    assert_eq!(harness.chat(CALL).await.status, 401);
}

#[tokio::test]
async fn many_calls_at_once_are_all_written() {
    let harness = std::sync::Arc::new(Harness::start().await);
    harness.bring("openai").await;
    harness.provider.says("{}");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let harness = std::sync::Arc::clone(&harness);
        calls.spawn(async move { harness.chat(CALL).await.status });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.expect("no panic"), 200);
    }
    assert_eq!(harness.usage().await.len(), 60);
}

#[tokio::test]
async fn no_row_is_lost_while_another_locks_the_database() {
    // A try of the writer waits 5 seconds for the lock; this takes more than four of them.
    const LOCKED: Duration = Duration::from_millis(21_500);
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!(harness.usage().await.len(), 1);
    let mut intruder = harness.intruder().await;
    let lock = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut intruder);
    lock.await.expect("locked");
    let release_at = tokio::time::Instant::now() + LOCKED;
    for _ in 0..20 {
        assert_eq!(harness.chat(CALL).await.status, 200);
    }
    tokio::time::sleep_until(release_at).await;
    let release = sqlx::raw_sql("ROLLBACK").execute(&mut intruder);
    release.await.expect("released");
    assert_eq!(harness.usage().await.len(), 21);
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_lost_alone() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    let rule = "CREATE UNIQUE INDEX one_of_a_kind ON usage (workspace_id) WHERE status = 404";
    let mut intruder = harness.intruder().await;
    sqlx::raw_sql(rule)
        .execute(&mut intruder)
        .await
        .expect("ruled");
    let unknown = r#"{"model":"unheard-of"}"#;
    assert_eq!(harness.chat(unknown).await.status, 404);
    assert_eq!(harness.usage().await.len(), 1);
    for call in [CALL, unknown, CALL, unknown, CALL] {
        harness.chat(call).await;
    }
    let statuses: Vec<i64> = harness.usage().await.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [404, 200, 200, 200]);
}

#[tokio::test]
async fn a_cold_burst_of_one_caller_reads_it_once() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let plane = std::sync::Arc::clone(&harness.gateway.0);
    let hash = plane
        .hasher
        .hash(vault::HashPurpose::ApiKey, harness.api_key.as_bytes());
    let now = harness.sources.now();
    let mut burst = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let plane = std::sync::Arc::clone(&plane);
        burst.spawn(async move { plane.snapshot.find(&hash, now).await });
    }
    while let Some(found) = burst.join_next().await {
        let caller = found.expect("no panic").expect("the store answers");
        assert_eq!(caller.expect("a caller").record.keys.len(), 1);
    }
    assert_eq!(plane.snapshot.reads(), 1);
    // A change in between: what was read before it serves nobody.
    harness.bring("anthropic").await;
    let caller = plane.snapshot.find(&hash, now).await;
    let caller = caller.expect("the store answers").expect("a caller");
    assert_eq!(caller.record.keys.len(), 2);
    assert_eq!(plane.snapshot.reads(), 2);
}

#[tokio::test]
async fn the_instances_rules_are_read_once_until_they_change_and_kept_for_an_outage() {
    let mut config = config();
    config.max_staleness_ms = 1_000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    let plane = std::sync::Arc::clone(&harness.gateway.0);
    let burst = || async {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let plane = std::sync::Arc::clone(&plane);
            burst.spawn(async move { plane.snapshot.instance().await });
        }
        let mut seen = Vec::new();
        while let Some(found) = burst.join_next().await {
            let instance = found.expect("no panic").expect("the store answers");
            seen.push(instance.record.settings.held_output_tokens);
        }
        seen
    };
    assert_eq!(burst().await, [None; 50]);
    assert_eq!(plane.snapshot.reads(), 1);
    harness
        .settings(|settings| settings.held_output_tokens = Some(7))
        .await;
    assert_eq!(burst().await, [Some(7); 50]);
    assert_eq!(plane.snapshot.reads(), 2);
    // A change of one account leaves them as they are.
    harness.bring("openai").await;
    burst().await;
    assert_eq!(plane.snapshot.reads(), 2);
    harness
        .store
        .poll_changes()
        .await
        .expect("the store answers");
    harness.store.close().await;
    assert!(plane.snapshot.instance().await.is_ok());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(plane.snapshot.instance().await.is_err());
}

#[tokio::test]
async fn who_asks_after_a_change_does_not_get_what_was_read_before() {
    // T101
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let snapshot = &harness.gateway.0.snapshot;
    let hasher = &harness.gateway.0.hasher;
    let hash = hasher.hash(vault::HashPurpose::ApiKey, harness.api_key.as_bytes());
    let now = harness.sources.now();
    let mut early = std::pin::pin!(snapshot.find(&hash, now));
    // Begun, and not polled any more: a read that takes long.
    tokio::select! {
        biased;
        _ = &mut early => {}
        () = std::future::ready(()) => {}
    }
    harness.bring("anthropic").await;
    let found = tokio::time::timeout(Duration::from_secs(5), snapshot.find(&hash, now)).await;
    let caller = found.expect("it does not wait").expect("the store answers");
    assert_eq!(caller.expect("a caller").record.keys.len(), 2);
}

#[tokio::test]
async fn a_panic_in_the_middle_of_a_call_is_settled_as_ours() {
    // T71
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let plane = std::sync::Arc::clone(&harness.gateway.0);
    let hash = plane
        .hasher
        .hash(vault::HashPurpose::ApiKey, harness.api_key.as_bytes());
    let caller = plane.snapshot.find(&hash, harness.sources.now()).await;
    let caller = caller.expect("the store answers").expect("a caller");
    let call = &crate::endpoint::CALLS[0];
    let id = harness.sources.id().expect("random");
    let books = plane.books.open(
        &caller,
        call,
        id,
        tokio::time::Instant::now(),
        &harness.sources,
    );
    let settlement = books.expect("a place");
    let panicked = tokio::spawn(async move {
        let _held = settlement;
        assert!(_held.request() != id, "on purpose");
    });
    assert!(panicked.await.is_err());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.request, row.status, row.error_code.as_deref()),
        (id, 500, Some("internal_error"))
    );
}

#[tokio::test]
async fn nothing_that_is_logged_holds_a_key_a_prompt_or_an_answer() {
    // T67, T68, T70
    let (log, _heard) = Log::listen();
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let echo = format!(r#"{{"error":{{"message":"answer-words {KEY}"}}}}"#);
    let call = r#"{"model":"gpt-x","messages":"prompt-words"}"#;
    for status in [200, 400, 401, 429, 500] {
        harness.provider.answers(
            status,
            &[("content-type", "application/json")],
            echo.as_bytes(),
        );
        harness.chat(call).await;
    }
    harness.provider.script(vec![super::provider::Step::Close]);
    harness.chat(call).await;
    let mut wrong = harness.chat_request(call);
    let value = http::HeaderValue::from_str(&format!("Bearer {KEY}")).expect("a value");
    wrong.headers_mut().insert("authorization", value);
    harness.send(wrong).await;
    harness.usage().await;
    let text = log.text();
    assert_eq!(
        text.matches("served req_").count(),
        6,
        "one line for each call"
    );
    assert!(text.contains("refused req_"));
    for secret in [
        KEY,
        &KEY[8..20],
        &harness.api_key,
        "prompt-words",
        "answer-words",
    ] {
        assert!(!text.contains(secret), "{secret} was logged");
    }
}

#[tokio::test]
async fn no_failure_to_reach_a_provider_tells_the_query_or_the_key() {
    // T70
    const QUERY: &str = "query-words-0123";
    let (log, _heard) = Log::listen();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let refuses = closed.local_addr().expect("an address");
    drop(closed);
    // A queue of connections that nobody accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent
        .local_addr()
        .map(|at| (silent, at))
        .expect("an address");
    // One that answers a greeting of TLS with something else.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let plain = plain.expect("a port");
    let no_tls = plain.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            // Whoever is gone needs no answer.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await;
        }
    });
    let mut said = Vec::new();
    let mut rows = String::new();
    for (at, status, code) in [
        (format!("http://{refuses}"), None, "upstream_unreachable"),
        (format!("https://{no_tls}"), None, "upstream_unreachable"),
        (format!("https://{}", silent.1), None, "upstream_timeout"),
        (format!("http://{}", silent.1), None, "upstream_timeout"),
        (
            "http://{plain}".to_owned(),
            Some(500),
            "upstream_bad_gateway",
        ),
        ("http://{plain}".to_owned(), Some(302), "upstream_redirect"),
    ] {
        let mut config = super::harness::config();
        if code == "upstream_timeout" {
            config.timeouts.first_byte_ms = 300;
            config.timeouts.connect_ms = 300;
        }
        let harness = Harness::with(config, crate::edge::EdgeConfig::default()).await;
        let plain = harness.provider.address.to_string();
        let mut record = harness.record("openai", "one").await;
        record.context.base_url = format!("{}/base", at.replace("{plain}", &plain));
        record.envelope = harness.seal(KEY, &record).await;
        harness.put(&record).await;
        let location = format!("http://{refuses}/?again={QUERY}");
        harness.provider.answers(
            status.unwrap_or(200),
            &[("location", location.as_str())],
            b"",
        );
        let path = format!("/providers/openai/files?limit=2&token={QUERY}");
        let answer = harness.get(&path).await;
        let all = format!("{:?} {:?}", answer.headers, answer.body);
        rows.push_str(&format!("{:?}", harness.usage().await));
        for secret in [QUERY, KEY, &harness.api_key] {
            assert!(!all.contains(secret), "{at}: {all}");
            assert!(!rows.contains(secret), "{at}: {secret} is in a row");
        }
        said.push((at, answer.code(), code.to_owned()));
    }
    assert!(said.iter().all(|(_, said, code)| said == code), "{said:?}");
    let text = log.text();
    assert_eq!(text.matches("served req_").count(), said.len(), "{text}");
    for secret in [QUERY, KEY, &KEY[8..20]] {
        assert!(!text.contains(secret), "{secret} was logged");
    }
}
