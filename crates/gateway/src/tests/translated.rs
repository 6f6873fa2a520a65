//! A client of one format and a provider of another.

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{NanoUsd, Usage};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::client::Answer;
use super::harness::{Harness, KEY};
use super::payer::{JSON, STREAM, managed};
use super::provider::{Provider, Step, chunk};

const CHAT: &str = r#"{"model":"claude-x","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}],"seed":7}"#;
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":5,"cache_read_input_tokens":20,"output_tokens":9}}"#;
const MESSAGE_USED: Usage = Usage {
    input_tokens: 12,
    cached_input_tokens: 20,
    cache_write_tokens: 5,
    output_tokens: 9,
    reasoning_tokens: 0,
};
const MESSAGE_EVENTS: [&str; 5] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":12,\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":20,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];
const CHUNKS: [&str; 4] = [
    "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"}}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":9,\"total_tokens\":39,\"prompt_tokens_details\":{\"cached_tokens\":10}}}\n\n",
    "data: [DONE]\n\n",
];

fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

/// The head and the JSON of the newest request.
fn sent(provider: &Provider) -> (String, Value) {
    let (head, body) = provider.requests().pop().expect("a request");
    (head, serde_json::from_slice(&body).expect("JSON"))
}

/// The data of the events, in their order, as JSON where it is.
fn events(answer: &Answer) -> Vec<Value> {
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
        .collect()
}

async fn respond(harness: &Harness, body: &str) -> Answer {
    harness
        .send(harness.request(Method::POST, "/v1/responses", body))
        .await
}

#[tokio::test]
async fn a_chat_completion_is_served_by_a_provider_of_messages() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(MESSAGE);
    let mut request = harness.request(Method::POST, "/v1/chat/completions?beta=true", CHAT);
    let beta = HeaderValue::from_static("assistants=v2");
    request.headers_mut().insert("openai-beta", beta);
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "hello");
    assert_eq!(body["usage"]["prompt_tokens"], 37);
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "anthropic_messages"
    );
    assert_eq!(
        answer.header("x-keybearer-warnings"),
        "dropped:beta,dropped:openai-beta,dropped:seed"
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let (head, body) = sent(&harness.provider);
    assert!(
        head.starts_with("POST /base/v1/messages HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("anthropic-version: 2023-06-01\r\n"), "{head}");
    assert!(!head.contains("openai-beta"), "{head}");
    assert_eq!(
        body,
        json!({"model": "claude-x", "max_tokens": 16384, "system": "Be brief.", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.usage, Some(MESSAGE_USED));
    assert_eq!(row.wire_format, "openai_chat");
    assert_eq!(row.response_bytes, answer.body.len() as i64);
    assert_eq!(row.charge, NanoUsd::ZERO);
}

#[tokio::test]
async fn the_providers_own_format_passes_as_it_always_did() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(MESSAGE);
    let call = r#"{"model":"claude-x", "max_tokens":9,"unknown":[1.0e3]}"#;
    let answer = harness.messages(call).await;
    assert_eq!(&answer.body[..], MESSAGE.as_bytes());
    assert_eq!(answer.header("x-keybearer-translated"), "");
    assert_eq!(answer.header("x-keybearer-warnings"), "");
    let (_, body) = harness.provider.requests().pop().expect("a request");
    assert_eq!(body, call.as_bytes());
}

#[tokio::test]
async fn a_response_streams_from_a_provider_of_messages() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.script(stream(&MESSAGE_EVENTS));
    let answer = respond(
        &harness,
        r#"{"model":"claude-x","input":"hi","stream":true}"#,
    )
    .await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let events = events(&answer);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], place, "{event}");
    }
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "hello");
    assert_eq!(last["response"]["usage"]["input_tokens"], 37);
    let (_, body) = sent(&harness.provider);
    assert_eq!(body["stream"], true);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.streamed), (Some(MESSAGE_USED), true));
    assert_eq!(row.error_code, None);
}

