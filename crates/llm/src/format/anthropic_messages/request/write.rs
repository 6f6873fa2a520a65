//! The provider speaks Anthropic's messages.

use serde_json::Number;

use crate::format::anthropic_messages::block::{write_call, write_thinking};
use crate::neutral::{
    Json, NotTranslatable, Object, Part, Proof, Request, Role, Shape, Source, Tool, ToolChoice,
    Warnings, array,
};
use crate::translate::{DEFAULT_MAX_TOKENS, Target};

use super::thinking;

pub(super) type Written<T> = Result<T, NotTranslatable>;

pub(in super::super) fn write(
    mut request: Request,
    target: &Target,
    warnings: &mut Warnings,
) -> Written<String> {
    refuse(&request)?;
    let system = system(&request, warnings)?;
    let messages = messages(&request, warnings)?;
    let most = target.max_output_tokens.unwrap_or(u64::MAX);
    let max_tokens = request.max_output_tokens;
    let max_tokens = max_tokens.unwrap_or(DEFAULT_MAX_TOKENS.min(most));
    let asked = thinking::asked(&request, target.thinking, max_tokens, warnings)?;
    let temperature = request.temperature.as_ref().map(|it| clamped(it, warnings));
    let stops = array(request.stop_sequences.iter());
    let user = request.user.take();
    let safety = request.take_extra("safety_identifier");
    if user.is_some() && safety.is_some() {
        warnings.dropped("user");
    }
    let user = safety.map(Json::from).or(user.as_ref().map(Json::from));
    let mut body = Object::new()
        .with("model", &request.model)
        .with("max_tokens", max_tokens)
        .maybe("system", system)
        .with("messages", messages)
        .maybe("stream", request.stream.then_some(true))
        .maybe("temperature", temperature)
        .maybe("top_p", request.top_p.as_ref())
        .maybe("top_k", request.take_extra("top_k"))
        .maybe(
            "stop_sequences",
            (!request.stop_sequences.is_empty()).then_some(stops),
        )
        .maybe(
            "metadata",
            user.map(|user| Object::new().with("user_id", user)),
        )
        .maybe("thinking", asked.thinking)
        .maybe(
            "output_config",
            output_config(&request, asked.effort, warnings),
        );
    if !request.tools.is_empty() {
        body = body
            .with("tools", array(request.tools.iter().map(tool)))
            .maybe("tool_choice", tool_choice(&request));
    }
    if request.logprobs.wanted {
        warnings.dropped("logprobs");
    }
    if request.verbosity.is_some() {
        warnings.dropped("verbosity");
    }
    request.drop_extras(warnings);
    Ok(body.end())
}

fn refuse(request: &Request) -> Written<()> {
    if request.answers != 1 {
        return Err(NotTranslatable::new("n", "a call has one answer"));
    }
    if matches!(request.shape, Shape::Json) {
        let why = "JSON comes back only by a schema; use `json_schema`";
        return Err(NotTranslatable::new("response_format", why));
    }
    Ok(())
}

/// The system's turns, all of them at the beginning, where the format has their place.
fn system(request: &Request, warnings: &mut Warnings) -> Written<Option<Json>> {
    let is_system = |role| matches!(role, Role::System | Role::Developer);
    let mut texts: Vec<&str> = Vec::new();
    let mut said = false;
    for turn in &request.turns {
        if !is_system(turn.role) {
            said = true;
            continue;
        }
        if said {
            warnings.changed("moved", "system");
        }
        for part in &turn.parts {
            match part {
                Part::Text(text) => texts.push(text),
                _ => return Err(NotTranslatable::new("messages", "a system prompt is text")),
            }
        }
    }
    texts.retain(|text| !text.is_empty());
    Ok(match texts.as_slice() {
        [] => None,
        [text] => Some(Json::from(*text)),
        texts => Some(array(texts.iter().map(|text| text_block(text)))),
    })
}

/// The turns of both sides; those of one side that follow each other are one message.
fn messages(request: &Request, warnings: &mut Warnings) -> Written<Json> {
    let mut messages: Vec<(Role, Vec<Object>)> = Vec::new();
    for turn in request.spoken(warnings)? {
        let mut blocks = Vec::new();
        for part in &turn.parts {
            blocks.extend(block(part, warnings)?);
        }
        // What is left of a turn may be nothing, and its neighbors are one message then.
        if blocks.is_empty() {
            continue;
        }
        match messages.last_mut() {
            Some((role, before)) if *role == turn.role => before.extend(blocks),
            _ => messages.push((turn.role, blocks)),
        }
    }
    Ok(array(messages.into_iter().map(|(role, blocks)| {
        let role = match role {
            Role::Assistant => "assistant",
            Role::User | Role::System | Role::Developer => "user",
        };
        Object::new()
            .with("role", role)
            .with("content", array(blocks))
    })))
}

