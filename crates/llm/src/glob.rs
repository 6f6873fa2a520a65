//! Patterns of model names: `gpt-*`, `*-preview`, `*`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 256;

/// A pattern in which `*` stands for any run of characters, also an empty one. Everything else is itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(Box<str>);

/// A text that is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to {MAX_BYTES} characters, no blanks or control characters, and no `**`")]
pub struct InvalidGlob;

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`InvalidGlob`] if it is empty, too long, or holds a blank, a control character or `**`.
    pub fn parse(text: &str) -> Result<Self, InvalidGlob> {
        let fits = (1..=MAX_BYTES).contains(&text.len())
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
            && !text.contains("**");
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidGlob)
        }
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many characters the pattern fixes: of two patterns that match, the greater is the closer one.
    pub fn specificity(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != b'*').count()
    }

    /// Whether `name` fits, byte for byte.
    ///
    /// Takes the earliest place for each part, so there is no backtracking.
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return name == &*self.0;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            match memchr::memmem::find(name.as_bytes(), part.as_bytes()) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(tail)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
