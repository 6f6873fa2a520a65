//! The providers of the instance as its admins see them: what is switched on, and how many keys there are.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::ProviderId;
use domain::glob::Glob;
use domain::policy::MAX_RULES;
use domain::settings::Settings;
use llm::provider::Provider;
use serde::{Deserialize, Serialize};
use store::InstanceScope;
use utoipa::ToSchema;

use crate::access::{Access, ProviderNameInPath, ReadInstanceSettings, WriteInstanceSettings};
use crate::api::settings_view::SwitchView;
use crate::body::{Json, NoParameters, Query, given};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Reads, Writes};
use crate::ops::settings::{self, SwitchChange, switch_of};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_provider_switches))
        .routes(routes!(update_provider_switch))
}

/// A provider with what is switched on for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderSwitchView {
    /// The id.
    #[schema(example = "openai")]
    id: String,
    /// What people call it.
    name: String,
    /// Whether its file lets it serve; a switch opens only what is `active`.
    #[schema(schema_with = schema::provider_status)]
    status: &'static str,
    /// What sort of house it is.
    #[schema(schema_with = schema::provider_kind)]
    kind: &'static str,
    /// Where it is called.
    base_url: String,
    /// How its calls may be paid.
    #[schema(schema_with = schema::payment_modes)]
    payment_modes: Vec<&'static str>,
    /// What is switched on.
    #[serde(flatten)]
    switch: SwitchView,
    /// Whether these switches were set for it; if not, they are those of `other_providers` in the settings.
    listed: bool,
    /// How many platform keys there are for it.
    platform_keys: usize,
}

/// List the providers with what is switched on for each.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/providers", tag = "instance settings",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = List<ProviderSwitchView>), Reads))]
async fn list_provider_switches(
    access: Access<ReadInstanceSettings>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ProviderSwitchView>>, Problem> {
    let settings = settings::get(&state).await?;
    let keys = platform_keys(&state, &access.scope).await?;
    let providers = state.registry.providers();
    let views = providers.map(|provider| view(provider, &settings, &keys));
    Ok(axum::Json(List::whole(views)))
}

/// What to switch. What is left out stays; `null`: as for the providers that have no switches of their own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchPatch {
    /// Whether it serves at all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    enabled: Option<Option<bool>>,
    /// Whether own keys for it serve and are taken. Off: keys that are there rest, and come back with it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    byok: Option<Option<bool>>,
    /// Whether own keys for it may have a base URL of their own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    custom_base_urls: Option<Option<bool>>,
    /// The provider's own names of the models that are available, with `*`; at most 200.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    models: Option<Option<Vec<Glob>>>,
}

/// Switch a provider, its own keys, or some of its models on or off, for everybody and from the next call on.
///
/// Keys are kept: what is switched off rests, and comes back with the switch. Whether calls of own keys that rest are refused
/// or paid by credits is the setting `on_byok_disabled`.
#[utoipa::path(patch, path = "/api/v1/admin/providers/{provider}", tag = "instance settings",
    extensions(("x-action" = json!("write_instance_settings"))), request_body = SwitchPatch,
    responses((status = 200, body = ProviderSwitchView), Writes))]
async fn update_provider_switch(
    access: Access<WriteInstanceSettings>,
    ProviderNameInPath(provider): ProviderNameInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<SwitchPatch>,
) -> Result<axum::Json<ProviderSwitchView>, Problem> {
    let count = body
        .models
        .as_ref()
        .map_or(0, |models| models.as_ref().map_or(0, Vec::len));
    if count > MAX_RULES {
        return Err(Problem::field(
            "models",
            "models must have at most 200 entries",
        ));
    }
    let change = SwitchChange {
        enabled: body.enabled,
        byok: body.byok,
        custom_base_urls: body.custom_base_urls,
        models: body.models,
    };
    let (provider, settings) =
        settings::switch(&state, &call, &access.scope, &provider, &change).await?;
    let keys = platform_keys(&state, &access.scope).await?;
    Ok(axum::Json(view(provider, &settings, &keys)))
}

/// How many platform keys there are for each provider that has one.
async fn platform_keys(
    state: &ControlState,
    scope: &InstanceScope,
) -> Result<BTreeMap<ProviderId, usize>, Problem> {
    let system = state.store.system();
    let keys = system.platform_keys(scope, state.deployment).list().await?;
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key.context.provider).or_default() += 1;
    }
    Ok(counts)
}

fn view(
    provider: &Provider,
    settings: &Settings,
    keys: &BTreeMap<ProviderId, usize>,
) -> ProviderSwitchView {
    let (switch, listed) = switch_of(settings, provider);
    let payment_modes = provider.payment_modes.iter().map(|mode| mode.as_str());
    ProviderSwitchView {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        status: provider.status.as_str(),
        kind: provider.kind.as_str(),
        base_url: provider.base_url.clone(),
        payment_modes: payment_modes.collect(),
        switch: switch.clone().into(),
        listed,
        platform_keys: keys.get(&provider.id).copied().unwrap_or(0),
    }
}
