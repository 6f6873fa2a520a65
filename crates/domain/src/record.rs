//! What is kept of keys: the rows that the store writes and the vault opens. Neither crate knows the other.
//!
//! Every `wrapped` or `envelope` field is ciphertext; see `docs/vault-format.md`.

use crate::id::{AccountId, DataKeyId, DeploymentId, ProviderKeyId};
use crate::key::{FailureKind, KeyOwner, Label, ProviderId};
use crate::price::PriceOverride;
use crate::time::Timestamp;

/// The installation: which root key opens it, and its own key under that root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRecord {
    /// The installation's id, part of the context of every ciphertext.
    pub id: DeploymentId,
    /// The id of the KMS key that wraps `wrapped_key`.
    pub kms_key: String,
    /// The deployment key (for keyed hashes), wrapped.
    pub wrapped_key: Vec<u8>,
    /// When the installation was made.
    pub created_at: Timestamp,
}

/// A sealing key pair: clients seal provider keys to its public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKeyRecord {
    /// Hex of the first 16 bytes of SHA-256 over a prefix and the public key; clients recompute it.
    pub kek_id: String,
    /// X25519.
    pub public_key: [u8; 32],
    /// The private half, wrapped. Only the active pair has one: a replaced pair's is destroyed.
    pub wrapped_private: Vec<u8>,
    /// When the pair became active.
    pub created_at: Timestamp,
    /// When it is due to be replaced.
    pub expires_at: Timestamp,
}

/// A data key: encrypts the provider keys of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKeyRecord {
    /// Its id, part of the context of every record under it.
    pub id: DataKeyId,
    /// Whose provider keys it encrypts.
    pub owner: KeyOwner,
    /// The id of the KMS key that wraps it.
    pub kms_key: String,
    /// The data key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Everything that a stored provider key is bound to. A change of any part makes its envelope unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyContext {
    /// Whose key it is.
    pub owner: KeyOwner,
    /// The key's id.
    pub key: ProviderKeyId,
    /// The provider that issued it.
    pub provider: ProviderId,
    /// Where it is sent, whole, as the URL parser prints it.
    pub base_url: String,
    /// The header that carries it, in lower case.
    pub auth_header: String,
    /// Counts replacements of the key's value, from 1.
    pub version: i64,
}

/// A stored provider key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKeyRecord {
    /// What the envelope is bound to.
    pub context: KeyContext,
    /// The account that owns the key or the key's workspace; `None`: the instance owns the key.
    pub account: Option<AccountId>,
    /// What the owner calls it.
    pub label: Label,
    /// The data key under which the envelope is written.
    pub data_key: DataKeyId,
    /// The encrypted key.
    pub envelope: Vec<u8>,
    /// What may be shown to owners and admins.
    pub mask: String,
    /// The sealing key to which it was submitted; `None` if it came in plain text.
    pub kek_id: Option<String>,
    /// Place among the owner's keys for the provider; lower serves first.
    pub position: i64,
    /// The pool that it belongs to: the owner's keys of one level share the load, lower levels first and
    /// before keys without one.
    pub level: Option<i64>,
    /// Whether it serves only after everything else failed.
    pub fallback: bool,
    /// Whether it never serves and is copied into new workspaces instead.
    pub template: bool,
    /// Prices that were negotiated for this key.
    pub prices: Vec<PriceOverride>,
    /// Whether it may serve.
    pub enabled: bool,
    /// When the label was first given a key.
    pub created_at: Timestamp,
    /// When the key, its order or its state last changed.
    pub updated_at: Timestamp,
    /// When it last served a request, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// The last time the provider did not accept it, and why.
    pub last_failure: Option<(Timestamp, FailureKind)>,
    /// When this value was last handed out, sealed, to run a program with.
    pub last_released_at: Option<Timestamp>,
}

/// A provider key that was removed, so that a refusal can say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedKey {
    /// Whose it was.
    pub owner: KeyOwner,
    /// The provider that issued it.
    pub provider: ProviderId,
    /// What the owner called it.
    pub label: Label,
    /// When it was removed.
    pub removed_at: Timestamp,
}
