//! The root of the vault, which only the binary builds, and what its parts share.

use std::fmt;
use std::sync::Arc;

use domain::record::{DataKeyRecord, DeploymentRecord, KeyContext, SealingKeyRecord};
use domain::{DeploymentId, RandomError, Secret, Sources};
use zeroize::Zeroizing;

use crate::aad;
use crate::cache::{ActiveSealingKey, DataKey, DataKeys};
use crate::committed::Fresh;
use crate::envelope::Binding;
use crate::hash::Hasher;
use crate::intake::Intake;
use crate::kms::{Kms, KmsError, split_key_id, unwrap_recorded};
use crate::open::Opener;
use crate::release::Releaser;
use crate::rotate::Rotator;
use crate::seal;

/// An opened deployment. Hands out capabilities; has none itself but to move to another root key.
pub struct Root {
    shared: Arc<Shared>,
    hasher: Hasher,
}

/// Why a deployment does not open.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The root key is not the one of this deployment. Nothing was opened; start with the right one.
    #[error("this deployment's root key is {expected}, but {found} was given")]
    WrongKey {
        /// The id of the KMS key that the deployment was made with.
        expected: String,
        /// The id of the KMS key that was given.
        found: String,
    },
    /// The deployment record was changed or belongs to another deployment. Not retryable.
    #[error("the deployment record does not belong here or was changed")]
    Integrity,
    /// The KMS failed.
    #[error("the KMS failed")]
    Kms(#[source] KmsError),
    /// The random source failed; nothing was made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl Root {
    /// Makes a deployment: its id and its key, wrapped. The caller stores the record.
    ///
    /// # Errors
    /// [`RootError::Random`] and [`RootError::Kms`].
    pub async fn create(
        kms: Arc<dyn Kms>,
        sources: Sources,
    ) -> Result<(Self, DeploymentRecord), RootError> {
        let id: DeploymentId = sources.id()?;
        let key = Zeroizing::new(sources.random.bytes()?);
        let record = DeploymentRecord {
            id,
            kms_key: kms.key_id().to_owned(),
            wrapped_key: kms.wrap(&key, &aad::deployment_key(id)).await?,
            created_at: sources.now(),
        };
        Ok((Self::new(kms, sources, id, &key), record))
    }

    /// Opens the deployment of `record`.
    ///
    /// # Errors
    /// - [`RootError::WrongKey`]: `kms` is not the one that wrapped the record; nothing was tried.
    /// - [`RootError::Integrity`]: the record does not unwrap.
    /// - [`RootError::Kms`]: the KMS did not answer.
    pub async fn open(
        kms: Arc<dyn Kms>,
        sources: Sources,
        record: &DeploymentRecord,
    ) -> Result<Self, RootError> {
        let key = unwrap_deployment_key(&*kms, record).await?;
        Ok(Self::new(kms, sources, record.id, &key))
    }

    fn new(
        kms: Arc<dyn Kms>,
        sources: Sources,
        deployment: DeploymentId,
        key: &Zeroizing<[u8; 32]>,
    ) -> Self {
        let shared = Shared {
            kms,
            sources,
            deployment,
            data_keys: DataKeys::default(),
            sealing_key: ActiveSealingKey::default(),
        };
        Self {
            shared: Arc::new(shared),
            hasher: Hasher::new(key),
        }
    }

    /// Turns submissions into envelopes.
    pub fn intake(&self) -> Intake {
        Intake::new(Arc::clone(&self.shared), self.hasher.clone())
    }

    /// Opens envelopes.
    pub fn opener(&self) -> Opener {
        Opener::new(Arc::clone(&self.shared))
    }

    /// Seals keys of workspaces to somebody else.
    pub fn releaser(&self) -> Releaser {
        Releaser::new(Arc::clone(&self.shared))
    }

    /// Makes and re-wraps keys.
    pub fn rotator(&self) -> Rotator {
        Rotator::new(Arc::clone(&self.shared))
    }

    /// Gives keyed hashes.
    pub fn hasher(&self) -> Hasher {
        self.hasher.clone()
    }

    /// The same deployment under another KMS key. The last step of a rotation of the root key, after every
    /// data key and the sealing key: until then the old root key opens the deployment.
    ///
    /// A record that is under `to` already is checked and given back.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub async fn rewrap(
        &self,
        to: &dyn Kms,
        record: &DeploymentRecord,
    ) -> Result<DeploymentRecord, RootError> {
        if record.kms_key == to.key_id() {
            unwrap_deployment_key(to, record).await?;
            return Ok(record.clone());
        }
        let key = unwrap_deployment_key(&*self.shared.kms, record).await?;
        Ok(DeploymentRecord {
            kms_key: to.key_id().to_owned(),
            wrapped_key: to.wrap(&key, &aad::deployment_key(record.id)).await?,
            ..record.clone()
        })
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({})", self.shared.deployment)
    }
}

