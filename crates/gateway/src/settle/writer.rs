//! The task that writes the queue to the store.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use domain::key::FailureKind;
use domain::{ApiKeyId, ProviderKeyId, Timestamp};
use store::{Store, StoreError, UsageRow};
use tokio::sync::oneshot;

use super::{Message, Queue, Settled};

/// How many rows one transaction takes.
const BATCH: usize = 256;
/// While the store is away, so many rows are taken out of the queue at most.
const MOST: usize = 2048;
/// How long the writer waits between two tries, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The store keeps the time of the last use to about a minute.
const USED_EVERY_MS: i64 = 60_000;

/// Where rows are written: the store, or in tests a script.
pub(super) trait Ledger {
    /// Writes all of them or none; a row that is there already counts as written.
    fn insert(&self, rows: &[UsageRow]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Ledger for Store {
    async fn insert(&self, rows: &[UsageRow]) -> Result<(), StoreError> {
        self.serving().insert_usage(rows).await
    }
}

/// Writes until the queue is closed and empty.
pub(crate) async fn write(store: Store, mut queue: Queue) {
    let mut marks = Marks::default();
    let mut messages = Vec::new();
    while queue.recv_many(&mut messages, BATCH).await > 0 {
        let mut waiting = Waiting::default();
        let mut rows = Vec::new();
        sort_out(&mut messages, &mut rows, &mut marks, &mut waiting);
        let mut pause = PAUSE;
        loop {
            write_some(&store, &mut rows).await;
            if rows.is_empty() {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            while rows.len() < MOST
                && let Ok(message) = queue.try_recv()
            {
                messages.push(message);
            }
            sort_out(&mut messages, &mut rows, &mut marks, &mut waiting);
        }
        // An error in either: nobody waits any more.
        for row in waiting.rows {
            let _ = row.send(());
        }
        marks.write(&store).await;
        for all in waiting.all {
            let _ = all.send(());
        }
    }
}

/// Who waits for a row, and who for everything.
#[derive(Default)]
struct Waiting {
    rows: Vec<oneshot::Sender<()>>,
    all: Vec<oneshot::Sender<()>>,
}

fn sort_out(
    messages: &mut Vec<Message>,
    rows: &mut Vec<UsageRow>,
    marks: &mut Marks,
    waiting: &mut Waiting,
) {
    for message in messages.drain(..) {
        match message {
            Message::Settled(settled, tell) => {
                marks.note(&settled);
                rows.push(settled.row);
                waiting.rows.extend(tell);
            }
            Message::Flush(done) => waiting.all.push(done),
        }
    }
}

/// Tries the rows once and leaves those that must be tried again.
///
/// An outage is never a row's fault: the batch stays whole, since single tries would each wait for the store.
pub(super) async fn write_some(ledger: &impl Ledger, rows: &mut Vec<UsageRow>) {
    match ledger.insert(rows).await {
        Ok(()) => rows.clear(),
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::warn!(%error, rows = rows.len(), "usage rows wait for the store");
        }
        Err(error) => {
            tracing::warn!(%error, rows = rows.len(), "usage rows are refused together and tried alone");
            *rows = one_by_one(ledger, std::mem::take(rows)).await;
        }
    }
}

/// Writes what can be written and returns what must be tried again.
///
/// A row that is refused twice, the second time after another was written, is lost, loudly: it would hold up
/// all others forever.
async fn one_by_one(ledger: &impl Ledger, rows: Vec<UsageRow>) -> Vec<UsageRow> {
    let mut refused = Vec::new();
    let mut written = 0_usize;
    let mut rows = rows.into_iter();
    while let Some(row) = rows.next() {
        match ledger.insert(std::slice::from_ref(&row)).await {
            Ok(()) => written += 1,
            Err(StoreError::Unavailable(_)) => {
                refused.push(row);
                refused.extend(rows);
                return refused;
            }
            Err(_) => refused.push(row),
        }
    }
    let mut kept = Vec::new();
    let mut rows = refused.into_iter();
    while let Some(row) = rows.next() {
        match ledger.insert(std::slice::from_ref(&row)).await {
            Ok(()) => written += 1,
            Err(StoreError::Unavailable(_)) => {
                kept.push(row);
                kept.extend(rows);
                return kept;
            }
            Err(error) if written > 0 => {
                tracing::error!(
                    %error,
                    request.id = %row.request,
                    "the usage of {} cannot be written and is lost", row.request
                );
            }
            Err(_) => kept.push(row),
        }
    }
    kept
}

/// What is noted of keys beside the rows: worth one try, not a queue.
#[derive(Default)]
struct Marks {
    /// When a use was last written.
    written: HashMap<Key, Timestamp>,
    used: HashMap<Key, Timestamp>,
    failed: HashMap<ProviderKeyId, (i64, Timestamp, FailureKind)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Ours(ApiKeyId),
    Theirs(ProviderKeyId),
}

impl Marks {
    fn note(&mut self, settled: &Settled) {
        let row = &settled.row;
        self.note_use(Key::Ours(row.api_key), row.at);
        for ((key, version), kind) in &settled.failed {
            self.failed.insert(*key, (*version, row.at, *kind));
        }
        if let Some(key) = settled.used {
            self.note_use(Key::Theirs(key), row.at);
        }
    }

    fn note_use(&mut self, key: Key, at: Timestamp) {
        let fresh = self
            .written
            .get(&key)
            .is_some_and(|last| (0..USED_EVERY_MS).contains(&at.millis_since(*last)));
        if !fresh {
            self.used.insert(key, at);
        }
    }

    async fn write(&mut self, store: &Store) {
        let mut theirs = Vec::new();
        let mut ours = Vec::new();
        let mut away = false;
        for (key, at) in self.used.drain() {
            match key {
                Key::Theirs(key) => theirs.push((key, at)),
                Key::Ours(key) => ours.push((key, at)),
            }
        }
        if !(theirs.is_empty() && ours.is_empty()) {
            match store.serving().mark_used(&theirs, &ours).await {
                Ok(()) => {
                    let theirs = theirs.into_iter().map(|(key, at)| (Key::Theirs(key), at));
                    let ours = ours.into_iter().map(|(key, at)| (Key::Ours(key), at));
                    self.written.extend(theirs.chain(ours));
                }
                Err(error) => {
                    tracing::warn!(%error, "the last use of keys was not noted");
                    away = matches!(error, StoreError::Unavailable(_));
                }
            }
        }
        let newest = self.written.values().max().copied();
        if let Some(newest) = newest {
            self.written
                .retain(|_, at| newest.millis_since(*at) < USED_EVERY_MS);
        }
        // While the store is away each try takes seconds and rows may be waiting: the rest has its turn later.
        while !away && let Some(key) = self.failed.keys().next().copied() {
            let Some((version, at, kind)) = self.failed.remove(&key) else {
                break;
            };
            let noted = store.serving().mark_failure(key, version, at, kind).await;
            if let Err(error) = noted {
                tracing::warn!(%error, provider_key.id = %key, "a failure of {key} was not noted");
                away = matches!(error, StoreError::Unavailable(_));
            }
        }
    }
}
