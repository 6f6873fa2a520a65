//! An instance for one person on one machine: who acts in it, and the provider keys that come from its environment.
//!
//! There is nobody to log in, so this makes what set-up makes, once, and finds it again. A key from the environment is
//! a provider key like any other: it is sealed and taken in by [`submission`](crate::ops::submission), in the audit log
//! and bound to its provider. What the person added by hand is never touched.

use domain::access::{Action, ApiScope};
use domain::credential::{CredentialKind, is_well_formed};
use domain::policy::ModelName;
use domain::{Label, ProviderId, ProviderKeyId, Secret, UserId, WorkspaceId};
use llm::provider::{Provider, Status};
use serde::{Deserialize, Serialize};
use store::{Principal, StoreError, WorkspaceScope};
use vault::HashPurpose;
use vault::seal::{BoxContext, seal_v1};

use crate::auth::password::Password;
use crate::auth::setup;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::api_keys::{self, Wanted};
use crate::ops::provider_keys::{self, Holder};
use crate::ops::submission::{self, Material, NewKey};
use crate::ops::{sealing_key, users};
use crate::state::ControlState;

/// The e-mail of the one user. Nothing is sent to it, and nobody knows its password.
const EMAIL: &str = "local@localhost";
/// The name of the one workspace that is made.
const WORKSPACE: &str = "local";
/// What the label of a key from the environment begins with; the variable follows.
const LABEL_PREFIX: &str = "env.";

/// Whose instance it is.
pub struct Owner {
    /// What the owner acts with.
    principal: Principal,
    /// The workspace that serves.
    pub workspace: WorkspaceId,
    /// Its API key, which may do everything.
    pub api_key: Secret,
    /// The keyed hash of the API key.
    pub api_key_hash: [u8; 32],
}

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

impl ControlState {
    fn local_call(&self) -> Result<Call, Problem> {
        Ok(Call {
            request: self.sources.id()?,
            now: self.sources.now(),
            peer: None,
            client: None,
        })
    }
}

/// The owner of a local instance, made at its first start. `known`: the API key of an earlier start; if it is not
/// valid any more there is a new one.
///
/// # Errors
/// `already_set_up` when the instance has users and was not made by this function; `unavailable`.
pub async fn owner(state: &ControlState, known: Option<Secret>) -> Result<Owner, Problem> {
    state.be_local();
    let call = state.local_call()?;
    if let Some(owner) = returning(state, &call, known).await? {
        return Ok(owner);
    }
    let principal = |user: UserId| -> Result<Principal, Problem> {
        // Nobody is logged in: whoever can start the server on its data is the owner.
        let session = state.sources.id()?;
        Ok(Principal::Session { user, session })
    };
    let (principal, workspace) = match state.store.system().login(EMAIL).await? {
        Some((user, _)) => {
            let principal = principal(user.id)?;
            let scope = state
                .store
                .authorize_user(&principal, Action::UseOwnUser)
                .await?;
            let workspaces = state.store.own(&scope).workspaces().await?;
            let first = workspaces.first().map(|(row, _)| row.id);
            (
                principal,
                first.ok_or_else(|| Problem::new(Code::NotFound))?,
            )
        }
        None => {
            let (user, workspace) = first_start(state, &call).await?;
            let principal = principal(user)?;
            let scope = state
                .store
                .authorize_workspace(&principal, workspace, Action::UpdateWorkspace)
                .await?;
            let note = call.note_on("workspace.rename", workspace);
            let within = state.store.within(&scope);
            within.rename(WORKSPACE, &note, call.now).await?;
            (principal, workspace)
        }
    };
    let scope = state
        .store
        .authorize_workspace(&principal, workspace, Action::WriteApiKeys)
        .await?;
    let wanted = Wanted {
        name: "Local".to_owned(),
        // Calls without a credential count for this key: nobody may get provider keys out that way.
        scopes: ApiScope::ALL
            .iter()
            .copied()
            .filter(|scope| *scope != ApiScope::KeysRelease)
            .collect(),
        default_model: None::<ModelName>,
        end: None,
    };
    let minted = api_keys::mint(state, &call, &scope, wanted).await?;
    let owner = returning(state, &call, Some(minted.text)).await?;
    owner.ok_or_else(|| Problem::new(Code::Unavailable))
}

/// The owner by the API key of an earlier start, if it is still valid.
async fn returning(
    state: &ControlState,
    call: &Call,
    known: Option<Secret>,
) -> Result<Option<Owner>, Problem> {
    let Some(api_key) = known else {
        return Ok(None);
    };
    let hash = api_key.expose(|bytes| {
        let text = std::str::from_utf8(bytes).ok();
        let ours = text.is_some_and(|text| is_well_formed(CredentialKind::ApiKey, text));
        ours.then(|| state.hasher.hash(HashPurpose::ApiKey, bytes))
    });
    let Some(api_key_hash) = hash else {
        return Ok(None);
    };
    let system = state.store.system();
    match system.api_key_by_hash(&api_key_hash, call.now).await? {
        Some(principal @ Principal::ApiKey { workspace, .. }) => Ok(Some(Owner {
            principal,
            workspace,
            api_key,
            api_key_hash,
        })),
        _ => Ok(None),
    }
}

/// Makes the one user, with an account and a workspace.
async fn first_start(state: &ControlState, call: &Call) -> Result<(UserId, WorkspaceId), Problem> {
    let random: [u8; 32] = state.sources.random.bytes()?;
    // Never shown: who logs in is whoever can read the owner's files.
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let password = Password::new(Secret::from_text(password));
    let new = users::new_user(state, EMAIL, password, true).await?;
    let note = call.note_on("instance.set_up", new.user);
    let system = state.store.system();
    let created = system.create_first_user(&new, &note, call.now).await;
    let user = created.map_err(|error| match error {
        StoreError::Conflict(_) => Problem::new(Code::AlreadySetUp),
        error => error.into(),
    })?;
    setup::close(state);
    Ok((user.id, new.workspace))
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
        // A newer version is one that the owner put there by hand, after this value.
        if let Some(old) = old.filter(|it| it.hash == Some(hash))
            && let Some(record) = holder.keys.get(old.key).await?
            && record.context.version >= old.version
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
