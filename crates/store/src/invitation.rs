//! Invitations: offers to join a workspace, for one email address.

use domain::access::Role;
use domain::{ApiKeyId, InvitationId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::moment;
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;
use crate::user::NewUser;

/// An invitation, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// Its id.
    pub id: InvitationId,
    /// The workspace to join.
    pub workspace: WorkspaceId,
    /// Whom it is for.
    pub email: String,
    /// The role that it gives.
    pub role: Role,
    /// Who invites.
    pub invited_by: UserId,
    /// The API key with which that person did so.
    pub api_key: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
}

/// An invitation to add. It takes the place of an open one for the same address.
#[derive(Clone)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// Lower-cased and trimmed by the caller.
    pub email: String,
    /// The role that it gives; never owner.
    pub role: Role,
    /// The keyed hash of the link's secret.
    pub hash: [u8; 32],
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// Who accepts an invitation.
#[derive(Clone)]
pub enum AcceptBy {
    /// A logged-in person, whose email the invitation names.
    Existing(UserId),
    /// A person who joins the instance by it, with the email that the invitation names.
    New(NewUser),
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    workspace_id: String,
    email: String,
    role: String,
    invited_by: String,
    api_key_id: Option<String>,
    created_at: i64,
    expires_at: i64,
    accepted_at: Option<i64>,
}

/// Adds to a statement what makes an invitation open: in time (`$2` is now), and still backed by the person
/// and the API key that made it.
macro_rules! open {
    ($before:literal, $after:literal) => {
        sql(concat!(
            $before,
            " WHERE hash = $1 AND accepted_at IS NULL AND expires_at > $2
                AND EXISTS (SELECT 1
                            FROM members m
                            JOIN users u ON u.id = m.user_id
                            WHERE m.workspace_id = invitations.workspace_id
                              AND m.user_id = invitations.invited_by
                              AND m.role IN ('admin', 'owner')
                              AND u.suspended = 0)
                AND (api_key_id IS NULL
                     OR EXISTS (SELECT 1
                                FROM api_keys k
                                WHERE k.id = invitations.api_key_id
                                  AND k.revoked_at IS NULL
                                  AND (k.expires_at IS NULL OR k.expires_at > $2))) ",
            $after
        ))
    };
}

/// The open invitation with this hash.
pub(crate) async fn open(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<InvitationRow>, StoreError> {
    store
        .db()
        .optional(
            open!(
                "SELECT id, workspace_id, email, role, invited_by, api_key_id,
                        created_at, expires_at, accepted_at
                 FROM invitations",
                ""
            )
            .bind(hash)
            .bind(now),
        )
        .await?
        .map(read)
        .transpose()
}

/// Marks the open invitation with this hash as accepted and returns it.
pub(crate) async fn accept(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<InvitationRow, StoreError> {
    let row = tx
        .optional(
            open!(
                "UPDATE invitations SET accepted_at = $2",
                "RETURNING id, workspace_id, email, role, invited_by, api_key_id,
                           created_at, expires_at, accepted_at"
            )
            .bind(hash)
            .bind(now),
        )
        .await?;
    row.map(read).transpose()?.ok_or(StoreError::NotFound)
}

/// The invitations of a workspace, newest first, accepted and expired ones included.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
    page: &PageRequest,
) -> Result<Page<InvitationRow>, StoreError> {
    let list = List("invitations");
    let before: Option<InvitationId> = list.place(page)?;
    // `~` sorts after every id.
    let before = before.map_or("~".to_owned(), |id| id.to_string());
    let rows = store
        .db()
        .all(
            sql(
                "SELECT id, workspace_id, email, role, invited_by, api_key_id,
                        created_at, expires_at, accepted_at
                 FROM invitations
                 WHERE workspace_id = $1 AND id < $2
                 ORDER BY id DESC LIMIT $3",
            )
            .bind(workspace)
            .bind(&before)
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

/// Adds an invitation for somebody who is not a member yet, by this person with this API key, if with one.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (invited_by, api_key): (UserId, Option<ApiKeyId>),
    new: &NewInvitation,
    now: Timestamp,
) -> Result<InvitationRow, StoreError> {
    if new.role == Role::Owner {
        return Err(StoreError::Conflict(
            "nobody is invited as owner; a workspace has its one owner already",
        ));
    }
    let member: Option<(String,)> = tx
        .optional(
            sql("SELECT m.user_id
                 FROM members m
                 JOIN users u ON u.id = m.user_id
                 WHERE m.workspace_id = $1 AND u.email = $2")
            .bind(workspace)
            .bind(&new.email),
        )
        .await?;
    if member.is_some() {
        return Err(StoreError::Conflict("this user is a member already"));
    }
    // Open invitations do not count: not everybody comes.
    crate::limit::members(tx, workspace).await?;
    tx.run(
        sql("DELETE FROM invitations
             WHERE workspace_id = $1 AND email = $2 AND accepted_at IS NULL")
        .bind(workspace)
        .bind(&new.email),
    )
    .await?;
    tx.run(
        sql(
            "INSERT INTO invitations (id, workspace_id, email, role, hash, invited_by,
                                      api_key_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(new.id)
        .bind(workspace)
        .bind(&new.email)
        .bind(new.role)
        .bind(&new.hash)
        .bind(invited_by)
        .bind(api_key)
        .bind(now)
        .bind(new.expires_at),
    )
    .await?;
    Ok(InvitationRow {
        id: new.id,
        workspace,
        email: new.email.clone(),
        role: new.role,
        invited_by,
        api_key,
        created_at: now,
        expires_at: new.expires_at,
        accepted_at: None,
    })
}

/// Takes an open invitation back.
pub(crate) async fn revoke(
    tx: &mut Tx,
    workspace: WorkspaceId,
    invitation: InvitationId,
) -> Result<(), StoreError> {
    let revoked = tx
        .run(
            sql("DELETE FROM invitations
                 WHERE workspace_id = $1 AND id = $2 AND accepted_at IS NULL")
            .bind(workspace)
            .bind(invitation),
        )
        .await?;
    if revoked == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Takes back all open invitations that a person made to a workspace.
pub(crate) async fn revoke_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    invited_by: UserId,
) -> Result<(), StoreError> {
    tx.run(
        sql("DELETE FROM invitations
             WHERE workspace_id = $1 AND invited_by = $2 AND accepted_at IS NULL")
        .bind(workspace)
        .bind(invited_by),
    )
    .await?;
    Ok(())
}

fn read(row: Stored) -> Result<InvitationRow, StoreError> {
    let place = Place {
        table: "invitations",
        id: &row.id,
    };
    Ok(InvitationRow {
        id: place.parse("id", &row.id)?,
        workspace: place.parse("workspace_id", &row.workspace_id)?,
        role: place.parse("role", &row.role)?,
        invited_by: place.parse("invited_by", &row.invited_by)?,
        api_key: place.parse_optional("api_key_id", row.api_key_id.as_deref())?,
        email: row.email,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        accepted_at: moment(row.accepted_at),
    })
}
