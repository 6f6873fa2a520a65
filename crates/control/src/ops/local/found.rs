//! The provider keys that come from the environment of a local instance.
//!
//! Each is a provider key like any other: it is sealed and taken in by [`submission`], in the audit log and bound to its
//! provider. What the person added by hand is never touched.

use domain::access::Action;
use domain::{Label, ProviderId, ProviderKeyId, Secret};
use llm::provider::{Provider, Status, prefixed_key_variable};
use serde::{Deserialize, Serialize};
use store::WorkspaceScope;
use vault::HashPurpose;
use vault::seal::{BoxContext, seal_v1};

use super::Owner;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::provider_keys::{self, Holder};
use crate::ops::sealing_key;
use crate::ops::submission::{self, Material, NewKey};
use crate::state::ControlState;

/// What the label of a key from the environment begins with; the variable follows.
const LABEL_PREFIX: &str = "env.";

/// A key that was found in the environment.
pub struct Found {
    /// Whose key it is.
    pub provider: ProviderId,
    /// Where it was found.
    pub variable: String,
    /// The key.
    pub key: Secret,
}

/// A provider key that came from the environment, to be known again. Holds a keyed hash of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    provider: ProviderId,
    variable: String,
    key: ProviderKeyId,
    version: i64,
    /// `None`: it was found again by its label, and its value is not known.
    hash: Option<[u8; 32]>,
}

/// What became of the key for a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The provider.
    pub provider: ProviderId,
    /// Where its key is found, or was.
    pub variable: String,
    /// What happened.
    pub what: What,
}

/// See [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A key where there was none.
    Added,
    /// Another value.
    Replaced,
    /// The same value as before.
    Same,
    /// The variable is gone, and with it the key.
    Removed,
    /// The value cannot be a key, or is not taken; the text says why. What was there before stays.
    Refused(String),
    /// It could not be stored or tried now; the text says why. Worth another [`sync`].
    Deferred(String),
}

impl What {
    /// In a word, as in "the key was ...".
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Replaced => "replaced",
            Self::Same => "unchanged",
            Self::Removed => "removed",
            Self::Refused(_) => "refused",
            Self::Deferred(_) => "deferred",
        }
    }
}

/// The variables in which a key is looked for, by provider: those that are in service and take keys of their users.
pub fn variables(state: &ControlState) -> Vec<(ProviderId, Vec<String>)> {
    let open =
        |provider: &&Provider| provider.status == Status::Active && provider.takes_own_keys();
    let providers = state.registry.providers().filter(open);
    providers
        .map(|provider| (provider.id.clone(), provider.key_variables()))
        .collect()
}

/// Of the names of variables those that look as if a key were meant for local mode and that nothing looks for, each with
/// the one that may have been meant.
pub fn strangers<'a>(
    state: &ControlState,
    names: impl Iterator<Item = &'a str>,
) -> Vec<(&'a str, Option<String>)> {
    let known: Vec<String> = variables(state).into_iter().flat_map(|it| it.1).collect();
    let of = |name: &'a str| {
        let (prefix, id) = prefixed_key_variable(name)?;
        if known.iter().any(|known| known == name) {
            return None;
        }
        let meant = state.registry.suggest(id);
        let meant = meant.and_then(|id| state.registry.get(id));
        let meant = meant.map_or_else(Vec::new, Provider::key_variables);
        let meant = meant
            .into_iter()
            .find(|it| it.starts_with(prefix) && known.contains(it));
        Some((name, meant))
    };
    names.filter_map(of).collect()
}

/// Makes the owner's provider keys from the environment those in `found`, one for each provider at most. `kept`: those
/// that an earlier call left, and what the next one is to be given; it is right even after a failure.
///
/// A value that did not change makes no new version; a key whose variable is gone is removed. What cannot be stored is
/// among the changes and concerns no other key.
///
/// # Errors
/// `unavailable` when the store does not answer; the owner is gone.
pub async fn sync(
    state: &ControlState,
    owner: &Owner,
    found: &[Found],
    kept: &mut Vec<Kept>,
) -> Result<Vec<Change>, Problem> {
    let scope = state
        .store
        .authorize_workspace(&owner.principal, owner.workspace, Action::WriteProviderKeys)
        .await?;
    let sync = Sync {
        state,
        scope: &scope,
        call: state.local_call()?,
    };
    sync.find_again(kept).await?;
    let mut changes = Vec::new();
    for found in found {
        let of_provider = |it: &&Kept| it.provider == found.provider;
        let old = kept
            .iter()
            .find(|it| of_provider(it) && it.variable == found.variable);
        let had_any = kept.iter().any(|it| of_provider(&it));
        let (what, now) = sync.put(found, old, had_any).await?;
        if let Some(now) = now {
            kept.retain(|it| it.key != now.key);
            // The new one serves before the old one goes, so that no call falls between them.
            let others = kept.iter().filter(of_provider).cloned();
            let others: Vec<Kept> = others.collect();
            kept.push(now);
            for other in others {
                sync.remove(&other).await?;
                kept.retain(|it| *it != other);
            }
        }
        changes.push(Change {
            provider: found.provider.clone(),
            variable: found.variable.clone(),
            what,
        });
    }
    let gone = |it: &&Kept| !found.iter().any(|found| found.provider == it.provider);
    for old in kept.iter().filter(gone).cloned().collect::<Vec<_>>() {
        sync.remove(&old).await?;
        kept.retain(|it| *it != old);
        changes.push(Change {
            provider: old.provider,
            variable: old.variable,
            what: What::Removed,
        });
    }
    Ok(changes)
}

