//! Log-in and change of password.

use domain::access::Action;
use http::{HeaderMap, HeaderValue};
use store::{Actor, AuditNote, Principal, StoreError, UserRow, UserScope};

use crate::auth::password::Password;
use crate::auth::refusal::noted;
use crate::auth::{console_link, session};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;
use crate::text;

/// Logs a person in: the person and the `Set-Cookie` value of the new session.
///
/// An e-mail that nobody has and a wrong password cost the same work and get the same answer.
///
/// # Errors
/// `invalid_credentials`; `too_many_attempts` after ten failures of the e-mail from one address, fifty of the
/// e-mail or a hundred of the address.
pub async fn log_in(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    email: &str,
    password: Password,
) -> Result<(UserRow, HeaderValue), Problem> {
    let email = text::email(email)?;
    let person = Some(format!("email {email}"));
    let guess = state.guesses.begin(person, call.client, call.now)?;
    guess.end(check_log_in(state, call, headers, &email, password).await)
}

/// Logs the one person of a local instance in, by the credential of a link: the person and the `Set-Cookie` value of the
/// new session. The link is used up, also where the session cannot be stored.
///
/// # Errors
/// `invalid_console_link`; `too_many_attempts` after a hundred failures of the address.
pub async fn enter(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    shown: &str,
) -> Result<(UserRow, HeaderValue), Problem> {
    // The address alone: a link has no name that a guesser would have to know.
    let guess = state.guesses.begin(None, call.client, call.now)?;
    let taken = console_link::take(state, shown, call.now);
    let user = guess.end(noted(state, call, "session.create", taken).await)?;
    let (session, cookie) = session::begin(state, call, user, headers).await?;
    let principal = Principal::Session { user, session };
    let own = state
        .store
        .authorize_user(&principal, Action::UseOwnUser)
        .await?;
    let user = state.store.own(&own).user().await?;
    Ok((user, cookie))
}

/// Gives the caller a new password and ends the caller's other sessions.
///
/// # Errors
/// `invalid_credentials` when the current password is wrong or was replaced meanwhile; `invalid_request` when the new one does not fit.
pub async fn change_password(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    current: Password,
    new: Password,
) -> Result<(), Problem> {
    new.check_new("new_password")?;
    let person = Some(format!("user {}", scope.user()));
    let guess = state.guesses.begin(person, call.client, call.now)?;
    let note = call.note_on("user.set_password", scope.user());
    let verified = guess.end(check_current(state, call, scope, current, &note).await)?;
    let hash = state.passwords.hash(new).await?;
    let own = state.store.own(scope);
    let set = own.set_password(&verified, &hash, &note, call.now).await;
    changed(state, call, scope, &note, set).await
}

/// Deletes the caller with everything that belongs to the account.
///
/// # Errors
/// `invalid_credentials` when the password is wrong or was replaced meanwhile; `too_many_attempts`; `last_instance_admin` when nobody
/// else manages the instance.
pub async fn leave(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    password: Password,
) -> Result<(), Problem> {
    let person = Some(format!("user {}", scope.user()));
    let guess = state.guesses.begin(person, call.client, call.now)?;
    let note = call.note_on("user.delete", scope.user());
    let verified = guess.end(check_current(state, call, scope, password, &note).await)?;
    let own = state.store.own(scope);
    let deleted = own.delete_account(&verified, &note, call.now).await;
    changed(state, call, scope, &note, deleted).await
}

async fn check_log_in(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    email: &str,
    password: Password,
) -> Result<(UserRow, HeaderValue), Problem> {
    let system = state.store.system();
    let (user, hash) = system.login(email).await?.unzip();
    let fits = state.passwords.verify(password, hash.clone()).await?;
    if let (Some(user), Some(hash), true) = (&user, &hash, fits)
        && !user.suspended
        && let Some(cookie) =
            session::begin_by_password(state, call, user.id, hash, headers).await?
    {
        return Ok((user.clone(), cookie));
    }
    // A row in any case: the answer must not come sooner for an e-mail that nobody has.
    let note = AuditNote {
        subject: user.as_ref().map(|user| user.id.to_string()),
        outcome: "refused",
        ..call.note("session.create")
    };
    let account = user.map(|user| user.account);
    system
        .note_refused(account, None, Actor::System, &note, call.now)
        .await?;
    Err(Problem::new(Code::InvalidCredentials))
}

/// Whether the caller knows the own password: the stored hash that it fits.
async fn check_current(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    current: Password,
    note: &AuditNote,
) -> Result<String, Problem> {
    let hash = state.store.own(scope).password_hash().await?;
    if state.passwords.verify(current, Some(hash.clone())).await? {
        Ok(hash)
    } else {
        Err(refuse(state, call, scope, note).await?)
    }
}

/// What comes of a change for which the password was checked: one that was replaced meanwhile is as wrong as any other.
async fn changed(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    note: &AuditNote,
    outcome: Result<(), StoreError>,
) -> Result<(), Problem> {
    match outcome {
        Err(StoreError::NotFound) => Err(refuse(state, call, scope, note).await?),
        outcome => Ok(outcome?),
    }
}

/// Writes the audit row of a wrong password and says what to answer.
async fn refuse(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    note: &AuditNote,
) -> Result<Problem, Problem> {
    let note = AuditNote {
        outcome: "refused",
        ..note.clone()
    };
    let system = state.store.system();
    system
        .note_refused(Some(scope.account()), None, scope.actor(), &note, call.now)
        .await?;
    Ok(Problem::new(Code::InvalidCredentials)
        .because("the current password is wrong")
        .advise("Check it and try again."))
}
