//! Revisions: what a change moves, and how other nodes hear of it.

use domain::WorkspaceId;
use domain::access::{Action, ApiScope, Role};
use store::NewSession;

use crate::change;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_change_moves_the_floor_of_its_account_before_it_returns,
    what_serves_no_call_moves_nothing,
    another_node_hears_of_changes_when_it_polls,
    revisions_rise_by_one_under_concurrent_changes,
    an_old_list_of_changes_may_be_pruned,
];

async fn a_change_moves_the_floor_of_its_account_before_it_returns(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    let scope = world.scope(&a, Action::WriteProviderKeys).await;
    let within = world.store.within(&scope);
    let keys = within.provider_keys();
    let revision = world.store.revision();
    let floor_b = revision.floor(b.account);
    let mut last = revision.floor(a.account);
    let mut moved = |what: &str| {
        let now = revision.floor(a.account);
        assert!(now > last, "{what}");
        assert_eq!(now, revision.latest());
        last = now;
    };
    let stored = world.put(&keys, "primary").await;
    moved("put");
    let id = stored.context.key;
    let note = world.note("change");
    let mut next = stored.clone();
    next.context.version = 2;
    keys.put(&next, store::Expect::Version(1), &note, NOW)
        .await
        .expect("replaced");
    moved("replace");
    keys.update(id, &change::enabled(false), &note, NOW)
        .await
        .expect("set");
    moved("disable");
    keys.update(id, &change::position(1), &note, NOW)
        .await
        .expect("set");
    moved("set_position");
    let label = "other".parse().expect("a label");
    keys.update(id, &change::label(&label), &note, NOW)
        .await
        .expect("set");
    moved("set_label");
    keys.remove(id, &note, NOW).await.expect("removed");
    moved("remove");
    let (api_key, shown) = world.api_key(&scope, b.user, &[ApiScope::UsageRead]).await;
    moved("create_api_key");
    within
        .replace_api_key_hash(api_key, &shown, (&world.hash(), "kb_x"), &note, NOW)
        .await
        .expect("rotated");
    moved("replace_api_key_hash");
    let short = store::NewApiKey {
        id: world.id(),
        user: b.user,
        name: "short".to_owned(),
        prefix: "kb_123456".to_owned(),
        hash: world.hash(),
        scopes: vec![ApiScope::UsageRead],
        default_model: None,
        expires_at: Some(NOW.plus_millis(1000)),
    };
    within
        .create_api_key(&short, &note, NOW)
        .await
        .expect("minted");
    moved("create_api_key");
    within
        .renew_api_key(short.id, NOW.plus_millis(2000), &note, NOW)
        .await
        .expect("renewed");
    moved("renew_api_key");
    within
        .revoke_api_key(api_key, &note, NOW)
        .await
        .expect("revoked");
    moved("revoke_api_key");
    within
        .set_member_role(b.user, Role::Admin, &note, NOW)
        .await
        .expect("promoted");
    moved("set_member_role");
    within
        .remove_member(b.user, &note, NOW)
        .await
        .expect("removed");
    moved("remove_member");
    within.rename("x", &note, NOW).await.expect("renamed");
    moved("rename");
    let own = world.own(&a).await;
    let id: WorkspaceId = world.id();
    world
        .store
        .own(&own)
        .create_workspace(&world.workspace(id, "y"), &[], None, &note, NOW)
        .await
        .expect("created");
    moved("create_workspace");
    within.delete(&note, NOW).await.expect("deleted");
    moved("delete");
    assert_eq!(
        revision.floor(b.account),
        floor_b,
        "another account is left alone"
    );

    let instance = world.instance(&a).await;
    world
        .store
        .system()
        .set_user_suspended(&instance, b.user, true, &note, NOW)
        .await
        .expect("suspended");
    moved("set_user_suspended");
    assert!(revision.floor(b.account) > floor_b);
}

