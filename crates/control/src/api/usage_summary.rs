//! What calls came to: of a workspace, of an account, of the instance.

use axum::extract::State;
use domain::credits::utc_day;
use domain::policy::KeySource;
use domain::{
    AccountId, ApiKeyId, KeyScope, NanoUsd, ProviderId, ProviderKeyId, Timestamp, UserId,
    WorkspaceId,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use store::{SumsRequest, UsageDimension, UsageGroup, UsageSummary, UsageSums};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ReadAccounts, ReadBilling, ReadUsage};
use crate::body::Query;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::labels::LabelSight;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

const DAY_MS: i64 = 86_400_000;
/// The days that are added up when the client names none.
const DEFAULT_DAYS: i64 = 30;
/// The most days that are added up: two years.
const MAX_DAYS: i64 = 732;
/// How many things one answer is grouped by at most.
const MAX_DIMENSIONS: usize = 2;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(summarize_usage))
        .routes(routes!(summarize_account_usage))
        .routes(routes!(summarize_instance_usage))
}

/// Which calls are added up, and by what.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SummaryQuery {
    /// The first UTC day: `2026-11-01`; left out: 29 days before `to`.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Day>,
    /// The last UTC day, it included; left out: today. At most 732 days lie between the two.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Day>,
    /// What the groups differ in, up to two of these with a comma between them: `day`, `model`, `provider`, `provider_key`,
    /// `api_key`, `member`, `key_source`, `workspace`, `account`; left out: there is a total only. `workspace` is for an account and
    /// the instance, `account` for the instance alone, and for the instance there is neither `api_key` nor `member`.
    #[param(example = "day,model")]
    group_by: Option<String>,
    /// Only calls that this provider served last.
    #[param(value_type = Option<String>)]
    provider: Option<ProviderId>,
    /// Only calls of this model, by the provider's own name.
    model: Option<String>,
    /// Only calls that this own key served; for the instance, a platform key.
    #[param(value_type = Option<String>)]
    provider_key_id: Option<ProviderKeyId>,
    /// Only calls with this API key; not for the instance.
    #[param(value_type = Option<String>)]
    api_key_id: Option<ApiKeyId>,
    /// Only calls with API keys of this person; not for the instance.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// Only calls that were paid so: `byok` or `managed`.
    #[param(value_type = Option<String>)]
    key_source: Option<KeySource>,
    /// Only calls in this workspace; for an account and the instance.
    #[param(value_type = Option<String>)]
    workspace_id: Option<WorkspaceId>,
    /// Only calls of this account; for the instance.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
}

/// A UTC day as a client writes it, counted from 1970.
struct Day(i64);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let day: Date = text.parse().map_err(D::Error::custom)?;
        let days = Date::constant(1970, 1, 1).until(day);
        Ok(Self(i64::from(days.map_err(D::Error::custom)?.get_days())))
    }
}

/// For whom calls are added up: what they can be grouped by differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Workspace,
    Account,
    Instance,
}

impl For {
    fn shows(self, dimension: UsageDimension) -> bool {
        match dimension {
            UsageDimension::Workspace => self != Self::Workspace,
            UsageDimension::Account => self == Self::Instance,
            // Who calls within an account is that account's business.
            UsageDimension::ApiKey | UsageDimension::Member => self != Self::Instance,
            _ => true,
        }
    }
}

/// The words of `group_by`.
const DIMENSIONS: [(&str, UsageDimension); 9] = [
    ("day", UsageDimension::Day),
    ("model", UsageDimension::Model),
    ("provider", UsageDimension::Provider),
    ("provider_key", UsageDimension::ProviderKey),
    ("api_key", UsageDimension::ApiKey),
    ("member", UsageDimension::Member),
    ("key_source", UsageDimension::KeySource),
    ("workspace", UsageDimension::Workspace),
    ("account", UsageDimension::Account),
];

impl SummaryQuery {
    fn request(self, whose: For, now: Timestamp) -> Result<SumsRequest, Problem> {
        let today = now.millis().div_euclid(DAY_MS);
        let to_day = self.to.map_or(today, |day| day.0);
        let from_day = self.from.map_or(to_day - DEFAULT_DAYS + 1, |day| day.0);
        if from_day > to_day {
            return Err(Problem::field("from", "from must not lie after to"));
        }
        if to_day - from_day >= MAX_DAYS {
            let rule = format!("from and to must span at most {MAX_DAYS} days");
            return Err(Problem::field("from", rule));
        }
        if whose == For::Instance && (self.api_key_id.is_some() || self.user_id.is_some()) {
            let rule = "the instance's usage is not told apart by API keys and people";
            return Err(Problem::field("group_by", rule));
        }
        if self.workspace_id.is_some() && whose == For::Workspace {
            let rule = "workspace_id is for an account and the instance";
            return Err(Problem::field("workspace_id", rule));
        }
        if self.account_id.is_some() && whose != For::Instance {
            let rule = "account_id is for the instance";
            return Err(Problem::field("account_id", rule));
        }
        Ok(SumsRequest {
            from_day,
            to_day,
            by: dimensions(self.group_by.as_deref(), whose)?,
            provider: self.provider,
            model: self.model,
            provider_key: self.provider_key_id,
            api_key: self.api_key_id,
            user: self.user_id,
            key_source: self.key_source,
            workspace: self.workspace_id,
            account: self.account_id,
        })
    }
}

