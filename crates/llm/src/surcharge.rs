//! Fields of a request that could make a call cost more than its model's tokens, or choose another model.
//!
//! Whoever pays the provider's bill may send them. On somebody else's key they would move money that nobody agreed
//! to, past the price that the call is charged by and past the list of models that may be called. So a call on
//! somebody else's key may have only fields that are known to cost nothing of their own.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::head;

mod gemini;

pub(crate) use gemini::camel;
pub use gemini::find_gemini;

/// Fields that cost nothing of their own, whatever they hold: what is said, and how the tokens are chosen.
const FREE: &[&str] = &[
    "chat_template_kwargs",
    "dimensions",
    "enable_thinking",
    "encoding_format",
    "frequency_penalty",
    "function_call",
    "functions",
    "include",
    "include_reasoning",
    "instructions",
    "logit_bias",
    "logprobs",
    "metadata",
    "min_p",
    "model",
    "output_config",
    "output_format",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "random_seed",
    "reasoning",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safe_prompt",
    "safety_identifier",
    "seed",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "thinking",
    "tool_choice",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
];

/// Fields that say how much is made. What is held for a call is counted by them, so what stands there must count.
const COUNTS: [&str; 4] = [
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "n",
];

/// Parts that have prices of their own, or whose length in model tokens nobody can tell; and files that the provider
/// keeps for the key, which perhaps another tenant put there.
const PARTS: [&str; 7] = [
    "audio",
    "audio_url",
    "file_id",
    "input_audio",
    "input_video",
    "video",
    "video_url",
];

/// Tiers of service that cost no more than the list price.
const TIERS: [&str; 4] = ["auto", "default", "flex", "standard_only"];

/// Kinds of tools that run at the client: their calls are model tokens like any other. A name that ends in `_` is
/// followed by a version.
const CLIENT_TOOLS: [&str; 6] = [
    "function",
    "custom",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
];

/// What such a tool is made of.
const TOOL_FIELDS: [&str; 14] = [
    "type",
    "function",
    "custom",
    "name",
    "description",
    "parameters",
    "input_schema",
    "input_examples",
    "strict",
    "cache_control",
    "display_width_px",
    "display_height_px",
    "display_number",
    "max_characters",
];

/// Stands for a field that is not known here; its name is the client's and is not repeated.
pub const UNKNOWN: &str = "unlisted field";

/// The first offending field of a request body; [`UNKNOWN`] for one that is not listed. `None`: the call costs its
/// tokens.
///
/// `body` was read by [`crate::head::read`]. Every field counts, also several of one name. What cannot be read
/// offends.
pub fn find(body: &[u8]) -> Option<&'static str> {
    let Ok(Json::Map(fields)) = serde_json::from_slice(body) else {
        return Some(UNKNOWN);
    };
    fields.iter().find_map(|(name, value)| offence(name, value))
}

fn offence(name: &str, value: &Json) -> Option<&'static str> {
    // What is not there costs nothing, under any name.
    if matches!(value, Json::Null) {
        return None;
    }
    match name {
        "messages" | "system" if cached_long(value) => Some("cache_control"),
        "messages" | "system" => part_of(value),
        // What the provider keeps for the key was perhaps said by another tenant.
        "input" if refers(value) => Some("input"),
        "input" => part_of(value),
        "cache_control" => long(value).then_some("cache_control"),
        "modalities" => match value {
            Json::List(kinds) if kinds.iter().all(|kind| kind.is("text")) => None,
            _ => Some("modalities"),
        },
        "service_tier" => match value {
            Json::Text(tier) if TIERS.contains(&tier.as_str()) => None,
            _ => Some("service_tier"),
        },
        "tools" => match value {
            Json::List(tools) => tools.iter().find_map(tool),
            _ => Some("tools"),
        },
        _ if FREE.contains(&name) => None,
        _ => match COUNTS.into_iter().find(|it| *it == name) {
            Some(count) => (!value.counts()).then_some(count),
            None => named(name),
        },
    }
}

/// Offending fields that people use, so that the refusal can name them.
fn named(name: &str) -> Option<&'static str> {
    const KNOWN: [&str; 20] = [
        "audio",
        "background",
        "container",
        "context_management",
        "conversation",
        "fallbacks",
        "inference_geo",
        "mcp_servers",
        "models",
        "plugins",
        "preset",
        "previous_response_id",
        "prompt",
        "provider",
        "route",
        "search_parameters",
        "speed",
        "transforms",
        "usage",
        "web_search_options",
    ];
    Some(KNOWN.into_iter().find(|it| *it == name).unwrap_or(UNKNOWN))
}