#[tokio::test]
async fn messages_take_the_closest_format_that_has_words_for_them() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.script(stream(&CHUNKS));
    // Nothing in OpenAI's responses stops at a text; chat completions do.
    let call = r#"{"model":"gpt-x","max_tokens":50,"stream":true,"stop_sequences":["END"],"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness.messages(call).await;
    assert_eq!(answer.header("x-keybearer-translated"), "openai_chat");
    let (head, body) = sent(&provider);
    assert!(
        head.starts_with("POST /base/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("anthropic"), "{head}");
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    let events = events(&answer);
    let kinds: Vec<&str> = events.iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let used = json!({"input_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 9});
    assert_eq!(events[4]["usage"], used);
    let row = harness.usage().await.pop().expect("a row");
    let usage = row.usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (20, 10));
    // Without stop sequences the format that carries reasoning is closer.
    let responded = r#"{"id":"resp_1","created_at":1,"status":"completed","model":"gpt-x","output":[{"type":"message","content":[{"type":"output_text","text":"hello"}]}],"usage":{"input_tokens":3,"output_tokens":2}}"#;
    provider.says(responded);
    let call = r#"{"model":"gpt-x","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness.messages(call).await;
    assert_eq!(answer.json()["content"][0]["text"], "hello");
    let (head, body) = sent(&provider);
    assert!(
        head.starts_with("POST /base/responses HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(body["store"], false);
}

#[tokio::test]
async fn a_provider_that_refuses_stream_options_is_not_asked_for_them() {
    let harness = Harness::start().await;
    harness.bring("relay").await;
    harness.provider.script(stream(&CHUNKS));
    // Messages have no words for any JSON, chat completions do.
    let call = r#"{"model":"relay/gpt-x","input":"hi","stream":true,"text":{"format":{"type":"json_object"}}}"#;
    let answer = respond(&harness, call).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-keybearer-translated"), "openai_chat");
    let (_, body) = sent(&harness.provider);
    assert_eq!(body["stream_options"], Value::Null);
}

#[tokio::test]
async fn only_a_formats_main_call_is_translated() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let call = r#"{"model":"gpt-x","messages":[{"role":"user","content":"hi"}]}"#;
    let count = harness.request(Method::POST, "/v1/messages/count_tokens", call);
    let answer = harness.send(count).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "format_not_supported")
    );
    assert_eq!(harness.provider.hits(), 0);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told_in_the_clients_format() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let refusal = format!(
        r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"max_tokens: too large, {KEY}"}}}}"#
    );
    harness.provider.answers(400, &[JSON], refusal.as_bytes());
    let answer = harness.chat(CHAT).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["error"],
        json!({"message": "max_tokens: too large, [redacted]", "type": "invalid_request_error", "param": null, "code": "invalid_request_error"})
    );
    assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "anthropic_messages"
    );
    harness.provider.answers(422, &[JSON], b"[]");
    let answer = harness.chat(CHAT).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (422, "upstream_rejected")
    );
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_before_anything_is_sent() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let (_, platform) = harness.platform("relay").await;
    harness
        .settings(|settings| {
            settings.managed_gateway = Some("relay".parse().expect("an id"));
        })
        .await;
    harness.consents().await;
    for (path, body, field) in [
        (
            "/v1/chat/completions",
            r#"{"model":"claude-x","messages":[],"n":2}"#,
            "n",
        ),
        (
            "/v1/responses",
            r#"{"model":"claude-x","input":"hi","previous_response_id":"resp_1"}"#,
            "previous_response_id",
        ),
        (
            "/v1/responses",
            r#"{"model":"claude-x","input":"hi","tools":[{"type":"web_search"}]}"#,
            "tools.type",
        ),
    ] {
        let answer = harness
            .send(harness.request(Method::POST, path, body))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "not_translatable")
        );
        let error = &answer.json()["error"];
        assert_eq!(error["field"], field);
        assert_eq!(error["endpoint"], "/v1/messages");
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!((row.status, row.usage), (400, None));
    }
    // Credits stand in for keys that failed, not for requests that an own key's provider has no words for.
    assert_eq!((harness.provider.hits(), platform.hits()), (0, 0));
}

