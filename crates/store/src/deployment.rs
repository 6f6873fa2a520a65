//! The one row that names the installation and holds its wrapped key.

use domain::Timestamp;
use domain::record::DeploymentRecord;

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// The installation, once it is set up.
pub(crate) async fn get(store: &Store) -> Result<Option<DeploymentRecord>, StoreError> {
    let row: Option<(String, String, Vec<u8>, i64)> = store
        .db()
        .optional(sql(
            "SELECT id, kms_key, wrapped_key, created_at FROM deployment WHERE singleton = 1",
        ))
        .await?;
    row.map(|(id, kms_key, wrapped_key, created_at)| {
        let place = Place {
            table: "deployment",
            id: "1",
        };
        Ok(DeploymentRecord {
            id: place.parse("id", &id)?,
            kms_key,
            wrapped_key,
            created_at: Timestamp::from_millis(created_at),
        })
    })
    .transpose()
}

/// Names the installation, once.
pub(crate) async fn insert(tx: &mut Tx, record: &DeploymentRecord) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO deployment (singleton, id, kms_key, wrapped_key, created_at)
             VALUES (1, $1, $2, $3, $4)",
        )
        .bind(record.id)
        .bind(&record.kms_key)
        .bind(record.wrapped_key.as_slice())
        .bind(record.created_at),
    )
    .await
    .map_err(|error| error.or_conflict("this database has a deployment already"))?;
    Ok(())
}

/// Puts the same key under another KMS key, if `old` is what is stored.
pub(crate) async fn replace(
    tx: &mut Tx,
    old: &DeploymentRecord,
    new: &DeploymentRecord,
) -> Result<(), StoreError> {
    let replaced = tx
        .run(
            sql("UPDATE deployment SET kms_key = $4, wrapped_key = $5
                 WHERE singleton = 1 AND id = $1 AND kms_key = $2 AND wrapped_key = $3")
            .bind(old.id)
            .bind(&old.kms_key)
            .bind(old.wrapped_key.as_slice())
            .bind(&new.kms_key)
            .bind(new.wrapped_key.as_slice()),
        )
        .await?;
    if replaced == 0 {
        return Err(StoreError::Conflict(
            "the deployment record was changed in the meantime",
        ));
    }
    Ok(())
}
