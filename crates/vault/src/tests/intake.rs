//! Submissions: one answer for every box that is not acceptable, and no second key is ever tried.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::key::InvalidKey;
use domain::record::{DataKeyRecord, SealingKeyRecord};

use super::boxed::{KEY_TEXT, good_json, padded, refused, sealed};
use super::support::{KEY, World, context, now, secret, workspace};
use crate::seal::{seal_raw, seal_v1};
use crate::{IntakeError, KmsError, RawBox};

#[test]
fn both_kinds_of_box_are_taken_and_open_to_the_key() {
    let world = World::new();
    let raw = seal_raw(&world.sealing_key.public_key, &secret(KEY_TEXT)).expect("a box");
    let v1 = seal_v1(
        &world.sealing_key.public_key,
        &secret(KEY_TEXT),
        &world.box_context(),
    )
    .expect("a box");
    let mut replays = Vec::new();
    for (text, rules) in [
        (&raw, RawBox::Accept),
        (&v1, RawBox::Accept),
        (&v1, RawBox::Refuse),
    ] {
        let accepted = world.submit(text, rules).expect("a good box");
        assert_eq!(world.open(&accepted.envelope), Ok(KEY.to_vec()));
        // T31: the mask is made here, from the key.
        assert_eq!(accepted.mask, "sk-p...WXYZ");
        assert_eq!(accepted.kek_id.as_deref(), Some(&*world.sealing_key.kek_id));
        replays.push(accepted.replay.expect("boxes are taken once"));
    }
    // T24: the same box has the same replay hash, another one a different one.
    assert_ne!(replays[0], replays[1]);
    assert_eq!(replays[1], replays[2]);
}

// T19
#[test]
fn every_damaged_box_has_the_same_answer() {
    let world = World::new();
    let good = sealed(&world, KEY_TEXT.as_bytes());
    assert!(world.submit(&good, RawBox::Accept).is_ok());
    let bytes = STANDARD.decode(&good).expect("base64");
    for len in 0..bytes.len() {
        refused(&world, &STANDARD.encode(&bytes[..len]), "cut");
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        refused(&world, &STANDARD.encode(changed), "a bit changed");
    }
    refused(&world, &sealed(&world, b""), "empty content");
}

// T20
#[test]
fn only_canonical_padded_standard_base64_is_read() {
    let world = World::new();
    // 80 bytes: one padding character, and 2 bits of the last digit that must be zero.
    let good = sealed(&world, KEY_TEXT.as_bytes());
    assert!(good.ends_with('='));
    assert!(world.submit(&good, RawBox::Accept).is_ok());
    let unpadded = good.trim_end_matches('=');
    let last = unpadded.len() - 1;
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for digit in ALPHABET.chars().filter(|digit| !unpadded.ends_with(*digit)) {
        let changed = format!("{}{digit}{}", &unpadded[..last], &good[last + 1..]);
        refused(&world, &changed, "last character");
    }
    for bad in [
        unpadded.to_owned(),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{}\r\n{}", &good[..64], &good[64..]),
        format!("{}-{}", &good[..10], &good[11..]),
        format!("{}_{}", &good[..10], &good[11..]),
        format!("{}\u{e9}{}", &good[..10], &good[12..]),
        String::new(),
        "====".to_owned(),
        "A".repeat(16 * 1024 + 4),
        "A".repeat(2 * 1024 * 1024),
    ] {
        refused(&world, &bad, "encoding");
    }
}

// T21
#[test]
fn a_box_with_something_else_than_a_key_is_refused_without_showing_it() {
    let world = World::new();
    let long = "k".repeat(4097);
    for content in [
        "        ",
        "sk-012 3456789",
        "sk-0123456789\n",
        "sk-0123456789\r\n",
        "sk-0123\u{0}456789",
        "sk-0123\u{2011}456789",
        "sk-0123\u{1f511}456789",
        "Bearer sk-0123456789",
        "\"sk-0123456789\"",
        "'sk-0123456789'",
        "short",
        &long,
    ] {
        let text = sealed(&world, content.as_bytes());
        let error = world.submit(&text, RawBox::Accept).expect_err("not a key");
        assert!(matches!(error, IntakeError::InvalidKey(_)), "{content:?}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(
                !shown.contains(content) && !shown.contains("sk-0"),
                "{shown}"
            );
        }
        // Where a raw box is refused, its content is not judged.
        assert_eq!(
            world.submit(&text, RawBox::Refuse).err(),
            Some(IntakeError::Refused)
        );
    }
    let key = secret("sk-0123456789\n");
    let plain = now(world
        .intake
        .accept_plain(key, &world.context, &world.data_key));
    assert_eq!(
        plain.err(),
        Some(IntakeError::InvalidKey(InvalidKey::Character))
    );
    let json = good_json(&world).replace(KEY_TEXT, "short");
    assert_eq!(
        world
            .submit(&sealed(&world, &padded(&json)), RawBox::Refuse)
            .err(),
        Some(IntakeError::InvalidKey(InvalidKey::Length))
    );
}

