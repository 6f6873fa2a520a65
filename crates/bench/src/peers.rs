//! Both peers of a proxy, the upstream and the load, on one thread that does not sleep while a load runs.
//!
//! On loopback the kernel charges the waking of a sleeping peer to whoever writes to its socket, which is the proxy that
//! is measured; on a virtual machine that is an exit to the hypervisor. Over a network the receiver's own machine does
//! it. A fast proxy keeps its peers so busy that they never sleep, and would pay none of what a slower one pays with
//! each message. So they look for what has come again and again, whoever is measured.

use std::convert::Infallible;
use std::io;
use std::thread;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::load::{self, Load};
use crate::upstream;

type Lines = mpsc::UnboundedReceiver<io::Result<String>>;

/// Serves the upstream on a free port, which is printed, and answers each line of standard input, a load, with a line of
/// JSON. Ends with standard input.
#[expect(
    clippy::print_stdout,
    reason = "whoever starts it reads the address there"
)]
pub(crate) async fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        ended = upstream::serve(listener) => ended,
        ended = answer(lines()) => ended,
    }
}

/// Answers lines until there are none.
#[expect(clippy::print_stdout, reason = "whoever asks reads the results there")]
async fn answer(mut lines: Lines) -> anyhow::Result<()> {
    while let Some(line) = lines.recv().await {
        let line = line.context("standard input")?;
        let seen = tokio::select! {
            seen = measure(&line) => seen,
            // Nobody waits for what it sees: the next line comes when this one is answered.
            _ = lines.recv() => break,
        };
        println!("{seen}");
    }
    Ok(())
}

/// What a load saw, or what went wrong.
async fn measure(line: &str) -> Value {
    let load = async {
        let load = Load::parse(line)?;
        tokio::select! {
            seen = load::run(load) => seen,
            never = stay_awake() => match never {},
        }
    };
    load.await
        .unwrap_or_else(|error| json!({"error": format!("{error:#}")}))
}

/// Has the runtime look for what has come instead of waiting for it.
async fn stay_awake() -> Infallible {
    loop {
        yield_now().await;
    }
}

/// The lines of standard input, from a thread that sleeps until one comes.
fn lines() -> Lines {
    let (sender, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        io::stdin()
            .lines()
            .try_for_each(|line| sender.send(line).ok())
    });
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What a load of 10 milliseconds on the upstream saw.
    async fn seen(more: &str) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let line = format!("{} 2 10 {more}", listener.local_addr().expect("bound"));
        tokio::select! {
            ended = upstream::serve(listener) => panic!("the upstream has ended: {ended:?}"),
            seen = measure(&line) => seen,
        }
    }

    #[tokio::test]
    async fn upstream_and_load_share_a_thread() {
        let seen = seen("1000 json key,other").await;
        assert!(seen["requests"].as_u64() >= Some(2), "{seen}");
        assert_eq!(seen["events"], 0);
        assert!(seen["p50_us"].as_f64() > Some(0.0), "{seen}");
    }

    #[tokio::test]
    async fn each_stream_is_whole() {
        let seen = seen("1000 stream key").await;
        assert_eq!(seen["requests"], 2, "{seen}");
        assert_eq!(seen["events"], 400);
    }

    #[tokio::test]
    async fn a_load_ends_when_nobody_waits_for_it() {
        // Takes connections, and answers nothing.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, lines) = mpsc::unbounded_channel();
        let line = format!("{address} 1 1 1000 json key");
        sender.send(Ok(line)).expect("a line");
        drop(sender);
        let ended = tokio::time::timeout(Duration::from_secs(60), answer(lines)).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok()));
    }

    #[tokio::test]
    async fn what_went_wrong_is_told() {
        for (seen, wrong) in [
            (seen("1000 xml key").await, "xml"),
            (measure("one two").await, "6 words"),
            (measure("127.0.0.1:1 1 10 1000 json key").await, "connect"),
        ] {
            let error = seen["error"].as_str();
            assert!(error.is_some_and(|error| error.contains(wrong)), "{seen}");
        }
    }
}
