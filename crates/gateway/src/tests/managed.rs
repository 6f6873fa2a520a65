//! What is different where the instance's key serves: its owner pays, and others use it, too.

use std::time::Duration;

use domain::policy::Mode;
use domain::price::Pricing;
use domain::{KeyOwner, NanoUsd};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::harness::{Harness, config};
use super::payer::{CALL, CHARGE, JSON, PRICE, REPORT, STREAM, managed, managed_with, price, with};
use super::provider::{Provider, Step, answer, chunk};

const PART: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":300}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const STREAMED: &str = r#"{"model":"gpt-x","stream":true}"#;
/// The input of [`CALL`]: 32 bytes are 8 tokens.
const INPUT: i64 = 8 * 3_000;

fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

async fn newest(harness: &Harness) -> store::UsageRow {
    harness.usage().await.pop().expect("a row")
}

/// The body of the last request.
fn got(provider: &Provider) -> Value {
    let (_, body) = provider.requests().pop().expect("a request");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn a_call_that_its_provider_got_and_did_not_refuse_takes_its_input() {
    let mut config = config();
    config.timeouts.first_byte_ms = 1_000;
    let (harness, openai, _) = managed_with(config).await;
    let half = answer(200, &[("content-length", "99"), JSON], b"");
    let half = String::from_utf8(half).expect("text");
    let half = half.replacen("content-length: 0\r\n", "", 1);
    for (steps, status) in [
        (vec![Step::Close], 502),
        (vec![Step::Gate], 504),
        (
            vec![Step::Send(answer(
                200,
                &[("content-type", "text/html")],
                b"<p>",
            ))],
            502,
        ),
        (
            vec![
                Step::Send(half.into_bytes()),
                Step::Wait(Duration::from_millis(20)),
                Step::Close,
            ],
            502,
        ),
    ] {
        openai.script(steps);
        let before = harness.credits().await;
        let response = harness.open(harness.chat_request(CALL)).await;
        assert_eq!(response.status(), status);
        let _ = response.into_body().collect().await;
        let row = newest(&harness).await;
        assert_eq!((row.status, row.charge.nanos()), (status.into(), INPUT));
        assert_eq!(row.pricing, Some(Pricing::Estimated));
        let after = harness.credits().await;
        assert_eq!(before.available.minus(after.available).nanos(), INPUT);
        assert_eq!(after.reserved, NanoUsd::ZERO);
    }
    let check = harness.store.system().check_ledger().await;
    assert_eq!(check.expect("read"), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_leaves_before_any_output_pays_for_the_input() {
    let (harness, openai, _) = managed().await;
    // Before the head of the answer, and behind it.
    for head in [None, Some(Step::Send(STREAM.into()))] {
        openai.script(head.clone().into_iter().chain([Step::Gate]).collect());
        let hits = openai.hits();
        let waiting = async {
            let response = harness.open(harness.chat_request(CALL)).await;
            response.into_body().collect().await.map(drop)
        };
        let given_up = tokio::time::timeout(Duration::from_millis(300), waiting).await;
        assert!(given_up.is_err());
        assert_eq!(openai.hits(), hits + 1);
        let settled = async {
            while harness.gateway.0.books.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(5), settled).await;
        settled.expect("in time");
        let row = newest(&harness).await;
        assert_eq!((row.status, row.charge.nanos()), (499, INPUT));
        assert_eq!(harness.credits().await.reserved, NanoUsd::ZERO);
    }
}

#[tokio::test]
async fn a_call_that_never_reached_its_provider_takes_nothing() {
    let harness = Harness::start().await;
    harness
        .settings(|settings| settings.prices = vec![price("openai", "*", PRICE)])
        .await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let closed = closed.expect("a port").local_addr().expect("an address");
    let mut nobody = harness.provider.clone();
    nobody.address = closed;
    let owner = KeyOwner::Instance(harness.deployment);
    let record = harness.record_of(owner, "openai", "gone", &nobody).await;
    harness.put(&record).await;
    harness.mode(Mode::Managed).await;
    let before = harness.credits().await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_unreachable")
    );
    let row = newest(&harness).await;
    assert_eq!(
        (row.charge, row.usage, row.pricing),
        (NanoUsd::ZERO, None, None)
    );
    assert_eq!(harness.credits().await, before);
}

#[tokio::test]
async fn an_error_in_the_place_of_a_stream_costs_nothing() {
    let (harness, openai, anthropic) = managed().await;
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    for provider in [&openai, &anthropic] {
        provider.script(stream(&[error]));
    }
    for (path, call) in [
        ("/v1/chat/completions", STREAMED),
        ("/v1/messages", r#"{"model":"claude-x","stream":true}"#),
    ] {
        let request = harness.request(http::Method::POST, path, call);
        let response = harness.open(request).await;
        assert_eq!(response.status(), 503);
        let row = newest(&harness).await;
        assert_eq!((row.status, row.charge), (503, NanoUsd::ZERO));
        assert_eq!(row.attempts.len(), 2);
    }
}

#[tokio::test]
async fn hidden_reasoning_is_charged_although_the_client_asks_for_no_report() {
    let (harness, openai, _) = managed().await;
    openai.script(stream(&[PART, END, USAGE, DONE]));
    let answer = harness.chat(STREAMED).await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert_eq!(text, [PART, END, DONE].concat());
    assert_eq!(
        got(&openai)["stream_options"],
        json!({"include_usage": true})
    );
    let row = newest(&harness).await;
    assert_eq!(row.charge.nanos(), 7 * 3_000 + 300 * 15_000);
    assert_eq!(row.pricing, Some(Pricing::Priced));
    assert_eq!(row.response_bytes, text.len() as i64);
    // Whoever asks for the report gets it, and no other body is touched.
    let asks = r#"{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}"#;
    let answer = harness.chat(asks).await;
    assert_eq!(answer.body, [PART, END, USAGE, DONE].concat());
    openai.says(REPORT);
    harness.chat(CALL).await;
    for (body, sent) in openai.requests()[1..].iter().zip([asks, CALL]) {
        assert_eq!(body.1, sent.as_bytes());
    }
}

#[tokio::test]
async fn a_provider_that_refuses_the_wish_is_not_asked() {
    let (harness, _, _) = managed().await;
    harness
        .settings(|settings| settings.prices.push(price("relay", "*", PRICE)))
        .await;
    let (_, relay) = harness.platform("relay").await;
    relay.script(stream(&[PART, END, USAGE, DONE]));
    let call = r#"{"model":"relay/a","stream":true}"#;
    let answer = harness.chat(call).await;
    assert_eq!(answer.body, [PART, END, USAGE, DONE].concat());
    assert_eq!(got(&relay), json!({"model": "a", "stream": true}));
}

#[tokio::test]
async fn nobody_has_the_end_of_an_answer_before_it_is_settled() {
    let (harness, openai, _) = managed().await;
    openai.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(PART)),
        Step::Send(chunk(END)),
        Step::Gate,
        Step::Send(chunk(USAGE)),
        Step::Send(chunk(DONE)),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    let mut body = harness
        .open(harness.chat_request(STREAMED))
        .await
        .into_body();
    let first = body.frame().await.expect("more").expect("whole");
    assert_eq!(first.into_data().expect("data"), PART);
    let next = tokio::time::timeout(Duration::from_millis(300), body.frame()).await;
    assert!(next.is_err(), "the end passed before the report");
    openai.open(1);
    let rest = body.collect().await.expect("whole").to_bytes();
    assert_eq!(rest, [END, DONE].concat());
    let row = newest(&harness).await;
    assert_eq!(row.charge.nanos(), 7 * 3_000 + 300 * 15_000);
}

#[tokio::test]
async fn text_that_reads_like_the_end_does_not_stop_the_stream() {
    let (harness, openai, _) = managed().await;
    let quoted = "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n";
    openai.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(quoted)),
        Step::Send(chunk(PART)),
        Step::Gate,
    ]);
    let mut body = harness
        .open(harness.chat_request(STREAMED))
        .await
        .into_body();
    let mut text = Vec::new();
    while text.len() < quoted.len() + PART.len() {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        let frame = frame.expect("in time").expect("more").expect("whole");
        text.extend_from_slice(&frame.into_data().expect("data"));
    }
    assert_eq!(text, [quoted, PART].concat().as_bytes());
}