#[tokio::test]
async fn credits_pay_for_a_translated_call_what_its_provider_reports() {
    let (harness, openai, anthropic) = managed().await;
    harness.provider.fails(500);
    anthropic.says(MESSAGE);
    let call =
        r#"{"model":"claude-x","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness.chat(call).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    assert_eq!(answer.header("x-keybearer-key-source"), "managed");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.usage, Some(MESSAGE_USED));
    // 12 tokens of input, 20 from the cache, 5 to it, 9 of output.
    let cost = 12 * 3_000 + 20 * 300 + 5 * 3_750 + 9 * 15_000;
    assert_eq!(row.charge, NanoUsd::new(cost));
    // A stream ends for its client when it is charged, in the client's format.
    openai.script(stream(&CHUNKS));
    let call = r#"{"model":"gpt-x","max_tokens":50,"stream":true,"stop_sequences":["END"],"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness.messages(call).await;
    let kinds = events(&answer);
    assert_eq!(
        kinds.last().map(|it| it["type"].clone()),
        Some(json!("message_stop"))
    );
    let (_, body) = sent(&openai);
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    let row = harness.usage().await.pop().expect("a row");
    let cost = 20 * 3_000 + 10 * 300 + 9 * 15_000;
    assert_eq!(
        (row.key_source, row.charge),
        (Some(KeySource::Managed), NanoUsd::new(cost))
    );
    assert_eq!(row.pricing, Some(Pricing::Priced));
}

#[tokio::test]
async fn credits_pay_for_no_more_in_a_translated_call_than_in_another() {
    let (harness, openai, anthropic) = managed().await;
    // What would cost more than its tokens reaches no provider through a translation either.
    let tier = r#"{"model":"gpt-x","input":"hi","service_tier":"priority"}"#;
    let tier = respond(&harness, tier).await;
    assert_eq!(tier.code(), "field_needs_own_key");
    let call = r#"{"model":"claude-x","messages":[],"web_search_options":{}}"#;
    assert_eq!(harness.chat(call).await.code(), "not_translatable");
    assert_eq!((openai.hits(), anthropic.hits()), (0, 0));
    // More than the model can have said is not believed.
    let responded = |output: u64| {
        format!(
            r#"{{"id":"resp_1","status":"completed","model":"gpt-tiny","output":[{{"type":"message","content":[{{"type":"output_text","text":"hello"}}]}}],"usage":{{"input_tokens":3,"output_tokens":{output}}}}}"#
        )
    };
    let call =
        r#"{"model":"gpt-tiny","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;
    for (output, pricing) in [(500, Pricing::Priced), (501, Pricing::Estimated)] {
        openai.says(&responded(output));
        assert_eq!(harness.messages(call).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.pricing, Some(pricing), "{output}");
    }
    let call =
        r#"{"model":"claude-x","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;
    // The refusal of a platform key's provider is told in our words and the client's format.
    anthropic.answers(
        400,
        &[JSON],
        br#"{"type":"error","error":{"type":"invalid_request_error","message":"org-1 may not"}}"#,
    );
    let answer = harness.chat(call).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "upstream_rejected")
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("org-1"));
    assert_eq!(
        answer.json()["error"]["upstream"]["type"],
        "invalid_request_error"
    );
}

