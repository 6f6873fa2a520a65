//! The data plane against a real store, a real vault and scripted providers on loopback.

mod access;
mod answers;
mod client;
mod concurrency;
mod costs;
mod count_tokens;
mod credits;
mod cut_off;
mod embeddings;
mod errors_in_answers;
mod failover;
mod fallback;
mod forms;
mod gemini;
mod harness;
mod hedging;
mod hints;
mod holds;
mod images;
mod kept;
mod limits;
mod managed;
mod models;
mod moderations;
mod openings;
mod outages;
mod passed;
mod payer;
mod payers;
mod pins;
#[path = "../../../fuzz/play.rs"]
pub(crate) mod play;
mod presets;
mod probing;
mod provider;
mod ranking;
mod realtime;
mod registry;
mod requests;
mod rerank;
mod responses;
mod retry_after;
mod rooms;
mod silence;
mod speech;
mod spooling;
mod stalls;
mod streams;
mod terms;
mod translated;
mod uploads;
mod walk;

pub(crate) use harness::sources;

use std::sync::{Arc, Mutex};

use domain::{AccountId, ApiKeyId, NanoUsd, RequestId, Timestamp, UserId, WorkspaceId};
use store::UsageRow;

/// Collects what is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// As long as it is there, everything that this thread does is heard; so is what the runtime of a test does, which has this
/// one thread.
pub(crate) struct Heard {
    _subscriber: tracing::subscriber::DefaultGuard,
    /// While there is a single dispatcher, other tests' threads decide what is heard at all.
    _second: tracing::Dispatch,
}

impl Log {
    /// Collects everything, at the most talkative level.
    pub(crate) fn listen() -> (Self, Heard) {
        let log = Self::default();
        let writer = log.clone();
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        let heard = Heard {
            _subscriber: tracing::subscriber::set_default(subscriber),
            _second: second,
        };
        (log, heard)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The row of a call that nobody made.
pub(crate) fn usage_row(request: RequestId) -> UsageRow {
    UsageRow {
        request,
        at: Timestamp::from_millis(1_700_000_000_000),
        account: AccountId::from_bytes([0; 16]),
        workspace: WorkspaceId::from_bytes([0; 16]),
        api_key: ApiKeyId::from_bytes([0; 16]),
        user: UserId::from_bytes([0; 16]),
        wire_format: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        model_requested: String::new(),
        provider: None,
        model: None,
        key_source: None,
        key: None,
        key_label: None,
        status: 200,
        error_code: None,
        streamed: false,
        usage: None,
        latency_ms: 0,
        first_byte_ms: None,
        request_bytes: 0,
        response_bytes: 0,
        upstream_status: None,
        cost: None,
        pricing: None,
        catalog_version: None,
        charge: NanoUsd::ZERO,
        attempts: Vec::new(),
        fallback: false,
        key_scope: None,
        made: Vec::new(),
    }
}