fn dimensions(text: Option<&str>, whose: For) -> Result<Vec<UsageDimension>, Problem> {
    let mut by = Vec::new();
    for word in text.into_iter().flat_map(|text| text.split(',')) {
        let known = DIMENSIONS.iter().find(|(name, _)| *name == word);
        match known {
            Some((_, dimension)) if whose.shows(*dimension) && !by.contains(dimension) => {
                by.push(*dimension);
            }
            _ => {
                let shown = DIMENSIONS.iter().filter(|(_, it)| whose.shows(*it));
                let names: Vec<&str> = shown.map(|(name, _)| *name).collect();
                let rule = format!("group_by takes each once of {}", names.join(", "));
                return Err(Problem::field("group_by", rule).with("allowed", names));
            }
        }
    }
    if by.len() > MAX_DIMENSIONS {
        return Err(Problem::field("group_by", "group_by takes at most two"));
    }
    Ok(by)
}

/// What calls came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageSummaryView {
    /// The first UTC day that is in the sums.
    #[schema(example = "2026-11-01")]
    from: String,
    /// The last one.
    #[schema(example = "2026-11-30")]
    to: String,
    /// All of the calls.
    total: SumsView,
    /// The groups: by day first, then the costliest first; at most 2000. A group in which there was no call is left out.
    groups: Vec<GroupView>,
    /// Whether there are more groups than these; `total` is of all.
    truncated: bool,
}

/// What some calls came to. A call counts on the day on which it ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct SumsView {
    /// How many calls, refused and failed ones too.
    calls: i64,
    /// How many of them ended with a status of 400 or more.
    failed: i64,
    /// How many own keys served.
    own_key_calls: i64,
    /// How many credits paid.
    credit_calls: i64,
    /// Input tokens that were neither read from nor written to a provider's cache.
    input_tokens: i64,
    /// Input tokens read from caches.
    cached_input_tokens: i64,
    /// Input tokens written to caches.
    cache_write_tokens: i64,
    /// Tokens of answers, reasoning included.
    output_tokens: i64,
    /// The part of `output_tokens` spent on reasoning.
    reasoning_tokens: i64,
    /// At list price, in billionths of a US dollar, where it is known.
    cost_nano_usd: i64,
    /// The part of `cost_nano_usd` that own keys served: what their owners pay to providers.
    own_key_cost_nano_usd: i64,
    /// How many calls have no known price, in whole or in part; what is not known is not in the cost.
    unpriced: i64,
    /// What was charged in credits, in billionths of a US dollar.
    charge_nano_usd: i64,
    /// The mean time from a request to the end of its answer, in milliseconds; `null` without calls.
    #[schema(required)]
    latency_ms: Option<i64>,
    /// The mean time to the first byte of the answers that had one, in milliseconds.
    #[schema(required)]
    first_byte_ms: Option<i64>,
}

impl From<UsageSums> for SumsView {
    fn from(sums: UsageSums) -> Self {
        let mean = |all: i64, of: i64| all.checked_div(of);
        Self {
            calls: sums.calls,
            failed: sums.failed,
            own_key_calls: sums.own_key_calls,
            credit_calls: sums.credit_calls,
            input_tokens: sums.input_tokens,
            cached_input_tokens: sums.cached_input_tokens,
            cache_write_tokens: sums.cache_write_tokens,
            output_tokens: sums.output_tokens,
            reasoning_tokens: sums.reasoning_tokens,
            cost_nano_usd: NanoUsd::nanos(sums.cost),
            own_key_cost_nano_usd: NanoUsd::nanos(sums.own_key_cost),
            unpriced: sums.unpriced,
            charge_nano_usd: NanoUsd::nanos(sums.charge),
            latency_ms: mean(sums.latency_ms, sums.calls),
            first_byte_ms: mean(sums.first_byte.0, sums.first_byte.1),
        }
    }
}

