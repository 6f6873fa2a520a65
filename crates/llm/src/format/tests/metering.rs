//! What is counted of answers that are cut off or report nothing.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::{FormatId, Metered, fixture, meter};
use domain::{Terms, Usage};

fn stream(format: FormatId, events: &[Value]) -> String {
    let named = |event: &Value| match format {
        FormatId::AnthropicMessages => {
            let name = event["type"].as_str().expect("a type");
            format!("event: {name}\ndata: {event}\n\n")
        }
        _ => format!("data: {event}\n\n"),
    };
    events.iter().map(named).collect()
}

fn streamed(format: FormatId, events: &[Value]) -> Metered {
    let text = stream(format, events);
    meter(format.format(), true, [text.as_bytes()])
}

fn whole(format: FormatId, body: &Value) -> Metered {
    let text = body.to_string();
    meter(format.format(), false, [text.as_bytes()])
}

fn chunk(delta: Value) -> Value {
    json!({"id": "not counted", "choices": [{"index": 0, "delta": delta, "logprobs": {"content": "not"}}]})
}

#[test]
fn every_kind_of_generated_openai_text_is_counted_once() {
    let format = FormatId::OpenaiChat;
    for (message, bytes) in [
        (json!({"role": "assistant", "content": ""}), 0),
        (json!({"role": "assistant", "content": "two\n"}), 4),
        (json!({"content": "é€😀"}), 9),
        (json!({"content": null, "refusal": "no"}), 2),
        (json!({"reasoning_content": "think"}), 5),
        (json!({"reasoning": "think"}), 5),
        (
            json!({"reasoning": "think", "reasoning_content": "think", "content": "a"}),
            6,
        ),
        (
            json!({"reasoning": "think", "reasoning_details": [{"type": "reasoning.text", "text": "think"}]}),
            5,
        ),
        (
            json!({"content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "abc"}]}, {"type": "text", "text": "de"}]}),
            5,
        ),
        (
            json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}, {"function": {"arguments": "{}"}}]}),
            10,
        ),
        (
            json!({"function_call": {"name": "f", "arguments": "{}"}}),
            3,
        ),
        (
            json!({"audio": {"id": "x", "data": "AAAA", "transcript": "said"}}),
            4,
        ),
    ] {
        let expected = Metered {
            output_bytes: bytes,
            begun: true,
            refused: false,
            ..Metered::default()
        };
        let body = json!({"object": "chat.completion", "choices": [{"message": message, "finish_reason": "stop"}]});
        assert_eq!(whole(format, &body), expected, "{message}");
        assert_eq!(
            streamed(format, &[chunk(message.clone())]),
            expected,
            "{message}"
        );
        let twice = streamed(format, &[chunk(message.clone()), chunk(message)]);
        assert_eq!(twice.output_bytes, 2 * bytes);
    }
}

#[test]
fn every_kind_of_generated_anthropic_text_is_counted_once() {
    let format = FormatId::AnthropicMessages;
    for (block, deltas, bytes) in [
        (
            json!({"type": "text", "text": "four"}),
            json!([{"text": "fo"}, {"text": "ur"}]),
            4,
        ),
        (
            json!({"type": "thinking", "thinking": "hm", "signature": "AAAA"}),
            json!([{"thinking": "hm"}, {"signature": "AAAA"}]),
            2,
        ),
        (
            json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "x"]}}),
            json!([{"partial_json": ""}, {"partial_json": "{\"a\":"}, {"partial_json": "[1,\"x\"]}"}]),
            14,
        ),
        (
            json!({"type": "web_search_tool_result", "tool_use_id": "x", "content": [{"title": "found", "text": "not"}]}),
            json!([]),
            0,
        ),
    ] {
        let body = json!({"type": "message", "model": "not", "content": [block]});
        let expected = Metered {
            output_bytes: bytes,
            begun: true,
            refused: false,
            ..Metered::default()
        };
        assert_eq!(whole(format, &body), expected, "{block}");
        let mut start = block.clone();
        for emptied in ["text", "thinking", "signature"] {
            if let Some(text) = start.get_mut(emptied) {
                *text = "".into();
            }
        }
        if start.get("input").is_some() {
            start["input"] = json!({});
        }
        let mut events =
            vec![json!({"type": "content_block_start", "index": 0, "content_block": start})];
        for delta in deltas.as_array().expect("a list") {
            events.push(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
        }
        assert_eq!(streamed(format, &events), expected, "{block}");
    }
}

