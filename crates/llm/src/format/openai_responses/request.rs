//! A request for a response, to and from the form that all formats share.

mod items;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// What asks for reasoning that can be sent back.
const REASONING: &str = "reasoning.encrypted_content";
/// What asks for log-probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Fields that OpenAI's formats share, name and form, and those of responses alone. Advisory, all of them.
const EXTRAS: [&str; 7] = [
    "max_tool_calls",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
];
