//! Who pays, with which provider, key and model: a workspace's configuration as one object.
//!
//! The key of this object is a provider key of the workspace with a label of its own. It is stored first and the
//! policy last: a key that is refused changes nothing. What has to go, goes with the policy, in the same moment.

use domain::policy::{KeySource, Mode, ModelName, WorkspacePolicy};
use domain::record::ProviderKeyRecord;
use domain::resolve::Refusal;
use domain::{KeyOwner, Label, ProviderId, ProviderKeyId, Timestamp};
use serde::Serialize;
use store::{Leaving, StoreError, WorkspaceScope};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::admission::known_provider;
use crate::ops::offered_modes::{OfferedMode, offered_modes};
use crate::ops::policy::{self, Bounds, check_mode};
use crate::ops::provider_keys::{CONFIG_LABEL, Holder, removal_note};
use crate::ops::resolution::Facts;
use crate::ops::submission::{self, Material, NewKey, Stored};
use crate::state::ControlState;

/// What a client wants changed: what is left out stays, and an inner `None` clears.
pub struct Wanted {
    /// Who pays; cleared: what spends no credits in a workspace, in the defaults as the instance says.
    pub mode: Option<Option<Mode>>,
    /// The provider, as the client wrote it.
    pub provider: Option<Option<String>>,
    /// The key for the provider.
    pub key: Option<Option<Material>>,
    /// The model that serves when a call names none.
    pub model: Option<Option<ModelName>>,
}

/// The configuration, without the key.
#[derive(Debug)]
pub struct Config {
    /// Who pays.
    pub mode: Mode,
    /// The mode that counts; `None`: the instance offers none that could.
    pub effective_mode: Option<Mode>,
    /// The provider.
    pub provider: Option<ProviderId>,
    /// The model that serves when a call names none.
    pub model: Option<ModelName>,
    /// What a call meets.
    pub status: Status,
    /// Whether the instance has a key for what the status is about, with which credits could pay.
    pub managed_available: bool,
    /// Whether the account has credits that no running call holds.
    pub credits_left: bool,
    /// When any of it last changed.
    pub updated_at: Timestamp,
    /// The modes that there are.
    pub offered_modes: Vec<OfferedMode>,
    /// The keys that this configuration holds.
    pub held: Vec<HeldKey>,
}

/// A key that a configuration holds, and which value of it.
pub type HeldKey = (ProviderKeyId, i64);

/// What a configuration says, without what follows from it: a change may be meant for one state of this only.
#[derive(Debug, Serialize)]
pub struct Chosen<'a> {
    pub(crate) mode: Option<Mode>,
    pub(crate) provider: Option<&'a ProviderId>,
    pub(crate) model: Option<&'a ModelName>,
    pub(crate) held: &'a [HeldKey],
}

impl Config {
    /// What it says.
    pub fn chosen(&self) -> Chosen<'_> {
        Chosen {
            mode: Some(self.mode),
            provider: self.provider.as_ref(),
            model: self.model.as_ref(),
            held: &self.held,
        }
    }
}

/// What this key is among those that a configuration holds.
pub(crate) fn held_key(key: &ProviderKeyRecord) -> HeldKey {
    (key.context.key, key.context.version)
}

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The instance's keys serve, and credits pay.
    ManagedActive,
    /// An own key serves.
    ByokActive,
    /// They are refused: an own key would serve, and there is none that can.
    InvalidMissingKey,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::ManagedActive,
        Self::ByokActive,
        Self::InvalidMissingKey,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManagedActive => "managed_active",
            Self::ByokActive => "byok_active",
            Self::InvalidMissingKey => "invalid_missing_key",
        }
    }

    /// What a call of the provider's models meets, by the decision that the data plane makes; without a provider, a
    /// call that any own key may serve. Whether a platform key and credits are there does not show.
    pub(crate) fn of(state: &ControlState, facts: &Facts, provider: Option<&ProviderId>) -> Self {
        match facts.decide_for(state, provider).outcome {
            Ok(targets) if targets.iter().any(|it| it.source == KeySource::Byok) => {
                Self::ByokActive
            }
            Ok(_) | Err(Refusal::ManagedUnavailable { .. }) => Self::ManagedActive,
            Err(_) => Self::InvalidMissingKey,
        }
    }
}

