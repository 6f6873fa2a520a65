//! A run's document for whoever has the link. Nothing but the link is asked for, and nothing else is shown.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::run::OutputType;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
use store::{RunPart, RunRow};

use crate::access::{LinkInPath, NumberInPath};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::SharedReads;
use crate::ops::runs;
use crate::ops::runs::document::{self, Document, Pictures};
use crate::ops::runs::reading::{self, Reader};
use crate::routes::{Routes, routes};
use crate::state::ControlState;

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_shared_run))
        .routes(routes!(get_shared_image))
}

/// Read the document of a generation run that is shared by this link, as a page.
///
/// Everything that the model wrote is escaped; the page's policy lets it show its own style and pictures, run the one
/// script that says the time in the reader's zone, and nothing else. It asks to be in no index and kept in no cache: sharing that is withdrawn ends at once, also for who reads. A
/// link that never was, one that has ended and one of a run that is not done are answered alike.
#[utoipa::path(get, path = "/share/{link}", tag = "runs",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, description = "The page.", content((String = "text/html"))), SharedReads))]
async fn get_shared_run(
    State(state): State<ControlState>,
    LinkInPath(link): LinkInPath,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let (row, hash) = runs::shared(&state, &link).await?;
    let reader = Reader::Link(row.workspace, hash);
    let parts = state.store.system().run_parts(row.id).await?;
    let document = Document::new(row, parts);
    let pictures = Pictures::At(format!("/share/{link}/images"));
    let policy = HeaderValue::from_str(&document::policy(&pictures));
    let page = reading::document(&state, reader, document, move |document, script| {
        document.html(script, &pictures)
    });
    let policy = policy.map_err(|error| Problem::internal(&error))?;
    Ok(apart(
        page.await?,
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
    let (row, hash) = runs::shared(&state, &link).await?;
    let reader = Reader::Link(row.workspace, hash);
    let parts = state.store.system().run_parts(row.id).await?;
    picture(&state, reader, row, parts, &number)
}

/// The picture that is at this place among those of the run.
pub(super) fn picture(
    state: &ControlState,
    reader: Reader,
    row: RunRow,
    parts: Vec<RunPart>,
    number: &str,
) -> Result<Response, Problem> {
    let steps = row.plan.steps.iter().enumerate();
    let mut images = steps.filter(|(_, step)| step.output == OutputType::Image);
    let number: usize = number.parse().unwrap_or(0);
    let found = number.checked_sub(1).and_then(|at| images.nth(at));
    let step = found.map(|(step, _)| step);
    let part = parts.into_iter().find(|part| Some(part.step) == step);
    let part = part.ok_or_else(|| Problem::new(Code::NotFound))?;
    // One of the three types that are kept.
    let media_type = match part.media_type.as_str() {
        "image/png" => "image/png",
        "image/jpeg" => "image/jpeg",
        "image/webp" => "image/webp",
        _ => "application/octet-stream",
    };
    Ok(apart(
        reading::picture(state, reader, row.id, part)?,
        HeaderValue::from_static("default-src 'none'; sandbox"),
        HeaderValue::from_static(media_type),
    ))
}

/// An answer that stands alone and in no index.
fn apart(body: Body, policy: HeaderValue, media_type: HeaderValue) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow"),
    );
    response
}
