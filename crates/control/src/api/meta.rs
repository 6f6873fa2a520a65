//! What anybody may know: that the server lives, its API, its providers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::settings::{Settings, Submission};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use llm::provider::Provider;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use utoipa::{IntoParams, ToSchema};

use crate::body::Query;
use crate::error::Problem;
use crate::openapi::{PublicLists, PublicReads};
use crate::ops::admission::{allows_custom_base_urls, sealed_only};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_health))
        .routes(routes!(get_openapi))
        .routes(routes!(get_instance))
        .routes(routes!(list_providers))
}

/// That the server answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

/// Say whether the server answers.
#[utoipa::path(get, path = "/health", tag = "instance",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, body = Health), PublicReads))]
async fn get_health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// Get this document.
#[utoipa::path(get, path = "/openapi.json", tag = "instance",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, description = "An OpenAPI 3.1 document.", content_type = "application/json"), PublicReads))]
async fn get_openapi() -> Result<Response, Problem> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let text = crate::openapi::openapi().to_json();
        text.expect("the document is plain data")
    });
    let mut response = text.as_str().into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// What a client must know of the instance to seal a key for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstanceView {
    /// The installation's id; a sealed box with its context names it as `node`.
    #[schema(example = "dep_06evr40e1m73fwp2hw6n0xq8kc")]
    deployment_id: String,
    /// How provider keys may be submitted: in a sealed box only, or in plain text over a private way too.
    #[schema(schema_with = schema::submission)]
    submission: &'static str,
    /// Whether a key may have a base URL of its own, where the provider's switches say nothing else.
    custom_base_urls: bool,
    /// Whether it serves one person on one machine, who enters the console by a link of `keybearer console`.
    local: bool,
}

/// See what a client must know of the instance to seal a key for it.
#[utoipa::path(get, path = "/api/v1/instance", tag = "instance",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, body = InstanceView), PublicReads))]
async fn get_instance(
    State(state): State<ControlState>,
) -> Result<axum::Json<InstanceView>, Problem> {
    let settings = state.store.system().settings().await?;
    let submission = if sealed_only(&state, &settings) {
        Submission::SealedOnly
    } else {
        Submission::Both
    };
    Ok(axum::Json(InstanceView {
        deployment_id: state.deployment.to_string(),
        submission: submission.as_str(),
        custom_base_urls: settings
            .custom_base_urls
            .unwrap_or(state.config.custom_base_urls),
        local: state.is_local(),
    }))
}

/// A provider of models or tools, as this instance knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderView {
    /// The id to submit keys with.
    #[schema(example = "openai")]
    id: String,
    /// What people call it.
    name: String,
    /// Where it is called.
    base_url: String,
    /// Whether it serves; only an `active` one takes requests and new keys.
    #[schema(schema_with = schema::provider_status)]
    status: &'static str,
    /// What sort of house it is: one that makes its models, a cloud, a host of open models, a gateway to others,
    /// a web search.
    #[schema(schema_with = schema::provider_kind)]
    kind: &'static str,
    /// Whether keys of one's own are taken for it here.
    byok: bool,
    /// Whether keys for it may have a base URL of their own: as its switch says, else the instance's setting.
    custom_base_urls: bool,
    /// How its calls may be paid: with a key of the caller's own, with the instance's.
    #[schema(schema_with = schema::payment_modes)]
    payment_modes: Vec<&'static str>,
    /// The wire formats that it speaks.
    #[schema(schema_with = schema::formats)]
    formats: Vec<&'static str>,
    /// The field by which chat completions limit the output here: newer models of some providers refuse the older name.
    #[schema(schema_with = schema::token_limit)]
    token_limit: &'static str,
    /// The environment variables that its own tools read keys from.
    env: Vec<String>,
    /// How its keys look.
    key: KeyHintView,
    /// The models that are listed for it.
    models: Vec<ModelView>,
}

/// How a provider's keys look and where to get one.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyHintView {
    /// A glob, in which `*` stands for any text; a hint, not a rule.
    #[schema(example = "sk-*")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// The provider's page of keys.
    url: String,
}

/// A listed model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelView {
    /// The provider's own name for it.
    id: String,
    /// How many tokens it takes, prompt and answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_tokens: Option<u64>,
    /// How many tokens it answers at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

/// Which providers are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProvidersQuery {
    /// In local mode, whether those for which there is no key are wanted, too. Elsewhere they always are.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
}

/// List the providers that are switched on; in local mode, those of them for which there is a key.
///
/// All in one answer.
#[utoipa::path(get, path = "/v1/providers", tag = "providers", params(ProvidersQuery),
    extensions(("x-action" = json!("public"))),
    responses((status = 200, body = List<ProviderView>), PublicLists))]
async fn list_providers(
    State(state): State<ControlState>,
    Query(query): Query<ProvidersQuery>,
) -> Result<Response, Problem> {
    let settings = state.store.system().settings().await?;
    let with_keys = match state.is_local() && !query.all {
        true => Some(state.store.system().providers_with_keys().await?),
        false => None,
    };
    let is_wanted = |provider: &&Provider| {
        let with_keys = with_keys.as_ref();
        with_keys.is_none_or(|with_keys| with_keys.contains(&provider.id))
    };
    let wanted = state.registry.providers().filter(is_wanted);
    let switched_on = wanted.filter_map(|provider| {
        let is_on = settings.switch(&provider.id).enabled;
        is_on.then(|| view(&state, &settings, provider))
    });
    let list = List::whole(switched_on);
    let mut response = axum::Json(list).into_response();
    // In local mode it changes with the keys.
    if !state.is_local() {
        let cache = HeaderValue::from_static("public, max-age=60");
        response.headers_mut().insert(CACHE_CONTROL, cache);
    }
    Ok(response)
}

fn view(state: &ControlState, settings: &Settings, provider: &Provider) -> ProviderView {
    let mut formats: Vec<_> = provider
        .formats
        .iter()
        .map(|rule| rule.format.as_str())
        .collect();
    formats.sort_unstable();
    formats.dedup();
    let models = provider.models.iter().map(|model| ModelView {
        id: model.id.clone(),
        context_tokens: model.context_tokens,
        max_output_tokens: model.max_output_tokens,
    });
    ProviderView {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        base_url: provider.base_url.clone(),
        status: provider.status.as_str(),
        kind: provider.kind.as_str(),
        byok: provider.takes_own_keys() && settings.switch(&provider.id).byok,
        custom_base_urls: allows_custom_base_urls(state, settings, provider),
        payment_modes: provider
            .payment_modes
            .iter()
            .map(|mode| mode.as_str())
            .collect(),
        formats,
        token_limit: provider.token_limit().as_str(),
        env: provider.env.clone(),
        key: KeyHintView {
            pattern: provider.key.pattern.clone(),
            url: provider.key.url.clone(),
        },
        models: models.collect(),
    }
}
