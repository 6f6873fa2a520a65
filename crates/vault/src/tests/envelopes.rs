//! Stored keys: what is changed, moved, cut or made for something else does not open.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use domain::key::MAX_KEY_BYTES;
use domain::record::{DataKeyRecord, KeyContext};
use domain::{AccountId, DataKeyId, KeyOwner, ProviderKeyId};

use super::support::{KEY, World, context, now, workspace};
use crate::{KmsError, OpenError, crypto};

fn integrity<T: std::fmt::Debug>(result: Result<T, OpenError>, what: &str) {
    assert_eq!(result.err(), Some(OpenError::Integrity), "{what}");
}

#[test]
fn a_key_comes_back_byte_for_byte() {
    let world = World::new();
    for len in [8, 61, 62, 63, 64, MAX_KEY_BYTES] {
        let key = vec![b'k'; len];
        let envelope = world.plain(&key, &world.context, &world.data_key);
        assert!(!envelope.windows(8).any(|part| part == &key[..8]));
        assert_eq!(world.open(&envelope), Ok(key));
    }
}

// T2
#[test]
fn every_bit_of_an_envelope_counts() {
    let world = World::new();
    let envelope = world.envelope();
    for bit in 0..envelope.len() * 8 {
        let mut changed = envelope.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        integrity(world.open(&changed), &format!("bit {bit}"));
    }
}

// T2
#[test]
fn every_bit_of_a_wrapped_data_key_counts_even_while_the_right_one_is_cached() {
    let world = World::new();
    let envelope = world.envelope();
    assert_eq!(world.open(&envelope), Ok(KEY.to_vec()));
    for bit in 0..world.data_key.wrapped.len() * 8 {
        let mut data_key = world.data_key.clone();
        data_key.wrapped[bit / 8] ^= 1 << (bit % 8);
        let opened = world.open_in(&envelope, &world.context, &data_key);
        integrity(opened, &format!("bit {bit}"));
    }
}

// T3
#[test]
fn a_cut_or_lengthened_envelope_is_refused() {
    let world = World::new();
    let envelope = world.envelope();
    for len in 0..envelope.len() {
        integrity(world.open(&envelope[..len]), &format!("cut at {len}"));
    }
    for more in [1, 16, 64, 1024 * 1024] {
        let longer = [envelope.clone(), vec![0x5a; more]].concat();
        integrity(world.open(&longer), &format!("{more} bytes more"));
    }
    for junk in [vec![], vec![0], vec![0; 3], vec![0xff; 180]] {
        integrity(world.open(&junk), "junk");
    }
}

// T3
#[test]
fn a_cut_data_key_is_refused() {
    let world = World::new();
    let envelope = world.envelope();
    for len in 0..world.data_key.wrapped.len() {
        let mut data_key = world.data_key.clone();
        data_key.wrapped.truncate(len);
        integrity(
            world.open_in(&envelope, &world.context, &data_key),
            "cut data key",
        );
    }
}

type Edit = fn(&mut KeyContext);

// T4, T5, T7
#[test]
fn a_change_of_any_part_of_the_context_makes_it_unreadable() {
    let world = World::new();
    let envelope = world.envelope();
    let good = &world.context;
    let edits: [(&str, Edit); 12] = [
        ("key", |c| c.key = ProviderKeyId::from_bytes([3; 16])),
        ("provider", |c| {
            c.provider = "openai2".parse().expect("an id");
        }),
        ("host", |c| {
            c.base_url = "https://evil.example/v1".to_owned();
        }),
        ("path", |c| {
            c.base_url = "https://api.openai.com/v2".to_owned();
        }),
        ("slash", |c| c.base_url.push('/')),
        ("scheme", |c| {
            c.base_url = "http://api.openai.com/v1".to_owned();
        }),
        ("port", |c| {
            c.base_url = "https://api.openai.com:8443/v1".to_owned();
        }),
        ("case", |c| {
            c.base_url = "https://API.openai.com/v1".to_owned();
        }),
        ("header", |c| c.auth_header = "x-api-key".to_owned()),
        ("version", |c| c.version = 2),
        ("negative version", |c| c.version = -1),
        ("border between fields", |c| {
            c.base_url.push_str("authorization");
            c.auth_header.clear();
        }),
    ];
    for (what, edit) in edits {
        let mut changed = good.clone();
        edit(&mut changed);
        assert_ne!(&changed, good, "{what}");
        integrity(world.open_in(&envelope, &changed, &world.data_key), what);
    }
}

// T4, T5, T6
#[test]
fn owners_data_keys_and_envelopes_do_not_mix() {
    let world = World::new();
    let envelope = world.envelope();
    assert_eq!(world.open(&envelope), Ok(KEY.to_vec()));
    let account = KeyOwner::Account(AccountId::from_bytes([1; 16]));
    let instance = KeyOwner::Instance(world.deployment.id);
    for other in [workspace(9), account, instance] {
        let theirs = now(world.rotator.new_data_key(other)).expect("a data key");
        let their_context = context(other);
        let their_envelope = world.plain(KEY, &their_context, &theirs);

        // The row of one, the envelope of the other.
        integrity(world.open(&their_envelope), "their envelope");
        // The envelope with its data key, under our context.
        integrity(
            world.open_in(&their_envelope, &world.context, &theirs),
            "their envelope and key",
        );
        // A data key whose owner was edited, with and without ours being cached.
        let stolen = DataKeyRecord {
            owner: world.context.owner,
            ..theirs.clone()
        };
        integrity(
            world.open_in(&their_envelope, &world.context, &stolen),
            "edited owner",
        );
        // Wrapped keys swapped between the rows.
        let swapped = DataKeyRecord {
            wrapped: theirs.wrapped.clone(),
            ..world.data_key.clone()
        };
        integrity(
            world.open_in(&envelope, &world.context, &swapped),
            "swapped wrapping",
        );
        // Our envelope presented as theirs.
        integrity(
            world.open_in(&envelope, &their_context, &world.data_key),
            "our key as theirs",
        );
    }
}

