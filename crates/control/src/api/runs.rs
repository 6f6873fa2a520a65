//! Generation runs: a prompt becomes a document of a script, pictures or both.

use axum::extract::State;
use domain::Secret;
use domain::policy::KeySource;
use domain::run::{OutputType, RunStatus, Step, StepStatus, Visibility};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::RunRow;
use utoipa::ToSchema;

use crate::access::{Access, ReadRuns, RunInPath, WriteRuns};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, Reads, RunStarts, Writes};
use crate::ops::labels::LabelSight;
use crate::ops::runs::{self, Wanted};
use crate::page::{List, PageQuery};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

mod documents;
mod events;
mod options;
mod shared;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_runs, create_run))
        .routes(routes!(options::get_run_options))
        .routes(routes!(get_run, update_run, delete_run))
        .routes(routes!(cancel_run))
        .routes(routes!(retry_run))
        .routes(routes!(events::stream_run_events))
        .routes(routes!(documents::get_run_document))
        .routes(routes!(documents::get_run_image))
        .merge(shared::routes())
}

/// A generation run, without what it made.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunView {
    /// The id.
    #[schema(example = "run_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// Its workspace.
    workspace_id: String,
    /// Who made it.
    user_id: String,
    /// How far it has come.
    #[schema(schema_with = schema::run_status)]
    status: RunStatus,
    /// What is to be made.
    prompt: String,
    /// What it makes.
    #[schema(schema_with = schema::output_types)]
    output_types: Vec<OutputType>,
    /// How many pictures.
    image_count: usize,
    /// Who may read it.
    #[schema(schema_with = schema::visibility)]
    visibility: Visibility,
    /// What writes the script, chosen when the run was made; `null`: it has none.
    #[schema(required)]
    model: Option<PinnedView>,
    /// Its steps, in order.
    steps: Vec<RunStepView>,
    /// Why it failed; `null`: it did not.
    #[schema(required)]
    error: Option<RunErrorView>,
    /// How often it was tried again.
    retries: u32,
    /// Rises with every change; the id of its events.
    version: i64,
    /// When it was made; RFC 3339, UTC.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    /// When work on it began; `null`: it waits.
    #[schema(required)]
    started_at: Option<String>,
    /// When it ended; `null`: it has not.
    #[schema(required)]
    ended_at: Option<String>,
    /// Where whoever has it reads the document, under the address of this instance; only in the answer to who made the
    /// link, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/share/kbl_...")]
    link_path: Option<String>,
}

/// What writes the script.
#[derive(Debug, Serialize, ToSchema)]
pub struct PinnedView {
    /// What was asked for, or what the default was.
    requested: String,
    /// The id of the provider.
    provider: String,
    /// The provider's own name of the model.
    model: String,
    /// Who pays.
    #[schema(schema_with = schema::key_source)]
    key_source: &'static str,
    /// The own key; `null`: the instance's keys serve.
    #[schema(required)]
    key_id: Option<String>,
    /// What the own key was called when the run was made; `null`: there is none, or the caller may not see its label.
    #[schema(required)]
    key_label: Option<String>,
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunStepView {
    /// What it makes.
    #[schema(schema_with = schema::output_type)]
    output_type: OutputType,
    /// How far it has come.
    #[schema(schema_with = schema::step_status)]
    status: StepStatus,
    /// How many calls were made for it.
    attempts: u32,
    /// The id of the provider of the last call; `null`: none was made.
    #[schema(required)]
    provider: Option<String>,
    /// The provider's own name of its model.
    #[schema(required)]
    model: Option<String>,
    /// Who paid.
    #[schema(schema_with = schema::nullable_key_source)]
    key_source: Option<&'static str>,
    /// The id of the last call, the same as in the usage.
    #[schema(required)]
    request_id: Option<String>,
    /// When it began.
    #[schema(required)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(required)]
    ended_at: Option<String>,
}

/// Why a run failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunErrorView {
    /// The code, as a call of a model answers it, or one of runs alone.
    #[schema(example = "byok_key_revoked")]
    code: String,
    /// What happened.
    message: String,
    /// What to do about it.
    #[schema(
        example = "make a new run, which is made for what serves now; or ask an admin of the workspace"
    )]
    hint: String,
    /// The place of the step that failed, from 0.
    step: usize,
}

