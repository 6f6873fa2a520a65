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

use domain::{AccountId, ApiKeyId, NanoUsd, RequestId, Timestamp, UserId, WorkspaceId};
use store::UsageRow;

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
