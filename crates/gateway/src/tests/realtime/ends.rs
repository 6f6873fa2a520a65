//! How sessions end, and what ends with them.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::super::harness::{Harness, KEY, config};
use super::super::provider::Step;
use super::{PATH, bearer, begun, exactly, frame, opening, rest, row, rows, speaker, switching};
use crate::edge::EdgeConfig;

/// What "at once" may take in a test on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_end_of_one_side_is_at_once_the_end_of_the_other() {
    let (harness, provider) = speaker().await;
    let (client, mut upstream) = begun(&harness, &provider).await;
    let left_at = Instant::now();
    drop(client);
    assert!(rest(&mut upstream).await.is_empty());
    assert!(left_at.elapsed() < AT_ONCE, "{:?}", left_at.elapsed());
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    let bye = frame(0x88, &[3, 232]);
    upstream.write_all(&bye).await.expect("sent");
    let left_at = Instant::now();
    drop(upstream);
    assert_eq!(rest(&mut client).await, bye);
    assert!(left_at.elapsed() < AT_ONCE, "{:?}", left_at.elapsed());
    let rows = rows(&harness, 2).await;
    assert!(
        rows.iter()
            .all(|row| row.status == 101 && row.error_code.is_none())
    );
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_is_left() {
    // T126
    let edge = EdgeConfig {
        write_stall_ms: 300,
        ..EdgeConfig::default()
    };
    let harness = Harness::with(config(), edge).await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let (_client, mut upstream) = begun(&harness, &provider).await;
    let piece = frame(0x82, &[0; 60_000]);
    let sending = async { while upstream.write_all(&piece).await.is_ok() {} };
    let sending = tokio::time::timeout(Duration::from_secs(5), sending).await;
    sending.expect("the provider is told");
    assert_eq!(row(&harness).await.status, 101);
}

#[tokio::test]
async fn a_session_that_stands_still_or_lasts_too_long_is_closed() {
    // T126
    for (idle_ms, total_ms) in [(200, 60_000), (60_000, 400)] {
        let mut config = config();
        config.timeouts.idle_ms = idle_ms;
        config.timeouts.total_ms = total_ms;
        let harness = Harness::with(config, EdgeConfig::default()).await;
        let (_, provider) = harness.own("one", |_| {}).await;
        let (mut client, mut upstream) = begun(&harness, &provider).await;
        assert_eq!(rest(&mut client).await, frame(0x88, &[3, 233]));
        assert!(rest(&mut upstream).await.is_empty());
        let row = row(&harness).await;
        let code = row.error_code.as_deref();
        assert_eq!((row.status, code), (101, Some("upstream_timeout")));
    }
}

#[tokio::test]
async fn what_the_client_says_keeps_a_session_alive() {
    let mut config = config();
    config.timeouts.idle_ms = 400;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.write_all(b"x").await.expect("sent");
    }
    exactly(&mut upstream, b"xxxxxxxx").await;
    let hello = frame(0x81, b"{}");
    upstream.write_all(&hello).await.expect("sent");
    exactly(&mut client, &hello).await;
}

#[tokio::test]
async fn a_session_in_which_the_key_comes_back_ends_before_it() {
    // T54
    let (harness, provider) = speaker().await;
    let hello = frame(0x81, b"{}");
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    let echo = frame(0x81, format!(r#"{{"key":"{KEY}"}}"#).as_bytes());
    let sent = [hello.clone(), echo, hello.clone()].concat();
    upstream.write_all(&sent).await.expect("sent");
    let expected = [hello.clone(), frame(0x88, &[3, 243])].concat();
    assert_eq!(rest(&mut client).await, expected);
    // The beginning of the frame has left: no other frame may stand there.
    let (mut client, mut upstream) = begun(&harness, &provider).await;
    let (head, tail) = KEY.split_at(9);
    let echo = frame(0x81, format!("before {KEY}").as_bytes());
    let cut = echo.len() - tail.len();
    upstream.write_all(&echo[..cut]).await.expect("sent");
    exactly(&mut client, &echo[..cut - head.len()]).await;
    upstream.write_all(&echo[cut..]).await.expect("sent");
    assert!(rest(&mut client).await.is_empty());
    for row in rows(&harness, 2).await {
        let code = row.error_code.as_deref();
        assert_eq!((row.status, code), (101, Some("upstream_broken")));
    }
}

#[tokio::test]
async fn a_session_is_one_of_the_edges_connections_and_ends_with_the_drain() {
    let harness = Harness::start().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let edge = EdgeConfig {
        connections: 1,
        header_ms: 200,
        write_stall_ms: 200,
        ..EdgeConfig::default()
    };
    let (stop, stopped) = oneshot::channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let gateway = harness.gateway.clone();
    let service = move |request: http::Request<crate::edge::Inbound>| {
        let gateway = gateway.clone();
        async move {
            let endpoint = crate::Gateway::endpoint(request.method(), request.uri().path());
            gateway.handle(endpoint.expect("one"), request).await
        }
    };
    let sources = harness.sources.clone();
    let serving = tokio::spawn(crate::edge::serve(
        listener,
        edge,
        sources,
        service,
        async {
            let _ = stopped.await;
        },
    ));
    provider.script(vec![Step::Send(switching("")), Step::HandOver]);
    let mut client = TcpStream::connect(address).await.expect("connected");
    let head = opening(PATH, &bearer(&harness), "");
    client.write_all(head.as_bytes()).await.expect("sent");
    let mut upstream = provider.handed().await;
    // Longer than a request's head may take.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut other = TcpStream::connect(address).await.expect("connected");
    other.write_all(head.as_bytes()).await.expect("sent");
    assert!(rest(&mut other).await.starts_with(b"HTTP/1.1 503 "));
    // A frame that has begun is waited for.
    let hello = frame(0x81, b"hello");
    upstream.write_all(&hello[..3]).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).expect("it runs");
    tokio::time::sleep(Duration::from_millis(100)).await;
    upstream.write_all(&hello[3..]).await.expect("sent");
    let heard = rest(&mut client).await;
    let expected = [hello, frame(0x88, &[3, 233])].concat();
    assert!(heard.ends_with(&expected), "{heard:?}");
    let drained = serving.await.expect("no panic");
    assert_eq!(drained.cut, 0);
    assert_eq!(row(&harness).await.error_code, None);
}
