//! Scripts that set a workspace's machines up.

use domain::service::{MAX_SCRIPTS, Script};
use domain::{ScriptId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// A script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRow {
    /// Its id.
    pub id: ScriptId,
    /// What its writer said.
    pub script: Script,
    /// SHA-256 of its text, in hex.
    pub content_sha256: String,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed the last time.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    name: String,
    run_on: String,
    position: i64,
    content: String,
    content_sha256: String,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

/// A workspace's scripts in the order in which they run.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
) -> Result<Vec<ScriptRow>, StoreError> {
    let rows = store
        .db()
        .all(
            sql(
                "SELECT id, name, run_on, position, content, content_sha256, version,
                        created_at, updated_at
                 FROM scripts
                 WHERE workspace_id = $1
                 ORDER BY position, name LIMIT $2",
            )
            .bind(workspace)
            .bind(MAX_SCRIPTS),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// One of them.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
    id: ScriptId,
) -> Result<Option<ScriptRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT id, name, run_on, position, content, content_sha256, version,
                        created_at, updated_at
                 FROM scripts
                 WHERE workspace_id = $1 AND id = $2",
            )
            .bind(workspace)
            .bind(id),
        )
        .await?
        .map(read)
        .transpose()
}

/// Adds one.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    row: &ScriptRow,
) -> Result<(), StoreError> {
    let count = sql("SELECT count(*) FROM scripts WHERE workspace_id = $1").bind(workspace);
    let (count,): (i64,) = tx.one(count).await?;
    if count >= MAX_SCRIPTS {
        return Err(StoreError::Conflict("a workspace has at most 50 scripts"));
    }
    tx.run(
        sql(
            "INSERT INTO scripts (id, workspace_id, name, run_on, position, content,
                                  content_sha256, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(row.id)
        .bind(workspace)
        .bind(row.script.name.as_str())
        .bind(row.script.run_on.as_str())
        .bind(i64::from(u16::from(row.script.order)))
        .bind(row.script.content.as_str())
        .bind(row.content_sha256.as_str())
        .bind(row.version)
        .bind(row.created_at)
        .bind(row.updated_at),
    )
    .await
    .map_err(name_taken)?;
    Ok(())
}

/// Writes one anew, if nobody else did so since `row.version` before the change.
pub(crate) async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    row: &ScriptRow,
) -> Result<(), StoreError> {
    let written = tx
        .run(
            sql("UPDATE scripts
                 SET name = $4, run_on = $5, position = $6, content = $7, content_sha256 = $8,
                     version = version + 1, updated_at = $9
                 WHERE workspace_id = $1 AND id = $2 AND version = $3")
            .bind(workspace)
            .bind(row.id)
            .bind(row.version)
            .bind(row.script.name.as_str())
            .bind(row.script.run_on.as_str())
            .bind(i64::from(u16::from(row.script.order)))
            .bind(row.script.content.as_str())
            .bind(row.content_sha256.as_str())
            .bind(row.updated_at),
        )
        .await
        .map_err(name_taken)?;
    if written == 0 {
        return Err(StoreError::Conflict("the script was changed meanwhile"));
    }
    Ok(())
}

/// Removes one.
pub(crate) async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ScriptId,
) -> Result<(), StoreError> {
    let delete = sql("DELETE FROM scripts WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id);
    if tx.run(delete).await? == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

fn name_taken(error: StoreError) -> StoreError {
    error.or_conflict("a script of this name exists already")
}

fn read(row: Stored) -> Result<ScriptRow, StoreError> {
    let place = Place {
        table: "scripts",
        id: &row.id,
    };
    let order = u16::try_from(row.position).ok();
    let order = order.and_then(|order| order.try_into().ok());
    Ok(ScriptRow {
        id: place.parse("id", &row.id)?,
        script: Script {
            name: place.parse("name", &row.name)?,
            run_on: place.parse("run_on", &row.run_on)?,
            order: order.ok_or_else(|| place.corrupt("position"))?,
            content: place.parse("content", &row.content)?,
        },
        content_sha256: row.content_sha256,
        version: row.version,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
