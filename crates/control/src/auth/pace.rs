//! How often programs ask whether their log-in was approved (RFC 8628, 3.5).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::Timestamp;

/// How long a program waits between two questions, in seconds, until it is told otherwise (RFC 8628, 3.2).
pub const INTERVAL_S: u32 = 5;
/// How much longer one that asked too soon has to wait from then on.
const LONGER_S: u32 = 5;
/// The longest that anybody has to wait.
const LONGEST_S: u32 = 60;
/// A question may come so much sooner: what the network did to the one before is not the program's fault.
const LENIENCE_MS: i64 = 1000;
/// How many programs are remembered; beyond that those whose log-in is over are dropped, and where all are open, all: then
/// each may ask once too soon.
const MOST: usize = 10_000;

/// The programs that wait, by the hash of their code. Kept in memory, for this process: behind several, a program is held
/// to its pace by each of them alone.
#[derive(Default)]
pub(crate) struct Pace(Mutex<HashMap<[u8; 32], Asked>>);

struct Asked {
    at: Timestamp,
    interval_s: u32,
}

/// How a question came, with how long to wait for the next one, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// In its time.
    InTime(u32),
    /// Sooner than was said.
    TooSoon(u32),
}

impl Pace {
    /// Notes a question of a program whose log-in is open for `lifetime_ms` at most.
    pub(crate) fn ask(&self, code: [u8; 32], lifetime_ms: i64, now: Timestamp) -> Came {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MOST {
            asked.retain(|_, it| now.millis_since(it.at) < lifetime_ms);
            if asked.len() >= MOST {
                asked.clear();
            }
        }
        let Some(before) = asked.get_mut(&code) else {
            let interval_s = INTERVAL_S;
            asked.insert(
                code,
                Asked {
                    at: now,
                    interval_s,
                },
            );
            return Came::InTime(interval_s);
        };
        let waited_ms = now.millis_since(before.at);
        before.at = now;
        // A clock that was set back is nobody's haste.
        let too_soon = 0..i64::from(before.interval_s) * 1000 - LENIENCE_MS;
        if too_soon.contains(&waited_ms) {
            before.interval_s = (before.interval_s + LONGER_S).min(LONGEST_S);
            Came::TooSoon(before.interval_s)
        } else {
            Came::InTime(before.interval_s)
        }
    }

    /// Forgets a program that waits no more.
    pub(crate) fn forget(&self, code: &[u8; 32]) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_soon_waits_longer_each_time_and_from_then_on() {
        let pace = Pace::default();
        let ask = |at_ms| pace.ask([1; 32], 600_000, Timestamp::from_millis(at_ms));
        assert_eq!(ask(0), Came::InTime(5));
        assert_eq!(ask(4_000), Came::InTime(5));
        assert_eq!(ask(7_000), Came::TooSoon(10));
        assert_eq!(ask(15_000), Came::TooSoon(15));
        assert_eq!(ask(30_000), Came::InTime(15));
        assert_eq!(ask(29_000), Came::InTime(15));
        for _ in 0..20 {
            ask(29_000);
        }
        assert_eq!(ask(29_000), Came::TooSoon(60));
        let other = pace.ask([2; 32], 600_000, Timestamp::from_millis(29_000));
        assert_eq!(other, Came::InTime(5));
    }

    #[test]
    fn those_whose_time_is_over_are_forgotten() {
        let pace = Pace::default();
        for number in 0..=MOST {
            let mut code = [0; 32];
            code[..8].copy_from_slice(&number.to_be_bytes());
            let at = if number < MOST { 0 } else { 600_000 };
            pace.ask(code, 600_000, Timestamp::from_millis(at));
        }
        let asked = pace.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(asked.len(), 1);
    }

    #[test]
    fn however_many_wait_no_more_are_remembered() {
        let pace = Pace::default();
        for number in 0..=MOST {
            let mut code = [0; 32];
            code[..8].copy_from_slice(&number.to_be_bytes());
            pace.ask(code, 600_000, Timestamp::from_millis(0));
        }
        let asked = pace.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(asked.len() <= MOST);
    }
}
