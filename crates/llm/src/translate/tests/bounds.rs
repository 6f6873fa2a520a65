//! What a hostile side sends must not become more than it is.

use super::*;

fn plan(client: FormatId, upstream: FormatId, body: &str) -> Translated {
    request(client, upstream, body.as_bytes(), &target()).expect("it can be translated")
}

fn responses(extra: &str) -> Translated {
    let body = format!(r#"{{"model":"m","input":"hi","stream":true{extra}}}"#);
    plan(FormatId::OpenaiResponses, FormatId::OpenaiChat, &body)
}

fn chat() -> Translated {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    plan(FormatId::OpenaiChat, FormatId::AnthropicMessages, body)
}

#[test]
fn logprobs_are_not_repeated_for_each_part_of_a_text() {
    let logprobs = format!(r#"{{"token":"{}","logprob":0}}"#, "a".repeat(10_000));
    let parts = vec![r#"{"type":"text","text":"a"}"#; 2_000].join(",");
    let event = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":[{parts}]}},\"logprobs\":{{\"content\":[{logprobs}]}}}}]}}\n\n"
    );
    let mut stream = responses("").plan.stream(stamp()).expect("a translation");
    let out = stream.push(event.as_bytes());
    assert_eq!(out.matches("response.output_text.delta\",").count(), 2_000);
    // Once in the event, and once more in the part that is kept.
    assert!(out.matches(&"a".repeat(10_000)).count() <= 2);
}

#[test]
fn a_models_name_is_cut_off() {
    let name = "m".repeat(900_000);
    let start = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"msg_1\",\"model\":\"{name}\",\"usage\":{{}}}}}}\n\n"
    );
    let block = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";
    let mut stream = chat().plan.stream(stamp()).expect("a translation");
    let out = stream.push([&start, block, &delta.repeat(1_000)].concat().as_bytes());
    assert!(
        out.contains("\"x\"") && out.len() < 1_000_000,
        "{}",
        out.len()
    );
    let whole = format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"{name}","content":[{{"type":"text","text":"x"}}],"stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
    );
    let answer = chat()
        .plan
        .answer(whole.as_bytes(), &stamp())
        .expect("an answer");
    assert!(answer.len() < 2_000);
}

#[test]
fn pages_that_are_cited_again_and_again_make_no_answer_many_times_as_long() {
    let (gemini, chat) = (FormatId::GeminiGenerateContent, FormatId::OpenaiChat);
    let told = |client, upstream, body: &Value| {
        let mut warnings = Warnings::default();
        let told = super::plan(client, upstream).answer_alone(
            body.to_string().as_bytes(),
            &stamp(),
            &mut warnings,
        );
        (told.expect("an answer").len(), warnings.to_string())
    };
    let url = format!("https://a.test/{}", "x".repeat(1_000_000));
    let support =
        serde_json::json!({"segment": {"endIndex": 1}, "groundingChunkIndices": vec![0; 1_000]});
    let body = serde_json::json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP",
        "groundingMetadata": {"groundingChunks": [{"web": {"uri": url}}], "groundingSupports": [support]}}]});
    let (bytes, warnings) = told(chat, gemini, &body);
    assert!(bytes < 10_000_000, "{bytes}");
    assert_eq!(warnings, "approximated:groundingMetadata");

    let text = "a".repeat(1_000_000);
    let page = serde_json::json!({"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1_000_000, "url": "https://a.test", "title": "A"}});
    let body = serde_json::json!({"choices": [{"message": {"content": text, "annotations": vec![page; 1_000]}}]});
    let (bytes, warnings) = told(gemini, chat, &body);
    assert!(bytes < 20_000_000, "{bytes}");
    assert_eq!(warnings, "dropped:citations");
}

#[test]
fn what_an_answer_repeats_of_its_request_is_bounded() {
    let short = responses(r#","metadata":{"a":"b"},"instructions":"Be brief.""#);
    assert!(short.warnings.is_empty());
    let long = "x".repeat(300_000);
    let long = responses(&format!(
        r#","metadata":{{"a":"{long}"}},"instructions":"Be brief.""#
    ));
    assert!(
        format!("{:?}", long.warnings).contains("echo"),
        "{:?}",
        long.warnings
    );
    let mut stream = long.plan.stream(stamp()).expect("a translation");
    let out = stream.push(b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n");
    assert!(out.contains("Be brief.") && out.len() < 10_000);
}

#[test]
fn pieces_of_a_signature_are_one_and_count() {
    let event = |kind: &str, rest: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"index\":0,{rest}}}\n\n")
    };
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{}}}\n\n".to_owned();
    let block = event(
        "content_block_start",
        r#""content_block":{"type":"thinking","thinking":""}"#,
    );
    let piece = |text: &str| {
        event(
            "content_block_delta",
            &format!(r#""delta":{{"type":"signature_delta","signature":"{text}"}}"#),
        )
    };
    let end = event("content_block_stop", r#""x":0"#);
    let body = r#"{"model":"m","input":"hi","stream":true,"include":["reasoning.encrypted_content"],"reasoning":{"effort":"low"}}"#;
    let translated = || plan(FormatId::OpenaiResponses, FormatId::AnthropicMessages, body);
    let mut once = translated().plan.stream(stamp()).expect("a translation");
    let mut twice = translated().plan.stream(stamp()).expect("a translation");
    let one = once.push(
        [&*start, &*block, &*piece("abcd"), &*end]
            .concat()
            .as_bytes(),
    );
    let two = twice.push(
        [&*start, &*block, &*piece("ab"), &*piece("cd"), &*end]
            .concat()
            .as_bytes(),
    );
    assert_eq!(one, two);
    for translated in [translated(), chat()] {
        let mut stream = translated.plan.stream(stamp()).expect("a translation");
        stream.push([&*start, &*block].concat().as_bytes());
        let long = piece(&"s".repeat(500_000));
        for _ in 0..40 {
            stream.push(long.as_bytes());
        }
        assert!(stream.is_over() && !stream.is_whole(), "20 MB were kept");
    }
}

#[test]
fn a_namespaces_name_does_not_make_a_request_grow() {
    let request = |length: usize| {
        let name = "n".repeat(length);
        let tool = r#"{"type":"function","name":"f","parameters":{}}"#;
        let tools = vec![tool; 100].join(",");
        let body = format!(
            r#"{{"model":"m","input":"hi","tools":[{{"type":"namespace","name":"{name}","tools":[{tools}]}}]}}"#
        );
        let (from, to) = (FormatId::OpenaiResponses, FormatId::OpenaiChat);
        super::request(from, to, body.as_bytes(), &target()).is_ok()
    };
    assert!(request(128) && !request(129));
}

#[test]
fn a_functions_name_does_not_make_a_request_grow() {
    let request = |length: usize| {
        let name = "n".repeat(length);
        let outcome = r#"{"role":"tool","tool_call_id":"a","content":""}"#;
        let outcomes = vec![outcome; 100].join(",");
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"id":"a","type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}]}},{outcomes}]}}"#
        );
        let (from, to) = (FormatId::OpenaiChat, FormatId::GeminiGenerateContent);
        super::request(from, to, body.as_bytes(), &target()).is_ok()
    };
    assert!(request(128) && !request(129));
}

