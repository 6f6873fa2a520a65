//! What a workspace decides: who pays, which model stands behind a name, when credits may step in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::key::ProviderId;
use crate::money::NanoUsd;
use crate::preset::Presets;
use crate::price::PriceOverride;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($what:literal) { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {$(
            $(#[$vdoc])*
            #[serde(rename = $text)]
            $variant,
        )+}

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in the API and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $text),+}
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::policy::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::policy::UnknownWord> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or($crate::policy::UnknownWord { what: $what })
            }
        }
    )*};
}
pub(crate) use words;

/// A text that is none of the known words of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {what}")]
pub struct UnknownWord {
    pub(crate) what: &'static str,
}

words! {
    /// Who pays for a workspace's calls.
    Mode("mode") {
        /// The instance's keys serve and credits pay; own keys rest.
        Managed = "managed",
        /// Own keys serve and their providers bill their owners; without one a call is refused.
        Byok = "byok",
        /// Own keys serve; where there is none, the instance's keys serve and credits pay.
        Auto = "auto",
    }

    /// A guardrail over the mode: whether a call may or must be served by an own key.
    ByokRule("byok rule") {
        /// As the mode says.
        Optional = "optional",
        /// Never by the instance's keys.
        Required = "required",
        /// Never by own keys.
        Forbidden = "forbidden",
    }

    /// A name that stands for a model, whichever that is today.
    Tier("tier") {
        /// The everyday model, and the one that serves when nobody chose.
        Level1 = "level_1",
        /// The better model.
        Level2 = "level_2",
        /// The best model.
        Level3 = "level_3",
        /// The model for embeddings.
        Embeddings = "embeddings",
    }

    /// Who pays for one call, as responses and usage say it.
    KeySource("key source") {
        /// The owner of the provider key.
        Byok = "byok",
        /// Credits.
        Managed = "managed",
    }
}

/// In a tier's place: the instance's choice stands.
pub const DELEGATED: &str = "managed";

/// Longest name of a model, in bytes.
pub const MAX_MODEL_BYTES: usize = 256;

/// A name of a model: visible text without blanks, 1 to [`MAX_MODEL_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ModelName(Box<str>);

/// A text that cannot be the name of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a model's name has 1 to {MAX_MODEL_BYTES} bytes, without blanks and control characters")]
pub struct InvalidModelName;

impl ModelName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, InvalidModelName> {
        let fits = (1..=MAX_MODEL_BYTES).contains(&text.len())
            && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidModelName)
        }
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Calls for a model that fits `pattern` go to `model` instead; usage and price are the target's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelMapping {
    /// Names that are mapped, with `*`. It is held against the name that was given, and against what stands behind
    /// its first `/`: `gpt-3.5*` also fits `openai/gpt-3.5-turbo`.
    pub pattern: Glob,
    /// The name that takes their place. It is not mapped again.
    pub model: ModelName,
}

impl ModelMapping {
    /// Whether the model that was given as `name` is mapped.
    pub fn fits(&self, name: &str) -> bool {
        spellings(name).any(|name| self.pattern.matches(name))
    }
}

/// Calls for a model that fits `pattern` try the keys of `level` before all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelMapping {
    /// Names of models, with `*`. It is held against the name that providers are looked up by, against what stands
    /// behind its first `/`, and against the name of the model at the provider whose keys are put in order.
    pub pattern: Glob,
    /// The level of keys.
    pub level: i64,
}

impl LevelMapping {
    /// Whether it is about the model that was looked up as `name` and that a provider knows as `own`.
    pub fn fits(&self, name: &str, own: &str) -> bool {
        let mut names = spellings(name).chain([own]);
        names.any(|name| self.pattern.matches(name))
    }
}

/// A model's name as it was given, and without the provider that may stand before it.
fn spellings(name: &str) -> impl Iterator<Item = &str> {
    let behind = name.split_once('/').map(|(_, behind)| behind);
    [name].into_iter().chain(behind)
}

/// The model behind each tier; [`DELEGATED`] or none: the instance's choice.
pub type Tiers = BTreeMap<Tier, ModelName>;

