//! Realtime sessions: raw frames both ways, and what they leave behind.

use std::time::Duration;

use store::UsageRow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Harness, KEY};
use super::provider::{Provider, Step};

mod ends;
mod refusals;
mod usage;

pub(super) const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
/// The proof for the key above (RFC 6455, section 1.3).
const PROOF: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const PATH: &str = "/v1/realtime?model=gpt-x";
const DONE: &str = r#"{"type":"response.done","response":{"output":[],"usage":{"input_tokens":30,"output_tokens":12,"input_token_details":{"cached_tokens":10}}}}"#;

/// An answer that switches protocols, with more lines in its head.
pub(super) fn switching(lines: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {PROOF}\r\n{lines}\r\n"
    )
    .into_bytes()
}

/// The usage rows, as soon as there are so many: a session leaves its own when it ends.
pub(super) async fn rows(harness: &Harness, count: usize) -> Vec<UsageRow> {
    for _ in 0..400 {
        let rows = harness.usage().await;
        if rows.len() >= count {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no row");
}

async fn row(harness: &Harness) -> UsageRow {
    rows(harness, 1).await.pop().expect("a row")
}

/// A frame of the server's.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short one");
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..=125 => vec![first, low],
        _ => vec![first, 126, high, low],
    };
    [head.as_slice(), payload].concat()
}

/// A request for a session as it goes over the wire. `credential`: header lines.
fn opening(path: &str, credential: &str, lines: &str) -> String {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{credential}{lines}");
    for (name, value) in HANDSHAKE {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

fn bearer(harness: &Harness) -> String {
    format!("authorization: Bearer {}\r\n", harness.api_key)
}

/// Opens a session and returns the head of the answer and the connection behind it.
async fn open(harness: &Harness, head: &str) -> (String, TcpStream) {
    harness.advance(1);
    let mut stream = TcpStream::connect(harness.address)
        .await
        .expect("connected");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("a head"));
    }
    (String::from_utf8(answer).expect("text"), stream)
}

/// A session that both sides have begun.
async fn begun(harness: &Harness, provider: &Provider) -> (TcpStream, TcpStream) {
    provider.script(vec![Step::Send(switching("")), Step::HandOver]);
    let (head, client) = open(harness, &opening(PATH, &bearer(harness), "")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (client, provider.handed().await)
}

async fn speaker() -> (Harness, Provider) {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    (harness, provider)
}

async fn exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    let reading = stream.read_exact(&mut read);
    let reading = tokio::time::timeout(Duration::from_secs(5), reading).await;
    reading.expect("in time").expect("all");
    assert!(read == expected, "the bytes were changed");
}

/// Reads to the end.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    let reading = tokio::time::timeout(Duration::from_secs(5), reading).await;
    // A reset is an end, too.
    let _ = reading.expect("an end");
    read
}

