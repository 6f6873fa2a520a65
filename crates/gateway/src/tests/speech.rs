//! Speech: sound passes byte for byte, and nothing else does that is not text.

use domain::price::Pricing;
use http::Method;
use http_body_util::BodyExt;

use super::client::Answer;
use super::harness::{Harness, KEY};
use super::payer::{STREAM, priced};
use super::provider::{Provider, Step, chunk};

const CALL: &str = r#"{"model":"gpt-x","voice":"alloy","input":"hi"}"#;

async fn speak(harness: &Harness, path: &str) -> Answer {
    harness
        .send(harness.request(Method::POST, path, CALL))
        .await
}

async fn speaker() -> (Harness, Provider) {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    (harness, provider)
}

#[tokio::test]
async fn sound_passes_byte_for_byte_with_its_media_type() {
    let (harness, provider) = speaker().await;
    let sound: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for (given, passed) in [
        ("audio/mpeg", "audio/mpeg"),
        ("Audio/L16; rate=24000", "Audio/L16; rate=24000"),
        ("application/octet-stream", "application/octet-stream"),
    ] {
        provider.answers(200, &[("content-type", given)], &sound);
        let answer = speak(&harness, "/v1/audio/speech").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, passed)
        );
        assert!(answer.body == sound, "the sound was changed");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let (head, body) = provider.requests().pop().expect("a request");
    assert!(head.starts_with("POST /base/audio/speech HTTP/1.1\r\n"));
    assert_eq!(body, CALL.as_bytes());
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!((row.operation.as_str(), row.status), ("speech", 200));
        assert_eq!(row.response_bytes, 300_000);
        let money = (row.usage, row.cost, row.pricing);
        assert_eq!(money, (None, None, Some(Pricing::Unpriced)));
    }
}

#[tokio::test]
async fn nothing_else_passes_and_sound_passes_nowhere_else() {
    let (harness, provider) = speaker().await;
    let speech = "/v1/audio/speech";
    for (path, headers) in [
        (speech, &[("content-type", "text/html")][..]),
        (speech, &[("content-type", "image/png")]),
        (speech, &[("content-type", "application/octet-streams")]),
        (
            speech,
            &[
                ("content-type", "audio/mpeg"),
                ("content-type", "text/html"),
            ],
        ),
        (
            speech,
            &[("content-type", "audio/mpeg"), ("content-encoding", "gzip")],
        ),
        (speech, &[]),
        ("/v1/chat/completions", &[("content-type", "audio/mpeg")]),
        (
            "/v1/images/generations",
            &[("content-type", "application/octet-stream")],
        ),
    ] {
        provider.answers(200, headers, b"<script>");
        let answer = speak(&harness, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_invalid_response"),
            "{path} {headers:?}"
        );
    }
    assert!(harness.usage().await.iter().all(|row| row.status == 502));
}

#[tokio::test]
async fn a_key_in_sound_or_in_its_media_type_is_removed() {
    let (harness, provider) = speaker().await;
    let sound = [b"ID3\xff\x00", KEY.as_bytes(), b"\x00\xff"].concat();
    let media_type = format!("audio/mpeg; x={KEY}");
    provider.answers(200, &[("content-type", &media_type)], &sound);
    let answer = speak(&harness, "/v1/audio/speech").await;
    assert_eq!(answer.body, &b"ID3\xff\x00[redacted]\x00\xff"[..]);
    assert_eq!(answer.header("content-type"), "audio/mpeg; x=[redacted]");
}

#[tokio::test]
async fn sound_that_breaks_off_is_cut_and_metered_as_broken() {
    let (harness, provider) = speaker().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 100\r\n\r\nabc";
    provider.script(vec![Step::Send(head.into()), Step::Close]);
    let request = harness.request(Method::POST, "/v1/audio/speech", CALL);
    let response = harness.open(request).await;
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("upstream_broken"));
    assert_eq!((row.usage, row.pricing), (None, None));
}

#[tokio::test]
async fn sound_in_events_is_metered_by_its_report() {
    let (harness, provider) = speaker().await;
    let sound = "A".repeat(2 << 20);
    let stream = format!(
        "data: {{\"type\":\"speech.audio.delta\",\"audio\":\"{sound}\"}}\n\n\
         data: {{\"type\":\"speech.audio.done\",\"usage\":{{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}}}\n\n"
    );
    let steps = [STREAM.into(), chunk(&stream), b"0\r\n\r\n".to_vec()];
    provider.script(steps.map(Step::Send).into());
    let answer = speak(&harness, "/v1/audio/speech").await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(answer.body == stream.as_bytes(), "the stream was changed");
    let usage = harness.usage().await.pop().expect("a row").usage;
    let usage = usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.output_tokens), (14, 101));
}
