//! Keys that go for good, alone or with another change.

use domain::{KeyOwner, Label, ProviderKeyId, Timestamp};

use crate::audit::AuditNote;
use crate::db::Tx;
use crate::error::StoreError;
use crate::removed_key;
use crate::statement::sql;

/// The keys of an owner with one label, as they were read, and those of them that go with another change: that happens only
/// while all of them are as they were read.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// The label.
    pub label: Label,
    /// Whether it is the templates with it.
    pub template: bool,
    /// Each with its version.
    pub read: Vec<(ProviderKeyId, i64)>,
    /// Those that are removed for good, with what the audit log says of each.
    pub removed: Vec<(ProviderKeyId, AuditNote)>,
}

impl Leaving {
    /// Removes what goes; [`StoreError::Conflict`] if the keys are not as they were read.
    pub(crate) async fn remove(
        &self,
        tx: &mut Tx,
        owner: KeyOwner,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let stored: Vec<(String, i64)> = tx
            .all(
                sql("SELECT id, version FROM provider_keys
                     WHERE owner_id = $1 AND label = $2 AND template = $3 ORDER BY id")
                .bind(owner)
                .bind(&self.label)
                .bind(self.template),
            )
            .await?;
        let read = self.read.iter();
        let mut read: Vec<_> = read
            .map(|(key, version)| (key.to_string(), *version))
            .collect();
        read.sort();
        if stored != read {
            return Err(StoreError::Conflict(
                "the provider keys were changed in the meantime",
            ));
        }
        for (key, _) in &self.removed {
            delete(tx, owner, *key, now).await?;
        }
        Ok(())
    }

    /// What the audit log says of it.
    pub(crate) fn notes(&self) -> impl Iterator<Item = AuditNote> {
        self.removed.iter().map(|(_, note)| note.clone())
    }
}

/// Removes a key or a template; false if there is none with this id.
pub(super) async fn delete(
    tx: &mut Tx,
    owner: KeyOwner,
    key: ProviderKeyId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let removed: Option<(String, String, i64)> = tx
        .optional(
            sql("DELETE FROM provider_keys WHERE owner_id = $1 AND id = $2
                 RETURNING provider, label, template")
            .bind(owner)
            .bind(key),
        )
        .await?;
    let Some((provider, label, template)) = removed else {
        return Ok(false);
    };
    if template == 0 {
        removed_key::note(tx, owner, &provider, &label, now).await?;
    }
    Ok(true)
}
