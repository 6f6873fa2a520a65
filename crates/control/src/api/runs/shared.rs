//! A run's document for whoever has the link. Nothing but the link is asked for, and nothing else is shown.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::run::OutputType;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use store::{RunResult, RunRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{LinkInPath, NumberInPath};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::SharedReads;
use crate::ops::runs;
use crate::ops::runs::document::{self, Document, Pictures};
use crate::state::ControlState;

pub(super) fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new()
        .routes(routes!(get_shared_run))
        .routes(routes!(get_shared_image))
}

/// Read the document of a generation run that is shared by this link, as a page.
///
/// Everything that the model wrote is escaped; the page's policy lets it show its own style and pictures and nothing
/// else. It asks to be in no index. A link that never was, one that has ended and one of a run that is not done are
/// answered alike.
#[utoipa::path(get, path = "/share/{link}", tag = "runs",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, description = "The page.", content((String = "text/html"))), SharedReads))]
async fn get_shared_run(
    State(state): State<ControlState>,
    LinkInPath(link): LinkInPath,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let row = runs::shared(&state, &link).await?;
    let results = state.store.system().run_results(row.id).await?;
    let document = Document::new(row, results);
    let images = format!("/share/{link}/images");
    let page = document.html(&Pictures::At(&images));
    let policy = HeaderValue::from_str(&document::policy("'self'"));
    let policy = policy.map_err(|error| Problem::internal(&error))?;
    Ok(apart(
        page.into_response(),
        policy,
        HeaderValue::from_static("text/html; charset=utf-8"),
    ))
}

/// Fetch a picture of a generation run that is shared by this link, by its place from 1.
#[utoipa::path(get, path = "/share/{link}/images/{number}", tag = "runs",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, description = "The picture.", content(
        (String = "image/png"), (String = "image/jpeg"), (String = "image/webp"))), SharedReads))]
async fn get_shared_image(
    State(state): State<ControlState>,
    LinkInPath(link): LinkInPath,
    NumberInPath(number): NumberInPath,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let row = runs::shared(&state, &link).await?;
    let step = step_of(&row, &number)?;
    let results = state.store.system().run_result(row.id, step).await?;
    let result = results.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(picture(result))
}

/// The step that made a picture.
pub(super) fn step_of(row: &RunRow, number: &str) -> Result<usize, Problem> {
    let steps = row.plan.steps.iter().enumerate();
    let mut images = steps.filter(|(_, step)| step.output == OutputType::Image);
    let number: usize = number.parse().unwrap_or(0);
    let found = number.checked_sub(1).and_then(|at| images.nth(at));
    let (step, _) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(step)
}

/// A picture, of one of the three types that are kept.
pub(super) fn picture(result: RunResult) -> Response {
    let media_type = match result.media_type.as_str() {
        "image/png" => "image/png",
        "image/jpeg" => "image/jpeg",
        "image/webp" => "image/webp",
        _ => "application/octet-stream",
    };
    apart(
        result.content.into_response(),
        HeaderValue::from_static("default-src 'none'; sandbox"),
        HeaderValue::from_static(media_type),
    )
}

/// An answer that stands alone and in no index.
fn apart(mut response: Response, policy: HeaderValue, media_type: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow"),
    );
    response
}
