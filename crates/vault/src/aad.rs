//! Associated data: what a ciphertext is bound to. Every list begins with a purpose that no other list has.

use domain::record::KeyContext;
use domain::{DataKeyId, DeploymentId, KeyOwner};

/// A provider key under its owner's data key.
pub(crate) const PROVIDER_KEY: &str = "keybearer/provider-key/v1";
/// A data key under the KMS key.
pub(crate) const DATA_KEY: &str = "keybearer/data-key/v1";
/// The private half of a sealing key pair under the KMS key.
pub(crate) const SEAL_KEY: &str = "keybearer/seal-key/v1";
/// The deployment key under the KMS key.
pub(crate) const DEPLOYMENT_KEY: &str = "keybearer/deployment-key/v1";
/// What the local KMS writes.
pub(crate) const KMS_LOCAL: &str = "keybearer/kms-local/v1";

/// Writes fields so that no two lists give the same bytes: each with its length (u32, big endian) in front.
pub(crate) fn list(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.iter().map(|field| field.len() + 4).sum());
    for field in fields {
        let len = u32::try_from(field.len()).expect("a field is far below 4 GiB");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

/// What a wrapped data key is bound to.
pub(crate) fn data_key(deployment: DeploymentId, owner: KeyOwner, id: DataKeyId) -> Vec<u8> {
    let (deployment, owner, id) = (deployment.to_string(), owner.to_string(), id.to_string());
    list(&[
        DATA_KEY.as_bytes(),
        deployment.as_bytes(),
        owner.as_bytes(),
        id.as_bytes(),
    ])
}

/// What a wrapped private sealing key is bound to.
pub(crate) fn sealing_key(deployment: DeploymentId, kek_id: &str) -> Vec<u8> {
    let deployment = deployment.to_string();
    list(&[
        SEAL_KEY.as_bytes(),
        deployment.as_bytes(),
        kek_id.as_bytes(),
    ])
}

/// What the wrapped deployment key is bound to.
pub(crate) fn deployment_key(deployment: DeploymentId) -> Vec<u8> {
    list(&[DEPLOYMENT_KEY.as_bytes(), deployment.to_string().as_bytes()])
}

/// What an envelope is bound to, but for its own header, which the caller puts behind these fields.
pub(crate) fn provider_key(
    deployment: DeploymentId,
    context: &KeyContext,
    data_key: DataKeyId,
) -> [Vec<u8>; 9] {
    [
        PROVIDER_KEY.into(),
        deployment.to_string().into(),
        context.owner.to_string().into(),
        context.key.to_string().into(),
        context.provider.as_str().into(),
        context.base_url.as_str().into(),
        context.auth_header.as_str().into(),
        context.version.to_string().into(),
        data_key.to_string().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_border_between_fields_changes_the_bytes() {
        assert_ne!(list(&[b"ab", b"c"]), list(&[b"a", b"bc"]));
        assert_ne!(list(&[b"ab", b""]), list(&[b"ab"]));
        assert_ne!(list(&[b"", b"ab"]), list(&[b"ab", b""]));
        assert_eq!(list(&[b"ab", b""]), b"\0\0\0\x02ab\0\0\0\0");
    }
}
