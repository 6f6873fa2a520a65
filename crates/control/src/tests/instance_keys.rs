//! API keys that act on the instance: for instance admins alone, and no longer than those are.

use serde_json::json;

use super::{As, PASSWORD, Person, World, data};

const SETTINGS: &str = "/api/v1/admin/settings";

/// A second instance admin, whom no operation of the API makes.
async fn second_admin(world: &World, root: &Person) -> Person {
    let state = &world.state;
    let email = "second@example.test";
    let password = serde_json::from_value(json!(PASSWORD)).expect("a password");
    let new = crate::ops::users::new_user(state, email, password, true).await;
    let new = new.expect("fits");
    let account = new.account;
    let workspace = new.workspace;
    let principal = store::Principal::Session {
        user: root.id.parse().expect("an id"),
        session: domain::SessionId::from_bytes([1; 16]),
    };
    let action = domain::access::Action::ManageUsers;
    let scope = state.store.authorize_instance(&principal, action).await;
    let scope = scope.expect("an instance admin");
    let note = store::AuditNote {
        action: "user.create",
        provider: None,
        label: None,
        kek_id: None,
        content_sha256: None,
        subject: None,
        outcome: "ok",
        request: state.sources.id().expect("an id"),
    };
    let system = state.store.system();
    let now = state.sources.now();
    let row = system
        .create_user(&scope, &new, &note, now)
        .await
        .expect("made");
    let body = json!({"email": email, "password": PASSWORD});
    let session = world.post(&As::Nobody, "/api/v1/sessions", body).await;
    Person {
        id: row.id.to_string(),
        email: email.to_owned(),
        account: account.to_string(),
        workspace: workspace.to_string(),
        session: session.expect(201).cookie(),
    }
}

#[tokio::test]
async fn an_admins_key_acts_on_the_instance_until_the_admin_is_suspended() {
    // T93
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let second = second_admin(&world, &root).await;
    let key = world
        .api_key(&second, &["instance:write", "instance:read", "keys:read"])
        .await;
    let reader = world.api_key(&second, &["instance:read"]).await;
    let patch = json!({"overuse": "forgive"});
    world.patch(&key, SETTINGS, patch.clone()).await.expect(200);
    world.get(&reader, SETTINGS).await.expect(200);
    let refused = world.patch(&reader, SETTINGS, patch.clone()).await;
    let refused = refused.refused(403, "permission_denied");
    assert_eq!(refused["details"]["needs"], "the scope instance:write");
    // What takes a log-in stays out of its reach.
    world
        .get(&key, "/api/v1/audit")
        .await
        .refused(403, "permission_denied");
    world
        .get(&key, "/api/v1/users")
        .await
        .refused(403, "permission_denied");
    let keys = format!("/api/v1/workspaces/{}/api-keys", second.workspace);
    let id = data(world.get(&key, &keys).await)
        .into_iter()
        .find(|row| row["scopes"].as_array().is_some_and(|it| it.len() == 3))
        .expect("the key is listed")["id"]
        .clone();
    let audit = data(world.get(&root.session, "/api/v1/audit").await);
    let row = audit.iter().find(|row| row["action"] == "settings.update");
    assert_eq!(row.expect("a row")["actor"], id);

    let person = format!("/api/v1/users/{}", second.id);
    let suspend = json!({"suspended": true});
    world
        .patch(&root.session, &person, suspend)
        .await
        .expect(204);
    let other = json!({"overuse": "block"});
    world
        .patch(&key, SETTINGS, other)
        .await
        .refused(401, "authentication_required");
    world
        .get(&reader, SETTINGS)
        .await
        .refused(401, "authentication_required");
    let settings = world.get(&root.session, SETTINGS).await.expect(200).json();
    assert_eq!(settings["overuse"], "forgive");
    let resume = json!({"suspended": false});
    world
        .patch(&root.session, &person, resume)
        .await
        .expect(204);
    world.get(&reader, SETTINGS).await.expect(200);
}

#[tokio::test]
async fn nobody_else_gives_a_key_a_scope_of_the_instance() {
    // T93
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let member = world.person(&root, "member").await;
    let admin = world.person(&root, "admin").await;
    world.join(&root, &member, "member").await;
    world.join(&root, &admin, "admin").await;
    let narrow = world.api_key(&root, &["keys:write"]).await;
    for (caller, workspace) in [
        (&ann.session, &ann.workspace),
        (&member.session, &root.workspace),
        (&admin.session, &root.workspace),
        (&narrow, &root.workspace),
    ] {
        for scope in ["instance:read", "instance:write"] {
            let keys = format!("/api/v1/workspaces/{workspace}/api-keys");
            let body = json!({"name": "k", "scopes": ["keys:read", scope]});
            let refused = world.post(caller, &keys, body).await;
            let refused = refused.refused(403, "scope_not_held");
            assert!(
                refused["details"]["scopes"].to_string().contains(scope),
                "{refused}"
            );
        }
    }
    world.api_key(&root, &["instance:write"]).await;
}
