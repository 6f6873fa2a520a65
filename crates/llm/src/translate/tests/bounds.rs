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
