//! The keys that may serve a name, as the rules order them.

use domain::key::{KeyOwner, ProviderId};
use domain::naming::Named;
use domain::policy::{ByokRule, WorkspacePolicy};
use domain::resolve::{self, Call, Candidate, Decision, HeldKey, Refusal, Target};
use llm::provider::Provider;
use llm::registry::Registry;

use crate::endpoint::{self, Priced};
use crate::error::{self, Failure, Layer};
use crate::snapshot::View;

/// The caller's ways to call the model of a name, best first and never empty. `call`: what is made of it, if that is known.
pub(crate) fn targets(
    registry: &Registry,
    view: &View,
    named: &Named,
    call: Option<&endpoint::Call>,
    no_managed: bool,
) -> Result<Vec<Target>, Failure> {
    let model = named.model.as_str();
    let settings = &view.instance.record.settings;
    let unpayable = call.is_some_and(|call| call.priced == Priced::Otherwise);
    let candidates = registry.candidates(model);
    let gateway_candidates = match &settings.managed_gateway {
        Some(gateway) => registry.through_gateway(gateway, &candidates),
        None => Vec::new(),
    };
    let keys = keys_for(view, &candidates, &gateway_candidates);
    let caller = &view.caller.record;
    let decision = resolve::resolve(&Call {
        workspace: caller.workspace,
        account: caller.account,
        settings,
        policy: &caller.policy,
        terms: &caller.terms,
        model,
        candidates: &candidates,
        gateway_candidates: &gateway_candidates,
        keys: &keys,
        removed: &caller.removed,
        no_managed: no_managed || unpayable,
    });
    decision.outcome.map_err(|refusal| {
        let wanted = model.split('/').next().unwrap_or(model);
        // Whoever names the provider as it is, or one that is switched off, meant nothing that would serve.
        let serves = |id: &&ProviderId| {
            let active = registry.get(id).is_some_and(Provider::serves_models);
            active && settings.switch(id).enabled && id.as_str() != wanted
        };
        let suggestion = registry.suggest(wanted).filter(serves).cloned();
        match error::from_rules(refusal, view, suggestion) {
            Failure::ByokRequired(Layer::Request) if !no_managed => {
                Failure::ByokRequired(Layer::Endpoint)
            }
            Failure::ModelNotFound { suggestion, .. } => Failure::ModelNotFound {
                suggestion,
                has_suffix: named.chosen.contains(':') || model.contains(':'),
            },
            failure => failure,
        }
    })
}

/// Whose keys serve a provider's path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The workspace's and those of its account.
    WorkspaceAndAccount,
    /// The workspace's alone: what is kept under an account's key belongs to other workspaces, too.
    Workspace,
}

/// The caller's own keys for a provider's path, in an order that does not change: what a key makes at the provider, only
/// that key finds again.
pub(crate) fn own(view: &View, candidate: Candidate, whose: Whose) -> Result<Vec<Target>, Failure> {
    let candidates = [candidate];
    let keys = keys_for(view, &candidates, &[]);
    let caller = &view.caller.record;
    let decision = decide(view, &caller.policy, &candidates, &keys, true);
    let refused = |refusal| match error::from_rules(refusal, view, None) {
        Failure::ByokRequired(Layer::Request) => Failure::ByokRequired(Layer::Endpoint),
        Failure::ModelNotFound { .. } => Failure::UnknownProvider,
        failure => failure,
    };
    let mut targets = decision.outcome.map_err(refused)?;
    if whose == Whose::Workspace {
        let of_workspace = |target: &Target| {
            let mut keys = keys.iter().filter(|key| key.id == target.key);
            keys.any(|key| matches!(key.owner, KeyOwner::Workspace(_)))
        };
        targets.retain(of_workspace);
        if targets.is_empty() {
            return Err(Failure::WorkspaceKeyMissing {
                provider: candidates[0].provider.clone(),
                workspace: caller.workspace,
            });
        }
    }
    for target in &mut targets {
        target.pool = None;
    }
    Ok(targets)
}

/// The instance's keys for one model, where credits may pay in the workspace.
pub(crate) fn managed(view: &View, candidate: Candidate) -> Result<Vec<Target>, Failure> {
    let candidates = [candidate];
    let keys = keys_for(view, &candidates, &[]);
    let caller = &view.caller.record;
    if caller.policy.byok == ByokRule::Required {
        return Err(Failure::ByokRequired(Layer::Workspace));
    }
    let policy = WorkspacePolicy {
        byok: ByokRule::Forbidden,
        ..caller.policy.clone()
    };
    let decision = decide(view, &policy, &candidates, &keys, false);
    decision.outcome.map_err(|refusal| match refusal {
        // Said of what was forbidden here, and not of what the workspace says.
        Refusal::ByokForbidden => Failure::ByokRequired(Layer::Workspace),
        refusal => error::from_rules(refusal, view, None),
    })
}

/// The caller's and the instance's keys for one provider's model, as for any call of it.
pub(crate) fn as_called(view: &View, candidate: Candidate) -> Result<Vec<Target>, Failure> {
    let candidates = [candidate];
    let keys = keys_for(view, &candidates, &[]);
    decide(view, &view.caller.record.policy, &candidates, &keys, false)
        .outcome
        .map_err(|refusal| error::from_rules(refusal, view, None))
}

/// What the rules say of one provider's model.
fn decide(
    view: &View,
    policy: &WorkspacePolicy,
    candidates: &[Candidate; 1],
    keys: &[HeldKey],
    no_managed: bool,
) -> Decision {
    let caller = &view.caller.record;
    resolve::resolve(&Call {
        workspace: caller.workspace,
        account: caller.account,
        settings: &view.instance.record.settings,
        policy,
        terms: &caller.terms,
        model: &candidates[0].model,
        candidates,
        gateway_candidates: &[],
        keys,
        removed: &caller.removed,
        no_managed,
    })
}

/// The keys for the providers that are in question, the caller's and the instance's.
fn keys_for(view: &View, candidates: &[Candidate], gateway: &[Candidate]) -> Vec<HeldKey> {
    let asked = |provider: &ProviderId| {
        let mut all = candidates.iter().chain(gateway);
        all.any(|it| it.provider == *provider)
    };
    let keys = view.caller.held.iter().chain(&view.instance.held);
    keys.filter(|key| asked(&key.provider)).cloned().collect()
}
