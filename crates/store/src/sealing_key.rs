//! Sealing key pairs. One is active; a replaced one keeps its public half alone.

use domain::Timestamp;
use domain::record::SealingKeyRecord;

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

#[derive(sqlx::FromRow)]
struct Stored {
    kek_id: String,
    public_key: Vec<u8>,
    wrapped_private: Vec<u8>,
    created_at: i64,
    expires_at: i64,
}

/// The pair to which clients seal now.
pub(crate) async fn active(store: &Store) -> Result<Option<SealingKeyRecord>, StoreError> {
    store
        .db()
        .optional(sql(
            "SELECT kek_id, public_key, wrapped_private, created_at, expires_at
             FROM sealing_keys WHERE active = 1",
        ))
        .await?
        .map(read)
        .transpose()
}

/// Destroys the private half of the pair `replaces` and puts `new` in its place.
///
/// `replaces` must be the active pair, or `None` when there is none: of two nodes that rotate at once, one wins.
pub(crate) async fn activate(
    tx: &mut Tx,
    new: &SealingKeyRecord,
    replaces: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let destroyed = tx
        .run(
            sql(
                "UPDATE sealing_keys SET active = 0, wrapped_private = NULL, destroyed_at = $2
                 WHERE kek_id = $1 AND active = 1",
            )
            .bind(replaces)
            .bind(now),
        )
        .await?;
    if replaces.is_some() && destroyed == 0 {
        return Err(StoreError::Conflict(
            "the sealing key was replaced in the meantime",
        ));
    }
    tx.run(
        sql(
            "INSERT INTO sealing_keys (kek_id, public_key, wrapped_private, active,
                                    created_at, expires_at)
             VALUES ($1, $2, $3, 1, $4, $5)",
        )
        .bind(&new.kek_id)
        .bind(&new.public_key)
        .bind(new.wrapped_private.as_slice())
        .bind(new.created_at)
        .bind(new.expires_at),
    )
    .await
    .map_err(|error| error.or_conflict("there is an active sealing key already"))?;
    Ok(())
}

/// Puts the active pair's private half under another KMS key, if `old` is what is stored.
pub(crate) async fn replace_wrapping(
    tx: &mut Tx,
    old: &SealingKeyRecord,
    new: &SealingKeyRecord,
) -> Result<(), StoreError> {
    let replaced = tx
        .run(
            sql("UPDATE sealing_keys SET wrapped_private = $3
                 WHERE kek_id = $1 AND active = 1 AND wrapped_private = $2")
            .bind(&old.kek_id)
            .bind(old.wrapped_private.as_slice())
            .bind(new.wrapped_private.as_slice()),
        )
        .await?;
    if replaced == 0 {
        return Err(StoreError::Conflict(
            "the sealing key was changed or replaced in the meantime",
        ));
    }
    Ok(())
}

fn read(row: Stored) -> Result<SealingKeyRecord, StoreError> {
    let place = Place {
        table: "sealing_keys",
        id: &row.kek_id,
    };
    let public_key = row
        .public_key
        .try_into()
        .map_err(|_| place.corrupt("public_key"))?;
    Ok(SealingKeyRecord {
        public_key,
        wrapped_private: row.wrapped_private,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        kek_id: row.kek_id,
    })
}
