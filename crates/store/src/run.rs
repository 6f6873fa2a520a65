//! Generation runs as their workspace sees them. What a worker does with them is in `run/work.rs`.

pub(crate) mod work;

use domain::run::{RunPlan, RunStatus, Visibility};
use domain::{ApiKeyId, RunId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;
use crate::{json, moment};

pub use work::{Claimed, LeaseSeen, RunLease};

/// The most runs of a workspace that have not ended.
pub const MAX_OPEN_RUNS: i64 = 20;
/// The most runs that a workspace keeps.
pub const MAX_RUNS: i64 = 1_000;
/// The most bytes of results that a workspace keeps, beyond which no run is added.
pub const MAX_RESULT_BYTES: i64 = 1 << 30;

/// A run, without what it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Who made it.
    pub user: UserId,
    /// The API key that its calls are made for.
    pub api_key: ApiKeyId,
    /// How far it has come.
    pub status: RunStatus,
    /// Who may read it.
    pub visibility: Visibility,
    /// Rises with every change.
    pub version: i64,
    /// What is to be made.
    pub prompt: String,
    /// Its steps.
    pub plan: RunPlan,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When a worker first had it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A run to add.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The API key that its calls are made for.
    pub api_key: ApiKeyId,
    /// Who may read it, and the keyed hash of the link, if there is one.
    pub visibility: Visibility,
    /// As above.
    pub link_hash: Option<[u8; 32]>,
    /// What is to be made.
    pub prompt: String,
    /// Its steps.
    pub plan: RunPlan,
}

/// What a step made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// The place of the step in the plan.
    pub step: usize,
    /// Such as `text/markdown` or `image/png`.
    pub media_type: String,
    /// It.
    pub content: Vec<u8>,
}

/// What there is of a result, without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPart {
    /// The place of the step in the plan.
    pub step: usize,
    /// Such as `text/markdown` or `image/png`.
    pub media_type: String,
    /// Its length.
    pub bytes: u64,
}

/// Some bytes of what a step made: large results are read so, one piece after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The place of the step in the plan.
    pub step: usize,
    /// Where it begins, from 0.
    pub from: u64,
    /// How many bytes, if there are so many.
    pub bytes: u32,
}

impl Piece {
    /// SQL counts from 1.
    fn first(self) -> i64 {
        i64::try_from(self.from.saturating_add(1)).unwrap_or(i64::MAX)
    }

