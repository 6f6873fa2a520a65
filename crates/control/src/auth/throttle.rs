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

    /// Begins an attempt of the subject.
    ///
    /// # Errors
    /// `too_many_attempts` when it has none left; then this one is not counted.
    pub fn begin(&self, subject: &str, now: Timestamp) -> Result<(), Problem> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() > MAX_SUBJECTS {
            counts.retain(|_, (_, since)| now.millis_since(*since) < self.window_ms);
            if counts.len() > MAX_SUBJECTS {
                counts.clear();
            }
        }
        let (count, since) = counts.entry(subject.to_owned()).or_insert((0, now));
        let waited_ms = now.millis_since(*since);
        if !(0..self.window_ms).contains(&waited_ms) {
            (*count, *since) = (0, now);
        } else if *count >= self.limit {
            let seconds = (self.window_ms - waited_ms).div_euclid(1000) + 1;
            let seconds = u64::try_from(seconds).unwrap_or(1);
            return Err(Problem::new(Code::TooManyAttempts).retry_after_s(seconds));
        }
        *count += 1;
        Ok(())
    }

    /// Gives one attempt back to the subject.
    pub fn forgive(&self, subject: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = counts.get_mut(subject) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Counts wrong guesses at credentials: by the person guessed at and the address that they come from together,
/// and by each of the two alone.
///
/// A guesser has few attempts at one person from one address. A person has five times as many from everywhere, so
/// that a guesser elsewhere does not easily keep the person out. An address has ten times as many: many people may
/// stand behind one, and a guesser among them must not lock the others out.
pub struct Guesses {
    pairs: Throttle,
    people: Throttle,
    addresses: Throttle,
}

impl Guesses {
    /// Allows `limit` wrong guesses at a person from an address in `window_ms` milliseconds.
    pub fn new(limit: u32, window_ms: i64) -> Self {
        Self {
            pairs: Throttle::new(limit, window_ms),
            people: Throttle::new(limit.saturating_mul(5), window_ms),
            addresses: Throttle::new(limit.saturating_mul(10), window_ms),
        }
    }

    /// Begins a guess at the credential of `person`, `None` if it is nobody's, from `address`, `None` where it
    /// is not known.
    ///
    /// # Errors
    /// `too_many_attempts` when there is none left; then this one is not counted.
    pub fn begin(
        &self,
        person: Option<String>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Guess<'_>, Problem> {
        let address = address.map(address_subject);
        let from = address.as_deref().unwrap_or("an unknown address");
        let pair = person
            .as_ref()
            .map(|person| format!("{person} from {from}"));
        let mut guess = Guess {
            counted: Vec::new(),
        };
        let subjects = [
            (&self.pairs, pair),
            (&self.people, person),
            (&self.addresses, address),
        ];
        for (throttle, subject) in subjects {
            let Some(subject) = subject else {
                continue;
            };
            if let Err(problem) = throttle.begin(&subject, now) {
                guess.forgive();
                return Err(problem);
            }
            guess.counted.push((throttle, subject));
        }
        Ok(guess)
    }
}

/// A guess that has begun.
pub struct Guess<'a> {
    counted: Vec<(&'a Throttle, String)>,
}

impl Guess<'_> {
    /// Ends the guess with what came of it. Only a wrong credential counts: what went well, what was refused
    /// for another reason and what failed on our side is given back.
    ///
    /// # Errors
    /// The error of `result`.
    pub fn end<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        const WRONG: [Code; 7] = [
            Code::InvalidCredentials,
            Code::InvalidSetupToken,
            Code::InvalidInvitation,
            Code::InvalidDeviceCode,
            Code::InvalidConsoleLink,
            Code::InvalidPasswordLink,
            Code::UnknownUserCode,
        ];
        if !matches!(&result, Err(problem) if WRONG.contains(&problem.code())) {
            self.forgive();
        }
        result
    }

    fn forgive(&self) {
        for (throttle, subject) in &self.counted {
            throttle.forgive(subject);
        }
    }
}

/// The subject for an address: the address itself, or the network of one that owns a whole one (IPv6 /64).
pub(crate) fn address_subject(address: IpAddr) -> String {
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
        let at = Timestamp::from_millis;
        assert!(throttle.begin("ann", at(0)).is_ok());
        assert!(throttle.begin("ann", at(10)).is_ok());
        assert!(throttle.begin("ann", at(999)).is_err());
        assert!(throttle.begin("bob", at(999)).is_ok());
        assert!(throttle.begin("ann", at(1000)).is_ok());
    }

    #[test]
    fn only_a_wrong_credential_counts() {
        // T90
        let guesses = Guesses::new(1, 1000);
        let now = Timestamp::from_millis(0);
        let guess = |result: Result<(), Problem>| {
            let guess = guesses.begin(Some("ann".to_owned()), None, now)?;
            guess.end(result)
        };
        for code in [Code::Unavailable, Code::InternalError, Code::InvalidRequest] {
            let answer = guess(Err(Problem::new(code)));
            assert_eq!(answer.map_err(|problem| problem.code()), Err(code));
        }
        assert!(guess(Ok(())).is_ok());
        let wrong = guess(Err(Problem::new(Code::InvalidCredentials)));
        assert!(wrong.is_err_and(|problem| problem.code() == Code::InvalidCredentials));
        let late = guess(Ok(()));
        assert!(late.is_err_and(|problem| problem.code() == Code::TooManyAttempts));
    }

    #[test]
    fn an_address_is_closed_long_after_a_person_and_then_costs_nobody_an_attempt() {
        // T90
        let guesses = Guesses::new(1, 1000);
        let now = Timestamp::from_millis(0);
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        let wrong = |person: &str, address| {
            let guess = guesses.begin(Some(person.to_owned()), address, now)?;
            guess.end::<()>(Err(Problem::new(Code::InvalidCredentials)))
        };
        let code = |answer: Result<(), Problem>| answer.map_err(|problem| problem.code());
        for person in 0..10 {
            let answer = wrong(&person.to_string(), Some(address));
            assert_eq!(code(answer), Err(Code::InvalidCredentials), "{person}");
        }
        let answer = wrong("ann", Some(address));
        assert_eq!(code(answer), Err(Code::TooManyAttempts));
        assert_eq!(code(wrong("ann", None)), Err(Code::InvalidCredentials));
        assert_eq!(code(wrong("ann", None)), Err(Code::TooManyAttempts));
    }

    #[test]
    fn a_guesser_elsewhere_does_not_keep_a_person_out_until_there_are_many() {
        // T90
        let guesses = Guesses::new(2, 1000);
        let now = Timestamp::from_millis(0);
        let at = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let wrong = |address| {
            let guess = guesses.begin(Some("ann".to_owned()), address, now)?;
            guess.end::<()>(Err(Problem::new(Code::InvalidCredentials)))
        };
        let code = |answer: Result<(), Problem>| answer.map_err(|problem| problem.code());
        for last in 0..5 {
            for _ in 0..2 {
                assert_eq!(
                    code(wrong(at(last))),
                    Err(Code::InvalidCredentials),
                    "{last}"
                );
            }
            assert_eq!(code(wrong(at(last))), Err(Code::TooManyAttempts), "{last}");
            let ann = guesses.begin(Some("ann".to_owned()), at(99), now);
            assert_eq!(ann.is_ok(), last < 4, "{last}");
            if let Ok(guess) = ann {
                assert!(guess.end(Ok(())).is_ok());
            }
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