#[test]
fn a_report_before_more_text_is_not_the_last_word() {
    let format = FormatId::OpenaiChat;
    let reporting = |text: &str, output: u64| {
        let mut chunk = chunk(json!({"content": text}));
        chunk["usage"] = json!({"prompt_tokens": 9, "completion_tokens": output});
        chunk
    };
    let cumulative = [reporting("one", 1), reporting("two", 2)];
    let metered = streamed(format, &cumulative);
    assert!(metered.complete);
    assert_eq!(metered.reported.map(|usage| usage.output_tokens), Some(2));
    let more = [
        reporting("one", 1),
        chunk(json!({"content": "and much more text"})),
    ];
    let metered = streamed(format, &more);
    assert!(!metered.complete);
    let (usage, estimated) = metered.usage(1_000).expect("a report");
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, estimated),
        (9, 6, true)
    );
}

#[test]
fn a_stream_that_is_cut_is_estimated_from_what_came() {
    // 66 bytes of text came; the request had 1,001 bytes.
    let text = "The quick brown fox jumps over the lazy dog and then over the cat.";
    let openai = [
        chunk(json!({"role": "assistant", "content": ""})),
        chunk(json!({"content": text})),
    ];
    let estimated = |input_tokens, output_tokens| Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    };
    let metered = streamed(FormatId::OpenaiChat, &openai);
    assert_eq!(metered.usage(1_001), Some((estimated(251, 17), true)));
    let metered = streamed(FormatId::OpenaiChat, &openai[..1]);
    assert_eq!(metered.usage(1_001), Some((estimated(251, 0), true)));
    let started = json!({"type": "message_start", "message": {"content": [], "usage": {
        "input_tokens": 25, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 300, "output_tokens": 1}}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    // An end that reports nothing is not the last word either.
    let silent =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": null});
    let metered = streamed(FormatId::AnthropicMessages, &[started, delta, silent]);
    let expected = Usage {
        input_tokens: 25,
        cached_input_tokens: 1_000,
        cache_write_tokens: 300,
        output_tokens: 17,
        reasoning_tokens: 0,
    };
    assert_eq!(metered.usage(1_001), Some((expected, true)));
}

#[test]
fn the_input_of_embeddings_is_its_text_and_not_what_is_around_it() {
    let openai = FormatId::OpenaiEmbeddings;
    let gemini = FormatId::GeminiEmbeddings;
    let part = |text: &str| json!({"parts": [{"text": text}], "role": "user"});
    for (format, body, bytes) in [
        (openai, json!({"model": "m", "input": "f\u{fc}nf\n"}), 6),
        (
            openai,
            json!({"input": ["four", "two"], "model": "m", "user": "not"}),
            7,
        ),
        (
            openai,
            json!({"input": [{"text": "four"}, {"image": "AAAA"}, {"image_url": {"url": "u"}}]}),
            9,
        ),
        (
            gemini,
            json!({"content": part("four"), "title": "two", "taskType": "not", "outputDimensionality": 9}),
            7,
        ),
        (
            gemini,
            json!({"requests": [
                {"model": "models/m", "content": part("four"), "title": "t"},
                {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"text": "two"}]}}]}),
            12,
        ),
    ] {
        let counted = format.format().input_bytes(body.to_string().as_bytes());
        assert_eq!(counted, bytes, "{body}");
    }
    // Tokens are no text, and generated text needs all that is said.
    for (format, body) in [
        (openai, r#"{"model":"m","input":[[1,2],[3]]}"#),
        (gemini, r#"{"content":{"parts":[]}}"#),
        (FormatId::OpenaiChat, r#"{"messages":[{"content":"four"}]}"#),
    ] {
        let all = body.len() as u64;
        assert_eq!(format.format().input_bytes(body.as_bytes()), all, "{body}");
    }
}

#[test]
fn no_spelling_of_the_input_of_embeddings_makes_it_less() {
    let openai = FormatId::OpenaiEmbeddings;
    let gemini = FormatId::GeminiEmbeddings;
    for (format, body, bytes) in [
        (openai, r#"{"input":"x","\u0069nput":["four"]}"#, 5),
        (openai, r#"{"input":"four","input":"x"}"#, 5),
        (openai, r#"{"\u0069\u006eput":"four"}"#, 4),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"},{"\u0074ext":"four"}]}}"#,
            5,
        ),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"}]},"\u0074itle":"four"}"#,
            5,
        ),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"}],"parts":[{"text":"four","text":"y"}]}}"#,
            6,
        ),
    ] {
        assert_eq!(
            format.format().input_bytes(body.as_bytes()),
            bytes,
            "{body}"
        );
    }
    // Whatever is not understood may be input, so all of it counts.
    for (format, body) in [
        (openai, r#"{"input":"x","Input":"four"}"#),
        (openai, r#"{"input":"x","Input":[1,2]}"#),
        (openai, r#"{"input":"x","\u0000input":"four"}"#),
        (openai, r#"{"input":["x",[1,2]]}"#),
        (openai, r#"{"input":["x",1,2]}"#),
        (openai, r#"{"input":["x",{"pages":"four"}]}"#),
        (openai, r#"{"input":"x","messages":[{"content":"four"}]}"#),
        (openai, r#"{"input":"x"}{"input":"four"}"#),
        (openai, r#"{"input":["x","\ud800"]}"#),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"}]},"Title":"four"}"#,
        ),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"},{"fileData":{"fileUri":"u"}}]}}"#,
        ),
        (gemini, r#"{"content":{"parts":[{"text":"x"},"four"]}}"#),
        (
            gemini,
            r#"{"content":{"parts":[{"text":"x"}]},"contents":[{"parts":[]}]}"#,
        ),
    ] {
        let all = body.len() as u64;
        assert_eq!(format.format().input_bytes(body.as_bytes()), all, "{body}");
    }
    // What has no room for input changes nothing.
    let body =
        r#"{"input":"four","dimensions":9,"normalized":true,"x":-0.5,"y":null,"z":"","user":null}"#;
    assert_eq!(openai.format().input_bytes(body.as_bytes()), 4);
}

#[test]
fn an_error_in_an_answers_place_consumed_nothing() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy", "content": "x"}});
    for format in [FormatId::OpenaiChat, FormatId::AnthropicMessages] {
        for (metered, refused) in [
            (whole(format, &error), false),
            (streamed(format, std::slice::from_ref(&error)), true),
        ] {
            let expected = Metered {
                refused,
                ..Metered::default()
            };
            assert_eq!(metered, expected);
            assert_eq!(metered.usage(1_000), None);
        }
    }
}

#[test]
fn a_lie_is_replaced_by_the_count() {
    let mut last = chunk(json!({"content": "12345678"}));
    last["usage"] = json!({"prompt_tokens": -1, "completion_tokens": 1});
    let (usage, estimated) = streamed(FormatId::OpenaiChat, &[last])
        .usage(40)
        .expect("text came");
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, estimated),
        (10, 2, true)
    );
}

proptest! {
    #[test]
    fn any_split_of_a_stream_that_is_cut_anywhere_is_metered_the_same(
        anthropic in any::<bool>(), end in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (format, name) = if anthropic {
            (FormatId::AnthropicMessages, "anthropic_messages/stream.sse")
        } else {
            (FormatId::OpenaiChat, "openai_chat/stream_cumulative.sse")
        };
        let bytes = fixture(name);
        let bytes = &bytes[..end.index(bytes.len() + 1)];
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let metered = meter(format.format(), true, [bytes]);
        prop_assert_eq!(meter(format.format(), true, pieces), metered);
        // Whatever was cut off, nothing is made up: there is no more text than there are bytes.
        assert!(metered.output_bytes <= bytes.len() as u64);
    }
}

#[test]
fn the_terms_of_an_answer_are_read_where_they_stand() {
    let hour = |hour_cache_write_tokens| Terms {
        hour_cache_write_tokens,
        ..Terms::default()
    };
    let other = Terms {
        is_other_tier: true,
        ..Terms::default()
    };
    let usage = json!({"input_tokens": 9, "output_tokens": 2, "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3}, "service_tier": "standard"});
    let messages = FormatId::AnthropicMessages;
    let start = |usage: &Value| json!({"type": "message_start", "message": {"usage": usage}});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}});
    let told = |usage: &Value| {
        let body = json!({"type": "message", "content": [], "usage": usage});
        let streamed = streamed(messages, &[start(usage), end.clone()]);
        assert!(streamed.complete, "{usage}");
        assert_eq!(whole(messages, &body).terms, streamed.terms, "{usage}");
        streamed.terms
    };
    assert_eq!(told(&usage), hour(3));
    for (name, value, terms) in [
        (
            "service_tier",
            json!("priority"),
            Terms {
                is_other_tier: true,
                ..hour(3)
            },
        ),
        (
            "service_tier",
            json!("batch"),
            Terms {
                is_other_tier: true,
                ..hour(3)
            },
        ),
        (
            "speed",
            json!("fast"),
            Terms {
                is_other_tier: true,
                ..hour(3)
            },
        ),
        ("speed", json!("standard"), hour(3)),
        ("service_tier", Value::Null, hour(3)),
        ("cache_creation", Value::Null, hour(0)),
        ("cache_creation", json!(7), hour(0)),
        (
            "cache_creation",
            json!({"ephemeral_1h_input_tokens": -1}),
            hour(0),
        ),
    ] {
        let mut usage = usage.clone();
        usage[name] = value;
        assert_eq!(told(&usage), terms, "{usage}");
    }
    let report =
        json!({"prompt_tokens": 9, "completion_tokens": 2, "input_tokens": 9, "output_tokens": 2});
    for (tier, terms) in [
        (json!("default"), Terms::default()),
        (json!("auto"), Terms::default()),
        (json!("on_demand"), Terms::default()),
        (Value::Null, Terms::default()),
        (json!("flex"), other),
        (json!("priority"), other),
        (json!("x".repeat(99)), other),
        (json!({"a": 1}), other),
    ] {
        let chat = FormatId::OpenaiChat;
        let responses = FormatId::OpenaiResponses;
        let body = json!({"choices": [], "service_tier": tier, "usage": report, "output": []});
        let ended = json!({"type": "response.completed", "response": body});
        for (metered, place) in [
            (whole(chat, &body), "chat"),
            (streamed(chat, std::slice::from_ref(&body)), "chunk"),
            (whole(responses, &body), "response"),
            (streamed(responses, &[ended]), "event"),
        ] {
            assert_eq!(metered.terms, terms, "{place} {tier}");
            assert!(metered.reported.is_some(), "{place} {tier}");
        }
        // Whatever stands before and behind it, spelled in any way, in any pieces.
        let text = format!(
            r#"{{"x":[{{"service_tier":"flex"}}],"usage":{report}, "service_tier" : {tier} ,"service_tier2":"flex","choices":[]}}"#
        );
        let mut tap = chat.format().usage_tap(false);
        for byte in text.as_bytes().chunks(1) {
            tap.push(byte);
        }
        let pieces = tap.finish();
        assert_eq!(pieces.terms, terms, "{text}");
        assert!(pieces.complete, "{text}");
    }
}
