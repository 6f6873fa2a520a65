//! What an instance's admins decide for everybody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::credits::{MAX_CREDITS, Overuse};
use crate::glob::Glob;
use crate::key::{PlanId, ProviderId};
use crate::money::{Decimal, NanoUsd};
use crate::policy::{LevelMapping, Mode, ModelMapping, ModelName, Tiers, words};
use crate::price::PriceOverride;

words! {
    /// What happens to calls of workspaces that have an own key for a provider whose own keys are switched off.
    OnByokDisabled("rule for switched-off providers") {
        /// As the workspace's mode says: `auto` goes to the instance's key, `byok` is refused.
        FollowMode = "follow_mode",
        /// They go to the instance's key, in the mode `byok` too, unless no offered mode lets credits pay.
        Managed = "managed",
        /// They are refused, in the mode `auto` too.
        Refuse = "refuse",
    }

    /// What happens to calls after the last own key for a provider was removed.
    OnKeyRemoved("rule for removed keys") {
        /// As the workspace's mode says.
        FollowMode = "follow_mode",
        /// They go to the instance's key, in the mode `byok` too, unless no offered mode lets credits pay.
        Managed = "managed",
        /// They are refused, in the mode `auto` too.
        Refuse = "refuse",
    }

    /// What is recorded of calls on own keys.
    ByokMetering("metering of own keys") {
        /// Tokens and what they cost at list price.
        Shadow = "shadow",
        /// Tokens only.
        None = "none",
    }

    /// How provider keys may be submitted.
    Submission("form of submission") {
        /// Sealed, or in plain text over loopback or TLS.
        Both = "both",
        /// Sealed only.
        SealedOnly = "sealed_only",
    }

    /// What is shown of a provider key to those who may see it.
    MaskStyle("style of masks") {
        /// The first four and the last four characters.
        First4Last4 = "first4_last4",
        /// The first four characters.
        Prefix = "prefix",
        /// Nothing.
        None = "none",
    }

    /// What a workspace's and an account's audit log shows. The instance's always shows all.
    AuditDetail("audit detail") {
        /// Who, what, which sealing key.
        Standard = "standard",
        /// Neither who acted nor the sealing key.
        Minimal = "minimal",
    }

    /// What happens to calls of a model whose price is not known.
    Unpriced("rule for unpriced models") {
        /// They are refused.
        Block = "block",
        /// They are served; tokens are counted, and they cost nothing.
        CountTokens = "count_tokens",
    }
}

/// What is switched on for one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderSwitch {
    /// Whether it serves at all.
    pub enabled: bool,
    /// Whether own keys for it serve and are taken. Off: keys that are there rest, and come back with it.
    pub byok: bool,
    /// Whether own keys for it may have a base URL of their own; none: as the instance says.
    pub custom_base_urls: Option<bool>,
    /// The provider's own names of the models that are available; none: all of them.
    pub models: Option<Vec<Glob>>,
}

impl Default for ProviderSwitch {
    fn default() -> Self {
        Self {
            enabled: true,
            byok: true,
            custom_base_urls: None,
            models: None,
        }
    }
}

impl ProviderSwitch {
    /// Whether this model of the provider is available.
    pub fn opens(&self, model: &str) -> bool {
        self.enabled && self.lists(model)
    }

    /// Whether it would be if the provider were switched on.
    pub fn lists(&self, model: &str) -> bool {
        let listed = |models: &Vec<Glob>| models.iter().any(|glob| glob.matches(model));
        self.models.as_ref().is_none_or(listed)
    }
}

/// How many credits a call takes for what it costs. The first rule that fits counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRatio {
    /// Providers, with `*`.
    pub provider: Glob,
    /// The provider's own names of models, with `*`.
    pub model: Glob,
    /// Operations such as `chat_completions`, with `*`.
    pub operation: Glob,
    /// The charge is the list price times this, ...
    pub ratio: Decimal,
    /// ... or, where this is given, so many credits for each call that succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_per_call: Option<Decimal>,
}

/// A model that makes pictures with the instance's keys, and what a picture costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageModel {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own name of the model.
    pub model: ModelName,
    /// The credits that a picture costs, before ratios, factor and rate.
    pub credits_per_image: Decimal,
}

