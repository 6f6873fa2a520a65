//! With which key something was made that its provider keeps.

use domain::{ProviderId, ProviderKeyId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;
use crate::usage::Grouped;

/// Most rows that one pruning removes.
const MAX_PRUNED: i64 = 10_000;

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

/// Notes what was made by these calls, in the transaction that writes their rows. What belongs to a workspace that was
/// deleted meanwhile is passed by; what is noted already was made anew, unless that was earlier.
pub(crate) async fn note(tx: &mut Tx, rows: &[Grouped<'_>]) -> Result<(), StoreError> {
    let mut made = Vec::new();
    for (row, _) in rows {
        if let (Some(provider), Some(key)) = (&row.provider, row.key) {
            made.extend(row.made.iter().map(|id| (row, id, provider, key)));
        }
    }
    // In the order of their names, so that two nodes cannot wait for each other.
    made.sort_by_key(|(row, id, ..)| (row.workspace, *id));
    for (row, id, provider, key) in made {
        tx.run(
            sql(
                "INSERT INTO kept_objects (workspace_id, object_id, provider, provider_key_id, made_at)
                 SELECT id, $2, $3, $4, $5 FROM workspaces WHERE id = $1
                 ON CONFLICT (workspace_id, object_id) DO UPDATE
                 SET provider = excluded.provider, provider_key_id = excluded.provider_key_id,
                     made_at = excluded.made_at
                 WHERE kept_objects.made_at <= excluded.made_at",
            )
            .bind(row.workspace)
            .bind(id.as_str())
            .bind(provider)
            .bind(key)
            .bind(row.at),
        )
        .await?;
    }
    Ok(())
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