// T26
#[test]
fn another_kek_id_is_stale_and_no_key_is_tried() {
    let world = World::new();
    let text = sealed(&world, KEY_TEXT.as_bytes());
    let id = &world.sealing_key.kek_id;
    let retired = now(world.rotator.new_sealing_key(1)).expect("a sealing key");
    let before = world.kms.unwraps.load(Ordering::Relaxed);
    for kek_id in [
        "",
        "' OR 1",
        &retired.kek_id,
        &id.to_uppercase(),
        &format!("{id} "),
        &id[..31],
        &"a".repeat(1024 * 1024),
    ] {
        let answer = world.submit_as(kek_id, &text, RawBox::Accept);
        let stale = IntakeError::StaleKek {
            current: id.clone(),
        };
        assert_eq!(answer.err(), Some(stale));
    }
    assert_eq!(world.kms.unwraps.load(Ordering::Relaxed), before);
    // The right id with a box for another key: exactly one private key is unwrapped, and once only.
    let theirs = seal_raw(&retired.public_key, &secret(KEY_TEXT)).expect("a box");
    refused(&world, &theirs, "sealed to a retired key");
    assert_eq!(world.kms.unwraps.load(Ordering::Relaxed), before + 1);
}

// T29 (in memory; the store's tests look at its files)
#[test]
fn one_private_key_is_held_and_a_retired_one_is_dropped() {
    let world = World::new();
    let unwraps = || world.kms.unwraps.load(Ordering::Relaxed);
    let check = |record: &SealingKeyRecord| now(world.intake.check_sealing_key(record));
    let next = now(world.rotator.new_sealing_key(1)).expect("a sealing key");
    let before = unwraps();
    check(&world.sealing_key).expect("whole");
    check(&world.sealing_key).expect("whole");
    assert_eq!(unwraps(), before + 1);
    world
        .intake
        .forget_retired_sealing_key(&world.sealing_key.kek_id);
    check(&world.sealing_key).expect("whole");
    assert_eq!(unwraps(), before + 1, "the active one stays");
    world.intake.forget_retired_sealing_key(&next.kek_id);
    check(&world.sealing_key).expect("whole");
    assert_eq!(unwraps(), before + 2, "the retired one was dropped");
    check(&next).expect("whole");
    check(&world.sealing_key).expect("whole");
    assert_eq!(unwraps(), before + 4, "only one is held");
    let destroyed = SealingKeyRecord {
        wrapped_private: Vec::new(),
        ..next
    };
    assert_eq!(
        check(&destroyed),
        Err(IntakeError::Kms(KmsError::Integrity))
    );
}

// T2, and a writer of the database who wants clients to seal to a key of his
#[test]
fn an_edited_sealing_key_is_noticed() {
    let world = World::new();
    let good = &world.sealing_key;
    let other = now(world.rotator.new_sealing_key(1)).expect("a sealing key");
    let check = |record: &SealingKeyRecord| now(world.intake.check_sealing_key(record));
    assert_eq!(check(good), Ok(()));
    let integrity = Err(IntakeError::Kms(KmsError::Integrity));
    for edited in [
        SealingKeyRecord {
            public_key: other.public_key,
            ..good.clone()
        },
        SealingKeyRecord {
            public_key: other.public_key,
            kek_id: other.kek_id.clone(),
            ..good.clone()
        },
        SealingKeyRecord {
            kek_id: other.kek_id.clone(),
            ..good.clone()
        },
        SealingKeyRecord {
            wrapped_private: other.wrapped_private.clone(),
            ..good.clone()
        },
    ] {
        assert_eq!(check(&edited), integrity);
    }
    for bit in 0..good.wrapped_private.len() * 8 {
        let mut edited = good.clone();
        edited.wrapped_private[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(check(&edited), Err(IntakeError::Kms(_))),
            "bit {bit}"
        );
    }
}

#[test]
fn nothing_is_taken_in_under_another_owners_data_key() {
    let world = World::new();
    let theirs = now(world.rotator.new_data_key(workspace(9))).expect("a data key");
    let stolen = DataKeyRecord {
        owner: world.context.owner,
        ..theirs.clone()
    };
    // Also while theirs is in memory.
    world.plain(KEY, &context(workspace(9)), &theirs);
    for data_key in [theirs, stolen] {
        let answer = now(world
            .intake
            .accept_plain(secret(KEY_TEXT), &world.context, &data_key));
        assert_eq!(answer.err(), Some(IntakeError::Kms(KmsError::Integrity)));
    }
}
