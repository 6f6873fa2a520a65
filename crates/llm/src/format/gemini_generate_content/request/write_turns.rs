//! What was said, as Gemini's content.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::write::Written;
use crate::format::gemini_generate_content::part::{write_call, write_text, write_thought};
use crate::kept::is_at_google;
use crate::neutral::{
    Fields, Json, NotTranslatable, Object, Part, Proof, Request, Role, Source, Warnings, array,
};
use crate::provider::Thinking;

/// In the place of the signature of a call that another model made, or whose signature the client did not keep. Models
/// from Gemini 3 on refuse the first call of a turn without one, and their maker names this text for such cases:
/// <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs> (2026-11).
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The longest name of a function, in bytes: the format repeats it with everything that the function returned. Anthropic
/// takes as many, OpenAI fewer.
const MAX_NAME_BYTES: usize = 128;

/// The system's turns, all of them at the beginning, where the format has their place.
pub(super) fn system(request: &Request, warnings: &mut Warnings) -> Written<Option<Object>> {
    let mut texts = Vec::new();
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
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => texts.push(write_text(text, None)),
                _ => return Err(NotTranslatable::new("messages", "a system prompt is text")),
            }
        }
    }
    Ok((!texts.is_empty()).then(|| Object::new().with("parts", array(texts))))
}

fn is_system(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// The turns of both sides. What one side said in several turns that follow each other is one content, but what
/// functions returned, which is one of its own behind their calls.
pub(super) fn contents(request: &Request, how: Thinking, warnings: &mut Warnings) -> Written<Json> {
    let mut sides: Vec<(Role, Vec<&Part>)> = Vec::new();
    for turn in request.spoken(warnings)? {
        match sides.last_mut() {
            Some((role, parts)) if *role == turn.role => parts.extend(&turn.parts),
            _ => sides.push((turn.role, turn.parts.iter().collect())),
        }
    }
    let mut contents = Vec::new();
    let mut add = |role: &str, parts: Vec<Object>| {
        if !parts.is_empty() {
            let content = Object::new().with("role", role);
            contents.push(content.with("parts", array(parts)));
        }
    };
    // As far as the conversation has come: clients use an id again for another function.
    let mut names: HashMap<&str, &str> = HashMap::new();
    for (role, parts) in sides {
        names.extend(parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some((call.id.as_str(), call.name.as_str())),
            _ => None,
        }));
        if role == Role::Assistant {
            add("model", model(&parts, how, warnings)?);
            continue;
        }
        let (returned, said) = user(&parts, &names, warnings)?;
        add("user", returned);
        add("user", said);
    }
    Ok(array(contents))
}

/// What the model said, each signature in the part behind its thought. Models that think as they see fit want one in the
/// first call, and clients of chat completions send the text before a call behind what was thought before the call.
fn model(parts: &[&Part], how: Thinking, warnings: &mut Warnings) -> Written<Vec<Object>> {
    let mut written = Vec::new();
    let mut signature: Option<&str> = None;
    let mut for_a_call = false;
    let needs_one = matches!(how, Thinking::Adaptive | Thinking::Always);
    let mut unsigned = needs_one;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Thinking(thinking) => {
                let Some(proof) = signed(thinking) else {
                    warnings.dropped("thinking");
                    continue;
                };
                written.extend(signature.take().map(|it| write_text("", Some(it))));
                if !thinking.text.is_empty() {
                    written.push(write_thought(&thinking.text, None));
                }
                signature = Some(proof);
                for_a_call = unsigned && calls_next(&parts[at + 1..]);
            }
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => {}
            Part::Text(text) | Part::Refusal(text) => {
                let signature = match for_a_call {
                    true => None,
                    false => signature.take(),
                };
                written.push(write_text(text, signature));
            }
            Part::Call(call) => {
                let stand_in = std::mem::take(&mut unsigned).then_some(UNSIGNED);
                let call = write_call(call, signature.take().or(stand_in));
                written.push(call.ok_or_else(|| {
                    let why = "they must be a JSON object";
                    NotTranslatable::within("messages", "arguments", why)
                })?);
            }
            // No reader puts these into an assistant's turn.
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => {}
        }
    }
    written.extend(signature.map(|it| write_text("", Some(it))));
    Ok(written)
}

