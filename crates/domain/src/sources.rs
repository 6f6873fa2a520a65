//! Time and randomness as values, so that nothing else needs to reach for them.

use std::fmt;
use std::sync::Arc;

use crate::id::Id;
use crate::time::Timestamp;

/// Tells the time. The binary's reads the system clock; a test's is moved by hand.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The random source failed. Nothing that needed randomness was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct RandomError;

/// Fills buffers with random bytes fit for keys.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), RandomError> + Send + Sync;

impl Random {
    /// A source that calls `fill` for each buffer.
    pub fn new(
        fill: impl Fn(&mut [u8]) -> Result<(), RandomError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`RandomError`] when the system's source failed; there is no weaker fallback.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

/// The clock and the random source, handed out by the binary.
#[derive(Clone)]
pub struct Sources {
    /// Tells the time.
    pub clock: Clock,
    /// Gives random bytes.
    pub random: Random,
}

impl Sources {
    /// The current moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh id of the wanted kind.
    ///
    /// # Errors
    /// [`RandomError`] when the random source failed.
    pub fn id<I: Id>(&self) -> Result<I, RandomError> {
        Ok(I::from_parts(self.now(), self.random.bytes()?))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}
