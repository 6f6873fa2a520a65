//! Content for clients of other formats, and other formats for clients of content.

use http_body_util::BodyExt;

use super::*;

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_read_input_tokens":20,"output_tokens":9}}"#;
const CHUNKS: [&str; 4] = [
    "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"}}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":9,\"total_tokens\":39}}\n\n",
    "data: [DONE]\n\n",
];

fn newest(provider: &Provider) -> (String, Value) {
    let (head, body) = provider.requests().pop().expect("a request");
    (head, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn a_client_of_messages_is_served_by_content_whole_and_as_a_stream() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.says(ANSWER);
    let call = r#"{"model":"gemini-x","max_tokens":50,"system":"Be brief.","messages":[{"role":"user","content":"hi"}]}"#;
    let answer = harness
        .send(harness.request(Method::POST, "/v1/messages", call))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "gemini_generate_content"
    );
    assert_eq!(answer.json()["content"][0]["text"], "four");
    assert_eq!(answer.json()["usage"]["cache_read_input_tokens"], 10);
    let (head, body) = newest(&provider);
    assert!(
        head.starts_with("POST /base/models/gemini-x:generateContent HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(sent(&head, "x-goog-api-key"), Some(KEY));
    assert_eq!(
        body,
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 50},
        })
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.streamed), (Some(USED), false));

    provider.script(stream(&[FIRST, LAST]));
    let call = call.replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"");
    let answer = harness
        .send(harness.request(Method::POST, "/v1/messages", &call))
        .await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(text.contains("event: message_stop"), "{text}");
    assert!(text.contains("\"text\":\"fo\"") && text.contains("\"text\":\"ur\""));
    let (head, _) = newest(&provider);
    let line = "POST /base/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.streamed), (Some(USED), true));
}

#[tokio::test]
async fn a_client_of_content_is_served_by_messages() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(MESSAGE);
    let path = "/v1beta/models/claude-x:generateContent";
    let answer = post(&harness, path, CALL).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "anthropic_messages"
    );
    assert_eq!(answer.header("x-keybearer-warnings"), "dropped:unlisted");
    let body = answer.json();
    let parts = &body["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0]["thought"], true);
    assert_eq!(parts[1], json!({"text": "hello"}));
    assert_eq!(body["usageMetadata"]["promptTokenCount"], 32);
    let (_, sent) = newest(&harness.provider);
    assert_eq!(
        (&sent["model"], &sent["max_tokens"], &sent["stream"]),
        (&json!("claude-x"), &json!(40), &Value::Null)
    );
    // What comes back to Anthropic has its proof.
    let content = body["candidates"][0]["content"].clone();
    let again =
        json!({"contents": [{"parts": [{"text": "hi"}]}, content, {"parts": [{"text": "and"}]}]});
    assert_eq!(post(&harness, path, &again.to_string()).await.status, 200);
    let (_, sent) = newest(&harness.provider);
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"})
    );
    let refused = r#"{"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}}]}"#;
    let refused = post(&harness, path, refused).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "not_translatable")
    );
    let metadata = &refused.json()["error"]["details"][0]["metadata"];
    assert_eq!(metadata["field"], "tools");
}

#[tokio::test]
async fn a_client_of_content_has_the_stream_that_its_path_wants_and_counts_are_not_translated() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.script(stream(&CHUNKS));
    let path = "/v1beta/models/gpt-x:streamGenerateContent?alt=sse";
    // Nothing stops at a text in responses, the closer format of this provider.
    let call =
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"stopSequences":["x"]}}"#;
    let answer = post(&harness, path, call).await;
    assert_eq!(answer.status, 200, "{}", answer.code());
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!(
        events[0]["candidates"][0]["content"]["parts"][0]["text"],
        "hello"
    );
    let last = events.last().expect("an event");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["totalTokenCount"], 39);
    let (head, sent) = newest(&harness.provider);
    assert_eq!(sent["stream"], true);
    assert!(!head.contains("alt=sse"), "{head}");
    let hits = harness.provider.hits();
    let count = post(&harness, "/v1beta/models/gpt-x:countTokens", CALL).await;
    assert_eq!(
        (count.status, count.code().as_str()),
        (400, "format_not_supported")
    );
    assert_eq!(harness.provider.hits(), hits);
}

