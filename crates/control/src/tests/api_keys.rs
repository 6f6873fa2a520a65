//! API keys: scopes, expiry, rotation, revocation.

use serde_json::{Value, json};

use super::{As, World, data};

fn path(workspace: &str) -> String {
    format!("/api/v1/workspaces/{workspace}/api-keys")
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_by_its_prefix() {
    // T87
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let As::Key(text) = &first else {
        panic!("set-up mints an API key");
    };
    let listed = world
        .get(&root.session, &path(&root.workspace))
        .await
        .expect(200);
    assert!(!listed.text.contains(text.as_str()));
    let row = &listed.json()["data"][0];
    assert_eq!(row["prefix"], text[..9]);
    assert_eq!(row["user_id"], root.id.as_str());
    // All but those that are given by name only: the first key is for everyday use.
    assert_eq!(
        row["scopes"].as_array().map(Vec::len),
        Some(domain::access::ApiScope::ALL.len() - 4)
    );
    let scopes = row["scopes"].as_array().expect("a list");
    for asked_for in ["keys:release", "services:write"] {
        assert!(
            !scopes.contains(&serde_json::json!(asked_for)),
            "{asked_for}"
        );
    }
}

#[tokio::test]
async fn nobody_mints_more_than_they_hold() {
    // T93
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let mint = async |caller: &As, scopes: Value| {
        let body = json!({"name": "k", "scopes": scopes});
        world.post(caller, &path(&root.workspace), body).await
    };
    let refused = mint(
        &member.session,
        json!(["inference:invoke", "byok:write", "audit:read"]),
    )
    .await;
    let refused = refused.refused(403, "scope_not_held");
    assert_eq!(
        refused["details"]["scopes"],
        json!(["byok:write", "audit:read"])
    );
    mint(&member.session, json!(["inference:invoke"]))
        .await
        .expect(201);
    let narrow = world.api_key(&root, &["keys:write", "usage:read"]).await;
    mint(&narrow, json!(["members:read"]))
        .await
        .refused(403, "scope_not_held");
    mint(&narrow, json!(["usage:read"])).await.expect(201);
    mint(&root.session, json!(["*"]))
        .await
        .refused(400, "invalid_request");
    mint(&root.session, json!([]))
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn a_key_is_cut_by_the_current_role_of_its_minter() {
    // T93
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let admin = world.person(&root, "admin").await;
    world.join(&root, &admin, "admin").await;
    let mut inside = admin.clone();
    inside.workspace = root.workspace.clone();
    let key = world.api_key(&inside, &["audit:read"]).await;
    let audit = format!("/api/v1/workspaces/{}/audit", root.workspace);
    world.get(&key, &audit).await.expect(200);
    let demote = format!("/api/v1/workspaces/{}/members/{}", root.workspace, admin.id);
    world
        .patch(&root.session, &demote, json!({"role": "member"}))
        .await
        .expect(204);
    world
        .get(&key, &audit)
        .await
        .refused(403, "permission_denied");
}

#[tokio::test]
async fn a_key_expires() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let mint = async |expires_at: &str| {
        let body = json!({"name": "k", "scopes": ["workspace:read"], "expires_at": expires_at});
        world
            .post(&root.session, &path(&root.workspace), body)
            .await
    };
    mint("2020-01-01T00:00:00Z")
        .await
        .refused(400, "invalid_request");
    mint("tomorrow").await.refused(400, "invalid_request");
    let soon = world.state.sources.now().plus_millis(60_000).to_string();
    let minted = mint(&soon).await.expect(201).json();
    assert_eq!(minted["expires_at"], soon);
    let key = As::Key(minted["key"].as_str().expect("the key").to_owned());
    let workspace = format!("/api/v1/workspaces/{}", root.workspace);
    world.get(&key, &workspace).await.expect(200);
    world.pass_ms(60_001);
    world
        .get(&key, &workspace)
        .await
        .refused(401, "authentication_required");
}

#[tokio::test]
async fn a_key_replaces_itself_and_the_old_one_is_dead() {
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let rotate = format!("{}/self/rotate", path(&root.workspace));
    world
        .post(&root.session, &rotate, json!({}))
        .await
        .refused(400, "api_key_required");
    let rotated = world
        .post(&first, &rotate, json!({}))
        .await
        .expect(200)
        .json();
    let new = As::Key(rotated["key"].as_str().expect("the key").to_owned());
    let workspace = format!("/api/v1/workspaces/{}", root.workspace);
    world
        .get(&first, &workspace)
        .await
        .refused(401, "authentication_required");
    world.get(&new, &workspace).await.expect(200);
    let listed = data(world.get(&root.session, &path(&root.workspace)).await);
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["prefix"]),
        (&rotated["id"], &rotated["prefix"])
    );
}

