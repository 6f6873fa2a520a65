//! What a provider keeps for its clients: a response, a file, a batch. Under which id, its answers say; which of it a
//! request names, [`crate::head`] reads.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::head::{AnyWord, Word};

/// The longest id that is read, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The collections of Gemini's API of which prompts and batches name something.
const COLLECTIONS: [&str; 3] = ["files", "cachedContents", "batches"];
/// The longest name or URI that an id is taken from, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Ids of one answer that are read at most.
const MAX_IDS: usize = 8;

/// The ids under which the provider keeps what this answer tells of: the object's own, that of a file that it became,
/// and those of a batch's files of results. Of a stream they stand in its first event.
///
/// The beginning of an answer is enough if the ids stand in it; what is not as it should be is read as far as it is.
pub fn made(beginning: &[u8], is_stream: bool) -> Vec<String> {
    let mut ids = Vec::new();
    let object = match is_stream {
        true => first_data(beginning),
        false => beginning,
    };
    let mut parser = serde_json::Deserializer::from_slice(object);
    // An error says that it is cut off, or is no object at all.
    let _ = parser.deserialize_map(Object {
        ids: &mut ids,
        is_top: true,
    });
    ids
}

/// Whether a text can be such an id. None has a bracket, and what stands in the place of a removed secret has.
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'[';
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// The id in a text that names something: the text itself, or what stands behind the collection in the name or the URI that
/// Gemini's API has for it (`files/abc`, `https://.../v1beta/files/abc`). Another address names what lies anywhere.
pub fn id_in(text: &str) -> Option<&str> {
    if text.len() > MAX_NAME_BYTES {
        return None;
    }
    let text = text.trim_end_matches('/');
    let id = match text.rsplit_once('/') {
        None => text,
        Some((before, id)) => {
            let mut segments = before.rsplit('/').filter(|it| !it.is_empty());
            let collection = segments.next()?;
            let is_version = |segment: &str| segment.starts_with("v1");
            let is_theirs = match text.split_once("://") {
                None => true,
                Some((scheme, _)) => {
                    scheme.starts_with("http") && segments.next().is_some_and(is_version)
                }
            };
            (is_theirs && COLLECTIONS.contains(&collection)).then_some(id)?
        }
    };
    is_id(id).then_some(id)
}

/// Whether an address names what Google keeps for a key, rather than what lies anywhere.
pub(crate) fn is_at_google(address: &str) -> bool {
    address.starts_with("gs://")
        || address.contains("generativelanguage.googleapis.com")
        || id_in(address).is_some()
}

/// The data of a stream's first event that has some, as far as it is there.
fn first_data(stream: &[u8]) -> &[u8] {
    let mut lines = stream.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines
        .find_map(|line| line.strip_prefix(b"data:"))
        .unwrap_or_default()
}

struct Object<'a> {
    ids: &'a mut Vec<String>,
    is_top: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<std::borrow::Cow<'_, str>>()? {
            match name.as_ref() {
                "id" | "output_file_id" | "error_file_id" => {
                    if let Word::Text(text) = fields.next_value_seed(AnyWord)?
                        && let Some(id) = id_in(&text)
                        && self.ids.len() < MAX_IDS
                    {
                        self.ids.push(id.to_owned());
                    }
                }
                // Gemini's API has names in the place of ids.
                "name" => {
                    if let Word::Text(name) = fields.next_value_seed(AnyWord)?
                        && name.contains('/')
                        && let Some(id) = id_in(&name)
                        && self.ids.len() < MAX_IDS
                    {
                        self.ids.push(id.to_owned());
                    }
                }
                "response" | "file" if self.is_top => fields.next_value_seed(Object {
                    ids: self.ids,
                    is_top: false,
                })?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_beginning_of_an_answer() {
        let response =
            r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"}],"error":null}"#;
        assert_eq!(made(response.as_bytes(), false), ["resp_1"]);
        // Cut off at each byte: the id as soon as it is there, and nothing that is none.
        for end in 0..response.len() {
            let ids = made(&response.as_bytes()[..end], false);
            assert!(ids.is_empty() == (end < 14), "{end}: {ids:?}");
        }
        let batch = br#"{"id":"batch_1","errors":{"data":[{"id":"no"}]},"output_file_id":"file-2","error_file_id":null}"#;
        assert_eq!(made(batch, false), ["batch_1", "file-2"]);
        let upload = br#"{"id":"upload_1","file":{"id":"file-3","file":{"id":"no"}}}"#;
        assert_eq!(made(upload, false), ["upload_1", "file-3"]);
        let cached = br#"{"name":"cachedContents/c1","model":"models/m","displayName":"files/no"}"#;
        assert_eq!(made(cached, false), ["c1"]);
        let file = br#"{"id":"files/f1","object":"file","name":"report"}"#;
        assert_eq!(made(file, false), ["f1"]);
        for nothing in [
            "",
            "[]",
            "{",
            "null",
            r#"{"id":7}"#,
            r#"{"id":""}"#,
            r#"{"id":"a b"}"#,
        ] {
            assert!(made(nothing.as_bytes(), false).is_empty(), "{nothing}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        assert!(made(long.as_bytes(), false).is_empty());
    }

    #[test]
    fn ids_are_read_from_the_first_event_of_a_stream() {
        let stream = "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"instructions\":\"lo";
        assert_eq!(made(stream.as_bytes(), true), ["resp_1"]);
        let other = "data: {\"type\":\"x\"}\n\ndata: {\"response\":{\"id\":\"no\"}}\n\n";
        assert!(made(other.as_bytes(), true).is_empty());
        assert!(made(b": nothing\n\n", true).is_empty());
    }
}
