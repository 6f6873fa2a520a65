//! Explain: which key would serve, who would pay, and why not the others.

mod eyes;

use axum::extract::State;
use domain::ApiKeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Access, ReadPolicy};
use crate::body::Json;
use crate::error::Problem;
use crate::openapi::Writes;
use crate::ops::resolution::{Asked, explain};
use crate::schema;
use crate::state::ControlState;

use eyes::Eyes;

/// The routes of this resource.
pub(crate) fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new().routes(routes!(resolve_model))
}

/// A call to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveQuestion {
    /// The model or tier that the request names; left out or `default`: whatever the levels above it chose.
    #[serde(default)]
    #[schema(example = "openai/gpt-4o")]
    model: Option<String>,
    /// The model that the conversation has, as the header `x-keybearer-conversation-model` says it.
    #[serde(default)]
    conversation_model: Option<String>,
    /// The API key that it is called with, for the model that the key chose; left out: the one that asks, if any.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ak_06evr40e1m73fwp2hw6n0xq8kc")]
    api_key_id: Option<ApiKeyId>,
    /// Whether the request forbids credits, as the header `x-keybearer-no-managed` does.
    #[serde(default)]
    no_managed: bool,
}

/// Which key would serve, who would pay, and why not the others. What the balance bears is not looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolution {
    /// What was asked for.
    requested: String,
    /// Who chose the model; `null`: nobody, or the choice cannot be served.
    #[schema(schema_with = schema::nullable_level)]
    chosen_by: Option<&'static str>,
    /// The tier that was chosen, if it was one.
    #[schema(schema_with = schema::nullable_tier)]
    tier: Option<&'static str>,
    /// The mapping that put another model in its place.
    #[schema(required)]
    mapped_by: Option<MappingView>,
    /// The name that providers were looked up by.
    #[schema(required)]
    model: Option<String>,
    /// The ways to serve, in the order in which they are tried; empty if the call is refused.
    targets: Vec<TargetView>,
    /// Why nothing can serve.
    #[schema(required)]
    refusal: Option<RefusalView>,
    /// Every rule of the decision table that spoke, in order.
    trace: Vec<StepView>,
}

/// A mapping of names of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct MappingView {
    /// The names that are mapped.
    pattern: String,
    /// The model that takes their place.
    model: String,
}

/// One way to serve.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetView {
    /// The provider.
    provider: String,
    /// The provider's own name for the model.
    model: String,
    /// The own key; `null` for the instance's.
    #[schema(required)]
    key_id: Option<String>,
    /// What the own key is called; `null` for the instance's, and where the caller may not see it.
    #[schema(required)]
    key_label: Option<String>,
    /// Who pays: the owner of the key, or credits.
    #[schema(schema_with = schema::key_source)]
    key_source: &'static str,
    /// The pool: neighbors with the same provider, model and level take turns.
    #[schema(required)]
    level: Option<i64>,
    /// When it is tried: `in_turn`, after those before it failed; `own_keys_failed`, so, but not after an own key
    /// was turned away; `own_keys_failed_or_denied`, after that too. The last two within the cap.
    #[schema(schema_with = whens)]
    when: &'static str,
    /// Until when others are preferred because the key failed lately.
    #[schema(required)]
    sleeping_until: Option<String>,
}

/// Why nothing can serve, with the code that a call would get.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalView {
    /// The code.
    #[schema(example = "byok_key_missing")]
    code: &'static str,
    /// The providers for which something is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<String>,
    /// The label of the own key that cannot serve, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
    /// The tier that is locked or stands for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
    /// The plans that would help, the lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plans: Vec<String>,
}

/// One rule that spoke.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// Its number in the decision table.
    rule: u8,
    /// What it spoke of.
    subject: SubjectView,
    /// What it said.
    #[schema(schema_with = schema::verdict)]
    verdict: &'static str,
}

/// What a rule spoke of.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SubjectView {
    /// `request`, `model`, `mode`, `workspace`, `instance`, `provider`, `key`, `platform_key`.
    #[schema(schema_with = subjects)]
    kind: &'static str,
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::mode)]
    mode: Option<&'static str>,
    /// The provider, also that of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// What the own key is called, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
}

fn whens() -> utoipa::openapi::schema::Object {
    schema::one_of(["in_turn", "own_keys_failed", "own_keys_failed_or_denied"])
}

fn subjects() -> utoipa::openapi::schema::Object {
    schema::one_of([
        "request",
        "model",
        "mode",
        "workspace",
        "instance",
        "provider",
        "key",
        "platform_key",
    ])
}

/// Explain which key would serve a model, who would pay, and why not the others. No provider is called.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/resolve", tag = "who pays",
    extensions(("x-action" = json!("read_policy"))), request_body = ResolveQuestion,
    responses((status = 200, body = Resolution), Writes))]
async fn resolve_model(
    access: Access<ReadPolicy>,
    State(state): State<ControlState>,
    Json(body): Json<ResolveQuestion>,
) -> Result<axum::Json<Resolution>, Problem> {
    let asked = Asked {
        model: body.model,
        conversation_model: body.conversation_model,
        api_key: body.api_key_id,
        no_managed: body.no_managed,
    };
    let explained = explain(&state, &access.scope, asked).await?;
    let eyes = Eyes {
        state: &state,
        scope: &access.scope,
        facts: &explained.facts,
    };
    Ok(axum::Json(eyes.view(&explained)))
}
