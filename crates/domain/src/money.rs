//! Money: integers of nano-USD inside, credits and micro-USD outside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of US dollars in billionths; negative when owed. The range is about nine billion dollars.
///
/// Serialized as an integer of nano-USD.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(i64);

/// One credit is 0.01 USD.
pub const NANOS_PER_CREDIT: i64 = 10_000_000;
/// One micro-USD.
pub const NANOS_PER_MICRO: i64 = 1_000;
/// One US dollar.
pub const NANOS_PER_USD: i64 = 1_000_000_000;

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// That many billionths of a dollar.
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// That many whole credits, held at the end of the range.
    pub const fn from_credits(credits: i64) -> Self {
        Self(credits.saturating_mul(NANOS_PER_CREDIT))
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// In millionths of a dollar, towards minus infinity: never more than there is.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MICRO)
    }

    /// In credits, for display and for shapes that have a fraction; exact amounts are [`Self::nanos`].
    #[expect(
        clippy::cast_precision_loss,
        reason = "a display value; the exact one stands beside it wherever it is shown"
    )]
    pub fn credits(self) -> f64 {
        self.0 as f64 / NANOS_PER_CREDIT as f64
    }

    /// The sum, held at the ends of the range.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl std::iter::Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for NanoUsd {
    /// US dollars without needless zeros: `0.0125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / NANOS_PER_USD.unsigned_abs();
        let rest = self.0.unsigned_abs() % NANOS_PER_USD.unsigned_abs();
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A decimal number that is not negative and has at most nine digits behind the point, exactly.
///
/// In JSON and TOML a text (`"0.075"`) or an integer; a number with a fraction is read by its shortest text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

/// A text that is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number has digits, at most nine behind the point, and is not negative")]
pub struct InvalidDecimal;

impl Decimal {
    /// One.
    pub const ONE: Self = Self(1_000_000_000);
    /// The largest.
    pub const MAX: Self = Self(i64::MAX);

    /// The number in billionths.
    pub const fn billionths(self) -> i64 {
        self.0
    }

    /// The number of that many billionths, which are not negative.
    pub const fn from_billionths(billionths: i64) -> Self {
        Self(if billionths < 0 { 0 } else { billionths })
    }

    /// `amount` times this number, rounded up to a whole nano-USD and held at the end of the range.
    pub fn times(self, amount: NanoUsd) -> NanoUsd {
        let product = i128::from(amount.0) * i128::from(self.0);
        let billion = i128::from(Self::ONE.0);
        let rounded = product.div_euclid(billion) + i128::from(product.rem_euclid(billion) != 0);
        NanoUsd(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return Err(InvalidDecimal);
        }
        let billionths: i64 = format!("{fraction:0<9}")
            .parse()
            .map_err(|_| InvalidDecimal)?;
        let whole: i64 = whole.parse().map_err(|_| InvalidDecimal)?;
        whole
            .checked_mul(Self::ONE.0)
            .and_then(|whole| whole.checked_add(billionths))
            .map(Self)
            .ok_or(InvalidDecimal)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NanoUsd(self.0).fmt(f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Integer(u32),
            Number(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Integer(number) => number.to_string(),
            Written::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_as_dollars() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (12_500_000, "0.0125"),
            (-2_500_000_000, "-2.5"),
            (3_000_000_000, "3"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(NanoUsd::new(nanos).to_string(), text);
        }
        assert_eq!(NanoUsd::from_credits(250).to_string(), "2.5");
        assert_eq!(NanoUsd::new(-1).micros(), -1);
        assert_eq!(NanoUsd::new(1_999).micros(), 1);
    }

    #[test]
    fn decimals_are_exact() {
        for (text, billionths) in [("0", 0), ("0.075", 75_000_000), ("12.5", 12_500_000_000)] {
            let decimal: Decimal = text.parse().expect("a decimal");
            assert_eq!(decimal.billionths(), billionths);
            assert_eq!(decimal.to_string(), text);
        }
        for bad in [
            "",
            ".5",
            "1.",
            "-1",
            "1e3",
            "0.0000000001",
            "1.2.3",
            " 1",
            "99999999999",
        ] {
            assert_eq!(bad.parse::<Decimal>(), Err(InvalidDecimal), "{bad:?}");
        }
        let read = |json: &str| serde_json::from_str::<Decimal>(json).ok();
        assert_eq!(read("\"0.1\""), "0.1".parse().ok());
        assert_eq!(read("0.1"), "0.1".parse().ok());
        assert_eq!(read("3"), "3".parse().ok());
        assert_eq!(read("-3"), None);
        assert_eq!(read("-0.5"), None);
    }

    #[test]
    fn a_product_is_rounded_up_once() {
        let third: Decimal = "0.333333333".parse().expect("a decimal");
        assert_eq!(third.times(NanoUsd::new(1)), NanoUsd::new(1));
        assert_eq!(
            third.times(NanoUsd::new(3_000_000_000)).nanos(),
            999_999_999
        );
        assert_eq!(Decimal::ONE.times(NanoUsd::new(7)), NanoUsd::new(7));
        assert_eq!(Decimal::MAX.times(NanoUsd::MAX), NanoUsd::MAX);
    }
}
