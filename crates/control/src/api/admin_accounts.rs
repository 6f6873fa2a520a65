//! Accounts as the instance's admins see them: plan, credits, rate. What an account holds is not shown here.

use axum::extract::State;
use domain::credits::CardKind;
use domain::{AccountId, Decimal, NanoUsd, PlanId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{AccountSummary, CardRow, CreditsRow, InstanceScope};
use utoipa::ToSchema;

use crate::access::{Access, AccountInPath, ReadAccounts, WriteAccounts};
use crate::api::api_keys::Moment;
use crate::api::plans::AccountSubscription;
use crate::api::users::EmailQuery;
use crate::body::{Json, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Reads, Writes};
use crate::ops::accounts::{self, Gift};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_accounts))
        .routes(routes!(get_account_with_credits, update_account))
        .routes(routes!(grant_credits))
}

/// An account in the list of all.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountEntry {
    /// The id.
    #[schema(value_type = String, example = "acc_06evr40e1m73fwp2hw6n0xq8kc")]
    id: AccountId,
    /// The name; at first the owner's e-mail.
    name: String,
    /// The e-mail of the person who owns it.
    owner_email: String,
    /// The id of its plan.
    #[schema(value_type = String, example = "pro")]
    plan: PlanId,
    /// When it was made; RFC 3339, UTC.
    created_at: String,
}

impl From<AccountSummary> for AccountEntry {
    fn from(row: AccountSummary) -> Self {
        Self {
            id: row.id,
            name: row.name,
            owner_email: row.owner_email,
            plan: row.plan,
            created_at: row.created_at.to_string(),
        }
    }
}

/// List all accounts, oldest first, or find some by the e-mail of their owner.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/admin/accounts", tag = "instance accounts", params(EmailQuery),
    extensions(("x-action" = json!("read_accounts"))),
    responses((status = 200, body = List<AccountEntry>), Reads))]
async fn list_accounts(
    access: Access<ReadAccounts>,
    State(state): State<ControlState>,
    Query(query): Query<EmailQuery>,
) -> Result<axum::Json<List<AccountEntry>>, Problem> {
    let (part, page) = query.parts()?;
    let system = state.store.system();
    let page = system.accounts(&access.scope, part.as_deref(), &page);
    let page = page.await?;
    Ok(axum::Json(List::of(page, AccountEntry::from)))
}

/// An amount of credits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Amount {
    /// In credits of 0.01 USD, for display.
    #[schema(example = 250.0)]
    credits: f64,
    /// The exact amount in billionths of a US dollar.
    #[schema(example = 2_500_000_000_i64)]
    nano_usd: i64,
}

impl From<NanoUsd> for Amount {
    fn from(amount: NanoUsd) -> Self {
        Self {
            credits: amount.credits(),
            nano_usd: amount.nanos(),
        }
    }
}

/// What an account has to spend.
#[derive(Debug, Serialize, ToSchema)]
pub struct Balance {
    /// What the next call may use; negative if more is held or owed than there is.
    available: Amount,
    /// What is held for running calls.
    reserved: Amount,
    /// What is owed; the next card repays it.
    debt: Amount,
    /// What the live cards were worth at first.
    total: Amount,
    /// What comes each month.
    monthly: Amount,
    /// When the next monthly credits come; RFC 3339, UTC. `null`: none are included.
    next_reset: Option<String>,
}

impl From<&CreditsRow> for Balance {
    fn from(row: &CreditsRow) -> Self {
        Self {
            available: row.available.into(),
            reserved: row.reserved.into(),
            debt: row.debt.into(),
            total: row.total.into(),
            monthly: row.monthly.into(),
            next_reset: row.next_reset.map(|at| at.to_string()),
        }
    }
}

/// Credits that came together and lapse together.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditCard {
    /// Its number.
    id: i64,
    /// Where it comes from.
    #[schema(schema_with = schema::card_kind)]
    kind: CardKind,
    /// What it was worth at first.
    granted: Amount,
    /// What is left of it.
    remaining: Amount,
    /// When it came; RFC 3339, UTC.
    granted_at: String,
    /// When what is left of it lapses; RFC 3339, UTC. `null`: never.
    expires_at: Option<String>,
    /// What it is for, in the words of whoever gave it; absent: nothing was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl From<CardRow> for CreditCard {
    fn from(row: CardRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            granted: row.granted.into(),
            remaining: row.remaining.into(),
            granted_at: row.granted_at.to_string(),
            expires_at: row.expires_at.map(|at| at.to_string()),
            reference: row.reference,
        }
    }
}

