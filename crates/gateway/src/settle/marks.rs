//! What the end of a call says of its keys: when they were last used, and that a provider did not accept one.

use domain::key::FailureKind;
use domain::{ApiKeyId, IdMap, ProviderKeyId, Timestamp};
use store::{Store, StoreError};

use super::Settled;

/// The store keeps the time of the last use to about a minute.
const USED_EVERY_MS: i64 = 60_000;

/// What is noted of keys beside the rows. It is worth one try.
#[derive(Default)]
pub(super) struct Marks {
    /// When a use was last written.
    written: IdMap<Key, Timestamp>,
    used: IdMap<Key, Timestamp>,
    failed: IdMap<ProviderKeyId, (i64, Timestamp, FailureKind)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Ours(ApiKeyId),
    Theirs(ProviderKeyId),
}

impl Marks {
    pub(super) fn note(&mut self, settled: &Settled) {
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

    /// Writes what was noted.
    pub(super) async fn write(&mut self, store: &Store) {
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
