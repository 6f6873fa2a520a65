//! What is shown of a decision, and to whom.

use domain::naming::{Named, NoName};
use domain::plan::PlanTerms;
use domain::policy::{KeySource, Mode, Tier};
use domain::preset::PresetName;
use domain::ranking::{Facts as Rank, Ranking};
use domain::resolve::{Refusal, Step, Subject, Target, Verdict, When};
use domain::{KeyOwner, Label, PlanId, ProviderId};
use llm::provider::Provider;
use store::WorkspaceScope;

use super::{MappingView, RankView, RefusalView, Resolution, StepView, SubjectView, TargetView};
use crate::ops::resolution::{Explained, ExplainedModel, Facts, sees_label};
use crate::state::ControlState;

/// What one caller may see of a decision.
pub(super) struct Eyes<'a> {
    pub(super) state: &'a ControlState,
    pub(super) scope: &'a WorkspaceScope,
    pub(super) facts: &'a Facts,
}

impl Eyes<'_> {
    /// The explanation as this caller sees it.
    pub(super) fn view(&self, explained: &Explained) -> Resolution {
        let views = || explained.models.iter().map(|it| self.view_model(it));
        let mut all = views();
        let mut whole = all.next().unwrap_or_default();
        for mut other in all {
            whole.targets.append(&mut other.targets);
            whole.trace.append(&mut other.trace);
        }
        if !whole.targets.is_empty() {
            whole.refusal = None;
        }
        if explained.models.len() > 1 {
            whole.models = views().collect();
        }
        whole
    }

    fn view_model(&self, explained: &ExplainedModel) -> Resolution {
        let named = explained.named.as_ref().ok();
        let mut resolution = Resolution {
            requested: explained.requested.clone(),
            chosen_by: named.map(|named| named.chosen_by.as_str()),
            preset: named.and_then(|named| named.preset.as_ref().map(PresetName::to_string)),
            ranking: named.and_then(|named| named.ranking).map(Ranking::as_str),
            tier: named.and_then(|named| named.tier).map(Tier::as_str),
            mapped_by: named.and_then(mapping),
            model: named.map(|named| named.model.clone()),
            ..Resolution::default()
        };
        match (&explained.named, &explained.decision) {
            (Err(no_name), _) => {
                resolution.refusal = Some(self.no_name(no_name));
                resolution.trace = vec![step_of(no_name)];
            }
            (Ok(_), None) => {}
            (Ok(named), Some(decision)) => {
                resolution.trace = decision.trace.iter().map(|step| self.step(step)).collect();
                match &decision.outcome {
                    Ok(targets) => {
                        let ranks = named.ranking.is_some();
                        let targets = targets.iter();
                        resolution.targets = targets.map(|it| self.target(it, ranks)).collect();
                    }
                    Err(refusal) => resolution.refusal = Some(self.refusal(refusal)),
                }
            }
        }
        resolution
    }

    fn target(&self, target: &Target, ranks: bool) -> TargetView {
        let key = self.facts.key(target.key);
        let own = key.filter(|_| target.source == KeySource::Byok);
        let version = key.map_or(1, |key| key.context.version);
        let sleeping = self.state.probe.sleeping_until(target.key, version);
        TargetView {
            provider: target.provider.to_string(),
            model: target.model.clone(),
            key_id: own.map(|key| key.context.key.to_string()),
            key_label: own.and_then(|key| self.label(&key.label, key.context.owner)),
            key_scope: own.and_then(|key| own_scope(key.context.owner)),
            key_source: target.source.as_str(),
            level: target.pool.map(|pool| pool.level),
            when: match target.when {
                When::InTurn => "in_turn",
                When::OwnKeysFailed { denied_too: false } => "own_keys_failed",
                When::OwnKeysFailed { denied_too: true } => "own_keys_failed_or_denied",
            },
            sleeping_until: sleeping.map(|at| at.to_string()),
            ranked_by: ranks.then(|| rank(self.facts.rank(self.state, target))),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> RefusalView {
        let mut view = coded(refusal.code());
        match refusal {
            Refusal::KeyMissing { providers } => {
                view.providers = providers.iter().map(ToString::to_string).collect();
                view.variables = self.variables(providers);
            }
            Refusal::KeyRevoked { provider, label } => {
                view.providers = vec![provider.to_string()];
                view.key_label = self.label_of(provider, label);
                view.variables = self.variables(std::slice::from_ref(provider));
            }
            Refusal::ManagedUnavailable { providers } => {
                view.providers = providers.iter().map(ToString::to_string).collect();
            }
            Refusal::KeyDisabled { provider, label } => {
                view.providers = vec![provider.to_string()];
                view.key_label = self.label_of(provider, label);
            }
            Refusal::KeyDormant { provider, label } => {
                view.providers = vec![provider.to_string()];
                view.key_label = self.label_of(provider, label);
                view.plans = self.plans(|terms| terms.byok);
            }
            Refusal::ByokDisabled { provider } => view.providers = vec![provider.to_string()],
            Refusal::ModelNotFound
            | Refusal::ModeNotOffered
            | Refusal::ByokRequired
            | Refusal::ByokForbidden => {}
        }
        view
    }

    /// Where a local instance looks for keys, as the refusal of a call says it.
    fn variables(&self, providers: &[ProviderId]) -> Vec<String> {
        if !self.state.is_local() {
            return Vec::new();
        }
        let of = |id: &ProviderId| {
            let provider = self.state.registry.get(id);
            provider.map_or_else(Vec::new, Provider::key_variables)
        };
        providers.iter().flat_map(of).collect()
    }

    fn no_name(&self, no_name: &NoName) -> RefusalView {
        let mut view = coded(no_name.code());
        match no_name {
            NoName::NotChosen => {}
            NoName::PresetUnknown(presets) => {
                view.presets = presets.iter().map(ToString::to_string).collect();
            }
            NoName::TierUnset(tier) => view.tier = Some(tier.as_str()),
            NoName::TierLocked(tier) => {
                view.tier = Some(tier.as_str());
                view.plans = self.plans(|terms| terms.opens(*tier));
            }
        }
        view
    }

    fn step(&self, step: &Step) -> StepView {
        let kind = |kind| SubjectView {
            kind,
            ..SubjectView::default()
        };
        let subject = match &step.subject {
            Subject::Request => kind("request"),
            Subject::Model => kind("model"),
            Subject::Workspace => kind("workspace"),
            Subject::Instance => kind("instance"),
            Subject::Mode(mode) => SubjectView {
                mode: Some(Mode::as_str(*mode)),
                ..kind("mode")
            },
            Subject::Provider(provider) => SubjectView {
                provider: Some(provider.to_string()),
                ..kind("provider")
            },
            Subject::Key(id) => match self.facts.key(*id) {
                Some(key) if !matches!(key.context.owner, KeyOwner::Instance(_)) => SubjectView {
                    provider: Some(key.context.provider.to_string()),
                    key_id: Some(id.to_string()),
                    key_label: self.label(&key.label, key.context.owner),
                    key_scope: own_scope(key.context.owner),
                    ..kind("key")
                },
                // Which keys the instance has is its own business; that one serves is the workspace's.
                key => SubjectView {
                    provider: key.map(|key| key.context.provider.to_string()),
                    ..kind("platform_key")
                },
            },
        };
        StepView {
            rule: step.rule,
            subject,
            verdict: step.verdict.as_str(),
        }
    }

    fn label(&self, label: &Label, owner: KeyOwner) -> Option<String> {
        let sees = sees_label(self.scope, self.facts, owner);
        sees.then(|| label.to_string())
    }

    /// The label in a refusal, which does not say whose key it is: shown to those who may see every one of its kind.
    fn label_of(&self, provider: &ProviderId, label: &Label) -> Option<String> {
        let keys = self.facts.keys.iter();
        let keys = keys.map(|key| (key.context.owner, &key.context.provider, &key.label));
        let removed = self.facts.removed.iter();
        let removed = removed.map(|key| (key.owner, &key.provider, &key.label));
        let mut same = keys
            .chain(removed)
            .filter(|(_, of, called)| (*of, *called) == (provider, label));
        let sees = same.all(|(owner, _, _)| self.label(label, owner).is_some());
        sees.then(|| label.to_string())
    }

    fn plans(&self, fits: impl Fn(&PlanTerms) -> bool) -> Vec<String> {
        let plans = self.facts.plans_with(fits);
        plans.iter().map(PlanId::to_string).collect()
    }
}

fn rank(rank: Rank) -> RankView {
    RankView {
        cost_nano_usd: rank.cost.map(|it| it.nanos()),
        first_byte_ms: rank.pace.first_byte_ms,
        answer_ms: rank.pace.answer_ms,
        output_tokens_per_second: rank.pace.tokens_in_1000_s.map(per_second),
    }
}

/// With one digit behind the point.
fn per_second(in_1000_s: u64) -> f64 {
    let tenths = u32::try_from(in_1000_s / 100).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

fn own_scope(owner: KeyOwner) -> Option<&'static str> {
    match owner {
        KeyOwner::Workspace(_) => Some("workspace"),
        KeyOwner::Account(_) => Some("account"),
        KeyOwner::Instance(_) => None,
    }
}

fn coded(code: &'static str) -> RefusalView {
    RefusalView {
        code,
        providers: Vec::new(),
        variables: Vec::new(),
        key_label: None,
        presets: Vec::new(),
        tier: None,
        plans: Vec::new(),
    }
}

fn mapping(named: &Named) -> Option<MappingView> {
    let mapping = named.mapped_by.as_ref()?;
    Some(MappingView {
        pattern: mapping.pattern.to_string(),
        model: mapping.model.to_string(),
    })
}

/// Naming is the third rule of the decision table; it leaves no trace of its own.
fn step_of(no_name: &NoName) -> StepView {
    let verdict = match no_name {
        NoName::TierLocked(_) => Verdict::NotAllowed,
        NoName::TierUnset(_) | NoName::NotChosen | NoName::PresetUnknown(_) => Verdict::NotKnown,
    };
    StepView {
        rule: 3,
        subject: SubjectView {
            kind: "model",
            ..SubjectView::default()
        },
        verdict: verdict.as_str(),
    }
}
