//! Scripts that set a workspace's machines up.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::service::{Order, RunOn, Script, ScriptText, ServiceName};
use http::StatusCode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use store::ScriptRow;
use utoipa::ToSchema;

use crate::access::{Access, ReadServices, ScriptInPath, WriteServices};
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, GuardedWrites, Reads, Writes};
use crate::ops::scripts::{self, Change};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_scripts, create_script))
        .routes(routes!(get_script, update_script, delete_script))
}

/// A script.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScriptView {
    /// The id.
    #[schema(example = "scr_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// What it is called.
    #[schema(example = "install-tools")]
    name: String,
    #[schema(schema_with = schema::run_on)]
    run_on: RunOn,
    /// Its place: lower ones run first, equal ones by name.
    #[schema(minimum = 0, maximum = 9999, example = 10)]
    order: u16,
    /// Its text; left out in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// How long its text is.
    content_bytes: usize,
    /// SHA-256 of its text, in hex.
    content_sha256: String,
    /// Counts its changes, from 1.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed the last time.
    updated_at: String,
}

impl ScriptView {
    fn without_content(row: ScriptRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.script.name.to_string(),
            run_on: row.script.run_on,
            order: row.script.order.into(),
            content: None,
            content_bytes: row.script.content.as_str().len(),
            content_sha256: row.content_sha256,
            version: row.version,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }

    fn whole(row: ScriptRow) -> Self {
        Self {
            content: Some(row.script.content.clone().into()),
            ..Self::without_content(row)
        }
    }
}

/// List the scripts of a workspace in the order in which they run, without their texts.
///
/// All in one answer: there are at most 50.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/scripts", tag = "services",
    extensions(("x-action" = json!("read_services"))),
    responses((status = 200, body = List<ScriptView>), Reads))]
async fn list_scripts(
    access: Access<ReadServices>,
    State(state): State<ControlState>,
) -> Result<axum::Json<List<ScriptView>>, Problem> {
    let rows = state.store.within(&access.scope).scripts().await?;
    let views = rows.into_iter().map(ScriptView::without_content);
    Ok(axum::Json(List::whole(views)))
}

/// What a new script is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScript {
    /// 1 to 40 characters of a-z, 0-9 and hyphens, beginning with a letter; no other script here has it.
    #[schema(value_type = String, example = "install-tools")]
    name: ServiceName,
    #[schema(schema_with = schema::run_on)]
    run_on: RunOn,
    /// Its place: lower ones run first, equal ones by name.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 0, maximum = 9999, example = 10)]
    order: Order,
    /// Its text, 1 to 65536 bytes. A first line that begins with `#!` names what reads it; without one `sh` does.
    #[schema(value_type = String, example = "#!/bin/sh\nset -e\npip install -r requirements.txt\n")]
    content: ScriptText,
}

/// Add a script.
///
/// It runs on every machine that starts the workspace from then on.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/scripts", tag = "services",
    extensions(("x-action" = json!("write_services"))), request_body = NewScript,
    responses((status = 201, body = ScriptView), Writes))]
async fn create_script(
    access: Access<WriteServices>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewScript>,
) -> Result<(StatusCode, axum::Json<ScriptView>), Problem> {
    let script = Script {
        name: body.name,
        run_on: body.run_on,
        order: body.order,
        content: body.content,
    };
    let row = scripts::create(&state, &call, &access.scope, script).await?;
    Ok((StatusCode::CREATED, axum::Json(ScriptView::whole(row))))
}

/// Get a script with its text.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/scripts/{script_id}", tag = "services",
    extensions(("x-action" = json!("read_services"))),
    responses((status = 200, body = ScriptView, headers(("etag" = String, description = "Names this state of it."))), Reads))]
async fn get_script(
    access: Access<ReadServices>,
    ScriptInPath(id): ScriptInPath,
    State(state): State<ControlState>,
) -> Result<Response, Problem> {
    tagged(state.store.within(&access.scope).script(id).await?)
}

/// The script with the tag of its state.
fn tagged(row: ScriptRow) -> Result<Response, Problem> {
    let tag = tag::of(&row.version)?;
    Ok(([(ETAG, tag)], axum::Json(ScriptView::whole(row))).into_response())
}

/// What is to change of a script. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptPatch {
    /// Another name.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "install-tools")]
    name: Option<ServiceName>,
    /// `first_boot` or `every_start`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "every_start")]
    run_on: Option<RunOn>,
    /// Another place.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 0, maximum = 9999)]
    order: Option<Order>,
    /// Another text, 1 to 65536 bytes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    content: Option<ScriptText>,
}

/// Change a script.
///
/// A machine on which it ran at its first boot does not run it again. With `If-Match` only while the script is as it was read:
/// whoever edits its text sends the `etag` of the answer that the text is from.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/scripts/{script_id}", tag = "services",
    extensions(("x-action" = json!("write_services"))), request_body = ScriptPatch,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the script that one has read; left out: \
        whatever it is now.")),
    responses((status = 200, body = ScriptView, headers(("etag" = String, description = "Names this state of it."))), GuardedWrites))]
async fn update_script(
    access: Access<WriteServices>,
    ScriptInPath(id): ScriptInPath,
    State(state): State<ControlState>,
    call: Call,
    if_match: IfMatch,
    Json(body): Json<ScriptPatch>,
) -> Result<Response, Problem> {
    let change = Change {
        name: body.name,
        run_on: body.run_on,
        order: body.order,
        content: body.content,
    };
    let seen = |row: &ScriptRow| if_match.allows(&row.version, "the script");
    tagged(scripts::update(&state, &call, &access.scope, id, change, seen).await?)
}

/// Delete a script.
///
/// Machines on which it ran stay as they are.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/scripts/{script_id}", tag = "services",
    extensions(("x-action" = json!("write_services"))),
    responses((status = 204), Changes))]
async fn delete_script(
    access: Access<WriteServices>,
    ScriptInPath(id): ScriptInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    scripts::delete(&state, &call, &access.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
