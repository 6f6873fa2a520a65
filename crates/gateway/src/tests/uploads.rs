//! Bodies that go to the provider while they come from the client.

use std::time::Duration;

use domain::key::FailureKind;
use domain::record::ProviderKeyRecord;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Harness, config};
use super::payer::priced;
use super::provider::{Provider, answer, chunk};
use crate::GatewayConfig;
use crate::edge::EdgeConfig;
use crate::upload::{HELD_BYTES, WINDOW_BYTES};

mod breaking;
mod early;
mod pace;

const PATH: &str = "/v1/audio/transcriptions";
const FORM: &str = "multipart/form-data; boundary=b0";
const SOON: Duration = Duration::from_secs(10);
/// A path of a provider that nothing is known of.
const RAW: &str = "/providers/openai/files/raw";
const BYTES: &str = "application/octet-stream";
const JSON: (&str, &str) = ("content-type", "application/json");

fn field(name: &str, value: &str) -> String {
    format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// The beginning of a form whose file follows.
fn beginning(model: &str) -> String {
    field("model", model)
        + &field("file\"; filename=\"a.mp3", "").replace("\r\n\r\n\r\n", "\r\n\r\n")
}

/// A form with a file of this length.
fn form(model: &str, file_bytes: usize) -> Vec<u8> {
    [
        beginning(model).into_bytes(),
        sound(file_bytes),
        b"\r\n--b0--\r\n".to_vec(),
    ]
    .concat()
}

fn sound(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

/// A client that sends its request by hand.
struct Client(TcpStream);

impl Client {
    /// Sends the head. `length`: of the body; `None`: it is sent in chunks.
    async fn begin(harness: &Harness, path: &str, media_type: &str, length: Option<usize>) -> Self {
        Self::begin_with(harness, "POST", path, media_type, length).await
    }

    /// As [`begin`](Self::begin), with any method.
    async fn begin_with(
        harness: &Harness,
        method: &str,
        path: &str,
        media_type: &str,
        length: Option<usize>,
    ) -> Self {
        harness.advance(1);
        let stream = TcpStream::connect(harness.address).await;
        let mut client = Self(stream.expect("a connection"));
        let framing = match length {
            Some(length) => format!("Content-Length: {length}"),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: {media_type}\r\n{framing}\r\n\r\n",
            harness.api_key
        );
        client.send(head.as_bytes()).await;
        client
    }

    async fn form(harness: &Harness, length: usize) -> Self {
        Self::begin(harness, PATH, FORM, Some(length)).await
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    async fn send_chunk(&mut self, bytes: &[u8]) {
        self.send(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
        self.send(bytes).await;
        self.send(b"\r\n").await;
    }

    /// Status and body of the answer.
    async fn answer(mut self) -> (u16, Vec<u8>) {
        let mut bytes = Vec::new();
        let reading = self.0.read_to_end(&mut bytes);
        let read = tokio::time::timeout(SOON, reading).await;
        read.expect("an answer in time").expect("read");
        let text = String::from_utf8_lossy(&bytes);
        let end = text.find("\r\n\r\n").expect("a head") + 4;
        let status = text[9..12].parse().expect("a status");
        (status, bytes[end..].to_vec())
    }

    /// Status and code of an error.
    async fn error(self) -> (u16, String) {
        let (status, body) = self.answer().await;
        let json: Value = serde_json::from_slice(&body).expect("JSON");
        let code = json["error"]["code"].as_str().expect("a code");
        (status, code.to_owned())
    }
}

/// A provider's end of a connection.
struct Upstream {
    stream: TcpStream,
    head: String,
    /// What came of the body.
    body: Vec<u8>,
}

impl Upstream {
    async fn of(provider: &Provider) -> Self {
        let handed = tokio::time::timeout(SOON, provider.handed()).await;
        let stream = handed.expect("a request in time");
        let (head, body) = provider.requests().pop().expect("a request");
        Self { stream, head, body }
    }

    /// Reads so much of the body.
    async fn reads(&mut self, bytes: usize) {
        let reading = async {
            while self.body.len() < bytes {
                let read = self.stream.read_buf(&mut self.body).await;
                assert!(
                    read.expect("open") > 0,
                    "it ended after {}",
                    self.body.len()
                );
            }
        };
        let read = tokio::time::timeout(SOON, reading).await;
        assert!(read.is_ok(), "no more than {} bytes came", self.body.len());
    }

    /// Reads a body in chunks, of so many bytes at least, to its end.
    async fn reads_chunks(&mut self, bytes: usize) {
        self.reads(bytes).await;
        while !self.body.ends_with(b"\r\n0\r\n\r\n") {
            self.reads(self.body.len() + 1).await;
        }
    }

    /// Reads to the end of the connection.
    async fn reads_all(&mut self) {
        let reading =
            async { while matches!(self.stream.read_buf(&mut self.body).await, Ok(1..)) {} };
        let read = tokio::time::timeout(SOON, reading).await;
        read.expect("an end in time");
    }

    async fn says(&mut self, status: u16, body: &[u8]) {
        let bytes = answer(status, &[JSON], body);
        self.stream.write_all(&bytes).await.expect("sent");
    }

    /// The length that its head announces.
    fn length(&self) -> usize {
        let mut lines = self.head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        length.expect("a length").parse().expect("a number")
    }
}

async fn uploader(
    config: GatewayConfig,
    edge: EdgeConfig,
) -> (Harness, ProviderKeyRecord, Provider) {
    let harness = Harness::with(config, edge).await;
    let (record, provider) = harness.own("one", |_| {}).await;
    provider.hands_over_heads();
    (harness, record, provider)
}

async fn started() -> (Harness, ProviderKeyRecord, Provider) {
    let harness = priced().await;
    let (record, provider) = harness.own("one", |_| {}).await;
    provider.hands_over_heads();
    (harness, record, provider)
}

#[tokio::test]
async fn a_long_form_is_with_the_provider_before_it_ends_and_only_its_models_name_changes() {
    let (harness, _, provider) = started().await;
    let given = form("openai/gpt-x", 400_000);
    let expected = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    upstream.reads(HELD_BYTES).await;
    client.send(&given[200_000..]).await;
    upstream.reads(expected.len()).await;
    assert_eq!(upstream.length(), expected.len());
    assert!(upstream.body == expected, "the form was changed");
    upstream.says(200, br#"{"text":"hi"}"#).await;
    assert_eq!(client.answer().await.0, 200);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.request_bytes), (200, given.len() as i64));
    assert_eq!(row.attempts.len(), 1);
}

#[tokio::test]
async fn what_comes_in_chunks_goes_in_chunks() {
    let (harness, _, provider) = started().await;
    let given = form("gpt-x", 300_000);
    let mut client = Client::begin(&harness, PATH, FORM, None).await;
    for piece in given.chunks(50_000) {
        client.send_chunk(piece).await;
    }
    client.send(b"0\r\n\r\n").await;
    let mut upstream = Upstream::of(&provider).await;
    assert!(
        upstream.head.contains("transfer-encoding: chunked"),
        "{}",
        upstream.head
    );
    upstream.reads_chunks(given.len()).await;
    upstream.says(200, b"{}").await;
    assert_eq!(client.answer().await.0, 200);
}

#[tokio::test]
async fn what_comes_in_chunks_goes_on_whatever_the_method() {
    let (harness, _, provider) = started().await;
    let given = sound(300_000);
    for method in ["GET", "DELETE", "PUT"] {
        let mut client = Client::begin_with(&harness, method, RAW, BYTES, None).await;
        for piece in given.chunks(50_000) {
            client.send_chunk(piece).await;
        }
        client.send(b"0\r\n\r\n").await;
        let mut upstream = Upstream::of(&provider).await;
        let head = &upstream.head;
        assert!(head.starts_with(method), "{head}");
        let framing = head.matches("transfer-encoding: chunked").count();
        assert_eq!(
            (framing, head.contains("content-length")),
            (1, false),
            "{head}"
        );
        upstream.reads_chunks(given.len()).await;
        upstream.says(200, b"{}").await;
        assert_eq!(client.answer().await.0, 200, "{method}");
    }
}

#[tokio::test]
async fn any_body_of_a_providers_path_flows_and_its_answer_may_begin_before_it_ends() {
    let (harness, _, provider) = started().await;
    let body = sound(500_000);
    let mut client = Client::begin(&harness, RAW, BYTES, Some(body.len())).await;
    client.send(&body[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    upstream.reads(100_000).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let begun = [head.as_bytes(), &chunk("begun")].concat();
    upstream.stream.write_all(&begun).await.expect("sent");
    let mut came = Vec::new();
    while !came.ends_with(b"begun\r\n") {
        let read = tokio::time::timeout(SOON, client.0.read_buf(&mut came)).await;
        assert!(read.expect("in time").expect("open") > 0);
    }
    client.send(&body[200_000..]).await;
    upstream.reads(body.len()).await;
    assert!(upstream.body == body && upstream.length() == body.len());
    let end = [&chunk("done")[..], b"0\r\n\r\n"].concat();
    upstream.stream.write_all(&end).await.expect("sent");
    let reading = client.0.read_to_end(&mut came);
    tokio::time::timeout(SOON, reading)
        .await
        .expect("in time")
        .expect("read");
    assert!(String::from_utf8_lossy(&came).contains("done"));
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.error_code), (200, None));
    assert_eq!(row.request_bytes, body.len() as i64);
}

#[tokio::test]
async fn a_long_body_takes_its_window_of_the_memory_and_no_more() {
    let mut config = config();
    config.limits.all_bodies_bytes = 2 * HELD_BYTES + WINDOW_BYTES;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 5_000_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    // There is no room for another one.
    let mut other = Client::form(&harness, given.len()).await;
    other.send(&given[..200_000]).await;
    assert_eq!(other.error().await, (503, "overloaded".to_owned()));
    let rest = given[200_000..].to_vec();
    let sending = tokio::spawn(async move {
        client.send(&rest).await;
        client
    });
    upstream.reads(given.len()).await;
    upstream.says(200, b"{}").await;
    assert_eq!(sending.await.expect("no panic").answer().await.0, 200);
    // And then there is, and the connection serves again.
    let mut next = Client::form(&harness, given.len()).await;
    next.send(&given[..200_000]).await;
    upstream.body.clear();
    upstream.reads(HELD_BYTES).await;
}

#[tokio::test]
async fn a_call_whose_body_flows_counts_among_those_of_its_key() {
    let mut config = config();
    config.limits.calls_per_key = 1;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    let other = Client::form(&harness, given.len()).await;
    assert_eq!(other.error().await, (429, "too_many_calls".to_owned()));
    client.send(&given[200_000..]).await;
    upstream.reads(given.len()).await;
    upstream.says(200, b"{}").await;
    assert_eq!(client.answer().await.0, 200);
}

#[tokio::test]
async fn a_form_whose_model_follows_its_file_is_held_up_to_it() {
    let (harness, _, provider) = started().await;
    let file = field("file\"; filename=\"a", &"x".repeat(300_000));
    let more = field("prompt", &"y".repeat(300_000));
    let given =
        [file.clone(), field("model", "openai/gpt-x"), more.clone()].concat() + "--b0--\r\n";
    let expected = given.replace("openai/gpt-x", "gpt-x");
    let mut client = Client::form(&harness, given.len()).await;
    let known = file.len() + 100;
    client.send(&given.as_bytes()[..known - 50]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(provider.hits(), 0);
    client
        .send(&given.as_bytes()[known - 50..known + 1_000])
        .await;
    let mut upstream = Upstream::of(&provider).await;
    upstream.reads(file.len()).await;
    client.send(&given.as_bytes()[known + 1_000..]).await;
    upstream.reads(expected.len()).await;
    assert!(upstream.body == expected.as_bytes(), "the form was changed");
    upstream.says(200, b"{}").await;
    assert_eq!(client.answer().await.0, 200);
}
