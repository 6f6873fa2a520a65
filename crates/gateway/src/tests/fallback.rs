//! A request that names several models: the next one is turned to where the next key would be.

use domain::policy::{KeySource, Mode};
use domain::{KeyOwner, NanoUsd};
use http::Method;
use serde_json::json;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{PRICE, managed, paid, price, with};
use super::provider::{Provider, Step, answer};

const CALL: &str = r#"{"model":"gpt-x","models":["gemini-y","gpt-z"],"n":1}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const UNKNOWN: &[u8] = br#"{"error":{"message":"no such model","code":"model_not_found"}}"#;

/// The workspace's own key for another provider than OpenAI.
async fn other(harness: &Harness, provider: &str) -> Provider {
    let upstream = Provider::start().await;
    upstream.says("{}");
    let owner = KeyOwner::Workspace(harness.workspace);
    let record = harness.record_of(owner, provider, "other", &upstream).await;
    harness.put(&record).await;
    upstream
}

async fn two() -> (Harness, Provider, Provider) {
    let harness = Harness::start().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    let google = other(&harness, "google").await;
    (harness, openai, google)
}

fn said(provider: &Provider) -> Vec<String> {
    let bodies = provider.requests().into_iter();
    bodies
        .map(|(_, body)| String::from_utf8(body).expect("text"))
        .collect()
}

/// Who served, by the headers: model and attempts; or status and code of the refusal.
fn served(answer: &Answer) -> (String, String) {
    if answer.status == 200 {
        let header = |name| answer.header(name).to_owned();
        (header("x-keybearer-model"), header("x-keybearer-attempts"))
    } else {
        (answer.status.to_string(), answer.code())
    }
}

