//! Who pays, set up in the harness: settings, policies, platform keys, credits.

use domain::access::Action;
use domain::policy::{Mode, WorkspacePolicy};
use domain::price::PriceOverride;
use domain::record::ProviderKeyRecord;
use domain::settings::Settings;
use domain::{DeploymentId, KeyOwner, NanoUsd};
use store::{
    AccountScope, CreditsRow, InstanceScope, NewCard, ProviderKeys, Store, WorkspaceScope,
};

use super::harness::Harness;
use super::provider::Provider;

/// 3 USD and 15 USD per million tokens; cached input a tenth, written a quarter more.
pub(super) const PRICE: &str =
    r#"{"input":"3","output":"15","cache_read":"0.3","cache_write":"3.75"}"#;

/// A price in JSON for the models of `provider` that fit `model`.
pub(super) fn price(provider: &str, model: &str, price: &str) -> PriceOverride {
    let json = format!(r#"{{"provider":"{provider}","model":"{model}","price":{price}}}"#);
    serde_json::from_str(&json).expect("a price")
}

/// A scope for provider keys.
pub(super) enum Reach {
    Workspace(WorkspaceScope),
    Account(AccountScope),
    Instance(InstanceScope, DeploymentId),
}

impl Reach {
    pub(super) fn keys<'a>(&'a self, store: &'a Store) -> ProviderKeys<'a> {
        match self {
            Self::Workspace(scope) => store.within(scope).provider_keys(),
            Self::Account(scope) => store.within_account(scope).provider_keys(),
            Self::Instance(scope, deployment) => store.system().platform_keys(scope, *deployment),
        }
    }
}

impl Harness {
    pub(super) async fn admin(&self, action: Action) -> InstanceScope {
        let scope = self.store.authorize_instance(&self.principal, action);
        scope.await.expect("the first user may")
    }

    /// What it takes to reach the provider keys of this owner.
    pub(super) async fn reach(&self, owner: KeyOwner) -> Reach {
        match owner {
            KeyOwner::Workspace(_) => Reach::Workspace(self.scope(Action::WriteProviderKeys).await),
            KeyOwner::Account(account) => {
                let action = Action::WriteAccountProviderKeys;
                let scope = self
                    .store
                    .authorize_account(&self.principal, account, action);
                Reach::Account(scope.await.expect("the owner may"))
            }
            KeyOwner::Instance(deployment) => {
                Reach::Instance(self.admin(Action::WritePlatformKeys).await, deployment)
            }
        }
    }

    pub(super) async fn settings(&self, change: impl FnOnce(&mut Settings)) {
        let system = self.store.system();
        let old = system.settings().await.expect("read");
        let mut new = old.clone();
        change(&mut new);
        let scope = self.admin(Action::WriteInstanceSettings).await;
        let (note, now) = (self.note(), self.sources.now());
        let put = system.put_settings(&scope, &old, &new, &note, now);
        put.await.expect("changed");
    }

    pub(super) async fn policy(&self, change: impl FnOnce(&mut WorkspacePolicy)) {
        let scope = self.scope(Action::WritePolicy).await;
        let within = self.store.within(&scope);
        let old = within.policy().await.expect("read").policy;
        let mut new = old.clone();
        change(&mut new);
        let (note, now) = (self.note(), self.sources.now());
        let put = within.put_policy(&old, &new, &note, now);
        put.await.expect("changed");
    }

    pub(super) async fn mode(&self, mode: Mode) {
        self.policy(|policy| policy.mode = mode).await;
    }

    /// The mode `auto` with consent to credits where own keys fail.
    pub(super) async fn consents(&self) {
        self.policy(|policy| {
            policy.mode = Mode::Auto;
            policy.managed_on_failure = true;
        })
        .await;
    }

    /// Gives the instance a key for this provider, with a provider of its own behind it.
    pub(super) async fn platform(&self, provider: &str) -> (ProviderKeyRecord, Provider) {
        let upstream = Provider::start().await;
        upstream.says("{}");
        let owner = KeyOwner::Instance(self.deployment);
        let label = format!("platform-{}", upstream.address.port());
        let record = self.record_of(owner, provider, &label, &upstream).await;
        self.put(&record).await;
        (record, upstream)
    }

    /// Gives the workspace one more key, with a provider of its own behind it; later ones come after earlier ones.
    pub(super) async fn own(
        &self,
        label: &str,
        change: impl FnOnce(&mut ProviderKeyRecord),
    ) -> (ProviderKeyRecord, Provider) {
        let upstream = Provider::start().await;
        upstream.says("{}");
        let owner = KeyOwner::Workspace(self.workspace);
        let mut record = self.record_of(owner, "openai", label, &upstream).await;
        change(&mut record);
        self.put(&record).await;
        (record, upstream)
    }

    /// The account's credits.
    pub(super) async fn credits(&self) -> CreditsRow {
        let action = Action::ReadBilling;
        let scope = self
            .store
            .authorize_account(&self.principal, self.account, action);
        let scope = scope.await.expect("the owner may");
        let within = self.store.within_account(&scope);
        within.credits(self.sources.now()).await.expect("read")
    }

    /// Sets what the account has to this amount and nothing else.
    pub(super) async fn has_credits(&self, nanos: i64) {
        let scope = self.admin(Action::WriteAccounts).await;
        let system = self.store.system();
        let (note, now) = (self.note(), self.sources.now());
        system
            .set_monthly(&scope, self.account, NanoUsd::ZERO, &note, now)
            .await
            .expect("none included");
        if nanos > 0 {
            let card = NewCard {
                kind: domain::credits::CardKind::Grant,
                amount: NanoUsd::new(nanos),
                expires_at: None,
                reference: None,
            };
            let granted = system.grant_credits(&scope, self.account, &card, &note, now);
            granted.await.expect("granted");
        }
    }
}