    fn length(self) -> i64 {
        self.bytes.into()
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    workspace_id: String,
    user_id: String,
    api_key_id: String,
    status: String,
    visibility: String,
    version: i64,
    prompt: String,
    plan: String,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
}

/// A statement over all columns of a row.
macro_rules! rows {
    ($rest:literal) => {
        sql(concat!(
            "SELECT id, workspace_id, user_id, api_key_id, status, visibility, version, prompt, plan,
                    created_at, updated_at, started_at, ended_at FROM runs ",
            $rest
        ))
    };
}
use rows;

/// Adds a run.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    new: NewRun,
    now: Timestamp,
) -> Result<RunRow, StoreError> {
    let (all, open, bytes): (i64, i64, i64) = tx
        .one(
            sql("SELECT (SELECT count(*) FROM runs WHERE workspace_id = $1),
                        (SELECT count(*) FROM runs
                         WHERE workspace_id = $1 AND status IN ('pending', 'running')),
                        (SELECT CAST(COALESCE(sum(r.bytes), 0) AS BIGINT)
                         FROM run_results r JOIN runs ON runs.id = r.run_id
                         WHERE runs.workspace_id = $1)")
            .bind(workspace),
        )
        .await?;
    if open >= MAX_OPEN_RUNS {
        return Err(StoreError::Conflict(
            "the workspace has 20 runs that have not ended, which is the most",
        ));
    }
    if all >= MAX_RUNS || bytes >= MAX_RESULT_BYTES {
        return Err(StoreError::Conflict(
            "the workspace keeps 1000 runs or 1 GiB of results, which is the most",
        ));
    }
    tx.run(
        sql("INSERT INTO runs (id, workspace_id, user_id, api_key_id, status, visibility, link_hash,
                               version, prompt, plan, lease_beat, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'pending', $5, $6, 1, $7, $8, 0, $9, $9)")
        .bind(new.id)
        .bind(workspace)
        .bind(user)
        .bind(new.api_key)
        .bind(new.visibility.as_str())
        .bind(new.link_hash.as_ref())
        .bind(&new.prompt)
        .bind(&json(&new.plan))
        .bind(now),
    )
    .await?;
    Ok(RunRow {
        id: new.id,
        workspace,
        user,
        api_key: new.api_key,
        status: RunStatus::Pending,
        visibility: new.visibility,
        version: 1,
        prompt: new.prompt,
        plan: new.plan,
        created_at: now,
        updated_at: now,
        started_at: None,
        ended_at: None,
    })
}

/// The runs of a workspace that `reader` may read, newest first.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
    reader: UserId,
    page: &PageRequest,
) -> Result<Page<RunRow>, StoreError> {
    let list = List("runs");
    let before: Option<RunId> = list.place(page)?;
    // `~` sorts after every id.
    let before = before.map_or("~".to_owned(), |id| id.to_string());
    let rows = store
        .db()
        .all(
            rows!(
                "WHERE workspace_id = $1 AND (user_id = $2 OR visibility <> 'private') AND id < $3
                 ORDER BY id DESC LIMIT $4"
            )
            .bind(workspace)
            .bind(reader)
            .bind(&before)
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

/// A run of a workspace that `reader` may read.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
    reader: UserId,
    id: RunId,
) -> Result<Option<RunRow>, StoreError> {
    let row = store.db().optional(
        rows!("WHERE workspace_id = $1 AND id = $3 AND (user_id = $2 OR visibility <> 'private')")
            .bind(workspace)
            .bind(reader)
            .bind(id),
    );
    row.await?.map(read).transpose()
}

/// The run whose link has this keyed hash, if it succeeded.
pub(crate) async fn by_link(
    store: &Store,
    link_hash: &[u8; 32],
) -> Result<Option<RunRow>, StoreError> {
    let row = store.db().optional(
        rows!("WHERE link_hash = $1 AND visibility = 'link' AND status = 'succeeded'")
            .bind(link_hash),
    );
    row.await?.map(read).transpose()
}

/// What there is of what a run made, in the order of its steps.
pub(crate) async fn parts(store: &Store, id: RunId) -> Result<Vec<RunPart>, StoreError> {
    let rows: Vec<(i64, String, i64)> = store
        .db()
        .all(
            sql("SELECT step, media_type, bytes FROM run_results WHERE run_id = $1 ORDER BY step")
                .bind(id),
        )
        .await?;
    let part = |(step, media_type, bytes): (i64, String, i64)| RunPart {
        step: usize::try_from(step).unwrap_or(usize::MAX),
        media_type,
        bytes: u64::try_from(bytes).unwrap_or(0),
    };
    Ok(rows.into_iter().map(part).collect())
}

/// A piece of what a step made of a run that `reader` may read; `None`: there is no such run for that person any more.
pub(crate) async fn piece(
    store: &Store,
    (workspace, reader): (WorkspaceId, UserId),
    id: RunId,
    piece: Piece,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> = store
        .db()
        .optional(
            sql(
                "SELECT substr(p.content, CAST($5 AS INTEGER), CAST($6 AS INTEGER))
                 FROM runs r JOIN run_results p ON p.run_id = r.id AND p.step = $4
                 WHERE r.workspace_id = $1 AND r.id = $3 AND (r.user_id = $2 OR r.visibility <> 'private')",
            )
            .bind(workspace)
            .bind(reader)
            .bind(id)
            .bind(place(piece.step))
            .bind(piece.first())
            .bind(piece.length()),
        )
        .await?;
    Ok(row.map(|(content,)| content))
}

/// A piece of what a step made of the run whose link has this keyed hash; `None`: the link has ended.
pub(crate) async fn piece_by_link(
    store: &Store,
    link_hash: &[u8; 32],
    piece: Piece,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> = store
        .db()
        .optional(
            sql(
                "SELECT substr(p.content, CAST($3 AS INTEGER), CAST($4 AS INTEGER))
                 FROM runs r JOIN run_results p ON p.run_id = r.id AND p.step = $2
                 WHERE r.link_hash = $1 AND r.visibility = 'link' AND r.status = 'succeeded'",
            )
            .bind(link_hash)
            .bind(place(piece.step))
            .bind(piece.first())
            .bind(piece.length()),
        )
        .await?;
    Ok(row.map(|(content,)| content))
}

/// What one step of a run made.
pub(crate) async fn one_result(
    store: &Store,
    id: RunId,
    step: usize,
) -> Result<Option<RunResult>, StoreError> {
    let row: Option<(i64, String, Vec<u8>)> = store
        .db()
        .optional(
            sql("SELECT step, media_type, content FROM run_results
                 WHERE run_id = $1 AND step = $2")
            .bind(id)
            .bind(place(step)),
        )
        .await?;
    Ok(row.map(result))
}

/// Stops a run that has not ended. Its worker notices that its lease is gone.
pub(crate) async fn cancel(tx: &mut Tx, id: RunId, now: Timestamp) -> Result<(), StoreError> {
    let cancelled = tx
        .run(
            sql(
                "UPDATE runs SET status = 'cancelled', lease_owner = NULL, version = version + 1,
                                 updated_at = $2, ended_at = $2
                 WHERE id = $1 AND status IN ('pending', 'running')",
            )
            .bind(id)
            .bind(now),
        )
        .await?;
    changed(cancelled, "the run has ended already")
}

/// Lets a run that failed or was cancelled be worked on again: what succeeded stays.
pub(crate) async fn retry(tx: &mut Tx, row: RunRow, now: Timestamp) -> Result<RunRow, StoreError> {
    let (open,): (i64,) = tx
        .one(
            sql("SELECT count(*) FROM runs
                 WHERE workspace_id = $1 AND status IN ('pending', 'running')")
            .bind(row.workspace),
        )
        .await?;
    if open >= MAX_OPEN_RUNS {
        return Err(StoreError::Conflict(
            "the workspace has 20 runs that have not ended, which is the most",
        ));
    }
    let plan = row.plan.again();
    let retried = tx
        .run(
            sql(
                "UPDATE runs SET status = 'pending', plan = $2, version = version + 1,
                                 updated_at = $4, ended_at = NULL
                 WHERE id = $1 AND version = $3 AND status IN ('failed', 'cancelled')",
            )
            .bind(row.id)
            .bind(&json(&plan))
            .bind(row.version)
            .bind(now),
        )
        .await?;
    changed(
        retried,
        "only a run that failed or was cancelled can be tried again",
    )?;
    Ok(RunRow {
        status: RunStatus::Pending,
        version: row.version + 1,
        plan,
        updated_at: now,
        ended_at: None,
        ..row
    })
}

/// Changes who may read a run. A link before this one ends.
pub(crate) async fn share(
    tx: &mut Tx,
    id: RunId,
    visibility: Visibility,
    link_hash: Option<&[u8; 32]>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let shared = tx
        .run(
            sql("UPDATE runs SET visibility = $2, link_hash = $3, version = version + 1, updated_at = $4
                 WHERE id = $1")
            .bind(id)
            .bind(visibility.as_str())
            .bind(link_hash)
            .bind(now),
        )
        .await?;
    match shared {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// Removes a run with everything in it.
pub(crate) async fn delete(tx: &mut Tx, id: RunId) -> Result<(), StoreError> {
    let deleted = tx
        .run(sql("DELETE FROM runs WHERE id = $1").bind(id))
        .await?;
    match deleted {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// Removes runs that ended before `before`, and says how many; at most 1000.
pub(crate) async fn prune(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let removed = tx
        .run(
            sql(
                "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE ended_at < $1 LIMIT 1000)",
            )
            .bind(before),
        )
        .await?;
    tx.commit().await?;
    if removed > 0 {
        store.db().forget_log().await;
    }
    Ok(removed)
}

/// The API key that stands for a member's log-in, if there is one that may act.
pub(crate) async fn caller(
    store: &Store,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<ApiKeyId>, StoreError> {
    let row: Option<(String,)> = store
        .db()
        .optional(
            sql(
                "SELECT k.id FROM run_callers c JOIN api_keys k ON k.id = c.api_key_id
                 WHERE c.workspace_id = $1 AND c.user_id = $2 AND k.revoked_at IS NULL",
            )
            .bind(workspace)
            .bind(user),
        )
        .await?;
    let place = Place {
        table: "run_callers",
        id: &user.to_string(),
    };
    row.map(|(id,)| place.parse("api_key_id", &id)).transpose()
}

/// Lets an API key stand for a member's log-in.
pub(crate) async fn set_caller(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    api_key: ApiKeyId,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO run_callers (workspace_id, user_id, api_key_id) VALUES ($1, $2, $3)
             ON CONFLICT (workspace_id, user_id) DO UPDATE SET api_key_id = $3",
        )
        .bind(workspace)
        .bind(user)
        .bind(api_key),
    )
    .await?;
    Ok(())
}

fn changed(rows: u64, otherwise: &'static str) -> Result<(), StoreError> {
    match rows {
        0 => Err(StoreError::Conflict(otherwise)),
        _ => Ok(()),
    }
}

fn place(step: usize) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

fn result((step, media_type, content): (i64, String, Vec<u8>)) -> RunResult {
    RunResult {
        step: usize::try_from(step).unwrap_or(usize::MAX),
        media_type,
        content,
    }
}

fn read(row: Stored) -> Result<RunRow, StoreError> {
    let place = Place {
        table: "runs",
        id: &row.id,
    };
    Ok(RunRow {
        id: place.parse("id", &row.id)?,
        workspace: place.parse("workspace_id", &row.workspace_id)?,
        user: place.parse("user_id", &row.user_id)?,
        api_key: place.parse("api_key_id", &row.api_key_id)?,
        status: place.parse("status", &row.status)?,
        visibility: place.parse("visibility", &row.visibility)?,
        version: row.version,
        plan: place.json("plan", &row.plan)?,
        prompt: row.prompt,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        started_at: moment(row.started_at),
        ended_at: moment(row.ended_at),
    })
}
