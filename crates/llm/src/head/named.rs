//! What a body names of what a provider keeps: files, stores of vectors, a conversation and its items, a container, a
//! prompt.
//!
//! They stand anywhere in a body, under names that mean the same in every format. What is the client's own business is
//! not looked through: the arguments of a tool may have a field of the same name.

use crate::json::{Broken, Kind, Reader};
use crate::kept::{MAX_ID_BYTES, id_in};

/// The most that is kept of the ids that one body names; what is named beyond them is the provider's to judge.
///
/// Some clients send all of a conversation as references to its items, of which each turn makes a few.
pub const MAX_NAMED: usize = 256;

/// What a field's value is, whose name is not known by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// An id, a list of ids, or an object that has one in `id`.
    Id,
    /// The client's own, whatever it is.
    Opaque,
    /// The items that a response goes on from. Some are only named, by the id under which the provider keeps them.
    Items,
    /// A prompt that was stored at the provider has its id in `id`. A text is the prompt itself.
    Prompt,
    /// The kind of the object that the field stands in.
    Kind,
    Other,
}

impl Value {
    /// `is_top`: the field stands in the body itself.
    pub(super) fn of(name: &str, is_top: bool) -> Self {
        match name {
            "previous_response_id" | "conversation" if is_top => Self::Id,
            "input" | "items" if is_top => Self::Items,
            "prompt" if is_top => Self::Prompt,
            "container" | "file_id" | "file_ids" | "vector_store_id" | "vector_store_ids"
            | "input_file_id" | "training_file" | "validation_file" | "fileUri" | "file_uri"
            | "cachedContent" | "cached_content" => Self::Id,
            // Anthropic's and Gemini's arguments and results of tools.
            "input" => Self::Opaque,
            "args" | "response" | "metadata" | "parameters" | "input_schema" => Self::Opaque,
            // What a model quoted, and what its search found: a conversation that is sent again has them.
            "annotations" | "results" => Self::Opaque,
            "type" => Self::Kind,
            _ => Self::Other,
        }
    }
}

/// Reads any value, and keeps the ids that it names.
pub(super) struct Naming<'n> {
    named: &'n mut Vec<String>,
    value: Value,
    is_top: bool,
}

impl<'n> Naming<'n> {
    /// The value of a field, or the body.
    pub(super) fn new(named: &'n mut Vec<String>, value: Value) -> Self {
        Self {
            named,
            value,
            is_top: false,
        }
    }

    /// A whole body.
    pub(super) fn body(named: &'n mut Vec<String>) -> Self {
        Self {
            is_top: true,
            ..Self::new(named, Value::Other)
        }
    }

    fn keep(&mut self, text: &str) {
        if let Some(id) = id_in(text)
            && self.named.len() < MAX_NAMED
            && !self.named.iter().any(|named| named == id)
        {
            self.named.push(id.to_owned());
        }
    }
}

impl Naming<'_> {
    /// Says whether there is anything in the value.
    pub(super) fn read(mut self, reader: &mut Reader<'_>) -> Result<bool, Broken> {
        match (self.value, reader.kind()?) {
            (Value::Opaque, _) => {
                reader.skip()?;
                Ok(true)
            }
            (_, Kind::Object) => {
                self.read_object(reader)?;
                Ok(true)
            }
            (value, Kind::List) => {
                let mut has_any = false;
                reader.list(|reader| {
                    has_any = true;
                    Naming::new(self.named, value).read(reader).map(drop)
                })?;
                Ok(has_any)
            }
            (Value::Id, Kind::Text) => {
                let text = reader.text()?;
                self.keep(&text);
                Ok(!text.is_empty())
            }
            (_, Kind::Text | Kind::Number | Kind::Word) => {
                Ok(!matches!(reader.skip()?, b"\"\"" | b"null"))
            }
        }
    }

    fn read_object(self, reader: &mut Reader<'_>) -> Result<(), Broken> {
        let Self {
            named,
            value: within,
            is_top,
        } = self;
        let before = named.len();
        let mut is_output = None;
        let mut item = (within == Value::Items).then(Item::default);
        reader.object(|reader, name| {
            let field = Field::of(name);
            let says_id = field == Field::Id;
            let value = match within {
                Value::Id | Value::Prompt if says_id => Value::Id,
                _ => Value::of(name, is_top),
            };
            match &mut item {
                Some(item) if says_id => item.ids.extend(short_text(reader)?),
                _ if value == Value::Kind => {
                    let kind = Sort::read(reader)?;
                    // Said twice, it counts only where both agree: nobody knows which one a provider reads.
                    is_output = Some(kind == Sort::Output && is_output.unwrap_or(true));
                    if let Some(item) = &mut item {
                        item.kinds.push(kind);
                    }
                }
                _ => {
                    let has_any = Naming::new(named, value).read(reader)?;
                    if let Some(item) = &mut item {
                        item.has_thought |= has_any && field == Field::Thought;
                        item.has_more = true;
                    }
                }
            }
            Ok(())
        })?;
        if is_output == Some(true) {
            // What a tool of the provider's made is told, not asked for.
            named.truncate(before);
        }
        if let Some(item) = item.filter(Item::is_only_named) {
            let mut naming = Naming::new(named, Value::Id);
            item.ids.iter().for_each(|id| naming.keep(id));
        }
        Ok(())
    }
}

