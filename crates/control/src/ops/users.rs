//! New people.

use store::NewUser;

use crate::auth::password::Password;
use crate::error::Problem;
use crate::state::ControlState;
use crate::text;

/// What the store needs for a new person: ids for the user, the account and the first workspace, the
/// canonical e-mail and the hash of the password.
///
/// # Errors
/// `invalid_request` when e-mail or password do not fit.
pub async fn new_user(
    state: &ControlState,
    email: &str,
    password: Password,
    instance_admin: bool,
) -> Result<NewUser, Problem> {
    let email = text::email(email)?;
    password.check_new("password")?;
    Ok(NewUser {
        user: state.sources.id()?,
        account: state.sources.id()?,
        workspace: state.sources.id()?,
        email,
        password_hash: state.passwords.hash(password).await?,
        instance_admin,
    })
}
