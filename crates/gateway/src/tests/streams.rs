//! Answers that come in pieces.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;

use super::harness::{Harness, KEY, config};
use super::provider::{Step, chunk};
use crate::edge::EdgeConfig;

const CALL: &str = r#"{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}"#;
const FIRST: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const LAST: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// Opens a stream and returns its body.
async fn open(harness: &Harness, path: &str, body: &str) -> hyper::body::Incoming {
    let response = harness
        .open(harness.request(Method::POST, path, body))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

async fn next(body: &mut hyper::body::Incoming) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    let frame = frame
        .expect("in time")
        .expect("not the end")
        .expect("not broken");
    String::from_utf8_lossy(&frame.into_data().expect("data")).into_owned()
}

async fn rest(body: hyper::body::Incoming) -> String {
    let all = body.collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn events_arrive_before_the_next_one_is_made() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.streams(&[FIRST, LAST]);
    let mut body = open(&harness, "/v1/chat/completions", CALL).await;
    assert_eq!(next(&mut body).await, FIRST);
    harness.provider.open(1);
    assert_eq!(next(&mut body).await, LAST);
    harness.provider.open(1);
    assert_eq!(rest(body).await, "");
    let rows = harness.usage().await;
    assert_eq!(
        (rows.len(), rows[0].status, rows[0].streamed),
        (1, 200, true)
    );
    let usage = rows[0].usage.expect("reported");
    assert_eq!((usage.input_tokens, usage.output_tokens), (7, 2));
}

#[tokio::test]
async fn a_stream_is_metered_by_its_report_although_the_client_asks_for_none() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let asks_nothing = r#"{"model":"gpt-x","stream":true}"#;
    harness.provider.streams(&[FIRST, LAST]);
    let mut body = open(&harness, "/v1/chat/completions", asks_nothing).await;
    assert_eq!(next(&mut body).await, FIRST);
    harness.provider.open(2);
    assert_eq!(rest(body).await, "data: [DONE]\n\n");
    let (_, sent) = harness.provider.requests().pop().expect("a request");
    let sent: serde_json::Value = serde_json::from_slice(&sent).expect("JSON");
    assert_eq!(
        sent["stream_options"],
        serde_json::json!({"include_usage": true})
    );
    let row = harness.usage().await.pop().expect("a row");
    let usage = row.usage.expect("reported");
    assert_eq!((usage.input_tokens, usage.output_tokens), (7, 2));
    // Who listens at another base URL may not know the field: it gets what the client sent.
    let elsewhere = super::provider::Provider::start().await;
    let owner = domain::KeyOwner::Workspace(harness.workspace);
    let record = harness
        .record_of(owner, "openai", "elsewhere", &elsewhere)
        .await;
    harness.put(&record).await;
    harness.provider.answers(429, &[], b"{}");
    elsewhere.streams(&[FIRST, LAST]);
    elsewhere.open(2);
    let body = open(&harness, "/v1/chat/completions", asks_nothing).await;
    assert_eq!(rest(body).await, [FIRST, LAST].concat());
    let (_, sent) = elsewhere.requests().pop().expect("a request");
    assert_eq!(sent, asks_nothing.as_bytes());
}