/// Reads any value. Gives the text that it is; what is longer than an id is none, and is not copied.
fn short_text(reader: &mut Reader<'_>) -> Result<Option<String>, Broken> {
    if reader.kind()? != Kind::Text {
        reader.skip()?;
        return Ok(None);
    }
    let text = reader.text()?;
    Ok((text.len() <= MAX_ID_BYTES).then(|| text.into_owned()))
}

/// One of the items that a response goes on from.
#[derive(Default)]
struct Item {
    ids: Vec<String>,
    kinds: Vec<Sort>,
    /// Whether it has what a model thought, readable or sealed.
    has_thought: bool,
    /// Whether it has anything beside its id and its kind.
    has_more: bool,
}

impl Item {
    /// Whether the provider must look up what the item is: it is a reference, which may leave that out and then has nothing
    /// but an id, or a model's reasoning without what was thought. Each kind counts that is said, for nobody knows which one
    /// a provider reads.
    fn is_only_named(&self) -> bool {
        let is = |kind| self.kinds.contains(&kind);
        let is_bare = !self.has_more && self.kinds.iter().all(|it| *it == Sort::Unsaid);
        is(Sort::Reference) || is_bare || is(Sort::Reasoning) && !self.has_thought
    }
}

/// What an object says that it is, as far as that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// What a tool of Anthropic's made.
    Output,
    /// An item of a conversation, by its id.
    Reference,
    /// What a model thought.
    Reasoning,
    /// `null`.
    Unsaid,
    Other,
}

impl Sort {
    /// Reads any value as the kind of an object.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        if reader.kind()? != Kind::Text {
            let is_unsaid = reader.skip()? == b"null";
            return Ok(if is_unsaid { Self::Unsaid } else { Self::Other });
        }
        Ok(match short_text(reader)?.as_deref() {
            Some(kind) if kind.ends_with("_execution_output") => Self::Output,
            Some("item_reference") => Self::Reference,
            Some("reasoning") => Self::Reasoning,
            Some(_) | None => Self::Other,
        })
    }
}

/// What a field is by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    /// What a model thought, of an item that is its reasoning.
    Thought,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "content" | "encrypted_content" => Self::Thought,
            _ => Self::Other,
        }
    }
}

/// The ids that a body names whose model nobody reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Each once, at most [`MAX_NAMED`].
    pub ids: Vec<String>,
    /// Whether all of the body was read: it is one object, as the standard has it. Providers may read on where this stops.
    pub is_all: bool,
}

