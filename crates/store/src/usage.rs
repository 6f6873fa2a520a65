//! Usage: one row for each call, failed ones too. No prompt and no answer.

mod stored;
mod summary;

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{
    AccountId, ApiKeyId, Label, NanoUsd, ProviderId, ProviderKeyId, RequestId, Timestamp, Usage,
    UserId, WorkspaceId,
};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::db::Tx;
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;

pub(crate) use stored::Stored;
pub use summary::{MAX_WORKSPACES, UsageOfDay, UsageOfWorkspace};
pub(crate) use summary::{by_day, by_workspace};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The call; a second row for the same one is ignored.
    pub request: RequestId,
    /// When it ended.
    pub at: Timestamp,
    /// The account at that time.
    pub account: AccountId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The API key that called.
    pub api_key: ApiKeyId,
    /// Its minter.
    pub user: UserId,
    /// The client's wire format: `openai_chat`.
    pub wire_format: String,
    /// What was called: `chat_completions`.
    pub operation: String,
    /// The model as the client named it.
    pub model_requested: String,
    /// The provider that was called last; `None` if none was.
    pub provider: Option<ProviderId>,
    /// The provider's own name for the model.
    pub model: Option<String>,
    /// Who paid; `None`: no key was called.
    pub key_source: Option<KeySource>,
    /// The provider key.
    pub key: Option<ProviderKeyId>,
    /// Its label at that time.
    pub key_label: Option<Label>,
    /// The HTTP status that the client got.
    pub status: i64,
    /// The code of the error that the client got.
    pub error_code: Option<String>,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// What the provider reported; `None`: it did not.
    pub usage: Option<Usage>,
    /// From the request's head to the end of the answer.
    pub latency_ms: i64,
    /// From the request's head to the first byte of the provider's answer.
    pub first_byte_ms: Option<i64>,
    /// Length of the request's body.
    pub request_bytes: i64,
    /// Length of the answer's body.
    pub response_bytes: i64,
    /// The HTTP status that the provider answered.
    pub upstream_status: Option<i64>,
    /// The list price; `None`: not known.
    pub cost: Option<NanoUsd>,
    /// How sure `cost` is; `None`: nothing was called.
    pub pricing: Option<Pricing>,
    /// The version of the price catalog that `cost` comes from.
    pub catalog_version: Option<String>,
    /// What was taken in credits; nothing for own keys.
    pub charge: NanoUsd,
    /// What was tried, in order.
    pub attempts: Vec<AttemptRow>,
    /// Whether a managed key served because an own key had failed.
    pub fallback: bool,
}

/// One try to serve a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own name for the model.
    pub model: String,
    /// The provider key; `None`: none was reached.
    pub key: Option<ProviderKeyId>,
    /// Its label at that time.
    pub label: Option<Label>,
    /// Who would have paid.
    pub key_source: KeySource,
    /// The HTTP status that the provider answered.
    pub status: Option<i64>,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// From the begin of the try to its end.
    pub latency_ms: i64,
}

/// Which usage rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsageFilter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// The end of a page: rows are ordered by time, then by call.
struct Cursor {
    at: i64,
    request: String,
}

impl std::str::FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let (at, request) = text.split_once('.').ok_or(StoreError::InvalidCursor)?;
        let request: RequestId = request.parse().map_err(|_| StoreError::InvalidCursor)?;
        Ok(Self {
            at: at.parse().map_err(|_| StoreError::InvalidCursor)?,
            request: request.to_string(),
        })
    }
}

/// Adds a row, unless the call has one, and says whether it did.
pub(crate) async fn insert(tx: &mut Tx, row: &UsageRow) -> Result<bool, StoreError> {
    let row = Stored::of(row);
    let added = tx
        .run(
            sql(
                "INSERT INTO usage (request_id, at, account_id, workspace_id, api_key_id, user_id,
                                    wire_format, operation, model_requested, provider, model,
                                    key_source, provider_key_id, key_label, status, error_code,
                                    streamed, input_tokens, cached_input_tokens, cache_write_tokens,
                                    output_tokens, reasoning_tokens, latency_ms, first_byte_ms,
                                    request_bytes, response_bytes, upstream_status, cost, pricing,
                                    catalog_version, charge, attempts, fallback)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                         $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30,
                         $31, $32, $33)
                 ON CONFLICT (request_id) DO NOTHING",
            )
            .bind(&row.request_id)
            .bind(row.at)
            .bind(&row.account_id)
            .bind(&row.workspace_id)
            .bind(&row.api_key_id)
            .bind(&row.user_id)
            .bind(&row.wire_format)
            .bind(&row.operation)
            .bind(&row.model_requested)
            .bind(row.provider.as_deref())
            .bind(row.model.as_deref())
            .bind(row.key_source.as_deref())
            .bind(row.provider_key_id.as_deref())
            .bind(row.key_label.as_deref())
            .bind(row.status)
            .bind(row.error_code.as_deref())
            .bind(row.streamed)
            .bind(row.input_tokens)
            .bind(row.cached_input_tokens)
            .bind(row.cache_write_tokens)
            .bind(row.output_tokens)
            .bind(row.reasoning_tokens)
            .bind(row.latency_ms)
            .bind(row.first_byte_ms)
            .bind(row.request_bytes)
            .bind(row.response_bytes)
            .bind(row.upstream_status)
            .bind(row.cost)
            .bind(row.pricing.as_deref())
            .bind(row.catalog_version.as_deref())
            .bind(row.charge)
            .bind(&row.attempts)
            .bind(row.fallback),
        )
        .await?;
    Ok(added > 0)
}

/// The calls of a workspace, newest first.
pub(crate) async fn of_workspace(
    store: &Store,
    workspace: WorkspaceId,
    filter: UsageFilter,
    page: &PageRequest,
) -> Result<Page<UsageRow>, StoreError> {
    let list = List("usage");
    let before = list.place(page)?.unwrap_or(Cursor {
        at: i64::MAX,
        request: String::new(),
    });
    let rows = store
        .db()
        .all(
            sql(
                "SELECT request_id, at, account_id, workspace_id, api_key_id, user_id,
                        wire_format, operation, model_requested, provider, model,
                        key_source, provider_key_id, key_label, status, error_code,
                        streamed, input_tokens, cached_input_tokens, cache_write_tokens,
                        output_tokens, reasoning_tokens, latency_ms, first_byte_ms,
                        request_bytes, response_bytes, upstream_status, cost, pricing,
                        catalog_version, charge, attempts, fallback
                 FROM usage
                 WHERE workspace_id = $1 AND at >= $2 AND at < $3
                   AND (at, request_id) < ($4, $5)
                 ORDER BY at DESC, request_id DESC LIMIT $6",
            )
            .bind(workspace)
            .bind(filter.from.map_or(i64::MIN, Timestamp::millis))
            .bind(filter.to.map_or(i64::MAX, Timestamp::millis))
            .bind(before.at)
            .bind(&before.request)
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, Stored::read, |row| {
        format!("{}.{}", row.at.millis(), row.request)
    })
}
