//! Helping the instance's users: admins, and links to new passwords.

use domain::UserId;
use store::{NewPasswordLink, NewSession, StoreError, UserRow};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    an_admin_makes_another_one_and_steps_down,
    the_last_admin_stays_one,
    of_two_admins_who_demote_each_other_one_stays,
    of_two_admins_who_suspend_each_other_one_stays,
    who_is_suspended_becomes_no_admin,
    a_link_gives_a_new_password_once_and_ends_all_sessions,
    what_was_begun_with_the_password_before_does_not_outlive_a_link,
    of_two_who_come_with_one_link_one_is_let_in,
    a_link_ends_with_its_time_and_is_removed,
    a_link_ends_with_the_next_one_and_with_a_new_password,
    a_link_ends_for_good_with_the_standing_of_its_maker,
    a_link_ends_with_the_password_of_its_maker,
    a_link_ends_with_the_person,
    nobody_makes_a_link_for_themselves_or_for_who_is_suspended,
    the_operator_makes_links_by_nobodys_leave,
];

const LIFE_MS: i64 = 1000;

async fn set_admin(
    world: &World,
    by: &Person,
    whom: UserId,
    admin: bool,
) -> Result<(), StoreError> {
    let scope = world.instance(by).await;
    let note = world.note(if admin { "user.promote" } else { "user.demote" });
    let system = world.store.system();
    system
        .set_instance_admin(&scope, whom, admin, &note, NOW)
        .await
}

async fn is_admin(world: &World, email: &str) -> bool {
    let found = world.store.system().login(email).await.expect("asks");
    found.expect("there").0.instance_admin
}

/// Two admins of the instance.
async fn two_admins(world: &World) -> (Person, Person) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let made = set_admin(world, &first, second.user, true).await;
    made.expect("another admin");
    (first, second)
}

fn new_link(world: &World, user: UserId) -> NewPasswordLink {
    NewPasswordLink {
        user,
        hash: world.hash(),
        expires_at: NOW.plus_millis(LIFE_MS),
    }
}

async fn link(world: &World, by: &Person, user: UserId) -> NewPasswordLink {
    let new = new_link(world, user);
    let scope = world.instance(by).await;
    let note = world.note("user.create_password_link");
    let system = world.store.system();
    let made = system
        .create_password_link(&scope, &new, &note, NOW)
        .await
        .expect("a link");
    assert_eq!(made.id, user);
    new
}

async fn is_open(world: &World, link: &NewPasswordLink) -> bool {
    let system = world.store.system();
    let found = system.has_open_password_link(&link.hash, NOW).await;
    found.expect("asks")
}

async fn use_link(world: &World, link: &NewPasswordLink) -> Result<UserRow, StoreError> {
    let notes = |_: &UserRow| {
        let of_password = world.note("user.set_password_by_link");
        (world.note("user.use_password_link"), of_password)
    };
    let system = world.store.system();
    system
        .use_password_link(&link.hash, "a new hash", notes, NOW)
        .await
}

async fn refused_without_a_trace(world: &World, link: &NewPasswordLink) {
    assert!(!is_open(world, link).await);
    let before = world.traces().await;
    let refused = use_link(world, link).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(world.traces().await, before);
}

async fn an_admin_makes_another_one_and_steps_down(world: World) {
    let (first, second) = two_admins(&world).await;
    assert!(is_admin(&world, "second@example.com").await);
    let admins = world.store.system().instance_admins().await.expect("lists");
    let ids: Vec<_> = admins.iter().map(|admin| admin.id).collect();
    assert_eq!(ids, [first.user, second.user]);

    let scope_of_first = world.instance(&first).await;
    set_admin(&world, &first, first.user, false)
        .await
        .expect("another admin is there");
    assert!(!is_admin(&world, "first@example.com").await);
    let audited = "SELECT count(*) FROM audit
                   WHERE action IN ('user.promote', 'user.demote') AND account_id IS NULL";
    assert_eq!(world.number(audited).await, 2);
    // What was allowed a moment ago is asked again.
    let system = world.store.system();
    let note = world.note("user.promote");
    let before = world.traces().await;
    let refused = system
        .set_instance_admin(&scope_of_first, first.user, true, &note, NOW)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let refused = system
        .set_user_suspended(&scope_of_first, second.user, true, &note, NOW)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let new = world.new_user("third@example.com");
    let refused = system.create_user(&scope_of_first, &new, &note, NOW).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(world.traces().await, before);
}

async fn the_last_admin_stays_one(world: World) {
    let (first, second) = two_admins(&world).await;
    let scope = world.instance(&first).await;
    let note = world.note("user.suspend");
    let system = world.store.system();
    system
        .set_user_suspended(&scope, second.user, true, &note, NOW)
        .await
        .expect("suspended");
    let before = world.traces().await;
    let refused = set_admin(&world, &first, first.user, false).await;
    assert!(
        matches!(refused, Err(StoreError::LastAdmin)),
        "a suspended admin manages nothing: {refused:?}"
    );
    let unknown = set_admin(&world, &first, world.id(), true).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    // Who is suspended can be made no admin, and does not come back as one.
    set_admin(&world, &first, second.user, false)
        .await
        .expect("demoted");
}

