//! What new workspaces of an account start with. The key among it is a template: it never serves and is copied.

use domain::policy::{Mode, ModelName, WorkspacePolicy};
use domain::record::ProviderKeyRecord;
use domain::{Label, ProviderId, Timestamp, WorkspaceId};
use store::{AccountScope, DefaultsRow, Leaving, StoreError};

use crate::error::Problem;
use crate::frame::Call;
use crate::ops::ai_config::{self, Chosen, HeldKey, Status, Wanted, for_key, held_key};
use crate::ops::offered_modes::{OfferedMode, offered_modes};
use crate::ops::policy::check_mode;
use crate::ops::provider_keys::{Holder, TEMPLATE_LABEL, removal_note};
use crate::ops::resolution::Facts;
use crate::ops::submission::{self, NewKey};
use crate::state::ControlState;

/// A workspace that nobody has made yet. No key is its own.
const NOT_YET: WorkspaceId = WorkspaceId::from_bytes([0; 16]);

/// What new workspaces start with, without the key.
#[derive(Debug)]
pub struct Defaults {
    /// Who pays; `None`: as the instance says.
    pub mode: Option<Mode>,
    /// The provider.
    pub provider: Option<ProviderId>,
    /// The model that serves when a call names none.
    pub model: Option<ModelName>,
    /// What a call in such a workspace would meet.
    pub status: Status,
    /// When any of it last changed.
    pub updated_at: Timestamp,
    /// The modes that there are.
    pub offered_modes: Vec<OfferedMode>,
    /// The key of the provider.
    pub held: Vec<HeldKey>,
}

impl Defaults {
    /// What they say.
    pub fn chosen(&self) -> Chosen<'_> {
        Chosen {
            mode: self.mode,
            provider: self.provider.as_ref(),
            model: self.model.as_ref(),
            held: &self.held,
        }
    }
}

/// What new workspaces of the account start with.
///
/// # Errors
/// `unavailable`.
pub async fn get(state: &ControlState, scope: &AccountScope) -> Result<Defaults, Problem> {
    let within = state.store.within_account(scope);
    let row = within.defaults().await?;
    let subscription = within.subscription().await?;
    let mut keys = within.provider_keys().list().await?;
    let mut held = Vec::new();
    let mut updated_at = within.account().await?.created_at.max(row.updated_at);
    if let Some(provider) = &row.provider
        && let Some(template) = within.provider_keys().template(provider).await?
    {
        updated_at = updated_at.max(template.updated_at);
        held.push(held_key(&template));
        // Its copy will serve.
        keys.push(ProviderKeyRecord {
            template: false,
            ..template
        });
    }
    let policy = WorkspacePolicy {
        mode: mode_of(state, &row).await?,
        provider: row.provider.clone(),
        ..WorkspacePolicy::default()
    };
    let facts = Facts {
        workspace: NOT_YET,
        account: scope.account(),
        instance: state.store.serving().instance().await?,
        policy,
        plan: (subscription.plan, subscription.terms),
        keys,
        removed: Vec::new(),
        sees_account_labels: true,
    };
    Ok(Defaults {
        status: Status::of(state, &facts, row.provider.as_ref()),
        offered_modes: offered_modes(&facts),
        mode: row.mode,
        provider: row.provider,
        model: row.model,
        held,
        updated_at,
    })
}

/// The mode of new workspaces of the account.
///
/// # Errors
/// `unavailable`.
pub async fn mode(state: &ControlState, scope: &AccountScope) -> Result<Mode, Problem> {
    let row = state.store.within_account(scope).defaults().await?;
    mode_of(state, &row).await
}

