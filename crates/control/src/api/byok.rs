//! The `/v1/byok` endpoints, with shapes of their own. They act on the account's provider keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Label;
use domain::key::FailureKind;
use domain::record::ProviderKeyRecord;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ProviderInPath, ReadAccountProviderKeys, WriteAccountProviderKeys};
use crate::api::key_view::{Look, custom_base_url};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, PublicReads, Reads, Submissions};
use crate::ops::provider_keys::{self, Holder, check_label};
use crate::ops::sealing_key;
use crate::ops::submission::{self, Material, NewKey};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag;

/// The longest `key_prefix` that is looked past.
const MAX_PREFIX_CHARS: usize = 64;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_encryption_pubkey))
        .routes(routes!(list_byok_keys, submit_byok_key))
        .routes(routes!(remove_byok_key))
}

/// The public key to seal provider keys to.
#[derive(Debug, Serialize, ToSchema)]
pub struct EncryptionPubkey {
    /// Its id: hex of the first 16 bytes of SHA-256 over `keybearer-seal-v1` and the public key.
    kek_id: String,
    /// X25519, in standard base64.
    public_key: String,
}

/// Get the public key to seal provider keys to.
#[utoipa::path(get, path = "/v1/byok/encryption-pubkey", tag = "submission",
    extensions(("x-action" = json!("public"))),
    params(("if-none-match" = Option<String>, Header, description = "The quoted `kek_id` that one has.")),
    responses((status = 200, body = EncryptionPubkey,
            headers(("etag" = String, description = "The quoted `kek_id`."), ("cache-control" = String))),
        (status = 304, description = "The key that one has is the current one; no body."), PublicReads))]
async fn get_encryption_pubkey(
    State(state): State<ControlState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = sealing_key::current(&state).await?;
    let tag = format!("\"{}\"", record.kek_id);
    let mut response = if tag::is_named(&headers, IF_NONE_MATCH, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let public_key = STANDARD.encode(record.public_key);
        let kek_id = record.kek_id;
        axum::Json(EncryptionPubkey { kek_id, public_key }).into_response()
    };
    let tag = HeaderValue::from_str(&tag).expect("a sealing key's id is hex");
    let cache = HeaderValue::from_static("private, max-age=300");
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(CACHE_CONTROL, cache);
    Ok(response)
}

/// A provider key in a sealed box.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByokSubmission {
    /// The provider's id, exactly as listed.
    #[schema(example = "openai")]
    provider_name: String,
    /// The sealing key that the box is sealed to.
    kek_id: String,
    /// The sealed box in padded standard base64.
    ciphertext_b64: String,
    /// Taken for compatibility and not used: the server makes the mask from the key itself.
    #[serde(default)]
    key_prefix: Option<String>,
    /// What to call it; `primary` when left out. A key with the same label is replaced.
    #[serde(default)]
    #[schema(value_type = String, default = "primary")]
    label: Label,
    /// Where to send it, where the instance allows other places than the provider's own.
    #[serde(default)]
    api_base: Option<String>,
}

/// What was stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct ByokStored {
    /// The provider's id.
    provider_name: String,
    /// The sealing key that the box was sealed to.
    kek_id: Option<String>,
    /// What may be shown of the key, made by the server.
    #[schema(example = "sk-a...bCdE")]
    key_prefix: String,
    /// What it is called.
    label: String,
    /// When the label was first given a key.
    created_at: String,
    /// When the key last changed.
    updated_at: String,
}

/// A stored key of the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ByokKey {
    /// The provider's id.
    provider_name: String,
    /// The sealing key that its box was sealed to; `null` if it came in plain text.
    kek_id: Option<String>,
    /// What may be shown of the key, made by the server.
    #[schema(example = "sk-a...bCdE")]
    key_prefix: String,
    /// What it is called.
    label: String,
    /// Where it is sent, if not to the provider's own base URL.
    api_base: Option<String>,
    /// When the label was first given a key.
    created_at: String,
    /// When the key, its order or its state last changed.
    updated_at: String,
    /// When it last served, to about a minute.
    last_used_at: Option<String>,
    /// The last time that the provider did not accept it.
    last_failure_at: Option<String>,
    /// Why.
    #[schema(schema_with = schema::optional_failure_kind)]
    last_failure_kind: Option<FailureKind>,
}

