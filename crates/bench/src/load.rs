//! The load: connections that each send the next request as soon as the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::message::{self, Reader};
use crate::upstream::{FAST, Pace, SLOW};

/// What is asked of whom.
pub(crate) struct Load {
    address: SocketAddr,
    connections: usize,
    milliseconds: u64,
    body_bytes: usize,
    /// Which streams are asked for; `None`: none.
    streams: Option<Pace>,
    asks: Asks,
    /// Each connection uses one after the other.
    api_keys: Vec<String>,
}

impl Load {
    /// Reads `ADDRESS CONNECTIONS MILLISECONDS BODY_BYTES json|translated|stream|slow API_KEY[,API_KEY...]`.
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            address,
            connections,
            milliseconds,
            body_bytes,
            kind,
            api_keys,
        ] = words[..]
        else {
            bail!("a load has 6 words, not {}", words.len());
        };
        let (streams, asks) = match kind {
            "json" => (None, CHAT),
            "translated" => (None, MESSAGES),
            "stream" => (Some(FAST), CHAT),
            "slow" => (Some(SLOW), CHAT),
            other => bail!("an answer is json, translated, stream or slow, not {other}"),
        };
        Ok(Self {
            address: address.parse().context("address")?,
            connections: connections.parse().context("connections")?,
            milliseconds: milliseconds.parse().context("milliseconds")?,
            body_bytes: body_bytes.parse().context("body bytes")?,
            streams,
            asks,
            api_keys: api_keys.split(',').map(str::to_owned).collect(),
        })
    }
}

/// In which format is asked.
#[derive(Clone, Copy)]
struct Asks {
    path: &'static str,
    /// What a request of it needs beside model and messages.
    fields: &'static str,
}

/// The provider's own.
const CHAT: Asks = Asks {
    path: "/v1/chat/completions",
    fields: "",
};
/// Another, which Keybearer translates both ways.
const MESSAGES: Asks = Asks {
    path: "/v1/messages",
    fields: r#""max_tokens":500,"#,
};

/// Most requests of one connection, whatever the time.
const MAX_REQUESTS: usize = 200_000;

/// Runs the load. Returns requests, events, seconds, and latency in microseconds.
pub(crate) async fn run(load: Load) -> anyhow::Result<Value> {
    let requests = load.api_keys.iter().map(|key| request(&load, key));
    let requests: Arc<[Vec<u8>]> = requests.collect();
    // Connections stand before the clock starts.
    let mut streams = Vec::new();
    for _ in 0..load.connections {
        let stream = TcpStream::connect(load.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let started_at = Instant::now();
    let until = started_at + Duration::from_millis(load.milliseconds);
    // Dropped with what is left of them as soon as one of them fails.
    let mut tasks = JoinSet::new();
    for (first, stream) in streams.into_iter().enumerate() {
        let requests = Arc::clone(&requests);
        tasks.spawn(ask(stream, requests, first, load.streams, until));
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task.context("a connection panicked")??);
    }
    let seconds = started_at.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let requests = latencies.len();
    let events = load.streams.map_or(0, |pace| requests * pace.events);
    Ok(json!({
        "requests": requests,
        "events": events,
        "seconds": seconds,
        "p50_us": at(50),
        "p99_us": at(99),
    }))
}

/// Asks at least once, until the time is over, beginning with the request `first`. Returns how long each answer took.
async fn ask(
    mut stream: TcpStream,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    streams: Option<Pace>,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut reader = Reader::new();
    let mut latencies = Vec::new();
    for turn in first.. {
        let asked_at = Instant::now();
        stream.write_all(&requests[turn % requests.len()]).await?;
        let Some((head, answer)) = reader.next(&mut stream).await? else {
            bail!("the connection was closed before the answer");
        };
        let answered_at = Instant::now();
        latencies.push(answered_at - asked_at);
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("the answer is {}", String::from_utf8_lossy(answer));
        }
        if let Some(Pace { events, .. }) = streams
            && message::events(&answer[head..])? != events as u64
        {
            bail!("a stream has not all of its {events} events");
        }
        if answered_at >= until || latencies.len() >= MAX_REQUESTS {
            break;
        }
    }
    Ok(latencies)
}

fn request(load: &Load, api_key: &str) -> Vec<u8> {
    // Whoever meters streams asks for the report; without it Keybearer asks, and takes the report out again.
    let stream = match load.streams {
        Some(_) => r#""stream":true,"stream_options":{"include_usage":true}"#,
        None => r#""stream":false"#,
    };
    let model = load.streams.unwrap_or(FAST).model;
    let Asks { path, fields } = load.asks;
    let start = format!(
        r#"{{"model":"bench/{model}",{stream},{fields}"messages":[{{"role":"user","content":""#
    );
    let end = r#""}]}"#;
    let text = "word ".repeat(load.body_bytes.saturating_sub(start.len() + end.len()) / 5);
    let length = start.len() + text.len() + end.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\naccept: application/json\r\nuser-agent: bench\r\ncontent-length: {length}\r\n\r\n{start}{text}{end}",
        load.address, api_key
    )
    .into_bytes()
}
