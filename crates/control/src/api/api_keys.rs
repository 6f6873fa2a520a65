//! API keys: ours, presented by clients.

use axum::extract::State;
use domain::Timestamp;
use domain::access::{ApiScope, Role};
use domain::policy::ModelName;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::ApiKeyRow;
use utoipa::ToSchema;

use crate::access::{Access, ApiKeyInPath, ReadApiKeys, WriteApiKeys};
use crate::auth::principal::ShownApiKey;
use crate::body::{Json, Query, given};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, Mints, Reads, SelfRotations, Writes};
use crate::ops::api_keys::{self, End, Minted, Wanted};
use crate::page::{List, PageQuery};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::text;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_api_keys, create_api_key))
        .routes(routes!(rotate_own_api_key))
        .routes(routes!(update_api_key, revoke_api_key))
}

/// An API key, without the key.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyView {
    /// The id.
    #[schema(example = "ak_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// What people call it.
    name: String,
    /// How the key begins.
    #[schema(example = "kb_2h7s9q")]
    prefix: String,
    /// Who minted it; it acts for this person.
    user_id: String,
    /// The API key that minted it; when that one is revoked, it is, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ak_06evr40e1m73fwp2hw6n0xq8kc")]
    parent_id: Option<String>,
    /// What it may do, cut by the current role of the person.
    #[schema(schema_with = schema::api_scopes)]
    scopes: Vec<ApiScope>,
    /// The model that serves when a call with it names none; `null`: the workspace's choice.
    #[schema(required, example = "level_2")]
    default_model: Option<String>,
    /// When it was minted.
    created_at: String,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it last served, to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl From<ApiKeyRow> for ApiKeyView {
    fn from(row: ApiKeyRow) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: row.id.to_string(),
            name: row.name,
            prefix: row.prefix,
            user_id: row.user.to_string(),
            parent_id: row.parent.map(|id| id.to_string()),
            scopes: row.scopes,
            default_model: row.default_model.map(|model| model.to_string()),
            created_at: row.created_at.to_string(),
            expires_at: text(row.expires_at),
            last_used_at: text(row.last_used_at),
            revoked_at: text(row.revoked_at),
        }
    }
}

/// An API key with the key itself, in the only answer that has it.
#[derive(Serialize, ToSchema)]
pub struct MintedView {
    /// The API key's facts.
    #[serde(flatten)]
    api_key: ApiKeyView,
    /// The key: `kb_...`. It is not kept and cannot be shown again.
    key: String,
}

impl From<Minted> for MintedView {
    fn from(minted: Minted) -> Self {
        Self {
            api_key: minted.row.into(),
            key: minted
                .text
                .expose(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

/// List one's API keys of a workspace; admins see everybody's.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/api-keys", tag = "api keys", params(PageQuery),
    extensions(("x-action" = json!("read_api_keys"))),
    responses((status = 200, body = List<ApiKeyView>), Reads))]
async fn list_api_keys(
    access: Access<ReadApiKeys>,
    State(state): State<ControlState>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<ApiKeyView>>, Problem> {
    let page = query.request()?;
    let of = (access.scope.role() < Role::Admin).then(|| access.scope.user());
    let page = state
        .store
        .within(&access.scope)
        .list_api_keys(of, &page)
        .await?;
    Ok(axum::Json(List::of(page, ApiKeyView::from)))
}

/// What a new API key is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// 1 to 100 characters.
    name: String,
    /// What it may do: a part of what the caller may do.
    #[schema(schema_with = schema::api_scopes)]
    scopes: Vec<ApiScope>,
    /// The model that serves when a call with it names none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "level_2")]
    default_model: Option<ModelName>,
    /// When it ends by itself; RFC 3339. A key that an API key mints ends no later than that one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// Instead of `expires_at`: ends so many seconds from now, by the server's clock.
    #[serde(default)]
    #[schema(minimum = 1, example = 600)]
    expires_in_s: Option<u32>,
}

/// The end that a client names in one of two ways.
fn end(at: Option<Moment>, in_seconds: Option<u32>) -> Result<Option<End>, Problem> {
    match (at, in_seconds) {
        (Some(_), Some(_)) => Err(Problem::field(
            "expires_in_s",
            "expires_at and expires_in_s say the same; give one of them",
        )),
        (Some(at), None) => Ok(Some(End::At(at.0))),
        (None, Some(seconds)) => Ok(Some(End::InSeconds(seconds))),
        (None, None) => Ok(None),
    }
}

/// A moment as a client writes it.
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(Timestamp::from_millis(moment.as_millisecond())))
    }
}