/// One group. It has the fields of what was grouped by, and of those that are `null` there was none.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// The UTC day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-20")]
    day: Option<String>,
    /// The id of the provider; `null`: none was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    provider: Option<Option<String>>,
    /// The model, as the provider names it; `null`: none was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    model: Option<Option<String>>,
    /// Who paid; `null`: nothing served.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::nullable_key_source)]
    key_source: Option<Option<String>>,
    /// The id of the provider key; `null`: none, or one of the instance's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    provider_key_id: Option<Option<String>>,
    /// Its label, if the key is still there and the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
    /// Whose that key is, if it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::key_scope)]
    key_scope: Option<&'static str>,
    /// The id of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    /// Its name, if the key is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_name: Option<String>,
    /// The id of the person who minted the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The person's e-mail, unless the person left the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_email: Option<String>,
    /// The id of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    /// Its name, if it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_name: Option<String>,
    /// The id of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// Its name, if it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<String>,
    /// What the calls came to.
    #[serde(flatten)]
    sums: SumsView,
}

impl GroupView {
    fn of(group: UsageGroup, by: &[UsageDimension], sees: impl Fn(KeyScope) -> bool) -> Self {
        let shown = |dimension, value| by.contains(&dimension).then_some(value);
        let named = |pair: Option<(String, Option<String>)>| match pair {
            Some((id, name)) => (Some(id), name),
            None => (None, None),
        };
        let (provider_key_id, key_label) = named(group.provider_key);
        let (api_key_id, api_key_name) = named(group.api_key);
        let (user_id, user_email) = named(group.user);
        let (workspace_id, workspace_name) = named(group.workspace);
        let (account_id, account_name) = named(group.account);
        Self {
            day: group.day,
            provider: shown(UsageDimension::Provider, group.provider),
            model: shown(UsageDimension::Model, group.model),
            key_source: shown(UsageDimension::KeySource, group.key_source),
            provider_key_id: shown(UsageDimension::ProviderKey, provider_key_id),
            key_label: key_label.filter(|_| group.key_scope.is_some_and(sees)),
            key_scope: group.key_scope.map(KeyScope::as_str),
            api_key_id,
            api_key_name,
            user_id,
            user_email,
            workspace_id,
            workspace_name,
            account_id,
            account_name,
            sums: group.sums.into(),
        }
    }
}

fn view(
    request: &SumsRequest,
    summary: UsageSummary,
    sees: impl Fn(KeyScope) -> bool,
) -> axum::Json<UsageSummaryView> {
    let day = |day: i64| utc_day(Timestamp::from_millis(day.saturating_mul(DAY_MS)));
    let groups = summary.groups.into_iter();
    axum::Json(UsageSummaryView {
        from: day(request.from_day),
        to: day(request.to_day),
        total: summary.total.into(),
        groups: groups
            .map(|group| GroupView::of(group, &request.by, &sees))
            .collect(),
        truncated: summary.truncated,
    })
}

/// Add up the calls of a workspace; for a plain member their own alone.
///
/// The sums are kept by UTC day beside the calls, so that it takes no longer where there are millions of them; they are those
/// of every call whose row is written. Of the instance's keys it does not say which one served.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/usage/summary", tag = "usage", params(SummaryQuery),
    extensions(("x-action" = json!("read_usage"))),
    responses((status = 200, body = UsageSummaryView), Reads))]
async fn summarize_usage(
    access: Access<ReadUsage>,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<SummaryQuery>,
) -> Result<axum::Json<UsageSummaryView>, Problem> {
    let request = query.request(For::Workspace, call.now)?;
    let within = state.store.within(&access.scope);
    let summary = within.usage_sums(&request).await?;
    let sight = LabelSight::of(&state, &access.scope).await?;
    Ok(view(&request, summary, |scope| sight.sees(Some(scope))))
}

/// Add up the calls of all workspaces of an account, deleted ones too.
///
/// As `summarize_usage`, also by `workspace`.
#[utoipa::path(get, path = "/api/v1/accounts/{account_id}/usage/summary", tag = "usage", params(SummaryQuery),
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = UsageSummaryView), Reads))]
async fn summarize_account_usage(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<SummaryQuery>,
) -> Result<axum::Json<UsageSummaryView>, Problem> {
    let request = query.request(For::Account, call.now)?;
    let within = state.store.within_account(&access.scope);
    let summary = within.usage_sums(&request).await?;
    // They are of the account, or of workspaces of the account.
    Ok(view(&request, summary, |scope| scope != KeyScope::Instance))
}

/// Add up the calls of the whole instance.
///
/// As `summarize_usage`, also by `workspace` and `account`, and not by API keys and people. `provider_key` tells the platform keys
/// apart; own keys are their owners' business.
#[utoipa::path(get, path = "/api/v1/admin/usage/summary", tag = "usage", params(SummaryQuery),
    extensions(("x-action" = json!("read_accounts"))),
    responses((status = 200, body = UsageSummaryView), Reads))]
async fn summarize_instance_usage(
    access: Access<ReadAccounts>,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<SummaryQuery>,
) -> Result<axum::Json<UsageSummaryView>, Problem> {
    let request = query.request(For::Instance, call.now)?;
    let system = state.store.system();
    let summary = system.usage_sums(&access.scope, &request).await?;
    Ok(view(&request, summary, |scope| scope == KeyScope::Instance))
}
