//! What a model thought comes back to its maker with its proof, through a client of another format.

use serde_json::json;

use crate::registry::Registry;

use super::*;

const ANTHROPIC: &[u8] = br#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"redacted_thinking","data":"c2VhbGVk"},{"type":"tool_use","id":"t1","name":"f","input":{"b": 1, "a":2}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}"#;

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The request that goes out when a client replays `said`.
fn replayed(client: FormatId, upstream: FormatId, body: &Value) -> (Value, String) {
    let translated = request(client, upstream, body.to_string().as_bytes(), &target());
    let translated = translated.expect("a request");
    (value(&translated.body), translated.warnings.to_string())
}

fn expected() -> Value {
    json!([
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 2, "b": 1}},
    ])
}

#[test]
fn anthropics_thinking_survives_a_client_of_responses() {
    let plan = plan(FormatId::OpenaiResponses, FormatId::AnthropicMessages);
    let answer = value(&plan.answer(ANTHROPIC, &stamp()).expect("an answer"));
    let mut input = vec![json!({"role": "user", "content": "go"})];
    input.extend(answer["output"].as_array().expect("items").clone());
    input.push(json!({"type": "function_call_output", "call_id": "t1", "output": "ok"}));
    let body = json!({"model": "m", "input": input});
    let (sent, warnings) = replayed(
        FormatId::OpenaiResponses,
        FormatId::AnthropicMessages,
        &body,
    );
    assert_eq!(sent["messages"][1]["content"], expected());
    assert_eq!(warnings, "");
}

#[test]
fn anthropics_thinking_survives_a_client_of_chat_completions_that_replays_the_message() {
    let plan = plan(FormatId::OpenaiChat, FormatId::AnthropicMessages);
    let answer = value(&plan.answer(ANTHROPIC, &stamp()).expect("an answer"));
    let messages = json!([
        {"role": "user", "content": "go"},
        answer["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "t1", "content": "ok"},
    ]);
    let body = json!({"model": "m", "messages": messages});
    let (sent, warnings) = replayed(FormatId::OpenaiChat, FormatId::AnthropicMessages, &body);
    assert_eq!(sent["messages"][1]["content"], expected());
    assert_eq!(warnings, "");
    // A client that keeps only what OpenAI documents is told.
    let plain = json!({"model": "m", "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "yes", "reasoning_content": "hm"},
    ]});
    let (_, warnings) = replayed(FormatId::OpenaiChat, FormatId::AnthropicMessages, &plain);
    assert_eq!(warnings, "dropped:reasoning");
}

#[test]
fn openais_reasoning_survives_a_client_of_anthropics() {
    let body = br#"{"id":"resp_1","created_at":1,"status":"completed","model":"m","output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAA:x"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}]}"#;
    let plan = plan(FormatId::AnthropicMessages, FormatId::OpenaiResponses);
    let answer = value(&plan.answer(body, &stamp()).expect("an answer"));
    let body = json!({"model": "m", "max_tokens": 100, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
    ]});
    let (sent, warnings) = replayed(
        FormatId::AnthropicMessages,
        FormatId::OpenaiResponses,
        &body,
    );
    assert_eq!(
        sent["input"][1],
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA:x"})
    );
    assert_eq!(sent["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(
        (sent["store"].clone(), warnings.as_str()),
        (json!(false), "")
    );
}

#[test]
fn a_proof_of_another_maker_is_never_sent_to_one_who_cannot_read_it() {
    let to_anthropic = json!({"model": "m", "input": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"role": "user", "content": "go"},
    ]});
    let (sent, warnings) = replayed(
        FormatId::OpenaiResponses,
        FormatId::AnthropicMessages,
        &to_anthropic,
    );
    assert!(!sent.to_string().contains("gAAA"));
    assert_eq!(warnings, "dropped:reasoning");
    let to_openai = json!({"model": "m", "max_tokens": 99, "messages": [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]},
        {"role": "user", "content": "go"},
    ]});
    for upstream in [FormatId::OpenaiChat, FormatId::OpenaiResponses] {
        let (sent, warnings) = replayed(FormatId::AnthropicMessages, upstream, &to_openai);
        assert!(!sent.to_string().contains("c2ln"));
        assert_eq!(warnings, "dropped:thinking");
    }
}