fn text_block(text: &str) -> Object {
    Object::typed("text").with("text", text)
}

/// `None`: there is nothing in it; the format refuses empty texts.
fn block(part: &Part, warnings: &mut Warnings) -> Written<Option<Object>> {
    let block = match part {
        Part::Text(text) | Part::Refusal(text) if text.is_empty() => return Ok(None),
        Part::Text(text) | Part::Refusal(text) => text_block(text),
        Part::Image { source, detail } => {
            if detail.as_deref().is_some_and(|it| it != "auto") {
                warnings.dropped("detail");
            }
            Object::typed("image").with("source", image(source))
        }
        Part::File { source, name } => Object::typed("document")
            .with("source", document(source)?)
            .maybe("title", name.as_ref()),
        Part::Thinking(thinking) => match &thinking.proof {
            Some(Proof::Signature(_) | Proof::Sealed(_)) => write_thinking(thinking),
            Some(Proof::Encrypted { .. } | Proof::Thought(_)) | None => {
                warnings.dropped("reasoning");
                return Ok(None);
            }
        },
        Part::Call(call) => write_call(call).ok_or_else(|| {
            NotTranslatable::within("messages", "arguments", "they must be a JSON object")
        })?,
        Part::Outcome {
            call,
            parts,
            failed,
        } => {
            let mut blocks = Vec::new();
            for part in parts {
                blocks.extend(self::block(part, warnings)?);
            }
            let content = match parts.as_slice() {
                [Part::Text(text)] => Json::from(text),
                _ => array(blocks),
            };
            Object::typed("tool_result")
                .with("tool_use_id", call)
                .with("content", content)
                .maybe("is_error", failed.then_some(true))
        }
    };
    Ok(Some(block))
}

fn image(source: &Source) -> Object {
    match source {
        Source::Data { media_type, base64 } => data(media_type, base64),
        Source::Url(url) | Source::Text(url) => Object::typed("url").with("url", url),
    }
}

fn document(source: &Source) -> Written<Object> {
    match source {
        Source::Data { media_type, base64 } if media_type == "application/pdf" => {
            Ok(data(media_type, base64))
        }
        Source::Data { .. } => Err(NotTranslatable::new(
            "file",
            "of files only PDFs have a counterpart",
        )),
        Source::Url(url) => Ok(Object::typed("url").with("url", url)),
        Source::Text(text) => Ok(Object::typed("text")
            .with("media_type", "text/plain")
            .with("data", text)),
    }
}

fn data(media_type: &str, base64: &str) -> Object {
    Object::typed("base64")
        .with("media_type", media_type)
        .with("data", base64)
}

fn tool(tool: &Tool) -> Object {
    let schema = tool.schema.as_ref().map(Json::from);
    let nothing = || Object::typed("object").with("properties", Object::new());
    Object::new()
        .with("name", &tool.name)
        .maybe("description", tool.description.as_ref())
        .with("input_schema", schema.unwrap_or_else(|| nothing().into()))
        .maybe("strict", tool.strict)
}

fn tool_choice(request: &Request) -> Option<Object> {
    let one_at_a_time = (request.parallel_tools == Some(false)).then_some(true);
    let choice = match request.tool_choice.as_ref() {
        Some(ToolChoice::None) => return Some(Object::typed("none")),
        Some(ToolChoice::Any) => Object::typed("any"),
        Some(ToolChoice::Named(name)) => Object::typed("tool").with("name", name),
        Some(ToolChoice::Auto) => Object::typed("auto"),
        None if one_at_a_time.is_some() => Object::typed("auto"),
        None => return None,
    };
    Some(choice.maybe("disable_parallel_tool_use", one_at_a_time))
}

fn output_config(
    request: &Request,
    effort: Option<&'static str>,
    warnings: &mut Warnings,
) -> Option<Object> {
    let format = match &request.shape {
        Shape::Schema {
            description,
            schema,
            ..
        } => {
            if description.is_some() {
                warnings.dropped("description");
            }
            Some(Object::typed("json_schema").with("schema", schema))
        }
        Shape::Text | Shape::Json => None,
    };
    let empty = effort.is_none() && format.is_none();
    let config = Object::new()
        .maybe("effort", effort)
        .maybe("format", format);
    (!empty).then_some(config)
}

/// The format's scale ends at 1, OpenAI's at 2.
fn clamped(temperature: &Number, warnings: &mut Warnings) -> Json {
    if temperature.as_f64().is_some_and(|it| it > 1.0) {
        warnings.changed("clamped", "temperature");
        return Json::from(1_u64);
    }
    Json::from(temperature)
}
