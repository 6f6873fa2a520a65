//! Associated data: what a ciphertext is bound to. Every list begins with a purpose that no other list has.

use std::fmt::Display;
use std::io::Write;

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
        append(&mut bytes, field);
    }
    bytes
}

/// Writes one more field behind a list.
pub(crate) fn append(list: &mut Vec<u8>, field: &[u8]) {
    let len = u32::try_from(field.len()).expect("a field is far below 4 GiB");
    list.extend_from_slice(&len.to_be_bytes());
    list.extend_from_slice(field);
}

/// As [`append`], of what a field's text is.
fn append_text(list: &mut Vec<u8>, field: impl Display) {
    let from = list.len();
    list.extend_from_slice(&[0; 4]);
    write!(list, "{field}").expect("memory takes everything");
    let len = u32::try_from(list.len() - from - 4).expect("a field is far below 4 GiB");
    list[from..from + 4].copy_from_slice(&len.to_be_bytes());
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

/// What an envelope is bound to, but for its own header, which comes behind these fields.
pub(crate) fn provider_key(
    deployment: DeploymentId,
    context: &KeyContext,
    data_key: DataKeyId,
) -> Vec<u8> {
    // In one piece: it is written for every call.
    let texts = context.provider.as_str().len()
        + context.base_url.len()
        + context.auth_header.len()
        + PROVIDER_KEY.len();
    let mut fields = Vec::with_capacity(texts + IDS_BYTES);
    append(&mut fields, PROVIDER_KEY.as_bytes());
    append(&mut fields, &deployment.text());
    match context.owner {
        KeyOwner::Workspace(id) => append(&mut fields, &id.text()),
        KeyOwner::Account(id) => append(&mut fields, &id.text()),
        KeyOwner::Instance(id) => append(&mut fields, &id.text()),
    }
    append(&mut fields, &context.key.text());
    append(&mut fields, context.provider.as_str().as_bytes());
    append(&mut fields, context.base_url.as_bytes());
    append(&mut fields, context.auth_header.as_bytes());
    append_text(&mut fields, context.version);
    append(&mut fields, &data_key.text());
    fields
}

/// Room for four ids, a version, the envelope's header and all lengths.
const IDS_BYTES: usize = 320;

#[cfg(test)]
mod tests {
    use domain::{AccountId, ProviderKeyId, WorkspaceId};

    use super::*;

    #[test]
    fn an_envelope_is_bound_to_the_texts_of_all_fields() {
        let deployment = DeploymentId::from_bytes([1; 16]);
        let data_key = DataKeyId::from_bytes([2; 16]);
        for owner in [
            KeyOwner::Workspace(WorkspaceId::from_bytes([3; 16])),
            KeyOwner::Account(AccountId::from_bytes([4; 16])),
            KeyOwner::Instance(deployment),
        ] {
            let context = KeyContext {
                owner,
                key: ProviderKeyId::from_bytes([5; 16]),
                provider: "openai".parse().expect("an id"),
                base_url: "https://api.openai.com/v1".to_owned(),
                auth_header: "authorization".to_owned(),
                version: 42,
            };
            let expected = [
                PROVIDER_KEY,
                &deployment.to_string(),
                &owner.to_string(),
                &context.key.to_string(),
                "openai",
                "https://api.openai.com/v1",
                "authorization",
                "42",
                &data_key.to_string(),
            ];
            let expected = list(&expected.map(str::as_bytes));
            assert_eq!(provider_key(deployment, &context, data_key), expected);
        }
    }

    #[test]
    fn moving_a_border_between_fields_changes_the_bytes() {
        assert_ne!(list(&[b"ab", b"c"]), list(&[b"a", b"bc"]));
        assert_ne!(list(&[b"ab", b""]), list(&[b"ab"]));
        assert_ne!(list(&[b"", b"ab"]), list(&[b"ab", b""]));
        assert_eq!(list(&[b"ab", b""]), b"\0\0\0\x02ab\0\0\0\0");
    }
}
