//! What a workspace used.

use axum::extract::State;
use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{ApiKeyId, KeyScope, Label, NanoUsd, ProviderId, ProviderKeyId, UserId};
use serde::{Deserialize, Serialize};
use store::{AttemptRow, StatusFilter, UsageFilter, UsageRow};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ReadUsage, RequestInPath};
use crate::api::api_keys::Moment;
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::Reads;
use crate::ops::labels::LabelSight;
use crate::page::{List, page_request};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_usage))
        .routes(routes!(get_usage))
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
    /// Only calls that this provider served last.
    #[param(value_type = Option<String>)]
    provider: Option<ProviderId>,
    /// Only calls of this model, by the provider's own name.
    model: Option<String>,
    /// Only calls that this own key served.
    #[param(value_type = Option<String>)]
    provider_key_id: Option<ProviderKeyId>,
    /// Only calls with this API key.
    #[param(value_type = Option<String>)]
    api_key_id: Option<ApiKeyId>,
    /// Only calls with API keys of this person.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// Only calls that were paid so: `byok` or `managed`.
    #[param(value_type = Option<String>)]
    key_source: Option<KeySource>,
    /// Only calls that ended so: `ok`, `failed` (400 or more), or one status such as `429`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// The `next` of the part before.
    after: Option<String>,
}

/// How a call ended, as a client asks for it.
struct Status(StatusFilter);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let exactly = || text.parse().ok().filter(|it| (100..600).contains(it));
        match (text.as_str(), exactly()) {
            ("ok", _) => Ok(Self(StatusFilter::Ok)),
            ("failed", _) => Ok(Self(StatusFilter::Failed)),
            (_, Some(status)) => Ok(Self(StatusFilter::Exactly(status))),
            (_, None) => Err(serde::de::Error::custom("not a status")),
        }
    }
}

impl UsageQuery {
    /// Which calls, how many, and after which place.
    pub(crate) fn parts(self) -> (UsageFilter, Option<u32>, Option<String>) {
        let filter = UsageFilter {
            from: self.from.map(|at| at.0),
            to: self.to.map(|at| at.0),
            provider: self.provider,
            model: self.model,
            provider_key: self.provider_key_id,
            api_key: self.api_key_id,
            user: self.user_id,
            key_source: self.key_source,
            status: self.status.map(|it| it.0),
        };
        (filter, self.limit, self.after)
    }
}

/// One call of a model. Neither prompt nor answer is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// The request's id.
    request_id: String,
    /// When it ended; RFC 3339, UTC.
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
    /// The id of the provider that served; `null`: none did.
    provider: Option<String>,
    /// The model, as the provider names it.
    model: Option<String>,
    /// Who paid: `byok`, the owner of the key; `managed`, credits.
    #[schema(schema_with = schema::nullable_key_source)]
    key_source: Option<&'static str>,
    /// The label of the own key that served; `null` where the caller may not see it, see `key_scope`.
    key_label: Option<String>,
    /// Whose the key is that served.
    #[schema(schema_with = schema::nullable_key_scope)]
    key_scope: Option<&'static str>,
    /// The status that the client got.
    status: i64,
    /// The code that the client got, or `client_closed` when it went away.
    error_code: Option<String>,
    /// Whether the answer was a stream.
    streamed: bool,
    /// What was consumed; `null` when the provider did not say.
    usage: Option<TokensView>,
    /// From the request to the end of the answer, in milliseconds.
    latency_ms: i64,
    /// From the request to the first byte of the answer, in milliseconds; `null`: there was none.
    first_byte_ms: Option<i64>,
    /// The length of the request's body, in bytes.
    request_bytes: i64,
    /// The length of the answer's body, in bytes.
    response_bytes: i64,
    /// The status that the provider answered.
    upstream_status: Option<i64>,
    /// What the call costs at list price, in billionths of a US dollar; `null`: not known.
    cost_nano_usd: Option<i64>,
    /// How well that is known: `priced`, `estimated` from tokens that were counted here or for another tier of service, `unpriced`.
    #[schema(schema_with = schema::nullable_pricing)]
    pricing: Option<&'static str>,
    /// The version of the price catalog that `cost_nano_usd` is from; `null`: none was asked.
    catalog_version: Option<String>,
    /// What was charged in credits, in billionths of a US dollar; nothing for own keys.
    charge_nano_usd: i64,
    /// Whether credits paid because an own key had failed.
    fallback: bool,
    /// What was tried, in order; empty for a call that was refused before.
    attempts: Vec<AttemptView>,
}

