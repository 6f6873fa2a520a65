//! The KMS inside the process: its key is derived from the root key.

use domain::Random;
use zeroize::Zeroizing;

use super::{BoxFuture, Kms, KmsError};
use crate::aad;
use crate::committed::{self, Fresh, OVERHEAD_BYTES};
use crate::crypto::{self, KEY_BYTES};
use crate::root_key::RootKey;

/// Version and algorithm (HKDF-SHA-256, AES-256-GCM, 32-byte commitment).
const HEADER: [u8; 2] = [1, 1];
const WRAPPED_BYTES: usize = HEADER.len() + OVERHEAD_BYTES + KEY_BYTES;

const KEY_INFO: &str = "keybearer/kms-local/v1";
const ID_INFO: &str = "keybearer/kms-local/id/v1";
const WRAP_INFO: &str = "keybearer/kms-local/wrap/v1";

/// Wraps under a key derived from the root key that the operator keeps.
pub struct LocalKms {
    key: Box<Zeroizing<[u8; KEY_BYTES]>>,
    key_id: String,
    random: Random,
}

impl LocalKms {
    /// Derives the wrapping key and its id; the root key itself is wiped.
    ///
    /// The id is `local:` and 16 hexadecimal digits, the same for the same root key. It is derived, not a
    /// hash of the root key, and says nothing about it.
    pub fn new(root_key: RootKey, random: Random) -> Self {
        let id = crypto::hkdf::<8>(&[], root_key.bytes(), ID_INFO.as_bytes());
        Self {
            key: Box::new(crypto::hkdf(&[], root_key.bytes(), KEY_INFO.as_bytes())),
            key_id: format!("local:{}", crypto::hex(&*id)),
            random,
        }
    }

    fn wrap_now(&self, key: &[u8; KEY_BYTES], aad: &[u8]) -> Result<Vec<u8>, KmsError> {
        let fresh = Fresh::draw(&self.random)?;
        let fields = [aad::KMS_LOCAL.as_bytes(), aad];
        Ok(committed::seal(
            &self.key, WRAP_INFO, &HEADER, &fields, &fresh, key,
        ))
    }

    fn unwrap_now(
        &self,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KmsError> {
        if wrapped.len() != WRAPPED_BYTES || !wrapped.starts_with(&HEADER) {
            return Err(KmsError::Integrity);
        }
        let fields = [aad::KMS_LOCAL.as_bytes(), aad];
        let opened = committed::open(&self.key, WRAP_INFO, HEADER.len(), &fields, wrapped)
            .ok_or(KmsError::Integrity)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

impl Kms for LocalKms {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn wrap<'a>(
        &'a self,
        key: &'a [u8; KEY_BYTES],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        Box::pin(async move { self.wrap_now(key, aad) })
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; KEY_BYTES]>, KmsError>> {
        Box::pin(async move { self.unwrap_now(wrapped, aad) })
    }
}
