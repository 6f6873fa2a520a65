//! The items of a conversation, as the client writes them in OpenAI's responses.

use serde_json::value::RawValue;

use crate::format::openai_responses::item;
use crate::neutral::{
    Fields, NotTranslatable, Part, Role, Source, Turn, Warnings, list, media_of, text,
    without_data_url,
};

type Read<T> = Result<T, NotTranslatable>;

/// Reads `input`. Items of the model that follow each other are one turn, as it spoke; so are the outcomes of its calls.
pub(super) fn read(input: &RawValue, turns: &mut Vec<Turn>, warnings: &mut Warnings) -> Read<()> {
    if let Some(text) = text(input) {
        turns.push(Turn::new(Role::User, vec![Part::Text(text)]));
        return Ok(());
    }
    let wrong = NotTranslatable::new("input", "it must be a text or a list");
    for raw in list(input).ok_or(wrong)? {
        let (role, parts) = one(raw, warnings)?;
        match turns.last_mut() {
            Some(turn) if belongs(turn, role, &parts) => turn.parts.extend(parts),
            _ => turns.push(Turn::new(role, parts)),
        }
    }
    Ok(())
}

fn belongs(turn: &Turn, role: Role, parts: &[Part]) -> bool {
    let outcomes = |parts: &[Part]| parts.iter().all(|it| matches!(it, Part::Outcome { .. }));
    turn.role == role && (role == Role::Assistant || (outcomes(&turn.parts) && outcomes(parts)))
}

fn one(raw: &RawValue, warnings: &mut Warnings) -> Read<(Role, Vec<Part>)> {
    let mut fields = Fields::of(raw, "input")?;
    let kind = fields.kind()?;
    let read = match kind.as_str() {
        "message" | "" => message(&mut fields, warnings)?,
        "function_call" => (Role::Assistant, vec![Part::Call(item::call(&mut fields)?)]),
        "function_call_output" => {
            for name in ["id", "status", "name", "namespace"] {
                fields.take(name);
            }
            let output = fields.take("output");
            let parts = output.map(|it| contents(it, warnings)).transpose()?;
            let outcome = Part::Outcome {
                call: fields.needed_text("call_id")?,
                parts: parts.unwrap_or_default(),
                failed: false,
            };
            (Role::User, vec![outcome])
        }
        "reasoning" => {
            let parts = item::thinking(&mut fields, warnings)?;
            (
                Role::Assistant,
                parts.into_iter().map(Part::Thinking).collect(),
            )
        }
        "item_reference" => {
            return Err(fields.wrong("id", "it names something at another provider"));
        }
        _ => return Err(fields.wrong("type", "an item has no counterpart")),
    };
    fields.leave(warnings);
    Ok(read)
}

fn message(fields: &mut Fields<'_>, warnings: &mut Warnings) -> Read<(Role, Vec<Part>)> {
    // Those of a message that the model wrote.
    fields.take("id");
    fields.take("status");
    let role = match fields.needed_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        _ => return Err(fields.wrong("role", "this role has no counterpart")),
    };
    let content = fields.take("content");
    let parts = content.map(|it| contents(it, warnings)).transpose()?;
    Ok((role, parts.unwrap_or_default()))
}

fn contents(content: &RawValue, warnings: &mut Warnings) -> Read<Vec<Part>> {
    if let Some(text) = text(content) {
        return Ok(vec![Part::Text(text)]);
    }
    let wrong = NotTranslatable::within("input", "content", "it must be a text or a list");
    let parts = list(content).ok_or(wrong)?;
    parts.into_iter().map(|raw| part(raw, warnings)).collect()
}

fn part(raw: &RawValue, warnings: &mut Warnings) -> Read<Part> {
    let mut fields = Fields::of(raw, "input")?;
    let kind = fields.kind()?;
    if fields.take("file_id").is_some() {
        return Err(fields.wrong("file_id", "it names a file at another provider"));
    }
    let part = match kind.as_str() {
        "input_text" | "text" => Part::Text(fields.needed_text("text")?),
        "output_text" => {
            // What citations say is said in the text, too; log-probabilities are no model's input.
            if fields.list("annotations")?.is_some_and(|it| !it.is_empty()) {
                warnings.dropped("annotations");
            }
            fields.take("logprobs");
            Part::Text(fields.needed_text("text")?)
        }
        "refusal" => Part::Refusal(fields.needed_text("refusal")?),
        "input_image" => Part::Image {
            source: without_data_url(&fields.needed_text("image_url")?),
            detail: fields.text("detail")?,
        },
        "input_file" => {
            let name = fields.text("filename")?;
            let source = match (fields.text("file_data")?, fields.text("file_url")?) {
                (Some(data), _) => match without_data_url(&data) {
                    Source::Url(base64) => Source::Data {
                        media_type: media_of(name.as_deref()).to_owned(),
                        base64,
                    },
                    source => source,
                },
                (None, Some(url)) => Source::Url(url),
                (None, None) => return Err(fields.wrong("file_data", "it is missing")),
            };
            Part::File { source, name }
        }
        _ => return Err(fields.wrong("content", "a part has no counterpart")),
    };
    fields.leave(warnings);
    Ok(part)
}
