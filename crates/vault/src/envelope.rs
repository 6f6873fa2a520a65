//! The record of a stored provider key: how its bytes are laid out and what they are bound to.

use domain::record::KeyContext;
use domain::{DataKeyId, DeploymentId, Secret};
use zeroize::Zeroizing;

use crate::aad;
use crate::cache::DataKey;
use crate::committed::{self, Fresh};

const MAGIC: &[u8; 3] = b"KBE";
const VERSION: u8 = 1;
/// HKDF-SHA-256, AES-256-GCM, 32-byte commitment.
const ALGORITHM: u8 = 1;
/// What opens it: the deployment alone. 2 is reserved, see `docs/vault-format.md`.
const OPENS: u8 = 1;
/// No extension: `opens = 1` needs none.
const NO_EXTENSION: [u8; 2] = [0, 0];
/// Length of the header before the salt.
pub(crate) const HEADER_BYTES: usize = 8 + 16;

const INFO: &str = "keybearer/byok/v1";
/// The plaintext is padded to a multiple of this, so that its length shows a size class only.
const STEP_BYTES: usize = 64;
const LENGTH_BYTES: usize = 2;

/// The data key and everything that an envelope under it is bound to.
pub(crate) struct Binding<'a> {
    pub(crate) data_key: &'a DataKey,
    pub(crate) data_key_id: DataKeyId,
    pub(crate) deployment: DeploymentId,
    pub(crate) context: &'a KeyContext,
}

impl Binding<'_> {
    /// Writes the envelope of `key`, which has passed the check for provider keys.
    pub(crate) fn seal(&self, key: &[u8], fresh: &Fresh) -> Vec<u8> {
        let fields = aad::provider_key(self.deployment, self.context, self.data_key_id);
        committed::seal(
            self.data_key.secret(),
            INFO,
            &self.header(),
            fields,
            fresh,
            &pad(key),
        )
    }

    /// Opens an envelope; `None` if it was not written by [`seal`](Self::seal) with this very binding.
    pub(crate) fn open(&self, envelope: &[u8]) -> Option<Secret> {
        if !envelope.starts_with(&self.header()) {
            return None;
        }
        let fields = aad::provider_key(self.deployment, self.context, self.data_key_id);
        let derive = |salt: &_| self.data_key.derived(INFO, salt);
        let padded = committed::open_derived(derive, HEADER_BYTES, fields, envelope)?;
        unpad(&padded).map(|key| Secret::new(key.to_vec()))
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..3].copy_from_slice(MAGIC);
        header[3..6].copy_from_slice(&[VERSION, ALGORITHM, OPENS]);
        header[6..8].copy_from_slice(&NO_EXTENSION);
        header[8..].copy_from_slice(self.data_key_id.bytes());
        header
    }
}

fn pad(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = u16::try_from(key.len()).expect("a checked key has at most 4096 bytes");
    let total = (LENGTH_BYTES + key.len()).next_multiple_of(STEP_BYTES);
    let mut padded = Zeroizing::new(Vec::with_capacity(total));
    padded.extend_from_slice(&len.to_be_bytes());
    padded.extend_from_slice(key);
    padded.resize(total, 0);
    padded
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (len, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let (key, zeros) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let canonical = padded.len() == (LENGTH_BYTES + key.len()).next_multiple_of(STEP_BYTES)
        && zeros.iter().all(|byte| *byte == 0);
    canonical.then_some(key)
}

#[cfg(test)]
mod tests {
    use crate::crypto::KEY_BYTES;
    use domain::key::MAX_KEY_BYTES;
    use domain::{KeyOwner, ProviderKeyId, WorkspaceId};

    use super::*;

    // T9: authentic in every way, but with a header that this version does not know.
    #[test]
    fn a_genuine_envelope_of_another_layout_is_refused() {
        let context = KeyContext {
            owner: KeyOwner::Workspace(WorkspaceId::from_bytes([1; 16])),
            key: ProviderKeyId::from_bytes([2; 16]),
            provider: "openai".parse().expect("an id"),
            base_url: "https://api.openai.com/v1".to_owned(),
            auth_header: "authorization".to_owned(),
            version: 1,
        };
        let binding = Binding {
            data_key: &DataKey::new(Zeroizing::new([3; KEY_BYTES])),
            data_key_id: DataKeyId::from_bytes([4; 16]),
            deployment: DeploymentId::from_bytes([5; 16]),
            context: &context,
        };
        let fresh = Fresh {
            salt: [6; 32],
            nonce: [7; 12],
        };
        let with_header = |header: &[u8]| {
            let fields = aad::provider_key(binding.deployment, &context, binding.data_key_id);
            let plaintext = pad(b"sk-0123456789");
            committed::seal(&[3; 32], INFO, header, fields, &fresh, &plaintext)
        };
        assert!(binding.open(&with_header(&binding.header())).is_some());
        for at in 0..HEADER_BYTES {
            for change in 1..=255 {
                let mut header = binding.header();
                header[at] ^= change;
                assert!(binding.open(&with_header(&header)).is_none(), "{at}");
            }
        }
    }

    #[test]
    fn padding_shows_only_a_size_class_and_has_one_form() {
        for len in 0..=MAX_KEY_BYTES {
            let key = vec![b'k'; len];
            let padded = pad(&key);
            assert_eq!(padded.len() % STEP_BYTES, 0);
            assert!(padded.len() - len < STEP_BYTES + LENGTH_BYTES);
            assert_eq!(unpad(&padded), Some(key.as_slice()));
        }
        assert_eq!(unpad(&[0; 63]), None);
        assert_eq!(unpad(&[0; 128]), None);
        assert_eq!(unpad(&[]), None);
        let mut dirty = pad(b"sk-0123456789").to_vec();
        dirty[63] = 1;
        assert_eq!(unpad(&dirty), None);
    }
}
