//! The members of a workspace.

use axum::extract::State;
use domain::access::Role;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{MemberRow, StoreError, WorkspaceScope};
use utoipa::ToSchema;

use crate::access::{Access, LeaveWorkspace, ReadMembers, UserInPath, WriteMembers};
use crate::body::{Json, Query};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::openapi::{MemberChanges, Reads};
use crate::page::{List, PageQuery};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_members))
        .routes(routes!(update_member, remove_member))
        .routes(routes!(leave_workspace))
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// The person.
    #[schema(example = "usr_06evr40e1m73fwp2hw6n0xq8kc")]
    user_id: String,
    /// The person's e-mail.
    email: String,
    /// `member`, `admin` or `owner`.
    #[schema(schema_with = schema::role)]
    role: Role,
    /// When the person joined.
    created_at: String,
}

fn view(row: MemberRow) -> MemberView {
    MemberView {
        user_id: row.user.to_string(),
        email: row.email,
        role: row.role,
        created_at: row.created_at.to_string(),
    }
}

/// List the members of a workspace.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/members", tag = "members", params(PageQuery),
    extensions(("x-action" = json!("read_members"))),
    responses((status = 200, body = List<MemberView>), Reads))]
async fn list_members(
    access: Access<ReadMembers>,
    State(state): State<ControlState>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<MemberView>>, Problem> {
    let page = query.request()?;
    let page = state.store.within(&access.scope).members(&page).await?;
    Ok(axum::Json(List::of(page, view)))
}

/// A role that can be given. Ownership cannot.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenRole {
    /// [`Role::Member`].
    Member,
    /// [`Role::Admin`].
    Admin,
}

impl From<GivenRole> for Role {
    fn from(given: GivenRole) -> Self {
        match given {
            GivenRole::Member => Self::Member,
            GivenRole::Admin => Self::Admin,
        }
    }
}

/// A member's new role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// `member` or `admin`; an API key can give `member` alone.
    #[schema(schema_with = schema::given_role)]
    role: GivenRole,
}

/// Make a member an admin or a plain member. An admin is made by a person who is logged in.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/members/{user_id}", tag = "members",
    extensions(("x-action" = json!("write_members"))), request_body = NewRole,
    responses((status = 204), MemberChanges))]
async fn update_member(
    access: Access<WriteMembers>,
    UserInPath(user): UserInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewRole>,
) -> Result<StatusCode, Problem> {
    let role = given(body.role, &access.scope)?;
    let note = call.note_on("member.update", user);
    let within = state.store.within(&access.scope);
    let done = within.set_member_role(user, role, &note, call.now).await;
    done.map_err(owner_stays)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a member; the member's API keys of the workspace end.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/members/{user_id}", tag = "members",
    extensions(("x-action" = json!("write_members"))),
    responses((status = 204), MemberChanges))]
async fn remove_member(
    access: Access<WriteMembers>,
    UserInPath(user): UserInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let note = call.note_on("member.remove", user);
    let within = state.store.within(&access.scope);
    let done = within.remove_member(user, &note, call.now).await;
    done.map_err(owner_stays)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave a workspace; one's API keys of it end.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/leave", tag = "members",
    extensions(("x-action" = json!("leave_workspace"))),
    responses((status = 204), MemberChanges))]
async fn leave_workspace(
    access: Access<LeaveWorkspace>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let user = access.scope.user();
    let note = call.note_on("member.leave", user);
    let within = state.store.within(&access.scope);
    let done = within.remove_member(user, &note, call.now).await;
    done.map_err(owner_stays)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The role to give, if the caller may give it: whoever has an API key must not make a person of that power.
///
/// # Errors
/// `permission_denied` for an API key that would make an admin.
pub(crate) fn given(role: GivenRole, scope: &WorkspaceScope) -> Result<Role, Problem> {
    match role {
        GivenRole::Admin if scope.api_key().is_some() => Err(Problem::denied("a log-in")),
        role => Ok(role.into()),
    }
}

/// The only thing in the way of a change of members is that the owner stays the owner.
fn owner_stays(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict(what) => Problem::new(Code::OwnerRole).because(what),
        error => error.into(),
    }
}
