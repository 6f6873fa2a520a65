//! Leaving the instance.

use domain::access::{Action, ApiScope, Role};
use domain::{RequestId, SessionId};
use store::{Denied, NewSession, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    who_leaves_takes_everything_but_the_record_along,
    the_last_admin_stays,
    nothing_is_made_for_somebody_who_left,
    nobody_brings_back_who_left,
    nobody_leaves_by_a_password_or_a_log_in_that_was_replaced,
];

const LIFE_MS: i64 = 1000;

async fn who_leaves_takes_everything_but_the_record_along(world: World) {
    let first = world.first().await;
    let gone = world.person(&first, "gone@example.com").await;
    let guest = world.person(&first, "guest@example.com").await;
    world
        .join(&gone, &guest, "guest@example.com", Role::Admin)
        .await;
    world
        .join(&first, &gone, "gone@example.com", Role::Admin)
        .await;
    // What is theirs, here and in another's workspace.
    let account = world.account(&gone).await;
    let of_account = world.store.within_account(&account).provider_keys();
    let scope = world.scope(&gone, Action::WriteProviderKeys).await;
    let of_workspace = world.store.within(&scope).provider_keys();
    for keys in [&of_account, &of_workspace] {
        world.put(keys, "primary").await;
        let stored = world.put(keys, "second").await;
        let note = world.note("provider_key.remove");
        keys.remove(stored.context.key, &note, NOW)
            .await
            .expect("removes");
    }
    let note = world.note("defaults.update");
    let within_account = world.store.within_account(&account);
    let defaults = within_account.defaults().await.expect("reads");
    within_account
        .put_defaults(&defaults, &defaults, None, &note, NOW)
        .await
        .expect("written");
    let (_, own_key) = world
        .api_key(&scope, gone.user, &[ApiScope::InferenceInvoke])
        .await;
    let (_, guests_key) = world
        .api_key(&scope, guest.user, &[ApiScope::InferenceInvoke])
        .await;
    let elsewhere = world
        .store
        .authorize_workspace(&gone.principal(), first.workspace, Action::WriteApiKeys)
        .await
        .expect("a member may");
    let (_, key_elsewhere) = world
        .api_key(&elsewhere, gone.user, &[ApiScope::InferenceInvoke])
        .await;
    let session = NewSession {
        id: world.id::<SessionId>(),
        user: gone.user,
        hash: world.hash(),
        expires_at: NOW.plus_millis(1_000_000),
        user_agent: "test".to_owned(),
    };
    let system = world.store.system();
    system
        .create_session(&session, &note, NOW)
        .await
        .expect("logged in");
    let admin = world.instance(&first).await;
    let credits = within_account.credits(NOW).await.expect("reads");
    assert!(credits.available.nanos() > 0);
    let ledger = world.number("SELECT count(*) FROM credit_cards").await;

    let own = world.logged_in(&gone, LIFE_MS).await;
    let stranger = world.person(&first, "stranger@example.com").await;
    let people = [gone.account, first.account, guest.account, stranger.account];
    let floors = || people.map(|account| world.store.revision().floor(account));
    let before = floors();
    let note = store::AuditNote {
        request: world.id::<RequestId>(),
        ..world.note("account.delete")
    };
    world.leave(&own, &note).await.expect("leaves");
    let moved: Vec<bool> = std::iter::zip(before, floors())
        .map(|(before, after)| after > before)
        .collect();
    assert_eq!(
        moved,
        [true, true, false, false],
        "the account's rows changed, and those where the person was a member"
    );
    for (what, left) in [
        ("SELECT count(*) FROM provider_keys", 0),
        ("SELECT count(*) FROM data_keys", 0),
        ("SELECT count(*) FROM removed_provider_keys", 0),
        ("SELECT count(*) FROM account_defaults", 0),
        ("SELECT count(*) FROM sessions", 0),
        ("SELECT count(*) FROM api_keys", 0),
        ("SELECT count(*) FROM members", 3),
        ("SELECT count(*) FROM workspaces", 3),
        ("SELECT count(*) FROM users", 4),
        ("SELECT count(*) FROM accounts", 4),
        ("SELECT count(*) FROM users WHERE email LIKE '%gone@%'", 0),
        ("SELECT count(*) FROM accounts WHERE name LIKE '%gone@%'", 0),
        (
            "SELECT count(*) FROM invitations WHERE email LIKE '%gone@%'",
            0,
        ),
        ("SELECT count(*) FROM credit_cards", ledger),
    ] {
        assert_eq!(world.number(what).await, left, "{what}");
    }
    for hash in [&own_key, &guests_key, &key_elsewhere] {
        let caller = world.store.serving().caller(hash, NOW).await;
        assert_eq!(caller.expect("reads"), None);
    }
    let live = system.session_by_hash(&session.hash, NOW).await;
    assert!(live.expect("reads").is_none());
    assert!(
        system
            .login("gone@example.com")
            .await
            .expect("reads")
            .is_none()
    );
    // The row stays, so that audit and usage name somebody, and nobody meets it.
    let kept = "SELECT count(*) FROM users
                WHERE email = 'deleted-' || id AND suspended = 1 AND instance_admin = 0";
    assert_eq!(world.number(kept).await, 1);
    let page = store::PageRequest::default();
    let listed = system.list_users(&admin, &page).await.expect("lists");
    let found = system.find_users(&admin, "deleted", &page).await;
    assert!(listed.items.iter().all(|row| row.id != gone.user));
    assert_eq!(
        (listed.items.len(), found.expect("lists").items.len()),
        (3, 0)
    );
    let denied = world
        .store
        .authorize_user(&gone.principal(), Action::UseOwnUser)
        .await;
    assert!(matches!(denied, Err(Denied::Forbidden { .. })));
    // The e-mail is free again.
    world.person(&first, "gone@example.com").await;
}

