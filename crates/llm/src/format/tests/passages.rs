//! Which events of a stream end an answer.

use super::*;
use crate::format::{Opening, Passage};
use crate::sse::Event;

fn passage(format: FormatId, stream: &str) -> Vec<Passage> {
    let format = format.format();
    let mut seen = Vec::new();
    let mut decoder = Decoder::new();
    let end = decoder.push(stream.as_bytes(), |event| seen.push(format.passage(event)));
    end.expect("short");
    seen
}

#[test]
fn an_error_in_the_place_of_pictures_or_sound_is_told_at_once() {
    for format in MEDIA {
        for (data, expected) in [
            (
                r#"{"type":"error","error":{"code":"rate_limit_exceeded"}}"#,
                Opening::Refused(429),
            ),
            (
                r#"{"type":"speech.audio.delta","audio":"AA"}"#,
                Opening::Output,
            ),
            ("not JSON", Opening::Output),
        ] {
            let (name, data) = (&b""[..], data.as_bytes());
            let opening = format.format().opening(Event { name, data });
            assert_eq!(opening, expected);
        }
    }
}

#[test]
fn chunks_that_end_an_answer_are_told_from_those_that_do_not() {
    for (data, expected) in [
        ("[DONE]", Passage::Last),
        (
            r#"{"choices":[{"delta":{"content":"[DONE]"}}]}"#,
            Passage::Part,
        ),
        (
            r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#,
            Passage::Part,
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":null}],"usage":null}"#,
            Passage::Part,
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":""}]}"#,
            Passage::Part,
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            Passage::Ends(1),
        ),
        (
            r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":null},{"finish_reason":"length"}],"usage":{}}"#,
            Passage::Ends(2),
        ),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
            Passage::Usage,
        ),
        (r#"{"choices":[],"usage":null}"#, Passage::Part),
        (
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            Passage::Part,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#,
            Passage::Part,
        ),
        (r#"{"usage":{}}"#, Passage::Part),
        ("not JSON, but with \"usage\"", Passage::Part),
    ] {
        let stream = format!("data: {data}\n\n");
        assert_eq!(passage(FormatId::OpenaiChat, &stream), [expected], "{data}");
    }
}

#[test]
fn events_that_end_a_message_are_told_from_those_that_do_not() {
    for (stream, expected) in [
        ("event: message_stop\ndata: {}\n\n", Passage::Last),
        ("data: {\"type\":\"message_stop\"}\n\n", Passage::Last),
        (
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{}}\n\n",
            Passage::Last,
        ),
        (
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{}}\n\n",
            Passage::Part,
        ),
        (
            "data: {\"type\":\"message_start\",\"message\":{\"stop_reason\":null}}\n\n",
            Passage::Part,
        ),
        (
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"message_stop\\\"\"}}\n\n",
            Passage::Part,
        ),
    ] {
        assert_eq!(
            passage(FormatId::AnthropicMessages, stream),
            [expected],
            "{stream}"
        );
    }
}

#[test]
fn a_response_ends_with_the_event_that_says_so() {
    let passages = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/openai_responses");
        let stream = fs::read_to_string(folder.join(name)).expect("a fixture");
        passage(FormatId::OpenaiResponses, &stream)
    };
    for (name, parts, ends) in [
        ("stream.sse", 4, true),
        ("stream_incomplete.sse", 3, true),
        ("stream_cut.sse", 3, false),
        ("stream_error.sse", 2, false),
    ] {
        let mut expected = vec![Passage::Part; parts];
        expected.extend(ends.then_some(Passage::Last));
        assert_eq!(passages(name), expected, "{name}");
    }
    let said = r#"data: {"type":"response.output_text.delta","delta":"\"response.completed\""}"#;
    let said = format!("{said}\n\n");
    assert_eq!(passage(FormatId::OpenaiResponses, &said), [Passage::Part]);
}

