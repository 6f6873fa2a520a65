//! What calls cost and what they take in credits, held against amounts that were computed by hand.

use std::time::Duration;

use domain::NanoUsd;
use domain::policy::{KeySource, Mode};
use domain::price::Pricing;
use domain::settings::{ByokMetering, CreditRatio};
use http::Method;
use http_body_util::BodyExt;

use super::harness::Harness;
use super::payer::{CALL, CHARGE, JSON, STREAM, managed, price};
use super::provider::{Step, chunk};

fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

async fn newest(harness: &Harness) -> store::UsageRow {
    harness.usage().await.pop().expect("a row")
}

#[tokio::test]
async fn charges_are_what_they_are_by_hand() {
    let (harness, openai, anthropic) = managed().await;
    let cached = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1000,"completion_tokens":50,
        "total_tokens":1050,"prompt_tokens_details":{"cached_tokens":600},"completion_tokens_details":{"reasoning_tokens":20}}}"#;
    // Reasoning that the provider leaves out of the completion is output all the same.
    let apart = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":100,"completion_tokens":10,
        "total_tokens":140,"completion_tokens_details":{"reasoning_tokens":30}}}"#;
    let blocks = r#"{"type":"message","content":[{"type":"text","text":"hi"}],
        "usage":{"input_tokens":100,"cache_creation_input_tokens":40,"cache_read_input_tokens":2000,"output_tokens":7}}"#;
    let chunks = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    ];
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":8,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    let body = |json: &str| {
        vec![Step::Send(super::provider::answer(
            200,
            &[JSON],
            json.as_bytes(),
        ))]
    };
    for (path, steps, nanos, pricing) in [
        (
            "chat",
            body(cached),
            400 * 3_000 + 600 * 300 + 50 * 15_000,
            Pricing::Priced,
        ),
        (
            "chat",
            body(apart),
            100 * 3_000 + 40 * 15_000,
            Pricing::Priced,
        ),
        (
            "messages",
            body(blocks),
            100 * 3_000 + 40 * 3_750 + 2_000 * 300 + 7 * 15_000,
            Pricing::Priced,
        ),
        (
            "chat",
            stream(&chunks),
            7 * 3_000 + 3 * 15_000,
            Pricing::Priced,
        ),
        (
            "messages",
            stream(&events),
            9 * 3_000 + 100 * 300 + 8 * 3_750 + 5 * 15_000,
            Pricing::Priced,
        ),
        // No report: 17 bytes of request are 5 tokens, 2 bytes of text are one.
        (
            "chat",
            stream(&[chunks[0], chunks[2]]),
            5 * 3_000 + 15_000,
            Pricing::Estimated,
        ),
        (
            "chat",
            body(r#"{"choices":[{"message":{"content":"hi there"}}]}"#),
            5 * 3_000 + 2 * 15_000,
            Pricing::Estimated,
        ),
    ] {
        openai.script(steps.clone());
        anthropic.script(steps);
        let before = harness.credits().await;
        let answer = match path {
            "chat" => harness.chat(r#"{"model":"gpt-x"}"#).await,
            _ => harness.messages(r#"{"model":"claude-x"}"#).await,
        };
        assert_eq!(answer.status, 200);
        // The answer is not whole before its row is: nobody drains the queue here.
        let after = harness.credits().await;
        assert_eq!(
            before.available.minus(after.available).nanos(),
            nanos,
            "{path}"
        );
        assert_eq!(after.reserved, NanoUsd::ZERO);
        let row = newest(&harness).await;
        assert_eq!(
            (row.cost, row.charge),
            (Some(NanoUsd::new(nanos)), NanoUsd::new(nanos))
        );
        assert_eq!(
            (row.pricing, row.key_source),
            (Some(pricing), Some(KeySource::Managed))
        );
        assert!(row.catalog_version.is_some() && row.key_label.is_none());
    }
    assert_eq!(
        harness.store.system().check_ledger().await.expect("read"),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn what_was_streamed_before_the_client_left_is_charged_and_marked_estimated() {
    let (harness, openai, _) = managed().await;
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"0123456789\"}}]}\n\n";
    openai.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(text)),
        Step::Gate,
    ]);
    let before = harness.credits().await.available;
    let call = r#"{"model":"gpt-x","stream":true}"#;
    let request = harness.request(Method::POST, "/v1/chat/completions", call);
    let mut body = harness.open(request).await.into_body();
    // The event passes at once: nothing of it is held back.
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    let frame = frame.expect("in time").expect("more").expect("whole");
    assert_eq!(frame.into_data().expect("data"), text);
    drop(body);
    // T127
    assert!(openai.hung_up_soon().await);
    let row = newest(&harness).await;
    // 31 bytes of request are 8 tokens, 10 bytes of text 3.
    let nanos = 8 * 3_000 + 3 * 15_000;
    assert_eq!((row.status, row.charge.nanos()), (499, nanos));
    assert_eq!(row.pricing, Some(Pricing::Estimated));
    let after = harness.credits().await;
    assert_eq!(before.minus(after.available).nanos(), nanos);
    assert_eq!(after.reserved, NanoUsd::ZERO);
}

#[tokio::test]
async fn without_credits_own_keys_serve_and_are_metered_at_their_own_price() {
    let (harness, openai, _) = managed().await;
    harness.has_credits(0).await;
    let refused = harness.chat(CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "credits_exhausted")
    );
    harness.mode(Mode::Auto).await;
    harness.provider.says(super::payer::REPORT);
    let negotiated = |input: &str| {
        vec![price(
            "openai",
            "*",
            &format!(r#"{{"input":"{input}","output":"0"}}"#),
        )]
    };
    let mut record = harness.record("openai", "primary").await;
    record.prices = negotiated("7");
    harness.put(&record).await;
    assert_eq!(
        harness.chat(CALL).await.header("x-keybearer-key-source"),
        "byok"
    );
    let row = newest(&harness).await;
    assert_eq!(
        (row.cost, row.charge),
        (Some(NanoUsd::new(70_000)), NanoUsd::ZERO)
    );
    assert_eq!(row.pricing, Some(Pricing::Priced));
    harness
        .settings(|settings| settings.byok_metering = ByokMetering::None)
        .await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    let row = newest(&harness).await;
    assert_eq!((row.cost, row.pricing), (None, None));
    assert!(row.usage.is_some());
    // Nobody sets the price of their own credits.
    harness.has_credits(1_000_000).await;
    harness.mode(Mode::Managed).await;
    harness
        .policy(|policy| policy.prices = negotiated("0"))
        .await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    assert_eq!(newest(&harness).await.charge.nanos(), CHARGE);
    assert_eq!(openai.hits(), 1);
}

#[tokio::test]
async fn ratios_and_rates_multiply_what_is_charged_and_not_what_it_costs() {
    let (harness, _, _) = managed().await;
    let any = || domain::glob::Glob::parse("*").expect("a pattern");
    harness
        .settings(|settings| {
            settings.credit_ratios = vec![CreditRatio {
                provider: any(),
                model: any(),
                operation: any(),
                ratio: "1.5".parse().expect("a number"),
                credits_per_call: None,
            }];
            settings.credit_factor = "2".parse().expect("a number");
        })
        .await;
    let scope = harness.admin(domain::access::Action::WriteAccounts).await;
    let rate = "1.1".parse().expect("a number");
    let (note, now) = (harness.note(), harness.sources.now());
    let system = harness.store.system();
    let set = system.set_rate(&scope, harness.account, rate, &note, now);
    set.await.expect("set");
    assert_eq!(harness.chat(CALL).await.status, 200);
    let row = newest(&harness).await;
    assert_eq!(row.cost, Some(NanoUsd::new(CHARGE)));
    assert_eq!(row.charge.nanos(), CHARGE * 33 / 10);
}

#[tokio::test]
async fn calls_without_a_limit_cannot_overspend_together() {
    let (harness, openai, _) = managed().await;
    // The longest answer of the model has 500 tokens; 20 bytes of request are 5 of input.
    let longest = 5 * 3_000 + 500 * 15_000;
    let report = r#"{"usage":{"prompt_tokens":5,"completion_tokens":500}}"#;
    openai.says(report);
    harness.has_credits(3 * longest + 1).await;
    let harness = std::sync::Arc::new(harness);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let harness = std::sync::Arc::clone(&harness);
        calls.spawn(async move { harness.chat(r#"{"model":"gpt-tiny"}"#).await.status });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[..4], [200, 200, 200, 402]);
    let left = harness.credits().await;
    assert_eq!((left.available.nanos(), left.reserved.nanos()), (1, 0));
}
