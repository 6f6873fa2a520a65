//! The edge: odd requests on a raw socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::app::TestApp;
use testkit::canary::Canary;
use testkit::provider::{Script, ScriptedProvider};

use crate::startup::{BINARY, wrapped};
use crate::streaming::PIECE;
use crate::{Fixture, chat, chat_stream};

#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    // T98, T115, T123, T130
    let fixture = Fixture::start().await;
    let host = fixture.app.url().replace("http://", "");
    let cases = [
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"),
            "400",
        ),
        (
            "GET /health HTTP/1.1\r\nHost: a/x?y#z\r\n\r\n".to_owned(),
            "400",
        ),
        (
            format!("GET http://{host}/health HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "400",
        ),
        (
            format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "400",
        ),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n"), "4"),
        (
            "GET /api/v1/me HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(),
            "421",
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"
            ),
            "400",
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Length: +5\r\n\r\nhello"
            ),
            "400",
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n"
            ),
            "400",
        ),
        (
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\n obs-fold: x\r\n\r\n"),
            "400",
        ),
        (
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nBad Header: x\r\n\r\n"),
            "400",
        ),
        (
            format!("TRACE /health HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "4",
        ),
        (
            format!("GET //health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
        (
            format!("GET /HEALTH HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
        (
            format!("GET /health/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
        (
            format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "200",
        ),
    ];
    for (request, status) in cases {
        let reply = fixture.app.raw(request.as_bytes()).await;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status}")),
            "{request:?}\n{reply}"
        );
    }
    let both = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"
    );
    let reply = fixture.app.raw(both.as_bytes()).await;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    assert_eq!(
        reply.matches("HTTP/1.1 ").count(),
        1,
        "no second request is read after an ambiguous one: {reply}"
    );
}

#[tokio::test]
async fn a_half_sent_header_is_cut_and_others_are_served_meanwhile() {
    // T118
    let fixture = Fixture::start().await;
    let address = fixture.app.url().replace("http://", "");
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut socket = TcpStream::connect(&address).expect("a connection");
            socket
                .write_all(b"GET /health HTTP/1.1\r\nHost: ")
                .expect("half a header");
            socket
        })
        .collect();
    let started = Instant::now();
    fixture.app.anonymous().get("/health").await.expect(200);
    assert!(started.elapsed() < Duration::from_secs(5));
    let cut = tokio::task::spawn_blocking(move || {
        slow.into_iter().all(|mut socket| {
            socket
                .set_read_timeout(Some(Duration::from_secs(15)))
                .expect("a time-out");
            // The end, or a refusal and then the end; not a time-out.
            socket.read_to_end(&mut Vec::new()).is_ok()
        })
    });
    assert!(
        cut.await.expect("no panic"),
        "a half-sent header was still open after 15 s"
    );
}

#[tokio::test]
async fn more_connections_than_allowed_are_shed() {
    let fixture =
        Fixture::start_with(|builder| builder.env("KEYBEARER_MAX_CONNECTIONS", "20")).await;
    let address = fixture.app.url().replace("http://", "");
    let held: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(&address).expect("a connection"))
        .collect();
    let mut one_more = TcpStream::connect(&address).expect("a connection");
    one_more
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time-out");
    let mut reply = String::new();
    one_more.read_to_string(&mut reply).expect("an answer");
    assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    drop(held);
    tokio::time::sleep(Duration::from_millis(200)).await;
    fixture.app.anonymous().get("/health").await.expect(200);
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_browsers() {
    // T76, T113
    let fixture = Fixture::start().await;
    for path in [
        "/health",
        "/openapi.json",
        "/nothing",
        "/api/v1/me",
        "/setup",
        "/console/",
        "/console/w/ws_1/keys",
        "/v1/providers",
        "/v1/models",
    ] {
        let reply = fixture.app.anonymous().get(path).await;
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert!(
            reply.header("access-control-allow-origin").is_none(),
            "{path}"
        );
        assert!(reply.header("server").is_none(), "{path}");
        assert!(reply.header("cache-control").is_some(), "{path}");
        if path != "/v1/models" {
            let policy = reply.header("content-security-policy").unwrap_or_default();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{path}: {policy}"
            );
        }
    }
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_serves_again() {
    // T128
    let fixture = Fixture::start().await;
    let pid = fixture.app.pid();
    let limit = rustix::process::Rlimit {
        current: Some(256),
        maximum: Some(256),
    };
    let process = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).expect("limited");
    let address = fixture.app.url().replace("http://", "");
    let held: Vec<_> = (0..400)
        .map(|_| TcpStream::connect(&address).expect("a connection"))
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Nothing is to be done but to wait; a loop would take a whole processor.
    let before = processor_time(pid);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let took = processor_time(pid) - before;
    assert!(took < Duration::from_secs(1), "{took:?} in two seconds");
    drop(held);
    fixture.app.anonymous().get("/health").await.expect(200);
    assert!(
        fixture
            .app
            .stderr()
            .contains("accepting a connection failed")
    );
}

