//! What a preset says in the place of a request that leaves it unsaid, in the words of the client's format.
//!
//! What the request says stands, `null` included: a field is added, never changed, and every other byte stays as it was. A
//! place that cannot be added to, since it is not what the format has there, is left to the provider to judge.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use domain::preset::{Effort, Parameters};
use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::format::{FormatId, TokenLimit};
use crate::provider::Thinking;

/// What decides how something is said where a format has several words for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target {
    /// Which field limits the answer's length.
    pub token_limit: TokenLimit,
    /// How the model is asked to think.
    pub thinking: Thinking,
}

/// The body of a request in this format with what it leaves unsaid. The body itself if that is nothing, or the format is
/// none of text.
///
/// `body` is JSON with an object at its top, as [`crate::head::read`] and [`crate::head::read_beside`] make sure.
pub fn with_defaults(
    format: FormatId,
    body: &Bytes,
    parameters: &Parameters,
    target: Target,
) -> Bytes {
    let added = match Object::of(body) {
        Some(top) => match format {
            FormatId::OpenaiChat => chat(&top, parameters, target),
            FormatId::OpenaiResponses => responses(&top, parameters, target),
            FormatId::AnthropicMessages => messages(&top, parameters, target),
            FormatId::GeminiGenerateContent => generate_content(&top, parameters, target),
            _ => Additions::default(),
        },
        None => Additions::default(),
    };
    added.to(body)
}

fn chat(top: &Object<'_>, parameters: &Parameters, target: Target) -> Additions {
    let mut added = Additions::default();
    let limits = TokenLimit::ALL.map(TokenLimit::as_str);
    added.length(top, parameters, &limits, target.token_limit.as_str());
    added.sampling(top, parameters, "top_p");
    let effort = effort(parameters, target.thinking != Thinking::Never);
    // Providers have other words for it, too.
    let said = [
        "reasoning_effort",
        "reasoning",
        "thinking",
        "enable_thinking",
    ];
    added.add(top, &said, said[0], effort);
    if let Some(prompt) = &parameters.system_prompt
        && let Some(turns) = top.field("messages")
        && let Some(inside) = turns.get().strip_prefix('[')
        && !has_instructions(turns)
    {
        let turn = json!({ "role": "system", "content": prompt });
        let comma = if is_empty(inside, "]") { "" } else { "," };
        added.insert(top.offset_of(inside), format!("{turn}{comma}"));
    }
    added
}

fn responses(top: &Object<'_>, parameters: &Parameters, target: Target) -> Additions {
    let mut added = Additions::default();
    added.length(top, parameters, &["max_output_tokens"], "max_output_tokens");
    added.sampling(top, parameters, "top_p");
    let effort = effort(parameters, target.thinking != Thinking::Never);
    added.within(top, &["reasoning"], &["effort"], effort);
    let prompt = parameters.system_prompt.as_ref();
    // A stored prompt has instructions of its own.
    let said = ["instructions", "prompt"];
    let prompt = prompt.filter(|_| !top.field("input").is_some_and(is_instructed));
    added.add(top, &said, said[0], prompt.map(|it| json!(it)));
    added
}

fn messages(top: &Object<'_>, parameters: &Parameters, target: Target) -> Additions {
    let mut added = Additions::default();
    added.length(top, parameters, &["max_tokens"], "max_tokens");
    added.sampling(top, parameters, "top_p");
    // A model that knows only a budget takes one together with a limit and a temperature that fit it.
    let knows = matches!(target.thinking, Thinking::Adaptive | Thinking::Always);
    let effort = effort(parameters, knows && top.field("thinking").is_none());
    added.within(top, &["output_config"], &["effort"], effort);
    let prompt = parameters.system_prompt.as_ref();
    added.add(top, &["system"], "system", prompt.map(|it| json!(it)));
    added
}

fn generate_content(top: &Object<'_>, parameters: &Parameters, target: Target) -> Additions {
    let mut added = Additions::default();
    let thinking = match (parameters.reasoning_effort, target.thinking) {
        (None, _) | (_, Thinking::Never) => None,
        (Some(effort), Thinking::Budget | Thinking::BudgetAlways) => {
            let tokens = match effort {
                Effort::Low => 1_024,
                Effort::Medium => 8_192,
                Effort::High => 24_576,
            };
            Some(json!({ "thinkingBudget": tokens }))
        }
        (Some(effort), _) => Some(json!({ "thinkingLevel": effort.as_str() })),
    };
    let wanted = [
        (
            &["temperature"][..],
            number(parameters.temperature.as_ref()),
        ),
        (&["topP", "top_p"], number(parameters.top_p.as_ref())),
        (
            &["maxOutputTokens", "max_output_tokens"],
            parameters.max_tokens.map(Value::from),
        ),
        (&["thinkingConfig", "thinking_config"], thinking),
    ];
    let names = ["generationConfig", "generation_config"];
    for (fields, value) in wanted {
        added.within(top, &names, fields, value);
    }
    // What is cached has its instructions in it, and takes no others.
    let names = [
        "systemInstruction",
        "system_instruction",
        "cachedContent",
        "cached_content",
    ];
    let prompt = parameters.system_prompt.as_ref();
    let prompt = prompt.map(|it| json!({ "parts": [{ "text": it }] }));
    added.add(top, &names, names[0], prompt);
    added
}

/// Whether an input is a list of items with the client's own instructions; a text has none.
fn is_instructed(input: &RawValue) -> bool {
    input.get().starts_with('[') && has_instructions(input)
}

