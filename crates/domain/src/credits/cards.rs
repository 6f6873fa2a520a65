//! The order in which cards are spent, what lapses of them, and which are merged.

use super::CardKind;
use crate::money::NanoUsd;
use crate::time::Timestamp;

/// Above this many live cards an account's cards are merged where the rule allows it.
pub const MAX_LIVE_CARDS: usize = 12;

/// Cards whose expiries lie at most this far apart may be merged: 60 days.
pub const MERGE_SPAN_MS: i64 = 60 * DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// Credits that came together and lapse together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number; later cards have greater ones.
    pub id: i64,
    /// Where it comes from.
    pub kind: CardKind,
    /// What it was worth at first.
    pub granted: NanoUsd,
    /// What is left of it. Never negative.
    pub remaining: NanoUsd,
    /// When it came.
    pub granted_at: Timestamp,
    /// When what is left lapses; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Card {
    /// Whether it has lapsed by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}

/// A new card in place of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The numbers of the cards that it replaces.
    pub parts: Vec<i64>,
    /// Their kind; a grant, if they are of several.
    pub kind: CardKind,
    /// The sum of what they were worth.
    pub granted: NanoUsd,
    /// The sum of what is left of them.
    pub remaining: NanoUsd,
    /// When the oldest came.
    pub granted_at: Timestamp,
    /// The latest of their expiries.
    pub expires_at: Option<Timestamp>,
}

/// Puts cards into the order in which they are spent: the earliest expiry first, no expiry last; then the oldest.
pub fn spend_order(cards: &mut [Card]) {
    cards.sort_by_key(|card| {
        let expiry = card.expires_at.map_or(i64::MAX, Timestamp::millis);
        (card.expires_at.is_none(), expiry, card.granted_at, card.id)
    });
}

/// Takes `amount` out of cards that stand in [`spend_order`], and returns what they do not cover.
pub fn draw(cards: &mut [Card], amount: NanoUsd) -> NanoUsd {
    let mut owed = amount;
    for card in cards {
        let taken = owed.min(card.remaining).max(NanoUsd::ZERO);
        card.remaining = card.remaining.minus(taken);
        owed = owed.minus(taken);
    }
    owed
}

/// What lapses by `now` of each card, for cards that stand in [`spend_order`].
///
/// What is `reserved` for running calls stays until they are settled; their holds stand on the cards that are
/// spent first. Never more in sum than is `available`.
pub fn lapsing(
    cards: &[Card],
    reserved: NanoUsd,
    available: NanoUsd,
    now: Timestamp,
) -> Vec<(i64, NanoUsd)> {
    let mut held = reserved.max(NanoUsd::ZERO);
    let mut free = available.max(NanoUsd::ZERO);
    let mut lapsing = Vec::new();
    for card in cards.iter().filter(|card| card.has_expired(now)) {
        let kept = held.min(card.remaining);
        held = held.minus(kept);
        let amount = card.remaining.minus(kept).min(free);
        free = free.minus(amount);
        if amount > NanoUsd::ZERO {
            lapsing.push((card.id, amount));
        }
    }
    lapsing
}

/// Which cards to merge. Nothing while there are at most [`MAX_LIVE_CARDS`] with something left at `now`.
///
/// First those that lapse on the same UTC day (or never), then, while there are still too many, those whose
/// expiries lie within [`MERGE_SPAN_MS`]. Included cards and expired ones stay as they are.
pub fn merge(cards: &[Card], now: Timestamp) -> Vec<Merged> {
    let mut live: Vec<Merged> = cards
        .iter()
        .filter(|card| card.remaining > NanoUsd::ZERO && !card.has_expired(now))
        .map(alone)
        .collect();
    live.sort_by_key(|card| (card.expires_at, card.granted_at, card.parts.clone()));
    if live.len() > MAX_LIVE_CARDS {
        let same_day = |a: Timestamp, b: Timestamp| day(a) == day(b);
        live = join(live, same_day);
    }
    if live.len() > MAX_LIVE_CARDS {
        live = join(live, |a, b| b.millis_since(a) <= MERGE_SPAN_MS);
    }
    live.retain(|merged| merged.parts.len() > 1);
    live
}

fn alone(card: &Card) -> Merged {
    Merged {
        parts: vec![card.id],
        kind: card.kind,
        granted: card.granted,
        remaining: card.remaining,
        granted_at: card.granted_at,
        expires_at: card.expires_at,
    }
}

fn day(moment: Timestamp) -> i64 {
    moment.millis().div_euclid(DAY_MS)
}

/// Joins each card, in the order of expiries, to the group before it if `near` its first member.
fn join(cards: Vec<Merged>, near: impl Fn(Timestamp, Timestamp) -> bool) -> Vec<Merged> {
    let mut groups: Vec<Merged> = Vec::new();
    let mut open: Option<(usize, Option<Timestamp>)> = None;
    for card in cards {
        if card.kind == CardKind::Included {
            groups.push(card);
            continue;
        }
        let group = open.filter(|(_, first)| match (first, card.expires_at) {
            (None, None) => true,
            (Some(first), Some(expiry)) => near(*first, expiry),
            _ => false,
        });
        match group {
            Some((index, _)) => absorb(&mut groups[index], card),
            None => {
                open = Some((groups.len(), card.expires_at));
                groups.push(card);
            }
        }
    }
    groups
}

fn absorb(group: &mut Merged, card: Merged) {
    group.parts.extend(card.parts);
    group.granted = group.granted.plus(card.granted);
    group.remaining = group.remaining.plus(card.remaining);
    group.granted_at = group.granted_at.min(card.granted_at);
    group.expires_at = group.expires_at.max(card.expires_at);
    if group.kind != card.kind {
        group.kind = CardKind::Grant;
    }
}

#[cfg(test)]
mod tests;
