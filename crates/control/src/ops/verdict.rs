//! What is said of a submitted key: by its looks, and by its provider.

use domain::key::FailureKind;
use llm::provider::Provider;
use vault::ProbeFailure;

use crate::error::{Code, Problem};

/// A warning when what the mask shows of a key does not begin as the provider's keys do. A key too short for
/// its mask to show the beginning gets none: the control plane sees no more of a sealed key than its mask.
pub(crate) fn warning(provider: &Provider, mask: &str) -> Option<String> {
    let pattern = provider.key.pattern.as_deref()?;
    let usual = pattern.split('*').next()?.bytes();
    let (shown, _) = mask.split_once("...")?;
    let differs = usual
        .zip(shown.bytes())
        .any(|(usual, shown)| usual != shown);
    differs.then(|| format!("keys of {} usually look like {pattern}", provider.id))
}

/// What the client is told when the provider did not accept the key or could not be asked.
pub(crate) fn refusal(provider: &Provider, failure: &ProbeFailure) -> Problem {
    match failure {
        ProbeFailure::Rejected(FailureKind::Unreachable) | ProbeFailure::Unreachable => {
            Problem::new(Code::ProbeUnreachable)
        }
        ProbeFailure::Rejected(kind) => Problem::new(Code::ProbeFailed)
            .with("reason", kind.as_str())
            .because(probe_text(*kind))
            .advise(probe_advice(*kind, provider)),
        ProbeFailure::Unreadable => Problem::new(Code::Unavailable).caused_by(failure),
    }
}

/// What a person can do about a key that the provider did not accept.
fn probe_advice(kind: FailureKind, provider: &Provider) -> String {
    let page = &provider.key.url;
    match kind {
        FailureKind::InvalidKey => format!("Copy the key again, or make a new one: {page}"),
        FailureKind::NoPermission => format!("Give the key the right to call models: {page}"),
        FailureKind::NoQuota => "Add balance or raise the limit at the provider.".to_owned(),
        FailureKind::RateLimited => "Wait a little and submit the key again.".to_owned(),
        FailureKind::ProviderError | FailureKind::Unreachable => "Try again later.".to_owned(),
    }
}

fn probe_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidKey => "the provider does not know the key",
        FailureKind::NoPermission => "the key lacks a permission at the provider",
        FailureKind::NoQuota => "the quota or the balance of the key is used up",
        FailureKind::RateLimited => "the provider limits the rate of the key right now",
        FailureKind::ProviderError => "the provider failed at the probe",
        FailureKind::Unreachable => "the provider did not answer",
    }
}
