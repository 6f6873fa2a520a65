//! Credits: what a card is, in which order cards are spent, when they lapse, and when new ones come.
//!
//! Everything is integers of nano-USD ([`NanoUsd`]) and moments in UTC. The store keeps the cards; the rules are
//! here, so that they can be enumerated without a database.

mod calendar;
mod cards;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;
use crate::time::Timestamp;

pub use calendar::{next_anchor, next_month, utc_day, utc_month};
pub use cards::{Card, MAX_LIVE_CARDS, MERGE_SPAN_MS, Merged, draw, lapsing, merge, spend_order};

/// The monthly credits of an account that no plan says anything about: 250 credits.
pub const INCLUDED_MONTHLY: NanoUsd = NanoUsd::from_credits(250);

/// What becomes of the part of a charge that no card covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overuse {
    /// A call needs its whole hold beforehand. What exceeds the balance after all is owed.
    #[default]
    Block,
    /// A call needs any credit at all. What exceeds the balance is owed, and the next grant repays it.
    Debt,
    /// A call needs any credit at all. What exceeds the balance is written off.
    Forgive,
}

/// Where a card comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// The plan's monthly credits; it lapses when the next one comes.
    Included,
    /// Given by an admin of the instance.
    Grant,
    /// Bought.
    TopUp,
    /// Given back for calls that were charged.
    Refund,
}

/// Why the ledger has a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A card came.
    Grant,
    /// A call was charged.
    Charge,
    /// A card lapsed with something left.
    Expiry,
    /// The part of a charge that no card covered was written off.
    Forgiveness,
    /// A card came that gives back what was charged.
    Refund,
}

/// A text that names none of the listed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known name")]
pub struct UnknownCreditsName;

macro_rules! names {
    ($($type:ident { $($variant:ident = $name:literal),* $(,)? })*) => {$(
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in configuration, in the API and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl FromStr for $type {
            type Err = UnknownCreditsName;

            fn from_str(name: &str) -> Result<Self, UnknownCreditsName> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == name)
                    .ok_or(UnknownCreditsName)
            }
        }
    )*};
}

names! {
    Overuse { Block = "block", Debt = "debt", Forgive = "forgive" }
    CardKind { Included = "included", Grant = "grant", TopUp = "top_up", Refund = "refund" }
    EntryKind {
        Grant = "grant",
        Charge = "charge",
        Expiry = "expiry",
        Forgiveness = "forgiveness",
        Refund = "refund",
    }
}

/// The next moment at which an account changes by itself: new included credits, or a card that lapses.
///
/// `None`: nothing is due, ever. A moment that has passed means that something waits for running calls.
pub fn next_event(
    monthly: NanoUsd,
    anchor: Timestamp,
    cards: &[Card],
    now: Timestamp,
) -> Option<Timestamp> {
    let renewal = (monthly > NanoUsd::ZERO).then(|| next_anchor(anchor, now));
    let expiries = cards
        .iter()
        .filter(|card| card.remaining > NanoUsd::ZERO)
        .filter_map(|card| card.expires_at);
    renewal.into_iter().chain(expiries).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for overuse in Overuse::ALL {
            assert_eq!(overuse.as_str().parse(), Ok(*overuse));
            let json = serde_json::to_string(overuse).expect("serializes");
            assert_eq!(json, format!("\"{}\"", overuse.as_str()));
        }
        for kind in CardKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            let json = serde_json::to_string(kind).expect("serializes");
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
        }
        for kind in EntryKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!("Block".parse::<Overuse>(), Err(UnknownCreditsName));
        assert_eq!(Overuse::default(), Overuse::Block);
    }

    #[test]
    fn the_next_event_is_the_earliest() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let card = |remaining, expires_at| Card {
            id: 1,
            kind: CardKind::Grant,
            granted: NanoUsd::new(9),
            remaining: NanoUsd::new(remaining),
            granted_at: now,
            expires_at,
        };
        let soon = now.plus_millis(5);
        let monthly = NanoUsd::new(1);
        let anchor = next_anchor(now, now);
        assert_eq!(next_event(NanoUsd::ZERO, now, &[card(1, None)], now), None);
        assert_eq!(
            next_event(monthly, now, &[card(1, None)], now),
            Some(anchor)
        );
        let cards = [card(0, Some(now)), card(2, Some(soon))];
        assert_eq!(next_event(monthly, now, &cards, now), Some(soon));
        assert_eq!(next_event(NanoUsd::ZERO, now, &cards[..1], now), None);
    }
}
