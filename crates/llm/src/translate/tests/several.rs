//! Several answers of one call, which chat completions and Gemini's content know.

use super::*;

const CHAT: FormatId = FormatId::OpenaiChat;
const GEMINI: FormatId = FormatId::GeminiGenerateContent;

/// The plan of a call that wants this many answers, and what is sent for it.
fn asked(client: FormatId, upstream: FormatId, answers: u64) -> (Plan, Value) {
    let body = match client {
        GEMINI => {
            serde_json::json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidateCount": answers}})
        }
        _ => {
            serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": answers})
        }
    };
    let translated = request(client, upstream, body.to_string().as_bytes(), &target());
    let translated = translated.expect("a request");
    assert!(translated.warnings.is_empty());
    let sent = serde_json::from_slice(&translated.body).expect("JSON");
    (translated.plan, sent)
}

fn answer(plan: &Plan, body: &Value) -> (Value, String) {
    let mut warnings = Warnings::default();
    let told = plan.answer_alone(body.to_string().as_bytes(), &stamp(), &mut warnings);
    let told = serde_json::from_slice(&told.expect("an answer")).expect("JSON");
    (told, warnings.to_string())
}

fn events(plan: &Plan, events: &[Value]) -> Vec<Value> {
    let text: String = events.iter().map(|it| format!("data: {it}\n\n")).collect();
    let out = stream(plan, [text.as_bytes()]);
    let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|it| serde_json::from_str(it).ok())
        .collect()
}

fn candidate(index: u64, parts: Value, reason: Option<&str>) -> Value {
    let mut candidate = serde_json::json!({"index": index, "content": {"parts": parts}});
    if let Some(reason) = reason {
        candidate["finishReason"] = reason.into();
    }
    candidate
}

