//! Raw sockets against a real listener.

use super::*;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

fn sources() -> Sources {
    let counter = AtomicUsize::new(1);
    Sources {
        clock: domain::Clock::new(|| domain::Timestamp::from_millis(1_700_000_000_000)),
        random: domain::Random::new(move |bytes| {
            bytes.fill(counter.fetch_add(1, Ordering::SeqCst) as u8);
            Ok(())
        }),
    }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Drained>,
}

async fn start<S, F, B>(config: EdgeConfig, service: S) -> Running
where
    S: Fn(Request<Inbound>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let service = move |request| {
        let answer = service(request);
        async move { answer.await.map(|body| Body::new(body.map_err(Into::into))) }
    };
    let ended = tokio::spawn(serve(listener, config, sources(), service, async {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        ended,
    }
}

fn ok() -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(b"fine")))
}

/// Sends `bytes` and reads until the server closes or `limit` passes.
async fn exchange(address: SocketAddr, bytes: &[u8], limit: Duration) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    let closed = timeout(limit, stream.read_to_end(&mut answer))
        .await
        .is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn ambiguous_heads_get_400_and_never_reach_the_service() {
    // T98, T123
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let edge = start(EdgeConfig::default(), move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { ok() }
    })
    .await;
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/x?y#z\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
    ] {
        let (answer, closed) = exchange(edge.address, head.as_bytes(), LONG).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{head:?}: {answer}"
        );
        assert!(closed, "{head:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let good = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, _) = exchange(edge.address, good, LONG).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("fine"),
        "{answer}"
    );
}

#[tokio::test]
async fn heads_of_64_kib_are_taken_and_those_of_128_never() {
    let edge = start(EdgeConfig::default(), |_| async { ok() }).await;
    for (kib, is_taken) in [(60, true), (130, false), (300, false)] {
        let text = "x".repeat(kib * 1024);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {text}\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(edge.address)
            .await
            .expect("a connection");
        // It may be closed before all of it was sent, and what was said with it.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let read = timeout(LONG, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{kib}: it stays open");
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 "), is_taken, "{kib}");
    }
}

/// The body of a problem, after its head was looked at.
fn problem(answer: &str) -> serde_json::Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains("content-type: application/problem+json"),
        "{head}"
    );
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn the_edges_own_errors_have_the_documented_form() {
    let panics = |_| async { panic!("on purpose") };
    let edge = start::<_, _, Full<Bytes>>(EdgeConfig::default(), panics).await;
    for (head, status, code) in [
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "invalid_host"),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "invalid_request_target",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            500,
            "internal_error",
        ),
    ] {
        let (answer, _) = exchange(edge.address, head.as_bytes(), LONG).await;
        let problem = problem(&answer);
        let kind = format!("urn:keybearer:error:{code}");
        assert_eq!(problem["type"], kind.as_str());
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&status.into(), &code.into())
        );
        for field in ["title", "detail", "hint"] {
            let text = problem[field].as_str().expect("a text");
            assert!(text.ends_with('.'), "{field} {text}");
        }
        let id = problem["request_id"].as_str().expect("an id");
        assert!(id.starts_with("req_"), "{id}");
        assert_eq!(problem["details"], serde_json::json!({}));
    }
    let answer = Problem::Random.response(None);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(problem["code"], "random_unavailable");
    assert_eq!(problem.get("request_id"), Some(&serde_json::Value::Null));
}

