//! What new workspaces of the caller's account start with. Paths are relative; see `api.rs`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::access::Action;
use domain::policy::Mode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, ReadAccountDefaults, WriteAccountDefaults};
use crate::api::ai_config::{AiConfigUpdate, OfferedModeView};
use crate::api::credits::CreditsView;
use crate::api::key_body::Confidential;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{ConfigChanges, ModeChanges, Reads};
use crate::ops::ai_config::{Chosen, Wanted};
use crate::ops::ai_defaults::{self, Defaults};
use crate::ops::credits;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_ai_defaults, update_ai_defaults))
        .routes(routes!(update_ai_mode))
}

/// What new workspaces start with. The key is in no answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AiDefaults {
    /// Who pays; `null`: as the instance says.
    #[schema(schema_with = schema::default_mode)]
    mode: Option<&'static str>,
    /// The id of the provider; `null`: none.
    #[schema(required, example = "openai")]
    provider: Option<String>,
    /// The model that serves when a call names none; `null`: the instance's choice.
    #[schema(required, example = "openai/gpt-4o")]
    model: Option<String>,
    /// What a call in such a workspace would meet, as in a workspace's AI config.
    #[schema(schema_with = schema::config_status)]
    status: &'static str,
    /// When any of it last changed, the key included; RFC 3339, UTC.
    updated_at: String,
    /// Every mode, and whether the instance and the account's plan let it serve.
    offered_modes: Vec<OfferedModeView>,
}

impl From<Defaults> for AiDefaults {
    fn from(defaults: Defaults) -> Self {
        Self {
            mode: defaults.mode.map(Mode::as_str),
            provider: defaults.provider.map(|provider| provider.to_string()),
            model: defaults.model.map(|model| model.to_string()),
            status: defaults.status.as_str(),
            updated_at: defaults.updated_at.to_string(),
            offered_modes: defaults.offered_modes.into_iter().map(Into::into).collect(),
        }
    }
}

/// See what new workspaces of the caller's account start with.
///
/// The account's own choice where it made one; `null` elsewhere, which leaves the choice to the instance.
#[utoipa::path(get, path = "/users/me/ai-defaults", tag = "who pays",
    extensions(("x-action" = json!("read_account_defaults"))),
    responses((status = 200, body = AiDefaults, headers(("etag" = String, description = "Names this state of mode, \
        provider, model and key."))), Reads))]
async fn get_ai_defaults(
    access: Access<ReadAccountDefaults>,
    State(state): State<ControlState>,
) -> Result<Response, Problem> {
    tagged(ai_defaults::get(&state, &access.scope).await?)
}

/// The defaults with the tag of their state.
fn tagged(defaults: Defaults) -> Result<Response, Problem> {
    let tag = tag::of(&defaults.chosen())?;
    Ok(([(ETAG, tag)], axum::Json(AiDefaults::from(defaults))).into_response())
}

/// Change what new workspaces of the caller's account start with; those that are there stay as they are.
///
/// A body with `api_key` also takes the action `write_account_provider_keys`. The key is tried and kept, never
/// serves by itself, and is copied into each new workspace, where it is the key of the AI config.
///
/// With `If-Match` only while mode, provider, model and key are as they were read; a key is looked at before it is tried.
#[utoipa::path(put, path = "/users/me/ai-defaults", tag = "who pays",
    extensions(("x-action" = json!("write_account_defaults"))), request_body = AiConfigUpdate,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the defaults that one has read; left out: \
        whatever they are now.")),
    responses((status = 200, body = AiDefaults, headers(("etag" = String, description = "Names this state of mode, \
        provider, model and key."))), ConfigChanges))]
async fn update_ai_defaults(
    access: Access<WriteAccountDefaults>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    if_match: IfMatch,
    Json(body): Json<AiConfigUpdate>,
) -> Result<Response, Problem> {
    if body.has_key() {
        let account = access.scope.account();
        let action = Action::WriteAccountProviderKeys;
        state
            .store
            .authorize_account(&access.principal, account, action)
            .await?;
    }
    let wanted = body.wanted(confidential);
    let seen = |chosen: &Chosen<'_>| if_match.allows(chosen, "the defaults");
    ai_defaults::put(&state, &call, &access.scope, wanted, seen).await?;
    tagged(ai_defaults::get(&state, &access.scope).await?)
}

/// The mode of new workspaces.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AiMode {
    /// Who pays.
    #[schema(schema_with = schema::mode)]
    mode: Mode,
}

/// Change the mode of new workspaces of the caller's account, and see its credits.
///
/// The same as `mode` of the defaults: workspaces that are there stay as they are, and `managed` removes the key of the
/// defaults. The mode must be one that the instance offers.
#[utoipa::path(put, path = "/users/me/ai-mode", tag = "who pays",
    extensions(("x-action" = json!("write_account_defaults"))), request_body = AiMode,
    responses((status = 200, body = CreditsView), ModeChanges))]
async fn update_ai_mode(
    access: Access<WriteAccountDefaults>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<AiMode>,
) -> Result<axum::Json<CreditsView>, Problem> {
    let wanted = Wanted {
        mode: Some(Some(body.mode)),
        provider: None,
        key: None,
        model: None,
    };
    ai_defaults::put(&state, &call, &access.scope, wanted, |_| Ok(())).await?;
    let balance = credits::balance(&state, &call, &access.scope).await?;
    Ok(axum::Json(balance.into()))
}
