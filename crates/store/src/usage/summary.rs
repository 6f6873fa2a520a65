//! An account's usage added up, by day and by workspace.

use domain::credits::utc_day;
use domain::{AccountId, NanoUsd, Timestamp, WorkspaceId};

use super::rollup;
use crate::Store;
use crate::error::{Place, StoreError};
use crate::statement::sql;

const DAY_MS: i64 = 86_400_000;

/// The most workspaces that [`WithinAccount::usage_by_workspace`](crate::WithinAccount::usage_by_workspace) tells of.
pub const MAX_WORKSPACES: i64 = 1_000;

/// What an account's calls of one UTC day consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageOfDay {
    /// The day: `2026-11-20`.
    pub day: String,
    /// How many calls, failed ones too.
    pub requests: i64,
    /// Input tokens of all kinds, cached ones included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// What was charged in credits.
    pub charge: NanoUsd,
}

/// What the calls of one workspace consumed.
///
/// A list of them ends after [`MAX_WORKSPACES`] and does not say whether there are more; together they are then less
/// than what the days sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageOfWorkspace {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name; `None`: it is gone.
    pub name: Option<String>,
    /// How many calls, failed ones too.
    pub requests: i64,
    /// Input tokens of all kinds, cached ones included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// What was charged in credits.
    pub charge: NanoUsd,
}

/// The account's calls from the UTC day of `from` on, by UTC day, oldest first. Days without calls are left out.
pub(crate) async fn by_day(
    store: &Store,
    account: AccountId,
    from: Timestamp,
) -> Result<Vec<UsageOfDay>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64, i64)> = store
        .db()
        .all(
            sql(
                "SELECT day, CAST(sum(calls) AS BIGINT),
                        CAST(sum(input_tokens + cached_input_tokens + cache_write_tokens) AS BIGINT),
                        CAST(sum(output_tokens) AS BIGINT), CAST(sum(charge) AS BIGINT)
                 FROM usage_days WHERE account_id = $1 AND day >= $2
                 GROUP BY day ORDER BY day",
            )
            .bind(account)
            .bind(rollup::day(from)),
        )
        .await?;
    let read = |(day, requests, input_tokens, output_tokens, charge)| UsageOfDay {
        day: utc_day(Timestamp::from_millis(i64::saturating_mul(day, DAY_MS))),
        requests,
        input_tokens,
        output_tokens,
        charge: NanoUsd::new(charge),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The account's calls from the UTC day of `from` on, by workspace, in the order of their ids; at most [`MAX_WORKSPACES`].
pub(crate) async fn by_workspace(
    store: &Store,
    account: AccountId,
    from: Timestamp,
) -> Result<Vec<UsageOfWorkspace>, StoreError> {
    let rows: Vec<(String, Option<String>, i64, i64, i64, i64)> = store
        .db()
        .all(
            sql(
                "SELECT d.workspace_id, w.name, CAST(sum(d.calls) AS BIGINT),
                        CAST(sum(d.input_tokens + d.cached_input_tokens + d.cache_write_tokens) AS BIGINT),
                        CAST(sum(d.output_tokens) AS BIGINT), CAST(sum(d.charge) AS BIGINT)
                 FROM usage_days d LEFT JOIN workspaces w ON w.id = d.workspace_id
                 WHERE d.account_id = $1 AND d.day >= $2
                 GROUP BY d.workspace_id, w.name ORDER BY d.workspace_id LIMIT $3",
            )
            .bind(account)
            .bind(rollup::day(from))
            .bind(MAX_WORKSPACES),
        )
        .await?;
    rows.into_iter()
        .map(
            |(workspace, name, requests, input_tokens, output_tokens, charge)| {
                let place = Place {
                    table: "usage",
                    id: &workspace,
                };
                Ok(UsageOfWorkspace {
                    workspace: place.parse("workspace_id", &workspace)?,
                    name,
                    requests,
                    input_tokens,
                    output_tokens,
                    charge: NanoUsd::new(charge),
                })
            },
        )
        .collect()
}
