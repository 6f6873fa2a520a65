//! What a provider keeps for its clients: a response, a file, a batch. Under which id, its answers say; which of it a
//! request names, [`crate::head`] reads.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::sse::Decoder;

/// The longest id that is read, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The collections of Gemini's API of which prompts and batches name something.
const COLLECTIONS: [&str; 3] = ["files", "cachedContents", "batches"];
/// The longest name or URI that an id is taken from, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Ids of one answer that are read at most.
const MAX_IDS: usize = 32;
/// What an event with an item of a response has in its kind: it was begun, or is done.
const ITEM_EVENT: &[u8] = b"\"response.output_item.";

/// The ids under which the provider keeps what this answer tells of: the object's own, that of a file that it became,
/// those of a batch's files of results, and those of the items of a response. Of a stream they stand in its first event,
/// but for the items, which [`StreamedItems`] reads.
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
    let _ = Ids {
        found: &mut ids,
        of: Of::Answer,
    }
    .deserialize(&mut parser);
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

/// The ids of the items of a response that is streamed, from any pieces of it.
#[derive(Debug, Default)]
pub struct StreamedItems {
    decoder: Decoder,
    ids: Vec<String>,
}

impl StreamedItems {
    /// Reads on.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { decoder, ids } = self;
        // Behind a line that is too long no more is read.
        let _ = decoder.push(bytes, |event| {
            if memmem::find(event.data, ITEM_EVENT).is_none() {
                return;
            }
            let mut item = Vec::new();
            let mut parser = serde_json::Deserializer::from_slice(event.data);
            let _ = Ids {
                found: &mut item,
                of: Of::ItemEvent,
            }
            .deserialize(&mut parser);
            // Each is told when it begins and when it is done.
            item.retain(|id| !ids.contains(id));
            ids.extend(item);
            ids.truncate(MAX_IDS);
        });
    }

    /// What was found up to here, each once.
    pub fn ids(self) -> Vec<String> {
        self.ids
    }
}

/// Adds the ids in a value to others, up to [`MAX_IDS`]. What stands in it beside them is passed over.
struct Ids<'a> {
    found: &'a mut Vec<String>,
    of: Of,
}

/// What the value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// An answer, or a stream's first event.
    Answer,
    /// An object that an answer wraps.
    Wrapped,
    /// An event with an item of a response.
    ItemEvent,
    Items,
    Item,
}

impl Ids<'_> {
    /// The same of what stands inside.
    fn inside(&mut self, of: Of) -> Ids<'_> {
        Ids {
            found: self.found,
            of,
        }
    }

    fn add(&mut self, id: &str) {
        if self.found.len() < MAX_IDS {
            self.found.push(id.to_owned());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Ids<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.of {
            Of::Items => deserializer.deserialize_seq(self),
            _ => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Ids<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            Of::Items => "a list",
            _ => "a JSON object",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.inside(Of::Item))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Cow<'_, str>>()? {
            match (self.of, name.as_ref()) {
                (Of::ItemEvent, "item") => fields.next_value_seed(self.inside(Of::Item))?,
                (Of::Answer, "response" | "file") => {
                    fields.next_value_seed(self.inside(Of::Wrapped))?;
                }
                (Of::Answer | Of::Wrapped, "output") => {
                    fields.next_value_seed(self.inside(Of::Items))?;
                }
                (Of::Item, "id") => {
                    if let Some(id) = text(fields.next_value()?)
                        && is_id(&id)
                    {
                        self.add(&id);
                    }
                }
                (Of::Answer | Of::Wrapped, "id" | "output_file_id" | "error_file_id" | "name") => {
                    // Gemini's API has names in the place of ids; elsewhere a name is somebody's words.
                    if let Some(text) = text(fields.next_value()?)
                        && (name != "name" || text.contains('/'))
                        && let Some(id) = id_in(&text)
                    {
                        self.add(id);
                    }
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The text that a value is, if it is one, and not longer than any name.
fn text(value: &RawValue) -> Option<String> {
    // Written with an escape of six bytes for each, between quotes.
    let most = 6 * MAX_NAME_BYTES + 2;
    let is_one = value.get().starts_with('"') && value.get().len() <= most;
    is_one.then(|| serde_json::from_str(value.get()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_beginning_of_an_answer() {
        let response = r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"},{"type":"x","id":"rs_1"}],"error":null}"#;
        assert_eq!(
            made(response.as_bytes(), false),
            ["resp_1", "msg_1", "rs_1"]
        );
        // Cut off at each byte: the ids as soon as they are there, and nothing that is none.
        let behind = |id: &str| response.find(id).expect("it is there") + id.len();
        for end in 0..response.len() {
            let ids = made(&response.as_bytes()[..end], false);
            let there = ["resp_1\"", "msg_1\"", "rs_1\""]
                .iter()
                .filter(|id| behind(id) <= end)
                .count();
            assert_eq!(ids.len(), there, "{end}: {ids:?}");
        }
        let many: Vec<String> = (0..200).map(|n| format!(r#"{{"id":"msg_{n}"}}"#)).collect();
        let many = format!(r#"{{"output":[{}]}}"#, many.join(","));
        assert_eq!(made(many.as_bytes(), false).len(), MAX_IDS);
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

    #[test]
    fn items_of_a_stream_are_read_from_any_pieces_and_each_once() {
        let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n\
            data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"content\":[{\"id\":\"no\"}]}}\r\n\r\n\
            data: {\"type\":\"response.output_text.delta\",\"item_id\":\"no\",\"delta\":\"response.output_item.\"}\n\n\
            data: {\"item\":{\"type\":\"message\",\"id\":\"msg_1\"},\"type\":\"response.output_item.done\"}\n\n\
            data: {\"type\":\"response.output_item.done\",\"item\":{\"id\":\"a b\"}}\n\n\
            data: {\"type\":\"response.output_item.done\",\"item\":7}\n\n\
            data: {\"type\":\"response.output_item.done\",\"item\":{\"id\":\"rs_1\"}}\n\n";
        for size in 1..stream.len() {
            let mut items = StreamedItems::default();
            for piece in stream.as_bytes().chunks(size) {
                items.push(piece);
            }
            assert_eq!(items.ids(), ["msg_1", "rs_1"], "{size}");
        }
        let mut items = StreamedItems::default();
        for n in 0..200 {
            let event = format!(
                "data: {{\"type\":\"response.output_item.done\",\"item\":{{\"id\":\"msg_{n}\"}}}}\n\n"
            );
            items.push(event.as_bytes());
        }
        assert_eq!(items.ids().len(), MAX_IDS);
    }
}
