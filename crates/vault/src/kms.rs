//! The vault's one joint: who holds the key that wraps all other keys.
//!
//! The vault gives every wrap its context as associated data, so a KMS that honors it cannot be made to
//! unwrap one owner's key for another. An implementation passes [`crate::exercise`].

pub mod local;

use std::pin::Pin;

use domain::RandomError;
use zeroize::Zeroizing;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wraps and unwraps keys of 32 bytes under a key that never leaves it.
pub trait Kms: Send + Sync {
    /// The current key's id, of 1 to 255 bytes. Public: it is stored beside each wrapped key and may be logged.
    fn key_id(&self) -> &str;

    /// Encrypts `key` under the current key, bound to `aad`. Two calls never give the same bytes.
    ///
    /// # Errors
    /// [`KmsError::Unavailable`] and [`KmsError::Random`]; nothing was wrapped.
    fn wrap<'a>(
        &'a self,
        key: &'a [u8; 32],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>>;

    /// Decrypts what [`wrap`](Self::wrap) wrote with the same `aad`.
    ///
    /// # Errors
    /// [`KmsError::Integrity`] if a byte or the context differs; [`KmsError::Unavailable`] if it did not answer.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KmsError>>;
}

/// Why a key could not be wrapped or unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The KMS did not answer. Retryable.
    #[error("the KMS did not answer")]
    Unavailable,
    /// The wrapped key was changed or belongs elsewhere. Not retryable; treat as tampering.
    #[error("a wrapped key does not belong here or was changed")]
    Integrity,
    /// The key is wrapped by another KMS key than the current one. Not retryable: finish the rotation of
    /// the root key (`keybearer root-key rotate`), or start with the root key that is named.
    #[error(
        "the key is wrapped by {wrapped_by}, but the current KMS key is {current}; an interrupted `keybearer root-key rotate` must be run again"
    )]
    OtherKey {
        /// The id of the KMS key that wrapped it.
        wrapped_by: String,
        /// The id of the KMS key in use.
        current: String,
    },
    /// The random source failed. Retryable.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Puts the KMS key's id before a wrapped key, for a record that has no field for it: length (u8), id, rest.
pub(crate) fn with_key_id(key_id: &str, wrapped: &[u8]) -> Vec<u8> {
    let len = u8::try_from(key_id.len()).expect("ids of KMS keys are short");
    [&[len], key_id.as_bytes(), wrapped].concat()
}

/// Splits what [`with_key_id`] joined.
pub(crate) fn split_key_id(bytes: &[u8]) -> Result<(&str, &[u8]), KmsError> {
    let split = || {
        let (len, rest) = bytes.split_first()?;
        let (key_id, wrapped) = rest.split_at_checked(usize::from(*len))?;
        Some((std::str::from_utf8(key_id).ok()?, wrapped))
    };
    split().ok_or(KmsError::Integrity)
}

/// Unwraps after a look at the recorded key id, so that a wrong root key is named and not taken for tampering.
pub(crate) async fn unwrap_recorded(
    kms: &dyn Kms,
    kms_key: &str,
    wrapped: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<[u8; 32]>, KmsError> {
    if kms_key != kms.key_id() {
        return Err(KmsError::OtherKey {
            wrapped_by: kms_key.to_owned(),
            current: kms.key_id().to_owned(),
        });
    }
    kms.unwrap(wrapped, aad).await
}
