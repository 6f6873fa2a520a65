//! The end of a call: its usage row is written and its hold settled, together and once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::credits::Overuse;
use domain::{AccountId, NanoUsd, RequestId, Timestamp};

use super::Book;
use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::kept;
use crate::statement::{InOrder, sql};
use crate::usage::{self, Grouped, UsageRow};

/// A hold that is being settled: it is gone from the table already.
#[derive(sqlx::FromRow)]
pub(super) struct Hold {
    workspace_id: String,
    amount: i64,
    overuse: String,
    pub(super) forwarded: i64,
    pub(super) interrupted: i64,
    month: Option<String>,
    pub(super) usage: String,
}

/// Writes usage rows and settles their calls' holds, all or none. A call that has a row already keeps it, and is
/// not charged again.
pub(crate) async fn settle(store: &Store, rows: &[UsageRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&UsageRow> = rows.iter().collect();
    rows.sort_by_key(|row| row.request);
    let groups = usage::ids(store, &rows).await?;
    let rows: Vec<Grouped<'_>> = rows.into_iter().zip(groups).collect();
    // Which of many rows were added, a statement tells at a price that is seldom worth it.
    match settle_all(store, &rows, Known::None).await? {
        true => Ok(()),
        false => settle_all(store, &rows, Known::Some).await.map(drop),
    }
}

/// Whether calls may have a row already.
#[derive(Clone, Copy)]
enum Known {
    None,
    Some,
}

/// `false`: some call has a row although none was to have one; nothing was done.
async fn settle_all(store: &Store, rows: &[Grouped<'_>], known: Known) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let holders = holders(&mut tx, rows).await?;
    let payer = |row: &UsageRow| {
        let holder = holders.get(&row.request).copied();
        holder.or((row.charge > NanoUsd::ZERO).then_some(row.account))
    };
    let (paid, free): (Vec<Grouped<'_>>, Vec<Grouped<'_>>) = rows
        .iter()
        .copied()
        .partition(|(row, _)| payer(row).is_some());
    let payers: Vec<AccountId> = paid.iter().filter_map(|(row, _)| payer(row)).collect();
    let mut books = open_books(&mut tx, payers.iter()).await?;
    let mut added = Vec::new();
    for (row, payer) in paid.into_iter().zip(payers) {
        if let Some(book) = books.get_mut(&payer) {
            let (call, _) = row;
            let hold = take(&mut tx, call.request, payer).await?;
            if settle_one(&mut tx, book, hold.as_ref(), row, call.at).await? {
                added.push(row);
            }
        }
    }
    match known {
        Known::None => {
            if !usage::insert_new(&mut tx, &free).await? {
                return Ok(false);
            }
            added.extend(free);
        }
        Known::Some => added.extend(usage::insert_missing(&mut tx, &free).await?),
    }
    usage::note(&mut tx, &added).await?;
    kept::note(&mut tx, &added).await?;
    close_books(&mut tx, books).await?;
    tx.commit().await?;
    Ok(true)
}

/// Locks the accounts in the order of their ids, so that two nodes cannot wait for each other.
pub(super) async fn open_books(
    tx: &mut Tx,
    accounts: impl Iterator<Item = &AccountId>,
) -> Result<BTreeMap<AccountId, Book>, StoreError> {
    let mut sorted: Vec<AccountId> = accounts.copied().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut books = BTreeMap::new();
    for account in sorted {
        books.insert(account, Book::open(tx, account).await?);
    }
    Ok(books)
}

pub(super) async fn close_books(
    tx: &mut Tx,
    books: BTreeMap<AccountId, Book>,
) -> Result<(), StoreError> {
    for book in books.into_values() {
        book.save(tx).await?;
    }
    Ok(())
}

/// Removes a call's hold and returns it; `None`: it was settled meanwhile.
pub(super) async fn take(
    tx: &mut Tx,
    request: RequestId,
    account: AccountId,
) -> Result<Option<Hold>, StoreError> {
    tx.optional(
        sql(
            "DELETE FROM credit_holds WHERE request_id = $1 AND account_id = $2
             RETURNING workspace_id, amount, overuse, forwarded, interrupted, month, usage",
        )
        .bind(request)
        .bind(account),
    )
    .await
}

/// Writes one row and settles its hold, and says whether the call had no row before: then it is for
/// [`usage::note`]. `at`: when the charge is booked.
pub(super) async fn settle_one(
    tx: &mut Tx,
    book: &mut Book,
    hold: Option<&Hold>,
    (row, group): Grouped<'_>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    // A call that was settled before is not charged again; a hold that came after all is given back.
    let added = usage::insert(tx, (row, group)).await?;
    let charge = match added {
        true => row.charge.max(NanoUsd::ZERO),
        false => NanoUsd::ZERO,
    };
    let mut overuse = Overuse::Debt;
    if let Some(hold) = hold {
        let place = Place {
            table: "credit_holds",
            id: &row.request.to_string(),
        };
        overuse = place.parse("overuse", &hold.overuse)?;
        let amount = NanoUsd::new(hold.amount);
        book.release(amount);
        if let Some(month) = &hold.month {
            correct_fallback(tx, &hold.workspace_id, month, charge.minus(amount)).await?;
        }
    }
    if charge > NanoUsd::ZERO {
        book.charge(tx, row.request, charge, overuse, at).await?;
    }
    Ok(added)
}

/// How many calls one statement looks up: most have no hold, and a statement costs more than a look.
const LOOKED_UP: usize = 64;
static HOLDERS: LazyLock<InOrder> = LazyLock::new(|| holders_text(LOOKED_UP));
/// For what is left of a batch.
const FEW: usize = 4;
static HOLDERS_OF_FEW: LazyLock<InOrder> = LazyLock::new(|| holders_text(FEW));

fn holders_text(calls: usize) -> InOrder {
    let places = vec!["$"; calls].join(", ");
    InOrder::new(&format!(
        "SELECT request_id, account_id FROM credit_holds WHERE request_id IN ({places})"
    ))
}

/// The accounts that pay for the holds of these calls; calls without a hold are not among them.
async fn holders(
    tx: &mut Tx,
    rows: &[Grouped<'_>],
) -> Result<BTreeMap<RequestId, AccountId>, StoreError> {
    let mut holders = BTreeMap::new();
    // Where credits pay for nothing there are none, and nothing has to be looked up.
    let any: Option<(String,)> = tx
        .optional(sql("SELECT request_id FROM credit_holds LIMIT 1"))
        .await?;
    if any.is_none() {
        return Ok(holders);
    }
    for some in rows.chunks(LOOKED_UP) {
        let (text, places) = match some.len() <= FEW {
            true => (&HOLDERS_OF_FEW, FEW),
            false => (&HOLDERS, LOOKED_UP),
        };
        // What is missing to a full statement is filled up with the last.
        let calls = some.iter().chain(some.last().into_iter().cycle());
        let statement = calls
            .take(places)
            .fold(text.statement(), |statement, (row, _)| {
                statement.bind(row.request)
            });
        let found: Vec<(String, String)> = tx.all(statement).await?;
        for (request, account) in found {
            let place = Place {
                table: "credit_holds",
                id: &request,
            };
            let account = place.parse("account_id", &account)?;
            holders.insert(place.parse("request_id", &request)?, account);
        }
    }
    Ok(holders)
}

async fn correct_fallback(
    tx: &mut Tx,
    workspace: &str,
    month: &str,
    by: NanoUsd,
) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE fallback_spend SET spent = spent + $3
             WHERE workspace_id = $1 AND month = $2")
        .bind(workspace)
        .bind(month)
        .bind(by.nanos()),
    )
    .await?;
    Ok(())
}
