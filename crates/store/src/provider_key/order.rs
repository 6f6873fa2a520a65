//! The order of an owner's keys for one provider, changed as a whole.

use std::collections::BTreeSet;

use domain::{ProviderId, ProviderKeyId, Timestamp};

use super::ProviderKeys;
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::statement::sql;

impl ProviderKeys<'_> {
    /// Gives the keys for a provider the places of this list, from 0 on: all of them in one change with one audit row,
    /// and none where they stand so already. False, and nothing changes: the list is not of exactly the keys for the
    /// provider that are here, each once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn put_order(
        &self,
        provider: &ProviderId,
        order: &[ProviderKeyId],
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (mut writing, account) = self.writing().await?;
        let stored: Vec<(String, i64)> = writing
            .tx
            .all(
                sql("SELECT id, position FROM provider_keys
                     WHERE owner_id = $1 AND provider = $2 AND template = 0")
                .bind(self.owner)
                .bind(provider),
            )
            .await?;
        let wanted: Vec<String> = order.iter().map(ToString::to_string).collect();
        let listed: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        let here: BTreeSet<&str> = stored.iter().map(|(id, _)| id.as_str()).collect();
        if listed != here || wanted.len() != here.len() {
            return Ok(false);
        }
        let mut moved = false;
        for (place, id) in (0_i64..).zip(&wanted) {
            if stored.iter().any(|(key, at)| key == id && *at == place) {
                continue;
            }
            moved = true;
            writing
                .tx
                .run(
                    sql("UPDATE provider_keys SET position = $3, updated_at = $4
                         WHERE owner_id = $1 AND id = $2")
                    .bind(self.owner)
                    .bind(id)
                    .bind(place)
                    .bind(now),
                )
                .await?;
        }
        if moved {
            let notes = std::slice::from_ref(audit);
            self.commit(writing, account, notes, now).await?;
        }
        Ok(true)
    }
}
