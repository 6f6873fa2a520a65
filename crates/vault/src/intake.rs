//! From a submission to an envelope, for the control plane.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::key::{self, InvalidKey};
use domain::record::{DataKeyRecord, KeyContext, SealingKeyRecord};
use domain::{RandomError, Secret, Timestamp};
use zeroize::Zeroizing;

use crate::cache::SharedKey;
use crate::hash::{HashPurpose, Hasher};
use crate::kms::KmsError;
use crate::root::Shared;
use crate::{aad, box_v1, seal};

/// The longest text of a sealed box that is looked at, in characters.
pub const MAX_BOX_CHARS: usize = 16 * 1024;

/// A sealed box as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The sealing key that the client used.
    pub kek_id: &'a str,
    /// The box in padded standard base64.
    pub ciphertext_b64: &'a str,
}

/// Whether a box without context is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawBox {
    /// The provider's base URL is fixed, so whoever replays the box cannot choose where the key goes.
    Accept,
    /// The base URL is the caller's choice: the box must name it.
    Refuse,
}

/// What holds for one submission.
#[derive(Debug, Clone, Copy)]
pub struct IntakeRules {
    /// The time against which a box's own time is judged.
    pub now: Timestamp,
    /// Whether a box without context is taken.
    pub raw_box: RawBox,
}

