//! The data plane's options. The defaults are those of the program's configuration.

use std::time::Duration;

use crate::connect::AddressPolicy;

/// The options of the data plane.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Sizes.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Which addresses beyond the public ones may be dialed.
    pub addresses: AddressPolicy,
    /// How long callers are served from memory while the database is away, in milliseconds.
    pub max_staleness_ms: u64,
    /// Whether the caller's provider keys come from variables of the environment: then a refusal for want of a key
    /// names them.
    pub keys_from_environment: bool,
}

/// Sizes, in bytes unless the name says otherwise.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest request body.
    pub body_bytes: usize,
    /// All request bodies together that are in memory at once.
    pub all_bodies_bytes: usize,
    /// Calls that one API key makes at once; further calls are refused.
    pub calls_per_key: usize,
    /// Longest answer of a provider.
    pub answer_bytes: u64,
    /// Connections to providers that wait for their next request.
    pub idle_connections: usize,
    /// Calls whose usage may wait to be written; further calls are refused.
    pub waiting_usage_rows: usize,
}

/// Times, in milliseconds.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Until a request body is there that is held, or the beginning of one that flows.
    pub request_body_ms: u64,
    /// Until all of a request body is there that flows.
    pub upload_ms: u64,
    /// Until a connection to a provider stands, TLS included.
    pub connect_ms: u64,
    /// From the request's head to the head of the provider's answer; where the body flows, from its last byte.
    pub first_byte_ms: u64,
    /// Between two pieces of the answer, or of a body that flows while the provider takes it.
    pub idle_ms: u64,
    /// From the request's head to the end of the answer.
    pub total_ms: u64,
}

impl Timeouts {
    pub(crate) fn upload(&self) -> Duration {
        Duration::from_millis(self.upload_ms)
    }

    pub(crate) fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms.min(self.total_ms))
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms)
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            addresses: AddressPolicy::default(),
            max_staleness_ms: 60_000,
            keys_from_environment: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            all_bodies_bytes: 1 << 30,
            calls_per_key: 256,
            answer_bytes: 1 << 30,
            idle_connections: 16_384,
            waiting_usage_rows: 10_000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_body_ms: 120_000,
            upload_ms: 300_000,
            connect_ms: 10_000,
            first_byte_ms: 300_000,
            idle_ms: 120_000,
            total_ms: 3_600_000,
        }
    }
}