/// The ids that a body names whose model nobody reads. What is not as it should be is read as far as it is, so the
/// beginning of a body is enough for what stands in it.
pub fn named(beginning: &[u8]) -> Named {
    let mut ids = Vec::new();
    let mut reader = Reader::new(beginning);
    // An error says that it is cut off, or is no JSON at all.
    let read = Naming::body(&mut ids).read(&mut reader);
    let is_object = beginning.trim_ascii_start().starts_with(b"{");
    Named {
        ids,
        is_all: read.is_ok() && is_object && reader.end().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{read, read_beside};

    #[test]
    fn files_in_prompts_are_found_in_every_format() {
        let chat = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"file_id"},
            {"type":"file","file":{"file_id":"file-1"}}]}]}"#;
        let responses = r#"{"model":"m","conversation":{"id":"conv_1","x":{"id":"no"}},"input":[{"role":"user","content":[
            {"type":"input_file","file_id":"file-1"},{"type":"input_image","file_id":"file-2"},
            {"type":"input_file","file_id":"file-1"}]}],"tools":[{"type":"file_search","vector_store_ids":["vs_1","vs_2"]},
            {"type":"code_interpreter","container":{"type":"auto","file_ids":["file-3"]}}],"previous_response_id":"resp_1"}"#;
        let messages = r#"{"model":"m","container":"container_1","messages":[{"role":"user","content":[
            {"type":"document","source":{"type":"file","file_id":"file_1"}},{"type":"container_upload","file_id":"file_2"},
            {"type":"tool_result","content":[{"type":"image","source":{"type":"file","file_id":"file_3"}}]}]}]}"#;
        for (body, named) in [
            (chat, &["file-1"][..]),
            (
                responses,
                &[
                    "conv_1", "file-1", "file-2", "vs_1", "vs_2", "file-3", "resp_1",
                ],
            ),
            (messages, &["container_1", "file_1", "file_2", "file_3"]),
            (r#"{"model":"m","conversation":"conv_2"}"#, &["conv_2"]),
            (
                r#"{"model":"m","x":{"\u0066ile_id":"file-1"}}"#,
                &["file-1"],
            ),
        ] {
            assert_eq!(read(body.as_bytes()).expect(body).named, named, "{body}");
        }
        let gemini = r#"{"cachedContent":"cachedContents/c1","contents":[{"parts":[
            {"fileData":{"mimeType":"a/b","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/f1"}},
            {"file_data":{"file_uri":"files/f2"}},{"fileData":{"fileUri":"https://youtu.be/x"}},
            {"fileData":{"fileUri":"https://example.com/files/x.pdf"}},
            {"fileData":{"fileUri":"gs://bucket/files/x/y.pdf"}}]}]}"#;
        let head = read_beside(gemini.as_bytes(), "m", true).expect("a body");
        assert_eq!(head.named, ["c1", "f1", "f2"]);
    }

    #[test]
    fn items_that_are_only_named_are_found() {
        for (item, is_named) in [
            (r#"{"type":"item_reference","id":"msg_1"}"#, true),
            (
                r#"{"id":"msg_1","type":"item_reference","status":null}"#,
                true,
            ),
            (r#"{"id":"msg_1"}"#, true),
            (r#"{"type":null,"id":"msg_1"}"#, true),
            (
                r#"{"type":"message","id":"msg_1","type":"item_reference"}"#,
                true,
            ),
            (r#"{"type":"reasoning","id":"msg_1","summary":[]}"#, true),
            (
                r#"{"id":"msg_1","type":"reasoning","summary":[],"encrypted_content":null,"content":[]}"#,
                true,
            ),
            (
                r#"{"type":"reasoning","id":"msg_1","summary":[],"encrypted_content":"x"}"#,
                false,
            ),
            (
                r#"{"type":"reasoning","id":"msg_1","content":[{"type":"reasoning_text","text":"x"}]}"#,
                false,
            ),
            (
                r#"{"type":"message","role":"assistant","id":"msg_1","content":[]}"#,
                false,
            ),
            (r#"{"role":"assistant","id":"msg_1","content":"x"}"#, false),
            (
                r#"{"type":"function_call","id":"msg_1","arguments":"{}"}"#,
                false,
            ),
            (r#"{"type":"item_reference","id":"a b"}"#, false),
            (r#"{"x":{"type":"item_reference","id":"msg_1"}}"#, false),
            (r#""item_reference""#, false),
            ("[1,2]", false),
        ] {
            let expected = if is_named { &["msg_1"][..] } else { &[] };
            let body = format!(r#"{{"model":"m","input":[{item}]}}"#);
            assert_eq!(
                read(body.as_bytes()).expect(&body).named,
                expected,
                "{body}"
            );
            let items = format!(r#"{{"items":[{item}]}}"#);
            assert_eq!(named(items.as_bytes()).ids, expected, "{items}");
        }
        let beside = r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"},{"type":"message","role":"user",
            "content":[{"type":"input_file","file_id":"file-1"}]},{"id":"rs_1","type":"item_reference"}]}"#;
        let head = read(beside.as_bytes()).expect("a body");
        assert_eq!(head.named, ["msg_1", "file-1", "rs_1"]);
    }

    #[test]
    fn a_stored_prompt_is_named_and_a_text_is_none() {
        for (body, expected) in [
            (
                r#"{"model":"m","prompt":{"id":"pmpt_1","version":"2","variables":{"id":"x"}}}"#,
                &["pmpt_1"][..],
            ),
            (
                r#"{"model":"m","prompt":{"id":"pmpt_1","variables":{"file":{"type":"input_file","file_id":"file-1"}}}}"#,
                &["pmpt_1", "file-1"],
            ),
            (r#"{"model":"m","prompt":"pmpt_1"}"#, &[]),
            (r#"{"model":"m","prompt":["pmpt_1"]}"#, &[]),
            (r#"{"model":"m","x":{"prompt":{"id":"pmpt_1"}}}"#, &[]),
        ] {
            assert_eq!(read(body.as_bytes()).expect(body).named, expected, "{body}");
        }
    }

    #[test]
    fn what_is_the_clients_own_names_nothing() {
        for rest in [
            r#""messages":[{"content":[{"type":"tool_use","input":{"file_id":"file-1"}}]}]"#,
            r#""tools":[{"function":{"parameters":{"properties":{"file_id":{"type":"string"}}}}}]"#,
            r#""tools":[{"input_schema":{"default":{"file_id":"file-1"}}}]"#,
            r#""metadata":{"file_id":"file-1"}"#,
            r#""contents":[{"parts":[{"functionCall":{"args":{"fileUri":"files/a"}}}]}]"#,
            r#""contents":[{"parts":[{"functionResponse":{"response":{"file_id":"a"}}}]}]"#,
            r#""messages":[{"content":"{\"file_id\":\"file-1\"}"}]"#,
            r#""file_id":7,"file_ids":[null,true,1.5,""],"conversation":null,"container":{}"#,
            r#""file_id":"a b","container":"[redacted]""#,
        ] {
            let body = format!(r#"{{"model":"m",{rest}}}"#);
            let none: [&str; 0] = [];
            assert_eq!(read(body.as_bytes()).expect(&body).named, none, "{body}");
            let beside = body.replace(r#""model":"m","#, "");
            let head = read_beside(beside.as_bytes(), "m", false).expect(&beside);
            assert_eq!(head.named, none, "{beside}");
        }
    }

    #[test]
    fn a_body_cannot_name_any_number() {
        let ids: Vec<String> = (0..1000).map(|n| format!(r#""file-{n}""#)).collect();
        let body = format!(r#"{{"model":"m","file_ids":[{}]}}"#, ids.join(","));
        let named = read(body.as_bytes()).expect("a body").named;
        assert_eq!(named.len(), MAX_NAMED);
        assert_eq!(named[MAX_NAMED - 1], format!("file-{}", MAX_NAMED - 1));
        let long = format!(r#"{{"model":"m","file_id":"{}"}}"#, "x".repeat(257));
        assert!(read(long.as_bytes()).expect("a body").named.is_empty());
    }

    #[test]
    fn what_is_looked_through_is_checked_all_the_same() {
        for rest in [
            r#""x":{"file_id":"\ud800"}"#,
            r#""x":{"file_id":1e400}"#,
            r#""x":{"file_ids":["a",]}"#,
            r#""metadata":{"a":"\ud800"}"#,
        ] {
            let body = format!(r#"{{"model":"m",{rest}}}"#);
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
        let deep = |n: usize| {
            format!(
                "{{\"model\":\"m\",\"x\":{}{}}}",
                "[".repeat(n),
                "]".repeat(n)
            )
        };
        assert!(read(deep(100).as_bytes()).is_ok());
        assert!(read(deep(200).as_bytes()).is_err());
    }

    #[test]
    fn the_beginning_of_an_unread_body_tells_what_stands_in_it() {
        let body =
            r#"{"input_file_id":"file-1","requests":[{"params":{"x":{"file_id":"file_2"}}},{"a":"#;
        let read = named(body.as_bytes());
        assert_eq!(read.ids, ["file-1", "file_2"]);
        assert!(!read.is_all);
        for none in ["", "[]", "null", "--b\r\n", r#"{"input_file_id":1}"#] {
            let read = named(none.as_bytes());
            assert!(read.ids.is_empty(), "{none}");
            assert_eq!(read.is_all, none.starts_with('{'), "{none}");
        }
    }

    #[test]
    fn only_what_everybody_reads_alike_was_read_to_its_end() {
        let deep = format!(
            r#"{{"x":{}1{},"file_id":"f"}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for body in [
            "\u{feff}{\"file_id\":\"f\"}",
            r#"{"x":NaN,"file_id":"f"}"#,
            r#"{"x":1e999,"file_id":"f"}"#,
            r#"{"x":"\ud800","file_id":"f"}"#,
            r#"{"x":1}{"file_id":"f"}"#,
            r#"[{"file_id":"f"}]"#,
            " ",
            &deep,
        ] {
            assert!(!named(body.as_bytes()).is_all, "{body}");
        }
        assert!(named(br#" {"file_id":"f"} "#).is_all);
    }

    #[test]
    fn what_a_provider_said_before_names_nothing() {
        let quoted = r#"{"model":"m","input":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x",
            "annotations":[{"type":"container_file_citation","file_id":"cfile_1"},{"type":"file_citation","file_id":"file-1"}]}]},
            {"type":"file_search_call","results":[{"file_id":"file-2"}]},{"role":"user","content":[{"type":"input_file",
            "file_id":"file-3"}]}]}"#;
        assert_eq!(read(quoted.as_bytes()).expect("a body").named, ["file-3"]);
        let made = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"bash_code_execution_tool_result",
            "content":{"type":"bash_code_execution_result","content":[{"file_id":"file_1","type":"bash_code_execution_output"}]}}]},
            {"role":"user","content":[{"type":"code_execution_output","type":"container_upload","file_id":"file_2"},
            {"type":"container_upload","file_id":"file_1"}]}]}"#;
        let head = read(made.as_bytes()).expect("a body");
        assert_eq!(head.named, ["file_2", "file_1"]);
    }
}