/// The run for somebody who may see these labels.
pub(super) fn view(row: RunRow, link: Option<&Secret>, sight: LabelSight) -> RunView {
    let plan = &row.plan;
    let is = |output: OutputType| move |step: &&Step| step.output == output;
    let count = |output: OutputType| plan.steps.iter().filter(is(output)).count();
    let all = OutputType::ALL.iter().copied();
    let link_path =
        link.map(|link| link.expose(|text| format!("/share/{}", String::from_utf8_lossy(text))));
    RunView {
        output_types: all.filter(|output| count(*output) > 0).collect(),
        image_count: count(OutputType::Image),
        model: plan.pinned.as_ref().map(|pinned| PinnedView {
            requested: pinned.requested.clone(),
            provider: pinned.provider.to_string(),
            model: pinned.model.clone(),
            key_source: pinned.source.as_str(),
            key_id: pinned.key.map(|key| key.to_string()),
            key_label: pinned
                .label
                .as_ref()
                .filter(|_| sight.sees_pinned(pinned.owner))
                .map(ToString::to_string),
        }),
        steps: plan.steps.iter().map(step).collect(),
        error: plan.failure().map(|(step, failure)| RunErrorView {
            code: failure.code.clone(),
            message: failure.message.clone(),
            hint: failure
                .hint
                .clone()
                .unwrap_or_else(|| "try the run again, or make a new one".to_owned()),
            step,
        }),
        retries: plan.retries,
        id: row.id.to_string(),
        workspace_id: row.workspace.to_string(),
        user_id: row.user.to_string(),
        status: row.status,
        visibility: row.visibility,
        version: row.version,
        created_at: row.created_at.to_string(),
        updated_at: row.updated_at.to_string(),
        started_at: row.started_at.map(|at| at.to_string()),
        ended_at: row.ended_at.map(|at| at.to_string()),
        prompt: row.prompt,
        link_path,
    }
}

fn step(step: &Step) -> RunStepView {
    let moment = |millis: Option<i64>| {
        millis.map(|millis| domain::Timestamp::from_millis(millis).to_string())
    };
    RunStepView {
        output_type: step.output,
        status: step.status,
        attempts: step.attempts,
        provider: step.provider.as_ref().map(ToString::to_string),
        model: step.model.clone(),
        key_source: step.source.map(KeySource::as_str),
        request_id: step.request.map(|id| id.to_string()),
        started_at: moment(step.started_at_ms),
        ended_at: moment(step.ended_at_ms),
    }
}

/// What is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRunBody {
    /// 1 to 8000 characters.
    prompt: String,
    /// The model of the script, a tier or `default`; left out or `null`: the caller's default.
    #[serde(default)]
    #[schema(example = "openai/gpt-4o-mini")]
    model: Option<String>,
    /// What to make; left out: a script.
    #[serde(default = "script")]
    #[schema(schema_with = schema::output_types)]
    output_types: Vec<OutputType>,
    /// How many pictures, 1 to 4; left out: one, where `image` is among the outputs.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 4)]
    image_count: Option<usize>,
    /// Who may read it; left out: nobody else.
    #[serde(default = "private")]
    #[schema(schema_with = schema::visibility)]
    visibility: Visibility,
}

fn script() -> Vec<OutputType> {
    vec![OutputType::Script]
}

fn private() -> Visibility {
    Visibility::Private
}

/// List the generation runs that one may read, newest first: one's own, and those that others share.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs", tag = "runs", params(PageQuery),
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, body = List<RunView>), Reads))]
async fn list_runs(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<RunView>>, Problem> {
    let page = query.request()?;
    let page = state.store.within(&access.scope).list_runs(&page).await?;
    let sight = LabelSight::of(&state, &access.scope).await?;
    Ok(axum::Json(List::of(page, |row| view(row, None, sight))))
}

/// Start a generation run. It is worked on in the background, step by step, and survives a restart.
///
/// The script is written by the chosen model with the key that would serve a call now, own or the instance's; both are
/// pinned, and nothing stands in for them later. Pictures are made by the instance's image models and paid by credits.
/// Outputs are all or nothing: one that fails fails the run. An API key also needs the scope `inference:invoke`.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/runs", tag = "runs",
    extensions(("x-action" = json!("write_runs"))), request_body = NewRunBody,
    responses((status = 202, body = RunView, description = "Accepted."), RunStarts))]