/// Everything that a workspace's admins decide about who pays and what serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkspacePolicy {
    /// Who pays.
    pub mode: Mode,
    /// The guardrail over the mode.
    pub byok: ByokRule,
    /// Whether the instance's keys, paid by credits, may serve a call whose own keys failed (429, 5xx, no
    /// answer). Only in the mode `auto`.
    pub managed_on_failure: bool,
    /// Whether they may do so too when a provider did not accept an own key (401, 402, 403). Only with
    /// `managed_on_failure`.
    pub managed_on_denied: bool,
    /// What such calls may cost in a calendar month (UTC), in nano-USD; none: whatever the balance bears.
    pub managed_fallback_cap_nano_usd: Option<NanoUsd>,
    /// After how many milliseconds without an answer a call is sent to the next key too, if that has the same owner;
    /// none: never. See [`HEDGE_AFTER_MS`].
    pub hedge_after_ms: Option<u32>,
    /// The provider that the AI config names, if any.
    pub provider: Option<ProviderId>,
    /// The model that serves when a call names none.
    pub model: Option<ModelName>,
    /// The model behind each tier.
    pub tiers: Tiers,
    /// The first pattern that fits counts; these come before the instance's.
    pub model_mappings: Vec<ModelMapping>,
    /// Names that stand for models and for what a request leaves unsaid. Where there are none, versions that know of none
    /// read the policy, too.
    #[serde(skip_serializing_if = "Presets::is_empty")]
    pub presets: Presets,
    /// The first pattern that fits counts; these come before the instance's.
    pub level_mappings: Vec<LevelMapping>,
    /// Negotiated prices. They count for calls on own keys only: nobody sets the price of their own credits.
    pub prices: Vec<PriceOverride>,
    /// Whether the workspace's own keys may be handed out to run programs with, where the instance allows that.
    pub release_keys: bool,
}

/// Five dollars a month: enough to notice, too little to hurt.
const DEFAULT_FALLBACK_CAP: NanoUsd = NanoUsd::from_credits(500);

/// The milliseconds after which a call may be hedged.
pub const HEDGE_AFTER_MS: std::ops::RangeInclusive<u32> = 100..=60_000;

/// How many mappings, and how many prices, one policy may hold.
pub const MAX_RULES: usize = 200;

/// The most bytes that a policy may have as JSON: each API key of the workspace has it in memory.
pub const MAX_POLICY_BYTES: usize = 64 * 1024;

impl Default for WorkspacePolicy {
    fn default() -> Self {
        Self {
            mode: Mode::Byok,
            byok: ByokRule::Optional,
            managed_on_failure: false,
            managed_on_denied: false,
            managed_fallback_cap_nano_usd: Some(DEFAULT_FALLBACK_CAP),
            hedge_after_ms: None,
            provider: None,
            model: None,
            tiers: Tiers::new(),
            model_mappings: Vec::new(),
            presets: Presets::new(),
            level_mappings: Vec::new(),
            prices: Vec::new(),
            release_keys: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_back_and_match_their_serialized_form() {
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(*mode));
            let json = serde_json::to_string(mode).expect("serializes");
            assert_eq!(json, format!("\"{mode}\""));
        }
        assert!("MANAGED".parse::<Mode>().is_err());
        assert_eq!("level_2".parse(), Ok(Tier::Level2));
    }

    #[test]
    fn no_credits_are_spent_unless_somebody_says_so() {
        let policy = WorkspacePolicy::default();
        assert_eq!(policy.mode, Mode::Byok);
        assert!(!policy.managed_on_failure && !policy.managed_on_denied);
        assert_eq!(policy.hedge_after_ms, None);
        assert_eq!(
            policy,
            serde_json::from_str("{}").expect("all have defaults")
        );
    }

    #[test]
    fn a_policy_survives_its_stored_form_and_refuses_what_it_does_not_know() {
        let mut policy = WorkspacePolicy {
            mode: Mode::Auto,
            managed_on_failure: true,
            ..WorkspacePolicy::default()
        };
        policy
            .tiers
            .insert(Tier::Level2, "openai/gpt-4o".parse().expect("a model"));
        policy.model_mappings.push(ModelMapping {
            pattern: Glob::parse("gpt-3.5*").expect("a pattern"),
            model: "gpt-4o-mini".parse().expect("a model"),
        });
        let json = serde_json::to_string(&policy).expect("serializes");
        assert_eq!(policy, serde_json::from_str(&json).expect("reads back"));
        assert!(!json.contains("presets"), "{json}");
        assert!(serde_json::from_str::<WorkspacePolicy>("{\"foo\":1}").is_err());
        assert!("a b".parse::<ModelName>().is_err());
    }
}
