//! JSON text, written in the order in which it is built. Raw JSON stands in it byte for byte.

use std::fmt::Write as _;

use serde_json::Number;
use serde_json::value::RawValue;

use crate::json;

/// The text of one JSON value.
#[derive(Debug, Clone)]
pub(crate) struct Json(String);

/// The text of an object that is being built.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Json {
    pub(crate) const fn null() -> Self {
        Self(String::new())
    }

    pub(crate) fn as_str(&self) -> &str {
        match self.0.as_str() {
            "" => "null",
            text => text,
        }
    }
}

/// Most objects and lists need no more room than this while they are built.
const USUAL_BYTES: usize = 128;

impl Object {
    pub(crate) fn new() -> Self {
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push('{');
        Self(text)
    }

    /// An object that begins with its type.
    pub(crate) fn typed(kind: &str) -> Self {
        Self::new().with("type", kind)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_text(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(value.into().as_str());
        self
    }

    /// Adds the field if there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The object if it has a field.
    pub(crate) fn if_any(self) -> Option<Self> {
        (self.0.len() > 1).then_some(self)
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// The text in one line, as the data of an event must be: raw JSON may have been written in several. Within texts
    /// line breaks are escaped, so those that stand as they are mean nothing.
    pub(crate) fn line(self) -> String {
        let text = self.end();
        match text.contains(['\n', '\r']) {
            true => text.replace(['\n', '\r'], " "),
            false => text,
        }
    }
}

/// A list.
pub(crate) fn array(items: impl IntoIterator<Item = impl Into<Json>>) -> Json {
    let mut text = String::with_capacity(USUAL_BYTES);
    text.push('[');
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(item.into().as_str());
    }
    text.push(']');
    Json(text)
}

/// An empty list.
pub(crate) fn none() -> Json {
    Json("[]".to_owned())
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self(object.end())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        let mut json = String::with_capacity(text.len() + 2);
        push_text(&mut json, text);
        Self(json)
    }
}

/// Adds a text as JSON.
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at(json::plain(rest));
        json.push_str(plain);
        let mut after = after.chars();
        match after.next() {
            None => break,
            Some('"') => json.push_str("\\\""),
            Some('\\') => json.push_str("\\\\"),
            Some('\n') => json.push_str("\\n"),
            Some('\r') => json.push_str("\\r"),
            Some('\t') => json.push_str("\\t"),
            Some('\u{8}') => json.push_str("\\b"),
            Some('\u{c}') => json.push_str("\\f"),
            Some(control) => {
                write!(json, "\\u{:04x}", u32::from(control)).expect("a text has room")
            }
        }
        rest = after.as_str();
    }
    json.push('"');
}

impl From<&String> for Json {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<bool> for Json {
    fn from(it: bool) -> Self {
        Self(it.to_string())
    }
}

impl From<u64> for Json {
    fn from(it: u64) -> Self {
        Self(it.to_string())
    }
}

impl From<usize> for Json {
    fn from(it: usize) -> Self {
        Self(it.to_string())
    }
}

impl From<i64> for Json {
    fn from(it: i64) -> Self {
        Self(it.to_string())
    }
}

impl From<&Number> for Json {
    fn from(it: &Number) -> Self {
        Self(it.to_string())
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.get().to_owned())
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self::from(&*raw)
    }
}

impl From<&Box<RawValue>> for Json {
    fn from(raw: &Box<RawValue>) -> Self {
        Self::from(&**raw)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::null(), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_their_order_and_raw_json_as_it_was() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"z": 1.50, "a":"\u00e9"}"#).expect("JSON");
        let object = Object::typed("x")
            .with("raw", &raw)
            .maybe("absent", None::<bool>)
            .with("nothing", None::<bool>)
            .with("quote\"", array(["\n", "é"]));
        assert_eq!(
            object.end(),
            r#"{"type":"x","raw":{"z": 1.50, "a":"\u00e9"},"nothing":null,"quote\"":["\n","é"]}"#
        );
    }

    #[test]
    fn texts_are_written_as_a_serializer_does() {
        for text in [
            "",
            "plain",
            "é\u{2028}\u{7f}",
            "\"",
            "\\",
            "\n\t\0\u{1f}",
            "a\"b",
            " /",
        ] {
            let expected = serde_json::to_string(text).expect("JSON");
            assert_eq!(Json::from(text).as_str(), expected);
        }
    }
}
