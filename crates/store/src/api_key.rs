//! API keys: ours, presented by clients. Only a keyed hash is stored.

mod live;

use domain::access::ApiScope;
use domain::policy::ModelName;
use domain::{ApiKeyId, SessionId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::moment;
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;

pub(crate) use live::live;

/// An API key, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// The one workspace in which it acts.
    pub workspace: WorkspaceId,
    /// Who minted it and for whom it acts.
    pub user: UserId,
    /// The API key with which that person minted it; it is revoked with it.
    pub parent: Option<ApiKeyId>,
    /// What its minter calls it.
    pub name: String,
    /// Its first characters, to recognize it by.
    pub prefix: String,
    /// What it may do, at most.
    pub scopes: Vec<ApiScope>,
    /// The model that serves when a call with it names none.
    pub default_model: Option<ModelName>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was minted.
    pub created_at: Timestamp,
}

/// An API key to add.
#[derive(Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Who mints it; a member of the workspace.
    pub user: UserId,
    /// What its minter calls it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// The keyed hash of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// The model that serves when a call with it names none.
    pub default_model: Option<ModelName>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    workspace_id: String,
    user_id: String,
    parent_id: Option<String>,
    name: String,
    prefix: String,
    scopes: String,
    default_model: Option<String>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    created_at: i64,
}

/// The API keys of a workspace, or those of one member, newest first, revoked ones included; without those of log-ins.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
    of: Option<UserId>,
    page: &PageRequest,
) -> Result<Page<ApiKeyRow>, StoreError> {
    let list = List("api_keys");
    let before: Option<ApiKeyId> = list.place(page)?;
    // `~` sorts after every id.
    let before = before.map_or("~".to_owned(), |id| id.to_string());
    let rows = store
        .db()
        .all(
            sql(
                "SELECT id, workspace_id, user_id, parent_id, name, prefix, scopes,
                        default_model, expires_at, revoked_at, last_used_at, created_at
                 FROM api_keys
                 WHERE workspace_id = $1 AND ($2 IS NULL OR user_id = $2) AND id < $3
                   AND session_id IS NULL
                   AND NOT EXISTS (SELECT 1 FROM run_callers c WHERE c.api_key_id = api_keys.id)
                 ORDER BY id DESC LIMIT $4",
            )
            .bind(workspace)
            .bind(of)
            .bind(&before)
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

/// One API key of a workspace.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
    key: ApiKeyId,
) -> Result<Option<ApiKeyRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT id, workspace_id, user_id, parent_id, name, prefix, scopes,
                        default_model, expires_at, revoked_at, last_used_at, created_at
                 FROM api_keys
                 WHERE workspace_id = $1 AND id = $2",
            )
            .bind(workspace)
            .bind(key),
        )
        .await?
        .map(read)
        .transpose()
}

/// Adds an API key for a member, minted with the API key `parent`, if with one.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    parent: Option<ApiKeyId>,
    new: &NewApiKey,
    now: Timestamp,
) -> Result<ApiKeyRow, StoreError> {
    is_minted_by_member(tx, workspace, new).await?;
    if let Some(parent) = parent {
        within_parent(tx, workspace, parent, new, now).await?;
    }
    crate::limit::api_keys(tx, workspace, now).await?;
    add(tx, workspace, (parent, None), new, now).await
}

/// Adds the API key for which a member's runs are made. Nobody asked for a key, so that none counts.
pub(crate) async fn insert_for_runs(
    tx: &mut Tx,
    workspace: WorkspaceId,
    new: &NewApiKey,
    now: Timestamp,
) -> Result<ApiKeyRow, StoreError> {
    is_minted_by_member(tx, workspace, new).await?;
    add(tx, workspace, (None, None), new, now).await
}

async fn is_minted_by_member(
    tx: &mut Tx,
    workspace: WorkspaceId,
    new: &NewApiKey,
) -> Result<(), StoreError> {
    match crate::member::role(tx, workspace, new.user).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict("the minter is not a member")),
    }
}

/// How many API keys of one workspace a log-in has at a time.
const KEYS_OF_SESSION: i64 = 8;

