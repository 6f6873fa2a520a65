//! What is peculiar to Gemini's content: paths that name the model, signatures in the part behind a thought, ids that may be
//! left out.

use serde_json::json;

use super::*;
use crate::provider::Thinking;
use crate::registry::Registry;

mod edges;
mod fields;

const GEMINI: FormatId = FormatId::GeminiGenerateContent;

fn to(client: FormatId, upstream: FormatId, body: &Value, how: Thinking) -> (Value, String) {
    let target = Target {
        thinking: how,
        ..target()
    };
    let body = body.to_string();
    let translated = request(client, upstream, body.as_bytes(), &target).expect("a request");
    let sent = serde_json::from_slice(&translated.body).expect("JSON");
    (sent, translated.warnings.to_string())
}

fn refused(client: FormatId, upstream: FormatId, body: &Value) -> String {
    let body = body.to_string();
    let refused = request(client, upstream, body.as_bytes(), &target());
    refused.expect_err("it cannot be said").path()
}

#[test]
fn an_address_of_what_google_keeps_is_not_asked_for_by_a_translation() {
    for (address, passes) in [
        ("https://example.com/files/cat.png", true),
        ("https://storage.googleapis.com/bucket/cat.png", true),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
            false,
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta//files/abc",
            false,
        ),
    ] {
        let image = json!({"type": "image_url", "image_url": {"url": address}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [image]}]});
        let (client, upstream) = (FormatId::OpenaiChat, FormatId::GeminiGenerateContent);
        let body = body.to_string();
        let translated = request(client, upstream, body.as_bytes(), &target());
        assert_eq!(translated.is_ok(), passes, "{address}");
    }
}

#[test]
fn the_path_names_the_model_and_wants_the_stream() {
    let beside = Beside {
        model: "gpt-x",
        stream: true,
        listed: false,
    };
    let body = br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let chat = FormatId::OpenaiChat;
    let translated = request_beside(GEMINI, chat, Some(beside), body, &target());
    let sent: Value = serde_json::from_slice(&translated.expect("a request").body).expect("JSON");
    assert_eq!(
        (&sent["model"], &sent["stream"]),
        (&json!("gpt-x"), &json!(true))
    );
}

#[test]
fn geminis_signature_comes_back_through_every_client() {
    let answer = br#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"functionCall":{"id":"f1","name":"f","args":{"a":1}},"thoughtSignature":"CiQBc2ln"}],"role":"model"},"finishReason":"STOP"}],"modelVersion":"m","responseId":"r"}"#;
    let expected = json!([
        {"text": "hm", "thought": true},
        {"functionCall": {"id": "f1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "CiQBc2ln"},
    ]);
    for client in ALL.into_iter().filter(|it| *it != GEMINI) {
        let told = plan(client, GEMINI).answer(answer, &stamp());
        let told: Value = serde_json::from_slice(&told.expect("an answer")).expect("JSON");
        let body = match client {
            FormatId::OpenaiChat => json!({"model": "m", "messages": [
                {"role": "user", "content": "go"},
                told["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "f1", "content": "ok"},
            ]}),
            FormatId::OpenaiResponses => {
                let mut input = vec![json!({"role": "user", "content": "go"})];
                input.extend(told["output"].as_array().expect("items").clone());
                input
                    .push(json!({"type": "function_call_output", "call_id": "f1", "output": "ok"}));
                json!({"model": "m", "input": input})
            }
            _ => json!({"model": "m", "max_tokens": 9, "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": told["content"]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "f1", "content": "ok"}]},
            ]}),
        };
        let (sent, warnings) = to(client, GEMINI, &body, Thinking::Adaptive);
        assert_eq!(sent["contents"][1]["parts"], expected, "{client}");
        assert_eq!(
            sent["contents"][2]["parts"][0]["functionResponse"],
            json!({"id": "f1", "name": "f", "response": {"output": "ok"}})
        );
        assert_eq!(warnings, "", "{client}");
        // Nobody else gets it.
        for other in ALL.into_iter().filter(|it| *it != GEMINI && *it != client) {
            let (sent, warnings) = to(client, other, &body, Thinking::Adaptive);
            assert!(!sent.to_string().contains("CiQBc2ln"), "{client} {other}");
            assert_ne!(warnings, "", "{client} {other}");
        }
    }
}