/// One run of [`sync`].
struct Sync<'a> {
    state: &'a ControlState,
    scope: &'a WorkspaceScope,
    call: Call,
}

impl Sync<'_> {
    fn holder(&self) -> Holder<'_> {
        Holder::workspace(&self.state.store, self.scope)
    }

    /// Adds the keys that a label says to be of a variable and that `kept` has lost, as when its file was damaged or the
    /// process died before it was written: nobody else would remove them.
    async fn find_again(&self, kept: &mut Vec<Kept>) -> Result<(), Problem> {
        let records = self.holder().keys.list().await?;
        for record in records {
            let context = record.context;
            let provider = self.state.registry.get(&context.provider);
            let variables = provider.map_or_else(Vec::new, Provider::key_variables);
            let of_label = |it: &String| label(it).is_ok_and(|label| label == record.label);
            let Some(variable) = variables.into_iter().find(of_label) else {
                continue;
            };
            if kept.iter().all(|it| it.key != context.key) {
                kept.push(Kept {
                    provider: context.provider,
                    variable,
                    key: context.key,
                    version: context.version,
                    hash: None,
                });
            }
        }
        Ok(())
    }

    /// Stores a key unless it is there already. `had_any`: whether its provider had one from another variable.
    async fn put(
        &self,
        found: &Found,
        old: Option<&Kept>,
        had_any: bool,
    ) -> Result<(What, Option<Kept>), Problem> {
        let hash = found
            .key
            .expose(|bytes| self.state.hasher.hash(HashPurpose::Found, bytes));
        let holder = self.holder();
        // A newer version is one that the owner put there by hand, after this value. A key is bound to its provider's
        // address: where the provider's file has another one now, it is bound anew.
        let provider = self.state.registry.get(&found.provider);
        let is_there = |at: &str| provider.is_none_or(|provider| provider.base_url == at);
        if let Some(old) = old.filter(|it| it.hash == Some(hash))
            && let Some(record) = holder.keys.get(old.key).await?
            && (record.context.version > old.version
                || record.context.version == old.version && is_there(&record.context.base_url))
        {
            return Ok((What::Same, Some(old.clone())));
        }
        let stored = match self.submit(&holder, found).await {
            Ok(stored) => stored,
            Err(problem) => {
                let why = problem.text().to_owned();
                let later = [
                    Code::Unavailable,
                    Code::InternalError,
                    Code::ProbeUnreachable,
                    Code::TooManyAttempts,
                    Code::Conflict,
                ];
                return Ok(match later.contains(&problem.code()) {
                    true => (What::Deferred(why), None),
                    false => (What::Refused(why), None),
                });
            }
        };
        let context = stored.record.context;
        let kept = Kept {
            provider: found.provider.clone(),
            variable: found.variable.clone(),
            key: context.key,
            version: context.version,
            hash: Some(hash),
        };
        let what = match had_any || !stored.created {
            false => What::Added,
            true => What::Replaced,
        };
        Ok((what, Some(kept)))
    }

    async fn submit(
        &self,
        holder: &Holder<'_>,
        found: &Found,
    ) -> Result<submission::Stored, Problem> {
        let state = self.state;
        let refuse = |why: String| Problem::field("key", "key must be a provider key").because(why);
        found
            .key
            .expose(domain::key::check_key)
            .map_err(|error| refuse(error.to_string()))?;
        let sealing_key = sealing_key::current(state).await?;
        let provider = state.registry.get(&found.provider);
        let provider = provider.ok_or_else(|| Problem::new(Code::UnknownProvider))?;
        let context = BoxContext {
            node: state.deployment,
            owner: holder.owner,
            provider: &found.provider,
            base_url: &provider.base_url,
            issued_at: self.call.now,
            jti: state.sources.random.bytes()?,
        };
        let sealed = seal_v1(&sealing_key.public_key, &found.key, &context);
        let material = Material::Sealed {
            kek_id: sealing_key.kek_id,
            ciphertext_b64: sealed.map_err(|error| refuse(error.to_string()))?,
        };
        let new = NewKey::plain(
            found.provider.to_string(),
            label(&found.variable)?,
            material,
        );
        submission::submit(state, &self.call, holder, new).await
    }

    /// Removes a key, unless somebody did already. Its label says that it is the variable's, whoever wrote its value.
    async fn remove(&self, old: &Kept) -> Result<(), Problem> {
        let holder = self.holder();
        let record = holder.keys.get(old.key).await?;
        if let Some(record) = record {
            provider_keys::remove_record(&self.call, &holder, &record).await?;
        }
        Ok(())
    }
}

/// `env.` and the variable, as much of it as a label holds.
fn label(variable: &str) -> Result<Label, Problem> {
    const MOST: usize = 64;
    let mut label = format!("{LABEL_PREFIX}{variable}");
    label.truncate(MOST);
    let rule = "the variable's name must be A-Z, 0-9 and _";
    label.parse().map_err(|_| Problem::field("label", rule))
}
