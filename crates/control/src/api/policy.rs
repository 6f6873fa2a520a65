//! A workspace's policy: who pays, which models stand behind names, when credits may step in.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::plan::PlanTerms;
use domain::policy::{
    ByokRule, LevelMapping, Mode, ModelMapping, ModelName, Tier, Tiers, WorkspacePolicy,
};
use domain::preset::Presets;
use domain::price::PriceOverride;
use domain::{NanoUsd, PlanId, ProviderId};
use http::header::ETAG;
use serde::{Deserialize, Deserializer, Serialize};
use store::{PolicyRow, WorkspaceScope};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::access::{Access, ReadPolicy, WritePolicy};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{PolicyChanges, Reads};
use crate::ops::policy::{self, Bounds};
use crate::ops::settings::Patch;
use crate::routes::{Routes, routes};
use crate::schema::shapes::{
    LevelMappingShape, ModelMappingShape, PresetPatchShape, PresetShape, PriceOverrideShape,
};
use crate::schema::{self, merge};
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_policy, update_policy))
}

/// A workspace's policy, with what the account's plan says of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// The policy.
    #[serde(flatten)]
    policy: PolicyFields,
    /// When the policy last changed; RFC 3339, UTC. `null`: never.
    #[schema(required)]
    updated_at: Option<String>,
    /// The id of the account's plan.
    #[schema(example = "free")]
    plan: String,
    /// Whether own keys serve by the account's plan.
    byok_allowed: bool,
    /// The tiers that may be called by name, by the account's plan.
    #[schema(schema_with = schema::tiers)]
    tiers_open: Vec<&'static str>,
}

/// What a workspace's admins decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyFields {
    /// Who pays: credits, own keys, or own keys and, where there is none, credits.
    #[schema(schema_with = schema::mode)]
    mode: Mode,
    /// Whether own keys must or must not serve, whatever the mode.
    #[schema(schema_with = schema::byok_rule)]
    byok: ByokRule,
    /// Whether credits may step in after own keys failed (429, 5xx, no answer). Only in the mode `auto`.
    managed_on_failure: bool,
    /// Whether they may do so too when a provider did not accept an own key. Only with `managed_on_failure`.
    managed_on_denied: bool,
    /// What calls that credits stepped in for may cost in a calendar month (UTC), in billionths of a US dollar;
    /// `null`: whatever the balance bears.
    #[schema(value_type = Option<i64>, minimum = 0, required)]
    managed_fallback_cap_nano_usd: Option<NanoUsd>,
    /// After how many milliseconds without an answer a call is sent to the next key or model too, 100 to 60000, if it is
    /// paid for by the same; `null`: never. The first answer counts. The provider of the call that is cancelled may bill it all
    /// the same.
    #[schema(minimum = 100, maximum = 60_000, required)]
    hedge_after_ms: Option<u32>,
    /// The id of the provider that the AI config names; `null`: none.
    #[schema(value_type = Option<String>, required, example = "openai")]
    provider: Option<ProviderId>,
    /// The model that serves when a call names none, 1 to 256 bytes; `null`: the one behind `level_1`.
    #[schema(value_type = Option<String>, required, example = "level_1")]
    model: Option<ModelName>,
    /// The model behind each tier; `managed` or left out: the instance's choice.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"level_2": "anthropic/claude-sonnet-4"}))]
    tiers: Tiers,
    /// Names of models that stand for others; the first that fits counts. At most 200.
    #[schema(value_type = Vec<ModelMappingShape>, example = json!([{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}]))]
    model_mappings: Vec<ModelMapping>,
    /// Names that stand for models and for what a request leaves unsaid, by the names without their `@`: 1 to 64 of a-z, 0-9,
    /// `-`, `_` and `.`, the first a letter or a digit. At most 50.
    #[schema(value_type = BTreeMap<String, PresetShape>, example = json!({"fast": {"models": ["gpt-4o-mini:latency"],
        "parameters": {"temperature": "0.2", "max_tokens": 500}}}))]
    presets: Presets,
    /// Levels of keys that models try first; the first that fits counts. At most 200.
    #[schema(value_type = Vec<LevelMappingShape>, example = json!([{"pattern": "claude*", "level": 2}]))]
    level_mappings: Vec<LevelMapping>,
    /// Negotiated prices of calls on own keys, in USD per million tokens. At most 200.
    #[schema(value_type = Vec<PriceOverrideShape>,
        example = json!([{"provider": "openai", "model": "gpt-4o", "price": {"input": "2", "output": "8"}}]))]
    prices: Vec<PriceOverride>,
    /// Whether the workspace's own keys may be handed out to run programs with (`keybearer run --inject raw`). Calls made
    /// so pass the gateway by: they are neither metered nor limited. Only where the instance sets `release_keys_allowed`.
    release_keys: bool,
}

impl From<WorkspacePolicy> for PolicyFields {
    fn from(policy: WorkspacePolicy) -> Self {
        let WorkspacePolicy {
            mode,
            byok,
            managed_on_failure,
            managed_on_denied,
            managed_fallback_cap_nano_usd,
            hedge_after_ms,
            provider,
            model,
            tiers,
            model_mappings,
            presets,
            level_mappings,
            prices,
            release_keys,
        } = policy;
        Self {
            mode,
            byok,
            managed_on_failure,
            managed_on_denied,
            managed_fallback_cap_nano_usd,
            hedge_after_ms,
            provider,
            model,
            tiers,
            model_mappings,
            presets,
            level_mappings,
            prices,
            release_keys,
        }
    }
}

