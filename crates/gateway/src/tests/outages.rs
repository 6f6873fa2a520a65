//! The database away, the queue full, time passing.

use std::time::Duration;

use domain::access::ApiScope;

use super::harness::{Harness, config};
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
