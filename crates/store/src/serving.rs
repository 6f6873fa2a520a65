//! The data plane's door: it reads callers and keys and writes usage and key health, no configuration.

mod credits;

use domain::access::ApiScope;
use domain::key::FailureKind;
use domain::plan::{Plan, PlanTerms};
use domain::policy::{ModelName, WorkspacePolicy};
use domain::record::{DataKeyRecord, ProviderKeyRecord, RemovedKey};
use domain::settings::Settings;
use domain::{AccountId, ApiKeyId, Decimal, PlanId, ProviderKeyId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::api_key;
use crate::data_key;
use crate::error::StoreError;
use crate::kept::{self, Made};
use crate::plan;
use crate::provider_key_row;
use crate::removed_key;
use crate::settings;
use crate::statement::sql;

/// Who calls, and the keys that may serve the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerRecord {
    /// The API key presented.
    pub api_key: ApiKeyId,
    /// Its minter.
    pub user: UserId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The workspace's account.
    pub account: AccountId,
    /// What it may do: its scopes, cut by its minter's role.
    pub scopes: Vec<ApiScope>,
    /// The model that serves when a call names none.
    pub default_model: Option<ModelName>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// What the workspace decided about who pays.
    pub policy: WorkspacePolicy,
    /// The account's plan.
    pub plan: PlanId,
    /// What the account has of it.
    pub terms: PlanTerms,
    /// What the account's charges are multiplied by.
    pub rate: Decimal,
    /// Own keys that were removed and not replaced, the last one for each owner and provider.
    pub removed: Vec<RemovedKey>,
    /// The provider keys of the workspace and of the account, disabled ones included.
    pub keys: Vec<ProviderKeyRecord>,
    /// The data keys under which those are encrypted.
    pub data_keys: Vec<DataKeyRecord>,
}

/// What the instance decided for everybody, and its own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// What is decided.
    pub settings: Settings,
    /// The plans, the lowest first.
    pub plans: Vec<Plan>,
    /// The platform keys, disabled ones included.
    pub keys: Vec<ProviderKeyRecord>,
    /// The data keys under which those are encrypted.
    pub data_keys: Vec<DataKeyRecord>,
}

/// What the data plane may ask of the store.
pub struct Serving<'a> {
    store: &'a Store,
}

impl<'a> Serving<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// The caller with this API key, by four short queries.
    ///
    /// `None`: unknown, expired or revoked, or its minter is suspended or has left the workspace.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn caller(
        &self,
        api_key_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<CallerRecord>, StoreError> {
        let Some(live) = api_key::live(self.store, api_key_hash, now).await? else {
            return Ok(None);
        };
        // Data keys last: none of them is ever younger than the provider keys under it.
        let keys = provider_key_row::of_caller(self.store, live.workspace, live.account).await?;
        let data_keys = data_key::of_caller(self.store, live.workspace, live.account).await?;
        let removed = removed_key::of_caller(self.store, live.workspace, live.account).await?;
        Ok(Some(CallerRecord {
            api_key: live.id,
            user: live.user,
            workspace: live.workspace,
            account: live.account,
            scopes: live.scopes,
            default_model: live.default_model,
            expires_at: live.expires_at,
            policy: live.policy,
            plan: live.plan,
            terms: live.terms,
            rate: live.rate,
            removed,
            keys,
            data_keys,
        }))
    }

    /// What the instance decided, by four short queries. It is good while
    /// [`Revisions::everybody`](crate::Revisions::everybody) is at most what
    /// [`Revisions::latest`](crate::Revisions::latest) was before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn instance(&self) -> Result<InstanceRecord, StoreError> {
        Ok(InstanceRecord {
            settings: settings::get(self.store).await?,
            plans: plan::list(self.store).await?,
            keys: provider_key_row::of_instance(self.store).await?,
            data_keys: data_key::of_instance(self.store).await?,
        })
    }

    /// Notes when keys were last used, to about a minute.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing was written.
    pub async fn mark_used(
        &self,
        provider_keys: &[(ProviderKeyId, Timestamp)],
        api_keys: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), StoreError> {
        // Sorted, so that two nodes lock the rows in the same order.
        let mut provider_keys = provider_keys.to_vec();
        provider_keys.sort_unstable();
        let mut api_keys = api_keys.to_vec();
        api_keys.sort_unstable();
        let mut tx = self.store.db().begin().await?;
        for (key, at) in provider_keys {
            provider_key_row::mark_used(&mut tx, key, at).await?;
        }
        for (key, at) in api_keys {
            tx.run(
                sql("UPDATE api_keys SET last_used_at = $2
                     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2 - 60000)")
                .bind(key)
                .bind(at),
            )
            .await?;
        }
        tx.commit().await
    }

    /// Notes that the provider did not accept a key, if the key still has this version.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn mark_failure(
        &self,
        key: ProviderKeyId,
        version: i64,
        at: Timestamp,
        kind: FailureKind,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.db().begin().await?;
        provider_key_row::mark_failure(&mut tx, key, version, at, kind).await?;
        tx.commit().await
    }

    /// With which keys these were made that providers keep under such ids, as far as that was noted; in no order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn makers(
        &self,
        workspace: WorkspaceId,
        ids: &[&str],
    ) -> Result<Vec<Made>, StoreError> {
        kept::makers(self.store, workspace, ids).await
    }
}
