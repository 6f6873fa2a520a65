//! A workspace's AI config: mode, provider, key and model as one object. Paths are relative; see `api.rs`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::PlanId;
use domain::access::Action;
use domain::policy::{Mode, ModelName};
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, ReadPolicy, WritePolicy};
use crate::api::key_body::{Confidential, PlainKey};
use crate::body::{Json, given};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{ConfigChanges, Reads};
use crate::ops::ai_config::{self, Chosen, Config, Wanted};
use crate::ops::offered_modes::{Obstacle, OfferedMode};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_ai_config, update_ai_config))
}

/// Who pays in a workspace, and what serves. The key is in no answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AiConfig {
    /// Who pays: credits, own keys, or own keys and, where there is none, credits.
    #[schema(schema_with = schema::mode)]
    mode: &'static str,
    /// The mode that counts: `mode`, or where the instance does not offer it, `byok`.
    #[schema(schema_with = schema::effective_mode)]
    effective_mode: Option<&'static str>,
    /// The id of the provider that `status` and the key are about; `null`: none. Calls of other providers' models are not
    /// bound by it.
    #[schema(required, example = "openai")]
    provider: Option<String>,
    /// The model that serves when a call names none; `null`: the one that the workspace's or the instance's `level_1` is.
    #[schema(required, example = "openai/gpt-4o")]
    model: Option<String>,
    /// What a call meets: `managed_active` (credits pay), `byok_active` (an own key serves),
    /// `invalid_missing_key` (an own key would serve, and there is none that can).
    #[schema(schema_with = schema::config_status)]
    status: &'static str,
    /// Whether the instance has a key that may serve where credits pay: for the models of `provider`, or without one for any.
    /// If it has none, nothing serves there, whatever `status` says.
    managed_available: bool,
    /// Whether the account has credits left to pay with. If it has none, calls that they would pay for are refused with
    /// `credits_exhausted`, whatever `status` says.
    credits_left: bool,
    /// When any of it last changed, the key included; RFC 3339, UTC.
    updated_at: String,
    /// Every mode, and whether the instance and the account's plan let it serve.
    offered_modes: Vec<OfferedModeView>,
}

/// A mode, and whether it can be had.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedModeView {
    /// Who pays in it.
    #[schema(schema_with = schema::mode)]
    mode: &'static str,
    /// Whether calls can be served in it, as far as the instance and the account's plan go; keys and credits are not looked at.
    available: bool,
    /// What stands in the way.
    #[schema(schema_with = schema::obstacle)]
    reason: Option<&'static str>,
    /// The ids of the plans that would clear it away, the lowest first.
    plans: Vec<String>,
}

impl From<OfferedMode> for OfferedModeView {
    fn from(offered: OfferedMode) -> Self {
        Self {
            mode: offered.mode.as_str(),
            available: offered.obstacle.is_none(),
            reason: offered.obstacle.map(Obstacle::as_str),
            plans: offered.plans.iter().map(PlanId::to_string).collect(),
        }
    }
}

impl From<Config> for AiConfig {
    fn from(config: Config) -> Self {
        Self {
            mode: config.mode.as_str(),
            effective_mode: config.effective_mode.map(Mode::as_str),
            provider: config.provider.map(|provider| provider.to_string()),
            model: config.model.map(|model| model.to_string()),
            status: config.status.as_str(),
            managed_available: config.managed_available,
            credits_left: config.credits_left,
            updated_at: config.updated_at.to_string(),
            offered_modes: config.offered_modes.into_iter().map(Into::into).collect(),
        }
    }
}

/// A change: a field that is left out keeps its value, `null` clears it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AiConfigUpdate {
    /// Who pays; `null`: as in a new workspace. `managed` removes the key that this configuration holds.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schema::wanted_mode)]
    mode: Option<Option<Mode>>,
    /// The provider's id, exactly as listed. Another one, or `null`, without a key in the same request removes the
    /// key that this configuration holds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "openai")]
    provider: Option<Option<String>>,
    /// The key for the provider, in plain text: only over loopback or TLS, and where the instance takes it so. It is tried,
    /// and in no answer. `null` removes it and leaves the mode.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<Option<PlainKey>>,
    /// The model that serves when a call names none, 1 to 256 bytes without blanks; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "openai/gpt-4o")]
    model: Option<Option<ModelName>>,
}

impl AiConfigUpdate {
    /// Whether it says something of the key.
    pub(crate) fn has_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// What is wanted.
    pub(crate) fn wanted(self, confidential: Confidential) -> Wanted {
        Wanted {
            mode: self.mode,
            provider: self.provider,
            key: self
                .api_key
                .map(|key| key.map(|key| key.material(confidential))),
            model: self.model,
        }
    }
}

/// See who pays in a workspace, and what serves.
///
/// The same facts as the policy and the provider keys, as one object. The key itself is in no answer.
#[utoipa::path(get, path = "/workspaces/{workspace_id}/ai-config", tag = "who pays",
    extensions(("x-action" = json!("read_policy"))),
    responses((status = 200, body = AiConfig, headers(("etag" = String, description = "Names this state of mode, provider, \
        model and key."))), Reads))]
async fn get_ai_config(
    access: Access<ReadPolicy>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<Response, Problem> {
    tagged(ai_config::get(&state, &access.scope, call.now).await?)
}

/// The configuration with the tag of its state.
fn tagged(config: Config) -> Result<Response, Problem> {
    let tag = tag::of(&config.chosen())?;
    Ok(([(ETAG, tag)], axum::Json(AiConfig::from(config))).into_response())
}

/// Change who pays in a workspace, and what serves: all of it or nothing, from the next call on.
///
/// A body with `api_key` also takes the action `write_provider_keys`. The key is stored as a provider key of the
/// workspace with the label `ai-config`; keys with other labels stay as they are, whatever is changed here.
///
/// With `If-Match` only while mode, provider, model and key are as they were read; a key is looked at before it is tried.
#[utoipa::path(put, path = "/workspaces/{workspace_id}/ai-config", tag = "who pays",
    extensions(("x-action" = json!("write_policy"))), request_body = AiConfigUpdate,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the AI config that one has read; left out: \
        whatever it is now.")),
    responses((status = 200, body = AiConfig, headers(("etag" = String, description = "Names this state of mode, provider, \
        model and key."))), ConfigChanges))]
async fn update_ai_config(
    access: Access<WritePolicy>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    if_match: IfMatch,
    Json(body): Json<AiConfigUpdate>,
) -> Result<Response, Problem> {
    if body.has_key() {
        let workspace = access.scope.workspace();
        state
            .store
            .authorize_workspace(&access.principal, workspace, Action::WriteProviderKeys)
            .await?;
    }
    let wanted = body.wanted(confidential);
    let seen = |chosen: &Chosen<'_>| if_match.allows(chosen, "the AI config");
    tagged(ai_config::put(&state, &call, &access.scope, wanted, seen).await?)
}
