//! Workspaces: the boundary inside which keys, members and usage belong together.

use axum::extract::State;
use domain::access::Role;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::WorkspaceRow;
use utoipa::ToSchema;

use crate::access::{Access, DeleteWorkspace, ReadWorkspace, UpdateWorkspace, UseOwnUser};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Additions, Changes, Reads, Writes};
use crate::ops::workspaces;
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::text;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_workspaces, create_workspace))
        .routes(routes!(get_workspace, update_workspace, delete_workspace))
}

/// A workspace, as one of its members sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceView {
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
    /// When it was made.
    created_at: String,
    /// When its name last changed.
    updated_at: String,
}

fn view(row: WorkspaceRow, role: Role) -> WorkspaceView {
    WorkspaceView {
        id: row.id.to_string(),
        name: row.name,
        account_id: row.account.to_string(),
        role,
        created_at: row.created_at.to_string(),
        updated_at: row.updated_at.to_string(),
    }
}

/// List the workspaces of which one is a member.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "workspaces",
    extensions(("x-action" = json!("use_own_user"))),
    responses((status = 200, body = List<WorkspaceView>), Reads))]
async fn list_workspaces(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<WorkspaceView>>, Problem> {
    let rows = state
        .store
        .own(&access.scope)
        .workspaces()
        .await?
        .into_iter();
    Ok(axum::Json(List::whole(
        rows.map(|(row, role)| view(row, role)),
    )))
}

/// A name for a workspace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceName {
    /// 1 to 100 characters.
    name: String,
}

/// Create a workspace in one's own account; one becomes its owner.
///
/// It starts with the account's defaults, the key among them included; see `update_ai_defaults`.
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "workspaces",
    extensions(("x-action" = json!("use_own_user"))), request_body = WorkspaceName,
    responses((status = 201, body = WorkspaceView), Additions))]
async fn create_workspace(
    access: Access<UseOwnUser>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<WorkspaceName>,
) -> Result<(StatusCode, axum::Json<WorkspaceView>), Problem> {
    let name = text::name(&body.name)?;
    let row = workspaces::create(&state, &call, &access.scope, &access.principal, name).await?;
    Ok((StatusCode::CREATED, axum::Json(view(row, Role::Owner))))
}

/// See a workspace.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    extensions(("x-action" = json!("read_workspace"))),
    responses((status = 200, body = WorkspaceView), Reads))]
async fn get_workspace(
    access: Access<ReadWorkspace>,
    State(state): State<ControlState>,
) -> Result<axum::Json<WorkspaceView>, Problem> {
    let row = state.store.within(&access.scope).workspace().await?;
    Ok(axum::Json(view(row, access.scope.role())))
}

/// Rename a workspace.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    extensions(("x-action" = json!("update_workspace"))), request_body = WorkspaceName,
    responses((status = 200, body = WorkspaceView), Writes))]
async fn update_workspace(
    access: Access<UpdateWorkspace>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<WorkspaceName>,
) -> Result<axum::Json<WorkspaceView>, Problem> {
    let name = text::name(&body.name)?;
    let within = state.store.within(&access.scope);
    let note = call.note_on("workspace.update", access.scope.workspace());
    within.rename(&name, &note, call.now).await?;
    Ok(axum::Json(view(
        within.workspace().await?,
        access.scope.role(),
    )))
}

/// Delete a workspace with its keys, members and API keys. There is no way back.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    extensions(("x-action" = json!("delete_workspace"))),
    responses((status = 204), Changes))]
async fn delete_workspace(
    access: Access<DeleteWorkspace>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let note = call.note_on("workspace.delete", access.scope.workspace());
    state
        .store
        .within(&access.scope)
        .delete(&note, call.now)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
