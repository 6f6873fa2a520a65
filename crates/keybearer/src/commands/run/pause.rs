//! How long to wait before a program is started again.

use std::time::Duration;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// After a program that ran so long the first one comes again.
const STEADY: Duration = Duration::from_secs(60);

/// The pauses of one program.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// The pause after a program that ran for so long.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY {
            self.0 = FIRST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_again_after_one() {
        let mut pauses = Pauses::new();
        let soon = || pauses.after(Duration::from_secs(59)).as_secs();
        let all: Vec<u64> = std::iter::repeat_with(soon).take(8).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses.after(STEADY), FIRST);
    }
}
