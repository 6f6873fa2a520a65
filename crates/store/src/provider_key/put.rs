//! Adding a provider key, and replacing one's value.

use domain::record::ProviderKeyRecord;
use domain::{AccountId, KeyOwner, Timestamp};

use super::{KeyChange, MAX_PROVIDER_KEYS, ProviderKeys, label_taken};
use crate::audit::AuditNote;
use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::sql;
use crate::{json, limit, plan, removed_key};

/// What [`ProviderKeys::put`] expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No key with this label for the provider.
    New,
    /// The key with this id at this version; the record bears the next one.
    Version(i64),
}

impl ProviderKeys<'_> {
    /// Adds a key, or replaces one's value in place: same id, next version, failure forgotten.
    ///
    /// A replacement leaves label, order, prices and state as they are stored. That a sealed box is taken once is
    /// [`System::take_box`](crate::System::take_box)'s to decide, before. A template is bound by no plan: it
    /// never serves.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`]: the label is taken, the version is another by now, or there are too many keys.
    /// - [`StoreError::PlanRequired`], [`StoreError::LimitExceeded`]: the account's plan does not give it.
    /// - [`StoreError::NotFound`]: the record belongs elsewhere, or the key or its owner is gone.
    pub async fn put(
        &self,
        record: &ProviderKeyRecord,
        expect: Expect,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_with(record, expect, &KeyChange::default(), audit, now)
            .await
    }

    /// As [`ProviderKeys::put`], and changes more of the key that is replaced: both, or neither. The rows of the
    /// change, as [`ProviderKeys::update`] writes them, follow the row of `audit`.
    ///
    /// # Errors
    /// As [`ProviderKeys::put`]; [`StoreError::NotFound`], too, where a template would change.
    pub async fn put_with(
        &self,
        record: &ProviderKeyRecord,
        expect: Expect,
        change: &KeyChange,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if record.context.owner != self.owner {
            return Err(StoreError::NotFound);
        }
        let (mut writing, account) = self.writing().await?;
        let tx = &mut writing.tx;
        if let Some(account) = account.filter(|_| !record.template) {
            self.admit(tx, account, expect).await?;
        }
        match expect {
            Expect::New => self.add(tx, record, account, now).await?,
            Expect::Version(version) => self.replace(tx, record, version, now).await?,
        }
        if !record.template {
            removed_key::forget(tx, self.owner, &record.context.provider).await?;
        }
        if !change.is_empty() {
            self.apply(tx, record.context.key, change, now).await?;
        }
        let notes: Vec<AuditNote> = std::iter::once(audit.clone())
            .chain(change.notes(audit))
            .collect();
        self.commit(writing, account, &notes, now).await?;
        if expect != Expect::New {
            self.store.db().forget_log().await;
        }
        Ok(())
    }

    /// Makes sure that the account's plan gives the key.
    async fn admit(
        &self,
        tx: &mut Tx,
        account: AccountId,
        expect: Expect,
    ) -> Result<(), StoreError> {
        let terms = plan::terms(tx, account).await?;
        if !terms.byok {
            return Err(StoreError::PlanRequired { feature: "byok" });
        }
        match expect {
            Expect::New => limit::provider_keys(tx, self.owner, terms.limits).await,
            Expect::Version(_) => Ok(()),
        }
    }

    async fn add(
        &self,
        tx: &mut Tx,
        record: &ProviderKeyRecord,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (count,): (i64,) = tx
            .one(
                sql("SELECT count(*) FROM provider_keys WHERE owner_id = $1 AND template = $2")
                    .bind(self.owner)
                    .bind(record.template),
            )
            .await?;
        if count >= MAX_PROVIDER_KEYS {
            return Err(StoreError::Conflict("there are too many provider keys"));
        }
        insert(tx, record, account, now).await
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
                sql("SELECT version, provider FROM provider_keys
                     WHERE owner_id = $1 AND id = $2 AND template = $3")
                .bind(self.owner)
                .bind(context.key)
                .bind(record.template),
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
                     last_failure_at = NULL, last_failure_kind = NULL,
                     last_released_at = NULL
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
}

/// Adds the row of a key to its owner, who belongs to `account`; `None`: the owner is the instance.
pub(crate) async fn insert(
    tx: &mut Tx,
    record: &ProviderKeyRecord,
    account: Option<AccountId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let context = &record.context;
    let (workspace, instance) = match context.owner {
        KeyOwner::Workspace(id) => (Some(id), None),
        KeyOwner::Account(_) => (None, None),
        KeyOwner::Instance(id) => (None, Some(id)),
    };
    tx.run(
        sql(
            "INSERT INTO provider_keys (id, owner_id, workspace_id, account_id, instance_id,
                                        provider, label, base_url, auth_header, version,
                                        data_key_id, envelope, mask, kek_id, position, level,
                                        fallback, template, prices, enabled,
                                        created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                     $17, $18, $19, $20, $21, $21)",
        )
        .bind(context.key)
        .bind(context.owner)
        .bind(workspace)
        .bind(account)
        .bind(instance)
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
        .bind(record.level)
        .bind(record.fallback)
        .bind(record.template)
        .bind(&json(&record.prices))
        .bind(record.enabled)
        .bind(now),
    )
    .await
    .map_err(label_taken)?;
    Ok(())
}
