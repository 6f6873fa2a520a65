//! What a translation leaves out, and what it cannot do.

use std::collections::BTreeSet;
use std::fmt;

/// What was left out of a request or of an answer, or changed in it, without a change of its meaning: short stable words such
/// as `dropped:logprobs`. Nothing of anybody's own text stands in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings(BTreeSet<(&'static str, &'static str)>);

/// Why a request cannot be translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field `{}` cannot be translated to the provider's format: {why}", self.path())]
pub struct NotTranslatable {
    field: &'static str,
    part: Option<&'static str>,
    why: &'static str,
}

/// Names of fields that a warning may repeat, sorted. The rest are somebody's own words.
const NAMES: &[&str] = &[
    "access_programs",
    "annotations",
    "anthropic-beta",
    "apply_patch_call",
    "audio",
    "audioTimestamp",
    "bash_code_execution_tool_result",
    "behavior",
    "beta",
    "blockReasonMessage",
    "cache_control",
    "caller",
    "chat_template_kwargs",
    "choices",
    "citationMetadata",
    "citations",
    "codeExecutionResult",
    "code_execution_tool_result",
    "code_interpreter_call",
    "compaction",
    "computer_call",
    "container",
    "container_upload",
    "content",
    "content_filter_results",
    "context",
    "context_management",
    "continuationToken",
    "custom_tool_call",
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
    "executableCode",
    "extra_content",
    "fileData",
    "file_search_call",
    "finishMessage",
    "frequency_penalty",
    "function_call",
    "groundingAttributions",
    "groundingMetadata",
    "id",
    "image",
    "image_generation_call",
    "images",
    "include",
    "includeServerSideToolInvocations",
    "include_obfuscation",
    "inlineData",
    "input_examples",
    "is_error",
    "labels",
    "local_shell_call",
    "logit_bias",
    "logprobs",
    "max_tool_calls",
    "mcp_approval_request",
    "mcp_call",
    "mcp_list_tools",
    "mcp_tool_result",
    "mcp_tool_use",
    "mediaResolution",
    "metadata",
    "min_p",
    "mode",
    "modelSelectionConfig",
    "modelStatus",
    "moderation",
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
    "prompt_filter_results",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_effort",
    "related_questions",
    "repetition_penalty",
    "response",
    "responseJsonSchema",
    "retrievalConfig",
    "routingConfig",
    "safetyRatings",
    "safetySettings",
    "safety_identifier",
    "scheduling",
    "search_results",
    "seed",
    "server_tool_use",
    "serviceTier",
    "service_tier",
    "shell_call",
    "shell_call_output",
    "speed",
    "status",
    "stop_details",
    "store",
    "streamFunctionCallArguments",
    "stream_options",
    "strict",
    "summary",
    "text_editor_code_execution_tool_result",
    "thinking",
    "title",
    "toolCall",
    "toolResponse",
    "tool_calls",
    "tool_search_call",
    "tool_search_output",
    "tool_search_tool_result",
    "top_k",
    "top_logprobs",
    "transformations",
    "truncation",
    "urlContextMetadata",
    "urlRetrievalMetadata",
    "user",
    "user_profile_id",
    "verbosity",
    "videoMetadata",
    "web_fetch_tool_result",
    "web_search_call",
    "web_search_tool_result",
    "workspace_id",
];

impl Warnings {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field of this name, or the header, is left out. A name that is not known to any format is called `unlisted`.
    pub fn dropped(&mut self, name: &str) {
        let known = NAMES.binary_search(&name).map(|at| NAMES[at]);
        self.0.insert(("dropped", known.unwrap_or("unlisted")));
    }

    /// What the field says is said in another way: `clamped:temperature`.
    pub(crate) fn changed(&mut self, how: &'static str, name: &'static str) {
        self.0.insert((how, name));
    }

    /// Adds those, too.
    pub(crate) fn extend(&mut self, more: &Self) {
        self.0.extend(&more.0);
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (how, name)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{how}:{name}")?;
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
