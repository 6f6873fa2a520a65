//! Fields of a request that make a call cost more than its model's tokens, or that choose another model.
//!
//! Whoever pays the provider's bill may send them. On somebody else's key they would move money that nobody agreed
//! to, past the price that the call is charged by and past the list of models that may be called.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Fields whose very presence counts, unless they are `null`.
const FIELDS: [&str; 11] = [
    // Other models, other providers, and paid additions at gateways.
    "models",
    "route",
    "provider",
    "plugins",
    "transforms",
    "fallbacks",
    // Searches, sound, faster service, and servers that the provider calls.
    "web_search_options",
    "audio",
    "speed",
    "mcp_servers",
    "container",
];

/// Tiers of service that cost no more than the list price.
const TIERS: [&str; 4] = ["auto", "default", "flex", "standard_only"];

/// Kinds of tools that run at the client: their calls are model tokens like any other.
const CLIENT_TOOLS: [&str; 6] = [
    "function",
    "custom",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
];

/// The first such field of a request body, by its name; `None`: the call costs its tokens.
///
/// `body` was read by [`crate::head::read`]. A name that differs only in case counts, because some parsers take it,
/// and so does each of several fields of one name.
pub fn find(body: &[u8]) -> Option<&'static str> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    // What is no object costs nothing: the provider will refuse it.
    parser.deserialize_map(TopLevel).unwrap_or_default()
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            let name = name.to_lowercase();
            let field = FIELDS.into_iter().find(|field| *field == name);
            let offence = if let Some(field) = field {
                (!map.next_value::<Value>()?.is_null()).then_some(field)
            } else if name == "service_tier" {
                dear_tier(&map.next_value()?).then_some("service_tier")
            } else if name == "modalities" {
                more_than_text(&map.next_value()?).then_some("modalities")
            } else if name == "tools" {
                server_tool(&map.next_value()?)
            } else if matches!(&*name, "messages" | "system" | "cache_control") {
                long_cache(&map.next_value::<Value>()?).then_some("cache_control")
            } else {
                map.next_value::<IgnoredAny>()?;
                None
            };
            found = found.or(offence);
        }
        Ok(found)
    }
}

fn dear_tier(value: &Value) -> bool {
    !value.is_null() && !value.as_str().is_some_and(|tier| TIERS.contains(&tier))
}

fn more_than_text(value: &Value) -> bool {
    let texts = |kinds: &Vec<Value>| kinds.iter().all(|kind| kind == "text");
    !value.is_null() && !value.as_array().is_some_and(texts)
}

/// A tool that runs at the provider, or is cached for long.
fn server_tool(value: &Value) -> Option<&'static str> {
    let runs_there = |tool: &Value| {
        #[derive(Deserialize)]
        struct Tool {
            #[serde(rename = "type")]
            kind: Option<String>,
        }
        match Tool::deserialize(tool) {
            Ok(Tool { kind: Some(kind) }) => !CLIENT_TOOLS
                .iter()
                .any(|it| kind == *it || (it.ends_with('_') && kind.starts_with(it))),
            Ok(Tool { kind: None }) => false,
            Err(_) => true,
        }
    };
    if value
        .as_array()
        .is_some_and(|tools| tools.iter().any(runs_there))
    {
        return Some("tools");
    }
    long_cache(value).then_some("cache_control")
}

/// Whether something in it is to stay in the provider's cache for an hour: writing it costs more than the price
/// of cached input says.
fn long_cache(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (name == "ttl" && value.as_str().is_some_and(|ttl| ttl != "5m")) || long_cache(value)
        }),
        Value::Array(values) => values.iter().any(long_cache),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_model_or_price_is_found() {
        for (rest, field) in [
            (r#""models":["a"]"#, "models"),
            (r#""MODELS":["a"]"#, "models"),
            (r#""models":null,"models":["a"]"#, "models"),
            (r#""plugins":[{"id":"web"}]"#, "plugins"),
            (r#""provider":{}"#, "provider"),
            (r#""service_tier":"priority""#, "service_tier"),
            (
                r#""service_tier":"auto","service_tier":"priority""#,
                "service_tier",
            ),
            (r#""service_tier":7"#, "service_tier"),
            (r#""speed":"fast""#, "speed"),
            (r#""modalities":["text","audio"]"#, "modalities"),
            (r#""web_search_options":{}"#, "web_search_options"),
            (r#""tools":[{"type":"web_search_20250305"}]"#, "tools"),
            (
                r#""tools":[{"type":"function"},{"type":"code_interpreter"}]"#,
                "tools",
            ),
            (r#""tools":[{"type":7}]"#, "tools"),
            (
                r#""tools":[{"name":"f","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
                "cache_control",
            ),
            (
                r#""messages":[{"content":[{"text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]"#,
                "cache_control",
            ),
        ] {
            let body = format!(r#"{{"model":"m",{rest},"last":1}}"#);
            assert_eq!(find(body.as_bytes()), Some(field), "{body}");
        }
    }

    #[test]
    fn an_ordinary_call_costs_its_tokens() {
        for rest in [
            r#""stream":true"#,
            r#""models":null,"service_tier":null,"tools":[]"#,
            r#""service_tier":"default","modalities":["text"]"#,
            r#""tools":[{"type":"function","function":{"name":"web_search"}},{"name":"f"},{"type":"bash_20250124"}]"#,
            r#""messages":[{"content":"\"models\" and a ttl of 1h"},{"content":[{"cache_control":{"type":"ephemeral"}}]}]"#,
            r#""system":[{"cache_control":{"type":"ephemeral","ttl":"5m"}}]"#,
            r#""metadata":{"provider":"x"}"#,
        ] {
            let body = format!(r#"{{"model":"m",{rest}}}"#);
            assert_eq!(find(body.as_bytes()), None, "{body}");
        }
    }
}