#[test]
fn a_call_that_nobody_signed_has_a_stand_in_where_the_model_needs_one() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "{\"x\": 2}"},
        {"role": "user", "content": "and"},
    ]});
    let (sent, _) = to(FormatId::OpenaiChat, GEMINI, &body, Thinking::Adaptive);
    let parts = &sent["contents"][1]["parts"];
    assert_eq!(
        parts[0]["thoughtSignature"],
        "skip_thought_signature_validator"
    );
    assert_eq!(parts[1]["thoughtSignature"], Value::Null);
    // Outcomes are one content behind their calls, and what is said then is another.
    assert_eq!(
        sent["contents"][2]["parts"],
        json!([
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "1"}}},
            {"functionResponse": {"id": "b", "name": "g", "response": {"x": 2}}},
        ])
    );
    assert_eq!(sent["contents"][3]["parts"], json!([{"text": "and"}]));
    let (sent, _) = to(FormatId::OpenaiChat, GEMINI, &body, Thinking::Budget);
    assert_eq!(
        sent["contents"][1]["parts"][0]["thoughtSignature"],
        Value::Null
    );
}

#[test]
fn what_a_function_returned_finds_its_call_without_an_id() {
    let body = json!({"contents": [
        {"parts": [{"text": "go"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {"n": 1}}},
            {"functionCall": {"id": "x", "name": "f", "args": {"n": 2}}},
            {"functionCall": {"name": "f", "args": {"n": 3}}},
        ]},
        {"parts": [
            {"functionResponse": {"id": "x", "name": "f", "response": {"output": "two"}}},
            {"functionResponse": {"name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"name": "f", "response": {"output": "three"}}},
        ]},
    ]});
    let (sent, _) = to(GEMINI, FormatId::OpenaiChat, &body, Thinking::Adaptive);
    let calls = &sent["messages"][1]["tool_calls"];
    let ids: Vec<&Value> = (0..3).map(|at| &calls[at]["id"]).collect();
    let told = |at: usize| {
        let message = &sent["messages"][at];
        (message["tool_call_id"].clone(), message["content"].clone())
    };
    assert_eq!(told(2), (ids[1].clone(), json!("two")));
    assert_eq!(told(3), (ids[0].clone(), json!("one")));
    assert_eq!(told(4), (ids[2].clone(), json!("three")));
    let stray =
        json!({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]});
    assert_eq!(
        refused(GEMINI, FormatId::OpenaiChat, &stray),
        "contents.functionResponse"
    );
}

#[test]
fn effort_is_a_level_or_a_budget_as_the_model_knows_it() {
    let chat = FormatId::OpenaiChat;
    for (how, effort, expected, warned) in [
        (
            Thinking::Adaptive,
            "low",
            json!({"thinkingLevel": "low"}),
            "",
        ),
        (
            Thinking::Adaptive,
            "none",
            json!({"thinkingLevel": "minimal"}),
            "approximated:reasoning_effort",
        ),
        (
            Thinking::Always,
            "none",
            json!({"thinkingLevel": "low"}),
            "approximated:reasoning_effort",
        ),
        (
            Thinking::Adaptive,
            "xhigh",
            json!({"thinkingLevel": "high"}),
            "approximated:reasoning_effort",
        ),
        (Thinking::Budget, "none", json!({"thinkingBudget": 0}), ""),
        (
            Thinking::Budget,
            "medium",
            json!({"thinkingBudget": 8192}),
            "approximated:reasoning_effort",
        ),
        (
            Thinking::BudgetAlways,
            "none",
            json!({"thinkingBudget": 128}),
            "approximated:reasoning_effort",
        ),
        (
            Thinking::Never,
            "high",
            Value::Null,
            "dropped:reasoning_effort",
        ),
    ] {
        let body = json!({"model": "m", "messages": [], "reasoning_effort": effort});
        let (sent, warnings) = to(chat, GEMINI, &body, how);
        let sent = &sent["generationConfig"]["thinkingConfig"];
        assert_eq!(
            (sent, warnings.as_str()),
            (&expected, warned),
            "{how:?} {effort}"
        );
    }
}

/// Nothing that a translation writes is a field that credits do not pay for, but for what the client itself asked for.
#[test]
fn what_is_written_costs_nothing_of_its_own() {
    for other in ALL.into_iter().filter(|it| *it != GEMINI) {
        for (client, upstream) in [(other, GEMINI), (GEMINI, other)] {
            for (name, body) in fixtures(client, "request") {
                let Ok(translated) = request(client, upstream, &body, &target()) else {
                    continue;
                };
                let found = upstream.format().surcharge(&translated.body);
                let asked = matches!(found, None | Some("fileData"));
                assert!(asked, "{client} {name} for {upstream}: {found:?}");
            }
        }
    }
}

