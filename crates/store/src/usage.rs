//! Usage: one row for each call, failed ones too. No prompt and no answer.

mod groups;
mod list;
mod packed;
#[cfg(test)]
mod plans;
mod rollup;
mod stored;
mod summary;
mod sums;

use std::collections::HashSet;
use std::sync::LazyLock;

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{
    AccountId, ApiKeyId, KeyScope, Label, NanoUsd, ProviderId, ProviderKeyId, RequestId, Timestamp,
    Usage, UserId, WorkspaceId,
};
use serde::{Deserialize, Serialize};

use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::{InOrder, Statement};

pub(crate) use groups::{GroupId, Groups, find_or_add, ids};
pub use list::{StatusFilter, UsageFilter};
pub(crate) use list::{of_workspace, one_of_workspace};
pub(crate) use rollup::{HOURS, hour, note, prune_hours};
pub(crate) use stored::Stored;
pub use summary::{MAX_WORKSPACES, UsageOfDay, UsageOfWorkspace};
pub(crate) use summary::{by_day, by_workspace};
pub use sums::{
    MAX_USAGE_GROUPS, SumsRequest, UsageDimension, UsageGroup, UsageSummary, UsageSums,
};
pub(crate) use sums::{Whose, sums};

/// One call.
///
/// Rows wait in files while the database is away, also across an upgrade, as lists of their fields: a field that is added
/// comes last and has a default, and none is taken out of the middle. The same holds for [`AttemptRow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The call; a second row for the same one is ignored.
    pub request: RequestId,
    /// When it ended.
    #[serde(with = "millis")]
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
    /// Whose the provider key was; `None`: no key was called, or the row is older than this field.
    #[serde(default)]
    pub key_scope: Option<KeyScope>,
    /// The ids of what the provider keeps of the call. They are noted with the row, beside it: a row that is read from the
    /// database has none. Seldom there, so they take no room where there are none; a field that comes behind them must take
    /// that away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
}

impl UsageRow {
    /// Appends the row as bytes, for files of the process that made it.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        packed::write(self, bytes);
    }

    /// The row of [`write_to`](Self::write_to), also of an earlier version.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: these bytes are no row.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        rmp_serde::from_slice(bytes)
            .map_err(|_| StoreError::Corrupt("a usage row in a file".to_owned()))
    }
}

/// Times in files, in milliseconds.
mod millis {
    use domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        at: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
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
    /// `ok`; `cancelled`, because another one that ran beside it won; or the code of what went wrong.
    pub outcome: String,
    /// From the begin of the try to its end.
    pub latency_ms: i64,
    /// Whose the provider key was; `None`: none was reached, or the row is older than this field.
    #[serde(default)]
    pub key_scope: Option<KeyScope>,
    /// What its provider may bill for the input although it was cancelled, at an estimate. Seldom there, so it takes no room
    /// where it is not; nothing may come behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
}

/// A call's row, and the group that it belongs to.
pub(crate) type Grouped<'a> = (&'a UsageRow, GroupId);

/// Adds a row, unless the call has one, and says whether it did.
pub(crate) async fn insert(tx: &mut Tx, (row, group): Grouped<'_>) -> Result<bool, StoreError> {
    insert_new(tx, &[(row, group)]).await
}

/// Adds rows of calls that have none. `false`: some call has one. It is not known which, so the transaction must be
/// given up.
pub(crate) async fn insert_new(tx: &mut Tx, rows: &[Grouped<'_>]) -> Result<bool, StoreError> {
    for (some, texts) in portions(rows) {
        let added = tx.run(bound(&texts.count, some)).await?;
        if added != some.len() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds rows, but for calls that have one, and returns those that it added.
pub(crate) async fn insert_missing<'a>(
    tx: &mut Tx,
    rows: &[Grouped<'a>],
) -> Result<Vec<Grouped<'a>>, StoreError> {
    let mut added = Vec::with_capacity(rows.len());
    for (some, texts) in portions(rows) {
        let found: Vec<(String,)> = tx.all(bound(&texts.name, some)).await?;
        let mut found: HashSet<String> = found.into_iter().map(|(request,)| request).collect();
        // Of two rows of one call it added one.
        let is_added = |(row, _): &&Grouped<'_>| found.remove(&row.request.to_string());
        added.extend(some.iter().filter(is_added));
    }
    Ok(added)
}

/// Rows by the statement that takes so many of them.
fn portions<'r, 'a>(
    mut rest: &'r [Grouped<'a>],
) -> impl Iterator<Item = (&'r [Grouped<'a>], &'static Inserts)> {
    std::iter::from_fn(move || {
        let fits = |inserts: &&Inserts| inserts.rows <= rest.len();
        let inserts = INSERTS.iter().find(fits)?;
        let (some, after) = rest.split_at(inserts.rows);
        rest = after;
        Some((some, inserts))
    })
}

