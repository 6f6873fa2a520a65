//! One account's credits, locked: the only code that changes a balance beside the quick reservation.

use domain::credits::{Card, CardKind, EntryKind, Overuse, draw, lapsing, merge, next_anchor};
use domain::credits::{next_event, spend_order};
use domain::{AccountId, Decimal, NanoUsd, RequestId, Timestamp};

use super::journal::{self, Posting, System};
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// An account's row, under its lock, and its cards. Changes to both are written by [`Book::save`].
pub(crate) struct Book {
    pub(super) account: AccountId,
    pub(super) available: NanoUsd,
    pub(super) reserved: NanoUsd,
    pub(super) debt: NanoUsd,
    pub(super) monthly: NanoUsd,
    pub(super) anchor_at: Timestamp,
    pub(super) rate: Decimal,
    next_event_at: Timestamp,
    /// Those with something left, in the order in which they are spent.
    cards: Vec<Card>,
    /// What is left of each card in the database.
    written: Vec<(i64, NanoUsd)>,
}

/// A card to come.
pub(super) struct Grant<'a> {
    pub(super) kind: CardKind,
    pub(super) amount: NanoUsd,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) reference: Option<&'a str>,
    pub(super) note: &'static str,
}

#[derive(sqlx::FromRow)]
struct StoredAccount {
    available: i64,
    reserved: i64,
    debt: i64,
    monthly: i64,
    anchor_at: i64,
    next_event_at: i64,
    rate: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct StoredCard {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) granted: i64,
    pub(super) remaining: i64,
    pub(super) granted_at: i64,
    pub(super) expires_at: Option<i64>,
}

impl StoredCard {
    pub(super) fn read(self) -> Result<Card, StoreError> {
        let place = Place {
            table: "credit_cards",
            id: &self.id.to_string(),
        };
        Ok(Card {
            id: self.id,
            kind: place.parse("kind", &self.kind)?,
            granted: NanoUsd::new(self.granted),
            remaining: NanoUsd::new(self.remaining),
            granted_at: Timestamp::from_millis(self.granted_at),
            expires_at: crate::moment(self.expires_at),
        })
    }
}

