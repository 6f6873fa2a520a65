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
    /// A picture made of others.
    Edits,
    /// Pictures like another.
    Variations,
    /// What was said, in English.
    Translations,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CountTokens,
        Self::Edits,
        Self::Variations,
        Self::Translations,
    ];

    /// The name in provider files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CountTokens => "count_tokens",
            Self::Edits => "edits",
            Self::Variations => "variations",
            Self::Translations => "translations",
        }
    }

    /// The format that it belongs to.
    pub const fn format(self) -> FormatId {
        match self {
            Self::CountTokens => FormatId::AnthropicMessages,
            Self::Edits | Self::Variations => FormatId::OpenaiImages,
            Self::Translations => FormatId::OpenaiTranscriptions,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
