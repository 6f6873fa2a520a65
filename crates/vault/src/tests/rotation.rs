//! Root keys, data keys and failing randomness.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::record::DataKeyRecord;
use domain::{KeyOwner, RandomError, Sources};

use super::support::{
    KEY, World, context, local_kms, now, random, random_failing_at, secret, workspace,
};
use crate::kms::local::LocalKms;
use crate::kms::with_key_id;
use crate::seal::seal_raw;
use crate::{
    HashPurpose, Hasher, IntakeError, Kms, KmsError, OpenError, RawBox, Root, RootError,
    RotateError, exercise,
};

#[test]
fn the_local_kms_keeps_the_promises_of_a_kms() {
    now(exercise::kms(&local_kms(1), &local_kms(2)));
}

#[test]
fn the_key_id_depends_on_the_root_key_alone() {
    let id = local_kms(1).key_id().to_owned();
    assert_eq!(id, local_kms(1).key_id());
    assert_ne!(id, local_kms(2).key_id());
    let digits = id.strip_prefix("local:").expect("its kind is in front");
    assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

// T11
#[test]
fn a_wrong_root_key_is_named_before_anything_is_opened() {
    let world = World::new();
    let wrong = Arc::new(local_kms(2));
    let error = now(Root::open(
        wrong.clone(),
        world.sources.clone(),
        &world.deployment,
    ))
    .expect_err("another root key");
    let RootError::WrongKey { expected, found } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (expected.as_str(), found.as_str()),
        (world.deployment.kms_key.as_str(), wrong.key_id())
    );
    assert!(error.to_string().contains(expected) && error.to_string().contains(found));

    // A record that was edited to name the wrong key, or whose bytes or id were.
    let mut renamed = world.deployment.clone();
    renamed.kms_key = wrong.key_id().to_owned();
    let mut moved = world.deployment.clone();
    moved.id = domain::DeploymentId::from_bytes([9; 16]);
    let mut changed = world.deployment.clone();
    changed.wrapped_key[50] ^= 1;
    let right: Arc<dyn Kms> = world.kms.clone();
    for (kms, record) in [
        (wrong as Arc<dyn Kms>, renamed),
        (right.clone(), moved),
        (right, changed),
    ] {
        let opened = now(Root::open(kms, world.sources.clone(), &record));
        assert!(matches!(opened, Err(RootError::Integrity)));
    }
}

#[test]
fn an_opened_deployment_is_the_one_that_was_created() {
    let world = World::new();
    let envelope = world.envelope();
    let reopened = now(Root::open(
        world.kms.clone(),
        world.sources.clone(),
        &world.deployment,
    ))
    .expect("the right root key");
    let hash = |hasher: Hasher| hasher.hash(HashPurpose::ApiKey, b"kb_example");
    assert_eq!(hash(reopened.hasher()), hash(world.root.hasher()));
    let opened = now(reopened
        .opener()
        .open(&envelope, &world.context, &world.data_key));
    assert!(opened.is_ok_and(|key| key.expose(|key| key == KEY)));
}

