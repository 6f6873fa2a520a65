//! A ciphertext made for one purpose is of no use for another. T17.

use std::collections::HashSet;

use domain::record::{DataKeyRecord, DeploymentRecord, SealingKeyRecord};

use super::support::{World, now};
use crate::kms::with_key_id;
use crate::{HashPurpose, Kms, RawBox, Root, aad};

/// Everything that the vault encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    ProviderKey,
    DataKey,
    SealingKey,
    DeploymentKey,
    Box,
}

const PURPOSES: [Purpose; 5] = [
    Purpose::ProviderKey,
    Purpose::DataKey,
    Purpose::SealingKey,
    Purpose::DeploymentKey,
    Purpose::Box,
];

/// A genuine ciphertext for a purpose.
fn made_for(world: &World, purpose: Purpose) -> Vec<u8> {
    match purpose {
        Purpose::ProviderKey => world.envelope(),
        Purpose::DataKey => world.data_key.wrapped.clone(),
        Purpose::SealingKey => {
            let prefix = with_key_id(world.kms.key_id(), &[]).len();
            world.sealing_key.wrapped_private[prefix..].to_vec()
        }
        Purpose::DeploymentKey => world.deployment.wrapped_key.clone(),
        Purpose::Box => {
            let public = &world.sealing_key.public_key;
            crate::seal::seal_with(public, b"sk-0123456789", [5; 32].into()).expect("a box")
        }
    }
}

/// Whether it is taken where a ciphertext of a purpose is read.
fn is_read_as(world: &World, purpose: Purpose, ciphertext: &[u8]) -> bool {
    match purpose {
        Purpose::ProviderKey => world.open(ciphertext).is_ok(),
        Purpose::DataKey => {
            let envelope = world.envelope();
            let data_key = DataKeyRecord {
                wrapped: ciphertext.to_vec(),
                ..world.data_key.clone()
            };
            world.open_in(&envelope, &world.context, &data_key).is_ok()
        }
        Purpose::SealingKey => {
            let record = SealingKeyRecord {
                wrapped_private: with_key_id(world.kms.key_id(), ciphertext),
                ..world.sealing_key.clone()
            };
            now(world.intake.check_sealing_key(&record)).is_ok()
        }
        Purpose::DeploymentKey => {
            let record = DeploymentRecord {
                wrapped_key: ciphertext.to_vec(),
                ..world.deployment.clone()
            };
            now(Root::open(
                world.kms.clone(),
                world.sources.clone(),
                &record,
            ))
            .is_ok()
        }
        Purpose::Box => {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(ciphertext);
            world.submit(&text, RawBox::Accept).is_ok()
        }
    }
}

#[test]
fn no_ciphertext_is_read_for_another_purpose() {
    let world = World::new();
    for made in PURPOSES {
        let ciphertext = made_for(&world, made);
        for read in PURPOSES {
            assert_eq!(
                is_read_as(&world, read, &ciphertext),
                made == read,
                "made for {made:?}, read as {read:?}"
            );
        }
    }
}

/// The lengths of wrapped keys are equal, so that here nothing but the purpose can make the difference.
#[test]
fn a_wrapped_key_differs_from_another_in_its_purpose_alone() {
    let world = World::new();
    let id = world.deployment.id;
    let contexts = [
        aad::data_key(id, world.context.owner, world.data_key.id),
        aad::sealing_key(id, &world.sealing_key.kek_id),
        aad::deployment_key(id),
    ];
    for (made, context) in contexts.iter().enumerate() {
        let wrapped = now(world.kms.wrap(&[9; 32], context)).expect("wraps");
        for (read, context) in contexts.iter().enumerate() {
            let unwrapped = now(world.kms.unwrap(&wrapped, context));
            assert_eq!(unwrapped.is_ok(), made == read, "{made} as {read}");
        }
    }
}

#[test]
fn every_purpose_of_a_hash_has_a_key_of_its_own() {
    let world = World::new();
    let hasher = world.root.hasher();
    let hashes: HashSet<_> = HashPurpose::ALL
        .map(|purpose| hasher.hash(purpose, b"kb_example"))
        .into();
    assert_eq!(hashes.len(), HashPurpose::ALL.len());
    // Another deployment has other hashes.
    let other = World::new().root.hasher();
    for purpose in HashPurpose::ALL {
        assert!(!hashes.contains(&other.hash(purpose, b"kb_example")));
        assert_eq!(
            hasher.hash(purpose, b"kb_example"),
            world.root.hasher().hash(purpose, b"kb_example")
        );
    }
}
