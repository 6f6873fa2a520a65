//! What each profile wants.

use std::collections::BTreeMap;

use domain::ProviderId;
use domain::access::Role;
use domain::credits::Overuse;
use domain::plan::{self, Plan};
use domain::policy::Mode;
use domain::settings::{
    AuditDetail, MaskStyle, OnByokDisabled, OnKeyRemoved, ProviderSwitch, Settings, Submission,
};

use super::{Bundle, Profile};

/// The providers for whose models Aikeedo sells credits.
const OF_AIKEEDO: [&str; 2] = ["anthropic", "openai"];
/// The providers whose keys Oxagen takes.
const OF_OXAGEN: [&str; 5] = ["anthropic", "google", "mistral", "openai", "xai"];

pub(super) fn wanted(profile: Profile, current: &Bundle) -> Bundle {
    let base = neutral(&current.settings);
    let (settings, plans) = match profile {
        Profile::Default => (base, with(&current.plans, plan::shipped())),
        Profile::Rigbox => rigbox(base, &current.plans),
        Profile::Aikeedo => (aikeedo(base), ungated(&current.plans)),
        Profile::Bitrouter => (bitrouter(base), ungated(&current.plans)),
        Profile::Xai => (xai(base), ungated(&current.plans)),
        Profile::Oxagen => oxagen(base, &current.plans),
    };
    Bundle {
        settings: on_a_plan_that_is_there(settings, &current.settings, &plans),
        plans,
    }
}

/// The settings of a new instance, with what this one knows of prices and names of models.
fn neutral(current: &Settings) -> Settings {
    Settings {
        tiers: current.tiers.clone(),
        model_mappings: current.model_mappings.clone(),
        level_mappings: current.level_mappings.clone(),
        managed_gateway: current.managed_gateway.clone(),
        credit_ratios: current.credit_ratios.clone(),
        credit_factor: current.credit_factor,
        prices: current.prices.clone(),
        held_output_tokens: current.held_output_tokens,
        ..Settings::default()
    }
}

/// Rigbox, <https://docs.rigbox.dev/>: two modes; 250 credits on Free and 2,000 on Pro, with 2 and 10 workspaces.
/// A switch to managed clears the key of the AI config on every instance.
fn rigbox(base: Settings, current: &[Plan]) -> (Settings, Vec<Plan>) {
    let settings = Settings {
        modes: vec![Mode::Managed, Mode::Byok],
        ..base
    };
    let mut plans = plan::shipped();
    plans.retain(|plan| ["free", "pro"].contains(&plan.id.as_str()));
    (settings, with(current, plans))
}

/// Aikeedo, <https://docs.aikeedo.com/>: the global keys serve everybody; an admin lets workspaces bring keys of
/// OpenAI and Anthropic, and sends them back to the global ones; credits may be overdrawn.
fn aikeedo(base: Settings) -> Settings {
    let closed = ProviderSwitch {
        byok: false,
        ..ProviderSwitch::default()
    };
    Settings {
        new_workspace_mode: Some(Mode::Auto),
        providers: for_each(&OF_AIKEEDO, &closed),
        other_providers: ProviderSwitch {
            enabled: false,
            ..closed
        },
        on_byok_disabled: OnByokDisabled::Managed,
        mask_visible_to: Role::Owner,
        overuse: Overuse::Debt,
        ..base
    }
}

/// BitRouter, <https://bitrouter.ai/docs>: keys come sealed, show how they begin, and after a revocation comes 402.
fn bitrouter(base: Settings) -> Settings {
    Settings {
        submission: Submission::SealedOnly,
        mask: MaskStyle::Prefix,
        on_key_removed: OnKeyRemoved::Refuse,
        new_workspace_mode: Some(Mode::Byok),
        ..base
    }
}

/// XAI Router, <https://xairouter.com/en/docs>: no keys but the owner's, in levels from 1 on, with any base URL.
fn xai(base: Settings) -> Settings {
    Settings {
        modes: vec![Mode::Byok],
        new_workspace_mode: Some(Mode::Byok),
        managed_fallback_allowed: false,
        default_level: Some(1),
        custom_base_urls: Some(true),
        ..base
    }
}

/// Oxagen, <https://docs.oxagen.ai/docs/>: keys of five providers on every plan but Free; without a key the managed
/// models serve; the audit log holds provider, label and time.
fn oxagen(base: Settings, current: &[Plan]) -> (Settings, Vec<Plan>) {
    let settings = Settings {
        new_workspace_mode: Some(Mode::Auto),
        providers: for_each(&OF_OXAGEN, &ProviderSwitch::default()),
        other_providers: ProviderSwitch {
            byok: false,
            ..ProviderSwitch::default()
        },
        mask: MaskStyle::First4Last4,
        audit_detail: AuditDetail::Minimal,
        ..base
    };
    let mut plans = plan::shipped();
    for plan in &mut plans {
        plan.terms.byok = plan.id.as_str() != "free";
    }
    (settings, with(current, plans))
}

fn for_each(providers: &[&str], switch: &ProviderSwitch) -> BTreeMap<ProviderId, ProviderSwitch> {
    let id = |id: &&str| id.parse().expect("a valid id");
    let listed = providers.iter().map(|it| (id(it), switch.clone()));
    listed.collect()
}

/// The plans that are there with the terms of `bundled`, and those of `bundled` that are not there yet. What people call
/// a plan is theirs to say.
fn with(current: &[Plan], bundled: Vec<Plan>) -> Vec<Plan> {
    let mut plans = current.to_vec();
    for new in bundled {
        match plans.iter_mut().find(|plan| plan.id == new.id) {
            Some(plan) => plan.terms = new.terms,
            None => plans.push(new),
        }
    }
    plans.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.id.cmp(&b.id)));
    plans
}

/// The plans that are there, each with own keys: the product gates them by no plan.
fn ungated(current: &[Plan]) -> Vec<Plan> {
    let mut plans = current.to_vec();
    for plan in &mut plans {
        plan.terms.byok = true;
    }
    plans
}

/// A default plan that was removed is not brought back by its name.
fn on_a_plan_that_is_there(wanted: Settings, current: &Settings, plans: &[Plan]) -> Settings {
    let there = plans.iter().any(|plan| plan.id == wanted.default_plan);
    let default_plan = if there {
        wanted.default_plan
    } else {
        current.default_plan.clone()
    };
    Settings {
        default_plan,
        ..wanted
    }
}
