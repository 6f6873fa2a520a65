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
        let fields = aad::list(&[aad::KMS_LOCAL.as_bytes(), aad]);
        Ok(committed::seal(
            &self.key, WRAP_INFO, &HEADER, fields, &fresh, key,
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
        let fields = aad::list(&[aad::KMS_LOCAL.as_bytes(), aad]);
        let opened = committed::open(&self.key, WRAP_INFO, HEADER.len(), fields, wrapped)
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

#[cfg(test)]
mod tests {
    use domain::RandomError;

    use super::*;

    // T9: authentic in every way, but of a version or algorithm that does not exist.
    #[test]
    fn a_genuine_wrapping_of_another_version_is_refused() {
        let root_key = Zeroizing::new(std::array::from_fn(|i| i as u8));
        let root_key = RootKey::from_bytes(root_key).expect("neither equal nor text");
        let kms = LocalKms::new(root_key, Random::new(|_| Err(RandomError)));
        let fresh = Fresh {
            salt: [6; 32],
            nonce: [7; 12],
        };
        let fields = aad::list(&[aad::KMS_LOCAL.as_bytes(), b"context"]);
        let wrapped = |header: &[u8], key: &[u8]| {
            committed::seal(&kms.key, WRAP_INFO, header, fields.clone(), &fresh, key)
        };
        assert!(
            kms.unwrap_now(&wrapped(&HEADER, &[8; 32]), b"context")
                .is_ok()
        );
        for header in [[0, 1], [2, 1], [255, 1], [1, 0], [1, 2], [1, 255]] {
            let unwrapped = kms.unwrap_now(&wrapped(&header, &[8; 32]), b"context");
            assert_eq!(unwrapped.err(), Some(KmsError::Integrity), "{header:?}");
        }
        for len in [0, 16, 31, 33, 64] {
            let unwrapped = kms.unwrap_now(&wrapped(&HEADER, &vec![8; len]), b"context");
            assert_eq!(unwrapped.err(), Some(KmsError::Integrity), "{len}");
        }
    }
}
