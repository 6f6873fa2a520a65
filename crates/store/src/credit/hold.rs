//! Holds: what a running call keeps from being spent twice.

use domain::credits::{Overuse, next_anchor, next_month, utc_month};
use domain::{NanoUsd, RequestId, Timestamp};

use super::{Book, MAX_CREDITS, NewHold, Reservation};
use crate::Store;
use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::sql;
use crate::usage::Stored;

/// Holds the amount, or says why not.
pub(crate) async fn reserve(
    store: &Store,
    hold: &NewHold,
    now: Timestamp,
) -> Result<Reservation, StoreError> {
    if hold.amount < NanoUsd::new(1) || hold.amount > MAX_CREDITS {
        return Err(StoreError::Conflict("the amount to hold is out of range"));
    }
    let mut tx = store.db().begin().await?;
    if !move_quickly(&mut tx, hold, now).await? {
        let mut book = Book::open(&mut tx, hold.row.account).await?;
        let refreshed = book.refresh(&mut tx, now).await?;
        if book.available < least(hold) {
            let refused = Reservation::CreditsExhausted {
                available: book.available,
                needed: hold.amount,
                resets_at: (book.monthly > NanoUsd::ZERO).then(|| next_anchor(book.anchor_at, now)),
            };
            // What time has brought stays; a refusal alone is not worth a write.
            if refreshed {
                book.save(&mut tx).await?;
                tx.commit().await?;
            }
            return Ok(refused);
        }
        book.hold(hold.amount);
        book.save(&mut tx).await?;
    }
    let month = hold.fallback_cap.map(|_| utc_month(now));
    if let (Some(cap), Some(month)) = (hold.fallback_cap, &month)
        && !count_fallback(&mut tx, hold, cap, month).await?
    {
        // Dropped with the transaction: the amount goes back.
        return Ok(Reservation::FallbackCapReached {
            cap,
            spent: spent_in(&mut tx, hold, month).await?,
            resets_at: next_month(now),
        });
    }
    insert(&mut tx, hold, month.as_deref(), now).await?;
    tx.commit().await?;
    Ok(Reservation::Reserved)
}

/// Notes that the call is about to leave the node.
pub(crate) async fn forwarded(store: &Store, request: RequestId) -> Result<(), StoreError> {
    let mut tx = store.db().begin().await?;
    let marked = tx
        .run(sql("UPDATE credit_holds SET forwarded = 1 WHERE request_id = $1").bind(request))
        .await?;
    if marked == 0 {
        return Err(StoreError::NotFound);
    }
    tx.commit().await
}

/// What must be available for the hold.
fn least(hold: &NewHold) -> NanoUsd {
    match hold.overuse {
        Overuse::Block => hold.amount,
        Overuse::Debt | Overuse::Forgive => NanoUsd::new(1),
    }
}

/// The one conditional statement. It fails, too, where time has something to bring first.
async fn move_quickly(tx: &mut Tx, hold: &NewHold, now: Timestamp) -> Result<bool, StoreError> {
    let moved = tx
        .run(
            sql(
                "UPDATE credit_accounts SET available = available - $2, reserved = reserved + $2
                 WHERE account_id = $1 AND next_event_at > $3 AND available >= $4",
            )
            .bind(hold.row.account)
            .bind(hold.amount.nanos())
            .bind(now)
            .bind(least(hold).nanos()),
        )
        .await?;
    Ok(moved > 0)
}

/// Counts the hold against the workspace's cap, unless that would exceed it.
async fn count_fallback(
    tx: &mut Tx,
    hold: &NewHold,
    cap: NanoUsd,
    month: &str,
) -> Result<bool, StoreError> {
    if hold.amount > cap {
        return Ok(false);
    }
    let counted = tx
        .run(
            sql(
                "INSERT INTO fallback_spend (workspace_id, month, spent) VALUES ($1, $2, $3)
                 ON CONFLICT (workspace_id, month)
                 DO UPDATE SET spent = fallback_spend.spent + $3
                 WHERE fallback_spend.spent <= $4 - $3",
            )
            .bind(hold.row.workspace)
            .bind(month)
            .bind(hold.amount.nanos())
            .bind(cap.nanos()),
        )
        .await?;
    Ok(counted > 0)
}

async fn spent_in(tx: &mut Tx, hold: &NewHold, month: &str) -> Result<NanoUsd, StoreError> {
    let spent: Option<(i64,)> = tx
        .optional(
            sql("SELECT spent FROM fallback_spend WHERE workspace_id = $1 AND month = $2")
                .bind(hold.row.workspace)
                .bind(month),
        )
        .await?;
    Ok(spent.map_or(NanoUsd::ZERO, |(spent,)| NanoUsd::new(spent)))
}

async fn insert(
    tx: &mut Tx,
    hold: &NewHold,
    month: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let usage =
        serde_json::to_string(&Stored::of(&hold.row)).expect("a row of texts and numbers is JSON");
    tx.run(
        sql(
            "INSERT INTO credit_holds (request_id, account_id, workspace_id, node, amount, overuse,
                                       forwarded, interrupted, month, usage, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)",
        )
        .bind(hold.request)
        .bind(hold.row.account)
        .bind(hold.row.workspace)
        .bind(&hold.node)
        .bind(hold.amount.nanos())
        .bind(hold.overuse.as_str())
        .bind(hold.interrupted.max(NanoUsd::ZERO).nanos())
        .bind(month)
        .bind(&usage)
        .bind(now),
    )
    .await
    .map_err(|error| error.or_conflict("this call has a hold already"))?;
    Ok(())
}
