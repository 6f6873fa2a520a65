//! The load: connections that each send the next request as soon as the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::message::{self, Reader};
use crate::upstream::{FAST, Pace};

/// What is asked of whom.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) milliseconds: u64,
    pub(crate) body_bytes: usize,
    /// Which streams are asked for; `None`: none.
    pub(crate) streams: Option<Pace>,
    pub(crate) asks: Asks,
    /// Each connection uses one after the other.
    pub(crate) api_keys: Vec<String>,
}

/// In which format is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asks {
    path: &'static str,
    /// What a request of it needs beside model and messages.
    fields: &'static str,
}

/// The provider's own.
pub(crate) const CHAT: Asks = Asks {
    path: "/v1/chat/completions",
    fields: "",
};
/// Another, which Keybearer translates both ways.
pub(crate) const MESSAGES: Asks = Asks {
    path: "/v1/messages",
    fields: r#""max_tokens":500,"#,
};

/// Most requests of one connection, whatever the time.
const MAX_REQUESTS: usize = 200_000;

/// Runs the load and prints one line of JSON: requests, events, seconds, and latency in microseconds.
#[expect(
    clippy::print_stdout,
    reason = "whoever starts it reads the result there"
)]
pub(crate) async fn run(load: Load) -> anyhow::Result<()> {
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
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(first, stream)| {
            let requests = Arc::clone(&requests);
            tokio::spawn(ask(stream, requests, first, load.streams, until))
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.context("a connection panicked")??);
    }
    let seconds = started_at.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let requests = latencies.len();
    let events = load.streams.map_or(0, |pace| requests * pace.events);
    println!(
        r#"{{"requests":{requests},"events":{events},"seconds":{seconds:.4},"p50_us":{:.1},"p99_us":{:.1}}}"#,
        at(50),
        at(99)
    );
    Ok(())
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
