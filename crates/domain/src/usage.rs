//! What one call consumed.

use serde::{Deserialize, Serialize};

/// Model tokens of one call, each counted once: `input` leaves out what stands in the cache fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the provider's cache.
    pub input_tokens: u64,
    /// Input tokens read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Input tokens written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Output tokens spent on reasoning; part of `output_tokens`.
    pub reasoning_tokens: u64,
}

/// On what terms a provider served a call, where prices depend on them. What is not known is as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many of the tokens that were written to the cache stay there for an hour.
    pub hour_cache_write_tokens: u64,
    /// Whether the provider says that another tier of service than the standard one served, which costs more or less.
    pub is_other_tier: bool,
}
