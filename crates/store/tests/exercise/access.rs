//! Who gets a scope, and that a scope reaches nothing beyond itself.

use domain::access::{Action, ApiScope, Role, Standing};
use store::{Actor, Denied, NewApiKey, PageRequest, Principal, StoreError, UsageFilter};

use crate::change;
use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    a_workspace_takes_membership_and_role,
    an_api_key_acts_in_its_own_workspace_with_its_scopes,
    an_api_keys_rights_shrink_with_its_minters_role,
    only_the_owner_reaches_an_account,
    an_instance_admin_has_no_way_into_workspaces,
    an_api_key_manages_the_instance_only_for_an_admin_of_it_and_by_scope,
    suspended_people_are_denied_everywhere,
    who_is_suspended_pays_for_nobody,
    another_workspaces_rows_are_not_found,
    a_change_does_not_outlive_the_role_that_allowed_it,
];

struct Cast {
    owner: Person,
    admin: Person,
    member: Person,
    outsider: Person,
}

/// The outsider is the instance admin, so that this gives nothing here.
async fn cast(world: &World) -> Cast {
    let outsider = world.first().await;
    let owner = world.person(&outsider, "owner@example.com").await;
    let admin = world.person(&outsider, "admin@example.com").await;
    let member = world.person(&outsider, "member@example.com").await;
    world
        .join(&owner, &admin, "admin@example.com", Role::Admin)
        .await;
    world
        .join(&owner, &member, "member@example.com", Role::Member)
        .await;
    Cast {
        owner,
        admin,
        member,
        outsider,
    }
}

/// In short what came of asking: `ok`, `404` or `403`.
async fn ask(world: &World, principal: &Principal, owner: &Person, action: Action) -> &'static str {
    match world
        .store
        .authorize_workspace(principal, owner.workspace, action)
        .await
    {
        Ok(scope) => {
            assert_eq!(scope.workspace(), owner.workspace);
            assert_eq!(scope.account(), owner.account);
            assert_eq!(scope.user(), principal.user());
            assert_eq!(scope.actor(), principal.actor());
            "ok"
        }
        Err(Denied::NotFound) => "404",
        Err(Denied::Forbidden { .. }) => "403",
        Err(Denied::Store(error)) => panic!("{error}"),
    }
}

async fn a_workspace_takes_membership_and_role(world: World) {
    // T95
    let cast = cast(&world).await;
    for (action, owner, admin, member) in [
        (Action::ReadWorkspace, "ok", "ok", "ok"),
        (Action::UpdateWorkspace, "ok", "ok", "403"),
        (Action::DeleteWorkspace, "ok", "403", "403"),
        (Action::ReadMembers, "ok", "ok", "ok"),
        (Action::WriteMembers, "ok", "ok", "403"),
        (Action::LeaveWorkspace, "ok", "ok", "ok"),
        (Action::ReadApiKeys, "ok", "ok", "ok"),
        (Action::WriteApiKeys, "ok", "ok", "ok"),
        (Action::ReadProviderKeys, "ok", "ok", "ok"),
        (Action::WriteProviderKeys, "ok", "ok", "403"),
        (Action::ReadUsage, "ok", "ok", "ok"),
        (Action::ReadAudit, "ok", "ok", "403"),
        (Action::Invoke, "ok", "ok", "ok"),
    ] {
        for (who, expected) in [
            (&cast.owner, owner),
            (&cast.admin, admin),
            (&cast.member, member),
            (&cast.outsider, "404"),
        ] {
            let answer = ask(&world, &who.principal(), &cast.owner, action).await;
            assert_eq!(answer, expected, "{action}");
        }
    }
    // What is not a workspace's to give is not given there, not even to its owner.
    for action in Action::ALL {
        if !matches!(action.rule().standing, Standing::Workspace(_)) {
            let answer = ask(&world, &cast.owner.principal(), &cast.owner, *action).await;
            assert_eq!(answer, "403", "{action}");
        }
    }
    let unknown = world
        .store
        .authorize_workspace(&cast.owner.principal(), world.id(), Action::ReadWorkspace)
        .await;
    assert!(matches!(unknown, Err(Denied::NotFound)));
}