const LISTED: &str =
    r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"stopSequences":["x"]}}"#;

#[tokio::test]
async fn a_stream_that_is_wanted_as_a_list_is_one_of_the_same_events() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.script(stream(&CHUNKS));
    let path = "/v1beta/models/gpt-x:streamGenerateContent";
    let answer = post(&harness, &format!("{path}?alt=sse"), LISTED).await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let mut events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert!(events.len() > 1, "{text}");
    for query in ["", "?alt=json", "?alt=SSE"] {
        let answer = post(&harness, &format!("{path}{query}"), LISTED).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-keybearer-translated"), "openai_chat");
        let list = answer.json();
        let list = list.as_array().expect("a list");
        assert_eq!(list, &events, "{query}");
        let (_, sent) = newest(&harness.provider);
        assert_eq!(sent["stream"], true, "{query}");
        let row = harness.usage().await.pop().expect("a row");
        assert!(row.streamed && row.usage.is_some_and(|it| it.output_tokens == 9));
        assert_eq!(row.response_bytes, answer.body.len() as i64);
    }
    // One that breaks is a list all the same, with the error as its last element.
    harness.provider.script(stream(&CHUNKS[..1]));
    let answer = post(&harness, path, LISTED).await;
    let list = answer.json();
    let list = list.as_array().expect("a list");
    events.truncate(1);
    assert_eq!(list[..1], events);
    assert_eq!(list[1]["error"]["details"][0]["reason"], "upstream_broken");
    assert_eq!(list.len(), 2);
}

#[tokio::test]
async fn a_list_comes_piece_by_piece_and_has_one_element_where_the_provider_wrote_no_stream() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let path = "/v1beta/models/gpt-x:streamGenerateContent";
    harness.provider.streams(&CHUNKS);
    let request = request(&harness, Method::POST, path, LISTED);
    let mut body = harness.open(request).await.into_body();
    let first = body.frame().await.expect("a frame").expect("whole");
    let first = first.into_data().expect("data");
    assert!(first.starts_with(b"[{"), "{first:?}");
    harness.provider.open(CHUNKS.len());
    let rest = body.collect().await.expect("whole").to_bytes();
    assert!(serde_json::from_slice::<Value>(&[first, rest].concat()).is_ok());
    harness.provider.says(r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#);
    let answer = post(&harness, path, LISTED).await;
    let list = answer.json();
    assert_eq!(
        list[0]["candidates"][0]["content"]["parts"][0]["text"],
        "hello"
    );
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_client_of_responses_is_served_by_the_format_that_keeps_signatures() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    provider.says(r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"CiQBc2ln"}]},"finishReason":"STOP"}],"modelVersion":"gemini-x","responseId":"r"}"#);
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let mut input = vec![json!({"role": "user", "content": "go"})];
    let respond = async |input: &[Value]| {
        let body = json!({"model": "gemini-x", "input": input, "tools": tools});
        let request = harness.request(Method::POST, "/v1/responses", &body.to_string());
        harness.send(request).await
    };
    // Google has an endpoint for chat completions, too, which have no word for signatures.
    let answer = respond(&input).await;
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "gemini_generate_content"
    );
    input.extend(answer.json()["output"].as_array().expect("items").clone());
    let call = input.last().expect("a call")["call_id"].clone();
    input.push(json!({"type": "function_call_output", "call_id": call, "output": "ok"}));
    assert_eq!(respond(&input).await.status, 200);
    let (_, sent) = newest(&provider);
    let part = &sent["contents"][1]["parts"][0];
    assert_eq!(part["thoughtSignature"], "CiQBc2ln");
    assert_eq!(part["functionCall"]["name"], "f");
}