#[test]
fn a_budget_is_never_larger_than_a_model_takes() {
    for (asked, expected, warned) in [(2_000, 2_000, ""), (31_999, 24_576, "clamped:thinking")] {
        let body = json!({"model": "m", "max_tokens": 40_000, "messages": [],
            "thinking": {"type": "enabled", "budget_tokens": asked}});
        let (sent, warnings) = to(
            FormatId::AnthropicMessages,
            GEMINI,
            &body,
            Thinking::BudgetAlways,
        );
        let thinking = &sent["generationConfig"]["thinkingConfig"];
        assert_eq!(thinking["thinkingBudget"], expected);
        assert_eq!(warnings, warned);
    }
}

/// What Google's models are asked, by the file that is bundled.
#[test]
fn googles_models_are_asked_as_their_families_know_it() {
    let registry = Registry::bundled().expect("valid files");
    let google = registry.get(&"google".parse().expect("an id"));
    let google = google.expect("it is bundled");
    for (model, how) in [
        ("gemini-1.5-pro", Thinking::Never),
        ("gemini-2.0-flash", Thinking::Never),
        ("gemini-2.5-flash-lite", Thinking::Budget),
        ("gemini-2.5-pro", Thinking::BudgetAlways),
        ("gemini-3-flash-preview", Thinking::Adaptive),
        ("gemini-3.1-flash-lite", Thinking::Adaptive),
        ("gemini-3.1-pro-preview", Thinking::Always),
        ("gemini-3.5-flash-lite", Thinking::Adaptive),
        ("gemini-3.8-flash", Thinking::Always),
        ("gemini-4-argon", Thinking::Always),
    ] {
        assert_eq!(google.thinking(model), how, "{model}");
    }
}

#[test]
fn a_signature_stands_in_the_first_call_whatever_the_client_put_between() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let parts = |said: Value, how: Thinking| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "go"}, said]});
        let (sent, _) = to(FormatId::OpenaiChat, GEMINI, &body, how);
        sent["contents"][1]["parts"].clone()
    };
    let answer = br#"{"candidates":[{"content":{"parts":[{"text":"I look."},{"functionCall":{"name":"f","args":{}},"thoughtSignature":"CiQBc2ln"}]},"finishReason":"STOP"}],"modelVersion":"m","responseId":"r"}"#;
    let told = plan(FormatId::OpenaiChat, GEMINI).answer(answer, &stamp());
    let told: Value = serde_json::from_slice(&told.expect("an answer")).expect("JSON");
    let said = parts(told["choices"][0]["message"].clone(), Thinking::Always);
    assert_eq!(said[0], json!({"text": "I look."}));
    assert_eq!(said[1]["thoughtSignature"], "CiQBc2ln");
    assert_eq!(said[1]["functionCall"]["name"], "f");
    // Models with a budget have it where it first stands.
    let said = parts(told["choices"][0]["message"].clone(), Thinking::Budget);
    assert_eq!(said[0]["thoughtSignature"], "CiQBc2ln");
    assert_eq!(said[1]["thoughtSignature"], Value::Null);
    // A client that keeps only what OpenAI documents.
    let bare =
        json!({"role": "assistant", "content": "I look.", "tool_calls": [call("a"), call("b")]});
    let said = parts(bare, Thinking::Always);
    assert_eq!(
        said[1]["thoughtSignature"],
        "skip_thought_signature_validator"
    );
    assert_eq!(said[2]["thoughtSignature"], Value::Null);
}

#[test]
fn log_probabilities_may_come_behind_their_words() {
    let events = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\n\ndata: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\",\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"a\",\"logProbability\":-2}]}}]}\n\n";
    let out = stream(&plan(FormatId::OpenaiChat, GEMINI), [events.as_bytes()]);
    assert!(out.contains("\"logprob\":-2"), "{out}");
}

