//! Whatever the bytes: no panic, bounded memory, JSON out.

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::*;

/// Pieces of requests, answers and events, right and wrong.
fn scraps() -> Vec<String> {
    let mut scraps: Vec<String> = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "7",
        "-1",
        "\"\"",
        "\"text\"",
        "data: ",
        "\n\n",
        "\r",
        "event: error\n",
        "[DONE]",
        "\u{feff}",
        "é",
    ]
    .map(str::to_owned)
    .to_vec();
    for format in ALL {
        for (_, bytes) in fixtures(format, "stream") {
            let text = String::from_utf8(bytes).expect("text");
            scraps.extend(text.split_inclusive("\n\n").map(str::to_owned));
        }
    }
    scraps
}

/// A body with one of its values replaced by another.
fn with_other_value(body: &[u8], at: usize, other: &Value) -> Vec<u8> {
    fn places(value: &mut Value, left: &mut usize, other: &Value) -> bool {
        if *left == 0 {
            *value = other.clone();
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|it| places(it, left, other)),
            Value::Object(fields) => fields.values_mut().any(|it| places(it, left, other)),
            _ => false,
        }
    }
    let mut value: Value = serde_json::from_slice(body).expect("JSON");
    let mut left = at;
    places(&mut value, &mut left, other);
    value.to_string().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_stream_is_translated_without_panic_and_alike_for_every_split(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        size in 1_usize..50,
    ) {
        let scraps = scraps();
        let stream_of: String = picks.iter().map(|pick| scraps[pick.index(scraps.len())].as_str()).collect();
        for (client, upstream) in pairs() {
            let plan = plan(client, upstream);
            let whole = stream(&plan, [stream_of.as_bytes()]);
            prop_assert_eq!(stream(&plan, stream_of.as_bytes().chunks(size)), whole);
        }
    }

    #[test]
    fn any_value_in_any_place_is_refused_or_translated(
        at in 0_usize..60,
        which in any::<prop::sample::Index>(),
        fixture in any::<prop::sample::Index>(),
    ) {
        let others = [
            json!(null), json!(true), json!(-7), json!(1e300), json!("x"), json!([]), json!({}), json!([[1]]),
            json!({"type": "text"}), json!([{"type": "text", "text": 1}]), json!("data:image/png;base64"),
        ];
        let other = &others[which.index(others.len())];
        for (from, to) in pairs() {
            for kind in ["request", "answer"] {
                let fixtures = fixtures(from, kind);
                let (_, body) = &fixtures[fixture.index(fixtures.len())];
                let body = with_other_value(body, at, other);
                let out = match kind {
                    "request" => request(from, to, &body, &target()).map(|it| it.body),
                    _ => plan(to, from).answer(&body, &stamp()),
                };
                if let Ok(out) = out {
                    prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_no_request_and_no_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (client, upstream) in pairs() {
            prop_assert!(request(client, upstream, &bytes, &target()).is_err());
            prop_assert!(plan(client, upstream).answer(&bytes, &stamp()).is_err());
        }
    }
}

#[test]
fn no_more_than_the_bound_is_kept_of_a_stream() {
    let plan = plan(FormatId::OpenaiResponses, FormatId::OpenaiChat);
    let mut translator = plan.stream(stamp()).expect("a translation");
    let text = "x".repeat(500_000);
    let chunk =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let mut pushed = 0;
    let last = loop {
        let out = translator.push(chunk.as_bytes());
        pushed += text.len();
        if translator.is_over() {
            break out;
        }
        assert!(pushed <= MAX_KEPT_BYTES);
    };
    assert!(last.contains("the answer is too long to be translated"));
    assert!(!translator.is_whole());
    assert_eq!(translator.push(chunk.as_bytes()), "");
    assert_eq!(translator.finish(), "");
}

#[test]
fn endless_depth_is_refused_or_read_without_end_of_the_stack() {
    // A quarter of the usual stack ends at a quarter of the depth.
    let reader = std::thread::Builder::new().stack_size(512 * 1024);
    let reading = reader.spawn(read_endless_depth).expect("a thread");
    reading.join().expect("no panic");
}

fn read_endless_depth() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(3_000), close.repeat(3_000));
    let thoughts = deep(r#"[{"type":"thinking","thinking":"#, "}]");
    let results = deep(
        r#"[{"type":"tool_result","tool_use_id":"t","content":"#,
        "}]",
    );
    for nested in [
        thoughts.replace(":}", ":1}"),
        results.replace(":}", ":1}"),
        deep("[", "]"),
        deep("{\"a\":", "}").replace(":}", ":1}"),
    ] {
        for (client, upstream) in pairs() {
            let plan = plan(client, upstream);
            let gemini = [client, upstream].contains(&FormatId::GeminiGenerateContent);
            let all = if gemini { 4 } else { 2 };
            let bodies = [
                format!(
                    r#"{{"model":"m","messages":[{{"role":"user","content":{nested}}}],"input":{nested}}}"#
                ),
                format!(
                    r#"{{"choices":[{{"message":{{"content":{nested}}}}}],"content":{nested},"output":{nested}}}"#
                ),
                format!(
                    r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"f","args":{nested}}}}}]}}],"candidates":[{{"content":{{"parts":{nested}}}}}]}}"#
                ),
                format!(
                    r#"{{"contents":{nested},"generationConfig":{{"responseMimeType":"application/json","responseSchema":{nested}}},"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"f","args":{nested}}}}}]}}}}]}}"#
                ),
            ];
            for body in &bodies[..all] {
                let _ = request(client, upstream, body.as_bytes(), &target());
                let _ = plan.answer(body.as_bytes(), &stamp());
                let _ = plan.error(400, body.as_bytes(), &stamp());
            }
            let event = format!(
                "data: {{\"type\":\"message_start\",\"message\":{nested},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{nested}}}}}]}}\n\n"
            );
            assert!(!stream(&plan, [event.as_bytes()]).is_empty());
        }
    }
}

#[test]
fn a_line_without_end_ends_the_stream_with_an_error() {
    for (client, upstream) in pairs() {
        let mut translator = plan(client, upstream)
            .stream(stamp())
            .expect("a translation");
        let line = "x".repeat(600_000);
        assert_eq!(translator.push(line.as_bytes()), "");
        let out = translator.push(line.as_bytes());
        assert!(
            out.contains("the provider's stream cannot be read"),
            "{out}"
        );
        assert!(translator.is_over() && !translator.is_whole());
    }
}
