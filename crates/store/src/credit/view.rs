//! What is shown of an account's credits.

use domain::credits::next_anchor;
use domain::{AccountId, Decimal, NanoUsd, Timestamp};

use super::book::StoredCard;
use super::{Book, CardRow, CreditsRow};
use crate::Store;
use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::sql;

/// The account and one of its cards; the card's columns are empty where there is none.
#[derive(sqlx::FromRow)]
struct Joined {
    available: i64,
    reserved: i64,
    debt: i64,
    monthly: i64,
    anchor_at: i64,
    rate: i64,
    id: Option<i64>,
    kind: Option<String>,
    granted: Option<i64>,
    remaining: Option<i64>,
    granted_at: Option<i64>,
    expires_at: Option<i64>,
    reference: Option<String>,
}

impl Joined {
    fn card(self) -> Result<Option<CardRow>, StoreError> {
        let (Some(id), Some(kind), Some(granted), Some(remaining), Some(granted_at)) = (
            self.id,
            self.kind,
            self.granted,
            self.remaining,
            self.granted_at,
        ) else {
            return Ok(None);
        };
        let card = StoredCard {
            id,
            kind,
            granted,
            remaining,
            granted_at,
            expires_at: self.expires_at,
        };
        Ok(Some(CardRow::of(card.read()?, self.reference)))
    }
}

#[derive(sqlx::FromRow)]
struct Referenced {
    #[sqlx(flatten)]
    card: StoredCard,
    reference: Option<String>,
}

impl Referenced {
    fn read(self) -> Result<CardRow, StoreError> {
        Ok(CardRow::of(self.card.read()?, self.reference))
    }
}

/// The account's credits as of `now`, after what time has brought.
pub(crate) async fn credits_of(
    store: &Store,
    account: AccountId,
    now: Timestamp,
) -> Result<CreditsRow, StoreError> {
    bring_up_to_date(store, account, now).await?;
    // One statement, so that the balance and the cards are of one moment.
    let rows: Vec<Joined> = store
        .db()
        .all(
            sql("SELECT a.available, a.reserved, a.debt, a.monthly, a.anchor_at, a.rate,
                        c.id, c.kind, c.granted, c.remaining, c.granted_at, c.expires_at, c.reference
                 FROM credit_accounts a
                 LEFT JOIN credit_cards c ON c.account_id = a.account_id
                   AND (c.remaining > 0 OR (c.kind = 'included' AND c.expires_at > $2))
                 WHERE a.account_id = $1
                 ORDER BY CASE WHEN c.expires_at IS NULL THEN 1 ELSE 0 END, c.expires_at,
                          c.granted_at, c.id")
            .bind(account)
            .bind(now),
        )
        .await?;
    let row = rows.first().ok_or(StoreError::NotFound)?;
    let monthly = NanoUsd::new(row.monthly);
    let anchor = Timestamp::from_millis(row.anchor_at);
    let mut credits = CreditsRow {
        available: NanoUsd::new(row.available),
        reserved: NanoUsd::new(row.reserved),
        debt: NanoUsd::new(row.debt),
        total: NanoUsd::ZERO,
        monthly,
        next_reset: (monthly > NanoUsd::ZERO).then(|| next_anchor(anchor, now)),
        rate: Decimal::from_billionths(row.rate),
        cards: Vec::new(),
    };
    for row in rows {
        if let Some(card) = row.card()? {
            credits.total = credits.total.plus(card.granted);
            credits.cards.push(card);
        }
    }
    Ok(credits)
}

/// The account's card with this reference, as it is now. What it was worth at first never changes.
pub(crate) async fn card_with_reference(
    tx: &mut Tx,
    account: AccountId,
    reference: &str,
) -> Result<Option<CardRow>, StoreError> {
    let card: Option<Referenced> = tx
        .optional(
            sql(
                "SELECT id, kind, granted, remaining, granted_at, expires_at, reference
                 FROM credit_cards WHERE account_id = $1 AND reference = $2",
            )
            .bind(account)
            .bind(reference),
        )
        .await?;
    card.map(Referenced::read).transpose()
}

async fn bring_up_to_date(
    store: &Store,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let due: Option<(i64,)> = store
        .db()
        .optional(
            sql("SELECT next_event_at FROM credit_accounts
                 WHERE account_id = $1 AND next_event_at <= $2")
            .bind(account)
            .bind(now),
        )
        .await?;
    if due.is_none() {
        return Ok(());
    }
    let mut tx = store.db().begin().await?;
    let mut book = Book::open(&mut tx, account).await?;
    if book.refresh(&mut tx, now).await? {
        book.save(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(())
}
