//! Presets: names of a workspace that stand for models and for what a request leaves unsaid.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::Decimal;
use crate::naming;
use crate::policy::{ModelName, words};

/// What stands before the name of a preset where a model is named.
pub const MARK: char = '@';

/// How many presets a workspace may have.
pub const MAX_PRESETS: usize = 50;

/// How many models a preset may have: as many as a request may list.
pub const MAX_MODELS: usize = 8;

/// Longest name of a preset, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Longest system prompt, in bytes.
pub const MAX_SYSTEM_BYTES: usize = 4096;

/// The limits of an answer that a preset may set, in tokens.
pub const MAX_TOKENS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// The name of a preset: 1 to [`MAX_NAME_BYTES`] of `a` to `z`, `0` to `9`, `-`, `_` and `.`, and the first is a letter or
/// a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PresetName(Box<str>);

/// A text that cannot be the name of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a preset's name has 1 to {MAX_NAME_BYTES} of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or a digit"
)]
pub struct InvalidPresetName;

impl PresetName {
    /// The text, without the mark.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for PresetName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PresetName {
    type Err = InvalidPresetName;

    fn from_str(text: &str) -> Result<Self, InvalidPresetName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len())
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|it| plain(it) || b"-_.".contains(&it));
        match fits {
            true => Ok(Self(text.into())),
            false => Err(InvalidPresetName),
        }
    }
}

impl<'de> Deserialize<'de> for PresetName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

words! {
    /// How much a model thinks before it answers. Every wire format has these words.
    Effort("effort") {
        /// A little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// A lot.
        High = "high",
    }
}

/// The presets of a workspace, by their names without the mark.
pub type Presets = BTreeMap<PresetName, Preset>;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The models, the first one first and the others to turn to when those before fail; each as a request names one, a
    /// ranking at its end included. None is refused by [`Preset::check`], which can say whose they are.
    #[serde(default)]
    pub models: Vec<ModelName>,
    /// What a request has that does not say so itself.
    #[serde(default)]
    pub parameters: Parameters,
}

/// What a request has that does not say so itself. Each field can be said in every wire format of text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The temperature, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// The probability mass that tokens are drawn from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Decimal>,
    /// The most output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How much the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<Effort>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
}

impl Parameters {
    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rule that a preset breaks: the field within it, and what it must be.
pub type Broken = (&'static str, String);

impl Preset {
    /// The rule that it breaks among `all` of its workspace, if any.
    ///
    /// # Errors
    /// [`Broken`] for the first one.
    pub fn check(&self, all: &Presets) -> Result<(), Broken> {
        let twice = |(at, name): (usize, &ModelName)| self.models[..at].contains(name);
        if !(1..=MAX_MODELS).contains(&self.models.len())
            || self.models.iter().enumerate().any(twice)
        {
            let rule = format!("must have 1 to {MAX_MODELS} names of models, each once");
            return Err(("models", rule));
        }
        // A preset behind a preset would be a chain that nobody sees.
        let is_preset = |it: &ModelName| {
            let (name, _) = naming::split(it.as_str(), |_| false);
            let marked = name.strip_prefix(MARK);
            // Some makers begin the names of their models with the same mark.
            let is_preset = |marked: &str| match marked.split_once('/') {
                Some((name, _)) => all.contains_key(name),
                None => true,
            };
            marked.is_some_and(is_preset) || name == naming::UNCHOSEN
        };
        if self.models.iter().any(is_preset) {
            let rule = "must name models, neither presets nor `default`".to_owned();
            return Err(("models", rule));
        }
        let Parameters {
            temperature,
            top_p,
            max_tokens,
            reasoning_effort: _,
            system_prompt,
        } = &self.parameters;
        let within = |it: &Option<Decimal>, most: i64| {
            it.is_none_or(|it| it.billionths() <= most * Decimal::ONE.billionths())
        };
        if !within(temperature, 2) {
            return Err(("parameters.temperature", "must be from 0 to 2".to_owned()));
        }
        if !within(top_p, 1) {
            return Err(("parameters.top_p", "must be from 0 to 1".to_owned()));
        }
        if max_tokens.is_some_and(|it| !MAX_TOKENS.contains(&it)) {
            let rule = "must be from 1 to 1000000".to_owned();
            return Err(("parameters.max_tokens", rule));
        }
        let fits = |it: &String| (1..=MAX_SYSTEM_BYTES).contains(&it.len());
        if !system_prompt.as_ref().is_none_or(fits) {
            let rule = format!("must have 1 to {MAX_SYSTEM_BYTES} bytes");
            return Err(("parameters.system_prompt", rule));
        }
        Ok(())
    }

    /// Roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let models = self.models.iter();
        let models = models.map(|it| size_of::<ModelName>() + it.as_str().len());
        let prompt = self.parameters.system_prompt.as_ref();
        size_of::<Self>() + models.sum::<usize>() + prompt.map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(json: &str) -> Result<Preset, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn names_have_a_grammar_of_their_own() {
        for good in ["fast", "0", "a.b-c_d", &"a".repeat(64)] {
            assert_eq!(
                good.parse::<PresetName>().map(|it| it.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "Fast",
            "@fast",
            "a:b",
            "a/b",
            "-a",
            ".a",
            "a b",
            "ä",
            &"a".repeat(65),
        ] {
            assert_eq!(bad.parse::<PresetName>(), Err(InvalidPresetName), "{bad}");
        }
    }

    #[test]
    fn what_a_preset_may_hold_is_bounded() {
        let good = preset(
            r#"{"models":["gpt-4o:cost","level_2"],"parameters":{"temperature":0.2,"top_p":"1",
                "max_tokens":100,"reasoning_effort":"low","system_prompt":"Be brief."}}"#,
        )
        .expect("a preset");
        let all: Presets = [("other".parse().expect("a name"), good.clone())].into();
        assert_eq!(good.check(&all), Ok(()));
        let maker = preset(r#"{"models":["@cf/meta/x:cost"]}"#).expect("a preset");
        assert_eq!(maker.check(&all), Ok(()));
        for (json, field) in [
            ("{}", "models"),
            (r#"{"models":[]}"#, "models"),
            (r#"{"models":["a","a"]}"#, "models"),
            (r#"{"models":["@other"]}"#, "models"),
            (r#"{"models":["default"]}"#, "models"),
            (r#"{"models":["default:cost"]}"#, "models"),
            (r#"{"models":["@none:cost"]}"#, "models"),
            (r#"{"models":["@other/x"]}"#, "models"),
            (r#"{"models":["@other/x:cost"]}"#, "models"),
            (
                r#"{"models":["1","2","3","4","5","6","7","8","9"]}"#,
                "models",
            ),
            (
                r#"{"models":["a"],"parameters":{"temperature":2.1}}"#,
                "parameters.temperature",
            ),
            (
                r#"{"models":["a"],"parameters":{"top_p":1.5}}"#,
                "parameters.top_p",
            ),
            (
                r#"{"models":["a"],"parameters":{"max_tokens":0}}"#,
                "parameters.max_tokens",
            ),
            (
                r#"{"models":["a"],"parameters":{"system_prompt":""}}"#,
                "parameters.system_prompt",
            ),
        ] {
            let broken = preset(json).expect(json).check(&all);
            assert_eq!(broken.map_err(|(field, _)| field), Err(field), "{json}");
        }
        for json in [
            r#"{"models":["a"],"parameters":{"seed":1}}"#,
            r#"{"models":["a"],"parameters":{"reasoning_effort":"max"}}"#,
            r#"{"models":["a"],"other":1}"#,
        ] {
            assert!(preset(json).is_err(), "{json}");
        }
    }
}
