//! One account's credits in memory, as plainly as they can be said.

use std::collections::BTreeMap;

use domain::credits::{Card, spend_order};
use domain::credits::{CardKind, Overuse, merge, next_anchor};
use domain::{NanoUsd, RequestId, Timestamp};
use store::NewHold;

const LEASE_MS: i64 = 15_000;

#[derive(Debug, Clone)]
struct Held {
    amount: i64,
    overuse: Overuse,
    node: String,
    interrupted: i64,
    forwarded: bool,
}

/// What can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) available: i64,
    pub(super) reserved: i64,
    pub(super) debt: i64,
    pub(super) monthly: i64,
    /// What is left of each card, and its expiry.
    pub(super) cards: Vec<(i64, i64)>,
    /// Each hold, and whether it was forwarded.
    pub(super) holds: Vec<(i64, i64)>,
    /// How many calls ended, and what they were charged.
    pub(super) charges: (i64, i64),
    pub(super) leases: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) available: i64,
    debt: i64,
    monthly: i64,
    anchor: Timestamp,
    /// When this month's included card lapses, spent or not.
    included_until: Timestamp,
    cards: Vec<Card>,
    next_card: i64,
    holds: BTreeMap<RequestId, Held>,
    ended: BTreeMap<RequestId, i64>,
    leases: BTreeMap<String, Timestamp>,
}

impl Model {
    /// A new subscription.
    pub(super) fn new(monthly: i64, now: Timestamp) -> Self {
        let mut model = Self {
            available: 0,
            debt: 0,
            monthly,
            anchor: now,
            included_until: now,
            cards: Vec::new(),
            next_card: 1,
            holds: BTreeMap::new(),
            ended: BTreeMap::new(),
            leases: BTreeMap::new(),
        };
        model.refresh(now);
        model
    }

    pub(super) fn state(&self) -> State {
        let expiry = |card: &Card| card.expires_at.map_or(i64::MAX, Timestamp::millis);
        let mut cards: Vec<(i64, i64)> = self
            .cards
            .iter()
            .filter(|card| card.remaining > NanoUsd::ZERO)
            .map(|card| (card.remaining.nanos(), expiry(card)))
            .collect();
        cards.sort_by_key(|(remaining, expiry)| (*expiry, *remaining));
        let mut holds: Vec<(i64, i64)> = self
            .holds
            .values()
            .map(|held| (held.amount, i64::from(held.forwarded)))
            .collect();
        holds.sort_unstable();
        State {
            available: self.available,
            reserved: self.reserved(),
            debt: self.debt,
            monthly: self.monthly,
            cards,
            holds,
            charges: (self.ended.len() as i64, self.ended.values().sum()),
            leases: self.leases.values().map(|until| until.millis()).collect(),
        }
    }

    /// The calls that have a hold.
    pub(super) fn running(&self) -> Vec<RequestId> {
        self.holds.keys().copied().collect()
    }

    fn reserved(&self) -> i64 {
        self.holds.values().map(|held| held.amount).sum()
    }

