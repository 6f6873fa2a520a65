//! What a worker does with a run: it takes a lease, writes how far the run has come, and lets go.
//!
//! Every write names the worker that has the lease, so that one which lost it, to another worker or because somebody
//! cancelled the run, changes nothing any more. Clocks of nodes differ: a lease ends when its beat stands still by
//! another worker's watch.

use domain::run::{RunPlan, RunStatus};
use domain::{RunId, Timestamp};

use super::{RunResult, RunRow, Stored, place, read, rows};
use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::statement::sql;

/// A run that a worker has.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The run.
    pub run: RunRow,
    /// The keyed hash of the API key that its calls are made for.
    pub api_key_hash: [u8; 32],
}

/// A worker's hold on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLease {
    /// The run.
    pub run: RunId,
    /// The worker.
    pub worker: String,
}

/// What can be seen of a worker's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSeen {
    /// The lease.
    pub lease: RunLease,
    /// Rises while the worker lives.
    pub beat: i64,
}

/// The runs that a worker has, counted by their account; the worker's name and the names of its claims are `$1` and `$2`.
macro_rules! held_by_account {
    () => {
        "(SELECT o.account_id AS account_id, count(*) AS held
          FROM runs h JOIN workspaces o ON o.id = h.workspace_id
          WHERE h.status = 'running' AND (h.lease_owner = $1 OR h.lease_owner LIKE $2)
          GROUP BY o.account_id)"
    };
}

/// Takes a run that waits for `worker`, as `claim`: that of the account of which the worker has the fewest, of its
/// workspaces the one with the fewest, and there the oldest. An account of which it has `share` already gets none. Of two
/// workers at once, one gets it. `claim` is the worker's name or, for leases that it can tell apart, `NAME.CLAIM`.
pub(crate) async fn claim(
    store: &Store,
    worker: &str,
    claim: &str,
    share: i64,
    now: Timestamp,
) -> Result<Option<RunId>, StoreError> {
    let waiting: Option<(String,)> = store
        .db()
        .optional(
            sql(concat!(
                "SELECT r.id FROM runs r
                 JOIN workspaces w ON w.id = r.workspace_id
                 LEFT JOIN ",
                held_by_account!(),
                " a ON a.account_id = w.account_id
                 LEFT JOIN (SELECT workspace_id, count(*) AS held FROM runs
                            WHERE status = 'running' AND (lease_owner = $1 OR lease_owner LIKE $2)
                            GROUP BY workspace_id) s ON s.workspace_id = r.workspace_id
                 WHERE r.status = 'pending' AND COALESCE(a.held, 0) < $3
                 ORDER BY COALESCE(a.held, 0), COALESCE(s.held, 0), r.id LIMIT 1"
            ))
            .bind(worker)
            .bind(&claims_of(worker))
            .bind(share),
        )
        .await?;
    let Some((id,)) = waiting else {
        return Ok(None);
    };
    let mut tx = store.db().begin().await?;
    let taken = tx
        .run(
            sql(
                "UPDATE runs SET status = 'running', lease_owner = $2, lease_beat = lease_beat + 1,
                                 version = version + 1, updated_at = $3,
                                 started_at = COALESCE(started_at, $3)
                 WHERE id = $1 AND status = 'pending'",
            )
            .bind(&id)
            .bind(claim)
            .bind(now),
        )
        .await?;
    tx.commit().await?;
    let place = Place {
        table: "runs",
        id: &id,
    };
    match taken {
        0 => Ok(None),
        _ => place.parse("id", &id).map(Some),
    }
}

/// Between two steps: lets go of a run of an account of which this worker has more, if one of another account waits of
/// which it has none: that one is next, whatever places are left. Whether it did.
pub(crate) async fn yield_run(
    store: &Store,
    lease: &RunLease,
    worker: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let yielded = tx
        .run(
            sql(concat!(
                "UPDATE runs SET status = 'pending', lease_owner = NULL, version = version + 1, updated_at = $5
                 WHERE id = $3 AND status = 'running' AND lease_owner = $4 AND EXISTS (
                     SELECT 1 FROM runs r
                     JOIN workspaces w ON w.id = r.workspace_id
                     LEFT JOIN ",
                held_by_account!(),
                " a ON a.account_id = w.account_id
                     WHERE r.status = 'pending' AND a.held IS NULL AND 1 < (
                         SELECT count(*) FROM runs m
                         JOIN workspaces p ON p.id = m.workspace_id
                         WHERE m.status = 'running' AND (m.lease_owner = $1 OR m.lease_owner LIKE $2)
                           AND p.account_id = (SELECT q.account_id FROM workspaces q JOIN runs t ON t.workspace_id = q.id
                                               WHERE t.id = $3)))"
            ))
            .bind(worker)
            .bind(&claims_of(worker))
            .bind(lease.run)
            .bind(&lease.worker)
            .bind(now),
        )
        .await?;
    tx.commit().await?;
    Ok(yielded > 0)
}

