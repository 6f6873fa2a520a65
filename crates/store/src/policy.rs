//! What workspaces decide about who pays and what serves.

use domain::policy::WorkspacePolicy;
use domain::{Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::statement::{Statement, sql};

/// A workspace's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// What is decided.
    pub policy: WorkspacePolicy,
    /// When it last changed; the beginning of 1970: never.
    pub updated_at: Timestamp,
}

/// What a workspace decided.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
) -> Result<Option<PolicyRow>, StoreError> {
    store
        .db()
        .optional(select(workspace))
        .await?
        .map(|row| read(workspace, row))
        .transpose()
}

/// Decides otherwise, if `expected` is what is decided now.
pub(crate) async fn put(
    tx: &mut Tx,
    workspace: WorkspaceId,
    expected: &WorkspacePolicy,
    new: &WorkspacePolicy,
    now: Timestamp,
) -> Result<(), StoreError> {
    is_still(tx, workspace, expected).await?;
    tx.run(
        sql("UPDATE workspaces SET policy = $2, policy_updated_at = $3 WHERE id = $1")
            .bind(workspace)
            .bind(&json(new))
            .bind(now),
    )
    .await?;
    Ok(())
}

/// Makes sure that `expected` is what is decided now.
pub(crate) async fn is_still(
    tx: &mut Tx,
    workspace: WorkspaceId,
    expected: &WorkspacePolicy,
) -> Result<(), StoreError> {
    let row = tx.optional(select(workspace)).await?;
    let stored = read(workspace, row.ok_or(StoreError::NotFound)?)?;
    if stored.policy != *expected {
        return Err(StoreError::Conflict(
            "the workspace's policy was changed in the meantime",
        ));
    }
    Ok(())
}

/// Whether the workspace lets its keys be handed out, read inside a change.
pub(crate) async fn releases_keys(tx: &mut Tx, workspace: WorkspaceId) -> Result<bool, StoreError> {
    let row = tx.optional(select(workspace)).await?;
    let stored = read(workspace, row.ok_or(StoreError::NotFound)?)?;
    Ok(stored.policy.release_keys)
}

fn select(workspace: WorkspaceId) -> Statement {
    sql("SELECT policy, policy_updated_at FROM workspaces WHERE id = $1").bind(workspace)
}

fn read(workspace: WorkspaceId, (policy, at): (String, i64)) -> Result<PolicyRow, StoreError> {
    let id = workspace.to_string();
    let place = Place {
        table: "workspaces",
        id: &id,
    };
    Ok(PolicyRow {
        policy: place.json("policy", &policy)?,
        updated_at: Timestamp::from_millis(at),
    })
}
