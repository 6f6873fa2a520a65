//! Whether a provider accepts a key: the control plane asks before it keeps a key, the data plane answers.
//!
//! The trait turns a wall around: the control plane cannot open keys, and need not.

use domain::key::FailureKind;
use domain::ranking::Pace;
use domain::record::{DataKeyRecord, KeyContext};
use domain::{ProviderKeyId, Timestamp};

use crate::kms::BoxFuture;

/// Asks the provider, with the smallest call it has, whether it accepts a key that is not stored yet.
pub trait KeyProbe: Send + Sync {
    /// Opens `envelope` and calls the provider of `context` at its base URL.
    ///
    /// # Errors
    /// [`ProbeFailure`]; nothing of the provider's answer but its kind is in it.
    fn probe<'a>(
        &'a self,
        envelope: &'a [u8],
        context: &'a KeyContext,
        data_key: &'a DataKeyRecord,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>>;

    /// Until when calls prefer other keys to this version of the key, because it failed; `None`: it is awake, as
    /// far as this process knows.
    fn sleeping_until(&self, _key: ProviderKeyId, _version: i64) -> Option<Timestamp> {
        None
    }

    /// How quick the provider of a key was lately with this model, as far as this process knows.
    fn pace(&self, _context: &KeyContext, _model: &str) -> Pace {
        Pace::default()
    }
}

/// Why a probe did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// The provider answered and did not accept the key.
    #[error("the provider answered {}", .0.as_str())]
    Rejected(FailureKind),
    /// The provider did not answer.
    #[error("the provider did not answer")]
    Unreachable,
    /// The envelope did not open.
    #[error("the envelope does not open")]
    Unreadable,
}