async fn principal_of(world: &World, hash: &[u8; 32]) -> Option<Principal> {
    let found = world.store.system().api_key_by_hash(hash, NOW).await;
    found.expect("asks")
}

async fn an_api_key_acts_in_its_own_workspace_with_its_scopes(world: World) {
    let cast = cast(&world).await;
    let scope = world.scope(&cast.owner, Action::WriteApiKeys).await;
    let (id, hash) = world
        .api_key(&scope, cast.owner.user, &[ApiScope::WorkspaceRead])
        .await;
    let key = principal_of(&world, &hash).await.expect("lives");
    assert_eq!(key.actor(), Actor::ApiKey(id));
    for action in Action::ALL {
        let rule = action.rule();
        let expected = if matches!(rule.standing, Standing::Workspace(_))
            && rule.scope == Some(ApiScope::WorkspaceRead)
        {
            "ok"
        } else {
            "403"
        };
        assert_eq!(
            ask(&world, &key, &cast.owner, *action).await,
            expected,
            "{action}"
        );
    }

    let (_, hash) = world.api_key(&scope, cast.owner.user, ApiScope::ALL).await;
    let broad = principal_of(&world, &hash).await.expect("lives");
    for action in Action::ALL {
        let rule = action.rule();
        let reaches = matches!(rule.standing, Standing::Workspace(_)) && rule.scope.is_some();
        let expected = if reaches { "ok" } else { "403" };
        assert_eq!(
            ask(&world, &broad, &cast.owner, *action).await,
            expected,
            "{action}"
        );
    }
    // The minter's other workspaces are out of its reach.
    let own_scope = world.own(&cast.owner).await;
    let own = world.store.own(&own_scope);
    let other = world.id();
    let new = world.workspace(other, "Other");
    own.create_workspace(&new, &[], None, &world.note("workspace.create"), NOW)
        .await
        .expect("created");
    let denied = world
        .store
        .authorize_workspace(&broad, other, Action::ReadWorkspace)
        .await;
    assert!(matches!(denied, Err(Denied::NotFound)));
    for action in [Action::UseOwnUser, Action::ManageUsers] {
        let user = world.store.authorize_user(&broad, action).await;
        assert!(matches!(user, Err(Denied::Forbidden { .. })));
        let instance = world.store.authorize_instance(&broad, action).await;
        assert!(matches!(instance, Err(Denied::Forbidden { .. })));
    }
}

async fn an_api_keys_rights_shrink_with_its_minters_role(world: World) {
    // T93
    let cast = cast(&world).await;
    let admin_scope = world
        .store
        .authorize_workspace(
            &cast.admin.principal(),
            cast.owner.workspace,
            Action::WriteApiKeys,
        )
        .await
        .expect("an admin may");
    let beyond: Vec<_> = ApiScope::ALL
        .iter()
        .filter(|scope| !admin_scope.grantable().contains(scope))
        .collect();
    assert_eq!(
        beyond,
        [
            &ApiScope::BillingRead,
            &ApiScope::InstanceRead,
            &ApiScope::InstanceWrite
        ]
    );
    let (_, hash) = world
        .api_key(&admin_scope, cast.admin.user, ApiScope::ALL)
        .await;
    let key = principal_of(&world, &hash).await.expect("lives");
    let write = Action::WriteProviderKeys;
    assert_eq!(ask(&world, &key, &cast.owner, write).await, "ok");

    let owner_scope = world.scope(&cast.owner, Action::WriteMembers).await;
    let within = world.store.within(&owner_scope);
    let note = world.note("member.update");
    within
        .set_member_role(cast.admin.user, Role::Member, &note, NOW)
        .await
        .expect("demoted");
    // A principal read before the demotion is cut as well as one read after it.
    assert_eq!(ask(&world, &key, &cast.owner, write).await, "403");
    let key = principal_of(&world, &hash).await.expect("lives");
    let Principal::ApiKey { scopes, .. } = &key else {
        panic!("an API key");
    };
    assert!(!scopes.contains(&ApiScope::ByokWrite));
    assert!(scopes.contains(&ApiScope::InferenceInvoke));
    let caller = world
        .store
        .serving()
        .caller(&hash, NOW)
        .await
        .expect("asks");
    assert_eq!(&caller.expect("lives").scopes, scopes);
    let narrowed = world
        .store
        .authorize_workspace(&key, cast.owner.workspace, Action::WriteApiKeys)
        .await
        .expect("a member may");
    assert_eq!(narrowed.grantable(), scopes);
    assert_eq!(narrowed.role(), Role::Member);

    within
        .remove_member(cast.admin.user, &note, NOW)
        .await
        .expect("removed");
    assert!(principal_of(&world, &hash).await.is_none());
    assert_eq!(ask(&world, &key, &cast.owner, Action::Invoke).await, "404");
}

