//! How long an upload may take, whoever is the slow one.

use std::time::Instant;

use super::*;

/// Sends a form to a provider that reads a little per tick, with a client that is always ahead of it; returns what the
/// client is answered.
async fn trickled(config: GatewayConfig, edge: EdgeConfig) -> (Harness, String) {
    let (harness, _, provider) = uploader(config, edge).await;
    let given = form("gpt-x", 30_000_000);
    let mut client = Client::form(&harness, given.len()).await;
    let (mut reading, mut writing) = client.0.split();
    let trickling = async {
        let mut upstream = Upstream::of(&provider).await;
        let mut piece = vec![0; HELD_BYTES];
        while matches!(upstream.stream.read(&mut piece).await, Ok(1..)) {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        // Whoever reads on shall find it broken off.
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let exchange = async {
        let sent = writing.write_all(&given);
        let read = reading.read_to_end(&mut bytes);
        let _ = tokio::join!(sent, read);
    };
    let exchange = async {
        tokio::select! {
            () = trickling => {}
            () = exchange => {}
        }
    };
    let exchange = tokio::time::timeout(SOON, exchange).await;
    exchange.expect("an answer before the provider has read it all");
    (harness, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_provider_that_reads_slowly_does_not_make_an_upload_last() {
    let mut config = config();
    config.timeouts.upload_ms = 700;
    let (harness, told) = trickled(config, EdgeConfig::default()).await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    assert!(told.contains("request_timeout"), "{told}");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.attempts.len()), (408, 1));
}

#[tokio::test]
async fn the_edge_bounds_a_body_that_is_read_slowly() {
    let edge = EdgeConfig {
        body_total_ms: 700,
        ..EdgeConfig::default()
    };
    let (harness, told) = trickled(config(), edge).await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("request_timeout"));
}

#[tokio::test]
async fn a_call_as_a_whole_takes_its_total_once_and_not_again_for_the_answer() {
    let mut config = config();
    config.timeouts.total_ms = 2_000;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 200_000);
    let begun = Instant::now();
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..150_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    client.send(&given[150_000..]).await;
    upstream.reads(given.len()).await;
    assert_eq!(client.error().await, (504, "upstream_timeout".to_owned()));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(3_200), "{took:?}");
}

/// A provider that sends the head of its answer at once.
async fn answered_early(idle_ms: u64, bytes: usize) -> (Harness, Client, Upstream) {
    let mut config = config();
    config.timeouts.idle_ms = idle_ms;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let mut client = Client::begin(&harness, RAW, BYTES, Some(bytes)).await;
    client.send(&sound(HELD_BYTES + 1_000)).await;
    let mut upstream = Upstream::of(&provider).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let sent = upstream.stream.write_all(head.as_bytes()).await;
    sent.expect("sent");
    (harness, client, upstream)
}

#[tokio::test]
async fn an_answer_may_wait_as_long_as_the_body_moves() {
    let body = sound(500_000);
    let (harness, mut client, mut upstream) = answered_early(1_000, body.len()).await;
    for piece in body[HELD_BYTES + 1_000..].chunks(40_000) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.send(piece).await;
    }
    upstream.reads(body.len()).await;
    let end = [&chunk("done")[..], b"0\r\n\r\n"].concat();
    upstream.stream.write_all(&end).await.expect("sent");
    let (status, answer) = client.answer().await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(status == 200 && answer.contains("done"), "{answer}");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.error_code), (200, None));
}

#[tokio::test]
async fn an_answer_that_stands_still_with_the_body_is_given_up() {
    // All of the body is there, or the provider takes no more of a long one.
    for bytes in [200_000, 30_000_000] {
        let (harness, mut client, upstream) = answered_early(500, bytes).await;
        let rest = sound(bytes - HELD_BYTES - 1_000);
        let (mut reading, mut writing) = client.0.split();
        let mut told = Vec::new();
        let exchange = async {
            let sent = writing.write_all(&rest);
            let read = reading.read_to_end(&mut told);
            let _ = tokio::join!(sent, read);
        };
        let ended = tokio::time::timeout(SOON, exchange).await;
        ended.expect("an end in time");
        assert!(told.starts_with(b"HTTP/1.1 200 "));
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.error_code.as_deref(), Some("upstream_timeout"));
        drop(upstream);
    }
}
