//! The scripted provider does what its scripts say, byte for byte.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::provider::{KEY, Script, ScriptedProvider, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn request(path: &str, key: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nX-Odd: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn connect(provider: &ScriptedProvider) -> TcpStream {
    TcpStream::connect(provider.address())
        .await
        .expect("the provider listens")
}

/// Sends one request on a fresh connection and reads until the provider closes or is silent for 300 ms.
async fn exchange(provider: &ScriptedProvider, request: &str) -> String {
    let mut stream = connect(provider).await;
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the provider reads");
    let mut reply = Vec::new();
    let quiet = Duration::from_millis(300);
    while let Ok(Ok(1..)) = tokio::time::timeout(quiet, stream.read_buf(&mut reply)).await {}
    String::from_utf8(reply).expect("text")
}

#[tokio::test]
async fn requests_are_kept_as_they_came() {
    let provider = ScriptedProvider::start();
    let sent = request("/v1/chat/completions?a=1", "sk-1", r#"{"model":"m"}"#);
    let reply = exchange(&provider, &sent).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    let received = provider.last();
    assert_eq!(
        (received.method.as_str(), received.path()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(received.headers[2], ("X-Odd".to_owned(), "1".to_owned()));
    assert_eq!(
        (received.key(), received.json()),
        (Some("sk-1"), json!({"model": "m"}))
    );
    assert_eq!(provider.bytes(), [sent.into_bytes()]);
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_chunked_bodies() {
    let provider = ScriptedProvider::start();
    let mut stream = connect(&provider).await;
    let chunked = "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let both = format!("{chunked}{}", request("/b", "k", "f"));
    stream
        .write_all(both.as_bytes())
        .await
        .expect("the provider reads");
    provider.wait_for_requests(2).await;
    let bodies: Vec<_> = provider.requests().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, [b"abcde".to_vec(), b"f".to_vec()]);
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn rules_go_from_next_to_key_to_path_to_always() {
    let provider = ScriptedProvider::start();
    provider
        .always(Script::status(204))
        .on_path("/p", Script::status(402))
        .on_key("k", Script::status(403))
        .next(Script::status(500));
    let status = async |path: &str, key: &str| {
        exchange(&provider, &request(path, key, "")).await[9..12]
            .parse::<u16>()
            .expect("a status")
    };
    assert_eq!(status("/p", "k").await, 500);
    assert_eq!(status("/p", "k").await, 403);
    assert_eq!(status("/p", "other").await, 402);
    assert_eq!(status("/q", "other").await, 204);
}

#[tokio::test]
async fn the_key_is_echoed_where_the_script_says_also_across_pieces() {
    let provider = ScriptedProvider::start();
    let script = Script::text(400, "text/plain", format!("bad key {KEY}!")).header("x-key", KEY);
    provider.always(script.clone());
    let reply = exchange(&provider, &request("/", "sk-abc", "")).await;
    assert!(
        reply.contains("x-key: sk-abc\r\n") && reply.ends_with("bad key sk-abc!"),
        "{reply}"
    );
    assert!(reply.contains("content-length: 15\r\n"), "{reply}");

    provider.always(script.chunked().pieces_of(3));
    let reply = exchange(&provider, &request("/", "sk-abc", "")).await;
    assert!(
        reply.ends_with("3\r\nbad\r\n3\r\n ke\r\n3\r\ny s\r\n3\r\nk-a\r\n3\r\nbc!\r\n0\r\n\r\n"),
        "{reply}"
    );
}

#[tokio::test]
async fn answers_can_be_cut_stalled_and_lied_about() {
    let provider = ScriptedProvider::start();
    let ask = request("/", "k", "");
    let body = || Script::text(200, "text/plain", "0123456789");

    provider.always(Script::hang_up());
    assert_eq!(exchange(&provider, &ask).await, "");
    provider.always(Script::silence());
    assert_eq!(exchange(&provider, &ask).await, "");
    provider.always(Script::raw("garbage\r\n\r\n"));
    assert_eq!(exchange(&provider, &ask).await, "garbage\r\n\r\n");
    provider.always(body().cut_after(20));
    assert_eq!(exchange(&provider, &ask).await.len(), 20);
    provider.always(body().content_length(50));
    let reply = exchange(&provider, &ask).await;
    assert!(
        reply.contains("content-length: 50\r\n") && reply.ends_with("\r\n0123456789"),
        "{reply}"
    );
    provider.always(body().until_close());
    assert!(!exchange(&provider, &ask).await.contains("content-length"));
    provider.always(Script::stream(["a", "b", "c"]).stall_after(2));
    assert!(
        exchange(&provider, &ask)
            .await
            .ends_with("1\r\na\r\n1\r\nb\r\n")
    );
}

#[tokio::test]
async fn delays_are_kept_and_an_early_leave_is_noticed() {
    let provider = ScriptedProvider::start();
    let pause = Duration::from_millis(100);
    provider.always(Script::stream(["a", "b"]).delay(pause).pace(pause));
    let start = Instant::now();
    exchange(&provider, &request("/", "k", "")).await;
    assert!(start.elapsed() >= pause * 2);
    assert_eq!(provider.left_early(), 0);

    // Often, because the provider may notice it while it reads or while it writes.
    provider.always(Script::stream(["a"; 4]).stall_after(4));
    for left in 1..=200 {
        let mut stream = connect(&provider).await;
        stream
            .write_all(request("/", "k", "").as_bytes())
            .await
            .expect("the provider reads");
        stream.readable().await.expect("the head comes");
        drop(stream);
        provider
            .wait_until("the early leave", |provider| provider.left_early() == left)
            .await;
    }
}

#[tokio::test]
async fn streams_report_usage_only_when_asked() {
    let provider = ScriptedProvider::start();
    let chat = |rest: &str| {
        request(
            "/v1/chat/completions",
            "k",
            &format!(r#"{{"model":"m","stream":true{rest}}}"#),
        )
    };
    let plain = exchange(&provider, &chat("")).await;
    assert!(
        !plain.contains("usage") && plain.contains("data: [DONE]"),
        "{plain}"
    );
    let asked = exchange(
        &provider,
        &chat(r#","stream_options":{"include_usage":true}"#),
    )
    .await;
    assert!(
        asked.contains(&format!("\"prompt_tokens\":{}", wire::TOKENS.input)),
        "{asked}"
    );
    let message = request("/v1/messages", "k", r#"{"model":"m","stream":true}"#);
    let message = exchange(&provider, &message).await;
    assert!(message.contains("event: message_stop"), "{message}");
}
