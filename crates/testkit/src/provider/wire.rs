//! Answers in the shapes of the two big APIs, written after their published references.

use serde_json::{Value, json};

use super::{Received, Script};

/// What [`chat`] and [`message`] report: tokens in and out, of the input from cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// All input tokens, those from cache included.
    pub input: u64,
    /// Input tokens that were read from cache.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
}

/// What the well-behaved provider reports.
pub const TOKENS: Tokens = Tokens {
    input: 19,
    cached: 8,
    output: 5,
};

/// What the well-behaved provider says.
pub const TEXT: &str = "Hello from upstream.";

/// Answers as a well-behaved provider would, by path and by the `stream` field.
pub fn answer(request: &Received) -> Script {
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let path = request.path();
    if path.ends_with("/chat/completions") {
        let body = body();
        let model = body["model"].as_str().unwrap_or("unknown").to_owned();
        if body["stream"] != true {
            return chat(&model, TEXT, TOKENS);
        }
        let usage = body["stream_options"]["include_usage"] == true;
        return chat_stream(&model, TEXT, usage.then_some(TOKENS));
    }
    if path.ends_with("/messages") {
        let body = body();
        let model = body["model"].as_str().unwrap_or("unknown").to_owned();
        return if body["stream"] == true {
            message_stream(&model, TEXT, TOKENS)
        } else {
            message(&model, TEXT, TOKENS)
        };
    }
    if path.ends_with("/models") {
        return Script::json(200, &json!({"object": "list", "data": []}));
    }
    chat_error(404, "not_found", "no such path")
}

/// An OpenAI chat completion.
pub fn chat(model: &str, text: &str, tokens: Tokens) -> Script {
    Script::json(
        200,
        &json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": chat_usage(tokens),
            "system_fingerprint": "fp_1",
        }),
    )
}

/// An OpenAI chat completion as a stream, one word per event; with `usage`, as if it was asked for.
pub fn chat_stream(model: &str, text: &str, usage: Option<Tokens>) -> Script {
    let event = |choices: Value, usage_field: Option<Value>| {
        let mut event = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": model, "choices": choices,
        });
        if let Some(usage_field) = usage_field {
            event["usage"] = usage_field;
        }
        format!("data: {event}\n\n")
    };
    // With usage asked for, every event but the last says `usage: null`.
    let none = usage.is_some().then_some(Value::Null);
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut events = vec![event(
        choice(json!({"role": "assistant", "content": ""}), Value::Null),
        none.clone(),
    )];
    for word in text.split_inclusive(' ') {
        events.push(event(
            choice(json!({"content": word}), Value::Null),
            none.clone(),
        ));
    }
    events.push(event(choice(json!({}), json!("stop")), none));
    if let Some(tokens) = usage {
        events.push(event(json!([]), Some(chat_usage(tokens))));
    }
    events.push("data: [DONE]\n\n".to_owned());
    Script::stream(events)
}

/// An OpenAI error.
pub fn chat_error(status: u16, code: &str, message: &str) -> Script {
    let kind = match status {
        401 => "authentication_error",
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    Script::json(
        status,
        &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    )
}

/// An Anthropic message.
pub fn message(model: &str, text: &str, tokens: Tokens) -> Script {
    let mut body = message_body(model, json!([{"type": "text", "text": text}]), tokens);
    body["stop_reason"] = json!("end_turn");
    body["usage"]["output_tokens"] = json!(tokens.output);
    Script::json(200, &body)
}

/// An Anthropic message as a stream, one word per event.
pub fn message_stream(model: &str, text: &str, tokens: Tokens) -> Script {
    let event = |name: &str, mut body: Value| {
        body["type"] = json!(name);
        format!("event: {name}\ndata: {body}\n\n")
    };
    let mut events = vec![
        event(
            "message_start",
            json!({"message": message_body(model, json!([]), tokens)}),
        ),
        event(
            "content_block_start",
            json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        event("ping", json!({})),
    ];
    for word in text.split_inclusive(' ') {
        let delta = json!({"index": 0, "delta": {"type": "text_delta", "text": word}});
        events.push(event("content_block_delta", delta));
    }
    events.push(event("content_block_stop", json!({"index": 0})));
    events.push(event(
        "message_delta",
        json!({
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": tokens.output},
        }),
    ));
    events.push(event("message_stop", json!({})));
    Script::stream(events)
}

/// An Anthropic error.
pub fn message_error(status: u16, kind: &str, message: &str) -> Script {
    Script::json(
        status,
        &json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}),
    )
}

fn chat_usage(tokens: Tokens) -> Value {
    json!({
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// Anthropic counts cached input apart from `input_tokens`.
fn message_body(model: &str, content: Value, tokens: Tokens) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": tokens.input - tokens.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": tokens.cached,
            "output_tokens": 1,
        },
    })
}
