//! Who pays in a workspace, and which models stand behind names: what may be set, and how it is changed.

use domain::access::ApiScope;
use domain::naming::{is_unchosen, tier_in};
use domain::plan::PlanTerms;
use domain::policy::{
    DELEGATED, HEDGE_AFTER_MS, MAX_POLICY_BYTES, MAX_RULES, Mode, ModelName, Tier, WorkspacePolicy,
};
use domain::preset::{MAX_PRESETS, PresetName};
use domain::settings::{MAX_LEVEL, Settings};
use serde_json::{Map, Value};
use store::{AuditNote, PolicyRow, StoreError, WorkspaceScope};

use crate::body;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::admission::known_provider;
use crate::ops::bulk;
use crate::ops::plan_gate;
use crate::ops::settings::{Patch, merge};
use crate::state::ControlState;

/// The fields in which `null` is a value: there is none.
const NULLABLE: [&str; 4] = [
    "managed_fallback_cap_nano_usd",
    "hedge_after_ms",
    "provider",
    "model",
];

/// What bounds the policy of a workspace.
pub struct Bounds {
    /// The instance's settings.
    pub settings: Settings,
    /// The terms of the account's plan.
    pub terms: PlanTerms,
}

impl Bounds {
    /// The bounds of a workspace as they are now.
    ///
    /// # Errors
    /// `not_found` when it was deleted in the meantime; `unavailable`.
    pub async fn of(state: &ControlState, scope: &WorkspaceScope) -> Result<Self, Problem> {
        let (_, terms) = state.store.within(scope).terms().await?;
        let settings = state.store.system().settings().await?;
        Ok(Self { settings, terms })
    }
}

/// The policy after a JSON merge patch (RFC 7396): lists are replaced, `null` in `tiers` removes, `null` elsewhere
/// means none, or what a policy has that says nothing where none is no value. Such a mode spends no credits.
///
/// # Errors
/// `invalid_request`, naming the field and showing nothing of its value; as [`without_credits`].
pub fn patched(
    old: &WorkspacePolicy,
    patch: &Patch,
    settings: &Settings,
) -> Result<WorkspacePolicy, Problem> {
    let (mut whole, fresh) = (fields(old), fields(&WorkspacePolicy::default()));
    for (name, value) in patch.changes() {
        let mut merged = whole.get(name).cloned().unwrap_or_default();
        if value.is_null() && name == "mode" {
            merged = without_credits(settings)?.as_str().into();
        } else if value.is_null() && !NULLABLE.contains(&name.as_str()) {
            // A field that is not written where it is empty is an object.
            merged = fresh
                .get(name)
                .cloned()
                .unwrap_or_else(|| Map::new().into());
        } else {
            merge(&mut merged, value);
        }
        // One field at a time, so that a refusal names it; an unknown one is refused here, too.
        let alone = Map::from_iter([(name.clone(), merged.clone())]);
        let _: WorkspacePolicy = read(&alone)?;
        whole.insert(name.clone(), merged);
    }
    read(&whole)
}

/// Refuses a change that the instance or the plan does not allow. What was there before may stay.
///
/// # Errors
/// `invalid_request`, `unknown_provider`, `mode_not_offered`; `plan_required` for a tier that the plan does not open.
pub async fn check(
    state: &ControlState,
    bounds: &Bounds,
    old: &WorkspacePolicy,
    new: &WorkspacePolicy,
) -> Result<(), Problem> {
    if new.mode != old.mode {
        check_mode(&bounds.settings, new.mode)?;
    }
    if new.provider != old.provider
        && let Some(provider) = &new.provider
    {
        known_provider(state, provider.as_str())?;
    }
    check_form(state, new)?;
    let own_choice = |(tier, model): &(&Tier, &ModelName)| {
        old.tiers.get(tier) != Some(*model) && model.as_str() != DELEGATED
    };
    let named = new.tiers.iter().filter(own_choice).map(|(tier, _)| *tier);
    let model = new.model.as_ref().filter(|_| new.model != old.model);
    let chosen = model.and_then(|model| tier_in(model.as_str()));
    let locked = named.chain(chosen).find(|tier| !bounds.terms.opens(*tier));
    match locked {
        None => Ok(()),
        Some(tier) => {
            let problem = plan_gate::required(state, |terms| terms.opens(tier)).await?;
            Err(problem.with("tier", tier.as_str()))
        }
    }
}

