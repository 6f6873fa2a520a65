//! Keyed hashes of credentials that we issue, and of what must not be submitted twice.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::crypto;

/// SHA-256 of something that is no secret, in hex: a name for what was written, in the audit log and on the screen of
/// whoever runs it.
pub fn content_sha256(content: &[u8]) -> String {
    crypto::hex(&crypto::sha256(&[content]))
}

/// What a hash is for. The same value has a different hash for each purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashPurpose {
    /// An API key of ours.
    ApiKey,
    /// A log-in session.
    Session,
    /// An invitation.
    Invitation,
    /// What a program keeps until its log-in is approved.
    DeviceCode,
    /// What a person types to approve a program's log-in.
    UserCode,
    /// The right to read one run's document.
    RunLink,
    /// The right to create the first user.
    Setup,
    /// A sealed box, or the number inside one, that must not be accepted twice.
    Replay,
    /// A provider key from the environment, to know it again.
    Found,
    /// The right to enter the console of a local instance.
    ConsoleLink,
    /// The right to give one person a new password.
    PasswordLink,
}

impl HashPurpose {
    /// All purposes.
    pub const ALL: [Self; 11] = [
        Self::ApiKey,
        Self::Session,
        Self::Invitation,
        Self::DeviceCode,
        Self::UserCode,
        Self::RunLink,
        Self::Setup,
        Self::Replay,
        Self::Found,
        Self::ConsoleLink,
        Self::PasswordLink,
    ];

    const fn info(self) -> &'static str {
        match self {
            Self::ApiKey => "keybearer/hash/api-key/v1",
            Self::Session => "keybearer/hash/session/v1",
            Self::Invitation => "keybearer/hash/invitation/v1",
            Self::DeviceCode => "keybearer/hash/device-code/v1",
            Self::UserCode => "keybearer/hash/user-code/v1",
            Self::RunLink => "keybearer/hash/run-link/v1",
            Self::Setup => "keybearer/hash/setup/v1",
            Self::Replay => "keybearer/hash/replay/v1",
            Self::Found => "keybearer/hash/found/v1",
            Self::ConsoleLink => "keybearer/hash/console-link/v1",
            Self::PasswordLink => "keybearer/hash/password-link/v1",
        }
    }
}

/// Gives keyed hashes. Without the deployment key nobody can tell which credential a hash belongs to.
#[derive(Clone)]
pub struct Hasher {
    keys: Arc<[hmac::Key; HashPurpose::ALL.len()]>,
}

impl Hasher {
    pub(crate) fn new(deployment_key: &Zeroizing<[u8; 32]>) -> Self {
        let keys = HashPurpose::ALL.map(|purpose| {
            let key = crypto::hkdf::<32>(&[], &**deployment_key, purpose.info().as_bytes());
            crypto::hmac_key(&*key)
        });
        Self {
            keys: Arc::new(keys),
        }
    }

    /// HMAC-SHA-256 of `value` under the key of `purpose`. The same for the life of the deployment.
    pub fn hash(&self, purpose: HashPurpose, value: &[u8]) -> [u8; 32] {
        crypto::hmac(&self.keys[purpose as usize], value)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}
