//! The first start: the first user, and everything that it takes to begin.

use domain::WorkspaceId;
use domain::access::{Action, ApiScope};
use http::{HeaderMap, HeaderValue};
use store::{Principal, StoreError, UserRow};

use crate::auth::password::Password;
use crate::auth::refusal::noted;
use crate::auth::{session, setup};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::api_keys::{self, Minted, Wanted};
use crate::ops::users;
use crate::state::ControlState;

/// What was made for the first user.
pub struct FirstUser {
    /// The person, an instance admin.
    pub user: UserRow,
    /// The person's first workspace.
    pub workspace: WorkspaceId,
    /// An API key of the workspace with all scopes but those that are given by name only.
    pub api_key: Minted,
    /// The `Set-Cookie` value of the person's session.
    pub cookie: HeaderValue,
}

/// Creates the first user with an account, a workspace and an API key, and logs the person in.
///
/// # Errors
/// `already_set_up`; `invalid_setup_token`; `too_many_attempts` after a hundred failures of the address;
/// `invalid_request` when e-mail or password do not fit.
pub async fn create_first_user(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    token: &str,
    email: &str,
    password: Password,
) -> Result<FirstUser, Problem> {
    let guess = state.guesses.begin(None, call.client, call.now)?;
    let checked = check_offer(state, token).await;
    guess.end(noted(state, call, "instance.set_up", checked).await)?;
    let new = users::new_user(state, email, password, true).await?;
    let workspace = new.workspace;
    let note = call.note_on("instance.set_up", new.user);
    let created = state
        .store
        .system()
        .create_first_user(&new, &note, call.now)
        .await;
    let user = created.map_err(|error| match error {
        StoreError::Conflict(_) => Problem::new(Code::AlreadySetUp),
        error => error.into(),
    })?;
    setup::close(state);
    let (session, cookie) = session::begin(state, call, user.id, headers).await?;
    let principal = Principal::Session {
        user: user.id,
        session,
    };
    let scope = state
        .store
        .authorize_workspace(&principal, workspace, Action::WriteApiKeys)
        .await?;
    let wanted = Wanted {
        name: "First key".to_owned(),
        scopes: everyday_scopes(),
        default_model: None,
        end: None,
    };
    let api_key = api_keys::mint(state, call, &scope, wanted).await?;
    Ok(FirstUser {
        user,
        workspace,
        api_key,
        cookie,
    })
}

fn everyday_scopes() -> Vec<ApiScope> {
    // What hands provider keys out, and what writes code that machines run, is asked for by name, always.
    let asked_for = [
        ApiScope::InstanceRead,
        ApiScope::InstanceWrite,
        ApiScope::KeysRelease,
        ApiScope::ServicesWrite,
    ];
    let all = ApiScope::ALL.iter().copied();
    all.filter(|scope| !asked_for.contains(scope)).collect()
}

async fn check_offer(state: &ControlState, token: &str) -> Result<(), Problem> {
    if state.store.system().user_count().await? > 0 {
        return Err(Problem::new(Code::AlreadySetUp));
    }
    setup::check(state, token)
}