async fn of_two_admins_who_demote_each_other_one_stays(world: World) {
    let (first, second) = two_admins(&world).await;
    let (of_first, of_second) = (world.instance(&first).await, world.instance(&second).await);
    let other = world.other_node().await;
    let (one, two) = (world.note("user.demote"), world.note("user.demote"));
    let (here, there) = (world.store.system(), other.system());
    let (a, b) = tokio::join!(
        here.set_instance_admin(&of_first, second.user, false, &one, NOW),
        there.set_instance_admin(&of_second, first.user, false, &two, NOW),
    );
    assert_eq!(
        [a.is_ok(), b.is_ok()].iter().filter(|it| **it).count(),
        1,
        "{a:?} {b:?}"
    );
    let admins = "SELECT count(*) FROM users WHERE instance_admin = 1 AND suspended = 0";
    assert_eq!(world.number(admins).await, 1);
}

async fn of_two_admins_who_suspend_each_other_one_stays(world: World) {
    let (first, second) = two_admins(&world).await;
    let (of_first, of_second) = (world.instance(&first).await, world.instance(&second).await);
    let other = world.other_node().await;
    let (one, two) = (world.note("user.suspend"), world.note("user.suspend"));
    let (here, there) = (world.store.system(), other.system());
    let (a, b) = tokio::join!(
        here.set_user_suspended(&of_first, second.user, true, &one, NOW),
        there.set_user_suspended(&of_second, first.user, true, &two, NOW),
    );
    assert_eq!(
        [a.is_ok(), b.is_ok()].iter().filter(|it| **it).count(),
        1,
        "{a:?} {b:?}"
    );
    let admins = "SELECT count(*) FROM users WHERE instance_admin = 1 AND suspended = 0";
    assert_eq!(world.number(admins).await, 1);
}

async fn who_is_suspended_becomes_no_admin(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let scope = world.instance(&first).await;
    let note = world.note("user.suspend");
    let system = world.store.system();
    system
        .set_user_suspended(&scope, second.user, true, &note, NOW)
        .await
        .expect("suspended");
    let before = world.traces().await;
    let refused = set_admin(&world, &first, second.user, true).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(world.traces().await, before);
}

async fn a_link_gives_a_new_password_once_and_ends_all_sessions(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let session = NewSession {
        id: world.id(),
        hash: world.hash(),
        user: second.user,
        expires_at: NOW.plus_millis(LIFE_MS),
        user_agent: "a browser".to_owned(),
    };
    let system = world.store.system();
    let note = world.note("session.create");
    system
        .create_session(&session, &note, NOW)
        .await
        .expect("logged in");
    let link = link(&world, &first, second.user).await;
    assert!(is_open(&world, &link).await);
    let user = use_link(&world, &link).await.expect("used");
    assert_eq!((user.id, user.account), (second.user, second.account));
    let found = system.login("second@example.com").await.expect("asks");
    assert_eq!(found.expect("there").1, "a new hash");
    let found = system.session_by_hash(&session.hash, NOW).await;
    assert!(found.expect("asks").is_none());
    // The instance's log has the link, the person's own the password.
    let of_instance = "SELECT count(*) FROM audit
        WHERE action IN ('user.create_password_link', 'user.use_password_link') AND account_id IS NULL";
    assert_eq!(world.number(of_instance).await, 2);
    let of_person = "SELECT count(*) FROM audit
        WHERE action = 'user.set_password_by_link' AND account_id IS NOT NULL";
    assert_eq!(world.number(of_person).await, 1);
    refused_without_a_trace(&world, &link).await;
}