#[tokio::test]
async fn an_estimate_is_of_what_the_provider_was_sent() {
    let (harness, openai, anthropic) = managed().await;
    // Escapes and blanks are the client's; the provider gets the same words in fewer bytes.
    let words = r"\u0068\u0069".repeat(300);
    let blanks = " ".repeat(2_000);
    let body = |model: &str| {
        format!(
            r#"{{{blanks}"model":"{model}","max_tokens":40,"stop_sequences":["END"],"messages":[{{"role":"user","content":"{words}"}}]}}"#
        )
    };
    let unreported = r#"{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;
    openai.says(unreported);
    let call = body("gpt-x");
    assert_eq!(harness.messages(&call).await.status, 200);
    let (_, body_sent) = openai.requests().pop().expect("a request");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.pricing, Some(Pricing::Estimated));
    assert_eq!(row.request_bytes, i64::try_from(call.len()).expect("few"));
    let tokens = body_sent.len().div_ceil(4) as u64;
    assert!(tokens < call.len() as u64 / 8, "{tokens}");
    assert_eq!(row.usage.expect("estimated").input_tokens, tokens);
    // So is what is held for it.
    let without_limit = call.replace(r#""max_tokens":40"#, r#""max_tokens":4000000000"#);
    let refused = harness.messages(&without_limit).await;
    assert_eq!(refused.code(), "credits_exhausted");
    let needed = refused.json()["error"]["needed"]["nano_usd"].as_i64();
    let longer = without_limit.len() - call.len();
    let tokens = (body_sent.len() + longer).div_ceil(4) as i64;
    assert_eq!(needed, Some(tokens * 3_000 + 4_000_000_000 * 15_000));
    assert_eq!(anthropic.hits(), 0);
}

#[tokio::test]
async fn a_managed_stream_that_breaks_gives_out_what_was_held_back() {
    let (harness, _, anthropic) = managed().await;
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    // The error comes behind the end of the answer, which waits for the charge.
    let [start, block, delta, end, _] = MESSAGE_EVENTS;
    anthropic.script(stream(&[start, block, delta, end, overloaded]));
    let call = r#"{"model":"claude-x","max_tokens":40,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness.chat(call).await;
    let events = events(&answer);
    assert_eq!(events[1]["choices"][0]["delta"]["content"], "hello");
    assert_eq!(events[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[3]["error"]["code"], "overloaded_error");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("upstream_broken"));
    assert!(row.charge > NanoUsd::ZERO);
}

#[tokio::test]
async fn an_echo_of_the_key_is_removed_from_a_translated_answer() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let (begin, end) = KEY.split_at(11);
    let [start, block, _, delta, stop] = MESSAGE_EVENTS;
    let echo = format!(
        "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"got {begin}"
    );
    let rest = format!("{end}\"}}}}\n\n");
    harness
        .provider
        .script(stream(&[start, block, &echo, &rest, delta, stop]));
    let call = CHAT.replace("\"seed\":7", "\"stream\":true");
    let answer = harness.chat(&call).await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(text.contains("\"content\":\"got [redacted]\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    // In pieces that only a whole text puts together.
    let delta = |text: &str| MESSAGE_EVENTS[2].replace("hello", text);
    let pieces = [delta(begin), delta(end)];
    let events = [
        start,
        block,
        &pieces[0],
        &pieces[1],
        MESSAGE_EVENTS[3],
        stop,
    ];
    harness.provider.script(stream(&events));
    let call = r#"{"model":"claude-x","input":"hi","stream":true}"#;
    let answer = respond(&harness, call).await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(!text.contains(KEY) && text.contains("[redacted]"), "{text}");
    assert!(text.contains("response.completed"), "{text}");
    harness.provider.says(&MESSAGE.replace("hello", KEY));
    let answer = harness.chat(CHAT).await;
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        "[redacted]"
    );
}