#[test]
fn a_stream_whose_call_has_broken_arguments_ends_with_an_error() {
    let events = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{oops\"}}]}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let plan = plan(GEMINI, FormatId::OpenaiChat);
    let mut translator = plan.stream(stamp()).expect("a translation");
    let mut out = translator.push(events.as_bytes());
    out.push_str(&translator.finish());
    assert!(
        out.contains("the arguments of a call are no JSON object"),
        "{out}"
    );
    assert!(translator.is_over() && !translator.is_whole());
    assert!(!out.contains("finishReason"), "{out}");
}

/// Every element of a list, or every event.
fn pieces(text: &str, listed: bool) -> Vec<Value> {
    if listed {
        return serde_json::from_str(text).expect("a list");
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

#[test]
fn a_list_has_the_same_elements_as_a_stream_has_events_however_it_ends() {
    let content = br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    for upstream in ALL {
        if upstream == FormatId::GeminiGenerateContent {
            continue;
        }
        let plan = |listed| {
            let beside = Beside {
                model: "m",
                stream: true,
                listed,
            };
            let client = FormatId::GeminiGenerateContent;
            let translated = request_beside(client, upstream, Some(beside), content, &target());
            translated.expect("translated").plan
        };
        assert!(plan(true).is_listed() && !plan(false).is_listed());
        for (name, events) in fixtures(upstream, "stream") {
            for cut in [events.len(), events.len() / 2, events.len() / 4, 0] {
                let told = |listed| {
                    let text = stream(&plan(listed), [&events[..cut]]);
                    pieces(&text, listed)
                };
                assert_eq!(told(true), told(false), "{name} {cut}");
            }
        }
        let (name, body) = fixtures(upstream, "answer").remove(0);
        let told = |listed| plan(listed).answer(&body, &stamp()).expect("an answer");
        let list: Value = serde_json::from_slice(&told(true)).expect("JSON");
        let one: Value = serde_json::from_slice(&told(false)).expect("JSON");
        assert_eq!(list, serde_json::json!([one]), "{name}");
    }
}

#[test]
fn schemas_of_openapi_become_json_schemas() {
    let body = json!({
        "contents": [{"parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {
            "type": "OBJECT",
            "properties": {"some_name": {"type": "STRING", "nullable": true}, "n": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "2"}},
            "propertyOrdering": ["n", "some_name"],
        }}]}],
    });
    let (sent, warnings) = to(GEMINI, FormatId::OpenaiChat, &body, Thinking::Adaptive);
    assert_eq!(
        sent["tools"][0]["function"]["parameters"],
        json!({
            "type": "object",
            "properties": {"some_name": {"type": ["string", "null"]}, "n": {"type": "array", "items": {"type": "integer"}, "minItems": 2}},
        })
    );
    assert_eq!(warnings, "");
    let nullable = json!({"contents": [], "generationConfig": {"responseMimeType": "application/json",
        "responseSchema": {"enum": ["a"], "type": "STRING", "nullable": true}}});
    let (sent, _) = to(GEMINI, FormatId::OpenaiChat, &nullable, Thinking::Adaptive);
    assert_eq!(
        sent["response_format"]["json_schema"]["schema"],
        json!({"enum": ["a", null], "type": ["string", "null"]})
    );
    let mut deep = json!({"type": "STRING"});
    for _ in 0..61 {
        deep = json!({"type": "ARRAY", "items": deep});
    }
    let body = json!({"contents": [], "generationConfig": {"responseMimeType": "application/json", "responseSchema": deep}});
    assert_eq!(refused(GEMINI, FormatId::OpenaiChat, &body), "schema");
}

#[test]
fn what_others_have_no_words_for_is_refused_by_name() {
    for (body, field) in [
        (json!({"cachedContent": "c"}), "cachedContent"),
        (json!({"tools": [{"codeExecution": {}}]}), "tools"),
        (
            json!({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}),
            "generationConfig.responseModalities",
        ),
        (
            json!({"generationConfig": {"speechConfig": {}}}),
            "generationConfig.speechConfig",
        ),
        (
            json!({"contents": [{"parts": [{"fileData": {"mimeType": "image/png", "fileUri": "gs://b/x"}}]}]}),
            "contents.fileUri",
        ),
        (
            json!({"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AA=="}}]}]}),
            "contents.mimeType",
        ),
        (
            json!({"contents": [{"role": "model", "parts": [{"executableCode": {"code": "1"}}]}]}),
            "contents.parts",
        ),
    ] {
        for upstream in ALL.into_iter().filter(|it| *it != GEMINI) {
            assert_eq!(refused(GEMINI, upstream, &body), field, "{upstream}");
        }
    }
}
