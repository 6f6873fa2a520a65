//! Services that a workspace's machines keep running.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::service::{CommandLine, Restart, Service, ServiceName, Variables};
use http::StatusCode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use store::ServiceRow;
use utoipa::ToSchema;

use crate::access::{Access, ReadServices, ServiceInPath, WriteServices};
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, GuardedWrites, Reads, Writes};
use crate::ops::services::{self, Change};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_services, create_service))
        .routes(routes!(get_service, update_service, delete_service))
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceView {
    /// The id.
    #[schema(example = "svc_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// What it is called.
    #[schema(example = "web")]
    name: String,
    /// The program and its arguments.
    #[schema(example = json!(["python", "-m", "agent"]))]
    command: Vec<String>,
    /// Its own variables. Members of the workspace see them: they are no place for secrets.
    env: BTreeMap<String, String>,
    #[schema(schema_with = schema::restart)]
    restart: Restart,
    /// Whether `keybearer workspace up` starts it.
    auto_enable: bool,
    /// SHA-256 of the definition, in hex.
    content_sha256: String,
    /// Counts its changes, from 1.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed the last time.
    updated_at: String,
}

impl From<ServiceRow> for ServiceView {
    fn from(row: ServiceRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.service.name.to_string(),
            command: row.service.command.into(),
            env: row.service.env.into(),
            restart: row.service.restart,
            auto_enable: row.service.auto_enable,
            content_sha256: row.content_sha256,
            version: row.version,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

/// List the services of a workspace, by name.
///
/// All in one answer: there are at most 50.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/services", tag = "services",
    extensions(("x-action" = json!("read_services"))),
    responses((status = 200, body = List<ServiceView>), Reads))]
async fn list_services(
    access: Access<ReadServices>,
    State(state): State<ControlState>,
) -> Result<axum::Json<List<ServiceView>>, Problem> {
    let rows = state.store.within(&access.scope).services().await?;
    let views = rows.into_iter().map(ServiceView::from);
    Ok(axum::Json(List::whole(views)))
}

/// What a new service is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// 1 to 40 characters of a-z, 0-9 and hyphens, beginning with a letter; no other service here has it.
    #[schema(value_type = String, example = "web")]
    name: ServiceName,
    /// The program and its arguments, 1 to 64 words of at most 8192 bytes together, without control characters. No shell
    /// reads it.
    #[schema(value_type = Vec<String>, example = json!(["python", "-m", "agent"]))]
    command: CommandLine,
    /// Its own variables: at most 64, of at most 32768 bytes each and 65536 together. Names that decide what code runs, whom
    /// it trusts or where it sends are refused. Members of the workspace see them: they are no place for secrets.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, example = json!({"PORT": "8080"}))]
    env: Variables,
    /// `always`, `on-failure` or `no`; `on-failure` when left out.
    #[serde(default = "on_failure")]
    #[schema(value_type = Option<String>, example = "on-failure")]
    restart: Restart,
    /// Whether `keybearer workspace up` starts it; `false` when left out.
    #[serde(default)]
    auto_enable: bool,
}

fn on_failure() -> Restart {
    Restart::OnFailure
}

/// Add a service.
///
/// With `auto_enable` it runs on every machine that starts the workspace from then on.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/services", tag = "services",
    extensions(("x-action" = json!("write_services"))), request_body = NewService,
    responses((status = 201, body = ServiceView), Writes))]
async fn create_service(
    access: Access<WriteServices>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewService>,
) -> Result<(StatusCode, axum::Json<ServiceView>), Problem> {
    let service = Service {
        name: body.name,
        command: body.command,
        env: body.env,
        restart: body.restart,
        auto_enable: body.auto_enable,
    };
    let row = services::create(&state, &call, &access.scope, service).await?;
    Ok((StatusCode::CREATED, axum::Json(row.into())))
}

/// Get a service.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/services/{service_id}", tag = "services",
    extensions(("x-action" = json!("read_services"))),
    responses((status = 200, body = ServiceView, headers(("etag" = String, description = "Names this state of it."))), Reads))]
async fn get_service(
    access: Access<ReadServices>,
    ServiceInPath(id): ServiceInPath,
    State(state): State<ControlState>,
) -> Result<Response, Problem> {
    tagged(state.store.within(&access.scope).service(id).await?)
}

/// The service with the tag of its state.
fn tagged(row: ServiceRow) -> Result<Response, Problem> {
    let tag = tag::of(&row.version)?;
    Ok(([(ETAG, tag)], axum::Json(ServiceView::from(row))).into_response())
}

/// What is to change of a service. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServicePatch {
    /// Another name.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "web")]
    name: Option<ServiceName>,
    /// Another command.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    command: Option<CommandLine>,
    /// Its variables, all of them: they take the place of those that it has.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    env: Option<Variables>,
    /// `always`, `on-failure` or `no`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "always")]
    restart: Option<Restart>,
    /// Whether `keybearer workspace up` starts it.
    #[serde(default)]
    auto_enable: Option<bool>,
}

/// Change a service.
///
/// Where it runs it goes on as it was started, until the workspace is started again there. With `If-Match` only while the service
/// is as it was read: whoever replaces its command or its variables sends the `etag` of the answer that they are from.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/services/{service_id}", tag = "services",
    extensions(("x-action" = json!("write_services"))), request_body = ServicePatch,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the service that one has read; left out: \
        whatever it is now.")),
    responses((status = 200, body = ServiceView, headers(("etag" = String, description = "Names this state of it."))), GuardedWrites))]
async fn update_service(
    access: Access<WriteServices>,
    ServiceInPath(id): ServiceInPath,
    State(state): State<ControlState>,
    call: Call,
    if_match: IfMatch,
    Json(body): Json<ServicePatch>,
) -> Result<Response, Problem> {
    let change = Change {
        name: body.name,
        command: body.command,
        env: body.env,
        restart: body.restart,
        auto_enable: body.auto_enable,
    };
    let seen = |row: &ServiceRow| if_match.allows(&row.version, "the service");
    tagged(services::update(&state, &call, &access.scope, id, change, seen).await?)
}

/// Delete a service.
///
/// Where it runs it goes on, until the workspace is started again there.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/services/{service_id}", tag = "services",
    extensions(("x-action" = json!("write_services"))),
    responses((status = 204), Changes))]
async fn delete_service(
    access: Access<WriteServices>,
    ServiceInPath(id): ServiceInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    services::delete(&state, &call, &access.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
