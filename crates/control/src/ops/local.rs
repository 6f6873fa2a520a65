//! An instance for one person on one machine: who acts in it, and the provider keys that come from its environment.
//!
//! There is nobody to log in, so this makes what set-up makes, once, and finds it again. `found` keeps the keys.

mod found;

use domain::access::{Action, ApiScope};
use domain::credential::{CredentialKind, is_well_formed};
use domain::policy::ModelName;
use domain::{Secret, Timestamp, UserId, WorkspaceId};
use store::{Principal, StoreError};
use vault::HashPurpose;

use crate::auth::password::Password;
use crate::auth::{console_link, setup};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::api_keys::{self, Minted, Wanted};
use crate::ops::users;
use crate::state::ControlState;
use crate::text;

pub use found::{Change, Found, Kept, What, strangers, sync, variables};

/// The e-mail of the one user. Nothing is sent to it, and nobody knows its password.
const EMAIL: &str = "local@localhost";
/// The name of the one workspace that is made.
const WORKSPACE: &str = "local";

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
    let (principal, workspace) = match state.store.system().login(EMAIL).await? {
        Some((user, _)) => {
            let principal = in_person(state, user.id)?;
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
            let principal = in_person(state, user)?;
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

/// Makes the credential of a link into the console, good once until the moment beside it, in the place of the one before.
///
/// # Errors
/// `not_found` when the owner's user is gone; `unavailable`.
pub async fn console_link(state: &ControlState) -> Result<(Secret, Timestamp), Problem> {
    let call = state.local_call()?;
    console_link::offer(state, local_user(state).await?, call.now)
}

/// Mints an API key of the owner's workspace. It does not end with the one that the instance keeps for its owner.
///
/// # Errors
/// `invalid_request` for a name or scopes that do not fit; `scope_not_held`; `limit_exceeded`; `unavailable`.
pub async fn new_api_key(
    state: &ControlState,
    owner: &Owner,
    name: &str,
    scopes: Vec<ApiScope>,
) -> Result<Minted, Problem> {
    let call = state.local_call()?;
    // In person: what an API key mints is revoked with it.
    let principal = in_person(state, local_user(state).await?)?;
    let scope = state
        .store
        .authorize_workspace(&principal, owner.workspace, Action::WriteApiKeys)
        .await?;
    let wanted = Wanted {
        name: text::name(name)?,
        scopes,
        default_model: None,
        end: None,
    };
    api_keys::mint(state, &call, &scope, wanted).await
}

async fn local_user(state: &ControlState) -> Result<UserId, Problem> {
    if !state.is_local() {
        return Err(Problem::new(Code::NotFound));
    }
    let user = state.store.system().login(EMAIL).await?;
    let user = user.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(user.0.id)
}

/// The owner as somebody who is logged in: whoever can start the server on its data, or open its socket, is the owner.
fn in_person(state: &ControlState, user: UserId) -> Result<Principal, Problem> {
    let session = state.sources.id()?;
    Ok(Principal::Session { user, session })
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
