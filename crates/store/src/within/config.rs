//! What a workspace decides about who pays, and what it needs to know for that.

use domain::plan::PlanTerms;
use domain::policy::{ModelName, WorkspacePolicy};
use domain::record::{ProviderKeyRecord, RemovedKey};
use domain::{ApiKeyId, Decimal, KeyOwner, NanoUsd, PlanId, Timestamp};

use super::{Within, commit};
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::policy::{self, PolicyRow};
use crate::provider_key::Leaving;
use crate::revision::Affects;
use crate::{account, api_key, credit, plan, provider_key_row, removed_key};

/// What a workspace may know of the account that pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payer {
    /// Whether there are credits that are not held for running calls.
    pub has_credits: bool,
    /// What charges are multiplied by.
    pub rate: Decimal,
}

impl Within<'_> {
    /// Who pays here, and what serves.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the workspace was deleted in the meantime.
    pub async fn policy(&self) -> Result<PolicyRow, StoreError> {
        policy::get(self.store, self.scope.workspace())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Changes who pays here, and what serves. Holds from the next call on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: it is not `expected` any more.
    pub async fn put_policy(
        &self,
        expected: &WorkspacePolicy,
        new: &WorkspacePolicy,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = self.scope.workspace();
        let (mut writing, origin) = self.writing().await?;
        policy::put(&mut writing.tx, workspace, expected, new, now).await?;
        commit(writing, origin, audit, now).await
    }

    /// As [`Within::put_policy`], and in the same moment keys of the workspace go. `audit` is `None` where the policy stays as it
    /// is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the policy is not `expected` any more, or the keys are others than were read.
    pub async fn put_policy_without(
        &self,
        expected: &WorkspacePolicy,
        new: &WorkspacePolicy,
        leaving: &Leaving,
        audit: Option<&AuditNote>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = self.scope.workspace();
        let (mut writing, origin) = self.writing().await?;
        if audit.is_some() {
            policy::put(&mut writing.tx, workspace, expected, new, now).await?;
        } else {
            policy::is_still(&mut writing.tx, workspace, expected).await?;
        }
        let owner = KeyOwner::Workspace(workspace);
        leaving.remove(&mut writing.tx, owner, now).await?;
        let affects = origin.account.map_or(Affects::Everybody, Affects::Account);
        let notes: Vec<AuditNote> = audit.cloned().into_iter().chain(leaving.notes()).collect();
        writing.commit_all(affects, origin, &notes, now).await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// The plan of the account that the workspace belongs to, and what the account has of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the account is gone.
    pub async fn terms(&self) -> Result<(PlanId, PlanTerms), StoreError> {
        let row = plan::subscription(self.store, self.scope.account()).await?;
        let row = row.ok_or(StoreError::NotFound)?;
        Ok((row.plan, row.terms))
    }

    /// The own keys that may serve here, the workspace's and the account's, disabled ones included.
    ///
    /// They are as calls meet them, for a decision: labels and masks of the account's keys are not everybody's to
    /// see, see [`Within::sees_account_labels`].
    ///
    /// # Errors
    /// As every function here.
    pub async fn serving_keys(&self) -> Result<Vec<ProviderKeyRecord>, StoreError> {
        let (workspace, account) = (self.scope.workspace(), self.scope.account());
        provider_key_row::of_caller(self.store, workspace, account).await
    }

    /// Own keys that were removed and not replaced, the last one for each owner and provider; with labels, as in
    /// [`Within::serving_keys`].
    ///
    /// # Errors
    /// As every function here.
    pub async fn removed_keys(&self) -> Result<Vec<RemovedKey>, StoreError> {
        let (workspace, account) = (self.scope.workspace(), self.scope.account());
        removed_key::of_caller(self.store, workspace, account).await
    }

    /// Whether labels and masks of the account's keys may be shown to this person: to the account's owner alone.
    ///
    /// # Errors
    /// As every function here.
    pub async fn sees_account_labels(&self) -> Result<bool, StoreError> {
        let account = account::get(self.store, self.scope.account()).await?;
        Ok(account.is_some_and(|account| account.owner == self.scope.user()))
    }

    /// Whether the account has credits as of `now`, and what its charges are multiplied by. Does first what is due by then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is gone.
    pub async fn payer(&self, now: Timestamp) -> Result<Payer, StoreError> {
        let credits = credit::credits_of(self.store, self.scope.account(), now).await?;
        Ok(Payer {
            has_credits: credits.available > NanoUsd::ZERO,
            rate: credits.rate,
        })
    }

    /// Names the model that serves when a call with this API key names none; `None`: the workspace's choice.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn set_api_key_default_model(
        &self,
        id: ApiKeyId,
        model: Option<&ModelName>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        api_key::set_default_model(&mut writing.tx, self.scope.workspace(), id, model).await?;
        commit(writing, origin, audit, now).await
    }

    /// Moves the end of an API key that ends by itself and has not ended. It ends no later than the API key that
    /// minted it, and than the one with which this is done.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here. [`StoreError::Conflict`]: it was revoked, has ended, never
    /// ends, or ends later than `end`; or a key that it must not outlive ends earlier.
    pub async fn renew_api_key(
        &self,
        id: ApiKeyId,
        end: Timestamp,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (workspace, by) = (self.scope.workspace(), self.scope.api_key());
        let (mut writing, origin) = self.writing().await?;
        api_key::renew(&mut writing.tx, workspace, id, by, end, now).await?;
        commit(writing, origin, audit, now).await
    }
}
