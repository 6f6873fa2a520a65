use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{TEXT, fields};
use super::*;

static TEXTS: Shape = fields(&[("text", &TEXT)]);

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

#[test]
fn of_a_list_the_latest_report_counts_and_only_its_end_makes_it_the_last_word() {
    let metered = |body: &str, size: usize| {
        let mut tap = Box::new(BodyTap::of_list("used", read, &TEXT));
        for piece in body.as_bytes().chunks(size) {
            tap.push(piece);
        }
        let metered = tap.finish();
        (
            metered.reported.map(|usage| usage.input_tokens),
            metered.complete,
        )
    };
    for (body, expected) in [
        (r#"{"used":1}"#, (Some(1), true)),
        (r#"{"usage":1}"#, (None, false)),
        ("[]", (None, false)),
        (r#" [ {"used":1} , {"used":22} ] "#, (Some(2), true)),
        (r#"[{"used":1},{"a":{"used":22}}]"#, (Some(1), false)),
        (r#"[{"used":1},{"used":22}"#, (Some(2), false)),
        (r#"[{"used":1},{"used":22"#, (Some(1), false)),
        (r#"[{"used":1},"#, (Some(1), false)),
        (r#"[{"used":1},{"used":2,"used":2}]"#, (None, false)),
        (r#"[{"used":1}]}"#, (None, false)),
        (r#"[{"used":1}],{"used":1}"#, (None, false)),
        (r#"[[{"used":1}]]"#, (None, false)),
        (r#"{"used":1},{"used":22}"#, (None, false)),
        (r#"[{"used":1}x{"used":22}]"#, (None, false)),
    ] {
        for size in 1..=body.len() {
            assert_eq!(metered(body, size), expected, "{body} by {size}");
        }
    }
}

#[test]
fn text_is_counted_unless_a_report_is_the_last_word() {
    let metered = |pieces: &[&str], believing: bool| {
        let mut tap = Box::new(BodyTap::new(read, &TEXTS));
        for piece in pieces {
            let piece = Bytes::copy_from_slice(piece.as_bytes());
            match believing {
                true => tap.push_believing(&piece),
                false => tap.push(&piece),
            }
        }
        tap.finish()
    };
    let long = format!(r#"{{"text":"{}","#, "x".repeat(MAX_UNCOUNTED_BYTES));
    let longest = format!(r#"{long}"usage":1}}"#);
    let many = [
        vec![r#"{"text":"four","usage":1}"#],
        vec![" "; MAX_UNCOUNTED_PIECES],
    ]
    .concat();
    for (pieces, complete) in [
        (&[r#"{"text":"four","usage":1}"#][..], true),
        (&[&longest], true),
        (&[&long, r#""usage":1}"#], true),
        (&many, true),
        (&many[..MAX_UNCOUNTED_PIECES], true),
        (&[r#"{"text":"four"}"#], false),
        (&[r#"{"text":"four","usage":1"#], false),
        (&[r#"{"text":"four","#, r#""usage":1}"#], true),
        (&[r#"{"text":"four","usage":1}"#, " "], true),
        (&[r#"{"text":"four","usage":1}"#, "}"], false),
        (&[], false),
    ] {
        let (believed, counted) = (metered(pieces, true), metered(pieces, false));
        assert_eq!(counted.complete, complete, "{pieces:?}");
        // Neither its count nor that it began decides anything then.
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let is_held = bytes <= MAX_UNCOUNTED_BYTES && pieces.len() <= MAX_UNCOUNTED_PIECES;
        let is_left_out = complete && (is_held || pieces.len() == 1);
        let text = (believed.output_bytes, believed.begun);
        assert_eq!(
            text == (0, false),
            is_left_out || pieces.is_empty(),
            "{pieces:?}"
        );
        assert_eq!(believed.usage(100), counted.usage(100), "{pieces:?}");
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
