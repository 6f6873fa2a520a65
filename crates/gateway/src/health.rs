//! How provider keys fare: which of them sleep after failures, and when they are tried again.
//!
//! A key that was told 429, or that failed twice in a row otherwise, sleeps: calls try every other key of theirs
//! first. When it wakes, one call tries it; success forgets everything, failure doubles the sleep. No failure
//! keeps a key from being tried when nothing else is left, so none disables it for ever. In memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ProviderKeyId, Timestamp};

/// A key and the version of its value: a new value begins awake.
pub(crate) type KeyVersion = (ProviderKeyId, i64);

/// What is known of the keys that failed lately. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Mutex<HashMap<KeyVersion, State>>>);

#[derive(Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// How often it was put to sleep in a row.
    sleeps: u32,
    /// Until when it sleeps; `None`: it is awake and failed once.
    until: Option<Timestamp>,
    /// Whether a call tries it after its sleep.
    tried: bool,
}

/// Why a key failed, as far as its sleep is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strain {
    /// Too many requests. `retry_after_ms`: as the provider said.
    Limited { retry_after_ms: Option<i64> },
    /// The provider failed or did not answer.
    Failed { retry_after_ms: Option<i64> },
}

/// The one call that tries a key after its sleep. Dropped without a verdict it leaves the trial to the next.
pub(crate) struct Trial {
    health: Health,
    key: KeyVersion,
}

/// At most so many keys are remembered; beyond that they count as awake.
const MAX_KEYS: usize = 10_000;
/// The bounds of a sleep that the provider names.
const NAMED_MS: std::ops::RangeInclusive<i64> = 1_000..=300_000;
/// The first sleep of its own measure, doubled each time, and the longest.
const FIRST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 60_000;
/// So many failures in a row, other than 429, put a key to sleep.
const PATIENCE: u32 = 2;

impl State {
    fn asleep(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not lengthen a sleep.
        self.until
            .filter(|until| (1..=*NAMED_MS.end()).contains(&until.millis_since(now)))
    }
}

impl Health {
    /// Puts the keys that sleep behind the others, those that wake first before those that wake later, and leaves
    /// the order of the rest to `arrange`. The trial is for the first one, if it has just woken.
    pub(crate) fn line_up<T>(
        &self,
        line: Vec<T>,
        key: impl Fn(&T) -> KeyVersion,
        now: Timestamp,
        arrange: impl FnOnce(&mut Vec<T>),
    ) -> (Vec<T>, Option<Trial>) {
        let mut states = self.lock();
        let (mut awake, mut asleep) = (Vec::new(), Vec::new());
        for item in line {
            let state = states.get(&key(&item));
            // While somebody tries it, it is as good as asleep.
            let until = state.and_then(|it| it.asleep(now).or(it.tried.then_some(now)));
            match until {
                None => awake.push(item),
                Some(until) => asleep.push((until, item)),
            }
        }
        arrange(&mut awake);
        asleep.sort_by_key(|(until, _)| *until);
        awake.extend(asleep.into_iter().map(|(_, item)| item));
        let first = awake.first().map(&key);
        let trial = first.and_then(|key| {
            let state = states.get_mut(&key)?;
            let woken = state.until.is_some() && state.asleep(now).is_none() && !state.tried;
            state.tried |= woken;
            woken.then(|| Trial {
                health: self.clone(),
                key,
            })
        });
        (awake, trial)
    }

    /// The provider answered a call with this key.
    pub(crate) fn succeeded(&self, key: KeyVersion) {
        self.lock().remove(&key);
    }

    /// A call with this key failed.
    pub(crate) fn failed(&self, key: KeyVersion, strain: Strain, now: Timestamp) {
        let mut states = self.lock();
        if states.len() >= MAX_KEYS && !states.contains_key(&key) {
            states.retain(|_, state| state.asleep(now).is_some());
            if states.len() >= MAX_KEYS {
                return;
            }
        }
        let state = states.entry(key).or_default();
        state.tried = false;
        state.failures = state.failures.saturating_add(1);
        let (named, patient) = match strain {
            Strain::Limited { retry_after_ms } => (retry_after_ms, false),
            Strain::Failed { retry_after_ms } => {
                // One that fails when it is tried after a sleep goes back to sleep at once.
                let patient = state.until.is_none() && state.failures < PATIENCE;
                (retry_after_ms, patient && retry_after_ms.is_none())
            }
        };
        if patient || state.asleep(now).is_some() && named.is_none() {
            return;
        }
        let own = FIRST_MS << state.sleeps.min(6);
        let millis = match named {
            Some(named) => named.clamp(*NAMED_MS.start(), *NAMED_MS.end()),
            None => own.min(LONGEST_MS),
        };
        state.sleeps = state.sleeps.saturating_add(1);
        state.until = Some(now.plus_millis(millis));
    }

    /// Until when this key sleeps; `None`: it is awake.
    pub(crate) fn sleeping_until(&self, key: KeyVersion, now: Timestamp) -> Option<Timestamp> {
        self.lock().get(&key)?.asleep(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyVersion, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(state) = self.health.lock().get_mut(&self.key) {
            state.tried = false;
        }
    }
}

#[cfg(test)]
mod tests;
