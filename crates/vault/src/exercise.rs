//! What every [`Kms`] must do. An implementation's own tests call [`kms`] with it.

use crate::kms::{Kms, KmsError};

/// Runs a KMS through its promises.
///
/// `other` is a KMS with another key.
///
/// # Panics
/// If a promise is not kept, with its name.
pub async fn kms(subject: &dyn Kms, other: &dyn Kms) {
    let key = [0xa7; 32];
    let aad = b"keybearer/exercise/v1".as_slice();

    let wrapped = wrap(subject, &key, aad).await;
    assert!(!subject.key_id().is_empty(), "a key has an id");
    assert_ne!(subject.key_id(), other.key_id(), "two keys have two ids");
    assert!(
        !wrapped.windows(8).any(|part| part == &key[..8]),
        "the key is not in its wrapping"
    );

    let unwrapped = subject.unwrap(&wrapped, aad).await;
    assert!(
        unwrapped.is_ok_and(|unwrapped| *unwrapped == key),
        "what was wrapped unwraps"
    );
    let again = wrap(subject, &key, aad).await;
    assert_ne!(again, wrapped, "no two wrappings are equal");

    for (name, aad) in [
        ("other", b"keybearer/exercise/v2".as_slice()),
        ("empty", b""),
        ("shorter", &aad[..aad.len() - 1]),
    ] {
        refuses(subject, &wrapped, aad, &format!("{name} context")).await;
    }
    refuses(other, &wrapped, aad, "another key").await;
    refuses(subject, &[], aad, "nothing").await;
    for len in 0..wrapped.len() {
        refuses(subject, &wrapped[..len], aad, &format!("cut at {len}")).await;
    }
    let mut longer = wrapped.clone();
    longer.push(0);
    refuses(subject, &longer, aad, "a byte more").await;
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        refuses(subject, &changed, aad, &format!("bit {bit} changed")).await;
    }
}

async fn wrap(kms: &dyn Kms, key: &[u8; 32], aad: &[u8]) -> Vec<u8> {
    match kms.wrap(key, aad).await {
        Ok(wrapped) => wrapped,
        Err(error) => panic!("a key is wrapped: {error}"),
    }
}

async fn refuses(kms: &dyn Kms, wrapped: &[u8], aad: &[u8], what: &str) {
    assert!(
        matches!(kms.unwrap(wrapped, aad).await, Err(KmsError::Integrity)),
        "{what} is an integrity error"
    );
}