#[tokio::test]
async fn nothing_behind_a_request_with_two_lengths_is_served() {
    // T123: the chunked framing wins, and whatever follows on the connection is never a second request.
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let bodies = Arc::clone(&seen);
    let edge = start(EdgeConfig::default(), move |request: Request<Inbound>| {
        let bodies = Arc::clone(&bodies);
        async move {
            let body = request.into_body().collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            bodies.lock().expect("no panic").push(body);
            ok()
        }
    })
    .await;
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for (first, second) in [(length, chunked), (chunked, length)] {
        let bytes = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{first}{second}\r\n2\r\nhi\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let (answer, closed) = exchange(edge.address, bytes.as_bytes(), LONG).await;
        assert!(closed, "{bytes:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    assert_eq!(*seen.lock().expect("no panic"), ["hi", "hi"]);
}

#[tokio::test]
async fn slow_headers_are_cut() {
    // T118
    let config = EdgeConfig {
        header_ms: 200,
        ..EdgeConfig::default()
    };
    let edge = start(config, |_| async { ok() }).await;
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        clients.spawn(exchange(
            edge.address,
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            LONG,
        ));
    }
    while let Some(outcome) = clients.join_next().await {
        let (answer, closed) = outcome.expect("no panic");
        assert!(closed && !answer.contains("200"), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn slow_bodies_are_cut() {
    // T118
    let config = EdgeConfig {
        body_idle_ms: 100,
        ..EdgeConfig::default()
    };
    let edge = start(config, |request: Request<Inbound>| async move {
        let body = request.into_body().collect().await;
        let verdict = match body {
            Ok(_) => "whole",
            Err(InboundError::TooSlow) => "slow",
            Err(InboundError::Broken(_)) => "broken",
        };
        Response::new(Full::new(Bytes::from_static(verdict.as_bytes())))
    })
    .await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let (answer, closed) = exchange(edge.address, head, LONG).await;
    assert!(closed && answer.ends_with("slow"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_is_cut() {
    // T118
    let config = EdgeConfig {
        write_stall_ms: 200,
        drain_ms: 10_000,
        ..EdgeConfig::default()
    };
    let edge = start(config, |_| async {
        Response::new(Full::new(Bytes::from(vec![b'x'; 64 << 20])))
    })
    .await;
    let mut stream = TcpStream::connect(edge.address)
        .await
        .expect("a connection");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    edge.stop.send(()).expect("running");
    let drained = edge.ended.await.expect("no panic");
    assert_eq!(drained.cut, 0, "the stalled connection ended by itself");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(stream);
}

#[tokio::test]
async fn connections_beyond_the_cap_get_503_and_room_comes_back() {
    let config = EdgeConfig {
        connections: 1,
        ..EdgeConfig::default()
    };
    let edge = start(config, |_| async { ok() }).await;
    let first = TcpStream::connect(edge.address)
        .await
        .expect("a connection");
    let good = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, closed) = exchange(edge.address, good, LONG).await;
    assert!(closed && answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for line in ["retry-after: 1", "connection: close"] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{answer}");
    }
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let length = format!("\r\ncontent-length: {}", body.len());
    assert_eq!(head.matches(&length).count(), 1, "{answer}");
    let problem = problem(&answer);
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&503.into(), &"overloaded".into())
    );
    assert_eq!(problem["type"], "urn:keybearer:error:overloaded");
    assert_eq!(problem.get("request_id"), Some(&serde_json::Value::Null));
    drop(first);
    let mut served = false;
    for _ in 0..100 {
        let (answer, _) = exchange(edge.address, good, LONG).await;
        served = answer.starts_with("HTTP/1.1 200 ");
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(served);
}

#[tokio::test]
async fn a_panic_answers_500_with_the_id_alone_and_the_process_lives() {
    // T71
    let edge = start(
        EdgeConfig::default(),
        |request: Request<Inbound>| async move {
            assert!(request.uri().path() != "/panic", "sk-secret-in-a-panic");
            ok()
        },
    )
    .await;
    let bad = b"GET /panic HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, _) = exchange(edge.address, bad, LONG).await;
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains("req_"),
        "{answer}"
    );
    assert!(!answer.contains("secret"));
    let good = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, _) = exchange(edge.address, good, LONG).await;
    assert!(answer.ends_with("fine"), "{answer}");
}

/// Panics where it is dropped, or logged.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("sk-secret-in-a-panic");
        }
    }
}

impl std::fmt::Display for Panics {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("sk-secret-in-a-panic")
    }
}

