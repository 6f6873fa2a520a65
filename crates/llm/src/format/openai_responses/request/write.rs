//! The provider speaks OpenAI's responses.

use super::{EXTRAS, LOGPROBS, REASONING};
use crate::format::openai_responses::{FEWEST_OUTPUT_TOKENS, item};
use crate::neutral::{
    Json, NotTranslatable, Object, Part, Proof, Request, Role, Shape, Source, Tool, ToolChoice,
    Turn, Warnings, array, none, to_data_url,
};
use crate::translate::{Echo, Target};

type Written<T> = Result<T, NotTranslatable>;

/// The name of a schema that comes without one; the format needs one.
const SCHEMA_NAME: &str = "answer";

pub(in super::super) fn write(
    mut request: Request,
    _target: &Target,
    warnings: &mut Warnings,
) -> Written<String> {
    if request.answers != 1 {
        return Err(NotTranslatable::new("n", "a call has one answer"));
    }
    if !request.stop_sequences.is_empty() {
        return Err(NotTranslatable::new("stop", "nothing stops at a text"));
    }
    let instructions = instructions(&mut request.turns);
    let mut items = Vec::new();
    for turn in &request.turns {
        write_turn(turn, &mut items, warnings)?;
    }
    let mut body = Object::new()
        .with("model", &request.model)
        .maybe("instructions", instructions.as_ref())
        .with("input", array(items))
        .maybe("stream", request.stream.then_some(true))
        // Nothing in the client's format could name it later.
        .with("store", false)
        .maybe("max_output_tokens", limit(&request, warnings))
        .maybe("temperature", request.temperature.as_ref())
        .maybe("top_p", request.top_p.as_ref())
        .maybe("user", request.short_user(warnings))
        .maybe("text", text(&request))
        .maybe("reasoning", reasoning(&request, warnings))
        .maybe("include", include(&request));
    if request.logprobs.wanted {
        body = body.maybe("top_logprobs", request.logprobs.alternatives);
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

/// The system's words at the beginning.
fn instructions(turns: &mut Vec<Turn>) -> Option<String> {
    let first = turns.first().filter(|turn| turn.role == Role::System)?;
    let texts: Option<Vec<&str>> = first
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let text = texts?.join("\n\n");
    turns.remove(0);
    Some(text)
}

fn write_turn(turn: &Turn, items: &mut Vec<Object>, warnings: &mut Warnings) -> Written<()> {
    let mut said: Vec<&Part> = Vec::new();
    for part in &turn.parts {
        let item = match part {
            Part::Call(call) => item::write_call(call, &Echo::default()),
            Part::Outcome {
                call,
                parts,
                failed,
            } => {
                if *failed {
                    warnings.dropped("is_error");
                }
                let parts: Vec<&Part> = parts.iter().collect();
                Object::typed("function_call_output")
                    .with("call_id", call)
                    .with("output", contents(&parts, Role::User)?)
            }
            Part::Thinking(thinking) => match &thinking.proof {
                Some(Proof::Encrypted { id, .. }) => item::write_thinking(thinking, id),
                Some(Proof::Signature(_) | Proof::Sealed(_) | Proof::Thought(_)) | None => {
                    warnings.dropped("thinking");
                    continue;
                }
            },
            part => {
                said.push(part);
                continue;
            }
        };
        speak(turn.role, &mut said, items)?;
        items.push(item);
    }
    speak(turn.role, &mut said, items)
}

/// The message for what was said so far.
fn speak(role: Role, said: &mut Vec<&Part>, items: &mut Vec<Object>) -> Written<()> {
    if said.is_empty() {
        return Ok(());
    }
    let name = match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let message = Object::typed("message")
        .with("role", name)
        .with("content", contents(said, role)?);
    items.push(message);
    said.clear();
    Ok(())
}

fn contents(parts: &[&Part], role: Role) -> Written<Json> {
    match parts {
        [] => Ok(Json::from("")),
        [Part::Text(text)] => Ok(Json::from(text)),
        parts => {
            let parts: Written<Vec<Object>> = parts.iter().map(|part| piece(part, role)).collect();
            Ok(array(parts?))
        }
    }
}

fn piece(part: &Part, role: Role) -> Written<Object> {
    Ok(match part {
        Part::Text(text) if role == Role::Assistant => Object::typed("output_text")
            .with("text", text)
            .with("annotations", none()),
        Part::Text(text) => Object::typed("input_text").with("text", text),
        Part::Refusal(text) => Object::typed("refusal").with("refusal", text),
        Part::Image { source, detail } => Object::typed("input_image")
            .with("image_url", &address(source))
            .with("detail", detail.as_deref().unwrap_or("auto")),
        Part::File { source, name } => match source {
            Source::Text(text) => Object::typed("input_text").with("text", text),
            Source::Url(url) => Object::typed("input_file").with("file_url", url),
            Source::Data { media_type, base64 } => Object::typed("input_file")
                .with("filename", name.as_deref().unwrap_or("file"))
                .with("file_data", &to_data_url(media_type, base64)),
        },
        Part::Thinking(_) | Part::Call(_) | Part::Outcome { .. } => {
            let why = "a part stands in a turn where it cannot be";
            return Err(NotTranslatable::new("messages", why));
        }
    })
}

fn address(source: &Source) -> String {
    match source {
        Source::Url(url) | Source::Text(url) => url.clone(),
        Source::Data { media_type, base64 } => to_data_url(media_type, base64),
    }
}

/// The format refuses a limit that is lower.
fn limit(request: &Request, warnings: &mut Warnings) -> Option<u64> {
    let limit = request.max_output_tokens?;
    let fewest = u64::from(FEWEST_OUTPUT_TOKENS);
    if limit < fewest {
        warnings.changed("raised", "max_tokens");
    }
    Some(limit.max(fewest))
}

fn text(request: &Request) -> Option<Object> {
    let format = match &request.shape {
        Shape::Text => None,
        Shape::Json => Some(Object::typed("json_object")),
        Shape::Schema {
            name,
            description,
            schema,
            strict,
        } => Some(
            Object::typed("json_schema")
                .with("name", name.as_deref().unwrap_or(SCHEMA_NAME))
                .maybe("description", description.as_ref())
                .with("schema", schema)
                .maybe("strict", *strict),
        ),
    };
    let verbosity = request.verbosity.as_ref();
    let empty = format.is_none() && verbosity.is_none();
    let text = Object::new()
        .maybe("format", format)
        .maybe("verbosity", verbosity);
    (!empty).then_some(text)
}

fn reasoning(request: &Request, warnings: &mut Warnings) -> Option<Object> {
    let reasoning = &request.reasoning;
    let effort = reasoning.effort.as_deref().or_else(|| {
        let word = crate::translate::effort_of(reasoning.budget_tokens?);
        warnings.changed("approximated", "thinking");
        Some(word)
    });
    let empty = effort.is_none() && reasoning.summary.is_none();
    let wish = Object::new()
        .maybe("effort", effort)
        .maybe("summary", reasoning.summary.as_ref());
    (!empty).then_some(wish)
}

/// Without a store the provider gives reasoning out only sealed, and only if asked.
fn include(request: &Request) -> Option<Json> {
    let reasoning = request.reasoning.wanted() || request.reasoning.proofs;
    let wishes = [
        reasoning.then_some(REASONING),
        request.logprobs.wanted.then_some(LOGPROBS),
    ];
    let wishes: Vec<&str> = wishes.into_iter().flatten().collect();
    (!wishes.is_empty()).then(|| array(wishes))
}

fn tool(tool: &Tool) -> Object {
    Object::typed("function")
        .with("name", &tool.name)
        .maybe("description", tool.description.as_ref())
        .with("parameters", tool.schema.as_ref())
        // Left out it would mean yes, which is what no other format means by it.
        .with("strict", tool.strict.unwrap_or(false))
}

fn tool_choice(choice: &ToolChoice) -> Json {
    match choice {
        ToolChoice::Auto => Json::from("auto"),
        ToolChoice::None => Json::from("none"),
        ToolChoice::Any => Json::from("required"),
        ToolChoice::Named(name) => Object::typed("function").with("name", name).into(),
    }
}
