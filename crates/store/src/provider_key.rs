//! Provider keys: theirs, brought to us. The store holds envelopes and never a key.

mod change;
mod health;
mod leave;
mod order;
mod put;
mod release;

use std::collections::BTreeMap;

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
use crate::user;

pub use change::KeyChange;
pub use health::KeyHealth;
pub use leave::Leaving;
pub use put::Expect;
pub(crate) use put::insert;

/// The most provider keys that one owner may have, whatever a plan gives.
pub const MAX_PROVIDER_KEYS: i64 = 1_000;

/// The provider keys of one workspace, one account or the instance.
///
/// Templates are among an account's, apart from the others: only [`ProviderKeys::template`], [`ProviderKeys::templates`],
/// [`ProviderKeys::put`] and [`ProviderKeys::remove`] reach them.
///
/// A change to a workspace's keys may fail as every change [`Within`](crate::Within) it may.
pub struct ProviderKeys<'a> {
    store: &'a Store,
    owner: KeyOwner,
    account: Option<AccountId>,
    origin: Origin,
    reach: Reach,
}

/// By what somebody reaches these keys; a change makes sure that it still holds.
pub(crate) enum Reach {
    /// Membership in the workspace with at least this role.
    Member(UserId, Role),
    /// Ownership of the account.
    Owner(UserId),
    /// Management of the instance.
    Admin(UserId),
}

impl<'a> ProviderKeys<'a> {
    pub(crate) fn new(
        store: &'a Store,
        owner: KeyOwner,
        account: Option<AccountId>,
        origin: Origin,
        reach: Reach,
    ) -> Self {
        Self {
            store,
            owner,
            account,
            origin,
            reach,
        }
    }

    /// Whose keys these are.
    pub fn owner(&self) -> KeyOwner {
        self.owner
    }

    /// The account that owns them or their workspace; `None`: the instance owns them.
    pub fn account(&self) -> Option<AccountId> {
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
                    select!(
                        "WHERE owner_id = $1 AND template = 0
                         ORDER BY provider, position, label LIMIT $2"
                    )
                    .bind(self.owner)
                    .bind(MAX_PROVIDER_KEYS),
                )
                .await?,
        )
    }

    /// How those of them that were tried in the last 24 hours fared, to the hour.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn health(
        &self,
        now: Timestamp,
    ) -> Result<BTreeMap<ProviderKeyId, KeyHealth>, StoreError> {
        health::of_owner(self.store, self.owner, now).await
    }

    /// The key with this id, if it is here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn get(&self, key: ProviderKeyId) -> Result<Option<ProviderKeyRecord>, StoreError> {
        self.store
            .db()
            .optional(
                select!("WHERE owner_id = $1 AND id = $2 AND template = 0")
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
                select!("WHERE owner_id = $1 AND provider = $2 AND label = $3 AND template = 0")
                    .bind(self.owner)
                    .bind(provider)
                    .bind(label),
            )
            .await?
            .map(read)
            .transpose()
    }

    /// The template for this provider: a key of an account that is copied into new workspaces.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn template(
        &self,
        provider: &ProviderId,
    ) -> Result<Option<ProviderKeyRecord>, StoreError> {
        self.store
            .db()
            .optional(
                select!("WHERE owner_id = $1 AND provider = $2 AND template = 1")
                    .bind(self.owner)
                    .bind(provider),
            )
            .await?
            .map(read)
            .transpose()
    }

    /// The templates, of every provider.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn templates(&self) -> Result<Vec<ProviderKeyRecord>, StoreError> {
        read_all(
            self.store
                .db()
                .all(
                    select!("WHERE owner_id = $1 AND template = 1 ORDER BY provider LIMIT $2")
                        .bind(self.owner)
                        .bind(MAX_PROVIDER_KEYS),
                )
                .await?,
        )
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

    /// Removes a key or a template for good; false, and no audit row, if there is none with this id.
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
        if !leave::delete(&mut writing.tx, self.owner, key, now).await? {
            return Ok(false);
        }
        let notes = std::slice::from_ref(audit);
        self.commit(writing, account, notes, now).await?;
        self.store.db().forget_log().await;
        Ok(true)
    }

    /// Begins a change, in which what was authorized still holds; with the account that is concerned now.
    async fn writing(&self) -> Result<(Writing<'a>, Option<AccountId>), StoreError> {
        let mut writing = self.store.writing().await?;
        let tx = &mut writing.tx;
        let account = match (self.owner, &self.reach) {
            (KeyOwner::Workspace(workspace), Reach::Member(user, role)) => {
                Some(member::still(tx, workspace, *user, *role).await?)
            }
            (KeyOwner::Account(account), Reach::Owner(owner)) => {
                user::still_active(tx, *owner).await?;
                Some(account)
            }
            (KeyOwner::Instance(_), Reach::Admin(admin)) => {
                user::still_admin(tx, *admin).await?;
                None
            }
            _ => return Err(StoreError::NotFound),
        };
        Ok((writing, account))
    }

    async fn commit(
        &self,
        writing: Writing<'_>,
        account: Option<AccountId>,
        notes: &[AuditNote],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let origin = Origin {
            account,
            ..self.origin
        };
        let affects = account.map_or(Affects::Everybody, Affects::Account);
        writing.commit_all(affects, origin, notes, now).await
    }
}

fn label_taken(error: StoreError) -> StoreError {
    error.or_conflict("there is a provider key with this label already")
}