// T13 at this level: every step may be repeated, and each record opens under exactly one root key.
#[test]
fn a_rotation_of_the_root_key_moves_every_record_and_can_be_resumed() {
    let world = World::new();
    let envelope = world.envelope();
    let text = seal_raw(&world.sealing_key.public_key, &secret("sk-0123456789")).expect("a box");
    let next = Arc::new(local_kms(2));

    let data_key = now(world.rotator.rewrap_data_key(&world.data_key, &*next)).expect("moves");
    let sealing_key =
        now(world.rotator.rewrap_sealing_key(&world.sealing_key, &*next)).expect("moves");
    let deployment = now(world.root.rewrap(&*next, &world.deployment)).expect("moves");
    assert_eq!(data_key.kms_key, next.key_id());
    assert_eq!(deployment.kms_key, next.key_id());

    // Again, as after an abort: nothing changes.
    let again = now(world.rotator.rewrap_data_key(&data_key, &*next));
    assert_eq!(again.as_ref(), Ok(&data_key));
    let again = now(world.rotator.rewrap_sealing_key(&sealing_key, &*next));
    assert_eq!(again.as_ref(), Ok(&sealing_key));
    let again = now(world.root.rewrap(&*next, &deployment)).expect("has moved");
    assert_eq!(again, deployment);

    // The old root key opens the old records only, and says which one it would take.
    let other = KmsError::OtherKey {
        wrapped_by: next.key_id().to_owned(),
        current: world.kms.key_id().to_owned(),
    };
    let opened = world.open_in(&envelope, &world.context, &data_key);
    assert_eq!(opened, Err(OpenError::Kms(other.clone())));
    let checked = now(world.intake.check_sealing_key(&sealing_key));
    assert_eq!(checked, Err(IntakeError::Kms(other)));

    // The new root key opens all of it, the envelope unchanged.
    let moved = now(Root::open(next, world.sources.clone(), &deployment)).expect("opens");
    let opened = now(moved.opener().open(&envelope, &world.context, &data_key));
    assert!(opened.is_ok_and(|key| key.expose(|key| key == KEY)));
    assert_eq!(now(moved.intake().check_sealing_key(&sealing_key)), Ok(()));
    let refused = now(moved
        .opener()
        .open(&envelope, &world.context, &world.data_key));
    assert!(matches!(
        refused,
        Err(OpenError::Kms(KmsError::OtherKey { .. }))
    ));
    // Boxes sealed before the rotation still open after it: the pair is the same.
    assert!(world.submit(&text, RawBox::Accept).is_ok());
}

#[test]
fn a_platform_key_opens_after_a_rotation_of_the_root_key() {
    let world = World::new();
    let owner = KeyOwner::Instance(world.deployment.id);
    let data_key = now(world.rotator.new_data_key(owner)).expect("a data key");
    let context = context(owner);
    let envelope = world.plain(KEY, &context, &data_key);
    let next = Arc::new(local_kms(2));
    let data_key = now(world.rotator.rewrap_data_key(&data_key, &*next)).expect("moves");
    let deployment = now(world.root.rewrap(&*next, &world.deployment)).expect("moves");
    let moved = now(Root::open(next, world.sources.clone(), &deployment)).expect("opens");
    assert_eq!(now(moved.rotator().check_data_key(&data_key)), Ok(()));
    let opened = now(moved.opener().open(&envelope, &context, &data_key));
    assert!(opened.is_ok_and(|key| key.expose(|key| key == KEY)));
}

#[test]
fn a_tampered_record_is_not_moved() {
    let world = World::new();
    let next = local_kms(2);
    let mut data_key = world.data_key.clone();
    data_key.wrapped[60] ^= 1;
    let mut deployment = world.deployment.clone();
    deployment.kms_key = next.key_id().to_owned();
    let moved = now(world.root.rewrap(&next, &deployment));
    assert!(matches!(moved, Err(RootError::Integrity)));
    let mut sealing_key = world.sealing_key.clone();
    *sealing_key.wrapped_private.last_mut().expect("a tag") ^= 1;
    let claimed = DataKeyRecord {
        kms_key: next.key_id().to_owned(),
        ..world.data_key.clone()
    };
    // Said to have moved already.
    let prefix = with_key_id(world.kms.key_id(), &[]).len();
    let mut claimed_sealing_key = world.sealing_key.clone();
    claimed_sealing_key.wrapped_private =
        with_key_id(next.key_id(), &world.sealing_key.wrapped_private[prefix..]);
    for result in [
        now(world
            .rotator
            .rewrap_sealing_key(&claimed_sealing_key, &next))
        .map(drop),
        now(world.rotator.rewrap_data_key(&data_key, &next)).map(drop),
        now(world.rotator.rewrap_data_key(&claimed, &next)).map(drop),
        now(world.rotator.rewrap_sealing_key(&sealing_key, &next)).map(drop),
    ] {
        assert_eq!(result, Err(RotateError::Integrity));
    }
}