/// The most models that make pictures.
pub const MAX_IMAGE_MODELS: usize = 5;

/// The longest time for which runs are kept, in days.
pub const MAX_RUN_RETENTION_DAYS: u32 = 3_650;

/// The times that a step of a run may have, in milliseconds: a second to an hour.
pub const RUN_STEP_TIMEOUTS_MS: std::ops::RangeInclusive<u32> = 1_000..=3_600_000;

/// Everything that an instance's admins decide for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether a workspace in the mode `auto` may use the instance's keys where its own do not serve.
    pub managed_fallback_allowed: bool,
    /// The mode of new workspaces; none: `managed` where the instance has platform keys, else `byok`.
    pub new_workspace_mode: Option<Mode>,
    /// The modes that a workspace may be set to. They bind workspaces that have another one already, too; see
    /// [`effective_mode`](Self::effective_mode).
    pub modes: Vec<Mode>,
    /// What happens where own keys are switched off for a provider.
    pub on_byok_disabled: OnByokDisabled,
    /// What happens where the last own key was removed.
    pub on_key_removed: OnKeyRemoved,
    /// What is recorded of calls on own keys.
    pub byok_metering: ByokMetering,
    /// How provider keys may be submitted. The option `submission` of the server may be stricter.
    pub submission: Submission,
    /// Whether own keys may have a base URL of their own; none: as the option `custom_base_urls` of the server.
    pub custom_base_urls: Option<bool>,
    /// What is shown of a provider key.
    pub mask: MaskStyle,
    /// The least role that sees labels and masks; others see that there is a key.
    pub mask_visible_to: Role,
    /// What audit logs show.
    pub audit_detail: AuditDetail,
    /// What happens when a call costs more than the balance bears.
    pub overuse: Overuse,
    /// What happens to managed calls of a model whose price is not known.
    pub unpriced_managed: Unpriced,
    /// What happens to calls on own keys of such a model.
    pub unpriced_byok: Unpriced,
    /// The plan of new accounts.
    pub default_plan: PlanId,
    /// The level of new provider keys; none: no level.
    pub default_level: Option<i64>,
    /// The model behind each tier where a workspace delegates the choice.
    pub tiers: Tiers,
    /// Count after a workspace's own.
    pub model_mappings: Vec<ModelMapping>,
    /// Count after a workspace's own.
    pub level_mappings: Vec<LevelMapping>,
    /// What is switched on for each provider.
    pub providers: BTreeMap<ProviderId, ProviderSwitch>,
    /// What is switched on for the providers that are not listed.
    pub other_providers: ProviderSwitch,
    /// The provider, a gateway, through which managed calls go where the instance has no key that serves for any
    /// provider of the model. Its own switch binds it. Calls on own keys never go there.
    pub managed_gateway: Option<ProviderId>,
    /// How many credits a call takes. Where no rule fits, credits are what the call costs at list price.
    pub credit_ratios: Vec<CreditRatio>,
    /// Every charge is multiplied by this.
    pub credit_factor: Decimal,
    /// Prices that differ from the catalog's.
    pub prices: Vec<PriceOverride>,
    /// Output tokens for which credits are held when a call sets no limit of its own; none: as many as the model
    /// may write, or [`UNKNOWN_OUTPUT_TOKENS`] where that is not known.
    pub held_output_tokens: Option<u32>,
    /// The models that make the pictures of generation runs, the first before those that stand in for it; none: runs
    /// have no pictures.
    pub image_models: Vec<ImageModel>,
    /// Days after its end for which a generation run is kept with everything in it.
    pub run_retention_days: u32,
    /// How long a step of a generation run may take, with all of its calls and the pauses between them, in milliseconds.
    pub run_step_timeout_ms: u32,
    /// Whether a workspace's admins may allow that its own keys are handed out to run programs with.
    pub release_keys_allowed: bool,
    /// Whether calls that credits pay for are hedged where a workspace's policy says so: two providers may then send the
    /// instance a bill of which credits pay one.
    pub managed_hedging_allowed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            managed_fallback_allowed: true,
            new_workspace_mode: None,
            modes: Mode::ALL.to_vec(),
            on_byok_disabled: OnByokDisabled::FollowMode,
            on_key_removed: OnKeyRemoved::FollowMode,
            byok_metering: ByokMetering::Shadow,
            submission: Submission::Both,
            custom_base_urls: None,
            mask: MaskStyle::First4Last4,
            mask_visible_to: Role::Admin,
            audit_detail: AuditDetail::Standard,
            overuse: Overuse::Block,
            unpriced_managed: Unpriced::Block,
            unpriced_byok: Unpriced::CountTokens,
            default_plan: "free".parse().expect("a valid id"),
            default_level: None,
            tiers: Tiers::new(),
            model_mappings: Vec::new(),
            level_mappings: Vec::new(),
            providers: BTreeMap::new(),
            other_providers: ProviderSwitch::default(),
            managed_gateway: None,
            credit_ratios: Vec::new(),
            credit_factor: Decimal::ONE,
            prices: Vec::new(),
            held_output_tokens: None,
            image_models: Vec::new(),
            run_retention_days: 30,
            run_step_timeout_ms: 600_000,
            release_keys_allowed: false,
            managed_hedging_allowed: false,
        }
    }
}

