//! The system's clock and random source, as values.

use domain::{Clock, Random, RandomError, Sources, Timestamp};

/// What the running binary uses.
pub(crate) fn system() -> Sources {
    Sources {
        clock: Clock::new(now),
        random: Random::new(fill),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is handed"
)]
fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is wrong by decades either way; the epoch keeps arithmetic sane.
    let millis = since_epoch.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    });
    Timestamp::from_millis(millis)
}

fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| RandomError)
}
