//! What is counted of a session, whole and cut.

use serde_json::{Value, json};

use super::*;

fn consumed(events: &[Value]) -> Consumed {
    let mut session = Session::default();
    for event in events {
        session.event(event.to_string().as_bytes());
    }
    session.end()
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

fn done(id: &str, usage: Value) -> Value {
    json!({"type": "response.done", "response": {"id": id, "usage": usage}})
}

fn created(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id}})
}

fn said(id: &str, text: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "response_id": id, "delta": text})
}

fn heard(item: &str, usage: Value) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
        "transcript": "twelve bytes", "usage": usage})
}

fn set_up(model: &str) -> Value {
    json!({"type": "session.updated", "session": {"audio": {"input": {"transcription": {"model": model}}}}})
}

const REPORT: fn() -> Value = || json!({"input_tokens": 30, "output_tokens": 12});

#[test]
fn a_type_counts_however_it_is_spelled_and_a_text_that_looks_like_one_does_not() {
    let mut session = Session::default();
    session.event(br#"{"type":"response\u002edone","response":{"usage":{"input_tokens":3,"output_tokens":4}}}"#);
    session.event(br#"{"type":"response.output_text.done","text":"\"response.done\"","response":{"usage":{"input_tokens":9,"output_tokens":9}}}"#);
    let counted = session.end().responses.expect("one");
    assert_eq!((counted.usage, counted.estimated), (tokens(3, 4), false));
}

#[test]
fn a_response_without_its_end_is_estimated_by_what_came_of_it() {
    let sound = "A".repeat(64_000);
    let heard_sound = |name: &str| json!({"type": name, "response_id": "r2", "delta": sound});
    let first = [
        created("r1"),
        said("r1", "not counted"),
        done("r1", REPORT()),
    ];
    for (beside, output_tokens) in [
        (vec![], 0),
        (vec![said("r2", "ninety"), said("r2", "nine")], 3),
        (vec![heard_sound("response.output_audio.delta")], 20),
        (
            vec![heard_sound("response.audio.delta"), said("r2", "four")],
            21,
        ),
        (
            vec![
                json!({"type": "response.function_call_arguments.delta", "response_id": "r2", "delta": "{\"a\":1}"}),
            ],
            2,
        ),
    ] {
        let events = [&first[..], &[created("r2")], &beside].concat();
        let counted = consumed(&events).responses.expect("one");
        // What the first one read and wrote is what the second one reads.
        let expected = tokens(30 + 42, 12 + output_tokens);
        assert_eq!((counted.usage, counted.estimated), (expected, true));
    }
}

#[test]
fn what_is_not_known_yet_is_estimated_by_the_instructions_and_the_format_of_sound() {
    let session = json!({"instructions": "four".repeat(10), "output_audio_format": "g711_ulaw"});
    let events = [
        json!({"type": "session.created", "session": session}),
        json!({"type": "response.audio.delta", "response_id": "r", "delta": "A".repeat(1_600)}),
    ];
    let counted = consumed(&events).responses.expect("one");
    assert_eq!((counted.usage, counted.estimated), (tokens(10, 3), true));
}

#[test]
fn a_cancelled_response_counts_what_it_reports_or_what_came_of_it() {
    let reported = consumed(&[created("r"), said("r", "some text"), done("r", REPORT())]);
    let reported = reported.responses.expect("one");
    assert_eq!(
        (reported.usage, reported.estimated),
        (tokens(30, 12), false)
    );
    let silent = consumed(&[created("r"), said("r", "some text"), done("r", Value::Null)]);
    let silent = silent.responses.expect("one");
    assert_eq!((silent.usage, silent.estimated), (tokens(0, 3), true));
    // Nothing came of it: it was cancelled before it began.
    assert_eq!(
        consumed(&[created("r"), done("r", Value::Null)]),
        Consumed::default()
    );
}

#[test]
fn responses_beside_each_other_are_told_apart() {
    let events = [
        created("a"),
        created("b"),
        said("a", "of a"),
        said("b", "text of b"),
        done("a", REPORT()),
    ];
    let counted = consumed(&events).responses.expect("both");
    assert_eq!(
        (counted.usage, counted.estimated),
        (tokens(30 + 42, 12 + 3), true)
    );
}

#[test]
fn transcriptions_are_their_own_models() {
    let usage = |input, output| {
        json!({"type": "tokens", "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
            "input_token_details": {"text_tokens": 0, "audio_tokens": input}})
    };
    let beta = json!({"type": "transcription_session.updated", "session": {"input_audio_transcription": {"model": "whisper-1"}}});
    let consumed = consumed(&[
        set_up("gpt-4o-transcribe"),
        heard("i1", usage(50, 8)),
        done("r", REPORT()),
        heard("i2", usage(7, 2)),
        beta,
        heard("i3", json!({"type": "duration", "seconds": 2.5})),
    ]);
    let responses = consumed.responses.expect("one");
    assert_eq!(
        (responses.usage, responses.estimated),
        (tokens(30, 12), false)
    );
    let [by_tokens, by_time] = consumed.transcripts.as_slice() else {
        panic!("two models");
    };
    let exact = |usage| Counted {
        usage,
        estimated: false,
    };
    assert_eq!(by_tokens.model.as_deref(), Some("gpt-4o-transcribe"));
    assert_eq!(
        (by_tokens.counted, by_tokens.timed),
        (exact(tokens(57, 10)), false)
    );
    assert_eq!(by_time.model.as_deref(), Some("whisper-1"));
    assert_eq!(
        (by_time.counted, by_time.timed),
        (exact(tokens(0, 0)), true)
    );
}

#[test]
fn a_transcription_without_a_report_is_estimated_by_its_text() {
    let piece = |item: &str| json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": item, "delta": "five5"});
    let failed =
        json!({"type": "conversation.item.input_audio_transcription.failed", "item_id": "i3"});
    for (events, output_tokens) in [
        (vec![heard("i1", Value::Null)], 3),
        (
            vec![heard(
                "i1",
                json!({"type": "tokens", "input_tokens": -1, "output_tokens": 1}),
            )],
            3,
        ),
        // It was cut.
        (vec![piece("i1"), piece("i2"), piece("i1")], 3 + 2),
        (vec![piece("i3"), piece("i1"), failed], 2),
    ] {
        let consumed = consumed(&events);
        let [one] = consumed.transcripts.as_slice() else {
            panic!("one model");
        };
        assert_eq!((one.model.as_deref(), one.counted.estimated), (None, true));
        assert_eq!(one.counted.usage, tokens(0, output_tokens));
        assert_eq!(consumed.responses, None);
    }
}

#[test]
fn what_cannot_be_read_makes_the_rest_an_estimate() {
    for junk in [
        &b"{\"type\":"[..],
        b"[]",
        br#"{"type":"response.done","response":7}"#,
    ] {
        let mut session = Session::default();
        session.event(done("r", REPORT()).to_string().as_bytes());
        session.event(junk);
        assert!(session.end().responses.expect("one").estimated, "{junk:?}");
    }
}

#[test]
fn any_number_of_ids_and_models_is_kept_within_bounds() {
    let mut session = Session::default();
    let mut take = |event: &Value| session.event(event.to_string().as_bytes());
    for number in 0..10_000 {
        take(&created(&format!("{number}{}", "x".repeat(300))));
        take(&said(&number.to_string(), "four"));
        take(&set_up(&format!("model-{number}")));
        take(&heard("i", Value::Null));
    }
    let consumed = session.end();
    assert_eq!(consumed.transcripts.len(), MAX_TRANSCRIBERS + 1);
    let transcribed = consumed.transcripts.iter();
    let transcribed = transcribed
        .map(|it| it.counted.usage.output_tokens)
        .sum::<u64>();
    assert_eq!(transcribed, 10_000 * 3);
    let responses = consumed.responses.expect("some");
    assert_eq!(responses.usage.output_tokens, 10_000);
}
