//! Log-ins that a program begins and a person approves elsewhere.

use domain::{SessionId, Timestamp, UserId};
use store::{NewDeviceLogin, NewSession, StoreError, UserScope};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    a_log_in_is_approved_and_taken_once,
    of_two_programs_with_one_code_one_is_logged_in,
    a_log_in_ends_with_its_time,
    a_refused_log_in_is_gone,
    an_approval_ends_with_the_session_that_gave_it_and_with_the_password,
    a_suspended_person_lets_nobody_in,
];

const LIFE_MS: i64 = 10_000;

async fn begin(world: &World) -> NewDeviceLogin {
    let new = NewDeviceLogin {
        hash: world.hash(),
        user_hash: world.hash(),
        client: "a program".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        expires_at: NOW.plus_millis(LIFE_MS),
    };
    let system = world.store.system();
    system.begin_device_login(&new, NOW).await.expect("begun");
    new
}

fn session(world: &World, user: UserId) -> NewSession {
    NewSession {
        id: world.id::<SessionId>(),
        hash: world.hash(),
        user,
        expires_at: NOW.plus_millis(LIFE_MS),
        user_agent: "a program".to_owned(),
    }
}

/// A person with a log-in that the store knows.
async fn logged_in(world: &World, person: &Person) -> UserScope {
    world.logged_in(person, LIFE_MS).await
}

async fn approve(
    world: &World,
    scope: &UserScope,
    new: &NewDeviceLogin,
    at: Timestamp,
) -> Result<(), StoreError> {
    let note = world.note("device_login.approve");
    let own = world.store.own(scope);
    own.approve_device_login(&new.user_hash, &note, at).await
}

async fn take(
    world: &World,
    new: &NewDeviceLogin,
    user: UserId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let note = world.note("session.create");
    let session = session(world, user);
    let system = world.store.system();
    system
        .take_device_login(&new.hash, &session, &note, at)
        .await
}

async fn a_log_in_is_approved_and_taken_once(world: World) {
    let first = world.first().await;
    let scope = logged_in(&world, &first).await;
    let new = begin(&world).await;
    let system = world.store.system();
    let row = system.device_login_by_hash(&new.hash, NOW).await;
    let row = row.expect("asks").expect("waits");
    assert_eq!((row.client.as_str(), row.approved_by), ("a program", None));
    assert_eq!(row.address.as_deref(), Some("192.0.2.1"));
    let open = system.open_device_login(&new.user_hash, NOW).await;
    assert_eq!(open.expect("asks"), Some(row));
    // One code is not the other.
    let swapped = system.open_device_login(&new.hash, NOW).await;
    assert_eq!(swapped.expect("asks"), None);
    let early = take(&world, &new, first.user, NOW).await;
    assert!(matches!(early, Err(StoreError::NotFound)));
    approve(&world, &scope, &new, NOW).await.expect("approved");
    let again = approve(&world, &scope, &new, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    let row = system.device_login_by_hash(&new.hash, NOW).await;
    assert_eq!(
        row.expect("asks").and_then(|row| row.approved_by),
        Some(first.user)
    );
    let second = world.person(&first, "second@example.com").await;
    let before = world.traces().await;
    let for_another = take(&world, &new, second.user, NOW).await;
    assert!(matches!(for_another, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    take(&world, &new, first.user, NOW).await.expect("taken");
    let again = take(&world, &new, first.user, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    let sessions = world.store.own(&scope).sessions().await.expect("sessions");
    assert_eq!(sessions.len(), 2);
}

async fn of_two_programs_with_one_code_one_is_logged_in(world: World) {
    let first = world.first().await;
    let scope = logged_in(&world, &first).await;
    let new = begin(&world).await;
    approve(&world, &scope, &new, NOW).await.expect("approved");
    let other = world.other_node().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { &world.store } else { &other }.clone();
            let (hash, session) = (new.hash, session(&world, first.user));
            let note = world.note("session.create");
            tokio::spawn(async move {
                let system = store.system();
                system.take_device_login(&hash, &session, &note, NOW).await
            })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.expect("ran").is_ok());
    }
    assert_eq!(taken, 1);
}

async fn a_log_in_ends_with_its_time(world: World) {
    let first = world.first().await;
    let scope = logged_in(&world, &first).await;
    let new = begin(&world).await;
    let late = NOW.plus_millis(LIFE_MS);
    let system = world.store.system();
    let found = system.device_login_by_hash(&new.hash, late).await;
    assert_eq!(found.expect("asks"), None);
    let found = system.open_device_login(&new.user_hash, late).await;
    assert_eq!(found.expect("asks"), None);
    let approved = approve(&world, &scope, &new, late).await;
    assert!(matches!(approved, Err(StoreError::NotFound)));
    approve(&world, &scope, &new, NOW).await.expect("approved");
    let taken = take(&world, &new, first.user, late).await;
    assert!(matches!(taken, Err(StoreError::NotFound)));
    // The next one sweeps it away.
    let next = NewDeviceLogin {
        hash: world.hash(),
        user_hash: world.hash(),
        ..new
    };
    system.begin_device_login(&next, late).await.expect("begun");
    assert_eq!(world.number("SELECT count(*) FROM device_logins").await, 1);
}

async fn a_refused_log_in_is_gone(world: World) {
    let first = world.first().await;
    let scope = logged_in(&world, &first).await;
    let new = begin(&world).await;
    let own = world.store.own(&scope);
    let note = world.note("device_login.refuse");
    own.refuse_device_login(&new.user_hash, &note, NOW)
        .await
        .expect("refused");
    let again = own.refuse_device_login(&new.user_hash, &note, NOW).await;
    assert!(matches!(again, Err(StoreError::NotFound)));
    let found = world
        .store
        .system()
        .device_login_by_hash(&new.hash, NOW)
        .await;
    assert_eq!(found.expect("asks"), None);
}

async fn an_approval_ends_with_the_session_that_gave_it_and_with_the_password(world: World) {
    let first = world.first().await;
    let (ended, changed) = (begin(&world).await, begin(&world).await);
    let scope = logged_in(&world, &first).await;
    approve(&world, &scope, &ended, NOW)
        .await
        .expect("approved");
    let own = world.store.own(&scope);
    let note = world.note("session.end");
    own.end_session(scope.session(), &note, NOW)
        .await
        .expect("ended");
    let taken = take(&world, &ended, first.user, NOW).await;
    assert!(matches!(taken, Err(StoreError::NotFound)));
    let scope = logged_in(&world, &first).await;
    approve(&world, &scope, &changed, NOW)
        .await
        .expect("approved");
    let note = world.note("user.set_password");
    let own = world.store.own(&scope);
    let old = own.password_hash().await.expect("reads");
    let set = own.set_password(&old, "new", &note, NOW).await;
    set.expect("changed");
    let taken = take(&world, &changed, first.user, NOW).await;
    assert!(matches!(taken, Err(StoreError::NotFound)));
}

async fn a_suspended_person_lets_nobody_in(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let scope = logged_in(&world, &second).await;
    let new = begin(&world).await;
    approve(&world, &scope, &new, NOW).await.expect("approved");
    let admin = world.instance(&first).await;
    let system = world.store.system();
    let note = world.note("user.suspend");
    system
        .set_user_suspended(&admin, second.user, true, &note, NOW)
        .await
        .expect("suspended");
    let taken = take(&world, &new, second.user, NOW).await;
    assert!(matches!(taken, Err(StoreError::NotFound)));
}
