//! Metering a JSON body on its way: of the whole body only the value of the top-level `usage` is kept, and its
//! generated text is counted.

use domain::Usage;
use serde_json::value::RawValue;

use super::Metered;
use super::text::{Shape, Tally, TextCounter};
use crate::format::UsageTap;

/// A longer report is not read. Real ones have a few hundred bytes.
pub(crate) const MAX_REPORT_BYTES: usize = 64 * 1024;

const NAME: &[u8] = b"usage";

/// Finds the one top-level field `usage` and hands its value to the format's reader.
///
/// It looks only at strings and brackets, as much as it takes to know what is top-level. A body that is cut
/// off, names the field twice or reports at too great length reports nothing.
pub(crate) struct BodyTap {
    place: Place,
    /// How many objects and lists are open.
    depth: u64,
    in_string: bool,
    /// The byte before was a backslash in a string.
    escaped: bool,
    /// How much of [`NAME`] the field's name is so far; `None`: it is another name.
    named: Option<usize>,
    /// Whether the current value is the report.
    keeping: bool,
    report: Option<Vec<u8>>,
    read: fn(&RawValue) -> Option<Usage>,
    counter: TextCounter,
    tally: Tally,
}

/// Where in the body the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the object.
    Before,
    /// In the object, where a field's name or the end is due.
    Name,
    /// Between a field's name and its colon.
    Colon,
    /// In a field's value.
    Value,
    /// Behind the object.
    Behind,
    /// Nothing can be reported any more.
    Lost,
}

impl BodyTap {
    /// `read` reads the report; `shape` says where the body has its generated text.
    pub(crate) fn new(read: fn(&RawValue) -> Option<Usage>, shape: &'static Shape) -> Self {
        Self {
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            named: None,
            keeping: false,
            report: None,
            read,
            counter: TextCounter::new(shape),
            tally: Tally::default(),
        }
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            self.inside_string(byte);
            return;
        }
        match (self.place, byte) {
            (Place::Lost, _) => {}
            (Place::Value, b',') if self.depth == 1 => self.place = Place::Name,
            (Place::Name | Place::Value, b'}') if self.depth == 1 => {
                self.depth = 0;
                self.place = Place::Behind;
            }
            (Place::Value, _) => {
                self.keep(byte);
                self.inside_value(byte);
            }
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (Place::Before, b'{') => {
                self.depth = 1;
                self.place = Place::Name;
            }
            (Place::Name, b'"') => {
                self.in_string = true;
                self.named = Some(0);
            }
            (Place::Colon, b':') => self.value_begins(),
            _ => self.lose(),
        }
    }

    fn inside_string(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            if self.place == Place::Name {
                self.place = Place::Colon;
            }
            return;
        }
        // A name that is spelled with escapes is another name.
        let at = self.named.filter(|at| NAME.get(*at) == Some(&byte));
        self.named = at.map(|at| at + 1);
    }

    fn inside_value(&mut self, byte: u8) {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            b'}' | b']' => self.lose(),
            _ => {}
        }
    }

    fn value_begins(&mut self) {
        self.place = Place::Value;
        self.keeping = self.named == Some(NAME.len());
        if !self.keeping {
            return;
        }
        if self.report.is_some() {
            self.lose();
        } else {
            self.report = Some(Vec::new());
        }
    }

    fn keep(&mut self, byte: u8) {
        if !self.keeping || self.place != Place::Value {
            return;
        }
        match &mut self.report {
            Some(report) if report.len() < MAX_REPORT_BYTES => report.push(byte),
            _ => self.lose(),
        }
    }

    /// What a body reports that was read to its end.
    fn reported(&self) -> Option<Usage> {
        let report = self.report.as_ref();
        let report = report.filter(|_| self.place == Place::Behind)?;
        (self.read)(serde_json::from_slice(report).ok()?)
    }

    fn lose(&mut self) {
        self.place = Place::Lost;
        self.in_string = false;
        self.report = None;
    }
}

