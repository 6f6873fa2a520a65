//! The settings of the instance: read as they are, changed as a whole or not at all.
//!
//! A change is made of what is there, checked, and stored if nobody was faster; else it is made once more, of theirs.

mod check;
mod merge;

use domain::glob::Glob;
use domain::settings::{ProviderSwitch, Settings};
use llm::provider::Provider;
use store::{AuditNote, InstanceScope};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

pub use merge::Patch;
pub(crate) use merge::merge;

/// The settings.
///
/// # Errors
/// `unavailable`.
pub async fn get(state: &ControlState) -> Result<Settings, Problem> {
    Ok(state.store.system().settings().await?)
}

/// Changes the settings as `patch` says, unless `seen` refuses those that are there at that moment; without an audit row if
/// that changes nothing.
///
/// # Errors
/// Those of `seen`; `invalid_request` with the field that does not fit; `conflict` when others changed the settings twice meanwhile.
pub async fn update(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    patch: &Patch,
    seen: impl Fn(&Settings) -> Result<(), Problem>,
) -> Result<Settings, Problem> {
    let note = call.note_on("settings.update", patch.fields());
    let edit = |settings: &Settings| seen(settings).and_then(|()| patch.apply(settings));
    change(state, call, scope, &note, edit).await
}

/// What a client wants changed of a provider's switches. `Some(None)`: as for providers that are not listed.
#[derive(Debug, Clone, Default)]
pub struct SwitchChange {
    /// Whether it serves.
    pub enabled: Option<Option<bool>>,
    /// Whether own keys for it serve and are taken.
    pub byok: Option<Option<bool>>,
    /// Whether own keys for it may have a base URL of their own.
    pub custom_base_urls: Option<Option<bool>>,
    /// The models that are available.
    pub models: Option<Option<Vec<Glob>>>,
}

/// Changes the switches of one provider.
///
/// # Errors
/// `not_found`, with the provider that may have been meant; otherwise as [`update`].
pub async fn switch<'a>(
    state: &'a ControlState,
    call: &Call,
    scope: &InstanceScope,
    provider: &str,
    wanted: &SwitchChange,
) -> Result<(&'a Provider, Settings), Problem> {
    let provider = known(state, provider)?;
    let note = AuditNote {
        provider: Some(provider.id.clone()),
        ..call.note_on("provider_switch.update", &provider.id)
    };
    let edit = |settings: &Settings| Ok(switched(settings, provider, wanted));
    let settings = change(state, call, scope, &note, edit).await?;
    Ok((provider, settings))
}

/// The provider with exactly this id.
///
/// # Errors
/// `not_found`, with the provider that may have been meant.
pub(crate) fn known<'a>(state: &'a ControlState, text: &str) -> Result<&'a Provider, Problem> {
    let found = text.parse().ok().and_then(|id| state.registry.get(&id));
    found.ok_or_else(|| {
        let problem = Problem::new(Code::NotFound);
        match state.registry.suggest(text) {
            Some(id) => problem
                .because(format!(
                    "no provider of this instance has this id; the nearest one is {id}"
                ))
                .with("suggestion", id.as_str()),
            None => problem,
        }
    })
}

fn switched(settings: &Settings, provider: &Provider, wanted: &SwitchChange) -> Settings {
    let mut settings = settings.clone();
    let others = settings.other_providers.clone();
    let mut switch = settings.switch(&provider.id).clone();
    if let Some(enabled) = wanted.enabled {
        switch.enabled = enabled.unwrap_or(others.enabled);
    }
    if let Some(byok) = wanted.byok {
        switch.byok = byok.unwrap_or(others.byok);
    }
    if let Some(custom) = wanted.custom_base_urls {
        switch.custom_base_urls = custom.or(others.custom_base_urls);
    }
    if let Some(models) = &wanted.models {
        switch.models = models.clone().or_else(|| others.models.clone());
    }
    // What somebody set stays set when the others change; what was only reset follows them.
    if !wanted.sets_something() && switch == others {
        settings.providers.remove(&provider.id);
    } else if settings.providers.contains_key(&provider.id) || wanted.sets_something() {
        settings.providers.insert(provider.id.clone(), switch);
    }
    settings
}

impl SwitchChange {
    fn sets_something(&self) -> bool {
        let of_models = matches!(self.models, Some(Some(_)));
        let switches = [self.enabled, self.byok, self.custom_base_urls];
        of_models || switches.iter().any(|it| matches!(it, Some(Some(_))))
    }
}

/// Makes new settings of the stored ones and stores them, once more if somebody else was faster.
async fn change(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    note: &AuditNote,
    edit: impl Fn(&Settings) -> Result<Settings, Problem>,
) -> Result<Settings, Problem> {
    match attempt(state, call, scope, note, &edit).await {
        Err(problem) if problem.code() == Code::Conflict => {
            attempt(state, call, scope, note, &edit).await
        }
        result => result,
    }
}

async fn attempt(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    note: &AuditNote,
    edit: &impl Fn(&Settings) -> Result<Settings, Problem>,
) -> Result<Settings, Problem> {
    let system = state.store.system();
    let current = system.settings().await?;
    let new = edit(&current)?;
    if new == current {
        return Ok(current);
    }
    let plans = system.plans().await?;
    check::settings(&new, &plans, &state.registry)?;
    system
        .put_settings(scope, &current, &new, note, call.now)
        .await?;
    Ok(new)
}

/// The switches of a provider, and whether somebody set them for it alone.
pub fn switch_of<'a>(settings: &'a Settings, provider: &Provider) -> (&'a ProviderSwitch, bool) {
    let listed = settings.providers.contains_key(&provider.id);
    (settings.switch(&provider.id), listed)
}