impl From<KmsError> for RootError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Integrity => Self::Integrity,
            KmsError::OtherKey {
                wrapped_by,
                current,
            } => Self::WrongKey {
                expected: wrapped_by,
                found: current,
            },
            KmsError::Random(error) => Self::Random(error),
            KmsError::Unavailable => Self::Kms(error),
        }
    }
}

async fn unwrap_deployment_key(
    kms: &dyn Kms,
    record: &DeploymentRecord,
) -> Result<Zeroizing<[u8; 32]>, RootError> {
    let aad = aad::deployment_key(record.id);
    Ok(unwrap_recorded(kms, &record.kms_key, &record.wrapped_key, &aad).await?)
}

/// What the capabilities have in common.
pub(crate) struct Shared {
    pub(crate) kms: Arc<dyn Kms>,
    pub(crate) sources: Sources,
    pub(crate) deployment: DeploymentId,
    pub(crate) sealing_key: ActiveSealingKey,
    data_keys: DataKeys,
}

impl Shared {
    /// The unwrapped data key of `record`.
    pub(crate) async fn data_key(&self, record: &DataKeyRecord) -> Result<Arc<DataKey>, KmsError> {
        let now = self.sources.now();
        if let Some(key) = self.data_keys.get(record, now) {
            return Ok(key);
        }
        let aad = aad::data_key(self.deployment, record.owner, record.id);
        let key = unwrap_recorded(&*self.kms, &record.kms_key, &record.wrapped, &aad).await?;
        let key = Arc::new(DataKey::new(key));
        self.data_keys.put(record, Arc::clone(&key), now);
        Ok(key)
    }

    /// The private half of a sealing key pair, if the record is whole: its id is the fingerprint of the
    /// public half, and the private half was wrapped for that id.
    pub(crate) async fn private_sealing_key(
        &self,
        kms: &dyn Kms,
        record: &SealingKeyRecord,
    ) -> Result<Zeroizing<[u8; 32]>, KmsError> {
        if seal::kek_id(&record.public_key) != record.kek_id {
            return Err(KmsError::Integrity);
        }
        let (kms_key, wrapped) = split_key_id(&record.wrapped_private)?;
        let aad = aad::sealing_key(self.deployment, &record.kek_id);
        unwrap_recorded(kms, kms_key, wrapped, &aad).await
    }

    /// Writes the envelope of a checked key.
    pub(crate) async fn seal(
        &self,
        key: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Vec<u8>, KmsError> {
        // Drawn before the KMS is asked: if the random source fails, nothing at all was done.
        let fresh = Fresh::draw(&self.sources.random)?;
        let secret = self.data_key_of(context, data_key).await?;
        Ok(self.binding(&secret, context, data_key).seal(key, &fresh))
    }

    /// Opens an envelope.
    pub(crate) async fn open(
        &self,
        envelope: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Secret, KmsError> {
        let secret = self.data_key_of(context, data_key).await?;
        self.binding(&secret, context, data_key)
            .open(envelope)
            .ok_or(KmsError::Integrity)
    }

    async fn data_key_of(
        &self,
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Arc<DataKey>, KmsError> {
        if data_key.owner != context.owner {
            return Err(KmsError::Integrity);
        }
        self.data_key(data_key).await
    }

    fn binding<'a>(
        &self,
        secret: &'a DataKey,
        context: &'a KeyContext,
        data_key: &DataKeyRecord,
    ) -> Binding<'a> {
        Binding {
            data_key: secret,
            data_key_id: data_key.id,
            deployment: self.deployment,
            context,
        }
    }
}
