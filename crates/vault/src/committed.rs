//! The one ciphertext layout: `prefix | salt(32) | nonce(12) | commitment(32) | ciphertext + tag(16)`.
//!
//! Each ciphertext has a key of its own, derived from the secret and a random salt, so a random nonce can
//! never repeat under one key. HKDF gives a second half, the commitment: AES-GCM alone lets someone craft
//! bytes that open under two keys, a stored commitment does not. Prefix and salt are authenticated behind
//! the caller's fields.

use std::ops::Deref;

use domain::{Random, RandomError};
use zeroize::Zeroizing;

use crate::aad;
use crate::crypto::{self, KEY_BYTES, NONCE_BYTES, TAG_BYTES};

/// Bytes that the layout adds to the prefix and the plaintext.
pub(crate) const OVERHEAD_BYTES: usize = KEY_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// The random parts of one ciphertext.
pub(crate) struct Fresh {
    pub(crate) salt: [u8; KEY_BYTES],
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl Fresh {
    /// Draws them.
    ///
    /// # Errors
    /// [`RandomError`]; nothing was encrypted.
    pub(crate) fn draw(random: &Random) -> Result<Self, RandomError> {
        Ok(Self {
            salt: random.bytes()?,
            nonce: random.bytes()?,
        })
    }
}

/// Encrypts `plaintext` under a key derived from `secret`, bound to `fields`, a list, and to `prefix`.
pub(crate) fn seal(
    secret: &[u8; KEY_BYTES],
    info: &str,
    prefix: &[u8],
    fields: Vec<u8>,
    fresh: &Fresh,
    plaintext: &[u8],
) -> Vec<u8> {
    let Derived { key, commitment } = Derived::new(secret, info, &fresh.salt);
    let mut bytes = Vec::with_capacity(prefix.len() + OVERHEAD_BYTES + plaintext.len());
    bytes.extend_from_slice(prefix);
    bytes.extend_from_slice(&fresh.salt);
    let aad = bound(fields, &bytes);
    bytes.extend_from_slice(&fresh.nonce);
    bytes.extend_from_slice(&*commitment);
    bytes.extend_from_slice(&crypto::aead_seal(&key, fresh.nonce, &aad, plaintext));
    bytes
}

/// Opens what [`seal`] wrote with a prefix of `prefix_bytes`; `None` if anything at all differs.
pub(crate) fn open(
    secret: &[u8; KEY_BYTES],
    info: &str,
    prefix_bytes: usize,
    fields: Vec<u8>,
    bytes: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let derive = |salt: &_| Box::new(Derived::new(secret, info, salt));
    open_derived(derive, prefix_bytes, fields, bytes)
}

/// As [`open`], with a key that `derive` gives for the ciphertext's salt.
///
/// The caller has looked at the prefix. The commitment is compared before anything is decrypted.
pub(crate) fn open_derived<D: Deref<Target = Derived>>(
    derive: impl FnOnce(&[u8; KEY_BYTES]) -> D,
    prefix_bytes: usize,
    fields: Vec<u8>,
    bytes: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (header, rest) = bytes.split_at_checked(prefix_bytes + KEY_BYTES)?;
    let salt = header.last_chunk::<KEY_BYTES>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let (stored, ciphertext) = rest.split_first_chunk::<KEY_BYTES>()?;
    let derived = derive(salt);
    if !crypto::equal(&*derived.commitment, stored) {
        return None;
    }
    let aad = bound(fields, header);
    crypto::aead_open(&derived.key, *nonce, &aad, ciphertext)
}

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What a secret and the salt of one ciphertext give. Wiped when dropped.
pub(crate) struct Derived {
    key: Key,
    commitment: Key,
}

impl Derived {
    pub(crate) fn new(secret: &[u8; KEY_BYTES], info: &str, salt: &[u8; KEY_BYTES]) -> Self {
        let both = crypto::hkdf::<{ 2 * KEY_BYTES }>(salt, secret, info.as_bytes());
        let (mut key, mut commitment) = (Key::default(), Key::default());
        key.copy_from_slice(&both[..KEY_BYTES]);
        commitment.copy_from_slice(&both[KEY_BYTES..]);
        Self { key, commitment }
    }
}

fn bound(mut fields: Vec<u8>, header: &[u8]) -> Vec<u8> {
    aad::append(&mut fields, header);
    fields
}
