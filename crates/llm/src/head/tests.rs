use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::Value;

use super::*;

fn refused(body: impl AsRef<[u8]>) -> HeadError {
    match read(body.as_ref()) {
        Err(error) => error,
        Ok(head) => panic!("accepted {head:?}"),
    }
}

fn is_number_error(body: impl AsRef<[u8]>) -> bool {
    matches!(refused(body), HeadError::Number { .. })
}

fn is_json_error(body: impl AsRef<[u8]>) -> bool {
    matches!(refused(body), HeadError::Json { .. })
}

#[test]
fn model_and_stream_are_found_with_their_place() {
    for (body, model, stream) in [
        (r#"{"model":"gpt-4o"}"#, "gpt-4o", false),
        (r#"{"model":"gpt-4o","stream":true}"#, "gpt-4o", true),
        (r#"{"stream":false,"model":"m"}"#, "m", false),
        (r#"{"stream":null,"model":"m"}"#, "m", false),
        (" \t\r\n{ \"model\" : \"m\" } \n", "m", false),
        (
            r#"{"messages":[{"model":"inner","stream":true}],"model":"a/b"}"#,
            "a/b",
            false,
        ),
        (r#"{"mod\u0065l":"\u00e9\ud83d\ude80"}"#, "é🚀", false),
        (r#"{"model":"é🚀"}"#, "é🚀", false),
        (r#"{"model":"a\\\"b\\"}"#, r#"a\"b\"#, false),
        ("{\"model\" :\t\"m\" ,\"stream\": true\n}", "m", true),
        (
            r#"{"model":"m","n":18446744073709551616,"x":1e308}"#,
            "m",
            false,
        ),
    ] {
        let head = read(body.as_bytes()).expect(body);
        assert_eq!(
            (head.model.as_str(), head.stream),
            (model, stream),
            "{body}"
        );
        let there: String =
            serde_json::from_str(&body[head.model_spans[0].clone()]).expect("a string");
        assert_eq!(there, model);
    }
}

#[test]
fn the_outputs_limit_is_the_greatest_whole_number_that_is_given() {
    for (rest, limit) in [
        ("", None),
        (r#","max_tokens":7"#, Some(7)),
        (r#","max_completion_tokens":0"#, Some(0)),
        (r#","max_tokens":7,"max_completion_tokens":9"#, Some(9)),
        (r#","max_tokens":9,"max_tokens":7"#, Some(9)),
        // Some providers read these as seven and eight.
        (r#","max_tokens":"7""#, Some(7)),
        (r#","max_tokens":" 7.0 ""#, Some(7)),
        (r#","max_tokens":7.0"#, Some(7)),
        (r#","max_tokens":-7"#, None),
        (r#","max_tokens":7.5"#, Some(8)),
        (r#","max_tokens":"seven""#, None),
        (r#","max_tokens":[7]"#, None),
        (r#","max_tokens":null"#, None),
        (r#","inner":{"max_tokens":7}"#, None),
    ] {
        let body = format!(r#"{{"model":"m"{rest}}}"#);
        let head = read(body.as_bytes()).expect(&body);
        assert_eq!(head.output_limit, limit, "{body}");
    }
    for (rest, output) in [
        ("", 100),
        (r#","n":3"#, 300),
        (r#","n":3,"max_tokens":7"#, 21),
        (r#","n":0,"max_tokens":7"#, 7),
        (r#","n":"3","max_tokens":7"#, 21),
        (r#","n":"3""#, 300),
        (r#","n":18446744073709551615"#, u64::MAX),
    ] {
        let body = format!(r#"{{"model":"m"{rest}}}"#);
        let head = read(body.as_bytes()).expect(&body);
        assert_eq!(head.expected_output(100), output, "{body}");
    }
    assert!(is_number_error(r#"{"model":"m","max_tokens":1e400}"#));
}

#[test]
fn a_body_that_parsers_may_read_differently_is_refused() {
    // T120
    for (body, error) in [
        (r#"{"model":"a","model":"b"}"#, HeadError::Repeated("model")),
        (
            r#"{"model":"a","mode\u006c":"b"}"#,
            HeadError::Repeated("model"),
        ),
        (
            r#"{"model":"a","stream":true,"stream":false}"#,
            HeadError::Repeated("stream"),
        ),
        (r#"{"model":"a","Model":"b"}"#, HeadError::Case("model")),
        (r#"{"MODEL":"b"}"#, HeadError::Case("model")),
        (r#"{"model":"a","STREAM":true}"#, HeadError::Case("stream")),
        // U+017F is an S to a parser that folds case.
        (r#"{"model":"a","ſtream":true}"#, HeadError::Case("stream")),
        (
            r#"{"model":"a","\u017ftream":true}"#,
            HeadError::Case("stream"),
        ),
    ] {
        assert_eq!(refused(body), error, "{body}");
    }
    assert!(is_json_error("\u{feff}{\"model\":\"a\"}"), "BOM");
    assert!(
        is_json_error(r#"{"model":"a"} {"model":"b"}"#),
        "trailing data"
    );
    assert!(is_json_error("{\"model\":\"a\"}\0"), "trailing NUL");
}

#[test]
fn broken_json_is_refused_with_its_place_and_without_panic() {
    // T120, T121, T122
    for body in [
        &b""[..],
        b"{",
        b"{\"model\":\"a\"",
        b"{'model':'a'}",
        b"{\"model\":\"a\",}",
        b"{\"model\":\"a\"//c\n}",
        b"{\"model\":\"a\xff\"}",
        b"{\"model\":\"a\",\"x\":\"\xc0\xaf\"}",
        b"{\"model\":\"a\",\"\xed\xa0\x80\":1}",
        b"{\"model\":\"a\",\"x\":\"\\ud800\"}",
        b"{\"model\":\"a\",\"x\":{\"\\udc00\":1}}",
        b"{\"model\":\"a\",\"x\":\"\x01\"}",
        b"{\"model\":\"a\",\"x\":NaN}",
        b"{\"model\":\"a\",\"x\":Infinity}",
        b"{\"model\":\"a\",\"x\":01}",
        b"{\"model\":\"a\",\"x\":+1}",
    ] {
        assert!(is_json_error(body), "{}", String::from_utf8_lossy(body));
    }
    let digits = format!("{{\"model\":\"a\",\"x\":{}}}", "9".repeat(100_000));
    for number in [digits.as_str(), r#"{"model":"a","x":-1e400}"#] {
        assert!(is_number_error(number));
    }
    let refused = refused("{\"model\":\"a\",\n \"x\": 1e400}");
    let at = HeadError::Number {
        line: 2,
        column: 11,
    };
    assert_eq!(refused, at);
    assert_eq!(
        refused.to_string(),
        "the body has a number that is too great for a double (line 2, column 11)"
    );
}

#[test]
fn deep_nesting_is_refused_and_ordinary_nesting_is_not() {
    // T120
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| {
            let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            format!("{{\"x\":{inner},\"model\":\"a\"}}")
        };
        assert!(read(nested(100).as_bytes()).is_ok());
        for depth in [127, 1_000_000] {
            let refused = refused(nested(depth));
            assert!(matches!(refused, HeadError::TooDeep { line: 1, .. }));
        }
        // In the two fields that are read apart too.
        for field in ["model", "stream"] {
            let deep = format!(
                "{{\"model\":\"a\",\"{field}\":{}1{}}}",
                open.repeat(1_000_000),
                close.repeat(1_000_000)
            );
            refused(deep);
        }
    }
}

#[test]
fn many_fields_and_long_strings_are_read() {
    // T120
    let fields: String = (0..100_000).map(|i| format!("\"k{i}\":{i},")).collect();
    assert!(read(format!("{{{fields}\"model\":\"a\"}}").as_bytes()).is_ok());
    let long = "é".repeat(5_000_000);
    assert!(read(format!("{{\"x\":\"{long}\",\"model\":\"a\"}}").as_bytes()).is_ok());
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in [
        "null",
        "[]",
        "7",
        "\"model\"",
        "true",
        "[{\"model\":\"a\"}]",
    ] {
        assert_eq!(refused(body), HeadError::NotAnObject, "{body}");
    }
}

#[test]
fn model_must_be_a_short_plain_string() {
    assert_eq!(refused("{}"), HeadError::ModelMissing);
    assert_eq!(refused(r#"{"stream":true}"#), HeadError::ModelMissing);
    let long = format!("{{\"model\":\"{}\"}}", "é".repeat(129));
    for body in [
        r#"{"model":""}"#,
        r#"{"model":null}"#,
        r#"{"model":7}"#,
        r#"{"model":["a"]}"#,
        r#"{"model":{"id":"a"}}"#,
        r#"{"model":"a\n"}"#,
        r#"{"model":"a\u0000"}"#,
        r#"{"model":"a\u0085"}"#,
        &long,
    ] {
        assert_eq!(refused(body), HeadError::Model, "{body}");
    }
    let longest = format!("{{\"model\":\"{}\"}}", "é".repeat(128));
    assert!(read(longest.as_bytes()).is_ok());
}

#[test]
fn stream_must_be_a_boolean() {
    for value in ["1", "0", "\"true\"", "[]", "{}", "1.0"] {
        let body = format!("{{\"model\":\"a\",\"stream\":{value}}}");
        assert_eq!(refused(&body), HeadError::Stream, "{body}");
    }
}

#[test]
fn errors_name_the_field_and_show_no_part_of_the_body() {
    let error = refused(r#"{"model":"sk-secret\n","x":"sk-secret"}"#);
    assert_eq!(error.field(), Some("model"));
    assert!(!error.to_string().contains("sk-secret"));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A field that is neither `model` nor `stream` nor looks like one, as text with blanks in it.
fn other_field() -> impl Strategy<Value = String> {
    let name = "[a-z]{1,8}\\PC{0,3}".prop_filter("another field", |name| {
        !["MODEL", "STREAM"].contains(&name.to_uppercase().as_str())
    });
    (name, json(), blank(), any::<bool>()).prop_map(|(name, value, blank, pretty)| {
        let value = match pretty {
            true => format!("{value:#}"),
            false => value.to_string(),
        };
        format!("{blank}{}{blank}:{blank}{value}{blank}", Value::from(name))
    })
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n", "\t \r\n"])
}

/// A body with `model` among other fields, and the model's name.
fn body() -> impl Strategy<Value = (String, String)> {
    let others = || prop::collection::vec(other_field(), 0..5);
    let model = "[a-zA-Z0-9/._:\"\\\\é🚀-]{1,40}";
    (others(), others(), model, blank()).prop_map(|(before, after, model, blank)| {
        let name = Value::from(model.as_str());
        let own = format!("{blank}\"model\"{blank}:{blank}{name}{blank}");
        let fields: Vec<_> = before.into_iter().chain([own]).chain(after).collect();
        (format!("{blank}{{{}}}{blank}", fields.join(",")), model)
    })
}

proptest! {
    #[test]
    fn only_the_models_bytes_change((text, model) in body(), other in "\\PC{1,40}") {
        let text = Bytes::from(text);
        let head = read(&text).expect("a valid body");
        prop_assert_eq!(&head.model, &model);
        let changed = with_model(&text, &head, &other);
        let new_end = changed.len() - (text.len() - head.model_spans[0].end);
        prop_assert_eq!(&changed[..head.model_spans[0].start], &text[..head.model_spans[0].start]);
        prop_assert_eq!(&changed[new_end..], &text[head.model_spans[0].end..]);
        let again = read(&changed).expect("still valid");
        prop_assert_eq!(&again.model, &other);
        prop_assert_eq!(with_model(&text, &head, &model), &text);
        for model in [&other, &model] {
            let pieces = pieces_with_model(&text, &head, model).concat();
            prop_assert_eq!(pieces, with_model(&text, &head, model));
        }
    }

    #[test]
    fn what_is_accepted_is_what_another_parser_sees(
        (text, _) in body(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\ moMsStream".to_vec())],
        cut in any::<bool>(),
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at); } else { bytes[at] = byte; }
        if let Ok(head) = read(&bytes) {
            let seen: Value = serde_json::from_slice(&bytes).expect("valid for others too");
            prop_assert_eq!(seen["model"].as_str(), Some(head.model.as_str()));
            prop_assert_eq!(seen["stream"].as_bool().unwrap_or(false), head.stream);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let accepted = read(&bytes).is_ok();
        prop_assert!(!accepted || bytes.contains(&b'{'), "an object begins with a brace");
    }
}

#[test]
fn what_is_kept_and_continued_is_read() {
    let head = |fields: &str| {
        let body = format!(r#"{{"model":"m"{fields}}}"#);
        let head = read(body.as_bytes()).expect("a head");
        (head.named, head.may_be_kept)
    };
    let named = (vec!["resp_1".to_owned()], true);
    assert_eq!(head(""), (Vec::new(), true));
    assert_eq!(head(r#","previous_response_id":"resp\u005f1""#), named);
    assert_eq!(
        head(r#","previous_response_id":null,"store":true"#),
        (Vec::new(), true)
    );
    assert_eq!(
        head(r#","previous_response_id":{"a":[1.5]},"store":null"#),
        (Vec::new(), true)
    );
    assert_eq!(head(r#","store":false"#), (Vec::new(), false));
    // What stands within other fields is theirs.
    assert_eq!(
        head(r#","x":{"store":false,"previous_response_id":"a"}"#),
        (Vec::new(), true)
    );
    // It is checked like every other field.
    for broken in [
        r#"{"model":"m","store":1e999}"#,
        "{\"model\":\"m\",\"previous_response_id\":\"\\ud800\"}",
    ] {
        let refused = read(broken.as_bytes());
        assert!(
            matches!(
                refused,
                Err(HeadError::Json { .. } | HeadError::Number { .. })
            ),
            "{broken}"
        );
    }
}
