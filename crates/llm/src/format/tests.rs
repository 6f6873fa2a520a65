//! What holds for every format, driven by `fixtures/<format>/<case>.json|.sse` and tables.

use std::fs;
use std::path::Path;

use domain::{Terms, Usage};
use serde_json::{Map, Value, json};

use super::{Ended, ErrorBody, FORMATS, FormatId, Metered, Operation, TokenLimit, WireFormat};
use crate::sse::{Decoder, MAX_EVENT_BYTES};
use crate::tap::MAX_REPORT_BYTES;

mod gemini;
mod metering;
mod passages;

/// Reads the usage of a fixture whole, byte by byte and cut once at every place, and records it.
fn check(format: &dyn WireFormat, file: &Path) {
    let bytes = fs::read(file).expect("a fixture");
    let streamed = file.extension().is_some_and(|ending| ending == "sse");
    let usage = meter(format, streamed, [bytes.as_slice()]);
    let by_byte = meter(format, streamed, bytes.chunks(1));
    assert_eq!(by_byte, usage, "{} byte by byte", file.display());
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        let cut_once = meter(format, streamed, [head, tail]);
        assert_eq!(cut_once, usage, "{} cut at {cut}", file.display());
    }
    let case = file.file_name().and_then(|name| name.to_str());
    let case = case.expect("a name in UTF-8").replace('.', "_");
    // The usual terms go without saying.
    let terms = format!("terms: {:#?},\n", Terms::default()).replace('\n', "\n    ");
    let shown = format!("{usage:#?}").replace(&terms, "");
    insta::assert_snapshot!(format!("{}__{case}", format.id()), shown);
}

/// What is reported.
fn tap<'a>(
    format: &dyn WireFormat,
    streamed: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Usage> {
    let metered = meter(format, streamed, pieces);
    assert!(metered.reported.is_some() || !metered.complete);
    metered.reported
}

fn meter<'a>(
    format: &dyn WireFormat,
    streamed: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Metered {
    let mut tap = format.usage_tap(streamed);
    for piece in pieces {
        tap.push(piece);
    }
    tap.finish()
}

#[test]
fn usage_is_the_same_for_every_split_of_the_bytes() {
    for format in FORMATS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/fixtures")
            .join(format.id().as_str());
        let files = fs::read_dir(&folder).expect("fixtures of the format");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        assert!(files.len() > 5, "{}", folder.display());
        for file in files {
            check(*format, &file);
        }
    }
}

/// Formats whose events may have any length.
const MEDIA: [FormatId; 3] = [
    FormatId::OpenaiImages,
    FormatId::OpenaiSpeech,
    FormatId::OpenaiTranscriptions,
];

/// Counts that cannot be true, as JSON text.
const LIES: &[&str] = &[
    "-1",
    "-0",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1000000000001",
    "1e3",
    "1e308",
    "1e400",
    "1.0",
    "1.5",
    "NaN",
    "\"7\"",
    "true",
    "[]",
    "{}",
];

