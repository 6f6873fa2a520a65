//! Invitations: an offer by e-mail and role, taken up once.

use domain::access::Role;
use domain::credential::{CredentialKind, is_well_formed, write};
use domain::{InvitationId, Secret, UserId, WorkspaceId};
use store::{AcceptBy, InvitationRow, NewInvitation, Principal, StoreError, WorkspaceScope};
use vault::HashPurpose;

use crate::auth::password::Password;
use crate::auth::refusal::noted;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::users::new_user;
use crate::state::ControlState;
use crate::text;

/// Invitations end seven days after they were made.
const LIFETIME_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Invites somebody. The credential is answered once; whoever shows it within seven days may join.
///
/// # Errors
/// `invalid_request` for an e-mail of the wrong form or the role owner.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    email: &str,
    role: Role,
) -> Result<(InvitationRow, Secret), Problem> {
    let email = text::email(email)?;
    if role == Role::Owner {
        return Err(Problem::field("role", "role must be member or admin")
            .with("allowed", vec!["member", "admin"]));
    }
    let id: InvitationId = state.sources.id()?;
    let credential = write(CredentialKind::Invitation, &state.sources.random.bytes()?);
    let new = NewInvitation {
        id,
        email,
        role,
        hash: credential.expose(|bytes| state.hasher.hash(HashPurpose::Invitation, bytes)),
        expires_at: call.now.plus_millis(LIFETIME_MS),
    };
    let note = call.note_on("invitation.create", id);
    let within = state.store.within(scope);
    let row = within.create_invitation(&new, &note, call.now).await?;
    Ok((row, credential))
}

/// What a person without a log-in sends to accept.
pub struct Newcomer {
    /// Must be the invited one, when given.
    pub email: Option<String>,
    /// The new person's password.
    pub password: Option<Password>,
}

/// Who joined what.
pub struct Joined {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The person.
    pub user: UserId,
    /// Whether the person was created by this.
    pub created: bool,
}

/// Accepts an invitation: the person who is logged in joins, or a new one with the invited e-mail.
///
/// # Errors
/// `invalid_invitation`, the same for unknown, used, revoked and expired ones and those whose maker may invite no
/// more; `invitation_for_another`;
/// `conflict` when the invited e-mail has a user, who must log in first.
pub async fn accept(
    state: &ControlState,
    call: &Call,
    caller: Option<Principal>,
    shown: &str,
    newcomer: Newcomer,
) -> Result<Joined, Problem> {
    // The address alone: an invitation has no name that a guesser would have to know.
    let guess = state.guesses.begin(None, call.client, call.now)?;
    let found = find(state, call, shown).await;
    let (hash, row) = guess.end(noted(state, call, "invitation.accept", found).await)?;
    let (by, user) = match caller {
        Some(principal @ Principal::Session { .. }) => {
            let own = state
                .store
                .authorize_user(&principal, domain::access::Action::UseOwnUser)
                .await?;
            if state.store.own(&own).user().await?.email != row.email {
                return Err(Problem::new(Code::InvitationForAnother));
            }
            (AcceptBy::Existing(own.user()), own.user())
        }
        Some(Principal::ApiKey { .. }) => {
            return Err(Problem::denied("a person, logged in or new"));
        }
        None => {
            let new = newcomer_for(state, &row, newcomer).await?;
            let user = new.user;
            (AcceptBy::New(new), user)
        }
    };
    let created = matches!(by, AcceptBy::New(_));
    let note = call.note_on("invitation.accept", row.id);
    let workspace = state
        .store
        .system()
        .accept_invitation(&hash, &by, &note, call.now)
        .await
        .map_err(|error| match error {
            StoreError::NotFound => Problem::new(Code::InvalidInvitation),
            error => error.into(),
        })?;
    Ok(Joined {
        workspace,
        user,
        created,
    })
}

/// The open invitation whose credential this is, with its keyed hash.
async fn find(
    state: &ControlState,
    call: &Call,
    shown: &str,
) -> Result<([u8; 32], InvitationRow), Problem> {
    let invalid = || Problem::new(Code::InvalidInvitation);
    if !is_well_formed(CredentialKind::Invitation, shown) {
        return Err(invalid());
    }
    let hash = state.hasher.hash(HashPurpose::Invitation, shown.as_bytes());
    let row = state
        .store
        .system()
        .invitation_by_hash(&hash, call.now)
        .await?;
    Ok((hash, row.ok_or_else(invalid)?))
}

async fn newcomer_for(
    state: &ControlState,
    row: &InvitationRow,
    newcomer: Newcomer,
) -> Result<store::NewUser, Problem> {
    if let Some(email) = &newcomer.email
        && text::email(email)? != row.email
    {
        return Err(Problem::new(Code::InvitationForAnother));
    }
    let Some(password) = newcomer.password else {
        let rule = "password is needed to create the invited user; an existing one logs in first";
        return Err(Problem::field("password", rule));
    };
    if state.store.system().login(&row.email).await?.is_some() {
        let detail = "the invited e-mail has a user; log in and accept again";
        return Err(Problem::new(Code::Conflict).because(detail).advise(""));
    }
    new_user(state, &row.email, password, false).await
}
