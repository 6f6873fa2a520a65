//! Answers that are read to their end before the client gets any of them, and of which no more comes.

use std::time::{Duration, Instant};

use http::Method;

use super::client::Answer;
use super::harness::{Harness, config};
use super::provider::{Provider, Step, chunk};
use crate::config::Timeouts;
use crate::edge::EdgeConfig;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
/// Calls whose answers must be whole before they are told, and how these begin.
const READ_WHOLE: [(&str, &str, &str); 2] = [
    // Anthropic speaks no chat completions.
    (
        "/v1/chat/completions",
        r#"{"model":"claude-x","messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"id":"msg_1","type":"message","#,
    ),
    // OpenAI wrote numbers.
    (
        "/v1/embeddings",
        r#"{"model":"gpt-x","input":"hi","encoding_format":"base64"}"#,
        r#"{"data":[{"embedding":[0.5,"#,
    ),
];

async fn with(change: impl FnOnce(&mut Timeouts)) -> Harness {
    let mut config = config();
    change(&mut config.timeouts);
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("anthropic").await;
    harness.bring("openai").await;
    harness
}

async fn post(harness: &Harness, path: &str, call: &str) -> Answer {
    let request = harness.request(Method::POST, path, call);
    let answer = tokio::time::timeout(Duration::from_secs(20), harness.send(request)).await;
    answer.expect("an answer within any limit")
}

fn hung_up(provider: &Provider) -> usize {
    provider.seen.lock().expect("no panic").hung_up
}

#[tokio::test]
async fn a_provider_that_stops_in_the_middle_of_an_answer_that_is_read_whole_is_cut() {
    // T59
    let harness = with(|timeouts| timeouts.idle_ms = 200).await;
    for (place, (path, call, begins)) in READ_WHOLE.into_iter().enumerate() {
        let begun = vec![
            Step::Send(HEAD.into()),
            Step::Send(chunk(begins)),
            Step::Gate,
        ];
        harness.provider.script(begun);
        let answer = post(&harness, path, call).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (504, "upstream_timeout"),
            "{path}"
        );
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            row.error_code.as_deref(),
            Some("upstream_timeout"),
            "{path}"
        );
        let gone = async {
            while hung_up(&harness.provider) <= place {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(5), gone).await;
        assert!(gone.is_ok(), "{path}: the provider goes on");
    }
}

#[tokio::test]
async fn an_answer_that_is_read_whole_is_there_by_the_end_of_the_call() {
    // T59: the limit on the whole counts from the request, however late the answer's head came.
    let harness = with(|timeouts| timeouts.total_ms = 2_500).await;
    for (path, call, begins) in READ_WHOLE {
        let mut drips = vec![
            Step::Wait(Duration::from_millis(2_000)),
            Step::Send(HEAD.into()),
            Step::Send(chunk(begins)),
        ];
        for _ in 0..200 {
            drips.push(Step::Wait(Duration::from_millis(50)));
            drips.push(Step::Send(chunk(" ")));
        }
        harness.provider.script(drips);
        let began = Instant::now();
        let answer = post(&harness, path, call).await;
        assert_eq!(answer.code(), "upstream_timeout", "{path}");
        let took = began.elapsed();
        assert!(took < Duration::from_millis(4_200), "{path}: {took:?}");
    }
}
