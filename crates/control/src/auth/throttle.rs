//! Counts failures and asks for patience.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use domain::Timestamp;

use crate::error::{Code, Problem};

/// How many subjects are remembered; beyond that the ones whose time is over are dropped, then all.
const MAX_SUBJECTS: usize = 20_000;

/// Allows each subject so many failures within a window that begins with the first one.
///
/// Kept in memory, for this process. An attempt counts when it begins, so that attempts made at once do not
/// slip through together; one that goes well is given back.
pub struct Throttle {
    limit: u32,
    window_ms: i64,
    counts: Mutex<HashMap<String, (u32, Timestamp)>>,
}

impl Throttle {
    /// Allows `limit` failures in `window_ms` milliseconds.
    pub fn new(limit: u32, window_ms: i64) -> Self {
        Self {
            limit,
            window_ms,
            counts: Mutex::new(HashMap::new()),
        }
    }

    /// Begins an attempt of all `subjects` at once.
    ///
    /// # Errors
    /// `too_many_attempts` when one of them has none left; then none is counted.
    pub fn begin(&self, subjects: &[String], now: Timestamp) -> Result<(), Problem> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() > MAX_SUBJECTS {
            counts.retain(|_, (_, since)| now.millis_since(*since) < self.window_ms);
            if counts.len() > MAX_SUBJECTS {
                counts.clear();
            }
        }
        for subject in subjects {
            let Some((count, since)) = counts.get_mut(subject) else {
                continue;
            };
            let waited_ms = now.millis_since(*since);
            if !(0..self.window_ms).contains(&waited_ms) {
                counts.remove(subject);
            } else if *count >= self.limit {
                let seconds = (self.window_ms - waited_ms).div_euclid(1000) + 1;
                let seconds = u64::try_from(seconds).unwrap_or(1);
                return Err(Problem::new(Code::TooManyAttempts).retry_after_s(seconds));
            }
        }
        for subject in subjects {
            counts.entry(subject.clone()).or_insert((0, now)).0 += 1;
        }
        Ok(())
    }

    /// Gives one attempt back to each of the `subjects`.
    pub fn forgive(&self, subjects: &[String]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            if let Some((count, _)) = counts.get_mut(subject) {
                *count = count.saturating_sub(1);
            }
        }
    }
}

/// The subject for an address: the address itself, or the network of one that owns a whole one (IPv6 /64).
pub fn address_subject(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_refused_after_its_failures_until_the_window_ends() {
        // T90
        let throttle = Throttle::new(2, 1000);
        let ann = ["ann".to_owned()];
        let at = Timestamp::from_millis;
        assert!(throttle.begin(&ann, at(0)).is_ok());
        assert!(throttle.begin(&ann, at(10)).is_ok());
        assert!(throttle.begin(&ann, at(999)).is_err());
        assert!(throttle.begin(&["bob".to_owned()], at(999)).is_ok());
        assert!(throttle.begin(&ann, at(1000)).is_ok());
    }

    #[test]
    fn success_is_given_back() {
        let throttle = Throttle::new(1, 1000);
        let ann = ["ann".to_owned()];
        for _ in 0..5 {
            throttle
                .begin(&ann, Timestamp::from_millis(0))
                .expect("allowed");
            throttle.forgive(&ann);
        }
    }

    #[test]
    fn one_network_is_one_subject() {
        let subject = |text: &str| address_subject(text.parse().expect("an address"));
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_eq!(subject("::ffff:192.0.2.1"), subject("192.0.2.1"));
        assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
    }
}
