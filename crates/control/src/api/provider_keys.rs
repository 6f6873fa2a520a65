//! Provider keys of a workspace: theirs, brought to us. `account_keys` has those of an account.

use axum::extract::State;
use domain::ProviderKeyId;
use domain::access::Role;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Access, ProviderKeyInPath, ReadProviderKeys, WriteProviderKeys};
use crate::api::key_body::{Confidential, KeyPatch, NewProviderKey, NewValue, new_key};
use crate::api::key_view::{
    ProviderKeyEntry, ProviderKeyView, StoredKeyView, availability, stored_view, view,
};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes as ChangeRefusals, KeyChanges, Reads, Submissions};
use crate::ops::provider_keys::{self, Holder};
use crate::ops::submission::{self, Stored};
use crate::page::List;
use crate::state::ControlState;

/// The routes of this resource.
pub fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new()
        .routes(routes!(list_provider_keys, submit_provider_key))
        .routes(routes!(
            replace_provider_key,
            update_provider_key,
            remove_provider_key
        ))
}

/// The answer to a submission: `201` for a new label, `200` for a replaced key.
pub(crate) fn answer(
    state: &ControlState,
    stored: Stored,
) -> (StatusCode, axum::Json<StoredKeyView>) {
    let status = if stored.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, axum::Json(stored_view(state, stored)))
}

/// List the provider keys of a workspace; members see only for which providers there is one.
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
    let records = Holder::workspace(&state.store, &access.scope)
        .keys
        .list()
        .await?;
    let entries = if access.scope.role() >= Role::Admin {
        let entry = |record| ProviderKeyEntry::Key(Box::new(view(&state, record)));
        records.into_iter().map(entry).collect()
    } else {
        availability(records)
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
    Ok(answer(&state, stored))
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
    Ok(axum::Json(stored_view(&state, stored)))
}

/// Change the label, the order or the state of a provider key.
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

/// Remove a provider key for good. Requests that run end as they would.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))),
    responses((status = 204), ChangeRefusals))]
async fn remove_provider_key(
    access: Access<WriteProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let holder = Holder::workspace(&state.store, &access.scope);
    provider_keys::remove(&call, &holder, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes a key of either holder.
pub(crate) async fn update(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    body: KeyPatch,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let record = provider_keys::change(call, holder, id, body.changes()?).await?;
    Ok(axum::Json(view(state, record)))
}
