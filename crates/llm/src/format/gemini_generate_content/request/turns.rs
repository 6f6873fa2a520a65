//! What was said, as the client writes it in Gemini's content.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::value::RawValue;

use super::read::Read;
use crate::format::gemini_generate_content::part::{call_arguments, think};
use crate::kept::is_at_google;
use crate::neutral::{
    Call, Carrier, Fields, NotTranslatable, Part, Role, Source, Turn, Warnings, text,
};
use crate::translate::call_name;

const CONTENTS: &str = "contents";

/// The calls up to here. Clients may leave ids out; then what a function returned belongs to its first call that is
/// still open.
#[derive(Default)]
pub(super) struct Calls {
    count: u64,
    /// The ids that calls have, the client's and those that are made up.
    known: HashSet<String>,
    answered: HashSet<String>,
    /// The calls of each function, in their order; some may be answered.
    open: HashMap<String, VecDeque<String>>,
    /// Those of them that the client gave no id.
    unnamed: HashMap<String, VecDeque<String>>,
}

impl Calls {
    /// A call of the function `name`. Returns its id.
    fn called(&mut self, name: &str, id: Option<String>) -> String {
        let id = id.unwrap_or_else(|| {
            let id = call_name(None, self.count);
            let unnamed = self.unnamed.entry(name.to_owned()).or_default();
            unnamed.push_back(id.clone());
            id
        });
        self.count += 1;
        self.known.insert(id.clone());
        // Clients use an id again.
        self.answered.remove(&id);
        let open = self.open.entry(name.to_owned()).or_default();
        open.push_back(id.clone());
        id
    }

    /// What the function `name` returned. Returns the call's id; `None`: there is no such call.
    fn answered(&mut self, name: &str, id: Option<String>) -> Option<String> {
        let calls = match id {
            Some(id) if self.known.contains(&id) => {
                self.answered.insert(id.clone());
                return Some(id);
            }
            // The client gave an id to what returned, but not to the call.
            Some(_) => self.unnamed.get_mut(name)?,
            None => self.open.get_mut(name)?,
        };
        loop {
            let id = calls.pop_front()?;
            if self.answered.insert(id.clone()) {
                return Some(id);
            }
        }
    }
}

/// The system's words.
pub(super) fn system(raw: &RawValue, warnings: &mut Warnings) -> Read<Turn> {
    if let Some(text) = text(raw) {
        return Ok(Turn::new(Role::System, vec![Part::Text(text)]));
    }
    let mut content = Fields::of(raw, "systemInstruction")?.in_camel_case();
    content.take("role");
    let mut parts = Vec::new();
    for raw in content.list("parts")?.unwrap_or_default() {
        let mut part = Fields::of(raw, "systemInstruction")?.in_camel_case();
        let text = part.text("text")?;
        let wrong = part.wrong("parts", "a system prompt is text");
        parts.push(Part::Text(text.ok_or(wrong)?));
        part.leave(warnings);
    }
    content.leave(warnings);
    Ok(Turn::new(Role::System, parts))
}

/// Adds a turn. Clients keep a streamed answer as one content for each of its chunks: contents of the model that follow
/// each other are one turn, and what was cut between two of them is one again.
pub(super) fn join(turns: &mut Vec<Turn>, next: Turn) {
    let last = turns.last_mut();
    let Some(before) = last.filter(|it| it.role == Role::Assistant && next.role == Role::Assistant)
    else {
        turns.push(next);
        return;
    };
    let mut parts = next.parts.into_iter();
    match parts.next() {
        Some(Part::Thinking(more)) => think(&mut before.parts, &more.text, more.proof),
        Some(Part::Text(more)) => match before.parts.last_mut() {
            Some(Part::Text(text)) => text.push_str(&more),
            _ => before.parts.push(Part::Text(more)),
        },
        first => before.parts.extend(first),
    }
    before.parts.extend(parts);
}

pub(super) fn turn(content: &RawValue, calls: &mut Calls, warnings: &mut Warnings) -> Read<Turn> {
    let mut fields = Fields::of(content, CONTENTS)?.in_camel_case();
    let role = match fields.text("role")?.as_deref() {
        None | Some("" | "user" | "function") => Role::User,
        Some("model") => Role::Assistant,
        Some(_) => return Err(fields.wrong("role", "this role has no counterpart")),
    };
    let mut parts = Vec::new();
    for raw in fields.list("parts")?.unwrap_or_default() {
        part(raw, role, calls, &mut parts, warnings)?;
    }
    fields.leave(warnings);
    Ok(Turn::new(role, parts))
}