impl Book {
    /// Locks an account's row and reads it with its cards.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: there is no such account.
    pub(crate) async fn open(tx: &mut Tx, account: AccountId) -> Result<Self, StoreError> {
        let row: Option<StoredAccount> = tx
            .optional(
                // An update that changes nothing: the lock that both engines know.
                sql(
                    "UPDATE credit_accounts SET available = available WHERE account_id = $1
                     RETURNING available, reserved, debt, monthly, anchor_at, next_event_at, rate",
                )
                .bind(account),
            )
            .await?;
        let row = row.ok_or(StoreError::NotFound)?;
        let cards: Vec<StoredCard> = tx
            .all(
                sql("SELECT id, kind, granted, remaining, granted_at, expires_at
                     FROM credit_cards WHERE account_id = $1 AND remaining > 0")
                .bind(account),
            )
            .await?;
        let mut cards = cards
            .into_iter()
            .map(StoredCard::read)
            .collect::<Result<Vec<Card>, _>>()?;
        spend_order(&mut cards);
        Ok(Self {
            account,
            available: NanoUsd::new(row.available),
            reserved: NanoUsd::new(row.reserved),
            debt: NanoUsd::new(row.debt),
            monthly: NanoUsd::new(row.monthly),
            anchor_at: Timestamp::from_millis(row.anchor_at),
            rate: Decimal::from_billionths(row.rate),
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
        if self.monthly > NanoUsd::ZERO && !self.has_included(tx, now).await? {
            let included = Grant {
                kind: CardKind::Included,
                amount: self.monthly,
                expires_at: Some(next_anchor(self.anchor_at, now)),
                reference: None,
                note: "included credits of the month",
            };
            self.add_card(tx, &included, now).await?;
        }
        self.schedule(now);
        Ok(true)
    }

    /// Adds a card, after what is due; what is owed is repaid from it first. Merges cards if there are many.
    pub(super) async fn grant(
        &mut self,
        tx: &mut Tx,
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Result<Card, StoreError> {
        self.refresh(tx, now).await?;
        let total = self.available.plus(self.reserved).plus(grant.amount);
        if total > super::MAX_CREDITS {
            return Err(StoreError::Conflict("the balance would be out of range"));
        }
        let card = self.add_card(tx, grant, now).await?;
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
        tx.run(
            sql("UPDATE credit_cards SET expires_at = $2
                 WHERE account_id = $1 AND kind = 'included' AND expires_at > $2")
            .bind(self.account)
            .bind(now),
        )
        .await?;
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
            ..Posting::new(EntryKind::Charge, System::Revenue, "call")
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
                        System::Forgiven,
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
        tx.run(
            sql("UPDATE credit_accounts
                 SET available = $2, reserved = $3, debt = $4, monthly = $5, anchor_at = $6,
                     next_event_at = $7, rate = $8
                 WHERE account_id = $1")
            .bind(self.account)
            .bind(self.available.nanos())
            .bind(self.reserved.nanos())
            .bind(self.debt.nanos())
            .bind(self.monthly.nanos())
            .bind(self.anchor_at)
            .bind(self.next_event_at)
            .bind(self.rate.billionths()),
        )
        .await?;
        for card in &self.cards {
            if self.written.contains(&(card.id, card.remaining)) {
                continue;
            }
            tx.run(
                sql("UPDATE credit_cards SET remaining = $2 WHERE id = $1")
                    .bind(card.id)
                    .bind(card.remaining.nanos()),
            )
            .await?;
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
                ..Posting::new(EntryKind::Expiry, System::Expired, "card lapsed")
            };
            let taken = NanoUsd::ZERO.minus(amount);
            journal::post(tx, self.account, taken, &posting, now).await?;
        }
        Ok(())
    }

    /// Whether this month's included card has come already, spent or not.
    async fn has_included(&self, tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
        let (count,): (i64,) = tx
            .one(
                sql("SELECT count(*) FROM credit_cards
                     WHERE account_id = $1 AND kind = 'included' AND expires_at > $2")
                .bind(self.account)
                .bind(now),
            )
            .await?;
        Ok(count > 0)
    }

    async fn add_card(
        &mut self,
        tx: &mut Tx,
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Result<Card, StoreError> {
        let repaid = self.debt.min(grant.amount);
        self.debt = self.debt.minus(repaid);
        self.available = self.available.plus(grant.amount);
        let mut card = Card {
            id: 0,
            kind: grant.kind,
            granted: grant.amount,
            remaining: grant.amount.minus(repaid),
            granted_at: now,
            expires_at: grant.expires_at,
        };
        card.id = insert(tx, self.account, &card, grant.reference).await?;
        let (kind, from) = match grant.kind {
            CardKind::Refund => (EntryKind::Refund, System::Revenue),
            _ => (EntryKind::Grant, System::Issued),
        };
        let posting = Posting {
            reference: grant.reference,
            card: Some(card.id),
            ..Posting::new(kind, from, grant.note)
        };
        journal::post(tx, self.account, grant.amount, &posting, now).await?;
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
            card.id = insert(tx, self.account, &card, None).await?;
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

async fn insert(
    tx: &mut Tx,
    account: AccountId,
    card: &Card,
    reference: Option<&str>,
) -> Result<i64, StoreError> {
    let (id,): (i64,) = tx
        .one(
            sql(
                "INSERT INTO credit_cards (account_id, kind, granted, remaining, granted_at,
                                           expires_at, reference)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            )
            .bind(account)
            .bind(card.kind.as_str())
            .bind(card.granted.nanos())
            .bind(card.remaining.nanos())
            .bind(card.granted_at)
            .bind(card.expires_at)
            .bind(reference),
        )
        .await?;
    Ok(id)
}
