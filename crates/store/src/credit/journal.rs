//! The double-entry ledger: what came, what went, and where from and to. Rows are added and never changed.

use std::fmt;
use std::str::FromStr;

use domain::credits::EntryKind;
use domain::{AccountId, NanoUsd, RequestId, Timestamp};

use super::{LedgerFilter, LedgerRow};
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
    /// What there was after the page before, or is now.
    start: i64,
    /// What the transactions between it and the one told before it come to, which do not fit the filter.
    skipped: i64,
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

/// Where a page of a ledger begins: below this transaction, with so much in the account before it. Neither ever changes.
struct Below {
    id: i64,
    balance: i64,
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.balance)
    }
}

impl FromStr for Below {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, balance) = text.split_once('.').ok_or(())?;
        Ok(Self {
            id: id.parse().map_err(drop)?,
            balance: balance.parse().map_err(drop)?,
        })
    }
}

/// The account's transactions that fit, newest first. No row says what there was after it: that follows from what is there
/// now, in the same statement, or from what the page before ended with.
pub(crate) async fn of_account(
    store: &Store,
    account: AccountId,
    filter: &LedgerFilter,
    page: &PageRequest,
) -> Result<Page<LedgerRow>, StoreError> {
    let list = List("ledger");
    let below: Option<Below> = list.place(page)?;
    let rows: Vec<Stored> = store
        .db()
        .all(
            sql(
                "WITH told AS (
                     SELECT t.id, t.at, t.kind, e.amount, t.request_id, t.reference, t.card_id, t.note
                     FROM ledger_entries e
                     JOIN ledger_transactions t ON t.id = e.transaction_id
                     WHERE e.ledger_account = $1 AND e.transaction_id < $2
                       AND t.at >= $3 AND t.at < $4 AND (CAST($5 AS TEXT) IS NULL OR t.kind = $5)
                     ORDER BY e.transaction_id DESC LIMIT $6)
                 SELECT n.id, n.at, n.kind, n.amount, n.request_id, n.reference, n.card_id,
                        c.kind AS card_kind, n.note,
                        COALESCE(CAST($7 AS BIGINT), a.available + a.reserved) AS start,
                        CAST(COALESCE((SELECT sum(s.amount) FROM ledger_entries s
                                       WHERE s.ledger_account = $1 AND s.transaction_id > n.id
                                         AND s.transaction_id < n.newer), 0) AS BIGINT) AS skipped
                 FROM (SELECT told.*, COALESCE(lag(id) OVER (ORDER BY id DESC), $2) AS newer
                       FROM told) n
                 JOIN credit_accounts a ON a.account_id = $1
                 LEFT JOIN credit_cards c ON c.id = n.card_id
                 ORDER BY n.id DESC",
            )
            .bind(account)
            .bind(below.as_ref().map_or(i64::MAX, |below| below.id))
            .bind(filter.from.map_or(i64::MIN, Timestamp::millis))
            .bind(filter.to.map_or(i64::MAX, Timestamp::millis))
            .bind(filter.kind.map(EntryKind::as_str))
            .bind(page.rows())
            .bind(below.map(|below| below.balance)),
        )
        .await?;
    let mut before = NanoUsd::new(rows.first().map_or(0, |row| row.start));
    let rows = rows.into_iter().map(|row| {
        let balance = before.minus(NanoUsd::new(row.skipped));
        before = balance.minus(NanoUsd::new(row.amount));
        (row, balance)
    });
    let rows = rows.collect();
    list.page(
        page,
        rows,
        |(row, balance)| read(row, balance),
        |row| {
            let balance = row.balance.minus(row.amount).nanos();
            Below {
                id: row.id,
                balance,
            }
            .to_string()
        },
    )
}

fn read(row: Stored, balance: NanoUsd) -> Result<LedgerRow, StoreError> {
    let place = Place {
        table: "ledger_transactions",
        id: &row.id.to_string(),
    };
    Ok(LedgerRow {
        id: row.id,
        at: Timestamp::from_millis(row.at),
        kind: place.parse("kind", &row.kind)?,
        amount: NanoUsd::new(row.amount),
        balance,
        request: place.parse_optional("request_id", row.request_id.as_deref())?,
        reference: row.reference,
        card: row.card_id,
        card_kind: place.parse_optional("card_id", row.card_kind.as_deref())?,
        note: row.note,
    })
}