async fn only_the_owner_reaches_an_account(world: World) {
    let cast = cast(&world).await;
    let read = Action::ReadAccountProviderKeys;
    let write = Action::WriteAccountProviderKeys;
    let authorize = async |principal: &Principal, action| {
        let asked = world
            .store
            .authorize_account(principal, cast.owner.account, action)
            .await;
        match asked {
            Ok(scope) => {
                assert_eq!(scope.account(), cast.owner.account);
                assert_eq!(scope.user(), principal.user());
                assert_eq!(scope.actor(), principal.actor());
                "ok"
            }
            Err(Denied::NotFound) => "404",
            Err(Denied::Forbidden { .. }) => "403",
            Err(Denied::Store(error)) => panic!("{error}"),
        }
    };
    assert_eq!(authorize(&cast.owner.principal(), write).await, "ok");
    assert_eq!(
        authorize(&cast.owner.principal(), Action::ReadWorkspace).await,
        "403"
    );
    for who in [&cast.admin, &cast.member, &cast.outsider] {
        assert_eq!(authorize(&who.principal(), read).await, "404");
    }

    let scope = world.scope(&cast.owner, Action::WriteApiKeys).await;
    let (_, owners) = world
        .api_key(&scope, cast.owner.user, &[ApiScope::ByokRead])
        .await;
    let owners = principal_of(&world, &owners).await.expect("lives");
    assert_eq!(authorize(&owners, read).await, "ok");
    assert_eq!(authorize(&owners, write).await, "403");
    let (_, admins) = world.api_key(&scope, cast.admin.user, ApiScope::ALL).await;
    let admins = principal_of(&world, &admins).await.expect("lives");
    assert_eq!(authorize(&admins, read).await, "404");

    // The admin's own account is out of reach for a key of somebody else's workspace.
    let own = world
        .store
        .authorize_account(&admins, cast.admin.account, read)
        .await;
    assert!(matches!(own, Err(Denied::NotFound)));
}

async fn an_instance_admin_has_no_way_into_workspaces(world: World) {
    let cast = cast(&world).await;
    let admin = cast.outsider.principal();
    let scope = world
        .store
        .authorize_instance(&admin, Action::ManageSealingKey)
        .await
        .expect("an instance admin may");
    assert_eq!(scope.user(), cast.outsider.user);
    assert_eq!(scope.actor(), Actor::User(cast.outsider.user));
    for who in [&cast.owner, &cast.member] {
        let denied = world
            .store
            .authorize_instance(&who.principal(), Action::ManageUsers)
            .await;
        assert!(matches!(denied, Err(Denied::Forbidden { .. })));
    }
    let denied = world
        .store
        .authorize_instance(&admin, Action::ReadWorkspace)
        .await;
    assert!(matches!(denied, Err(Denied::Forbidden { .. })));
    for action in Action::ALL {
        if matches!(action.rule().standing, Standing::Workspace(_)) {
            assert_eq!(ask(&world, &admin, &cast.owner, *action).await, "404");
        }
    }
}

