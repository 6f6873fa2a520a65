//! Log-in, logout, and what is one's own.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::access::Role;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{SessionRow, UserRow};
use utoipa::ToSchema;

use crate::access::{Access, SessionInPath, UseOwnUser};
use crate::auth::password::Password;
use crate::auth::session;
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, LogIns, PasswordChanges, Reads};
use crate::ops::sessions;
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(create_session, list_sessions))
        .routes(routes!(end_current_session))
        .routes(routes!(end_session))
        .routes(routes!(get_me))
        .routes(routes!(update_password))
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The e-mail.
    email: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The id.
    #[schema(example = "usr_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The e-mail.
    email: String,
    /// The account that the person owns.
    account_id: String,
    /// Whether the person manages the instance.
    instance_admin: bool,
    /// Whether the person is locked out.
    suspended: bool,
    /// When the person was added.
    created_at: String,
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.to_string(),
            email: row.email,
            account_id: row.account.to_string(),
            instance_admin: row.instance_admin,
            suspended: row.suspended,
            created_at: row.created_at.to_string(),
        }
    }
}

/// Log in.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions",
    extensions(("x-action" = json!("public"))), request_body = LogIn,
    responses((status = 201, body = UserView, headers(("set-cookie" = String, description = "The session."))), LogIns))]
async fn create_session(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<LogIn>,
) -> Result<Response, Problem> {
    let (user, cookie) =
        sessions::log_in(&state, &call, &headers, &body.email, body.password).await?;
    let view = axum::Json(UserView::from(user));
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], view).into_response())
}

/// One of one's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The id.
    #[schema(example = "ses_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// When it began.
    created_at: String,
    /// When it ends by itself.
    expires_at: String,
    /// When it was last used.
    last_seen_at: String,
    /// What the browser called itself.
    user_agent: String,
}

/// List one's sessions.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 200, body = List<SessionView>), Reads))]
async fn list_sessions(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<SessionView>>, Problem> {
    let rows = state.store.own(&access.scope).sessions().await?;
    let open = rows.into_iter().filter(|row| row.expires_at > call.now);
    let view = |row: SessionRow| SessionView {
        id: row.id.to_string(),
        current: row.id == access.scope.session(),
        created_at: row.created_at.to_string(),
        expires_at: row.expires_at.to_string(),
        last_seen_at: row.last_seen_at.to_string(),
        user_agent: row.user_agent,
    };
    Ok(axum::Json(List::whole(open.map(view))))
}

/// Log out.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 204), Changes))]
async fn end_current_session(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<Response, Problem> {
    let session = access.scope.session();
    let note = call.note_on("session.end", session);
    state
        .store
        .own(&access.scope)
        .end_session(session, &note, call.now)
        .await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, session::forget())]).into_response())
}

/// End one of one's sessions.
#[utoipa::path(delete, path = "/api/v1/sessions/{session_id}", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 204), Changes))]
async fn end_session(
    access: Access<UseOwnUser>,
    SessionInPath(session): SessionInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let note = call.note_on("session.end", session);
    state
        .store
        .own(&access.scope)
        .end_session(session, &note, call.now)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The person.
    user: UserView,
    /// The workspaces of which the person is a member.
    workspaces: Vec<OwnWorkspace>,
}

/// A workspace of which the caller is a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnWorkspace {
    /// The id.
    #[schema(example = "ws_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The name.
    name: String,
    /// The account that it belongs to.
    account_id: String,
    /// The caller's role: `member`, `admin` or `owner`.
    #[schema(schema_with = schema::role)]
    role: Role,
}

/// See who is logged in, and one's workspaces.
#[utoipa::path(get, path = "/api/v1/me", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 200, body = Me), Reads))]
async fn get_me(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
) -> Result<axum::Json<Me>, Problem> {
    let own = state.store.own(&access.scope);
    let user = own.user().await?.into();
    let workspaces = own.workspaces().await?.into_iter();
    let workspaces = workspaces.map(|(row, role)| OwnWorkspace {
        id: row.id.to_string(),
        name: row.name,
        account_id: row.account.to_string(),
        role,
    });
    Ok(axum::Json(Me {
        user,
        workspaces: workspaces.collect(),
    }))
}

/// A change of password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The password so far.
    #[schema(value_type = String, format = Password)]
    current_password: Password,
    /// The new one: 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    new_password: Password,
}

/// Change one's password; ends one's other sessions.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "sessions",
    extensions(("x-action" = json!("use_own_user"))), request_body = NewPassword,
    responses((status = 204), PasswordChanges))]
async fn update_password(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let (current, new) = (body.current_password, body.new_password);
    sessions::change_password(&state, &call, &access.scope, current, new).await?;
    Ok(StatusCode::NO_CONTENT)
}
