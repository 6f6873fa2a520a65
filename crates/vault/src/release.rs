//! Handing a stored key to somebody else: opened and sealed to a one-time public key in one step.
//!
//! The control plane asks for this and gets boxes; no caller of the vault but the holder of the private half can open
//! one. What a box is for stands inside it, because a sealed box does not say who made it.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::record::{DataKeyRecord, KeyContext};
use domain::{
    DeploymentId, KeyOwner, ProviderId, ProviderKeyId, Random, RandomError, Secret, Timestamp,
    WorkspaceId,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::{self, KEY_BYTES};
use crate::kms::KmsError;
use crate::open::OpenError;
use crate::root::Shared;
use crate::seal::{self, WINDOW_MS};

/// The content is padded to a multiple of this.
const STEP_BYTES: usize = 256;
/// What a box is for. A box that submits a key has no such field, and is refused with it.
const PURPOSE: &str = "release";

/// Seals stored keys of workspaces to whoever is to run a program with them. Cheap to clone. There is no way through
/// it to a key's text.
#[derive(Clone)]
pub struct Releaser {
    shared: Arc<Shared>,
}

/// Why no box was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The key belongs to an account or to the instance. Such keys are never released.
    #[error("the key does not belong to a workspace")]
    NotOfAWorkspace,
    /// The envelope does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The random source failed. Retryable.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The public key that a box is sealed to; its private half never leaves the program that drew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient([u8; KEY_BYTES]);

impl Recipient {
    /// Reads padded standard base64 of 32 bytes. `None` for any other text, and for a key of low order, to which
    /// everybody could open.
    pub fn read(text: &str) -> Option<Self> {
        let public: [u8; KEY_BYTES] = STANDARD.decode(text).ok()?.try_into().ok()?;
        // Low order shows with any private key; this one is not used for anything else.
        crypto::x25519(&[0x40; KEY_BYTES], &public)?;
        Some(Self(public))
    }
}

/// What a box says about itself, beside the key, its recipient and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseContext<'a> {
    /// The installation that released it.
    pub node: DeploymentId,
    /// The workspace whose key it is.
    pub workspace: WorkspaceId,
    /// The key.
    pub key: ProviderKeyId,
    /// The version of the key's value.
    pub version: i64,
    /// The provider that issued it.
    pub provider: &'a ProviderId,
}

/// The fields, in the order in which they are written. Texts are borrowed, so that reading makes no copy of the key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    v: u8,
    purpose: &'a str,
    node: &'a str,
    ws: &'a str,
    key_id: &'a str,
    version: i64,
    provider: &'a str,
    /// The recipient, in padded standard base64.
    to: &'a str,
    /// Unix time in whole seconds.
    iat: i64,
    key: &'a str,
}

impl Releaser {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Opens an envelope of a workspace and seals the key inside to `recipient`, with what it is for. The answer is
    /// padded standard base64, some 6 KiB at most.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing was sealed.
    pub async fn release(
        &self,
        envelope: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
        recipient: &Recipient,
        now: Timestamp,
    ) -> Result<String, ReleaseError> {
        let KeyOwner::Workspace(workspace) = context.owner else {
            return Err(ReleaseError::NotOfAWorkspace);
        };
        let opened = self.shared.open(envelope, context, data_key).await;
        let key = opened.map_err(OpenError::from)?;
        let about = ReleaseContext {
            node: self.shared.deployment,
            workspace,
            key: context.key,
            version: context.version,
            provider: &context.provider,
        };
        let content = key.expose(|key| write(key, &about, recipient, now))?;
        let mut ephemeral = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(ephemeral.as_mut()).map_err(|_| RandomError)?;
        // A recipient is no key of low order.
        let sealed = seal::seal_with(&recipient.0, &content, ephemeral);
        let sealed = sealed.map_err(|_| OpenError::Integrity)?;
        Ok(STANDARD.encode(sealed))
    }
}

impl fmt::Debug for Releaser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Releaser")
    }
}

fn write(
    key: &[u8],
    about: &ReleaseContext<'_>,
    recipient: &Recipient,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let [node, workspace, id] = [
        about.node.to_string(),
        about.workspace.to_string(),
        about.key.to_string(),
    ];
    let content = Content {
        v: 1,
        purpose: PURPOSE,
        node: &node,
        ws: &workspace,
        key_id: &id,
        version: about.version,
        provider: about.provider.as_str(),
        to: &STANDARD.encode(recipient.0),
        iat: now.millis().div_euclid(1000),
        // Every key was checked when it was taken in.
        key: std::str::from_utf8(key).map_err(|_| OpenError::Integrity)?,
    };
    // Reserved at once: growing would leave copies of the key behind. A key has nothing that JSON escapes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(key.len() + 4 * STEP_BYTES));
    serde_json::to_writer(&mut *bytes, &content).expect("texts and numbers are valid JSON");
    let padded = bytes.len().next_multiple_of(STEP_BYTES);
    bytes.resize(padded, b' ');
    Ok(bytes)
}

/// A key pair for one release, on the side of the program's starter. Its private half is wiped with it.
pub struct OneTimeKey {
    private: Zeroizing<[u8; KEY_BYTES]>,
    public: [u8; KEY_BYTES],
}

impl OneTimeKey {
    /// A new pair.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn draw(random: &Random) -> Result<Self, RandomError> {
        let private = Zeroizing::new(random.bytes()?);
        let public = seal::public_key(&private);
        Ok(Self { private, public })
    }

    /// The public half in padded standard base64.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.public)
    }

    /// The key in a box that was sealed to this pair. `None` if it was not, or is for anything else than `expected`,
    /// or is 15 minutes away from `now`.
    pub fn open(
        &self,
        sealed: &str,
        expected: &ReleaseContext<'_>,
        now: Timestamp,
    ) -> Option<Secret> {
        let sealed = STANDARD.decode(sealed).ok()?;
        let content = seal::open(&self.private, &sealed)?;
        let content: Content<'_> = serde_json::from_slice(&content).ok()?;
        let age_ms = i128::from(now.millis()) - i128::from(content.iat) * 1000;
        let fits = content.v == 1
            && content.purpose == PURPOSE
            && content.node == expected.node.to_string()
            && content.ws == expected.workspace.to_string()
            && content.key_id == expected.key.to_string()
            && content.version == expected.version
            && content.provider == expected.provider.as_str()
            && content.to == self.public_key()
            && age_ms.abs() <= WINDOW_MS;
        // It goes into an environment.
        let key = content.key.as_bytes();
        (fits && crate::intake::check_key(key).is_ok()).then(|| Secret::new(key.to_vec()))
    }
}

impl From<KmsError> for ReleaseError {
    fn from(error: KmsError) -> Self {
        Self::Open(error.into())
    }
}
