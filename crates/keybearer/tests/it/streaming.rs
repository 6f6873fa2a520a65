//! Streams: bytes as they come, usage at the end, and what happens when either side goes away.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::provider::wire::{TOKENS, chat_stream as upstream_chat, message_stream};
use testkit::provider::{Script, ScriptedProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Fixture, chat_stream, message};

/// An event with a piece of an answer.
pub(crate) const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

#[tokio::test]
async fn a_stream_passes_through_byte_for_byte_and_is_metered() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    fixture.with_anthropic_key().await;
    let frames = "data: {\"choices\":[{\"delta\":{\"content\":\"H\u{e9}\"}}]}\r\n\r\n: comment\n\ndata: {\"x\":1}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
    for piece in [1, 2, 7, 1000] {
        let script = Script::stream([frames.as_bytes().to_vec()]).pieces_of(piece);
        fixture.provider.next(script);
        let body = fixture
            .owner
            .key
            .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
            .await
            .rest()
            .await;
        assert_eq!(
            String::from_utf8(body.expect("a whole stream")).expect("UTF-8"),
            frames,
            "pieces of {piece}"
        );
    }
    fixture
        .provider
        .next(message_stream("claude-haiku-4-5", "Hello there", TOKENS).pieces_of(5));
    let stream = fixture
        .owner
        .key
        .stream("/v1/messages", &message("claude-haiku-4-5", true))
        .await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("x-keybearer-key-source"), Some("byok"));
    stream.rest().await.expect("a whole stream");

    let rows = fixture.app.usage(&fixture.owner, 5).await;
    assert!(
        rows.iter()
            .all(|row| row["streamed"] == true && row["status"] == 200),
        "{rows:?}"
    );
    let (messages, chats): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row["provider"] == "anthropic");
    assert!(
        chats
            .iter()
            .all(|row| row["usage"]["input_tokens"] == 19 && row["usage"]["output_tokens"] == 5)
    );
    assert_eq!(messages[0]["usage"]["output_tokens"], TOKENS.output);
    assert_eq!(messages[0]["usage"]["cached_input_tokens"], TOKENS.cached);
    fixture.finish().await;
}