#[test]
fn chunks_of_gemini_that_end_an_answer_are_told_from_those_that_do_not() {
    for (data, expected) in [
        (
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{}}"#,
            Passage::Part,
        ),
        (
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{}}"#,
            Passage::Ends(1),
        ),
        (
            r#"{"candidates":[{"finishReason":"MAX_TOKENS","index":1},{"index":0}]}"#,
            Passage::Ends(1),
        ),
        (
            r#"{"candidates":[{"finishReason":"STOP"},{"finishReason":"SAFETY"}]}"#,
            Passage::Ends(2),
        ),
        (r#"{"candidates":[{"finishReason":null}]}"#, Passage::Part),
        (
            r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
            Passage::Part,
        ),
        (
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#,
            Passage::Last,
        ),
        (
            r#"{"promptFeedback":{"safetyRatings":[]},"usageMetadata":{}}"#,
            Passage::Part,
        ),
        (
            r#"{"candidates":[{"content":{"parts":[{"text":"\"finishReason\":\"STOP\""}]}}]}"#,
            Passage::Part,
        ),
        (r#"{"usageMetadata":{}}"#, Passage::Part),
        ("not JSON, but with \"finishReason\"", Passage::Part),
    ] {
        let stream = format!("data: {data}\r\n\r\n");
        assert_eq!(
            passage(FormatId::GeminiGenerateContent, &stream),
            [expected],
            "{data}"
        );
    }
}

#[test]
fn what_stands_before_the_output_is_told_from_it() {
    let limited = r#"{"error":{"code":"rate_limit_exceeded"}}"#;
    let flat = r#"{"type":"error","code":"rate_limit_exceeded","message":"x","sequence_number":1}"#;
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"},"usage":null}}"#;
    for (format, data, expected) in [
        (
            FormatId::OpenaiChat,
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            Opening::Prelude,
        ),
        (
            FormatId::OpenaiChat,
            r#"{"choices":[{"delta":{"content":"a"}}]}"#,
            Opening::Output,
        ),
        (
            FormatId::OpenaiChat,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            Opening::Output,
        ),
        (FormatId::OpenaiChat, "[DONE]", Opening::Output),
        (FormatId::OpenaiChat, limited, Opening::Refused(429)),
        (
            FormatId::AnthropicMessages,
            r#"{"type":"message_start","message":{}}"#,
            Opening::Prelude,
        ),
        (
            FormatId::AnthropicMessages,
            r#"{"type":"ping"}"#,
            Opening::Prelude,
        ),
        (
            FormatId::AnthropicMessages,
            r#"{"type":"content_block_delta","delta":{"text":"a"}}"#,
            Opening::Output,
        ),
        (
            FormatId::OpenaiResponses,
            r#"{"type":"response.created","response":{"error":null}}"#,
            Opening::Prelude,
        ),
        (
            FormatId::OpenaiResponses,
            r#"{"type":"response.output_text.delta","delta":"a"}"#,
            Opening::Output,
        ),
        (
            FormatId::OpenaiResponses,
            r#"{"type":"response.completed","response":{}}"#,
            Opening::Output,
        ),
        (FormatId::OpenaiResponses, flat, Opening::Refused(429)),
        (FormatId::OpenaiResponses, failed, Opening::Refused(429)),
        (FormatId::OpenaiResponses, limited, Opening::Refused(429)),
        (
            FormatId::OpenaiResponses,
            r#"{"type":"error","code":null}"#,
            Opening::Refused(500),
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"role":"model"}}],"usageMetadata":{"promptTokenCount":1}}"#,
            Opening::Prelude,
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}]}"#,
            Opening::Output,
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#,
            Opening::Output,
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AA=="}}]}}]}"#,
            Opening::Output,
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
            Opening::Output,
        ),
        (
            FormatId::GeminiGenerateContent,
            r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#,
            Opening::Refused(503),
        ),
    ] {
        let event = Event {
            name: b"",
            data: data.as_bytes(),
        };
        assert_eq!(format.format().opening(event), expected, "{data}");
    }
}
