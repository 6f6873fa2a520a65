//! What is shown of the settings of the instance, and what a client may send of them.

use domain::access::Role;
use domain::credits::Overuse;
use domain::glob::Glob;
use domain::policy::{LevelMapping, Mode, ModelMapping, Tiers};
use domain::price::PriceOverride;
use domain::settings::{
    AuditDetail, ByokMetering, CreditRatio, ImageModel, MaskStyle, OnByokDisabled, OnKeyRemoved,
    ProviderSwitch, Settings, Submission, Unpriced,
};
use domain::{Decimal, PlanId, ProviderId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use crate::schema::shapes::{
    CreditRatioShape, ImageModelShape, LevelMappingShape, ModelMappingShape, PriceOverrideShape,
};

/// What the instance's admins decide for everybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsView {
    /// Whether a workspace in the mode `auto` may use the instance's keys where its own do not serve.
    managed_fallback_allowed: bool,
    /// The mode of new workspaces; `null`: `managed` where the instance has platform keys, else `byok`.
    #[schema(schema_with = schema::new_workspace_mode)]
    new_workspace_mode: Option<Mode>,
    /// The modes that a workspace may be set to; at least one.
    #[schema(schema_with = schema::modes)]
    modes: Vec<Mode>,
    /// What happens to calls of workspaces that have an own key for a provider whose own keys are switched off.
    #[schema(schema_with = schema::on_byok_disabled)]
    on_byok_disabled: OnByokDisabled,
    /// What happens to calls after the last own key for a provider was removed.
    #[schema(schema_with = schema::on_key_removed)]
    on_key_removed: OnKeyRemoved,
    /// What is recorded of calls on own keys.
    #[schema(schema_with = schema::byok_metering)]
    byok_metering: ByokMetering,
    /// How provider keys may be submitted. The option `submission` of the server may be stricter.
    #[schema(schema_with = schema::submission)]
    submission: Submission,
    /// Whether own keys may have a base URL of their own; `null`: as the option of the server says.
    custom_base_urls: Option<bool>,
    /// What is shown of a provider key to those who may see it.
    #[schema(schema_with = schema::mask)]
    mask: MaskStyle,
    /// The least role that sees labels and masks.
    #[schema(schema_with = schema::least_role)]
    mask_visible_to: Role,
    /// Whether the audit logs of workspaces and accounts say who acted, and which sealing key was used.
    #[schema(schema_with = schema::audit_detail)]
    audit_detail: AuditDetail,
    /// What happens when a call costs more than the balance bears.
    #[schema(schema_with = schema::overuse)]
    overuse: Overuse,
    /// What happens to managed calls of a model whose price is not known.
    #[schema(schema_with = schema::unpriced_managed)]
    unpriced_managed: Unpriced,
    /// What happens to calls on own keys of such a model.
    #[schema(schema_with = schema::unpriced_byok)]
    unpriced_byok: Unpriced,
    /// The plan of new accounts.
    #[schema(value_type = String, example = "free")]
    default_plan: PlanId,
    /// The level of new provider keys, 0 to 9999; `null`: none.
    #[schema(minimum = 0, maximum = 9999)]
    default_level: Option<i64>,
    /// The model behind each tier, by tier, where a workspace delegates the choice.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"level_1": "openai/gpt-4o-mini"}))]
    tiers: Tiers,
    /// Names of models that stand for others; they count after a workspace's own. At most 200.
    #[schema(value_type = Vec<ModelMappingShape>, example = json!([{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}]))]
    model_mappings: Vec<ModelMapping>,
    /// Levels of keys that models try first; they count after a workspace's own. At most 200.
    #[schema(value_type = Vec<LevelMappingShape>, example = json!([{"pattern": "claude*", "level": 2}]))]
    level_mappings: Vec<LevelMapping>,
    /// What is switched on for the providers that have no switches of their own.
    other_providers: SwitchView,
    /// The gateway through which managed calls go where the instance has no key for the model's own provider.
    #[schema(value_type = Option<String>, example = "openrouter")]
    managed_gateway: Option<ProviderId>,
    /// How many credits a call takes; the first rule that fits counts. Empty, or complete: the last rule is for all
    /// calls. At most 200.
    #[schema(value_type = Vec<CreditRatioShape>, example = json!([{"provider": "*", "model": "*", "operation": "*", "ratio": "1.2"}]))]
    credit_ratios: Vec<CreditRatio>,
    /// Every charge is multiplied by this.
    #[schema(value_type = String, example = "1")]
    credit_factor: Decimal,
    /// Prices that differ from the catalog's, in USD per million tokens. At most 200.
    #[schema(value_type = Vec<PriceOverrideShape>,
        example = json!([{"provider": "openai", "model": "gpt-4o", "price": {"input": "2", "output": "8"}}]))]
    prices: Vec<PriceOverride>,
    /// Output tokens for which credits are held when a call sets no limit of its own; `null`: as many as the model
    /// may write, or 4096 where that is not known.
    held_output_tokens: Option<u32>,
    /// The models that make the pictures of generation runs with the instance's keys: the first, and those that stand in
    /// for it. Empty: runs have no pictures. At most 5.
    #[schema(value_type = Vec<ImageModelShape>,
        example = json!([{"provider": "google", "model": "gemini-nano-banana-2.1", "credits_per_image": "3.36"}]))]
    image_models: Vec<ImageModel>,
    /// Days after its end for which a generation run is kept with everything in it, 1 to 3650.
    #[schema(minimum = 1, maximum = 3650)]
    run_retention_days: u32,
    /// How long a step of a generation run may take, with all of its calls and the pauses between them, in milliseconds,
    /// 1000 to 3600000. One that takes longer fails, and its call is given up.
    #[schema(minimum = 1000, maximum = 3_600_000)]
    run_step_timeout_ms: u32,
    /// Whether a workspace's admins may allow that its own keys are handed out to run programs with; off: it is refused
    /// everywhere, whatever a workspace's policy says.
    release_keys_allowed: bool,
    /// Whether calls that credits pay for are hedged where a workspace's policy sets `hedge_after_ms`. Credits pay for the
    /// call that won alone; what the other one's provider bills all the same is the instance's.
    managed_hedging_allowed: bool,
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let Settings {
            managed_fallback_allowed,
            new_workspace_mode,
            modes,
            on_byok_disabled,
            on_key_removed,
            byok_metering,
            submission,
            custom_base_urls,
            mask,
            mask_visible_to,
            audit_detail,
            overuse,
            unpriced_managed,
            unpriced_byok,
            default_plan,
            default_level,
            tiers,
            model_mappings,
            level_mappings,
            // They have an operation of their own.
            providers: _,
            other_providers,
            managed_gateway,
            credit_ratios,
            credit_factor,
            prices,
            held_output_tokens,
            image_models,
            run_retention_days,
            run_step_timeout_ms,
            release_keys_allowed,
            managed_hedging_allowed,
        } = settings;
        Self {
            managed_fallback_allowed,
            new_workspace_mode,
            modes,
            on_byok_disabled,
            on_key_removed,
            byok_metering,
            submission,
            custom_base_urls,
            mask,
            mask_visible_to,
            audit_detail,
            overuse,
            unpriced_managed,
            unpriced_byok,
            default_plan,
            default_level,
            tiers,
            model_mappings,
            level_mappings,
            other_providers: other_providers.into(),
            managed_gateway,
            credit_ratios,
            credit_factor,
            prices,
            held_output_tokens,
            image_models,
            run_retention_days,
            run_step_timeout_ms,
            release_keys_allowed,
            managed_hedging_allowed,
        }
    }
}

/// What is switched on for a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct SwitchView {
    /// Whether it serves at all.
    enabled: bool,
    /// Whether own keys for it serve and are taken. Off: keys that are there rest, and come back with it.
    byok: bool,
    /// Whether own keys for it may have a base URL of their own; `null`: as the instance says.
    custom_base_urls: Option<bool>,
    /// The provider's own names of the models that are available, with `*`; `null`: all of them.
    #[schema(value_type = Option<Vec<String>>, example = json!(["gpt-4o*"]))]
    models: Option<Vec<Glob>>,
}

impl From<ProviderSwitch> for SwitchView {
    fn from(switch: ProviderSwitch) -> Self {
        let ProviderSwitch {
            enabled,
            byok,
            custom_base_urls,
            models,
        } = switch;
        Self {
            enabled,
            byok,
            custom_base_urls,
            models,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_switches_is_shown_as_it_is_stored() {
        let mut stored = serde_json::to_value(Settings::default()).expect("plain data");
        let shown = SettingsView::from(Settings::default());
        let shown = serde_json::to_value(shown).expect("plain data");
        let removed = stored
            .as_object_mut()
            .expect("an object")
            .remove("providers");
        assert!(removed.is_some());
        assert_eq!(shown, stored);
    }
}
