//! The client speaks chat completions.

use serde_json::value::RawValue;

use super::EXTRAS;
use crate::neutral::{
    Call, Carrier, Fields, NotTranslatable, Part, Proof, Request, Role, Shape, Source, Thinking,
    Tool, ToolChoice, Turn, Warnings, list, media_of, text, whole, without_data_url,
};

type Read<T> = Result<T, NotTranslatable>;

/// Fields that ask for what no other format has, and that change what comes back.
const REFUSED: [(&str, &str); 6] = [
    ("audio", "it asks for speech"),
    ("function_call", "use `tool_choice`"),
    ("functions", "use `tools`"),
    ("moderation", "it is this provider's own"),
    ("web_search_options", "it is this provider's own tool"),
    ("provider", "it is this provider's own"),
];

pub(in super::super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Request> {
    let mut fields = Fields::of(whole(body)?, "")?;
    for (name, why) in REFUSED {
        if fields.take(name).is_some() {
            return Err(NotTranslatable::new(name, why));
        }
    }
    if let Some(kinds) = fields.list("modalities")?
        && kinds.iter().any(|kind| kind.get() != "\"text\"")
    {
        return Err(NotTranslatable::new("modalities", "only text comes back"));
    }
    let mut request = Request::new(fields.needed_text("model")?);
    request.stream = fields.flag("stream")?.unwrap_or(false);
    for message in fields.list("messages")?.unwrap_or_default() {
        request.turns.push(turn(message, warnings)?);
    }
    for raw in fields.list("tools")?.unwrap_or_default() {
        request.tools.push(tool(raw, warnings)?);
    }
    request.tool_choice = fields.take("tool_choice").map(tool_choice).transpose()?;
    request.parallel_tools = fields.flag("parallel_tool_calls")?;
    if let Some(format) = fields.object("response_format")? {
        request.shape = shape(format, warnings)?;
    }
    request.reasoning.effort = fields.text("reasoning_effort")?;
    let old_limit = fields.amount("max_tokens")?;
    request.max_output_tokens = fields.amount("max_completion_tokens")?.or(old_limit);
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    if let Some(stop) = fields.take("stop") {
        request.stop_sequences = stops(stop)?;
    }
    request.answers = fields.amount("n")?.unwrap_or(1);
    request.user = fields.text("user")?;
    request.logprobs.wanted = fields.flag("logprobs")?.unwrap_or(false);
    request.logprobs.alternatives = fields.whole("top_logprobs")?;
    request.verbosity = fields.text("verbosity")?;
    if fields.flag("store")? == Some(true) {
        warnings.dropped("store");
    }
    request.reports_usage = false;
    if let Some(mut options) = fields.object("stream_options")? {
        request.reports_usage = options.flag("include_usage")?.unwrap_or(false);
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

fn turn(message: &RawValue, warnings: &mut Warnings) -> Read<Turn> {
    let mut fields = Fields::of(message, "messages")?;
    let role = fields.needed_text("role")?;
    let content = fields.take("content");
    let mut parts = Vec::new();
    let role = match role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => {
            thinking(&mut fields, &mut parts)?;
            Role::Assistant
        }
        "tool" => {
            parts.push(Part::Outcome {
                call: fields.needed_text("tool_call_id")?,
                parts: content
                    .map(|it| contents(it, warnings))
                    .transpose()?
                    .unwrap_or_default(),
                failed: false,
            });
            fields.leave(warnings);
            return Ok(Turn::new(Role::User, parts));
        }
        _ => return Err(fields.wrong("role", "this role has no counterpart")),
    };
    if let Some(content) = content {
        parts.extend(contents(content, warnings)?);
    }
    if role == Role::Assistant {
        parts.extend(fields.text("refusal")?.map(Part::Refusal));
        for raw in fields.list("tool_calls")?.unwrap_or_default() {
            parts.push(Part::Call(call(raw, warnings)?));
        }
        for name in ["audio", "function_call"] {
            if fields.take(name).is_some() {
                return Err(fields.wrong(name, "it has no counterpart"));
            }
        }
    }
    fields.leave(warnings);
    Ok(Turn::new(role, parts))
}

/// What the model thought, as [`detail`](super::super::answer::detail) wrote it.
fn thinking(fields: &mut Fields<'_>, parts: &mut Vec<Part>) -> Read<()> {
    let plain = fields.text("reasoning_content")?;
    let again = fields.take("reasoning").and_then(text);
    let Some(details) = fields.list("reasoning_details")? else {
        if let Some(text) = plain.or(again).filter(|text| !text.is_empty()) {
            parts.push(Part::Thinking(Thinking { text, proof: None }));
        }
        return Ok(());
    };
    for detail in details {
        let mut detail = Fields::of(detail, "messages")?;
        let kind = detail.kind()?;
        let id = detail.text("id")?.unwrap_or_default();
        let data = detail.text("data")?.filter(|data| !data.is_empty());
        let proof = match (detail.text("signature")?, data) {
            (Some(signature), _) if !signature.is_empty() => {
                Carrier::Signature.read(&signature, "")
            }
            (_, Some(content)) if !id.is_empty() => Some(Proof::Encrypted { id, content }),
            (_, Some(data)) => Some(Proof::Sealed(data)),
            _ => None,
        };
        let text = match kind.as_str() {
            "reasoning.summary" => detail.text("summary")?,
            _ => detail.text("text")?,
        };
        let text = text.unwrap_or_default();
        if proof.is_some() || !text.is_empty() {
            parts.push(Part::Thinking(Thinking { text, proof }));
        }
    }
    Ok(())
}

fn contents(content: &RawValue, warnings: &mut Warnings) -> Read<Vec<Part>> {
    if let Some(text) = text(content) {
        return Ok(vec![Part::Text(text)]);
    }
    let wrong = NotTranslatable::within("messages", "content", "it must be a text or a list");
    let parts = list(content).ok_or(wrong)?;
    parts.into_iter().map(|raw| part(raw, warnings)).collect()
}

fn part(raw: &RawValue, warnings: &mut Warnings) -> Read<Part> {
    let mut fields = Fields::of(raw, "messages")?;
    let part = match fields.kind()?.as_str() {
        "text" => Part::Text(fields.needed_text("text")?),
        "refusal" => Part::Refusal(fields.needed_text("refusal")?),
        "image_url" => {
            let mut image = fields
                .object("image_url")?
                .ok_or_else(|| NotTranslatable::within("messages", "image_url", "it is missing"))?;
            let source = without_data_url(&image.needed_text("url")?);
            let detail = image.text("detail")?;
            image.leave(warnings);
            Part::Image { source, detail }
        }
        "file" => {
            let mut file = fields
                .object("file")?
                .ok_or_else(|| NotTranslatable::within("messages", "file", "it is missing"))?;
            if file.take("file_id").is_some() {
                return Err(file.wrong("file_id", "it names a file at another provider"));
            }
            let name = file.text("filename")?;
            let data = file.needed_text("file_data")?;
            file.leave(warnings);
            let source = match without_data_url(&data) {
                Source::Url(base64) => Source::Data {
                    media_type: media_of(name.as_deref()).to_owned(),
                    base64,
                },
                source => source,
            };
            Part::File { source, name }
        }
        "input_audio" => return Err(fields.wrong("input_audio", "it has no counterpart")),
        _ => return Err(fields.wrong("content", "a part has no counterpart")),
    };
    fields.leave(warnings);
    Ok(part)
}

fn call(raw: &RawValue, warnings: &mut Warnings) -> Read<Call> {
    let mut fields = Fields::of(raw, "messages")?;
    let id = fields.needed_text("id")?;
    fields.take("type");
    fields.take("index");
    let Some(mut function) = fields.object("function")? else {
        return Err(fields.wrong("tool_calls", "only functions have a counterpart"));
    };
    let name = function.needed_text("name")?;
    let arguments = function.text("arguments")?.unwrap_or_default();
    function.leave(warnings);
    fields.leave(warnings);
    Ok(Call {
        id,
        name,
        arguments,
    })
}

fn tool(raw: &RawValue, warnings: &mut Warnings) -> Read<Tool> {
    let mut fields = Fields::of(raw, "tools")?;
    let kind = fields.kind()?;
    let function = fields.object("function")?;
    let Some(mut function) = function.filter(|_| kind == "function" || kind.is_empty()) else {
        return Err(fields.wrong("type", "only functions have a counterpart"));
    };
    let tool = Tool {
        name: function.needed_text("name")?,
        description: function.text("description")?,
        schema: function.take("parameters").map(ToOwned::to_owned),
        strict: function.flag("strict")?,
    };
    function.leave(warnings);
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
    match fields.object("function")? {
        Some(mut function) => Ok(ToolChoice::Named(function.needed_text("name")?)),
        None => Err(wrong()),
    }
}

fn shape(mut format: Fields<'_>, warnings: &mut Warnings) -> Read<Shape> {
    let shape = match format.kind()?.as_str() {
        "text" => Shape::Text,
        "json_object" => Shape::Json,
        "json_schema" => {
            let wrong = format.wrong("json_schema", "it is missing");
            let mut schema = format.object("json_schema")?.ok_or(wrong)?;
            let shape = Shape::Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema
                    .take("schema")
                    .map(ToOwned::to_owned)
                    .ok_or_else(|| schema.wrong("schema", "it is missing"))?,
                strict: schema.flag("strict")?,
            };
            schema.leave(warnings);
            shape
        }
        _ => return Err(format.wrong("type", "it has no counterpart")),
    };
    format.leave(warnings);
    Ok(shape)
}

/// The stop sequences, one or several.
fn stops(raw: &RawValue) -> Read<Vec<String>> {
    if let Some(one) = text(raw) {
        return Ok(vec![one]);
    }
    serde_json::from_str(raw.get())
        .map_err(|_| NotTranslatable::new("stop", "it must be a text or a list of texts"))
}
