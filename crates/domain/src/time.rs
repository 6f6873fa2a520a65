//! Moments in time.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Printed and serialized as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that many milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment moved by `millis`, held at the ends of the range.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is later.
    pub const fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As people write it, to the minute: `14 November 2023, 22:13 UTC`.
    pub fn in_words(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
            Err(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// A text is no moment in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a moment is written as in RFC 3339: 2026-11-20T20:00:00Z")]
pub struct NoTimestamp;

impl FromStr for Timestamp {
    type Err = NoTimestamp;

    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| NoTimestamp)?;
        Ok(Self(moment.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339() {
        let read = |text: &str| text.parse::<Timestamp>().map(Timestamp::millis);
        assert_eq!(read("2023-11-14T22:13:20.123Z"), Ok(1_700_000_000_123));
        assert_eq!(read("2023-11-14T23:13:20+01:00"), Ok(1_700_000_000_000));
        for text in ["", "2023-11-14", "1700000000", "2023-11-14T22:13:20"] {
            assert_eq!(read(text), Err(NoTimestamp), "{text}");
        }
    }

    #[test]
    fn says_the_minute_in_words() {
        let words = |millis| Timestamp::from_millis(millis).in_words();
        assert_eq!(words(1_700_000_000_123), "14 November 2023, 22:13 UTC");
        assert_eq!(words(1_704_067_200_000), "1 January 2024, 00:00 UTC");
    }

    #[test]
    fn prints_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(
            Timestamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
