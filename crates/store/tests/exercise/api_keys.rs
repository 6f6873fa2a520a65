//! API keys: until when they live, how they rotate, and what ends with them.

use domain::access::{Action, ApiScope};
use store::{NewApiKey, Principal, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    an_api_key_lives_until_it_expires_or_is_revoked,
    an_api_key_is_renewed_within_the_life_of_what_made_it,
    an_api_key_rotates_itself,
    of_many_rotations_of_an_api_key_one_wins,
    what_an_api_key_minted_ends_with_it,
    what_ended_long_ago_is_removed_and_nothing_else,
];

async fn an_api_key_lives_until_it_expires_or_is_revoked(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&scope);
    let new = NewApiKey {
        id: world.id(),
        user: first.user,
        name: "ci".to_owned(),
        prefix: "kb_123456".to_owned(),
        hash: world.hash(),
        scopes: vec![ApiScope::InferenceInvoke, ApiScope::UsageRead],
        default_model: None,
        expires_at: Some(NOW.plus_millis(1000)),
    };
    let note = world.note("api_key.create");
    let row = within
        .create_api_key(&new, &note, NOW)
        .await
        .expect("minted");
    assert_eq!(row.scopes, new.scopes);
    assert_eq!(within.api_key(new.id).await.expect("asks"), Some(row));
    let before = world.traces().await;
    let twice = within.create_api_key(&new, &note, NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);

    let caller = async |at| {
        let found = world.store.serving().caller(&new.hash, at).await;
        let caller = found.expect("asks");
        let known = world.store.system().api_key_by_hash(&new.hash, at).await;
        assert_eq!(known.expect("asks").is_some(), caller.is_some());
        caller
    };
    let live = caller(NOW.plus_millis(999)).await.expect("lives");
    assert_eq!((live.api_key, live.user), (new.id, first.user));
    assert_eq!(
        (live.workspace, live.account),
        (first.workspace, first.account)
    );
    assert_eq!(live.expires_at, new.expires_at);
    assert_eq!(live.scopes, new.scopes);
    assert!(caller(NOW.plus_millis(1000)).await.is_none());

    within
        .revoke_api_key(new.id, &note, NOW)
        .await
        .expect("revoked");
    assert!(caller(NOW).await.is_none());
    within
        .revoke_api_key(new.id, &note, NOW.plus_millis(5))
        .await
        .expect("stays revoked");
    let row = within.api_key(new.id).await.expect("asks").expect("there");
    assert_eq!(row.revoked_at, Some(NOW));
    let refused = within.revoke_api_key(world.id(), &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn an_api_key_is_renewed_within_the_life_of_what_made_it(world: World) {
    let first = world.first().await;
    let person = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&person);
    let note = world.note("api_key.create");
    let at = |seconds: i64| NOW.plus_millis(seconds * 1000);
    let new = |seconds: Option<i64>| NewApiKey {
        id: world.id(),
        user: first.user,
        name: "ci".to_owned(),
        prefix: "kb_123456".to_owned(),
        hash: world.hash(),
        scopes: vec![ApiScope::KeysWrite, ApiScope::InferenceInvoke],
        default_model: None,
        expires_at: seconds.map(at),
    };
    let parent = new(Some(100));
    within
        .create_api_key(&parent, &note, NOW)
        .await
        .expect("minted");
    let as_key = |key: &NewApiKey| {
        let principal = Principal::ApiKey {
            key: key.id,
            user: first.user,
            workspace: first.workspace,
            account: first.account,
            scopes: key.scopes.clone(),
        };
        let world = &world;
        async move {
            let scope =
                world
                    .store
                    .authorize_workspace(&principal, first.workspace, Action::WriteApiKeys);
            scope.await.expect("may")
        }
    };
    let parent_scope = as_key(&parent).await;
    let by_parent = world.store.within(&parent_scope);
    let child = new(Some(10));
    by_parent
        .create_api_key(&child, &note, NOW)
        .await
        .expect("minted");
    let note = world.note("api_key.renew");
    by_parent
        .renew_api_key(child.id, at(50), &note, NOW)
        .await
        .expect("renewed");
    let row = within.api_key(child.id).await.expect("asks");
    assert_eq!(row.expect("there").expires_at, Some(at(50)));
    let caller = world.store.serving().caller(&child.hash, at(49)).await;
    assert!(caller.expect("asks").is_some());

    let before = world.traces().await;
    let conflicts = |result| assert!(matches!(result, Err(StoreError::Conflict(_))));
    // Neither beyond the key that minted it, whoever asks, nor by itself, nor backwards.
    conflicts(by_parent.renew_api_key(child.id, at(101), &note, NOW).await);
    conflicts(within.renew_api_key(child.id, at(101), &note, NOW).await);
    let child_scope = as_key(&child).await;
    let by_child = world.store.within(&child_scope);
    conflicts(by_child.renew_api_key(child.id, at(51), &note, NOW).await);
    conflicts(by_child.renew_api_key(parent.id, at(120), &note, NOW).await);
    conflicts(within.renew_api_key(child.id, at(49), &note, NOW).await);
    // What has ended stays so, and what never ends does not begin to.
    conflicts(within.renew_api_key(child.id, at(60), &note, at(50)).await);
    let endless = new(None);
    let refused = within.renew_api_key(endless.id, at(9), &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    within
        .create_api_key(&endless, &note, NOW)
        .await
        .expect("minted");
    conflicts(within.renew_api_key(endless.id, at(9), &note, NOW).await);
    within
        .revoke_api_key(child.id, &note, NOW)
        .await
        .expect("revoked");
    conflicts(within.renew_api_key(child.id, at(60), &note, NOW).await);
    within
        .renew_api_key(parent.id, at(200), &note, NOW)
        .await
        .expect("a person may prolong it");
}

async fn an_api_key_rotates_itself(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&scope);
    let (id, old) = world
        .api_key(&scope, first.user, &[ApiScope::InferenceInvoke])
        .await;
    let (_, other) = world.api_key(&scope, first.user, &[]).await;
    let new = world.hash();
    let note = world.note("api_key.rotate");
    within
        .replace_api_key_hash(id, &old, (&new, "kb_abcdef"), &note, NOW)
        .await
        .expect("rotated");
    let lives = async |hash: &[u8; 32]| {
        let found = world.store.serving().caller(hash, NOW).await;
        found.expect("asks").is_some()
    };
    assert!(lives(&new).await && !lives(&old).await);
    let row = within.api_key(id).await.expect("asks").expect("there");
    assert_eq!(row.prefix, "kb_abcdef");

    let before = world.traces().await;
    let refused = within
        .replace_api_key_hash(id, &new, (&other, "kb_x"), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    // The old key is not replaced again by whoever still holds it.
    let refused = within
        .replace_api_key_hash(id, &old, (&world.hash(), "kb_x"), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert!(lives(&new).await);
    assert_eq!(world.traces().await, before);
    within
        .revoke_api_key(id, &note, NOW)
        .await
        .expect("revoked");
    let refused = within
        .replace_api_key_hash(id, &new, (&world.hash(), "kb_x"), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn of_many_rotations_of_an_api_key_one_wins(world: World) {
    let first = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let (id, shown) = world.api_key(&scope, first.user, &[]).await;
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let (scope, hash) = (scope.clone(), world.hash());
            let note = world.note("api_key.rotate");
            tokio::spawn(async move {
                let within = store.within(&scope);
                let new = (&hash, "kb_x");
                let done = within
                    .replace_api_key_hash(id, &shown, new, &note, NOW)
                    .await;
                (hash, done)
            })
        })
        .collect();
    let mut winner = None;
    for task in tasks {
        match task.await.expect("ran") {
            (hash, Ok(())) => assert_eq!(winner.replace(hash), None, "a second winner"),
            (_, Err(StoreError::Conflict(_))) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
    let caller = world.store.serving();
    let caller = caller.caller(&winner.expect("one wins"), NOW).await;
    assert_eq!(caller.expect("asks").map(|caller| caller.api_key), Some(id));
}

async fn what_an_api_key_minted_ends_with_it(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&scope);
    let note = world.note("api_key");
    let end = NOW.plus_millis(1000);
    let new = |expires_at| NewApiKey {
        id: world.id(),
        user: first.user,
        name: "ci".to_owned(),
        prefix: "kb_123456".to_owned(),
        hash: world.hash(),
        scopes: ApiScope::ALL.to_vec(),
        default_model: None,
        expires_at,
    };
    let by = async |key| {
        let principal = Principal::ApiKey {
            key,
            user: first.user,
            workspace: first.workspace,
            account: first.account,
            scopes: ApiScope::ALL.to_vec(),
        };
        let store = &world.store;
        let scope = store.authorize_workspace(&principal, first.workspace, Action::WriteApiKeys);
        scope.await.expect("the key may")
    };
    let root = new(Some(end));
    let row = within.create_api_key(&root, &note, NOW).await;
    assert_eq!(row.expect("minted").parent, None);
    let (with_root, child) = (by(root.id).await, new(Some(end)));
    let before = world.traces().await;
    for late in [None, Some(end.plus_millis(1))] {
        let minted = world.store.within(&with_root);
        let minted = minted.create_api_key(&new(late), &note, NOW).await;
        assert!(matches!(minted, Err(StoreError::Conflict(_))), "{minted:?}");
    }
    assert_eq!(world.traces().await, before);
    let row = world.store.within(&with_root);
    let row = row
        .create_api_key(&child, &note, NOW)
        .await
        .expect("minted");
    assert_eq!(row.parent, Some(root.id));
    assert_eq!(within.api_key(child.id).await.expect("asks"), Some(row));
    let (with_child, grandchild) = (by(child.id).await, new(Some(NOW.plus_millis(500))));
    let minted = world.store.within(&with_child);
    let minted = minted.create_api_key(&grandchild, &note, NOW).await;
    minted.expect("minted");
    let (_, sibling) = world.api_key(&scope, first.user, &[]).await;

    let audits = world.number("SELECT count(*) FROM audit").await;
    within
        .revoke_api_key(root.id, &note, NOW)
        .await
        .expect("revoked");
    assert_eq!(world.number("SELECT count(*) FROM audit").await, audits + 1);
    let lives = async |hash: &[u8; 32]| {
        let found = world.store.serving().caller(hash, NOW).await;
        found.expect("asks").is_some()
    };
    for key in [&root, &child, &grandchild] {
        assert!(!lives(&key.hash).await);
        let row = within.api_key(key.id).await.expect("asks").expect("there");
        assert_eq!(row.revoked_at, Some(NOW));
    }
    assert!(lives(&sibling).await);
    // Nor does one that was authorized before mint another.
    let minted = world.store.within(&with_child);
    let minted = minted
        .create_api_key(&new(Some(NOW.plus_millis(1))), &note, NOW)
        .await;
    assert!(matches!(minted, Err(StoreError::Conflict(_))), "{minted:?}");
}

async fn what_ended_long_ago_is_removed_and_nothing_else(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&scope);
    let note = world.note("api_key.create");
    let at = |seconds: i64| NOW.plus_millis(seconds * 1000);
    let mint = async |ends: Option<i64>| {
        let new = NewApiKey {
            id: world.id(),
            user: first.user,
            name: "ci".to_owned(),
            prefix: "kb_123456".to_owned(),
            hash: world.hash(),
            scopes: vec![ApiScope::InferenceInvoke],
            default_model: None,
            expires_at: ends.map(at),
        };
        let minted = within.create_api_key(&new, &note, NOW).await;
        minted.expect("minted").id
    };
    let expired = mint(Some(10)).await;
    let later = mint(Some(11)).await;
    let revoked = mint(None).await;
    let revoked_later = mint(None).await;
    let lives = mint(None).await;
    for (id, moment) in [(revoked, 10), (revoked_later, 11)] {
        let ended = within.revoke_api_key(id, &note, at(moment)).await;
        ended.expect("revoked");
    }

    let system = world.store.system();
    assert_eq!(system.prune_api_keys(at(9)).await.expect("pruned"), 0);
    assert_eq!(system.prune_api_keys(at(10)).await.expect("pruned"), 2);
    for (id, kept) in [
        (expired, false),
        (revoked, false),
        (later, true),
        (revoked_later, true),
        (lives, true),
    ] {
        let row = within.api_key(id).await.expect("asks");
        assert_eq!(row.is_some(), kept, "{id}");
    }
}
