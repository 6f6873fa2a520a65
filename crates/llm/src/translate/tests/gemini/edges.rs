//! What clients and providers write beside the usual, and answers that are cut off.

use super::*;

/// The SDK's chats keep one content for each chunk of a stream.
#[test]
fn contents_of_the_model_that_follow_each_other_are_one_turn() {
    let body = json!({"contents": [
        {"parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"text": "h", "thought": true}]},
        {"role": "model", "parts": [{"text": "m", "thought": true}]},
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "a2V5YmVhcmVyOnNpZ25hdHVyZTpjMmxu"}]},
        {"role": "model", "parts": [{"text": "I lo"}]},
        {"role": "model", "parts": [{"text": "ok."}, {"functionCall": {"id": "a", "name": "f", "args": {}}}]},
        {"role": "model", "parts": []},
        {"role": "model", "parts": [{"functionCall": {"id": "b", "name": "g", "args": {}}}]},
        {"parts": [
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "1"}}},
            {"functionResponse": {"id": "b", "name": "g", "response": {"output": "2"}}},
        ]},
    ]});
    let (sent, _) = to(GEMINI, FormatId::OpenaiChat, &body, Thinking::Adaptive);
    let messages = sent["messages"].as_array().expect("messages");
    let roles: Vec<&Value> = messages.iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool"], "{sent}");
    assert_eq!(messages[1]["content"], "I look.");
    let ids: Vec<&Value> = (0..2)
        .map(|at| &messages[1]["tool_calls"][at]["id"])
        .collect();
    assert_eq!(ids, ["a", "b"]);
    let (sent, _) = to(
        GEMINI,
        FormatId::AnthropicMessages,
        &body,
        Thinking::Adaptive,
    );
    assert_eq!(
        sent["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            {"type": "tool_use", "id": "b", "name": "g", "input": {}},
        ])
    );
}

