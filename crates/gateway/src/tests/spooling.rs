//! Usage that waits on the disk: the store locked, the disk full, the process dead.

use std::collections::HashMap;
use std::time::Duration;

use super::harness::{Harness, config};
use crate::Spool;
use crate::edge::EdgeConfig;

const CALL: &str = r#"{"model":"gpt-x"}"#;

#[tokio::test]
async fn a_call_that_cannot_be_kept_on_disk_is_refused_until_it_can() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    let folder = harness.folder().join("usage-spool/0");
    let away = harness.folder().join("away");
    std::fs::rename(&folder, &away).expect("moved");
    // Nobody knows yet. The row is in memory, and the store takes it.
    assert_eq!(harness.chat(CALL).await.status, 200);
    for _ in 0..3 {
        let answer = harness.chat(CALL).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "usage_unavailable")
        );
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(harness.provider.requests().len(), 1);
    std::fs::rename(&away, &folder).expect("moved");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!(harness.usage().await.len(), 2);
}

#[tokio::test]
async fn a_locked_store_loses_nothing_and_refuses_nobody() {
    const CALLS: usize = 5_000;
    let harness = std::sync::Arc::new(Harness::start().await);
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    harness.usage().await;
    let mut intruder = harness.intruder().await;
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder);
    lock.await.expect("locked");
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let harness = std::sync::Arc::clone(&harness);
        callers.spawn(async move {
            for _ in 0..CALLS / 50 {
                assert_eq!(harness.chat(CALL).await.status, 200);
            }
        });
    }
    while let Some(outcome) = callers.join_next().await {
        outcome.expect("every call was served");
    }
    let rows = || {
        let kept = walk(&harness.folder().join("usage-spool"));
        let mut bytes = 0;
        for path in kept {
            bytes += std::fs::metadata(path).map_or(0, |it| it.len());
        }
        bytes
    };
    assert!(rows() > 1_000_000, "{} bytes wait", rows());
    // The writer looks at what came ten times a second.
    let on_disk = async {
        while harness.gateway.0.books.waiting() >= 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let moved = tokio::time::timeout(Duration::from_secs(2), on_disk).await;
    moved.expect("what is too much for memory waits on the disk");
    let unlock = sqlx::query("ROLLBACK").execute(&mut intruder);
    unlock.await.expect("unlocked");
    harness.usage().await;
    let (written,): (i64,) = sqlx::query_as("SELECT count(*) FROM usage")
        .fetch_one(&mut intruder)
        .await
        .expect("rows");
    assert_eq!(written, CALLS as i64 + 1);
    assert!(rows() < 100, "{} bytes wait", rows());
}

