//! Set-up, users, log-ins and what a person may do with their own things.

use domain::record::DeploymentRecord;
use domain::{SessionId, WorkspaceId};
use store::{NewSession, NewUser, PageRequest, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    the_deployment_is_named_once,
    the_first_user_owns_an_account_and_a_personal_workspace,
    of_two_first_users_one_wins,
    an_email_is_taken_once,
    a_session_lives_until_it_expires,
    a_suspended_user_comes_back_only_by_hand,
    a_person_sees_and_ends_only_own_sessions,
    a_new_password_ends_the_other_sessions,
    a_created_workspace_has_its_maker_as_owner,
];

async fn the_deployment_is_named_once(world: World) {
    let system = world.store.system();
    assert_eq!(system.deployment().await.expect("reads"), None);
    let record = DeploymentRecord {
        id: world.id(),
        kms_key: "local-1".to_owned(),
        wrapped_key: vec![0, 255, 7],
        created_at: NOW,
    };
    system.insert_deployment(&record).await.expect("named");
    assert!(matches!(
        system.insert_deployment(&record).await,
        Err(StoreError::Conflict(_))
    ));
    let rewrapped = DeploymentRecord {
        kms_key: "local-2".to_owned(),
        wrapped_key: vec![9],
        ..record.clone()
    };
    // Not from what is not stored.
    let note = world.note("root_key.rotate");
    let other_installation = DeploymentRecord {
        id: world.id(),
        ..record.clone()
    };
    let other_kms = DeploymentRecord {
        kms_key: "local-3".to_owned(),
        ..record.clone()
    };
    let other_bytes = DeploymentRecord {
        wrapped_key: vec![0, 255],
        ..record.clone()
    };
    let before = world.traces().await;
    for stale in [&other_installation, &other_kms, &other_bytes] {
        let refused = system
            .replace_deployment(stale, &rewrapped, &note, NOW)
            .await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.traces().await, before);
    assert_eq!(
        system.deployment().await.expect("reads").as_ref(),
        Some(&record)
    );

    system
        .replace_deployment(&record, &rewrapped, &note, NOW)
        .await
        .expect("rewrapped");
    assert_eq!(system.deployment().await.expect("reads"), Some(rewrapped));
    let audited =
        "SELECT count(*) FROM audit WHERE action = 'root_key.rotate' AND actor = 'system'";
    assert_eq!(world.number(audited).await, 1);
}

async fn the_first_user_owns_an_account_and_a_personal_workspace(world: World) {
    let first = world.first().await;
    assert_eq!(world.store.system().user_count().await.expect("counts"), 1);
    let scope = world.own(&first).await;
    assert_eq!((scope.user(), scope.account()), (first.user, first.account));
    let own = world.store.own(&scope);
    let user = own.user().await.expect("the user");
    assert_eq!(user.email, "first@example.com");
    assert!(user.instance_admin && !user.suspended);
    assert_eq!(user.account, first.account);
    assert_eq!(own.account().await.expect("the account").owner, first.user);
    let workspaces = own.workspaces().await.expect("the workspaces");
    assert_eq!(workspaces.len(), 1);
    let (workspace, role) = &workspaces[0];
    assert_eq!(workspace.name, "Personal");
    assert_eq!(workspace.account, first.account);
    assert_eq!(role.as_str(), "owner");
}