/// A key that was taken in, ready to be stored.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The encrypted key.
    pub envelope: Vec<u8>,
    /// What may be shown of it.
    pub mask: String,
    /// The sealing key it came under; `None` if it came in plain text.
    pub kek_id: Option<String>,
    /// Keyed hash of what makes the submission unique. The store refuses one that it has seen, in any
    /// workspace. `None` if the key came in plain text.
    pub replay: Option<[u8; 32]>,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Sealed to another key than the active one. The client fetches the current one and seals again.
    #[error("sealed to another key than the current one, {current}")]
    StaleKek {
        /// The id of the active sealing key.
        current: String,
    },
    /// The box is not acceptable. One error for every reason, so that it tells a forger nothing.
    #[error("the sealed box is not acceptable")]
    Refused,
    /// The box is fine; what is inside cannot be a provider key.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// A key could not be unwrapped. See [`KmsError`] for whether to retry.
    #[error("a key could not be unwrapped")]
    Kms(#[source] KmsError),
    /// The random source failed; nothing was written. Retryable.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Turns submissions into envelopes. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    hasher: Hasher,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>, hasher: Hasher) -> Self {
        Self { shared, hasher }
    }

    /// Opens a sealed box and writes what is inside as an envelope under `data_key`, bound to `context`.
    ///
    /// `sealing_key` is the active one; no other is tried. The caller marks [`Accepted::replay`] as
    /// spent before it does anything with the envelope, and drops the envelope if it was spent before.
    ///
    /// # Errors
    /// - [`IntakeError::StaleKek`]: sealed to another key; nothing was opened.
    /// - [`IntakeError::Refused`]: the box, whatever is wrong with it: its encoding, length, tag, context,
    ///   time, or that it has no context where one is needed.
    /// - [`IntakeError::InvalidKey`]: the box was good, the key inside has an impossible form.
    /// - [`IntakeError::Kms`] and [`IntakeError::Random`]: nothing was taken in; retryable unless a record
    ///   was tampered with.
    pub async fn accept(
        &self,
        sealing_key: &SealingKeyRecord,
        submission: &Submission<'_>,
        rules: &IntakeRules,
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Accepted, IntakeError> {
        if submission.kek_id != sealing_key.kek_id {
            return Err(IntakeError::StaleKek {
                current: sealing_key.kek_id.clone(),
            });
        }
        let sealed = decode(submission.ciphertext_b64).ok_or(IntakeError::Refused)?;
        let private = self.private_key(sealing_key).await?;
        let content = seal::open(&private, &sealed).ok_or(IntakeError::Refused)?;
        let (key, unique) = self.read(&sealed, &content, rules, context)?;
        let replay = self.hasher.hash(HashPurpose::Replay, &unique);
        self.write(
            key,
            context,
            data_key,
            Some((sealing_key.kek_id.clone(), replay)),
        )
        .await
    }

    /// Writes a key that came in plain text as an envelope under `data_key`, bound to `context`.
    ///
    /// # Errors
    /// [`IntakeError::InvalidKey`], [`IntakeError::Kms`] and [`IntakeError::Random`], as in [`accept`](Self::accept).
    pub async fn accept_plain(
        &self,
        key: Secret,
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Accepted, IntakeError> {
        // A copy of its own, because the closure that lends the bytes cannot be awaited in.
        let key = key.expose(|key| Zeroizing::new(key.to_vec()));
        self.write(&key, context, data_key, None).await
    }

    /// Checks that a sealing key's record is whole: the private half unwraps, and for this public key.
    ///
    /// To be asked before a public key is handed to clients: a record that someone edited in the database
    /// would make them seal to a stranger.
    ///
    /// # Errors
    /// [`IntakeError::Kms`], with [`KmsError::Integrity`] if the record was changed.
    pub async fn check_sealing_key(
        &self,
        sealing_key: &SealingKeyRecord,
    ) -> Result<(), IntakeError> {
        self.private_key(sealing_key).await.map(drop)
    }

    /// Drops the private sealing key that is held in memory, unless it is that of `active_kek_id`.
    ///
    /// To be called after a rotation. Otherwise the replaced key leaves memory with the next submission.
    pub fn forget_retired_sealing_key(&self, active_kek_id: &str) {
        self.shared.sealing_key.retain(active_kek_id);
    }

    async fn private_key(&self, record: &SealingKeyRecord) -> Result<SharedKey, IntakeError> {
        let Shared {
            kms, sealing_key, ..
        } = &*self.shared;
        if let Some(private) = sealing_key.get(record) {
            return Ok(private);
        }
        let private = Arc::new(self.shared.private_sealing_key(&**kms, record).await?);
        sealing_key.put(record, Arc::clone(&private));
        Ok(private)
    }

    /// The key inside a box, and what makes the submission unique.
    fn read<'a>(
        &self,
        sealed: &[u8],
        content: &'a [u8],
        rules: &IntakeRules,
        context: &KeyContext,
    ) -> Result<(&'a [u8], Vec<u8>), IntakeError> {
        match content {
            [] => Err(IntakeError::Refused),
            [b'{', ..] => {
                let expected = box_v1::Expected {
                    node: &self.shared.deployment.to_string(),
                    owner: &context.owner.to_string(),
                    provider: context.provider.as_str(),
                    base_url: &context.base_url,
                    now: rules.now,
                };
                let (key, jti) = box_v1::read(content, &expected).ok_or(IntakeError::Refused)?;
                Ok((key, aad::list(&[b"jti", &jti])))
            }
            key => match rules.raw_box {
                RawBox::Accept => Ok((key, aad::list(&[b"box", sealed]))),
                RawBox::Refuse => Err(IntakeError::Refused),
            },
        }
    }

    async fn write(
        &self,
        key: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
        sealed: Option<(String, [u8; 32])>,
    ) -> Result<Accepted, IntakeError> {
        check_key(key)?;
        let envelope = self.shared.seal(key, context, data_key).await?;
        let (kek_id, replay) = sealed.unzip();
        Ok(Accepted {
            envelope,
            mask: key::mask(key),
            kek_id,
            replay,
        })
    }
}

impl From<KmsError> for IntakeError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Random(error) => Self::Random(error),
            other => Self::Kms(other),
        }
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

/// The form of every provider key, and that it cannot be taken for a box of version 1.
pub(crate) fn check_key(key: &[u8]) -> Result<(), InvalidKey> {
    key::check_key(key)?;
    if key.starts_with(b"{") {
        return Err(InvalidKey::Character);
    }
    Ok(())
}

/// Padded standard base64 in its one canonical form.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_BOX_CHARS {
        return None;
    }
    STANDARD.decode(text).ok()
}