#[tokio::test]
async fn members_see_and_revoke_their_own_keys_and_admins_all() {
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let keys = path(&root.workspace);
    let roots = data(world.get(&root.session, &keys).await)[0]["id"].clone();
    let roots = format!("{keys}/{}", roots.as_str().expect("an id"));
    assert_eq!(
        data(world.get(&member.session, &keys).await),
        Vec::<Value>::new()
    );
    world
        .delete(&member.session, &roots)
        .await
        .refused(403, "permission_denied");
    let mut inside = member.clone();
    inside.workspace = root.workspace.clone();
    world.api_key(&inside, &["inference:invoke"]).await;
    let own = data(world.get(&member.session, &keys).await);
    assert_eq!(own.len(), 1);
    assert_eq!(data(world.get(&root.session, &keys).await).len(), 2);
    let own = format!("{keys}/{}", own[0]["id"].as_str().expect("an id"));
    world.delete(&root.session, &own).await.expect(204);
    world.delete(&root.session, &roots).await.expect(204);
    world
        .get(&first, &format!("/api/v1/workspaces/{}", root.workspace))
        .await
        .expect(401);
    let none = format!("{keys}/ak_00000000000000000000000000");
    world
        .delete(&root.session, &none)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_key_reaches_its_own_workspace_only() {
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let second = world
        .post(
            &root.session,
            "/api/v1/workspaces",
            json!({"name": "Second"}),
        )
        .await;
    let second = second.expect(201).json();
    let second = format!(
        "/api/v1/workspaces/{}",
        second["id"].as_str().expect("an id")
    );
    world.get(&root.session, &second).await.expect(200);
    world.get(&first, &second).await.refused(404, "not_found");
    world
        .get(&first, "/api/v1/workspaces")
        .await
        .refused(403, "permission_denied");
}

#[tokio::test]
async fn a_key_makes_no_admin() {
    // T93
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let workspace = format!("/api/v1/workspaces/{}", root.workspace);
    let invitations = format!("{workspace}/invitations");
    let one = format!("{workspace}/members/{}", member.id);
    let invite = |role: &str| json!({"email": format!("new-{role}@example.test"), "role": role});
    for refused in [
        world.post(&first, &invitations, invite("admin")).await,
        world.patch(&first, &one, json!({"role": "admin"})).await,
    ] {
        let refused = refused.refused(403, "permission_denied");
        assert_eq!(refused["details"]["needs"], "a log-in");
    }
    let invited = world.post(&first, &invitations, invite("member")).await;
    let invited = invited.expect(201).json();
    let promote = json!({"role": "admin"});
    world.patch(&root.session, &one, promote).await.expect(204);
    world
        .patch(&first, &one, json!({"role": "member"}))
        .await
        .expect(204);

    // What a key offered ends with the key.
    let key = data(world.get(&root.session, &path(&root.workspace)).await)[0]["id"].clone();
    let key = format!("{}/{}", path(&root.workspace), key.as_str().expect("an id"));
    world.delete(&root.session, &key).await.expect(204);
    let body = json!({"token": invited["token"], "password": super::PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/invitations/accept", body)
        .await
        .refused(401, "invalid_invitation");
}

#[tokio::test]
async fn what_a_key_minted_ends_no_later_and_with_it() {
    // T93
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let keys = path(&root.workspace);
    let at = |millis: i64| world.state.sources.now().plus_millis(millis).to_string();
    let body = |end: Value| json!({"name": "k", "scopes": ["keys:write", "workspace:read"], "expires_at": end});
    let parent = world
        .post(&root.session, &keys, body(json!(at(60_000))))
        .await;
    let parent = parent.expect(201).json();
    assert!(parent.get("parent_id").is_none());
    let key = |minted: &Value| As::Key(minted["key"].as_str().expect("the key").to_owned());
    for late in [Value::Null, json!(at(60_001))] {
        let refused = world.post(&key(&parent), &keys, body(late)).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], "expires_at");
    }
    let child = world
        .post(&key(&parent), &keys, body(json!(at(60_000))))
        .await;
    let child = child.expect(201).json();
    assert_eq!(child["parent_id"], parent["id"]);
    let grandchild = world
        .post(&key(&child), &keys, body(json!(at(1_000))))
        .await;
    let grandchild = grandchild.expect(201).json();
    let workspace = format!("/api/v1/workspaces/{}", root.workspace);
    world.get(&key(&grandchild), &workspace).await.expect(200);
    let one = format!("{keys}/{}", parent["id"].as_str().expect("an id"));
    world.delete(&root.session, &one).await.expect(204);
    for ended in [&parent, &child, &grandchild] {
        world
            .get(&key(ended), &workspace)
            .await
            .refused(401, "authentication_required");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rotations_of_a_key_at_once_one_is_answered() {
    let world = World::start().await;
    let (root, first) = world.set_up().await;
    let rotate = format!("{}/self/rotate", path(&root.workspace));
    let turn = || world.post(&first, &rotate, json!({}));
    let answers = tokio::join!(turn(), turn(), turn(), turn(), turn(), turn());
    let (a, b, c, d, e, f) = answers;
    let mut keys = Vec::new();
    for answer in [a, b, c, d, e, f] {
        match answer.status {
            200 => keys.push(answer.json()["key"].clone()),
            // Who comes last is not even let in.
            401 => {}
            _ => {
                answer.refused(409, "conflict");
            }
        }
    }
    assert_eq!(keys.len(), 1);
    let new = As::Key(keys[0].as_str().expect("the key").to_owned());
    let workspace = format!("/api/v1/workspaces/{}", root.workspace);
    world.get(&new, &workspace).await.expect(200);
}
