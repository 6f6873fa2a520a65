//! Sealed boxes, envelopes and the root key: the only code that sees a provider key at rest.
//!
//! A provider key arrives in a sealed box (or in plain text over TLS), is opened in memory and is written
//! at once as an *envelope*: AES-256-GCM under its owner's data key, bound to the owner, the provider and
//! the whole base URL that it may be sent to. Data keys are wrapped by a KMS. `docs/vault-format.md` has
//! every byte of it.
//!
//! The crate must never know SQL or HTTP handlers, write a key anywhere, try a second key when the named
//! one does not fit, or accept an older layout. Whatever does not open says [`OpenError::Integrity`], and
//! nothing more.
//!
//! Start reading at [`Root`]: the binary builds it once and hands out its parts. [`Intake`] turns
//! submissions into envelopes (control plane), [`Opener`] opens them (data plane),
//! [`Releaser`] seals them to somebody else, [`Rotator`] makes and
//! re-wraps keys (jobs and maintenance), [`Hasher`] gives keyed hashes of our own credentials. Clients
//! that submit keys need [`seal`] only.

mod aad;
mod box_v1;
mod cache;
mod committed;
mod crypto;
mod envelope;
pub mod exercise;
pub mod hash;
pub mod intake;
pub mod kms;
pub mod open;
pub mod probe;
pub mod release;
pub mod root;
pub mod root_key;
pub mod rotate;
pub mod seal;

#[cfg(test)]
mod tests;

pub use hash::{HashPurpose, Hasher, content_sha256};
pub use intake::{Accepted, Intake, IntakeError, IntakeRules, RawBox, Submission};
pub use kms::{BoxFuture, Kms, KmsError};
pub use open::{OpenError, Opener};
pub use probe::{KeyProbe, ProbeFailure};
pub use release::{OneTimeKey, Recipient, ReleaseContext, ReleaseError, Releaser};
pub use root::{Root, RootError};
pub use root_key::{RootKey, RootKeyError, RootKeySource};
pub use rotate::{RotateError, Rotator};