/// How many calls got which status, one after another until `until`.
async fn calls_until(harness: &Harness, until: tokio::time::Instant) -> HashMap<u16, i64> {
    let mut counts = HashMap::new();
    while tokio::time::Instant::now() < until {
        let status = harness.chat(CALL).await.status;
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// A store that takes no usage, until it does again.
struct Outage {
    /// Whether somebody holds the database, or nothing can be written to it.
    begin: &'static str,
    end: &'static str,
    /// How long it lasts.
    ms: u64,
}

#[tokio::test]
async fn while_the_writer_catches_up_calls_go_on() {
    let locked = Outage {
        begin: "BEGIN IMMEDIATE",
        end: "ROLLBACK",
        ms: 2_000,
    };
    // Each try fails at once, and the writer waits longer and longer between two.
    let broken = Outage {
        begin: "ALTER TABLE usage RENAME TO usage_away",
        end: "ALTER TABLE usage_away RENAME TO usage",
        ms: 4_000,
    };
    for outage in [locked, broken] {
        // Few places, so that whoever is not looked after is refused soon.
        let mut config = config();
        config.limits.waiting_usage_rows = 150;
        let harness = std::sync::Arc::new(Harness::with(config, EdgeConfig::default()).await);
        harness.bring("openai").await;
        harness.provider.says("{}");
        let crowd = |ms| {
            let until = tokio::time::Instant::now() + Duration::from_millis(ms);
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let harness = std::sync::Arc::clone(&harness);
                callers.spawn(async move { calls_until(&harness, until).await });
            }
            async {
                let mut counts: HashMap<u16, i64> = HashMap::new();
                for (status, count) in callers.join_all().await.into_iter().flatten() {
                    *counts.entry(status).or_default() += count;
                }
                counts
            }
        };
        let mut intruder = harness.intruder().await;
        let begun = sqlx::query(outage.begin).execute(&mut intruder).await;
        begun.expect("begun");
        let mut counts = vec![crowd(outage.ms).await];
        let ended = sqlx::query(outage.end).execute(&mut intruder).await;
        ended.expect("ended");
        for _ in 0..2 {
            counts.push(crowd(1_000).await);
        }
        harness.usage().await;
        let written = "SELECT count(*), count(DISTINCT request_id) FROM usage WHERE status = 200";
        let written: (i64, i64) = sqlx::query_as(written)
            .fetch_one(&mut intruder)
            .await
            .expect("rows");
        let served: i64 = counts.iter().map(|it| it[&200]).sum();
        assert_eq!(written, (served, served), "{counts:?}");
        let all_served = counts.iter().all(|it| it.len() == 1);
        assert!(all_served, "{counts:?}");
    }
}

#[tokio::test]
async fn what_another_process_left_is_written_once() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let known = harness.usage().await.remove(0);
    // A process that died had settled one call that is written already and two that are not.
    let other = Spool::open(harness.folder()).expect("a spool");
    let mut rows = vec![known];
    for _ in 0..2 {
        let request = harness.sources.id().expect("random");
        rows.push(store::UsageRow {
            request,
            ..rows[0].clone()
        });
    }
    for row in &rows {
        other.append(row).expect("kept");
    }
    drop(other);
    let heir = crate::settle::recover;
    let spool = Spool::open(harness.folder()).expect("a spool");
    assert_eq!(heir(&harness.store, &spool).await.expect("written"), 3);
    assert_eq!(heir(&harness.store, &spool).await.expect("written"), 0);
    drop(spool);
    let spool = Spool::open(harness.folder()).expect("a spool");
    assert_eq!(heir(&harness.store, &spool).await.expect("written"), 0);
    rows.sort_by_key(|row| row.request);
    assert_eq!(harness.usage().await, rows);
    // While the store is away it stays, and nothing keeps the process from trying again.
    for row in &rows {
        spool.append(row).expect("kept");
    }
    drop(spool);
    harness.store.close().await;
    let spool = Spool::open(harness.folder()).expect("a spool");
    assert!(heir(&harness.store, &spool).await.is_err());
    drop(spool);
    let spool = Spool::open(harness.folder()).expect("a spool");
    assert_eq!(spool.left().expect("once").segments.len(), 1);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn usage_that_waits_for_the_store_is_synced_within_moments() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    harness.usage().await;
    let mut intruder = harness.intruder().await;
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder);
    lock.await.expect("locked");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let spool = harness.gateway.0.books.spool();
    let (waiting, ..) = spool.fill();
    assert!(waiting > 100, "{waiting}");
    tokio::time::timeout(Duration::from_secs(5), async {
        while !spool.is_synced() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("synced");
    assert_eq!(spool.fill().0, waiting, "the store does not have it yet");
    let unlock = sqlx::query("COMMIT").execute(&mut intruder);
    unlock.await.expect("unlocked");
    assert_eq!(harness.usage().await.len(), 2);
}

#[tokio::test]
async fn a_row_of_a_later_version_is_kept_for_it() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let known = harness.usage().await.remove(0);
    let record = |later: bool| {
        let request = harness.sources.id().expect("random");
        let row = store::UsageRow {
            request,
            ..known.clone()
        };
        let mut bytes = Vec::new();
        row.write_to(&mut bytes);
        if later {
            // Two more fields in its list.
            assert_eq!(bytes[..2], [0xdc, 0]);
            bytes[2] += 2;
            bytes.extend([0xc0, 0xc0]);
        }
        let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
        let sum = crc32fast::hash(&bytes).to_le_bytes();
        [&length[..], &sum, &bytes].concat()
    };
    let folder = harness.folder().join("usage-spool/1");
    std::fs::create_dir_all(&folder).expect("made");
    let left = folder.join("0000000001.rows");
    let rows = [
        &b"KBROWS2\n"[..],
        &record(false),
        &record(true),
        &record(false),
    ]
    .concat();
    std::fs::write(&left, &rows).expect("written");
    let spool = Spool::open(harness.folder()).expect("a spool");
    let recovered = crate::settle::recover(&harness.store, &spool).await;
    assert_eq!(recovered.expect("written"), 2);
    assert_eq!(harness.usage().await.len(), 3);
    let aside = left.with_extension("unreadable");
    assert_eq!(std::fs::read(&aside).expect("kept"), rows);
    drop(spool);
    // The later version finds it under its old name.
    std::fs::rename(&aside, &left).expect("renamed");
    let spool = Spool::open(harness.folder()).expect("a spool");
    assert_eq!(spool.left().expect("once").segments, [left]);
    assert_eq!(harness.usage().await.len(), 3);
}
