//! One account's credits, locked: the only code that changes a balance beside the quick reservation.

mod rows;

use domain::credits::{Card, CardKind, EntryKind, Overuse, draw, lapsing, merge, next_anchor};
use domain::credits::{next_event, spend_order};
use domain::{AccountId, NanoUsd, RequestId, Timestamp};

use super::NewCard;
use super::journal::{self, Counterpart, Posting};
use crate::db::Tx;
use crate::error::StoreError;

pub(super) use rows::StoredCard;

/// An account's row, under its lock, and its cards. Changes to both are written by [`Book::save`].
pub(crate) struct Book {
    pub(super) account: AccountId,
    pub(super) available: NanoUsd,
    pub(super) reserved: NanoUsd,
    pub(super) debt: NanoUsd,
    pub(super) monthly: NanoUsd,
    pub(super) anchor_at: Timestamp,
    next_event_at: Timestamp,
    /// Those with something left, in the order in which they are spent.
    cards: Vec<Card>,
    /// What is left of each card in the database.
    written: Vec<(i64, NanoUsd)>,
}

impl Book {
    /// Locks an account's row and reads it with its cards.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: there is no such account.
    pub(crate) async fn open(tx: &mut Tx, account: AccountId) -> Result<Self, StoreError> {
        let row = rows::lock(tx, account).await?.ok_or(StoreError::NotFound)?;
        let mut cards = rows::cards(tx, account).await?;
        spend_order(&mut cards);
        Ok(Self {
            account,
            available: NanoUsd::new(row.available),
            reserved: NanoUsd::new(row.reserved),
            debt: NanoUsd::new(row.debt),
            monthly: NanoUsd::new(row.monthly),
            anchor_at: Timestamp::from_millis(row.anchor_at),
            next_event_at: Timestamp::from_millis(row.next_event_at),
            written: cards.iter().map(|card| (card.id, card.remaining)).collect(),
            cards,
        })
    }

    /// Does what time has brought: cards lapse, and this month's included credits come. Says whether anything
    /// was due.
    pub(crate) async fn refresh(
        &mut self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.next_event_at > now {
            return Ok(false);
        }
        self.lapse(tx, now).await?;
        if self.monthly > NanoUsd::ZERO && !rows::has_included(tx, self.account, now).await? {
            let included = NewCard {
                kind: CardKind::Included,
                amount: self.monthly,
                expires_at: Some(next_anchor(self.anchor_at, now)),
                reference: None,
            };
            self.grant_one(tx, &included, now).await?;
        }
        self.schedule(now);
        Ok(true)
    }

    /// Adds a card, after what is due; what is owed is repaid from it first. Merges cards if there are many.
    pub(super) async fn grant(
        &mut self,
        tx: &mut Tx,
        new: &NewCard,
        now: Timestamp,
    ) -> Result<Card, StoreError> {
        self.refresh(tx, now).await?;
        let total = self.available.plus(self.reserved).plus(new.amount);
        if total > super::MAX_CREDITS {
            return Err(StoreError::Conflict("the balance would be out of range"));
        }
        let card = self.grant_one(tx, new, now).await?;
        self.merge_cards(tx, now).await?;
        self.schedule(now);
        Ok(card)
    }

    /// Ends this month's included card and begins a subscription with a full one.
    pub(super) async fn subscribe(
        &mut self,
        tx: &mut Tx,
        monthly: NanoUsd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        rows::end_included(tx, self.account, now).await?;
        let included = |card: &&mut Card| card.kind == CardKind::Included;
        for card in self.cards.iter_mut().filter(included) {
            card.expires_at = card.expires_at.min(Some(now));
        }
        spend_order(&mut self.cards);
        self.monthly = monthly;
        self.anchor_at = now;
        self.next_event_at = now;
        self.refresh(tx, now).await?;
        Ok(())
    }

    /// Moves `amount` from available to reserved.
    pub(super) fn hold(&mut self, amount: NanoUsd) {
        self.available = self.available.minus(amount);
        self.reserved = self.reserved.plus(amount);
    }

    /// Moves `amount` back from reserved to available.
    pub(super) fn release(&mut self, amount: NanoUsd) {
        self.available = self.available.plus(amount);
        self.reserved = self.reserved.minus(amount);
    }

