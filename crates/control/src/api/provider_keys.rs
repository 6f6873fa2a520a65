//! Provider keys of a workspace and of an account: theirs, brought to us.

use axum::extract::{FromRequestParts, State};
use domain::access::Role;
use domain::key::FailureKind;
use domain::record::ProviderKeyRecord;
use domain::{Label, ProviderKeyId, Secret};
use http::StatusCode;
use http::request::Parts;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{
    Access, ProviderKeyInPath, ReadAccountProviderKeys, ReadProviderKeys, WriteAccountProviderKeys,
    WriteProviderKeys,
};
use crate::body::Json;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::openapi::{Changes as ChangeRefusals, KeyChanges, Reads, Submissions};
use crate::ops::provider_keys::{self, Changes, Holder, Material, NewKey, Stored};
use crate::page::List;
use crate::state::{ControlState, SubmissionPolicy};

/// The routes of this resource.
pub fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new()
        .routes(routes!(list_provider_keys, submit_provider_key))
        .routes(routes!(
            replace_provider_key,
            update_provider_key,
            remove_provider_key
        ))
        .routes(routes!(
            list_account_provider_keys,
            submit_account_provider_key
        ))
        .routes(routes!(
            update_account_provider_key,
            remove_account_provider_key
        ))
}

/// A provider key as owners and admins see it. The key itself is in no answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderKeyView {
    /// The id.
    #[schema(example = "pk_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The provider that issued it.
    #[schema(example = "openai")]
    provider: String,
    /// What the owner calls it.
    #[schema(example = "primary")]
    label: String,
    /// `workspace` or `account`.
    scope: &'static str,
    /// What may be shown of it, made by the server.
    #[schema(example = "sk-a...bCdE")]
    mask: String,
    /// Where it is sent, if not to the provider's own base URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// Whether it may serve.
    enabled: bool,
    /// Its place among the keys for the provider; lower serves first.
    position: i64,
    /// The sealing key to which it was submitted; absent if it came in plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    kek_id: Option<String>,
    /// Counts the replacements of its value, from 1.
    version: i64,
    /// When the label was first given a key.
    created_at: String,
    /// When the key, its order or its state last changed.
    updated_at: String,
    /// When it last served, to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// The last time that the provider did not accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureView>,
}

/// A failure of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// When.
    at: String,
    /// Why.
    #[schema(value_type = String, example = "invalid_key")]
    kind: FailureKind,
}

/// That there is a key for a provider: all that members see.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailabilityView {
    /// The provider.
    #[schema(example = "openai")]
    provider: String,
    /// Whether one of its keys may serve.
    available: bool,
}

/// An entry in the list of provider keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ProviderKeyEntry {
    /// For owners and admins.
    Key(Box<ProviderKeyView>),
    /// For members.
    Availability(AvailabilityView),
}

/// The view of a record for those who manage it.
pub(crate) fn view(state: &ControlState, record: ProviderKeyRecord) -> ProviderKeyView {
    let context = record.context;
    let own_base_url = state
        .registry
        .get(&context.provider)
        .map(|provider| provider.base_url.as_str());
    let custom = own_base_url != Some(context.base_url.as_str());
    ProviderKeyView {
        id: context.key.to_string(),
        provider: context.provider.to_string(),
        label: record.label.to_string(),
        scope: context.owner.scope(),
        mask: record.mask,
        base_url: custom.then_some(context.base_url),
        enabled: record.enabled,
        position: record.position,
        kek_id: record.kek_id,
        version: context.version,
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        last_used_at: record.last_used_at.map(|at| at.to_string()),
        last_failure: record.last_failure.map(|(at, kind)| FailureView {
            at: at.to_string(),
            kind,
        }),
    }
}

/// One entry for each provider that has a key.
fn availability(records: Vec<ProviderKeyRecord>) -> Vec<ProviderKeyEntry> {
    let mut providers = std::collections::BTreeMap::<String, bool>::new();
    for record in records {
        let available = providers
            .entry(record.context.provider.to_string())
            .or_default();
        *available |= record.enabled;
    }
    let entry = |(provider, available)| {
        ProviderKeyEntry::Availability(AvailabilityView {
            provider,
            available,
        })
    };
    providers.into_iter().map(entry).collect()
}

