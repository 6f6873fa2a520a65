//! Credits are held for each managed call, and each hold ends once.

use std::sync::Arc;
use std::time::Duration;

use domain::NanoUsd;
use http_body_util::BodyExt;
use store::{NewHold, Reservation, UsageRow};

use super::harness::{Harness, config};
use super::payer::{CALL, CHARGE, HOLD, JSON, REPORT, STREAM, managed, managed_with};
use super::provider::{Step, answer, chunk};

async fn newest(harness: &Harness) -> UsageRow {
    harness.usage().await.pop().expect("a row")
}

#[tokio::test]
async fn a_call_that_is_refused_takes_nothing_and_releases_what_was_held() {
    let (harness, openai, _) = managed().await;
    let before = harness.credits().await;
    for status in [400, 401, 429, 500] {
        openai.fails(status);
        assert_ne!(harness.chat(CALL).await.status, 200);
    }
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.charge == NanoUsd::ZERO));
    assert_eq!(harness.credits().await, before);
}

#[tokio::test]
async fn parallel_calls_cannot_hold_more_than_there_is() {
    let (harness, openai, _) = managed().await;
    harness.has_credits(3 * HOLD + 1).await;
    openai.script(vec![
        Step::Gate,
        Step::Send(answer(200, &[JSON], REPORT.as_bytes())),
    ]);
    let harness = Arc::new(harness);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let harness = Arc::clone(&harness);
        calls.spawn(async move { harness.chat(CALL).await });
    }
    let mut refused = 0;
    while refused < 7 {
        let answer = calls.join_next().await.expect("a call").expect("no panic");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (402, "credits_exhausted")
        );
        let error = answer.json()["error"].clone();
        assert_eq!(error["needed"]["nano_usd"], HOLD);
        assert_eq!(error["scope"], "account");
        assert!(
            error["available"]["nano_usd"]
                .as_i64()
                .is_some_and(|it| it < HOLD)
        );
        assert_eq!(error["resets_at"], serde_json::Value::Null);
        refused += 1;
    }
    assert_eq!(harness.credits().await.reserved.nanos(), 3 * HOLD);
    openai.open(3);
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.expect("no panic").status, 200);
    }
    assert_eq!(openai.hits(), 3);
    let after = harness.credits().await;
    assert_eq!(after.reserved, NanoUsd::ZERO);
    // What the calls took beyond their holds is owed.
    assert_eq!(after.available.nanos(), 3 * HOLD + 1 - 3 * CHARGE);
}

