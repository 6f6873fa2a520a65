//! Users, workspaces, members, invitations.

use serde_json::{Value, json};

use super::{As, PASSWORD, World, data};

#[tokio::test]
async fn foreign_and_unknown_ids_get_the_same_404() {
    // T96
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let blank = |mut body: Value| {
        body["request_id"] = Value::Null;
        body
    };
    for rest in [
        "",
        "/members",
        "/invitations",
        "/api-keys",
        "/provider-keys",
        "/usage",
        "/audit",
    ] {
        let mut bodies = Vec::new();
        for workspace in [
            root.workspace.as_str(),
            "ws_00000000000000000000000000",
            "nonsense",
            &root.id,
        ] {
            let path = format!("/api/v1/workspaces/{workspace}{rest}");
            bodies.push(blank(
                world
                    .get(&other.session, &path)
                    .await
                    .refused(404, "not_found"),
            ));
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{rest}: {bodies:?}");
    }
    for account in [root.account.as_str(), "acc_00000000000000000000000000", "x"] {
        let path = format!("/api/v1/accounts/{account}");
        world
            .get(&other.session, &path)
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test]
async fn workspaces_are_made_renamed_and_deleted_and_not_handed_over() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let heir = world.person(&root, "heir").await;
    let made = world
        .post(
            &root.session,
            "/api/v1/workspaces",
            json!({"name": " Team "}),
        )
        .await;
    let made = made.expect(201).json();
    assert_eq!(made["name"], "Team");
    let mut team = root.clone();
    team.workspace = made["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/workspaces/{}", team.workspace);
    world.join(&team, &heir, "member").await;
    world
        .patch(&heir.session, &path, json!({"name": "Mine"}))
        .await
        .refused(403, "permission_denied");
    let renamed = world
        .patch(&root.session, &path, json!({"name": "Crew"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name"], &renamed["role"]),
        (&json!("Crew"), &json!("owner"))
    );
    let transfer = format!("{path}/transfer");
    // Nobody gets a workspace, with its callers, into their account unasked.
    world
        .post(&root.session, &transfer, json!({"user_id": heir.id}))
        .await
        .refused(404, "not_found");
    world
        .delete(&heir.session, &path)
        .await
        .refused(403, "permission_denied");
    world.delete(&root.session, &path).await.expect(204);
    world
        .get(&heir.session, &path)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn the_owner_can_neither_leave_nor_be_removed_nor_demoted() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let admin = world.person(&root, "admin").await;
    world.join(&root, &admin, "admin").await;
    let path = format!("/api/v1/workspaces/{}", root.workspace);
    let owner = format!("{path}/members/{}", root.id);
    world
        .delete(&admin.session, &owner)
        .await
        .refused(409, "owner_role");
    world
        .patch(&admin.session, &owner, json!({"role": "member"}))
        .await
        .refused(409, "owner_role");
    world
        .post(&root.session, &format!("{path}/leave"), json!({}))
        .await
        .refused(409, "owner_role");
    let own = format!("{path}/members/{}", admin.id);
    world
        .patch(&admin.session, &own, json!({"role": "owner"}))
        .await
        .refused(400, "invalid_request");
    let refused = world
        .patch(&admin.session, &own, json!({"role": "root"}))
        .await
        .refused(400, "invalid_request");
    assert_eq!(refused["details"]["allowed"], json!(["member", "admin"]));
    assert_eq!(refused["details"]["field"], "role");
    assert_eq!(
        data(world.get(&admin.session, &format!("{path}/members")).await).len(),
        2
    );
}

#[tokio::test]
async fn a_removed_member_loses_everything_at_once() {
    // T105
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let mut inside = member.clone();
    inside.workspace = root.workspace.clone();
    let key = world.api_key(&inside, &["workspace:read"]).await;
    let path = format!("/api/v1/workspaces/{}", root.workspace);
    world.get(&key, &path).await.expect(200);
    world
        .delete(&root.session, &format!("{path}/members/{}", member.id))
        .await
        .expect(204);
    world
        .get(&member.session, &path)
        .await
        .refused(404, "not_found");
    world
        .get(&key, &path)
        .await
        .refused(401, "authentication_required");
}

#[tokio::test]
async fn a_member_can_leave() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let path = format!("/api/v1/workspaces/{}", root.workspace);
    world
        .post(&member.session, &format!("{path}/leave"), json!({}))
        .await
        .expect(204);
    world
        .get(&member.session, &path)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn an_invitation_makes_a_new_person_once() {
    // T104
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let path = format!("/api/v1/workspaces/{}/invitations", root.workspace);
    let invited = world
        .post(
            &root.session,
            &path,
            json!({"email": "New@example.test", "role": "admin"}),
        )
        .await;
    let invited = invited.expect(201).json();
    let token = invited["token"].as_str().expect("a credential");
    assert!(token.starts_with("kbi_"));
    let listed = world.get(&root.session, &path).await.expect(200);
    assert!(!listed.text.contains(token));
    let accept = async |body: Value| {
        world
            .post(&As::Nobody, "/api/v1/invitations/accept", body)
            .await
    };
    accept(json!({"token": "kbi_x", "password": PASSWORD}))
        .await
        .refused(401, "invalid_invitation");
    accept(json!({"token": token}))
        .await
        .refused(400, "invalid_request");
    let another = json!({"token": token, "password": PASSWORD, "email": "evil@example.test"});
    accept(another).await.refused(403, "invitation_for_another");
    let joined = accept(json!({"token": token, "password": PASSWORD}))
        .await
        .expect(201);
    let session = joined.cookie();
    let me = world.get(&session, "/api/v1/me").await.expect(200).json();
    assert_eq!(me["user"]["email"], "new@example.test");
    assert_eq!(me["user"]["instance_admin"], false);
    // Tenants make no credits.
    let credits = world.get(&session, "/api/v1/users/me/credits").await;
    let credits = credits.expect(200).json();
    assert_eq!(
        (&credits["total"], &credits["remaining"]),
        (&json!(0.0), &json!(0.0))
    );
    let roles: Vec<_> = me["workspaces"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| &row["role"])
        .collect();
    assert!(
        roles.contains(&&json!("admin")) && roles.contains(&&json!("owner")),
        "{roles:?}"
    );
    accept(json!({"token": token, "password": PASSWORD}))
        .await
        .refused(401, "invalid_invitation");
}

#[tokio::test]
async fn invitations_expire_are_revoked_and_are_for_one_email() {
    // T104
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let path = format!("/api/v1/workspaces/{}/invitations", root.workspace);
    let invite = async |email: &str| {
        let body = json!({"email": email, "role": "member"});
        world
            .post(&root.session, &path, body)
            .await
            .expect(201)
            .json()
    };
    let accept = async |caller: &As, invited: &Value| {
        let body = json!({"token": invited["token"]});
        world.post(caller, "/api/v1/invitations/accept", body).await
    };
    let foreign = invite("third@example.test").await;
    accept(&other.session, &foreign)
        .await
        .refused(403, "invitation_for_another");
    let revoked = invite(&other.email).await;
    let id = revoked["id"].as_str().expect("an id");
    world
        .delete(&root.session, &format!("{path}/{id}"))
        .await
        .expect(204);
    accept(&other.session, &revoked)
        .await
        .refused(401, "invalid_invitation");
    let late = invite(&other.email).await;
    // Whoever has a user logs in instead of making a second one.
    let body = json!({"token": late["token"], "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/invitations/accept", body)
        .await
        .refused(409, "conflict");
    world.pass_ms(7 * 24 * 60 * 60 * 1000 + 1);
    accept(&other.session, &late)
        .await
        .refused(401, "invalid_invitation");
}

#[tokio::test]
async fn users_are_unique_by_email_and_cannot_raise_themselves() {
    // T92
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"email": "ROOT@example.test ", "password": PASSWORD});
    world
        .post(&root.session, "/api/v1/users", body)
        .await
        .refused(409, "conflict");
    let body = json!({"email": "x@example.test", "password": PASSWORD, "instance_admin": true});
    let refused = world.post(&root.session, "/api/v1/users", body).await;
    assert_eq!(
        refused.refused(400, "invalid_request")["details"]["field"],
        "instance_admin"
    );
}

#[tokio::test]
async fn a_suspended_person_is_out_at_once_and_nobody_suspends_themselves() {
    // T94
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let key = world.api_key(&ann, &["workspace:read"]).await;
    let workspace = format!("/api/v1/workspaces/{}", ann.workspace);
    let user = format!("/api/v1/users/{}", ann.id);
    let log_in = json!({"email": ann.email, "password": super::PASSWORD});
    world.get(&key, &workspace).await.expect(200);
    let suspend = async |caller: &As, path: &str, suspended: bool| {
        let body = json!({"suspended": suspended});
        world.patch(caller, path, body).await
    };
    suspend(&ann.session, &user, true)
        .await
        .refused(403, "permission_denied");
    suspend(&root.session, &user, true).await.expect(204);
    for caller in [&ann.session, &key] {
        world
            .get(caller, &workspace)
            .await
            .refused(401, "authentication_required");
    }
    world
        .post(&As::Nobody, "/api/v1/sessions", log_in.clone())
        .await
        .refused(401, "invalid_credentials");
    let listed = data(world.get(&root.session, "/api/v1/users").await);
    let suspended = |id: &str| {
        let user = listed.iter().find(|user| user["id"] == id);
        user.expect("listed")["suspended"].clone()
    };
    assert_eq!(
        (suspended(&ann.id), suspended(&root.id)),
        (json!(true), json!(false))
    );
    suspend(&root.session, &user, false).await.expect(204);
    world.get(&key, &workspace).await.expect(200);
    world
        .get(&ann.session, &workspace)
        .await
        .refused(401, "authentication_required");
    world
        .post(&As::Nobody, "/api/v1/sessions", log_in)
        .await
        .expect(201);
    let own = format!("/api/v1/users/{}", root.id);
    suspend(&root.session, &own, true)
        .await
        .refused(409, "conflict");
    world.get(&root.session, "/api/v1/me").await.expect(200);
    let unknown = "/api/v1/users/usr_00000000000000000000000000";
    suspend(&root.session, unknown, true)
        .await
        .refused(404, "not_found");
    let rows = data(world.get(&root.session, "/api/v1/audit").await);
    let actions: Vec<_> = rows.iter().map(|row| row["action"].clone()).collect();
    assert!(actions.contains(&json!("user.suspend")), "{actions:?}");
    assert!(actions.contains(&json!("user.resume")), "{actions:?}");
}

#[tokio::test]
async fn an_invitation_ends_with_the_authority_of_its_maker() {
    // T104
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let admin = world.person(&root, "admin").await;
    world.join(&root, &admin, "admin").await;
    let path = format!("/api/v1/workspaces/{}", root.workspace);
    let body = json!({"email": "new@example.test", "role": "admin"});
    let invited = world
        .post(&admin.session, &format!("{path}/invitations"), body)
        .await
        .expect(201)
        .json();
    let demote = json!({"role": "member"});
    world
        .patch(
            &root.session,
            &format!("{path}/members/{}", admin.id),
            demote,
        )
        .await
        .expect(204);
    let body = json!({"token": invited["token"], "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/invitations/accept", body)
        .await
        .refused(401, "invalid_invitation");
}
