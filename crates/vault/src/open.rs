//! Opening envelopes, for the data plane.

use std::fmt;
use std::sync::Arc;

use domain::Secret;
use domain::record::{DataKeyRecord, KeyContext};

use crate::kms::KmsError;
use crate::root::Shared;

/// Opens envelopes. Cheap to clone.
#[derive(Clone)]
pub struct Opener {
    shared: Arc<Shared>,
}

/// Why an envelope does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Changed, malformed, or written for another owner, key, provider or base URL. Not retryable; treat
    /// as tampering.
    #[error("the stored key does not belong here or was changed")]
    Integrity,
    /// The data key could not be unwrapped. See [`KmsError`] for whether to retry.
    #[error("the data key could not be unwrapped")]
    Kms(#[source] KmsError),
}

impl Opener {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Opens an envelope and returns the provider key inside, byte for byte.
    ///
    /// `envelope`: as [`Accepted::envelope`](crate::Accepted) had it; at most some 4 KiB. Unwrapped
    /// data keys are kept for up to ten minutes, so most calls do not reach the KMS.
    ///
    /// # Errors
    /// - [`OpenError::Integrity`]: whatever is wrong with envelope, context or data key, without a reason.
    /// - [`OpenError::Kms`]: the KMS did not answer, or `data_key` is under another root key.
    pub async fn open(
        &self,
        envelope: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Secret, OpenError> {
        Ok(self.shared.open(envelope, context, data_key).await?)
    }
}

impl From<KmsError> for OpenError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Integrity => Self::Integrity,
            other => Self::Kms(other),
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}
