//! What a plan limits, and that the limit is asked inside the change.

use domain::access::{Action, ApiScope, Role};
use domain::plan::{Plan, ResourceLimits, shipped};
use domain::{InvitationId, KeyOwner};
use store::{AcceptBy, Expect, NewApiKey, NewInvitation, ResourceUse, StoreError};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    workspaces_are_limited,
    of_many_workspaces_made_at_once_only_the_rest_of_the_limit_comes,
    members_are_limited_where_they_join,
    api_keys_that_are_not_revoked_are_limited,
    provider_keys_are_limited_by_owner_and_templates_are_not,
    a_plan_without_own_keys_takes_none,
];

/// Gives the person a plan with these limits, with own keys or without.
async fn limited(world: &World, first: &Person, of: &Person, byok: bool, limits: ResourceLimits) {
    let scope = world.instance(first).await;
    let mut plan: Plan = shipped().remove(0);
    plan.id = "tight".parse().expect("an id");
    plan.terms.byok = byok;
    plan.terms.limits = limits;
    let note = world.note("plan.update");
    let system = world.store.system();
    system
        .put_plan(&scope, &plan, &note, NOW)
        .await
        .expect("a plan");
    system
        .subscribe(&scope, of.account, &plan.id, &note, NOW)
        .await
        .expect("subscribed");
}

#[track_caller]
fn exceeded<T: std::fmt::Debug>(result: Result<T, StoreError>, what: &str, at: i64) {
    match result {
        Err(StoreError::LimitExceeded {
            resource,
            limit,
            used,
        }) => assert_eq!((resource, limit, used), (what, at, at)),
        other => panic!("{other:?}"),
    }
}

async fn used(world: &World, person: &Person, what: &str) -> ResourceUse {
    let scope = world.account(person).await;
    let all = world.store.within_account(&scope).limits_used(NOW).await;
    let all = all.expect("reads");
    assert_eq!(
        all.iter().map(|one| one.resource).collect::<Vec<_>>(),
        ["workspaces", "members", "api_keys", "provider_keys"]
    );
    *all.iter()
        .find(|one| one.resource == what)
        .expect("is listed")
}

async fn workspaces_are_limited(world: World) {
    let first = world.first().await;
    let limits = ResourceLimits {
        workspaces: Some(2),
        ..ResourceLimits::default()
    };
    limited(&world, &first, &first, true, limits).await;
    let scope = world.own(&first).await;
    let own = world.store.own(&scope);
    let note = world.note("workspace.create");
    let create = async || {
        let new = world.workspace(world.id(), "More");
        own.create_workspace(&new, &[], None, &note, NOW).await
    };
    let second = create().await.expect("the second");
    let before = world.traces().await;
    exceeded(create().await, "workspaces", 2);
    assert_eq!(world.traces().await, before);
    let all = used(&world, &first, "workspaces").await;
    assert_eq!((all.used, all.limit), (2, Some(2)));

    let within = world
        .store
        .authorize_workspace(&first.principal(), second.id, Action::DeleteWorkspace)
        .await
        .expect("the owner may");
    let within = world.store.within(&within);
    within.delete(&note, NOW).await.expect("deleted");
    create().await.expect("there is room again");
}

async fn of_many_workspaces_made_at_once_only_the_rest_of_the_limit_comes(world: World) {
    let first = world.first().await;
    let limits = ResourceLimits {
        workspaces: Some(4),
        ..ResourceLimits::default()
    };
    limited(&world, &first, &first, true, limits).await;
    let nodes = [world.store.clone(), world.other_node().await];
    let mut made = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (store, world) = (nodes[number % 2].clone(), world.clone());
        let new = world.workspace(world.id(), "More");
        let scope = world.own(&first).await;
        let note = world.note("workspace.create");
        made.spawn(async move {
            let own = store.own(&scope);
            own.create_workspace(&new, &[], None, &note, NOW)
                .await
                .is_ok()
        });
    }
    let made = made.join_all().await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 3);
    assert_eq!(used(&world, &first, "workspaces").await.used, 4);
}

async fn members_are_limited_where_they_join(world: World) {
    let first = world.first().await;
    let b = world.person(&first, "b@example.com").await;
    let c = world.person(&first, "c@example.com").await;
    let limits = ResourceLimits {
        members: Some(2),
        ..ResourceLimits::default()
    };
    limited(&world, &first, &first, true, limits).await;
    let scope = world.scope(&first, Action::WriteMembers).await;
    let within = world.store.within(&scope);
    let note = world.note("invitation.create");
    let invite = async |email: &str| {
        let new = NewInvitation {
            id: world.id::<InvitationId>(),
            email: email.to_owned(),
            role: Role::Member,
            hash: world.hash(),
            expires_at: NOW.plus_millis(1000),
        };
        let made = within.create_invitation(&new, &note, NOW).await;
        made.map(|_| new.hash)
    };
    let accept = async |hash: &[u8; 32], person: &Person| {
        let by = AcceptBy::Existing(person.user);
        let system = world.store.system();
        system.accept_invitation(hash, &by, &note, NOW).await
    };
    // Two may be asked for one place; who comes first has it.
    let for_b = invite("b@example.com").await.expect("there is room");
    let for_c = invite("c@example.com").await.expect("there is room still");
    accept(&for_b, &b).await.expect("joins");
    let before = world.traces().await;
    exceeded(accept(&for_c, &c).await, "members", 2);
    exceeded(invite("d@example.com").await, "members", 2);
    assert_eq!(world.traces().await, before);
    let all = used(&world, &first, "members").await;
    assert_eq!((all.used, all.limit), (2, Some(2)));

    // The invitation is good for when there is room.
    within
        .remove_member(b.user, &note, NOW)
        .await
        .expect("removed");
    accept(&for_c, &c).await.expect("joins");
}

