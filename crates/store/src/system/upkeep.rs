//! What upkeep needs: keys in bulk, rotation, pruning.

use domain::record::{DataKeyRecord, DeploymentRecord, ProviderKeyRecord, SealingKeyRecord};
use domain::{DataKeyId, ProviderKeyId, Timestamp};

use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::revision::Affects;
use crate::statement::{Statement, sql};
use crate::system::System;
use crate::{api_key, data_key, deployment, kept, provider_key_row, sealing_key, session, usage};

/// How many of the newest changes stay for other nodes to read.
const KEPT_CHANGES: i64 = 10_000;

impl System<'_> {
    /// The pair to which clients seal now.
    ///
    /// # Errors
    /// As every function here.
    pub async fn active_sealing_key(&self) -> Result<Option<SealingKeyRecord>, StoreError> {
        sealing_key::active(self.store).await
    }

    /// Makes `new` the active pair and destroys the private half of the pair it `replaces`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: `replaces` is not the active pair, or it is `None` and there is one.
    pub async fn activate_sealing_key(
        &self,
        new: &SealingKeyRecord,
        replaces: Option<&str>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        sealing_key::activate(&mut writing.tx, new, replaces, now).await?;
        writing
            .commit(Affects::Nothing, self.origin(None, None), audit, now)
            .await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// Stores the active pair's private half under another KMS key.
    ///
    /// `old` is the record as it was read; `new` differs from it in its wrapping alone.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: `old` is not the active pair, or not as it is stored.
    pub async fn replace_sealing_key_wrapping(
        &self,
        old: &SealingKeyRecord,
        new: &SealingKeyRecord,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        sealing_key::replace_wrapping(&mut writing.tx, old, new).await?;
        writing.commit_unaudited(Affects::Nothing).await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// All data keys in the order of their ids, `limit` at a time.
    ///
    /// # Errors
    /// As every function here.
    pub async fn data_keys(
        &self,
        after: Option<DataKeyId>,
        limit: i64,
    ) -> Result<Vec<DataKeyRecord>, StoreError> {
        data_key::all(self.store, after, limit).await
    }

    /// How many data keys there are.
    ///
    /// # Errors
    /// As every function here.
    pub async fn data_key_count(&self) -> Result<u64, StoreError> {
        self.count(sql("SELECT count(*) FROM data_keys")).await
    }

    /// How many provider keys there are.
    ///
    /// # Errors
    /// As every function here.
    pub async fn provider_key_count(&self) -> Result<u64, StoreError> {
        self.count(sql("SELECT count(*) FROM provider_keys")).await
    }

    async fn count(&self, statement: Statement) -> Result<u64, StoreError> {
        let (count,): (i64,) = self.store.db().one(statement).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Stores a data key under another KMS key.
    ///
    /// `old` is the record as it was read; `new` differs from it in its wrapping alone.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: `old` is gone, or not as it is stored.
    pub async fn replace_data_key_wrapping(
        &self,
        old: &DataKeyRecord,
        new: &DataKeyRecord,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        data_key::replace_wrapping(&mut writing.tx, old, new).await?;
        writing.commit_unaudited(Affects::Everybody).await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// Stores the installation's key under another KMS key: the last step of a rotation of the root key.
    ///
    /// `old` is the record as it was read; `new` differs from it in its wrapping alone.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: `old` is not what is stored.
    pub async fn replace_deployment(
        &self,
        old: &DeploymentRecord,
        new: &DeploymentRecord,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        deployment::replace(&mut writing.tx, old, new).await?;
        writing
            .commit(Affects::Nothing, self.origin(None, None), audit, now)
            .await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// All provider keys in the order of their ids, `limit` at a time.
    ///
    /// # Errors
    /// As every function here.
    pub async fn provider_keys(
        &self,
        after: Option<ProviderKeyId>,
        limit: i64,
    ) -> Result<Vec<ProviderKeyRecord>, StoreError> {
        provider_key_row::all(self.store, after, limit).await
    }

    /// Removes sessions that ended by themselves and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        session::prune(self.store, now).await
    }

    /// Drops how provider keys fared more than a day ago, and says how many hours that were.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_key_hours(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.store.db().begin().await?;
        let removed = usage::prune_hours(&mut tx, now).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// Removes API keys that ended at `before` or earlier, a thousand at most, and says how many. What the audit log
    /// and the usage say of them stays.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_api_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        api_key::prune(self.store, before).await
    }

    /// Forgets with which keys objects were made before, ten thousand at most, and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_kept(&self, before: Timestamp) -> Result<u64, StoreError> {
        kept::prune(self.store, before).await
    }

    /// Drops all but the newest entries of the list of changes, and says how many. A node that was away for
    /// longer reads the gap as a change of everything.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_changes(&self) -> Result<u64, StoreError> {
        let mut tx = self.store.db().begin().await?;
        let removed = tx
            .run(
                sql("DELETE FROM changes
                     WHERE revision <= (SELECT revision FROM revision WHERE singleton = 1) - $1")
                .bind(KEPT_CHANGES),
            )
            .await?;
        tx.commit().await?;
        Ok(removed)
    }
}
