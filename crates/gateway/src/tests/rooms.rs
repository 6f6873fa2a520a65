//! Translations take their share of the memory for bodies, and their calls what their provider is sent.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use serde_json::json;

use super::harness::{Harness, config};
use super::payer::{PRICE, REPORT, managed, managed_with, price};
use super::provider::Step;
use crate::edge::EdgeConfig;

const KIB: usize = 1024;

fn answer(text_bytes: usize) -> String {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": "x".repeat(text_bytes)}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 9}})
    .to_string()
}

fn call(model: &str, text_bytes: usize) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "x".repeat(text_bytes)}]})
        .to_string()
}

fn free(harness: &Harness) -> usize {
    harness.gateway.0.body_memory.available_permits()
}

async fn free_again(harness: &Harness, all: usize) {
    let waiting = async {
        while free(harness) < all {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waiting = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    waiting.unwrap_or_else(|_| panic!("{} of {all}", free(harness)));
}

#[tokio::test]
async fn a_translated_answer_takes_room_until_it_is_sent() {
    // More than two sockets take of it.
    const BYTES: usize = 14 << 20;
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(&answer(BYTES));
    let all = free(&harness);
    let request = harness.request(Method::POST, "/v1/chat/completions", &call("claude-x", 1));
    let response = harness.open(request).await;
    assert_eq!(response.status(), 200);
    // The client reads nothing. What the answer took to be understood is given back, what it is now is not.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let taken = all - free(&harness);
    assert!((BYTES / KIB..2 * BYTES / KIB).contains(&taken), "{taken}");
    let body = response.into_body().collect().await.expect("whole");
    assert!(body.to_bytes().len() > BYTES);
    free_again(&harness, all).await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_the_room_back() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness.provider.says(&answer(14 << 20));
    let all = free(&harness);
    let request = harness.request(Method::POST, "/v1/chat/completions", &call("claude-x", 1));
    drop(harness.open(request).await);
    free_again(&harness, all).await;
}

#[tokio::test]
async fn an_answer_without_room_is_not_read_on() {
    let mut config = config();
    config.limits.all_bodies_bytes = 100 * KIB;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("anthropic").await;
    for (bytes, status) in [(10 * KIB, 200), (20 * KIB, 503), (200 * KIB, 503)] {
        harness.provider.says(&answer(bytes));
        let answer = harness.chat(&call("claude-x", 1)).await;
        assert_eq!(answer.status, status, "{bytes}");
        if status == 503 {
            assert_eq!(answer.code(), "overloaded");
        }
        assert_eq!(free(&harness), 100);
        harness.advance(1);
    }
    // The model made them all the same.
    let rows = harness.usage().await;
    assert!(rows.iter().all(|row| row.usage.is_some()));
}

#[tokio::test]
async fn vectors_that_are_encoded_here_take_room_too() {
    let mut config = config();
    config.limits.all_bodies_bytes = 100 * KIB;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    let call = r#"{"model":"gpt-x","input":"a","encoding_format":"base64"}"#;
    for (numbers, status) in [(10_000, 200), (40_000, 503)] {
        let vector = "0,".repeat(numbers);
        let says = format!(r#"{{"data":[{{"embedding":[{vector}0]}}]}}"#);
        harness.provider.says(&says);
        let request = harness.request(Method::POST, "/v1/embeddings", call);
        assert_eq!(harness.send(request).await.status, status, "{numbers}");
        free_again(&harness, 100).await;
        harness.advance(1);
    }
    // Those that are not told were made all the same.
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.usage.is_some()), "{rows:?}");
}

#[tokio::test]
async fn encoded_vectors_that_credits_pay_for_take_room_until_they_are_sent() {
    const NUMBERS: usize = 3 << 20;
    // More than two sockets take of it.
    const ENCODED: usize = NUMBERS * 16 / 3;
    let (harness, openai, _) = managed().await;
    let vector = "0.123456,".repeat(NUMBERS);
    openai.says(&format!(
        r#"{{"data":[{{"embedding":[{vector}0]}}],"usage":{{"prompt_tokens":1}}}}"#
    ));
    let all = free(&harness);
    let call = r#"{"model":"gpt-x","input":"a","encoding_format":"base64"}"#;
    let request = harness.request(Method::POST, "/v1/embeddings", call);
    let response = harness.open(request).await;
    assert_eq!(response.status(), 200);
    // The client reads nothing.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let taken = (all - free(&harness)) * KIB;
    assert!((ENCODED..2 * ENCODED).contains(&taken), "{taken}");
    let body = response.into_body().collect().await.expect("whole");
    assert!(body.to_bytes().len() > ENCODED);
    free_again(&harness, all).await;
}

#[tokio::test]
async fn a_translated_request_takes_room_until_it_is_sent() {
    let mut config = config();
    config.limits.all_bodies_bytes = 100 * KIB;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("anthropic").await;
    let reply = answer(1);
    harness.provider.script(vec![
        Step::Gate,
        Step::Send(super::provider::answer(
            200,
            &[super::payer::JSON],
            reply.as_bytes(),
        )),
    ]);
    let long = call("claude-x", 10 * KIB);
    let waiting = harness.chat(&long);
    let looking = async {
        while harness.provider.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // As it came and as it was sent.
        let taken = 100 - free(&harness);
        assert!((20..25).contains(&taken), "{taken}");
        harness.provider.open(1);
    };
    let (answer, ()) = tokio::join!(waiting, looking);
    assert_eq!(answer.status, 200);
    free_again(&harness, 100).await;
    // Translating it would take more than there is.
    let answer = harness.chat(&call("claude-x", 30 * KIB)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!((harness.provider.hits(), free(&harness)), (1, 100));
}

#[tokio::test]
async fn a_request_without_room_to_be_translated_goes_another_way() {
    let long = json!({"model": "claude-x", "models": ["gpt-x"],
        "messages": [{"role": "user", "content": "x".repeat(30 * KIB)}]});
    let mut config = config();
    config.limits.all_bodies_bytes = 100 * KIB;
    let harness = Harness::with(config.clone(), EdgeConfig::default()).await;
    harness.bring("anthropic").await;
    harness.bring("openai").await;
    harness.provider.says("{}");
    let answer = harness.chat(&long.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.code());
    assert_eq!(answer.header("x-keybearer-model"), "gpt-x");
    assert_eq!((harness.provider.hits(), free(&harness)), (1, 100));
    // Credits are held for all the models at once, so what each of them would be sent must be known.
    let (harness, openai, _) = managed_with(config).await;
    let long = long
        .to_string()
        .replace("claude-x", "first")
        .replace("gpt-x", "claude-x")
        .replace("first", "gpt-x");
    let answer = harness.chat(&long).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!((openai.hits(), free(&harness)), (0, 100));
}

#[tokio::test]
async fn an_own_key_that_lacked_room_is_no_reason_for_credits() {
    let mut config = config();
    config.limits.all_bodies_bytes = 100 * KIB;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("anthropic").await;
    let (_, openai) = harness.platform("openai").await;
    harness
        .settings(|settings| settings.prices = vec![price("openai", "*", PRICE)])
        .await;
    harness.consents().await;
    openai.says(REPORT);
    let of = |model: &str| {
        json!({"model": model, "models": ["gpt-x"], "max_tokens": 2,
            "messages": [{"role": "user", "content": "x".repeat(30 * KIB)}]})
        .to_string()
    };
    let answer = harness.chat(&of("claude-x")).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!((openai.hits(), free(&harness)), (0, 100));
    // Asked for by itself the model is paid by credits.
    assert_eq!(harness.chat(&of("gpt-x")).await.status, 200);
    assert_eq!(openai.hits(), 1);
}

#[tokio::test]
async fn what_is_held_is_what_the_provider_is_sent_with_its_limit() {
    let unlimited = call("claude-x", 1);
    let limited = json!({"model": "claude-x", "max_tokens": 7, "messages": [{"role": "user", "content": "hi"}]});
    let short =
        json!({"model": "gpt-x", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]});
    let chat = "/v1/chat/completions";
    for (path, call, most_output) in [
        // Without a limit of the client's a message has one all the same.
        (chat, unlimited, 16_384),
        (chat, limited.to_string(), 7),
        // A response has at least so many.
        ("/v1/messages", short.to_string(), 16),
    ] {
        let (harness, openai, anthropic) = managed().await;
        harness
            .settings(|settings| settings.held_output_tokens = Some(20_000))
            .await;
        anthropic.says(&answer(1));
        openai.says(
            r#"{"id":"resp_1","status":"completed","model":"gpt-x","output":[],"usage":{"input_tokens":3,"output_tokens":1}}"#,
        );
        let request = || harness.request(Method::POST, path, &call);
        harness.has_credits(1).await;
        let refused = harness.send(request()).await;
        assert_eq!(refused.code(), "credits_exhausted");
        let needed = refused.json()["error"]["needed"]["nano_usd"].clone();
        harness.has_credits(1_000_000_000).await;
        assert_eq!(harness.send(request()).await.status, 200);
        let sent = [openai, anthropic]
            .iter()
            .find_map(|it| it.requests().pop());
        let (_, sent) = sent.expect("a request");
        let input = sent.len().div_ceil(4) as i64;
        assert_eq!(needed, input * 3_000 + most_output * 15_000);
    }
}
