//! A provider that does what a test tells it to, over plain HTTP/1 on loopback, and keeps every byte it gets.

mod connection;
mod script;
pub mod wire;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use script::{KEY, Script};

/// How many requests and bytes are kept; more is a test that lost control.
const MAX_REQUESTS: usize = 100_000;
const MAX_BYTES: usize = 256 << 20;

/// A running provider. It stops when it is dropped.
pub struct ScriptedProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Counts connections from 0.
    pub connection: usize,
    /// Such as `POST`.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names and values in the order and case in which they came.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// When the request was complete.
    pub at: Instant,
}

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: VecDeque<Script>,
    by_key: Vec<(String, Script)>,
    by_path: Vec<(String, Script)>,
    default: Option<Script>,
    requests: Vec<Received>,
    connections: Vec<Vec<u8>>,
    bytes: usize,
    left_early: usize,
}

impl ScriptedProvider {
    /// Listens on a free port of 127.0.0.1. Until told otherwise it answers as a well-behaved provider does
    /// ([`wire::answer`]).
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST)
    }

    /// Listens on a free port of another loopback address, such as 127.0.0.2.
    pub fn start_on(ip: Ipv4Addr) -> Self {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let for_thread = Arc::clone(&shared);
        // A thread with a runtime of its own: the provider goes on when the test blocks.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(async {
                let listener = TcpListener::bind((ip, 0))
                    .await
                    .expect("loopback has a free port");
                let address = listener
                    .local_addr()
                    .expect("a bound socket has an address");
                tell.send(address).expect("the test waits for the address");
                tokio::select! {
                    () = connection::accept(listener, for_thread) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the provider started");
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next request with this script, before all other rules. Calls queue up.
    pub fn next(&self, script: Script) -> &Self {
        self.state().next.push_back(script);
        self
    }

    /// Answers every request that carries this key.
    pub fn on_key(&self, key: &str, script: Script) -> &Self {
        let mut state = self.state();
        state.by_key.retain(|(known, _)| known != key);
        state.by_key.push((key.to_owned(), script));
        drop(state);
        self
    }

    /// Answers every request whose path is `path`.
    pub fn on_path(&self, path: &str, script: Script) -> &Self {
        let mut state = self.state();
        state.by_path.retain(|(known, _)| known != path);
        state.by_path.push((path.to_owned(), script));
        drop(state);
        self
    }

    /// Answers everything that no other rule answers.
    pub fn always(&self, script: Script) -> &Self {
        self.state().default = Some(script);
        self
    }

    /// Forgets all scripts and all that was received; connections stay.
    pub fn reset(&self) -> &Self {
        let mut state = self.state();
        let connections = state.connections.len();
        *state = State {
            connections: vec![Vec::new(); connections],
            ..State::default()
        };
        drop(state);
        self
    }

    /// Every request so far, in the order of completion.
    pub fn requests(&self) -> Vec<Received> {
        self.state().requests.clone()
    }

    /// The latest request. Panics when there is none.
    pub fn last(&self) -> Received {
        self.state()
            .requests
            .last()
            .cloned()
            .expect("the provider got a request")
    }

    /// Every byte that each connection brought, complete requests or not.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.state().connections.clone()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.state().connections.len()
    }

    /// How often the peer closed the connection before the script was through.
    pub fn left_early(&self) -> usize {
        self.state().left_early
    }

    /// Waits until `done` holds. Panics after 30 seconds.
    pub async fn wait_until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done(self) {
            assert!(Instant::now() < deadline, "waited 30 s for: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until this many requests have come. Panics after 30 seconds.
    pub async fn wait_for_requests(&self, count: usize) {
        self.wait_until("requests", |provider| {
            provider.state().requests.len() >= count
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the provider's thread was printed; a second panic here would hide the first.
            let _ = thread.join();
        }
    }
}

impl Received {
    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The key that the request carried, in any of the headers that providers use.
    pub fn key(&self) -> Option<&str> {
        if let Some(value) = self.header("authorization") {
            return value.split_once(' ').map(|(_, key)| key.trim());
        }
        [
            "x-api-key",
            "x-goog-api-key",
            "api-key",
            "x-subscription-token",
        ]
        .iter()
        .find_map(|name| self.header(name))
    }

    /// The body as JSON. Panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the provider got JSON")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    pub(crate) fn open(&self) -> usize {
        let mut state = self.state();
        state.connections.push(Vec::new());
        state.connections.len() - 1
    }

    pub(crate) fn got(&self, connection: usize, bytes: &[u8]) {
        let mut state = self.state();
        state.bytes += bytes.len();
        assert!(
            state.bytes <= MAX_BYTES,
            "the scripted provider got more than {MAX_BYTES} bytes"
        );
        state.connections[connection].extend_from_slice(bytes);
    }

    pub(crate) fn left_early(&self) {
        self.state().left_early += 1;
    }

    /// Notes the request and says what to do with it.
    pub(crate) fn decide(&self, request: Received) -> Script {
        let mut state = self.state();
        let key = request.key().unwrap_or_default().to_owned();
        let rule = |rules: &[(String, Script)], wanted: &str| {
            rules
                .iter()
                .find(|(known, _)| known == wanted)
                .map(|(_, script)| script.clone())
        };
        let script = state
            .next
            .pop_front()
            .or_else(|| rule(&state.by_key, &key))
            .or_else(|| rule(&state.by_path, request.path()))
            .or_else(|| state.default.clone())
            .unwrap_or_else(|| wire::answer(&request));
        assert!(
            state.requests.len() < MAX_REQUESTS,
            "more than {MAX_REQUESTS} requests"
        );
        state.requests.push(request);
        script.with_key(&key)
    }
}