/// The format's own signature of what was thought.
fn signed(thinking: &crate::neutral::Thinking) -> Option<&str> {
    match &thinking.proof {
        Some(Proof::Thought(proof)) => Some(proof),
        _ => None,
    }
}

/// Whether a call comes before anything else that is signed.
fn calls_next(parts: &[&Part]) -> bool {
    let next = parts.iter().find(|part| match part {
        Part::Call(_) => true,
        Part::Thinking(thinking) => signed(thinking).is_some(),
        _ => false,
    });
    matches!(next, Some(Part::Call(_)))
}

/// What functions returned, and what was said beside it.
fn user(
    parts: &[&Part],
    names: &HashMap<&str, &str>,
    warnings: &mut Warnings,
) -> Written<(Vec<Object>, Vec<Object>)> {
    let mut outcomes = Vec::new();
    let mut said = Vec::new();
    for part in parts {
        let Part::Outcome {
            call,
            parts,
            failed,
        } = part
        else {
            said.extend(piece(part, warnings)?);
            continue;
        };
        let unknown = || {
            let why = "it belongs to no call in the request";
            NotTranslatable::within("messages", "tool_call_id", why)
        };
        let name = names.get(call.as_str()).ok_or_else(unknown)?;
        if name.len() > MAX_NAME_BYTES {
            let why = "it is longer than 128 bytes";
            return Err(NotTranslatable::within("messages", "name", why));
        }
        let mut text = String::new();
        for part in parts {
            if let Part::Text(more) = part {
                text.push_str(more);
            } else if let Some(piece) = piece(part, warnings)? {
                // Not every model takes more than text from a function; so it is said behind it.
                warnings.changed("moved", "tool_result");
                said.push(piece);
            }
        }
        let outcome = Object::new()
            .with("id", call)
            .with("name", *name)
            .with("response", response(&text, *failed));
        outcomes.push(Object::new().with("functionResponse", outcome));
    }
    Ok((outcomes, said))
}

/// What a function returned, as the object that the format needs.
fn response(text: &str, failed: bool) -> Json {
    if failed {
        return Object::new().with("error", text).into();
    }
    let object: Option<&RawValue> = serde_json::from_str(text).ok();
    let object = object.filter(|raw| {
        // These have a meaning of their own.
        let fields = Fields::of(raw, "messages");
        fields.is_ok_and(|mut it| it.take("output").is_none() && it.take("error").is_none())
    });
    match object {
        Some(raw) => Json::from(raw),
        None => Object::new().with("output", text).into(),
    }
}

/// `None`: there is nothing in it.
fn piece(part: &Part, warnings: &mut Warnings) -> Written<Option<Object>> {
    let (source, usual) = match part {
        Part::Text(text) | Part::Refusal(text) => {
            return Ok((!text.is_empty()).then(|| write_text(text, None)));
        }
        Part::Image { source, detail } => {
            if detail.as_deref().is_some_and(|it| it != "auto") {
                warnings.dropped("detail");
            }
            (source, "image/jpeg")
        }
        Part::File { source, name } => {
            if name.is_some() {
                warnings.dropped("name");
            }
            (source, "application/pdf")
        }
        Part::Thinking(_) | Part::Call(_) | Part::Outcome { .. } => {
            let why = "a part stands in a turn where it cannot be";
            return Err(NotTranslatable::new("messages", why));
        }
    };
    let piece = match source {
        Source::Text(text) => write_text(text, None),
        Source::Data { media_type, base64 } => Object::new().with(
            "inlineData",
            Object::new()
                .with("mimeType", media_type)
                .with("data", base64),
        ),
        // Of its own addresses Google serves what it keeps for the key, and a key may serve several workspaces.
        Source::Url(url) if is_at_google(url) => {
            let why = "an address names a file that the provider keeps";
            return Err(NotTranslatable::new("messages", why));
        }
        Source::Url(url) => Object::new().with(
            "fileData",
            Object::new()
                .with("mimeType", media_of_address(url).unwrap_or(usual))
                .with("fileUri", url),
        ),
    };
    Ok(Some(piece))
}

/// What the end of an address says of its kind; the format wants to know it.
fn media_of_address(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        _ => return None,
    })
}