#[test]
fn an_event_is_one_line_whatever_its_arguments_or_its_request_look_like() {
    let lines = |out: &str| {
        for line in out.split(['\n', '\r']) {
            let known = ["", ":", "event:", "data:"].iter();
            let mut known =
                known.filter(|it| line.starts_with(**it) && (line.is_empty() || !it.is_empty()));
            assert!(known.next().is_some(), "{line}\n{out}");
            if let Some(data) = line.strip_prefix("data: ").filter(|it| *it != "[DONE]") {
                assert!(serde_json::from_str::<Value>(data).is_ok(), "{data}");
            }
        }
    };
    let arguments = r#""{\n  \"a\":\r\n \"x\\ny\"\n}""#;
    let events = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"id\":\"a\",\"function\":{{\"name\":\"f\",\"arguments\":{arguments}}}}}]}}}}]}}\n\ndata: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"tool_calls\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let out = stream(&plan(GEMINI, FormatId::OpenaiChat), [events.as_bytes()]);
    lines(&out);
    assert!(out.contains(r#""x\ny""#), "{out}");
    let body = "{\"model\":\"m\",\"input\":\"hi\",\"text\":{\n\"verbosity\":\n\"low\"},\"metadata\":{\r\n\"a\": \"b\"}}";
    let upstream = FormatId::OpenaiChat;
    let translated = request(
        FormatId::OpenaiResponses,
        upstream,
        body.as_bytes(),
        &target(),
    );
    let out = stream(&translated.expect("a request").plan, [events.as_bytes()]);
    assert!(out.contains("\"metadata\":{"), "{out}");
    lines(&out);
    // Log-probabilities in several lines of data.
    let events = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\",\"logprobsResult\":{\"chosenCandidates\":[{\ndata: \"token\":\"a\",\ndata: \"logProbability\":\ndata: -2}]}}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\n\n";
    let out = stream(&plan(FormatId::OpenaiChat, GEMINI), [events.as_bytes()]);
    assert!(out.contains("-2"), "{out}");
    lines(&out);
}

#[test]
fn an_error_in_an_answers_place_is_no_answer() {
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
    ] {
        let body =
            json!({"candidates": [{"content": {"parts": []}, "finishReason": reason}]}).to_string();
        for client in ALL.into_iter().filter(|it| *it != GEMINI) {
            let checked = plan(client, GEMINI).answer_alone(
                body.as_bytes(),
                &stamp(),
                &mut Warnings::default(),
            );
            assert_eq!(
                checked.expect_err("no answer").path(),
                "error",
                "{reason} {client}"
            );
        }
    }
    for (client, upstream) in pairs() {
        for (name, body) in fixtures(upstream, "answer") {
            let plan = plan(client, upstream);
            let Ok(told) = plan.answer(&body, &stamp()) else {
                assert!(
                    plan.answer_alone(&body, &stamp(), &mut Warnings::default())
                        .is_err(),
                    "{name} for {client}"
                );
                continue;
            };
            let told: Value = serde_json::from_slice(&told).expect("JSON");
            let error = told.get("error").is_some_and(|it| !it.is_null());
            assert_eq!(
                plan.answer_alone(&body, &stamp(), &mut Warnings::default())
                    .is_err(),
                error,
                "{name} for {client}"
            );
        }
    }
}

#[test]
fn a_call_that_the_limit_cut_off_is_left_out_of_an_answer_that_is_too_long() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let answer = |calls: Value, reason: &str| {
        json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": reason,
            "message": {"role": "assistant", "content": "I look.", "tool_calls": calls}}]})
        .to_string()
    };
    let cut = answer(json!([call("a", "{}"), call("b", "{\"x\": ")]), "length");
    let told = |client: FormatId, body: &str| {
        let told = plan(client, FormatId::OpenaiChat).answer(body.as_bytes(), &stamp());
        told.map(|it| serde_json::from_slice::<Value>(&it).expect("JSON"))
    };
    let content = told(GEMINI, &cut).expect("an answer");
    let candidate = &content["candidates"][0];
    assert_eq!(candidate["finishReason"], "MAX_TOKENS");
    assert_eq!(
        candidate["content"]["parts"],
        json!([{"text": "I look."}, {"functionCall": {"id": "a", "name": "f", "args": {}}}])
    );
    let message = told(FormatId::AnthropicMessages, &cut).expect("an answer");
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["content"].as_array().map(Vec::len), Some(2));
    // Nothing but the limit excuses it, and only the last.
    for body in [
        answer(json!([call("b", "{\"x\": ")]), "tool_calls"),
        answer(json!([call("b", "{\"x\": "), call("a", "{}")]), "length"),
    ] {
        for client in [GEMINI, FormatId::AnthropicMessages] {
            assert!(told(client, &body).is_err(), "{client} {body}");
        }
    }
    let events = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"I look.\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": \"}}]}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n";
    let out = stream(&plan(GEMINI, FormatId::OpenaiChat), [events.as_bytes()]);
    assert!(out.contains("\"finishReason\":\"MAX_TOKENS\""), "{out}");
    assert!(
        !out.contains("error") && !out.contains("functionCall"),
        "{out}"
    );
}

/// Others' proofs are left out, and a budget beside a call without a thought is refused.
#[test]
fn a_thought_that_another_maker_proved_does_not_count_for_anthropics_budget() {
    let body = |signature: &str| {
        json!({"generationConfig": {"maxOutputTokens": 8000, "thinkingConfig": {"thinkingBudget": 2000}}, "contents": [
            {"parts": [{"text": "go"}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": signature},
            ]},
            {"parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"output": "1"}}}]},
        ]})
    };
    let anthropic = FormatId::AnthropicMessages;
    let (sent, _) = to(GEMINI, anthropic, &body("CiQBc2ln"), Thinking::Budget);
    assert_eq!(
        sent["messages"][1]["content"][0]["type"], "tool_use",
        "{sent}"
    );
    assert_ne!(sent["thinking"]["type"], "enabled", "{sent}");
    let own = body("a2V5YmVhcmVyOnNpZ25hdHVyZTpjMmxu");
    let (sent, _) = to(GEMINI, anthropic, &own, Thinking::Budget);
    assert_eq!(sent["thinking"]["type"], "enabled", "{sent}");
}

#[test]
fn what_a_function_returned_with_an_id_that_no_call_has_belongs_to_a_call_without_one() {
    let body = |ids: [Option<&str>; 2], returned: &[&str]| {
        let calls = ids.map(|id| json!({"functionCall": {"id": id, "name": "f", "args": {}}}));
        let returned = returned.iter().map(
            |id| json!({"functionResponse": {"id": id, "name": "f", "response": {"output": id}}}),
        );
        json!({"contents": [
            {"role": "model", "parts": calls},
            {"role": "user", "parts": returned.collect::<Vec<_>>()},
        ]})
    };
    let chat = FormatId::OpenaiChat;
    let (sent, _) = to(
        GEMINI,
        chat,
        &body([None, Some("x")], &["y", "x"]),
        Thinking::Adaptive,
    );
    let messages = &sent["messages"];
    let calls = &messages[0]["tool_calls"];
    assert_eq!(messages[1]["content"], "y");
    assert_eq!(messages[1]["tool_call_id"], calls[0]["id"]);
    assert_eq!(messages[2]["tool_call_id"], "x");
    for (ids, returned) in [
        ([Some("x"), Some("z")], vec!["x", "y"]),
        ([None, None], vec!["a", "b", "c"]),
    ] {
        let path = refused(GEMINI, chat, &body(ids, &returned));
        assert_eq!(path, "contents.functionResponse");
    }
}

#[test]
fn an_id_that_is_used_again_names_the_function_of_its_turn() {
    let call = |name: &str| json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}]});
    let outcome = json!({"role": "tool", "tool_call_id": "a", "content": "1"});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "go"}, call("f"), outcome, call("g"), outcome]});
    let (sent, _) = to(FormatId::OpenaiChat, GEMINI, &body, Thinking::Budget);
    let name = |at: usize| sent["contents"][at]["parts"][0]["functionResponse"]["name"].clone();
    assert_eq!((name(2), name(4)), (json!("f"), json!("g")));
}

