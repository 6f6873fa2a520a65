//! The pause before an attempt that is not the first: back-off with jitter.

use domain::ProviderId;

/// The longest pause before the first attempt that follows a failure. It doubles with each failure of a provider.
const FIRST_MS: u64 = 100;
/// The longest pause, however often it failed.
const LONGEST_MS: u64 = 1_000;

/// How often each provider was in trouble in the course of a call.
///
/// Keys that a provider turns away are none: it answered at once, and the next key is no load for it.
#[derive(Default)]
pub(super) struct Backoff<'a>(Vec<&'a ProviderId>);

impl<'a> Backoff<'a> {
    /// A provider was limited, failed or was silent.
    pub(super) fn failed(&mut self, provider: &'a ProviderId) {
        self.0.push(provider);
    }

    /// How long to wait before `provider` is asked. The lower half is certain, so that it gets a rest; the upper one is by
    /// chance, so that calls that failed together do not come back together.
    pub(super) fn pause_ms(&self, provider: &ProviderId, chance: u16) -> u64 {
        let failures = self.0.iter().filter(|it| **it == provider).count();
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let doubled = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let half = FIRST_MS.saturating_mul(doubled).min(LONGEST_MS) / 2;
        half + half * u64::from(chance) / u64::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(id: &str) -> ProviderId {
        id.parse().expect("an id")
    }

    #[test]
    fn the_pause_doubles_with_each_failure_up_to_a_bound() {
        let one = provider("one");
        let mut backoff = Backoff::default();
        // A failure of another provider went before.
        assert_eq!(backoff.pause_ms(&one, 0), 50);
        for (least, most) in [
            (50, 100),
            (100, 200),
            (200, 400),
            (400, 800),
            (500, 1_000),
            (500, 1_000),
        ] {
            backoff.failed(&one);
            let bounds = [0, u16::MAX].map(|chance| backoff.pause_ms(&one, chance));
            assert_eq!(bounds, [least, most]);
        }
        (0..100).for_each(|_| backoff.failed(&one));
        assert_eq!(backoff.pause_ms(&one, u16::MAX), 1_000);
    }

    #[test]
    fn calls_that_failed_together_do_not_come_back_together() {
        let one = provider("one");
        let mut backoff = Backoff::default();
        (0..4).for_each(|_| backoff.failed(&one));
        let pauses = (0..=u16::MAX).step_by(256);
        let pauses = pauses.map(|chance| backoff.pause_ms(&one, chance));
        let mut tenths = [0; 10];
        for pause in pauses {
            assert!((400..=800).contains(&pause), "{pause}");
            tenths[((pause - 400) / 40).min(9) as usize] += 1;
        }
        // 256 chances: as many in each part of the span.
        assert!(tenths.iter().all(|it| (24..=27).contains(it)), "{tenths:?}");
    }

    #[test]
    fn each_provider_has_a_pause_of_its_own() {
        let [one, two] = ["one", "two"].map(provider);
        let mut backoff = Backoff::default();
        (0..5).for_each(|_| backoff.failed(&one));
        assert_eq!(backoff.pause_ms(&one, 0), 500);
        assert_eq!(backoff.pause_ms(&two, 0), 50);
    }
}