/// Refuses a mode that the instance does not offer.
///
/// # Errors
/// `mode_not_offered`.
pub fn check_mode(settings: &Settings, mode: Mode) -> Result<(), Problem> {
    if settings.modes.contains(&mode) {
        return Ok(());
    }
    let offered: Vec<&str> = settings.modes.iter().map(|mode| mode.as_str()).collect();
    Err(Problem::new(Code::ModeNotOffered)
        .because(format!("the instance offers {}", offered.join(", ")))
        .with("allowed", offered))
}

/// The mode of a workspace that gives its own up: one that is offered and spends no credits, whatever new workspaces
/// have. Nobody starts to pay by saying nothing.
///
/// # Errors
/// `mode_not_offered` where only modes are offered that spend credits.
pub fn without_credits(settings: &Settings) -> Result<Mode, Problem> {
    let free = |mode: &Mode| is_own_keys_alone(settings, *mode);
    let byok = Some(Mode::Byok).filter(|mode| settings.modes.contains(mode));
    let mode = byok.or_else(|| settings.modes.iter().copied().find(free));
    mode.ok_or_else(|| {
        let offered: Vec<&str> = settings.modes.iter().map(|mode| mode.as_str()).collect();
        Problem::new(Code::ModeNotOffered)
            .because("null stands for a mode that spends no credits, and the instance offers none")
            .with("field", "mode")
            .with("allowed", offered)
    })
}

/// Whether in this mode own keys serve, and credits never pay.
pub(crate) fn is_own_keys_alone(settings: &Settings, mode: Mode) -> bool {
    match mode {
        Mode::Byok => true,
        Mode::Auto => !settings.managed_fallback_allowed,
        Mode::Managed => false,
    }
}

/// Changes the policy of a workspace; `change` is asked again when somebody else was faster. A change that changes
/// nothing is none.
///
/// # Errors
/// What `change` and [`check`] refuse; `conflict` when somebody else was faster twice.
pub async fn update(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    bounds: &Bounds,
    change: impl Fn(&WorkspacePolicy) -> Result<WorkspacePolicy, Problem>,
) -> Result<(), Problem> {
    let within = state.store.within(scope);
    let mut tries = 2;
    loop {
        let PolicyRow { policy: old, .. } = within.policy().await?;
        let new = change(&old)?;
        if new == old {
            return Ok(());
        }
        check(state, bounds, &old, &new).await?;
        check_release(scope, bounds, &old, &new)?;
        let note = note(call, scope, &old, &new);
        tries -= 1;
        match within.put_policy(&old, &new, &note, call.now).await {
            Err(StoreError::Conflict(_)) if tries > 0 => {}
            written => return Ok(written?),
        }
    }
}

/// Refuses to open the release of keys where the instance does not allow it, and to an API key that may not have keys
/// released itself: the right to change who pays is not the right to let keys out.
fn check_release(
    scope: &WorkspaceScope,
    bounds: &Bounds,
    old: &WorkspacePolicy,
    new: &WorkspacePolicy,
) -> Result<(), Problem> {
    if !new.release_keys || old.release_keys {
        return Ok(());
    }
    if !bounds.settings.release_keys_allowed {
        return Err(Problem::new(Code::KeyReleaseNotAllowed)
            .because("this instance does not let provider keys out")
            .advise("Ask an admin of the instance to set `release_keys_allowed`."));
    }
    if !scope.grantable().contains(&ApiScope::KeysRelease) {
        return Err(Problem::denied("the scope keys:release"));
    }
    Ok(())
}