    /// Lapses what is not held and brings this month's credits.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        let mut held = self.reserved();
        for card in &mut self.cards {
            if card.expires_at.is_none_or(|expiry| expiry > now) {
                continue;
            }
            let remaining = card.remaining.nanos();
            let lapses = (remaining - held).max(0).min(self.available.max(0));
            held -= remaining.min(held);
            card.remaining = NanoUsd::new(remaining - lapses);
            self.available -= lapses;
        }
        if self.monthly > 0 && self.included_until <= now {
            self.included_until = next_anchor(self.anchor, now);
            self.add(
                CardKind::Included,
                self.monthly,
                Some(self.included_until),
                now,
            );
        }
    }

    pub(super) fn grant(
        &mut self,
        kind: CardKind,
        amount: i64,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.refresh(now);
        self.add(kind, amount, expires_at, now);
        for merged in merge(&self.cards, now) {
            self.cards.retain(|card| !merged.parts.contains(&card.id));
            self.cards.push(Card {
                id: self.next_card,
                kind: merged.kind,
                granted: merged.granted,
                remaining: merged.remaining,
                granted_at: merged.granted_at,
                expires_at: merged.expires_at,
            });
            self.next_card += 1;
        }
        spend_order(&mut self.cards);
    }

    pub(super) fn subscribe(&mut self, monthly: i64, now: Timestamp) {
        for card in &mut self.cards {
            if card.kind == CardKind::Included && card.expires_at.is_some_and(|at| at > now) {
                card.expires_at = Some(now);
            }
        }
        spend_order(&mut self.cards);
        self.monthly = monthly;
        self.anchor = now;
        self.included_until = now;
        self.refresh(now);
    }

    pub(super) fn reserve(&mut self, hold: &NewHold, now: Timestamp) -> bool {
        self.refresh(now);
        let amount = hold.amount.nanos();
        let enough = match hold.overuse {
            Overuse::Block => self.available >= amount,
            Overuse::Debt | Overuse::Forgive => self.available > 0,
        };
        if enough {
            self.available -= amount;
            let held = Held {
                amount,
                overuse: hold.overuse,
                node: hold.node.clone(),
                interrupted: hold.interrupted.nanos(),
                forwarded: false,
            };
            self.holds.insert(hold.request, held);
        }
        enough
    }

    pub(super) fn forward(&mut self, request: RequestId) -> bool {
        match self.holds.get_mut(&request) {
            Some(held) => {
                held.forwarded = true;
                true
            }
            None => false,
        }
    }

    /// The first end of a call counts. One without a hold is charged like a debt.
    pub(super) fn settle(&mut self, request: RequestId, charge: i64) {
        let held = self.holds.remove(&request);
        if let Some(held) = &held {
            self.available += held.amount;
        }
        if self.ended.contains_key(&request) {
            return;
        }
        self.ended.insert(request, charge);
        self.available -= charge;
        let mut owed = charge;
        for card in &mut self.cards {
            let taken = owed.min(card.remaining.nanos());
            card.remaining = NanoUsd::new(card.remaining.nanos() - taken);
            owed -= taken;
        }
        match held.map(|held| held.overuse) {
            Some(Overuse::Forgive) => self.available += owed,
            _ => self.debt += owed,
        }
    }

    /// A node's first lease is the moment at which those are forgotten that are long gone.
    pub(super) fn renew(&mut self, node: &str, now: Timestamp) -> bool {
        if !self.leases.contains_key(node) {
            let holds = &self.holds;
            let busy = |node: &str| holds.values().any(|held| held.node == node);
            self.leases
                .retain(|node, until| until.plus_millis(86_400_000) >= now || busy(node));
        }
        let until = now.plus_millis(LEASE_MS);
        let before = self.leases.insert(node.to_owned(), until);
        before.is_none_or(|before| before >= now)
    }

    pub(super) fn reap(&mut self, node: &str) {
        let held: Vec<(RequestId, i64)> = self
            .holds
            .iter()
            .filter(|(_, held)| held.node == node)
            .map(|(request, held)| match held.forwarded {
                true => (*request, held.interrupted),
                false => (*request, 0),
            })
            .collect();
        for (request, charge) in held {
            self.settle(request, charge);
        }
    }

    fn add(&mut self, kind: CardKind, amount: i64, expires_at: Option<Timestamp>, now: Timestamp) {
        let repaid = self.debt.min(amount);
        self.debt -= repaid;
        self.available += amount;
        self.cards.push(Card {
            id: self.next_card,
            kind,
            granted: NanoUsd::new(amount),
            remaining: NanoUsd::new(amount - repaid),
            granted_at: now,
            expires_at,
        });
        self.next_card += 1;
        spend_order(&mut self.cards);
    }
}