/// All names under which a worker claims: `WORKER.CLAIM`. Its own name has no character that means something here.
fn claims_of(worker: &str) -> String {
    format!("{worker}.%")
}

/// The leases that workers have.
pub(crate) async fn leases(store: &Store) -> Result<Vec<LeaseSeen>, StoreError> {
    let rows: Vec<(String, String, i64)> = store
        .db()
        .all(sql("SELECT id, lease_owner, lease_beat FROM runs
                 WHERE status = 'running' AND lease_owner IS NOT NULL
                 ORDER BY id LIMIT 1000"))
        .await?;
    let read = |(id, worker, beat): (String, String, i64)| {
        let place = Place {
            table: "runs",
            id: &id,
        };
        let run = place.parse("id", &id)?;
        Ok(LeaseSeen {
            lease: RunLease { run, worker },
            beat,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Puts a run back among those that wait whose worker is gone, if its lease is still the one that was seen.
pub(crate) async fn free(
    store: &Store,
    seen: &LeaseSeen,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let freed = tx
        .run(
            sql(
                "UPDATE runs SET status = 'pending', lease_owner = NULL, lease_beat = lease_beat + 1,
                                 version = version + 1, updated_at = $4
                 WHERE id = $1 AND status = 'running' AND lease_owner = $2 AND lease_beat = $3",
            )
            .bind(seen.lease.run)
            .bind(&seen.lease.worker)
            .bind(seen.beat)
            .bind(now),
        )
        .await?;
    tx.commit().await?;
    Ok(freed > 0)
}

/// The run that a worker has, as it is stored; `None`: the lease is gone.
pub(crate) async fn claimed(
    store: &Store,
    lease: &RunLease,
) -> Result<Option<Claimed>, StoreError> {
    let row: Option<Stored> = store
        .db()
        .optional(
            rows!("WHERE id = $1 AND status = 'running' AND lease_owner = $2")
                .bind(lease.run)
                .bind(&lease.worker),
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let run = read(row)?;
    let hash: Option<(Vec<u8>,)> = store
        .db()
        .optional(sql("SELECT hash FROM api_keys WHERE id = $1").bind(run.api_key))
        .await?;
    let hash = hash.and_then(|(hash,)| hash.try_into().ok());
    let id = run.id.to_string();
    let place = Place {
        table: "runs",
        id: &id,
    };
    let api_key_hash = hash.ok_or_else(|| place.corrupt("api_key_id"))?;
    Ok(Some(Claimed { run, api_key_hash }))
}

/// Says that the worker lives. `false`: it has the run no more.
pub(crate) async fn beat(store: &Store, lease: &RunLease) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let beaten = tx
        .run(
            sql("UPDATE runs SET lease_beat = lease_beat + 1
                 WHERE id = $1 AND status = 'running' AND lease_owner = $2")
            .bind(lease.run)
            .bind(&lease.worker),
        )
        .await?;
    tx.commit().await?;
    Ok(beaten > 0)
}

/// Lets other workers have the runs of this one, which ends.
pub(crate) async fn release(store: &Store, worker: &str) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let released = tx
        .run(
            sql(
                "UPDATE runs SET status = 'pending', lease_owner = NULL, version = version + 1
                 WHERE status = 'running' AND (lease_owner = $1 OR lease_owner LIKE $2)",
            )
            .bind(worker)
            .bind(&claims_of(worker)),
        )
        .await?;
    tx.commit().await?;
    Ok(released)
}

/// Writes how far the run has come, with what a step made. A status other than `running` ends the lease. `false`: the
/// worker has the run no more, and nothing was written.
pub(crate) async fn advance(
    store: &Store,
    lease: &RunLease,
    (status, plan): (RunStatus, &RunPlan),
    made: Option<&RunResult>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let worker = (status == RunStatus::Running).then_some(lease.worker.as_str());
    let ended_at = status.is_final().then_some(now);
    let written = tx
        .run(
            sql("UPDATE runs SET status = $3, plan = $4, lease_owner = $5, lease_beat = lease_beat + 1,
                                 version = version + 1, updated_at = $6, ended_at = $7
                 WHERE id = $1 AND status = 'running' AND lease_owner = $2")
            .bind(lease.run)
            .bind(&lease.worker)
            .bind(status.as_str())
            .bind(&json(plan))
            .bind(worker)
            .bind(now)
            .bind(ended_at),
        )
        .await?;
    if written == 0 {
        return Ok(false);
    }
    if let Some(made) = made {
        keep(&mut tx, lease.run, made).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn keep(tx: &mut Tx, run: RunId, made: &RunResult) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO run_results (run_id, step, media_type, bytes, content)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (run_id, step) DO UPDATE SET media_type = $3, bytes = $4, content = $5",
        )
        .bind(run)
        .bind(place(made.step))
        .bind(&made.media_type)
        .bind(i64::try_from(made.content.len()).unwrap_or(i64::MAX))
        .bind(made.content.as_slice()),
    )
    .await?;
    Ok(())
}
