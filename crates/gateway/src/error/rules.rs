//! The refusals of the rules, in the words of the data plane.

use domain::key::{Label, ProviderId};
use domain::naming::NoName;
use domain::plan;
use domain::policy::{ByokRule, KeySource, Mode};
use domain::preset::{MARK, PresetName};
use domain::ranking::Ranking;
use domain::resolve::Refusal;
use domain::{PlanId, WorkspaceId};

use super::{Attempt, Failure, KeyName, Layer, OwnKeys};
use crate::snapshot::View;

/// Why no key serves `view`'s caller; `suggestion`: the provider that may have been meant.
pub(crate) fn from_rules(refusal: Refusal, view: &View, suggestion: Option<ProviderId>) -> Failure {
    let workspace = view.caller.record.workspace;
    let key = |provider, label| KeyName {
        provider,
        label,
        workspace,
        variables: Box::default(),
    };
    match refusal {
        Refusal::ModelNotFound => Failure::ModelNotFound {
            suggestion,
            has_suffix: false,
        },
        Refusal::ModeNotOffered => Failure::ModeNotOffered,
        Refusal::KeyMissing { providers } => Failure::KeyMissing {
            providers,
            workspace,
            variables: Box::default(),
        },
        Refusal::KeyDisabled { provider, label } => Failure::KeyDisabled(key(provider, label)),
        Refusal::KeyRevoked { provider, label } => Failure::KeyRevoked(key(provider, label)),
        Refusal::KeyDormant { provider, label } => Failure::KeyDormant {
            key: key(provider, label),
            plans: plan::that(&view.instance.record.plans, |terms| terms.byok),
        },
        Refusal::ByokDisabled { provider } => Failure::ByokDisabled { provider },
        Refusal::ByokRequired => Failure::ByokRequired(match view.caller.record.policy.byok {
            ByokRule::Required => Layer::Workspace,
            ByokRule::Optional | ByokRule::Forbidden => Layer::Request,
        }),
        Refusal::ByokForbidden => Failure::ByokForbidden,
        Refusal::ManagedUnavailable { providers } => Failure::ManagedUnavailable {
            own_keys: own_keys(view, &providers),
            providers,
        },
    }
}

/// Why there is no name to look providers up by.
pub(crate) fn from_naming(refusal: NoName, view: &View) -> Failure {
    match refusal {
        NoName::NotChosen => Failure::ModelNotChosen,
        NoName::TierUnset(tier) => Failure::TierUnset(tier),
        NoName::PresetUnknown(presets) => Failure::PresetUnknown { presets },
        NoName::TierLocked(tier) => Failure::TierLocked {
            tier,
            plans: plan::that(&view.instance.record.plans, |terms| terms.opens(tier)),
        },
    }
}

/// Whether the caller could do without a platform key for these providers.
fn own_keys(view: &View, providers: &[ProviderId]) -> OwnKeys {
    let caller = &view.caller.record;
    let settings = &view.instance.record.settings;
    let switched_on = providers.iter().any(|it| settings.switch(it).byok);
    if caller.policy.byok == ByokRule::Forbidden || !caller.terms.byok || !switched_on {
        return OwnKeys::Rest;
    }
    if settings.effective_mode(caller.policy.mode) != Some(Mode::Managed) {
        return OwnKeys::Serve;
    }
    let offered = |mode: &Mode| settings.modes.contains(mode);
    let modes: Vec<Mode> = [Mode::Byok, Mode::Auto]
        .into_iter()
        .filter(offered)
        .collect();
    match modes.is_empty() {
        true => OwnKeys::Rest,
        false => OwnKeys::ServeIn(modes),
    }
}

/// The providers as a choice: `a or b`.
pub(super) fn or(providers: &[ProviderId]) -> String {
    let names: Vec<&str> = providers.iter().map(ProviderId::as_str).collect();
    names.join(" or ")
}

/// The modes as a choice.
pub(super) fn any_mode(modes: &[Mode]) -> String {
    let names: Vec<String> = modes.iter().map(|mode| format!("`{mode}`")).collect();
    names.join(" or ")
}

/// The plans as a choice.
pub(super) fn any_of(plans: &[PlanId]) -> String {
    let names: Vec<&str> = plans.iter().map(PlanId::as_str).collect();
    names.join(" or ")
}

/// The presets as a list, each as a request names it.
pub(super) fn all_presets(presets: &[PresetName]) -> String {
    let names: Vec<String> = presets.iter().map(|it| format!("`{MARK}{it}`")).collect();
    names.join(", ")
}

/// The rankings as a list.
pub(super) fn rankings() -> String {
    let names: Vec<String> = Ranking::ALL.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

pub(super) fn missing_text(
    providers: &[ProviderId],
    workspace: WorkspaceId,
    variables: &[String],
) -> String {
    let providers = or(providers);
    match variables {
        [] => format!(
            "a provider key for {providers} is missing in workspace {workspace} and in its account"
        ),
        variables => format!(
            "a provider key for {providers} is missing: no key was taken from {}",
            variables.join(", ")
        ),
    }
}

/// What to do about a key that was looked for in these variables.
pub(super) fn set_one(variables: &[String]) -> String {
    let first = variables.first().map_or("one of them", String::as_str);
    format!(
        "set one of `missing`: `export {first}=...`, then `keybearer reload` in that shell, which says why it takes none; or write it to the file of `--env-file`"
    )
}

pub(super) fn exhausted_text(attempts: &[Attempt]) -> &'static str {
    let ours = || attempts.iter().all(|it| it.source == KeySource::Managed);
    match attempts.iter().all(|it| it.denied) {
        true if attempts.len() == 1 && ours() => {
            "the provider did not accept this instance's own key"
        }
        true if attempts.len() <= 1 => "the provider did not accept the provider key",
        true => "no provider accepted a provider key",
        false => "every provider key that may serve the call failed",
    }
}

pub(super) fn exhausted_hint(attempts: &[Attempt]) -> String {
    let failed = |source| attempts.iter().any(|it| it.source == source);
    let hint = match (failed(KeySource::Byok), failed(KeySource::Managed)) {
        (false, true) => "this instance's own key failed: tell its operator",
        (true, true) => {
            "check your provider keys and their balance at the provider; this instance's own key failed, too: tell its operator"
        }
        (_, false) => "check the provider keys and their balance at the provider",
    };
    format!("{hint}; `attempts` says what each key met")
}

/// For texts about one key.
pub(super) fn label(label: Option<&Label>) -> Option<&str> {
    label.map(Label::as_str)
}