#[test]
fn candidates_are_choices_and_back() {
    let (plan, sent) = asked(CHAT, GEMINI, 2);
    assert_eq!(sent["generationConfig"]["candidateCount"], 2);
    let call = serde_json::json!([{"functionCall": {"id": "c1", "name": "f", "args": {}}}]);
    let body = serde_json::json!({"responseId": "r", "modelVersion": "m", "candidates": [
        candidate(0, serde_json::json!([{"text": "a"}]), Some("MAX_TOKENS")), candidate(1, call, Some("STOP"))]});
    let (told, warnings) = answer(&plan, &body);
    assert_eq!(warnings, "");
    let said = |at: usize| {
        let choice = &told["choices"][at];
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
        (
            choice["index"].clone(),
            message["content"].clone(),
            calls,
            choice["finish_reason"].clone(),
        )
    };
    assert_eq!(said(0), (0.into(), "a".into(), 0, "length".into()));
    assert_eq!(said(1), (1.into(), Value::Null, 1, "tool_calls".into()));

    let (plan, sent) = asked(GEMINI, CHAT, 2);
    assert_eq!(sent["n"], 2);
    let (back, _) = answer(&plan, &told);
    let candidates = back["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2);
    assert_eq!(candidates[0]["content"]["parts"][0]["text"], "a");
    assert_eq!(candidates[0]["finishReason"], "MAX_TOKENS");
    assert_eq!(candidates[1]["index"], 1);
    assert_eq!(
        candidates[1]["content"]["parts"][0]["functionCall"]["id"],
        "c1"
    );
}

#[test]
fn more_answers_than_were_asked_for_are_left_out_by_name() {
    let body = serde_json::json!({"candidates": [candidate(0, serde_json::json!([{"text": "a"}]), Some("STOP")),
        candidate(1, serde_json::json!([{"text": "b"}]), Some("STOP"))]});
    let (told, warnings) = answer(&asked(CHAT, GEMINI, 1).0, &body);
    assert_eq!(told["choices"].as_array().map(Vec::len), Some(1));
    assert_eq!(warnings, "dropped:choices");
    let told = events(&asked(CHAT, GEMINI, 1).0, &[body]);
    assert!(told.iter().all(|it| it["choices"][0]["index"] != 1));
}

#[test]
fn choices_that_come_in_turns_stay_apart_in_a_stream() {
    let of = |candidate: Value| serde_json::json!({"responseId": "r", "modelVersion": "m", "candidates": [candidate]});
    let text = |text: &str| serde_json::json!([{"text": text}]);
    let call = serde_json::json!([{"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}]);
    let steps = [
        of(candidate(0, text("a"), None)),
        of(candidate(1, text("x"), None)),
        of(candidate(0, text("b"), Some("STOP"))),
        of(candidate(1, call, None)),
        of(candidate(1, text("y"), Some("MAX_TOKENS"))),
    ];
    let (plan, _) = asked(CHAT, GEMINI, 2);
    let chunks = events(&plan, &steps);
    let said = |chunks: &[Value], number: u64| {
        let of = chunks
            .iter()
            .map(|it| &it["choices"][0])
            .filter(|it| it["index"] == number);
        let (mut words, mut calls, mut reasons) = (String::new(), Vec::new(), Vec::new());
        for choice in of {
            words.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            calls.extend(
                choice["delta"]["tool_calls"][0]["id"]
                    .as_str()
                    .map(str::to_owned),
            );
            reasons.extend(choice["finish_reason"].as_str().map(str::to_owned));
        }
        (words, calls, reasons)
    };
    assert_eq!(
        said(&chunks, 0),
        ("ab".to_owned(), vec![], vec!["stop".to_owned()])
    );
    assert_eq!(
        said(&chunks, 1),
        (
            "xy".to_owned(),
            vec!["c1".to_owned()],
            vec!["length".to_owned()]
        )
    );

    let (plan, _) = asked(GEMINI, CHAT, 2);
    let back = events(&plan, &chunks);
    let ends: Vec<_> = back
        .iter()
        .map(|it| &it["candidates"][0])
        .filter(|it| !it["finishReason"].is_null())
        .map(|it| (it["index"].clone(), it["finishReason"].clone()))
        .collect();
    assert_eq!(
        ends,
        [(0.into(), "STOP".into()), (1.into(), "MAX_TOKENS".into())]
    );
    let words = |number: u64| {
        let of = back.iter().map(|it| &it["candidates"][0]);
        let of = of.filter(|it| it["index"] == number);
        of.filter_map(|it| it["content"]["parts"][0]["text"].as_str())
            .collect::<String>()
    };
    assert_eq!((words(0).as_str(), words(1).as_str()), ("ab", "xy"));

    // One that was not said to end makes the answer a broken one.
    let broken = events(&asked(CHAT, GEMINI, 2).0, &steps[..4]);
    assert!(!broken.last().expect("an end")["error"].is_null());
}

/// Nothing in an answer that nobody asked for breaks the one that was.
#[test]
fn an_answer_nobody_asked_for_is_not_read() {
    let body = serde_json::json!({"candidates": [candidate(0, serde_json::json!([{"text": "a"}]), Some("STOP")),
        candidate(1, serde_json::json!([]), Some("MALFORMED_FUNCTION_CALL"))]});
    let (told, warnings) = answer(&asked(CHAT, GEMINI, 1).0, &body);
    assert_eq!(told["choices"][0]["message"]["content"], "a");
    assert_eq!(warnings, "dropped:choices");
    // Where it was asked for, the answer is none.
    let plan = asked(CHAT, GEMINI, 2).0;
    let told = plan.answer_alone(
        body.to_string().as_bytes(),
        &stamp(),
        &mut Warnings::default(),
    );
    assert!(told.is_err());

    let body = serde_json::json!({"choices": [{"index": 0, "message": {"content": "a"}}, {"index": 1}, 7]});
    let (told, warnings) = answer(&asked(GEMINI, CHAT, 1).0, &body);
    assert_eq!(told["candidates"][0]["content"]["parts"][0]["text"], "a");
    assert_eq!(warnings, "dropped:choices");
}

#[test]
fn answers_have_the_order_of_their_numbers() {
    let text = |text: &str| serde_json::json!([{"text": text}]);
    let mut unnumbered = candidate(7, text("c"), Some("STOP"));
    unnumbered.as_object_mut().expect("one").remove("index");
    let body = serde_json::json!({"candidates": [candidate(1, text("b"), Some("STOP")),
        candidate(0, text("a"), Some("STOP")), unnumbered]});
    let (told, warnings) = answer(&asked(CHAT, GEMINI, 3).0, &body);
    assert_eq!(warnings, "");
    let said = |told: &Value, at: usize| told["choices"][at]["message"]["content"].clone();
    assert_eq!(
        [0, 1, 2].map(|at| said(&told, at)),
        ["a", "b", "c"].map(Value::from)
    );
    // The one that was asked for is the first of them.
    let (alone, _) = answer(&asked(CHAT, GEMINI, 1).0, &body);
    assert_eq!(said(&alone, 0), "a");

    let choice = |at: usize| told["choices"][at].clone();
    let body = serde_json::json!({"choices": [choice(2), choice(1), choice(0)]});
    let (back, _) = answer(&asked(GEMINI, CHAT, 3).0, &body);
    let said = |at: usize| back["candidates"][at]["content"]["parts"][0]["text"].clone();
    assert_eq!([0, 1, 2].map(said), ["a", "b", "c"].map(Value::from));
}

/// The limits of what is said of pages are those of an answer, whatever number of candidates it has.
#[test]
fn pages_of_all_answers_together_are_bounded() {
    let url = format!("https://a.test/{}", "x".repeat(10_000));
    let support =
        serde_json::json!({"segment": {"endIndex": 1}, "groundingChunkIndices": vec![0; 2_000]});
    let grounded = |number: u64| {
        let mut it = candidate(number, serde_json::json!([{"text": "a"}]), Some("STOP"));
        it["groundingMetadata"] = serde_json::json!({"groundingChunks": [{"web": {"uri": url}}], "groundingSupports": [support]});
        it
    };
    let candidates: Vec<Value> = (0..8).map(grounded).collect();
    let body = serde_json::json!({"candidates": candidates});
    let (told, warnings) = answer(&asked(CHAT, GEMINI, 8).0, &body);
    assert!(told.to_string().len() < 10_000_000);
    assert_eq!(
        warnings,
        "approximated:groundingMetadata,dropped:groundingMetadata"
    );

    let text = "a".repeat(100_000);
    let page = serde_json::json!({"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 100_000, "url": "https://a.test", "title": "A"}});
    let choices = (0..8).map(|number| {
        serde_json::json!({"index": number, "message": {"content": text, "annotations": vec![&page; 50]}})
    });
    let body = serde_json::json!({"choices": choices.collect::<Vec<Value>>()});
    let (told, warnings) = answer(&asked(GEMINI, CHAT, 8).0, &body);
    assert!(told.to_string().len() < 10_000_000);
    assert_eq!(warnings, "dropped:citations");
}

/// A provider may tell of fewer answers than were asked for.
#[test]
fn a_stream_tells_of_no_choice_that_the_provider_did_not_tell_of() {
    let numbers = |told: &[Value], of: &str| -> Vec<u64> {
        let all = told.iter().filter_map(|it| it[of][0]["index"].as_u64());
        all.collect()
    };
    let text = |number: u64| candidate(number, serde_json::json!([{"text": "a"}]), Some("STOP"));
    let of = |candidates: Value| serde_json::json!({"responseId": "r", "modelVersion": "m", "candidates": candidates});
    let (plan, _) = asked(CHAT, GEMINI, 2);
    let chunks = events(&plan, &[of(serde_json::json!([text(1)]))]);
    assert_eq!(numbers(&chunks, "choices"), [1, 1, 1]);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let both = events(&plan, &[of(serde_json::json!([text(1), text(0)]))]);
    assert_eq!(numbers(&both, "choices"), [1, 1, 0, 0, 1, 0]);

    let (plan, _) = asked(GEMINI, CHAT, 2);
    let back = events(&plan, &chunks);
    assert_eq!(numbers(&back, "candidates"), [1, 1]);
    let last = &back.last().expect("an end")["candidates"][0];
    assert_eq!(last["finishReason"], "STOP");
}
