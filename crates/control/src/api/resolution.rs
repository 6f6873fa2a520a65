//! Explain: which key would serve, who would pay, and why not the others.

mod eyes;

use axum::extract::State;
use domain::ApiKeyId;
use llm::head::check_models;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, ReadPolicy};
use crate::body::Json;
use crate::error::Problem;
use crate::openapi::Writes;
use crate::ops::resolution::{Asked, explain};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

use eyes::Eyes;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(resolve_model))
}

/// A call to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveQuestion {
    /// The model, tier or preset that the request names, with a ranking at its end or without; left out or `default`: whatever the levels above it chose.
    #[serde(default)]
    #[schema(example = "openai/gpt-4o")]
    model: Option<String>,
    /// Models to turn to when those before fail, as the request's `models`: 1 to 8 names, each once. Without `model` the
    /// first of them stands in its place.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 8, example = json!(["anthropic/claude-haiku-4-5"]))]
    models: Option<Vec<String>>,
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
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Resolution {
    /// The model that was asked for, as the request wrote it; `default` if it named none.
    requested: String,
    /// Who chose the model; `null`: nobody, or the choice cannot be served.
    #[schema(schema_with = schema::nullable_level)]
    chosen_by: Option<&'static str>,
    /// The preset that was chosen, without its mark; `null`: none.
    #[schema(required)]
    preset: Option<String>,
    /// By what the providers of the model are put in order; `null`: as they stand.
    #[schema(schema_with = schema::nullable_ranking)]
    ranking: Option<&'static str>,
    /// The tier that was chosen, if it was one.
    #[schema(schema_with = schema::nullable_tier)]
    tier: Option<&'static str>,
    /// The mapping that put another model in its place; `null`: none did.
    #[schema(required)]
    mapped_by: Option<MappingView>,
    /// The name that providers were looked up by; `null`: there is none to look up.
    #[schema(required)]
    model: Option<String>,
    /// The ways to serve, in the order in which they are tried; empty if the call is refused.
    targets: Vec<TargetView>,
    /// Why nothing can serve; `null` if something can.
    #[schema(required)]
    refusal: Option<RefusalView>,
    /// Every rule of the decision table that spoke, in order.
    trace: Vec<StepView>,
    /// Where several models were asked for, or the preset has several, each of them in its turn, without those in front of it that have the same
    /// name. Of the fields beside it those of a choice are the first model's, `targets` and `trace` are all of theirs in a row,
    /// and `refusal` is the first one's if none is left to serve. Left out for a single model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    models: Vec<Resolution>,
}

/// A mapping of names of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct MappingView {
    /// The names that are mapped, with `*` for any text.
    pattern: String,
    /// The model that takes their place.
    model: String,
}

/// One way to serve.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetView {
    /// The id of the provider that is called.
    provider: String,
    /// The provider's own name for the model.
    model: String,
    /// The id of the own key; `null` for the instance's.
    #[schema(required)]
    key_id: Option<String>,
    /// What the own key is called; `null` for the instance's, and where the caller may not see it.
    #[schema(required)]
    key_label: Option<String>,
    /// Whose the own key is: two may have one label.
    #[schema(schema_with = key_scopes)]
    key_scope: Option<&'static str>,
    /// Who pays: the owner of the key, or credits.
    #[schema(schema_with = schema::key_source)]
    key_source: &'static str,
    /// The pool, 0 to 9999: neighbors with the same provider, model and level take turns. `null`: none.
    #[schema(required)]
    level: Option<i64>,
    /// When it is tried: `in_turn`, after those before it failed; `own_keys_failed`, so, but not after an own key
    /// was turned away; `own_keys_failed_or_denied`, after that too. The last two within the cap.
    #[schema(schema_with = whens)]
    when: &'static str,
    /// Until when others are preferred because the key failed lately; RFC 3339, UTC. `null`: it does not sleep, as far as
    /// the process that answers knows.
    #[schema(required)]
    sleeping_until: Option<String>,
    /// What the ranking looked at; `null`: nobody asked for one.
    #[schema(required)]
    ranked_by: Option<RankView>,
}

