//! Which key would serve, and who would pay: the decision of the data plane, explained without a call of a model.

use domain::access::Role;
use domain::naming::{self, Choices, Named, NoName};
use domain::plan::{self, Plan};
use domain::policy::{ByokRule, KeySource, Mode, WorkspacePolicy};
use domain::ranking::{self, Ranking};
use domain::record::{ProviderKeyRecord, RemovedKey};
use domain::resolve::{
    self, Call as Question, Candidate, Decision, HeldKey, Refusal, Several, Target,
};
use domain::settings::Settings;
use domain::{AccountId, ApiKeyId, KeyOwner, PlanId, ProviderId, ProviderKeyId, WorkspaceId};
use llm::provider::{Provider, Status as ProviderStatus};
use store::{InstanceRecord, WorkspaceScope};

use crate::error::{Code, Problem};
use crate::ops::labels::LabelSight;
use crate::ops::models;
use crate::state::ControlState;

/// What a call would ask for.
pub struct Asked {
    /// The model that the request names.
    pub model: Option<String>,
    /// Those that it names to turn to; without a model the first of them is it.
    pub models: Vec<String>,
    /// The model that the conversation has, if the request leaves the choice to it.
    pub conversation_model: Option<String>,
    /// The API key that it would be called with.
    pub api_key: Option<ApiKeyId>,
    /// Whether the request forbids credits.
    pub no_managed: bool,
}

/// Everything that the decision knows of a workspace.
pub struct Facts {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The account that owns it.
    pub account: AccountId,
    /// The instance's rules and keys.
    pub instance: InstanceRecord,
    /// The workspace's rules.
    pub policy: WorkspacePolicy,
    /// The account's plan, with its terms.
    pub plan: (PlanId, domain::plan::PlanTerms),
    /// The keys of the workspace and its account.
    pub keys: Vec<ProviderKeyRecord>,
    /// Those that were removed and not replaced.
    pub removed: Vec<RemovedKey>,
    /// Whether the caller may see what the account's keys are called.
    pub sees_account_labels: bool,
}

/// What the decisions are, and how they came about.
pub struct Explained {
    /// One for each model of the request, in their order and never empty.
    pub models: Vec<ExplainedModel>,
    /// What they were made from.
    pub facts: Facts,
}

/// What the decision for one model is.
pub struct ExplainedModel {
    /// What was asked for.
    pub requested: String,
    /// The name that providers are looked up by, or why there is none.
    pub named: Result<Named, NoName>,
    /// The decision, where there is a name: what counts of it behind the models before.
    pub decision: Option<Decision>,
}

/// What calls meet once a key is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Another own key serves.
    OtherOwnKey,
    /// The instance's keys serve, and credits pay.
    ManagedCredits,
    /// They are refused for want of a key or of credits.
    Refused402,
    /// They are refused for another reason, which the key did not change.
    Refused,
}

impl Then {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OtherOwnKey,
        Self::ManagedCredits,
        Self::Refused402,
        Self::Refused,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherOwnKey => "other_own_key",
            Self::ManagedCredits => "managed_credits",
            Self::Refused402 => "refused_402",
            Self::Refused => "refused",
        }
    }
}

impl Facts {
    /// The facts of a workspace as they are now.
    ///
    /// # Errors
    /// `not_found` when it was deleted in the meantime; `unavailable`.
    pub async fn gather(state: &ControlState, scope: &WorkspaceScope) -> Result<Self, Problem> {
        let within = state.store.within(scope);
        Ok(Self {
            workspace: scope.workspace(),
            account: scope.account(),
            instance: state.store.serving().instance().await?,
            policy: within.policy().await?.policy,
            plan: within.terms().await?,
            keys: within.serving_keys().await?,
            removed: within.removed_keys().await?,
            sees_account_labels: within.sees_account_labels().await?,
        })
    }

    /// The instance's settings.
    pub fn settings(&self) -> &Settings {
        &self.instance.settings
    }

    /// The own key or platform key with this id.
    pub fn key(&self, id: ProviderKeyId) -> Option<&ProviderKeyRecord> {
        let mut keys = self.keys.iter().chain(&self.instance.keys);
        keys.find(|key| key.context.key == id)
    }

    /// The plans that would lift a refusal by plan, the lowest first.
    pub fn plans_with(&self, fits: impl Fn(&domain::plan::PlanTerms) -> bool) -> Vec<PlanId> {
        let plans: &[Plan] = &self.instance.plans;
        plan::that(plans, fits)
    }

