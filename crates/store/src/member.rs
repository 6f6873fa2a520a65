//! Members of workspaces and their roles.

use domain::access::Role;
use domain::{AccountId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::invitation;
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;

/// A person in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The person.
    pub user: UserId,
    /// The person's address.
    pub email: String,
    /// The person's role in this workspace.
    pub role: Role,
    /// When the person joined.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Stored {
    user_id: String,
    email: String,
    role: String,
    created_at: i64,
}

/// The members of a workspace, in the order of their ids.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
    page: &PageRequest,
) -> Result<Page<MemberRow>, StoreError> {
    let list = List("members");
    let after: Option<UserId> = list.place(page)?;
    let rows = store
        .db()
        .all(
            sql("SELECT m.user_id, u.email, m.role, m.created_at
                 FROM members m
                 JOIN users u ON u.id = m.user_id
                 WHERE m.workspace_id = $1 AND m.user_id > $2
                 ORDER BY m.user_id LIMIT $3")
            .bind(workspace)
            .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.user.to_string())
}

/// A person's role, read inside a change.
pub(crate) async fn role(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Role>, StoreError> {
    let row: Option<(String,)> = tx
        .optional(
            sql("SELECT role FROM members WHERE workspace_id = $1 AND user_id = $2")
                .bind(workspace)
                .bind(user),
        )
        .await?;
    let id = workspace.to_string();
    let place = Place {
        table: "members",
        id: &id,
    };
    row.map(|(role,)| place.parse("role", &role)).transpose()
}

/// Makes sure, inside a change, that what was authorized still holds: the person is a member with at least
/// this role. Returns the account that the workspace belongs to now.
pub(crate) async fn still(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    least: Role,
) -> Result<AccountId, StoreError> {
    let row: Option<(String, String)> = tx
        .optional(
            sql("SELECT m.role, w.account_id
                 FROM members m
                 JOIN workspaces w ON w.id = m.workspace_id
                 WHERE m.workspace_id = $1 AND m.user_id = $2")
            .bind(workspace)
            .bind(user),
        )
        .await?;
    let (role, account) = row.ok_or(StoreError::NotFound)?;
    let id = workspace.to_string();
    let place = Place {
        table: "members",
        id: &id,
    };
    if place.parse::<Role>("role", &role)? < least {
        return Err(StoreError::Conflict(
            "the role in this workspace was changed in the meantime",
        ));
    }
    place.parse("account_id", &account)
}

/// Adds a member.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO members (workspace_id, user_id, role, created_at)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(workspace)
        .bind(user)
        .bind(role)
        .bind(now),
    )
    .await
    .map_err(|error| error.or_conflict("this user is a member already"))?;
    Ok(())
}

/// Makes a member an admin or a plain member; who is an admin no more takes back what they offered.
/// The owner stays the owner.
pub(crate) async fn set_role(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    to: Role,
) -> Result<(), StoreError> {
    if to == Role::Owner {
        return Err(StoreError::Conflict(
            "a workspace has its one owner already",
        ));
    }
    match role(tx, workspace, user).await? {
        None => return Err(StoreError::NotFound),
        Some(Role::Owner) => {
            return Err(StoreError::Conflict("the owner stays the owner"));
        }
        Some(Role::Admin | Role::Member) => {}
    }
    tx.run(
        sql("UPDATE members SET role = $3 WHERE workspace_id = $1 AND user_id = $2")
            .bind(workspace)
            .bind(user)
            .bind(to),
    )
    .await?;
    if to < Role::Admin {
        invitation::revoke_of(tx, workspace, user).await?;
    }
    Ok(())
}

/// Removes a member, revokes the API keys that the member minted here and takes back the member's open invitations.
pub(crate) async fn remove(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    match role(tx, workspace, user).await? {
        None => return Err(StoreError::NotFound),
        Some(Role::Owner) => {
            return Err(StoreError::Conflict("the owner cannot leave the workspace"));
        }
        Some(Role::Admin | Role::Member) => {}
    }
    tx.run(
        sql("DELETE FROM members WHERE workspace_id = $1 AND user_id = $2")
            .bind(workspace)
            .bind(user),
    )
    .await?;
    tx.run(
        sql("UPDATE api_keys SET revoked_at = $3
             WHERE workspace_id = $1 AND user_id = $2 AND revoked_at IS NULL")
        .bind(workspace)
        .bind(user)
        .bind(now),
    )
    .await?;
    invitation::revoke_of(tx, workspace, user).await
}

fn read(row: Stored) -> Result<MemberRow, StoreError> {
    let place = Place {
        table: "members",
        id: &row.user_id,
    };
    Ok(MemberRow {
        user: place.parse("user_id", &row.user_id)?,
        role: place.parse("role", &row.role)?,
        email: row.email,
        created_at: Timestamp::from_millis(row.created_at),
    })
}
