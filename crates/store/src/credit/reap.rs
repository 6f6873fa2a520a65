//! Leases of nodes, and the holds of those that died.
//!
//! Who is dead is not decided here: clocks of nodes differ, so that a lease says something only to who watches
//! whether it changes.

use domain::{AccountId, NanoUsd, RequestId, Timestamp};

use super::LEASE_MS;
use super::settle::{Hold, close_books, open_books, settle_one, take};
use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::{Statement, sql};
use crate::usage::{self, Grouped, Stored, UsageRow};

/// How many holds one transaction settles.
const BATCH: i64 = 100;
/// Names of nodes are forgotten this long after their leases ended.
const FORGOTTEN_AFTER_MS: i64 = 86_400_000;
/// The status of a row whose client got no answer.
const CLIENT_CLOSED: i64 = 499;
const INTERRUPTED: &str = "interrupted";

/// Lengthens a node's lease from `now`, and says whether it had not lapsed. With its first one, the names of nodes
/// that are long gone are forgotten.
pub(crate) async fn renew_lease(
    store: &Store,
    node: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let before: Option<(i64,)> = tx
        .optional(sql("SELECT lease_until FROM nodes WHERE id = $1").bind(node))
        .await?;
    if before.is_none() {
        forget_nodes(&mut tx, now).await?;
    }
    tx.run(
        sql("INSERT INTO nodes (id, lease_until) VALUES ($1, $2)
             ON CONFLICT (id) DO UPDATE SET lease_until = $2")
        .bind(node)
        .bind(now.plus_millis(LEASE_MS)),
    )
    .await?;
    tx.commit().await?;
    Ok(before.is_none_or(|(until,)| until >= now.millis()))
}

/// The nodes that have holds, each with the end of its lease by its own clock; `None`: it has no lease.
pub(crate) async fn leases(store: &Store) -> Result<Vec<(String, Option<Timestamp>)>, StoreError> {
    let rows: Vec<(String, Option<i64>)> =
        store
            .db()
            .all(sql("SELECT DISTINCT h.node, n.lease_until
                  FROM credit_holds h LEFT JOIN nodes n ON n.id = h.node"))
            .await?;
    let read = |(node, until)| (node, crate::moment(until));
    Ok(rows.into_iter().map(read).collect())
}

/// Settles the holds of a node and says how many.
pub(crate) async fn reap_node(
    store: &Store,
    node: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let due = || {
        sql(
            "SELECT request_id, account_id FROM credit_holds WHERE node = $1
             ORDER BY request_id LIMIT $2",
        )
        .bind(node)
        .bind(BATCH)
    };
    reap(store, due, now).await
}

/// Settles the holds of all nodes but this one and says how many.
pub(crate) async fn reap_others(
    store: &Store,
    node: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let due = || {
        sql(
            "SELECT request_id, account_id FROM credit_holds WHERE node <> $1
             ORDER BY request_id LIMIT $2",
        )
        .bind(node)
        .bind(BATCH)
    };
    reap(store, due, now).await
}

async fn reap(
    store: &Store,
    due: impl Fn() -> Statement,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut reaped = 0;
    loop {
        let due: Vec<(String, String)> = store.db().all(due()).await?;
        let last = (due.len() as i64) < BATCH;
        reaped += settle_due(store, due, now).await?;
        if last {
            return Ok(reaped);
        }
    }
}

async fn settle_due(
    store: &Store,
    due: Vec<(String, String)>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let due = due
        .iter()
        .map(|(request, account)| {
            let place = Place {
                table: "credit_holds",
                id: request,
            };
            Ok((
                place.parse("request_id", request)?,
                place.parse("account_id", account)?,
            ))
        })
        .collect::<Result<Vec<(RequestId, AccountId)>, StoreError>>()?;
    if due.is_empty() {
        return Ok(0);
    }
    let mut settled = 0;
    let mut added = Vec::new();
    let mut tx = store.db().begin().await?;
    let mut books = open_books(&mut tx, due.iter().map(|(_, account)| account)).await?;
    for (request, account) in due {
        let Some(book) = books.get_mut(&account) else {
            continue;
        };
        // Only now, under the account's lock: the node may have come back and settled, or forwarded, the call.
        let Some(hold) = take(&mut tx, request, account).await? else {
            continue;
        };
        let row = interrupted(&hold, request)?;
        let group = usage::find_or_add(&mut tx, &row).await?;
        if settle_one(&mut tx, book, Some(&hold), (&row, group), now).await? {
            added.push((row, group));
        }
        settled += 1;
    }
    let added: Vec<Grouped<'_>> = added.iter().map(|(row, group)| (row, *group)).collect();
    usage::note(&mut tx, &added).await?;
    close_books(&mut tx, books).await?;
    tx.commit().await?;
    Ok(settled)
}

/// The row of a call whose node died: as its hold kept it if it was forwarded, otherwise without consumption.
fn interrupted(hold: &Hold, request: RequestId) -> Result<UsageRow, StoreError> {
    let place = Place {
        table: "credit_holds",
        id: &request.to_string(),
    };
    let row: Stored = serde_json::from_str(&hold.usage).map_err(|_| place.corrupt("usage"))?;
    let row = row.read()?;
    let row = UsageRow {
        request,
        status: CLIENT_CLOSED,
        error_code: Some(INTERRUPTED.to_owned()),
        ..row
    };
    Ok(match hold.forwarded != 0 {
        true => UsageRow {
            charge: NanoUsd::new(hold.interrupted),
            ..row
        },
        // No provider was asked: what the hold expected did not happen.
        false => UsageRow {
            usage: None,
            cost: None,
            pricing: None,
            catalog_version: None,
            charge: NanoUsd::ZERO,
            ..row
        },
    })
}

async fn forget_nodes(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    tx.run(
        sql("DELETE FROM nodes WHERE lease_until < $1
             AND NOT EXISTS (SELECT 1 FROM credit_holds h WHERE h.node = nodes.id)")
        .bind(now.plus_millis(-FORGOTTEN_AFTER_MS)),
    )
    .await?;
    Ok(())
}