/// An account with its plan and its credits.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountDetail {
    /// The account.
    #[serde(flatten)]
    account: AccountEntry,
    /// What it subscribed to.
    subscription: AccountSubscription,
    /// What it has to spend.
    credits: Balance,
    /// What its charges are multiplied by, 0 to 1000.
    #[schema(value_type = String, example = "1")]
    credit_rate: Decimal,
    /// Its live cards, in the order in which they are spent.
    cards: Vec<CreditCard>,
}

/// See an account with its plan and its credits.
///
/// What the account holds (workspaces, members, keys, calls) is not shown. Amounts are in nano-USD and in credits of 0.01 USD.
#[utoipa::path(get, path = "/api/v1/admin/accounts/{account_id}", tag = "instance accounts",
    extensions(("x-action" = json!("read_accounts"))),
    responses((status = 200, body = AccountDetail), Reads))]
async fn get_account_with_credits(
    access: Access<ReadAccounts>,
    AccountInPath(account): AccountInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<axum::Json<AccountDetail>, Problem> {
    detail(&state, &call, &access.scope, account).await
}

/// What to change of an account. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// What its charges are multiplied by, 0 to 1000; a text or a number.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "1.2")]
    credit_rate: Option<Decimal>,
}

/// Change what an account's charges are multiplied by, from the next call on.
///
/// The rate comes on top of the ratios and the factor of the settings. Calls that run are charged at the rate that they began
/// with. An empty body changes nothing.
#[utoipa::path(patch, path = "/api/v1/admin/accounts/{account_id}", tag = "instance accounts",
    extensions(("x-action" = json!("write_accounts"))), request_body = AccountPatch,
    responses((status = 200, body = AccountDetail), Writes))]
async fn update_account(
    access: Access<WriteAccounts>,
    AccountInPath(account): AccountInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<AccountPatch>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    if let Some(rate) = body.credit_rate {
        accounts::set_rate(&state, &call, &access.scope, account, rate).await?;
    }
    detail(&state, &call, &access.scope, account).await
}

/// Where credits that an admin gives come from. Included ones come with the plan.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenKind {
    /// [`CardKind::Grant`].
    Grant,
    /// [`CardKind::TopUp`].
    TopUp,
    /// [`CardKind::Refund`].
    Refund,
}

impl From<GivenKind> for CardKind {
    fn from(kind: GivenKind) -> Self {
        match kind {
            GivenKind::Grant => Self::Grant,
            GivenKind::TopUp => Self::TopUp,
            GivenKind::Refund => Self::Refund,
        }
    }
}

/// Credits to give.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredits {
    /// Where they come from.
    #[schema(schema_with = schema::given_kind)]
    kind: GivenKind,
    /// How many: above 0, at most 100,000,000, with at most seven digits behind the point; a text or a number.
    #[schema(schema_with = schema::credits)]
    credits: Decimal,
    /// When what is left of them lapses; RFC 3339, in the future. `null` or left out: never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// What they are for, such as the number of a payment; 1 to 200 characters. The same reference is given once.
    #[serde(default)]
    reference: Option<String>,
}

/// Give credits to an account, once for each reference.
///
/// A card is spent after those that lapse earlier, and repays what is owed first. The same `reference` with the same amount
/// answers `200` with the card that was given, also after it has lapsed; with another amount it is `409`.
#[utoipa::path(post, path = "/api/v1/admin/accounts/{account_id}/credits", tag = "instance accounts",
    extensions(("x-action" = json!("write_accounts"))), request_body = NewCredits,
    responses((status = 201, body = CreditCard),
        (status = 200, body = CreditCard, description = "They were given before under the same reference."), Writes))]
async fn grant_credits(
    access: Access<WriteAccounts>,
    AccountInPath(account): AccountInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewCredits>,
) -> Result<(StatusCode, axum::Json<CreditCard>), Problem> {
    let gift = Gift {
        kind: body.kind.into(),
        credits: body.credits,
        expires_at: body.expires_at.map(|Moment(at)| at),
        reference: body.reference,
    };
    let (card, new) = accounts::grant(&state, &call, &access.scope, account, gift).await?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, axum::Json(card.into())))
}

async fn detail(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    account: AccountId,
) -> Result<axum::Json<AccountDetail>, Problem> {
    let system = state.store.system();
    let summary = system.account(scope, account).await?;
    let subscription = system.subscription(scope, account).await?;
    let credits = system.account_credits(scope, account, call.now).await?;
    Ok(axum::Json(AccountDetail {
        account: summary.into(),
        subscription: subscription.into(),
        credits: (&credits).into(),
        credit_rate: credits.rate,
        cards: credits.cards.into_iter().map(CreditCard::from).collect(),
    }))
}