#[test]
fn a_check_asks_the_kms_every_time() {
    let world = World::new();
    // Both are in memory by now.
    assert!(world.open(&world.envelope()).is_ok());
    assert_eq!(
        now(world.intake.check_sealing_key(&world.sealing_key)),
        Ok(())
    );
    let before = world.kms.unwraps.load(Ordering::Relaxed);
    assert_eq!(now(world.rotator.check_data_key(&world.data_key)), Ok(()));
    assert_eq!(
        now(world.rotator.check_sealing_key(&world.sealing_key)),
        Ok(())
    );
    assert_eq!(world.kms.unwraps.load(Ordering::Relaxed), before + 2);

    let mut data_key = world.data_key.clone();
    data_key.owner = workspace(9);
    let mut sealing_key = world.sealing_key.clone();
    sealing_key.public_key[0] ^= 1;
    for checked in [
        now(world.rotator.check_data_key(&data_key)),
        now(world.rotator.check_sealing_key(&sealing_key)),
    ] {
        assert_eq!(checked, Err(OpenError::Integrity));
    }
}

#[test]
fn a_record_under_a_third_root_key_is_not_moved_and_says_so() {
    let world = World::new();
    let (next, third) = (local_kms(2), local_kms(3));
    let data_key = now(world.rotator.rewrap_data_key(&world.data_key, &third)).expect("moves");
    let sealing_key =
        now(world.rotator.rewrap_sealing_key(&world.sealing_key, &third)).expect("moves");
    let other = KmsError::OtherKey {
        wrapped_by: third.key_id().to_owned(),
        current: world.kms.key_id().to_owned(),
    };
    assert!(other.to_string().contains("keybearer root-key rotate"));
    for moved in [
        now(world.rotator.rewrap_data_key(&data_key, &next)).map(drop),
        now(world.rotator.rewrap_sealing_key(&sealing_key, &next)).map(drop),
    ] {
        assert_eq!(moved, Err(RotateError::Kms(other.clone())));
    }
    let deployment = now(world.root.rewrap(&third, &world.deployment)).expect("moves");
    let moved = now(world.root.rewrap(&next, &deployment));
    assert!(matches!(moved, Err(RootError::WrongKey { .. })));
}

// T16
#[test]
fn a_failing_random_source_stops_everything_and_has_no_fallback() {
    let world = World::new();
    let with = |draw| {
        let random = random_failing_at(draw);
        let kms = Arc::new(LocalKms::new(super::support::root_key(1), random.clone()));
        let sources = Sources {
            clock: world.sources.clock.clone(),
            random,
        };
        (kms, sources)
    };
    // An id, a key, a salt and a nonce.
    for draw in 0..4 {
        let (kms, sources) = with(draw);
        let created = now(Root::create(kms, sources));
        assert!(
            matches!(created, Err(RootError::Random(RandomError))),
            "{draw}"
        );
    }
    assert!(
        now({
            let (kms, sources) = with(4);
            Root::create(kms, sources)
        })
        .is_ok()
    );

    // Opening draws nothing, so the next draw is the first.
    let root = |draw| {
        let (kms, sources) = with(draw);
        now(Root::open(kms, sources, &world.deployment)).expect("opening draws nothing")
    };
    for draw in 0..4 {
        let made = now(root(draw).rotator().new_data_key(world.context.owner));
        assert_eq!(made, Err(RotateError::Random(RandomError)), "{draw}");
    }
    for draw in 0..3 {
        let made = now(root(draw).rotator().new_sealing_key(1));
        assert_eq!(made, Err(RotateError::Random(RandomError)), "{draw}");
    }
    for draw in 0..2 {
        let intake = root(draw).intake();
        let taken =
            now(intake.accept_plain(secret("sk-0123456789"), &world.context, &world.data_key));
        assert_eq!(
            taken.err(),
            Some(IntakeError::Random(RandomError)),
            "{draw}"
        );
    }
    let envelope = world.envelope();
    let opened = now(root(0)
        .opener()
        .open(&envelope, &world.context, &world.data_key));
    assert!(opened.is_ok(), "opening needs no randomness");
}

#[test]
fn what_the_vault_hands_out_works_across_threads() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    fn check_future<T: Send>(_: &T) {}
    let world = World::new();
    check(&world.root);
    check(&world.intake);
    check(&world.opener);
    check(&world.rotator);
    check(&world.root.hasher());
    check(&random());
    check_future(&world.opener.open(&[], &world.context, &world.data_key));
    check_future(&world.intake.accept_plain(
        secret("sk-0123456789"),
        &world.context,
        &world.data_key,
    ));
}
