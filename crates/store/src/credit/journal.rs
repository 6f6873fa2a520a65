//! The double-entry ledger: what came, what went, and where from and to. Rows are added and never changed.

use domain::credits::EntryKind;
use domain::{AccountId, NanoUsd, RequestId, Timestamp};

use super::LedgerRow;
use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;

/// The instance's side of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counterpart {
    /// Credits that were given out.
    Issued,
    /// Credits that calls were charged.
    Revenue,
    /// Credits that lapsed.
    Expired,
    /// Charges that were written off.
    Forgiven,
}

impl Counterpart {
    pub(super) const ALL: [Self; 4] = [Self::Issued, Self::Revenue, Self::Expired, Self::Forgiven];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Revenue => "revenue",
            Self::Expired => "expired",
            Self::Forgiven => "forgiven",
        }
    }
}

/// What a transaction says beside time, account and amount.
pub(super) struct Posting<'a> {
    pub(super) kind: EntryKind,
    /// The other side.
    pub(super) against: Counterpart,
    pub(super) request: Option<RequestId>,
    pub(super) reference: Option<&'a str>,
    pub(super) card: Option<i64>,
    pub(super) note: &'static str,
}

impl Posting<'_> {
    pub(super) const fn new(kind: EntryKind, against: Counterpart, note: &'static str) -> Self {
        Self {
            kind,
            against,
            request: None,
            reference: None,
            card: None,
            note,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    at: i64,
    kind: String,
    amount: i64,
    request_id: Option<String>,
    reference: Option<String>,
    card_id: Option<i64>,
    card_kind: Option<String>,
    note: String,
}

/// Adds a transaction that gives `amount` to the account (negative: takes it), and takes it from the other side.
pub(super) async fn post(
    tx: &mut Tx,
    account: AccountId,
    amount: NanoUsd,
    posting: &Posting<'_>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (transaction,): (i64,) = tx
        .one(
            sql(
                "INSERT INTO ledger_transactions (at, account_id, kind, request_id, reference,
                                                  card_id, note)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            )
            .bind(at)
            .bind(account)
            .bind(posting.kind.as_str())
            .bind(posting.request)
            .bind(posting.reference)
            .bind(posting.card)
            .bind(posting.note),
        )
        .await?;
    tx.run(
        sql(
            "INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             VALUES ($1, $2, $3), ($4, $2, $5)",
        )
        .bind(account.to_string().as_str())
        .bind(transaction)
        .bind(amount.nanos())
        .bind(posting.against.as_str())
        .bind(NanoUsd::ZERO.minus(amount).nanos()),
    )
    .await?;
    Ok(())
}

/// The account's transactions, newest first.
pub(crate) async fn of_account(
    store: &Store,
    account: AccountId,
    page: &PageRequest,
) -> Result<Page<LedgerRow>, StoreError> {
    let list = List("ledger");
    let rows = store
        .db()
        .all(
            sql(
                "SELECT t.id, t.at, t.kind, e.amount, t.request_id, t.reference, t.card_id,
                        c.kind AS card_kind, t.note
                 FROM ledger_entries e
                 JOIN ledger_transactions t ON t.id = e.transaction_id
                 LEFT JOIN credit_cards c ON c.id = t.card_id
                 WHERE e.ledger_account = $1 AND e.transaction_id < $2
                 ORDER BY e.transaction_id DESC LIMIT $3",
            )
            .bind(account)
            .bind(list.place(page)?.unwrap_or(i64::MAX))
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

fn read(row: Stored) -> Result<LedgerRow, StoreError> {
    let place = Place {
        table: "ledger_transactions",
        id: &row.id.to_string(),
    };
    Ok(LedgerRow {
        id: row.id,
        at: Timestamp::from_millis(row.at),
        kind: place.parse("kind", &row.kind)?,
        amount: NanoUsd::new(row.amount),
        request: place.parse_optional("request_id", row.request_id.as_deref())?,
        reference: row.reference,
        card: row.card_id,
        card_kind: place.parse_optional("card_id", row.card_kind.as_deref())?,
        note: row.note,
    })
}