#[test]
fn a_reason_that_says_nothing_is_none() {
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    for reason in [Value::Null, json!(""), json!("FINISH_REASON_UNSPECIFIED")] {
        let body = json!({"candidates": [{"content": {"parts": [call]}, "finishReason": reason}], "modelVersion": "m", "responseId": "r"}).to_string();
        let plan = plan(FormatId::OpenaiChat, GEMINI);
        let told = plan.answer(body.as_bytes(), &stamp()).expect("an answer");
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        assert_eq!(
            told["choices"][0]["finish_reason"], "tool_calls",
            "{reason}"
        );
        let event = format!("data: {body}\n\n");
        let out = stream(&plan, [event.as_bytes()]);
        assert!(
            out.contains("broke off") && !out.contains("[DONE]"),
            "{out}"
        );
    }
}

#[test]
fn what_schemas_of_openapi_say_otherwise_is_said_as_json_schema_says_it() {
    let written = |schema: Value| {
        // The order of the fields matters.
        let body = json!({"contents": [], "generationConfig": {"responseMimeType": "application/json", "responseSchema": "HERE"}});
        let body = body.to_string().replace("\"HERE\"", &schema.to_string());
        let translated = request(GEMINI, FormatId::OpenaiChat, body.as_bytes(), &target());
        String::from_utf8(translated.expect("a request").body.to_vec()).expect("text")
    };
    let sent = written(
        json!({"defs": {"P": {"type": "STRING"}}, "properties": {"a": {"ref": "#/defs/P"}, "b": {"ref": "#/defs/P", "nullable": true}}}),
    );
    for said in [
        r##""$defs":{"P":{"type":"string"}}"##,
        r##""a":{"$ref":"#/$defs/P"}"##,
        r##""b":{"anyOf":[{"$ref":"#/$defs/P"},{"type":"null"}]}"##,
    ] {
        assert!(sent.contains(said), "{sent}");
    }
    let sent = written(json!({"type": "OBJECT", "nullable": true, "anyOf": [{"required": ["a"]}]}));
    assert!(
        sent.contains(r#""anyOf":[{"required":["a"]},{"type":"null"}]"#),
        "{sent}"
    );
    assert!(sent.contains(r#""type":["object","null"]"#), "{sent}");
    let sent = written(
        json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}, "c": {"type": "STRING"}}, "propertyOrdering": ["c", "a"]}),
    );
    let order =
        r#""properties":{"c":{"type":"string"},"a":{"type":"string"},"b":{"type":"string"}}"#;
    assert!(sent.contains(order), "{sent}");
    for (body, field) in [
        (
            json!({"generationConfig": {"responseModalities": ["TEXT", 7]}}),
            "generationConfig.responseModalities",
        ),
        (
            json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [7]}}}),
            "toolConfig.allowedFunctionNames",
        ),
    ] {
        assert_eq!(refused(GEMINI, FormatId::OpenaiChat, &body), field);
    }
}
