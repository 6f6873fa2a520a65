//! Which rows are tried how, against a scripted store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use domain::RequestId;
use store::{StoreError, UsageRow};

use super::writer::{Ledger, write_some};
use crate::tests::usage_row;

/// What a scripted store does and has seen.
#[derive(Default)]
struct Script(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// For each of the next calls, whether the store is away; afterwards it answers.
    away: VecDeque<bool>,
    /// How many more times a row is refused.
    refusals: HashMap<RequestId, usize>,
    /// How many rows each call carried.
    calls: Vec<usize>,
    written: Vec<RequestId>,
}

impl Script {
    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn calls(&self) -> Vec<usize> {
        self.with(|seen| std::mem::take(&mut seen.calls))
    }
}

impl Ledger for Script {
    async fn insert(&self, rows: &[UsageRow]) -> Result<(), StoreError> {
        self.with(|seen| {
            seen.calls.push(rows.len());
            if seen.away.pop_front() == Some(true) {
                return Err(sqlx::Error::PoolTimedOut.into());
            }
            for row in rows {
                if let Some(left @ 1..) = seen.refusals.get_mut(&row.request) {
                    *left -= 1;
                    return Err(StoreError::Conflict("it exists already"));
                }
            }
            seen.written.extend(rows.iter().map(|row| row.request));
            Ok(())
        })
    }
}

fn id(number: u8) -> RequestId {
    RequestId::from_bytes([number; 16])
}

fn rows(numbers: &[u8]) -> Vec<UsageRow> {
    let row = |number: &u8| usage_row(id(*number));
    numbers.iter().map(row).collect()
}

fn ids(rows: &[UsageRow]) -> Vec<RequestId> {
    rows.iter().map(|row| row.request).collect()
}

#[tokio::test]
async fn an_outage_is_tried_with_the_whole_batch_only() {
    let script = Script::default();
    script.with(|seen| seen.away = [true; 5].into());
    let mut waiting = rows(&[1, 2, 3]);
    for _ in 0..5 {
        write_some(&script, &mut waiting).await;
        assert_eq!(waiting.len(), 3);
    }
    write_some(&script, &mut waiting).await;
    assert!(waiting.is_empty());
    assert_eq!(script.calls(), [3; 6]);
    assert_eq!(
        script.with(|seen| seen.written.clone()),
        [id(1), id(2), id(3)]
    );
}

#[tokio::test]
async fn an_outage_during_single_tries_ends_them_and_loses_nothing() {
    // The first pass, and the second over what was refused.
    for (away_at, left, calls) in [(3, &[2, 3, 4][..], 4), (5, &[2][..], 6)] {
        let script = Script::default();
        script.with(|seen| {
            seen.refusals.insert(id(2), usize::MAX);
            seen.away = (0..=away_at).map(|call| call == away_at).collect();
        });
        let mut waiting = rows(&[1, 2, 3, 4]);
        write_some(&script, &mut waiting).await;
        assert_eq!(ids(&waiting), ids(&rows(left)));
        assert_eq!(script.calls().len(), calls);
    }
}

#[tokio::test]
async fn a_refused_row_is_lost_only_once_another_was_written() {
    let script = Script::default();
    script.with(|seen| {
        seen.refusals.insert(id(1), usize::MAX);
        seen.refusals.insert(id(2), usize::MAX);
    });
    let mut waiting = rows(&[1, 2]);
    for _ in 0..3 {
        write_some(&script, &mut waiting).await;
        assert_eq!(ids(&waiting), [id(1), id(2)]);
    }
    waiting.extend(rows(&[3]));
    write_some(&script, &mut waiting).await;
    assert!(waiting.is_empty());
    assert_eq!(script.with(|seen| seen.written.clone()), [id(3)]);
}

#[tokio::test]
async fn a_row_that_is_refused_alone_once_is_tried_again() {
    let script = Script::default();
    // Once in the batch, once alone.
    script.with(|seen| seen.refusals.insert(id(1), 2));
    let mut waiting = rows(&[1, 2]);
    write_some(&script, &mut waiting).await;
    assert!(waiting.is_empty());
    assert_eq!(script.with(|seen| seen.written.clone()), [id(2), id(1)]);
    assert_eq!(script.calls(), [2, 1, 1, 1]);
}