/// The audit note of a change: a change of mode says which.
pub(crate) fn note(
    call: &Call,
    scope: &WorkspaceScope,
    old: &WorkspacePolicy,
    new: &WorkspacePolicy,
) -> AuditNote {
    if new.release_keys != old.release_keys {
        let says = if new.release_keys { "on" } else { "off" };
        call.note_on("policy.set_release_keys", says)
    } else if new.mode == old.mode {
        call.note_on("policy.update", scope.workspace())
    } else {
        call.note_on("policy.set_mode", new.mode)
    }
}

/// What a policy must be, whoever sets it.
fn check_form(state: &ControlState, new: &WorkspacePolicy) -> Result<(), Problem> {
    for (field, count) in [
        ("model_mappings", new.model_mappings.len()),
        ("level_mappings", new.level_mappings.len()),
        ("prices", new.prices.len()),
    ] {
        if count > MAX_RULES {
            let rule = format!("{field} must have at most {MAX_RULES} entries");
            return Err(Problem::field(field, rule));
        }
    }
    let in_range = |level| (0..=MAX_LEVEL).contains(&level);
    if !new.level_mappings.iter().all(|rule| in_range(rule.level)) {
        let rule = "a level must be a number from 0 to 9999";
        return Err(Problem::field("level_mappings", rule));
    }
    if new
        .managed_fallback_cap_nano_usd
        .is_some_and(|cap| cap.is_negative())
    {
        let field = "managed_fallback_cap_nano_usd";
        return Err(Problem::field(field, "the cap must not be negative"));
    }
    if new
        .hedge_after_ms
        .is_some_and(|it| !HEDGE_AFTER_MS.contains(&it))
    {
        let rule = "hedge_after_ms must be from 100 to 60000, or null";
        return Err(Problem::field("hedge_after_ms", rule));
    }
    check_presets(new)?;
    let is_tier = |model: &ModelName| model.as_str().parse::<Tier>().is_ok();
    if new.tiers.values().any(is_tier) {
        let rule = "a tier must stand for a model, not for another tier";
        return Err(Problem::field("tiers", rule));
    }
    if new
        .model
        .as_ref()
        .is_some_and(|it| is_unchosen(it.as_str()))
    {
        let rule = "model must not be default, which is what a request says that leaves the choice to the workspace";
        return Err(Problem::field("model", rule));
    }
    if !bulk::brackets_fit(&new.prices) {
        return Err(Problem::field("prices", bulk::BRACKETS));
    }
    if let Some(field) = bulk::too_large(new, MAX_POLICY_BYTES) {
        let rule = format!(
            "a policy must take at most 65536 bytes as JSON, and most of this one is {field}"
        );
        return Err(Problem::field("prices", rule).with("field", field));
    }
    let known =
        |price: &domain::price::PriceOverride| state.registry.get(&price.provider).is_some();
    if !new.prices.iter().all(known) {
        let rule = "a price must be for a provider of GET /v1/providers";
        return Err(Problem::field("prices", rule));
    }
    Ok(())
}

/// Refuses too many presets, and those that break a rule; the path of the field names the preset.
fn check_presets(new: &WorkspacePolicy) -> Result<(), Problem> {
    if new.presets.len() > MAX_PRESETS {
        let rule = format!("presets must have at most {MAX_PRESETS} entries");
        return Err(Problem::field("presets", rule));
    }
    for (name, preset) in &new.presets {
        if let Err((field, rule)) = preset.check(&new.presets) {
            return Err(in_preset(name, field, &rule));
        }
    }
    Ok(())
}

fn in_preset(name: &PresetName, field: &str, rule: &str) -> Problem {
    let path = format!("presets.{name}.{field}");
    Problem::field("presets", format!("{path} {rule}")).with("field", path)
}

fn fields(policy: &WorkspacePolicy) -> Map<String, Value> {
    match serde_json::to_value(policy).expect("a policy is plain data") {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn read(fields: &Map<String, Value>) -> Result<WorkspacePolicy, Problem> {
    let text = serde_json::to_vec(fields).expect("JSON values are JSON");
    body::parse(&text)
}