/// The highest factor, ratio and rate by which charges are multiplied.
pub const MAX_FACTOR: Decimal = Decimal::from_billionths(1_000 * Decimal::ONE.billionths());

/// The most credits that each call may take by a ratio's rule.
pub const MAX_CREDITS_PER_CALL: Decimal =
    Decimal::from_billionths(1_000_000 * Decimal::ONE.billionths());

/// The most bytes that settings may have as JSON.
pub const MAX_SETTINGS_BYTES: usize = 256 * 1024;

/// The highest level of a provider key; the lowest is 0.
pub const MAX_LEVEL: i64 = 9_999;

/// Output tokens for which credits are held where neither the call nor the settings nor the registry say how many.
pub const UNKNOWN_OUTPUT_TOKENS: u32 = 4_096;

impl Settings {
    /// What is switched on for `provider`.
    pub fn switch(&self, provider: &ProviderId) -> &ProviderSwitch {
        self.providers
            .get(provider)
            .unwrap_or(&self.other_providers)
    }

    /// The mode that counts in a workspace which is set to `mode`: that one if it is offered, else `byok`, in which
    /// nobody pays who did not mean to. `None`: neither is offered, and nothing serves.
    pub fn effective_mode(&self, mode: Mode) -> Option<Mode> {
        [mode, Mode::Byok]
            .into_iter()
            .find(|mode| self.modes.contains(mode))
    }

    /// Whether a mode is offered in which credits may pay. If none is, they never do.
    pub fn offers_credits(&self) -> bool {
        self.modes.iter().any(|mode| *mode != Mode::Byok)
    }

    /// The mode of a new workspace.
    pub fn new_workspace_mode(&self, has_platform_keys: bool) -> Mode {
        let derived = if has_platform_keys {
            Mode::Managed
        } else {
            Mode::Byok
        };
        let wanted = self.new_workspace_mode.unwrap_or(derived);
        if self.modes.contains(&wanted) {
            wanted
        } else {
            self.modes.first().copied().unwrap_or(Mode::Byok)
        }
    }

    /// The credits, in nano-USD, that a successful call takes which costs `cost` at list price.
    ///
    /// `rate` is the account's multiplier. Rounded up to a whole nano-USD at each multiplication, and at most
    /// [`MAX_CREDITS`].
    pub fn charge(
        &self,
        provider: &ProviderId,
        model: &str,
        operation: &str,
        cost: NanoUsd,
        rate: Decimal,
    ) -> NanoUsd {
        let rule = self.credit_ratios.iter().find(|rule| {
            rule.provider.matches(provider.as_str())
                && rule.model.matches(model)
                && rule.operation.matches(operation)
        });
        let base = match rule {
            None => cost,
            Some(rule) => match rule.credits_per_call {
                Some(credits) => credits.times(NanoUsd::from_credits(1)),
                None => rule.ratio.times(cost),
            },
        };
        rate.times(self.credit_factor.times(base)).min(MAX_CREDITS)
    }
}

#[cfg(test)]
mod tests;
