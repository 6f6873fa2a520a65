//! Workspaces: the boundary inside which keys, members and usage belong together.

use domain::access::Role;
use domain::policy::WorkspacePolicy;
use domain::{AccountId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::statement::sql;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRow {
    /// Its id.
    pub id: WorkspaceId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name last changed.
    pub updated_at: Timestamp,
}

/// A workspace to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Who pays there, and what serves.
    pub policy: WorkspacePolicy,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    account_id: String,
    name: String,
    created_at: i64,
    updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct StoredWithRole {
    #[sqlx(flatten)]
    workspace: Stored,
    role: String,
}

/// The workspace with this id.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
) -> Result<Option<WorkspaceRow>, StoreError> {
    store
        .db()
        .optional(
            sql("SELECT id, account_id, name, created_at, updated_at
                 FROM workspaces WHERE id = $1")
            .bind(workspace),
        )
        .await?
        .map(read)
        .transpose()
}

/// The workspaces that a person belongs to, oldest first, at most 1000.
pub(crate) async fn of_user(
    store: &Store,
    user: UserId,
) -> Result<Vec<(WorkspaceRow, Role)>, StoreError> {
    let rows: Vec<StoredWithRole> = store
        .db()
        .all(
            sql(
                "SELECT w.id, w.account_id, w.name, w.created_at, w.updated_at, m.role
                 FROM members m
                 JOIN workspaces w ON w.id = m.workspace_id
                 WHERE m.user_id = $1
                 ORDER BY w.id LIMIT 1000",
            )
            .bind(user),
        )
        .await?;
    rows.into_iter()
        .map(|row| {
            let place = Place {
                table: "members",
                id: &row.workspace.id,
            };
            let role = place.parse("role", &row.role)?;
            Ok((read(row.workspace)?, role))
        })
        .collect()
}

/// The account that a workspace belongs to, read inside a change.
pub(crate) async fn account(tx: &mut Tx, workspace: WorkspaceId) -> Result<AccountId, StoreError> {
    let row: Option<(String,)> = tx
        .optional(sql("SELECT account_id FROM workspaces WHERE id = $1").bind(workspace))
        .await?;
    let (account,) = row.ok_or(StoreError::NotFound)?;
    let id = workspace.to_string();
    let place = Place {
        table: "workspaces",
        id: &id,
    };
    place.parse("account_id", &account)
}

/// Adds a workspace with its owner.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewWorkspace,
    account: AccountId,
    owner: UserId,
    now: Timestamp,
) -> Result<WorkspaceRow, StoreError> {
    tx.run(
        sql(
            "INSERT INTO workspaces (id, account_id, name, policy, policy_updated_at,
                                     created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5, $5)",
        )
        .bind(new.id)
        .bind(account)
        .bind(&new.name)
        .bind(&json(&new.policy))
        .bind(now),
    )
    .await?;
    crate::member::insert(tx, new.id, owner, Role::Owner, now).await?;
    Ok(WorkspaceRow {
        id: new.id,
        account,
        name: new.name.clone(),
        created_at: now,
        updated_at: now,
    })
}

/// Gives it another name.
pub(crate) async fn rename(
    tx: &mut Tx,
    workspace: WorkspaceId,
    name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let renamed = tx
        .run(
            sql("UPDATE workspaces SET name = $2, updated_at = $3 WHERE id = $1")
                .bind(workspace)
                .bind(name)
                .bind(now),
        )
        .await?;
    if renamed == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Removes it with its keys, members and invitations; usage and audit stay.
pub(crate) async fn delete(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    let deleted = tx
        .run(sql("DELETE FROM workspaces WHERE id = $1").bind(workspace))
        .await?;
    if deleted == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

fn read(row: Stored) -> Result<WorkspaceRow, StoreError> {
    let place = Place {
        table: "workspaces",
        id: &row.id,
    };
    Ok(WorkspaceRow {
        id: place.parse("id", &row.id)?,
        account: place.parse("account_id", &row.account_id)?,
        name: row.name,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