#[test]
fn openai_counts_that_cannot_be_true_are_not_reported() {
    // T63
    let honest = r#"{"prompt_tokens":10,"completion_tokens":6,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}"#;
    for honest_count in ["10", ":6", "16", ":4", ":5"] {
        let colon = if honest_count.starts_with(':') {
            ":"
        } else {
            ""
        };
        for lie in LIES {
            let report = honest.replacen(honest_count, &format!("{colon}{lie}"), 1);
            never_reported(FormatId::OpenaiChat, &report, &openai_stream(&report));
        }
    }
    for (lie, why) in [
        (honest.replace(":4}", ":11}"), "more cached than sent"),
        (honest.replace(":5}", ":7}"), "more reasoning than output"),
        (honest.replace("10,", "null,"), "null"),
        (honest.replace(r#""prompt_tokens":10,"#, ""), "missing"),
        (
            honest.replace("10,", r#"10,"prompt_tokens":3,"#),
            "a count twice",
        ),
        (
            format!("{honest},\"usage\":{honest}"),
            "the whole report twice",
        ),
    ] {
        assert_ne!(lie, honest, "{why}");
        never_reported(FormatId::OpenaiChat, &lie, &openai_stream(&lie));
    }
}

fn openai_stream(report: &str) -> String {
    format!("data: {{\"choices\":[],\"usage\":{report}}}\n\ndata: [DONE]\n\n")
}

#[test]
fn anthropic_counts_that_cannot_be_true_are_not_reported() {
    // T63
    let honest = r#"{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":6}"#;
    for honest_count in [":10", ":3", ":4", ":6"] {
        for lie in LIES {
            let report = honest.replacen(honest_count, &format!(":{lie}"), 1);
            let started = format!(
                "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{report}}}}}\n\n"
            );
            let true_end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":6}}\n\n";
            let ended = format!(
                "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{honest}}}}}\n\n\
                 data: {{\"type\":\"message_delta\",\"usage\":{report}}}\n\n"
            );
            never_reported(FormatId::AnthropicMessages, &report, &(started + true_end));
            never_reported(FormatId::AnthropicMessages, &report, &ended);
        }
    }
}

fn never_reported(format: FormatId, report: &str, stream: &str) {
    let format = format.format();
    let body = format!("{{\"usage\":{report}}}");
    assert_eq!(tap(format, false, [body.as_bytes()]), None, "{body}");
    assert_eq!(tap(format, true, [stream.as_bytes()]), None, "{stream}");
}

#[test]
fn a_later_openai_report_replaces_an_earlier_one_even_a_lie() {
    let chunk = |count: &str| {
        format!("data: {{\"usage\":{{\"prompt_tokens\":{count},\"completion_tokens\":1}}}}\n\n")
    };
    let format = FormatId::OpenaiChat.format();
    let last_true = chunk("-5") + &chunk("5");
    let usage = tap(format, true, [last_true.as_bytes()]).expect("a report");
    assert_eq!((usage.input_tokens, usage.output_tokens), (5, 1));
    let last_false = chunk("5") + &chunk("-5");
    assert_eq!(tap(format, true, [last_false.as_bytes()]), None);
    let last_broken = chunk("5") + "data: {\"usage\":null,\"usage\":null}\n\n";
    assert_eq!(tap(format, true, [last_broken.as_bytes()]), None);
}

#[test]
fn what_was_reported_before_the_stream_became_unreadable_is_not_the_last_word() {
    // T59: the last report is the true one, and it may stand behind the line that was too long.
    let started = fixture("anthropic_messages/stream.sse");
    let chunks = fixture("openai_chat/stream.sse");
    let long_line = vec![b':'; MAX_EVENT_BYTES + 1];
    for (format, stream) in [
        (FormatId::AnthropicMessages, started),
        (FormatId::OpenaiChat, chunks),
    ] {
        let format = format.format();
        let whole = meter(format, true, [stream.as_slice()]);
        assert!(whole.complete && whole.reported.is_some());
        let cut = meter(format, true, [&stream, long_line.as_slice()]);
        let expected = Metered {
            complete: false,
            ended: Ended::Unread,
            ..whole
        };
        assert_eq!(cut, expected);
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures");
    fs::read(folder.join(name)).expect("a fixture")
}

#[test]
fn endless_answers_take_bounded_memory_and_report_nothing() {
    // T59
    for format in FORMATS {
        let usage = match format.action() {
            None => {
                r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"input_tokens":1,"output_tokens":1}}"#
            }
            Some(_) => r#"{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}"#,
        };
        let padding = vec![b' '; MAX_REPORT_BYTES];
        let (head, tail) = usage.split_at(usage.len() - 2);
        let body = tap(*format, false, [head.as_bytes(), &padding, tail.as_bytes()]);
        assert_eq!(body, None, "a report beyond the cap");
        let long_line = vec![b'x'; MAX_EVENT_BYTES];
        let event = format!("data: {usage}\n\n");
        let stream = tap(
            *format,
            true,
            [&long_line, &long_line, b"\n\n".as_slice(), event.as_bytes()],
        );
        // An event that is not kept may have any length.
        let keeps_none = MEDIA.contains(&format.id());
        assert_eq!(stream.is_some(), keeps_none, "a line beyond the cap");
    }
}

#[test]
fn junk_is_no_usage_and_no_panic() {
    let junk: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"{\"usage\":null}",
        b"{\"usage\":[1,2]}",
        b"{\"usage\":{\"prompt_tokens\":",
        b"data: {\"usage\":\xff}\n\n",
        b"data: \"usage\"\n\n",
        b"event: message_delta\ndata: {\"type\":5,\"usage\":{}}\n\n",
        b"<html>",
    ];
    for format in FORMATS {
        for bytes in junk {
            assert_eq!(tap(*format, true, [*bytes]), None);
            assert_eq!(tap(*format, false, [*bytes]), None);
        }
        let deep = "{\"usage\":".to_owned() + &"[".repeat(1_000_000);
        assert_eq!(tap(*format, false, [deep.as_bytes()]), None);
    }
}

fn details() -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("providers".to_owned(), json!(["openai", "openrouter"]));
    details.insert("message".to_owned(), json!("must not stand twice"));
    details
}