#[tokio::test]
async fn a_stream_that_ends_without_its_end_is_told_to_be_broken() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    fixture.with_anthropic_key().await;
    let begun = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
    for (path, call, piece, event) in [
        (
            "/v1/chat/completions",
            chat_stream("gpt-4o"),
            PIECE,
            "\n\ndata: {\"error\":",
        ),
        (
            "/v1/messages",
            message("claude-haiku-4-5", true),
            begun,
            "\n\nevent: error\ndata: {\"type\":\"error\"",
        ),
    ] {
        fixture.provider.next(Script::stream([piece]));
        let stream = fixture.owner.key.stream(path, &call).await;
        let body = stream.rest().await.expect("a whole body");
        let text = String::from_utf8(body).expect("UTF-8");
        let told = text.strip_prefix(piece).expect("what came");
        assert!(told.starts_with(event), "{told}");
        assert!(told.contains("upstream_broken"), "{told}");
    }
    let rows = fixture.app.usage(&fixture.owner, 2).await;
    for row in rows {
        assert_eq!(row["error_code"], "upstream_broken");
        assert_ne!(row["pricing"], "priced");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_first_event_arrives_before_the_last_is_sent() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let script = Script::stream([PIECE, PIECE]).pace(Duration::from_secs(2));
    fixture.provider.next(script);
    let started = Instant::now();
    let mut stream = fixture
        .owner
        .key
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await;
    let first = stream.next().await.expect("no error").expect("a piece");
    assert_eq!(first, PIECE.as_bytes());
    // The second event is not sent before two seconds have passed.
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    stream.rest().await.expect("a whole stream");
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_that_is_removed_lets_running_requests_finish() {
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let script = upstream_chat("gpt-4o", "a slow answer in several pieces", Some(TOKENS))
        .pace(Duration::from_millis(150));
    fixture.provider.next(script);
    let mut stream = fixture
        .owner
        .key
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await;
    stream.next().await.expect("no error").expect("a piece");
    fixture
        .owner
        .key
        .delete("/v1/byok/keys/openai")
        .await
        .expect(200);
    fixture
        .owner
        .key
        .post("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await
        .expect_error(402, "byok_key_revoked");
    let body = stream.rest().await.expect("the running stream ends well");
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_call_and_is_recorded() {
    // T127
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let endless = std::iter::repeat_n(PIECE, 2000);
    for _ in 0..20 {
        fixture
            .provider
            .next(Script::stream(endless.clone()).pace(Duration::from_millis(20)));
        let mut stream = fixture
            .owner
            .key
            .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
            .await;
        stream.next().await.expect("no error").expect("a piece");
        drop(stream);
    }
    fixture
        .provider
        .wait_until("all upstream calls to be dropped", |provider| {
            provider.left_early() == 20
        })
        .await;
    let rows = fixture.app.usage(&fixture.owner, 20).await;
    assert_eq!(rows.len(), 20, "each call is recorded once");
    assert!(
        rows.iter().all(|row| row["error_code"] == "client_closed"),
        "{rows:?}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_thousand_clients_that_vanish_leave_nothing_behind() {
    // T127
    const CLIENTS: usize = 1_000;
    allow_files(4 * CLIENTS);
    // Whoever keeps a place of one that is gone refuses the second thousand.
    let fixture = Fixture::start_with(|builder| {
        let builder = builder.env("KEYBEARER_MAX_CALLS_PER_KEY", "1000");
        builder.env("KEYBEARER_MAX_CONNECTIONS", "1100")
    });
    let fixture = fixture.await;
    fixture.with_openai_key().await;
    let endless = Script::stream([PIECE, PIECE]).pace(Duration::from_secs(600));
    fixture.provider.always(endless);
    let address = fixture.app.url().replace("http://", "");
    let body = chat_stream("gpt-4o").to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        fixture.owner.api_key,
        body.len()
    );
    let session = &fixture.owner.person.session;
    let pid = fixture.app.pid();
    let mut files = Vec::new();
    for round in 1..=2 {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(&address).await.expect("a connection");
            client.write_all(request.as_bytes()).await.expect("sent");
            clients.push(client);
        }
        for client in &mut clients {
            let mut seen = Vec::new();
            while !seen.ends_with(format!("{PIECE}\r\n").as_bytes()) {
                let read = client.read_buf(&mut seen);
                let read = tokio::time::timeout(Duration::from_secs(60), read).await;
                let read = read.expect("in time").expect("no error");
                assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
            }
            assert!(seen.starts_with(b"HTTP/1.1 200 "));
        }
        drop(clients);
        let gone = |provider: &ScriptedProvider| provider.left_early() == round * CLIENTS;
        fixture.provider.wait_until("all to be dropped", gone).await;
        let begun = Instant::now();
        loop {
            let health = session.get("/api/v1/admin/health").await.expect(200).json();
            let calls = health["traffic"]["calls"].as_u64().expect("a number");
            if calls == 0 {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{calls} calls run"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        files.push(open_files(pid));
    }
    // As many as before, but for what comes and goes by itself: connections of the database and of these requests.
    if let [Some(first), Some(second)] = files[..] {
        assert!(first < 200 && second <= first + 10, "{first}, {second}");
    }
    let summary = fixture.path("/usage/summary?group_by=model");
    let begun = Instant::now();
    loop {
        let summary = session.get(&summary).await.expect(200).json();
        // One row for each, all of which say that the client left.
        let counts = [&summary["total"]["calls"], &summary["total"]["failed"]];
        if counts == [&json!(2 * CLIENTS); 2] {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{summary}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fixture.finish().await;
}

/// How many files a process has open, where that may be asked: by root, since the server is not open to its own user.
fn open_files(pid: u32) -> Option<usize> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(files.count())
}

/// Lets the test itself have so many files open.
fn allow_files(files: usize) {
    let resource = rustix::process::Resource::Nofile;
    let mut limit = rustix::process::getrlimit(resource);
    limit.current = limit.maximum;
    rustix::process::setrlimit(resource, limit).expect("raised");
    let enough = limit.maximum.is_none_or(|it| it >= files as u64);
    assert!(
        enough,
        "this test needs {files} open files: ulimit -Hn {files}"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event_of_the_clients_format() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    fixture.with_anthropic_key().await;
    fixture
        .provider
        .next(upstream_chat("gpt-4o", "some text", None).cut_after(600));
    let body = fixture
        .owner
        .key
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await
        .rest()
        .await;
    let body = String::from_utf8(body.expect("a clean end")).expect("UTF-8");
    assert!(body.contains("\"code\":\"upstream_broken\""), "{body}");
    fixture
        .provider
        .next(message_stream("claude-haiku-4-5", "some text", TOKENS).cut_after(900));
    let body = fixture
        .owner
        .key
        .stream("/v1/messages", &message("claude-haiku-4-5", true))
        .await
        .rest()
        .await;
    let body = String::from_utf8(body.expect("a clean end")).expect("UTF-8");
    assert!(body.contains("event: error\n"), "{body}");
    let rows = fixture.app.usage(&fixture.owner, 2).await;
    assert!(
        rows.iter()
            .all(|row| row["error_code"] == "upstream_broken"),
        "{rows:?}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_given_up() {
    // T60
    let fixture = Fixture::start_with(|builder| {
        builder
            .env("KEYBEARER_FIRST_BYTE_TIMEOUT_MS", "600")
            .env("KEYBEARER_IDLE_TIMEOUT_MS", "600")
    })
    .await;
    fixture.with_openai_key().await;
    fixture.provider.next(Script::silence());
    let reply = fixture
        .owner
        .key
        .post("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await;
    reply.expect_error(504, "upstream_timeout");
    fixture
        .provider
        .next(upstream_chat("gpt-4o", "some text", None).stall_after(1));
    let body = fixture
        .owner
        .key
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await
        .rest()
        .await;
    let body = String::from_utf8(body.expect("a clean end")).expect("UTF-8");
    assert!(body.contains("\"code\":\"upstream_"), "{body}");
    fixture
        .provider
        .wait_until("the stalled calls to be dropped", |provider| {
            provider.left_early() == 2
        })
        .await;
    fixture.finish().await;
}
