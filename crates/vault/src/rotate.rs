//! Making data keys and sealing key pairs, wrapping them anew under another root key, and copying templates.
//!
//! Nothing here stores or destroys: the caller writes what it gets over what it gave. Every step may be
//! repeated after an abort; a record that is where it should be is checked and given back.

use std::fmt;
use std::sync::Arc;

use domain::record::{DataKeyRecord, KeyContext, SealingKeyRecord};
use domain::{KeyOwner, RandomError};
use zeroize::Zeroizing;

use crate::aad;
use crate::kms::{Kms, KmsError, split_key_id, unwrap_recorded, with_key_id};
use crate::open::OpenError;
use crate::root::Shared;
use crate::seal;

/// Makes data keys and sealing key pairs, and re-wraps. Cheap to clone.
#[derive(Clone)]
pub struct Rotator {
    shared: Arc<Shared>,
}

/// Why a key was not made or moved. What was there still holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// A record was changed or belongs elsewhere. Not retryable; treat as tampering.
    #[error("a record does not belong here or was changed")]
    Integrity,
    /// The KMS failed. See [`KmsError`] for whether to retry.
    #[error("the KMS failed")]
    Kms(#[source] KmsError),
    /// The random source failed. Retryable.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl Rotator {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A new data key for the provider keys of `owner`.
    ///
    /// # Errors
    /// [`RotateError::Random`] and [`RotateError::Kms`].
    pub async fn new_data_key(&self, owner: KeyOwner) -> Result<DataKeyRecord, RotateError> {
        let Shared {
            kms,
            sources,
            deployment,
            ..
        } = &*self.shared;
        let id = sources.id()?;
        let key = Zeroizing::new(sources.random.bytes()?);
        Ok(DataKeyRecord {
            id,
            owner,
            kms_key: kms.key_id().to_owned(),
            wrapped: kms
                .wrap(&key, &aad::data_key(*deployment, owner, id))
                .await?,
            created_at: sources.now(),
        })
    }

    /// The same data key, wrapped by `to`. A record that is under `to` already is checked and given back.
    ///
    /// # Errors
    /// [`RotateError::Integrity`] if it does not unwrap, [`RotateError::Kms`] if a KMS failed or the record is
    /// under neither key.
    pub async fn rewrap_data_key(
        &self,
        record: &DataKeyRecord,
        to: &dyn Kms,
    ) -> Result<DataKeyRecord, RotateError> {
        let aad = aad::data_key(self.shared.deployment, record.owner, record.id);
        if record.kms_key == to.key_id() {
            to.unwrap(&record.wrapped, &aad).await?;
            return Ok(record.clone());
        }
        let key =
            unwrap_recorded(&*self.shared.kms, &record.kms_key, &record.wrapped, &aad).await?;
        Ok(DataKeyRecord {
            kms_key: to.key_id().to_owned(),
            wrapped: to.wrap(&key, &aad).await?,
            ..record.clone()
        })
    }

    /// The same provider key under another context: a template of an account, copied into one of its workspaces.
    ///
    /// `envelope` stays as good as it was. The key goes where it went: provider, base URL and header are those of
    /// `from`, and only from an account to a workspace. Which account and whose workspace is the caller's to know.
    ///
    /// # Errors
    /// - [`RotateError::Integrity`]: the envelope does not open as `from`, `to` would send the key elsewhere, or a
    ///   data key is not its owner's.
    /// - [`RotateError::Kms`], [`RotateError::Random`]: nothing was written.
    pub async fn rebind_envelope(
        &self,
        envelope: &[u8],
        from: &KeyContext,
        from_key: &DataKeyRecord,
        to: &KeyContext,
        to_key: &DataKeyRecord,
    ) -> Result<Vec<u8>, RotateError> {
        let owners = (from.owner, to.owner);
        let same_way = from.provider == to.provider
            && from.base_url == to.base_url
            && from.auth_header == to.auth_header;
        if !same_way || !matches!(owners, (KeyOwner::Account(_), KeyOwner::Workspace(_))) {
            return Err(RotateError::Integrity);
        }
        let key = self.shared.open(envelope, from, from_key).await?;
        // Sealing asks the KMS, so the key cannot be lent to it for the length of a call.
        let key = Zeroizing::new(key.expose(<[u8]>::to_vec));
        Ok(self.shared.seal(&key, to, to_key).await?)
    }

    /// A new sealing key pair that is due to be replaced after `lifetime_ms`.
    ///
    /// # Errors
    /// [`RotateError::Random`] and [`RotateError::Kms`].
    pub async fn new_sealing_key(&self, lifetime_ms: i64) -> Result<SealingKeyRecord, RotateError> {
        let Shared {
            kms,
            sources,
            deployment,
            ..
        } = &*self.shared;
        let private = Zeroizing::new(sources.random.bytes()?);
        let public_key = seal::public_key(&private);
        let kek_id = seal::kek_id(&public_key);
        let created_at = sources.now();
        let wrapped = kms
            .wrap(&private, &aad::sealing_key(*deployment, &kek_id))
            .await?;
        Ok(SealingKeyRecord {
            wrapped_private: with_key_id(kms.key_id(), &wrapped),
            kek_id,
            public_key,
            created_at,
            expires_at: created_at.plus_millis(lifetime_ms),
        })
    }

    /// The same pair, its private half wrapped by `to`. A record that is under `to` already is checked and
    /// given back.
    ///
    /// # Errors
    /// [`RotateError::Integrity`] if it does not unwrap, [`RotateError::Kms`] if a KMS failed or the record is
    /// under neither key.
    pub async fn rewrap_sealing_key(
        &self,
        record: &SealingKeyRecord,
        to: &dyn Kms,
    ) -> Result<SealingKeyRecord, RotateError> {
        let (kms_key, _) = split_key_id(&record.wrapped_private)?;
        if kms_key == to.key_id() {
            self.shared.private_sealing_key(to, record).await?;
            return Ok(record.clone());
        }
        let private = self
            .shared
            .private_sealing_key(&*self.shared.kms, record)
            .await?;
        let aad = aad::sealing_key(self.shared.deployment, &record.kek_id);
        Ok(SealingKeyRecord {
            wrapped_private: with_key_id(to.key_id(), &to.wrap(&private, &aad).await?),
            ..record.clone()
        })
    }

    /// Whether a data key unwraps, asked of the KMS and not of memory.
    ///
    /// # Errors
    /// [`OpenError::Integrity`] if the record was changed, [`OpenError::Kms`] if the KMS failed or is another.
    pub async fn check_data_key(&self, record: &DataKeyRecord) -> Result<(), OpenError> {
        let aad = aad::data_key(self.shared.deployment, record.owner, record.id);
        unwrap_recorded(&*self.shared.kms, &record.kms_key, &record.wrapped, &aad).await?;
        Ok(())
    }

    /// Whether a sealing key's record is whole, asked of the KMS and not of memory.
    ///
    /// # Errors
    /// As [`check_data_key`](Self::check_data_key).
    pub async fn check_sealing_key(&self, record: &SealingKeyRecord) -> Result<(), OpenError> {
        self.shared
            .private_sealing_key(&*self.shared.kms, record)
            .await?;
        Ok(())
    }
}

impl From<KmsError> for RotateError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Integrity => Self::Integrity,
            KmsError::Random(error) => Self::Random(error),
            other => Self::Kms(other),
        }
    }
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rotator")
    }
}
