//! Credits: what a card is, in which order cards are spent, when they lapse, and when new ones come.
//!
//! Everything is integers of nano-USD ([`NanoUsd`]) and moments in UTC. The store keeps the cards; the rules are
//! here, so that they can be enumerated without a database.

mod calendar;
mod cards;

use crate::money::NanoUsd;
use crate::policy::words;
use crate::time::Timestamp;

pub use calendar::{next_anchor, next_month, utc_day, utc_month};
pub use cards::{Card, MAX_LIVE_CARDS, MERGE_SPAN_MS, Merged, draw, lapsing, merge, spend_order};

/// The most that one card, one hold, one charge or one balance may be worth: 100 million USD.
pub const MAX_CREDITS: NanoUsd = NanoUsd::new(100_000_000_000_000_000);

words! {
    /// What becomes of the part of a charge that no card covers.
    Overuse("overuse rule") {
        /// A call needs its whole hold beforehand. What exceeds the balance after all is owed.
        Block = "block",
        /// A call needs any credit at all. What exceeds the balance is owed, and the next grant repays it.
        Debt = "debt",
        /// A call needs any credit at all. What exceeds the balance is written off.
        Forgive = "forgive",
    }

    /// Where a card comes from.
    CardKind("kind of card") {
        /// The plan's monthly credits; it lapses when the next one comes.
        Included = "included",
        /// Given by an admin of the instance.
        Grant = "grant",
        /// Bought.
        TopUp = "top_up",
        /// Given back for calls that were charged.
        Refund = "refund",
    }

    /// Why the ledger has a transaction.
    EntryKind("kind of ledger transaction") {
        /// A card came.
        Grant = "grant",
        /// A call was charged.
        Charge = "charge",
        /// A card lapsed with something left.
        Expiry = "expiry",
        /// The part of a charge that no card covered was written off.
        Forgiveness = "forgiveness",
        /// A card came that gives back what was charged.
        Refund = "refund",
    }
}

impl Default for Overuse {
    /// [`Overuse::Block`]: nobody owes what they did not ask for.
    fn default() -> Self {
        Self::Block
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