    /// The names that providers are looked up by, in their order and never none.
    pub(crate) fn names(
        &self,
        state: &ControlState,
        choices: &Choices<'_>,
    ) -> Vec<Result<Named, NoName>> {
        let is_listed = |text: &str| state.registry.lists(text);
        naming::names(
            choices,
            &self.policy,
            self.settings(),
            &self.plan.1,
            is_listed,
        )
    }

    /// The targets of one model in the order of the ranking, as a chat completion that streams has them.
    pub(crate) fn ranked(
        &self,
        state: &ControlState,
        ranking: Option<Ranking>,
        targets: Vec<Target>,
    ) -> Vec<Target> {
        let Some(ranking) = ranking else {
            return targets;
        };
        let is_last = |target: &Target| self.key(target.key).is_some_and(|key| key.fallback);
        ranking::arrange(
            ranking,
            targets,
            |target| (target.source, target.when, is_last(target)),
            |target| target,
            |target| self.rank(state, target),
        )
    }

    /// What rankings look at.
    pub(crate) fn rank(&self, state: &ControlState, target: &Target) -> ranking::Facts {
        let (provider, model) = (&target.provider, &target.model);
        let now = state.sources.now();
        let price = models::price_of(self, Some(target), (provider, model), now);
        let cost = price
            .map(|it| ranking::sample_charge(self.settings(), target, "chat_completions", &it));
        let key = self.key(target.key);
        let pace = key.map(|key| state.probe.pace(&key.context, model));
        ranking::Facts {
            cost,
            pace: pace.unwrap_or_default(),
            is_streamed: true,
        }
    }

    /// The decision for a model that these providers know, best first.
    pub fn decide(
        &self,
        state: &ControlState,
        model: &str,
        candidates: &[Candidate],
        no_managed: bool,
    ) -> Decision {
        let rules = (self.settings(), &self.policy);
        self.decide_by(rules, state, model, candidates, no_managed)
    }

    fn decide_by(
        &self,
        (settings, policy): (&Settings, &WorkspacePolicy),
        state: &ControlState,
        model: &str,
        candidates: &[Candidate],
        no_managed: bool,
    ) -> Decision {
        let gateway = settings.managed_gateway.as_ref();
        let through = |gateway| state.registry.through_gateway(gateway, candidates);
        let keys: Vec<HeldKey> = self
            .keys
            .iter()
            .chain(&self.instance.keys)
            .filter(|key| !key.template)
            .map(HeldKey::from)
            .collect();
        resolve::resolve(&Question {
            workspace: self.workspace,
            account: self.account,
            settings,
            policy,
            terms: &self.plan.1,
            model,
            candidates,
            gateway_candidates: &gateway.map(through).unwrap_or_default(),
            keys: &keys,
            removed: &self.removed,
            no_managed,
        })
    }

    /// The decision for the models of a provider; without one, for a model that every provider has, so that any own
    /// key may serve.
    pub(crate) fn decide_for(
        &self,
        state: &ControlState,
        provider: Option<&ProviderId>,
    ) -> Decision {
        self.decide_for_by((self.settings(), &self.policy), state, provider)
    }

    /// Whether keys of the instance serve models of the provider, or without one any, where credits pay. What the workspace's
    /// rules and the offered modes make of credits does not show.
    pub(crate) fn has_managed(&self, state: &ControlState, provider: Option<&ProviderId>) -> bool {
        let settings = Settings {
            modes: vec![Mode::Managed],
            ..self.settings().clone()
        };
        let policy = WorkspacePolicy {
            mode: Mode::Managed,
            byok: ByokRule::Optional,
            ..self.policy.clone()
        };
        let decision = self.decide_for_by((&settings, &policy), state, provider);
        decision.outcome.is_ok()
    }

    fn decide_for_by(
        &self,
        rules: (&Settings, &WorkspacePolicy),
        state: &ControlState,
        provider: Option<&ProviderId>,
    ) -> Decision {
        let settings = rules.0;
        let mut providers: Vec<_> = state
            .registry
            .providers()
            .filter(|it| it.status == ProviderStatus::Active)
            .filter(|it| provider.is_none_or(|wanted| it.id == *wanted))
            .collect();
        // Where all of them count, a switch of one says nothing of the others.
        providers.sort_by_key(|it| !settings.switch(&it.id).byok);
        let candidate = |it: &&Provider| Candidate {
            provider: it.id.clone(),
            model: open_model(settings, it),
        };
        let candidates: Vec<Candidate> = providers.iter().map(candidate).collect();
        let model = candidates.first().map_or("any", |it| it.model.as_str());
        self.decide_by(rules, state, model, &candidates, false)
    }
}

