//! Takes JSON apart that was judged already, without judging it again: a text is passed over once for each level that is
//! taken apart, not read.

use std::borrow::Cow;
use std::iter;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde_json::value::RawValue;

use super::Reader;
use super::scan::{NESTS, string_end};

/// A document as raw JSON; `None`: it is none.
pub(crate) fn whole(document: &[u8]) -> Option<&RawValue> {
    let mut reader = Reader::new(document);
    let value = reader.skip().ok().filter(|_| reader.end().is_ok());
    match value.and_then(|value| simdutf8::basic::from_utf8(value).ok()) {
        Some(value) => raw(value),
        // Providers may write escapes that mean no character. As long as nobody reads that text, it may be.
        None => serde_json::from_slice(document).ok(),
    }
}

/// The fields of an object in their order; `None`: it is none, or has a name that means no text.
pub(crate) fn fields(object: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut rest = inside(object.get(), '{', '}')?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let name = value(&mut rest)?;
        rest = rest.trim_ascii_start().strip_prefix(':')?;
        let value = value(&mut rest)?;
        fields.push((text(name)?, raw(value)?));
        next(&mut rest)?;
    }
    Some(fields)
}

/// The items of a list; `None`: it is none.
pub(crate) fn items(list: &RawValue) -> Option<Vec<&RawValue>> {
    let mut rest = inside(list.get(), '[', ']')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        items.push(raw(value(&mut rest)?)?);
        next(&mut rest)?;
    }
    Some(items)
}

/// What a text says; `None`: it is none, or has an escape that means no character.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.trim_ascii().strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

/// What stands between the brackets, from its first value on.
fn inside(json: &str, open: char, close: char) -> Option<&str> {
    let inner = json.trim_ascii().strip_prefix(open)?.strip_suffix(close)?;
    Some(inner.trim_ascii())
}

/// Passes over the comma between two values, if one more follows.
fn next(rest: &mut &str) -> Option<()> {
    *rest = rest.trim_ascii_start();
    if !rest.is_empty() {
        *rest = rest.strip_prefix(',')?;
    }
    Some(())
}

/// Takes the next value off.
fn value<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let json = rest.trim_ascii_start();
    let value;
    (value, *rest) = json.split_at_checked(length(json.as_bytes())?)?;
    Some(value)
}

/// How long the value is that begins here.
fn length(json: &[u8]) -> Option<usize> {
    match json.first()? {
        b'"' => string_end(&json[1..]).map(|end| 1 + end + 1),
        b'{' | b'[' => nested_length(json),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b' ' | b'\t' | b'\n' | b'\r');
            Some(json.iter().position(ends).unwrap_or(json.len()))
        }
    }
}

fn nested_length(json: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let nests = |byte: &u8| NESTS[usize::from(*byte)];
        at += json[at..].iter().position(nests)?;
        match json[at] {
            b'"' => at += 1 + string_end(&json[at + 1..])?,
            b'{' | b'[' => depth += 1,
            _ => depth = depth.checked_sub(1)?,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// What is JSON already, as raw JSON.
///
/// `serde_json` has no way to say that which does not read it all once more. So this hands it over as its own parser does
/// when it has read it; should a later version do that in another way, it is read once more.
fn raw(json: &str) -> Option<&RawValue> {
    let parsed = iter::once((TOKEN, BorrowedStrDeserializer::<Error>::new(json)));
    let raw = <&RawValue>::deserialize(MapDeserializer::new(parsed));
    raw.ok().or_else(|| serde_json::from_str(json).ok())
}

/// How its parser calls raw JSON.
const TOKEN: &str = "$serde_json::private::RawValue";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn raw_json_is_not_read_once_more() {
        // Only what is not read can be no JSON.
        assert_eq!(raw("no JSON").map(RawValue::get), Some("no JSON"));
    }

    #[test]
    fn each_value_is_taken_as_it_is_written() {
        let object =
            r#" {"a" : {"b":[1,"]"]} ,"\u0061":"x,\"}", "n":-1.5e3 , "t": true,"":[ ],"e":null } "#;
        let fields = fields(json(object)).expect("an object");
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, value.get()))
            .collect();
        assert_eq!(
            fields,
            [
                ("a", r#"{"b":[1,"]"]}"#),
                ("a", r#""x,\"}""#),
                ("n", "-1.5e3"),
                ("t", "true"),
                ("", "[ ]"),
                ("e", "null")
            ]
        );
        let items = items(json(r#"[ {"a":[]},"\\",3 , [[]],"é" ]"#)).expect("a list");
        let items: Vec<_> = items.iter().map(|item| item.get()).collect();
        assert_eq!(items, [r#"{"a":[]}"#, r#""\\""#, "3", "[[]]", "\"é\""]);
    }

    #[test]
    fn a_document_is_taken_as_a_parser_takes_it() {
        let deep = ["[".repeat(300), "]".repeat(300)].concat();
        for text in [
            "{}",
            " \n[1, 2] ",
            r#"{"a":"\ud800"}"#,
            "\"é\"",
            &deep,
            "",
            "{",
            "1 2",
            "\u{feff}{}",
            "{\"a\":1,}",
        ] {
            let expected: Option<&RawValue> = serde_json::from_str(text).ok();
            assert_eq!(
                whole(text.as_bytes()).map(RawValue::get),
                expected.map(RawValue::get),
                "{text}"
            );
        }
        assert!(whole(b"\"\xff\"").is_none());
    }

    #[test]
    fn nothing_stands_in_what_is_empty() {
        assert_eq!(fields(json("{ }")).map(|it| it.len()), Some(0));
        assert_eq!(items(json("[]")).map(|it| it.len()), Some(0));
    }

    #[test]
    fn another_kind_of_value_has_no_parts() {
        for text in ["[]", "1", "\"{}\"", "null"] {
            assert!(fields(json(text)).is_none(), "{text}");
        }
        for text in ["{}", "1", "\"[]\"", "null"] {
            assert!(items(json(text)).is_none(), "{text}");
        }
        for text in ["{}", "1", "null", r#""\ud800""#] {
            assert_eq!(super::text(text), None, "{text}");
        }
        assert!(fields(json(r#"{"\ud800":1}"#)).is_none());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\\PC\"\\\\\n{}\\[\\],:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\é]{0,3}", inner, 0..5)
                    .prop_map(|it| it.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_parts_are_those_that_a_parser_finds(value in values(), is_pretty: bool) {
            let written = match is_pretty {
                true => serde_json::to_string_pretty(&value),
                false => serde_json::to_string(&value),
            };
            let written = written.expect("JSON");
            let raw = json(&written);
            let expected: Option<HashMap<String, &RawValue>> = serde_json::from_str(&written).ok();
            let expected = expected.map(|it| it.into_iter().map(|(name, value)| (name, value.get())).collect());
            let found = fields(raw);
            let found: Option<HashMap<_, _>> =
                found.map(|it| it.into_iter().map(|(name, value)| (name.into_owned(), value.get())).collect());
            prop_assert_eq!(found, expected);
            let expected: Option<Vec<&RawValue>> = serde_json::from_str(&written).ok();
            let texts = |it: Vec<&RawValue>| -> Vec<String> { it.iter().map(|it| it.get().to_owned()).collect() };
            prop_assert_eq!(items(raw).map(texts), expected.map(texts));
            let expected: Option<String> = serde_json::from_str(&written).ok();
            prop_assert_eq!(text(&written).map(Cow::into_owned), expected);
        }
    }
}
