use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

static TOP: Shape = fields(&[
    ("a", &PARTS),
    ("b", &fields(&[("text", &TEXT), ("input", &JSON)])),
    ("r", &text(Slot::Reasoning)),
    ("s", &text(Slot::ReasoningAgain)),
]);

fn counted<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Tally {
    let mut counter = TextCounter::new(&TOP);
    let mut tally = Tally::default();
    for piece in pieces {
        counter.push(piece, &mut tally);
        assert!(counter.open.len() <= MAX_DEPTH && counter.name.len() <= MAX_NAME + 1);
    }
    tally
}

#[test]
fn only_the_text_that_the_shape_names_counts() {
    for (document, bytes) in [
        (r#"{"a":"four"}"#, 4),
        (r#" { "a" : "four" , "z" : "not" } "#, 4),
        (r#"{"z":{"a":"not"},"a":"yes"}"#, 3),
        (
            r#"{"a":[{"type":"no","text":"ab"},"cd",{"thinking":[{"text":"ef"}]}]}"#,
            6,
        ),
        (r#"{"b":[{"text":"ab","other":"x"},{"text":"cd"}]}"#, 4),
        (r#"{"b":{"text":{"text":"not"}}}"#, 0),
        (r#"{"b":{"input":{"k":[1,"v\n"]},"text":"x"}}"#, 15 + 1),
        (r#"{"b":{"input":{}}}"#, 2),
        (r#"{"a":"","b":null,"z":[],"r":1}"#, 0),
        (r#"{"a":"\n\"\\\/"}"#, 4),
        (
            r#"{"a":"\u0041\u00e9\u20ac\ud83d\ude00é"}"#,
            1 + 2 + 3 + 4 + 2,
        ),
        (r#"{"\u0061":"not","a\\":"not","":"not"}"#, 0),
        (r#"{"r":"same","s":"same"}"#, 4),
        (r#"{"r":"one","s":"other","a":"x"}"#, 6),
        (r#"{"a":"cut o"#, 5),
        (r#"["a","b"]"#, 0),
        (r#"[{"a":"ab"}]"#, 2),
        ("", 0),
    ] {
        assert_eq!(counted([document.as_bytes()]).bytes(), bytes, "{document}");
        let by_byte = counted(document.as_bytes().chunks(1));
        assert_eq!(by_byte.bytes(), bytes, "{document}");
    }
}

#[test]
fn an_answer_begins_with_the_first_field_that_is_followed() {
    for (document, begun) in [
        (r#"{"a":"#, true),
        (r#"{"b":[]}"#, true),
        (r#"{"error":{"a":"x"}}"#, false),
        (r#"{"z":"a"}"#, false),
        ("", false),
    ] {
        assert_eq!(counted([document.as_bytes()]).begun(), begun, "{document}");
    }
}

#[test]
fn another_document_begins_anew() {
    let mut counter = TextCounter::new(&TOP);
    let mut tally = Tally::default();
    for document in [r#"{"a":"ab"}"#, r#"{"b":{"input":{"cut"#, r#"{"a":"cd"}"#] {
        counter.push_document(document.as_bytes(), &mut tally);
    }
    assert_eq!(tally.bytes(), 2 + 5 + 2);
}

#[test]
fn what_a_document_counts_does_not_depend_on_those_before_it() {
    let documents = [
        r#"{"n":{"a":["x",{}]},"a":[{"text":"ab","k":"no"}],"s":"abc"}"#,
        r#"{"n":{"a":["x",{}]},"a":[{"text":"abcd"},"e"]}"#,
        r#"{"n":{"a":["x",{}]},"a":[{"text":"\u00e9"}]}"#,
        r#"{"n":{"a":["x",{}]},"a":[{"text":"#,
        r#"{"b":{"input":{"a":"x"}},"a":"y"}"#,
        r#"{"b":{"input":{"a":"xyz"}},"a":"y"}"#,
        r#"{"r":"one"}"#,
        r#"{"r":""}"#,
        r#"{"r":1}"#,
        "",
    ];
    for first in documents {
        for second in documents {
            let mut counter = TextCounter::new(&TOP);
            let mut tally = Tally::default();
            for document in [first, second, second] {
                counter.push_document(document.as_bytes(), &mut tally);
            }
            let mut expected = Tally::default();
            for document in [first, second, second] {
                TextCounter::new(&TOP).push(document.as_bytes(), &mut expected);
            }
            assert_eq!(tally.slots, expected.slots, "{first} {second}");
            assert_eq!(tally.begun, expected.begun, "{first} {second}");
        }
    }
}

#[test]
fn what_nobody_follows_is_passed_over_however_it_is_cut() {
    let document =
        r#"{"z":{"a":"n\"o}\\","k":[{"a":"\u005d"},[]]},"a":"yes","y":["]}",{"a":"no"}],"r":"x"}"#;
    for at in 0..document.len() {
        let (first, rest) = document.as_bytes().split_at(at);
        assert_eq!(counted([first, rest]).bytes(), 3 + 1, "{at}");
    }
}

#[test]
fn endless_depth_takes_bounded_memory_and_what_follows_is_read() {
    let deep = "[".repeat(100_000);
    let shallow = "]".repeat(100_000);
    let document = format!(r#"{{"z":{deep}"x"{shallow},"a":"yes"}}"#);
    assert_eq!(counted(document.as_bytes().chunks(999)).bytes(), 3);
    let name = "a".repeat(100_000);
    let document = format!(r#"{{"{name}":"not","a":"yes"}}"#);
    assert_eq!(counted(document.as_bytes().chunks(999)).bytes(), 3);
}

#[test]
fn json_counts_as_it_stands_however_deep_it_is() {
    let input = format!(
        r#"{}"a text",{{"k":[1]}}{}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    let document = format!(r#"{{"b":{{"input":{input}}}}}"#);
    for at in 0..document.len() {
        let (first, rest) = document.as_bytes().split_at(at);
        let bytes = counted([first, rest]).bytes();
        assert_eq!(bytes, input.len() as u64, "{at}");
    }
}

#[test]
fn a_text_with_a_broken_escape_ends_in_the_same_place_in_any_pieces() {
    for escape in ["\\u00", "\\u", "\\u00\\n", "\\u00g", "\\u00\\"] {
        let document = format!(r#"{{"b":{{"input":{{"{escape}"}}{{{{}}}},"a":"text"}}"#);
        let passed = format!(r#"{{"z":["{escape}"],"a":"text"}}"#);
        for document in [document, passed] {
            let whole = counted([document.as_bytes()]);
            let each = counted(document.as_bytes().chunks(1));
            assert_eq!(each.slots, whole.slots, "{document}");
        }
    }
}

/// The plain definition, on a parsed document.
fn defined(value: &Value, shape: &Shape, slots: &mut [u64; 3]) {
    match value {
        Value::String(text) => {
            if let Some(slot) = shape.text {
                slots[slot as usize] += text.len() as u64;
            }
        }
        Value::Array(_) | Value::Object(_) if shape.json => {
            slots[0] += value.to_string().len() as u64;
        }
        Value::Array(elements) => {
            for element in elements {
                defined(element, shape, slots);
            }
        }
        Value::Object(members) => {
            for (name, inner) in shape.fields {
                if let Some(member) = members.get(*name) {
                    defined(member, inner, slots);
                }
            }
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ \"\\\\{}\\[\\],:a-dé€😀\n\u{1}]{0,6}";
    let name = "a|b|r|s|z|text|thinking|input|[\"\\\\a]{0,3}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

proptest! {
    #[test]
    fn it_counts_what_a_parser_counts(
        a in any_value(), b in any_value(), any in any_value(), cut in any::<prop::sample::Index>(),
    ) {
        for document in [json!({"z": any, "a": a, "b": b, "r": any}), any.clone()] {
            let mut slots = [0; 3];
            defined(&document, &TOP, &mut slots);
            let text = document.to_string();
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            prop_assert_eq!(counted([head, tail]).slots, slots, "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_counted_the_same_in_any_pieces(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00", "a", "\"a\":", "\"b\":{\"input\":{", "text", "\u{1}é",
            ]),
            0..60,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = counted([bytes.as_slice()]);
        prop_assert!(whole.bytes() <= bytes.len() as u64);
        let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(counted([head, tail]).slots, whole.slots);
        prop_assert_eq!(counted(bytes.chunks(1)).slots, whole.slots);
    }
}