fn bound(text: &'static InOrder, rows: &[Grouped<'_>]) -> Statement {
    let bind = |statement, (row, group): &Grouped<'_>| row.bind(*group, statement);
    rows.iter().fold(text.statement(), bind)
}

/// The statements that add `rows` rows but for calls that have one.
struct Inserts {
    rows: usize,
    /// Tells how many it added.
    count: LazyLock<InOrder>,
    /// Tells which, at a price.
    name: LazyLock<InOrder>,
}

/// How many rows one statement adds, from many to one. A statement costs as much as some rows; but on one core calls wait
/// while one is put together and run: of 9,000 a second each hundredth took 330 us and more with 32 rows, 240 us with 8.
static INSERTS: [Inserts; 2] = [
    Inserts {
        rows: 8,
        count: LazyLock::new(|| insert_text(8, "")),
        name: LazyLock::new(|| insert_text(8, RETURNING)),
    },
    Inserts {
        rows: 1,
        count: LazyLock::new(|| insert_text(1, "")),
        name: LazyLock::new(|| insert_text(1, RETURNING)),
    },
];
const RETURNING: &str = " RETURNING request_id";

/// The columns of a call, in the order of [`UsageRow::bind`].
const COLUMNS: &str = "request_id, at, workspace_id, group_id, status, error_code, streamed, input_tokens, \
                       cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, latency_ms, \
                       first_byte_ms, request_bytes, response_bytes, upstream_status, cost, charge, attempts, \
                       fallback";

fn insert_text(rows: usize, returning: &str) -> InOrder {
    let row = vec!["$"; COLUMNS.split(',').count()].join(", ");
    let rows = vec![format!("({row})"); rows].join(", ");
    InOrder::new(&format!(
        "INSERT INTO usage ({COLUMNS}) VALUES {rows} ON CONFLICT (request_id) DO NOTHING{returning}"
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a process of an earlier version may have left behind. If this differs, rows in files are lost by an upgrade.
    const KEPT: &[u8] = include_bytes!("usage/kept.row");

    /// A row with every field filled but those that later versions added.
    pub(crate) fn row() -> UsageRow {
        UsageRow {
            request: RequestId::from_bytes([1; 16]),
            at: Timestamp::from_millis(1_700_000_000_000),
            account: AccountId::from_bytes([2; 16]),
            workspace: WorkspaceId::from_bytes([3; 16]),
            api_key: ApiKeyId::from_bytes([4; 16]),
            user: UserId::from_bytes([5; 16]),
            wire_format: "openai_chat".to_owned(),
            operation: "chat_completions".to_owned(),
            model_requested: "gpt-4o".to_owned(),
            provider: Some("openai".parse().expect("an id")),
            model: Some("gpt-4o".to_owned()),
            key_source: Some(KeySource::Managed),
            key: Some(ProviderKeyId::from_bytes([6; 16])),
            key_label: Some("first".parse().expect("a label")),
            status: 200,
            error_code: Some("none".to_owned()),
            streamed: true,
            usage: Some(Usage {
                input_tokens: 1,
                cached_input_tokens: 2,
                cache_write_tokens: 3,
                output_tokens: 4,
                reasoning_tokens: 5,
            }),
            latency_ms: 6,
            first_byte_ms: Some(7),
            request_bytes: 8,
            response_bytes: 9,
            upstream_status: Some(201),
            cost: Some(NanoUsd::new(10)),
            pricing: Some(Pricing::Priced),
            catalog_version: Some("2026-11".to_owned()),
            charge: NanoUsd::new(11),
            attempts: vec![AttemptRow {
                provider: "openai".parse().expect("an id"),
                model: "gpt-4o".to_owned(),
                key: Some(ProviderKeyId::from_bytes([6; 16])),
                label: None,
                key_source: KeySource::Byok,
                status: Some(429),
                outcome: "rate_limited".to_owned(),
                latency_ms: 12,
                key_scope: None,
                cost: None,
            }],
            fallback: true,
            key_scope: None,
            made: Vec::new(),
        }
    }

    #[test]
    fn a_row_that_an_earlier_version_kept_is_read() {
        assert_eq!(UsageRow::from_bytes(KEPT).expect("a row"), row());
    }

    #[test]
    fn a_row_that_is_kept_is_read_whole() {
        let mut row = row();
        row.key_scope = Some(KeyScope::Account);
        row.attempts[0].key_scope = Some(KeyScope::Workspace);
        row.attempts.push(row.attempts[0].clone());
        row.attempts[0].cost = Some(NanoUsd::new(13));
        let mut plain = Vec::new();
        row.write_to(&mut plain);
        assert_eq!(UsageRow::from_bytes(&plain).expect("a row"), row);
        row.made = vec!["resp_1".to_owned(), "file-2".to_owned()];
        let mut written = Vec::new();
        row.write_to(&mut written);
        assert_eq!(UsageRow::from_bytes(&written).expect("a row"), row);
    }
}