/// A model of the provider that is switched on, if there is one: all of its keys serve all of its models.
fn open_model(settings: &Settings, provider: &Provider) -> String {
    let switch = settings.switch(&provider.id);
    let mut models = provider.models.iter().map(|model| model.id.as_str());
    models
        .find(|id| switch.opens(id))
        .unwrap_or("any")
        .to_owned()
}

/// Explains which key would serve, for the caller. Calls no provider and holds no credits.
///
/// # Errors
/// `not_found` for an API key that the caller may not see.
pub async fn explain(
    state: &ControlState,
    scope: &WorkspaceScope,
    asked: Asked,
) -> Result<Explained, Problem> {
    let facts = Facts::gather(state, scope).await?;
    let agent = match asked.api_key.or(scope.api_key()) {
        None => None,
        Some(id) => default_model(state, scope, id).await?,
    };
    let mut several = Several::new(facts.settings(), &facts.policy);
    let explained = asked.names().flat_map(|name| {
        let choices = Choices {
            request: name,
            conversation: asked.conversation_model.as_deref(),
            api_key: agent.as_deref(),
        };
        let requested = name.unwrap_or(naming::UNCHOSEN);
        let each = facts.names(state, &choices).into_iter();
        each.map(|named| (requested.to_owned(), named))
            .collect::<Vec<_>>()
    });
    let explained = explained.map(|(requested, named)| {
        let decision = named.as_ref().ok().map(|named| {
            let candidates = state.registry.candidates(&named.model);
            let mut decision = facts.decide(state, &named.model, &candidates, asked.no_managed);
            several.leave(&mut decision);
            Decision {
                outcome: decision
                    .outcome
                    .map(|targets| facts.ranked(state, named.ranking, targets)),
                ..decision
            }
        });
        ExplainedModel {
            requested,
            named,
            decision,
        }
    });
    let models = explained.collect();
    Ok(Explained { models, facts })
}

impl Asked {
    /// The models in the order in which they are tried, as the data plane reads them.
    fn names(&self) -> impl Iterator<Item = Option<&str>> {
        let first = self.model.as_ref().or(self.models.first());
        let others = self.models.iter().filter(move |it| Some(*it) != first);
        let others = others.map(|it| Some(it.as_str()));
        std::iter::once(first.map(String::as_str)).chain(others)
    }
}

/// What calls of the provider's models will meet once this key of the workspace is gone, with the account's balance as it
/// is now.
pub(crate) fn after_removal(
    state: &ControlState,
    mut facts: Facts,
    record: &ProviderKeyRecord,
    has_credits: bool,
    now: domain::Timestamp,
) -> Then {
    let context = &record.context;
    facts.keys.retain(|key| key.context.key != context.key);
    facts.removed.push(RemovedKey {
        owner: context.owner,
        provider: context.provider.clone(),
        label: record.label.clone(),
        removed_at: now,
    });
    let decision = facts.decide_for(state, Some(&context.provider));
    match decision.outcome {
        Ok(targets) if targets.iter().any(|it| it.source == KeySource::Byok) => Then::OtherOwnKey,
        Ok(_) if has_credits => Then::ManagedCredits,
        Ok(_) => Then::Refused402,
        Err(
            Refusal::ModelNotFound
            | Refusal::ModeNotOffered
            | Refusal::ByokRequired
            | Refusal::ByokForbidden,
        ) => Then::Refused,
        Err(_) => Then::Refused402,
    }
}

/// Whether the caller may see what a key is called.
pub(crate) fn sees_label(scope: &WorkspaceScope, facts: &Facts, owner: KeyOwner) -> bool {
    let sight = LabelSight {
        workspace: scope.role() >= facts.settings().mask_visible_to,
        account: facts.sees_account_labels,
    };
    sight.sees(Some(owner.scope()))
}

/// What an API key says of the model, if the caller may see the key.
async fn default_model(
    state: &ControlState,
    scope: &WorkspaceScope,
    id: ApiKeyId,
) -> Result<Option<String>, Problem> {
    let row = state.store.within(scope).api_key(id).await?;
    let visible = row.filter(|row| row.user == scope.user() || scope.role() >= Role::Admin);
    let row = visible.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(row.default_model.map(|model| model.to_string()))
}
