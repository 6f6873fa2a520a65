//! What an answer repeats of its request: OpenAI's responses carry all of its settings.

use serde_json::value::RawValue;

use crate::format::FormatId;
use crate::neutral::{Fields, whole};

/// Fields of the client's request, as they stood.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo(Vec<(&'static str, Box<RawValue>)>);

/// Every field of a response that the request decides.
const FIELDS: [&str; 17] = [
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

impl Echo {
    pub(super) fn of(client: FormatId, body: &[u8]) -> Self {
        if client != FormatId::OpenaiResponses {
            return Self::default();
        }
        let Ok(mut fields) = whole(body).and_then(|body| Fields::of(body, "")) else {
            return Self::default();
        };
        let given = FIELDS
            .iter()
            .filter_map(|name| Some((*name, fields.take(name)?.to_owned())));
        Self(given.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| &**value)
    }
}
