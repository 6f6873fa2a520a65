//! How quick providers are, as calls meet them: what rankings by latency and throughput go by.
//!
//! Nothing is measured before somebody ranks, so that nobody else pays for it. What is known is known of a model at a base
//! URL under the keys of one owner: nobody learns from it how other tenants fare, or slows them down. In memory only, so each process has measurements of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ranking::Pace;
use domain::record::KeyContext;
use domain::{KeyOwner, ProviderId, Sources, Timestamp, Usage};
use moka::sync::Cache;
use tokio::time::Instant;

/// How many models at base URLs are remembered.
const MAX_PLACES: u64 = 10_000;
/// A measurement that is older counts as none, so that who was slow once is tried again.
const KEPT_MS: i64 = 10 * 60_000;
/// How much of the distance to a new measurement what is known moves: an exponential average.
const STEP: u64 = 4;
/// Shorter answers tell nothing of how quickly a model writes.
const LEAST_TOKENS: u64 = 8;
/// How long an answer is taken to be where times of whole answers are compared, so that who was asked for long ones does
/// not count as slow.
const USUAL_TOKENS: u64 = 250;
/// What comes before the first token is taken to last as long as so many take to write.
const TOKENS_BEFORE_FIRST: u64 = 50;
/// A client that kept an answer waiting for more than one part in so many is what was measured.
const PATIENCE: u32 = 10;

/// What is known of all. Clones share it.
#[derive(Clone)]
pub(crate) struct Paces {
    wanted: Arc<AtomicBool>,
    known: Cache<Place, Arc<Mutex<Known>>>,
    sources: Sources,
}

/// A model at a base URL, under the keys of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    owner: KeyOwner,
    provider: ProviderId,
    base_url: String,
    model: String,
}

#[derive(Default)]
struct Known {
    first_byte_ms: Option<Measured>,
    answer_ms: Option<Measured>,
    tokens_in_1000_s: Option<Measured>,
}

#[derive(Clone, Copy)]
struct Measured {
    average: u64,
    at: Timestamp,
}

/// An answer on its way, which tells how quick its provider is. Dropped before its end it says nothing more.
pub(crate) struct Lap {
    paces: Paces,
    place: Place,
    begun_at: Instant,
    is_stream: bool,
}

impl Place {
    pub(crate) fn of(context: &KeyContext, model: &str) -> Self {
        Self {
            owner: context.owner,
            provider: context.provider.clone(),
            base_url: context.base_url.clone(),
            model: model.to_owned(),
        }
    }
}

impl Paces {
    pub(crate) fn new(sources: Sources) -> Self {
        Self {
            wanted: Arc::default(),
            known: Cache::new(MAX_PLACES),
            sources,
        }
    }

    /// From now on calls are measured.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether calls are measured.
    pub(crate) fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// How quick this place was lately.
    pub(crate) fn of(&self, place: &Place) -> Pace {
        let Some(known) = self.known.get(place) else {
            return Pace::default();
        };
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.sources.now();
        let lately = |it: Option<Measured>| it.filter(|it| it.is_recent(now));
        Pace {
            first_byte_ms: lately(known.first_byte_ms).map(|it| it.average),
            answer_ms: lately(known.answer_ms).map(|it| it.average),
            tokens_in_1000_s: lately(known.tokens_in_1000_s).map(|it| it.average),
        }
    }

    /// The beginning of an answer is there, of an attempt that began at `begun_at`. Of one that is no stream the first byte
    /// may as well be the last: that counts at its end, which tells how much was written.
    pub(crate) fn answered(&self, place: Place, begun_at: Instant, is_stream: bool) -> Lap {
        if is_stream {
            let took = u64::try_from(begun_at.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.learn(&place, |known, now| {
                known.first_byte_ms = Some(moved(known.first_byte_ms, took, now));
            });
        }
        Lap {
            paces: self.clone(),
            place,
            begun_at,
            is_stream,
        }
    }

    fn learn(&self, place: &Place, change: impl FnOnce(&mut Known, Timestamp)) {
        let known = match self.known.get(place) {
            Some(known) => known,
            None => self.known.get_with(place.clone(), Arc::default),
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known, self.sources.now());
    }
}

impl Lap {
    /// The answer is at its end and whole. `waited`: for how long the client took nothing of it.
    pub(crate) fn ends(self, usage: &Usage, waited: Duration) {
        let took = self.begun_at.elapsed();
        let tokens = usage.output_tokens;
        let tells_speed = tokens >= LEAST_TOKENS;
        if waited > took / PATIENCE || self.is_stream && !tells_speed {
            return;
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let speed = tokens.saturating_mul(1_000_000) / millis;
        self.paces.learn(&self.place, |known, now| {
            if tells_speed {
                known.tokens_in_1000_s = Some(moved(known.tokens_in_1000_s, speed, now));
            }
            if !self.is_stream {
                let usual = of_usual_length(millis, tokens);
                known.answer_ms = Some(moved(known.answer_ms, usual, now));
            }
        });
    }
}

/// How long the answer would have taken with [`USUAL_TOKENS`]. What has no tokens, as vectors have none, is taken as it is.
fn of_usual_length(millis: u64, tokens: u64) -> u64 {
    match tokens {
        0 => millis,
        _ => {
            let usual = millis.saturating_mul(USUAL_TOKENS + TOKENS_BEFORE_FIRST);
            usual / tokens.saturating_add(TOKENS_BEFORE_FIRST)
        }
    }
}

impl Measured {
    fn is_recent(&self, now: Timestamp) -> bool {
        now.millis_since(self.at) <= KEPT_MS
    }
}

/// What is known after one more measurement.
fn moved(before: Option<Measured>, measured: u64, now: Timestamp) -> Measured {
    let average = match before.filter(|it| it.is_recent(now)) {
        None => measured,
        Some(Measured { average, .. }) => {
            let weighted = average.saturating_mul(STEP - 1).saturating_add(measured);
            weighted / STEP
        }
    };
    Measured { average, at: now }
}

#[cfg(test)]
mod tests {
    use domain::WorkspaceId;

