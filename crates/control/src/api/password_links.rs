//! Links to a new password.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, ManageUsers, UserInPath};
use crate::auth::password::Password;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, PasswordResets};
use crate::ops::password_links;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(create_password_link))
        .routes(routes!(use_password_link))
}

/// A link to a new password.
#[derive(Serialize, ToSchema)]
pub struct PasswordLinkView {
    /// Whose password it is for.
    #[schema(example = "usr_06evr40e1m73fwp2hw6n0xq8kc")]
    user_id: String,
    /// The person's e-mail.
    email: String,
    /// What the person shows, once: `kbpassword_...`. It is not kept and cannot be shown again. The link of the console is
    /// `/console/password#token=` and this.
    token: String,
    /// When it ends by itself: an hour after it was made.
    expires_at: String,
}

/// Make a link by which a person sets a new password without the one before, to be handed over.
///
/// It works once, for an hour. A link before it ends, and it ends for good when its maker manages the instance no more, and when
/// its maker or the person is suspended or has a new password otherwise. Nobody makes one for themselves, nor for who is suspended.
#[utoipa::path(post, path = "/api/v1/users/{user_id}/password-link", tag = "users",
    extensions(("x-action" = json!("manage_users"))),
    responses((status = 201, body = PasswordLinkView), Changes))]
async fn create_password_link(
    access: Access<ManageUsers>,
    UserInPath(user): UserInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<(StatusCode, axum::Json<PasswordLinkView>), Problem> {
    let link = password_links::create(&state, &call, &access.scope, user).await?;
    let view = PasswordLinkView {
        user_id: link.user.id.to_string(),
        email: link.user.email,
        token: link
            .credential
            .expose(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        expires_at: link.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// A new password, and the right to set it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordByLink {
    /// The credential of the link: `kbpassword_...`.
    token: String,
    /// 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// Whose password was set.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasswordOwner {
    /// The e-mail to log in with.
    email: String,
}

/// Set a new password with a link, once. All sessions of the person end, and nobody is logged in; API keys stay.
#[utoipa::path(post, path = "/api/v1/password-links/password", tag = "users",
    extensions(("x-action" = json!("public"))), request_body = PasswordByLink,
    responses((status = 200, body = PasswordOwner), PasswordResets))]
async fn use_password_link(
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<PasswordByLink>,
) -> Result<axum::Json<PasswordOwner>, Problem> {
    let user = password_links::set_password(&state, &call, &body.token, body.password).await?;
    Ok(axum::Json(PasswordOwner { email: user.email }))
}
