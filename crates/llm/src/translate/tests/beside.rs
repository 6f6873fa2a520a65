//! What an answer says beside its words: pages that it cites, and the tier of service.

use super::*;

const CHAT: FormatId = FormatId::OpenaiChat;
const RESPONSES: FormatId = FormatId::OpenaiResponses;
const MESSAGES: FormatId = FormatId::AnthropicMessages;

fn answer(client: FormatId, upstream: FormatId, body: &Value) -> Value {
    let body = body.to_string();
    let answer = plan(client, upstream).answer(body.as_bytes(), &stamp());
    serde_json::from_slice(&answer.expect("an answer")).expect("JSON")
}

/// The events that a client gets for these.
fn events(client: FormatId, upstream: FormatId, events: &[Value]) -> Vec<Value> {
    let text: String = events.iter().map(|it| format!("data: {it}\n\n")).collect();
    let out = stream(&plan(client, upstream), [text.as_bytes()]);
    let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn completion(annotations: &Value, tier: &Value) -> Value {
    serde_json::json!({"id": "c", "model": "m", "service_tier": tier, "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "sé [1]", "annotations": annotations}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

fn chunk(delta: Value) -> Value {
    serde_json::json!({"id": "c", "model": "m", "service_tier": "flex", "choices": [{"index": 0, "delta": delta}]})
}

#[test]
fn no_cited_page_gets_lost_wherever_it_is_said_to_stand() {
    let at = |start: u64, url: &str| serde_json::json!({"type": "url_citation", "url_citation": {"start_index": start, "end_index": start + 1, "url": url, "title": "A"}});
    // Behind the text, as who counts bytes would say, and not in order.
    let list = serde_json::json!([at(900, "https://b.test"), at(1, "https://a.test")]);
    let response = answer(RESPONSES, CHAT, &completion(&list, &Value::Null));
    let cited = response["output"][0]["content"][0]["annotations"].as_array();
    let cited = cited.into_iter().flatten().map(|it| it["url"].as_str());
    let cited: Vec<_> = cited.collect();
    assert_eq!(cited, [Some("https://a.test"), Some("https://b.test")]);
}

#[test]
fn pages_that_a_text_cites_are_told_in_openais_two_ways() {
    let cited = serde_json::json!({"type": "url_citation", "url_citation": {"start_index": 3, "end_index": 6, "url": "https://a.test", "title": "A"}});
    let flat = serde_json::json!({"type": "url_citation", "start_index": 3, "end_index": 6, "url": "https://a.test", "title": "A"});
    let list = serde_json::json!([cited, {"type": "file_citation", "file_id": "f"}, 7]);
    let response = answer(RESPONSES, CHAT, &completion(&list, &Value::Null));
    let part = &response["output"][0]["content"][0];
    assert_eq!(part["annotations"], serde_json::json!([flat]));

    // In a response each part counts from its own beginning.
    let text = |text: &str, annotations: Value| serde_json::json!({"type": "output_text", "text": text, "annotations": annotations});
    let body = serde_json::json!({"id": "r", "model": "m", "status": "completed", "output": [{"type": "message",
        "content": [text("én ", serde_json::json!([])), text("sé [1]", serde_json::json!([flat]))]}]});
    let completion = answer(CHAT, RESPONSES, &body);
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"], "én sé [1]");
    let place = &message["annotations"][0]["url_citation"];
    assert_eq!(
        (&place["start_index"], &place["end_index"]),
        (&6.into(), &9.into())
    );
    let back = answer(RESPONSES, CHAT, &completion);
    let place = &back["output"][0]["content"][0]["annotations"][0];
    assert_eq!(
        (&place["start_index"], &place["url"]),
        (&6.into(), &"https://a.test".into())
    );

    let chunks = [
        chunk(serde_json::json!({"content": "sé [1]"})),
        chunk(serde_json::json!({"annotations": [cited]})),
        serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ];
    let told = events(RESPONSES, CHAT, &chunks);
    let added = told
        .iter()
        .find(|it| it["type"] == "response.output_text.annotation.added")
        .expect("an annotation");
    assert_eq!(added["annotation"], flat);
    assert_eq!(
        (&added["annotation_index"], &added["output_index"]),
        (&0.into(), &0.into())
    );
    let last = told.last().expect("an end");
    let part = &last["response"]["output"][0]["content"][0];
    assert_eq!(part["annotations"], serde_json::json!([flat]));

    // And the way back, behind another text.
    let said = |kind: &str, rest: Value| {
        let mut event = rest;
        event["type"] = kind.into();
        event
    };
    let part = serde_json::json!({"part": {"type": "output_text"}});
    let steps = [
        said(
            "response.created",
            serde_json::json!({"response": {"id": "r", "model": "m", "service_tier": "auto"}}),
        ),
        said("response.content_part.added", part.clone()),
        said(
            "response.output_text.delta",
            serde_json::json!({"delta": "én "}),
        ),
        said("response.content_part.done", serde_json::json!({})),
        said("response.content_part.added", part),
        said(
            "response.output_text.delta",
            serde_json::json!({"delta": "sé [1]"}),
        ),
        said(
            "response.output_text.annotation.added",
            serde_json::json!({"annotation": flat}),
        ),
        said(
            "response.completed",
            serde_json::json!({"response": {"status": "completed", "service_tier": "priority"}}),
        ),
    ];
    let told = events(CHAT, RESPONSES, &steps);
    let cites = |it: &&Value| it.pointer("/choices/0/delta/annotations").is_some();
    let cites = told.iter().find(cites).expect("an annotation");
    let place = &cites["choices"][0]["delta"]["annotations"][0]["url_citation"];
    assert_eq!(
        (&place["start_index"], &place["title"]),
        (&6.into(), &"A".into())
    );
    // Said where it is known.
    assert_eq!(told[0]["service_tier"], Value::Null);
    assert_eq!(told.last().expect("an end")["service_tier"], "priority");
}

#[test]
fn the_tier_of_service_is_the_providers_word() {
    let none = serde_json::json!([]);
    for (tier, response, message) in [
        (Value::from("flex"), Value::from("flex"), Value::Null),
        ("priority".into(), "priority".into(), "priority".into()),
        ("default".into(), "default".into(), "standard".into()),
        (Value::Null, "default".into(), Value::Null),
        // No name of one.
        ("a b".into(), "default".into(), Value::Null),
        (7.into(), "default".into(), Value::Null),
    ] {
        let body = completion(&none, &tier);
        let said = answer(RESPONSES, CHAT, &body);
        assert_eq!(said["service_tier"], response, "{tier}");
        let said = answer(MESSAGES, CHAT, &body);
        assert_eq!(said["usage"]["service_tier"], message, "{tier}");
    }
    let told = events(
        RESPONSES,
        CHAT,
        &[
            chunk(serde_json::json!({"content": "a"})),
            serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        ],
    );
    for event in [told.first(), told.last()] {
        assert_eq!(event.expect("one")["response"]["service_tier"], "flex");
    }
    let message = serde_json::json!({"id": "msg_1", "model": "m", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}});
    assert_eq!(answer(CHAT, MESSAGES, &message)["service_tier"], "default");
}

#[test]
fn a_message_never_says_that_it_cost_nothing() {
    let usage = |event: &Value, at: &str| {
        let count = |name: &str| event.pointer(at).and_then(|it| it[name].as_u64());
        (count("input_tokens"), count("output_tokens"))
    };
    let end = serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let mut reported = end.clone();
    reported["usage"] =
        serde_json::json!({"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39});
    let mut lie = end.clone();
    lie["usage"] = serde_json::json!({"prompt_tokens": -1, "completion_tokens": 9});
    for (end, at_end) in [(reported, (30, 9)), (end, (17, 2)), (lie, (17, 2))] {
        let first = chunk(serde_json::json!({"content": "hello"}));
        let told = events(MESSAGES, CHAT, &[first, end]);
        let start = usage(&told[0], "/message/usage");
        assert_eq!(start, (Some(17), Some(0)));
        let last = &told[told.len() - 2];
        assert_eq!(usage(last, "/usage"), (Some(at_end.0), Some(at_end.1)));
    }
    let mut body = completion(&serde_json::json!([]), &Value::Null);
    body["usage"] = serde_json::json!({"prompt_tokens": 9, "completion_tokens": -9});
    // Four bytes to a token, rounded up.
    let message = answer(MESSAGES, CHAT, &body);
    assert_eq!(usage(&message, "/usage"), (Some(17), Some(2)));
    for client in [RESPONSES, FormatId::GeminiGenerateContent] {
        let said = answer(client, CHAT, &body);
        assert_eq!(said["usage"], Value::Null, "{client}");
        assert_eq!(said["usageMetadata"], Value::Null, "{client}");
    }
}

#[test]
fn signs_of_life_reach_clients_of_every_format() {
    let first = chunk(serde_json::json!({"content": "a"}));
    let stream = |client: FormatId, upstream: FormatId, text: &str| {
        let mut translator = plan(client, upstream)
            .stream(stamp())
            .expect("a translation");
        translator.push(text.as_bytes())
    };
    let comments = format!(": PROCESSING\n\ndata: {first}\n\n: PROCESSING\n\n");
    for (client, before, within) in [
        (
            MESSAGES,
            ": ping\n\n",
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ),
        (RESPONSES, ": ping\n\n", ": ping\n\n"),
        // Comments and blank lines break some of its clients.
        (
            FormatId::GeminiGenerateContent,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"index\":0}]}\n\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"c\"}\n\n",
        ),
    ] {
        let out = stream(client, CHAT, &comments);
        assert!(out.starts_with(before), "{out}");
        assert!(out.ends_with(within), "{out}");
    }
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for client in [CHAT, RESPONSES] {
        assert_eq!(stream(client, MESSAGES, ping), ": ping\n\n");
    }
}

/// Each text of a response may have a list of them; chat completions have one.
#[test]
fn log_probabilities_of_all_texts_are_one_list() {
    let told = |lists: &[String]| {
        let parts = lists.iter().map(|it| {
            format!(r#"{{"type":"output_text","text":"a","annotations":[],"logprobs":{it}}}"#)
        });
        let parts: Vec<String> = parts.collect();
        let body = format!(
            r#"{{"id":"r","model":"m","status":"completed","output":[{{"type":"message","content":[{}]}}]}}"#,
            parts.join(",")
        );
        let mut warnings = Warnings::default();
        let told = plan(CHAT, RESPONSES).answer_alone(body.as_bytes(), &stamp(), &mut warnings);
        let told: Value = serde_json::from_slice(&told.expect("an answer")).expect("JSON");
        let of = told["choices"][0]["logprobs"]["content"].as_array();
        let tokens = of.into_iter().flatten().map(|it| it["token"].clone());
        (tokens.collect::<Vec<Value>>(), warnings.to_string())
    };
    let of = |token: &str| format!(r#"[ {{"token":"{token}","logprob":-1}} ]"#);
    assert_eq!(
        told(&["[ ]".to_owned(), of("a"), "[]".to_owned(), of("b")]),
        (vec!["a".into(), "b".into()], String::new())
    );
    assert_eq!(
        told(&["{}".to_owned(), of("a"), "7".to_owned()]),
        (vec!["a".into()], "dropped:logprobs".to_owned())
    );
    // What is copied again for each text takes minutes.
    let began = std::time::Instant::now();
    let (tokens, _) = told(&vec![of(&"a".repeat(100)); 20_000]);
    assert_eq!(tokens.len(), 20_000);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