#[tokio::test]
async fn the_provider_gets_its_key_and_nothing_of_the_clients() {
    // T126
    let (harness, provider) = speaker().await;
    let secret = harness.api_key.clone();
    let protocols = format!(
        "sec-websocket-protocol: realtime, openai-insecure-api-key.{secret}\r\n\
         sec-websocket-protocol: openai-organization.org-1, openai-beta.realtime-v1\r\n"
    );
    for credential in [
        protocols.clone(),
        bearer(&harness),
        protocols + &bearer(&harness),
    ] {
        provider.script(vec![
            Step::Send(switching("x-request-id: req_7\r\nset-cookie: a=b\r\n")),
            Step::HandOver,
        ]);
        let lines = "openai-beta: realtime=v1\r\norigin: https://app.example\r\ncookie: a=b\r\n\
             openai-organization: org-1\r\nsec-websocket-extensions: permessage-deflate\r\n";
        let path = "/v1/realtime?model=gpt%2Dx%20%261&api_key=x";
        let (head, _client) = open(&harness, &opening(path, &credential, lines)).await;
        let _upstream = provider.handed().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        for line in [
            &format!("sec-websocket-accept: {PROOF}"),
            "connection: Upgrade",
            "upgrade: websocket",
            "x-request-id: req_7",
            "x-keybearer-provider: openai",
            "x-keybearer-key-label: one",
        ] {
            assert!(
                head.contains(&format!("{line}\r\n")),
                "{line} is not in {head}"
            );
        }
        let offered = credential.contains("protocol");
        assert_eq!(
            head.contains("sec-websocket-protocol: realtime\r\n"),
            offered
        );
        for other in [
            "kb_",
            "insecure",
            "extensions",
            "cookie",
            "content-length",
            "chunked",
        ] {
            assert!(!head.contains(other), "{other} is in {head}");
        }
        let (asked, body) = provider.requests().pop().expect("a request");
        assert!(body.is_empty());
        let target = "GET /base/realtime?model=gpt-x%20%261 HTTP/1.1\r\n";
        assert!(asked.starts_with(target), "{asked}");
        for line in [
            &format!("authorization: Bearer {KEY}"),
            "connection: Upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "openai-beta: realtime=v1",
        ] {
            assert!(
                asked.contains(&format!("{line}\r\n")),
                "{line} is not in {asked}"
            );
        }
        let passed = asked.matches("sec-websocket-protocol: ").count();
        assert_eq!(passed, if offered { 2 } else { 0 });
        for other in [
            "kb_",
            "insecure",
            "extensions",
            "cookie",
            "origin",
            "org-1",
            "api_key",
        ] {
            assert!(!asked.contains(other), "{other} is in {asked}");
        }
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_as_they_are_and_leave_one_row() {
    let (harness, provider) = speaker().await;
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    assert!(harness.usage().await.is_empty(), "it has not ended");
    // Nobody looks at what the client says.
    let said: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let (mut reads, mut writes) = client.split();
    let saying = async {
        for piece in said.chunks(7_777) {
            writes.write_all(piece).await.expect("sent");
        }
    };
    let hearing = exactly(&mut upstream, &said);
    tokio::join!(saying, hearing);
    let answered = [
        frame(0x81, br#"{"type":"session.created"}"#),
        frame(0x82, &[0xff; 60_000]),
        frame(0x01, &DONE.as_bytes()[..40]),
        frame(0x89, b"are you there"),
        frame(0x80, &DONE.as_bytes()[40..]),
        frame(0x81, DONE.as_bytes()),
    ]
    .concat();
    let answering = async {
        for piece in answered.chunks(1_001) {
            upstream.write_all(piece).await.expect("sent");
        }
    };
    let hearing = async {
        let mut heard = vec![0; answered.len()];
        reads.read_exact(&mut heard).await.expect("all");
        assert!(heard == answered, "the bytes were changed");
    };
    tokio::join!(answering, hearing);
    drop(client);
    let row = row(&harness).await;
    assert_eq!((row.operation.as_str(), row.status), ("realtime", 101));
    assert_eq!((row.error_code.as_deref(), row.streamed), (None, true));
    assert_eq!(row.request_bytes, 100_000);
    assert_eq!(row.response_bytes, answered.len() as i64);
    assert_eq!(row.model_requested, "gpt-x");
    let usage = row.usage.expect("metered");
    let tokens = (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
    );
    assert_eq!(tokens, (40, 20, 24));
    let [attempt] = row.attempts.as_slice() else {
        panic!("one attempt");
    };
    assert_eq!(
        (attempt.outcome.as_str(), attempt.status),
        ("ok", Some(101))
    );
}

#[tokio::test]
async fn a_session_without_a_report_has_no_usage() {
    let (harness, provider) = speaker().await;
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    let hello = frame(0x81, br#"{"type":"session.created"}"#);
    upstream.write_all(&hello).await.expect("sent");
    exactly(&mut client, &hello).await;
    drop(upstream);
    assert!(rest(&mut client).await.is_empty());
    let row = row(&harness).await;
    assert_eq!((row.status, row.usage), (101, None));
}

#[tokio::test]
async fn a_slow_client_slows_the_provider_down() {
    // T126
    let (harness, provider) = speaker().await;
    let (_client, mut upstream) = begun(&harness, &provider).await;
    let piece = frame(0x82, &[0; 60_000]);
    let mut sent = 0;
    let sending = async {
        loop {
            upstream.write_all(&piece).await.expect("sent");
            sent += piece.len();
        }
    };
    let sending = tokio::time::timeout(Duration::from_secs(1), sending).await;
    assert!(sending.is_err());
    // What fits into the buffers of two sockets, by far not what a second can bring.
    assert!(sent < 32 << 20, "{sent}");
}
