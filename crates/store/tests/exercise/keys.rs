//! Provider keys and their data keys: what is put, replaced, taken once, removed for good.

use domain::access::{Action, ApiScope};
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{Label, ProviderId};
use store::{Expect, StoreError};

use crate::change;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_provider_key_reads_back_as_it_was_put,
    a_label_is_taken_once_per_owner_and_provider,
    a_sealed_box_is_taken_once_in_the_whole_instance,
    a_replacement_keeps_id_label_position_and_state,
    of_many_replacements_of_a_version_one_wins,
    of_many_new_keys_with_a_label_one_wins,
    metadata_changes_one_at_a_time,
    a_removed_key_is_gone_from_the_disk,
    the_first_data_key_wins,
    data_keys_are_rewrapped_in_place,
    an_owner_has_a_bounded_number_of_keys,
    an_owner_has_one_active_data_key,
];

async fn a_provider_key_reads_back_as_it_was_put(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    for keys in [
        world.store.within(&scope).provider_keys(),
        world.store.within_account(&account).provider_keys(),
    ] {
        assert_eq!(keys.data_key().await.expect("asks"), None);
        let data_key = world.data_key(&keys).await;
        let record = ProviderKeyRecord {
            envelope: (0..=255).collect(),
            position: -3,
            enabled: false,
            kek_id: None,
            ..world.record(keys.owner(), keys.account(), data_key, "primary")
        };
        let note = world.note("provider_key.create");
        keys.put(&record, Expect::New, &note, NOW)
            .await
            .expect("put");
        let id = record.context.key;
        assert_eq!(keys.get(id).await.expect("asks").as_ref(), Some(&record));
        let found = keys.find(&record.context.provider, &record.label).await;
        assert_eq!(found.expect("asks").as_ref(), Some(&record));
        assert_eq!(keys.list().await.expect("asks"), [record]);
    }
    // Two owners may use one label.
    let all = world.store.system().provider_keys(None, 10).await;
    assert_eq!(all.expect("lists").len(), 2);
}

async fn a_label_is_taken_once_per_owner_and_provider(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    let again = world.record(keys.owner(), keys.account(), stored.data_key, "primary");
    let before = world.traces().await;
    let note = world.note("provider_key.create");
    let refused = keys.put(&again, Expect::New, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);

    let mut other = again;
    other.context.provider = "anthropic".parse::<ProviderId>().expect("a provider id");
    keys.put(&other, Expect::New, &note, NOW)
        .await
        .expect("another provider");
}

