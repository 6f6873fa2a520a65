//! How many attempts may be repeats, so that a provider in trouble does not get twice the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::ProviderId;
use moka::sync::Cache;

/// What is left for repeats at each provider. In memory only, so each process has a budget of its own.
pub(crate) struct Repeats(Cache<ProviderId, Arc<AtomicU32>>);

/// One repeat for so many attempts that are none.
const ATTEMPTS_PER_REPEAT: u32 = 5;
/// So many repeats are there at first and at most, for providers that are seldom called.
const MOST: u32 = 10;
/// How many providers have budgets at once.
const MAX_PROVIDERS: u64 = 1_000;

impl Repeats {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_PROVIDERS))
    }

    /// An attempt that is no repeat begins.
    pub(super) fn earn(&self, provider: &ProviderId) {
        let more = |left: u32| (left < MOST * ATTEMPTS_PER_REPEAT).then_some(left + 1);
        // An error: it is full.
        let _ = self
            .left(provider)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes one repeat, if there is one.
    pub(super) fn spend(&self, provider: &ProviderId) -> bool {
        let less = |left: u32| left.checked_sub(ATTEMPTS_PER_REPEAT);
        let left = self.left(provider);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn left(&self, provider: &ProviderId) -> Arc<AtomicU32> {
        self.0.get_with_by_ref(provider, || {
            Arc::new(AtomicU32::new(MOST * ATTEMPTS_PER_REPEAT))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_a_fifth_of_the_attempts_in_the_long_run() {
        let repeats = Repeats::new();
        let [one, other] = ["one", "other"].map(|id| id.parse::<ProviderId>().expect("an id"));
        let granted = (0..1_000).filter(|_| {
            repeats.earn(&one);
            repeats.spend(&one)
        });
        let granted = granted.count();
        assert!((200..=211).contains(&granted), "{granted}");
        assert!(repeats.spend(&other));
    }

    #[test]
    fn what_is_earned_is_kept_up_to_a_bound() {
        let repeats = Repeats::new();
        let provider = "one".parse::<ProviderId>().expect("an id");
        (0..1_000).for_each(|_| repeats.earn(&provider));
        assert_eq!((0..100).filter(|_| repeats.spend(&provider)).count(), 10);
    }
}
