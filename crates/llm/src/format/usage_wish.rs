//! Makes a stream of chat completions report its usage: `"stream_options": {"include_usage": true}`.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat/create>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

const FIELD: &str = "stream_options";
const WISH: &str = "include_usage";

/// The options by their names. Their values stay as they were written: what was judged is what is sent.
type Options<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The body with the wish; `None` if it has it already, or is no object with fields.
///
/// Other options of the client stay. A field that stands twice, or that a careless parser would take for this one,
/// gets the wish wherever it stands, so that none of them takes it back.
pub(super) fn with_usage(body: &Bytes) -> Option<Bytes> {
    let Fields(fields) = serde_json::from_slice(body).ok()?;
    let options = fields.iter().rev().find(|field| field.exact);
    let mut wanted: Options<'_> = options
        .and_then(|field| serde_json::from_str(field.value.get()).ok())
        .unwrap_or_default();
    let wish: &RawValue = serde_json::from_str("true").ok()?;
    let before = wanted.insert(WISH.into(), wish);
    if before.is_some_and(|it| it.get() == wish.get()) && fields.len() == 1 {
        return None;
    }
    let wanted = serde_json::to_string(&wanted).ok()?;
    let mut changed = BytesMut::with_capacity(body.len() + wanted.len() + FIELD.len() + 4);
    let mut from = 0;
    for field in &fields {
        let span = span(body, field.value);
        changed.put_slice(&body[from..span.start]);
        changed.put_slice(wanted.as_bytes());
        from = span.end;
    }
    if options.is_none() {
        // Of two fields nearly every parser takes the last one.
        let end = body.iter().rposition(|byte| *byte == b'}')?;
        changed.put_slice(&body[from..end]);
        changed.put_slice(format!(",\"{FIELD}\":{wanted}").as_bytes());
        from = end;
    }
    changed.put_slice(&body[from..]);
    Some(changed.freeze())
}

/// Where `value`, which is borrowed from `body`, stands in it.
fn span(body: &Bytes, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

/// The fields of an object that are the options, or look like them.
struct Fields<'a>(Vec<Field<'a>>);

struct Field<'a> {
    exact: bool,
    value: &'a RawValue,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        let upper = FIELD.to_uppercase();
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            // Upper case folds more than ASCII, as in parsers that ignore case.
            let folded = name.chars().flat_map(char::to_uppercase);
            if folded.eq(upper.chars()) {
                let exact = name == FIELD;
                fields.push(Field { exact, value });
            }
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn wished(body: &'static str) -> Option<String> {
        let changed = with_usage(&Bytes::from_static(body.as_bytes()))?;
        serde_json::from_slice::<Value>(&changed).expect("still JSON");
        Some(String::from_utf8(changed.to_vec()).expect("text"))
    }

    #[test]
    fn the_wish_is_added_and_every_other_byte_stays() {
        for (body, expected) in [
            (
                " {\"model\": \"a\" }\n",
                " {\"model\": \"a\" ,\"stream_options\":{\"include_usage\":true}}\n",
            ),
            (
                r#"{"a":1.50,"stream_options" : null,"b":"}"}"#,
                r#"{"a":1.50,"stream_options" : {"include_usage":true},"b":"}"}"#,
            ),
            (
                r#"{"stream_options":{"include_obfuscation":false,"include_usage":false},"a":2}"#,
                r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"a":2}"#,
            ),
        ] {
            assert_eq!(wished(body).as_deref(), Some(expected));
        }
    }

    /// By this name serde_json takes the text behind it for JSON; nobody else does.
    #[test]
    fn other_options_are_sent_as_they_were_judged() {
        let inner =
            r#"{"x":{"$serde_json::private::RawValue":"{\"file_id\":\"file-1\"}"},"y":1.50}"#;
        let body = format!(r#"{{"stream_options":{inner}}}"#);
        let changed = with_usage(&Bytes::from(body)).expect("it had no wish");
        let mut expected = format!(r#"{{"stream_options":{inner}"#);
        expected.insert_str(r#"{"stream_options":{"#.len(), r#""include_usage":true,"#);
        expected.push('}');
        assert_eq!(changed, expected);
    }

    #[test]
    fn who_has_the_wish_already_is_left_alone() {
        for body in [
            r#"{"stream_options":{"include_usage":true},"a":1}"#,
            r#"{"stream_options":{"x":1,"include_usage" : true}}"#,
        ] {
            assert_eq!(wished(body), None);
        }
    }

    #[test]
    fn no_second_field_takes_the_wish_back() {
        const WITH: &str = r#"{"include_usage":true}"#;
        for (body, expected) in [
            (
                r#"{"stream_options":{"include_usage":true},"stream_options":{}}"#,
                format!(r#"{{"stream_options":{WITH},"stream_options":{WITH}}}"#),
            ),
            (
                r#"{"stream_options":{"include_usage":true},"Stream_Options":{}}"#,
                format!(r#"{{"stream_options":{WITH},"Stream_Options":{WITH}}}"#),
            ),
            (
                r#"{"ſtream_options":7,"a":1}"#,
                format!(r#"{{"ſtream_options":{WITH},"a":1,"stream_options":{WITH}}}"#),
            ),
        ] {
            assert_eq!(wished(body), Some(expected));
        }
    }

    #[test]
    fn the_wish_spelled_with_escapes_is_seen() {
        let body = r#"{"\u0073tream_options":{"include_us\u0061ge":true}}"#;
        assert_eq!(wished(body), None);
    }
}