fn is(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[tokio::test]
async fn the_first_model_serves_and_no_provider_sees_the_list() {
    let (harness, openai, google) = two().await;
    let answer = harness.chat(CALL).await;
    assert_eq!(served(&answer), is("gpt-x", "1"));
    assert_eq!(said(&openai), [r#"{"model":"gpt-x","n":1}"#]);
    // A list alone is as good as a first name with a list.
    let answer = harness
        .chat(r#"{"models":["gemini-y","gpt-x"],"n":1}"#)
        .await;
    assert_eq!(served(&answer), is("gemini-y", "1"));
    assert_eq!(said(&google), [r#"{"model":"gemini-y","n":1}"#]);
    assert_eq!(openai.hits(), 1);
}

#[tokio::test]
async fn what_moves_a_call_to_another_key_moves_it_to_another_model() {
    let (harness, openai, google) = two().await;
    for (status, attempts) in [(429, "2"), (503, "3"), (500, "3"), (401, "2"), (402, "2")] {
        openai.fails(status);
        let answer = harness.chat(CALL).await;
        assert_eq!(served(&answer), is("gemini-y", attempts), "{status}");
        assert_eq!(answer.header("x-keybearer-provider"), "google");
    }
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model_requested, "gpt-x");
    assert_eq!(row.model.as_deref(), Some("gemini-y"));
    let tried: Vec<(&str, Option<i64>)> = row
        .attempts
        .iter()
        .map(|it| (it.model.as_str(), it.status))
        .collect();
    assert_eq!(tried, [("gpt-x", Some(402)), ("gemini-y", Some(200))]);
    assert_eq!(said(&google)[0], r#"{"model":"gemini-y","n":1}"#);
}

#[tokio::test]
async fn the_models_are_tried_in_their_order_each_with_all_its_keys() {
    let (harness, openai, google) = two().await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    openai.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
    second.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
    google.fails(429);
    // Both of OpenAI's keys sleep for the first model, not for the last.
    let answer = harness.chat(CALL).await;
    assert_eq!(served(&answer), is("gpt-z", "4"));
    // A key that sleeps is behind the other keys of its model, not behind the other models.
    let answer = harness.chat(CALL).await;
    assert_eq!(served(&answer), is("gpt-x", "1"));
}

#[tokio::test]
async fn words_about_the_request_move_nothing_but_those_of_an_unknown_model() {
    let (harness, openai, google) = two().await;
    for (status, body) in [
        (400, &b"{\"error\":{\"code\":\"bad\"}}"[..]),
        (422, b"{\"error\":{\"code\":\"bad\"}}"),
        (400, UNKNOWN),
        (404, b"{\"error\":{\"code\":\"file_not_found\"}}"),
    ] {
        openai.answers(status, &[JSON], body);
        let answer = harness.chat(CALL).await;
        assert_eq!((answer.status, &answer.body[..]), (status, body));
    }
    assert_eq!(google.hits(), 0);
    openai.answers(404, &[JSON], UNKNOWN);
    assert_eq!(served(&harness.chat(CALL).await), is("gemini-y", "2"));
    // The last model's words are the client's, as are those of the only one.
    let google_says = br#"[{"error":{"code":404,"status":"NOT_FOUND","message":"x"}}]"#;
    google.answers(404, &[JSON], google_says);
    let answer = harness.chat(CALL).await;
    assert_eq!((answer.status, &answer.body[..]), (404, UNKNOWN));
    assert_eq!(answer.header("x-keybearer-attempts"), "3");
    let answer = harness.chat(r#"{"model":"gpt-x"}"#).await;
    assert_eq!((answer.status, &answer.body[..]), (404, UNKNOWN));
}

#[tokio::test]
async fn other_keys_of_a_model_that_a_provider_does_not_know_are_not_asked() {
    let (harness, openai, _) = two().await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    openai.answers(404, &[JSON], UNKNOWN);
    assert_eq!(served(&harness.chat(CALL).await), is("gemini-y", "2"));
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn a_name_that_nobody_may_serve_is_skipped() {
    let harness = Harness::start().await;
    let google = other(&harness, "google").await;
    let answer = harness.chat(CALL).await;
    assert_eq!(served(&answer), is("gemini-y", "1"));
    assert_eq!(google.hits(), 1);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.model_requested.as_str(), row.status), ("gpt-x", 200));
}

#[tokio::test]
async fn where_none_may_serve_the_error_is_the_firsts_and_says_what_each_lacks() {
    let harness = Harness::start().await;
    let call = r#"{"model":"gpt-x","models":["sk-secret-in-a-wrong-place","level_1","gpt-z"]}"#;
    let answer = harness.chat(call).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (402, "byok_key_missing")
    );
    let json = answer.json();
    assert_eq!(json["error"]["providers"], json!(["openai"]));
    let lacks = json["error"]["models"].as_array().expect("a list");
    let codes: Vec<_> = lacks.iter().map(|it| (&it["place"], &it["code"])).collect();
    let expected = json!([0, 1, 2, 3]);
    let code = |at: usize| lacks[at]["code"].as_str();
    assert_eq!(
        json!(codes.iter().map(|(place, _)| place).collect::<Vec<_>>()),
        expected
    );
    assert_eq!(code(0), Some("byok_key_missing"));
    assert_eq!(
        (code(1), code(2)),
        (Some("model_not_found"), Some("model_not_found"))
    );
    assert!(
        lacks[3]["message"]
            .as_str()
            .expect("text")
            .contains("openai")
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("byok_key_missing"));
    // In the other formats, too.
    let request = harness.request(Method::POST, "/v1/messages", call);
    assert_eq!(harness.send(request).await.code(), "byok_key_missing");
}

#[tokio::test]
async fn a_list_that_is_none_is_refused() {
    let (harness, openai, _) = two().await;
    let answer = harness.chat(r#"{"model":"gpt-x","models":[]}"#).await;
    assert_eq!(served(&answer), is("400", "invalid_request"));
    assert_eq!(answer.json()["error"]["field"], "models");
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn every_endpoint_whose_body_names_the_model_takes_a_list() {
    let (harness, openai, _) = two().await;
    let anthropic = other(&harness, "anthropic").await;
    for path in ["responses", "embeddings"] {
        openai.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
        let body = r#"{"models":["gpt-x","gpt-z"],"input":"a"}"#;
        let request = harness.request(Method::POST, &format!("/v1/{path}"), body);
        assert_eq!(
            served(&harness.send(request).await),
            is("gpt-z", "2"),
            "{path}"
        );
        let last = said(&openai).pop().expect("a call");
        assert_eq!(last, r#"{"model":"gpt-z","input":"a"}"#);
    }
    anthropic.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
    let answer = harness.messages(r#"{"model":"claude-a","models":["claude-b"],"max_tokens":1}"#);
    assert_eq!(served(&answer.await), is("claude-b", "2"));
    let last = said(&anthropic).pop().expect("a call");
    assert_eq!(last, r#"{"model":"claude-b","max_tokens":1}"#);
}

#[tokio::test]
async fn a_list_in_content_is_turned_to_behind_the_paths_model() {
    let harness = Harness::start().await;
    let google = other(&harness, "google").await;
    let anthropic = other(&harness, "anthropic").await;
    google.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
    let path = "/v1beta/models/gemini-x:generateContent";
    let call = r#"{"contents":[{"parts":[{"text":"hi"}]}],"models":["models/gemini-y"],"cachedContent":null}"#;
    let request = harness.request(Method::POST, path, call);
    assert_eq!(served(&harness.send(request).await), is("gemini-y", "2"));
    let lines: Vec<String> = google
        .requests()
        .iter()
        .filter_map(|(head, _)| Some(head.lines().next()?.to_owned()))
        .collect();
    assert_eq!(
        lines,
        ["x", "y"].map(|it| format!("POST /base/models/gemini-{it}:generateContent HTTP/1.1"))
    );
    let passed = r#"{"contents":[{"parts":[{"text":"hi"}]}],"cachedContent":null}"#;
    assert_eq!(said(&google), [passed, passed]);
    // A model that speaks another format is as good.
    anthropic.says(r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"four"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":9}}"#);
    google.fails(503);
    let call = r#"{"models":["claude-x"],"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let request = harness.request(Method::POST, path, call);
    let answer = harness.send(request).await;
    assert_eq!(served(&answer), is("claude-x", "3"));
    assert_eq!(
        answer.json()["candidates"][0]["content"]["parts"][0]["text"],
        "four"
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model_requested, "gemini-x");
}

#[tokio::test]
async fn attempts_are_counted_over_all_models() {
    let harness = Harness::start().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    openai.fails(429);
    let names: Vec<String> = (0..8).map(|it| format!("gpt-{it}")).collect();
    let call = json!({ "model": "gpt-x", "models": names }).to_string();
    let answer = harness.chat(&call).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("x-keybearer-attempts"), "8");
    assert_eq!(openai.hits(), 8);
}

/// An own key for OpenAI, which fails, and a platform key for Google.
async fn mixed(mode: Mode) -> (Harness, Provider, Provider) {
    let harness = Harness::start().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    let (_, google) = harness.platform("google").await;
    harness
        .settings(|settings| {
            settings.prices = vec![price("openai", "*", PRICE), price("google", "*", PRICE)];
        })
        .await;
    harness.mode(mode).await;
    openai.fails(429);
    (harness, openai, google)
}

#[tokio::test]
async fn another_model_is_no_consent_to_credits_after_a_failed_own_key() {
    let call = r#"{"model":"gpt-x","models":["gemini-y"],"max_tokens":2}"#;
    let (harness, openai, google) = mixed(Mode::Auto).await;
    // Named alone it is paid by credits.
    let alone = harness.chat(r#"{"model":"gemini-y","max_tokens":2}"#).await;
    assert_eq!(paid(&alone), "managed");
    assert_eq!(harness.chat(call).await.status, 429);
    assert_eq!((openai.hits(), google.hits()), (1, 1));
    harness.consents().await;
    let answer = harness.chat(call).await;
    assert_eq!(
        (paid(&answer).as_str(), answer.header("x-keybearer-model")),
        ("managed", "gemini-y")
    );
    let row = harness.usage().await.pop().expect("a row");
    assert!(row.fallback);
    assert_eq!(row.key_source, Some(KeySource::Managed));
    // Being turned away needs more than that, and the cap holds.
    openai.fails(401);
    assert_eq!(served(&harness.chat(call).await).0, "502");
    openai.fails(429);
    harness
        .policy(|policy| policy.managed_fallback_cap_nano_usd = Some(NanoUsd::new(1)))
        .await;
    assert_eq!(
        harness.chat(call).await.code(),
        "managed_fallback_cap_reached"
    );
    harness
        .policy(|policy| policy.managed_fallback_cap_nano_usd = None)
        .await;
    let forbids = [("x-keybearer-no-managed", "true")];
    assert_eq!(with(&harness, call, &forbids).await.status, 429);
}

#[tokio::test]
async fn credits_pay_for_another_model_where_no_own_key_was_tried() {
    let (harness, openai, google) = mixed(Mode::Auto).await;
    google.fails(429);
    openai.says("{}");
    let answer = harness
        .chat(r#"{"model":"gemini-y","models":["gpt-x"],"max_tokens":2}"#)
        .await;
    assert_eq!(
        (paid(&answer).as_str(), answer.header("x-keybearer-model")),
        ("byok", "gpt-x")
    );
}

#[tokio::test]
async fn what_is_held_is_enough_for_the_dearest_model() {
    let (harness, openai, _) = managed().await;
    let dear = r#"{"input":"30","output":"150"}"#;
    harness
        .settings(|settings| settings.prices.insert(0, price("openai", "gpt-dear", dear)))
        .await;
    let call = r#"{"model":"gpt-x","models":["gpt-dear"],"max_tokens":2}"#;
    // The body that goes out has 32 bytes, 8 tokens: ten times as much is held as for the first alone.
    let needed = 10 * super::payer::HOLD;
    harness.has_credits(needed - 1).await;
    let refused = harness.chat(call).await;
    assert_eq!(refused.code(), "credits_exhausted");
    assert_eq!(refused.json()["error"]["needed"]["nano_usd"], needed);
    assert_eq!(openai.hits(), 0);
    let alone = harness.chat(super::payer::CALL).await;
    assert_eq!(alone.status, 200);
}

#[tokio::test]
async fn nothing_is_held_for_a_model_that_cannot_be_sent_the_call() {
    let (harness, openai, anthropic) = managed().await;
    let dear = r#"{"input":"30","output":"150"}"#;
    harness
        .settings(|settings| {
            settings
                .prices
                .insert(0, price("anthropic", "claude-x", dear));
        })
        .await;
    // Between what the first is expected to cost and what the second would.
    harness.has_credits(3 * super::payer::HOLD).await;
    let only_chat = r#""messages":[{"role":"user","content":"hi"}],"max_tokens":2,"n":2"#;
    let alone = harness
        .chat(&format!(r#"{{"model":"claude-x",{only_chat}}}"#))
        .await;
    assert_eq!(alone.code(), "not_translatable");
    let call = format!(r#"{{"model":"gpt-x","models":["claude-x"],{only_chat}}}"#);
    let answer = harness.chat(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.code());
    assert_eq!((openai.hits(), anthropic.hits()), (1, 0));
}

#[tokio::test]
async fn credits_pay_for_the_model_that_served() {
    let (harness, openai, _) = managed().await;
    let dear = r#"{"input":"30","output":"150"}"#;
    harness
        .settings(|settings| settings.prices.insert(0, price("openai", "gpt-dear", dear)))
        .await;
    openai.once(vec![Step::Send(answer(429, &[JSON], b"{}"))]);
    let call = r#"{"model":"gpt-x","models":["gpt-dear"],"max_tokens":2}"#;
    let answer = harness.chat(call).await;
    assert_eq!(served(&answer), is("gpt-dear", "2"));
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.charge, NanoUsd::new(10 * super::payer::CHARGE));
    assert!(!row.fallback);
}