#[tokio::test]
async fn a_stream_that_begins_with_an_error_is_tried_elsewhere() {
    let harness = Harness::start().await;
    let anthropic = |label: &'static str, position| {
        let harness = &harness;
        async move {
            let upstream = Provider::start().await;
            let owner = domain::KeyOwner::Workspace(harness.workspace);
            let mut record = harness
                .record_of(owner, "anthropic", label, &upstream)
                .await;
            record.position = position;
            harness.put(&record).await;
            upstream
        }
    };
    let first = anthropic("one", 0).await;
    let second = anthropic("two", 1).await;
    let busy = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"busy\"}}\n\n";
    first.script(stream(&[MESSAGE_EVENTS[0], busy]));
    second.script(stream(&MESSAGE_EVENTS));
    let call = CHAT.replace("\"seed\":7", "\"stream\":true");
    let answer = harness.chat(&call).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
    assert_eq!(events(&answer).last(), Some(&json!("[DONE]")));
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_that_the_client_reads() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let begun = &MESSAGE_EVENTS[..3];
    // It ends without its end; the connection breaks; the provider says so.
    let broken = {
        let mut steps = stream(begun);
        steps.pop();
        steps.push(Step::Close);
        steps
    };
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let told = stream(&[begun[0], begun[1], begun[2], overloaded]);
    for (script, code) in [
        (stream(begun), "upstream_broken"),
        (broken, "upstream_broken"),
        (told, "overloaded_error"),
    ] {
        harness.provider.script(script);
        let call = r#"{"model":"claude-x","input":"hi","stream":true}"#;
        let answer = respond(&harness, call).await;
        let events = events(&answer);
        let last = events.last().expect("events");
        assert_eq!(last["type"], "error", "{last}");
        assert_eq!(last["code"], code, "{last}");
        assert_eq!(last["sequence_number"], events.len() - 1);
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.error_code.as_deref(), Some("upstream_broken"));
        assert_eq!(row.usage.map(|it| it.input_tokens), Some(12));
    }
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_not_taken_for_one() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    for body in ["{}", "[", "", r#"{"content":[{"type":"text"}]}"#] {
        harness.provider.says(body);
        let answer = harness.chat(CHAT).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_invalid_response")
        );
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.error_code.as_deref(), Some("upstream_invalid_response"));
    }
    // A body that breaks is asked for once more: nothing of it was told.
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        .to_vec();
    harness.provider.once(vec![Step::Send(head), Step::Close]);
    harness.provider.says(MESSAGE);
    let answer = harness.chat(CHAT).await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-attempts")),
        (200, "2")
    );
}

#[tokio::test]
async fn who_reads_messages_is_told_what_the_row_says_where_the_provider_reports_nothing() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let silent = [CHUNKS[0], CHUNKS[1], CHUNKS[3]];
    harness.provider.script(stream(&silent));
    // Nothing in OpenAI's responses stops at a text; chat completions do.
    let call = r#"{"model":"gpt-x","max_tokens":99,"stream":true,"stop_sequences":["END"],"messages":[{"role":"user","content":"hi"}]}"#;
    let told = events(&harness.messages(call).await);
    let row = harness.usage().await.pop().expect("a row");
    let usage = row.usage.expect("an estimate");
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
    let start = &told[0]["message"]["usage"];
    assert_eq!(start["input_tokens"], usage.input_tokens);
    let delta = told.iter().find(|it| it["type"] == "message_delta");
    let end = &delta.expect("an end")["usage"];
    assert_eq!(end["input_tokens"], usage.input_tokens);
    assert_eq!(end["output_tokens"], usage.output_tokens);
}

#[tokio::test]
async fn what_an_answer_has_beside_its_words_is_named_before_it_or_at_its_end() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let cited = MESSAGE.replace(
        r#""text":"hello"}"#,
        r#""text":"hello","citations":[{"type":"page_location","cited_text":"h","document_index":0}]},{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
    );
    harness.provider.says(&cited);
    let answer = harness.chat(CHAT).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-keybearer-warnings"),
        "dropped:citations,dropped:seed,dropped:server_tool_use"
    );
    // The next answer has nothing of the kind.
    harness.provider.says(MESSAGE);
    let answer = harness.chat(CHAT).await;
    assert_eq!(answer.header("x-keybearer-warnings"), "dropped:seed");

    let [start, open, words, delta, stop] = MESSAGE_EVENTS;
    let cited = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"page_location\"}}}\n\n";
    harness
        .provider
        .script(stream(&[start, open, words, cited, delta, stop]));
    let call = CHAT.replace(r#""seed":7"#, r#""stream":true"#);
    let answer = harness.chat(&call).await;
    assert_eq!(answer.header("x-keybearer-warnings"), "");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(
        text.ends_with("\n\n: x-keybearer-warnings: dropped:citations\n\ndata: [DONE]\n\n"),
        "{text}"
    );
}