/// What a part can be, each alone.
const KINDS: [&str; 9] = [
    "text",
    "inlineData",
    "functionCall",
    "functionResponse",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// Adds what a part says. The signature of a thought stands in the part that came after it.
fn part(
    raw: &RawValue,
    role: Role,
    calls: &mut Calls,
    parts: &mut Vec<Part>,
    warnings: &mut Warnings,
) -> Read<()> {
    let mut fields = Fields::of(raw, CONTENTS)?.in_camel_case();
    let kinds = KINDS.iter().filter(|it| fields.has(it));
    if kinds.count() > 1 {
        return Err(fields.wrong("parts", "a part is one thing"));
    }
    let is_model = role == Role::Assistant;
    let thought = fields.flag("thought")?.unwrap_or(false);
    let signature = fields.text("thoughtSignature")?.unwrap_or_default();
    let proof = Carrier::ThoughtSignature.read(&signature, "");
    if !is_model && (thought || proof.is_some()) {
        return Err(fields.wrong("thought", "only a model thinks"));
    }
    let words = fields.text("text")?;
    if thought {
        if KINDS.iter().any(|it| fields.has(it)) {
            return Err(fields.wrong("thought", "what is thought is text"));
        }
        think(parts, &words.unwrap_or_default(), proof);
        fields.leave(warnings);
        return Ok(());
    }
    think(parts, "", proof);
    if let Some(text) = words {
        // An empty one that carried a signature says nothing.
        if signature.is_empty() || !text.is_empty() {
            parts.push(Part::Text(text));
        }
    } else if let Some(call) = fields.object("functionCall")? {
        let mut call = call.in_camel_case();
        if !is_model {
            return Err(fields.wrong("functionCall", "only a model calls functions"));
        }
        if call.has("partialArgs") || call.flag("willContinue")? == Some(true) {
            return Err(fields.wrong("partialArgs", "a call is whole"));
        }
        let name = call.needed_text("name")?;
        let id = call.text("id")?.filter(|id| !id.is_empty());
        parts.push(Part::Call(Call {
            id: calls.called(&name, id),
            name,
            arguments: call_arguments(&mut call),
        }));
        call.leave(warnings);
    } else if let Some(outcome) = fields.object("functionResponse")? {
        if is_model {
            return Err(fields.wrong("functionResponse", "a model returns nothing"));
        }
        parts.push(returned(outcome.in_camel_case(), calls, warnings)?);
    } else if let Some(medium) = medium(&mut fields, warnings)? {
        if is_model {
            let why = "what a model drew or spoke has no counterpart";
            return Err(fields.wrong("inlineData", why));
        }
        parts.push(medium);
    } else if signature.is_empty() || KINDS.iter().any(|it| fields.has(it)) {
        return Err(fields.wrong("parts", "a part has no counterpart"));
    }
    fields.leave(warnings);
    Ok(())
}

/// Data in the part, or where it is.
fn medium(fields: &mut Fields<'_>, warnings: &mut Warnings) -> Read<Option<Part>> {
    if let Some(data) = fields.object("inlineData")? {
        let mut data = data.in_camel_case();
        let media_type = data.needed_text("mimeType")?;
        let base64 = standard(data.needed_text("data")?);
        let name = data.text("displayName")?;
        data.leave(warnings);
        let source = Source::Data {
            media_type: media_type.clone(),
            base64,
        };
        return of_kind(&media_type, source, name, warnings).map(Some);
    }
    let Some(file) = fields.object("fileData")? else {
        return Ok(None);
    };
    let mut file = file.in_camel_case();
    let address = file.needed_text("fileUri")?;
    if is_at_google(&address) || !address.starts_with("http") {
        return Err(file.wrong("fileUri", "it names a file at another provider"));
    }
    let media_type = file.needed_text("mimeType")?;
    let name = file.text("displayName")?;
    file.leave(warnings);
    of_kind(&media_type, Source::Url(address), name, warnings).map(Some)
}

fn of_kind(
    media_type: &str,
    source: Source,
    name: Option<String>,
    warnings: &mut Warnings,
) -> Read<Part> {
    if media_type.starts_with("image/") {
        if name.is_some() {
            warnings.dropped("name");
        }
        let detail = None;
        return Ok(Part::Image { source, detail });
    }
    if media_type == "application/pdf" || media_type.starts_with("text/") {
        return Ok(Part::File { source, name });
    }
    let why = "of media only images, PDFs and texts have a counterpart";
    Err(NotTranslatable::within(CONTENTS, "mimeType", why))
}

/// Base64 in the alphabet that other formats take: Google's libraries write the other one as well.
fn standard(base64: String) -> String {
    if base64.contains(['-', '_']) {
        return base64.replace('-', "+").replace('_', "/");
    }
    base64
}

/// What a function returned. Alone, `output` is all of it and `error` says that it failed; else the whole object is.
fn returned(mut fields: Fields<'_>, calls: &mut Calls, warnings: &mut Warnings) -> Read<Part> {
    let name = fields.needed_text("name")?;
    let id = fields.text("id")?.filter(|id| !id.is_empty());
    let unknown = fields.wrong("functionResponse", "it belongs to no call");
    let call = calls.answered(&name, id).ok_or(unknown)?;
    let (said, failed) = match fields.take("response") {
        Some(response) => {
            let mut alone = Fields::of(response, CONTENTS)?;
            let output = alone.take("output").and_then(text);
            let error = alone.take("error").and_then(text);
            match (output, error, alone.rest().as_slice()) {
                (Some(output), None, []) => (output, false),
                (None, Some(error), []) => (error, true),
                _ => (response.get().to_owned(), false),
            }
        }
        None => (String::new(), false),
    };
    let mut parts = vec![Part::Text(said)];
    for raw in fields.list("parts")?.unwrap_or_default() {
        let mut part = Fields::of(raw, CONTENTS)?.in_camel_case();
        let missing = part.wrong("functionResponse", "a part has no counterpart");
        parts.push(medium(&mut part, warnings)?.ok_or(missing)?);
        part.leave(warnings);
    }
    if fields.flag("willContinue")? == Some(true) {
        return Err(fields.wrong("willContinue", "it has no counterpart"));
    }
    fields.leave(warnings);
    Ok(Part::Outcome {
        call,
        parts,
        failed,
    })
}