/// A stream of content for each other client.
fn content() -> [StreamTranslator; 3] {
    [
        FormatId::OpenaiChat,
        FormatId::OpenaiResponses,
        FormatId::AnthropicMessages,
    ]
    .map(|client| {
        let plan = super::plan(client, FormatId::GeminiGenerateContent);
        plan.stream(stamp()).expect("a translation")
    })
}

#[test]
fn what_comes_once_in_an_event_of_content_is_told_once() {
    let long = "a".repeat(10_000);
    let parts = vec![r#"{"text":"b"}"#; 2_000].join(",");
    let event = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}]}},\"logprobsResult\":{{\"chosenCandidates\":[{{\"token\":\"{long}\",\"logProbability\":0}}]}}}}],\"modelVersion\":\"{long}\",\"responseId\":\"{long}\"}}\n\n"
    );
    for mut stream in content() {
        let out = stream.push(event.as_bytes());
        assert!(out.matches(&long).count() <= 2, "{}", out.len());
        assert!(out.len() < 2_000_000, "{}", out.len());
    }
}

#[test]
fn signatures_of_content_count_where_they_are_kept() {
    let long = "s".repeat(500_000);
    let event = format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"b\",\"thoughtSignature\":\"{long}\"}}]}}}}]}}\n\n"
    );
    let [_, mut responses, _] = content();
    for _ in 0..40 {
        responses.push(event.as_bytes());
    }
    assert!(responses.is_over() && !responses.is_whole());
}

#[test]
fn a_client_of_content_is_told_no_more_than_there_is() {
    let chunk = |delta: &str| {
        let long = "n".repeat(300_000);
        format!(
            "data: {{\"id\":\"{long}\",\"model\":\"{long}\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n"
        )
    };
    let plan = super::plan(FormatId::GeminiGenerateContent, FormatId::OpenaiChat);
    let start = || plan.stream(stamp()).expect("a translation");
    let mut stream = start();
    let out = stream.push(chunk(r#"{"content":"x"}"#).repeat(10).as_bytes());
    assert!(
        out.matches("\"x\"").count() == 10 && out.len() < 10_000,
        "{}",
        out.len()
    );
    // A call is told whole, so it is kept until then.
    let mut stream = start();
    stream.push(
        chunk(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#)
            .as_bytes(),
    );
    let more = "a".repeat(500_000);
    let more = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"{more}\"}}}}]}}}}]}}\n\n"
    );
    for _ in 0..40 {
        assert!(stream.push(more.as_bytes()).len() < 1_000);
    }
    assert!(stream.is_over() && !stream.is_whole());
    // So is the proof of what was thought.
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n";
    let more = "s".repeat(500_000);
    let more = format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{more}\"}}}}\n\n"
    );
    let plan = super::plan(FormatId::GeminiGenerateContent, FormatId::AnthropicMessages);
    let mut stream = plan.stream(stamp()).expect("a translation");
    stream.push(start.as_bytes());
    for _ in 0..40 {
        stream.push(more.as_bytes());
    }
    assert!(stream.is_over() && !stream.is_whole());
}