/// List the provider keys of the caller's account.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/v1/byok/keys", tag = "submission",
    extensions(("x-action" = json!("read_account_provider_keys"))),
    responses((status = 200, body = List<ByokKey>), Reads))]
async fn list_byok_keys(
    access: Access<ReadAccountProviderKeys>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ByokKey>>, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    let look = Look::of(&state, &holder).await?;
    let records = holder.keys.list().await?.into_iter();
    let views = records.map(|record| view(&state, &look, record));
    Ok(axum::Json(List::whole(views)))
}

/// Store a provider key of the caller's account, or replace the one with the same label.
#[utoipa::path(post, path = "/v1/byok/keys", tag = "submission",
    extensions(("x-action" = json!("write_account_provider_keys"))), request_body = ByokSubmission,
    responses((status = 200, body = ByokStored), Submissions))]
async fn submit_byok_key(
    access: Access<WriteAccountProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<ByokSubmission>,
) -> Result<axum::Json<ByokStored>, Problem> {
    if body
        .key_prefix
        .is_some_and(|prefix| prefix.chars().count() > MAX_PREFIX_CHARS)
    {
        return Err(Problem::field(
            "key_prefix",
            "key_prefix has at most 64 characters",
        ));
    }
    check_label(&body.label)?;
    let material = Material::Sealed {
        kek_id: body.kek_id,
        ciphertext_b64: body.ciphertext_b64,
    };
    let new = NewKey {
        base_url: body.api_base,
        ..NewKey::plain(body.provider_name, body.label, material)
    };
    let holder = Holder::account(&state.store, &access.scope);
    let stored = submission::submit(&state, &call, &holder, new).await?;
    let record = stored.record;
    let look = Look::of(&state, &holder).await?;
    let view = ByokStored {
        provider_name: record.context.provider.to_string(),
        kek_id: record.kek_id,
        key_prefix: look.mask(&record.mask),
        label: record.label.to_string(),
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
    };
    Ok(axum::Json(view))
}

/// Which of the provider's keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LabelQuery {
    /// Its label; `primary` when left out.
    #[serde(default)]
    #[param(value_type = String, required = false, default = "primary")]
    label: Label,
}

/// That it is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// `true`.
    deleted: bool,
}

/// Remove a provider key of the caller's account for good.
#[utoipa::path(delete, path = "/v1/byok/keys/{provider}", tag = "submission", params(LabelQuery),
    extensions(("x-action" = json!("write_account_provider_keys"))),
    responses((status = 200, body = Deleted), Changes))]
async fn remove_byok_key(
    access: Access<WriteAccountProviderKeys>,
    ProviderInPath(provider): ProviderInPath,
    State(state): State<ControlState>,
    call: Call,
    Query(query): Query<LabelQuery>,
) -> Result<axum::Json<Deleted>, Problem> {
    let holder = Holder::account(&state.store, &access.scope);
    provider_keys::remove_labelled(&call, &holder, &provider, &query.label).await?;
    Ok(axum::Json(Deleted { deleted: true }))
}

fn view(state: &ControlState, look: &Look, record: ProviderKeyRecord) -> ByokKey {
    ByokKey {
        provider_name: record.context.provider.to_string(),
        kek_id: record.kek_id,
        key_prefix: look.mask(&record.mask),
        label: record.label.to_string(),
        api_base: custom_base_url(state, &record.context),
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        last_used_at: record.last_used_at.map(|at| at.to_string()),
        last_failure_at: record.last_failure.map(|(at, _)| at.to_string()),
        last_failure_kind: record.last_failure.map(|(_, kind)| kind),
    }
}
