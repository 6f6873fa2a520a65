//! Turns in which nothing is said.

use serde_json::json;

use super::*;

/// Those that refuse an empty text.
const STRICT: [(FormatId, &str); 2] = [
    (FormatId::AnthropicMessages, "messages"),
    (FormatId::GeminiGenerateContent, "contents"),
];

fn to(upstream: FormatId, turns: &Value) -> Result<(Value, String), String> {
    let body = json!({"model": "m", "messages": turns}).to_string();
    let translated = request(FormatId::OpenaiChat, upstream, body.as_bytes(), &target());
    let translated = translated.map_err(|why| why.to_string())?;
    let body = serde_json::from_slice(&translated.body).expect("JSON");
    Ok((body, translated.warnings.to_string()))
}

#[test]
fn a_turn_that_says_nothing_is_left_out_by_name_and_its_neighbors_are_one() {
    let say = |role: &str, text: &str| json!({"role": role, "content": text});
    let turns = json!([say("user", "a"), say("assistant", ""), say("user", "b")]);
    for (upstream, field) in STRICT {
        let (body, warnings) = to(upstream, &turns).expect("translated");
        let turns = body[field].as_array().expect("turns");
        assert_eq!(turns.len(), 1, "{body}");
        let parts = turns[0].get("content").or(turns[0].get("parts"));
        let texts = parts.and_then(Value::as_array).expect("parts").iter();
        let texts: Vec<_> = texts.map(|it| it["text"].clone()).collect();
        assert_eq!(texts, ["a", "b"], "{body}");
        assert_eq!(warnings, "dropped:content");
    }
}

#[test]
fn an_empty_text_beside_something_else_says_nothing_more() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let turns = json!([
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]);
    for (upstream, field) in STRICT {
        let (body, warnings) = to(upstream, &turns).expect("translated");
        assert_eq!(body[field].as_array().map(Vec::len), Some(3), "{body}");
        assert_eq!(warnings, "");
    }
}

#[test]
fn a_request_of_empty_turns_alone_is_refused() {
    for turns in [
        json!([{"role": "user", "content": ""}]),
        json!([{"role": "user", "content": []}]),
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": ""}]),
    ] {
        for (upstream, _) in STRICT {
            let why = to(upstream, &turns).expect_err("refused");
            assert!(why.contains("`messages`"), "{why}");
            assert!(why.contains("no turn says anything"), "{why}");
        }
    }
}
