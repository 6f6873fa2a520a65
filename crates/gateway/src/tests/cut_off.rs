//! Streams that end as connections do, and yet without the word by which their format says so.

use std::time::Duration;

use domain::price::Pricing;
use http::Method;
use http_body_util::BodyExt;
use serde_json::json;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{STREAM, managed};
use super::provider::{Provider, Step, chunk};

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const MESSAGE: [&str; 4] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];
const PIECE: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n";
const CANDIDATE: &str =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"}]}}]}\r\n\r\n";
const FINISHED: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";

/// A stream of these pieces that ends as chunked bodies do.
fn stream(provider: &Provider, pieces: &[&str]) {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    provider.script(steps);
}

/// Calls a provider that streams `pieces`. Returns what the client gets behind them.
async fn behind(harness: &Harness, path: &str, call: &str, pieces: &[&str]) -> String {
    stream(&harness.provider, pieces);
    let answer = harness
        .send(harness.request(Method::POST, path, call))
        .await;
    assert_eq!(answer.status, 200, "{pieces:?}");
    let text = text(&answer);
    let rest = text.strip_prefix(&pieces.concat()).expect("what came");
    rest.to_owned()
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

async fn code(harness: &Harness) -> Option<String> {
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.status, 200);
    row.error_code
}

#[tokio::test]
async fn a_stream_that_ends_without_its_end_is_told_to_be_broken_in_the_clients_format() {
    // T65
    let harness = Harness::start().await;
    for provider in ["openai", "anthropic", "google"] {
        harness.bring(provider).await;
    }
    let broken = Some("upstream_broken".to_owned());
    let gemini = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    for (path, call, pieces, error) in [
        (
            "/v1/chat/completions",
            r#"{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}"#,
            &[TEXT][..],
            "\n\ndata: {\"error\":{",
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"gpt-x","stream":true,"n":2}"#,
            &[TEXT, STOP],
            "\n\ndata: {\"error\":{",
        ),
        (
            "/v1/messages",
            r#"{"model":"claude-x","stream":true}"#,
            &MESSAGE[..3],
            "\n\nevent: error\ndata: {\"type\":\"error\"",
        ),
        (
            "/v1/responses",
            r#"{"model":"gpt-x","input":"hi","stream":true}"#,
            &[PIECE],
            "\n\nevent: error\ndata: {\"type\":\"error\"",
        ),
        (
            gemini,
            r#"{"contents":[]}"#,
            &[CANDIDATE],
            "\n\ndata: {\"error\":{",
        ),
    ] {
        let event = behind(&harness, path, call, pieces).await;
        assert!(event.starts_with(error), "{path}: {event}");
        assert!(event.contains("upstream_broken"), "{event}");
        assert_eq!(code(&harness).await, broken, "{path}");
        harness.advance(1);
    }
}

