//! Sealed boxes, byte for byte those of libsodium's `crypto_box_seal`: what a client sends and how it is opened.
//!
//! This is the client's side too: the command line seals with these functions, other clients with the same
//! formats. A box hides the key from whatever stands between client and server; it does not say who
//! sent it. That is why the context is inside ([`seal_v1`]).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::aead::rand_core;
use crypto_box::{PublicKey, SecretKey};
use domain::key::InvalidKey;
use domain::{DeploymentId, KeyOwner, ProviderId, RandomError, Secret, Timestamp};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{self, KEY_BYTES};
use crate::{box_v1, intake};

/// Bytes that a box adds to its content: an ephemeral public key and a tag.
pub const BOX_OVERHEAD_BYTES: usize = 48;
/// How far the clocks of client and server may be apart, and how long a box lives: 15 minutes.
pub const WINDOW_MS: i128 = 15 * 60 * 1000;

/// What a box of version 1 says about itself, beside the key.
#[derive(Debug, Clone, Copy)]
pub struct BoxContext<'a> {
    /// The installation that may open it.
    pub node: DeploymentId,
    /// Whose key it will be.
    pub owner: KeyOwner,
    /// The provider that issued the key.
    pub provider: &'a ProviderId,
    /// Where the key may be sent, whole, as the URL parser prints it.
    pub base_url: &'a str,
    /// Now; the server accepts it for 15 minutes.
    pub issued_at: Timestamp,
    /// Random; the server accepts it once.
    pub jti: [u8; 16],
}

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The public key is one to which anybody could open: the server is broken or hostile.
    #[error("the server's public key is not safe to seal to")]
    LowOrder,
    /// The id that came with the public key is not its fingerprint: the server is broken or hostile.
    #[error("the server's public key does not match its id")]
    WrongKekId,
    /// The key cannot be a provider key.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// The box would be larger than the server takes.
    #[error("the base URL is too long")]
    TooLong,
    /// The random source failed.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The fingerprint of a public sealing key: hex of the first 16 bytes of SHA-256 over
/// `keybearer-seal-v1` and the key. Clients compute it themselves and compare.
pub fn kek_id(public_key: &[u8; 32]) -> String {
    crypto::hex(&crypto::sha256(&[b"keybearer-seal-v1", public_key])[..16])
}

/// Checks a public key and the id that came with it, before anything is sealed to it.
///
/// # Errors
/// [`SealError::WrongKekId`] or [`SealError::LowOrder`]; do not seal.
pub fn check_public_key(claimed_kek_id: &str, public_key: &[u8; 32]) -> Result<(), SealError> {
    if kek_id(public_key) != claimed_kek_id {
        return Err(SealError::WrongKekId);
    }
    // Low order shows with any private key; this one is not used for anything else.
    match crypto::x25519(&[0x40; KEY_BYTES], public_key) {
        Some(_) => Ok(()),
        None => Err(SealError::LowOrder),
    }
}

/// Seals a key without context, as GitHub's API does. Only for providers with a fixed base URL.
///
/// The answer is padded standard base64.
///
/// # Errors
/// [`SealError`]; no part of the key is in it.
pub fn seal_raw(public_key: &[u8; 32], key: &Secret) -> Result<String, SealError> {
    key.expose(|key| {
        intake::check_key(key)?;
        seal(public_key, key)
    })
}

/// Seals a key together with what it is for. A box captured on the way is of no use for anything else.
///
/// The answer is padded standard base64, at most 16 KiB.
///
/// # Errors
/// [`SealError`]; no part of the key is in it.
pub fn seal_v1(
    public_key: &[u8; 32],
    key: &Secret,
    context: &BoxContext<'_>,
) -> Result<String, SealError> {
    key.expose(|key| {
        intake::check_key(key)?;
        seal(public_key, &box_v1::write(key, context))
    })
}

fn seal(public_key: &[u8; 32], content: &[u8]) -> Result<String, SealError> {
    let mut ephemeral = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(ephemeral.as_mut()).map_err(|_| RandomError)?;
    let sealed = seal_with(public_key, content, ephemeral)?;
    let text = STANDARD.encode(sealed);
    if text.len() > intake::MAX_BOX_CHARS {
        return Err(SealError::TooLong);
    }
    Ok(text)
}

/// Seals with a given ephemeral private key, which must never be used again.
pub(crate) fn seal_with(
    public_key: &[u8; 32],
    content: &[u8],
    ephemeral: Zeroizing<[u8; KEY_BYTES]>,
) -> Result<Vec<u8>, SealError> {
    // Asked of another library: crypto_box does not check, and computes with the scalar reduced modulo the
    // group's order, so that a point of low order does not even always give zero there.
    if crypto::x25519(&ephemeral, public_key).is_none() {
        return Err(SealError::LowOrder);
    }
    let sealed = PublicKey::from_bytes(*public_key)
        .seal(&mut GivenBytes(ephemeral), content)
        .expect("XSalsa20-Poly1305 takes any content that fits in memory");
    Ok(sealed)
}

/// Opens a box; `None` if it is too short, changed, sealed to another key, or has an ephemeral key of low order.
pub(crate) fn open(private: &[u8; KEY_BYTES], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Anybody knows the shared secret of an ephemeral key of low order.
    crypto::x25519(private, sealed.first_chunk()?)?;
    let key = WipedKey::new(private);
    key.0.unseal(sealed).ok().map(Zeroizing::new)
}

/// The public half of a private sealing key.
pub(crate) fn public_key(private: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    WipedKey::new(private).0.public_key().to_bytes()
}

/// `SecretKey` wipes its scalar when it is dropped, but (in crypto_box 0.9.1) not the bytes it was made from.
struct WipedKey(SecretKey);

impl WipedKey {
    fn new(private: &[u8; KEY_BYTES]) -> Self {
        Self(SecretKey::from_bytes(*private))
    }
}

impl Drop for WipedKey {
    fn drop(&mut self) {
        self.0 = SecretKey::from_bytes([0; KEY_BYTES]);
        // Otherwise the compiler may leave out a write that nobody reads.
        std::hint::black_box(&self.0);
    }
}

/// Hands crypto_box the ephemeral key that we drew ourselves.
struct GivenBytes(Zeroizing<[u8; KEY_BYTES]>);

impl rand_core::CryptoRng for GivenBytes {}

impl rand_core::RngCore for GivenBytes {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        assert!(
            dest.len() == KEY_BYTES && *self.0 != [0; KEY_BYTES],
            "crypto_box draws one private key and nothing else"
        );
        dest.copy_from_slice(&*self.0);
        self.0.zeroize();
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}
