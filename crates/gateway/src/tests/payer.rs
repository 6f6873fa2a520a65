//! Who pays, set up in the harness: settings, policies, platform keys, credits.

use domain::access::Action;
use domain::policy::{Mode, WorkspacePolicy};
use domain::price::PriceOverride;
use domain::record::ProviderKeyRecord;
use domain::settings::Settings;
use domain::{DeploymentId, KeyOwner, NanoUsd};
use http::HeaderValue;
use store::{
    AccountScope, CreditsRow, Expect, InstanceScope, NewCard, ProviderKeys, Store, WorkspaceScope,
};

use super::client::Answer;
use super::harness::Harness;
use super::provider::Provider;
use crate::edge::EdgeConfig;

/// 3 USD and 15 USD per million tokens; cached input a tenth, written a quarter more.
pub(super) const PRICE: &str =
    r#"{"input":"3","output":"15","cache_read":"0.3","cache_write":"3.75"}"#;

pub(super) const CALL: &str = r#"{"model":"gpt-x","max_tokens":2}"#;
/// What a call of [`CALL`] holds: 32 bytes are 8 tokens of input, and 2 of output.
pub(super) const HOLD: i64 = 8 * 3_000 + 2 * 15_000;
/// An answer that takes [`CHARGE`].
pub(super) const REPORT: &str = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":10,"completion_tokens":2}}"#;
pub(super) const CHARGE: i64 = 10 * 3_000 + 2 * 15_000;
pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
/// The head of a stream.
pub(super) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A managed workspace with platform keys for both providers, whose prices are known.
pub(super) async fn managed() -> (Harness, Provider, Provider) {
    managed_with(super::harness::config()).await
}

pub(super) async fn managed_with(config: crate::GatewayConfig) -> (Harness, Provider, Provider) {
    let harness = Harness::with(config, EdgeConfig::default()).await;
    let (_, openai) = harness.platform("openai").await;
    let (_, anthropic) = harness.platform("anthropic").await;
    harness
        .settings(|settings| {
            settings.prices = vec![price("openai", "*", PRICE), price("anthropic", "*", PRICE)];
        })
        .await;
    harness.mode(Mode::Managed).await;
    openai.says(REPORT);
    (harness, openai, anthropic)
}

/// A harness whose instance knows the price of OpenAI's models.
pub(super) async fn priced() -> Harness {
    let harness = Harness::start().await;
    harness
        .settings(|settings| settings.prices = vec![price("openai", "gpt-*", PRICE)])
        .await;
    harness
}

/// Who paid, or the code of the refusal.
pub(super) fn paid(answer: &Answer) -> String {
    if answer.status == 200 {
        answer.header("x-keybearer-key-source").to_owned()
    } else {
        answer.code()
    }
}

/// Sends a call with these headers.
pub(super) async fn with(
    harness: &Harness,
    body: &str,
    headers: &[(&'static str, &'static str)],
) -> Answer {
    let mut request = harness.chat_request(body);
    for (name, value) in headers {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    harness.send(request).await
}

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
        self.own_at("openai", label, change).await
    }

    /// The same, for another provider.
    pub(super) async fn own_at(
        &self,
        provider: &str,
        label: &str,
        change: impl FnOnce(&mut ProviderKeyRecord),
    ) -> (ProviderKeyRecord, Provider) {
        let upstream = Provider::start().await;
        upstream.says("{}");
        let owner = KeyOwner::Workspace(self.workspace);
        let mut record = self.record_of(owner, provider, label, &upstream).await;
        change(&mut record);
        self.put(&record).await;
        (record, upstream)
    }

    /// Puts the account on a plan on which no own key serves and no better tier is open.
    pub(super) async fn without_byok(&self) {
        let scope = self.admin(Action::WriteInstanceSettings).await;
        let mut plan = domain::plan::shipped().remove(0);
        plan.id = "bare".parse().expect("an id");
        plan.terms.byok = false;
        let (note, now) = (self.note(), self.sources.now());
        let system = self.store.system();
        let put = system.put_plan(&scope, &plan, &note, now);
        put.await.expect("added");
        let scope = self.admin(Action::WriteAccounts).await;
        let subscribed = system.subscribe(&scope, self.account, &plan.id, &note, now);
        subscribed.await.expect("subscribed");
    }

    /// Replaces the value of a stored key of the workspace.
    pub(super) async fn replace(&self, old: &ProviderKeyRecord, key: &str) -> ProviderKeyRecord {
        let old = self.stored(old).await;
        let mut new = old.clone();
        new.context.version += 1;
        new.envelope = self.seal(key, &new).await;
        let reach = self.reach(old.context.owner).await;
        let keys = reach.keys(&self.store);
        let (note, now) = (self.note(), self.sources.now());
        let put = keys.put(&new, Expect::Version(old.context.version), &note, now);
        put.await.expect("replaced");
        new
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
        let held = system.subscription(&scope, self.account).await;
        let mut plan = domain::plan::shipped().remove(0);
        plan.id = "nothing".parse().expect("an id");
        plan.terms = held.expect("has one").terms;
        plan.terms.monthly_credits = 0;
        let settings = self.admin(Action::WriteInstanceSettings).await;
        let put = system.put_plan(&settings, &plan, &note, now);
        put.await.expect("added");
        let subscribed = system.subscribe(&scope, self.account, &plan.id, &note, now);
        subscribed.await.expect("nothing included");
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
