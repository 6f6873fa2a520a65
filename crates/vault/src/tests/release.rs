//! Keys that leave, sealed: to whom, for what, and whose never do.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{AccountId, KeyOwner, Secret, WorkspaceId};

use super::support::{KEY, NOW, World, context, now, secret, workspace};
use crate::{
    IntakeError, OneTimeKey, OpenError, RawBox, Recipient, ReleaseContext, ReleaseError, seal,
};

impl World {
    fn release(&self, to: &str) -> Result<String, ReleaseError> {
        let recipient = Recipient::read(to).expect("a public key");
        now(self.root.releaser().release(
            &self.envelope(),
            &self.context,
            &self.data_key,
            &recipient,
            NOW,
        ))
    }

    fn about(&self) -> ReleaseContext<'_> {
        let KeyOwner::Workspace(workspace) = self.context.owner else {
            panic!("the world's key is a workspace's");
        };
        ReleaseContext {
            node: self.deployment.id,
            workspace,
            key: self.context.key,
            version: self.context.version,
            provider: &self.context.provider,
        }
    }
}

fn bytes(key: Option<Secret>) -> Option<Vec<u8>> {
    key.map(|key| key.expose(<[u8]>::to_vec))
}

#[test]
fn a_key_is_released_to_the_one_who_asked_and_for_what_was_asked() {
    let world = World::new();
    let pair = OneTimeKey::draw(&world.sources.random).expect("random");
    let sealed = world.release(&pair.public_key()).expect("released");
    let raw = STANDARD.decode(&sealed).expect("base64");
    assert!(!raw.windows(8).any(|part| part == &KEY[..8]));
    let about = world.about();
    assert_eq!(bytes(pair.open(&sealed, &about, NOW)), Some(KEY.to_vec()));

    let stranger = OneTimeKey::draw(&world.sources.random).expect("random");
    assert!(stranger.open(&sealed, &about, NOW).is_none());
    let other = "anthropic".parse().expect("a provider id");
    let elsewhere = World::new();
    let wrong = [
        (
            "node",
            ReleaseContext {
                node: elsewhere.deployment.id,
                ..about
            },
        ),
        (
            "workspace",
            ReleaseContext {
                workspace: WorkspaceId::from_bytes([9; 16]),
                ..about
            },
        ),
        (
            "key",
            ReleaseContext {
                key: domain::ProviderKeyId::from_bytes([9; 16]),
                ..about
            },
        ),
        (
            "version",
            ReleaseContext {
                version: 2,
                ..about
            },
        ),
        (
            "provider",
            ReleaseContext {
                provider: &other,
                ..about
            },
        ),
    ];
    for (what, expected) in wrong {
        assert!(pair.open(&sealed, &expected, NOW).is_none(), "{what}");
    }
    for late_ms in [-901_000, 901_000] {
        let then = NOW.plus_millis(late_ms);
        assert!(pair.open(&sealed, &about, then).is_none(), "{late_ms}");
    }
    for at in [0, 40, raw.len() - 1] {
        let mut changed = raw.clone();
        changed[at] ^= 1;
        let changed = STANDARD.encode(changed);
        assert!(pair.open(&changed, &about, NOW).is_none(), "{at}");
    }
}

#[test]
fn a_box_of_another_purpose_is_not_taken_for_a_release_nor_the_other_way_round() {
    // T17
    let world = World::new();
    // A submission that was sealed to the one-time key.
    let pair = OneTimeKey::draw(&world.sources.random).expect("random");
    let public: [u8; 32] = STANDARD
        .decode(pair.public_key())
        .expect("base64")
        .try_into()
        .expect("32 bytes");
    let key = secret(str::from_utf8(KEY).expect("ASCII"));
    for submission in [
        seal::seal_v1(&public, &key, &world.box_context()).expect("sealed"),
        seal::seal_raw(&public, &key).expect("sealed"),
    ] {
        assert!(pair.open(&submission, &world.about(), NOW).is_none());
    }
    // A release to the deployment's own sealing key, submitted.
    let sealed = world
        .release(&STANDARD.encode(world.sealing_key.public_key))
        .expect("released");
    for raw_box in [RawBox::Accept, RawBox::Refuse] {
        let refused = world.submit(&sealed, raw_box);
        assert_eq!(refused.err(), Some(IntakeError::Refused));
    }
}

#[test]
fn keys_of_accounts_and_of_the_instance_are_not_opened_for_a_release() {
    let world = World::new();
    let pair = OneTimeKey::draw(&world.sources.random).expect("random");
    let recipient = Recipient::read(&pair.public_key()).expect("a public key");
    for owner in [
        KeyOwner::Account(AccountId::from_bytes([3; 16])),
        KeyOwner::Instance(world.deployment.id),
    ] {
        let data_key = now(world.rotator.new_data_key(owner)).expect("a data key");
        let context = context(owner);
        let envelope = world.plain(KEY, &context, &data_key);
        let before = world.kms.unwraps.load(Ordering::Relaxed);
        let refused = now(world
            .root
            .releaser()
            .release(&envelope, &context, &data_key, &recipient, NOW));
        assert_eq!(refused, Err(ReleaseError::NotOfAWorkspace));
        assert_eq!(world.kms.unwraps.load(Ordering::Relaxed), before);
    }
    // A record that was moved to another workspace.
    let moved = context(workspace(8));
    let envelope = world.envelope();
    let refused =
        now(world
            .root
            .releaser()
            .release(&envelope, &moved, &world.data_key, &recipient, NOW));
    assert_eq!(refused, Err(ReleaseError::Open(OpenError::Integrity)));
}

#[test]
fn only_a_public_key_that_keeps_others_out_is_a_recipient() {
    let mut one = [0; 32];
    one[0] = 1;
    for bad in [[0; 32], one] {
        assert!(Recipient::read(&STANDARD.encode(bad)).is_none());
    }
    let good = STANDARD.encode([9; 32]);
    assert!(Recipient::read(&good).is_some());
    for bad in ["", "AAAA", good.trim_end_matches('='), &format!("{good} ")] {
        assert!(Recipient::read(bad).is_none(), "{bad}");
    }
}
