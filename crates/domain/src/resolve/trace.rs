//! What the rules said, for explanations.

use crate::id::ProviderKeyId;
use crate::key::ProviderId;
use crate::policy::{Mode, words};

/// One rule that spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule's number in the decision table of `docs/who-pays.md`.
    pub rule: u8,
    /// What it spoke of.
    pub subject: Subject,
    /// What it said.
    pub verdict: Verdict,
}

impl Step {
    pub(super) fn new(rule: u8, subject: Subject, verdict: Verdict) -> Self {
        Self {
            rule,
            subject,
            verdict,
        }
    }
}

/// What a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The request, by its headers.
    Request,
    /// The model.
    Model,
    /// The workspace's mode, or the one that counts in its place.
    Mode(Mode),
    /// The workspace, by its policy.
    Workspace,
    /// The instance, by its settings.
    Instance,
    /// A provider.
    Provider(ProviderId),
    /// A provider key.
    Key(ProviderKeyId),
}

words! {
    /// What a rule says.
    Verdict("verdict") {
        /// It is the one that counts.
        Applies = "applies",
        /// May serve, in the order of the targets.
        Serves = "serves",
        /// May serve after everything else failed.
        ServesLast = "serves_last",
        /// The owner disabled it.
        Disabled = "disabled",
        /// The account's plan lets no own key serve.
        Dormant = "dormant",
        /// Own keys are switched off for its provider.
        Rests = "rests",
        /// It was removed.
        Removed = "removed",
        /// Nobody who is switched on has it.
        NotKnown = "not_known",
        /// The instance does not offer it; it counts for nothing.
        NotOffered = "not_offered",
        /// An admin of the instance switched it off.
        SwitchedOff = "switched_off",
        /// An admin of the instance switched own keys off for it.
        ByokSwitchedOff = "byok_switched_off",
        /// Only own keys may serve.
        ByokRequired = "byok_required",
        /// No own key may serve.
        ByokForbidden = "byok_forbidden",
        /// Credits may step in after own keys failed.
        Consents = "consents",
        /// Credits may not step in.
        NoConsent = "no_consent",
        /// The instance does not let credits step in.
        NotAllowed = "not_allowed",
        /// The instance has no key for any provider of the model.
        NoPlatformKey = "no_platform_key",
    }
}
