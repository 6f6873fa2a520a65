//! Unwrapped keys in memory: few, used for a short time, wiped when they leave.
//!
//! A data key that is too old is not used again, but leaves only when it is asked for or newer ones push it out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::record::{DataKeyRecord, SealingKeyRecord};
use domain::{DataKeyId, IdMap, RandomlyKeyed, Timestamp};
use zeroize::Zeroizing;

use crate::committed::Derived;

/// A key of 32 bytes that several tasks use at once.
pub(crate) type SharedKey = Arc<Zeroizing<[u8; 32]>>;

/// How long an unwrapped data key is used before the KMS is asked again, in milliseconds. Bounds how long
/// a key that was disabled at the KMS goes on working.
const MAX_AGE_MS: i64 = 10 * 60 * 1000;
/// How many keys each of the two generations holds.
const GENERATION_KEYS: usize = 2048;

/// An unwrapped data key, and what it gave for the envelopes that were opened with it: to derive that anew costs
/// more than to open an envelope.
pub(crate) struct DataKey {
    secret: Zeroizing<[u8; 32]>,
    derived: Mutex<HashMap<[u8; 32], Arc<Derived>, RandomlyKeyed>>,
}

/// For how many envelopes a data key remembers that; most owners have fewer. Then it begins anew.
const DERIVED: usize = 16;

impl DataKey {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self {
            secret,
            derived: Mutex::default(),
        }
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// What it gives for the envelope with this salt; always for the same `info`.
    pub(crate) fn derived(&self, info: &str, salt: &[u8; 32]) -> Arc<Derived> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = derived.get(salt) {
            return Arc::clone(known);
        }
        if derived.len() >= DERIVED {
            derived.clear();
        }
        let new = Arc::new(Derived::new(&self.secret, info, salt));
        derived.insert(*salt, Arc::clone(&new));
        new
    }
}

/// A key and the record that it was unwrapped from.
struct Held {
    record: DataKeyRecord,
    key: Arc<DataKey>,
    loaded_at: Timestamp,
}

impl Held {
    /// Everything that unwrapping checks: a record that differs in any of it is not in the cache.
    fn is_of(&self, record: &DataKeyRecord) -> bool {
        let known = &self.record;
        known.id == record.id
            && known.owner == record.owner
            && known.kms_key == record.kms_key
            && known.wrapped == record.wrapped
    }
}

type Generation = IdMap<DataKeyId, Held>;

/// Unwrapped data keys, at most 4096. When the young generation is full it becomes the old one, and the
/// former old one is dropped: a key that is used at least once per generation stays.
#[derive(Default)]
pub(crate) struct DataKeys {
    generations: Mutex<[Generation; 2]>,
}

impl DataKeys {
    pub(crate) fn get(&self, record: &DataKeyRecord, now: Timestamp) -> Option<Arc<DataKey>> {
        let mut generations = self.lock();
        let [young, old] = &mut *generations;
        // One that is too old is wiped when it is asked for.
        for generation in [&mut *young, &mut *old] {
            let stale = |held: &Held| !is_fresh(held.loaded_at, now);
            if generation.get(&record.id).is_some_and(stale) {
                generation.remove(&record.id);
            }
        }
        if let Some(held) = young.get(&record.id) {
            return held.is_of(record).then(|| Arc::clone(&held.key));
        }
        if !old.get(&record.id).is_some_and(|held| held.is_of(record)) {
            return None;
        }
        let held = old.remove(&record.id)?;
        let shared = Arc::clone(&held.key);
        insert(&mut generations, held);
        Some(shared)
    }

    pub(crate) fn put(&self, record: &DataKeyRecord, key: Arc<DataKey>, now: Timestamp) {
        let held = Held {
            record: record.clone(),
            key,
            loaded_at: now,
        };
        insert(&mut self.lock(), held);
    }

    fn lock(&self) -> MutexGuard<'_, [Generation; 2]> {
        // The map is whole after every step, so a panic elsewhere while it was held does not matter.
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(generations: &mut [Generation; 2], held: Held) {
    let [young, old] = generations;
    if young.len() >= GENERATION_KEYS {
        *old = std::mem::take(young);
    }
    young.insert(held.record.id, held);
}

/// A clock that was set back makes a key old, never young for longer.
fn is_fresh(loaded_at: Timestamp, now: Timestamp) -> bool {
    (0..MAX_AGE_MS).contains(&now.millis_since(loaded_at))
}

/// The private half of the active sealing key pair: one, or none.
#[derive(Default)]
pub(crate) struct ActiveSealingKey {
    held: Mutex<Option<(SealingKeyRecord, SharedKey)>>,
}

impl ActiveSealingKey {
    /// The key of this very record: one that was edited since is not in the cache.
    pub(crate) fn get(&self, record: &SealingKeyRecord) -> Option<SharedKey> {
        let held = self.lock();
        let (known, key) = held.as_ref()?;
        (known == record).then(|| Arc::clone(key))
    }

