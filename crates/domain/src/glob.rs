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

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).expect("a pattern").matches(name)
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, fits) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o", "GPT-4o", false),
            ("gpt-*", "gpt-", true),
            ("gpt-*", "gpt-4o", true),
            ("gpt-*", "my-gpt-4o", false),
            ("*", "", true),
            ("*-latest", "mistral-latest", true),
            ("*-latest", "mistral-latest-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*bc", "abc", false),
            ("a*a", "a", false),
            ("accounts/*/models/*", "accounts/x/models/y", true),
            ("é*", "é-1", true),
            ("[g]pt?", "gpt4", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn texts_that_are_no_patterns_are_refused() {
        let long = "x".repeat(MAX_BYTES + 1);
        for bad in ["", "a b", "a\n", "a\u{a0}", "**", "a**b", &long] {
            assert_eq!(Glob::parse(bad), Err(InvalidGlob), "{bad:?}");
        }
    }

    /// The plain definition, exponential at worst.
    fn defined(pattern: &str, name: &str) -> bool {
        match pattern.strip_prefix('*') {
            Some(rest) => (0..=name.len())
                .filter(|at| name.is_char_boundary(*at))
                .any(|at| defined(rest, &name[at..])),
            None => match (pattern.chars().next(), name.chars().next()) {
                (None, None) => true,
                (Some(a), Some(b)) if a == b => {
                    defined(&pattern[a.len_utf8()..], &name[b.len_utf8()..])
                }
                _ => false,
            },
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        // T131: each star of these doubles the steps of a matcher that backtracks.
        let name = "a".repeat(MAX_BYTES);
        for (pattern, fits) in [
            (format!("{}b", "a*".repeat(127)), false),
            (format!("{}*", "a*a".repeat(63)), true),
            (format!("*{}b*", "aa*".repeat(84)), false),
            (format!("{}a", "*a".repeat(127)), true),
        ] {
            assert_eq!(matches(&pattern, &name), fits, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[abé]{0,3}(\\*[abé]{1,3}){0,3}\\*?", name in "[abé]{0,10}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                prop_assert_eq!(glob.matches(&name), defined(&pattern, &name));
            }
        }
    }
}