/// Which of the keys that this configuration holds stay.
enum Keep {
    All,
    For(ProviderId),
    None,
}

impl Keep {
    fn keeps(&self, key: &ProviderKeyRecord) -> bool {
        match self {
            Self::All => true,
            Self::For(provider) => key.context.provider == *provider,
            Self::None => false,
        }
    }
}

/// The configuration of a workspace.
///
/// # Errors
/// `not_found` when the workspace was deleted in the meantime; `unavailable`.
pub async fn get(
    state: &ControlState,
    scope: &WorkspaceScope,
    now: Timestamp,
) -> Result<Config, Problem> {
    let within = state.store.within(scope);
    let facts = Facts::gather(state, scope).await?;
    let row = within.policy().await?;
    let owner = KeyOwner::Workspace(scope.workspace());
    let held = facts
        .keys
        .iter()
        .filter(|key| key.context.owner == owner && is_held(&key.label));
    let removed = facts
        .removed
        .iter()
        .filter(|key| key.owner == owner && is_held(&key.label))
        .map(|key| key.removed_at);
    let made_at = within.workspace().await?.created_at;
    let updated_at = held
        .clone()
        .map(|key| key.updated_at)
        .chain(removed)
        .fold(row.updated_at.max(made_at), Ord::max);
    let policy = &facts.policy;
    Ok(Config {
        mode: policy.mode,
        effective_mode: facts.settings().effective_mode(policy.mode),
        status: Status::of(state, &facts, policy.provider.as_ref()),
        managed_available: facts.has_managed(state, policy.provider.as_ref()),
        credits_left: within.payer(now).await?.has_credits,
        offered_modes: offered_modes(&facts),
        provider: policy.provider.clone(),
        model: policy.model.clone(),
        held: held.map(held_key).collect(),
        updated_at,
    })
}