#[tokio::test]
async fn a_panic_in_a_drop_or_in_the_log_ends_one_connection_and_nothing_else() {
    // T71
    let (log, _heard) = crate::tests::Log::listen();
    let config = EdgeConfig {
        connections: 1,
        ..EdgeConfig::default()
    };
    let edge = start(config, |request: Request<Inbound>| async move {
        match request.uri().path() {
            "/drop" => drop(Panics),
            "/log" => tracing::info!("of {}", Panics),
            "/leave" => {
                let _held = Panics;
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        ok()
    })
    .await;
    for path in ["/drop", "/log"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (answer, closed) = exchange(edge.address, request.as_bytes(), LONG).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
        assert!(closed && !answer.contains("secret"), "{path}: {answer}");
    }
    // A client that leaves in the middle: what it leaves behind is dropped where nobody answers.
    let mut client = TcpStream::connect(edge.address)
        .await
        .expect("a connection");
    let request = b"GET /leave HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Its place is free again.
    let good = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, _) = exchange(edge.address, good, LONG).await;
    assert!(answer.ends_with("fine"), "{answer}");
    let log = log.text();
    assert!(log.contains("a request handler panicked"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn shutdown_lets_running_requests_end_and_cuts_the_rest() {
    let config = EdgeConfig {
        drain_ms: 500,
        ..EdgeConfig::default()
    };
    let edge = start(config, |request: Request<Inbound>| async move {
        let wait = match request.uri().path() {
            "/long" => Duration::from_secs(60),
            _ => Duration::from_millis(200),
        };
        tokio::time::sleep(wait).await;
        ok()
    })
    .await;
    let address = edge.address;
    let short = tokio::spawn(exchange(
        address,
        b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n",
        LONG,
    ));
    let long = tokio::spawn(exchange(
        address,
        b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n",
        LONG,
    ));
    tokio::time::sleep(Duration::from_millis(100)).await;
    edge.stop.send(()).expect("running");
    assert_eq!(edge.ended.await.expect("no panic").cut, 1);
    let (answer, closed) = short.await.expect("no panic");
    assert!(closed && answer.ends_with("fine"), "{answer}");
    let (answer, closed) = long.await.expect("no panic");
    assert!(closed && answer.is_empty(), "{answer}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_answer_arrives_although_the_body_was_not_read() {
    // T119: a client in the middle of a large body still learns why it was refused.
    let edge = start(EdgeConfig::default(), |_| async { ok() }).await;
    let mut bytes = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + (8 << 20), b'x');
    let (answer, closed) = exchange(edge.address, &bytes, LONG).await;
    assert!(closed && answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    // T125: the preface, alone and with frames behind it, as a client says it that knows beforehand what is spoken.
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let edge = start(EdgeConfig::default(), move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { ok() }
    })
    .await;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // Settings; then a thousand resets of streams that nobody opened.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    for frames in [vec![], settings.to_vec(), reset.repeat(1_000)] {
        let (answer, closed) = exchange(edge.address, &[PREFACE, &frames].concat(), LONG).await;
        assert!(closed);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    // Nor is it offered to whoever asks in HTTP/1.1.
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let (answer, _) = exchange(edge.address, upgrade, LONG).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

type Pieces = tokio::sync::mpsc::UnboundedReceiver<Result<&'static str, BoxError>>;

/// A body that a test makes piece by piece.
struct Told(Pieces);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let data =
            |piece: &'static str| http_body::Frame::data(Bytes::from_static(piece.as_bytes()));
        let piece = std::task::ready!(self.0.poll_recv(cx));
        Poll::Ready(piece.map(|piece| piece.map(data)))
    }
}

/// An edge whose answer to `/stream` is a stream of what is sent here, once, and to everything else `fine`.
async fn streaming(
    config: EdgeConfig,
) -> (
    Running,
    tokio::sync::mpsc::UnboundedSender<Result<&'static str, BoxError>>,
) {
    let (pieces, told) = tokio::sync::mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let edge = start(config, move |request: Request<Inbound>| {
        let told = Arc::clone(&told);
        async move {
            let is_stream = request.uri().path() == "/stream";
            let _ = request.into_body().collect().await;
            let mut told = told.lock().expect("no panic");
            let Some(told) = told.take_if(|_| is_stream) else {
                return ok().map(|body| Body::new(body.map_err(Into::into)));
            };
            let mut response = Response::new(Body::new(Told(told)));
            let events = http::HeaderValue::from_static("text/event-stream");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, events);
            response
        }
    })
    .await;
    (edge, pieces)
}

/// Reads until this text has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let mut some = [0; 1024];
            let count = stream.read(&mut some).await.expect("readable");
            assert!(count > 0, "{}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&some[..count]);
        }
    };
    timeout(LONG, reading).await.expect("in time");
    String::from_utf8(read).expect("text")
}

