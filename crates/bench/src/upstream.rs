//! The provider: answers every request at once, as long as the request was, in the format of chat completions.

use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::message::Reader;

/// How a stream comes.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// The model that is asked for it.
    pub(crate) model: &'static str,
    /// How many events, the last one included.
    pub(crate) events: usize,
    /// The pause between two of them. Without one they would reach the proxy in heaps, and what an event costs would
    /// depend on how many fit into a read.
    every: Duration,
}

/// For what an event costs.
pub(crate) const FAST: Pace = Pace {
    model: "small",
    events: 200,
    every: Duration::from_millis(4),
};
/// For streams that are open, and do little.
pub(crate) const SLOW: Pace = Pace {
    model: "slow",
    events: 20,
    every: Duration::from_millis(500),
};

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("accept")?;
        stream.set_nodelay(true)?;
        // A proxy that goes away ends its connections in the middle of whatever they do.
        tokio::spawn(async move { answer(stream).await.ok() });
    }
}

async fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut reader = Reader::new();
    let mut answer = Vec::new();
    let mut answers_to = 0;
    loop {
        let Some((head, message)) = reader.next(&mut stream).await? else {
            return Ok(());
        };
        let body = message.len() - head;
        let start = &message[head..message.len().min(head + 200)];
        if memmem::find(start, b"\"stream\":true").is_some() {
            let slow = memmem::find(start, b"\"model\":\"slow\"").is_some();
            send_events(&mut stream, if slow { SLOW } else { FAST }).await?;
            continue;
        }
        if body != answers_to {
            answers_to = body;
            answer = json(body);
        }
        stream.write_all(&answer).await?;
    }
}

/// An answer with a body of about as many bytes.
fn json(bytes: usize) -> Vec<u8> {
    let start = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let end = r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":300}}"#;
    let text = "word ".repeat(bytes.saturating_sub(start.len() + end.len()) / 5);
    let length = start.len() + text.len() + end.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{start}{text}{end}").into_bytes()
}

async fn send_events(stream: &mut TcpStream, pace: Pace) -> anyhow::Result<()> {
    // nginx reads the header: it passes each event on as it comes, as Keybearer does.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-accel-buffering: no\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let delta = chunk(
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"small","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#,
    );
    let mut clock = tokio::time::interval(pace.every);
    for _ in 0..pace.events - 2 {
        clock.tick().await;
        stream.write_all(&delta).await?;
    }
    let usage = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"small","choices":[],"usage":{"prompt_tokens":200,"completion_tokens":198,"total_tokens":398}}"#;
    let mut end = chunk(usage);
    end.extend_from_slice(&chunk("[DONE]"));
    end.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&end).await?;
    Ok(())
}

/// One event as one chunk.
fn chunk(data: &str) -> Vec<u8> {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
