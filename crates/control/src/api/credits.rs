//! Credits of the caller's account and what was used of them. Paths are relative; see `api.rs`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{UsageOfDay, UsageOfWorkspace};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ReadBilling};
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::credits::{self, Balance};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The days that usage is shown of when the client names no number.
const DEFAULT_DAYS: i64 = 30;
/// The most days that usage is shown of.
const MAX_DAYS: i64 = 366;
const DAY_MS: i64 = 86_400_000;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_credits))
        .routes(routes!(get_ai_usage))
}

/// An account's credits. One credit is 0.01 USD.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditsView {
    /// Who pays in new workspaces.
    #[schema(schema_with = schema::mode)]
    mode: &'static str,
    /// What the next call may use, in credits; negative if more is held or owed than there is.
    #[schema(example = 249.5)]
    remaining: f64,
    /// What the live cards were worth at first, in credits.
    #[schema(example = 250.0)]
    total: f64,
    /// `remaining` in millionths of a US dollar.
    #[schema(example = 2_495_000)]
    remaining_micro: i64,
    /// `total` in millionths of a US dollar.
    #[schema(example = 2_500_000)]
    total_micro: i64,
}

impl From<Balance> for CreditsView {
    fn from(balance: Balance) -> Self {
        let (remaining, total) = (balance.credits.available, balance.credits.total);
        Self {
            mode: balance.mode.as_str(),
            remaining: remaining.credits(),
            total: total.credits(),
            remaining_micro: remaining.micros(),
            total_micro: total.micros(),
        }
    }
}

/// See the credits of the caller's account.
///
/// For an API key: of the account of its workspace, if the person who minted it owns that account. `remaining` is what the
/// next call may use: running calls hold a part, which is not in it. Included credits come anew each month and lapse with it.
#[utoipa::path(get, path = "/users/me/credits", tag = "credits",
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = CreditsView), Reads))]
async fn get_credits(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<CreditsView>, Problem> {
    let balance = credits::balance(&state, &call, &access.scope).await?;
    Ok(axum::Json(balance.into()))
}

/// How far back.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    /// So many UTC days, today included: 1 to 366; 30 when left out.
    #[param(minimum = 1, maximum = 366)]
    days: Option<i64>,
}

/// What an account used, by day and by workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct AiUsage {
    /// How many UTC days this is of, today included.
    window_days: i64,
    /// The days on which there were calls, oldest first.
    daily: Vec<DayUsage>,
    /// The workspaces in which there were calls, at most 1000.
    by_workspace: Vec<WorkspaceUsage>,
}

/// What one day's calls used.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayUsage {
    /// The UTC day.
    #[schema(example = "2026-11-20")]
    day: String,
    /// How many calls, failed ones too.
    requests: i64,
    /// Input tokens, cached ones included.
    input_tokens: i64,
    /// Output tokens, reasoning included.
    output_tokens: i64,
    /// What was charged, in credits. Calls on own keys take none.
    credits: f64,
}

/// What one workspace's calls used.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceUsage {
    /// The workspace.
    workspace_id: String,
    /// Its name; `null` if it is gone.
    #[schema(required)]
    workspace_name: Option<String>,
    /// How many calls, failed ones too.
    requests: i64,
    /// Input tokens, cached ones included.
    input_tokens: i64,
    /// Output tokens, reasoning included.
    output_tokens: i64,
    /// What was charged, in credits. Calls on own keys take none.
    credits: f64,
}

/// See what the caller's account used, by day and by workspace.
///
/// Days are those of UTC; a day without calls is left out. Calls count when they end, refused and failed ones too. Deleted
/// workspaces stay in the sums, without a name.
#[utoipa::path(get, path = "/users/me/ai-usage", tag = "credits", params(DaysQuery),
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = AiUsage), Reads))]
async fn get_ai_usage(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<DaysQuery>,
) -> Result<axum::Json<AiUsage>, Problem> {
    let days = query.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::field(
            "days",
            "days must be a number from 1 to 366",
        ));
    }
    let today = call.now.millis().div_euclid(DAY_MS);
    let from = domain::Timestamp::from_millis((today + 1 - days) * DAY_MS);
    let within = state.store.within_account(&access.scope);
    let daily = within.usage_by_day(from).await?.into_iter().map(of_day);
    let by_workspace = within.usage_by_workspace(from).await?.into_iter();
    Ok(axum::Json(AiUsage {
        window_days: days,
        daily: daily.collect(),
        by_workspace: by_workspace.map(of_workspace).collect(),
    }))
}

fn of_day(row: UsageOfDay) -> DayUsage {
    DayUsage {
        day: row.day,
        requests: row.requests,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        credits: row.charge.credits(),
    }
}

fn of_workspace(row: UsageOfWorkspace) -> WorkspaceUsage {
    WorkspaceUsage {
        workspace_id: row.workspace.to_string(),
        workspace_name: row.name,
        requests: row.requests,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        credits: row.charge.credits(),
    }
}
