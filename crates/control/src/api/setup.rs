//! The first start: the operation that creates the first user.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::api_keys::MintedView;
use crate::api::sessions::UserView;
use crate::auth::password::Password;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{PublicReads, SetUps};
use crate::ops;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_setup, create_first_user))
}

/// Whether the instance waits for its first user.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetupStatus {
    /// There is no user yet.
    needed: bool,
}

/// Say whether the instance waits for its first user.
#[utoipa::path(get, path = "/api/v1/setup", tag = "setup",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, body = SetupStatus), PublicReads))]
async fn get_setup(State(state): State<ControlState>) -> Result<axum::Json<SetupStatus>, Problem> {
    let needed = state.store.system().user_count().await? == 0;
    Ok(axum::Json(SetupStatus { needed }))
}

/// The first user, and the right to create one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstUser {
    /// The credential in the link that the server printed: `kbsetup_...`.
    token: String,
    /// Who logs in.
    email: String,
    /// 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// What was made for the first user.
#[derive(Serialize, ToSchema)]
pub struct SetupDone {
    /// The person, an instance admin.
    user: UserView,
    /// The person's account.
    #[schema(example = "acc_06evr40e1m73fwp2hw6n0xq8kc")]
    account_id: String,
    /// The first workspace, named Personal.
    #[schema(example = "ws_06evr40e1m73fwp2hw6n0xq8kc")]
    workspace_id: String,
    /// An API key of the workspace for everyday use, shown this once: all scopes but those that are given by name only.
    api_key: MintedView,
}

/// Create the first user: an instance admin with an account, a workspace and an API key.
#[utoipa::path(post, path = "/api/v1/setup", tag = "setup",
    extensions(("x-action" = json!("public"))), request_body = FirstUser,
    responses((status = 201, body = SetupDone, headers(("set-cookie" = String, description = "The session."))), SetUps))]
async fn create_first_user(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<FirstUser>,
) -> Result<Response, Problem> {
    let made = ops::setup::create_first_user(
        &state,
        &call,
        &headers,
        &body.token,
        &body.email,
        body.password,
    )
    .await?;
    let cookie = made.cookie;
    let done = SetupDone {
        account_id: made.user.account.to_string(),
        workspace_id: made.workspace.to_string(),
        user: made.user.into(),
        api_key: made.api_key.into(),
    };
    Ok((
        StatusCode::CREATED,
        [(SET_COOKIE, cookie)],
        axum::Json(done),
    )
        .into_response())
}
