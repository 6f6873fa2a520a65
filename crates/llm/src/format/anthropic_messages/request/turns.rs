//! What was said, as the client writes it in Anthropic's messages.

use serde_json::value::RawValue;

use crate::format::anthropic_messages::block::{call, thinking};
use crate::neutral::{Fields, NotTranslatable, Part, Role, Source, Turn, Warnings, list, text};

/// The place of what a tool returned.
const OUTCOME: &str = "messages.content";

type Read<T> = Result<T, NotTranslatable>;

pub(super) fn turn(message: &RawValue, warnings: &mut Warnings) -> Read<Turn> {
    let mut fields = Fields::of(message, "messages")?;
    let role = match fields.needed_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(fields.wrong("role", "this role has no counterpart")),
    };
    let content = fields.take("content");
    let parts = content.map(|it| contents(it, "messages", warnings));
    fields.leave(warnings);
    Ok(Turn::new(role, parts.transpose()?.unwrap_or_default()))
}

pub(super) fn contents(
    content: &RawValue,
    place: &'static str,
    warnings: &mut Warnings,
) -> Read<Vec<Part>> {
    if let Some(text) = text(content) {
        return Ok(vec![Part::Text(text)]);
    }
    let wrong = NotTranslatable::within(place, "content", "it must be a text or a list");
    let blocks = list(content).ok_or(wrong)?;
    blocks
        .into_iter()
        .map(|raw| block(raw, place, warnings))
        .collect()
}

fn block(raw: &RawValue, place: &'static str, warnings: &mut Warnings) -> Read<Part> {
    let mut fields = Fields::of(raw, place)?;
    let part = match fields.kind()?.as_str() {
        "text" => Part::Text(fields.needed_text("text")?),
        "image" => Part::Image {
            source: source(&mut fields, warnings)?,
            detail: None,
        },
        "document" => {
            if let Some(mut citations) = fields.object("citations")?
                && citations.flag("enabled")? == Some(true)
            {
                warnings.dropped("citations");
            }
            let name = fields.text("title")?;
            let source = source(&mut fields, warnings)?;
            Part::File { source, name }
        }
        kind @ ("thinking" | "redacted_thinking") => Part::Thinking(thinking(kind, &mut fields)?),
        "tool_use" => Part::Call(call(&mut fields)?),
        "tool_result" => {
            // What a tool returned holds no turns of its own, so this goes no deeper.
            if place == OUTCOME {
                return Err(fields.wrong("content", "a block stands where it cannot be"));
            }
            let content = fields.take("content");
            let parts = content.map(|it| contents(it, OUTCOME, warnings));
            Part::Outcome {
                call: fields.needed_text("tool_use_id")?,
                parts: parts.transpose()?.unwrap_or_default(),
                failed: fields.flag("is_error")?.unwrap_or(false),
            }
        }
        // What a search for tools found. All tools stand in the request, so that only the word is left to say.
        "tool_reference" => {
            warnings.changed("approximated", "tool_reference");
            Part::Text(format!(
                "found the tool {}",
                fields.needed_text("tool_name")?
            ))
        }
        _ => return Err(fields.wrong("content", "a block has no counterpart")),
    };
    fields.leave(warnings);
    Ok(part)
}

fn source(fields: &mut Fields<'_>, warnings: &mut Warnings) -> Read<Source> {
    let missing = fields.wrong("source", "it is missing");
    let mut source = fields.object("source")?.ok_or(missing)?;
    let read = match source.kind()?.as_str() {
        "base64" => Source::Data {
            media_type: source.needed_text("media_type")?,
            base64: source.needed_text("data")?,
        },
        "url" => Source::Url(source.needed_text("url")?),
        "text" => {
            source.take("media_type");
            Source::Text(source.needed_text("data")?)
        }
        "file" => return Err(source.wrong("file_id", "it names a file at another provider")),
        _ => return Err(source.wrong("source", "it has no counterpart")),
    };
    source.leave(warnings);
    Ok(read)
}
