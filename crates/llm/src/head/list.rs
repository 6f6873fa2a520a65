//! The models that a request names beside the first: `models`, to turn to when those before fail.
//!
//! The list is for us. It is taken out of the body, so that no gateway behind us makes a choice of its own by it.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Head, HeadError, checked_model, found, head_of, span};

/// The most names in `models`.
pub const MAX_MODELS: usize = 8;

/// A request body that may have named several models, as [`super::read`] reads one that names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The body without `models`; every other byte stays as it was. Where there was no `model`, the first of the list
    /// stands in its place.
    pub body: Bytes,
    /// The head of that body.
    pub head: Head,
    /// The names to turn to after the head's, in their order, each once.
    pub others: Vec<String>,
}

/// Reads a request body that names a model, or several in `models`, or both.
///
/// `null` in the place of the list means that there is none. A name of the list that `model` has, too, is tried once.
///
/// # Errors
/// As [`super::read`], and [`HeadError::Models`] for a list that is none of 1 to [`MAX_MODELS`] names, each once.
pub fn read_listed(body: Bytes) -> Result<Listed, HeadError> {
    let found = found(&body)?;
    let mut others = match found.models {
        None => Vec::new(),
        Some(raw) => names(raw)?,
    };
    let Some(raw) = found.models.filter(|_| !others.is_empty()) else {
        let head = head_of(&found, &body)?;
        return Ok(Listed { body, head, others });
    };
    let written = match found.model {
        Some(_) => String::new(),
        None => format!("\"model\":{}", serde_json::Value::from(others[0].as_str())),
    };
    let cut = place(raw, &body, found.model.is_some());
    let body = replaced(&body, cut, &written);
    let head = super::read(&body)?;
    others.retain(|name| *name != head.model);
    Ok(Listed { body, head, others })
}

/// The body with `text` in the place of what stands in `cut`.
pub(super) fn replaced(body: &[u8], cut: Range<usize>, text: &str) -> Bytes {
    let mut changed = BytesMut::with_capacity(body.len() + text.len());
    changed.put_slice(&body[..cut.start]);
    changed.put_slice(text.as_bytes());
    changed.put_slice(&body[cut.end..]);
    changed.freeze()
}

/// The names in the list; empty: there is no list.
pub(super) fn names(raw: &[u8]) -> Result<Vec<String>, HeadError> {
    let names = serde_json::from_slice::<Option<Vec<String>>>(raw);
    let Some(names) = names.map_err(|_| HeadError::Models)? else {
        return Ok(Vec::new());
    };
    check_models(&names)?;
    Ok(names)
}

/// Whether this may stand in `models`.
///
/// # Errors
/// [`HeadError::Models`] if it is none of 1 to [`MAX_MODELS`] names, each once.
pub fn check_models(names: &[String]) -> Result<(), HeadError> {
    let twice = |(at, name): (usize, &String)| names[..at].contains(name);
    if names.is_empty() || names.len() > MAX_MODELS || names.iter().enumerate().any(twice) {
        return Err(HeadError::Models);
    }
    for name in names {
        checked_model(name).map_err(|_| HeadError::Models)?;
    }
    Ok(())
}