async fn a_sealed_box_is_taken_once_in_the_whole_instance(world: World) {
    // T24
    let other = world.other_node().await;
    let box_hash = world.hash();
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            tokio::spawn(async move { store.system().take_box(&box_hash, NOW).await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        match task.await.expect("ran") {
            Ok(()) => taken += 1,
            Err(StoreError::Replayed) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(taken, 1);
    let late = NOW.plus_millis(1_000_000_000_000);
    let again = world.store.system().take_box(&box_hash, late).await;
    assert!(matches!(again, Err(StoreError::Replayed)));
    let another = world.store.system().take_box(&world.hash(), NOW).await;
    another.expect("another box");
}

async fn a_replacement_keeps_id_label_position_and_state(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    let id = stored.context.key;
    let note = world.note("provider_key.rotate");
    keys.update(id, &change::enabled(false), &note, NOW)
        .await
        .expect("disabled");
    keys.update(id, &change::position(4), &note, NOW)
        .await
        .expect("moved");
    let serving = world.store.serving();
    serving
        .mark_failure(id, 1, NOW, domain::key::FailureKind::InvalidKey)
        .await
        .expect("marked");

    let later = NOW.plus_millis(5);
    let mut next = stored.clone();
    next.context.version = 2;
    next.context.base_url = "https://example.com/v1".to_owned();
    next.envelope = b"another envelope".to_vec();
    next.mask = "...".to_owned();
    next.kek_id = None;
    keys.put(&next, Expect::Version(1), &note, later)
        .await
        .expect("replaced");
    let read = keys.get(id).await.expect("asks").expect("there");
    assert_eq!(
        read,
        ProviderKeyRecord {
            enabled: false,
            position: 4,
            updated_at: later,
            last_failure: None,
            ..next.clone()
        }
    );

    let before = world.traces().await;
    let mut skipped = next.clone();
    skipped.context.version = 4;
    let mut moved = next.clone();
    moved.context.version = 3;
    moved.context.provider = "anthropic".parse().expect("a provider id");
    let mut gone = next.clone();
    gone.context.version = 3;
    gone.context.key = world.id();
    for (record, version) in [(&next, 1), (&skipped, 2), (&moved, 2)] {
        let refused = keys.put(record, Expect::Version(version), &note, NOW).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    let refused = keys.put(&gone, Expect::Version(2), &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(world.traces().await, before);
}

async fn of_many_replacements_of_a_version_one_wins(world: World) {
    let first = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let stored = {
        let keys = world.store.within(&scope).provider_keys();
        world.put(&keys, "primary").await
    };
    for version in 1..=3 {
        let audits = world.number("SELECT count(*) FROM audit").await;
        let tasks: Vec<_> = (0..16)
            .map(|n: i64| {
                let store = if n % 2 == 0 { &world.store } else { &other }.clone();
                let scope = scope.clone();
                let mut record = stored.clone();
                record.context.version = version + 1;
                record.envelope = n.to_be_bytes().to_vec();
                let note = world.note("provider_key.rotate");
                tokio::spawn(async move {
                    let keys = store.within(&scope).provider_keys();
                    let expect = Expect::Version(version);
                    (n, keys.put(&record, expect, &note, NOW).await)
                })
            })
            .collect();
        let mut winner = None;
        for task in tasks {
            match task.await.expect("ran") {
                (n, Ok(())) => assert_eq!(winner.replace(n), None, "a second winner"),
                (_, Err(StoreError::Conflict(_))) => {}
                (_, Err(error)) => panic!("{error}"),
            }
        }
        let winner = winner.expect("one wins");
        let keys = world.store.within(&scope).provider_keys();
        let read = keys
            .get(stored.context.key)
            .await
            .expect("asks")
            .expect("there");
        assert_eq!(read.context.version, version + 1);
        assert_eq!(read.envelope, winner.to_be_bytes());
        let audited = world.number("SELECT count(*) FROM audit").await;
        assert_eq!(audited, audits + 1);
    }
}

async fn of_many_new_keys_with_a_label_one_wins(world: World) {
    let first = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let (owner, account, data_key) = {
        let keys = world.store.within(&scope).provider_keys();
        (keys.owner(), keys.account(), world.data_key(&keys).await)
    };
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let scope = scope.clone();
            let record = world.record(owner, account, data_key, "primary");
            let note = world.note("provider_key.create");
            tokio::spawn(async move {
                let keys = store.within(&scope).provider_keys();
                keys.put(&record, Expect::New, &note, NOW).await
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
    assert_eq!(world.number("SELECT count(*) FROM provider_keys").await, 1);
}

async fn metadata_changes_one_at_a_time(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let (one, two) = (world.put(&keys, "one").await, world.put(&keys, "two").await);
    let labels = async || -> Vec<String> {
        let all = keys.list().await.expect("lists");
        all.iter().map(|key| key.label.to_string()).collect()
    };
    assert_eq!(labels().await, ["one", "two"]);
    let note = world.note("provider_key.update");
    let later = NOW.plus_millis(9);
    keys.update(two.context.key, &change::position(-1), &note, later)
        .await
        .expect("moved");
    assert_eq!(labels().await, ["two", "one"]);
    let label: Label = "three".parse().expect("a label");
    keys.update(two.context.key, &change::label(&label), &note, later)
        .await
        .expect("called otherwise");
    keys.update(two.context.key, &change::enabled(false), &note, later)
        .await
        .expect("disabled");
    let read = keys
        .get(two.context.key)
        .await
        .expect("asks")
        .expect("there");
    assert_eq!(
        read,
        ProviderKeyRecord {
            position: -1,
            label,
            enabled: false,
            updated_at: later,
            ..two
        }
    );

    let before = world.traces().await;
    let refused = keys
        .update(
            one.context.key,
            &change::label(&"three".parse().expect("a label")),
            &note,
            NOW,
        )
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    let refused = keys
        .update(world.id(), &change::enabled(true), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
}

async fn a_removed_key_is_gone_from_the_disk(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let data_key = world.data_key(&keys).await;
    let planted = b"planted-envelope-5f1c9e";
    let mut record = world.record(keys.owner(), keys.account(), data_key, "primary");
    record.envelope = planted.to_vec();
    let note = world.note("provider_key.create");
    keys.put(&record, Expect::New, &note, NOW)
        .await
        .expect("put");
    assert!(
        !world.is_sqlite() || on_disk(&world, planted),
        "the search works"
    );

    let mut next = record.clone();
    next.context.version = 2;
    next.envelope = b"second-envelope-8ad0".to_vec();
    keys.put(&next, Expect::Version(1), &note, NOW)
        .await
        .expect("replaced");
    assert!(!world.is_sqlite() || !on_disk(&world, planted));
    assert!(!world.is_sqlite() || on_disk(&world, &next.envelope));

    let id = record.context.key;
    assert!(keys.remove(id, &note, NOW).await.expect("removed"));
    assert!(!world.is_sqlite() || !on_disk(&world, &next.envelope));
    assert_eq!(keys.get(id).await.expect("asks"), None);
    assert_eq!(world.number("SELECT count(*) FROM provider_keys").await, 0);
    let before = world.traces().await;
    assert!(!keys.remove(id, &note, NOW).await.expect("asks"));
    assert_eq!(world.traces().await, before);
}

/// Whether the bytes stand in the database file or its log.
fn on_disk(world: &World, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(world.folder()).expect("the folder");
    files
        .map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
        .any(|content| content.windows(bytes.len()).any(|part| part == bytes))
}

async fn the_first_data_key_wins(world: World) {
    let first = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let owner = world.store.within(&scope).provider_keys().owner();
    let tasks: Vec<_> = (0..8_u8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let scope = scope.clone();
            let record = DataKeyRecord {
                id: world.id(),
                owner,
                kms_key: "local".to_owned(),
                wrapped: vec![n],
                created_at: NOW,
            };
            tokio::spawn(async move {
                let keys = store.within(&scope).provider_keys();
                keys.insert_data_key(&record).await.expect("one counts")
            })
        })
        .collect();
    let mut stored = Vec::new();
    for task in tasks {
        stored.push(task.await.expect("ran"));
    }
    stored.dedup();
    assert_eq!(stored.len(), 1);
    let keys = world.store.within(&scope).provider_keys();
    assert_eq!(keys.data_key().await.expect("asks"), stored.pop());
}

async fn data_keys_are_rewrapped_in_place(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let keys = world.store.within(&scope).provider_keys();
    let account_keys = world.store.within_account(&account).provider_keys();
    let (one, two) = (
        world.data_key(&keys).await,
        world.data_key(&account_keys).await,
    );
    let system = world.store.system();
    assert_eq!(system.data_key_count().await.expect("counts"), 2);
    assert_eq!(system.provider_key_count().await.expect("counts"), 0);
    let page = system.data_keys(None, 1).await.expect("lists");
    assert_eq!(page.iter().map(|key| key.id).collect::<Vec<_>>(), [one]);
    let page = system.data_keys(Some(one), 10).await.expect("lists");
    assert_eq!(page.iter().map(|key| key.id).collect::<Vec<_>>(), [two]);

    let floor = world.store.revision().floor(first.account);
    let rewrapped = DataKeyRecord {
        kms_key: "local-2".to_owned(),
        wrapped: vec![9, 9],
        ..page[0].clone()
    };
    let old = page[0].clone();
    let audited = "SELECT count(*) FROM audit";
    let before = world.number(audited).await;
    system
        .replace_data_key_wrapping(&old, &rewrapped)
        .await
        .expect("rewrapped");
    let read = account_keys.data_key().await.expect("asks");
    assert_eq!(read.as_ref(), Some(&rewrapped));
    assert!(world.store.revision().floor(first.account) > floor);
    assert_eq!(world.number(audited).await, before);
    // Not again, not from another wrapping, and not for another key.
    let other_key = DataKeyRecord {
        id: world.id(),
        ..rewrapped.clone()
    };
    let other_kms = DataKeyRecord {
        kms_key: "local-3".to_owned(),
        ..rewrapped.clone()
    };
    let other_bytes = DataKeyRecord {
        wrapped: vec![9, 8],
        ..rewrapped.clone()
    };
    let before = world.traces().await;
    for stale in [&old, &other_key, &other_kms, &other_bytes] {
        let refused = system.replace_data_key_wrapping(stale, &old).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.traces().await, before);
    assert_eq!(
        account_keys.data_key().await.expect("asks"),
        Some(rewrapped)
    );
}

async fn an_owner_has_a_bounded_number_of_keys(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    world
        .raw(
            "WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
             INSERT INTO provider_keys (id, owner_id, workspace_id, account_id, provider, label,
                                        base_url, auth_header, version, data_key_id, envelope, mask,
                                        position, enabled, created_at, updated_at)
             SELECT 'filler' || n, owner_id, workspace_id, account_id, provider, 'filler' || n,
                    base_url, auth_header, version, data_key_id, envelope, mask,
                    position, enabled, created_at, updated_at
             FROM provider_keys, numbers",
        )
        .await
        .expect("filled");
    let one_more = world.record(keys.owner(), keys.account(), stored.data_key, "more");
    let note = world.note("provider_key.create");
    let refused = keys.put(&one_more, Expect::New, &note, NOW).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    // A stored id that is none is named, and nothing of the row is quoted.
    match keys.list().await {
        Err(StoreError::Corrupt(place)) => {
            assert_eq!(place, "provider_keys filler10, column id");
        }
        other => panic!("{other:?}"),
    }
}

async fn an_owner_has_one_active_data_key(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let old = world.put(&keys, "primary").await.data_key;
    let second = world
        .raw(
            "INSERT INTO data_keys (id, owner_id, workspace_id, account_id, kms_key, wrapped, active, created_at)
             SELECT 'dk_other', owner_id, workspace_id, account_id, kms_key, wrapped, 1, created_at
             FROM data_keys",
        )
        .await;
    assert!(second.is_err(), "the database itself refuses a second one");
    world
        .raw("UPDATE data_keys SET active = 0")
        .await
        .expect("written");
    assert_eq!(keys.data_key().await.expect("asks"), None);
    let new = world.data_key(&keys).await;
    assert_ne!(new, old);
    let active = keys.data_key().await.expect("asks");
    assert_eq!(active.map(|key| key.id), Some(new));
    // What was encrypted under the old one is still served.
    let (_, hash) = world.api_key(&scope, first.user, ApiScope::ALL).await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    let caller = caller.expect("asks").expect("lives");
    let mut served: Vec<_> = caller.data_keys.iter().map(|key| key.id).collect();
    served.sort();
    assert_eq!(served, [old, new]);
    let all = world.store.system().data_keys(None, 10).await;
    assert_eq!(all.expect("lists").len(), 2);
}
