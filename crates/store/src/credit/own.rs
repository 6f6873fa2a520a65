//! What an account may see of its credits and of what its calls consumed.

use domain::Timestamp;

use super::{CreditsRow, LedgerFilter, LedgerRow, credits_of, ledger_of};
use crate::error::StoreError;
use crate::page::{Page, PageRequest};
use crate::usage::{self, UsageOfDay, UsageOfWorkspace};
use crate::within::WithinAccount;

impl WithinAccount<'_> {
    /// Its credits as of `now`. Does first what is due by then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is gone.
    pub async fn credits(&self, now: Timestamp) -> Result<CreditsRow, StoreError> {
        credits_of(self.store, self.scope.account(), now).await
    }

    /// What of its ledger fits, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn ledger(
        &self,
        filter: &LedgerFilter,
        page: &PageRequest,
    ) -> Result<Page<LedgerRow>, StoreError> {
        ledger_of(self.store, self.scope.account(), filter, page).await
    }

    /// What its calls since `from` consumed, by UTC day, oldest first. Days without calls are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn usage_by_day(&self, from: Timestamp) -> Result<Vec<UsageOfDay>, StoreError> {
        usage::by_day(self.store, self.scope.account(), from).await
    }

    /// What its calls since `from` consumed, by workspace, in the order of their ids; only the first
    /// [`MAX_WORKSPACES`](crate::MAX_WORKSPACES) of them, without a sign that there are more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn usage_by_workspace(
        &self,
        from: Timestamp,
    ) -> Result<Vec<UsageOfWorkspace>, StoreError> {
        usage::by_workspace(self.store, self.scope.account(), from).await
    }
}
