//! Workspaces, members and invitations.

use domain::access::{Action, ApiScope, Role};
use domain::{ApiKeyId, KeyOwner, UserId};
use store::{AcceptBy, NewInvitation, NewUser, PageRequest, Principal, StoreError, WorkspaceScope};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    a_workspace_is_renamed,
    there_is_always_exactly_one_owner,
    an_invitation_ends_with_the_authority_of_its_maker,
    an_invitation_ends_with_the_api_key_that_made_it,
    of_an_acceptance_and_a_removal_at_once_the_first_counts,
    a_removed_member_loses_the_api_keys_minted_here,
    an_invitation_is_for_one_email_once_and_in_time,
    an_invitation_brings_a_new_user_in_without_instance_rights,
    an_invitation_brings_no_credits,
    of_many_who_accept_one_joins,
    a_newer_invitation_replaces_an_open_one,
    a_deleted_workspace_takes_its_keys_along_and_leaves_usage_and_audit,
];

async fn a_workspace_is_renamed(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::UpdateWorkspace).await;
    let within = world.store.within(&scope);
    let later = NOW.plus_millis(3);
    within
        .rename("Research", &world.note("workspace.update"), later)
        .await
        .expect("renamed");
    let row = within.workspace().await.expect("reads");
    assert_eq!((row.name.as_str(), row.updated_at), ("Research", later));
    assert_eq!(row.created_at, NOW);
}

async fn roles(world: &World, person: &Person) -> Vec<(UserId, Role)> {
    let scope = world
        .store
        .authorize_workspace(&person.principal(), person.workspace, Action::ReadMembers)
        .await
        .expect("a member may");
    let page = world
        .store
        .within(&scope)
        .members(&PageRequest::default())
        .await
        .expect("lists");
    page.items.iter().map(|row| (row.user, row.role)).collect()
}

async fn there_is_always_exactly_one_owner(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let within = world.store.within(&scope);
    let note = world.note("member.update");
    within
        .set_member_role(b.user, Role::Admin, &note, NOW)
        .await
        .expect("promoted");
    assert_eq!(
        roles(&world, &a).await,
        [(a.user, Role::Owner), (b.user, Role::Admin)]
    );
    let before = world.traces().await;
    for refused in [
        within
            .set_member_role(b.user, Role::Owner, &note, NOW)
            .await,
        within
            .set_member_role(a.user, Role::Member, &note, NOW)
            .await,
        within.remove_member(a.user, &note, NOW).await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.traces().await, before);
    let second = world
        .raw("UPDATE members SET role = 'owner' WHERE role = 'admin'")
        .await;
    assert!(
        second.is_err(),
        "the database itself refuses a second owner"
    );
}

/// The scope of a member in another's workspace.
async fn guest(world: &World, host: &Person, guest: &Principal) -> WorkspaceScope {
    world
        .store
        .authorize_workspace(guest, host.workspace, Action::WriteMembers)
        .await
        .expect("an admin may")
}

/// Invites somebody to the workspace of `scope` and returns the invitation's hash.
async fn invite(world: &World, scope: &WorkspaceScope, email: &str) -> [u8; 32] {
    let new = invitation(world, email, Role::Member);
    let note = world.note("invitation.create");
    let within = world.store.within(scope);
    let made = within.create_invitation(&new, &note, NOW).await;
    made.expect("made");
    new.hash
}