/// Whether one of the turns is the client's own instructions.
fn has_instructions(turns: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Turn<'a> {
        #[serde(borrow, default)]
        role: Option<Cow<'a, str>>,
    }
    // What is no list of turns is not added to.
    let Ok(turns) = serde_json::from_str::<Vec<Turn<'_>>>(turns.get()) else {
        return true;
    };
    let mut roles = turns.iter().filter_map(|turn| turn.role.as_deref());
    roles.any(|role| role == "system" || role == "developer")
}

/// How much the model is to think, where it can be told.
fn effort(parameters: &Parameters, can_be_told: bool) -> Option<Value> {
    let effort = parameters.reasoning_effort.filter(|_| can_be_told);
    effort.map(|it| json!(it.as_str()))
}

/// A decimal as a JSON number with the digits that it was given with.
fn number(decimal: Option<&domain::Decimal>) -> Option<Value> {
    serde_json::from_str(&decimal?.to_string()).ok()
}

/// An object as it stands in the body.
struct Object<'a> {
    /// All of the body.
    body: &'a [u8],
    /// Behind its last byte but the brace.
    end: usize,
    fields: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    fn of(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        Self::within(body, text)
    }

    /// The object that `text`, a part of the body, is.
    fn within(body: &'a [u8], text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let mut parser = serde_json::Deserializer::from_str(text);
        let fields = parser.deserialize_map(Fields).ok()?;
        let start = text.as_ptr().addr() - body.as_ptr().addr();
        Some(Self {
            body,
            end: start + text.len() - 1,
            fields,
        })
    }

    fn field(&self, name: &str) -> Option<&'a RawValue> {
        let mut fields = self.fields.iter();
        fields.find(|(it, _)| it == name).map(|(_, value)| *value)
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.field(name).is_some())
    }

    /// Where a part of the body stands in it.
    fn offset_of(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.body.as_ptr().addr()
    }
}

/// Whether nothing stands in front of the closing bracket.
fn is_empty(inside: &str, closing: &str) -> bool {
    inside.trim_ascii_start().starts_with(closing)
}

/// Texts and where they are to stand.
#[derive(Default)]
struct Additions(Vec<Addition>);

struct Addition {
    at: usize,
    text: String,
    /// Whether it is the first field of its object.
    is_first: bool,
    is_field: bool,
}

impl Additions {
    /// Adds a field `name` to the object, unless one of `names` is there.
    fn add(&mut self, object: &Object<'_>, names: &[&str], name: &str, value: Option<Value>) {
        let Some(value) = value.filter(|_| !object.has(names)) else {
            return;
        };
        let at = object.end;
        let is_first =
            object.fields.is_empty() && !self.0.iter().any(|it| it.is_field && it.at == at);
        self.0.push(Addition {
            at,
            text: format!("{}:{value}", json!(name)),
            is_first,
            is_field: true,
        });
    }

    fn length(&mut self, top: &Object<'_>, parameters: &Parameters, names: &[&str], name: &str) {
        self.add(top, names, name, parameters.max_tokens.map(Value::from));
    }

    fn sampling(&mut self, top: &Object<'_>, parameters: &Parameters, top_p: &str) {
        let temperature = number(parameters.temperature.as_ref());
        self.add(top, &["temperature"], "temperature", temperature);
        self.add(top, &[top_p], top_p, number(parameters.top_p.as_ref()));
    }

    /// Adds the first of `names` to the object that stands in one of the fields `places`, which comes to be if none does.
    fn within(&mut self, top: &Object<'_>, places: &[&str], names: &[&str], value: Option<Value>) {
        let Some(value) = value else {
            return;
        };
        let there = || places.iter().filter_map(|place| top.field(place));
        let Some(first) = there().next() else {
            // Several fields of one object come to be together.
            let name = json!(places[0]).to_string();
            let beginning = format!("{name}:{{");
            let field = format!("{}:{value}", json!(names[0]));
            let mut made = self.0.iter_mut();
            match made.find(|it| it.at == top.end && it.text.starts_with(&beginning)) {
                Some(made) => {
                    made.text.pop();
                    made.text.push_str(&format!(",{field}}}"));
                }
                None => {
                    let object: Value = json!({ names[0]: value });
                    self.add(top, places, places[0], Some(object));
                }
            }
            return;
        };
        let object = |raw: &'_ RawValue| -> bool {
            Object::within(top.body, raw.get()).is_some_and(|it| it.has(names))
        };
        if there().any(object) {
            return;
        }
        if let Some(object) = Object::within(top.body, first.get()) {
            self.add(&object, names, names[0], Some(value));
        }
    }

    /// The body with all of them; what came first stands first where they meet.
    fn to(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        self.0.sort_by_key(|it| it.at);
        let more: usize = self.0.iter().map(|it| it.text.len() + 1).sum();
        let mut changed = BytesMut::with_capacity(body.len() + more);
        let mut done = 0;
        for Addition {
            at,
            text,
            is_first,
            is_field,
        } in &self.0
        {
            changed.put_slice(&body[done..*at]);
            if *is_field && !is_first {
                changed.put_u8(b',');
            }
            changed.put_slice(text.as_bytes());
            done = *at;
        }
        changed.put_slice(&body[done..]);
        changed.freeze()
    }

    fn insert(&mut self, at: usize, text: String) {
        self.0.push(Addition {
            at,
            text,
            is_first: false,
            is_field: false,
        });
    }
}

/// Reads the fields of an object, their values as they are written.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