/// A key in plain text on its way in.
pub struct PlainKey(Secret);

impl<'de> Deserialize<'de> for PlainKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from_text(text)))
    }
}

/// A provider key to store: exactly one of `kek_id` with `ciphertext_b64`, and `key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProviderKey {
    /// The provider's id, exactly as listed.
    #[schema(example = "openai")]
    provider: String,
    /// What to call it; `primary` when left out. A key with the same label is replaced.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    label: Label,
    /// Where to send it, where the instance allows other places than the provider's own.
    #[serde(default)]
    base_url: Option<String>,
    /// The sealing key that the box is sealed to.
    #[serde(default)]
    kek_id: Option<String>,
    /// The sealed box in padded standard base64.
    #[serde(default)]
    ciphertext_b64: Option<String>,
    /// The key in plain text, where the instance takes it and nobody on the way can read it.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<PlainKey>,
}

/// A new value for a provider key: exactly one of `kek_id` with `ciphertext_b64`, and `key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewValue {
    /// The sealing key that the box is sealed to.
    #[serde(default)]
    kek_id: Option<String>,
    /// The sealed box in padded standard base64.
    #[serde(default)]
    ciphertext_b64: Option<String>,
    /// The key in plain text, where the instance takes it and nobody on the way can read it.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<PlainKey>,
}

/// What may change of a provider key without its value. Where it is sent may not.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// A new label.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    label: Option<Label>,
    /// Whether it may serve.
    #[serde(default)]
    enabled: Option<bool>,
    /// Its place among the keys for the provider, 0 to 9999.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9999)]
    position: Option<i64>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    provider: Option<IgnoredAny>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    base_url: Option<IgnoredAny>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    auth_header: Option<IgnoredAny>,
}

impl KeyPatch {
    fn changes(self) -> Result<Changes, Problem> {
        if self.provider.is_some() || self.base_url.is_some() || self.auth_header.is_some() {
            return Err(Problem::new(Code::ResubmitKey));
        }
        if self
            .position
            .is_some_and(|position| !(0..=9999).contains(&position))
        {
            return Err(Problem::field(
                "position",
                "position is a number from 0 to 9999",
            ));
        }
        Ok(Changes {
            label: self.label,
            enabled: self.enabled,
            position: self.position,
        })
    }
}

/// Whether nobody between the client and this process can read the request.
pub struct Confidential(bool);

impl FromRequestParts<ControlState> for Confidential {
    type Rejection = Problem;

    /// Over loopback, or over TLS that a proxy ends which the operator trusts to say so. Signs of a proxy
    /// that is not trusted mean that loopback is only the last step of the way.
    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, state).await?;
        let protocols = parts.headers.get_all("x-forwarded-proto");
        let proxied = ["forwarded", "x-forwarded-for", "x-forwarded-proto"];
        let proxied = proxied.iter().any(|name| parts.headers.contains_key(*name));
        let over_tls = state.config.trust_forwarded_proto
            && protocols.iter().next().is_some()
            && protocols.iter().all(|protocol| protocol == "https");
        let loopback = call
            .peer
            .is_some_and(|peer| peer.to_canonical().is_loopback());
        Ok(Self(over_tls || (loopback && !proxied)))
    }
}

/// The key of a body, if it has exactly one and in a form that is accepted here.
pub(crate) fn material(
    state: &ControlState,
    Confidential(confidential): Confidential,
    kek_id: Option<String>,
    ciphertext_b64: Option<String>,
    key: Option<PlainKey>,
) -> Result<Material, Problem> {
    match (kek_id, ciphertext_b64, key) {
        (Some(kek_id), Some(ciphertext_b64), None) => Ok(Material::Sealed {
            kek_id,
            ciphertext_b64,
        }),
        (None, None, Some(PlainKey(key))) => {
            if state.config.submission == SubmissionPolicy::Both && confidential {
                Ok(Material::Plain(key))
            } else {
                Err(Problem::new(Code::SealedSubmissionRequired))
            }
        }
        _ => Err(Problem::new(Code::InvalidRequest)
            .because("give either kek_id and ciphertext_b64, or key")),
    }
}

