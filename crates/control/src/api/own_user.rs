//! Leaving the instance.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::{Access, UseOwnUser};
use crate::auth::password::Password;
use crate::auth::session;
use crate::body::JsonOrNothing;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Departures;
use crate::ops::sessions;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(delete_own_user))
}

/// What it takes to leave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// The caller's password.
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// Delete oneself with one's account: its workspaces, provider keys and credentials are gone at once and for good.
///
/// Usage, the ledger and the audit log stay; they name ids only. The last admin of the instance cannot leave.
#[utoipa::path(delete, path = "/api/v1/users/me", tag = "users",
    extensions(("x-action" = json!("use_own_user"))), request_body = Departure,
    responses((status = 204), Departures))]
async fn delete_own_user(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    call: Call,
    JsonOrNothing(body): JsonOrNothing<Departure>,
) -> Result<Response, Problem> {
    sessions::leave(&state, &call, &access.scope, body.password).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, session::forget())]).into_response())
}