#[tokio::test]
async fn a_stream_that_says_its_end_passes_as_it_is() {
    let harness = Harness::start().await;
    for provider in ["openai", "anthropic", "google"] {
        harness.bring(provider).await;
    }
    let chat = r#"{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}"#;
    let two = r#"{"model":"gpt-x","stream":true,"n":2,"stream_options":{"include_usage":true}}"#;
    let message = r#"{"model":"claude-x","stream":true}"#;
    let response = r#"{"model":"gpt-x","input":"hi","stream":true}"#;
    let gemini = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let ended = |event: &str| format!("data: {{\"type\":\"{event}\",\"response\":{{}}}}\n\n");
    let unnamed = MESSAGE[3]
        .strip_prefix("event: message_stop\n")
        .expect("a name");
    // Some servers leave the last line break out, and some the last word.
    let cut_short = DONE.trim_end();
    for (path, call, pieces) in [
        ("/v1/chat/completions", chat, &[TEXT, STOP, DONE][..]),
        ("/v1/chat/completions", chat, &[TEXT, DONE]),
        ("/v1/chat/completions", chat, &[TEXT, cut_short]),
        ("/v1/chat/completions", chat, &[TEXT, STOP]),
        ("/v1/chat/completions", two, &[TEXT, STOP, STOP]),
        ("/v1/chat/completions", two, &[TEXT, STOP, DONE]),
        ("/v1/messages", message, &MESSAGE),
        ("/v1/messages", message, &[MESSAGE[0], MESSAGE[1], unnamed]),
        (
            "/v1/responses",
            response,
            &[PIECE, &ended("response.completed")],
        ),
        (
            "/v1/responses",
            response,
            &[PIECE, &ended("response.incomplete")],
        ),
        (
            "/v1/responses",
            response,
            &[PIECE, &ended("response.failed")],
        ),
        (gemini, r#"{"contents":[]}"#, &[CANDIDATE, FINISHED]),
    ] {
        assert_eq!(behind(&harness, path, call, pieces).await, "");
        assert_eq!(code(&harness).await, None, "{pieces:?}");
        harness.advance(1);
    }
}

#[tokio::test]
async fn what_a_cut_stream_reported_is_no_last_word() {
    let (harness, _, anthropic) = managed().await;
    let call = r#"{"model":"claude-x","max_tokens":50,"stream":true,"messages":[]}"#;
    let mut expected = Vec::new();
    for (pieces, pricing, code) in [
        (&MESSAGE[..], Pricing::Priced, None),
        (&MESSAGE[..3], Pricing::Estimated, Some("upstream_broken")),
    ] {
        stream(&anthropic, pieces);
        let answer = harness.messages(call).await;
        assert_eq!(text(&answer).contains("upstream_broken"), code.is_some());
        expected.push((Some(pricing), code.map(str::to_owned)));
        harness.advance(1);
    }
    let rows = harness.usage().await;
    let charged = rows.iter().all(|row| row.charge > domain::NanoUsd::ZERO);
    assert!(charged, "the provider made it all the same");
    let rows = rows.into_iter().map(|row| (row.pricing, row.error_code));
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn however_a_stream_is_cut_what_it_reported_is_no_last_word() {
    let (harness, _, anthropic) = managed().await;
    let call = r#"{"model":"claude-x","max_tokens":50,"stream":true,"messages":[]}"#;
    let mut steps = vec![Step::Send(STREAM.into())];
    let pieces = MESSAGE[..3].iter();
    steps.extend(pieces.map(|piece| Step::Send(chunk(piece))));
    // The connection breaks.
    anthropic.script([&steps[..], &[Step::Close]].concat());
    assert!(text(&harness.messages(call).await).contains("upstream_broken"));
    harness.advance(1);
    // The client leaves, and the provider says no more.
    anthropic.script([&steps[..], &[Step::Gate]].concat());
    let request = harness.request(Method::POST, "/v1/messages", call);
    let mut body = harness.open(request).await.into_body();
    let first = body.frame().await.expect("a frame");
    assert!(first.is_ok());
    drop(body);
    assert!(anthropic.hung_up_within(Duration::from_secs(5)).await);
    let rows = harness.usage().await;
    let said = rows
        .iter()
        .map(|row| (row.pricing, row.error_code.as_deref()));
    let estimated = Some(Pricing::Estimated);
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            (estimated, Some("upstream_broken")),
            (estimated, Some("client_closed"))
        ]
    );
}

#[tokio::test]
async fn a_cut_stream_is_told_to_be_broken_in_translation_too() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let call = json!({"model": "claude-x", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    stream(&harness.provider, &MESSAGE[..3]);
    let answer = harness.chat(&call.to_string()).await;
    let told = text(&answer);
    assert!(
        told.contains("upstream_broken") && !told.contains("[DONE]"),
        "{told}"
    );
    assert_eq!(code(&harness).await.as_deref(), Some("upstream_broken"));
}

#[tokio::test]
async fn an_error_of_the_providers_own_is_not_told_twice() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let failed = "data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n";
    let call = r#"{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}"#;
    let pieces = [TEXT, failed];
    let path = "/v1/chat/completions";
    assert_eq!(behind(&harness, path, call, &pieces).await, "");
    assert_eq!(code(&harness).await.as_deref(), Some("upstream_broken"));
}