    /// Takes a call's charge, more than nothing, out of the cards.
    pub(super) async fn charge(
        &mut self,
        tx: &mut Tx,
        request: RequestId,
        charge: NanoUsd,
        overuse: Overuse,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let shortage = draw(&mut self.cards, charge);
        self.available = self.available.minus(charge);
        let posting = Posting {
            request: Some(request),
            ..Posting::new(EntryKind::Charge, Counterpart::Revenue, "call")
        };
        let taken = NanoUsd::ZERO.minus(charge);
        journal::post(tx, self.account, taken, &posting, at).await?;
        if shortage == NanoUsd::ZERO {
            return Ok(());
        }
        match overuse {
            Overuse::Block | Overuse::Debt => self.debt = self.debt.plus(shortage),
            Overuse::Forgive => {
                self.available = self.available.plus(shortage);
                let posting = Posting {
                    request: Some(request),
                    ..Posting::new(
                        EntryKind::Forgiveness,
                        Counterpart::Forgiven,
                        "charge beyond the balance",
                    )
                };
                journal::post(tx, self.account, shortage, &posting, at).await?;
            }
        }
        Ok(())
    }

    /// Writes what has changed.
    pub(crate) async fn save(self, tx: &mut Tx) -> Result<(), StoreError> {
        rows::update(tx, &self).await?;
        for card in &self.cards {
            if !self.written.contains(&(card.id, card.remaining)) {
                rows::update_card(tx, card).await?;
            }
        }
        Ok(())
    }

    async fn lapse(&mut self, tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
        for (id, amount) in lapsing(&self.cards, self.reserved, self.available, now) {
            for card in self.cards.iter_mut().filter(|card| card.id == id) {
                card.remaining = card.remaining.minus(amount);
            }
            self.available = self.available.minus(amount);
            let posting = Posting {
                card: Some(id),
                ..Posting::new(EntryKind::Expiry, Counterpart::Expired, "card lapsed")
            };
            let taken = NanoUsd::ZERO.minus(amount);
            journal::post(tx, self.account, taken, &posting, now).await?;
        }
        Ok(())
    }

    async fn grant_one(
        &mut self,
        tx: &mut Tx,
        new: &NewCard,
        now: Timestamp,
    ) -> Result<Card, StoreError> {
        let reference = new.reference.as_deref();
        let repaid = self.debt.min(new.amount);
        self.debt = self.debt.minus(repaid);
        self.available = self.available.plus(new.amount);
        let mut card = Card {
            id: 0,
            kind: new.kind,
            granted: new.amount,
            remaining: new.amount.minus(repaid),
            granted_at: now,
            expires_at: new.expires_at,
        };
        card.id = rows::insert(tx, self.account, &card, reference).await?;
        let (kind, from, note) = match new.kind {
            CardKind::Refund => (EntryKind::Refund, Counterpart::Revenue, "refund"),
            CardKind::Included => (
                EntryKind::Grant,
                Counterpart::Issued,
                "included credits of the month",
            ),
            CardKind::TopUp => (EntryKind::Grant, Counterpart::Issued, "top-up"),
            CardKind::Grant => (EntryKind::Grant, Counterpart::Issued, "grant"),
        };
        let posting = Posting {
            reference,
            card: Some(card.id),
            ..Posting::new(kind, from, note)
        };
        journal::post(tx, self.account, new.amount, &posting, now).await?;
        self.keep(card.clone());
        Ok(card)
    }

    async fn merge_cards(&mut self, tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
        for merged in merge(&self.cards, now) {
            for card in &mut self.cards {
                if merged.parts.contains(&card.id) {
                    card.remaining = NanoUsd::ZERO;
                }
            }
            let mut card = Card {
                id: 0,
                kind: merged.kind,
                granted: merged.granted,
                remaining: merged.remaining,
                granted_at: merged.granted_at,
                expires_at: merged.expires_at,
            };
            card.id = rows::insert(tx, self.account, &card, None).await?;
            self.keep(card);
        }
        Ok(())
    }

    /// Takes a card that is in the database as it is here.
    fn keep(&mut self, card: Card) {
        self.written.push((card.id, card.remaining));
        self.cards.push(card);
        spend_order(&mut self.cards);
    }

    fn schedule(&mut self, now: Timestamp) {
        let next = next_event(self.monthly, self.anchor_at, &self.cards, now);
        self.next_event_at = next.unwrap_or(Timestamp::from_millis(i64::MAX));
    }
}
