//! What an answer repeats of its request: OpenAI's responses carry all of its settings.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::format::{FormatId, in_namespace};
use crate::neutral::{Fields, Warnings, list, whole};

/// Fields of the client's request, as they stood. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo(Arc<Echoed>);

#[derive(Debug, Default)]
struct Echoed {
    fields: Vec<(&'static str, Box<RawValue>)>,
    /// The tools of namespaces: the name that the provider knows, the namespace, the name in it.
    spaces: Vec<(String, String, String)>,
}

/// The most that is repeated, in bytes: it is held until the answer ends, and stands in it several times.
const MAX_BYTES: usize = 256 * 1024;

/// Every field of a response that the request decides.
pub(crate) const ECHOED: [&str; 17] = [
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
    /// What is too long together is left out, with a warning, the last of the fields first.
    pub(super) fn of(client: FormatId, body: &[u8], warnings: &mut Warnings) -> Self {
        if client != FormatId::OpenaiResponses {
            return Self::default();
        }
        let Ok(mut fields) = whole(body).and_then(|body| Fields::of(body, "")) else {
            return Self::default();
        };
        let given = ECHOED
            .iter()
            .filter_map(|name| Some((*name, fields.take(name)?)));
        let given: Vec<_> = given.collect();
        let tools = given.iter().find(|(name, _)| *name == "tools");
        let spaces = tools.map_or_else(Vec::new, |(_, tools)| spaces(tools));
        let mut left = MAX_BYTES;
        let mut fields = Vec::with_capacity(given.len());
        for (name, value) in given {
            match left.checked_sub(value.get().len()) {
                Some(rest) => {
                    left = rest;
                    fields.push((name, value.to_owned()));
                }
                None => warnings.dropped("echo"),
            }
        }
        Self(Arc::new(Echoed { fields, spaces }))
    }

    /// The namespace and the name in it of a tool that the provider knows by `name`.
    pub(crate) fn in_namespace(&self, name: &str) -> Option<(&str, &str)> {
        let found = self.0.spaces.iter().find(|(it, _, _)| it == name);
        found.map(|(_, namespace, name)| (namespace.as_str(), name.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.fields.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| &**value)
    }
}

/// The tools of the namespaces in `tools`.
fn spaces(tools: &RawValue) -> Vec<(String, String, String)> {
    let read = |raw: &RawValue| {
        let mut fields = Fields::of(raw, "tools").ok()?;
        if fields.kind().ok()? != "namespace" {
            return None;
        }
        let namespace = fields.text("name").ok()??;
        let names = fields.list("tools").ok()??.into_iter().filter_map(|raw| {
            let mut tool = Fields::of(raw, "tools").ok()?;
            let name = tool.text("name").ok()??;
            Some((in_namespace(&namespace, &name), namespace.clone(), name))
        });
        Some(names.collect::<Vec<_>>())
    };
    let tools = list(tools).unwrap_or_default();
    let mut left = MAX_BYTES;
    // Names beyond the bound are the provider's own: no client has so many.
    let fits = |(one, two, three): &(String, String, String)| {
        left = left.saturating_sub(one.len() + two.len() + three.len());
        left > 0
    };
    let named = tools.into_iter().filter_map(read).flatten();
    named.take_while(fits).collect()
}