#[test]
fn a_record_names_its_data_key_and_no_other_is_tried() {
    let world = World::new();
    let envelope = world.envelope();
    let second = now(world.rotator.new_data_key(world.context.owner)).expect("a data key");
    integrity(
        world.open_in(&envelope, &world.context, &second),
        "the owner's other data key",
    );
    let renamed = DataKeyRecord {
        id: DataKeyId::from_bytes([4; 16]),
        ..world.data_key.clone()
    };
    integrity(
        world.open_in(&envelope, &world.context, &renamed),
        "a renamed data key",
    );
}

#[test]
fn another_deployment_with_the_same_root_key_opens_nothing() {
    let (ours, theirs) = (World::new(), World::new());
    let envelope = ours.envelope();
    let opened = now(theirs.opener.open(&envelope, &ours.context, &ours.data_key));
    assert_eq!(opened.err(), Some(OpenError::Integrity));
}

// T8: the half that the document admits.
#[test]
fn an_older_row_that_is_put_back_whole_opens_and_a_mixed_one_does_not() {
    let world = World::new();
    let older = world.envelope();
    let mut next = world.context.clone();
    next.version += 1;
    let newer = world.plain(b"sk-the-next-value", &next, &world.data_key);
    assert_eq!(world.open(&older), Ok(KEY.to_vec()));
    integrity(
        world.open_in(&older, &next, &world.data_key),
        "old value, new version",
    );
    integrity(world.open(&newer), "new value, old version");

    // Nothing tells two values of one version number apart. The store never writes a second one.
    let same = world.plain(b"sk-a-second-value", &world.context, &world.data_key);
    assert_eq!(world.open(&older), Ok(KEY.to_vec()));
    assert_eq!(world.open(&same), Ok(b"sk-a-second-value".to_vec()));
}

// T9
#[test]
fn only_the_one_known_layout_is_read() {
    let world = World::new();
    let envelope = world.envelope();
    for (at, what) in [(3, "version"), (4, "algorithm"), (5, "opens")] {
        for value in (0..=255).filter(|value| *value != envelope[at]) {
            let mut changed = envelope.clone();
            changed[at] = value;
            integrity(world.open(&changed), &format!("{what} {value}"));
        }
    }
    // An extension of any length, also one that is really there.
    for len in [1u16, 8, 256, 0xffff] {
        let mut extended = envelope.clone();
        extended[6..8].copy_from_slice(&len.to_be_bytes());
        integrity(world.open(&extended), "announced extension");
        extended.splice(8..8, std::iter::repeat_n(0, usize::from(len)));
        integrity(world.open(&extended), "extension");
    }
    // Layouts that never existed: bare AES-GCM under a key that an attacker knows.
    let bare = crypto::aead_seal(&[0; 32], [0; 12], b"", KEY);
    integrity(world.open(&[&[0; 12], &bare[..]].concat()), "bare AES-GCM");
    integrity(world.open(KEY), "plain text");
}

// T10
#[test]
fn no_two_envelopes_of_one_key_have_anything_in_common() {
    let world = World::new();
    let (mut salts, mut nonces, mut bodies) = (HashSet::new(), HashSet::new(), HashSet::new());
    const ROUNDS: usize = 10_000;
    for _ in 0..ROUNDS {
        let envelope = world.envelope();
        salts.insert(envelope[24..56].to_vec());
        nonces.insert(envelope[56..68].to_vec());
        bodies.insert(envelope[68..].to_vec());
    }
    assert_eq!(
        [salts.len(), nonces.len(), bodies.len()],
        [ROUNDS, ROUNDS, ROUNDS]
    );
}

#[test]
fn the_commitment_is_checked_and_not_only_the_tag() {
    // A ciphertext that is valid under the derived key, with a commitment that is not.
    let world = World::new();
    let mut envelope = world.envelope();
    envelope[68..100].fill(0);
    integrity(world.open(&envelope), "zero commitment");
}

#[test]
fn a_data_key_under_another_kms_key_is_named_even_while_it_is_cached() {
    let world = World::new();
    let envelope = world.envelope();
    assert!(world.open(&envelope).is_ok());
    let moved = DataKeyRecord {
        kms_key: "local:0123456789abcdef".to_owned(),
        ..world.data_key.clone()
    };
    let other = KmsError::OtherKey {
        wrapped_by: moved.kms_key.clone(),
        current: world.data_key.kms_key.clone(),
    };
    assert_eq!(
        world.open_in(&envelope, &world.context, &moved),
        Err(OpenError::Kms(other))
    );
}

#[test]
fn unwrapped_data_keys_are_cached_for_ten_minutes() {
    let world = World::new();
    let envelope = world.envelope();
    let unwraps = || world.kms.unwraps.load(Ordering::Relaxed);
    let before = unwraps();
    for _ in 0..50 {
        assert!(world.open(&envelope).is_ok());
    }
    assert_eq!(unwraps(), before);

    world.time_ms.fetch_add(10 * 60 * 1000, Ordering::Relaxed);
    assert!(world.open(&envelope).is_ok());
    assert_eq!(unwraps(), before + 1);

    // T161: a clock that is set back makes keys old, not young for ever.
    world.time_ms.fetch_sub(1, Ordering::Relaxed);
    assert!(world.open(&envelope).is_ok());
    assert_eq!(unwraps(), before + 2);
}
