//! Ids: 128 bits, 48 of them the time in milliseconds, printed with a prefix that names their kind.
//!
//! The bits are laid out as a ULID: sorting by id sorts by time of creation.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base32;
use crate::time::Timestamp;

/// What every id can do; the kinds are separate types so that one cannot stand for another.
pub trait Id: Copy + Sized {
    /// The text before the digits, with its underscore: `ws_`.
    const PREFIX: &'static str;

    /// Builds an id from the time and 80 random bits.
    fn from_parts(created_at: Timestamp, random: [u8; 10]) -> Self;
}

/// Hashes what is random by its nature, as ids and digests under a key are: nobody can choose many that collide.
pub type RandomlyKeyed = foldhash::fast::RandomState;

/// A map by ids.
pub type IdMap<K, V> = HashMap<K, V, RandomlyKeyed>;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}<26 digits>")]
pub struct ParseIdError {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The 16 bytes behind the text.
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id whose bytes these are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The text, without going through the heap.
            pub fn text(&self) -> [u8; $prefix.len() + 26] {
                let mut text = [0; $prefix.len() + 26];
                text[..$prefix.len()].copy_from_slice($prefix.as_bytes());
                text[$prefix.len()..].copy_from_slice(&base32::id_digits(self.0));
                text
            }
        }

        impl Hash for $name {
            /// Of the random bits alone: a call looks up a dozen ids, and the rest makes none of them more different.
            fn hash<H: Hasher>(&self, state: &mut H) {
                let [.., a, b, c, d, e, f, g, h] = self.0;
                state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn from_parts(created_at: Timestamp, random: [u8; 10]) -> Self {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&created_at.millis().to_be_bytes()[2..]);
                bytes[6..].copy_from_slice(&random);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix($prefix)
                    .and_then(base32::decode)
                    .map(Self)
                    .ok_or(ParseIdError { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // In files that nobody reads but this program it takes less as it is.
                if !serializer.is_human_readable() {
                    return serializer.serialize_bytes(&self.0);
                }
                // Not through `fmt` nor the heap: every usage row has several.
                let text = self.text();
                let text = std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?;
                serializer.serialize_str(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return deserializer.deserialize_any(Kept(Self::from_bytes));
                }
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

/// Reads an id from a file of this program: its bytes, or its text, which versions before wrote.
struct Kept<I>(fn([u8; 16]) -> I);

impl<I: FromStr<Err = ParseIdError>> Visitor<'_> for Kept<I> {
    type Value = I;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<I, E> {
        let bytes = bytes.try_into().map_err(E::custom)?;
        Ok((self.0)(bytes))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<I, E> {
        text.parse().map_err(E::custom)
    }
}

ids! {
    /// One installation: a database and the root key that opens it.
    DeploymentId = "dep_";
    /// Who owns workspaces and pays for them.
    AccountId = "acc_";
    /// A person who logs in.
    UserId = "usr_";
    /// The boundary inside which keys, members and usage belong together.
    WorkspaceId = "ws_";
    /// A provider key: theirs, brought to us.
    ProviderKeyId = "pk_";
    /// An API key: ours, presented by clients.
    ApiKeyId = "ak_";
    /// A generation run: a prompt, its steps and what comes of them.
    RunId = "run_";
    /// A data key: encrypts the provider keys of one owner.
    DataKeyId = "dk_";
    /// A log-in of a person, until it ends or expires.
    SessionId = "ses_";
    /// An offer to join a workspace.
    InvitationId = "inv_";
    /// A script that sets a machine up.
    ScriptId = "scr_";
    /// A service that a machine keeps running.
    ServiceId = "svc_";
    /// One request on the data plane or the control plane.
    RequestId = "req_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_sorts_by_time() {
        let early = WorkspaceId::from_parts(Timestamp::from_millis(1_700_000_000_000), [0xff; 10]);
        let late = WorkspaceId::from_parts(Timestamp::from_millis(1_700_000_000_001), [0; 10]);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
    }

    #[test]
    fn another_kind_is_refused() {
        let id = UserId::from_bytes([1; 16]).to_string();
        assert!(id.parse::<WorkspaceId>().is_err());
        assert!("ws_".parse::<WorkspaceId>().is_err());
        assert!(id.to_uppercase().parse::<UserId>().is_err());
    }
}
