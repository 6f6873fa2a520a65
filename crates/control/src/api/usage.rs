//! What a workspace used.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{UsageFilter, UsageRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Access, ReadUsage};
use crate::api::api_keys::Moment;
use crate::body::Query;
use crate::error::Problem;
use crate::openapi::Reads;
use crate::page::{List, page_request};
use crate::state::ControlState;

/// The routes of this resource.
pub fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new().routes(routes!(list_usage))
}

/// Which calls are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// From this moment on; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the part before.
    after: Option<String>,
}

/// One call of a model. Neither prompt nor answer is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// The request's id.
    request_id: String,
    /// When it ended.
    at: String,
    /// The API key that was presented.
    api_key_id: String,
    /// Who minted the API key.
    user_id: String,
    /// The client's format: `openai_chat`, `anthropic_messages`.
    wire_format: String,
    /// What was called.
    operation: String,
    /// The model, as the client named it.
    model_requested: String,
    /// Who served.
    provider: Option<String>,
    /// The model, as the provider names it.
    model: Option<String>,
    /// Whose key served: `byok`.
    key_source: Option<String>,
    /// The label of the key that served.
    key_label: Option<String>,
    /// The status that the client got.
    status: i64,
    /// The code that the client got, or `client_closed` when it went away.
    error_code: Option<String>,
    /// Whether the answer was a stream.
    streamed: bool,
    /// What was consumed; `null` when the provider did not say.
    usage: Option<TokensView>,
    /// From the request to the end of the answer.
    latency_ms: i64,
    /// From the request to the first byte of the answer.
    first_byte_ms: Option<i64>,
    /// The length of the request's body.
    request_bytes: i64,
    /// The length of the answer's body.
    response_bytes: i64,
    /// The status that the provider answered.
    upstream_status: Option<i64>,
}

/// Model tokens; each is counted once.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokensView {
    /// Neither read from nor written to the provider's cache.
    input_tokens: u64,
    /// Read from the provider's cache.
    cached_input_tokens: u64,
    /// Written to the provider's cache.
    cache_write_tokens: u64,
    /// The answer, reasoning included.
    output_tokens: u64,
    /// The part of `output_tokens` spent on reasoning.
    reasoning_tokens: u64,
}

/// List the calls of a workspace, newest first, failed ones too.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/usage", tag = "usage", params(UsageQuery),
    extensions(("x-action" = json!("read_usage"))),
    responses((status = 200, body = List<UsageView>), Reads))]
async fn list_usage(
    access: Access<ReadUsage>,
    State(state): State<ControlState>,
    Query(query): Query<UsageQuery>,
) -> Result<axum::Json<List<UsageView>>, Problem> {
    let filter = UsageFilter {
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
    };
    let page = page_request(query.limit, query.after)?;
    let page = state
        .store
        .within(&access.scope)
        .usage(filter, &page)
        .await?;
    Ok(axum::Json(List::of(page, view)))
}

fn view(row: UsageRow) -> UsageView {
    UsageView {
        request_id: row.request.to_string(),
        at: row.at.to_string(),
        api_key_id: row.api_key.to_string(),
        user_id: row.user.to_string(),
        wire_format: row.wire_format,
        operation: row.operation,
        model_requested: row.model_requested,
        provider: row.provider.map(|provider| provider.to_string()),
        model: row.model,
        key_source: row.key_source,
        key_label: row.key_label.map(|label| label.to_string()),
        status: row.status,
        error_code: row.error_code,
        streamed: row.streamed,
        usage: row.usage.map(|usage| TokensView {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }),
        latency_ms: row.latency_ms,
        first_byte_ms: row.first_byte_ms,
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        upstream_status: row.upstream_status,
    }
}
