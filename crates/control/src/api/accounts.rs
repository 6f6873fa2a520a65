//! Accounts: who owns workspaces.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ReadAccount};
use crate::error::Problem;
use crate::openapi::Reads;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_account))
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The id.
    #[schema(example = "acc_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The name.
    name: String,
    /// The person who owns it.
    owner_id: String,
    /// When it was made.
    created_at: String,
}

/// See an account.
#[utoipa::path(get, path = "/api/v1/accounts/{account_id}", tag = "accounts",
    extensions(("x-action" = json!("read_account"))),
    responses((status = 200, body = AccountView), Reads))]
async fn get_account(
    access: Access<ReadAccount>,
    State(state): State<ControlState>,
) -> Result<axum::Json<AccountView>, Problem> {
    let row = state.store.within_account(&access.scope).account().await?;
    Ok(axum::Json(AccountView {
        id: row.id.to_string(),
        name: row.name,
        owner_id: row.owner.to_string(),
        created_at: row.created_at.to_string(),
    }))
}
