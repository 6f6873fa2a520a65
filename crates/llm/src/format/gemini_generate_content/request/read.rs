//! The client speaks Gemini's content.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::config;
use super::schema::to_json_schema;
use super::turns::{Calls, join, system, turn};
use crate::neutral::{
    Fields, NotTranslatable, Part, Request, Tool, ToolChoice, Warnings, list, text, whole,
};

pub(super) type Read<T> = Result<T, NotTranslatable>;

/// Tools that run at the provider, or that only its models know.
const OWN_TOOL: &str = "it is this provider's own tool";

/// Fields that only this provider can obey.
const REFUSED: [(&str, &str); 3] = [
    ("cachedContent", "it names something at this provider"),
    ("continuationToken", "it names something at this provider"),
    ("modelArmorConfig", "nobody else screens what is said"),
];

pub(in super::super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Request> {
    let mut fields = Fields::of(whole(body)?, "")?.in_camel_case();
    for (name, why) in REFUSED {
        if fields.take(name).is_some() {
            return Err(NotTranslatable::new(name, why));
        }
    }
    // The path names the model and says whether a stream is wanted.
    let model = fields.text("model")?.unwrap_or_default();
    let mut request = Request::new(model.trim_start_matches("models/").to_owned());
    if let Some(instruction) = fields.take("systemInstruction") {
        request.turns.push(system(instruction, warnings)?);
    }
    let mut calls = Calls::default();
    for content in fields.list("contents")?.unwrap_or_default() {
        let next = turn(content, &mut calls, warnings)?;
        join(&mut request.turns, next);
    }
    for raw in fields.list("tools")?.unwrap_or_default() {
        tools(raw, &mut request.tools, warnings)?;
    }
    if let Some(wish) = fields.object("toolConfig")? {
        tool_config(wish.in_camel_case(), &mut request, warnings)?;
    }
    if let Some(wish) = fields.object("generationConfig")? {
        config::read(wish.in_camel_case(), &mut request, warnings)?;
    }
    if fields.flag("store")? == Some(true) {
        warnings.dropped("store");
    }
    fields.leave(warnings);
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    if parts.any(|part| matches!(part, Part::Thinking(_))) {
        request.reasoning.proofs = true;
    }
    Ok(request)
}

/// One entry of `tools` may declare several functions.
fn tools(raw: &RawValue, tools: &mut Vec<Tool>, warnings: &mut Warnings) -> Read<()> {
    let mut fields = Fields::of(raw, "tools")?.in_camel_case();
    for raw in fields.list("functionDeclarations")?.unwrap_or_default() {
        let mut fields = Fields::of(raw, "tools")?.in_camel_case();
        let schema = fields.take("parametersJsonSchema").map(ToOwned::to_owned);
        let own = fields.take("parameters").map(to_json_schema).transpose()?;
        if schema.is_some() && own.is_some() {
            let why = "it stands beside `parametersJsonSchema`";
            return Err(fields.wrong("parameters", why));
        }
        tools.push(Tool {
            name: fields.needed_text("name")?,
            description: fields.text("description")?,
            schema: schema.or(own),
            strict: None,
        });
        fields.leave(warnings);
    }
    let others = fields.rest();
    if others.iter().any(|(_, value)| value.get() != "null") {
        return Err(NotTranslatable::new("tools", OWN_TOOL));
    }
    Ok(())
}

fn tool_config(mut wish: Fields<'_>, request: &mut Request, warnings: &mut Warnings) -> Read<()> {
    if let Some(calling) = wish.object("functionCallingConfig")? {
        let mut calling = calling.in_camel_case();
        let allowed = calling.list("allowedFunctionNames")?.unwrap_or_default();
        let wrong = calling.wrong("allowedFunctionNames", "it must be a list of texts");
        let allowed: Option<Vec<String>> = allowed.into_iter().map(text).collect();
        let allowed = allowed.ok_or(wrong)?;
        let names: HashSet<&str> = allowed.iter().map(String::as_str).collect();
        let all = request
            .tools
            .iter()
            .all(|it| names.contains(it.name.as_str()));
        let mode = calling.text("mode")?.unwrap_or_default();
        let choice = match (mode.to_ascii_uppercase().as_str(), allowed.as_slice()) {
            ("" | "MODE_UNSPECIFIED", []) => None,
            ("AUTO", []) => Some(ToolChoice::Auto),
            ("NONE", _) => Some(ToolChoice::None),
            ("ANY", []) => Some(ToolChoice::Any),
            ("ANY", [one]) => Some(ToolChoice::Named(one.clone())),
            ("ANY", _) if all => Some(ToolChoice::Any),
            // The model chooses, and its arguments fit: other formats have no such promise for all schemas.
            ("VALIDATED", []) => {
                warnings.changed("approximated", "toolConfig");
                Some(ToolChoice::Auto)
            }
            (_, [_, ..]) => {
                let why = "several functions of many cannot be demanded";
                return Err(NotTranslatable::within(
                    "toolConfig",
                    "allowedFunctionNames",
                    why,
                ));
            }
            _ => return Err(calling.wrong("mode", "it has no counterpart")),
        };
        request.tool_choice = choice;
        calling.leave(warnings);
    }
    wish.leave(warnings);
    Ok(())
}

/// Texts in a list.
pub(super) fn texts(raw: &RawValue) -> Option<Vec<String>> {
    list(raw)?.into_iter().map(text).collect()
}
