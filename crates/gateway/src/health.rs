//! How provider keys fare: which of them sleep after failures, and when they are tried again.
//!
//! A key that was told 429 sleeps for the model of that call, since providers limit models apart; one that failed
//! twice in a row otherwise sleeps for all of them. Calls try every other key of theirs first. When it wakes, one call tries it; success forgets everything, failure doubles the sleep. No failure
//! keeps a key from being tried when nothing else is left, so none disables it for ever. In memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ProviderKeyId, Timestamp};

/// A key and the version of its value: a new value begins awake.
pub(crate) type KeyVersion = (ProviderKeyId, i64);

/// A key as it serves one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyUse {
    pub(crate) key: KeyVersion,
    /// The provider's name for it.
    pub(crate) model: String,
}

/// What sleeps: a key for one model, or for all.
type Sleeper = (KeyVersion, Option<String>);

/// What is known of the keys that failed lately. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Mutex<HashMap<Sleeper, State>>>);

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
    sleepers: Vec<Sleeper>,
}

/// At most so many sleepers are remembered; beyond that they count as awake.
const MAX_KEYS: usize = 10_000;
/// The bounds of a sleep that the provider names.
const NAMED_MS: std::ops::RangeInclusive<i64> = 1_000..=60_000;
/// The first sleep of its own measure, doubled each time, and the longest.
const FIRST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 60_000;
/// So many failures in a row, other than 429, put a key to sleep.
const PATIENCE: u32 = 2;

impl KeyUse {
    /// Whose sleep holds it up.
    fn sleepers(&self) -> [Sleeper; 2] {
        [(self.key, None), (self.key, Some(self.model.clone()))]
    }
}

impl State {
    /// Whether it slept and woke, and nobody tries it.
    fn has_woken(&self, now: Timestamp) -> bool {
        self.until.is_some() && self.asleep(now).is_none() && !self.tried
    }

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
        key: impl Fn(&T) -> KeyUse,
        now: Timestamp,
        arrange: impl FnOnce(&mut Vec<T>),
    ) -> (Vec<T>, Option<Trial>) {
        let mut states = self.lock();
        if states.is_empty() {
            drop(states);
            let mut awake = line;
            arrange(&mut awake);
            return (awake, None);
        }
        let (mut awake, mut asleep) = (Vec::new(), Vec::new());
        for item in line {
            let sleepers = key(&item).sleepers();
            let known = sleepers.iter().filter_map(|it| states.get(it));
            // While somebody tries it, it is as good as asleep.
            let until = known.filter_map(|it| it.asleep(now).or(it.tried.then_some(now)));
            match until.max() {
                None => awake.push(item),
                Some(until) => asleep.push((until, item)),
            }
        }
        arrange(&mut awake);
        let first = awake.first().map(|it| key(it).sleepers());
        asleep.sort_by_key(|(until, _)| *until);
        awake.extend(asleep.into_iter().map(|(_, item)| item));
        let woken: Vec<Sleeper> = first
            .into_iter()
            .flatten()
            .filter(|it| states.get(it).is_some_and(|state| state.has_woken(now)))
            .collect();
        for sleeper in &woken {
            if let Some(state) = states.get_mut(sleeper) {
                state.tried = true;
            }
        }
        let trial = (!woken.is_empty()).then(|| Trial {
            health: self.clone(),
            sleepers: woken,
        });
        (awake, trial)
    }

    /// The provider answered a call with the key that `used` names.
    pub(crate) fn succeeded(&self, used: impl FnOnce() -> KeyUse) {
        let mut states = self.lock();
        // So it is as a rule, and then nothing is looked for.
        if states.is_empty() {
            return;
        }
        for sleeper in used().sleepers() {
            states.remove(&sleeper);
        }
    }

    /// The provider says that nothing is left of a limit of this key for so long. No failure: it begins anew after its rest.
    pub(crate) fn rests(&self, used: KeyUse, millis: i64, now: Timestamp) {
        let sleeper = (used.key, Some(used.model));
        let mut states = self.lock();
        if has_room(&mut states, &sleeper, now) {
            let millis = millis.clamp(*NAMED_MS.start(), *NAMED_MS.end());
            let state = states.entry(sleeper).or_default();
            state.until = state.until.max(Some(now.plus_millis(millis)));
        }
    }

    /// A call with this key failed.
    pub(crate) fn failed(&self, used: KeyUse, strain: Strain, now: Timestamp) {
        let sleeper = match strain {
            Strain::Limited { .. } => (used.key, Some(used.model)),
            Strain::Failed { .. } => (used.key, None),
        };
        let mut states = self.lock();
        if !has_room(&mut states, &sleeper, now) {
            return;
        }
        let state = states.entry(sleeper).or_default();
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

    /// Whether calls pass this key by: it sleeps, or one call tries it after its sleep.
    pub(crate) fn is_asleep(&self, used: &KeyUse, now: Timestamp) -> bool {
        let states = self.lock();
        let known = used.sleepers();
        let mut known = known.iter().filter_map(|it| states.get(it));
        known.any(|it| it.tried || it.asleep(now).is_some())
    }

    /// Until when this key sleeps for any model; `None`: it is awake for all of them.
    pub(crate) fn sleeping_until(&self, key: KeyVersion, now: Timestamp) -> Option<Timestamp> {
        let states = self.lock();
        let its = states.iter().filter(|((it, _), _)| *it == key);
        its.filter_map(|(_, state)| state.asleep(now)).max()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sleeper, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `sleeper` can be remembered, with those forgotten that are awake if need be.
fn has_room(states: &mut HashMap<Sleeper, State>, sleeper: &Sleeper, now: Timestamp) -> bool {
    if states.len() >= MAX_KEYS && !states.contains_key(sleeper) {
        states.retain(|_, state| state.asleep(now).is_some());
    }
    states.len() < MAX_KEYS || states.contains_key(sleeper)
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut states = self.health.lock();
        for sleeper in &self.sleepers {
            if let Some(state) = states.get_mut(sleeper) {
                state.tried = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