impl UsageTap for BodyTap {
    fn push(&mut self, bytes: &[u8]) {
        self.counter.push(bytes, &mut self.tally);
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            if self.place == Place::Lost {
                return;
            }
            // Most of a body is text and pictures in strings: go to their end in one step.
            if self.in_string && self.place == Place::Value && !self.keeping && !self.escaped {
                let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                if end > 0 {
                    rest = &rest[end..];
                    continue;
                }
            }
            self.take(*byte);
            rest = after;
        }
    }

    fn finish(self: Box<Self>) -> Metered {
        let reported = self.reported();
        Metered {
            reported,
            complete: reported.is_some(),
            output_bytes: self.tally.bytes(),
            begun: self.tally.begun(),
            refused: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::TEXT;
    use super::*;

    /// Tells a report apart by its length.
    fn read(report: &RawValue) -> Option<Usage> {
        Some(Usage {
            input_tokens: report.get().len() as u64,
            ..Usage::default()
        })
    }

    fn tapped<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<u64> {
        let mut tap = Box::new(BodyTap::new(read, &TEXT));
        for piece in pieces {
            tap.push(piece);
            let kept = tap.report.as_ref().map_or(0, Vec::len);
            assert!(kept <= MAX_REPORT_BYTES);
        }
        tap.finish().reported.map(|usage| usage.input_tokens)
    }

    #[test]
    fn only_the_one_top_level_report_counts() {
        for (body, report) in [
            (r#" { "usage" : {"a":[1,"}"]} , "b":2 } "#, Some(13)),
            (r#"{"a":{"usage":1},"b":["usage"],"usage":12}"#, Some(2)),
            (r#"{"a":"\"usage\":1,","usage":"\\"}"#, Some(4)),
            (r#"{"a":"}","usage":{}}"#, Some(2)),
            (r#"{"usage":1,"usage":1}"#, None),
            (r#"{"usage2":1,"usag":2,"Usage":3}"#, None),
            (r#"{"usage":{}"#, None),
            (r#"{"usage":{}}}"#, None),
            (r#"{"usage":{}]"#, None),
            (r#"{"usage":}"#, None),
            (r#"[{"usage":{}}]"#, None),
            (r#""usage""#, None),
            ("{}", None),
        ] {
            assert_eq!(tapped([body.as_bytes()]), report, "{body}");
            assert_eq!(tapped(body.as_bytes().chunks(1)), report, "{body}");
        }
    }

    #[test]
    fn a_long_answer_costs_no_memory_and_a_long_report_is_not_read() {
        let picture = "x".repeat(20 << 20);
        let body = format!(r#"{{"data":"{picture}","usage":{{"n":1}}}}"#);
        assert_eq!(tapped(body.as_bytes().chunks(16 * 1024)), Some(7));
        for (length, report) in [
            (MAX_REPORT_BYTES, Some(MAX_REPORT_BYTES as u64)),
            (MAX_REPORT_BYTES + 1, None),
        ] {
            let body = format!(r#"{{"usage":"{}"}}"#, "x".repeat(length - 2));
            assert_eq!(tapped(body.as_bytes().chunks(1000)), report);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = r#"[ "\\{}\[\],:a-u]{0,8}|usage"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((text, inner), 0..5)
                    .prop_map(|fields| Value::Object(Map::from_iter(fields))),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_parser_finds(
            before in any_value(), usage in any_value(), pretty in any::<bool>(), cut in any::<prop::sample::Index>(),
        ) {
            let body = json!({"a": before, "usage": usage, "z": [usage, before]});
            let mut text = body.to_string();
            let mut report = usage.to_string();
            if pretty {
                text = serde_json::to_string_pretty(&body).expect("serializes");
                let inner: std::collections::BTreeMap<&str, &RawValue> =
                    serde_json::from_str(&text).expect("JSON");
                report = inner["usage"].get().to_owned();
            }
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert_eq!(tapped([head, tail]), Some(report.len() as u64));
        }
    }
}
