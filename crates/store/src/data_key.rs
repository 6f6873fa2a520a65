//! Data keys, wrapped: one active for each owner of provider keys.

use domain::record::DataKeyRecord;
use domain::{AccountId, DataKeyId, KeyOwner, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    owner_id: String,
    kms_key: String,
    wrapped: Vec<u8>,
    created_at: i64,
}

/// The data key under which one owner's keys are encrypted now.
pub(crate) async fn of_owner(
    store: &Store,
    owner: KeyOwner,
) -> Result<Option<DataKeyRecord>, StoreError> {
    store
        .db()
        .optional(
            sql("SELECT id, owner_id, kms_key, wrapped, created_at
                 FROM data_keys WHERE owner_id = $1 AND active = 1")
            .bind(owner),
        )
        .await?
        .map(read)
        .transpose()
}

/// The data keys that a caller's provider keys may need.
pub(crate) async fn of_caller(
    store: &Store,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Vec<DataKeyRecord>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(
            sql("SELECT id, owner_id, kms_key, wrapped, created_at
                 FROM data_keys WHERE owner_id IN ($1, $2)")
            .bind(workspace)
            .bind(account),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// The data keys under which platform keys are encrypted.
pub(crate) async fn of_instance(store: &Store) -> Result<Vec<DataKeyRecord>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(sql("SELECT id, owner_id, kms_key, wrapped, created_at
                 FROM data_keys WHERE instance_id IS NOT NULL"))
        .await?;
    rows.into_iter().map(read).collect()
}

/// All data keys in the order of their ids, `limit` at a time.
pub(crate) async fn all(
    store: &Store,
    after: Option<DataKeyId>,
    limit: i64,
) -> Result<Vec<DataKeyRecord>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(
            sql("SELECT id, owner_id, kms_key, wrapped, created_at
                 FROM data_keys WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
            .bind(limit),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Adds an owner's data key unless the owner has an active one, and returns the one that is active.
pub(crate) async fn insert(
    tx: &mut Tx,
    record: &DataKeyRecord,
) -> Result<DataKeyRecord, StoreError> {
    let (workspace, account, instance) = match record.owner {
        KeyOwner::Workspace(id) => (Some(id), None, None),
        KeyOwner::Account(id) => (None, Some(id), None),
        KeyOwner::Instance(id) => (None, None, Some(id)),
    };
    tx.run(
        sql(
            "INSERT INTO data_keys (id, owner_id, workspace_id, account_id, instance_id,
                                    kms_key, wrapped, active, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)
             ON CONFLICT (owner_id) WHERE active = 1 DO NOTHING",
        )
        .bind(record.id)
        .bind(record.owner)
        .bind(workspace)
        .bind(account)
        .bind(instance)
        .bind(&record.kms_key)
        .bind(record.wrapped.as_slice())
        .bind(record.created_at),
    )
    .await?;
    let stored = tx
        .one(
            sql("SELECT id, owner_id, kms_key, wrapped, created_at
                 FROM data_keys WHERE owner_id = $1 AND active = 1")
            .bind(record.owner),
        )
        .await?;
    read(stored)
}

/// Puts the same data key under another KMS key, if `old` is what is stored.
pub(crate) async fn replace_wrapping(
    tx: &mut Tx,
    old: &DataKeyRecord,
    new: &DataKeyRecord,
) -> Result<(), StoreError> {
    let replaced = tx
        .run(
            sql("UPDATE data_keys SET kms_key = $5, wrapped = $6
                 WHERE owner_id = $1 AND id = $2 AND kms_key = $3 AND wrapped = $4")
            .bind(old.owner)
            .bind(old.id)
            .bind(&old.kms_key)
            .bind(old.wrapped.as_slice())
            .bind(&new.kms_key)
            .bind(new.wrapped.as_slice()),
        )
        .await?;
    if replaced == 0 {
        return Err(StoreError::Conflict(
            "the data key was changed or removed in the meantime",
        ));
    }
    Ok(())
}

fn read(row: Stored) -> Result<DataKeyRecord, StoreError> {
    let place = Place {
        table: "data_keys",
        id: &row.id,
    };
    Ok(DataKeyRecord {
        id: place.parse("id", &row.id)?,
        owner: place.parse("owner_id", &row.owner_id)?,
        kms_key: row.kms_key,
        wrapped: row.wrapped,
        created_at: Timestamp::from_millis(row.created_at),
    })
}
