//! The decision which provider key serves a request.
//!
//! One pure function: the gateway obeys it and the tests enumerate it. The founding rule: an enabled key
//! of the workspace, else one of its account, else a refusal that says what is missing. Nothing but an
//! own key is ever a target here.

use crate::id::ProviderKeyId;
use crate::key::{KeyOwner, Label, ProviderId};

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
pub struct OwnKey {
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
    /// Whether the owner lets it serve.
    pub enabled: bool,
}

/// One way to serve the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The provider to call.
    pub provider: ProviderId,
    /// The provider's own name for the model.
    pub model: String,
    /// The key to call with.
    pub key: ProviderKeyId,
}

/// Why no own key can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No provider of the instance knows the model.
    ModelNotFound,
    /// Neither the workspace nor its account has a key for any of these providers.
    KeyMissing {
        /// The providers that know the model, best first.
        providers: Vec<ProviderId>,
    },
    /// There are keys, and all of them are disabled.
    KeyDisabled {
        /// The provider of the first disabled key.
        provider: ProviderId,
        /// Its label.
        label: Label,
    },
}

/// Why a key was or was not chosen; one entry for each key that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The key.
    pub key: ProviderKeyId,
    /// What the rules said of it.
    pub verdict: Verdict,
}

/// What the rules said of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// May serve, in the order of the targets.
    Serves,
    /// The owner disabled it.
    Disabled,
}

/// The outcome and the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The ways to serve, best first and never empty, or the refusal.
    pub outcome: Result<Vec<Target>, Refusal>,
    /// Each key that was looked at, in order.
    pub trace: Vec<Step>,
}

/// Decides which keys may serve, best first: candidates in their order, for each the workspace's keys by
/// position, then the account's by position; labels break ties.
pub fn resolve(candidates: &[Candidate], keys: &[OwnKey]) -> Decision {
    let mut targets = Vec::new();
    let mut trace = Vec::new();
    let mut disabled: Option<&OwnKey> = None;
    for candidate in candidates {
        let mut fitting: Vec<&OwnKey> = keys
            .iter()
            .filter(|key| key.provider == candidate.provider)
            .collect();
        fitting.sort_by(|a, b| {
            let rank = |key: &OwnKey| (matches!(key.owner, KeyOwner::Account(_)), key.position);
            rank(a).cmp(&rank(b)).then_with(|| a.label.cmp(&b.label))
        });
        for key in fitting {
            if key.enabled {
                trace.push(Step {
                    key: key.id,
                    verdict: Verdict::Serves,
                });
                targets.push(Target {
                    provider: candidate.provider.clone(),
                    model: candidate.model.clone(),
                    key: key.id,
                });
            } else {
                trace.push(Step {
                    key: key.id,
                    verdict: Verdict::Disabled,
                });
                disabled = disabled.or(Some(key));
            }
        }
    }
    let outcome = if !targets.is_empty() {
        Ok(targets)
    } else if let Some(key) = disabled {
        Err(Refusal::KeyDisabled {
            provider: key.provider.clone(),
            label: key.label.clone(),
        })
    } else if candidates.is_empty() {
        Err(Refusal::ModelNotFound)
    } else {
        let providers = candidates
            .iter()
            .map(|candidate| candidate.provider.clone())
            .collect();
        Err(Refusal::KeyMissing { providers })
    };
    Decision { outcome, trace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AccountId, WorkspaceId};

    const WORKSPACE: KeyOwner = KeyOwner::Workspace(WorkspaceId::from_bytes([1; 16]));
    const ACCOUNT: KeyOwner = KeyOwner::Account(AccountId::from_bytes([2; 16]));

    fn candidate(provider: &str) -> Candidate {
        Candidate {
            provider: provider.parse().expect("a provider id"),
            model: "m".to_owned(),
        }
    }

    fn key(id: u8, provider: &str, owner: KeyOwner, position: i64, enabled: bool) -> OwnKey {
        OwnKey {
            id: ProviderKeyId::from_bytes([id; 16]),
            provider: provider.parse().expect("a provider id"),
            label: format!("label-{id}").parse().expect("a label"),
            owner,
            position,
            enabled,
        }
    }

    fn order(decision: &Decision) -> Vec<u8> {
        let targets = decision.outcome.as_ref().expect("a target");
        targets.iter().map(|target| target.key.bytes()[0]).collect()
    }

    #[test]
    fn workspace_keys_come_before_account_keys_whatever_their_position() {
        let keys = [
            key(1, "openai", ACCOUNT, 0, true),
            key(2, "openai", WORKSPACE, 9, true),
            key(3, "openai", WORKSPACE, 1, true),
        ];
        assert_eq!(order(&resolve(&[candidate("openai")], &keys)), [3, 2, 1]);
    }

    #[test]
    fn a_disabled_key_is_skipped_and_traced() {
        let keys = [
            key(1, "openai", WORKSPACE, 0, false),
            key(2, "openai", ACCOUNT, 0, true),
        ];
        let decision = resolve(&[candidate("openai")], &keys);
        assert_eq!(order(&decision), [2]);
        assert_eq!(decision.trace[0].verdict, Verdict::Disabled);
    }

    #[test]
    fn a_key_of_another_provider_never_serves() {
        let decision = resolve(
            &[candidate("openai")],
            &[key(1, "anthropic", WORKSPACE, 0, true)],
        );
        let providers = vec!["openai".parse().expect("a provider id")];
        assert_eq!(decision.outcome, Err(Refusal::KeyMissing { providers }));
    }

    #[test]
    fn refusals_say_what_is_missing() {
        assert_eq!(resolve(&[], &[]).outcome, Err(Refusal::ModelNotFound));
        let disabled = resolve(
            &[candidate("openai")],
            &[key(1, "openai", WORKSPACE, 0, false)],
        );
        assert!(matches!(disabled.outcome, Err(Refusal::KeyDisabled { .. })));
    }

    #[test]
    fn candidates_keep_their_order() {
        let keys = [
            key(1, "openrouter", WORKSPACE, 0, true),
            key(2, "openai", ACCOUNT, 0, true),
        ];
        let candidates = [candidate("openai"), candidate("openrouter")];
        assert_eq!(order(&resolve(&candidates, &keys)), [2, 1]);
    }
}