async fn create_run(
    access: Access<WriteRuns>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewRunBody>,
) -> Result<(StatusCode, axum::Json<RunView>), Problem> {
    let wanted = Wanted {
        prompt: body.prompt,
        model: body.model,
        outputs: body.output_types,
        images: body.image_count,
        visibility: body.visibility,
    };
    // Asked first: what was made must not be answered with a failure.
    let sight = LabelSight::of(&state, &access.scope).await?;
    let (row, link) = runs::create(&state, &call, &access.scope, wanted).await?;
    Ok((
        StatusCode::ACCEPTED,
        axum::Json(view(row, link.as_ref(), sight)),
    ))
}

/// See a generation run.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}", tag = "runs",
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, body = RunView), Reads))]
async fn get_run(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    RunInPath(id): RunInPath,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<RunView>, Problem> {
    let row = state.store.within(&access.scope).run(id).await?;
    let sight = LabelSight::of(&state, &access.scope).await?;
    Ok(axum::Json(view(row, None, sight)))
}

/// Who may read a run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSharing {
    /// Who may read it beside its maker.
    #[schema(schema_with = schema::visibility)]
    visibility: Visibility,
}

/// Share a generation run, or stop doing so; its maker may.
///
/// With `link` the answer has a new link, this once; a link that was given out before ends with every change.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}", tag = "runs",
    extensions(("x-action" = json!("write_runs"))), request_body = RunSharing,
    responses((status = 200, body = RunView), Writes))]
async fn update_run(
    access: Access<WriteRuns>,
    State(state): State<ControlState>,
    call: Call,
    RunInPath(id): RunInPath,
    Json(body): Json<RunSharing>,
) -> Result<axum::Json<RunView>, Problem> {
    let sight = LabelSight::of(&state, &access.scope).await?;
    let shared = runs::share(&state, &call, &access.scope, id, body.visibility).await;
    let (row, link) = shared?;
    Ok(axum::Json(view(row, link.as_ref(), sight)))
}

/// Delete a generation run with everything in it; its maker may, and admins who see it. There is no way back.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}", tag = "runs",
    extensions(("x-action" = json!("write_runs"))),
    responses((status = 204), Changes))]
async fn delete_run(
    access: Access<WriteRuns>,
    State(state): State<ControlState>,
    call: Call,
    RunInPath(id): RunInPath,
) -> Result<StatusCode, Problem> {
    runs::delete(&state, &call, &access.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancel a generation run that has not ended; its maker may, and admins who see it.
///
/// A call that runs is given up within two seconds; what its provider did of it is charged as when a client goes away.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/cancel", tag = "runs",
    extensions(("x-action" = json!("write_runs"))),
    responses((status = 200, body = RunView), Changes))]
async fn cancel_run(
    access: Access<WriteRuns>,
    State(state): State<ControlState>,
    call: Call,
    RunInPath(id): RunInPath,
) -> Result<axum::Json<RunView>, Problem> {
    let sight = LabelSight::of(&state, &access.scope).await?;
    let row = runs::cancel(&state, &call, &access.scope, id).await?;
    Ok(axum::Json(view(row, None, sight)))
}

/// Retry a generation run that failed or was cancelled; its maker may.
///
/// It goes on at the step that did not succeed; model and key stay pinned.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/retry", tag = "runs",
    extensions(("x-action" = json!("write_runs"))),
    responses((status = 202, body = RunView, description = "Accepted."), Changes))]
async fn retry_run(
    access: Access<WriteRuns>,
    State(state): State<ControlState>,
    call: Call,
    RunInPath(id): RunInPath,
) -> Result<(StatusCode, axum::Json<RunView>), Problem> {
    let sight = LabelSight::of(&state, &access.scope).await?;
    let row = runs::retry(&state, &call, &access.scope, id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view(row, None, sight))))
}