async fn an_api_key_manages_the_instance_only_for_an_admin_of_it_and_by_scope(world: World) {
    let cast = cast(&world).await;
    let admin = cast.outsider;
    let scope = world.scope(&admin, Action::WriteApiKeys).await;
    assert_eq!(scope.grantable(), ApiScope::ALL);
    let reads = [ApiScope::InstanceRead];
    let (id, hash) = world.api_key(&scope, admin.user, &reads).await;
    let key = principal_of(&world, &hash).await.expect("lives");
    let settings = Action::ReadInstanceSettings;
    let may = world.store.authorize_instance(&key, settings).await;
    let may = may.expect("an admin's key with the scope may");
    assert_eq!((may.user(), may.actor()), (admin.user, Actor::ApiKey(id)));
    for action in Action::ALL {
        let rule = action.rule();
        let expected = rule.standing == Standing::Instance && rule.scope == Some(reads[0]);
        let asked = world.store.authorize_instance(&key, *action).await;
        assert_eq!(asked.is_ok(), expected, "{action}");
    }

    // Nobody else's key has or keeps the scope.
    let scope = world.scope(&cast.owner, Action::WriteApiKeys).await;
    assert!(!scope.grantable().contains(&ApiScope::InstanceRead));
    let (_, theirs) = world.api_key(&scope, cast.owner.user, &reads).await;
    let theirs = principal_of(&world, &theirs).await.expect("lives");
    let Principal::ApiKey { scopes, .. } = &theirs else {
        panic!("an API key");
    };
    assert_eq!(scopes, &[]);
    let denied = world.store.authorize_instance(&theirs, settings).await;
    assert!(matches!(denied, Err(Denied::Forbidden { .. })));

    // A principal that was read before its minter was an admin no more.
    world
        .raw("UPDATE users SET instance_admin = 0 WHERE instance_admin = 1")
        .await
        .expect("demoted");
    let denied = world.store.authorize_instance(&key, settings).await;
    assert!(matches!(denied, Err(Denied::Forbidden { .. })));
    let key = principal_of(&world, &hash).await.expect("lives");
    let Principal::ApiKey { scopes, .. } = &key else {
        panic!("an API key");
    };
    assert_eq!(scopes, &[]);
    // Neither does what was authorized go through.
    let system = world.store.system();
    let expected = system.settings().await.expect("reads");
    let note = world.note("settings.update");
    let refused = system
        .put_settings(&may, &expected, &expected, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
}

async fn who_is_suspended_pays_for_nobody(world: World) {
    let first = world.first().await;
    let owner = world.person(&first, "owner@example.com").await;
    let member = world.person(&first, "member@example.com").await;
    world
        .join(&owner, &member, "member@example.com", Role::Admin)
        .await;
    let scope = world
        .store
        .authorize_workspace(&member.principal(), owner.workspace, Action::WriteApiKeys)
        .await
        .expect("an admin may");
    let (_, theirs) = world
        .api_key(&scope, member.user, &[ApiScope::InferenceInvoke])
        .await;
    let own = world.scope(&member, Action::WriteApiKeys).await;
    let (_, own) = world
        .api_key(&own, member.user, &[ApiScope::InferenceInvoke])
        .await;
    let instance = world.instance(&first).await;
    let note = world.note("user.suspend");
    let system = world.store.system();
    for suspended in [false, true, false] {
        system
            .set_user_suspended(&instance, owner.user, suspended, &note, NOW)
            .await
            .expect("changed");
        for (hash, lives) in [(theirs, !suspended), (own, true)] {
            let caller = world.store.serving().caller(&hash, NOW).await;
            assert_eq!(caller.expect("reads").is_some(), lives, "{suspended}");
            let principal = system.api_key_by_hash(&hash, NOW).await;
            assert_eq!(principal.expect("reads").is_some(), lives, "{suspended}");
        }
    }
}

async fn suspended_people_are_denied_everywhere(world: World) {
    let cast = cast(&world).await;
    let scope = world.scope(&cast.owner, Action::WriteApiKeys).await;
    let (_, hash) = world
        .api_key(&scope, cast.member.user, &[ApiScope::InferenceInvoke])
        .await;
    let key = principal_of(&world, &hash).await.expect("lives");
    assert!(
        world
            .store
            .serving()
            .caller(&hash, NOW)
            .await
            .expect("asks")
            .is_some()
    );

    let instance = world.instance(&cast.outsider).await;
    let note = world.note("user.suspend");
    world
        .store
        .system()
        .set_user_suspended(&instance, cast.member.user, true, &note, NOW)
        .await
        .expect("suspended");
    assert!(principal_of(&world, &hash).await.is_none());
    assert!(
        world
            .store
            .serving()
            .caller(&hash, NOW)
            .await
            .expect("asks")
            .is_none()
    );
    // Even a principal that was read before.
    assert_eq!(ask(&world, &key, &cast.owner, Action::Invoke).await, "403");
    let member = cast.member.principal();
    assert_eq!(
        ask(&world, &member, &cast.owner, Action::ReadWorkspace).await,
        "403"
    );
    let user = world
        .store
        .authorize_user(&member, Action::UseOwnUser)
        .await;
    assert!(matches!(user, Err(Denied::Forbidden { .. })));
    let account = world
        .store
        .authorize_account(&member, cast.member.account, Action::ReadAccount)
        .await;
    assert!(matches!(account, Err(Denied::Forbidden { .. })));
}

async fn another_workspaces_rows_are_not_found(world: World) {
    // T96
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    let scope_a = world.scope(&a, Action::WriteProviderKeys).await;
    let scope_b = world.scope(&b, Action::WriteProviderKeys).await;
    let account_b = world.account(&b).await;
    let keys_a = world.store.within(&scope_a).provider_keys();
    let record = world.put(&keys_a, "primary").await;
    let (api_key, hash) = world.api_key(&scope_a, a.user, &[ApiScope::ByokRead]).await;
    let invitation = store::NewInvitation {
        id: world.id(),
        email: "x@example.com".to_owned(),
        role: Role::Member,
        hash: world.hash(),
        expires_at: NOW.plus_millis(1000),
    };
    let note = world.note("probe");
    world
        .store
        .within(&scope_a)
        .create_invitation(&invitation, &note, NOW)
        .await
        .expect("an invitation");

    let before = world.traces().await;
    let within_b = world.store.within(&scope_b);
    for keys in [
        within_b.provider_keys(),
        world.store.within_account(&account_b).provider_keys(),
    ] {
        let id = record.context.key;
        assert_eq!(keys.get(id).await.expect("asks"), None);
        let found = keys.find(&record.context.provider, &record.label).await;
        assert_eq!(found.expect("asks"), None);
        assert!(keys.list().await.expect("asks").is_empty());
        assert_eq!(keys.data_key().await.expect("asks"), None);
        let label = "other".parse().expect("a label");
        for refused in [
            keys.update(id, &change::enabled(false), &note, NOW).await,
            keys.update(id, &change::position(5), &note, NOW).await,
            keys.update(id, &change::label(&label), &note, NOW).await,
            keys.put(&record, store::Expect::New, &note, NOW).await,
            keys.put(&record, store::Expect::Version(1), &note, NOW)
                .await,
        ] {
            assert!(
                matches!(refused, Err(store::StoreError::NotFound)),
                "{refused:?}"
            );
        }
        assert!(!keys.remove(id, &note, NOW).await.expect("asks"));
        // A record for B under the data key of A.
        let strange = world.record(keys.owner(), keys.account(), record.data_key, "primary");
        let refused = keys.put(&strange, store::Expect::New, &note, NOW).await;
        assert!(
            matches!(refused, Err(store::StoreError::NotFound)),
            "{refused:?}"
        );
        let data_key = keys_a.data_key().await.expect("asks").expect("there");
        let refused = keys.insert_data_key(&data_key).await;
        assert!(
            matches!(refused, Err(store::StoreError::NotFound)),
            "{refused:?}"
        );
    }
    assert_eq!(within_b.api_key(api_key).await.expect("asks"), None);
    let page = PageRequest::default();
    assert!(
        within_b
            .list_api_keys(None, &page)
            .await
            .expect("asks")
            .items
            .is_empty()
    );
    assert!(
        within_b
            .list_api_keys(Some(a.user), &page)
            .await
            .expect("asks")
            .items
            .is_empty()
    );
    assert!(
        within_b
            .list_invitations(&page)
            .await
            .expect("asks")
            .items
            .is_empty()
    );
    assert_eq!(within_b.members(&page).await.expect("asks").items.len(), 1);
    let usage = within_b.usage(UsageFilter::default(), &page).await;
    assert!(usage.expect("asks").items.is_empty());
    let audit = within_b
        .audit(&store::AuditFilter::default(), &page)
        .await
        .expect("asks");
    assert!(
        audit
            .items
            .iter()
            .all(|row| row.workspace == Some(b.workspace))
    );
    for refused in [
        within_b.revoke_api_key(api_key, &note, NOW).await,
        within_b
            .replace_api_key_hash(api_key, &hash, (&world.hash(), "kb_x"), &note, NOW)
            .await,
        within_b.revoke_invitation(invitation.id, &note, NOW).await,
        within_b.remove_member(a.user, &note, NOW).await,
        within_b
            .set_member_role(a.user, Role::Admin, &note, NOW)
            .await,
    ] {
        assert!(
            matches!(refused, Err(store::StoreError::NotFound)),
            "{refused:?}"
        );
    }
    let foreign_minter = NewApiKey {
        id: world.id(),
        user: a.user,
        name: "n".to_owned(),
        prefix: "kb_y".to_owned(),
        hash: world.hash(),
        scopes: vec![],
        default_model: None,
        expires_at: None,
    };
    let refused = within_b.create_api_key(&foreign_minter, &note, NOW).await;
    assert!(matches!(refused, Err(store::StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);
}

async fn a_change_does_not_outlive_the_role_that_allowed_it(world: World) {
    // T93
    let cast = cast(&world).await;
    let old = world
        .store
        .authorize_workspace(
            &cast.admin.principal(),
            cast.owner.workspace,
            Action::WriteProviderKeys,
        )
        .await
        .expect("an admin may");
    let stored = {
        let keys = world.store.within(&old).provider_keys();
        world.put(&keys, "primary").await
    };
    let owner_scope = world.scope(&cast.owner, Action::WriteMembers).await;
    let owner = world.store.within(&owner_scope);
    let note = world.note("probe");
    let change = async || {
        let before = world.traces().await;
        let within = world.store.within(&old);
        let keys = within.provider_keys();
        let mut next = stored.clone();
        next.context.version = 2;
        let refused = [
            within.rename("x", &note, NOW).await.err(),
            within
                .set_member_role(cast.member.user, Role::Admin, &note, NOW)
                .await
                .err(),
            keys.update(stored.context.key, &change::enabled(false), &note, NOW)
                .await
                .err(),
            keys.remove(stored.context.key, &note, NOW).await.err(),
            keys.put(&next, store::Expect::Version(1), &note, NOW)
                .await
                .err(),
        ];
        assert_eq!(world.traces().await, before);
        refused
    };
    owner
        .set_member_role(cast.admin.user, Role::Member, &note, NOW)
        .await
        .expect("demoted");
    for refused in change().await {
        assert!(
            matches!(refused, Some(store::StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    owner
        .remove_member(cast.admin.user, &note, NOW)
        .await
        .expect("removed");
    for refused in change().await {
        assert!(
            matches!(refused, Some(store::StoreError::NotFound)),
            "{refused:?}"
        );
    }
}
