//! What a call cost, told in the head of its answer where that is known by then.

use http::Method;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{PRICE, REPORT, managed, price, priced};

const COST: &str = "x-keybearer-cost";
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":12,"cache_read_input_tokens":20,"output_tokens":9}}"#;
const CHAT: &str = r#"{"model":"claude-x","messages":[{"role":"user","content":"hi"}]}"#;

async fn post(harness: &Harness, path: &str, call: &str) -> Answer {
    let answer = harness
        .send(harness.request(Method::POST, path, call))
        .await;
    assert_eq!(answer.status, 200, "{path} {call}");
    answer
}

#[tokio::test]
async fn a_translated_answer_says_what_its_row_says() {
    let (harness, _, anthropic) = managed().await;
    anthropic.says(MESSAGE);
    let answer = post(&harness, "/v1/chat/completions", CHAT).await;
    assert_eq!(answer.header(COST), "0.000177");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        row.cost.map(|it| it.nanos()),
        Some(12 * 3_000 + 20 * 300 + 9 * 15_000)
    );
    assert_eq!(
        row.cost.map(|it| it.to_string()).as_deref(),
        Some("0.000177")
    );
    assert_eq!(row.usage.map(|it| it.output_tokens), Some(9));
    // On own keys as well.
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    harness
        .settings(|settings| settings.prices = vec![price("anthropic", "*", PRICE)])
        .await;
    harness.provider.says(MESSAGE);
    let answer = post(&harness, "/v1/chat/completions", CHAT).await;
    assert_eq!(answer.header(COST), "0.000177");
}

#[tokio::test]
async fn vectors_that_were_encoded_and_what_is_free_say_it_too() {
    let harness = priced().await;
    let (_, openai) = harness.own("one", |_| {}).await;
    openai.says(r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#);
    let call = r#"{"model":"gpt-x","input":"a","encoding_format":"base64"}"#;
    let answer = post(&harness, "/v1/embeddings", call).await;
    assert_eq!(answer.header(COST), "0.000024");
    harness.bring("anthropic").await;
    harness.provider.says(r#"{"input_tokens":14}"#);
    let answer = post(&harness, "/v1/messages/count_tokens", CHAT).await;
    assert_eq!(answer.header(COST), "0");
}

#[tokio::test]
async fn what_is_not_known_in_time_or_not_for_sure_is_not_said() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let (_, openai) = harness.own("one", |_| {}).await;
    // Nobody knows the price.
    harness.provider.says(MESSAGE);
    let answer = post(&harness, "/v1/chat/completions", CHAT).await;
    assert_eq!(answer.header(COST), "");
    harness
        .settings(|settings| {
            settings.prices = vec![price("anthropic", "*", PRICE), price("openai", "*", PRICE)];
        })
        .await;
    // It is an estimate.
    let without_report = MESSAGE.split(",\"usage\"").next().expect("a beginning");
    harness.provider.says(&format!("{without_report}}}"));
    let answer = post(&harness, "/v1/chat/completions", CHAT).await;
    assert_eq!(answer.header(COST), "");
    // The body passes as it comes.
    openai.says(REPORT);
    let answer = post(&harness, "/v1/chat/completions", r#"{"model":"gpt-x"}"#).await;
    assert_eq!(answer.header(COST), "");
    // It is a refusal.
    harness.provider.fails(400);
    let answer = harness
        .send(harness.request(Method::POST, "/v1/messages/count_tokens", CHAT))
        .await;
    assert_eq!((answer.status, answer.header(COST)), (400, ""));
}
