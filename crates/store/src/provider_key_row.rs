//! Rows of provider keys: how they are read, and what the data plane notes on them.

use domain::key::FailureKind;
use domain::record::{KeyContext, ProviderKeyRecord};
use domain::{AccountId, ProviderKeyId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::moment;
use crate::statement::{Statement, sql};

#[derive(sqlx::FromRow)]
pub(crate) struct Stored {
    id: String,
    owner_id: String,
    account_id: Option<String>,
    provider: String,
    label: String,
    base_url: String,
    auth_header: String,
    version: i64,
    data_key_id: String,
    envelope: Vec<u8>,
    mask: String,
    kek_id: Option<String>,
    position: i64,
    level: Option<i64>,
    fallback: i64,
    template: i64,
    prices: String,
    enabled: i64,
    created_at: i64,
    updated_at: i64,
    last_used_at: Option<i64>,
    last_failure_at: Option<i64>,
    last_failure_kind: Option<String>,
    last_released_at: Option<i64>,
}

/// The columns that [`Stored`] reads, before the rest of the statement.
macro_rules! select {
    ($rest:literal) => {
        $crate::statement::sql(concat!(
            "SELECT id, owner_id, account_id, provider, label, base_url, auth_header, version,
                    data_key_id, envelope, mask, kek_id, position, level, fallback, template,
                    prices, enabled,                    created_at, updated_at, last_used_at, last_failure_at, last_failure_kind,
                    last_released_at
             FROM provider_keys ",
            $rest
        ))
    };
}
pub(crate) use select;

/// The provider keys that may serve a caller: the workspace's and the account's.
pub(crate) async fn of_caller(
    store: &Store,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Vec<ProviderKeyRecord>, StoreError> {
    read_all(
        store
            .db()
            .all(
                select!(
                    "WHERE owner_id IN ($1, $2) AND template = 0
                     ORDER BY owner_id, provider, position, label"
                )
                .bind(workspace)
                .bind(account),
            )
            .await?,
    )
}

/// The platform keys.
pub(crate) async fn of_instance(store: &Store) -> Result<Vec<ProviderKeyRecord>, StoreError> {
    read_all(
        store
            .db()
            .all(select!(
                "WHERE instance_id IS NOT NULL ORDER BY provider, position, label"
            ))
            .await?,
    )
}

/// Whether there is a platform key that may serve, read inside a change.
pub(crate) async fn instance_serves(tx: &mut Tx) -> Result<bool, StoreError> {
    let key: Option<(String,)> = tx.optional(select_serving()).await?;
    Ok(key.is_some())
}

/// The same, read outside of one.
pub(crate) async fn has_of_instance(store: &Store) -> Result<bool, StoreError> {
    let key: Option<(String,)> = store.db().optional(select_serving()).await?;
    Ok(key.is_some())
}

/// All provider keys in the order of their ids, `limit` at a time.
pub(crate) async fn all(
    store: &Store,
    after: Option<ProviderKeyId>,
    limit: i64,
) -> Result<Vec<ProviderKeyRecord>, StoreError> {
    read_all(
        store
            .db()
            .all(
                select!("WHERE id > $1 ORDER BY id LIMIT $2")
                    .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
                    .bind(limit),
            )
            .await?,
    )
}

/// Notes that a key served, at most once a minute.
pub(crate) async fn mark_used(
    tx: &mut Tx,
    key: ProviderKeyId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE provider_keys SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 - 60000)")
        .bind(key)
        .bind(at),
    )
    .await?;
    Ok(())
}

/// Notes that the provider did not accept a key, unless the key was replaced since.
pub(crate) async fn mark_failure(
    tx: &mut Tx,
    key: ProviderKeyId,
    version: i64,
    at: Timestamp,
    kind: FailureKind,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "UPDATE provider_keys SET last_failure_at = $3, last_failure_kind = $4
             WHERE id = $1 AND version = $2
               AND (last_failure_at IS NULL OR last_failure_at <= $3)",
        )
        .bind(key)
        .bind(version)
        .bind(at)
        .bind(kind.as_str()),
    )
    .await?;
    Ok(())
}

fn select_serving() -> Statement {
    sql("SELECT id FROM provider_keys WHERE instance_id IS NOT NULL AND enabled = 1 LIMIT 1")
}

pub(crate) fn read_all(rows: Vec<Stored>) -> Result<Vec<ProviderKeyRecord>, StoreError> {
    rows.into_iter().map(read).collect()
}

pub(crate) fn read(row: Stored) -> Result<ProviderKeyRecord, StoreError> {
    let place = Place {
        table: "provider_keys",
        id: &row.id,
    };
    let last_failure = match (row.last_failure_at, row.last_failure_kind.as_deref()) {
        (Some(at), Some(kind)) => Some((
            Timestamp::from_millis(at),
            FailureKind::from_name(kind).ok_or_else(|| place.corrupt("last_failure_kind"))?,
        )),
        _ => None,
    };
    Ok(ProviderKeyRecord {
        context: KeyContext {
            owner: place.parse("owner_id", &row.owner_id)?,
            key: place.parse("id", &row.id)?,
            provider: place.parse("provider", &row.provider)?,
            base_url: row.base_url,
            auth_header: row.auth_header,
            version: row.version,
        },
        account: place.parse_optional("account_id", row.account_id.as_deref())?,
        label: place.parse("label", &row.label)?,
        data_key: place.parse("data_key_id", &row.data_key_id)?,
        envelope: row.envelope,
        mask: row.mask,
        kek_id: row.kek_id,
        position: row.position,
        level: row.level,
        fallback: row.fallback != 0,
        template: row.template != 0,
        prices: place.json("prices", &row.prices)?,
        enabled: row.enabled != 0,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        last_used_at: moment(row.last_used_at),
        last_failure,
        last_released_at: moment(row.last_released_at),
    })
}
