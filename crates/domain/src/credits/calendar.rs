//! Months and days in UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Moment};

use crate::time::Timestamp;

/// No moment that a calendar knows lies this late.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// The first monthly anniversary of `anchor` that is later than `after`, at least one month after `anchor`.
///
/// In UTC, at the anchor's time of day; where a month is too short for the anchor's day, on its last day. Months
/// are counted from the anchor and not from the anniversary before, so the 31st comes back after February.
/// Beyond the calendar (year 9999): the end of time.
pub fn next_anchor(anchor: Timestamp, after: Timestamp) -> Timestamp {
    let (Some(from), Some(to)) = (civil(anchor), civil(after)) else {
        return NEVER;
    };
    let months = (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
        - i64::from(from.month());
    // The anniversary in the month of `after` may have passed already; the one of the next month has not.
    let first = months.max(1);
    (first..=first + 1)
        .filter_map(|months| anniversary(from, months))
        .find(|anniversary| *anniversary > after)
        .unwrap_or(NEVER)
}

/// The UTC day of a moment: `2026-11-20`.
pub fn utc_day(moment: Timestamp) -> String {
    civil(moment).map_or_else(|| "-".to_owned(), |time| time.date().to_string())
}

/// The UTC month of a moment: `2026-11`.
pub fn utc_month(moment: Timestamp) -> String {
    civil(moment).map_or_else(
        || "-".to_owned(),
        |time| format!("{:04}-{:02}", time.year(), time.month()),
    )
}

/// When the UTC month after the moment's begins.
pub fn next_month(moment: Timestamp) -> Timestamp {
    let begun = civil(moment).and_then(|time| {
        let first = time.date().first_of_month();
        first.checked_add(Span::new().months(1)).ok()
    });
    begun
        .and_then(|first| moment_of(first.to_datetime(jiff::civil::Time::midnight())))
        .unwrap_or(NEVER)
}

fn anniversary(anchor: DateTime, months: i64) -> Option<Timestamp> {
    let months = Span::new().try_months(months).ok()?;
    // Adding months clamps the day to the month's length.
    moment_of(anchor.checked_add(months).ok()?)
}

fn civil(moment: Timestamp) -> Option<DateTime> {
    let moment = Moment::from_millisecond(moment.millis()).ok()?;
    Some(TimeZone::UTC.to_datetime(moment))
}

fn moment_of(time: DateTime) -> Option<Timestamp> {
    let moment = TimeZone::UTC.to_timestamp(time).ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};
    use proptest::{prop_assert, prop_assert_eq};

    use super::*;

    fn at(text: &str) -> Timestamp {
        let moment: Moment = text.parse().expect("a moment");
        Timestamp::from_millis(moment.as_millisecond())
    }

    #[test]
    fn anchors_keep_their_day_and_are_clamped_to_the_month() {
        for (anchor, after, next) in [
            // An ordinary day, just before, at and after the anniversary.
            (
                "2026-11-20T08:30:00Z",
                "2026-11-20T08:30:00Z",
                "2026-12-20T08:30:00Z",
            ),
            (
                "2026-11-20T08:30:00Z",
                "2026-12-20T08:29:59.999Z",
                "2026-12-20T08:30:00Z",
            ),
            (
                "2026-11-20T08:30:00Z",
                "2026-12-20T08:30:00Z",
                "2027-01-20T08:30:00Z",
            ),
            // The 31st: on the last day of shorter months, and back on the 31st after them.
            (
                "2026-01-31T00:00:00Z",
                "2026-01-31T00:00:00Z",
                "2026-02-28T00:00:00Z",
            ),
            (
                "2026-01-31T00:00:00Z",
                "2026-02-28T00:00:00Z",
                "2026-03-31T00:00:00Z",
            ),
            (
                "2026-01-31T00:00:00Z",
                "2026-03-31T00:00:00Z",
                "2026-04-30T00:00:00Z",
            ),
            (
                "2026-08-31T12:00:00Z",
                "2026-12-31T12:00:00Z",
                "2027-01-31T12:00:00Z",
            ),
            // Leap years: the 30th in February, and the 29th in years without one.
            (
                "2027-12-30T00:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "2028-02-29T06:00:00Z",
                "2028-02-29T06:00:00Z",
                "2028-03-29T06:00:00Z",
            ),
            (
                "2028-02-29T06:00:00Z",
                "2029-02-01T00:00:00Z",
                "2029-02-28T06:00:00Z",
            ),
            (
                "2028-02-29T06:00:00Z",
                "2032-02-28T23:00:00Z",
                "2032-02-29T06:00:00Z",
            ),
            // 2100 is no leap year.
            (
                "2096-02-29T00:00:00Z",
                "2100-02-01T00:00:00Z",
                "2100-02-28T00:00:00Z",
            ),
            // Many months missed: the next one to come, not the first one missed.
            (
                "2020-05-15T00:00:00Z",
                "2026-11-14T23:59:59Z",
                "2026-11-15T00:00:00Z",
            ),
            // The hours at which clocks change elsewhere are ordinary hours in UTC.
            (
                "2026-02-28T01:30:00Z",
                "2026-03-28T01:30:00Z",
                "2026-04-28T01:30:00Z",
            ),
            (
                "2026-02-25T02:30:00Z",
                "2026-10-25T02:29:00Z",
                "2026-10-25T02:30:00Z",
            ),
            // A clock that lags behind the anchor.
            (
                "2026-11-20T08:30:00Z",
                "2026-11-20T08:29:00Z",
                "2026-12-20T08:30:00Z",
            ),
            (
                "2026-11-20T08:30:00Z",
                "2026-09-01T00:00:00Z",
                "2026-12-20T08:30:00Z",
            ),
        ] {
            let found = next_anchor(at(anchor), at(after));
            assert_eq!(found.to_string(), at(next).to_string(), "{anchor} {after}");
        }
    }

    #[test]
    fn beyond_the_calendar_nothing_comes() {
        let ordinary = at("2026-11-20T08:30:00Z");
        for far in [i64::MAX, i64::MIN] {
            assert_eq!(next_anchor(ordinary, Timestamp::from_millis(far)), NEVER);
            assert_eq!(next_anchor(Timestamp::from_millis(far), ordinary), NEVER);
            assert_eq!(utc_day(Timestamp::from_millis(far)), "-");
            assert_eq!(next_month(Timestamp::from_millis(far)), NEVER);
        }
        assert_eq!(next_anchor(ordinary, at("9999-12-30T00:00:00Z")), NEVER);
    }

    #[test]
    fn days_and_months_are_those_of_utc() {
        for (moment, day, month, next) in [
            (
                "2026-11-20T23:59:59.999Z",
                "2026-11-20",
                "2026-11",
                "2026-12-01T00:00:00Z",
            ),
            (
                "2026-12-31T23:59:59.999Z",
                "2026-12-31",
                "2026-12",
                "2027-01-01T00:00:00Z",
            ),
            (
                "2028-02-29T00:00:00Z",
                "2028-02-29",
                "2028-02",
                "2028-03-01T00:00:00Z",
            ),
            (
                "1969-12-31T23:00:00Z",
                "1969-12-31",
                "1969-12",
                "1970-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(utc_day(at(moment)), day);
            assert_eq!(utc_month(at(moment)), month);
            assert_eq!(next_month(at(moment)), at(next));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn anchors_follow_each_other_by_a_month(
            anchor in 0_i64..4_000_000_000_000,
            later in 0_i64..400_000_000_000,
        ) {
            const DAY_MS: i64 = 86_400_000;
            let anchor = Timestamp::from_millis(anchor);
            let after = anchor.plus_millis(later);
            let next = next_anchor(anchor, after);
            prop_assert!(next > after);
            prop_assert!(next.millis_since(after) <= 31 * DAY_MS);
            prop_assert_eq!((next.millis() - anchor.millis()) % DAY_MS, 0);
            let following = next_anchor(anchor, next);
            prop_assert!((28 * DAY_MS..=31 * DAY_MS).contains(&following.millis_since(next)));
            prop_assert_eq!(next_anchor(anchor, next.plus_millis(-1)), next);
        }
    }
}