fn view(row: PolicyRow, plan: &PlanId, terms: &PlanTerms) -> PolicyView {
    let open = Tier::ALL.iter().filter(|tier| terms.opens(**tier));
    PolicyView {
        updated_at: (row.updated_at.millis() > 0).then(|| row.updated_at.to_string()),
        policy: row.policy.into(),
        plan: plan.to_string(),
        byok_allowed: terms.byok,
        tiers_open: open.map(|tier| tier.as_str()).collect(),
    }
}

/// A change of a policy: a JSON merge patch (RFC 7396).
#[derive(Debug)]
pub struct PolicyPatch(Patch);

impl<'de> Deserialize<'de> for PolicyPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Patch::deserialize(deserializer).map(Self)
    }
}

impl PartialSchema for PolicyPatch {
    /// The fields of a policy, none of them required, each or `null`; and so the entries of its maps.
    fn schema() -> RefOr<Schema> {
        let mut schema = PolicyFields::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            merge::merge(object);
            let mut entries = |name: &str, entry| {
                if let Some(map) = object.properties.get_mut(name) {
                    merge::merge_entries(map, entry);
                }
            };
            entries("tiers", None);
            let preset = Ref::from_schema_name(PresetPatchShape::name());
            entries("presets", Some(preset.into()));
            let says = "A JSON merge patch (RFC 7396): what is left out stays, a list is replaced as a whole.";
            object.description = Some(says.to_owned());
        }
        schema
    }
}

impl ToSchema for PolicyPatch {
    fn name() -> Cow<'static, str> {
        "PolicyPatch".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        PolicyFields::schemas(schemas);
        schemas.push((PresetPatchShape::name().into(), PresetPatchShape::schema()));
        PresetPatchShape::schemas(schemas);
    }
}

/// See who pays in a workspace, which models stand behind names, and when credits may step in.
///
/// With what the account's plan says of it. Settings of the instance may bind more: a mode that `modes` does not offer, a
/// provider that is switched off.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/policy", tag = "who pays",
    extensions(("x-action" = json!("read_policy"))),
    responses((status = 200, body = PolicyView, headers(("etag" = String, description = "Names this state of what the \
        workspace decides; what the plan says is no part of it."))), Reads))]
async fn get_policy(
    access: Access<ReadPolicy>,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    tagged(&state, &access.scope).await
}

/// The policy as it is now, with the tag of its state.
async fn tagged(state: &ControlState, scope: &WorkspaceScope) -> Result<Response, Problem> {
    let within = state.store.within(scope);
    let (plan, terms) = within.terms().await?;
    let view = view(within.policy().await?, &plan, &terms);
    Ok(([(ETAG, tag::of(&view.policy)?)], axum::Json(view)).into_response())
}

/// Change who pays in a workspace, which models stand behind names, and when credits may step in.
///
/// A JSON merge patch (RFC 7396): what is left out stays, lists are replaced whole, `null` inside `tiers`
/// and `presets` removes the entry. `null` for `provider`, `model`, `hedge_after_ms` and `managed_fallback_cap_nano_usd` means none. `null` for
/// `mode` means a mode that spends no credits: `byok` where the instance offers it, else the first one that it offers,
/// else `400 mode_not_offered`. For any other field `null` means the default: `optional`, `false`, nothing.
///
/// The key of the AI config stays, also with the mode `managed`: only the AI config clears its own key.
///
/// With `If-Match` only while the policy is as it was read: whoever replaces a list whole sends the `etag` of the answer that
/// the list is from, so that no change of somebody else is lost.
#[utoipa::path(patch, path = "/api/v1/workspaces/{workspace_id}/policy", tag = "who pays",
    extensions(("x-action" = json!("write_policy"))), request_body = PolicyPatch,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the policy that one has read; left out: \
        whatever it is now.")),
    responses((status = 200, body = PolicyView, headers(("etag" = String, description = "Names this state of what the \
        workspace decides; what the plan says is no part of it."))), PolicyChanges))]
async fn update_policy(
    access: Access<WritePolicy>,
    State(state): State<ControlState>,
    call: Call,
    if_match: IfMatch,
    Json(PolicyPatch(patch)): Json<PolicyPatch>,
) -> Result<Response, Problem> {
    let bounds = Bounds::of(&state, &access.scope).await?;
    let change = |old: &WorkspacePolicy| {
        if_match.allows(&PolicyFields::from(old.clone()), "the policy")?;
        policy::patched(old, &patch, &bounds.settings)
    };
    policy::update(&state, &call, &access.scope, &bounds, change).await?;
    tagged(&state, &access.scope).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_shown_as_it_is_stored() {
        let mut stored = serde_json::to_value(WorkspacePolicy::default()).expect("plain data");
        // Shown also where there are none, of which nothing is stored.
        stored["presets"] = serde_json::json!({});
        let shown = PolicyFields::from(WorkspacePolicy::default());
        assert_eq!(serde_json::to_value(shown).expect("plain data"), stored);
    }
}
