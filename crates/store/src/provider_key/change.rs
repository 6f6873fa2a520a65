//! What may change of a provider key without its value. A template has none of this.

use domain::price::PriceOverride;
use domain::{Label, ProviderKeyId, Timestamp};

use super::{ProviderKeys, label_taken};
use crate::audit::AuditNote;
use crate::db::Tx;
use crate::error::StoreError;
use crate::json;
use crate::statement::sql;

/// What changes of a provider key; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Another label.
    pub label: Option<Label>,
    /// Whether it may serve.
    pub enabled: Option<bool>,
    /// Another place among the owner's keys for the provider; lower serves first.
    pub position: Option<i64>,
    /// The pool of this level, from 0 to 9999, or none.
    pub level: Option<Option<i64>>,
    /// Whether it serves only after everything else failed.
    pub fallback: Option<bool>,
    /// What was negotiated for calls on it.
    pub prices: Option<Vec<PriceOverride>>,
}

impl KeyChange {
    /// Whether everything stays as it is.
    pub fn is_empty(&self) -> bool {
        self.actions().is_empty()
    }

    /// What the audit log calls the changes, in the order of its rows.
    fn actions(&self) -> Vec<&'static str> {
        let enabled = match self.enabled {
            Some(false) => "provider_key.disable",
            _ => "provider_key.enable",
        };
        [
            (self.label.is_some(), "provider_key.set_label"),
            (self.position.is_some(), "provider_key.set_position"),
            (self.level.is_some(), "provider_key.set_level"),
            (self.fallback.is_some(), "provider_key.set_fallback"),
            (self.prices.is_some(), "provider_key.set_prices"),
            (self.enabled.is_some(), enabled),
        ]
        .into_iter()
        .filter_map(|(changes, action)| changes.then_some(action))
        .collect()
    }

    /// One note for each thing that changes, otherwise as `audit` says, which may be about more than this.
    pub(super) fn notes(&self, audit: &AuditNote) -> impl Iterator<Item = AuditNote> {
        let note = |action| AuditNote {
            action,
            label: self.label.clone().or_else(|| audit.label.clone()),
            kek_id: None,
            content_sha256: None,
            ..audit.clone()
        };
        self.actions().into_iter().map(note)
    }
}

impl ProviderKeys<'_> {
    /// Changes a key without its value: all of it, with one audit row for each thing that changes, or nothing.
    ///
    /// The rows are as `audit` says, but for the action, which is that of the thing: `provider_key.set_label`,
    /// `set_position`, `set_level`, `set_fallback`, `set_prices`, `enable`, `disable`. An empty change does
    /// nothing and looks at nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such key here; [`StoreError::Conflict`]: the label is taken.
    pub async fn update(
        &self,
        key: ProviderKeyId,
        change: &KeyChange,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if change.is_empty() {
            return Ok(());
        }
        let (mut writing, account) = self.writing().await?;
        self.apply(&mut writing.tx, key, change, now).await?;
        let notes: Vec<AuditNote> = change.notes(audit).collect();
        self.commit(writing, account, &notes, now).await
    }

    pub(super) async fn apply(
        &self,
        tx: &mut Tx,
        key: ProviderKeyId,
        change: &KeyChange,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let prices = change.prices.as_ref().map(json);
        let changed = tx
            .run(
                sql("UPDATE provider_keys
                     SET label = COALESCE($3, label), enabled = COALESCE($4, enabled),
                         position = COALESCE($5, position),
                         level = CASE WHEN $6 = 1 THEN $7 ELSE level END,
                         fallback = COALESCE($8, fallback), prices = COALESCE($9, prices),
                         updated_at = $10
                     WHERE owner_id = $1 AND id = $2 AND template = 0")
                .bind(self.owner)
                .bind(key)
                .bind(change.label.as_ref().map(Label::as_str))
                .bind(change.enabled.map(i64::from))
                .bind(change.position)
                .bind(change.level.is_some())
                .bind(change.level.flatten())
                .bind(change.fallback.map(i64::from))
                .bind(prices.as_deref())
                .bind(now),
            )
            .await
            .map_err(label_taken)?;
        if changed == 0 {
            return Err(StoreError::NotFound);
        }
        Ok(())
    }
}
