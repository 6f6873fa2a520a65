//! What ends an upload in its middle: the client is told why, and no provider takes what came for the whole.

use super::*;

/// What is wrong with a form behind its file.
fn ends() -> Vec<(&'static str, String)> {
    let last = "\r\n--b0--\r\n";
    vec![
        (
            "a second model",
            format!("\r\n{}--b0--\r\n", field("model", "gpt-y")),
        ),
        (
            "a list of models",
            format!("\r\n{}--b0--\r\n", field("model[]", "gpt-y")),
        ),
        (
            "a lookalike",
            format!("\r\n{}--b0--\r\n", field("Model", "gpt-y")),
        ),
        (
            "no wish for a stream",
            format!("\r\n{}--b0--\r\n", field("stream", "perhaps")),
        ),
        (
            "too many parts",
            format!("\r\n{}--b0--\r\n", field("a", "").repeat(200)),
        ),
        (
            "an endless head",
            format!("\r\n--b0\r\nX-A: {}{last}", "x".repeat(100_000)),
        ),
        ("no last boundary", "xyz".to_owned()),
        ("half of the last boundary", "\r\n--b0-".to_owned()),
        ("text behind the last boundary", format!("{last}x")),
        ("half a line end", "\n--b0--\r\n".to_owned()),
    ]
}

#[tokio::test]
async fn a_field_that_would_have_been_refused_breaks_the_request_to_the_provider() {
    let (harness, record, provider) = started().await;
    for (why, end) in ends() {
        for in_chunks in [false, true] {
            let begin = [beginning("gpt-x").into_bytes(), sound(200_000)].concat();
            let given = [&begin[..], end.as_bytes()].concat();
            let length = (!in_chunks).then_some(given.len());
            let mut client = Client::begin(&harness, PATH, FORM, length).await;
            let (first, second) = given.split_at(begin.len());
            match in_chunks {
                false => client.send(first).await,
                true => client.send_chunk(first).await,
            }
            let mut upstream = Upstream::of(&provider).await;
            upstream.reads(HELD_BYTES).await;
            match in_chunks {
                false => client.send(second).await,
                true => {
                    client.send_chunk(second).await;
                    client.send(b"0\r\n\r\n").await;
                }
            }
            let told = client.error().await;
            assert_eq!(told, (400, "invalid_request".to_owned()), "{why}");
            upstream.reads_all().await;
            match in_chunks {
                false => assert!(
                    upstream.body.len() < upstream.length(),
                    "{why}: it was whole"
                ),
                true => assert!(
                    !upstream.body.ends_with(b"0\r\n\r\n"),
                    "{why}: it was whole"
                ),
            }
            let row = harness.usage().await.pop().expect("a row");
            assert_eq!(row.error_code.as_deref(), Some("invalid_request"), "{why}");
        }
    }
    // Nobody was asked twice, and no key is to blame.
    assert_eq!(provider.hits(), 2 * ends().len());
    assert_eq!(harness.stored(&record).await.last_failure, None);
}

#[tokio::test]
async fn the_size_has_its_limit_while_it_flows() {
    let mut config = config();
    config.limits.body_bytes = 300_000;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let mut client = Client::begin(&harness, PATH, FORM, None).await;
    let given = form("gpt-x", 400_000);
    client.send_chunk(&given[..250_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    client.send_chunk(&given[250_000..]).await;
    assert_eq!(client.error().await, (413, "request_too_large".to_owned()));
    upstream.reads_all().await;
    assert!(upstream.body.len() < 320_000);
    let announced = Client::form(&harness, given.len()).await;
    assert_eq!(
        announced.error().await,
        (413, "request_too_large".to_owned())
    );
    assert_eq!(provider.hits(), 1);
}

#[tokio::test]
async fn a_client_that_stalls_is_told_and_the_provider_left() {
    let edge = EdgeConfig {
        body_idle_ms: 200,
        ..EdgeConfig::default()
    };
    let (harness, record, provider) = uploader(config(), edge).await;
    let given = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    assert_eq!(client.error().await, (408, "request_timeout".to_owned()));
    upstream.reads_all().await;
    assert!(upstream.body.len() < upstream.length());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.request_bytes), (408, 200_000));
    assert_eq!(harness.stored(&record).await.last_failure, None);
}

#[tokio::test]
async fn a_body_has_to_be_there_in_time_however_steadily_it_comes() {
    let mut config = config();
    config.timeouts.upload_ms = 300;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    assert_eq!(client.error().await, (408, "request_timeout".to_owned()));
    upstream.reads_all().await;
    assert!(upstream.body.len() < upstream.length());
}

#[tokio::test]
async fn a_provider_that_stops_reading_is_given_up() {
    let mut config = config();
    config.timeouts.idle_ms = 400;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 30_000_000);
    let mut client = Client::form(&harness, given.len()).await;
    let (mut reading, mut writing) = client.0.split();
    let mut bytes = Vec::new();
    let exchange = async {
        let upstream = Upstream::of(&provider);
        let sent = writing.write_all(&given);
        let read = reading.read_to_end(&mut bytes);
        // The connection is closed when the rest was thrown away.
        let (upstream, _, _) = tokio::join!(upstream, sent, read);
        upstream
    };
    let exchange = tokio::time::timeout(SOON, exchange).await;
    let mut upstream = exchange.expect("in time");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 504 "), "{text}");
    assert!(text.contains("upstream_timeout"), "{text}");
    upstream.reads_all().await;
    assert!(upstream.body.len() < upstream.length());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.attempts.len()), (504, 1));
}

#[tokio::test]
async fn a_provider_that_is_silent_after_the_last_byte_is_given_up() {
    let mut config = config();
    config.timeouts.first_byte_ms = 400;
    let (harness, _, provider) = uploader(config, EdgeConfig::default()).await;
    let given = form("gpt-x", 200_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..150_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    // The time of the upload does not count.
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.send(&given[150_000..]).await;
    upstream.reads(given.len()).await;
    assert_eq!(client.error().await, (504, "upstream_timeout".to_owned()));
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_request_to_the_provider_along() {
    let (harness, record, provider) = started().await;
    let given = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..200_000]).await;
    let mut upstream = Upstream::of(&provider).await;
    upstream.reads(HELD_BYTES).await;
    drop(client);
    upstream.reads_all().await;
    assert!(upstream.body.len() < upstream.length());
    let row = loop {
        if let Some(row) = harness.usage().await.pop() {
            break row;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((row.usage, row.charge), (None, domain::NanoUsd::ZERO));
    assert!([400, 499].contains(&row.status), "{}", row.status);
    assert_eq!(harness.stored(&record).await.last_failure, None);
    assert_eq!(provider.hits(), 1);
}
