//! That values of keys leave, sealed: noted before they do.

use domain::{KeyOwner, ProviderKeyId, Timestamp};

use super::ProviderKeys;
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::policy;
use crate::revision::Affects;
use crate::settings;
use crate::statement::sql;

impl ProviderKeys<'_> {
    /// Notes that these values of the workspace's keys are handed out, each with its audit row: all of them or, with
    /// an error, none; then none may leave. It counts as a use.
    ///
    /// What allows it (the instance's setting, the workspace's policy, the keys' state) is looked at once more here,
    /// where nobody can change it meanwhile.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: these are not a workspace's keys, or the workspace is gone.
    /// - [`StoreError::Conflict`]: it is not allowed any more, or a key was replaced, disabled or removed meanwhile.
    pub async fn note_released(
        &self,
        keys: &[(ProviderKeyId, i64, AuditNote)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let KeyOwner::Workspace(workspace) = self.owner else {
            return Err(StoreError::NotFound);
        };
        let (mut writing, account) = self.writing().await?;
        let tx = &mut writing.tx;
        let allowed = settings::release_keys_allowed(tx).await?
            && policy::releases_keys(tx, workspace).await?;
        if !allowed {
            return Err(StoreError::Conflict(
                "provider keys may not be released any more",
            ));
        }
        for (key, version, _) in keys {
            let noted: Option<(i64,)> = tx
                .optional(
                    sql(
                        "UPDATE provider_keys SET last_released_at = $4, last_used_at = $4
                         WHERE owner_id = $1 AND id = $2 AND version = $3
                           AND enabled = 1 AND template = 0
                         RETURNING version",
                    )
                    .bind(self.owner)
                    .bind(*key)
                    .bind(*version)
                    .bind(now),
                )
                .await?;
            if noted.is_none() {
                return Err(StoreError::Conflict(
                    "a provider key was changed in the meantime",
                ));
            }
        }
        let notes: Vec<AuditNote> = keys.iter().map(|(_, _, note)| note.clone()).collect();
        let origin = crate::audit::Origin {
            account,
            ..self.origin
        };
        writing
            .commit_all(Affects::Nothing, origin, &notes, now)
            .await
    }
}
