//! The `/v1/billing` endpoints, with shapes of their own: balance and transactions of the caller's account.

use axum::extract::State;
use domain::credits::{CardKind, EntryKind};
use serde::{Deserialize, Serialize};
use store::{LedgerFilter, LedgerRow};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ReadBilling};
use crate::api::api_keys::Moment;
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::page::{List, page_request};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_balance))
        .routes(routes!(list_transactions))
}

/// An account's balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct BalanceView {
    /// What there is before running calls are settled, in millionths of a US dollar; negative when owed.
    balance_micro_usd: i64,
    /// What is held for running calls, in millionths of a US dollar.
    pending_debits_micro_usd: i64,
    /// What the next call may use, in millionths of a US dollar; the balance without what is held.
    available_micro_usd: i64,
    /// Always `USD`.
    currency: &'static str,
}

/// See the balance of the caller's account.
///
/// In millionths of a US dollar, rounded down; `available` is the balance without what running calls hold, and may be negative
/// where a call cost more than there was. For an API key: of the account of its workspace, if the person who minted it owns
/// that account.
#[utoipa::path(get, path = "/v1/billing/balance", tag = "credits",
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = BalanceView), Reads))]
async fn get_balance(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<BalanceView>, Problem> {
    let within = state.store.within_account(&access.scope);
    let credits = within.credits(call.now).await?;
    let balance = credits.available.plus(credits.reserved).micros();
    let available = credits.available.micros();
    Ok(axum::Json(BalanceView {
        balance_micro_usd: balance,
        // The difference of what is shown, so that the three always add up.
        pending_debits_micro_usd: balance - available,
        available_micro_usd: available,
        currency: "USD",
    }))
}

/// A transaction of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionView {
    /// Its number; later ones are greater.
    id: i64,
    /// Why it is there.
    #[schema(schema_with = schema::transaction_kind)]
    kind: &'static str,
    /// What it added, in millionths of a US dollar, rounded down; negative: what it took.
    amount_micro_usd: i64,
    /// The same in billionths of a US dollar, exactly.
    amount_nano_usd: i64,
    /// What there was after it, with what running calls held, in millionths of a US dollar, rounded down; negative: what was
    /// owed.
    balance_micro_usd: i64,
    /// The same in billionths of a US dollar, exactly.
    balance_nano_usd: i64,
    /// When it was written; RFC 3339, UTC.
    created_at: String,
    /// The id of the call that it is for; `null`: none.
    #[schema(required)]
    request_id: Option<String>,
    /// What the credits are for, in the words of whoever gave them; `null`: nothing was said.
    #[schema(required)]
    reference: Option<String>,
    /// Where the credits that came or ended come from: `included` with the plan.
    #[schema(schema_with = schema::nullable_card_kind)]
    card_kind: Option<&'static str>,
}

/// Which transactions are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LedgerQuery {
    /// Only transactions of this kind.
    #[param(schema_with = schema::transaction_kind)]
    kind: Option<EntryKind>,
    /// From this moment on; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the part before.
    after: Option<String>,
}

/// List the transactions of the caller's account, newest first.
///
/// In pages: `limit` and `after` name the part that is wanted. What is narrowed down has the same balances as the whole.
#[utoipa::path(get, path = "/v1/billing/transactions", tag = "credits", params(LedgerQuery),
    extensions(("x-action" = json!("read_billing"))),
    responses((status = 200, body = List<TransactionView>), Reads))]
async fn list_transactions(
    access: Access<ReadBilling>,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<LedgerQuery>,
) -> Result<axum::Json<List<TransactionView>>, Problem> {
    let within = state.store.within_account(&access.scope);
    if query.after.is_none() {
        // Does what is due, as the balance does: without, a balance could stand beside a ledger that it does not come from.
        within.credits(call.now).await?;
    }
    let page = page_request(query.limit, query.after)?;
    let filter = LedgerFilter {
        kind: query.kind,
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
    };
    let page = within.ledger(&filter, &page).await?;
    Ok(axum::Json(List::of(page, view)))
}

fn view(row: LedgerRow) -> TransactionView {
    TransactionView {
        id: row.id,
        kind: row.kind.as_str(),
        amount_micro_usd: row.amount.micros(),
        amount_nano_usd: row.amount.nanos(),
        balance_micro_usd: row.balance.micros(),
        balance_nano_usd: row.balance.nanos(),
        created_at: row.at.to_string(),
        request_id: row.request.map(|request| request.to_string()),
        reference: row.reference,
        card_kind: row.card_kind.map(CardKind::as_str),
    }
}
