//! Provider keys of an account, which serve all of its workspaces.

use axum::extract::State;
use http::StatusCode;

use crate::access::{Access, ProviderKeyInPath, ReadAccountProviderKeys, WriteAccountProviderKeys};
use crate::api::key_body::{Confidential, KeyOrder, KeyPatch, NewProviderKey, NewValue, new_key};
use crate::api::key_view::{Look, ProviderKeyView, StoredKeyView};
use crate::api::provider_keys::{order, status, update};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes as ChangeRefusals, KeyChanges, KeyOrders, Reads, Submissions};
use crate::ops::provider_keys::{self, Holder};
use crate::ops::submission;
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(
            list_account_provider_keys,
            submit_account_provider_key
        ))
        .routes(routes!(order_account_provider_keys))
        .routes(routes!(
            replace_account_provider_key,
            update_account_provider_key,
            remove_account_provider_key
        ))
}

/// List the provider keys of an account, which serve all of its workspaces.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/accounts/{account_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("read_account_provider_keys"))),
    responses((status = 200, body = List<ProviderKeyView>), Reads))]
async fn list_account_provider_keys(
    access: Access<ReadAccountProviderKeys>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    let look = Look::of(&state, &holder).await?;
    let records = holder.keys.list().await?.into_iter();
    let views = records.map(|record| look.view(&state, record));
    Ok(axum::Json(List::whole(views)))
}

/// Put all keys of an account for one provider into order, in one change.
///
/// As `order_provider_keys`.
#[utoipa::path(put, path = "/api/v1/accounts/{account_id}/provider-keys/order", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = KeyOrder,
    responses((status = 200, body = List<ProviderKeyView>), KeyOrders))]
async fn order_account_provider_keys(
    access: Access<WriteAccountProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyOrder>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    order(&state, &call, &holder, body).await
}

/// Store a provider key of an account, or replace the one with the same label.
#[utoipa::path(post, path = "/api/v1/accounts/{account_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = NewProviderKey,
    responses((status = 201, body = StoredKeyView, description = "The label had no key before."),
        (status = 200, body = StoredKeyView, description = "The key was replaced."), Submissions))]
async fn submit_account_provider_key(
    access: Access<WriteAccountProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewProviderKey>,
) -> Result<(StatusCode, axum::Json<StoredKeyView>), Problem> {
    let new = new_key(confidential, body)?;
    let holder = Holder::account(&state.store, &access.scope);
    let stored = submission::submit(&state, &call, &holder, new).await?;
    let look = Look::of(&state, &holder).await?;
    Ok((status(&stored), axum::Json(look.stored(&state, stored))))
}

/// Replace the value of an account's provider key. Provider, label and base URL stay.
#[utoipa::path(put, path = "/api/v1/accounts/{account_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = NewValue,
    responses((status = 200, body = StoredKeyView), Submissions))]
async fn replace_account_provider_key(
    access: Access<WriteAccountProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewValue>,
) -> Result<axum::Json<StoredKeyView>, Problem> {
    let material = body.material(confidential)?;
    let holder = Holder::account(&state.store, &access.scope);
    let stored = submission::replace(&state, &call, &holder, id, material).await?;
    let look = Look::of(&state, &holder).await?;
    Ok(axum::Json(look.stored(&state, stored)))
}

/// Change the label, the order, the pool, the prices or the state of an account's provider key.
#[utoipa::path(patch, path = "/api/v1/accounts/{account_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = KeyPatch,
    responses((status = 200, body = ProviderKeyView), KeyChanges))]
async fn update_account_provider_key(
    access: Access<WriteAccountProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyPatch>,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    update(&state, &call, &holder, id, body).await
}

/// Remove a provider key of an account for good. Requests that run end as they would.
///
/// The answer has no body: what calls meet from now on differs from workspace to workspace, by its own keys, mode and
/// guardrail; `resolve` of a workspace tells for each.
#[utoipa::path(delete, path = "/api/v1/accounts/{account_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))),
    responses((status = 204), ChangeRefusals))]
async fn remove_account_provider_key(
    access: Access<WriteAccountProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    provider_keys::remove(&call, &holder, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
