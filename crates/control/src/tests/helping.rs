//! Admins of the instance, and links to new passwords.

use serde_json::{Value, json};

use super::doubles::Answer;
use super::{As, PASSWORD, Person, World, data};
use crate::ops::password_links::LIFETIME_MS;

const NEW_PASSWORD: &str = "quite another password";
const USE: &str = "/api/v1/password-links/password";

fn user(person: &Person) -> String {
    format!("/api/v1/users/{}", person.id)
}

async fn set_admin(world: &World, by: &As, whom: &Person, admin: bool) -> Answer {
    let body = json!({ "instance_admin": admin });
    world.patch(by, &user(whom), body).await
}

async fn link(world: &World, by: &As, whom: &Person) -> Answer {
    let path = format!("{}/password-link", user(whom));
    world.post(by, &path, json!({})).await
}

async fn token(world: &World, by: &As, whom: &Person) -> String {
    let made = link(world, by, whom).await.expect(201).json();
    made["token"].as_str().expect("a credential").to_owned()
}

async fn use_link(world: &World, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "password": password });
    world.post(&As::Nobody, USE, body).await
}

async fn log_in(world: &World, person: &Person, password: &str) -> Answer {
    let body = json!({ "email": person.email, "password": password });
    world.post(&As::Nobody, "/api/v1/sessions", body).await
}

/// What the instance's log has of people, oldest first.
async fn of_people(world: &World, root: &Person) -> Vec<(Value, Value)> {
    let rows = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
    let rows = rows.into_iter().rev();
    let rows = rows.map(|row| (row["action"].clone(), row["outcome"].clone()));
    let is_of_people = |(action, _): &(Value, Value)| {
        let action = action.as_str().expect("a text");
        action.starts_with("user.")
    };
    rows.filter(is_of_people).collect()
}

#[tokio::test]
async fn an_admin_makes_another_one_which_counts_at_once() {
    // T92, T94
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let users = "/api/v1/users";
    world
        .get(&ann.session, users)
        .await
        .refused(403, "permission_denied");
    set_admin(&world, &ann.session, &ann, true)
        .await
        .refused(403, "permission_denied");
    set_admin(&world, &root.session, &ann, true)
        .await
        .expect(204);
    world.get(&ann.session, users).await.expect(200);
    let key = world.api_key(&ann, &["instance:read"]).await;
    let settings = "/api/v1/admin/settings";
    world.get(&key, settings).await.expect(200);
    // No API key makes admins.
    let all = world.api_key(&root, &["instance:write"]).await;
    set_admin(&world, &all, &ann, false)
        .await
        .refused(403, "permission_denied");

    // The new admin is one like the first, who may go.
    set_admin(&world, &ann.session, &root, false)
        .await
        .expect(204);
    world
        .get(&root.session, users)
        .await
        .refused(403, "permission_denied");
    let refused = set_admin(&world, &ann.session, &ann, false).await;
    refused.refused(409, "last_instance_admin");
    set_admin(&world, &ann.session, &root, true)
        .await
        .expect(204);
    // Stepping down is one's own to decide, as long as somebody is left.
    set_admin(&world, &ann.session, &ann, false)
        .await
        .expect(204);
    world
        .get(&ann.session, users)
        .await
        .refused(403, "permission_denied");
    world
        .get(&key, settings)
        .await
        .refused(403, "permission_denied");
    let actions = ["promote", "demote", "promote", "demote"];
    let actions = actions.map(|it| (json!(format!("user.{it}")), json!("ok")));
    assert_eq!(of_people(&world, &root).await, actions);
}

#[tokio::test]
async fn one_thing_of_a_person_changes_at_a_time() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    for body in [
        json!({}),
        json!({"suspended": false, "instance_admin": true}),
        json!({"suspended": null}),
        json!({"email": "ann@example.test"}),
    ] {
        world
            .patch(&root.session, &user(&ann), body)
            .await
            .refused(400, "invalid_request");
    }
    let suspend = json!({"suspended": true});
    world
        .patch(&root.session, &user(&ann), suspend)
        .await
        .expect(204);
    set_admin(&world, &root.session, &ann, true)
        .await
        .refused(409, "conflict");
    link(&world, &root.session, &ann)
        .await
        .refused(409, "conflict");
    link(&world, &root.session, &root)
        .await
        .refused(409, "conflict");
}

