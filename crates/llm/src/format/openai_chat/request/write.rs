//! The provider speaks chat completions.

use super::EXTRAS;
use crate::neutral::{
    Json, NotTranslatable, Object, Part, Request, Role, Shape, Source, Tool, ToolChoice, Turn,
    Warnings, array, to_data_url,
};
use crate::translate::Target;

type Written<T> = Result<T, NotTranslatable>;

/// The name of a schema that comes without one; the format needs one.
const SCHEMA_NAME: &str = "answer";

pub(in super::super) fn write(
    mut request: Request,
    target: &Target,
    warnings: &mut Warnings,
) -> Written<String> {
    let mut messages = Vec::new();
    for turn in &request.turns {
        write_turn(turn, &mut messages, warnings)?;
    }
    let stops = array(request.stop_sequences.iter());
    let mut body = Object::new()
        .with("model", &request.model)
        .with("messages", array(messages))
        .maybe("stream", request.stream.then_some(true))
        .maybe(target.token_limit.as_str(), request.max_output_tokens)
        .maybe("temperature", request.temperature.as_ref())
        .maybe("top_p", request.top_p.as_ref())
        .maybe(
            "stop",
            (!request.stop_sequences.is_empty()).then_some(stops),
        )
        .maybe("n", (request.answers != 1).then_some(request.answers))
        .maybe("user", request.short_user(warnings))
        .maybe("verbosity", request.verbosity.as_ref())
        .maybe("logprobs", request.logprobs.wanted.then_some(true))
        .maybe("reasoning_effort", effort(&request, warnings).as_deref())
        .maybe("response_format", shape(&request.shape));
    if request.logprobs.wanted {
        body = body.maybe("top_logprobs", request.logprobs.alternatives);
    }
    if request.stream && target.stream_usage {
        body = body.with("stream_options", Object::new().with("include_usage", true));
    }
    if !request.tools.is_empty() {
        body = body
            .with("tools", array(request.tools.iter().map(tool)))
            .maybe("tool_choice", request.tool_choice.as_ref().map(tool_choice))
            .maybe("parallel_tool_calls", request.parallel_tools);
    }
    for name in EXTRAS {
        body = body.maybe(name, request.take_extra(name));
    }
    request.drop_extras(warnings);
    Ok(body.end())
}

/// The system's words as one text: few servers take a list here. `None`: there is more than text in them.
fn system(parts: &[Part]) -> Option<Json> {
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    Some(Json::from(texts?.join("\n\n").as_str()))
}

/// One turn may be several messages: each outcome of a tool is one of its own.
fn write_turn(turn: &Turn, messages: &mut Vec<Object>, warnings: &mut Warnings) -> Written<()> {
    match turn.role {
        Role::Assistant => messages.push(assistant(&turn.parts, warnings)),
        role => {
            let mut said: Vec<&Part> = Vec::new();
            for part in &turn.parts {
                let Part::Outcome {
                    call,
                    parts,
                    failed,
                } = part
                else {
                    said.push(part);
                    continue;
                };
                if *failed {
                    warnings.dropped("is_error");
                }
                // Outcomes hold text only, and stand together behind the calls; the rest is said after them.
                let is_text = |part: &&Part| matches!(part, Part::Text(_));
                let texts: Vec<&Part> = parts.iter().filter(is_text).collect();
                let others = parts.iter().filter(|part| !is_text(part));
                let before = said.len();
                said.extend(others);
                if said.len() > before {
                    warnings.changed("moved", "tool_result");
                }
                messages.push(
                    Object::new()
                        .with("role", "tool")
                        .with("tool_call_id", call)
                        .with("content", content(&texts)?),
                );
            }
            if said.is_empty()
                && turn
                    .parts
                    .iter()
                    .any(|it| matches!(it, Part::Outcome { .. }))
            {
                return Ok(());
            }
            let role = match role {
                // The newer word is one that few servers know, and those who do take the older one, too.
                Role::System | Role::Developer => "system",
                Role::User | Role::Assistant => "user",
            };
            let plain = (role == "system").then(|| system(&turn.parts)).flatten();
            let content = plain.map_or_else(|| content(&said), Ok)?;
            messages.push(Object::new().with("role", role).with("content", content));
        }
    }
    Ok(())
}

