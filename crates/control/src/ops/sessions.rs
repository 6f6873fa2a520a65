//! Log-in and change of password.

use http::{HeaderMap, HeaderValue};
use store::{Actor, UserRow, UserScope};

use crate::auth::password::Password;
use crate::auth::session;
use crate::auth::throttle::address_subject;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;
use crate::text;

/// Logs a person in: the person and the `Set-Cookie` value of the new session.
///
/// An e-mail that nobody has and a wrong password cost the same work and get the same answer.
///
/// # Errors
/// `invalid_credentials`; `too_many_attempts` after ten failures of the e-mail or the address.
pub async fn log_in(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    email: &str,
    password: Password,
) -> Result<(UserRow, HeaderValue), Problem> {
    let email = text::email(email)?;
    let subjects = attempt_subjects(call, format!("email {email}"));
    state.log_ins.begin(&subjects, call.now)?;
    let found = state.store.system().login(&email).await;
    let (user, hash) = found
        .inspect_err(|_| state.log_ins.forgive(&subjects))?
        .unzip();
    let verified = state.passwords.verify(password, hash).await;
    let fits = verified.inspect_err(|_| state.log_ins.forgive(&subjects))?;
    match user {
        Some(user) if fits && !user.suspended => {
            state.log_ins.forgive(&subjects);
            let (_, cookie) = session::begin(state, call, user.id, headers).await?;
            Ok((user, cookie))
        }
        refused => {
            if let Some(user) = refused {
                let mut note = call.note_on("session.create", user.id);
                note.outcome = "refused";
                let system = state.store.system();
                system
                    .note_refused(Some(user.account), None, Actor::System, &note, call.now)
                    .await?;
            }
            Err(Problem::new(Code::InvalidCredentials))
        }
    }
}

/// Gives the caller a new password and ends the caller's other sessions.
///
/// # Errors
/// `invalid_credentials` when the current password is wrong; `invalid_request` when the new one does not fit.
pub async fn change_password(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    current: Password,
    new: Password,
) -> Result<(), Problem> {
    new.check_new("new_password")?;
    let subjects = attempt_subjects(call, format!("user {}", scope.user()));
    state.log_ins.begin(&subjects, call.now)?;
    let own = state.store.own(scope);
    let hash = own.password_hash().await?;
    if !state.passwords.verify(current, Some(hash)).await? {
        return Err(Problem::new(Code::InvalidCredentials).because("the current password is wrong"));
    }
    state.log_ins.forgive(&subjects);
    let hash = state.passwords.hash(new).await?;
    let note = call.note_on("user.set_password", scope.user());
    own.set_password(&hash, &note, call.now).await?;
    Ok(())
}

/// Whose failures count: the person's and the address's.
fn attempt_subjects(call: &Call, person: String) -> Vec<String> {
    [Some(person), caller_address(call)]
        .into_iter()
        .flatten()
        .collect()
}

/// The subject for the address at the other end; `None` where the edge did not tell it.
pub(crate) fn caller_address(call: &Call) -> Option<String> {
    call.client
        .map(|address| format!("address {}", address_subject(address)))
}