/// Mint an API key. The answer is the only one that shows it.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/api-keys", tag = "api keys",
    extensions(("x-action" = json!("write_api_keys"))), request_body = NewApiKey,
    responses((status = 201, body = MintedView), Mints))]
async fn create_api_key(
    access: Access<WriteApiKeys>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewApiKey>,
) -> Result<(StatusCode, axum::Json<MintedView>), Problem> {
    let wanted = Wanted {
        name: text::name(&body.name)?,
        scopes: body.scopes,
        default_model: body.default_model,
        end: end(body.expires_at, body.expires_in_s)?,
    };
    let minted = api_keys::mint(&state, &call, &access.scope, wanted).await?;
    Ok((StatusCode::CREATED, axum::Json(minted.into())))
}

/// Replace the API key that is presented by a new one; the old one ends at once. Of many at once, one is answered.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/api-keys/self/rotate", tag = "api keys",
    extensions(("x-action" = json!("write_api_keys"))),
    responses((status = 200, body = MintedView), SelfRotations))]
async fn rotate_own_api_key(
    access: Access<WriteApiKeys>,
    ShownApiKey(shown): ShownApiKey,
    State(state): State<ControlState>,
    call: Call,
) -> Result<axum::Json<MintedView>, Problem> {
    let minted = api_keys::rotate_self(&state, &call, &access.scope, shown).await?;
    Ok(axum::Json(minted.into()))
}

/// What may change of an API key. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPatch {
    /// The model that serves when a call with it names none; `null`: the workspace's choice.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "level_2")]
    default_model: Option<Option<ModelName>>,
    /// A later end for a key that ends by itself and has not ended; RFC 3339. No later than the end of the API key that
    /// minted it, and of the one that is presented: a key cannot prolong itself.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// Instead of `expires_at`: ends so many seconds from now, by the server's clock.
    #[serde(default)]
    #[schema(minimum = 1, example = 600)]
    expires_in_s: Option<u32>,
}

/// Change which model serves when a call with an API key names none, or move its end: one's own key, or as an admin
/// anybody's.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/api-keys/{api_key_id}", tag = "api keys",
    extensions(("x-action" = json!("write_api_keys"))), request_body = ApiKeyPatch,
    responses((status = 200, body = ApiKeyView), Writes))]
async fn update_api_key(
    access: Access<WriteApiKeys>,
    ApiKeyInPath(id): ApiKeyInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<ApiKeyPatch>,
) -> Result<axum::Json<ApiKeyView>, Problem> {
    let end = end(body.expires_at, body.expires_in_s)?;
    let row = match (body.default_model, end) {
        (Some(model), None) => {
            let model = model.as_ref();
            api_keys::set_default_model(&state, &call, &access.scope, id, model).await?
        }
        (None, Some(end)) => api_keys::renew(&state, &call, &access.scope, id, end).await?,
        // Two changes would be two entries of the audit log, and could be done by half.
        (Some(_), Some(_)) | (None, None) => {
            let rule = "give default_model or a new end, and not both";
            return Err(Problem::field("default_model", rule));
        }
    };
    Ok(axum::Json(row.into()))
}

/// Revoke an API key with all that it minted: one's own, or as an admin anybody's. Requests that run end as they would.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/api-keys/{api_key_id}", tag = "api keys",
    extensions(("x-action" = json!("write_api_keys"))),
    responses((status = 204), Changes))]
async fn revoke_api_key(
    access: Access<WriteApiKeys>,
    ApiKeyInPath(id): ApiKeyInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    api_keys::revoke(&state, &call, &access.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