async fn what_serves_no_call_moves_nothing(world: World) {
    let a = world.first().await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let before = world.store.revision().latest();
    let note = world.note("session.create");
    let session = NewSession {
        id: world.id(),
        hash: world.hash(),
        user: a.user,
        expires_at: NOW.plus_millis(1),
        user_agent: String::new(),
    };
    let system = world.store.system();
    system
        .create_session(&session, &note, NOW)
        .await
        .expect("logged in");
    system
        .prune_sessions(session.expires_at)
        .await
        .expect("ended");
    system
        .note_refused(None, Some(a.workspace), scope.actor(), &note, NOW)
        .await
        .expect("noted");
    assert_eq!(world.store.revision().latest(), before);
    assert_eq!(world.number("SELECT revision FROM revision").await, before);
}

async fn another_node_hears_of_changes_when_it_polls(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    let other = world.other_node().await;
    let scope = world.scope(&a, Action::WriteApiKeys).await;
    let floor_b = other.revision().floor(b.account);
    let start = other.revision().latest();
    world.api_key(&scope, a.user, &[]).await;
    world.api_key(&scope, a.user, &[]).await;
    if !world.is_sqlite() {
        assert_eq!(other.revision().latest(), start);
    }
    let before = other.revision().synced_at();
    other.poll_changes().await.expect("polled");
    assert!(other.revision().synced_at() > before);
    assert_eq!(other.revision().latest(), start + 2);
    assert_eq!(other.revision().floor(a.account), start + 2);
    assert_eq!(other.revision().floor(b.account), floor_b);

    // An own change does not hide an earlier one of another node.
    let scope_b = world.scope(&b, Action::WriteApiKeys).await;
    world.api_key(&scope, a.user, &[]).await;
    let new = store::NewApiKey {
        id: world.id(),
        user: b.user,
        name: String::new(),
        prefix: String::new(),
        hash: world.hash(),
        scopes: vec![],
        default_model: None,
        expires_at: None,
    };
    other
        .within(&scope_b)
        .create_api_key(&new, &world.note("api_key.create"), NOW)
        .await
        .expect("minted");
    assert_eq!(other.revision().latest(), start + 4);
    other.poll_changes().await.expect("polled");
    assert_eq!(other.revision().floor(a.account), start + 3);
    assert_eq!(other.revision().floor(b.account), start + 4);
}

async fn revisions_rise_by_one_under_concurrent_changes(world: World) {
    let a = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&a, Action::WriteApiKeys).await;
    let start = world.store.revision().latest();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let scope = scope.clone();
            let note = world.note("workspace.update");
            tokio::spawn(async move {
                let within = store.within(&scope);
                within
                    .rename(&n.to_string(), &note, NOW)
                    .await
                    .expect("renamed");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("ran");
    }
    let gaps = "SELECT max(revision) - min(revision) + 1 - count(*) FROM changes";
    assert_eq!(
        world.number(gaps).await,
        0,
        "the list of changes has no gap"
    );
    for store in [&world.store, &other] {
        store.poll_changes().await.expect("polled");
        assert_eq!(store.revision().latest(), start + 16);
    }
    let gaps = "SELECT max(sequence) - count(*) FROM audit";
    assert_eq!(world.number(gaps).await, 0, "the audit log has no gap");
}

async fn an_old_list_of_changes_may_be_pruned(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    let scope = world.scope(&a, Action::WriteApiKeys).await;
    let system = world.store.system();
    assert_eq!(system.prune_changes().await.expect("pruned"), 0);
    let other = world.other_node().await;
    // As if ten thousand changes of other nodes had gone by.
    world
        .raw("UPDATE revision SET revision = revision + 10000")
        .await
        .expect("counted on");
    world.api_key(&scope, a.user, &[]).await;
    assert_eq!(system.prune_changes().await.expect("pruned"), 2);
    other.poll_changes().await.expect("polled");
    let latest = other.revision().latest();
    assert!(latest > 10_000);
    assert_eq!(
        other.revision().floor(b.account),
        latest,
        "it may have changed"
    );
}
