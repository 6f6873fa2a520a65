//! What an account has, and what its new workspaces start with.

use domain::{KeyOwner, Timestamp};

use super::WithinAccount;
use crate::audit::AuditNote;
use crate::defaults::{self, DefaultsRow};
use crate::error::StoreError;
use crate::limit::{self, ResourceUse};
use crate::plan::{self, SubscriptionRow};
use crate::provider_key::Leaving;
use crate::revision::Affects;
use crate::user;

impl WithinAccount<'_> {
    /// Its plan, on the terms of its subscription.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is gone.
    pub async fn subscription(&self) -> Result<SubscriptionRow, StoreError> {
        plan::subscription(self.store, self.scope.account())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// How much it has of what its plan limits.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is gone.
    pub async fn limits_used(&self, now: Timestamp) -> Result<Vec<ResourceUse>, StoreError> {
        let limits = self.subscription().await?.terms.limits;
        limit::used(self.store, self.scope.account(), limits, now).await
    }

    /// What its new workspaces start with, beside its template keys.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn defaults(&self) -> Result<DefaultsRow, StoreError> {
        defaults::get(self.store, self.scope.account()).await
    }

    /// Changes what its new workspaces start with, and in the same moment template keys go, if any do; workspaces that are there
    /// stay as they are. The time in `new` is not read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: they are not `expected` any more, or the keys are others than were read;
    /// [`StoreError::NotFound`] if their owner is gone.
    pub async fn put_defaults(
        &self,
        expected: &DefaultsRow,
        new: &DefaultsRow,
        leaving: Option<&Leaving>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let account = self.scope.account();
        let mut writing = self.store.writing().await?;
        let tx = &mut writing.tx;
        user::still_active(tx, self.scope.user()).await?;
        defaults::put(tx, account, expected, new, now).await?;
        let mut notes = vec![audit.clone()];
        if let Some(leaving) = leaving {
            leaving.remove(tx, KeyOwner::Account(account), now).await?;
            notes.extend(leaving.notes());
        }
        let origin = self.scope.origin();
        let committed = writing.commit_all(Affects::Nothing, origin, &notes, now);
        committed.await?;
        self.store.db().forget_log().await;
        Ok(())
    }
}