async fn of_two_first_users_one_wins(world: World) {
    let other = world.other_node().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let new = world.new_user(&format!("{n}@example.com"));
            let note = world.note("setup");
            tokio::spawn(async move { store.system().create_first_user(&new, &note, NOW).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.expect("ran") {
            Ok(_) => won += 1,
            Err(StoreError::Conflict(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(world.store.system().user_count().await.expect("counts"), 1);
    assert_eq!(world.number("SELECT count(*) FROM audit").await, 1);
}

async fn an_email_is_taken_once(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let before = world.traces().await;
    let taken = world.new_user("first@example.com");
    let note = world.note("user.create");
    let refused = world
        .store
        .system()
        .create_user(&scope, &taken, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);

    let second = world.person(&first, "second@example.com").await;
    let system = world.store.system();
    let (row, hash) = system
        .login("second@example.com")
        .await
        .expect("asks")
        .expect("found");
    assert_eq!(
        (row.id, hash.as_str()),
        (second.user, "hash of second@example.com")
    );
    assert!(
        system
            .login("SECOND@example.com")
            .await
            .expect("asks")
            .is_none()
    );
    let page = system
        .list_users(&scope, &PageRequest::default())
        .await
        .expect("lists");
    let ids: Vec<_> = page.items.iter().map(|row| row.id).collect();
    assert_eq!(ids, [first.user, second.user]);
}

fn session(world: &World, user: domain::UserId) -> NewSession {
    NewSession {
        id: world.id(),
        hash: world.hash(),
        user,
        expires_at: NOW.plus_millis(1000),
        user_agent: "a browser".to_owned(),
    }
}

async fn log_in(world: &World, user: domain::UserId) -> NewSession {
    let new = session(world, user);
    world
        .store
        .system()
        .create_session(&new, &world.note("session.create"), NOW)
        .await
        .expect("logged in");
    new
}

async fn a_session_lives_until_it_expires(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let system = world.store.system();
    let new = log_in(&world, second.user).await;
    let row = system
        .session_by_hash(&new.hash, NOW)
        .await
        .expect("asks")
        .expect("lives");
    assert_eq!((row.id, row.user), (new.id, second.user));
    assert_eq!(row.user_agent, "a browser");

    let find = async |hash: [u8; 32], at| {
        let found = world.store.system().session_by_hash(&hash, at).await;
        found.expect("asks").is_some()
    };
    assert!(find(new.hash, NOW.plus_millis(999)).await);
    assert!(!find(new.hash, NOW.plus_millis(1000)).await);
    assert!(!find(world.hash(), NOW).await);

    system
        .touch_session(new.id, NOW.plus_millis(60_000))
        .await
        .expect("touched");
    system
        .touch_session(new.id, NOW.plus_millis(60_001))
        .await
        .expect("touched");
    let seen = system.session_by_hash(&new.hash, NOW).await.expect("asks");
    assert_eq!(seen.expect("lives").last_seen_at, NOW.plus_millis(60_001));

    assert_eq!(system.prune_sessions(NOW).await.expect("pruned"), 0);
    let pruned = system.prune_sessions(NOW.plus_millis(1000)).await;
    assert_eq!(pruned.expect("pruned"), 1);
}

async fn a_suspended_user_comes_back_only_by_hand(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let scope = world.instance(&first).await;
    let login = log_in(&world, second.user).await;
    let system = world.store.system();
    let note = world.note("user.suspend");
    system
        .set_user_suspended(&scope, second.user, true, &note, NOW)
        .await
        .expect("suspended");
    let found = system
        .session_by_hash(&login.hash, NOW)
        .await
        .expect("asks");
    assert!(found.is_none());
    assert!(matches!(
        system
            .create_session(&session(&world, second.user), &note, NOW)
            .await,
        Err(StoreError::NotFound)
    ));
    let (row, _) = system
        .login("second@example.com")
        .await
        .expect("asks")
        .expect("found, to be told");
    assert!(row.suspended);

    system
        .set_user_suspended(&scope, second.user, false, &note, NOW)
        .await
        .expect("back");
    log_in(&world, second.user).await;
    let found = system
        .session_by_hash(&login.hash, NOW)
        .await
        .expect("asks");
    assert!(found.is_none(), "an old session does not revive");

    for user in [first.user, world.id()] {
        let before = world.traces().await;
        let refused = system
            .set_user_suspended(&scope, user, true, &note, NOW)
            .await;
        assert!(matches!(
            refused,
            Err(StoreError::Conflict(_) | StoreError::NotFound)
        ));
        assert_eq!(world.traces().await, before);
    }
}

async fn a_person_sees_and_ends_only_own_sessions(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let (mine, theirs) = (
        log_in(&world, first.user).await,
        log_in(&world, second.user).await,
    );
    let scope = world.own(&first).await;
    let own = world.store.own(&scope);
    let ids = async || -> Vec<SessionId> {
        let rows = own.sessions().await.expect("lists");
        rows.iter().map(|row| row.id).collect()
    };
    assert_eq!(ids().await, [mine.id]);
    let note = world.note("session.end");
    let before = world.traces().await;
    let refused = own.end_session(theirs.id, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    own.end_session(mine.id, &note, NOW).await.expect("ended");
    assert!(ids().await.is_empty());
}

async fn a_new_password_ends_the_other_sessions(world: World) {
    let first = world.first().await;
    let login = log_in(&world, first.user).await;
    let here = NewSession {
        id: SessionId::from_bytes(*first.user.bytes()),
        ..session(&world, first.user)
    };
    let note = world.note("user.password");
    let system = world.store.system();
    system
        .create_session(&here, &note, NOW)
        .await
        .expect("logged in");
    let scope = world.own(&first).await;
    assert_eq!(scope.session(), here.id);
    let own = world.store.own(&scope);
    let before = world.traces().await;
    let refused = own.set_password("a wrong one", "x", &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    own.set_password("hash of first@example.com", "another hash", &note, NOW)
        .await
        .expect("changed");
    assert_eq!(own.password_hash().await.expect("reads"), "another hash");
    let lives = async |hash| {
        let found = world.store.system().session_by_hash(hash, NOW).await;
        found.expect("asks").is_some()
    };
    assert!(lives(&here.hash).await);
    assert!(!lives(&login.hash).await);
}

async fn a_created_workspace_has_its_maker_as_owner(world: World) {
    let first = world.first().await;
    let scope = world.own(&first).await;
    let own = world.store.own(&scope);
    let id: WorkspaceId = world.id();
    let new = world.workspace(id, "Team");
    let note = world.note("workspace.create");
    let row = own
        .create_workspace(&new, &[], None, &note, NOW)
        .await
        .expect("created");
    assert_eq!((row.id, row.account), (id, first.account));
    let before = world.traces().await;
    let refused = own.create_workspace(&new, &[], None, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);
    let all = own.workspaces().await.expect("lists");
    let names: Vec<_> = all
        .iter()
        .map(|(row, role)| (row.name.as_str(), role.as_str()))
        .collect();
    assert_eq!(names, [("Personal", "owner"), ("Team", "owner")]);

    let again = NewUser {
        workspace: id,
        ..world.new_user("third@example.com")
    };
    let instance = world.instance(&first).await;
    let before = world.traces().await;
    let refused = world
        .store
        .system()
        .create_user(&instance, &again, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before, "no half-made user");
}
