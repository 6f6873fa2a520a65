//! With which key something was made that its provider keeps.

use domain::{ProviderId, ProviderKeyId, Timestamp, WorkspaceId};

use crate::Store;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// Most rows that one pruning removes.
const MAX_PRUNED: i64 = 10_000;

/// Something that a provider keeps: a response, a file, a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptObject {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Its id at the provider.
    pub id: String,
    /// The provider.
    pub provider: ProviderId,
    /// The key with which it was made.
    pub key: ProviderKeyId,
    /// When that was.
    pub made_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Stored {
    provider: String,
    provider_key_id: String,
}

pub(crate) async fn maker(
    store: &Store,
    workspace: WorkspaceId,
    id: &str,
) -> Result<Option<(ProviderId, ProviderKeyId)>, StoreError> {
    let found: Option<Stored> = store
        .db()
        .optional(
            sql("SELECT provider, provider_key_id FROM kept_objects
                 WHERE workspace_id = $1 AND object_id = $2")
            .bind(workspace)
            .bind(id),
        )
        .await?;
    found
        .map(|row| {
            let place = Place {
                table: "kept_objects",
                id,
            };
            let provider = place.parse("provider", &row.provider)?;
            let key = place.parse("provider_key_id", &row.provider_key_id)?;
            Ok((provider, key))
        })
        .transpose()
}

/// Notes objects, all or none. One whose workspace was deleted meanwhile is passed by; one that is noted already was
/// made anew.
pub(crate) async fn note(store: &Store, objects: &[KeptObject]) -> Result<(), StoreError> {
    let mut tx = store.db().begin().await?;
    for object in objects {
        tx.run(
            sql(
                "INSERT INTO kept_objects (workspace_id, object_id, provider, provider_key_id, made_at)
                 SELECT id, $2, $3, $4, $5 FROM workspaces WHERE id = $1
                 ON CONFLICT (workspace_id, object_id) DO UPDATE
                 SET provider = excluded.provider, provider_key_id = excluded.provider_key_id,
                     made_at = excluded.made_at",
            )
            .bind(object.workspace)
            .bind(object.id.as_str())
            .bind(&object.provider)
            .bind(object.key)
            .bind(object.made_at),
        )
        .await?;
    }
    tx.commit().await
}

/// Forgets objects that were made before, some at a time, and says how many.
pub(crate) async fn prune(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let removed = tx
        .run(
            sql("DELETE FROM kept_objects
                 WHERE (workspace_id, object_id) IN
                       (SELECT workspace_id, object_id FROM kept_objects WHERE made_at < $1 ORDER BY made_at LIMIT $2)")
            .bind(before)
            .bind(MAX_PRUNED),
        )
        .await?;
    tx.commit().await?;
    Ok(removed)
}