/// Changes what new workspaces start with, all of it or nothing, unless `seen` refuses what they say at that moment. With a key
/// that is asked before the key is tried. What was set in the meantime stays: another provider refuses the change, and keys that
/// were stored or replaced are not removed. Workspaces that are there stay as they are.
///
/// # Errors
/// Those of `seen`; every code of a submission where there is a key; `mode_not_offered`, `unknown_provider`, `invalid_request` for a
/// key without a provider or with the mode `managed`; `conflict` when somebody else was faster twice, or set a provider while
/// the key was tried.
pub async fn put(
    state: &ControlState,
    call: &Call,
    scope: &AccountScope,
    wanted: Wanted,
    seen: impl Fn(&Chosen<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let within = state.store.within_account(scope);
    let stored = within.defaults().await?;
    let still = |row: &DefaultsRow, templates: &[ProviderKeyRecord]| {
        let of = |key: &&ProviderKeyRecord| Some(&key.context.provider) == row.provider.as_ref();
        let held: Vec<HeldKey> = templates.iter().filter(of).map(held_key).collect();
        seen(&Chosen {
            mode: row.mode,
            provider: row.provider.as_ref(),
            model: row.model.as_ref(),
            held: &held,
        })
    };
    let templates = within.provider_keys().templates().await?;
    still(&stored, &templates)?;
    let known_keys: Vec<HeldKey> = templates.iter().map(held_key).collect();
    let settings = state.store.system().settings().await?;
    if let Some(mode) = wanted.mode.flatten() {
        check_mode(&settings, mode)?;
    }
    let provider = ai_config::known(state, wanted.provider.as_ref())?;
    let mut submitted = None;
    let change = |old: &DefaultsRow| DefaultsRow {
        mode: wanted.mode.unwrap_or(old.mode),
        provider: provider.clone().unwrap_or_else(|| old.provider.clone()),
        model: wanted.model.clone().unwrap_or_else(|| old.model.clone()),
        updated_at: old.updated_at,
    };
    let new = change(&stored);
    let holder = Holder::account(&state.store, scope);
    let managed = wanted.mode == Some(Some(Mode::Managed));
    let follows = wanted.key.is_none() && !managed;
    let keep = match wanted.key {
        Some(Some(material)) => {
            let of = for_key(wanted.mode.flatten(), new.provider.as_ref())?;
            let key = NewKey {
                template: true,
                ..NewKey::plain(of.to_string(), label(), material)
            };
            submitted = Some(submission::submit(state, call, &holder, key).await?);
            Some(of.clone())
        }
        // Without a key of its own it is that of the provider that stays.
        Some(None) | None => None,
    };
    let mut tries = 2;
    loop {
        let old = within.defaults().await?;
        let templates = within.provider_keys().templates().await?;
        if let Some(submitted) = &submitted {
            // With a key it was asked before that was tried, which takes a while.
            if old.provider != stored.provider {
                let refusal = ai_config::overtaken(call, &holder, &templates, submitted).await?;
                still(&old, &templates)?;
                return Err(refusal);
            }
        } else {
            still(&old, &templates)?;
        }
        let new = change(&old);
        let keep = if follows { &new.provider } else { &keep };
        let may_go =
            |key: &ProviderKeyRecord| submitted.is_none() || known_keys.contains(&held_key(key));
        let removed = templates.iter();
        let removed =
            removed.filter(|key| keep.as_ref() != Some(&key.context.provider) && may_go(key));
        let leaving = Leaving {
            label: label(),
            template: true,
            read: templates.iter().map(held_key).collect(),
            removed: removed
                .map(|key| (key.context.key, removal_note(call, key)))
                .collect(),
        };
        // Where the key was touched they changed, even if nothing else did.
        if new == old && submitted.is_none() && leaving.removed.is_empty() {
            return Ok(());
        }
        let note = match new.mode {
            Some(mode) if new.mode != old.mode => call.note_on("ai_defaults.set_mode", mode),
            _ => call.note_on("ai_defaults.update", scope.account()),
        };
        tries -= 1;
        let written = within
            .put_defaults(&old, &new, Some(&leaving), &note, call.now)
            .await;
        match written {
            Err(StoreError::Conflict(_)) if tries > 0 => {}
            written => return Ok(written?),
        }
    }
}

/// The account's mode, or the instance's where the account has none that is still offered.
async fn mode_of(state: &ControlState, row: &DefaultsRow) -> Result<Mode, Problem> {
    let system = state.store.system();
    let settings = system.settings().await?;
    match row.mode.filter(|mode| settings.modes.contains(mode)) {
        Some(mode) => Ok(mode),
        None => Ok(settings.new_workspace_mode(system.has_platform_keys().await?)),
    }
}

fn label() -> Label {
    TEMPLATE_LABEL.parse().expect("the constant is a label")
}
