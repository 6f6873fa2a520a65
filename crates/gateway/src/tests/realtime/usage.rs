//! What is metered of sessions: responses, what was said, and what was cut.

use domain::price::{Price, Pricing};
use domain::{NanoUsd, Usage};
use serde_json::{Value, json};
use store::UsageRow;
use tokio::io::AsyncWriteExt;

use super::super::harness::Harness;
use super::super::payer::{PRICE, price};
use super::super::provider::Provider;
use super::{begun, exactly, frame, rest, row};

/// 1 USD and 2 USD per million tokens.
const TRANSCRIBER: &str = r#"{"input":"1","output":"2"}"#;

/// An own key at a provider whose models have prices, but for those that begin with a w.
async fn priced() -> (Harness, Provider) {
    let harness = Harness::start().await;
    harness
        .settings(|settings| {
            settings.prices = vec![
                price("openai", "gpt-*", PRICE),
                price("openai", "gpt-transcribe", TRANSCRIBER),
            ];
        })
        .await;
    let (_, provider) = harness.own("one", |_| {}).await;
    (harness, provider)
}

/// The row of a session in which the provider says this and one of both leaves.
async fn session(events: &[Value], client_leaves: bool) -> UsageRow {
    let (harness, provider) = priced().await;
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    for event in events {
        let message = frame(0x81, event.to_string().as_bytes());
        upstream.write_all(&message).await.expect("sent");
        exactly(&mut client, &message).await;
    }
    if client_leaves {
        drop(client);
        rest(&mut upstream).await;
    } else {
        drop(upstream);
        rest(&mut client).await;
    }
    row(&harness).await
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

fn cost(price: &str, input_tokens: u64, output_tokens: u64) -> NanoUsd {
    let price: Price = serde_json::from_str(price).expect("a price");
    price.cost(&tokens(input_tokens, output_tokens))
}

fn set_up(model: &str) -> Value {
    json!({"type": "session.updated", "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": model}}}}})
}

fn heard(usage: Value) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "event_id": "e", "item_id": "i",
        "content_index": 0, "transcript": "what was said", "usage": usage})
}

fn heard_tokens() -> Value {
    heard(
        json!({"type": "tokens", "total_tokens": 58, "input_tokens": 50, "output_tokens": 8,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 50}}),
    )
}

fn done(status: &str) -> Value {
    json!({"type": "response.done", "response": {"id": "r1", "status": status,
        "usage": {"total_tokens": 42, "input_tokens": 30, "output_tokens": 12}}})
}

fn created(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id, "status": "in_progress"}})
}

fn said(id: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "response_id": id, "delta": "twelve bytes"})
}

#[tokio::test]
async fn what_was_said_is_counted_at_the_price_of_the_model_that_wrote_it_down() {
    let events = [
        set_up("gpt-transcribe"),
        heard_tokens(),
        created("r1"),
        done("completed"),
    ];
    let row = session(&events, true).await;
    assert_eq!(row.usage, Some(tokens(80, 20)));
    let expected = cost(PRICE, 30, 12).plus(cost(TRANSCRIBER, 50, 8));
    assert_eq!(
        (row.cost, row.pricing),
        (Some(expected), Some(Pricing::Priced))
    );
    assert_eq!((row.status, row.error_code), (101, None));
}

#[tokio::test]
async fn a_session_that_only_writes_down_is_metered() {
    let row = session(&[set_up("gpt-transcribe"), heard_tokens()], false).await;
    assert_eq!(row.usage, Some(tokens(50, 8)));
    let expected = cost(TRANSCRIBER, 50, 8);
    assert_eq!(
        (row.cost, row.pricing),
        (Some(expected), Some(Pricing::Priced))
    );
}

#[tokio::test]
async fn a_part_without_a_known_price_leaves_the_rest_counted() {
    let by_time = heard(json!({"type": "duration", "seconds": 7.25}));
    let alone = session(&[set_up("gpt-transcribe"), by_time.clone()], true).await;
    assert_eq!((alone.cost, alone.pricing), (None, Some(Pricing::Unpriced)));
    for (transcribed, model, usage) in [
        (heard_tokens(), "whisper-x", tokens(80, 20)),
        (by_time.clone(), "whisper-x", tokens(30, 12)),
        // The price that is known is one of tokens.
        (by_time, "gpt-transcribe", tokens(30, 12)),
    ] {
        let row = session(&[set_up(model), transcribed, done("completed")], true).await;
        assert_eq!(row.usage, Some(usage));
        let known = cost(PRICE, 30, 12);
        assert_eq!(
            (row.cost, row.pricing),
            (Some(known), Some(Pricing::Unpriced))
        );
    }
}

#[tokio::test]
async fn a_response_that_is_cut_is_estimated_whoever_left() {
    let cut = [
        created("r1"),
        said("r1"),
        done("completed"),
        created("r2"),
        said("r2"),
    ];
    for client_leaves in [true, false] {
        let row = session(&cut, client_leaves).await;
        // The second one read at least what the first one read and wrote; twelve bytes are three tokens.
        assert_eq!(row.usage, Some(tokens(30 + 42, 12 + 3)));
        let expected = cost(PRICE, 72, 15);
        assert_eq!(
            (row.cost, row.pricing),
            (Some(expected), Some(Pricing::Estimated))
        );
    }
    let row = session(&[created("r1"), said("r1")], false).await;
    assert_eq!(
        (row.usage, row.pricing),
        (Some(tokens(0, 3)), Some(Pricing::Estimated))
    );
}

#[tokio::test]
async fn a_cancelled_response_counts_what_it_reports() {
    let row = session(&[created("r1"), said("r1"), done("cancelled")], true).await;
    assert_eq!(
        (row.usage, row.pricing),
        (Some(tokens(30, 12)), Some(Pricing::Priced))
    );
    let silent = json!({"type": "response.done", "response": {"id": "r1", "status": "cancelled", "usage": null}});
    let row = session(&[created("r1"), said("r1"), silent.clone()], true).await;
    assert_eq!(
        (row.usage, row.pricing),
        (Some(tokens(0, 3)), Some(Pricing::Estimated))
    );
    // Nothing came of it: it was cancelled before it began.
    let row = session(&[created("r1"), silent], true).await;
    assert_eq!((row.usage, row.cost), (None, None));
}

#[tokio::test]
async fn a_report_counts_however_its_type_is_spelled() {
    let (harness, provider) = priced().await;
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    let report = done("completed").to_string();
    let spelled = report.replace("response.done", "response\\u002edone");
    let quoted = json!({"type": "response.output_text.done", "text": report}).to_string();
    let message = [
        frame(0x81, spelled.as_bytes()),
        frame(0x81, quoted.as_bytes()),
    ]
    .concat();
    upstream.write_all(&message).await.expect("sent");
    exactly(&mut client, &message).await;
    drop(client);
    let row = row(&harness).await;
    assert_eq!(
        (row.usage, row.pricing),
        (Some(tokens(30, 12)), Some(Pricing::Priced))
    );
}
