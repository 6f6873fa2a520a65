//! Provider keys: theirs, brought to us. The store holds envelopes and never a key.

use domain::access::Role;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{AccountId, KeyOwner, Label, ProviderId, ProviderKeyId, Timestamp, UserId};

use crate::Store;
use crate::audit::{AuditNote, Origin};
use crate::data_key;
use crate::db::Tx;
use crate::error::StoreError;
use crate::member;
use crate::provider_key_row::{read, read_all, select};
use crate::revision::{Affects, Writing};
use crate::statement::sql;

/// The most provider keys that one workspace or account may have.
pub const MAX_PROVIDER_KEYS: i64 = 1_000;

/// What [`ProviderKeys::put`] expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No key with this label for the provider.
    New,
    /// The key with this id at this version; the record bears the next one.
    Version(i64),
}

/// The provider keys of one workspace or one account.
///
/// A change to a workspace's keys may fail as every change [`Within`](crate::Within) it may.
pub struct ProviderKeys<'a> {
    store: &'a Store,
    owner: KeyOwner,
    account: AccountId,
    origin: Origin,
    /// The membership by which a workspace's keys are reached.
    member: Option<(UserId, Role)>,
}

impl<'a> ProviderKeys<'a> {
    pub(crate) fn new(
        store: &'a Store,
        owner: KeyOwner,
        account: AccountId,
        origin: Origin,
        member: Option<(UserId, Role)>,
    ) -> Self {
        Self {
            store,
            owner,
            account,
            origin,
            member,
        }
    }

    /// Whose keys these are.
    pub fn owner(&self) -> KeyOwner {
        self.owner
    }

