//! Log-ins of programs without a browser.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::DeviceLoginRow;
use utoipa::ToSchema;

use crate::access::{Access, UseOwnUser, UserCodeInPath};
use crate::api::sessions::UserView;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{DeviceAnswers, DeviceChanges, DeviceReads, DeviceStarts};
use crate::ops::device_logins;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(begin_device_login))
        .routes(routes!(take_device_login))
        .routes(routes!(get_device_login, refuse_device_login))
        .routes(routes!(approve_device_login))
}

/// The program that wants to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeviceLogin {
    /// What the program calls itself; shown to the person who approves. 100 characters are kept.
    #[schema(example = "keybearer on laptop")]
    client: String,
}

/// A log-in that has begun.
#[derive(Serialize, ToSchema)]
pub struct BegunDeviceLogin {
    /// What the program keeps and asks with: `kbd_...`.
    device_code: String,
    /// What the person types to approve.
    #[schema(example = "BCDF-GHJK")]
    user_code: String,
    /// Until when it can be approved and taken; RFC 3339, UTC.
    expires_at: String,
    /// How long to wait between two questions, in seconds.
    interval_s: u32,
}

/// Begin a log-in that a person approves elsewhere, as of a program without a browser (after RFC 8628).
///
/// The program shows `user_code` and asks with `device_code` until somebody approved; ten minutes at most.
#[utoipa::path(post, path = "/api/v1/device-logins", tag = "sessions",
    extensions(("x-action" = json!("public"))), request_body = NewDeviceLogin,
    responses((status = 201, body = BegunDeviceLogin), DeviceStarts))]
async fn begin_device_login(
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewDeviceLogin>,
) -> Result<(StatusCode, axum::Json<BegunDeviceLogin>), Problem> {
    let begun = device_logins::begin(&state, &call, &body.client).await?;
    let view = BegunDeviceLogin {
        device_code: begun
            .device_code
            .expose(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        user_code: begun.user_code,
        expires_at: begun.expires_at.to_string(),
        interval_s: device_logins::INTERVAL_S,
    };
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// The program's own code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceCode {
    /// `kbd_...`.
    device_code: String,
}

/// Log in with a code that a person approved; good once. Until then the answer is `400 authorization_pending`, or
/// `400 slow_down` where the program asks sooner than `interval_s` after it asked last; then the interval is 5 seconds longer
/// from there on, at most a minute (RFC 8628, 3.5).
#[utoipa::path(post, path = "/api/v1/device-logins/session", tag = "sessions",
    extensions(("x-action" = json!("public"))), request_body = DeviceCode,
    responses((status = 201, body = UserView, headers(("set-cookie" = String, description = "The session."))),
        DeviceAnswers))]
async fn take_device_login(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<DeviceCode>,
) -> Result<Response, Problem> {
    let taken = device_logins::take(&state, &call, &headers, &body.device_code).await;
    let (user, cookie) = taken?;
    let view = axum::Json(UserView::from(user));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], view).into_response())
}

/// A log-in that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceLoginView {
    /// What the program calls itself. Anybody can call a program so.
    client: String,
    /// The address of the program, if it is known.
    address: Option<String>,
    /// When it asked.
    created_at: String,
    /// Until when it can be approved.
    expires_at: String,
}

impl From<DeviceLoginRow> for DeviceLoginView {
    fn from(row: DeviceLoginRow) -> Self {
        Self {
            client: row.client,
            address: row.address,
            created_at: row.created_at.to_string(),
            expires_at: row.expires_at.to_string(),
        }
    }
}

/// See which program waits with a code, before one approves it.
#[utoipa::path(get, path = "/api/v1/device-logins/{user_code}", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 200, body = DeviceLoginView), DeviceReads))]
async fn get_device_login(
    access: Access<UseOwnUser>,
    UserCodeInPath(code): UserCodeInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<axum::Json<DeviceLoginView>, Problem> {
    let row = device_logins::look(&state, &call, &access.scope, &code).await?;
    Ok(axum::Json(row.into()))
}

/// Let the program with this code log in as oneself. Approve only what one began oneself.
#[utoipa::path(post, path = "/api/v1/device-logins/{user_code}/approve", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 204), DeviceChanges))]
async fn approve_device_login(
    access: Access<UseOwnUser>,
    UserCodeInPath(code): UserCodeInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    device_logins::approve(&state, &call, &access.scope, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuse the program with this code; it is told at its next question.
#[utoipa::path(delete, path = "/api/v1/device-logins/{user_code}", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 204), DeviceChanges))]
async fn refuse_device_login(
    access: Access<UseOwnUser>,
    UserCodeInPath(code): UserCodeInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    device_logins::refuse(&state, &call, &access.scope, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}
