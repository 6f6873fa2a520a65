//! How much an account may have, by the terms that it subscribed to. Asked inside the change that would add one.

use domain::plan::ResourceLimits;
use domain::{AccountId, KeyOwner, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::StoreError;
use crate::plan;
use crate::statement::{Statement, sql};

/// How much of something an account has, and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceUse {
    /// `workspaces`, `members`, `api_keys` or `provider_keys`.
    pub resource: &'static str,
    /// How many there are; where each workspace has its own, in the fullest one.
    pub used: i64,
    /// How many there may be; `None`: as many as the software bears.
    pub limit: Option<i64>,
}

/// Makes sure that an account may have another workspace.
pub(crate) async fn workspaces(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    let limit = plan::terms(tx, account).await?.limits.workspaces;
    let count = sql("SELECT count(*) FROM workspaces WHERE account_id = $1").bind(account);
    room(tx, "workspaces", limit, count).await
}

/// Makes sure that a workspace may have another member.
pub(crate) async fn members(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    let limit = of_workspace(tx, workspace).await?.members;
    let count = sql("SELECT count(*) FROM members WHERE workspace_id = $1").bind(workspace);
    room(tx, "members", limit, count).await
}

/// Makes sure that a workspace may have another API key. Those that were revoked or have ended do not count,
/// and those of log-ins and of runs neither.
pub(crate) async fn api_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let limit = of_workspace(tx, workspace).await?.api_keys;
    let count = sql("SELECT count(*) FROM api_keys
                     WHERE workspace_id = $1 AND revoked_at IS NULL AND session_id IS NULL
                       AND NOT EXISTS (SELECT 1 FROM run_callers c WHERE c.api_key_id = api_keys.id)
                       AND (expires_at IS NULL OR expires_at > $2)")
    .bind(workspace)
    .bind(now);
    room(tx, "api_keys", limit, count).await
}

/// Makes sure that an owner may have another provider key, where the account has these limits.
pub(crate) async fn provider_keys(
    tx: &mut Tx,
    owner: KeyOwner,
    limits: ResourceLimits,
) -> Result<(), StoreError> {
    let count =
        sql("SELECT count(*) FROM provider_keys WHERE owner_id = $1 AND template = 0").bind(owner);
    room(tx, "provider_keys", limits.provider_keys, count).await
}

/// What an account has of everything that is limited.
pub(crate) async fn used(
    store: &Store,
    account: AccountId,
    limits: ResourceLimits,
    now: Timestamp,
) -> Result<Vec<ResourceUse>, StoreError> {
    let (workspaces, members, api_keys, provider_keys): (i64, i64, i64, i64) = store
        .db()
        .one(
            sql(
                "SELECT (SELECT count(*) FROM workspaces WHERE account_id = $1),
                        (SELECT COALESCE(max(n), 0)
                         FROM (SELECT count(*) AS n
                               FROM members m
                               JOIN workspaces w ON w.id = m.workspace_id
                               WHERE w.account_id = $1 GROUP BY w.id) AS of_each),
                        (SELECT COALESCE(max(n), 0)
                         FROM (SELECT count(*) AS n
                               FROM api_keys k
                               JOIN workspaces w ON w.id = k.workspace_id
                               WHERE w.account_id = $1 AND k.revoked_at IS NULL
                                 AND k.session_id IS NULL
                                 AND NOT EXISTS (SELECT 1 FROM run_callers c
                                                 WHERE c.api_key_id = k.id)
                                 AND (k.expires_at IS NULL OR k.expires_at > $2)
                               GROUP BY w.id) AS of_each),
                        (SELECT COALESCE(max(n), 0)
                         FROM (SELECT count(*) AS n
                               FROM provider_keys
                               WHERE account_id = $1 AND template = 0
                               GROUP BY owner_id) AS of_each)",
            )
            .bind(account)
            .bind(now),
        )
        .await?;
    let of = |resource, used, limit| ResourceUse {
        resource,
        used,
        limit,
    };
    Ok(vec![
        of("workspaces", workspaces, limits.workspaces),
        of("members", members, limits.members),
        of("api_keys", api_keys, limits.api_keys),
        of("provider_keys", provider_keys, limits.provider_keys),
    ])
}

async fn of_workspace(tx: &mut Tx, workspace: WorkspaceId) -> Result<ResourceLimits, StoreError> {
    let account = crate::workspace::account(tx, workspace).await?;
    Ok(plan::terms(tx, account).await?.limits)
}

/// Counts only where there is a limit.
async fn room(
    tx: &mut Tx,
    resource: &'static str,
    limit: Option<i64>,
    count: Statement,
) -> Result<(), StoreError> {
    let Some(limit) = limit else { return Ok(()) };
    let (used,): (i64,) = tx.one(count).await?;
    if used < limit {
        return Ok(());
    }
    Err(StoreError::LimitExceeded {
        resource,
        limit,
        used,
    })
}
