//! The primitives, with exactly the parameters that the vault uses. No other file calls the library for them.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{aead, agreement, constant_time, digest, hkdf, hmac};
use zeroize::Zeroizing;

/// Length of a key, a salt, a hash and a commitment in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// Length of an AES-GCM nonce in bytes.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of an AES-GCM tag in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// Encrypts by AES-256-GCM; the answer is the ciphertext with the tag behind it.
pub(crate) fn aead_seal(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    // Reserved at once: growing would leave a copy of the plaintext behind in freed memory.
    let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG_BYTES));
    buffer.extend_from_slice(plaintext);
    aead_key(key)
        .seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(aad),
            &mut *buffer,
        )
        .expect("AES-GCM takes up to 64 GiB");
    std::mem::take(&mut *buffer)
}

/// Decrypts what [`aead_seal`] wrote; `None` if key, nonce, associated data or any byte differs.
pub(crate) fn aead_open(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let opened = aead_key(key)
        .open_in_place(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(aad),
            &mut buffer,
        )
        .ok()?
        .len();
    buffer.truncate(opened);
    Some(buffer)
}

fn aead_key(key: &[u8; KEY_BYTES]) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).expect("AES-256 keys have 32 bytes");
    aead::LessSafeKey::new(key)
}

struct OutputLength(usize);

impl hkdf::KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 into the whole of `output`.
///
/// # Errors
/// [`Unspecified`] when `output` is longer than 255 hashes.
pub(crate) fn hkdf_fill(
    salt: &[u8],
    secret: &[u8],
    info: &[u8],
    output: &mut [u8],
) -> Result<(), Unspecified> {
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], OutputLength(output.len()))?
        .fill(output)
}

/// HKDF-SHA-256 with an output of one or two keys.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32) }
    let mut output = Zeroizing::new([0; N]);
    hkdf_fill(salt, secret, info, output.as_mut()).expect("the output is within 255 hashes");
    output
}

/// A key for [`hmac`](fn@hmac).
pub(crate) fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &hmac::Key, value: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    // Not `sign`, which moves the 700 bytes of a context once more.
    hmac::sign_to_buffer(key, value, &mut tag).expect("HMAC-SHA-256 gives 32 bytes");
    tag
}

/// SHA-256 over the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let hash = context.finish();
    hash.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// X25519; `None` when the shared secret is all zero, that is, when `public` has low order.
pub(crate) fn x25519(
    private: &[u8; KEY_BYTES],
    public: &[u8; KEY_BYTES],
) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let private = agreement::PrivateKey::from_private_key(&agreement::X25519, private).ok()?;
    let public = agreement::UnparsedPublicKey::new(&agreement::X25519, public);
    agreement::agree(&private, public, (), |shared| {
        let mut copy = Zeroizing::new([0; KEY_BYTES]);
        copy.copy_from_slice(shared);
        Ok(copy)
    })
    .ok()
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Reads what [`hex`] wrote for exactly `N` bytes; `None` for any other text.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