const STREAM: &[u8] = b"POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn each_event_of_a_stream_leaves_at_once_and_the_connection_goes_on() {
    let (edge, pieces) = streaming(EdgeConfig::default()).await;
    let mut client = TcpStream::connect(edge.address).await.expect("open");
    client.write_all(STREAM).await.expect("sent");
    // A request ahead of its turn waits for the end of the stream.
    let next = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(next).await.expect("sent");
    pieces.send(Ok("data: 1\n\n")).expect("open");
    let head = read_until(&mut client, "\r\n\r\n9\r\ndata: 1\n\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"),
        "{head}"
    );
    for line in [
        "transfer-encoding: chunked",
        "date: Tue, 14 Nov 2023 22:13:20 GMT",
    ] {
        assert_eq!(
            head.matches(&format!("\r\n{line}\r\n")).count(),
            1,
            "{head}"
        );
    }
    pieces.send(Ok("")).expect("open");
    pieces.send(Ok("data: a longer one\n\n")).expect("open");
    assert_eq!(
        read_until(&mut client, "one").await.trim_end(),
        "14\r\ndata: a longer one"
    );
    drop(pieces);
    let rest = read_until(&mut client, "fine").await;
    assert!(
        rest.trim_start()
            .starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{rest}"
    );
    client.write_all(next).await.expect("sent");
    read_until(&mut client, "fine").await;
}

#[tokio::test]
async fn a_stream_that_breaks_has_no_last_chunk() {
    let (edge, pieces) = streaming(EdgeConfig::default()).await;
    pieces.send(Ok("data: 1\n\n")).expect("open");
    let breaks = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        pieces.send(Err("broken".into())).expect("open");
    });
    let (answer, closed) = exchange(edge.address, STREAM, LONG).await;
    assert!(
        closed && answer.ends_with("9\r\ndata: 1\n\n\r\n"),
        "{answer}"
    );
    breaks.await.expect("no panic");
}

