//! Usage: one row for each call, failed ones too. No prompt and no answer.

use domain::{
    AccountId, ApiKeyId, Label, ProviderId, ProviderKeyId, RequestId, Timestamp, Usage, UserId,
    WorkspaceId,
};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;

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
    /// Whose key served: `byok`.
    pub key_source: Option<String>,
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
}

/// Which usage rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsageFilter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    request_id: String,
    at: i64,
    account_id: String,
    workspace_id: String,
    api_key_id: String,
    user_id: String,
    wire_format: String,
    operation: String,
    model_requested: String,
    provider: Option<String>,
    model: Option<String>,
    key_source: Option<String>,
    provider_key_id: Option<String>,
    key_label: Option<String>,
    status: i64,
    error_code: Option<String>,
    streamed: i64,
    input_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    output_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    latency_ms: i64,
    first_byte_ms: Option<i64>,
    request_bytes: i64,
    response_bytes: i64,
    upstream_status: Option<i64>,
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

/// Adds a row, unless the call has one.
pub(crate) async fn insert(tx: &mut Tx, row: &UsageRow) -> Result<(), StoreError> {
    let tokens = |count: fn(&Usage) -> u64| {
        row.usage
            .as_ref()
            .map(|usage| i64::try_from(count(usage)).unwrap_or(i64::MAX))
    };
    tx.run(
        sql(
            "INSERT INTO usage (request_id, at, account_id, workspace_id, api_key_id, user_id,
                                wire_format, operation, model_requested, provider, model,
                                key_source, provider_key_id, key_label, status, error_code,
                                streamed, input_tokens, cached_input_tokens, cache_write_tokens,
                                output_tokens, reasoning_tokens, latency_ms, first_byte_ms,
                                request_bytes, response_bytes, upstream_status)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                     $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
             ON CONFLICT (request_id) DO NOTHING",
        )
        .bind(row.request)
        .bind(row.at)
        .bind(row.account)
        .bind(row.workspace)
        .bind(row.api_key)
        .bind(row.user)
        .bind(&row.wire_format)
        .bind(&row.operation)
        .bind(&row.model_requested)
        .bind(row.provider.as_ref())
        .bind(row.model.as_deref())
        .bind(row.key_source.as_deref())
        .bind(row.key)
        .bind(row.key_label.as_ref())
        .bind(row.status)
        .bind(row.error_code.as_deref())
        .bind(row.streamed)
        .bind(tokens(|usage| usage.input_tokens))
        .bind(tokens(|usage| usage.cached_input_tokens))
        .bind(tokens(|usage| usage.cache_write_tokens))
        .bind(tokens(|usage| usage.output_tokens))
        .bind(tokens(|usage| usage.reasoning_tokens))
        .bind(row.latency_ms)
        .bind(row.first_byte_ms)
        .bind(row.request_bytes)
        .bind(row.response_bytes)
        .bind(row.upstream_status),
    )
    .await?;
    Ok(())
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
                        request_bytes, response_bytes, upstream_status
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
    list.page(page, rows, read, |row| {
        format!("{}.{}", row.at.millis(), row.request)
    })
}

fn read(row: Stored) -> Result<UsageRow, StoreError> {
    let place = Place {
        table: "usage",
        id: &row.request_id,
    };
    let count = |tokens: Option<i64>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
    let usage = row.input_tokens.map(|_| Usage {
        input_tokens: count(row.input_tokens),
        cached_input_tokens: count(row.cached_input_tokens),
        cache_write_tokens: count(row.cache_write_tokens),
        output_tokens: count(row.output_tokens),
        reasoning_tokens: count(row.reasoning_tokens),
    });
    Ok(UsageRow {
        request: place.parse("request_id", &row.request_id)?,
        at: Timestamp::from_millis(row.at),
        account: place.parse("account_id", &row.account_id)?,
        workspace: place.parse("workspace_id", &row.workspace_id)?,
        api_key: place.parse("api_key_id", &row.api_key_id)?,
        user: place.parse("user_id", &row.user_id)?,
        provider: place.parse_optional("provider", row.provider.as_deref())?,
        key: place.parse_optional("provider_key_id", row.provider_key_id.as_deref())?,
        key_label: place.parse_optional("key_label", row.key_label.as_deref())?,
        wire_format: row.wire_format,
        operation: row.operation,
        model_requested: row.model_requested,
        model: row.model,
        key_source: row.key_source,
        status: row.status,
        error_code: row.error_code,
        streamed: row.streamed != 0,
        usage,
        latency_ms: row.latency_ms,
        first_byte_ms: row.first_byte_ms,
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        upstream_status: row.upstream_status,
    })
}
