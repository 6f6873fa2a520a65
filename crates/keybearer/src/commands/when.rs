//! Moments on the command line: a date, or how long ago or from now.

use domain::Timestamp;

/// A moment as it was written: RFC 3339, a date (its first moment in UTC), or a time span such as `24h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Span(i64),
}

/// The longest span: a hundred years.
const MOST_MS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

impl std::str::FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a date such as 2026-01-31 or 2026-01-31T12:00:00Z, or a time span such as 90m, 24h or 30d";
        let unit_ms = match text.bytes().last() {
            Some(b'm') => 60_000,
            Some(b'h') => 3_600_000,
            Some(b'd') => 86_400_000,
            _ => {
                let day = || format!("{text}T00:00:00Z").parse();
                return text
                    .parse()
                    .or_else(|_| day())
                    .map(Self::At)
                    .map_err(|_| wrong);
            }
        };
        let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong)?;
        let span = count.checked_mul(unit_ms);
        let fits = span.filter(|span| (1..=MOST_MS).contains(span));
        fits.map(Self::Span).ok_or(wrong)
    }
}

impl Moment {
    /// Whether it is another moment each time.
    pub(crate) fn is_span(&self) -> bool {
        matches!(self, Self::Span(_))
    }

    /// The moment as the API takes it, a span being counted back from now.
    pub(crate) fn before(&self, now: Timestamp) -> String {
        self.at(now, -1)
    }

    /// The same, a span being counted from now on.
    pub(crate) fn after(&self, now: Timestamp) -> String {
        self.at(now, 1)
    }

    fn at(&self, now: Timestamp, sign: i64) -> String {
        match self {
            Self::At(at) => at.to_string(),
            Self::Span(millis) => now.plus_millis(sign * millis).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_dates_are_understood_and_nothing_else() {
        assert_eq!("90m".parse(), Ok(Moment::Span(5_400_000)));
        assert_eq!("30d".parse(), Ok(Moment::Span(30 * 86_400_000)));
        let date: Moment = "1970-01-01T00:00:01Z".parse().expect("a date");
        assert_eq!(date, Moment::At(Timestamp::from_millis(1000)));
        let day: Moment = "1970-01-02".parse().expect("a day");
        assert_eq!(day, Moment::At(Timestamp::from_millis(86_400_000)));
        for wrong in ["", "h", "-1h", "0h", "tomorrow", "1y", "99999999999d", "é"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_counts_from_now() {
        let now = Timestamp::from_millis(1_000 * 86_400_000);
        let day = Moment::Span(86_400_000);
        assert_eq!(day.before(now), "1972-09-26T00:00:00.000Z");
        assert_eq!(day.after(now), "1972-09-28T00:00:00.000Z");
    }
}
