//! Sealing keys: exactly one is active, and a replaced one has lost its private half.

use domain::record::SealingKeyRecord;
use store::{Actor, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_replaced_pair_loses_its_private_half,
    of_many_who_rotate_one_wins,
    of_many_who_make_the_first_one_wins,
    only_the_active_pair_is_rewrapped,
];

fn pair(world: &World, name: &str) -> SealingKeyRecord {
    SealingKeyRecord {
        kek_id: name.to_owned(),
        public_key: world.hash(),
        wrapped_private: format!("private half of {name}").into_bytes(),
        created_at: NOW,
        expires_at: NOW.plus_millis(1000),
    }
}

async fn a_replaced_pair_loses_its_private_half(world: World) {
    let first = world.first().await;
    let system = world.store.system();
    assert_eq!(system.active_sealing_key().await.expect("asks"), None);
    let (a, b) = (pair(&world, "aa"), pair(&world, "bb"));
    let note = world.note("sealing_key.rotate");
    system
        .activate_sealing_key(&a, None, &note, NOW)
        .await
        .expect("the first");
    assert_eq!(
        system.active_sealing_key().await.expect("asks"),
        Some(a.clone())
    );
    let before = world.traces().await;
    for replaces in [None, Some("bb"), Some("")] {
        let refused = system.activate_sealing_key(&b, replaces, &note, NOW).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.traces().await, before);
    assert_eq!(
        system.active_sealing_key().await.expect("asks"),
        Some(a.clone())
    );

    world
        .store
        .system()
        .by(Actor::User(first.user))
        .activate_sealing_key(&b, Some("aa"), &note, NOW)
        .await
        .expect("rotated");
    assert_eq!(system.active_sealing_key().await.expect("asks"), Some(b));
    let left = "SELECT count(*) FROM sealing_keys WHERE wrapped_private IS NOT NULL";
    assert_eq!(world.number(left).await, 1);
    let by_program =
        "SELECT count(*) FROM audit WHERE action = 'sealing_key.rotate' AND actor = 'system'";
    let by_person =
        "SELECT count(*) FROM audit WHERE action = 'sealing_key.rotate' AND actor <> 'system'";
    assert_eq!(world.number(by_program).await, 1);
    assert_eq!(world.number(by_person).await, 1);
    if world.is_sqlite() {
        let gone = std::fs::read_dir(world.folder())
            .expect("the folder")
            .map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
            .all(|content| {
                let planted = a.wrapped_private.as_slice();
                !content.windows(planted.len()).any(|part| part == planted)
            });
        assert!(gone, "the old private half is on the disk");
    }
    // A pair that was replaced does not come back.
    let refused = system
        .activate_sealing_key(&a, Some("bb"), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
}

async fn race(world: &World, replaces: Option<&'static str>) {
    let other = world.other_node().await;
    let before = world.number("SELECT count(*) FROM sealing_keys").await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let new = pair(world, &format!("node {n} after {replaces:?}"));
            let note = world.note("sealing_key.rotate");
            tokio::spawn(async move {
                let system = store.system();
                system
                    .activate_sealing_key(&new, replaces, &note, NOW)
                    .await
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.expect("ran") {
            Ok(()) => won += 1,
            Err(StoreError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
    let active = "SELECT count(*) FROM sealing_keys WHERE active = 1";
    assert_eq!(world.number(active).await, 1);
    let all = world.number("SELECT count(*) FROM sealing_keys").await;
    assert_eq!(all, before + 1);
}

async fn of_many_who_rotate_one_wins(world: World) {
    // T28
    let system = world.store.system();
    let note = world.note("sealing_key.rotate");
    system
        .activate_sealing_key(&pair(&world, "aa"), None, &note, NOW)
        .await
        .expect("the first");
    race(&world, Some("aa")).await;
}

async fn of_many_who_make_the_first_one_wins(world: World) {
    // T28
    race(&world, None).await;
}

async fn only_the_active_pair_is_rewrapped(world: World) {
    let system = world.store.system();
    let (a, b) = (pair(&world, "aa"), pair(&world, "bb"));
    let note = world.note("sealing_key.rotate");
    for (new, replaces) in [(&a, None), (&b, Some("aa"))] {
        system
            .activate_sealing_key(new, replaces, &note, NOW)
            .await
            .expect("active");
    }
    let rewrapped = SealingKeyRecord {
        wrapped_private: vec![5, 5],
        ..b.clone()
    };
    let other_bytes = SealingKeyRecord {
        wrapped_private: vec![5],
        ..b.clone()
    };
    let before = world.traces().await;
    for stale in [&a, &other_bytes] {
        let refused = system.replace_sealing_key_wrapping(stale, &rewrapped).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(
        system.active_sealing_key().await.expect("asks").as_ref(),
        Some(&b)
    );
    system
        .replace_sealing_key_wrapping(&b, &rewrapped)
        .await
        .expect("rewrapped");
    assert_eq!(
        system.active_sealing_key().await.expect("asks"),
        Some(rewrapped)
    );
    assert_eq!(world.traces().await, before);
    let left = "SELECT count(*) FROM sealing_keys WHERE wrapped_private IS NOT NULL";
    assert_eq!(world.number(left).await, 1);
}
