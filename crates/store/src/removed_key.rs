//! Provider keys that were removed and not replaced, the last one for each owner and provider.

use domain::record::RemovedKey;
use domain::{AccountId, KeyOwner, Label, ProviderId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

type Stored = (String, String, String, i64);

/// What was removed of a workspace and of its account.
pub(crate) async fn of_caller(
    store: &Store,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Vec<RemovedKey>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(
            sql("SELECT owner_id, provider, label, removed_at
                 FROM removed_provider_keys
                 WHERE owner_id IN ($1, $2)
                 ORDER BY owner_id, provider")
            .bind(workspace)
            .bind(account),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Notes that a key was removed.
pub(crate) async fn note(
    tx: &mut Tx,
    owner: KeyOwner,
    provider: &str,
    label: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let workspace = match owner {
        KeyOwner::Workspace(id) => Some(id),
        KeyOwner::Account(_) => None,
        // Nobody is refused for want of a platform key that was.
        KeyOwner::Instance(_) => return Ok(()),
    };
    tx.run(
        sql(
            "INSERT INTO removed_provider_keys (owner_id, workspace_id, provider, label, removed_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (owner_id, provider) DO UPDATE SET label = $4, removed_at = $5",
        )
        .bind(owner)
        .bind(workspace)
        .bind(provider)
        .bind(label)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// Forgets it, because there is a key for the provider again.
pub(crate) async fn forget(
    tx: &mut Tx,
    owner: KeyOwner,
    provider: &ProviderId,
) -> Result<(), StoreError> {
    tx.run(
        sql("DELETE FROM removed_provider_keys WHERE owner_id = $1 AND provider = $2")
            .bind(owner)
            .bind(provider),
    )
    .await?;
    Ok(())
}

fn read((owner, provider, label, at): Stored) -> Result<RemovedKey, StoreError> {
    let place = Place {
        table: "removed_provider_keys",
        id: &owner,
    };
    Ok(RemovedKey {
        owner: place.parse("owner_id", &owner)?,
        provider: place.parse("provider", &provider)?,
        label: place.parse::<Label>("label", &label)?,
        removed_at: Timestamp::from_millis(at),
    })
}
