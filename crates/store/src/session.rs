//! Sessions: log-ins of people. Only a keyed hash of the cookie is stored.

use domain::{AccountId, SessionId, Timestamp, UserId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// A log-in, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Who is logged in.
    pub user: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was last seen, to about a minute.
    pub last_seen_at: Timestamp,
    /// What the browser called itself; shown to its user alone.
    pub user_agent: String,
}

/// A log-in to add.
#[derive(Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The keyed hash of the cookie's value.
    pub hash: [u8; 32],
    /// Who logs in.
    pub user: UserId,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// What the browser calls itself, shortened by the caller.
    pub user_agent: String,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    user_id: String,
    created_at: i64,
    expires_at: i64,
    last_seen_at: i64,
    user_agent: String,
}

/// The live session with this hash, of a person who is not suspended.
pub(crate) async fn live(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<SessionRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT s.id, s.user_id, s.created_at, s.expires_at, s.last_seen_at, s.user_agent
                 FROM sessions s
                 JOIN users u ON u.id = s.user_id
                 WHERE s.hash = $1 AND s.expires_at > $2 AND u.suspended = 0",
            )
            .bind(hash)
            .bind(now),
        )
        .await?
        .map(read)
        .transpose()
}

/// A person's sessions, newest first, at most 1000.
pub(crate) async fn of_user(store: &Store, user: UserId) -> Result<Vec<SessionRow>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(
            sql(
                "SELECT id, user_id, created_at, expires_at, last_seen_at, user_agent
                 FROM sessions
                 WHERE user_id = $1
                 ORDER BY id DESC LIMIT 1000",
            )
            .bind(user),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Adds a session of a person who is not suspended and, where it is begun with a password, whose stored hash is still
/// the one that the password fits.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewSession,
    verified_hash: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let added = tx
        .run(
            sql(
                "INSERT INTO sessions (id, user_id, hash, created_at, expires_at,
                                       last_seen_at, user_agent)
                 SELECT $1, id, $3, $4, $5, $4, $6
                 FROM users
                 WHERE id = $2 AND suspended = 0 AND ($7 IS NULL OR password_hash = $7)",
            )
            .bind(new.id)
            .bind(new.user)
            .bind(&new.hash)
            .bind(now)
            .bind(new.expires_at)
            .bind(&new.user_agent)
            .bind(verified_hash),
        )
        .await?;
    if added == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Makes sure, inside a change, that a person's session has not ended.
pub(crate) async fn still_live(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let found: Option<(String,)> = tx
        .optional(
            sql("SELECT id FROM sessions WHERE id = $1 AND user_id = $2 AND expires_at > $3")
                .bind(session)
                .bind(user)
                .bind(now),
        )
        .await?;
    found.map(drop).ok_or(StoreError::NotFound)
}

/// The accounts whose workspaces are called with API keys of a person's sessions, or of one of them: what ends with a
/// session is served no more.
pub(crate) async fn served_accounts(
    tx: &mut Tx,
    user: UserId,
    session: Option<SessionId>,
) -> Result<Vec<AccountId>, StoreError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT DISTINCT w.account_id
                 FROM sessions s
                 JOIN api_keys k ON k.session_id = s.id
                 JOIN workspaces w ON w.id = k.workspace_id
                 WHERE s.user_id = $1 AND ($2 IS NULL OR s.id = $2)")
            .bind(user)
            .bind(session),
        )
        .await?;
    let read = |(id,): (String,)| {
        let place = Place {
            table: "workspaces",
            id: &id,
        };
        place.parse("account_id", &id)
    };
    rows.into_iter().map(read).collect()
}

/// Ends one of a person's sessions; false if it is not theirs.
pub(crate) async fn delete_own(
    tx: &mut Tx,
    user: UserId,
    session: SessionId,
) -> Result<bool, StoreError> {
    let ended = tx
        .run(
            sql("DELETE FROM sessions WHERE user_id = $1 AND id = $2")
                .bind(user)
                .bind(session),
        )
        .await?;
    Ok(ended > 0)
}

/// Ends all sessions of a person but one.
pub(crate) async fn delete_of_user(
    tx: &mut Tx,
    user: UserId,
    except: Option<SessionId>,
) -> Result<u64, StoreError> {
    tx.run(
        sql("DELETE FROM sessions WHERE user_id = $1 AND ($2 IS NULL OR id <> $2)")
            .bind(user)
            .bind(except),
    )
    .await
}

/// Notes that a session is in use, at most once a minute.
pub(crate) async fn touch(
    store: &Store,
    session: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.db().begin().await?;
    tx.run(
        sql("UPDATE sessions SET last_seen_at = $2
             WHERE id = $1 AND last_seen_at < $2 - 60000")
        .bind(session)
        .bind(now),
    )
    .await?;
    tx.commit().await
}

/// Removes sessions that ended by themselves.
pub(crate) async fn prune(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let removed = tx
        .run(sql("DELETE FROM sessions WHERE expires_at <= $1").bind(now))
        .await?;
    tx.commit().await?;
    Ok(removed)
}

fn read(row: Stored) -> Result<SessionRow, StoreError> {
    let place = Place {
        table: "sessions",
        id: &row.id,
    };
    Ok(SessionRow {
        id: place.parse("id", &row.id)?,
        user: place.parse("user_id", &row.user_id)?,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        last_seen_at: Timestamp::from_millis(row.last_seen_at),
        user_agent: row.user_agent,
    })
}