#[tokio::test]
async fn a_link_gives_a_new_password_once() {
    // T104
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let key = world.api_key(&ann, &["workspace:read"]).await;
    link(&world, &ann.session, &root)
        .await
        .refused(403, "permission_denied");
    let made = link(&world, &root.session, &ann).await.expect(201).json();
    assert_eq!(
        (&made["email"], &made["user_id"]),
        (&json!(ann.email), &json!(ann.id))
    );
    let token = made["token"].as_str().expect("a credential");
    assert!(token.starts_with("kbpassword_"));
    let listed = world.get(&root.session, "/api/v1/users").await.expect(200);
    assert!(!listed.text.contains(token));
    // Until it is used, nothing has changed.
    world.get(&ann.session, "/api/v1/me").await.expect(200);
    log_in(&world, &ann, PASSWORD).await.expect(201);

    use_link(&world, token, "short")
        .await
        .refused(400, "invalid_request");
    let used = use_link(&world, token, NEW_PASSWORD).await.expect(200);
    assert_eq!(used.json(), json!({ "email": ann.email }));
    assert!(used.header("set-cookie").is_none());
    world
        .get(&ann.session, "/api/v1/me")
        .await
        .refused(401, "authentication_required");
    log_in(&world, &ann, PASSWORD)
        .await
        .refused(401, "invalid_credentials");
    log_in(&world, &ann, NEW_PASSWORD).await.expect(201);
    let workspace = format!("/api/v1/workspaces/{}", ann.workspace);
    world.get(&key, &workspace).await.expect(200);
    use_link(&world, token, NEW_PASSWORD)
        .await
        .refused(401, "invalid_password_link");

    let row = |action: &str, outcome: &str| (json!(action), json!(outcome));
    assert_eq!(
        of_people(&world, &root).await,
        [
            row("user.create_password_link", "ok"),
            row("user.use_password_link", "ok"),
            row("user.use_password_link", "refused"),
        ]
    );
    let session = log_in(&world, &ann, NEW_PASSWORD).await.cookie();
    let own = format!("/api/v1/accounts/{}/audit", ann.account);
    let change = json!({ "current_password": NEW_PASSWORD, "new_password": PASSWORD });
    world
        .put(&session, "/api/v1/me/password", change)
        .await
        .expect(204);
    let own = world.get(&session, &own).await.expect(200);
    let rows = own.json();
    let rows = rows["data"].as_array().expect("rows").iter();
    let set: Vec<_> = rows
        .filter_map(|row| row["action"].as_str())
        .filter(|action| action.starts_with("user.set_password"))
        .collect();
    // The newest first: the person's own change is told from the link's.
    assert_eq!(set, ["user.set_password", "user.set_password_by_link"]);
    let whole = world.get(&root.session, "/api/v1/audit?limit=100").await;
    assert!(!whole.text.contains(token) && !own.text.contains(token));
}

#[tokio::test]
async fn a_link_ends_after_an_hour_with_the_next_one_and_with_its_maker() {
    // T104
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let invalid = async |token: &str| {
        use_link(&world, token, NEW_PASSWORD)
            .await
            .refused(401, "invalid_password_link");
    };
    let old = token(&world, &root.session, &ann).await;
    let late = token(&world, &root.session, &ann).await;
    invalid(&old).await;
    world.pass_ms(LIFETIME_MS);
    invalid(&late).await;

    let second = world.person(&root, "second").await;
    set_admin(&world, &root.session, &second, true)
        .await
        .expect(204);
    let unbacked = token(&world, &second.session, &ann).await;
    set_admin(&world, &root.session, &second, false)
        .await
        .expect(204);
    invalid(&unbacked).await;
    log_in(&world, &ann, PASSWORD).await.expect(201);
}

#[tokio::test]
async fn guesses_at_links_tell_nothing_and_come_to_an_end() {
    // T90
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let good = token(&world, &root.session, &ann).await;
    let other = good.replacen("kbpassword_", "kbconsole_", 1);
    let blank = |mut body: Value| {
        body["request_id"] = Value::Null;
        body
    };
    let mut bodies = Vec::new();
    for wrong in ["", "kbpassword_x", &other, &ann.email] {
        let refused = use_link(&world, wrong, NEW_PASSWORD).await;
        bodies.push(blank(refused.refused(401, "invalid_password_link")));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for _ in 4..100 {
        use_link(&world, &other, NEW_PASSWORD)
            .await
            .refused(401, "invalid_password_link");
    }
    use_link(&world, &good, NEW_PASSWORD)
        .await
        .refused(429, "too_many_attempts");
    world.pass_ms(15 * 60 * 1000);
    use_link(&world, &good, NEW_PASSWORD).await.expect(200);
}
