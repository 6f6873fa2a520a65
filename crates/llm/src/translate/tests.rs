//! Every case of `fixtures/translate/<format>` in each other format, and what holds for all of them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::format::FORMATS;

mod beside;
mod bounds;
mod bytes;
mod calls;
mod empty;
mod gemini;
mod left_out;
mod proofs;
mod rounds;
mod several;
mod strict;

const ALL: [FormatId; 4] = [
    FormatId::OpenaiChat,
    FormatId::OpenaiResponses,
    FormatId::AnthropicMessages,
    FormatId::GeminiGenerateContent,
];

fn stamp() -> Stamp {
    Stamp {
        request: "req_0123".to_owned(),
        at_s: 1_700_000_001,
        input_tokens: 17,
    }
}

fn target() -> Target {
    Target {
        stream_usage: true,
        ..Target::default()
    }
}

/// The fixtures of a format whose names begin so, with their names.
fn fixtures(format: FormatId, kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/fixtures/translate")
        .join(format.as_str());
    let files = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let named = files.into_iter().filter_map(|file| {
        let name = file.file_stem()?.to_str()?.to_owned();
        let bytes = fs::read(&file).expect("a fixture");
        name.starts_with(kind).then_some((name, bytes))
    });
    let named: Vec<_> = named.collect();
    assert!(named.len() > 2, "{format} {kind}");
    named
}

/// Every format with every other one.
fn pairs() -> impl Iterator<Item = (FormatId, FormatId)> {
    let with = |from: FormatId| ALL.into_iter().map(move |to| (from, to));
    ALL.into_iter()
        .flat_map(with)
        .filter(|(from, to)| from != to)
}

/// A plan for answers, whose request asked for everything.
fn plan(client: FormatId, upstream: FormatId) -> Plan {
    let body = match client {
        FormatId::OpenaiResponses => {
            r#"{"model":"m","input":"hi","instructions":"Be brief.","temperature":0.5,"metadata":{"a":"b"}}"#
        }
        FormatId::AnthropicMessages => r#"{"model":"m","max_tokens":9,"messages":[]}"#,
        _ => r#"{"model":"m","messages":[],"stream_options":{"include_usage":true}}"#,
    };
    let translated = request(client, upstream, body.as_bytes(), &target());
    translated.expect("a request").plan
}

fn stream<'a>(plan: &Plan, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut translator = plan.stream(stamp()).expect("a translation");
    let mut out = String::new();
    for piece in pieces {
        out.push_str(&translator.push(piece));
    }
    out.push_str(&translator.finish());
    assert!(translator.is_over());
    out
}

/// JSON for a person to read.
fn pretty(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    serde_json::to_string_pretty(&body).expect("JSON")
}

#[test]
fn formats_of_conversations_are_translated_into_each_other_and_nothing_else_is() {
    for client in FORMATS.iter().map(|format| format.id()) {
        for upstream in FORMATS.iter().map(|format| format.id()) {
            let both = ALL.contains(&client) && ALL.contains(&upstream);
            let expected = both && client != upstream;
            assert_eq!(can(client, upstream), expected, "{client} {upstream}");
            let listed = instead_of(client).contains(&upstream);
            assert_eq!(listed, expected, "{client} {upstream}");
            let body = br#"{"model":"m","messages":[],"input":[]}"#;
            let translated = request(client, upstream, body, &target());
            assert_eq!(translated.is_ok(), expected, "{client} {upstream}");
        }
    }
}

#[test]
fn requests_in_every_other_format() {
    for (client, upstream) in pairs() {
        for (name, body) in fixtures(client, "request") {
            let shown = match request(client, upstream, &body, &target()) {
                Ok(translated) => format!(
                    "warnings: {}\n{}",
                    translated.warnings,
                    pretty(&translated.body)
                ),
                Err(error) => format!("refused {}: {error}", error.path()),
            };
            insta::assert_snapshot!(format!("{client}__{name}__to_{upstream}"), shown);
        }
    }
}

#[test]
fn answers_in_every_other_format() {
    for (client, upstream) in pairs() {
        for (name, body) in fixtures(upstream, "answer") {
            let shown = match plan(client, upstream).answer(&body, &stamp()) {
                Ok(answer) => pretty(&answer),
                Err(error) => format!("unreadable {}: {error}", error.path()),
            };
            insta::assert_snapshot!(format!("{upstream}__{name}__to_{client}"), shown);
        }
    }
}

#[test]
fn streams_in_every_other_format_and_cut_at_every_byte() {
    for (client, upstream) in pairs() {
        let plan = plan(client, upstream);
        for (name, bytes) in fixtures(upstream, "stream") {
            let whole = stream(&plan, [bytes.as_slice()]);
            assert_eq!(stream(&plan, bytes.chunks(1)), whole, "{name} byte by byte");
            // Of long ones every seventh place is enough: byte by byte each place was a cut already.
            let step = if bytes.len() > 1_000 { 7 } else { 1 };
            for cut in (0..=bytes.len()).step_by(step) {
                let (head, tail) = bytes.split_at(cut);
                assert_eq!(stream(&plan, [head, tail]), whole, "{name} cut at {cut}");
            }
            insta::assert_snapshot!(format!("{upstream}__{name}__to_{client}"), whole);
        }
    }
}

#[test]
fn errors_are_told_in_the_clients_words() {
    let anthropic = br#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
    let told = plan(FormatId::OpenaiChat, FormatId::AnthropicMessages)
        .error(400, anthropic, &stamp())
        .expect("an error");
    assert_eq!(
        &told[..],
        br#"{"error":{"message":"max_tokens: too large","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#
    );
    let openai = br#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let told = plan(FormatId::AnthropicMessages, FormatId::OpenaiChat)
        .error(429, openai, &stamp())
        .expect("an error");
    assert_eq!(
        &told[..],
        br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down","code":"rate_limit_exceeded"},"request_id":"req_0123"}"#
    );
    for unreadable in ["", "<html>", "7", r#"{"error":{}}"#] {
        let plan = plan(FormatId::OpenaiChat, FormatId::AnthropicMessages);
        assert_eq!(plan.error(400, unreadable.as_bytes(), &stamp()), None);
    }
}

#[test]
fn an_answers_length_is_limited_where_the_format_needs_it() {
    let body = br#"{"model":"m","messages":[]}"#;
    for (most, expected) in [
        (None, DEFAULT_MAX_TOKENS),
        (Some(4096), 4096),
        (Some(90_000), DEFAULT_MAX_TOKENS),
    ] {
        let target = Target {
            max_output_tokens: most,
            ..target()
        };
        let translated = request(
            FormatId::OpenaiChat,
            FormatId::AnthropicMessages,
            body,
            &target,
        );
        let body: Value =
            serde_json::from_slice(&translated.expect("a request").body).expect("JSON");
        assert_eq!(body["max_tokens"], expected);
    }
    let target = Target {
        token_limit: TokenLimit::MaxCompletionTokens,
        ..Target::default()
    };
    let body = br#"{"model":"m","max_tokens":77,"stream":true,"messages":[]}"#;
    let translated = request(
        FormatId::AnthropicMessages,
        FormatId::OpenaiChat,
        body,
        &target,
    );
    let body: Value = serde_json::from_slice(&translated.expect("a request").body).expect("JSON");
    assert_eq!(body["max_completion_tokens"], 77);
    assert_eq!(
        body["stream_options"],
        Value::Null,
        "the provider refuses it"
    );
}