/// One try to serve a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// The provider.
    provider: String,
    /// The model, as the provider names it.
    model: String,
    /// The own key; `null` for the instance's.
    key_id: Option<String>,
    /// The label of the own key at that time; `null` where the caller may not see it, see `key_scope`.
    key_label: Option<String>,
    /// Whose that key is.
    #[schema(schema_with = schema::nullable_key_scope)]
    key_scope: Option<&'static str>,
    /// Who would have paid.
    #[schema(schema_with = schema::key_source)]
    key_source: &'static str,
    /// The status that the provider answered.
    status: Option<i64>,
    /// `ok`; `cancelled`, because another one that ran beside it won; or the code of what went wrong.
    outcome: String,
    /// How long it took, in milliseconds.
    latency_ms: i64,
    /// Of an attempt that was cancelled, what its provider may ask for the input at list price, in billionths of a US dollar,
    /// at an estimate. It is no part of the call's cost. `null`: its request had not left, or its price is not known.
    cost_nano_usd: Option<i64>,
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

/// List the calls of a workspace, newest first, failed ones too; for a plain member their own alone.
///
/// One's own calls are those with API keys that one minted, and those of the playground. In pages: `limit` and `after` name the
/// part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/usage", tag = "usage", params(UsageQuery),
    extensions(("x-action" = json!("read_usage"))),
    responses((status = 200, body = List<UsageView>), Reads))]
async fn list_usage(
    access: Access<ReadUsage>,
    State(state): State<ControlState>,
    Query(query): Query<UsageQuery>,
) -> Result<axum::Json<List<UsageView>>, Problem> {
    let (filter, limit, after) = query.parts();
    let page = page_request(limit, after)?;
    let page = state
        .store
        .within(&access.scope)
        .usage(filter, &page)
        .await?;
    let sight = LabelSight::of(&state, &access.scope).await?;
    Ok(axum::Json(List::of(page, |row| view(row, sight))))
}

/// See one call of a workspace, by the id in its answer's `x-keybearer-request-id`; a plain member one of their own.
///
/// A call is written when it has ended, within about a second; until then, as for one that nobody made, `404`.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/usage/{request_id}", tag = "usage",
    extensions(("x-action" = json!("read_usage"))),
    responses((status = 200, body = UsageView), Reads))]
async fn get_usage(
    access: Access<ReadUsage>,
    RequestInPath(request): RequestInPath,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<UsageView>, Problem> {
    let row = state.store.within(&access.scope).call(request).await?;
    let row = row.ok_or_else(|| {
        Problem::new(Code::NotFound)
            .because("no call with this id is recorded that the caller may see")
            .advise("A call is recorded within about a second of its end: wait, then ask again.")
    })?;
    let sight = LabelSight::of(&state, &access.scope).await?;
    Ok(axum::Json(view(row, sight)))
}

/// A call as somebody sees it who sees these labels.
pub(crate) fn view(row: UsageRow, sight: LabelSight) -> UsageView {
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
        key_label: label(row.key_source, row.key_scope, row.key_label, sight),
        key_scope: row.key_scope.map(KeyScope::as_str),
        key_source: row.key_source.map(KeySource::as_str),
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
        cost_nano_usd: row.cost.map(NanoUsd::nanos),
        pricing: row.pricing.map(Pricing::as_str),
        catalog_version: row.catalog_version,
        charge_nano_usd: row.charge.nanos(),
        fallback: row.fallback,
        attempts: row
            .attempts
            .into_iter()
            .map(|row| attempt(row, sight))
            .collect(),
    }
}

fn attempt(row: AttemptRow, sight: LabelSight) -> AttemptView {
    let source = Some(row.key_source);
    AttemptView {
        provider: row.provider.to_string(),
        model: row.model,
        key_id: own(source, row.key),
        key_label: label(source, row.key_scope, row.label, sight),
        key_scope: row.key_scope.map(KeyScope::as_str),
        key_source: row.key_source.as_str(),
        status: row.status,
        outcome: row.outcome,
        latency_ms: row.latency_ms,
        cost_nano_usd: row.cost.map(NanoUsd::nanos),
    }
}

/// What an own key was called, if that is shown.
pub(crate) fn label(
    source: Option<KeySource>,
    scope: Option<KeyScope>,
    label: Option<Label>,
    sight: LabelSight,
) -> Option<String> {
    own(source, label.filter(|_| sight.sees(scope)))
}

/// What is said of an own key. Which of its keys the instance used is its own business.
fn own(source: Option<KeySource>, said: Option<impl ToString>) -> Option<String> {
    let managed = source == Some(KeySource::Managed);
    said.filter(|_| !managed).map(|it| it.to_string())
}