    use super::*;

    fn usage(output_tokens: u64) -> Usage {
        Usage {
            output_tokens,
            ..Usage::default()
        }
    }

    fn place(model: &str) -> Place {
        Place {
            owner: KeyOwner::Workspace(WorkspaceId::from_bytes([0; 16])),
            provider: "openai".parse().expect("an id"),
            base_url: "https://api.example".to_owned(),
            model: model.to_owned(),
        }
    }

    /// An attempt that began so long ago.
    fn ago(millis: u64) -> Instant {
        let now = Instant::now();
        now.checked_sub(Duration::from_millis(millis))
            .unwrap_or(now)
    }

    /// Whether it is what was expected, but for the time that the test itself took.
    fn is_about(measured: Option<u64>, expected: u64) -> bool {
        measured.is_some_and(|it| it.abs_diff(expected) <= expected / 20 + 20)
    }

    #[test]
    fn what_was_measured_moves_slowly_and_is_forgotten() {
        let (sources, clock) = crate::tests::sources();
        let paces = Paces::new(sources);
        let first_byte = |paces: &Paces| paces.of(&place("m")).first_byte_ms;
        assert_eq!(first_byte(&paces), None);
        for (millis, expected) in [(400, 400), (2_000, 800), (800, 800)] {
            drop(paces.answered(place("m"), ago(millis), true));
            assert!(is_about(first_byte(&paces), expected), "{millis}");
        }
        assert_eq!(paces.of(&place("other")), Pace::default());
        for owner in [
            KeyOwner::Workspace(WorkspaceId::from_bytes([1; 16])),
            KeyOwner::Account(domain::AccountId::from_bytes([0; 16])),
        ] {
            let others = Place {
                owner,
                ..place("m")
            };
            assert_eq!(paces.of(&others), Pace::default());
        }
        clock.fetch_add(KEPT_MS + 1, Ordering::SeqCst);
        assert_eq!(first_byte(&paces), None);
        drop(paces.answered(place("m"), Instant::now(), true));
        assert!(is_about(first_byte(&paces), 0));
    }

    #[test]
    fn tokens_are_counted_over_the_whole_answer_unless_the_client_was_slow() {
        let (sources, _) = crate::tests::sources();
        let paces = Paces::new(sources);
        let speed = |paces: &Paces| paces.of(&place("m")).tokens_in_1000_s;
        let second = Duration::from_secs(1);
        for (tokens, waited, expected) in [
            (7, Duration::ZERO, None),
            (20, second / 5, None),
            (20, second / 10, Some(20_000)),
            (40, Duration::ZERO, Some(25_000)),
        ] {
            // Of an answer that is no stream only the end counts.
            let lap = paces.answered(place("m"), ago(1_000), false);
            lap.ends(&usage(tokens), waited);
            match expected {
                None => assert_eq!(speed(&paces), None),
                Some(expected) => assert!(is_about(speed(&paces), expected), "{tokens}"),
            }
        }
        assert_eq!(paces.of(&place("m")).first_byte_ms, None);
    }

    #[test]
    fn whole_answers_are_compared_as_if_they_were_of_one_length() {
        let (sources, clock) = crate::tests::sources();
        let paces = Paces::new(sources);
        let answer = |paces: &Paces| paces.of(&place("m")).answer_ms;
        for (millis, tokens, expected) in [
            (1_200, 250, 1_200),
            (4_200, 1_000, 1_200),
            (210, 2, 1_211),
            (900, 0, 900),
        ] {
            clock.fetch_add(KEPT_MS + 1, Ordering::SeqCst);
            let lap = paces.answered(place("m"), ago(millis), false);
            lap.ends(&usage(tokens), Duration::ZERO);
            assert!(
                is_about(answer(&paces), expected),
                "{tokens}: {:?}",
                answer(&paces)
            );
        }
        // A client that was slow is no measure of its provider, and a stream tells of streams.
        clock.fetch_add(KEPT_MS + 1, Ordering::SeqCst);
        let second = Duration::from_secs(1);
        paces
            .answered(place("m"), ago(1_000), false)
            .ends(&usage(20), second / 5);
        paces
            .answered(place("m"), ago(1_000), true)
            .ends(&usage(20), Duration::ZERO);
        assert_eq!(answer(&paces), None);
    }
}
