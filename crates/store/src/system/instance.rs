//! What the instance's admins decide for everybody: settings, plans, who has which, and the instance's own keys.

use domain::plan::Plan;
use domain::settings::Settings;
use domain::{AccountId, DeploymentId, KeyOwner, NanoUsd, PlanId, Timestamp};

use crate::account;
use crate::audit::{AuditNote, Origin};
use crate::credit;
use crate::error::StoreError;
use crate::page::{Page, PageRequest};
use crate::plan::{self, SubscriptionRow};
use crate::provider_key::{ProviderKeys, Reach};
use crate::provider_key_row;
use crate::revision::{Affects, Writing};
use crate::scope::InstanceScope;
use crate::settings;
use crate::system::System;
use crate::user;

pub use crate::account::AccountSummary;

impl<'a> System<'a> {
    /// What is decided for everybody.
    ///
    /// # Errors
    /// As every function here.
    pub async fn settings(&self) -> Result<Settings, StoreError> {
        settings::get(self.store).await
    }

    /// Decides otherwise. Holds from the next call on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: it is not `expected` any more, the default plan does not exist, or the admin is
    /// none any more.
    pub async fn put_settings(
        &self,
        scope: &InstanceScope,
        expected: &Settings,
        new: &Settings,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        settings::put(&mut writing.tx, expected, new).await?;
        let origin = scope.origin();
        writing.commit(Affects::Everybody, origin, audit, now).await
    }

    /// The plans, the lowest first.
    ///
    /// # Errors
    /// As every function here.
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        plan::list(self.store).await
    }

    /// Adds a plan, or changes one. Who has it keeps the terms of their subscription.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the admin is none any more.
    pub async fn put_plan(
        &self,
        scope: &InstanceScope,
        plan: &Plan,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        plan::put(&mut writing.tx, plan).await?;
        let origin = scope.origin();
        writing.commit(Affects::Everybody, origin, audit, now).await
    }

    /// Changes a plan as long as it is `expected`. Who has it keeps the terms of their subscription.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the plan is another one or gone, or the admin is none any more.
    pub async fn replace_plan(
        &self,
        scope: &InstanceScope,
        expected: &Plan,
        plan: &Plan,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        let stored = plan::get(&mut writing.tx, &plan.id).await?;
        if stored.as_ref() != Some(expected) {
            return Err(StoreError::Conflict("the plan was changed in the meantime"));
        }
        plan::put(&mut writing.tx, plan).await?;
        let origin = scope.origin();
        writing.commit(Affects::Everybody, origin, audit, now).await
    }

    /// Decides otherwise and adds or changes plans, all at once. `expected` are all plans that are there; of `new`,
    /// plans that are as they were cost nothing.
    ///
    /// # Errors
    /// As [`Self::put_settings`]; [`StoreError::Conflict`], too, if the plans are not `expected` any more.
    pub async fn put_settings_and_plans(
        &self,
        scope: &InstanceScope,
        expected: (&Settings, &[Plan]),
        new: (&Settings, &[Plan]),
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        let tx = &mut writing.tx;
        if plan::list_in(tx).await? != expected.1 {
            return Err(StoreError::Conflict(
                "the plans were changed in the meantime",
            ));
        }
        let changed = new.1.iter().filter(|plan| !expected.1.contains(plan));
        for plan in changed {
            plan::put(tx, plan).await?;
        }
        settings::put(tx, expected.0, new.0).await?;
        let origin = scope.origin();
        writing.commit(Affects::Everybody, origin, audit, now).await
    }

    /// Removes a plan.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`]: an account has it, new accounts get it, or the admin is
    /// none any more.
    pub async fn remove_plan(
        &self,
        scope: &InstanceScope,
        plan: &PlanId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        plan::remove(&mut writing.tx, plan).await?;
        let origin = scope.origin();
        writing.commit(Affects::Everybody, origin, audit, now).await
    }

    /// All accounts with their plans, or those whose owner's e-mail has a part, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn accounts(
        &self,
        _scope: &InstanceScope,
        part: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<AccountSummary>, StoreError> {
        account::list(self.store, part, page).await
    }

    /// One account with its plan.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such account.
    pub async fn account(
        &self,
        _scope: &InstanceScope,
        account: AccountId,
    ) -> Result<AccountSummary, StoreError> {
        account::summary(self.store, account)
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// What an account has.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such account.
    pub async fn subscription(
        &self,
        _scope: &InstanceScope,
        account: AccountId,
    ) -> Result<SubscriptionRow, StoreError> {
        plan::subscription(self.store, account)
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Gives an account a plan, on the terms that the plan has now; what it has beyond the limits of the plan stays.
    /// Its monthly credits begin anew, except with the plan that it has already and no other monthly credits. A plan
    /// that it has on the very same terms changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such account or plan; [`StoreError::Conflict`]: the admin is none any more.
    pub async fn subscribe(
        &self,
        scope: &InstanceScope,
        account: AccountId,
        plan: &PlanId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        let tx = &mut writing.tx;
        let plan = plan::get(tx, plan).await?.ok_or(StoreError::NotFound)?;
        let held = plan::held(tx, account).await?;
        if held.plan == plan.id && held.terms == plan.terms {
            return Ok(());
        }
        plan::subscribe(tx, account, &plan, now).await?;
        // Otherwise a call that is repeated, or new limits, would fill up the month.
        if held.plan != plan.id || held.terms.monthly_credits != plan.terms.monthly_credits {
            let monthly = NanoUsd::from_credits(plan.terms.monthly_credits);
            credit::set_monthly(tx, account, monthly, now).await?;
        }
        let origin = Origin {
            account: Some(account),
            ..scope.origin()
        };
        writing
            .commit(Affects::Account(account), origin, audit, now)
            .await
    }

    /// The instance's own keys; `deployment` is the id of the installation, in whose name they are sealed.
    pub fn platform_keys(
        &self,
        scope: &InstanceScope,
        deployment: DeploymentId,
    ) -> ProviderKeys<'a> {
        ProviderKeys::new(
            self.store,
            KeyOwner::Instance(deployment),
            None,
            scope.origin(),
            Reach::Admin(scope.user()),
        )
    }

    /// Whether the instance has a key of its own that may serve.
    ///
    /// # Errors
    /// As every function here.
    pub async fn has_platform_keys(&self) -> Result<bool, StoreError> {
        provider_key_row::has_of_instance(self.store).await
    }

    /// Begins a change, in which the person still manages the instance.
    pub(super) async fn changing(&self, scope: &InstanceScope) -> Result<Writing<'a>, StoreError> {
        let mut writing = self.store.writing().await?;
        user::still_admin(&mut writing.tx, scope.user()).await?;
        Ok(writing)
    }
}
