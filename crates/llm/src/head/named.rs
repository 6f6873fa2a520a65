//! What a body names of what a provider keeps: files, stores of vectors, a conversation, a container, a cached prompt.
//!
//! They stand anywhere in a body, under names that mean the same in every format. What is the client's own business is
//! not looked through: the arguments of a tool may have a field of the same name.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{AnyWord, Checked, Word};
use crate::kept::id_in;

/// The most that is kept of the ids that one body names; what is named beyond them is the provider's to judge.
pub const MAX_NAMED: usize = 32;

/// What a field's value is, whose name is not known by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// An id, a list of ids, or an object that has one in `id`.
    Id,
    /// The client's own, whatever it is.
    Opaque,
    /// The kind of the object that the field stands in.
    Kind,
    Other,
}

impl Value {
    /// `is_top`: the field stands in the body itself.
    pub(super) fn of(name: &str, is_top: bool) -> Self {
        match name {
            "previous_response_id" | "conversation" if is_top => Self::Id,
            "container" | "file_id" | "file_ids" | "vector_store_id" | "vector_store_ids"
            | "input_file_id" | "training_file" | "validation_file" | "fileUri" | "file_uri"
            | "cachedContent" | "cached_content" => Self::Id,
            // Anthropic's and Gemini's arguments and results of tools.
            "input" if !is_top => Self::Opaque,
            "args" | "response" | "metadata" | "parameters" | "input_schema" => Self::Opaque,
            // What a model quoted, and what its search found: a conversation that is sent again has them.
            "annotations" | "results" => Self::Opaque,
            "type" => Self::Kind,
            _ => Self::Other,
        }
    }
}

/// Reads any value as [`Checked`] does, and keeps the ids that it names.
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

impl<'de> DeserializeSeed<'de> for Naming<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.value {
            Value::Opaque => Checked::JSON.deserialize(deserializer).map(drop),
            Value::Id | Value::Kind | Value::Other => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Naming<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        if self.value == Value::Id {
            self.keep(text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { named, value, .. } = self;
        while items
            .next_element_seed(Naming::new(named, value))?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self {
            named,
            value: within,
            is_top,
        } = self;
        let before = named.len();
        let mut is_output = None;
        while let Some((value, is_id)) = fields.next_key_seed(Name { is_top })? {
            let value = match within == Value::Id && is_id {
                true => Value::Id,
                false => value,
            };
            if value == Value::Kind {
                let is_one = fields.next_value_seed(OfOutput)?;
                // Said twice, it counts only where both agree: nobody knows which one a provider reads.
                is_output = Some(is_one && is_output.unwrap_or(true));
            } else {
                fields.next_value_seed(Naming::new(named, value))?;
            }
        }
        if is_output == Some(true) {
            // What a tool of the provider's made is told, not asked for.
            named.truncate(before);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads any value, and whether it is the kind of what a tool of Anthropic's made.
struct OfOutput;

impl<'de> DeserializeSeed<'de> for OfOutput {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        let word = AnyWord.deserialize(deserializer)?;
        Ok(matches!(word, Word::Text(kind) if kind.ends_with("_execution_output")))
    }
}

/// The name of a field: what its value is, and whether it is `id`.
struct Name {
    is_top: bool,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = (Value, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = (Value, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((Value::of(name, self.is_top), name == "id"))
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
    let mut parser = serde_json::Deserializer::from_slice(beginning);
    // An error says that it is cut off, or is no JSON at all.
    let read = Naming::body(&mut ids).deserialize(&mut parser);
    let is_object = beginning.trim_ascii_start().starts_with(b"{");
    Named {
        ids,
        is_all: read.is_ok() && is_object && parser.end().is_ok(),
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
        assert_eq!(named[31], "file-31");
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
