//! A request for a chat completion, to and from the form that all formats share.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// Fields that OpenAI's formats share, name and form, and those of chat completions alone. Advisory, all of them.
const EXTRAS: [&str; 13] = [
    "frequency_penalty",
    "logit_bias",
    "metadata",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "service_tier",
    "top_k",
    "min_p",
];