    /// The account that owns them or their workspace.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// All of them, by provider, position and label; at most [`MAX_PROVIDER_KEYS`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn list(&self) -> Result<Vec<ProviderKeyRecord>, StoreError> {
        read_all(
            self.store
                .db()
                .all(
                    select!("WHERE owner_id = $1 ORDER BY provider, position, label LIMIT $2")
                        .bind(self.owner)
                        .bind(MAX_PROVIDER_KEYS),
                )
                .await?,
        )
    }

    /// The key with this id, if it is here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn get(&self, key: ProviderKeyId) -> Result<Option<ProviderKeyRecord>, StoreError> {
        self.store
            .db()
            .optional(
                select!("WHERE owner_id = $1 AND id = $2")
                    .bind(self.owner)
                    .bind(key),
            )
            .await?
            .map(read)
            .transpose()
    }

    /// The key with this label for this provider.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn find(
        &self,
        provider: &ProviderId,
        label: &Label,
    ) -> Result<Option<ProviderKeyRecord>, StoreError> {
        self.store
            .db()
            .optional(
                select!("WHERE owner_id = $1 AND provider = $2 AND label = $3")
                    .bind(self.owner)
                    .bind(provider.as_str())
                    .bind(label.as_str()),
            )
            .await?
            .map(read)
            .transpose()
    }

    /// The data key under which they are encrypted, once there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn data_key(&self) -> Result<Option<DataKeyRecord>, StoreError> {
        data_key::of_owner(self.store, self.owner).await
    }

    /// Stores `record` unless there is a data key already, and returns the one that counts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: it belongs to another owner, or the owner is gone.
    pub async fn insert_data_key(
        &self,
        record: &DataKeyRecord,
    ) -> Result<DataKeyRecord, StoreError> {
        if record.owner != self.owner {
            return Err(StoreError::NotFound);
        }
        let (mut writing, _) = self.writing().await?;
        let stored = data_key::insert(&mut writing.tx, record).await?;
        writing.commit_unaudited(Affects::Nothing).await?;
        Ok(stored)
    }

    /// Adds a key, or replaces one's value in place: same id, next version, failure forgotten.
    ///
    /// A replacement leaves label, position and state as they are stored. `replay`: the hash by which
    /// the sealed box is known; it is taken once in the whole instance.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`]: the label is taken, the version is another by now, or there are too many keys.
    /// - [`StoreError::Replayed`]: this box was taken before.
    /// - [`StoreError::NotFound`]: the record belongs elsewhere, or the key or its owner is gone.
    pub async fn put(
        &self,
        record: &ProviderKeyRecord,
        expect: Expect,
        replay: Option<[u8; 32]>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if record.context.owner != self.owner {
            return Err(StoreError::NotFound);
        }
        let (mut writing, account) = self.writing().await?;
        let tx = &mut writing.tx;
        if let Some(hash) = replay {
            take_box(tx, &hash, now).await?;
        }
        match expect {
            Expect::New => self.insert(tx, record, account, now).await?,
            Expect::Version(version) => self.replace(tx, record, version, now).await?,
        }
        self.commit(writing, account, audit, now).await?;
        if expect != Expect::New {
            self.store.db().forget_log().await;
        }
        Ok(())
    }

    /// Lets a key serve, or not.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here.
    pub async fn set_enabled(
        &self,
        key: ProviderKeyId,
        enabled: bool,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET enabled = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2")
                .bind(self.owner)
                .bind(key)
                .bind(enabled)
                .bind(now),
            )
            .await?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }

    /// Moves a key among the owner's keys for the provider; lower serves first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here.
    pub async fn set_position(
        &self,
        key: ProviderKeyId,
        position: i64,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET position = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2")
                .bind(self.owner)
                .bind(key)
                .bind(position)
                .bind(now),
            )
            .await?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }

    /// Calls a key by another label.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here; [`StoreError::Conflict`]: the label is taken.
    pub async fn set_label(
        &self,
        key: ProviderKeyId,
        label: &Label,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET label = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2")
                .bind(self.owner)
                .bind(key)
                .bind(label.as_str())
                .bind(now),
            )
            .await
            .map_err(label_taken)?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }

    /// Removes a key for good; false, and no audit row, if there is none with this id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn remove(
        &self,
        key: ProviderKeyId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (mut writing, account) = self.writing().await?;
        let removed = writing
            .tx
            .run(
                sql("DELETE FROM provider_keys WHERE owner_id = $1 AND id = $2")
                    .bind(self.owner)
                    .bind(key),
            )
            .await?;
        if removed == 0 {
            return Ok(false);
        }
        self.commit(writing, account, audit, now).await?;
        self.store.db().forget_log().await;
        Ok(true)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        record: &ProviderKeyRecord,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (count,): (i64,) = tx
            .one(sql("SELECT count(*) FROM provider_keys WHERE owner_id = $1").bind(self.owner))
            .await?;
        if count >= MAX_PROVIDER_KEYS {
            return Err(StoreError::Conflict("there are too many provider keys"));
        }
        let workspace = match self.owner {
            KeyOwner::Workspace(id) => Some(id),
            KeyOwner::Account(_) => None,
        };
        let context = &record.context;
        tx.run(
            sql("INSERT INTO provider_keys (id, owner_id, workspace_id, account_id, provider,
                                            label, base_url, auth_header, version, data_key_id,
                                            envelope, mask, kek_id, position, enabled,
                                            created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)")
            .bind(context.key)
            .bind(self.owner)
            .bind(workspace)
            .bind(account)
            .bind(&context.provider)
            .bind(&record.label)
            .bind(&context.base_url)
            .bind(&context.auth_header)
            .bind(context.version)
            .bind(record.data_key)
            .bind(record.envelope.as_slice())
            .bind(&record.mask)
            .bind(record.kek_id.as_deref())
            .bind(record.position)
            .bind(record.enabled)
            .bind(now),
        )
        .await
        .map_err(label_taken)?;
        Ok(())
    }

    async fn replace(
        &self,
        tx: &mut Tx,
        record: &ProviderKeyRecord,
        version: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let context = &record.context;
        let stored: Option<(i64, String)> = tx
            .optional(
                sql("SELECT version, provider FROM provider_keys WHERE owner_id = $1 AND id = $2")
                    .bind(self.owner)
                    .bind(context.key),
            )
            .await?;
        let (stored_version, provider) = stored.ok_or(StoreError::NotFound)?;
        if stored_version != version || context.version != version + 1 {
            return Err(StoreError::Conflict(
                "the provider key was replaced in the meantime",
            ));
        }
        if provider != context.provider.as_str() {
            return Err(StoreError::Conflict(
                "a provider key stays with its provider",
            ));
        }
        tx.run(
            sql("UPDATE provider_keys
                 SET base_url = $4, auth_header = $5, version = $3 + 1, data_key_id = $6,
                     envelope = $7, mask = $8, kek_id = $9, updated_at = $10,
                     last_failure_at = NULL, last_failure_kind = NULL
                 WHERE owner_id = $1 AND id = $2 AND version = $3")
            .bind(self.owner)
            .bind(context.key)
            .bind(version)
            .bind(&context.base_url)
            .bind(&context.auth_header)
            .bind(record.data_key)
            .bind(record.envelope.as_slice())
            .bind(&record.mask)
            .bind(record.kek_id.as_deref())
            .bind(now),
        )
        .await?;
        Ok(())
    }

    /// Begins a change, in which what was authorized still holds; with the account that is concerned now.
    async fn writing(&self) -> Result<(Writing<'a>, AccountId), StoreError> {
        let mut writing = self.store.writing().await?;
        let account = match (self.owner, self.member) {
            (KeyOwner::Workspace(workspace), Some((user, role))) => {
                member::still(&mut writing.tx, workspace, user, role).await?
            }
            // An account stays with its owner.
            _ => self.account,
        };
        Ok((writing, account))
    }

    async fn commit(
        &self,
        writing: Writing<'_>,
        account: AccountId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let origin = Origin {
            account: Some(account),
            ..self.origin
        };
        writing
            .commit(Affects::Account(account), origin, audit, now)
            .await
    }
}

async fn take_box(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let taken = tx
        .run(
            sql("INSERT INTO seen_boxes (hash, seen_at) VALUES ($1, $2)
                 ON CONFLICT (hash) DO NOTHING")
            .bind(hash)
            .bind(now),
        )
        .await?;
    if taken == 0 {
        return Err(StoreError::Replayed);
    }
    Ok(())
}

fn label_taken(error: StoreError) -> StoreError {
    error.or_conflict("there is a provider key with this label already")
}

fn found(rows: u64) -> Result<(), StoreError> {
    if rows == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}
