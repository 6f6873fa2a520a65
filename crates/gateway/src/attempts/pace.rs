//! How long attempts may take, and what lies between them.

use std::time::Duration;

use tokio::time::Instant;

use super::line::Walk;
use super::{Course, Leg, MAX_ATTEMPTS};
use crate::endpoint::Priced;
use crate::plan::way::Way;

/// The longest pause that a provider may ask for before the same key is tried once more; beyond that others are.
const LONGEST_PAUSE_MS: u64 = 2_000;

impl<'a> Course<'a> {
    /// The moment by which the head of an answer must be there of an attempt that begins now. As long as others may be
    /// asked, one that says nothing leaves them half of the time.
    pub(super) fn deadline(&self, walk: &Walk<'a>) -> Instant {
        let now = Instant::now();
        let left = self.ends_at.saturating_duration_since(now);
        let most = match self.others_may(walk) {
            true => left / 2,
            false => left,
        };
        now + most.min(self.plane.config.timeouts.first_byte())
    }

    /// Whether somebody else may be asked after an attempt that begins now was met with silence.
    fn others_may(&self, walk: &Walk<'a>) -> bool {
        let mut others = walk.ahead();
        self.begun < MAX_ATTEMPTS
            && !self.acts()
            && others.any(|way| {
                let known = self.passed_by != Some(way.place);
                known && (!way.is_managed() || self.credits_may(way))
            })
    }

    /// Whether the key that failed may be asked once more, after the pause that its provider asked for.
    pub(super) async fn repeats(&self, leg: &Leg<'_>, pause_ms: Option<u32>) -> bool {
        let pause_ms = pause_ms.map_or(0, u64::from);
        let may = self.begun < MAX_ATTEMPTS
            && !self.parcel.is_spent()
            && pause_ms <= LONGEST_PAUSE_MS
            // Runs space the attempts at their pictures themselves.
            && self.call.priced != Priced::ByPicture
            && self.plane.repeats.spend(&leg.way.target.provider);
        may && self.paused(leg.way, pause_ms).await
    }

    /// Waits before an attempt that is not the first: the back-off, or `at_least_ms` if the provider said so and that is
    /// longer. `false`: there is no time left.
    pub(super) async fn paused(&self, way: &Way, at_least_ms: u64) -> bool {
        if self.begun == 0 {
            return true;
        }
        let chance = self.plane.sources.random.bytes().map(u16::from_le_bytes);
        // Without randomness the longer pause is the safer one.
        let chance = chance.unwrap_or(u16::MAX);
        let pause_ms = self.backoff.pause_ms(&way.target.provider, chance);
        let pause_ms = pause_ms.max(at_least_ms);
        let until = Instant::now() + Duration::from_millis(pause_ms);
        if until >= self.ends_at {
            return false;
        }
        tokio::time::sleep_until(until).await;
        true
    }
}