/// The soft and the hard limit on open files of a process.
fn open_files_limits(pid: u32) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
    let mut lines = limits.lines();
    let line = lines.find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = line.expect("one of them").split_whitespace().collect();
    [words[3].to_owned(), words[4].to_owned()]
}

#[tokio::test]
async fn no_more_connections_are_taken_than_files_may_be_open() {
    // T128
    let folder = tempfile::tempdir().expect("a folder");
    let limited = wrapped(folder.path(), "prlimit --nofile=256:256", BINARY.as_ref());
    let provider = ScriptedProvider::start();
    let app = TestApp::builder(limited).provider("openai", &provider);
    let app = app.start().await;
    let owner = app.setup().await;
    let canary = Canary::new();
    let key = canary.openai_key();
    app.submit(&owner.key, "openai", &key).await.expect(200);
    assert!(
        app.stderr()
            .contains("may open 256 files, so it serves 48 connections"),
        "{}",
        app.stderr()
    );
    provider.always(Script::stream([PIECE, PIECE]).pace(Duration::from_secs(20)));
    // Each of these has a connection to the provider, too.
    let mut streams = Vec::new();
    for _ in 0..40 {
        let call = chat_stream("gpt-4o");
        let mut stream = owner.key.stream("/v1/chat/completions", &call).await;
        stream.next().await.expect("no error").expect("a piece");
        streams.push(stream);
    }
    let address = app.url().replace("http://", "");
    let connect = || TcpStream::connect(&address).expect("a connection");
    let held: Vec<_> = (0..400).map(|_| connect()).collect();
    let within = Some(Duration::from_secs(5));
    let begun = Instant::now();
    // While all places for those who are refused are taken, some are closed without a word.
    let reply = loop {
        let mut one_more = connect();
        one_more.set_read_timeout(within).expect("a time-out");
        let mut reply = String::new();
        if one_more.read_to_string(&mut reply).is_ok() && !reply.is_empty() {
            break reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no refusal");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(
        reply.starts_with("HTTP/1.1 503") && reply.contains("\"overloaded\""),
        "{reply}"
    );
    assert!(reply.contains("retry-after: "), "{reply}");
    // Those that run do so still, and nothing failed for want of a file.
    assert!(!app.stderr().contains("accepting a connection failed"));
    drop(held);
    drop(streams);
    provider.reset();
    let begun = Instant::now();
    loop {
        let mut socket = connect();
        socket.set_read_timeout(within).expect("a time-out");
        let request =
            format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut reply = String::new();
        // A refusal may come before the request is read.
        if socket.read_to_string(&mut reply).is_ok() && reply.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{reply}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    owner
        .key
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    app.assert_no_leak(&canary).await;
}

#[tokio::test]
async fn a_limit_on_open_files_is_raised_or_told() {
    // T128
    let folder = tempfile::tempdir().expect("a folder");
    let limited = wrapped(folder.path(), "prlimit --nofile=256:256", BINARY.as_ref());
    let app = TestApp::builder(limited).env("KEYBEARER_MAX_CONNECTIONS", "4096");
    let exit = app.try_start().await.err().expect("it does not start");
    for part in [
        "`max_connections` is 4096, and this process may open 256 files, which is enough for 48",
        "LimitNOFILE=",
    ] {
        assert!(exit.says(part), "{exit}");
    }
    // What the process may change by itself is no reason to refuse.
    let limited = wrapped(folder.path(), "prlimit --nofile=256:12000", BINARY.as_ref());
    let app = TestApp::builder(limited).env("KEYBEARER_MAX_CONNECTIONS", "4096");
    let app = app.start().await;
    assert_eq!(open_files_limits(app.pid()), ["12000", "12000"]);
}

/// How much processor time a process has taken.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its numbers");
    let (_, numbers) = stat.rsplit_once(") ").expect("a name");
    let numbers: Vec<&str> = numbers.split(' ').collect();
    // `utime` and `stime`, fields 14 and 15, in hundredths of a second.
    let ticks: u64 = numbers[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}