/// Where the field of this value stands in `body`, with a comma of its own if `others` are there.
pub(super) fn place(raw: &[u8], body: &[u8], others: bool) -> Range<usize> {
    let value = span(raw, body);
    // The name may be escaped, but it holds no quote.
    let before_colon = body[..value.start].iter().rposition(|byte| *byte == b':');
    let quotes = body[..before_colon.unwrap_or(0)].trim_ascii_end().len();
    let opening = body[..quotes.saturating_sub(1)]
        .iter()
        .rposition(|byte| *byte == b'"');
    let start = opening.unwrap_or(value.start);
    if !others {
        return start..value.end;
    }
    let space = body[value.end..].len() - body[value.end..].trim_ascii_start().len();
    if body.get(value.end + space) == Some(&b',') {
        return start..value.end + space + 1;
    }
    // It is the last one: the comma before it goes.
    start.min(body[..start].trim_ascii_end().len().saturating_sub(1))..value.end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(body: &str) -> Result<Listed, HeadError> {
        read_listed(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn the_list_is_taken_out_and_every_other_byte_stays() {
        for (body, rest, first, others) in [
            (r#"{"model":"a"}"#, r#"{"model":"a"}"#, "a", &[][..]),
            (
                r#"{"model":"a","models":["b","c"],"n":1}"#,
                r#"{"model":"a","n":1}"#,
                "a",
                &["b", "c"],
            ),
            (
                r#"{"models":["b"] , "model" : "a" }"#,
                r#"{ "model" : "a" }"#,
                "a",
                &["b"],
            ),
            (
                r#"{ "model":"a" , "models" : [ "b" ] }"#,
                r#"{ "model":"a"  }"#,
                "a",
                &["b"],
            ),
            (
                r#"{"x":[1, 2],"models":["b","c"],"y":"models"}"#,
                r#"{"x":[1, 2],"model":"b","y":"models"}"#,
                "b",
                &["c"],
            ),
            (r#"{"models":["b"]}"#, r#"{"model":"b"}"#, "b", &[]),
            (
                r#"{"mod\u0065ls":["\u0062","a"],"model":"a","z":{"models":[]}}"#,
                r#"{"model":"a","z":{"models":[]}}"#,
                "a",
                &["b"],
            ),
            (r#"{"models":["é\"x"]}"#, r#"{"model":"é\"x"}"#, "é\"x", &[]),
            (
                r#"{"model":"a","models":null}"#,
                r#"{"model":"a","models":null}"#,
                "a",
                &[],
            ),
        ] {
            let listed = listed(body).expect(body);
            assert_eq!(str::from_utf8(&listed.body), Ok(rest), "{body}");
            assert_eq!(
                (listed.head.model.as_str(), &listed.others[..]),
                (
                    first,
                    &others.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..]
                ),
                "{body}"
            );
            assert_eq!(
                listed.head,
                super::super::read(rest.as_bytes()).expect(rest)
            );
        }
    }

    #[test]
    fn a_list_is_one_of_names_or_refused() {
        let long = format!(r#"["{}"]"#, "m".repeat(257));
        let nine = r#"["1","2","3","4","5","6","7","8","9"]"#;
        for list in [
            "[]",
            r#""a""#,
            r#"{"a":1}"#,
            "[1]",
            "[null]",
            r#"[""]"#,
            r#"["a","a"]"#,
            r#"["a\n"]"#,
            "true",
            &long,
            nine,
        ] {
            for body in [
                format!(r#"{{"models":{list}}}"#),
                format!(r#"{{"model":"m","models":{list}}}"#),
            ] {
                assert_eq!(listed(&body), Err(HeadError::Models), "{body}");
            }
        }
        let eight = format!(
            r#"{{"model":"m","models":{}}}"#,
            nine.replace(r#","9""#, "")
        );
        assert_eq!(listed(&eight).map(|it| it.others.len()), Ok(8));
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (body, error) in [
            (
                r#"{"models":["a"],"models":["b"]}"#,
                HeadError::Repeated("models"),
            ),
            (
                r#"{"model":"a","models":null,"models":["b"]}"#,
                HeadError::Repeated("models"),
            ),
            (r#"{"model":"a","Models":["b"]}"#, HeadError::Case("models")),
            (
                r#"{"model":"a","model\u017f":["b"]}"#,
                HeadError::Case("models"),
            ),
            (r#"{"models":null}"#, HeadError::ModelMissing),
            (r#"{"model":7,"models":["b"]}"#, HeadError::Model),
            (r#"{"stream":1,"models":["b"]}"#, HeadError::Stream),
        ] {
            assert_eq!(listed(body), Err(error), "{body}");
        }
        assert_eq!(HeadError::Models.field(), Some("models"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_left_is_what_was_there_without_the_list(
            before in "[ \t\r\n]{0,3}",
            after in "[ \t\r\n]{0,3}",
            place in 0_usize..3,
            with_model: bool,
        ) {
            let mut fields = vec![r#""a":"models""#.to_owned(), r#""b":[":",","]"#.to_owned()];
            if with_model {
                fields.insert(1, r#""model":"m""#.to_owned());
            }
            let list = format!(r#"{before}"models"{before}:{after}["x","y"]{after}"#);
            fields.insert(place.min(fields.len()), list);
            let body = format!("{{{}}}", fields.join(","));
            let read = listed(&body).expect("a request");
            let value = |text: &[u8]| -> serde_json::Map<String, serde_json::Value> {
                serde_json::from_slice(text).expect("an object")
            };
            let mut expected = value(body.as_bytes());
            expected.remove("models");
            expected.entry("model").or_insert("x".into());
            proptest::prop_assert_eq!(value(&read.body), expected);
        }
    }
}
