//! What an answer repeats of its request: OpenAI's responses carry all of its settings.

use serde_json::value::RawValue;

use crate::format::{FormatId, in_namespace};
use crate::neutral::{Fields, list, whole};

/// Fields of the client's request, as they stood.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    fields: Vec<(&'static str, Box<RawValue>)>,
    /// The tools of namespaces: the name that the provider knows, the namespace, the name in it.
    spaces: Vec<(String, String, String)>,
}

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
        let fields: Vec<_> = given.collect();
        let tools = fields.iter().find(|(name, _)| *name == "tools");
        let spaces = tools.map_or_else(Vec::new, |(_, tools)| spaces(tools));
        Self { fields, spaces }
    }

    /// The namespace and the name in it of a tool that the provider knows by `name`.
    pub(crate) fn in_namespace(&self, name: &str) -> Option<(&str, &str)> {
        let found = self.spaces.iter().find(|(it, _, _)| it == name);
        found.map(|(_, namespace, name)| (namespace.as_str(), name.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.fields.iter().find(|(it, _)| *it == name);
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
    tools.into_iter().filter_map(read).flatten().collect()
}
