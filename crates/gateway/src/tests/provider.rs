//! A provider that records every byte and does what the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One thing that the provider does on a connection after it has read a request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Waits until the test opens the gate once.
    Gate,
    Close,
    /// Leaves the connection to the test.
    HandOver,
}

/// What the provider saw and did.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    /// Head and body of each request, byte for byte.
    pub(super) requests: Vec<(String, Vec<u8>)>,
    /// Connections that the other side closed.
    pub(super) hung_up: usize,
}

#[derive(Clone)]
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Seen>>,
    script: Arc<Mutex<Vec<Step>>>,
    /// What to do after the next requests, before the script counts.
    first: Arc<Mutex<VecDeque<Vec<Step>>>>,
    gate: Arc<tokio::sync::Semaphore>,
    /// Whether it acts as soon as it has a request's head.
    hasty: Arc<AtomicBool>,
    handed: Arc<Mutex<VecDeque<TcpStream>>>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let provider = Self {
            address: listener.local_addr().expect("an address"),
            seen: Arc::default(),
            script: Arc::default(),
            first: Arc::default(),
            gate: Arc::new(tokio::sync::Semaphore::new(0)),
            hasty: Arc::default(),
            handed: Arc::default(),
        };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.seen.lock().expect("no panic").connections += 1;
                let provider = serving.clone();
                tokio::spawn(async move { provider.converse(stream).await });
            }
        });
        provider
    }

    /// What to do after each request from now on.
    pub(super) fn script(&self, steps: Vec<Step>) {
        *self.script.lock().expect("no panic") = steps;
    }

    /// What to do after one of the next requests, in their order.
    pub(super) fn once(&self, steps: Vec<Step>) {
        self.first.lock().expect("no panic").push_back(steps);
    }

    /// Answers with this status and an empty JSON error.
    pub(super) fn fails(&self, status: u16) {
        self.answers(
            status,
            &[("content-type", "application/json")],
            br#"{"error":{}}"#,
        );
    }

    /// Leaves each connection to the test as soon as it has a request's head; what came of the body is recorded.
    pub(super) fn hands_over_heads(&self) {
        self.hasty.store(true, Ordering::SeqCst);
        self.script(vec![Step::HandOver]);
    }

    /// How many requests it got.
    pub(super) fn hits(&self) -> usize {
        self.requests().len()
    }

    /// Answers with this status, these headers and this body.
    pub(super) fn answers(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.script(vec![Step::Send(answer(status, headers, body))]);
    }

    /// Answers with 200 and this JSON.
    pub(super) fn says(&self, json: &str) {
        self.answers(
            200,
            &[("content-type", "application/json")],
            json.as_bytes(),
        );
    }

    /// Answers with an event stream made of these pieces, a gate between each two.
    pub(super) fn streams(&self, pieces: &[&str]) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut steps = vec![Step::Send(head.into())];
        for piece in pieces {
            steps.push(Step::Send(chunk(piece)));
            steps.push(Step::Gate);
        }
        steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
        self.script(steps);
    }

    /// Lets the script go on past `gates` gates.
    pub(super) fn open(&self, gates: usize) {
        self.gate.add_permits(gates);
    }

    pub(super) fn requests(&self) -> Vec<(String, Vec<u8>)> {
        self.seen.lock().expect("no panic").requests.clone()
    }

    /// Whether a connection was closed by the other side within what a busy machine may take. How soon that is otherwise
    /// is measured where clients leave (T127).
    pub(super) async fn hung_up_soon(&self) -> bool {
        self.hung_up_within(Duration::from_secs(1)).await
    }

    /// How long it takes from now on until so many connections were closed by the other side.
    pub(super) async fn hung_up_after(&self, connections: usize) -> Duration {
        let begun = Instant::now();
        while self.seen.lock().expect("no panic").hung_up < connections {
            assert!(begun.elapsed() < Duration::from_secs(5), "it goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }

    /// Waits until a connection was closed by the other side.
    pub(super) async fn hung_up_within(&self, limit: Duration) -> bool {
        let waiting = async {
            while self.seen.lock().expect("no panic").hung_up == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// The connection that was left to the test first.
    pub(super) async fn handed(&self) -> TcpStream {
        loop {
            if let Some(stream) = self.handed.lock().expect("no panic").pop_front() {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn converse(&self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        let hasty = self.hasty.load(Ordering::SeqCst);
        while let Some(request) = read_request(&mut stream, &mut buffer, hasty).await {
            self.seen.lock().expect("no panic").requests.push(request);
            let first = self.first.lock().expect("no panic").pop_front();
            let steps = first.unwrap_or_else(|| self.script.lock().expect("no panic").clone());
            for step in steps {
                match step {
                    Step::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() {
                            return self.hung_up();
                        }
                    }
                    Step::Wait(time) => {
                        if tokio::time::timeout(time, gone(&stream)).await.is_ok() {
                            return self.hung_up();
                        }
                    }
                    Step::Gate => tokio::select! {
                        permit = self.gate.acquire() => permit.expect("open").forget(),
                        () = gone(&stream) => return self.hung_up(),
                    },
                    Step::Close => return,
                    Step::HandOver => {
                        return self.handed.lock().expect("no panic").push_back(stream);
                    }
                }
            }
        }
        self.hung_up();
    }

    fn hung_up(&self) {
        self.seen.lock().expect("no panic").hung_up += 1;
    }
}

/// Returns when the other side has closed the connection.
async fn gone(stream: &TcpStream) {
    let mut nothing = [0; 1];
    while matches!(stream.peek(&mut nothing).await, Ok(1)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// A chunk of the chunked coding.
pub(super) fn chunk(piece: &str) -> Vec<u8> {
    format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes()
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    hasty: bool,
) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end + 2]).into_owned();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a length"));
            let length = if hasty {
                buffer.len() - end - 4
            } else {
                length
            };
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