#[test]
fn arguments_and_schemas_keep_every_byte() {
    // T66
    let plan = plan(FormatId::OpenaiChat, FormatId::AnthropicMessages);
    let answer = plan.answer(ANTHROPIC, &stamp()).expect("an answer");
    let arguments =
        &value(&answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, r#"{"b": 1, "a":2}"#);
    let schema = r#"{"type":"object", "properties":{"z":{},"a":{"const":1.50}}}"#;
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{{\"z\": 1.0,  \"a\":2}}"}}}}]}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}}}"#
    );
    let sent = request(
        FormatId::OpenaiChat,
        FormatId::AnthropicMessages,
        body.as_bytes(),
        &target(),
    );
    let sent = String::from_utf8(sent.expect("a request").body.to_vec()).expect("text");
    assert_eq!(sent.matches(schema).count(), 2, "{sent}");
    assert!(sent.contains(r#""input":{"z": 1.0,  "a":2}"#), "{sent}");
}

#[test]
fn a_tool_of_a_namespace_is_called_by_its_own_name() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "go"},
        {"type": "function_call", "call_id": "c1", "namespace": "team", "name": "ask", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ], "tools": [{"type": "namespace", "name": "team", "description": "Others", "tools": [
        {"type": "function", "name": "ask", "parameters": {"type": "object"}, "strict": false},
    ]}]});
    for upstream in [FormatId::AnthropicMessages, FormatId::OpenaiChat] {
        let body = body.to_string();
        let translated = request(
            FormatId::OpenaiResponses,
            upstream,
            body.as_bytes(),
            &target(),
        );
        let translated = translated.expect("a request");
        let sent = String::from_utf8(translated.body.to_vec()).expect("text");
        assert_eq!(sent.matches(r#""name":"team__ask""#).count(), 2, "{sent}");
        assert!(translated.warnings.is_empty(), "{}", translated.warnings);
        let answer = match upstream {
            FormatId::OpenaiChat => {
                r#"{"choices":[{"message":{"tool_calls":[{"id":"c2","function":{"name":"team__ask","arguments":"{}"}}]}}]}"#
            }
            _ => r#"{"content":[{"type":"tool_use","id":"c2","name":"team__ask","input":{}}]}"#,
        };
        let answer = translated.plan.answer(answer.as_bytes(), &stamp());
        let call = value(&answer.expect("an answer"))["output"][0].clone();
        assert_eq!(
            (&call["namespace"], &call["name"]),
            (&json!("team"), &json!("ask"))
        );
    }
    let chunks = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c2\",\"function\":{\"name\":\"team__ask\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let body = body.to_string();
    let translated = request(
        FormatId::OpenaiResponses,
        FormatId::OpenaiChat,
        body.as_bytes(),
        &target(),
    );
    let told = stream(&translated.expect("a request").plan, [chunks.as_bytes()]);
    assert!(!told.contains("team__ask"), "{told}");
    assert_eq!(
        told.matches(r#""namespace":"team","name":"ask""#).count(),
        3,
        "{told}"
    );
}

#[test]
fn thinking_is_asked_for_only_where_the_client_does() {
    for (reasoning, thinking, warnings) in [
        (json!({"summary": "auto"}), json!(null), "dropped:summary"),
        (json!({"effort": "low"}), json!({"type": "adaptive"}), ""),
        (
            json!({"effort": "max", "summary": "auto"}),
            json!({"type": "adaptive", "display": "summarized"}),
            "",
        ),
        (json!({"effort": "none"}), json!({"type": "disabled"}), ""),
    ] {
        let body = json!({"model": "m", "input": "hi", "reasoning": reasoning});
        let (sent, warned) = replayed(
            FormatId::OpenaiResponses,
            FormatId::AnthropicMessages,
            &body,
        );
        assert_eq!((&sent["thinking"], warned.as_str()), (&thinking, warnings));
    }
}

#[test]
fn a_model_that_knows_only_a_budget_gets_one() {
    let ask = |how, rest: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in rest.as_object().expect("fields") {
            body[name.as_str()] = value.clone();
        }
        let target = Target {
            thinking: how,
            ..target()
        };
        let body = body.to_string();
        let (from, to) = (FormatId::OpenaiChat, FormatId::AnthropicMessages);
        let sent = request(from, to, body.as_bytes(), &target).expect("translated");
        let warnings = sent.warnings.to_string();
        let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
        (
            sent["thinking"].clone(),
            sent["output_config"].clone(),
            warnings,
        )
    };
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let weather = json!({"role": "assistant", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let told = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let replayed = json!([{"role": "user", "content": "hi"}, weather, told]);
    let (approximated, dropped) = ("approximated:reasoning_effort", "dropped:reasoning_effort");
    for (rest, thinking, warnings) in [
        (
            json!({"reasoning_effort": "low"}),
            budget(4_096),
            approximated,
        ),
        (
            json!({"reasoning_effort": "minimal", "max_tokens": 64_000}),
            budget(4_096),
            approximated,
        ),
        (
            json!({"reasoning_effort": "high", "max_tokens": 64_000}),
            budget(24_576),
            approximated,
        ),
        // Half is left to the answer.
        (
            json!({"reasoning_effort": "high", "max_tokens": 5_000}),
            budget(2_500),
            approximated,
        ),
        (
            json!({"reasoning_effort": "low", "max_tokens": 2_048}),
            budget(1_024),
            approximated,
        ),
        (
            json!({"reasoning_effort": "low", "max_tokens": 2_047}),
            Value::Null,
            dropped,
        ),
        // What the format refuses beside a budget.
        (
            json!({"reasoning_effort": "low", "tools": tools, "tool_choice": "required"}),
            Value::Null,
            dropped,
        ),
        (
            json!({"reasoning_effort": "low", "tools": tools, "messages": replayed}),
            Value::Null,
            dropped,
        ),
        (
            json!({"reasoning_effort": "none"}),
            json!({"type": "disabled"}),
            "",
        ),
        (json!({}), Value::Null, ""),
    ] {
        let asked = ask(Thinking::Budget, rest.clone());
        assert_eq!(
            asked,
            (thinking, Value::Null, warnings.to_owned()),
            "{rest}"
        );
    }
    let low = json!({"reasoning_effort": "low"});
    let none = json!({"reasoning_effort": "none"});
    let effort = json!({"effort": "low"});
    for (how, rest, thinking, config, warnings) in [
        (Thinking::Adaptive, &low, "adaptive", &effort, ""),
        (Thinking::Always, &low, "adaptive", &effort, ""),
        // As little as can be said.
        (Thinking::Always, &none, "", &effort, approximated),
        (Thinking::Never, &low, "", &Value::Null, dropped),
        (Thinking::Never, &none, "", &Value::Null, ""),
    ] {
        let (said, configured, warned) = ask(how, rest.clone());
        assert_eq!(said["type"].as_str().unwrap_or(""), thinking, "{how:?}");
        assert_eq!(
            (&configured, warned.as_str()),
            (config, warnings),
            "{how:?}"
        );
    }
}

#[test]
fn only_claude_before_4_6_gets_a_budget() {
    let registry = Registry::bundled().expect("valid files");
    let id = "anthropic".parse().expect("an id");
    let anthropic = registry.get(&id).expect("bundled");
    for (model, how) in [
        ("claude-opus-5-5", Thinking::Adaptive),
        ("claude-sonnet-4-6", Thinking::Adaptive),
        ("claude-opus-4-7", Thinking::Adaptive),
        ("claude-haiku-4-5-20251001", Thinking::Budget),
        ("claude-sonnet-4-20250514", Thinking::Budget),
        ("claude-opus-4-1", Thinking::Budget),
        ("claude-3-7-sonnet-20250219", Thinking::Budget),
        ("claude-3-5-haiku-20241022", Thinking::Never),
        ("claude-fable-5-1", Thinking::Always),
        ("something-new", Thinking::Adaptive),
    ] {
        assert_eq!(anthropic.thinking(model), how, "{model}");
    }
}