/// Whether a tool of this kind runs at the client.
pub(crate) fn runs_at_client(kind: &str) -> bool {
    let mut kinds = CLIENT_TOOLS.iter();
    kinds.any(|it| kind == *it || (it.ends_with('_') && kind.starts_with(it)))
}

/// A tool that runs at the provider, has parts that are not known, or is cached for long.
fn tool(tool: &Json) -> Option<&'static str> {
    let Json::Map(fields) = tool else {
        return Some("tools");
    };
    for (name, value) in fields {
        let fits = match name.as_str() {
            "type" => match value {
                Json::Text(kind) => runs_at_client(kind),
                other => matches!(other, Json::Null),
            },
            "cache_control" if long(value) => return Some("cache_control"),
            name => TOOL_FIELDS.contains(&name),
        };
        if !fits {
            return Some("tools");
        }
    }
    None
}

/// Whether an item of it is one that the provider keeps. An item without a type is one as well if it has nothing but an
/// id, so every item must say what it holds.
fn refers(input: &Json) -> bool {
    let Json::List(items) = input else {
        return false;
    };
    items.iter().any(|item| match item {
        Json::Map(fields) => {
            let has = |name: &str| fields.iter().any(|(it, _)| it == name);
            let typed = fields.iter().any(|(name, value)| {
                name == "type" && !matches!(value, Json::Null) && !value.is("item_reference")
            });
            let refers = fields
                .iter()
                .any(|(name, value)| name == "type" && value.is("item_reference"));
            refers || !(typed || has("role"))
        }
        // Texts and tokens to embed.
        _ => false,
    })
}

/// A part of it that is sound or a film, which cost more than the price of input says, or a file that the provider keeps.
fn part_of(value: &Json) -> Option<&'static str> {
    match value {
        Json::Map(fields) if is_tool_use(fields) => None,
        Json::Map(fields) => fields.iter().find_map(|(name, value)| {
            let kind = match value {
                Json::Null => return None,
                Json::Text(kind) if name == "type" => kind,
                _ => name,
            };
            let part = PARTS.into_iter().find(|it| it == kind);
            part.or_else(|| part_of(value))
        }),
        Json::List(values) => values.iter().find_map(part_of),
        Json::Null | Json::Text(_) | Json::Number(_) | Json::Other => None,
    }
}

/// Whether it is a model's call of a tool and nothing else: its fields are the tool's.
fn is_tool_use(fields: &[(String, Json)]) -> bool {
    let mut kinds = fields.iter().filter(|(name, _)| name == "type").peekable();
    kinds.peek().is_some() && kinds.all(|(_, kind)| kind.is("tool_use"))
}

/// Whether something in it is to stay in the provider's cache for longer than the price of cached input says.
fn cached_long(value: &Json) -> bool {
    match value {
        Json::Map(fields) => fields.iter().any(|(name, value)| {
            let is_control = name.eq_ignore_ascii_case("cache_control");
            (is_control && long(value)) || cached_long(value)
        }),
        Json::List(values) => values.iter().any(cached_long),
        Json::Null | Json::Text(_) | Json::Number(_) | Json::Other => false,
    }
}

/// Whether this `cache_control` asks for more than five minutes, or for something that is not known.
fn long(control: &Json) -> bool {
    match control {
        Json::Null => false,
        Json::Map(fields) => fields
            .iter()
            .any(|(name, value)| !(name == "type" || (name == "ttl" && value.is("5m")))),
        _ => true,
    }
}

/// JSON as it stands: with every field of a name, and with none that is taken for anything else.
enum Json {
    Null,
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
    Number(f64),
    /// A boolean.
    Other,
}

impl Json {
    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(it) if it == text)
    }

    /// Whether the request's head has it as a count.
    fn counts(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Number(number) => head::count(*number).is_some(),
            Self::Text(text) => head::count_in(text).is_some(),
            Self::List(_) | Self::Map(_) | Self::Other => false,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Map(fields))
    }
}

#[cfg(test)]
mod tests;