async fn what_was_begun_with_the_password_before_does_not_outlive_a_link(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let link = link(&world, &first, second.user).await;
    let here = world.logged_in(&second, LIFE_MS).await;
    // All three passwords were checked, and nothing is written yet.
    let system = world.store.system();
    let verified = system.login("second@example.com").await.expect("asks");
    let (_, verified) = verified.expect("there");
    use_link(&world, &link).await.expect("used");
    let session = |user: UserId| NewSession {
        id: world.id(),
        hash: world.hash(),
        user,
        expires_at: NOW.plus_millis(LIFE_MS),
        user_agent: "a browser".to_owned(),
    };
    let note = world.note("late");
    let own = world.store.own(&here);
    let new = session(second.user);
    let before = world.traces().await;
    for refused in [
        system
            .create_session_by_password(&new, &verified, &note, NOW)
            .await,
        own.set_password(&verified, "mine again", &note, NOW).await,
        own.delete_account(&verified, &note, NOW).await,
        // With the new one even: the log-in ended.
        own.set_password("a new hash", "mine again", &note, NOW)
            .await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    assert_eq!(world.traces().await, before);
    system
        .create_session_by_password(&new, "a new hash", &note, NOW)
        .await
        .expect("logged in");
}

async fn of_two_who_come_with_one_link_one_is_let_in(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let link = link(&world, &first, second.user).await;
    let (one, two) = tokio::join!(use_link(&world, &link), use_link(&world, &link));
    assert_eq!(
        [one.is_ok(), two.is_ok()].iter().filter(|it| **it).count(),
        1,
        "{one:?} {two:?}"
    );
}

async fn a_link_ends_with_its_time_and_is_removed(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let link = link(&world, &first, second.user).await;
    let system = world.store.system();
    for (after_ms, open) in [(LIFE_MS - 1, true), (LIFE_MS, false)] {
        let at = NOW.plus_millis(after_ms);
        let found = system.has_open_password_link(&link.hash, at).await;
        assert_eq!(found.expect("asks"), open, "{after_ms}");
        let pruned = system.prune_password_links(at).await.expect("pruned");
        assert_eq!(pruned, u64::from(!open));
    }
}

async fn a_link_ends_with_the_next_one_and_with_a_new_password(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let old = link(&world, &first, second.user).await;
    let new = link(&world, &first, second.user).await;
    refused_without_a_trace(&world, &old).await;
    assert!(is_open(&world, &new).await);
    let scope = world.logged_in(&second, LIFE_MS).await;
    let note = world.note("user.set_password");
    let own = world.store.own(&scope);
    let old = own.password_hash().await.expect("reads");
    let set = own.set_password(&old, "found again", &note, NOW).await;
    set.expect("changed");
    refused_without_a_trace(&world, &new).await;
}

async fn a_link_ends_for_good_with_the_standing_of_its_maker(world: World) {
    let (first, second) = two_admins(&world).await;
    let third = world.person(&first, "third@example.com").await;
    let of_second = link(&world, &second, third.user).await;
    for admin in [false, true] {
        let changed = set_admin(&world, &first, second.user, admin).await;
        changed.expect("changed");
        refused_without_a_trace(&world, &of_second).await;
    }
    let of_second = link(&world, &second, third.user).await;
    let scope = world.instance(&first).await;
    let note = world.note("user.suspend");
    let system = world.store.system();
    for suspended in [true, false] {
        system
            .set_user_suspended(&scope, second.user, suspended, &note, NOW)
            .await
            .expect("changed");
        refused_without_a_trace(&world, &of_second).await;
    }
    let of_second = link(&world, &second, third.user).await;
    let own = world.logged_in(&second, LIFE_MS).await;
    let left = world.leave(&own, &note).await;
    left.expect("left");
    refused_without_a_trace(&world, &of_second).await;
    assert_eq!(world.number("SELECT count(*) FROM password_links").await, 0);
}

async fn a_link_ends_with_the_password_of_its_maker(world: World) {
    let (first, second) = two_admins(&world).await;
    let third = world.person(&first, "third@example.com").await;
    let fourth = world.person(&first, "fourth@example.com").await;
    let of_first = link(&world, &first, fourth.user).await;
    // Whoever was in the second admin's session may have made it.
    let of_second = link(&world, &second, third.user).await;
    let for_second = link(&world, &first, second.user).await;
    use_link(&world, &for_second).await.expect("used");
    refused_without_a_trace(&world, &of_second).await;
    assert!(is_open(&world, &of_first).await);
}

async fn a_link_ends_with_the_person(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let old = link(&world, &first, second.user).await;
    let scope = world.instance(&first).await;
    let note = world.note("user.suspend");
    let system = world.store.system();
    for suspended in [true, false] {
        system
            .set_user_suspended(&scope, second.user, suspended, &note, NOW)
            .await
            .expect("changed");
        // It does not come back with the person.
        refused_without_a_trace(&world, &old).await;
    }
    let gone = link(&world, &first, second.user).await;
    let own = world.logged_in(&second, LIFE_MS).await;
    let left = world.leave(&own, &note).await;
    left.expect("left");
    refused_without_a_trace(&world, &gone).await;
}

async fn nobody_makes_a_link_for_themselves_or_for_who_is_suspended(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let scope = world.instance(&first).await;
    let note = world.note("user.create_password_link");
    let system = world.store.system();
    system
        .set_user_suspended(&scope, second.user, true, &note, NOW)
        .await
        .expect("suspended");
    let before = world.traces().await;
    for user in [first.user, second.user] {
        let new = new_link(&world, user);
        let refused = system.create_password_link(&scope, &new, &note, NOW).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    let new = new_link(&world, world.id());
    let refused = system.create_password_link(&scope, &new, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(world.traces().await, before);
}

async fn the_operator_makes_links_by_nobodys_leave(world: World) {
    let (first, second) = two_admins(&world).await;
    let new = new_link(&world, first.user);
    let note = world.note("user.create_password_link");
    let system = world.store.system();
    let made = system
        .create_operators_password_link(&new, &note, NOW)
        .await
        .expect("a link");
    assert_eq!(made.email, "first@example.com");
    set_admin(&world, &second, first.user, false)
        .await
        .expect("demoted");
    assert!(is_open(&world, &new).await);
    use_link(&world, &new).await.expect("used");
    let audited = "SELECT count(*) FROM audit
        WHERE action = 'user.create_password_link' AND actor = 'system'";
    assert_eq!(world.number(audited).await, 1);
    let unknown = new_link(&world, world.id());
    let refused = system
        .create_operators_password_link(&unknown, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}
