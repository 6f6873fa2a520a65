//! The rows behind a [`Book`].

use domain::credits::Card;
use domain::{AccountId, NanoUsd, Timestamp};

use super::Book;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

#[derive(sqlx::FromRow)]
pub(super) struct StoredAccount {
    pub(super) available: i64,
    pub(super) reserved: i64,
    pub(super) debt: i64,
    pub(super) monthly: i64,
    pub(super) anchor_at: i64,
    pub(super) next_event_at: i64,
}

/// A card as the database has it.
#[derive(sqlx::FromRow)]
pub(in crate::credit) struct StoredCard {
    pub(in crate::credit) id: i64,
    pub(in crate::credit) kind: String,
    pub(in crate::credit) granted: i64,
    pub(in crate::credit) remaining: i64,
    pub(in crate::credit) granted_at: i64,
    pub(in crate::credit) expires_at: Option<i64>,
}

impl StoredCard {
    pub(in crate::credit) fn read(self) -> Result<Card, StoreError> {
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

/// Locks an account's row until the transaction ends, and reads it.
pub(super) async fn lock(
    tx: &mut Tx,
    account: AccountId,
) -> Result<Option<StoredAccount>, StoreError> {
    tx.optional(
        // An update that changes nothing: the lock that both engines know.
        sql(
            "UPDATE credit_accounts SET available = available WHERE account_id = $1
             RETURNING available, reserved, debt, monthly, anchor_at, next_event_at",
        )
        .bind(account),
    )
    .await
}

/// The account's cards with something left.
pub(super) async fn cards(tx: &mut Tx, account: AccountId) -> Result<Vec<Card>, StoreError> {
    let cards: Vec<StoredCard> = tx
        .all(
            sql("SELECT id, kind, granted, remaining, granted_at, expires_at
                 FROM credit_cards WHERE account_id = $1 AND remaining > 0")
            .bind(account),
        )
        .await?;
    cards.into_iter().map(StoredCard::read).collect()
}

/// Whether this month's included card has come already, spent or not.
pub(super) async fn has_included(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (count,): (i64,) = tx
        .one(
            sql("SELECT count(*) FROM credit_cards
                 WHERE account_id = $1 AND kind = 'included' AND expires_at > $2")
            .bind(account)
            .bind(now),
        )
        .await?;
    Ok(count > 0)
}

/// Ends this month's included card, spent or not.
pub(super) async fn end_included(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE credit_cards SET expires_at = $2
             WHERE account_id = $1 AND kind = 'included' AND expires_at > $2")
        .bind(account)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// Adds a card and returns its number.
pub(super) async fn insert(
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

/// Writes what is left of a card.
pub(super) async fn update_card(tx: &mut Tx, card: &Card) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE credit_cards SET remaining = $2 WHERE id = $1")
            .bind(card.id)
            .bind(card.remaining.nanos()),
    )
    .await?;
    Ok(())
}

/// Writes the account's row.
pub(super) async fn update(tx: &mut Tx, book: &Book) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE credit_accounts
             SET available = $2, reserved = $3, debt = $4, monthly = $5, anchor_at = $6,
                 next_event_at = $7
             WHERE account_id = $1")
        .bind(book.account)
        .bind(book.available.nanos())
        .bind(book.reserved.nanos())
        .bind(book.debt.nanos())
        .bind(book.monthly.nanos())
        .bind(book.anchor_at)
        .bind(book.next_event_at),
    )
    .await?;
    Ok(())
}
