//! Provider keys: theirs, brought to us. The store holds envelopes and never a key.

mod put;

use domain::access::Role;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{AccountId, KeyOwner, Label, ProviderId, ProviderKeyId, Timestamp, UserId};

use crate::Store;
use crate::audit::{AuditNote, Origin};
use crate::data_key;
use crate::error::StoreError;
use crate::member;
use crate::provider_key_row::{read, read_all, select};
use crate::revision::{Affects, Writing};
use crate::statement::sql;

pub use put::Expect;

/// The most provider keys that one workspace or account may have.
pub const MAX_PROVIDER_KEYS: i64 = 1_000;

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

fn label_taken(error: StoreError) -> StoreError {
    error.or_conflict("there is a provider key with this label already")
}

fn found(rows: u64) -> Result<(), StoreError> {
    if rows == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}