fn answer(state: &ControlState, stored: Stored) -> (StatusCode, axum::Json<ProviderKeyView>) {
    let status = if stored.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, axum::Json(view(state, stored.record)))
}

fn new_key(
    state: &ControlState,
    confidential: Confidential,
    body: NewProviderKey,
) -> Result<NewKey, Problem> {
    let material = material(
        state,
        confidential,
        body.kek_id,
        body.ciphertext_b64,
        body.key,
    )?;
    Ok(NewKey {
        provider: body.provider,
        label: body.label,
        base_url: body.base_url,
        material,
    })
}

/// List the provider keys of a workspace; members see only for which providers there is one.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("read_provider_keys"))),
    responses((status = 200, body = List<ProviderKeyEntry>), Reads))]
async fn list_provider_keys(
    access: Access<ReadProviderKeys>,
    State(state): State<ControlState>,
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
    responses((status = 201, body = ProviderKeyView, description = "The label had no key before."),
        (status = 200, body = ProviderKeyView, description = "The key was replaced."), Submissions))]
async fn submit_provider_key(
    access: Access<WriteProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewProviderKey>,
) -> Result<(StatusCode, axum::Json<ProviderKeyView>), Problem> {
    let new = new_key(&state, confidential, body)?;
    let holder = Holder::workspace(&state.store, &access.scope);
    let stored = provider_keys::submit(&state, &call, &holder, new).await?;
    Ok(answer(&state, stored))
}

/// Replace the value of a provider key. Provider, label and base URL stay.
#[utoipa::path(put, path = "/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", tag = "provider keys",
    extensions(("x-action" = json!("write_provider_keys"))), request_body = NewValue,
    responses((status = 200, body = ProviderKeyView), Submissions))]
async fn replace_provider_key(
    access: Access<WriteProviderKeys>,
    ProviderKeyInPath(id): ProviderKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewValue>,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let material = material(
        &state,
        confidential,
        body.kek_id,
        body.ciphertext_b64,
        body.key,
    )?;
    let holder = Holder::workspace(&state.store, &access.scope);
    let stored = provider_keys::replace(&state, &call, &holder, id, material).await?;
    Ok(axum::Json(view(&state, stored.record)))
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

/// List the provider keys of an account, which serve all of its workspaces.
#[utoipa::path(get, path = "/api/v1/accounts/{account_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("read_account_provider_keys"))),
    responses((status = 200, body = List<ProviderKeyView>), Reads))]
async fn list_account_provider_keys(
    access: Access<ReadAccountProviderKeys>,
    State(state): State<ControlState>,
) -> Result<axum::Json<List<ProviderKeyView>>, Problem> {
    let records = Holder::account(&state.store, &access.scope)
        .keys
        .list()
        .await?;
    let views = records.into_iter().map(|record| view(&state, record));
    Ok(axum::Json(List::whole(views)))
}

/// Store a provider key of an account, or replace the one with the same label.
#[utoipa::path(post, path = "/api/v1/accounts/{account_id}/provider-keys", tag = "provider keys",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = NewProviderKey,
    responses((status = 201, body = ProviderKeyView, description = "The label had no key before."),
        (status = 200, body = ProviderKeyView, description = "The key was replaced."), Submissions))]
async fn submit_account_provider_key(
    access: Access<WriteAccountProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<NewProviderKey>,
) -> Result<(StatusCode, axum::Json<ProviderKeyView>), Problem> {
    let new = new_key(&state, confidential, body)?;
    let holder = Holder::account(&state.store, &access.scope);
    let stored = provider_keys::submit(&state, &call, &holder, new).await?;
    Ok(answer(&state, stored))
}

/// Change the label, the order or the state of an account's provider key.
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

/// Remove a provider key of an account for good.
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

async fn update(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    body: KeyPatch,
) -> Result<axum::Json<ProviderKeyView>, Problem> {
    let record = provider_keys::change(call, holder, id, body.changes()?).await?;
    Ok(axum::Json(view(state, record)))
}
