//! What a translation leaves out, and what it cannot do.

use std::collections::BTreeSet;
use std::fmt;

/// What was left out of a request or changed in it, without a change of its meaning: short stable words such as
/// `dropped:logprobs`. Nothing of the client's own text stands in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(BTreeSet<String>);

/// Why a request cannot be translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field `{}` cannot be translated to the provider's format: {why}", self.path())]
pub struct NotTranslatable {
    field: &'static str,
    part: Option<&'static str>,
    why: &'static str,
}

/// Names of fields that a warning may repeat. The rest are the client's own words.
const NAMES: &[&str] = &[
    "access_programs",
    "annotations",
    "anthropic-beta",
    "audio",
    "audioTimestamp",
    "behavior",
    "beta",
    "cache_control",
    "caller",
    "chat_template_kwargs",
    "citations",
    "content",
    "context",
    "context_management",
    "defer_loading",
    "description",
    "detail",
    "diagnostics",
    "display",
    "eager_input_streaming",
    // What an answer would repeat of its request.
    "echo",
    "enableAffectiveDialog",
    "enableEnhancedCivicAnswers",
    "enable_thinking",
    "frequency_penalty",
    "id",
    "image",
    "include",
    "includeServerSideToolInvocations",
    "include_obfuscation",
    "input_examples",
    "is_error",
    "labels",
    "logit_bias",
    "logprobs",
    "max_tool_calls",
    "mediaResolution",
    "metadata",
    "min_p",
    "mode",
    "modelSelectionConfig",
    "name",
    "openai-beta",
    "output_config",
    "output_schema",
    "parallel_tool_calls",
    "partMetadata",
    "phase",
    "prediction",
    "presence_penalty",
    "prompt_cache_breakpoint",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_effort",
    "repetition_penalty",
    "response",
    "responseJsonSchema",
    "retrievalConfig",
    "routingConfig",
    "safetySettings",
    "safety_identifier",
    "scheduling",
    "seed",
    "serviceTier",
    "service_tier",
    "speed",
    "status",
    "store",
    "streamFunctionCallArguments",
    "stream_options",
    "strict",
    "summary",
    "thinking",
    "title",
    "top_k",
    "top_logprobs",
    "transformations",
    "truncation",
    "user",
    "user_profile_id",
    "verbosity",
    "videoMetadata",
    "workspace_id",
];

impl Warnings {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field of this name, or the header, is left out. A name that is not known to any format is called `unlisted`.
    pub fn dropped(&mut self, name: &str) {
        let known = NAMES.iter().find(|it| **it == name);
        self.0
            .insert(format!("dropped:{}", known.unwrap_or(&"unlisted")));
    }

    /// What the field says is said in another way: `clamped:temperature`.
    pub(crate) fn changed(&mut self, how: &str, name: &'static str) {
        self.0.insert(format!("{how}:{name}"));
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{word}")?;
        }
        Ok(())
    }
}

impl NotTranslatable {
    pub(crate) fn new(field: &'static str, why: &'static str) -> Self {
        Self {
            field,
            part: None,
            why,
        }
    }

    pub(crate) fn within(field: &'static str, part: &'static str, why: &'static str) -> Self {
        Self {
            field,
            part: Some(part),
            why,
        }
    }

    /// The field at fault: `n`, or `messages.tool_call_id`.
    pub fn path(&self) -> String {
        match self.part {
            Some(part) if part != self.field => format!("{}.{part}", self.field),
            _ => self.field.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_once_and_in_order_and_say_nothing_of_the_client() {
        let mut warnings = Warnings::default();
        assert!(warnings.is_empty());
        warnings.dropped("sk-0123456789abcdef");
        warnings.dropped("logprobs");
        warnings.dropped("logprobs");
        warnings.changed("clamped", "temperature");
        assert_eq!(
            warnings.to_string(),
            "clamped:temperature,dropped:logprobs,dropped:unlisted"
        );
    }

    #[test]
    fn the_names_are_sorted() {
        assert!(NAMES.is_sorted());
    }
}
