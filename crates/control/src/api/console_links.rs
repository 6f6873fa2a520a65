//! Entering the console of a local instance by a link.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::sessions::UserView;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::LinkLogIns;
use crate::ops::sessions;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(take_console_link))
}

/// The credential of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleLink {
    /// What stands in the link that `keybearer console` printed: `kbconsole_...`.
    token: String,
}

/// Log in with the link that `keybearer console` prints on the machine of a local instance; good once, for five minutes.
#[utoipa::path(post, path = "/api/v1/console-links/session", tag = "sessions",
    extensions(("x-action" = json!("public"))), request_body = ConsoleLink,
    responses((status = 201, body = UserView, headers(("set-cookie" = String, description = "The session."))),
        LinkLogIns))]
async fn take_console_link(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<ConsoleLink>,
) -> Result<Response, Problem> {
    let (user, cookie) = sessions::enter(&state, &call, &headers, &body.token).await?;
    let view = axum::Json(UserView::from(user));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], view).into_response())
}
