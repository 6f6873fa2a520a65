//! What may change of a provider key without its value. A template has none of this.

use domain::price::PriceOverride;
use domain::{Label, ProviderKeyId, Timestamp};

use super::{ProviderKeys, label_taken};
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::json;
use crate::statement::sql;

impl ProviderKeys<'_> {
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
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
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
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
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
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
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

    /// Puts a key into the pool of a level, from 0 to 9999, or into none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here.
    pub async fn set_level(
        &self,
        key: ProviderKeyId,
        level: Option<i64>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET level = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
                .bind(self.owner)
                .bind(key)
                .bind(level)
                .bind(now),
            )
            .await?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }

    /// Lets a key serve only after everything else failed, or in its turn.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here.
    pub async fn set_fallback(
        &self,
        key: ProviderKeyId,
        fallback: bool,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET fallback = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
                .bind(self.owner)
                .bind(key)
                .bind(fallback)
                .bind(now),
            )
            .await?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }

    /// Says what was negotiated for calls on a key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here.
    pub async fn set_prices(
        &self,
        key: ProviderKeyId,
        prices: &[PriceOverride],
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, account) = self.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE provider_keys SET prices = $3, updated_at = $4
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
                .bind(self.owner)
                .bind(key)
                .bind(&json(prices))
                .bind(now),
            )
            .await?;
        found(changed)?;
        self.commit(writing, account, audit, now).await
    }
}

fn found(rows: u64) -> Result<(), StoreError> {
    if rows == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}
