//! What the plan of the caller's account gives. Paths are relative; see `api.rs`.

use axum::extract::State;
use domain::policy::Tier;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ReadBilling};
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_limits))
}

/// What a plan gives an account, as it was when the account got it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountLimits {
    /// The id of the plan.
    #[schema(example = "free")]
    plan: String,
    /// Since when the account has it on these terms; RFC 3339, UTC.
    since: String,
    /// Credits of 0.01 USD included each month; what is left of them then ends.
    monthly_credits: i64,
    /// Whether own keys serve. If not, none can be added, and those that are there sleep.
    byok: bool,
    /// The tiers that may be called by name.
    #[schema(schema_with = schema::tiers)]
    tiers: Vec<&'static str>,
    /// What is counted, with its limit.
    resources: Vec<LimitView>,
}

/// How much there may be of something, and how much there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitView {
    /// `workspaces` of the account; `members` and `api_keys` of a workspace; `provider_keys` of the account or of
    /// a workspace.
    #[schema(schema_with = schema::resource)]
    resource: &'static str,
    /// How many there are; where each workspace has its own, in the fullest one.
    used: i64,
    /// How many there may be; `null`: as many as the software bears.
    #[schema(required)]
    allowed: Option<i64>,
}

/// See what the plan of the caller's account gives, and what is used of it.
///
/// The terms are those of the day of the subscription; a plan that changed since has not changed them. What exceeds a limit
/// stays, and one more is `402 limit_exceeded`.
#[utoipa::path(get, path = "/users/me/limits", tag = "credits",
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = AccountLimits), Reads))]
async fn get_limits(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<AccountLimits>, Problem> {
    let within = state.store.within_account(&access.scope);
    let subscription = within.subscription().await?;
    let used = within.limits_used(call.now).await?.into_iter();
    let terms = &subscription.terms;
    let open = Tier::ALL.iter().filter(|tier| terms.opens(**tier));
    Ok(axum::Json(AccountLimits {
        plan: subscription.plan.to_string(),
        since: subscription.started_at.to_string(),
        monthly_credits: terms.monthly_credits,
        byok: terms.byok,
        tiers: open.map(|tier| tier.as_str()).collect(),
        resources: used
            .map(|row| LimitView {
                resource: row.resource,
                used: row.used,
                allowed: row.limit,
            })
            .collect(),
    }))
}
