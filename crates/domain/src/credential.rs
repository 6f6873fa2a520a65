//! The text form of the credentials that Keybearer issues: a prefix, 256 random bits and a checksum.
//!
//! The checksum (CRC-32 of the prefix and the digits) lets a secret scanner tell a real credential from a
//! look-alike without asking the server. It protects nothing.

use crate::base32;
use crate::secret::Secret;

/// What a credential is for; its prefix says so to people and scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// An API key, presented by clients of the data plane and the API: `kb_`.
    ApiKey,
    /// A log-in session, kept in a cookie: `kbs_`.
    Session,
    /// An invitation to a workspace, used once: `kbi_`.
    Invitation,
    /// What a program without a browser keeps until a person approves its log-in: `kbd_`.
    DeviceCode,
    /// The right to read one run's document: `kbl_`.
    RunLink,
    /// The right to create the first user, printed at the first start: `kbsetup_`.
    Setup,
    /// The right to enter the console of a local instance, once: `kbconsole_`.
    ConsoleLink,
    /// The right to give one person a new password, once: `kbpassword_`.
    PasswordLink,
}

impl CredentialKind {
    /// The prefix with its underscore.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "kb_",
            Self::Session => "kbs_",
            Self::Invitation => "kbi_",
            Self::DeviceCode => "kbd_",
            Self::RunLink => "kbl_",
            Self::Setup => "kbsetup_",
            Self::ConsoleLink => "kbconsole_",
            Self::PasswordLink => "kbpassword_",
        }
    }
}

/// The header that carries an API key as `Bearer kb_...`.
pub const BEARER_HEADER: &str = "authorization";

/// The headers that may carry a bare API key instead, in lower case: what the clients of the big APIs send.
pub const API_KEY_HEADERS: [&str; 4] = [
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "x-subscription-token",
];

const RANDOM_DIGITS: usize = 52;
const CHECK_DIGITS: usize = 7;

/// How many leading characters of an API key may be shown: the prefix and 6 of its 52 digits.
pub const SHOWN_PREFIX_CHARS: usize = 9;

/// Writes the credential that carries these 256 random bits.
pub fn write(kind: CredentialKind, random: &[u8; 32]) -> Secret {
    let mut text = String::with_capacity(kind.prefix().len() + RANDOM_DIGITS + CHECK_DIGITS);
    text.push_str(kind.prefix());
    text.push_str(&base32::encode(random));
    let check = crc32fast::hash(text.as_bytes()).to_be_bytes();
    text.push_str(&base32::encode(&check));
    Secret::from_text(text)
}

/// Whether `text` has the form of a credential of this kind: prefix, length, alphabet and checksum.
///
/// Says nothing about whether it was ever issued.
pub fn is_well_formed(kind: CredentialKind, text: &str) -> bool {
    let Some(digits) = text.strip_prefix(kind.prefix()) else {
        return false;
    };
    if digits.len() != RANDOM_DIGITS + CHECK_DIGITS || !digits.is_ascii() {
        return false;
    }
    let body_len = text.len() - CHECK_DIGITS;
    let check = crc32fast::hash(&text.as_bytes()[..body_len]).to_be_bytes();
    base32::decode::<32>(&digits[..RANDOM_DIGITS]).is_some()
        && base32::decode::<4>(&digits[RANDOM_DIGITS..]) == Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(secret: &Secret) -> String {
        secret.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("credentials are ASCII"))
    }

    #[test]
    fn every_single_character_change_is_noticed() {
        let key = text(&write(CredentialKind::ApiKey, &[0x5a; 32]));
        assert!(is_well_formed(CredentialKind::ApiKey, &key));
        for at in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert!(
                !is_well_formed(
                    CredentialKind::ApiKey,
                    &String::from_utf8(changed).expect("ASCII")
                ),
                "{at}"
            );
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let session = text(&write(CredentialKind::Session, &[7; 32]));
        assert!(!is_well_formed(CredentialKind::ApiKey, &session));
        assert!(!is_well_formed(
            CredentialKind::ApiKey,
            &format!("{session} ")
        ));
        assert!(!is_well_formed(CredentialKind::ApiKey, "kb_"));
    }
}
