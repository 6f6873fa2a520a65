//! Sealed boxes that were taken. A box that is seen a second time is refused, whatever became of it the first time.

use domain::Timestamp;

use crate::Store;
use crate::error::StoreError;
use crate::statement::sql;

/// Keeps the hash of a box, once.
pub(crate) async fn take(store: &Store, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let mut tx = store.db().begin().await?;
    let taken = tx
        .run(
            sql("INSERT INTO seen_boxes (hash, seen_at) VALUES ($1, $2)
                 ON CONFLICT (hash) DO NOTHING")
            .bind(hash)
            .bind(now),
        )
        .await?;
    tx.commit().await?;
    if taken == 0 {
        return Err(StoreError::Replayed);
    }
    Ok(())
}
