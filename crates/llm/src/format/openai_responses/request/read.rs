//! The client speaks OpenAI's responses.

use serde_json::value::RawValue;

use super::{EXTRAS, LOGPROBS, REASONING, items};
use crate::format::openai_responses::item;
use crate::neutral::{
    Fields, NotTranslatable, Part, Reasoning, Request, Role, Shape, Tool, ToolChoice, Turn,
    Warnings, text, whole,
};

type Read<T> = Result<T, NotTranslatable>;

/// Fields that name what a provider keeps, or that change what comes back.
const REFUSED: [(&str, &str); 5] = [
    ("conversation", "it names something at another provider"),
    ("moderation", "it is this provider's own"),
    (
        "previous_response_id",
        "it names something at another provider",
    ),
    ("prompt", "it names something at another provider"),
    ("access_programs", "it is this provider's own"),
];

pub(in super::super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Request> {
    let mut fields = Fields::of(whole(body)?, "")?;
    for (name, why) in REFUSED {
        if fields.take(name).is_some() {
            return Err(NotTranslatable::new(name, why));
        }
    }
    if fields.flag("background")? == Some(true) {
        return Err(NotTranslatable::new(
            "background",
            "no provider keeps the answer",
        ));
    }
    let mut request = Request::new(fields.needed_text("model")?);
    request.stream = fields.flag("stream")?.unwrap_or(false);
    if let Some(instructions) = fields.text("instructions")? {
        let said = vec![Part::Text(instructions)];
        request.turns.push(Turn::new(Role::System, said));
    }
    if let Some(input) = fields.take("input") {
        items::read(input, &mut request.turns, warnings)?;
    }
    for raw in fields.list("tools")?.unwrap_or_default() {
        tools(raw, &mut request.tools, warnings)?;
    }
    request.tool_choice = fields.take("tool_choice").map(tool_choice).transpose()?;
    request.parallel_tools = fields.flag("parallel_tool_calls")?;
    if let Some(mut wish) = fields.object("text")? {
        request.verbosity = wish.text("verbosity")?;
        if let Some(format) = wish.object("format")? {
            request.shape = shape(format, warnings)?;
        }
        wish.leave(warnings);
    }
    if let Some(reasoning) = fields.object("reasoning")? {
        request.reasoning = self::reasoning(reasoning, warnings)?;
    }
    request.max_output_tokens = fields.amount("max_output_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.user = fields.text("user")?;
    request.logprobs.alternatives = fields.whole("top_logprobs")?;
    request.logprobs.wanted = request.logprobs.alternatives.is_some_and(|most| most > 0);
    for wish in fields.list("include")?.unwrap_or_default() {
        match text(wish).as_deref() {
            Some(REASONING) => request.reasoning.proofs = true,
            Some(LOGPROBS) => request.logprobs.wanted = true,
            _ => warnings.dropped("include"),
        }
    }
    if fields.flag("store")? == Some(true) {
        warnings.dropped("store");
    }
    if fields
        .text("truncation")?
        .is_some_and(|it| it != "disabled")
    {
        warnings.dropped("truncation");
    }
    if let Some(mut options) = fields.object("stream_options")? {
        if options.flag("include_obfuscation")? == Some(true) {
            warnings.dropped("include_obfuscation");
        }
        options.leave(warnings);
    }
    for name in EXTRAS {
        let extra = fields.take(name).map(|raw| (name, raw.to_owned()));
        request.extras.extend(extra);
    }
    fields.leave(warnings);
    Ok(request)
}

/// The longest name of a namespace.
const MAX_NAMESPACE_BYTES: usize = 128;

/// Reads a tool, or those of a namespace, which no other format knows: their names get its name in front.
fn tools(raw: &RawValue, tools: &mut Vec<Tool>, warnings: &mut Warnings) -> Read<()> {
    let mut fields = Fields::of(raw, "tools")?;
    match fields.kind()?.as_str() {
        "function" => tools.push(function(fields, warnings)?),
        "namespace" => {
            let namespace = fields.needed_text("name")?;
            // It is said again for each tool: a long one would make the request many times as long.
            if namespace.len() > MAX_NAMESPACE_BYTES {
                return Err(fields.wrong("name", "the name of a namespace is too long"));
            }
            fields.take("description");
            for raw in fields.list("tools")?.unwrap_or_default() {
                let mut inner = Fields::of(raw, "tools")?;
                if inner.kind()? != "function" {
                    return Err(inner.wrong("type", "only functions have a counterpart"));
                }
                let mut tool = function(inner, warnings)?;
                tool.name = item::in_namespace(&namespace, &tool.name);
                tools.push(tool);
            }
            fields.leave(warnings);
        }
        _ => return Err(fields.wrong("type", "only functions have a counterpart")),
    }
    Ok(())
}

fn function(mut fields: Fields<'_>, warnings: &mut Warnings) -> Read<Tool> {
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?,
        schema: fields.take("parameters").map(ToOwned::to_owned),
        strict: fields.flag("strict")?,
    };
    fields.leave(warnings);
    Ok(tool)
}

fn tool_choice(raw: &RawValue) -> Read<ToolChoice> {
    let wrong = || NotTranslatable::new("tool_choice", "this choice has no counterpart");
    if let Some(word) = text(raw) {
        return match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Any),
            _ => Err(wrong()),
        };
    }
    let mut fields = Fields::of(raw, "tool_choice")?;
    match fields.kind()?.as_str() {
        "function" => Ok(ToolChoice::Named(fields.needed_text("name")?)),
        _ => Err(wrong()),
    }
}

fn shape(mut format: Fields<'_>, warnings: &mut Warnings) -> Read<Shape> {
    let shape = match format.kind()?.as_str() {
        "text" => Shape::Text,
        "json_object" => Shape::Json,
        "json_schema" => Shape::Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            schema: format
                .take("schema")
                .map(ToOwned::to_owned)
                .ok_or_else(|| format.wrong("schema", "it is missing"))?,
            strict: format.flag("strict")?,
        },
        _ => return Err(format.wrong("format", "it has no counterpart")),
    };
    format.leave(warnings);
    Ok(shape)
}

fn reasoning(mut fields: Fields<'_>, warnings: &mut Warnings) -> Read<Reasoning> {
    let old_summary = fields.text("generate_summary")?;
    let reasoning = Reasoning {
        effort: fields.text("effort")?,
        summary: fields.text("summary")?.or(old_summary),
        ..Reasoning::default()
    };
    fields.leave(warnings);
    Ok(reasoning)
}
