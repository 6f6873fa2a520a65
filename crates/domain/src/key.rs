//! Words about provider keys: whose they are, what they are called, what may be shown of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{AccountId, DeploymentId, ParseIdError, WorkspaceId};
use crate::policy::words;

/// The longest provider key that is accepted, in bytes.
pub const MAX_KEY_BYTES: usize = 4096;
/// The shortest provider key that is accepted, in bytes.
pub const MIN_KEY_BYTES: usize = 8;

/// Whose a provider key is: one workspace's, an account's for all of its workspaces, or the instance's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// Serves this workspace only.
    Workspace(WorkspaceId),
    /// Serves every workspace of the account.
    Account(AccountId),
    /// A platform key: serves managed calls of everybody, paid by credits.
    Instance(DeploymentId),
}

impl KeyOwner {
    /// What sort of an owner it is.
    pub const fn scope(self) -> KeyScope {
        match self {
            Self::Workspace(_) => KeyScope::Workspace,
            Self::Account(_) => KeyScope::Account,
            Self::Instance(_) => KeyScope::Instance,
        }
    }
}

words! {
    /// For whom a provider key serves, without saying which workspace or account that is.
    KeyScope("key scope") {
        /// One workspace.
        Workspace = "workspace",
        /// All workspaces of an account.
        Account = "account",
        /// Managed calls of everybody.
        Instance = "instance",
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(id) => id.fmt(f),
            Self::Account(id) => id.fmt(f),
            Self::Instance(id) => id.fmt(f),
        }
    }
}

impl FromStr for KeyOwner {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.parse()
            .map(Self::Account)
            .or_else(|_| text.parse().map(Self::Instance))
            .or_else(|_| text.parse().map(Self::Workspace))
    }
}

/// A name that breaks the rule for names of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {max} characters of {alphabet}, beginning with a letter or digit")]
pub struct InvalidName {
    what: &'static str,
    max: usize,
    alphabet: &'static str,
}

// Shared and not copied: each call leaves a dozen of them behind.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $alphabet:literal, $allowed:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let allowed: fn(u8) -> bool = $allowed;
                let fits = (1..=$max).contains(&text.len())
                    && text.bytes().all(allowed)
                    && text.as_bytes()[0].is_ascii_alphanumeric();
                if fits { Ok(Self(text.into())) } else {
                    Err(InvalidName { what: $what, max: $max, alphabet: $alphabet })
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A provider's id in the registry: `openai`. Exact; never corrected.
    ProviderId, "a provider id", 32, "a-z, 0-9 and -",
        |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    /// A plan's id: `pro`.
    PlanId, "a plan id", 32, "a-z, 0-9 and -",
        |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    /// What an owner calls one of several keys for a provider: `primary`.
    Label, "a label", 64, "A-Z, a-z, 0-9, dot, underscore and -",
        |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
}

impl Default for Label {
    /// `primary`: the label of a key that was given none.
    fn default() -> Self {
        Self("primary".into())
    }
}

/// Why a text cannot be a provider key. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Outside [`MIN_KEY_BYTES`] to [`MAX_KEY_BYTES`].
    #[error("a provider key has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} characters")]
    Length,
    /// A blank, a line break, a quote or a character outside ASCII.
    #[error(
        "a provider key has only visible ASCII characters, without blanks, quotes or line breaks"
    )]
    Character,
}

/// Checks the form that every provider key has: visible ASCII without blanks and quotes, of a sane length.
///
/// The key is taken byte for byte: a trailing line break is refused, not trimmed.
///
/// # Errors
/// [`InvalidKey`], which shows no part of the key.
pub fn check_key(key: &[u8]) -> Result<(), InvalidKey> {
    if !(MIN_KEY_BYTES..=MAX_KEY_BYTES).contains(&key.len()) {
        return Err(InvalidKey::Length);
    }
    if key
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b"\"'`\\".contains(byte))
    {
        Ok(())
    } else {
        Err(InvalidKey::Character)
    }
}

/// What may be shown of a key: first and last four characters of a long one, less of a shorter one.
///
/// 24 characters and more: `sk-a...bCdE`; 16 to 23: `...dE`; fewer: nothing but `...`. At least 12
/// characters stay hidden whenever any are shown. `key` has passed [`check_key`].
pub fn mask(key: &[u8]) -> String {
    let ascii = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match key.len() {
        24.. => format!("{}...{}", ascii(&key[..4]), ascii(&key[key.len() - 4..])),
        16..24 => format!("...{}", ascii(&key[key.len() - 2..])),
        _ => "...".to_owned(),
    }
}

/// Why a provider did not accept a key, as it is kept and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// 401: the provider does not know the key.
    InvalidKey,
    /// 403: the key lacks a permission.
    NoPermission,
    /// 402, or 429 that says the quota or balance is used up.
    NoQuota,
    /// 429: too many requests.
    RateLimited,
    /// 5xx.
    ProviderError,
    /// No connection, no answer in time, or an answer that is not one.
    Unreachable,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::InvalidKey,
        Self::NoPermission,
        Self::NoQuota,
        Self::RateLimited,
        Self::ProviderError,
        Self::Unreachable,
    ];

    /// The name in the API and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::NoPermission => "no_permission",
            Self::NoQuota => "no_quota",
            Self::RateLimited => "rate_limited",
            Self::ProviderError => "provider_error",
            Self::Unreachable => "unreachable",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_hides_at_least_twelve_characters_or_all() {
        for len in 0..=64 {
            let key: Vec<u8> = (0..len).map(|i| b'a' + (i % 26) as u8).collect();
            let shown = mask(&key).replace("...", "").len();
            assert!(
                shown == 0 || len - shown >= 12,
                "length {len} shows {shown}"
            );
        }
        assert_eq!(mask(b"sk-abcdefghijklmnopqrstuvwxyzbCdE"), "sk-a...bCdE");
        assert_eq!(mask(b"abcdefghijklmnop"), "...op");
        assert_eq!(mask(b"abcdefghijklmno"), "...");
    }

    #[test]
    fn keys_are_taken_byte_for_byte_or_refused() {
        assert_eq!(check_key(b"sk-0123456789"), Ok(()));
        for bad in [
            "sk-0123456789\n",
            "sk 0123456789",
            "\"sk-0123456789\"",
            "sk-\u{2011}123456789",
            "sk-0123\u{0}456789",
        ] {
            assert_eq!(check_key(bad.as_bytes()), Err(InvalidKey::Character));
        }
        for bad in [0, 7, MAX_KEY_BYTES + 1] {
            assert_eq!(check_key(&vec![b'k'; bad]), Err(InvalidKey::Length));
        }
    }

    #[test]
    fn names_are_exact() {
        assert!("openai".parse::<ProviderId>().is_ok());
        for bad in ["OpenAI", "", "-x", "a_b", "a b", "openai\n"] {
            assert!(bad.parse::<ProviderId>().is_err(), "{bad:?}");
        }
        assert_eq!(Label::default().as_str(), "primary");
        assert!("Team-1.prod_eu".parse::<Label>().is_ok());
        assert!("..".parse::<Label>().is_err());
    }

    #[test]
    fn owners_parse_back() {
        let owner = KeyOwner::Account(AccountId::from_bytes([3; 16]));
        assert_eq!(owner.to_string().parse(), Ok(owner));
        let owner = KeyOwner::Instance(DeploymentId::from_bytes([3; 16]));
        assert_eq!(owner.to_string().parse(), Ok(owner));
        assert!(
            "usr_00000000000000000000000000"
                .parse::<KeyOwner>()
                .is_err()
        );
    }
}
