//! Plans: what there is to subscribe to, and what admins make of it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::PlanId;
use domain::plan::{Plan, PlanTerms, ResourceLimits};
use domain::policy::Tier;
use http::StatusCode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use store::SubscriptionRow;
use utoipa::ToSchema;

use crate::access::{
    Access, AccountInPath, PlanInPath, ReadBilling, ReadInstanceSettings, WriteAccounts,
    WriteInstanceSettings,
};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, GuardedWrites, Reads, Writes};
use crate::ops::plans;
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_plans))
        .routes(routes!(list_instance_plans))
        .routes(routes!(get_plan, put_plan, delete_plan))
        .routes(routes!(put_subscription))
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanView {
    /// The id.
    #[schema(value_type = String, example = "pro")]
    id: PlanId,
    /// What people call it.
    #[schema(example = "Pro")]
    name: String,
    /// Its place among the plans; a higher plan has a higher rank.
    rank: i64,
    /// What it gives.
    terms: TermsView,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            id: plan.id,
            name: plan.name,
            rank: plan.rank,
            terms: plan.terms.into(),
        }
    }
}

/// What a plan gives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TermsView {
    /// Credits included each month, up to 100,000,000; what is left of them then ends.
    #[schema(minimum = 0, maximum = 100_000_000)]
    monthly_credits: i64,
    /// Whether own keys serve. Without it none can be added, and those that are there rest.
    byok: bool,
    /// The tiers that may be called by name; `level_1` and `embeddings` may be, whether they are listed or not.
    #[schema(schema_with = schema::tiers)]
    tiers: Vec<Tier>,
    /// How much the account may have.
    #[serde(default)]
    limits: PlanLimits,
}

/// How much an account may have; `null`: as much as the software bears.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanLimits {
    /// Workspaces of the account, 1 to 1000000.
    #[schema(minimum = 1)]
    workspaces: Option<i64>,
    /// Members of each workspace, the owner included; 1 to 1000000.
    #[schema(minimum = 1)]
    members: Option<i64>,
    /// API keys of each workspace that are not revoked, 0 to 1000000.
    #[schema(minimum = 0)]
    api_keys: Option<i64>,
    /// Provider keys of the account and of each of its workspaces, counted for each by itself; 0 to 1000000.
    #[schema(minimum = 0)]
    provider_keys: Option<i64>,
}

impl From<PlanTerms> for TermsView {
    fn from(terms: PlanTerms) -> Self {
        let ResourceLimits {
            workspaces,
            members,
            api_keys,
            provider_keys,
        } = terms.limits;
        Self {
            monthly_credits: terms.monthly_credits,
            byok: terms.byok,
            tiers: terms.tiers,
            limits: PlanLimits {
                workspaces,
                members,
                api_keys,
                provider_keys,
            },
        }
    }
}

impl From<TermsView> for PlanTerms {
    fn from(view: TermsView) -> Self {
        let PlanLimits {
            workspaces,
            members,
            api_keys,
            provider_keys,
        } = view.limits;
        Self {
            monthly_credits: view.monthly_credits,
            byok: view.byok,
            tiers: view.tiers,
            limits: ResourceLimits {
                workspaces,
                members,
                api_keys,
                provider_keys,
            },
        }
    }
}

