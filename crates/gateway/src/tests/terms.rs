//! The terms on which a provider served, where they change what a call costs.

use domain::NanoUsd;
use domain::price::Pricing;
use serde_json::json;

use super::harness::Harness;
use super::payer::STREAM;
use super::provider::{Step, chunk};

/// 12, 20, 5 of which 3 for an hour, and 9 tokens at 3, 0.30, 3.75, 6 and 15 USD per million.
const COST: i64 = 36_000 + 6_000 + 7_500 + 18_000 + 135_000;

fn usage(tier: &str) -> serde_json::Value {
    json!({"input_tokens": 12, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 20, "output_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}, "service_tier": tier})
}

#[tokio::test]
async fn what_is_cached_for_an_hour_is_priced_so_and_another_tier_is_an_estimate() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    for (tier, pricing) in [
        ("standard", Pricing::Priced),
        ("priority", Pricing::Estimated),
        ("batch", Pricing::Estimated),
    ] {
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "usage": usage(tier)});
        harness.provider.says(&message.to_string());
        let call = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#;
        assert_eq!(harness.messages(call).await.status, 200);
        let chat = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}"#;
        let translated = harness.chat(chat).await;
        // Told before the answer only where it is sure.
        let told = match pricing {
            Pricing::Priced => "0.0002025",
            _ => "",
        };
        assert_eq!(translated.header("x-keybearer-cost"), told, "{tier}");
        let start =
            json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage(tier)}});
        let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}});
        let events = format!(
            "event: message_start\ndata: {start}\n\nevent: message_delta\ndata: {delta}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        harness.provider.script(vec![
            Step::Send(STREAM.into()),
            Step::Send(chunk(&events)),
            Step::Send(b"0\r\n\r\n".to_vec()),
        ]);
        let call = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[],"stream":true}"#;
        assert_eq!(harness.messages(call).await.status, 200);
        let rows = harness.usage().await;
        for row in &rows[rows.len() - 3..] {
            assert_eq!(row.cost, Some(NanoUsd::new(COST)), "{tier}");
            assert_eq!(row.pricing, Some(pricing), "{tier}");
            assert_eq!(row.usage.map(|it| it.cache_write_tokens), Some(5));
        }
    }
}

#[tokio::test]
async fn a_tier_that_openai_names_is_an_estimate_unless_it_is_the_default() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    for (tier, pricing) in [
        (json!("default"), Pricing::Priced),
        (json!(null), Pricing::Priced),
        (json!("flex"), Pricing::Estimated),
        (json!("priority"), Pricing::Estimated),
    ] {
        let completion = json!({"id": "c", "object": "chat.completion", "model": "gpt-4o", "service_tier": tier,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}});
        harness.provider.says(&completion.to_string());
        assert_eq!(harness.chat(r#"{"model":"gpt-4o"}"#).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.cost, row.pricing),
            (Some(NanoUsd::new(120_000)), Some(pricing)),
            "{tier}"
        );
    }
}