#[tokio::test]
async fn a_stream_whose_client_leaves_is_dropped() {
    let (edge, pieces) = streaming(EdgeConfig::default()).await;
    let mut client = TcpStream::connect(edge.address).await.expect("open");
    client.write_all(STREAM).await.expect("sent");
    pieces.send(Ok("data: 1\n\n")).expect("open");
    read_until(&mut client, "data: 1").await;
    assert!(!pieces.is_closed());
    drop(client);
    timeout(LONG, pieces.closed()).await.expect("dropped");
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_cut() {
    // T118
    let config = EdgeConfig {
        write_stall_ms: 200,
        ..EdgeConfig::default()
    };
    let (edge, pieces) = streaming(config).await;
    let mut client = TcpStream::connect(edge.address).await.expect("open");
    client.write_all(STREAM).await.expect("sent");
    let long: &'static str = "x".repeat(1 << 20).leak();
    for _ in 0..64 {
        pieces.send(Ok(long)).expect("open");
    }
    timeout(LONG, pieces.closed()).await.expect("dropped");
    drop(client);
}

#[tokio::test]
async fn a_stream_ends_before_the_edge_does_and_its_connection_with_it() {
    let (edge, pieces) = streaming(EdgeConfig::default()).await;
    let client = tokio::spawn(exchange(edge.address, STREAM, LONG));
    pieces.send(Ok("data: 1\n\n")).expect("open");
    tokio::time::sleep(Duration::from_millis(200)).await;
    edge.stop.send(()).expect("running");
    tokio::time::sleep(Duration::from_millis(200)).await;
    pieces.send(Ok("data: 2\n\n")).expect("open");
    drop(pieces);
    let (answer, closed) = client.await.expect("no panic");
    assert!(
        closed && answer.ends_with("data: 2\n\n\r\n0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(edge.ended.await.expect("no panic").cut, 0);
}

#[tokio::test]
async fn hyper_writes_the_streams_behind_which_a_connection_ends() {
    for (head, ends) in [
        (
            "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "\r\n0\r\n\r\n",
        ),
        ("GET /stream HTTP/1.0\r\nHost: a\r\n\r\n", "data: 1\n\n"),
    ] {
        let (edge, pieces) = streaming(EdgeConfig::default()).await;
        pieces.send(Ok("data: 1\n\n")).expect("open");
        drop(pieces);
        let (answer, closed) = exchange(edge.address, head.as_bytes(), LONG).await;
        assert!(closed && answer.ends_with(ends), "{answer}");
    }
}

#[tokio::test]
async fn requests_ahead_of_their_turn_keep_their_bytes_behind_streams() {
    // Each says how long the body was that it got: a byte that is lost or read twice shows in one of them.
    let edge = start(
        EdgeConfig::default(),
        |request: Request<Inbound>| async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.expect("a whole body");
            let text = format!("{path} {}\n\n", body.to_bytes().len());
            if path != "/stream" {
                let text = Full::new(Bytes::from(text));
                return Response::new(Body::new(text.map_err(Into::into)));
            }
            let (pieces, told) = tokio::sync::mpsc::unbounded_channel();
            pieces.send(Ok(&*text.leak())).expect("open");
            let mut response = Response::new(Body::new(Told(told)));
            let events = http::HeaderValue::from_static("text/event-stream");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, events);
            response
        },
    )
    .await;
    // hyper reads 8 KiB at first and more later, so most of these come in the midst of each other.
    let lengths = [
        9_000, 2, 20_000, 0, 100, 30_000, 8_100, 5, 12_345, 70_000, 1,
    ];
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for round in 0..3 {
        for (at, length) in lengths.into_iter().enumerate() {
            let path = if (at + round) % 4 == 3 {
                "/plain"
            } else {
                "/stream"
            };
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            requests.extend_from_slice(head.as_bytes());
            requests.resize(requests.len() + length, b'x');
            expected.push(format!("{path} {length}"));
        }
    }
    requests.extend_from_slice(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expected.push("/last 0".to_owned());
    let (answers, closed) = exchange(edge.address, &requests, LONG).await;
    let told: Vec<&str> = answers.lines().filter(|it| it.starts_with('/')).collect();
    assert!(closed);
    assert_eq!(told, expected);
}

/// Reads one whole answer with a body of `fine`.
async fn answer_of(stream: &mut TcpStream) -> String {
    timeout(LONG, read_until(stream, "fine"))
        .await
        .expect("an answer in time")
}

#[tokio::test]
async fn after_a_refusal_the_connection_goes_on_or_says_that_it_ends() {
    // The service reads no body, as it refuses whoever shows no key.
    let edge = start(EdgeConfig::default(), |_| async {
        let mut refusal = ok();
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        refusal
    })
    .await;
    let head = |length: usize, more: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\r\n")
    };

    // Clients send a head and its body apart, and use the connection for the next request.
    let mut stream = TcpStream::connect(edge.address).await.expect("connected");
    for _ in 0..3 {
        stream
            .write_all(head(5, "").as_bytes())
            .await
            .expect("sent");
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(b"hello").await.expect("sent");
        let answer = answer_of(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }

    // A client of HTTP/1.0 is told one thing, too.
    let old =
        "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 1000000\r\n\r\n";
    let (answer, closed) = exchange(edge.address, old.as_bytes(), LONG).await;
    assert!(answer.starts_with("HTTP/1.0 401 ") && closed, "{answer}");
    assert!(!answer.contains("keep-alive"), "{answer}");

    // A long body, one that is announced and not sent, and one that waits to be asked for are not waited for.
    for (length, more, sent) in [
        (1 << 20, "", &b""[..]),
        (5, "", &b"hel"[..]),
        (5, "Expect: 100-continue\r\n", &b""[..]),
    ] {
        let begun = Instant::now();
        let request = [head(length, more).as_bytes(), sent].concat();
        let (answer, closed) = exchange(edge.address, &request, LONG).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(closed && begun.elapsed() < LONG, "{answer}");
    }
}

#[tokio::test]
async fn a_body_whose_reader_knows_its_length_was_read_to_its_end() {
    let edge = start(
        EdgeConfig::default(),
        |request: Request<Inbound>| async move {
            let mut body = request.into_body();
            let mut missing = 5;
            while missing > 0 {
                let frame = body.frame().await.expect("more").expect("no error");
                missing -= frame.into_data().expect("data").len();
            }
            ok()
        },
    )
    .await;
    let mut stream = TcpStream::connect(edge.address).await.expect("connected");
    for _ in 0..2 {
        let head =
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
        stream.write_all(head).await.expect("sent");
        let answer = answer_of(&mut stream).await;
        assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}