#[tokio::test]
async fn a_report_that_cannot_be_true_takes_no_more_than_was_counted() {
    let (harness, openai, _) = managed().await;
    for (input, output) in [(1_000_000_000_000_u64, 2), (10, 501)] {
        openai.says(&format!(
            r#"{{"choices":[{{"message":{{"content":"12345678"}}}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#
        ));
        // The registry says that an answer of this model has 500 tokens at most.
        let answer = harness.chat(r#"{"model":"gpt-tiny","max_tokens":2}"#).await;
        assert_eq!(answer.status, 200);
        let row = newest(&harness).await;
        assert_eq!(row.pricing, Some(Pricing::Estimated));
        assert_eq!(row.charge.nanos(), 9 * 3_000 + 2 * 15_000);
    }
    // Of two answers, each may be so long.
    let answer = harness.chat(r#"{"model":"gpt-tiny","n":2}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(newest(&harness).await.pricing, Some(Pricing::Priced));
    // On own keys the provider's word stands: it takes no credits.
    harness.bring("openai").await;
    harness.mode(Mode::Byok).await;
    harness.provider.says(r#"{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":10,"completion_tokens":99}}"#);
    harness.chat(r#"{"model":"gpt-tiny"}"#).await;
    let usage = newest(&harness).await.usage.expect("reported");
    assert_eq!(usage.output_tokens, 99);
}

#[tokio::test]
async fn the_operators_business_with_the_provider_stays_hidden() {
    let (harness, openai, _) = managed().await;
    harness.bring("openai").await;
    let headers = [
        JSON,
        ("x-ratelimit-remaining-tokens", "7"),
        ("anthropic-ratelimit-tokens-limit", "8"),
        ("openai-organization", "acme"),
        ("openai-project", "proj_1"),
        ("retry-after", "3"),
    ];
    let refusal = br#"{"error":{"message":"organization org-4711 has no access","type":"invalid_request_error","param":null,"code":"model_not_available"}}"#;
    for (mode, status) in [
        (Mode::Managed, 404),
        (Mode::Managed, 400),
        (Mode::Managed, 422),
        (Mode::Managed, 429),
        (Mode::Byok, 404),
        (Mode::Byok, 429),
    ] {
        harness.mode(mode).await;
        for provider in [&openai, &harness.provider] {
            provider.answers(status, &headers, refusal);
        }
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
        assert_eq!(answer.header("retry-after"), "3");
        assert_eq!(answer.header("openai-organization"), "");
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        let limits = answer.header("x-ratelimit-remaining-tokens");
        match mode {
            Mode::Managed => {
                assert!(!text.contains("4711"), "{text}");
                assert_eq!(answer.code(), "upstream_rejected");
                let said = &answer.json()["error"]["upstream"];
                assert_eq!(said["code"], "model_not_available");
                assert_eq!(limits, "");
            }
            _ => {
                assert_eq!(text.as_bytes(), refusal);
                assert_eq!(limits, "7");
            }
        }
    }
    harness.mode(Mode::Managed).await;
    openai.answers(200, &headers, REPORT.as_bytes());
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.body, REPORT.as_bytes());
    for name in [
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-limit",
    ] {
        assert_eq!(answer.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn callers_of_one_platform_key_cannot_get_each_others_answers_by_a_header() {
    let (harness, openai, _) = managed().await;
    harness.bring("openai").await;
    harness.provider.says(REPORT);
    let headers = [("idempotency-key", "same"), ("openai-beta", "b=1")];
    for (mode, provider, passes) in [
        (Mode::Managed, &openai, false),
        (Mode::Byok, &harness.provider, true),
    ] {
        harness.mode(mode).await;
        with(&harness, CALL, &headers).await;
        let (head, _) = provider.requests().pop().expect("a request");
        assert_eq!(head.contains("idempotency-key: same"), passes, "{head}");
        assert!(head.contains("openai-beta: b=1"), "{head}");
    }
    assert_eq!(newest(&harness).await.status, 200);
    assert_eq!(harness.usage().await[0].charge.nanos(), CHARGE);
}