fn assistant(parts: &[Part], warnings: &mut Warnings) -> Object {
    let mut texts: Vec<&str> = Vec::new();
    let mut refusals: Vec<&str> = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text),
            Part::Refusal(text) => refusals.push(text),
            Part::Call(call) => calls.push(
                Object::new()
                    .with("id", &call.id)
                    .with("type", "function")
                    .with(
                        "function",
                        Object::new()
                            .with("name", &call.name)
                            .with("arguments", &call.arguments),
                    ),
            ),
            Part::Thinking(_) => warnings.dropped("thinking"),
            // No reader puts these into an assistant's turn.
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => {}
        }
    }
    // Few servers take a list here. The pieces of what a model said are one text, as in an answer.
    let content = (!texts.is_empty()).then(|| Json::from(texts.concat().as_str()));
    let has_calls = !calls.is_empty();
    Object::new()
        .with("role", "assistant")
        .with("content", content)
        .maybe(
            "refusal",
            (!refusals.is_empty()).then(|| Json::from(refusals.concat().as_str())),
        )
        .maybe("tool_calls", has_calls.then(|| array(calls)))
}

/// A single text stands as it is, which every server takes; everything else in parts.
fn content(parts: &[&Part]) -> Written<Json> {
    match parts {
        [] => Ok(Json::from("")),
        [Part::Text(text)] => Ok(Json::from(text)),
        parts => {
            let parts: Written<Vec<Json>> = parts.iter().map(|part| piece(part)).collect();
            Ok(array(parts?))
        }
    }
}

fn part_text(text: &str) -> Object {
    Object::typed("text").with("text", text)
}

fn piece(part: &Part) -> Written<Json> {
    let piece = match part {
        Part::Text(text) | Part::Refusal(text) => part_text(text),
        Part::Image { source, detail } => Object::typed("image_url").with(
            "image_url",
            Object::new()
                .with("url", &address(source))
                .maybe("detail", detail.as_ref()),
        ),
        Part::File { source, name } => match source {
            Source::Text(text) => part_text(text),
            Source::Data { media_type, base64 } => Object::typed("file").with(
                "file",
                Object::new()
                    .with("filename", name.as_deref().unwrap_or("file"))
                    .with("file_data", &to_data_url(media_type, base64)),
            ),
            Source::Url(_) => {
                return Err(NotTranslatable::new(
                    "file",
                    "a file by its address has no counterpart; send its data",
                ));
            }
        },
        Part::Thinking(_) | Part::Call(_) | Part::Outcome { .. } => {
            return Err(NotTranslatable::new(
                "messages",
                "a part stands in a turn where it cannot be",
            ));
        }
    };
    Ok(piece.into())
}

fn address(source: &Source) -> String {
    match source {
        Source::Url(url) => url.clone(),
        Source::Data { media_type, base64 } => to_data_url(media_type, base64),
        Source::Text(text) => text.clone(),
    }
}

fn tool(tool: &Tool) -> Object {
    Object::typed("function").with(
        "function",
        Object::new()
            .with("name", &tool.name)
            .maybe("description", tool.description.as_ref())
            .maybe("parameters", tool.schema.as_ref())
            .maybe("strict", tool.strict),
    )
}

fn tool_choice(choice: &ToolChoice) -> Json {
    match choice {
        ToolChoice::Auto => Json::from("auto"),
        ToolChoice::None => Json::from("none"),
        ToolChoice::Any => Json::from("required"),
        ToolChoice::Named(name) => Object::typed("function")
            .with("function", Object::new().with("name", name))
            .into(),
    }
}

fn shape(shape: &Shape) -> Option<Object> {
    match shape {
        Shape::Text => None,
        Shape::Json => Some(Object::typed("json_object")),
        Shape::Schema {
            name,
            description,
            schema,
            strict,
        } => Some(
            Object::typed("json_schema").with(
                "json_schema",
                Object::new()
                    .with("name", name.as_deref().unwrap_or(SCHEMA_NAME))
                    .maybe("description", description.as_ref())
                    .with("schema", schema)
                    .maybe("strict", *strict),
            ),
        ),
    }
}

/// The effort as a word. A budget is one only roughly; thinking as the model sees fit is the format's default.
fn effort(request: &Request, warnings: &mut Warnings) -> Option<String> {
    let reasoning = &request.reasoning;
    if reasoning.summary.is_some() {
        warnings.dropped("summary");
    }
    if reasoning.effort.is_some() {
        return reasoning.effort.clone();
    }
    let word = crate::translate::effort_of(reasoning.budget_tokens?);
    warnings.changed("approximated", "thinking");
    Some(word.to_owned())
}
