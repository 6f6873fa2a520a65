//! Which events of a stream end an answer.

use super::*;
use crate::format::Passage;

fn passage(format: FormatId, stream: &str) -> Vec<Passage> {
    let format = format.format();
    let mut seen = Vec::new();
    let mut decoder = Decoder::new();
    let end = decoder.push(stream.as_bytes(), |event| seen.push(format.passage(event)));
    end.expect("short");
    seen
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