fn error<'a>(status: u16, code: &'a str, hint: Option<&'a str>) -> ErrorBody<'a> {
    ErrorBody {
        number: None,
        status,
        code,
        message: "no key for \"gpt-4o\"\nin this workspace",
        hint,
        request: "req_00000000000000000000000000",
        details: details(),
    }
}

#[test]
fn errors_are_rendered_in_the_clients_format() {
    for format in FORMATS {
        let missing = error(402, "key_missing", Some("bring a key for openai"));
        let body = format.error(&missing);
        let body = str::from_utf8(&body).expect("JSON is UTF-8");
        insta::assert_snapshot!(format!("{}__error", format.id()), body);
        let event = format.stream_error(&missing);
        let event = str::from_utf8(&event).expect("an event is UTF-8");
        insta::assert_snapshot!(format!("{}__stream_error", format.id()), event);
    }
}

#[test]
fn each_status_has_a_type_of_the_format() {
    let statuses = [
        400, 401, 402, 403, 404, 413, 422, 429, 500, 502, 503, 504, 529,
    ];
    for format in FORMATS {
        let types: Vec<_> = statuses
            .iter()
            .map(|status| {
                let body = format.error(&error(*status, "any", None));
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                assert!(body["error"].get("hint").is_none());
                let named = match format.action() {
                    None => &body["error"]["type"],
                    Some(_) => &body["error"]["status"],
                };
                format!("{status} {named}")
            })
            .collect();
        insta::assert_snapshot!(format!("{}__error_types", format.id()), types.join("\n"));
    }
}

#[test]
fn a_stream_error_is_an_event_of_its_own_wherever_the_stream_was_cut() {
    for format in FORMATS {
        let frame = format.stream_error(&error(502, "upstream_cut", None));
        for before in [
            "",
            "data: {\"a\":1}\n\n",
            "data: {\"a\":1}\n",
            "data: {\"a\"",
        ] {
            let mut last = Vec::new();
            let mut decoder = Decoder::new();
            let stream = [before.as_bytes(), &frame].concat();
            let whole = decoder.push(&stream, |event| last = event.data.to_vec());
            assert_eq!(whole, Ok(()));
            let last: Value = serde_json::from_slice(&last).expect("JSON alone");
            let code = match format.action() {
                None => &last["error"]["code"],
                Some(_) => &last["error"]["details"][0]["reason"],
            };
            assert_eq!(code, "upstream_cut");
        }
    }
}

#[test]
fn a_probe_asks_for_as_few_tokens_as_it_may() {
    for format in FORMATS {
        // Pictures and sound cost more than a proof is worth, and a session is no request.
        if MEDIA.contains(&format.id()) || format.id() == FormatId::OpenaiRealtime {
            assert!(format.probe_body("m", TokenLimit::MaxTokens).is_empty());
            continue;
        }
        for limit in [TokenLimit::MaxTokens, TokenLimit::MaxCompletionTokens] {
            let body: Value =
                serde_json::from_slice(&format.probe_body("m\"1", limit)).expect("JSON");
            let model = format.action().is_none().then_some("m\"1");
            assert_eq!(body.get("model").and_then(Value::as_str), model);
            let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
            let limits = names.map(|name| &body[name]);
            let limits = limits
                .into_iter()
                .chain([&body["generationConfig"]["maxOutputTokens"]]);
            // Responses take no fewer than 16.
            let limit = limits.into_iter().find(|limit| !limit.is_null());
            let fewest = match format.id() {
                FormatId::OpenaiEmbeddings
                | FormatId::OpenaiModerations
                | FormatId::Rerank
                | FormatId::GeminiEmbeddings => None,
                FormatId::OpenaiResponses => Some(json!(16)),
                _ => Some(json!(1)),
            };
            assert_eq!(limit, fewest.as_ref());
            assert!(body.get("stream").is_none());
        }
    }
    let newer = FormatId::OpenaiChat
        .format()
        .probe_body("m", TokenLimit::MaxCompletionTokens);
    let newer: Value = serde_json::from_slice(&newer).expect("JSON");
    assert!(newer.get("max_tokens").is_none());
}

#[test]
fn format_names_parse_back() {
    for format in FORMATS {
        assert_eq!(format.id().format().id(), format.id());
        let quoted = format!("\"{}\"", format.id());
        let read: FormatId = serde_json::from_str(&quoted).expect("the same name in files");
        assert_eq!(read, format.id());
    }
    assert!(serde_json::from_str::<FormatId>("\"openai\"").is_err());
    for operation in Operation::ALL {
        let quoted = format!("\"{operation}\"");
        let read: Operation = serde_json::from_str(&quoted).expect("the same name in files");
        assert_eq!(read, *operation);
    }
}
