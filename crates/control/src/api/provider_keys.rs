//! Provider keys of a workspace: theirs, brought to us. `account_keys` has those of an account.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::ProviderKeyId;
use http::StatusCode;
use serde::Serialize;
use store::KeyHealth;
use utoipa::ToSchema;

use crate::access::{Access, ProviderKeyInPath, ReadProviderKeys, WriteProviderKeys};
use crate::api::key_body::{Confidential, KeyOrder, KeyPatch, NewProviderKey, NewValue, new_key};
use crate::api::key_view::{Look, ProviderKeyEntry, ProviderKeyView, StoredKeyView, stored_view};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes as ChangeRefusals, KeyChanges, KeyOrders, Reads, Submissions};
use crate::ops::provider_keys::{self, Holder};
use crate::ops::resolution::{self, Facts};
use crate::ops::submission::{self, Stored};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_provider_keys, submit_provider_key))
        .routes(routes!(order_provider_keys))
        .routes(routes!(
            get_provider_key,
            replace_provider_key,
            update_provider_key,
            remove_provider_key
        ))
}

/// The answer to a submission for those whom nothing is hidden from.
pub(crate) fn answer(
    state: &ControlState,
    stored: Stored,
    health: &BTreeMap<ProviderKeyId, KeyHealth>,
) -> (StatusCode, axum::Json<StoredKeyView>) {
    let status = status(&stored);
    (status, axum::Json(stored_view(state, stored, health)))
}

/// `201` for a new label, `200` for a replaced key.
pub(crate) fn status(stored: &Stored) -> StatusCode {
    if stored.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    }
}

/// List the provider keys of a workspace; those below the role that the instance says see only for which providers
/// there is one.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("read_provider_keys"))),
    responses((status = 200, body = List<ProviderKeyEntry>), Reads))]
async fn list_provider_keys(
    access: Access<ReadProviderKeys>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ProviderKeyEntry>>, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    let look = Look::of(&state, &holder).await?;
    let records = holder.keys.list().await?;
    let entries = if look.sees {
        let entry = |record| ProviderKeyEntry::Key(Box::new(look.view(&state, record)));
        records.into_iter().map(entry).collect()
    } else {
        look.availability(&records)
    };
    Ok(axum::Json(List::whole(entries)))
}

/// Store a provider key of a workspace, or replace the one with the same label.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))), request_body = NewProviderKey,
    responses((status = 201, body = StoredKeyView, description = "The label had no key before."),
        (status = 200, body = StoredKeyView, description = "The key was replaced."), Submissions))]
async fn submit_provider_key(
    access: Access<WriteProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewProviderKey>,
) -> Result<(StatusCode, axum::Json<StoredKeyView>), Problem> {
    let new = new_key(confidential, body)?;
    let holder = Holder::workspace(&state.store, &access.scope);
    let stored = submission::submit(&state, &call, &holder, new).await?;
    let look = Look::of(&state, &holder).await?;
    Ok((status(&stored), axum::Json(look.stored(&state, stored))))
}

/// A provider key, with what its removal would mean.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderKeyDetail {
    /// The key as it is listed.
    #[serde(flatten)]
    key: ProviderKeyView,
    /// What calls of the provider's models would meet if the key were removed now.
    #[schema(schema_with = schema::if_removed)]
    if_removed: &'static str,
}

/// See a provider key, and what calls would meet if it were removed.
///
/// For those who see labels and masks in the list; the instance says from which role on (`mask_visible_to`).
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("read_provider_keys"))),
    responses((status = 200, body = ProviderKeyDetail), Reads))]
async fn get_provider_key(
    access: Access<ReadProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<ProviderKeyDetail>, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    let record = provider_keys::get(&holder, id).await?;
    let look = Look::of(&state, &holder).await?;
    let facts = Facts::gather(&state, &access.scope).await?;
    if !look.sees {
        let least = facts.settings().mask_visible_to;
        return Err(Problem::denied(format!("the role {least}")));
    }
    let payer = state.store.within(&access.scope).payer(call.now).await?;
    let then = resolution::after_removal(&state, facts, &record, payer.has_credits, call.now);
    Ok(axum::Json(ProviderKeyDetail {
        key: look.view(&state, record),
        if_removed: then.as_str(),
    }))
}

/// Replace the value of a provider key. Provider, label and base URL stay.
#[utoipa::path(put, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))), request_body = NewValue,
    responses((status = 200, body = StoredKeyView), Submissions))]
async fn replace_provider_key(
    access: Access<WriteProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewValue>,
) -> Result<axum::Json<StoredKeyView>, Problem> {
    let material = body.material(confidential)?;
    let holder = Holder::workspace(&state.store, &access.scope);
    let stored = submission::replace(&state, &call, &holder, id, material).await?;
    let look = Look::of(&state, &holder).await?;
    Ok(axum::Json(look.stored(&state, stored)))
}

/// Change the label, the order, the pool, the prices or the state of a provider key.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))), request_body = KeyPatch,
    responses((status = 200, body = ProviderKeyView), KeyChanges))]
async fn update_provider_key(
    access: Access<WriteProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyPatch>,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    update(&state, &call, &holder, id, body).await
}

/// Put all keys of a workspace for one provider into order, in one change.
///
/// Each gets its place in the list as its `position`; the answer has them in that order. Levels come first: the order counts
/// among keys of one level. `409 keys_changed` when the list is not of exactly the keys that are there.
#[utoipa::path(put, path = "/api/v1/workspaces/{workspace_id}/provider-keys/order", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))), request_body = KeyOrder,
    responses((status = 200, body = List<ProviderKeyView>), KeyOrders))]
async fn order_provider_keys(
    access: Access<WriteProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<KeyOrder>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    order(&state, &call, &holder, body).await
}

/// That a key is gone, and what calls of its provider's models meet now.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedKeyView {
    /// Always `true`; a key that is not there is `404`.
    deleted: bool,
    /// What calls of the provider's models meet from now on.
    #[schema(schema_with = schema::then)]
    then: &'static str,
}

/// Remove a provider key for good, and see what its calls meet from now on. Requests that run end as they would.
///
/// `GET` of the same path tells beforehand, as `if_removed`.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))),
    responses((status = 200, body = RemovedKeyView), ChangeRefusals))]
async fn remove_provider_key(
    access: Access<WriteProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<axum::Json<RemovedKeyView>, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    let record = provider_keys::get(&holder, id).await?;
    let facts = Facts::gather(&state, &access.scope).await?;
    let payer = state.store.within(&access.scope).payer(call.now).await?;
    let then = resolution::after_removal(&state, facts, &record, payer.has_credits, call.now);
    provider_keys::remove_record(&call, &holder, &record).await?;
    Ok(axum::Json(RemovedKeyView {
        deleted: true,
        then: then.as_str(),
    }))
}

/// Puts the keys of either holder into order.
pub(crate) async fn order(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    body: KeyOrder,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let records = provider_keys::order(call, holder, &body.provider, &body.key_ids).await?;
    let look = Look::of(state, holder).await?;
    let views = records.into_iter().map(|record| look.view(state, record));
    Ok(axum::Json(List::whole(views)))
}

/// Changes a key of either holder.
pub(crate) async fn update(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    body: KeyPatch,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let record = provider_keys::change(call, holder, id, &body.changes()?).await?;
    let look = Look::of(state, holder).await?;
    Ok(axum::Json(look.view(state, record)))
}
