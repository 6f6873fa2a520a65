//! The task that writes the queue to the store.

use std::collections::HashMap;
use std::time::Duration;

use domain::key::FailureKind;
use domain::{ApiKeyId, ProviderKeyId, Timestamp};
use store::{Store, UsageRow};
use tokio::sync::oneshot;

use super::{Message, Queue, Settled};

/// How many rows one transaction takes.
const BATCH: usize = 256;
/// While the store is away, so many rows are taken out of the queue at most.
const MOST: usize = 2048;
/// How often a row is tried before it is dropped because others can be written and it cannot.
const TRIES: u32 = 3;
/// The store keeps the time of the last use to about a minute.
const USED_EVERY_MS: i64 = 60_000;

/// Writes until the queue is closed and empty.
pub(crate) async fn write(store: Store, mut queue: Queue) {
    let mut marks = Marks::default();
    let mut messages = Vec::new();
    while queue.recv_many(&mut messages, BATCH).await > 0 {
        let mut waiting = Vec::new();
        let mut rows = Vec::new();
        sort_out(&mut messages, &mut rows, &mut marks, &mut waiting);
        let mut pause = Duration::from_millis(50);
        let mut tries = 0;
        while !rows.is_empty() {
            tries += 1;
            if store.serving().insert_usage(&rows).await.is_ok() {
                break;
            }
            if tries >= TRIES {
                one_by_one(&store, &mut rows).await;
            }
            if rows.is_empty() {
                break;
            }
            tracing::warn!(rows = rows.len(), "usage rows wait for the store");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            while rows.len() < MOST
                && let Ok(message) = queue.try_recv()
            {
                messages.push(message);
            }
            sort_out(&mut messages, &mut rows, &mut marks, &mut waiting);
        }
        marks.write(&store).await;
        for done in waiting {
            // Nobody waits any more: nothing to tell.
            let _ = done.send(());
        }
    }
}

fn sort_out(
    messages: &mut Vec<Message>,
    rows: &mut Vec<UsageRow>,
    marks: &mut Marks,
    waiting: &mut Vec<oneshot::Sender<()>>,
) {
    for message in messages.drain(..) {
        match message {
            Message::Settled(settled) => {
                marks.note(&settled);
                rows.push(settled.row);
            }
            Message::Flush(done) => waiting.push(done),
        }
    }
}

/// Writes what can be written. A row that cannot while others can is lost, loudly: it would block the queue.
async fn one_by_one(store: &Store, rows: &mut Vec<UsageRow>) {
    let before = rows.len();
    let mut left = Vec::new();
    for row in rows.drain(..) {
        if store
            .serving()
            .insert_usage(std::slice::from_ref(&row))
            .await
            .is_err()
        {
            left.push(row);
        }
    }
    if left.len() < before {
        for row in left.drain(..) {
            tracing::error!(request.id = %row.request, "the usage of {} cannot be written and is lost", row.request);
        }
    }
    *rows = left;
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
        let (Some(key), Some(version)) = (row.key, settled.key_version) else {
            return;
        };
        if let Some(kind) = settled.key_failure {
            self.failed.insert(key, (version, row.at, kind));
        } else if matches!(row.upstream_status, Some(200..=299)) {
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
                Err(error) => tracing::warn!(%error, "the last use of keys was not noted"),
            }
        }
        let newest = self.written.values().max().copied();
        if let Some(newest) = newest {
            self.written
                .retain(|_, at| newest.millis_since(*at) < USED_EVERY_MS);
        }
        for (key, (version, at, kind)) in self.failed.drain() {
            let noted = store.serving().mark_failure(key, version, at, kind).await;
            if let Err(error) = noted {
                tracing::warn!(%error, provider_key.id = %key, "a failure of {key} was not noted");
            }
        }
    }
}
