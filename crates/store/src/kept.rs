//! With which key something was made that its provider keeps.

use std::sync::LazyLock;

use domain::{ProviderId, ProviderKeyId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::{InOrder, sql};
use crate::usage::Grouped;

/// The id of something that was made, its provider and the key.
pub type Made = (String, ProviderId, ProviderKeyId);

/// Most rows that one pruning removes.
const MAX_PRUNED: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct Stored {
    object_id: String,
    provider: String,
    provider_key_id: String,
}

/// How many things one statement looks up; most requests name fewer.
const LOOKED_UP: usize = 32;
static MAKERS: LazyLock<InOrder> = LazyLock::new(|| makers_text(LOOKED_UP));
/// Most requests name few.
const FEW: usize = 2;
static MAKERS_OF_FEW: LazyLock<InOrder> = LazyLock::new(|| makers_text(FEW));

fn makers_text(things: usize) -> InOrder {
    let places = vec!["$"; things].join(", ");
    InOrder::new(&format!(
        "SELECT object_id, provider, provider_key_id FROM kept_objects
         WHERE workspace_id = $ AND object_id IN ({places})"
    ))
}

/// Who made each of these in the workspace, as far as that is known.
pub(crate) async fn makers(
    store: &Store,
    workspace: WorkspaceId,
    ids: &[&str],
) -> Result<Vec<Made>, StoreError> {
    let mut makers = Vec::new();
    for some in ids.chunks(LOOKED_UP) {
        let (text, places) = match some.len() <= FEW {
            true => (&MAKERS_OF_FEW, FEW),
            false => (&MAKERS, LOOKED_UP),
        };
        // What is missing to a full statement is filled up with the last.
        let all = some.iter().chain(some.last().into_iter().cycle());
        let statement = all
            .take(places)
            .fold(text.statement().bind(workspace), |statement, id| {
                statement.bind(*id)
            });
        let found: Vec<Stored> = store.db().all(statement).await?;
        for row in found {
            let place = Place {
                table: "kept_objects",
                id: &row.object_id,
            };
            let provider = place.parse("provider", &row.provider)?;
            let key = place.parse("provider_key_id", &row.provider_key_id)?;
            makers.push((row.object_id, provider, key));
        }
    }
    Ok(makers)
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