#[tokio::test]
async fn an_echo_that_is_split_over_chunks_is_removed() {
    // T55
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let (one, two) = KEY.split_at(11);
    let pieces = [
        format!("data: {{\"a\":\"{one}"),
        format!("{two}\"}}\n\n"),
        LAST.to_owned(),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    harness.provider.streams(&pieces);
    harness.provider.open(3);
    let body = open(&harness, "/v1/chat/completions", CALL).await;
    assert_eq!(
        rest(body).await,
        format!("data: {{\"a\":\"[redacted]\"}}\n\n{LAST}")
    );
}

/// How often it is measured how soon a provider's work ends. A machine under load may stall for longer at any one time, but
/// not at half of them.
const TRIES: usize = 9;

fn are_prompt(mut times: Vec<Duration>) {
    assert_eq!(times.len(), TRIES);
    times.sort();
    assert!(times[TRIES / 2] <= Duration::from_millis(100), "{times:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_providers_work_and_is_settled_once() {
    // T127
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.streams(&[FIRST, LAST]);
    // Stop sequences have no words in OpenAI's responses, so this is a chat completion there.
    let translated = r#"{"model":"gpt-x","stream":true,"max_tokens":9,"stop_sequences":["END"],"messages":[{"role":"user","content":"a"}]}"#;
    let mut left = 0;
    for (path, call) in [("/v1/chat/completions", CALL), ("/v1/messages", translated)] {
        let mut times = Vec::new();
        for _ in 0..TRIES {
            let mut body = open(&harness, path, call).await;
            next(&mut body).await;
            left += 1;
            drop(body);
            times.push(harness.provider.hung_up_after(left).await);
        }
        are_prompt(times);
    }
    let rows = harness.usage().await;
    assert_eq!(rows.len(), left);
    for row in &rows {
        assert_eq!(row.status, 499);
        assert_eq!(row.error_code.as_deref(), Some("client_closed"));
    }
    let passed = rows
        .iter()
        .filter(|row| row.operation == "chat_completions");
    let lengths: Vec<i64> = passed.map(|row| row.response_bytes).collect();
    assert_eq!(lengths, [FIRST.len() as i64; TRIES]);
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_is_settled_too() {
    // T127
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.script(vec![Step::Gate]);
    let mut times = Vec::new();
    for left in 1..=TRIES {
        let (mut sender, connection) = harness.connect().await;
        let connection = tokio::spawn(connection);
        let request = harness.chat_request(CALL);
        let waiting = tokio::spawn(async move { sender.send_request(request).await });
        while harness.provider.hits() < left {
            assert!(!waiting.is_finished());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!waiting.is_finished());
        connection.abort();
        times.push(harness.provider.hung_up_after(left).await);
    }
    are_prompt(times);
    let rows = harness.usage().await;
    assert_eq!(rows.len(), TRIES);
    for row in rows {
        assert_eq!(row.status, 499);
        let provider = row.provider.as_ref().map(|it| it.as_str());
        assert_eq!(provider, Some("openai"));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_of_the_clients_format() {
    // T65
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.bring("anthropic").await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let began = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\ndata: {\"ha";
    let start = &format!("{FIRST}{began}");
    harness.provider.script(vec![
        Step::Send(head.into()),
        Step::Send(chunk(start)),
        Step::Wait(Duration::from_millis(20)),
        Step::Close,
    ]);
    let body = rest(open(&harness, "/v1/chat/completions", CALL).await).await;
    let event = body.strip_prefix(start).expect("what came");
    assert!(
        event.starts_with("\n\ndata: {\"error\":") && event.contains("upstream_broken"),
        "{event}"
    );
    let call = r#"{"model":"claude-x","stream":true}"#;
    let body = rest(open(&harness, "/v1/messages", call).await).await;
    let event = body.strip_prefix(start).expect("what came");
    assert!(
        event.contains("event: error\n") && event.contains("upstream_broken"),
        "{event}"
    );
    let rows = harness.usage().await;
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(
            (row.status, row.error_code.as_deref()),
            (200, Some("upstream_broken"))
        );
    }
    assert_eq!(rows[1].usage.expect("what was reported").input_tokens, 9);
}

#[tokio::test]
async fn a_body_that_breaks_is_cut_so_that_nobody_takes_it_for_whole() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":";
    harness.provider.script(vec![
        Step::Send(head.into()),
        Step::Wait(Duration::from_millis(20)),
        Step::Close,
    ]);
    let response = harness.open(harness.chat_request(CALL)).await;
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("upstream_broken"));
}

#[tokio::test]
async fn an_answer_that_drips_ends_with_the_time_of_its_call() {
    // T60
    let mut config = config();
    config.timeouts.total_ms = 600;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut drips = vec![Step::Send(head.into())];
    for _ in 0..400 {
        drips.push(Step::Send(chunk(FIRST)));
        drips.push(Step::Wait(Duration::from_millis(50)));
    }
    harness.provider.script(drips);
    let begun = std::time::Instant::now();
    let body = rest(open(&harness, "/v1/chat/completions", CALL).await).await;
    // Twenty seconds, if nobody ended it.
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(body.starts_with(FIRST), "{body}");
    assert!(body.contains("upstream_timeout"), "{body}");
    let [row] = &harness.usage().await[..] else {
        panic!("one row");
    };
    assert_eq!(row.error_code.as_deref(), Some("upstream_timeout"));
}

#[tokio::test]
async fn silence_and_endless_answers_are_cut() {
    // T59, T60
    let mut config = config();
    config.timeouts.idle_ms = 100;
    config.timeouts.first_byte_ms = 300;
    config.limits.answer_bytes = 5000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    harness.provider.script(vec![Step::Gate]);
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
    harness.provider.streams(&[FIRST, LAST]);
    let body = rest(open(&harness, "/v1/chat/completions", CALL).await).await;
    assert!(
        body.starts_with(FIRST) && body.contains("upstream_timeout"),
        "{body}"
    );
    let comments = format!("{FIRST}{}", ": x\n".repeat(2000));
    harness.provider.streams(&[&comments]);
    let body = rest(open(&harness, "/v1/chat/completions", CALL).await).await;
    assert!(
        body.len() < 9000 && body.contains("upstream_broken"),
        "{}",
        body.len()
    );
    let endless: Vec<Step> = (0..100)
        .flat_map(|_| {
            [
                Step::Send(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec()),
                Step::Wait(Duration::from_millis(10)),
            ]
        })
        .collect();
    harness.provider.script(endless);
    assert_eq!(harness.chat(CALL).await.status, 504);
    let codes: Vec<_> = harness
        .usage()
        .await
        .into_iter()
        .map(|row| row.error_code)
        .collect();
    let expected = [
        "upstream_timeout",
        "upstream_timeout",
        "upstream_broken",
        "upstream_timeout",
    ];
    assert_eq!(codes, expected.map(|code| Some(code.to_owned())));
}

#[tokio::test]
async fn a_slow_client_slows_the_provider_down() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let piece = format!("data: {}\n\n", "x".repeat(1 << 20));
    let mut steps = vec![Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )];
    steps.extend((0..64).map(|_| Step::Send(chunk(&piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps.push(Step::Close);
    harness.provider.script(steps);
    let mut body = open(&harness, "/v1/chat/completions", CALL).await;
    next(&mut body).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // 64 MiB do not fit into the sockets' buffers: the provider is still at it.
    assert!(
        harness.gateway.0.books.waiting() > 0,
        "the call was settled without being read"
    );
    let length: usize = body.collect().await.expect("whole").to_bytes().len();
    assert!(length > 60 << 20);
}

#[tokio::test]
async fn many_clients_that_vanish_leave_nothing_running() {
    // T127
    const CLIENTS: usize = 100;
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness.provider.streams(&[FIRST, LAST]);
    let mut bodies = Vec::new();
    for _ in 0..CLIENTS {
        let mut body = open(&harness, "/v1/chat/completions", CALL).await;
        assert_eq!(next(&mut body).await, FIRST);
        bodies.push(body);
    }
    assert!(harness.gateway.0.books.waiting() >= CLIENTS);
    drop(bodies);
    let ended = async {
        while harness.provider.seen.lock().expect("no panic").hung_up < CLIENTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(10);
    assert!(
        tokio::time::timeout(limit, ended).await.is_ok(),
        "not all calls ended"
    );
    let rows = harness.usage().await;
    assert_eq!(rows.len(), CLIENTS);
    assert!(rows.iter().all(|row| row.status == 499));
    assert_eq!(harness.gateway.0.books.waiting(), 0);
}