/// What rankings look at, of one way to serve. What was measured is so in the process that answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankView {
    /// What a chat completion of 3000 input and 1000 output tokens costs who pays, in billionths of a US dollar; `null`: not
    /// known.
    #[schema(required)]
    cost_nano_usd: Option<i64>,
    /// The milliseconds to the first byte of a stream, averaged; `null`: not measured in the last ten minutes.
    #[schema(required)]
    first_byte_ms: Option<u64>,
    /// The milliseconds to the end of an answer that is no stream, as if each had 250 output tokens, averaged; `null`: not
    /// measured in the last ten minutes.
    #[schema(required)]
    answer_ms: Option<u64>,
    /// The output tokens of a second of a whole call, averaged; `null`: not measured in the last ten minutes.
    #[schema(required)]
    output_tokens_per_second: Option<f64>,
}

/// Why nothing can serve, with the code that a call would get.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalView {
    /// The stable code that a call would be refused with.
    #[schema(example = "byok_key_missing")]
    code: &'static str,
    /// The ids of the providers for which something is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<String>,
    /// Of a local instance the environment variables in which the keys of those providers are looked for, first to last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    variables: Vec<String>,
    /// The label of the own key that cannot serve, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
    /// The presets that there are, where there is none of that name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    presets: Vec<String>,
    /// The tier that is locked or stands for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'static str>,
    /// The ids of the plans that would help, the lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plans: Vec<String>,
}

/// One rule that spoke.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// Its number in the decision table of the documentation, 1 to 15.
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
    /// The mode, where that is the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::mode)]
    mode: Option<&'static str>,
    /// The id of the provider, also that of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The id of the own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// What the own key is called, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_label: Option<String>,
    /// Whose the own key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = key_scopes)]
    key_scope: Option<&'static str>,
}

fn key_scopes() -> utoipa::openapi::schema::Object {
    let all = [
        ("workspace", "the workspace's own"),
        ("account", "of the account that the workspace belongs to"),
    ];
    schema::one_or_null("Whose the own key is.", all, "it is not an own key")
}

fn whens() -> utoipa::openapi::schema::Object {
    let all = [
        (
            "in_turn",
            "after those before it failed in a way that lets another key try",
        ),
        (
            "own_keys_failed",
            "so, but not after a provider turned an own key away (401, 402, 403), and within the cap of the policy",
        ),
        (
            "own_keys_failed_or_denied",
            "after that too, within the cap of the policy",
        ),
    ];
    schema::one_of("When it is tried.", all)
}

fn subjects() -> utoipa::openapi::schema::Object {
    let all = [
        ("request", "the request, by its headers"),
        ("model", "the model that is asked for"),
        ("mode", "the workspace's mode, in `mode`"),
        ("workspace", "the workspace, by its policy"),
        ("instance", "the instance, by its settings"),
        ("provider", "the provider in `provider`"),
        ("key", "the own key in `key_id`"),
        (
            "platform_key",
            "a key of the instance, which has no name here",
        ),
    ];
    schema::one_of("What the rule spoke of.", all)
}

/// Explain which key would serve a model, who would pay, and why not the others. No provider is called.
///
/// The decision is the one that a call gets at this moment, by the same function. Nothing is recorded and no credits are held;
/// the balance and prices are not looked at, so `credits_exhausted` and `price_unknown` show at the call alone. Labels are
/// shown as in the list of keys, and nothing of the instance's keys but that one serves.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/resolve", tag = "who pays",
    extensions(("x-action" = json!("read_policy"))), request_body = ResolveQuestion,
    responses((status = 200, body = Resolution), Writes))]
async fn resolve_model(
    access: Access<ReadPolicy>,
    State(state): State<ControlState>,
    Json(body): Json<ResolveQuestion>,
) -> Result<axum::Json<Resolution>, Problem> {
    let has_list = body.models.is_some();
    let models = body.models.unwrap_or_default();
    if has_list {
        check_models(&models).map_err(|error| Problem::field("models", error.to_string()))?;
    }
    let asked = Asked {
        model: body.model,
        models,
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
