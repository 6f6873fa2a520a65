//! What a format can be asked for beside its main call.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FormatId;

/// A call of a format that has a path of its own, beside the one that the format is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// How many model tokens a request for messages would have.
    CountTokens,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[Self::CountTokens];

    /// The name in provider files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CountTokens => "count_tokens",
        }
    }

    /// The format that it belongs to.
    pub const fn format(self) -> FormatId {
        match self {
            Self::CountTokens => FormatId::AnthropicMessages,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
