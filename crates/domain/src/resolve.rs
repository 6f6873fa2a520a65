//! The decision whose key serves a call, and who pays.
//!
//! One pure function: the gateway obeys it, the explanation shows it, and the tests enumerate it. Credits are
//! spent only where the mode says so, and after a failed own key only by consent on top of that.

mod rules;
mod several;
mod trace;

use crate::id::{AccountId, ProviderKeyId, WorkspaceId};
use crate::key::{KeyOwner, Label, ProviderId};
use crate::plan::PlanTerms;
use crate::policy::{KeySource, WorkspacePolicy};
use crate::record::{ProviderKeyRecord, RemovedKey};
use crate::settings::Settings;

pub use several::Several;
pub use trace::{Step, Subject, Verdict};

/// A provider that knows the requested model, and the name it knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own name for the model.
    pub model: String,
}

/// What the decision needs to know of a stored provider key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The provider that issued it.
    pub provider: ProviderId,
    /// What the owner calls it.
    pub label: Label,
    /// Whose it is.
    pub owner: KeyOwner,
    /// Its place among the owner's keys for the provider; lower first.
    pub position: i64,
    /// The pool that it shares the load with.
    pub level: Option<i64>,
    /// Whether it serves only after everything else failed.
    pub fallback: bool,
    /// Whether the owner lets it serve.
    pub enabled: bool,
}

impl From<&ProviderKeyRecord> for HeldKey {
    fn from(record: &ProviderKeyRecord) -> Self {
        Self {
            id: record.context.key,
            provider: record.context.provider.clone(),
            label: record.label.clone(),
            owner: record.context.owner,
            position: record.position,
            level: record.level,
            fallback: record.fallback,
            enabled: record.enabled,
        }
    }
}

/// Who calls, what the rules say there, and what could serve.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The workspace of the API key.
    pub workspace: WorkspaceId,
    /// The account that the workspace belongs to.
    pub account: AccountId,
    /// The instance's rules.
    pub settings: &'a Settings,
    /// The workspace's rules.
    pub policy: &'a WorkspacePolicy,
    /// The terms of the account's subscription.
    pub terms: &'a PlanTerms,
    /// The name that providers were looked up by.
    pub model: &'a str,
    /// The providers that know it, best first.
    pub candidates: &'a [Candidate],
    /// The managed gateway's names for the same model. They count where no platform key of a candidate serves, and
    /// never meet an own key.
    pub gateway_candidates: &'a [Candidate],
    /// The own keys and the platform keys.
    pub keys: &'a [HeldKey],
    /// Own keys that were removed and not replaced.
    pub removed: &'a [RemovedKey],
    /// Whether the request itself forbids credits.
    pub no_managed: bool,
}

/// When the gateway may turn to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the targets before it failed in whichever way lets another key try.
    InTurn,
    /// So, but only if no own key failed, or failed otherwise than by being turned away (401, 402, 403),
    /// and within the cap of managed fallback.
    OwnKeysFailed {
        /// Whether being turned away counts too.
        denied_too: bool,
    },
}

/// One way to serve the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The provider to call.
    pub provider: ProviderId,
    /// The provider's own name for the model.
    pub model: String,
    /// The key to call with.
    pub key: ProviderKeyId,
    /// Who pays.
    pub source: KeySource,
    /// The pool: neighbours in the list with the same provider, model and pool share the load.
    pub pool: Option<Pool>,
    /// When it may be used.
    pub when: When,
}

/// Keys of one owner and level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Whose.
    pub owner: KeyOwner,
    /// Which level.
    pub level: i64,
}

/// Why nothing can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No provider that is switched on has the model.
    ModelNotFound,
    /// The instance offers neither the workspace's mode nor `byok`.
    ModeNotOffered,
    /// Own keys may serve, and there is none for any of these providers.
    KeyMissing {
        /// The providers that have the model, best first, each once.
        providers: Vec<ProviderId>,
    },
    /// There are own keys, and all of them are disabled.
    KeyDisabled {
        /// The provider of the first one.
        provider: ProviderId,
        /// Its label.
        label: Label,
    },
    /// There was an own key, and it was removed.
    KeyRevoked {
        /// The provider of the first one.
        provider: ProviderId,
        /// Its label.
        label: Label,
    },
    /// There are own keys, and the account's plan lets none serve.
    KeyDormant {
        /// The provider of the first one.
        provider: ProviderId,
        /// Its label.
        label: Label,
    },
    /// Own keys are switched off for the provider.
    ByokDisabled {
        /// The first such provider.
        provider: ProviderId,
    },
    /// Only credits could pay, and the workspace or the request forbids them.
    ByokRequired,
    /// Only own keys could serve, and the workspace forbids them.
    ByokForbidden,
    /// Credits would pay, and the instance has no key for any of these providers.
    ManagedUnavailable {
        /// The providers that have the model, best first, each once.
        providers: Vec<ProviderId>,
    },
}

impl Refusal {
    /// The code of the answer, the same in the refusal of a call and in its explanation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ModelNotFound => "model_not_found",
            Self::ModeNotOffered => "mode_not_offered",
            Self::KeyMissing { .. } => "byok_key_missing",
            Self::KeyDisabled { .. } => "byok_key_disabled",
            Self::KeyRevoked { .. } => "byok_key_revoked",
            Self::KeyDormant { .. } => "byok_key_dormant",
            Self::ByokDisabled { .. } => "byok_disabled_for_provider",
            Self::ByokRequired => "byok_required",
            Self::ByokForbidden => "byok_forbidden",
            Self::ManagedUnavailable { .. } => "managed_unavailable",
        }
    }
}

/// The outcome and the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The ways to serve, best first and never empty, or the refusal.
    pub outcome: Result<Vec<Target>, Refusal>,
    /// Every rule that spoke, in order.
    pub trace: Vec<Step>,
}

/// Decides which keys may serve, best first.
///
/// Own keys come before everything else: candidates in their order, for each the workspace's keys, then the
/// account's; among an owner's keys those of the level that the model is mapped to, then by level, position and
/// label. Then the instance's keys, if the rules allow credits: those for the candidates, or where none of them
/// serves, those for the managed gateway. Then own keys marked as fallback.
pub fn resolve(call: &Call<'_>) -> Decision {
    rules::decide(call)
}

#[cfg(test)]
mod tests;
