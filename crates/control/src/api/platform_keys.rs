//! Platform keys: the instance's own provider keys, which serve managed calls of everybody.

use axum::extract::State;
use http::StatusCode;

use crate::access::{Access, ProviderKeyInPath, ReadPlatformKeys, WritePlatformKeys};
use crate::api::key_body::{Confidential, KeyOrder, KeyPatch, NewProviderKey, NewValue, new_key};
use crate::api::key_view::{ProviderKeyView, StoredKeyView, stored_view, view};
use crate::api::provider_keys::{answer, order, update};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{
    Changes as ChangeRefusals, KeyChanges, KeyOrders, PlatformSubmissions, Reads,
};
use crate::ops::provider_keys::{self, Holder};
use crate::ops::submission;
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_platform_keys, submit_platform_key))
        .routes(routes!(order_platform_keys))
        .routes(routes!(
            replace_platform_key,
            update_platform_key,
            remove_platform_key
        ))
}

/// List the platform keys.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/platform-keys", tag = "platform keys",
    extensions(("x-action" = json!("read_platform_keys"))),
    responses((status = 200, body = List<ProviderKeyView>), Reads))]
async fn list_platform_keys(
    access: Access<ReadPlatformKeys>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    let records = holder.keys.list().await?;
    let health = holder.keys.health(state.sources.now()).await?;
    let views = records
        .into_iter()
        .map(|record| view(&state, record, &health));
    Ok(axum::Json(List::whole(views)))
}

/// Put all platform keys for one provider into order, in one change.
///
/// As `order_provider_keys`, of the keys that serve managed calls.
#[utoipa::path(put, path = "/api/v1/admin/platform-keys/order", tag = "platform keys",
    extensions(("x-action" = json!("write_platform_keys"))), request_body = KeyOrder,
    responses((status = 200, body = List<ProviderKeyView>), KeyOrders))]
async fn order_platform_keys(
    access: Access<WritePlatformKeys>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyOrder>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    order(&state, &call, &holder, body).await
}

/// Store a platform key, or replace the one with the same label. A sealed box names the deployment as its owner.
///
/// It serves managed calls of everybody from the next call on. The key is tried first where the instance tries keys, and no
/// plan bounds how many there are.
#[utoipa::path(post, path = "/api/v1/admin/platform-keys", tag = "platform keys",
    extensions(("x-action" = json!("write_platform_keys"))), request_body = NewProviderKey,
    responses((status = 201, body = StoredKeyView, description = "The label had no key before."),
        (status = 200, body = StoredKeyView, description = "The key was replaced."), PlatformSubmissions))]
async fn submit_platform_key(
    access: Access<WritePlatformKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewProviderKey>,
) -> Result<(StatusCode, axum::Json<StoredKeyView>), Problem> {
    let new = new_key(confidential, body)?;
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    let stored = submission::submit(&state, &call, &holder, new).await?;
    let health = holder.keys.health(call.now).await?;
    Ok(answer(&state, stored, &health))
}

/// Replace the value of a platform key. Provider, label and base URL stay.
///
/// The old value serves until the new one is stored; a value that is refused changes nothing.
#[utoipa::path(put, path = "/api/v1/admin/platform-keys/{key_id}", tag = "platform keys",
    extensions(("x-action" = json!("write_platform_keys"))), request_body = NewValue,
    responses((status = 200, body = StoredKeyView), PlatformSubmissions))]
async fn replace_platform_key(
    access: Access<WritePlatformKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewValue>,
) -> Result<axum::Json<StoredKeyView>, Problem> {
    let material = body.material(confidential)?;
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    let stored = submission::replace(&state, &call, &holder, id, material).await?;
    let health = holder.keys.health(call.now).await?;
    Ok(axum::Json(stored_view(&state, stored, &health)))
}

/// Change the label, the order, the pool or the state of a platform key. It takes no prices.
///
/// What is left out stays. The order counts from the next call on; a disabled key is kept and serves nobody.
#[utoipa::path(patch, path = "/api/v1/admin/platform-keys/{key_id}", tag = "platform keys",
    extensions(("x-action" = json!("write_platform_keys"))), request_body = KeyPatch,
    responses((status = 200, body = ProviderKeyView), KeyChanges))]
async fn update_platform_key(
    access: Access<WritePlatformKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyPatch>,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    update(&state, &call, &holder, id, body).await
}

/// Remove a platform key for good. Requests that run end as they would.
///
/// The answer has no body: what calls meet from now on differs from workspace to workspace; managed calls that no other
/// platform key and no managed gateway serves are refused with `402 managed_unavailable`.
#[utoipa::path(delete, path = "/api/v1/admin/platform-keys/{key_id}", tag = "platform keys",
    extensions(("x-action" = json!("write_platform_keys"))),
    responses((status = 204), ChangeRefusals))]
async fn remove_platform_key(
    access: Access<WritePlatformKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let holder = Holder::instance(&state.store, &access.scope, state.deployment);
    provider_keys::remove(&call, &holder, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