/// List the plans that there are, the lowest first.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/plans", tag = "plans",
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = List<PlanView>), Reads))]
async fn list_plans(
    _: Access<ReadBilling>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<PlanView>>, Problem> {
    let plans = state.store.system().plans().await?;
    Ok(axum::Json(List::whole(
        plans.into_iter().map(PlanView::from),
    )))
}

/// List the plans of the instance, the lowest first.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/plans", tag = "plans",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = List<PlanView>), Reads))]
async fn list_instance_plans(
    _: Access<ReadInstanceSettings>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<PlanView>>, Problem> {
    let plans = state.store.system().plans().await?;
    Ok(axum::Json(List::whole(
        plans.into_iter().map(PlanView::from),
    )))
}

/// Get a plan as it is for accounts that take it from now on.
///
/// Its `ETag` goes back as `If-Match`, so that nobody's change is undone unseen.
#[utoipa::path(get, path = "/api/v1/admin/plans/{plan_id}", tag = "plans",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = PlanView, headers(("etag" = String, description = "Names this state of it."))), Reads))]
async fn get_plan(
    _: Access<ReadInstanceSettings>,
    PlanInPath(id): PlanInPath,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    tagged(StatusCode::OK, plans::get(&state, &id).await?)
}

/// The plan with the tag of its state.
fn tagged(status: StatusCode, plan: Plan) -> Result<Response, Problem> {
    let view = PlanView::from(plan);
    let tag = tag::of(&view)?;
    Ok((status, [(ETAG, tag)], axum::Json(view)).into_response())
}

/// A plan without its id, which stands in the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// What people call it, 1 to 100 characters.
    name: String,
    /// Its place among the plans, 0 to 9999.
    #[schema(minimum = 0, maximum = 9999)]
    rank: i64,
    /// What it gives.
    terms: TermsView,
}

/// Make a plan, or replace the one with this id. Accounts keep the terms that they subscribed to.
///
/// The body is the whole plan; of two writers the last one counts, unless it names by `If-Match` the state that it has read.
/// To move accounts to new terms, give them the plan again:
/// `PUT /api/v1/admin/accounts/{account_id}/subscription`. An instance has at most 100 plans.
#[utoipa::path(put, path = "/api/v1/admin/plans/{plan_id}", tag = "plans",
    extensions(("x-action" = json!("write_instance_settings"))), request_body = NewPlan,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the plan that one has read; left out: \
        whatever it is now.")),
    responses((status = 201, body = PlanView, description = "There was no such plan.",
            headers(("etag" = String, description = "Names this state of it."))),
        (status = 200, body = PlanView, description = "The plan was replaced.",
            headers(("etag" = String, description = "Names this state of it."))), GuardedWrites))]
async fn put_plan(
    access: Access<WriteInstanceSettings>,
    PlanInPath(id): PlanInPath,
    State(state): State<ControlState>,
    call: Call,
    if_match: IfMatch,
    Json(body): Json<NewPlan>,
) -> Result<Response, Problem> {
    let plan = Plan {
        id,
        name: body.name,
        rank: body.rank,
        terms: body.terms.into(),
    };
    let seen = |stored: Option<&Plan>| match stored {
        Some(stored) => if_match.allows(&PlanView::from(stored.clone()), "the plan"),
        None => if_match.allows_nothing("the plan"),
    };
    let (plan, new) = plans::put(&state, &call, &access.scope, plan, seen).await?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    tagged(status, plan)
}

/// Remove a plan that no account has.
///
/// `409` for a plan that an account has, and for the plan of new accounts (`default_plan`).
#[utoipa::path(delete, path = "/api/v1/admin/plans/{plan_id}", tag = "plans",
    extensions(("x-action" = json!("write_instance_settings"))),
    responses((status = 204), Changes))]
async fn delete_plan(
    access: Access<WriteInstanceSettings>,
    PlanInPath(id): PlanInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    plans::remove(&state, &call, &access.scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an account subscribed to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountSubscription {
    /// The plan.
    #[schema(value_type = String, example = "pro")]
    plan: PlanId,
    /// The plan's terms as they were when the account subscribed.
    terms: TermsView,
    /// When the account subscribed to these terms; RFC 3339, UTC.
    started_at: String,
}

impl From<SubscriptionRow> for AccountSubscription {
    fn from(row: SubscriptionRow) -> Self {
        Self {
            plan: row.plan,
            terms: row.terms.into(),
            started_at: row.started_at.to_string(),
        }
    }
}

/// The plan that an account is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanChoice {
    /// The plan's id.
    #[schema(value_type = String, example = "pro")]
    plan: PlanId,
}

/// Give an account a plan on the terms that it has now. The plan that it has already gives it the new terms of that.
///
/// Counts from the next call on. What is left of this month's included credits lapses, a full month's come at once, and months
/// are counted from now. Own keys sleep under a plan without them and come back with one that has them; what exceeds a lower
/// limit stays and cannot grow.
#[utoipa::path(put, path = "/api/v1/admin/accounts/{account_id}/subscription", tag = "plans",
    extensions(("x-action" = json!("write_accounts"))), request_body = PlanChoice,
    responses((status = 200, body = AccountSubscription), Writes))]
async fn put_subscription(
    access: Access<WriteAccounts>,
    AccountInPath(account): AccountInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<PlanChoice>,
) -> Result<axum::Json<AccountSubscription>, Problem> {
    let row = plans::subscribe(&state, &call, &access.scope, account, &body.plan).await?;
    Ok(axum::Json(row.into()))
}
