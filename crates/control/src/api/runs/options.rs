//! What a run that is made now can have.

use axum::extract::State;
use domain::run::{MAX_IMAGES, MAX_PROMPT_CHARS};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ReadRuns};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::runs;
use crate::state::ControlState;

/// What a run that is made now can have.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunOptionsView {
    /// The longest prompt, in characters.
    #[schema(example = 8000)]
    max_prompt_chars: usize,
    /// Whether it can have pictures.
    pictures: PicturesView,
}

/// Whether runs can have pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PicturesView {
    /// Whether something would make them now.
    available: bool,
    /// The most pictures of a run.
    #[schema(example = 4)]
    max_count: usize,
    /// The models that would be asked, in this order; empty where none would.
    models: Vec<PainterView>,
    /// Why there are none, as `details.code` of `run_not_servable` says it: `images_not_configured`, `byok_required`,
    /// `managed_unavailable` or `credits_exhausted`; `null`: there are.
    #[schema(required, example = json!(null))]
    code: Option<&'static str>,
    /// What is the matter; `null`: nothing.
    #[schema(required, example = json!(null))]
    reason: Option<String>,
    /// What to do about it; `null`: nothing.
    #[schema(required, example = json!(null))]
    hint: Option<&'static str>,
}

/// A model that makes pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PainterView {
    /// The id of the provider.
    #[schema(example = "google")]
    provider: String,
    /// The provider's own name of the model.
    #[schema(example = "gemini-nano-banana-2.1")]
    model: String,
    /// What a picture takes in credits, in nano-USD.
    charge_nano_usd: i64,
}

/// See what a generation run can have that is made now: whether pictures are possible, and if not, why.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/run-options", tag = "runs",
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, body = RunOptionsView), Reads))]
pub(super) async fn get_run_options(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<RunOptionsView>, Problem> {
    let painters = runs::pictures(&state, &call, &access.scope).await?;
    let lack = painters.as_ref().err().copied();
    let models = painters.unwrap_or_default().into_iter();
    let models = models.map(|painter| PainterView {
        provider: painter.provider.to_string(),
        model: painter.model,
        charge_nano_usd: painter.charge.nanos(),
    });
    Ok(axum::Json(RunOptionsView {
        max_prompt_chars: MAX_PROMPT_CHARS,
        pictures: PicturesView {
            available: lack.is_none(),
            max_count: MAX_IMAGES,
            models: models.collect(),
            code: lack.map(|lack| lack.code),
            reason: lack.map(|lack| lack.text()),
            hint: lack.map(|lack| lack.hint().unwrap_or(Code::RunNotServable.advice())),
        },
    }))
}
