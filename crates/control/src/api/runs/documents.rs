//! What a run made, for those who may read the run.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::run::RunStatus;
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use store::RunRow;
use utoipa::{IntoParams, ToSchema};

use super::shared::picture;
use crate::access::{Access, NumberInPath, ReadRuns, RunInPath};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::DocumentReads;
use crate::ops::runs::document::{self, Document, Part, Pictures};
use crate::ops::runs::reading::{self, Reader};
use crate::state::ControlState;

/// A form of a document.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DocumentFormat {
    /// For programs; pictures are fetched by their paths.
    #[default]
    Json,
    /// Markdown in one file, with the pictures in it.
    Markdown,
    /// A page in one file, with the pictures in it.
    Html,
}

/// In which form the document is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DocumentQuery {
    /// `json`, `markdown` or `html`; left out: `json`.
    #[serde(default)]
    #[param(inline)]
    format: DocumentFormat,
}

/// What a run made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentView {
    /// The run.
    run_id: String,
    /// The first line of the prompt, shortened.
    title: String,
    /// The script, in Markdown; `null`: the run makes none. A model wrote it: treat it as text that anybody may have written.
    #[schema(required)]
    script: Option<String>,
    /// The pictures, in order.
    images: Vec<ImageView>,
}

/// A picture of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImageView {
    /// Its place, from 1.
    number: usize,
    /// `image/png`, `image/jpeg` or `image/webp`.
    #[schema(example = "image/png")]
    media_type: String,
    /// Its length.
    bytes: u64,
    /// Where it is fetched, with the same credential.
    path: String,
}

/// Read what a generation run made, or export it.
///
/// In Markdown and HTML the answer is a file to keep. What the model wrote is escaped where it would run or be fetched;
/// as JSON it is as it was written. A run that has not succeeded has no document: `409 run_not_done`.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/document", tag = "runs",
    params(DocumentQuery), extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, description = "The document.", content(
        (DocumentView = "application/json"), (String = "text/markdown"), (String = "text/html"))), DocumentReads))]
pub(super) async fn get_run_document(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    RunInPath(id): RunInPath,
    headers: HeaderMap,
    Query(query): Query<DocumentQuery>,
) -> Result<Response, Problem> {
    let within = state.store.within(&access.scope);
    let row = done(within.run(id).await?)?;
    let path = format!("/api/v1/workspaces/{}/runs/{id}/images", row.workspace);
    let reader = Reader::Member(row.workspace, Box::new(headers));
    let document = Document::new(row, within.run_parts(id).await?);
    let format = query.format;
    let written = reading::document(
        &state,
        reader,
        document,
        move |document, script| match format {
            DocumentFormat::Json => vec![json_part(document, script, &path)],
            DocumentFormat::Markdown => document.markdown(script),
            DocumentFormat::Html => document.html(script, &Pictures::Inside),
        },
    );
    let written = written.await?;
    Ok(match format {
        DocumentFormat::Json => typed(written, "application/json"),
        DocumentFormat::Markdown => {
            file(written, "text/markdown; charset=utf-8", &format!("{id}.md"))
        }
        DocumentFormat::Html => {
            let mut response = file(written, "text/html; charset=utf-8", &format!("{id}.html"));
            if let Ok(policy) = HeaderValue::from_str(&document::policy(&Pictures::Inside)) {
                response
                    .headers_mut()
                    .insert(CONTENT_SECURITY_POLICY, policy);
            }
            response
        }
    })
}

fn json_part(document: &Document, script: Option<&str>, path: &str) -> Part {
    let images = document.images.iter().enumerate();
    let images = images.map(|(at, part)| ImageView {
        number: at + 1,
        media_type: part.media_type.clone(),
        bytes: part.bytes,
        path: format!("{path}/{}", at + 1),
    });
    let view = DocumentView {
        run_id: document.run.id.to_string(),
        title: document.title(),
        images: images.collect(),
        script: script.map(str::to_owned),
    };
    Part::Text(serde_json::to_vec(&view).unwrap_or_default().into())
}

/// The run, if there is something to read.
fn done(row: RunRow) -> Result<RunRow, Problem> {
    match row.status {
        RunStatus::Succeeded => Ok(row),
        status => Err(Problem::new(Code::RunNotDone)
            .because(format!("the run is {status}"))
            .with("status", status.as_str())),
    }
}

fn typed(body: Body, media_type: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A file to keep.
fn file(body: Body, media_type: &'static str, name: &str) -> Response {
    let mut response = typed(body, media_type);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// Fetch a picture of a generation run that succeeded, by its place from 1.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/images/{number}", tag = "runs",
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, description = "The picture.", content(
        (String = "image/png"), (String = "image/jpeg"), (String = "image/webp"))), DocumentReads))]
pub(super) async fn get_run_image(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    RunInPath(id): RunInPath,
    NumberInPath(number): NumberInPath,
    headers: HeaderMap,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let within = state.store.within(&access.scope);
    let row = done(within.run(id).await?)?;
    let parts = within.run_parts(id).await?;
    let reader = Reader::Member(row.workspace, Box::new(headers));
    picture(&state, reader, row, parts, &number)
}