async fn api_keys_that_are_not_revoked_are_limited(world: World) {
    let first = world.first().await;
    let limits = ResourceLimits {
        api_keys: Some(1),
        ..ResourceLimits::default()
    };
    limited(&world, &first, &first, true, limits).await;
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let within = world.store.within(&scope);
    let (id, _) = world
        .api_key(&scope, first.user, &[ApiScope::InferenceInvoke])
        .await;
    let new = NewApiKey {
        id: world.id(),
        user: first.user,
        name: "more".to_owned(),
        prefix: "kb_1".to_owned(),
        hash: world.hash(),
        scopes: vec![],
        default_model: Some("gpt-4o".parse().expect("a model")),
        expires_at: None,
    };
    let note = world.note("api_key.create");
    let before = world.traces().await;
    exceeded(within.create_api_key(&new, &note, NOW).await, "api_keys", 1);
    assert_eq!(world.traces().await, before);
    assert_eq!(used(&world, &first, "api_keys").await.used, 1);
    within
        .revoke_api_key(id, &note, NOW)
        .await
        .expect("revoked");
    assert_eq!(used(&world, &first, "api_keys").await.used, 0);
    let row = within
        .create_api_key(&new, &note, NOW)
        .await
        .expect("there is room again");
    assert_eq!(row.default_model, new.default_model);
    let caller = world.store.serving().caller(&new.hash, NOW).await;
    let caller = caller.expect("reads").expect("lives");
    assert_eq!(caller.default_model, new.default_model);

    // One that has ended gives its place back.
    within
        .revoke_api_key(new.id, &note, NOW)
        .await
        .expect("revoked");
    let ending = |id, hash| NewApiKey {
        id,
        hash,
        expires_at: Some(NOW.plus_millis(1000)),
        ..new.clone()
    };
    let short = ending(world.id(), world.hash());
    within
        .create_api_key(&short, &note, NOW)
        .await
        .expect("there is room");
    let next = ending(world.id(), world.hash());
    exceeded(
        within.create_api_key(&next, &note, NOW).await,
        "api_keys",
        1,
    );
    let later = NewApiKey {
        expires_at: None,
        ..next
    };
    within
        .create_api_key(&later, &note, NOW.plus_millis(1000))
        .await
        .expect("there is room again");
    assert_eq!(used(&world, &first, "api_keys").await.used, 2);
}

async fn provider_keys_are_limited_by_owner_and_templates_are_not(world: World) {
    let first = world.first().await;
    let limits = ResourceLimits {
        provider_keys: Some(1),
        ..ResourceLimits::default()
    };
    limited(&world, &first, &first, true, limits).await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let of_workspace = world.store.within(&scope).provider_keys();
    let of_account = world.store.within_account(&account).provider_keys();
    let note = world.note("provider_key.create");
    for keys in [&of_workspace, &of_account] {
        let stored = world.put(keys, "primary").await;
        let more = world.record(keys.owner(), keys.account(), stored.data_key, "more");
        let before = world.traces().await;
        exceeded(
            keys.put(&more, Expect::New, &note, NOW).await,
            "provider_keys",
            1,
        );
        assert_eq!(world.traces().await, before);
        // A new value is no new key.
        let mut next = stored.clone();
        next.context.version = 2;
        keys.put(&next, Expect::Version(1), &note, NOW)
            .await
            .expect("replaced");
    }
    let data_key = of_account.data_key().await.expect("reads");
    let mut template = world.record(
        of_account.owner(),
        of_account.account(),
        data_key.expect("is there").id,
        "ai-defaults",
    );
    template.template = true;
    of_account
        .put(&template, Expect::New, &note, NOW)
        .await
        .expect("a template does not count");
    let all = used(&world, &first, "provider_keys").await;
    assert_eq!((all.used, all.limit), (1, Some(1)));
}

async fn a_plan_without_own_keys_takes_none(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let of_workspace = world.store.within(&scope).provider_keys();
    let of_account = world.store.within_account(&account).provider_keys();
    let stored = world.put(&of_workspace, "primary").await;
    limited(&world, &first, &first, false, ResourceLimits::default()).await;
    let note = world.note("provider_key.create");
    let before = world.traces().await;
    let dormant = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::PlanRequired { feature: "byok" })),
            "{result:?}"
        );
    };
    let owner = of_workspace.owner();
    let more = world.record(owner, Some(first.account), stored.data_key, "more");
    dormant(of_workspace.put(&more, Expect::New, &note, NOW).await);
    let mut next = stored.clone();
    next.context.version = 2;
    dormant(
        of_workspace
            .put(&next, Expect::Version(1), &note, NOW)
            .await,
    );
    assert_eq!(world.traces().await, before);
    let data_key = world.data_key(&of_account).await;
    let owner = KeyOwner::Account(first.account);
    let theirs = world.record(owner, Some(first.account), data_key, "primary");
    dormant(of_account.put(&theirs, Expect::New, &note, NOW).await);
    let mut template = theirs.clone();
    template.template = true;
    of_account
        .put(&template, Expect::New, &note, NOW)
        .await
        .expect("a template never serves");
    // What is there stays, can be seen, and can be removed.
    assert_eq!(
        of_workspace.list().await.expect("lists"),
        std::slice::from_ref(&stored)
    );
    assert!(
        of_workspace
            .remove(stored.context.key, &note, NOW)
            .await
            .expect("removes")
    );
}