/// Changes the configuration of a workspace, all of it or nothing, unless `seen` refuses what it says at that moment. With a
/// key that is asked before the key is tried. What was set in the meantime stays: another provider refuses the change, and
/// keys that were stored or replaced are not removed.
///
/// # Errors
/// Those of `seen`; every code of a submission where there is a key, and those of [`policy::check`]; `invalid_request` for a key
/// without a provider, and for a key that comes with the mode `managed`; `conflict` when somebody else was faster twice, or set
/// a provider while the key was tried.
pub async fn put(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    wanted: Wanted,
    seen: impl Fn(&Chosen<'_>) -> Result<(), Problem>,
) -> Result<Config, Problem> {
    let bounds = Bounds::of(state, scope).await?;
    let stored = state.store.within(scope).policy().await?.policy;
    let holder = Holder::workspace(&state.store, scope);
    let still = |policy: &WorkspacePolicy, held: &[ProviderKeyRecord]| {
        let held: Vec<HeldKey> = held.iter().map(held_key).collect();
        seen(&Chosen {
            mode: Some(policy.mode),
            provider: policy.provider.as_ref(),
            model: policy.model.as_ref(),
            held: &held,
        })
    };
    let known_keys = held_keys(&holder).await?;
    still(&stored, &known_keys)?;
    let known_keys: Vec<HeldKey> = known_keys.iter().map(held_key).collect();
    let provider = known(state, wanted.provider.as_ref())?;
    let mode = match wanted.mode {
        Some(None) => Some(policy::without_credits(&bounds.settings)?),
        Some(mode) => mode,
        None => None,
    };
    if let Some(mode) = mode.filter(|mode| *mode != stored.mode) {
        check_mode(&bounds.settings, mode)?;
    }
    let change = |old: &WorkspacePolicy| {
        let mut new = old.clone();
        new.mode = mode.unwrap_or(old.mode);
        if let Some(provider) = &provider {
            new.provider.clone_from(provider);
        }
        if let Some(model) = &wanted.model {
            new.model.clone_from(model);
        }
        new
    };
    let new = change(&stored);
    policy::check(state, &bounds, &stored, &new).await?;
    let mut submitted = None;
    let keep = match wanted.key {
        Some(Some(material)) => {
            let of = for_key(mode, new.provider.as_ref())?;
            let key = NewKey::plain(of.to_string(), label(), material);
            submitted = Some(submission::submit(state, call, &holder, key).await?);
            Keep::For(of.clone())
        }
        _ if mode == Some(Mode::Managed) => Keep::None,
        Some(None) => Keep::None,
        None if new.provider == stored.provider => Keep::All,
        None => new.provider.clone().map_or(Keep::None, Keep::For),
    };
    let within = state.store.within(scope);
    let mut tries = 2;
    loop {
        let old = within.policy().await?.policy;
        let held = held_keys(&holder).await?;
        if let Some(submitted) = &submitted {
            // With a key it was asked before that was tried, which takes a while.
            if old.provider != stored.provider {
                let refusal = overtaken(call, &holder, &held, submitted).await?;
                still(&old, &held)?;
                return Err(refusal);
            }
        } else {
            still(&old, &held)?;
        }
        let new = change(&old);
        let may_go =
            |key: &ProviderKeyRecord| submitted.is_none() || known_keys.contains(&held_key(key));
        let removed = held.iter().filter(|key| !keep.keeps(key) && may_go(key));
        let leaving = Leaving {
            label: label(),
            template: false,
            read: held.iter().map(held_key).collect(),
            removed: removed
                .map(|key| (key.context.key, removal_note(call, key)))
                .collect(),
        };
        if new == old && leaving.removed.is_empty() {
            break;
        }
        policy::check(state, &bounds, &old, &new).await?;
        let note = (new != old).then(|| policy::note(call, scope, &old, &new));
        tries -= 1;
        let written = within
            .put_policy_without(&old, &new, &leaving, note.as_ref(), call.now)
            .await;
        match written {
            Err(StoreError::Conflict(_)) if tries > 0 => {}
            written => break written?,
        }
    }
    get(state, scope, call.now).await
}

/// What a change with a key meets where somebody set another provider while the key was tried. The key is taken away again,
/// unless it replaced one.
pub(crate) async fn overtaken(
    call: &Call,
    holder: &Holder<'_>,
    held: &[ProviderKeyRecord],
    submitted: &Stored,
) -> Result<Problem, Problem> {
    let is_it = |key: &&ProviderKeyRecord| held_key(key) == held_key(&submitted.record);
    let key = held.iter().find(is_it).filter(|_| submitted.created);
    let because = if let Some(key) = key {
        let note = removal_note(call, key);
        let id = key.context.key;
        holder.keys.remove(id, &note, call.now).await?;
        "another provider was set while the key was tried"
    } else {
        "another provider was set while the key was tried; the key is stored, and nothing else"
    };
    Ok(Problem::new(Code::Conflict).because(because))
}

/// The keys that the configuration of a workspace holds.
async fn held_keys(holder: &Holder<'_>) -> Result<Vec<ProviderKeyRecord>, Problem> {
    let mut keys = holder.keys.list().await?;
    keys.retain(|key| is_held(&key.label));
    Ok(keys)
}

/// The provider of a change, if the instance knows it.
///
/// # Errors
/// `unknown_provider`.
pub(crate) fn known(
    state: &ControlState,
    provider: Option<&Option<String>>,
) -> Result<Option<Option<ProviderId>>, Problem> {
    let Some(provider) = provider else {
        return Ok(None);
    };
    let id = provider.as_deref().map(|id| known_provider(state, id));
    let id = id.transpose()?.map(|provider| provider.id.clone());
    Ok(Some(id))
}

/// The provider that a key is for, which goes with the mode that comes with it.
///
/// # Errors
/// `invalid_request`.
pub(crate) fn for_key(
    mode: Option<Mode>,
    provider: Option<&ProviderId>,
) -> Result<&ProviderId, Problem> {
    if mode == Some(Mode::Managed) {
        let rule = "a key must come with the mode byok or auto; the mode managed removes it";
        return Err(Problem::field("api_key", rule));
    }
    provider.ok_or_else(|| {
        let rule = "a key must have a provider, in this request or from an earlier one";
        Problem::field("provider", rule)
    })
}

fn is_held(label: &Label) -> bool {
    label.as_str() == CONFIG_LABEL
}

fn label() -> Label {
    CONFIG_LABEL.parse().expect("the constant is a label")
}