    /// Replaces whatever is held.
    pub(crate) fn put(&self, record: &SealingKeyRecord, key: SharedKey) {
        *self.lock() = Some((record.clone(), key));
    }

    /// Drops what is held, unless it is the key with this id.
    pub(crate) fn retain(&self, kek_id: &str) {
        self.lock().take_if(|(record, _)| record.kek_id != kek_id);
    }

    fn lock(&self) -> MutexGuard<'_, Option<(SealingKeyRecord, SharedKey)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::{KeyOwner, WorkspaceId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn record(number: u64) -> DataKeyRecord {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        DataKeyRecord {
            id: DataKeyId::from_bytes(id),
            owner: KeyOwner::Workspace(WorkspaceId::from_bytes([1; 16])),
            kms_key: "local:1".to_owned(),
            wrapped: number.to_be_bytes().to_vec(),
            created_at: NOW,
        }
    }

    fn key() -> Arc<DataKey> {
        Arc::new(DataKey::new(Zeroizing::new([1; 32])))
    }

    fn private_key() -> SharedKey {
        Arc::new(Zeroizing::new([1; 32]))
    }

    #[test]
    fn what_a_key_gives_is_remembered_for_some_envelopes() {
        let key = key();
        let first = key.derived("info", &[1; 32]);
        assert!(Arc::ptr_eq(&first, &key.derived("info", &[1; 32])));
        assert!(!Arc::ptr_eq(&first, &key.derived("info", &[2; 32])));
        for salt in 0..=255 {
            key.derived("info", &[salt; 32]);
            let held = key.derived.lock().expect("no panic").len();
            assert!(held <= DERIVED, "{held}");
        }
        // With the key it is gone.
        let weak = Arc::downgrade(&key.derived("info", &[255; 32]));
        drop(key);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = DataKeys::default();
        let used = record(u64::MAX);
        cache.put(&used, key(), NOW);
        for number in 0..20_000 {
            cache.put(&record(number), key(), NOW);
            if number % 1000 == 0 {
                assert!(cache.get(&used, NOW).is_some(), "{number}");
            }
        }
        let held: usize = cache.lock().iter().map(IdMap::len).sum();
        assert!(held <= 2 * GENERATION_KEYS, "{held}");
        assert!(cache.get(&record(0), NOW).is_none());
        assert!(cache.get(&record(19_999), NOW).is_some());
    }

    #[test]
    fn a_record_that_differs_in_anything_is_not_found() {
        let cache = DataKeys::default();
        let known = record(1);
        let changed = [
            DataKeyRecord {
                owner: KeyOwner::Workspace(WorkspaceId::from_bytes([2; 16])),
                ..known.clone()
            },
            DataKeyRecord {
                kms_key: "local:2".to_owned(),
                ..known.clone()
            },
            DataKeyRecord {
                wrapped: vec![9],
                ..known.clone()
            },
        ];
        cache.put(&known, key(), NOW);
        // In the young generation, then in the old one.
        for _ in 0..2 {
            for other in &changed {
                assert!(cache.get(other, NOW).is_none());
            }
            assert!(cache.get(&known, NOW).is_some());
            for number in 2..2 + GENERATION_KEYS as u64 {
                cache.put(&record(number), key(), NOW);
            }
        }
    }

    #[test]
    fn a_key_that_is_dropped_is_not_held_elsewhere() {
        let cache = DataKeys::default();
        let first = key();
        cache.put(&record(0), Arc::clone(&first), NOW);
        for number in 1..5000 {
            cache.put(&record(number), key(), NOW);
        }
        assert_eq!(Arc::strong_count(&first), 1);

        let sealing_key = ActiveSealingKey::default();
        let sealing = |kek_id: &str| SealingKeyRecord {
            kek_id: kek_id.to_owned(),
            public_key: [0; 32],
            wrapped_private: Vec::new(),
            created_at: NOW,
            expires_at: NOW,
        };
        let first = private_key();
        sealing_key.put(&sealing("a"), Arc::clone(&first));
        sealing_key.put(&sealing("b"), private_key());
        assert_eq!(Arc::strong_count(&first), 1);
        sealing_key.put(&sealing("a"), Arc::clone(&first));
        sealing_key.retain("b");
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn an_old_key_is_gone_in_both_generations() {
        let cache = DataKeys::default();
        let first = key();
        cache.put(&record(0), Arc::clone(&first), NOW);
        let late = NOW.plus_millis(MAX_AGE_MS);
        assert!(cache.get(&record(0), late.plus_millis(-1)).is_some());
        assert!(cache.get(&record(0), late).is_none());
        assert_eq!(Arc::strong_count(&first), 1, "it is wiped");
        cache.put(&record(0), key(), NOW);
        for number in 1..3000 {
            cache.put(&record(number), key(), NOW);
        }
        assert!(cache.get(&record(0), late).is_none());
    }
}
