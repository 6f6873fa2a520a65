//! What an answer has that the client's format has no words for: carried where they are nearly the same, named where not.

use super::*;

const CHAT: FormatId = FormatId::OpenaiChat;
const RESPONSES: FormatId = FormatId::OpenaiResponses;
const MESSAGES: FormatId = FormatId::AnthropicMessages;
const GEMINI: FormatId = FormatId::GeminiGenerateContent;

/// The answer, and the warnings.
fn told(client: FormatId, upstream: FormatId, body: &Value) -> (Value, String) {
    let mut warnings = Warnings::default();
    let body = body.to_string();
    let told = plan(client, upstream).answer_alone(body.as_bytes(), &stamp(), &mut warnings);
    let told = serde_json::from_slice(&told.expect("an answer")).expect("JSON");
    (told, warnings.to_string())
}

/// What the client of a stream gets for these events.
fn streamed(client: FormatId, upstream: FormatId, events: &[Value]) -> String {
    let text: String = events.iter().map(|it| format!("data: {it}\n\n")).collect();
    stream(&plan(client, upstream), [text.as_bytes()])
}

fn completion(message: Value) -> Value {
    let mut message = message;
    message["role"] = "assistant".into();
    serde_json::json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "fp",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "content_filter_results": {"hate": {"filtered": false}}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

fn message(content: Value) -> Value {
    serde_json::json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
}

fn candidate(candidate: Value) -> Value {
    let mut candidate = candidate;
    candidate["finishReason"] = "STOP".into();
    serde_json::json!({"candidates": [candidate], "responseId": "r", "modelVersion": "m"})
}

fn response(item: Value) -> Value {
    let said = serde_json::json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": "a", "annotations": []}]});
    serde_json::json!({"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "error": null,
        "background": false, "instructions": "be brief", "metadata": {"a": "b"}, "tools": [], "output": [item, said]})
}

#[test]
fn an_answer_is_left_out_of_by_name_only() {
    let page = serde_json::json!({"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "https://a.test", "title": "A"}});
    for (upstream, body, clients) in [
        (
            CHAT,
            completion(serde_json::json!({"content": "a"})),
            &[(RESPONSES, ""), (MESSAGES, ""), (GEMINI, "")][..],
        ),
        (
            CHAT,
            completion(serde_json::json!({"content": "a", "annotations": [page]})),
            &[
                (RESPONSES, ""),
                (MESSAGES, "dropped:citations"),
                (GEMINI, ""),
            ],
        ),
        (
            CHAT,
            completion(
                serde_json::json!({"content": "a", "annotations": [{"type": "file_citation"}]}),
            ),
            &[(RESPONSES, "dropped:annotations")],
        ),
        (
            CHAT,
            completion(
                serde_json::json!({"content": "a", "reasoning_details": [{}], "images": [{}], "x7": 7}),
            ),
            &[(
                MESSAGES,
                "dropped:images,dropped:reasoning_details,dropped:unlisted",
            )],
        ),
        (
            CHAT,
            completion(
                serde_json::json!({"content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}),
            ),
            &[(MESSAGES, "dropped:content")],
        ),
        (
            MESSAGES,
            message(
                serde_json::json!([{"type": "text", "text": "a", "citations": null}, {"type": "server_tool_use", "id": "s"},
                {"type": "web_search_tool_result"}, {"type": "text", "text": "b", "citations": [{"type": "char_location"}]}]),
            ),
            &[(
                CHAT,
                "dropped:citations,dropped:server_tool_use,dropped:web_search_tool_result",
            )],
        ),
        (
            MESSAGES,
            message(
                serde_json::json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}]),
            ),
            &[(CHAT, ""), (RESPONSES, ""), (GEMINI, "")],
        ),
        (
            RESPONSES,
            response(serde_json::json!({"type": "web_search_call", "id": "ws"})),
            &[
                (CHAT, "dropped:web_search_call"),
                (GEMINI, "dropped:web_search_call"),
            ],
        ),
        (
            RESPONSES,
            response(
                serde_json::json!({"type": "message", "role": "assistant", "phase": "commentary", "content": []}),
            ),
            &[(MESSAGES, "dropped:phase")],
        ),
        (
            GEMINI,
            candidate(
                serde_json::json!({"content": {"parts": [{"text": "a"}]}, "citationMetadata": {"citationSources": [{"uri": "https://a.test"}]}}),
            ),
            &[
                (CHAT, "dropped:citationMetadata"),
                (MESSAGES, "dropped:citationMetadata"),
            ],
        ),
    ] {
        for (client, warnings) in clients {
            let (_, named) = told(*client, upstream, &body);
            assert_eq!(named, *warnings, "{upstream} for {client}: {body}");
        }
    }
}

/// Whatever a server writes where a list belongs is not lost without a word.
#[test]
fn what_should_be_a_list_and_is_none_is_named() {
    let chat = |message: Value| told(RESPONSES, CHAT, &completion(message)).1;
    let text = serde_json::json!({"text": "hi"});
    assert_eq!(
        chat(serde_json::json!({"content": text})),
        "dropped:content"
    );
    let thought = serde_json::json!([{"type": "thinking", "thinking": text}]);
    assert_eq!(
        chat(serde_json::json!({"content": thought})),
        "dropped:content"
    );
    assert_eq!(
        chat(serde_json::json!({"content": "hi", "annotations": 7})),
        "dropped:annotations"
    );
    let nothing = serde_json::json!({"content": "hi", "annotations": {}});
    assert_eq!(chat(nothing), "");
    let cited =
        serde_json::json!([{"type": "text", "text": "hi", "citations": {"url": "https://a.test"}}]);
    assert_eq!(told(CHAT, MESSAGES, &message(cited)).1, "dropped:citations");
    let part = serde_json::json!({"type": "output_text", "text": "hi", "annotations": "x"});
    let item = serde_json::json!({"type": "message", "content": [part]});
    assert_eq!(
        told(CHAT, RESPONSES, &response(item)).1,
        "dropped:annotations"
    );
}

#[test]
fn pages_that_ground_an_answer_are_the_annotations_of_its_stretches_and_back() {
    let page = |url: &str, title: &str| serde_json::json!({"web": {"uri": url, "title": title}});
    let (a, b) = (page("https://a.test", "A"), page("https://b.test", "B"));
    // Bytes here, characters there: "é" is two bytes.
    let support = |part: u64, start: u64, end: u64, text: &str, pages: &[u64]| {
        let mut segment = serde_json::json!({"startIndex": start, "endIndex": end, "text": text});
        if part > 0 {
            segment["partIndex"] = part.into();
        }
        serde_json::json!({"segment": segment, "groundingChunkIndices": pages})
    };
    let mut grounding = serde_json::json!({"groundingChunks": [a, b],
        "groundingSupports": [support(0, 3, 6, "sé", &[0]), support(0, 3, 6, "sé", &[1])]});
    let body = |grounding: &Value| {
        candidate(
            serde_json::json!({"content": {"parts": [{"text": "é sé"}]}, "groundingMetadata": grounding}),
        )
    };
    let (completion, warnings) = told(CHAT, GEMINI, &body(&grounding));
    assert_eq!(warnings, "");
    let annotations = &completion["choices"][0]["message"]["annotations"];
    assert_eq!(
        *annotations,
        serde_json::json!([
            {"type": "url_citation", "url_citation": {"start_index": 2, "end_index": 4, "url": "https://a.test", "title": "A"}},
            {"type": "url_citation", "url_citation": {"start_index": 2, "end_index": 4, "url": "https://b.test", "title": "B"}},
        ])
    );
    let (back, warnings) = told(GEMINI, CHAT, &completion);
    assert_eq!(warnings, "");
    assert_eq!(back["candidates"][0]["groundingMetadata"], grounding);

    // Parts count each from its own beginning, and a thought is none of the text.
    let parts = serde_json::json!([{"text": "t", "thought": true}, {"text": "é "}, {"functionCall": {"name": "f"}}, {"text": "sé"}]);
    let grounded = serde_json::json!({"groundingChunks": [a], "groundingSupports": [support(3, 0, 3, "sé", &[0])]});
    let body = |grounding: &Value| {
        candidate(serde_json::json!({"content": {"parts": parts}, "groundingMetadata": grounding}))
    };
    let (completion, warnings) = told(CHAT, GEMINI, &body(&grounded));
    assert_eq!(warnings, "");
    let cited = &completion["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert_eq!(
        (&cited["start_index"], &cited["end_index"]),
        (&2.into(), &4.into())
    );

    // What more it says is named, as is what stands nowhere.
    grounding["webSearchQueries"] = serde_json::json!(["q"]);
    let (_, warnings) = told(
        CHAT,
        GEMINI,
        &candidate(
            serde_json::json!({"content": {"parts": [{"text": "é sé"}]}, "groundingMetadata": grounding}),
        ),
    );
    assert_eq!(warnings, "approximated:groundingMetadata");
    for (start, end, pages) in [(1, 3, &[0][..]), (3, 99, &[0]), (6, 3, &[0]), (0, 2, &[7])] {
        let support = support(0, start, end, "", pages);
        let metadata = serde_json::json!({"groundingChunks": [a], "groundingSupports": [support]});
        let body = serde_json::json!({"content": {"parts": [{"text": "é sé"}]}, "groundingMetadata": metadata});
        let (_, warnings) = told(CHAT, GEMINI, &candidate(body));
        assert_eq!(warnings, "dropped:groundingMetadata", "{start} {end}");
    }
}

#[test]
fn what_grounding_says_in_a_way_that_is_not_known_is_named_and_costs_nothing_else() {
    let told = |chunk: &Value, supports: &Value| {
        let metadata =
            serde_json::json!({"groundingChunks": [chunk], "groundingSupports": supports});
        let body = serde_json::json!({"content": {"parts": [{"text": "abc"}]}, "groundingMetadata": metadata});
        let (completion, warnings) = told(CHAT, GEMINI, &candidate(body));
        let cited = completion["choices"][0]["message"]["annotations"].as_array();
        (cited.map_or(0, Vec::len), warnings)
    };
    let page =
        serde_json::json!({"web": {"uri": "https://a.test", "title": "A", "domain": "a.test"}});
    let support = serde_json::json!({"segment": {"endIndex": 3, "text": "abc"}, "groundingChunkIndices": [0],
        "confidenceScores": [0.5]});
    assert_eq!(
        told(&page, &serde_json::json!([support])),
        (1, String::new())
    );

    let approximated = (1, "approximated:groundingMetadata".to_owned());
    for broken in [
        serde_json::json!({"groundingChunkIndices": [0]}),
        serde_json::json!({"segment": {"startIndex": 1}, "groundingChunkIndices": [0]}),
        serde_json::json!({"segment": {"endIndex": -1}, "groundingChunkIndices": [0]}),
        serde_json::json!(null),
        serde_json::json!(7),
    ] {
        let supports = serde_json::json!([broken, support]);
        assert_eq!(told(&page, &supports), approximated, "{broken}");
    }

    let with = |value: &Value, at: &str| {
        let mut value = value.clone();
        value.pointer_mut(at).expect("an object")["new"] = "x".into();
        value
    };
    for (chunk, support) in [
        (with(&page, ""), support.clone()),
        (with(&page, "/web"), support.clone()),
        (page.clone(), with(&support, "")),
        (page.clone(), with(&support, "/segment")),
    ] {
        let supports = serde_json::json!([support]);
        assert_eq!(told(&chunk, &supports), approximated, "{chunk} {support}");
    }
}

#[test]
fn a_page_that_a_block_of_a_message_cites_is_cited_by_all_of_it() {
    let cited = serde_json::json!({"type": "web_search_result_location", "url": "https://a.test", "title": "A", "cited_text": "q", "encrypted_index": "e"});
    let text = |text: &str, citations: Value| serde_json::json!({"type": "text", "text": text, "citations": citations});
    let body = message(serde_json::json!([
        text("é ", Value::Null),
        text("sé", serde_json::json!([cited]))
    ]));
    let place = serde_json::json!({"start_index": 2, "end_index": 4, "url": "https://a.test", "title": "A"});
    let (completion, warnings) = told(CHAT, MESSAGES, &body);
    assert_eq!(warnings, "approximated:citations");
    let annotation = &completion["choices"][0]["message"]["annotations"][0];
    assert_eq!(annotation["url_citation"], place);

    let block = |index: u64, text: &str| serde_json::json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": text}});
    let delta = |index: u64, delta: Value| serde_json::json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u64| serde_json::json!({"type": "content_block_stop", "index": index});
    let events = [
        serde_json::json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "type": "message", "role": "assistant",
            "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        block(0, "é "),
        stop(0),
        block(1, ""),
        // It may come before the words.
        delta(
            1,
            serde_json::json!({"type": "citations_delta", "citation": cited}),
        ),
        delta(1, serde_json::json!({"type": "text_delta", "text": "sé"})),
        stop(1),
        serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        serde_json::json!({"type": "message_stop"}),
    ];
    let out = streamed(CHAT, MESSAGES, &events);
    let annotations = out.lines().filter_map(|line| {
        let chunk: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        chunk
            .pointer("/choices/0/delta/annotations/0/url_citation")
            .cloned()
    });
    assert_eq!(annotations.collect::<Vec<_>>(), [place]);
    let comments: Vec<_> = out.lines().filter(|it| it.starts_with(':')).collect();
    assert_eq!(comments, [": x-keybearer-warnings: approximated:citations"]);
}

/// By a comment before the last events, which no client of events takes for one; by a field of the last event for Gemini's.
#[test]
fn the_end_of_a_stream_says_what_its_answer_left_out() {
    let chunk = |delta: Value, reason: Value| serde_json::json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let chunks = [
        chunk(serde_json::json!({"content": "a"}), Value::Null),
        chunk(serde_json::json!({"images": [{}]}), Value::Null),
        chunk(serde_json::json!({}), "stop".into()),
    ];
    for client in [RESPONSES, MESSAGES] {
        let out = streamed(client, CHAT, &chunks);
        let (_, behind) = out
            .split_once("\n\n: x-keybearer-warnings: dropped:images\n\n")
            .expect("a comment");
        assert!(
            behind.starts_with("event: message_delta\n")
                || behind.starts_with("event: response.completed\n"),
            "{behind}"
        );
        assert_eq!(out.matches("keybearer").count(), 1);
    }
    let out = streamed(GEMINI, CHAT, &chunks);
    let events: Vec<Value> = out
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let (last, before) = events.split_last().expect("events");
    assert_eq!(last["keybearerWarnings"], "dropped:images");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert!(before.iter().all(|it| it["keybearerWarnings"].is_null()));
    assert!(!out.lines().any(|line| line.starts_with(':')));

    let whole = [
        chunk(serde_json::json!({"content": "a"}), Value::Null),
        chunk(serde_json::json!({}), "stop".into()),
    ];
    for client in [RESPONSES, MESSAGES, GEMINI] {
        assert!(
            !streamed(client, CHAT, &whole).contains("keybearer"),
            "{client}"
        );
    }
}

#[test]
fn what_a_stream_leaves_out_is_named_in_every_format() {
    let content = |candidate: Value| serde_json::json!({"responseId": "r", "modelVersion": "m", "candidates": [candidate]});
    let item = |kind: &str, item: Value| serde_json::json!({"type": kind, "output_index": 0, "item": item});
    let made = serde_json::json!({"id": "r", "model": "m", "status": "completed", "output": [], "instructions": "x"});
    let end = serde_json::json!({"type": "response.completed", "response": made});
    let start = serde_json::json!({"type": "response.created", "response": made});
    let message_start =
        serde_json::json!({"type": "message_start", "message": {"id": "m", "model": "m"}});
    for (upstream, events, warnings) in [
        (
            GEMINI,
            vec![
                content(
                    serde_json::json!({"content": {"parts": [{"text": "a"}, {"executableCode": {"code": "7"}}]}}),
                ),
                content(
                    serde_json::json!({"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP", "safetyRatings": [{"probability": "NEGLIGIBLE"}],
                    "groundingMetadata": {"webSearchQueries": ["q"]}, "citationMetadata": {"citationSources": []}}),
                ),
            ],
            "dropped:citationMetadata,dropped:executableCode,dropped:groundingMetadata",
        ),
        (
            RESPONSES,
            vec![
                start.clone(),
                item(
                    "response.output_item.added",
                    serde_json::json!({"type": "web_search_call"}),
                ),
                item(
                    "response.output_item.done",
                    serde_json::json!({"type": "web_search_call", "id": "w", "action": {}}),
                ),
                item(
                    "response.output_item.added",
                    serde_json::json!({"type": "message", "phase": "final_answer"}),
                ),
                serde_json::json!({"type": "response.content_part.added", "part": {"type": "output_text"}}),
                serde_json::json!({"type": "response.output_text.delta", "delta": "a", "logprobs": []}),
                serde_json::json!({"type": "response.output_text.annotation.added", "annotation": {"type": "file_citation"}}),
                serde_json::json!({"type": "response.content_part.done"}),
                item(
                    "response.output_item.done",
                    serde_json::json!({"type": "message", "phase": "final_answer", "id": "i", "status": "completed", "role": "assistant", "content": [{}]}),
                ),
                end.clone(),
            ],
            "dropped:annotations,dropped:phase,dropped:web_search_call",
        ),
        (
            MESSAGES,
            vec![
                message_start,
                serde_json::json!({"type": "content_block_start", "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}}),
                serde_json::json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
                serde_json::json!({"type": "content_block_stop"}),
                serde_json::json!({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}),
                serde_json::json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
                serde_json::json!({"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": {"type": "page_location"}}}),
                serde_json::json!({"type": "content_block_stop"}),
                serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "context_management": {"applied_edits": []}}),
                serde_json::json!({"type": "message_stop"}),
            ],
            "dropped:citations,dropped:server_tool_use",
        ),
    ] {
        let out = streamed(CHAT, upstream, &events);
        let comment = format!(": x-keybearer-warnings: {warnings}\n\ndata: ");
        assert!(out.contains(&comment), "{upstream}: {out}");
    }
}