/// Adds an API key that ends with a log-in of its minter, at the latest. Those of the log-in that have ended go, and the
/// oldest where there are too many.
pub(crate) async fn insert_for_session(
    tx: &mut Tx,
    workspace: WorkspaceId,
    session: SessionId,
    new: &NewApiKey,
    now: Timestamp,
) -> Result<ApiKeyRow, StoreError> {
    let live: Option<(i64,)> = tx
        .optional(
            sql("SELECT expires_at FROM sessions
                 WHERE id = $1 AND user_id = $2 AND expires_at > $3")
            .bind(session)
            .bind(new.user)
            .bind(now),
        )
        .await?;
    let (ends_at,) = live.ok_or(StoreError::NotFound)?;
    let ends_at = Timestamp::from_millis(ends_at);
    tx.run(
        sql("DELETE FROM api_keys
             WHERE session_id = $1 AND workspace_id = $2
               AND (expires_at <= $3 OR revoked_at IS NOT NULL
                    OR id NOT IN (SELECT id FROM api_keys
                                  WHERE session_id = $1 AND workspace_id = $2
                                    AND expires_at > $3 AND revoked_at IS NULL
                                  ORDER BY created_at DESC, id DESC LIMIT $4))")
        .bind(session)
        .bind(workspace)
        .bind(now)
        .bind(KEYS_OF_SESSION - 1),
    )
    .await?;
    let new = NewApiKey {
        expires_at: Some(new.expires_at.map_or(ends_at, |end| end.min(ends_at))),
        ..new.clone()
    };
    add(tx, workspace, (None, Some(session)), &new, now).await
}

async fn add(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (parent, session): (Option<ApiKeyId>, Option<SessionId>),
    new: &NewApiKey,
    now: Timestamp,
) -> Result<ApiKeyRow, StoreError> {
    tx.run(
        sql(
            "INSERT INTO api_keys (id, workspace_id, user_id, parent_id, name, prefix, hash,
                                   scopes, default_model, expires_at, created_at, session_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(new.id)
        .bind(workspace)
        .bind(new.user)
        .bind(parent)
        .bind(&new.name)
        .bind(&new.prefix)
        .bind(&new.hash)
        .bind(&json(&new.scopes))
        .bind(new.default_model.as_ref())
        .bind(new.expires_at)
        .bind(now)
        .bind(session),
    )
    .await
    .map_err(|error| error.or_conflict("this API key exists already"))?;
    Ok(ApiKeyRow {
        id: new.id,
        workspace,
        user: new.user,
        parent,
        name: new.name.clone(),
        prefix: new.prefix.clone(),
        scopes: new.scopes.clone(),
        default_model: new.default_model.clone(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
        created_at: now,
    })
}

/// Makes sure that the API key that mints may act, for the same person, and is not outlived by what it mints.
async fn within_parent(
    tx: &mut Tx,
    workspace: WorkspaceId,
    parent: ApiKeyId,
    new: &NewApiKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let live: Option<(Option<i64>,)> = tx
        .optional(
            sql("SELECT expires_at
                 FROM api_keys
                 WHERE workspace_id = $1 AND id = $2 AND user_id = $3
                   AND revoked_at IS NULL
                   AND (expires_at IS NULL OR expires_at > $4)")
            .bind(workspace)
            .bind(parent)
            .bind(new.user)
            .bind(now),
        )
        .await?;
    let Some((ends_at,)) = live else {
        return Err(StoreError::Conflict(
            "the API key that mints was revoked in the meantime",
        ));
    };
    let outlives = moment(ends_at).is_some_and(|end| new.expires_at.is_none_or(|at| at > end));
    if outlives {
        return Err(StoreError::Conflict(
            "an API key ends no later than the one that mints it",
        ));
    }
    Ok(())
}

/// Revokes an API key and all that were minted with it, and with those; one that is revoked already keeps its
/// time.
pub(crate) async fn revoke(
    tx: &mut Tx,
    workspace: WorkspaceId,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let found = tx
        .run(
            sql("WITH RECURSIVE family (id) AS (
                     SELECT id FROM api_keys WHERE workspace_id = $1 AND id = $2
                     UNION
                     SELECT k.id FROM api_keys k JOIN family f ON k.parent_id = f.id
                 )
                 UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $3)
                 WHERE id IN (SELECT id FROM family)")
            .bind(workspace)
            .bind(key)
            .bind(now),
        )
        .await?;
    if found == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Puts another key in the place of one that is not revoked and still has the hash `shown`; that one is refused
/// from then on.
pub(crate) async fn replace_hash(
    tx: &mut Tx,
    workspace: WorkspaceId,
    key: ApiKeyId,
    shown: &[u8; 32],
    (hash, prefix): (&[u8; 32], &str),
) -> Result<(), StoreError> {
    let replaced = tx
        .run(
            sql("UPDATE api_keys SET hash = $4, prefix = $5
                 WHERE workspace_id = $1 AND id = $2 AND hash = $3 AND revoked_at IS NULL")
            .bind(workspace)
            .bind(key)
            .bind(shown)
            .bind(hash)
            .bind(prefix),
        )
        .await
        .map_err(|error| error.or_conflict("this API key exists already"))?;
    if replaced > 0 {
        return Ok(());
    }
    let live: Option<(String,)> = tx
        .optional(
            sql("SELECT id FROM api_keys
                 WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL")
            .bind(workspace)
            .bind(key),
        )
        .await?;
    Err(match live {
        Some(_) => StoreError::Conflict("the API key was replaced in the meantime"),
        None => StoreError::NotFound,
    })
}

/// Names the model that serves when a call with a key names none; `None`: the workspace's choice stands.
pub(crate) async fn set_default_model(
    tx: &mut Tx,
    workspace: WorkspaceId,
    key: ApiKeyId,
    model: Option<&ModelName>,
) -> Result<(), StoreError> {
    let changed = tx
        .run(
            sql("UPDATE api_keys SET default_model = $3 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace)
                .bind(key)
                .bind(model),
        )
        .await?;
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Moves the end of a key that ends by itself and has not ended; `by` is the API key that asks for it.
///
/// A key outlives neither the one that minted it nor the one that renews it, so that none can prolong itself.
pub(crate) async fn renew(
    tx: &mut Tx,
    workspace: WorkspaceId,
    key: ApiKeyId,
    by: Option<ApiKeyId>,
    end: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let outlived: Option<(String,)> = tx
        .optional(
            sql("SELECT o.id
                 FROM api_keys o
                 WHERE o.workspace_id = $1
                   AND (o.id = $2
                        OR o.id = (SELECT k.parent_id FROM api_keys k
                                   WHERE k.workspace_id = $1 AND k.id = $3))
                   AND (o.revoked_at IS NOT NULL
                        OR (o.expires_at IS NOT NULL AND o.expires_at < $4))
                 LIMIT 1")
            .bind(workspace)
            .bind(by)
            .bind(key)
            .bind(end),
        )
        .await?;
    if outlived.is_some() {
        return Err(StoreError::Conflict(
            "an API key ends no later than the one that mints or renews it",
        ));
    }
    let renewed = tx
        .run(
            sql("UPDATE api_keys SET expires_at = $3
                 WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL
                   AND session_id IS NULL AND expires_at > $4 AND expires_at <= $3")
            .bind(workspace)
            .bind(key)
            .bind(end)
            .bind(now),
        )
        .await?;
    if renewed > 0 {
        return Ok(());
    }
    let known: Option<(String,)> = tx
        .optional(
            sql("SELECT id FROM api_keys WHERE workspace_id = $1 AND id = $2")
                .bind(workspace)
                .bind(key),
        )
        .await?;
    Err(match known {
        Some(_) => StoreError::Conflict(
            "the API key has ended, was revoked, ends with a log-in, never ends or ends later than that",
        ),
        None => StoreError::NotFound,
    })
}

/// The most that [`prune`] removes at once: what waits behind it waits shortly.
const MAX_PRUNED: i64 = 1000;

/// Removes API keys that ended at `before` or earlier and says how many. One for which a generation run was made stays as
/// long as the run, and one that minted others as long as they.
pub(crate) async fn prune(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let removed = tx
        .run(
            sql("DELETE FROM api_keys
                 WHERE id IN (SELECT id FROM api_keys
                              WHERE (expires_at <= $1 OR revoked_at <= $1)
                                AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.api_key_id = api_keys.id)
                                AND NOT EXISTS (SELECT 1 FROM api_keys c WHERE c.parent_id = api_keys.id)
                              LIMIT $2)")
            .bind(before)
            .bind(MAX_PRUNED),
        )
        .await?;
    tx.commit().await?;
    Ok(removed)
}

fn read(row: Stored) -> Result<ApiKeyRow, StoreError> {
    let place = Place {
        table: "api_keys",
        id: &row.id,
    };
    Ok(ApiKeyRow {
        id: place.parse("id", &row.id)?,
        workspace: place.parse("workspace_id", &row.workspace_id)?,
        user: place.parse("user_id", &row.user_id)?,
        parent: place.parse_optional("parent_id", row.parent_id.as_deref())?,
        scopes: place.json("scopes", &row.scopes)?,
        default_model: place.parse_optional("default_model", row.default_model.as_deref())?,
        name: row.name,
        prefix: row.prefix,
        expires_at: moment(row.expires_at),
        revoked_at: moment(row.revoked_at),
        last_used_at: moment(row.last_used_at),
        created_at: Timestamp::from_millis(row.created_at),
    })
}