/// Whether an invitation can be seen and, as a last step, accepted by a new person.
async fn opens(world: &World, hash: &[u8; 32], email: &str) -> bool {
    let system = world.store.system();
    let seen = system.invitation_by_hash(hash, NOW).await.expect("asks");
    let by = AcceptBy::New(world.new_user(email));
    let note = world.note("invitation.accept");
    match system.accept_invitation(hash, &by, &note, NOW).await {
        Ok(_) => {
            assert!(seen.is_some());
            true
        }
        Err(StoreError::NotFound) => {
            assert_eq!(seen, None);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

async fn an_invitation_ends_with_the_authority_of_its_maker(world: World) {
    let a = world.first().await;
    let owner = world.scope(&a, Action::WriteMembers).await;
    let within = world.store.within(&owner);
    let note = world.note("member");
    for (case, email) in ["demoted", "removed", "suspended", "past", "kept"]
        .iter()
        .zip([
            "b@example.com",
            "c@example.com",
            "d@example.com",
            "e@example.com",
            "f@example.com",
        ])
    {
        let admin = world.person(&a, email).await;
        world.join(&a, &admin, email, Role::Admin).await;
        let scope = guest(&world, &a, &admin.principal()).await;
        let invited = format!("new-{email}");
        let hash = invite(&world, &scope, &invited).await;
        match *case {
            "demoted" => within
                .set_member_role(admin.user, Role::Member, &note, NOW)
                .await
                .expect("demoted"),
            "removed" => within
                .remove_member(admin.user, &note, NOW)
                .await
                .expect("removed"),
            "suspended" => {
                let instance = world.instance(&a).await;
                let system = world.store.system();
                let done = system.set_user_suspended(&instance, admin.user, true, &note, NOW);
                done.await.expect("suspended");
            }
            // As if the invitation had been left behind: acceptance asks again.
            "past" => world
                .raw("UPDATE members SET role = 'member' WHERE role = 'admin'")
                .await
                .expect("written"),
            _ => {}
        }
        let gone = "SELECT count(*) FROM invitations WHERE accepted_at IS NULL";
        if matches!(*case, "demoted" | "removed") {
            assert_eq!(world.number(gone).await, 0, "{case}");
        }
        assert_eq!(
            opens(&world, &hash, &invited).await,
            *case == "kept",
            "{case}"
        );
        world
            .raw("DELETE FROM invitations WHERE accepted_at IS NULL")
            .await
            .expect("cleared");
    }
    // What others offered stays.
    let theirs = invite(&world, &owner, "g@example.com").await;
    let admin = world.person(&a, "h@example.com").await;
    world.join(&a, &admin, "h@example.com", Role::Admin).await;
    within
        .remove_member(admin.user, &note, NOW)
        .await
        .expect("removed");
    assert!(opens(&world, &theirs, "g@example.com").await);
}

/// What authorizes an API key of `person` in the person's own workspace.
fn with_key(person: &Person, key: ApiKeyId) -> Principal {
    Principal::ApiKey {
        key,
        user: person.user,
        workspace: person.workspace,
        account: person.account,
        scopes: ApiScope::ALL.to_vec(),
    }
}

async fn an_invitation_ends_with_the_api_key_that_made_it(world: World) {
    let a = world.first().await;
    let owner = world.scope(&a, Action::WriteMembers).await;
    let within = world.store.within(&owner);
    let note = world.note("api_key");
    for case in ["kept", "revoked", "expired"] {
        let (key, _) = world.api_key(&owner, a.user, ApiScope::ALL).await;
        let scope = guest(&world, &a, &with_key(&a, key)).await;
        let email = format!("{case}@example.com");
        let hash = invite(&world, &scope, &email).await;
        let listed = within.list_invitations(&PageRequest::default()).await;
        assert_eq!(listed.expect("lists").items[0].api_key, Some(key));
        match case {
            "revoked" => within
                .revoke_api_key(key, &note, NOW)
                .await
                .expect("revoked"),
            "expired" => world
                .raw("UPDATE api_keys SET expires_at = 1")
                .await
                .expect("written"),
            _ => {}
        }
        assert_eq!(opens(&world, &hash, &email).await, case == "kept", "{case}");
    }
}

async fn of_an_acceptance_and_a_removal_at_once_the_first_counts(world: World) {
    let a = world.first().await;
    let admin = world.person(&a, "b@example.com").await;
    let owner = world.scope(&a, Action::WriteMembers).await;
    for round in 0..4 {
        world.join(&a, &admin, "b@example.com", Role::Admin).await;
        let scope = guest(&world, &a, &admin.principal()).await;
        let email = format!("new{round}@example.com");
        let hash = invite(&world, &scope, &email).await;
        let accept = {
            let (store, note) = (world.store.clone(), world.note("invitation.accept"));
            let by = AcceptBy::New(world.new_user(&email));
            tokio::spawn(async move {
                let system = store.system();
                system.accept_invitation(&hash, &by, &note, NOW).await
            })
        };
        let note = world.note("member.remove");
        let within = world.store.within(&owner);
        within
            .remove_member(admin.user, &note, NOW)
            .await
            .expect("removed");
        match accept.await.expect("ran") {
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => panic!("{error}"),
        }
        // Whatever came first, the audit log says it in that order: nobody joins on a removed admin's word.
        let late = world
            .number(
                "SELECT count(*) FROM audit i, audit r
                 WHERE i.action = 'invitation.accept' AND r.action = 'member.remove'
                   AND i.actor <> (SELECT id FROM users WHERE email = 'b@example.com')
                   AND i.sequence = r.sequence + 1",
            )
            .await;
        assert_eq!(late, 0);
    }
}

async fn a_removed_member_loses_the_api_keys_minted_here(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let scope_b = world.scope(&b, Action::WriteApiKeys).await;
    let (id, here) = world.api_key(&scope, b.user, ApiScope::ALL).await;
    let (_, elsewhere) = world.api_key(&scope_b, b.user, ApiScope::ALL).await;
    let (_, owners) = world.api_key(&scope, a.user, ApiScope::ALL).await;
    let within = world.store.within(&scope);
    let note = world.note("member.remove");
    within
        .remove_member(b.user, &note, NOW)
        .await
        .expect("removed");
    let lives = async |hash: &[u8; 32]| {
        let found = world.store.serving().caller(hash, NOW).await;
        found.expect("asks").is_some()
    };
    assert!(!lives(&here).await);
    assert!(lives(&elsewhere).await && lives(&owners).await);
    let row = within.api_key(id).await.expect("asks").expect("listed");
    assert_eq!(row.revoked_at, Some(NOW));
    let again = within.remove_member(b.user, &note, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));

    // Coming back does not revive the key.
    world.join(&a, &b, "b@example.com", Role::Member).await;
    assert!(!lives(&here).await);
}

fn invitation(world: &World, email: &str, role: Role) -> NewInvitation {
    NewInvitation {
        id: world.id(),
        email: email.to_owned(),
        role,
        hash: world.hash(),
        expires_at: NOW.plus_millis(1000),
    }
}

async fn an_invitation_is_for_one_email_once_and_in_time(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    let c = world.person(&a, "c@example.com").await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let within = world.store.within(&scope);
    let note = world.note("invitation");
    let new = invitation(&world, "b@example.com", Role::Admin);
    let row = within
        .create_invitation(&new, &note, NOW)
        .await
        .expect("made");
    assert_eq!((row.role, row.invited_by), (Role::Admin, a.user));
    let system = world.store.system();
    let open = system.invitation_by_hash(&new.hash, NOW).await;
    assert_eq!(open.expect("asks"), Some(row.clone()));
    let late = NOW.plus_millis(1000);
    let open = system.invitation_by_hash(&new.hash, late).await;
    assert_eq!(open.expect("asks"), None);

    let before = world.traces().await;
    let accept = async |hash: [u8; 32], user, at| {
        let by = AcceptBy::Existing(user);
        let system = world.store.system();
        system.accept_invitation(&hash, &by, &note, at).await
    };
    for (hash, user, at) in [
        (new.hash, c.user, NOW),
        (new.hash, b.user, late),
        (world.hash(), b.user, NOW),
        (new.hash, world.id(), NOW),
    ] {
        let refused = accept(hash, user, at).await;
        assert!(
            matches!(refused, Err(StoreError::NotFound | StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    let member_already = invitation(&world, "first@example.com", Role::Member);
    let as_owner = invitation(&world, "d@example.com", Role::Owner);
    for refused in [&member_already, &as_owner] {
        let refused = within.create_invitation(refused, &note, NOW).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
    }
    assert_eq!(world.traces().await, before);

    let joined = accept(new.hash, b.user, NOW.plus_millis(1)).await;
    assert_eq!(joined.expect("accepted"), a.workspace);
    assert_eq!(
        roles(&world, &a).await,
        [(a.user, Role::Owner), (b.user, Role::Admin)]
    );
    let again = accept(new.hash, b.user, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    let listed = within.list_invitations(&PageRequest::default()).await;
    assert_eq!(
        listed.expect("lists").items,
        [store::InvitationRow {
            accepted_at: Some(NOW.plus_millis(1)),
            ..row
        }]
    );
    let refused = within.revoke_invitation(new.id, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn an_invitation_brings_a_new_user_in_without_instance_rights(world: World) {
    // T92
    let a = world.first().await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let new = invitation(&world, "new@example.com", Role::Member);
    let note = world.note("invitation");
    world
        .store
        .within(&scope)
        .create_invitation(&new, &note, NOW)
        .await
        .expect("made");
    let system = world.store.system();
    let before = world.traces().await;
    let other_email = AcceptBy::New(world.new_user("other@example.com"));
    let refused = system
        .accept_invitation(&new.hash, &other_email, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);

    let person = NewUser {
        instance_admin: true,
        ..world.new_user("new@example.com")
    };
    let joined = system
        .accept_invitation(&new.hash, &AcceptBy::New(person.clone()), &note, NOW)
        .await;
    assert_eq!(joined.expect("accepted"), a.workspace);
    let (row, _) = system
        .login("new@example.com")
        .await
        .expect("asks")
        .expect("there");
    assert!(!row.instance_admin);
    assert_eq!(row.account, person.account);
    assert_eq!(
        roles(&world, &a).await,
        [(a.user, Role::Owner), (person.user, Role::Member)]
    );
}

async fn an_invitation_brings_no_credits(world: World) {
    let a = world.first().await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let new = invitation(&world, "new@example.com", Role::Member);
    let note = world.note("invitation");
    world
        .store
        .within(&scope)
        .create_invitation(&new, &note, NOW)
        .await
        .expect("made");
    let system = world.store.system();
    let person = world.new_user("new@example.com");
    system
        .accept_invitation(&new.hash, &AcceptBy::New(person.clone()), &note, NOW)
        .await
        .expect("accepted");
    let admin = world.instance(&a).await;
    let account = person.account;
    let row = system.subscription(&admin, account).await;
    let mut terms = domain::plan::shipped().remove(0).terms;
    terms.monthly_credits = 0;
    let row = row.expect("has one");
    assert_eq!((row.plan.as_str(), row.terms), ("free", terms));
    let left = async |at| {
        let credits = system.account_credits(&admin, account, at).await;
        let credits = credits.expect("reads");
        (credits.available.nanos(), credits.monthly.nanos())
    };
    assert_eq!(left(NOW).await, (0, 0));
    let in_months = NOW.plus_millis(100 * 86_400_000);
    assert_eq!(left(in_months).await, (0, 0));
    // An admin of the instance gives them, with the same plan.
    let free = "free".parse().expect("a plan id");
    system
        .subscribe(&admin, account, &free, &note, in_months)
        .await
        .expect("subscribed");
    let included = crate::purse::INCLUDED.nanos();
    assert_eq!(left(in_months).await, (included, included));
}

async fn of_many_who_accept_one_joins(world: World) {
    let a = world.first().await;
    let other = world.other_node().await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let new = invitation(&world, "new@example.com", Role::Member);
    let note = world.note("invitation");
    world
        .store
        .within(&scope)
        .create_invitation(&new, &note, NOW)
        .await
        .expect("made");
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let by = AcceptBy::New(world.new_user("new@example.com"));
            let note = note.clone();
            tokio::spawn(async move {
                let system = store.system();
                system.accept_invitation(&new.hash, &by, &note, NOW).await
            })
        })
        .collect();
    let mut joined = 0;
    for task in tasks {
        match task.await.expect("ran") {
            Ok(_) => joined += 1,
            Err(StoreError::NotFound) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(joined, 1);
    assert_eq!(world.number("SELECT count(*) FROM users").await, 2);
}

async fn a_newer_invitation_replaces_an_open_one(world: World) {
    let a = world.first().await;
    let scope = world.scope(&a, Action::WriteMembers).await;
    let within = world.store.within(&scope);
    let note = world.note("invitation");
    let (old, new) = (
        invitation(&world, "b@example.com", Role::Member),
        invitation(&world, "b@example.com", Role::Admin),
    );
    for one in [&old, &new] {
        within
            .create_invitation(one, &note, NOW)
            .await
            .expect("made");
    }
    let system = world.store.system();
    let open = system.invitation_by_hash(&old.hash, NOW).await;
    assert_eq!(open.expect("asks"), None);
    within
        .revoke_invitation(new.id, &note, NOW)
        .await
        .expect("taken back");
    let open = system.invitation_by_hash(&new.hash, NOW).await;
    assert_eq!(open.expect("asks"), None);
}

async fn a_deleted_workspace_takes_its_keys_along_and_leaves_usage_and_audit(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    let scope = world.scope(&a, Action::DeleteWorkspace).await;
    let within = world.store.within(&scope);
    world.put(&within.provider_keys(), "one").await;
    world.put(&within.provider_keys(), "two").await;
    let (_, hash) = world.api_key(&scope, a.user, ApiScope::ALL).await;
    let note = world.note("invitation");
    within
        .create_invitation(
            &invitation(&world, "c@example.com", Role::Member),
            &note,
            NOW,
        )
        .await
        .expect("made");
    let account = world.account(&a).await;
    let of_account = world.store.within_account(&account).provider_keys();
    let kept = world.put(&of_account, "account").await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    let caller = caller.expect("asks").expect("lives");
    let usage = crate::health::call(&world, &caller);
    world
        .store
        .serving()
        .insert_usage(std::slice::from_ref(&usage))
        .await
        .expect("written");
    let audits = world.number("SELECT count(*) FROM audit").await;

    within
        .delete(&world.note("workspace.delete"), NOW)
        .await
        .expect("deleted");
    assert!(
        world
            .store
            .serving()
            .caller(&hash, NOW)
            .await
            .expect("asks")
            .is_none()
    );
    assert_eq!(world.number("SELECT count(*) FROM audit").await, audits + 1);
    assert_eq!(world.number("SELECT count(*) FROM usage").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM api_keys").await, 0);
    assert_eq!(
        world
            .number("SELECT count(*) FROM invitations WHERE accepted_at IS NULL")
            .await,
        0
    );
    let keys = world.store.system().provider_keys(None, 10).await;
    assert_eq!(keys.expect("lists"), [kept]);
    let data_keys = world
        .store
        .system()
        .data_keys(None, 10)
        .await
        .expect("lists");
    assert_eq!(
        data_keys.iter().map(|key| key.owner).collect::<Vec<_>>(),
        [KeyOwner::Account(a.account)]
    );
    // Only the "Personal" workspace of the other person is left.
    assert_eq!(world.number("SELECT count(*) FROM workspaces").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM members").await, 1);

    let before = world.traces().await;
    let again = within.delete(&note, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    let renamed = within.rename("x", &note, NOW).await;
    assert!(matches!(renamed, Err(StoreError::NotFound)));
    assert!(matches!(
        within.workspace().await,
        Err(StoreError::NotFound)
    ));
    // A scope that outlived its workspace adds nothing to it.
    let keys = within.provider_keys();
    let data_key = domain::record::DataKeyRecord {
        id: world.id(),
        owner: keys.owner(),
        kms_key: "local".to_owned(),
        wrapped: vec![1],
        created_at: NOW,
    };
    assert!(matches!(
        keys.insert_data_key(&data_key).await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(world.traces().await, before);
}
