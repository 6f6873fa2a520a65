//! Read and written again in the same format, nothing is lost that the common form claims to carry.

use super::*;
use crate::neutral::Warnings;

mod whole;

/// What a request says after it went through the common form.
fn again(format: FormatId, body: &[u8]) -> Option<(Value, String)> {
    let dialect = dialect(format).expect("a dialect");
    let mut warnings = Warnings::default();
    let read = dialect.read_request(body, &mut warnings).ok()?;
    let written = dialect.write_request(read, &target(), &mut warnings);
    let written = written.ok()?;
    let written = serde_json::from_str(&written).expect("JSON");
    Some((written, warnings.to_string()))
}

#[test]
fn a_request_is_the_same_after_a_second_round() {
    for format in ALL {
        for (name, body) in fixtures(format, "request") {
            let Some((once, _)) = again(format, &body) else {
                continue;
            };
            let twice = again(format, once.to_string().as_bytes());
            let (twice, warnings) = twice.expect("what was written can be read");
            assert_eq!(twice, once, "{format} {name}");
            assert_eq!(warnings, "", "{format} {name}");
        }
    }
}

#[test]
fn what_a_request_says_is_still_there_after_a_round() {
    for (format, name, carried) in [
        (
            FormatId::OpenaiChat,
            "request_plain",
            &["messages", "max_tokens", "temperature", "top_p", "user"][..],
        ),
        (
            FormatId::OpenaiChat,
            "request_schema",
            &[
                "messages",
                "response_format",
                "verbosity",
                "seed",
                "logit_bias",
                "metadata",
                "logprobs",
                "top_logprobs",
            ],
        ),
        (
            FormatId::OpenaiChat,
            "request_tools",
            &[
                "tools",
                "tool_choice",
                "parallel_tool_calls",
                "reasoning_effort",
                "stream_options",
                "stream",
            ],
        ),
        (
            FormatId::AnthropicMessages,
            "request_plain",
            &[
                "system",
                "max_tokens",
                "messages",
                "temperature",
                "top_k",
                "metadata",
            ],
        ),
        (
            FormatId::AnthropicMessages,
            "request_stop",
            &["stop_sequences", "max_tokens"],
        ),
        (
            FormatId::AnthropicMessages,
            "request_agent",
            &["tool_choice", "stream", "max_tokens"],
        ),
        (
            FormatId::OpenaiResponses,
            "request_agent",
            &[
                "tool_choice",
                "text",
                "reasoning",
                "include",
                "stream",
                "parallel_tool_calls",
                "prompt_cache_key",
            ],
        ),
        (
            FormatId::OpenaiResponses,
            "request_plain",
            &[
                "instructions",
                "max_output_tokens",
                "temperature",
                "safety_identifier",
            ],
        ),
    ] {
        let fixtures = fixtures(format, "request");
        let (_, body) = fixtures_of(&fixtures, name);
        let given: Value = serde_json::from_slice(body).expect("JSON");
        let (written, _) = again(format, body).expect("it can be written");
        for field in carried {
            let (given, written) = (&given[*field], &written[*field]);
            assert!(!given.is_null(), "{format} {name} {field}");
            if *field == "messages" {
                let roles = |it: &Value| it.as_array().map(Vec::len);
                assert_eq!(roles(written), roles(given), "{format} {name} {field}");
            }
            let plain = ["messages", "tools"].contains(field);
            assert!(
                plain || given == written,
                "{format} {name} {field}: {written}"
            );
        }
    }
}

fn fixtures_of<'a>(fixtures: &'a [(String, Vec<u8>)], name: &str) -> &'a (String, Vec<u8>) {
    let found = fixtures.iter().find(|(it, _)| it == name);
    found.expect("a fixture")
}

/// An answer of each format, there and back: what the client gets of its own format's answer through another one.
#[test]
fn answers_come_back_as_they_were() {
    for (from, to) in pairs() {
        for (name, body) in fixtures(from, "answer") {
            let Ok(there) = plan(to, from).answer(&body, &stamp()) else {
                continue;
            };
            let read = |format, body: &[u8]| {
                let dialect = dialect(format).expect("a dialect");
                dialect
                    .read_answer(body, 2, &mut Warnings::default())
                    .expect("an answer")
            };
            let (before, after) = (read(from, &body), read(to, &there));
            assert_eq!(words(&after), words(&before), "{from} {name} {to}");
            if before.mishap.is_none() {
                let tokens = |it: &Answer| it.usage.map(|it| it.output_tokens);
                // What was not reported, messages estimate.
                if before.usage.is_some() {
                    assert_eq!(tokens(&after), tokens(&before), "{from} {name} {to}");
                }
                assert_eq!(after.model, before.model);
            } else {
                assert_eq!(
                    after.mishap.map(|it| it.message),
                    before.mishap.map(|it| it.message)
                );
            }
        }
    }
}

/// Everything that was said, in order of kind, but for spaces in arguments without any.
fn words(answer: &Answer) -> Vec<String> {
    use crate::neutral::Part;
    let mut words: Vec<String> = answer
        .choice
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) | Part::Refusal(text) => format!("said {text}"),
            Part::Thinking(thinking) => format!("thought {}", thinking.text),
            Part::Call(call) => {
                let arguments = if call.arguments.is_empty() {
                    "{}"
                } else {
                    &call.arguments
                };
                format!("called {} {} {arguments}", call.id, call.name)
            }
            other => format!("{other:?}"),
        })
        .filter(|it| it != "thought ")
        .collect();
    words.sort();
    words
}