#[tokio::test]
async fn an_answer_without_a_limit_is_held_for_in_full() {
    let (harness, openai, _) = managed().await;
    harness.has_credits(1).await;
    // 20 and 17 bytes are 5 tokens of input; a limit of its own, and `n`, go before all else.
    for (settings, body, output) in [
        (None, r#"{"model":"gpt-tiny"}"#, 500),
        (None, r#"{"model":"gpt-x"}"#, 4_096),
        (Some(7), r#"{"model":"gpt-tiny"}"#, 7),
        (Some(100_000), r#"{"model":"gpt-x"}"#, 100_000),
        (Some(0), r#"{"model":"gpt-x"}"#, 0),
    ] {
        harness
            .settings(|it| it.held_output_tokens = settings)
            .await;
        let refused = harness.chat(body).await;
        assert_eq!(refused.code(), "credits_exhausted", "{body}");
        let needed = &refused.json()["error"]["needed"]["nano_usd"];
        assert_eq!(*needed, 5 * 3_000 + output * 15_000, "{settings:?} {body}");
    }
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn managed_calls_stop_while_the_store_is_away_and_own_keys_go_on() {
    let mut config = config();
    config.max_staleness_ms = 60_000;
    let (harness, openai, _) = managed_with(config).await;
    harness.provider.says(REPORT);
    harness.bring("openai").await;
    harness.consents().await;
    assert_eq!(
        harness.chat(CALL).await.header("x-keybearer-key-source"),
        "byok"
    );
    harness.usage().await;
    harness.store.close().await;
    assert_eq!(
        harness.chat(CALL).await.header("x-keybearer-key-source"),
        "byok"
    );
    harness.provider.fails(429);
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "store_unavailable")
    );
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn calls_of_a_process_that_died_are_settled_by_the_next_one() {
    let (harness, _, _) = managed().await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    let row = newest(&harness).await;
    let before = harness.credits().await.available;
    let serving = harness.store.serving();
    for forwarded in [false, true] {
        let request = harness.sources.id().expect("random");
        let hold = NewHold {
            request,
            node: "another".to_owned(),
            amount: NanoUsd::new(HOLD),
            overuse: domain::credits::Overuse::Block,
            row: UsageRow {
                request,
                ..row.clone()
            },
            interrupted: NanoUsd::new(8 * 3_000),
            fallback_cap: None,
        };
        let held = serving.reserve(&hold, harness.sources.now()).await;
        assert_eq!(held.expect("the store answers"), Reservation::Reserved);
        if forwarded {
            serving.mark_forwarded(request).await.expect("marked");
        }
    }
    assert_eq!(harness.gateway.reap_others().await.expect("read"), 2);
    let after = harness.credits().await;
    assert_eq!(before.minus(after.available).nanos(), 8 * 3_000);
    assert_eq!(after.reserved, NanoUsd::ZERO);
}

#[tokio::test]
async fn a_running_call_is_known_to_the_store_as_forwarded_and_as_ours() {
    let (harness, openai, _) = managed().await;
    openai.script(vec![
        Step::Gate,
        Step::Send(answer(200, &[JSON], REPORT.as_bytes())),
    ]);
    let calling = harness.chat(CALL);
    let looking = async {
        let mut intruder = harness.intruder().await;
        while openai.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Before the provider got it, so that no death in between makes it free.
        let held: (i64, String, i64) =
            sqlx::query_as("SELECT forwarded, node, interrupted FROM credit_holds")
                .fetch_one(&mut intruder)
                .await
                .expect("held");
        assert_eq!(held.0, 1);
        assert_eq!(held.1, harness.gateway.0.node);
        let (lease,): (i64,) = sqlx::query_as("SELECT lease_until FROM nodes WHERE id = $1")
            .bind(&harness.gateway.0.node)
            .fetch_one(&mut intruder)
            .await
            .expect("we have a lease");
        assert!(lease > harness.sources.now().millis());
        // If we died now, the input would be charged.
        assert_eq!(held.2, 8 * 3_000);
        // Our own calls are not reaped.
        assert_eq!(harness.gateway.reap_others().await.expect("read"), 0);
        openai.open(1);
    };
    let looking = tokio::time::timeout(Duration::from_secs(10), looking);
    let (answer, looked) = tokio::join!(calling, looking);
    looked.expect("in time");
    assert_eq!(answer.status, 200);
    assert_eq!(newest(&harness).await.charge.nanos(), CHARGE);
}

#[tokio::test]
async fn the_row_of_a_call_whose_process_died_says_which_attempt_ran() {
    let (harness, openai, _) = managed().await;
    harness.provider.fails(429);
    let own = harness.bring("openai").await;
    harness.consents().await;
    openai.script(vec![
        Step::Gate,
        Step::Send(answer(200, &[JSON], REPORT.as_bytes())),
    ]);
    let dying = async {
        while openai.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut intruder = harness.intruder().await;
        let gone = "UPDATE credit_holds SET node = 'gone' WHERE forwarded = 1";
        loop {
            let moved = sqlx::query(gone).execute(&mut intruder).await;
            if moved.expect("changed").rows_affected() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(harness.gateway.reap_others().await.expect("read"), 1);
        openai.open(1);
    };
    let dying = tokio::time::timeout(Duration::from_secs(10), dying);
    let (_, died) = tokio::join!(harness.chat(CALL), dying);
    died.expect("in time");
    let row = newest(&harness).await;
    assert_eq!(row.error_code.as_deref(), Some("interrupted"));
    let said: Vec<_> = row
        .attempts
        .iter()
        .map(|it| (it.outcome.as_str(), it.key_source.as_str(), it.status))
        .collect();
    assert_eq!(
        said,
        [
            ("rate_limited", "byok", Some(429)),
            ("interrupted", "managed", None)
        ]
    );
    let (tried, ran) = (&row.attempts[0], &row.attempts[1]);
    assert_eq!(tried.key, Some(own.context.key));
    assert_eq!((ran.key, ran.label.as_ref()), (row.key, None));
    assert_eq!((ran.model.as_str(), ran.latency_ms), ("gpt-x", 0));
}

#[tokio::test]
async fn the_end_of_a_managed_answer_waits_for_its_row_for_a_while() {
    let (harness, openai, _) = managed().await;
    let pieces = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
        "data: [DONE]\n\n",
    ];
    openai.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(pieces[0])),
        Step::Gate,
        Step::Send(chunk(pieces[1])),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    let call = r#"{"model":"gpt-x","stream":true}"#;
    let mut body = harness.open(harness.chat_request(call)).await.into_body();
    let first = body.frame().await.expect("more").expect("whole");
    assert_eq!(first.into_data().expect("data"), pieces[0]);
    let mut intruder = harness.intruder().await;
    let lock = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut intruder);
    lock.await.expect("locked");
    openai.open(1);
    let next = tokio::time::timeout(Duration::from_millis(500), body.frame()).await;
    assert!(next.is_err(), "the last event passed before its row");
    let release = sqlx::raw_sql("ROLLBACK").execute(&mut intruder);
    release.await.expect("released");
    let next = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    let next = next.expect("in time").expect("more").expect("whole");
    assert_eq!(next.into_data().expect("data"), pieces[1]);
    assert_eq!(harness.credits().await.reserved, NanoUsd::ZERO);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_is_held_for_leaves_nothing_held() {
    let (harness, openai, _) = managed().await;
    let before = harness.credits().await;
    let mut intruder = harness.intruder().await;
    let lock = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut intruder);
    lock.await.expect("locked");
    let waiting = harness.open(harness.chat_request(CALL));
    let given_up = tokio::time::timeout(Duration::from_millis(300), waiting).await;
    assert!(given_up.is_err());
    // So that the edge has seen that the client is gone.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let release = sqlx::raw_sql("ROLLBACK").execute(&mut intruder);
    release.await.expect("released");
    // The row comes only after the hold was there.
    let settled = async {
        while harness.gateway.0.books.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(10), settled).await;
    settled.expect("in time");
    let row = newest(&harness).await;
    assert_eq!((row.status, row.charge), (499, NanoUsd::ZERO));
    assert_eq!(harness.credits().await, before);
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn an_answer_is_let_go_when_its_row_cannot_be_written_and_the_row_is_not_lost() {
    let (harness, openai, _) = managed().await;
    openai.script(vec![
        Step::Gate,
        Step::Send(answer(200, &[JSON], REPORT.as_bytes())),
    ]);
    let calling = harness.chat(CALL);
    let locking = async {
        while openai.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // So that it is noted that the call has left.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut intruder = harness.intruder().await;
        let lock = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut intruder);
        lock.await.expect("locked");
        openai.open(1);
        (intruder, tokio::time::Instant::now())
    };
    let (answer, (mut intruder, locked_at)) = tokio::join!(calling, locking);
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (200, REPORT.as_bytes())
    );
    let waited = locked_at.elapsed();
    assert!(waited > Duration::from_millis(4_900), "{waited:?}");
    let release = sqlx::raw_sql("ROLLBACK").execute(&mut intruder);
    release.await.expect("released");
    assert_eq!(newest(&harness).await.charge.nanos(), CHARGE);
    assert_eq!(harness.credits().await.reserved, NanoUsd::ZERO);
}