async fn the_last_admin_stays(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let own = world.logged_in(&first, LIFE_MS).await;
    let note = world.note("account.delete");
    let before = world.traces().await;
    let refused = world.leave(&own, &note).await;
    assert!(matches!(refused, Err(StoreError::LastAdmin)));
    assert_eq!(world.traces().await, before);
    world
        .raw(
            "UPDATE users SET instance_admin = 1, suspended = 1 WHERE email = 'second@example.com'",
        )
        .await
        .expect("changed");
    let refused = world.leave(&own, &note).await;
    assert!(
        matches!(refused, Err(StoreError::LastAdmin)),
        "a suspended admin manages nothing"
    );
    world
        .raw("UPDATE users SET suspended = 0")
        .await
        .expect("changed");
    let left = world.leave(&own, &note).await;
    left.expect("another admin is there");
    let own = world.logged_in(&second, LIFE_MS).await;
    let refused = world.leave(&own, &note).await;
    assert!(matches!(refused, Err(StoreError::LastAdmin)));
}

async fn nothing_is_made_for_somebody_who_left(world: World) {
    let first = world.first().await;
    let gone = world.person(&first, "gone@example.com").await;
    let own = world.logged_in(&gone, LIFE_MS).await;
    let account = world.account(&gone).await;
    let keys = world.store.within_account(&account).provider_keys();
    let note = world.note("account.delete");
    world.leave(&own, &note).await.expect("leaves");
    let scope = own;
    let own = world.store.own(&scope);
    let before = world.traces().await;
    let new = world.workspace(world.id(), "More");
    let refused = own.create_workspace(&new, &[], None, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    let record = domain::record::DataKeyRecord {
        id: world.id(),
        owner: keys.owner(),
        kms_key: "local".to_owned(),
        wrapped: vec![1],
        created_at: NOW,
    };
    let refused = keys.insert_data_key(&record).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    let within = world.store.within_account(&account);
    let defaults = within.defaults().await.expect("reads");
    let refused = within
        .put_defaults(&defaults, &defaults, None, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    let refused = world.leave(&scope, &note).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
}

async fn nobody_brings_back_who_left(world: World) {
    let first = world.first().await;
    let gone = world.person(&first, "gone@example.com").await;
    let own = world.logged_in(&gone, LIFE_MS).await;
    let note = world.note("account.delete");
    let left = world.leave(&own, &note).await;
    left.expect("leaves");
    let scope = world.instance(&first).await;
    let system = world.store.system();
    let link = store::NewPasswordLink {
        user: gone.user,
        hash: world.hash(),
        expires_at: NOW.plus_millis(1000),
    };
    let before = world.traces().await;
    for change in [true, false] {
        for refused in [
            system
                .set_user_suspended(&scope, gone.user, change, &note, NOW)
                .await,
            system
                .set_instance_admin(&scope, gone.user, change, &note, NOW)
                .await,
            system
                .create_password_link(&scope, &link, &note, NOW)
                .await
                .map(drop),
        ] {
            assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
        }
    }
    assert_eq!(world.traces().await, before);
}

async fn nobody_leaves_by_a_password_or_a_log_in_that_was_replaced(world: World) {
    let first = world.first().await;
    let person = world.person(&first, "person@example.com").await;
    let (here, there) = (
        world.logged_in(&person, LIFE_MS).await,
        world.logged_in(&person, LIFE_MS).await,
    );
    let note = world.note("user.delete");
    let (old, ended) = (world.store.own(&here), world.store.own(&there));
    let verified = old.password_hash().await.expect("reads");
    let set = old.set_password(&verified, "another", &note, NOW).await;
    set.expect("changed");
    let before = world.traces().await;
    for refused in [
        old.delete_account(&verified, &note, NOW).await,
        ended.delete_account("another", &note, NOW).await,
        old.delete_account("another", &note, NOW.plus_millis(LIFE_MS))
            .await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    assert_eq!(world.traces().await, before);
    let left = old.delete_account("another", &note, NOW).await;
    left.expect("leaves");
}
