//! Calls of tools in a stream of chunks, as servers stream them.

use super::*;

/// What a client of messages is told of calls that come in these pieces: id, name and arguments of each, in order.
fn told(pieces: &[&str]) -> Result<Vec<(String, String, String)>, String> {
    let piece = |calls: &&str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{calls}]}}}}]}}\n\n"
        )
    };
    let chunks: String = pieces.iter().map(piece).collect();
    let plan = plan(FormatId::AnthropicMessages, FormatId::OpenaiChat);
    let out = stream(&plan, [chunks.as_bytes(), b"data: [DONE]\n\n"]);
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for line in out.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let text = |at: &str| event.pointer(at).and_then(Value::as_str).map(str::to_owned);
        match event["type"].as_str() {
            Some("content_block_start") => {
                let id = text("/content_block/id").expect("an id");
                let name = text("/content_block/name").expect("a name");
                calls.push((id, name, String::new()));
            }
            Some("content_block_delta") => {
                assert_eq!(event["index"], calls.len() - 1, "{out}");
                let more = text("/delta/partial_json").expect("arguments");
                calls.last_mut().expect("a call").2.push_str(&more);
            }
            Some("error") => return Err(text("/error/message").expect("words")),
            _ => {}
        }
    }
    Ok(calls)
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn a_new_call_begins_where_the_server_says_so_in_any_way() {
    let two = vec![call("a", "f", r#"{"x":1}"#), call("b", "f", r#"{"y":2}"#)];
    for pieces in [
        // One place for all calls (Ollama).
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"index":0,"id":"b","function":{"name":"f","arguments":"{\"y\":2}"}}"#,
        ][..],
        // No place at all.
        &[
            r#"{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"id":"b","function":{"name":"f","arguments":"{\"y\":2}"}}"#,
        ],
        // One place, and the id with each piece.
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}"#,
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}"#,
            r#"{"index":0,"id":"b","function":{"name":"f","arguments":"{\"y\":"}}"#,
            r#"{"index":0,"id":"b","function":{"arguments":"2}"}}"#,
        ],
        // Another id for each piece.
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}"#,
            r#"{"index":0,"id":"a2","function":{"arguments":"1}"}}"#,
            r#"{"index":1,"id":"b","function":{"name":"f","arguments":"{\"y\":"}}"#,
            r#"{"index":1,"id":"b2","function":{"arguments":"2}"}}"#,
        ],
        // In turns.
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#,
            r#"{"index":1,"id":"b","function":{"name":"f","arguments":"{\"y\""}}"#,
            r#"{"index":0,"function":{"arguments":"{\"x\":"}},{"index":1,"function":{"arguments":":2"}}"#,
            r#"{"index":1,"function":{"arguments":"}"}},{"index":0,"function":{"arguments":"1}"}}"#,
        ],
    ] {
        assert_eq!(told(pieces), Ok(two.clone()), "{pieces:?}");
    }
    // Without ids.
    let named = vec![
        call("call_c_0", "f", r#"{"x":1}"#),
        call("call_c_1", "f", "[]"),
        call("call_c_2", "g", ""),
    ];
    for pieces in [
        &[
            r#"{"index":0,"function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":""}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":"[]"}}"#,
            r#"{"index":0,"function":{"name":"g","arguments":""}}"#,
        ][..],
        &[
            r#"{"function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"function":{"name":"f","arguments":"[]"}}"#,
            r#"{"function":{"name":"g"}}"#,
        ],
    ] {
        assert_eq!(told(pieces), Ok(named.clone()), "{pieces:?}");
    }
}

#[test]
fn calls_that_do_not_wait_are_told_as_they_come() {
    let plan = plan(FormatId::AnthropicMessages, FormatId::OpenaiChat);
    let mut translator = plan.stream(stamp()).expect("a translation");
    for (index, arguments, is_told) in [
        (0, r#"{\"a\":\"{"#, true),
        (0, r#"}\"}"#, true),
        (1, r#"{\"b\":"#, true),
        (2, "{", false),
        (1, "7", true),
    ] {
        let id = format!("id_{index}");
        let out = translator.push(
            format!(
                "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"id\":\"{id}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
            )
            .as_bytes(),
        );
        assert_eq!(out.contains("input_json_delta"), is_told, "{index} {out}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let plan = plan(FormatId::AnthropicMessages, FormatId::OpenaiChat);
    let mut translator = plan.stream(stamp()).expect("a translation");
    let mut push = |index: u64, arguments: &str| {
        translator.push(
            format!(
                "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"id\":\"id_{index}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
            )
            .as_bytes(),
        )
    };
    push(0, "{");
    let long = "x".repeat(512 * 1024);
    let pieces = MAX_KEPT_BYTES / long.len();
    for _ in 1..pieces {
        assert!(!push(1, &long).contains("too long"));
    }
    assert!(push(1, &long).contains("the answer is too long to be translated"));
}

#[test]
fn calls_without_number_cost_no_more_than_their_bytes() {
    let plan = plan(FormatId::AnthropicMessages, FormatId::OpenaiChat);
    let mut translator = plan.stream(stamp()).expect("a translation");
    let mut calls = 0;
    while !translator.is_over() {
        calls += 1;
        translator.push(
            format!(
                "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{calls},\"id\":\"{calls}\",\"function\":{{\"name\":\"f\",\"arguments\":\"\"}}}}]}}}}]}}\n\n"
            )
            .as_bytes(),
        );
    }
    assert!(calls < 40_000, "{calls}");
}

#[test]
fn a_call_that_goes_on_behind_its_end_is_an_error() {
    let pieces = [
        r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
        r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}"#,
        r#"{"index":0,"function":{"arguments":"{}"}}"#,
    ];
    assert_eq!(told(&pieces), Err("a chunk cannot be read".to_owned()));
    let nameless = [r#"{"index":0,"id":"a","function":{"arguments":"{}"}}"#];
    assert_eq!(told(&nameless), Err("a chunk cannot be read".to_owned()));
}

/// Some servers end an item of a response with less than its beginning said.
#[test]
fn a_call_of_a_response_ends_whatever_its_last_event_repeats() {
    let event = |event: Value| format!("data: {event}\n\n");
    let begun =
        serde_json::json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""});
    let more = event(
        serde_json::json!({"type": "response.function_call_arguments.delta", "delta": "{\"a\":1}"}),
    );
    for (more, ended) in [
        (more.as_str(), serde_json::json!({"type": "function_call"})),
        (
            "",
            serde_json::json!({"type": "function_call", "arguments": "{\"a\":1}"}),
        ),
    ] {
        let text = [
            event(serde_json::json!({"type": "response.created", "response": {"id": "r", "model": "m"}})),
            event(serde_json::json!({"type": "response.output_item.added", "item": begun})),
            more.to_owned(),
            event(serde_json::json!({"type": "response.output_item.done", "item": ended})),
            event(serde_json::json!({"type": "response.completed", "response": {"id": "r", "status": "completed"}})),
        ]
        .concat();
        let plan = plan(FormatId::OpenaiChat, FormatId::OpenaiResponses);
        let out = stream(&plan, [text.as_bytes()]);
        assert!(out.contains(r#""finish_reason":"tool_calls""#), "{out}");
        assert!(out.contains(r#"{\"a\":1}"#), "{out}");
        assert!(!out.contains("error") && !out.contains("dropped"), "{out}");
    }
}
