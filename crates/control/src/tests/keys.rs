//! Stored provider keys of a workspace: rotation, views by role, changes, audit.

use serde_json::json;

use super::{KEY, OTHER_KEY, World, data, path, with};

#[tokio::test]
async fn the_same_label_rotates_in_place_and_another_stands_beside() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let first = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    world.pass_ms(1000);
    let second = world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", OTHER_KEY).await,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&second["id"], &second["created_at"]),
        (&first["id"], &first["created_at"])
    );
    assert_eq!(second["version"], 2);
    assert_ne!(second["updated_at"], first["updated_at"]);
    let backup = with(&world.raw("openai", KEY).await, "label", json!("backup"));
    let backup = world
        .post(&root.session, &path(&root), backup)
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&first["position"], &backup["position"]),
        (&json!(0), &json!(1))
    );
    let value = world.raw("openai", KEY).await;
    let value = json!({"kek_id": value["kek_id"], "ciphertext_b64": value["ciphertext_b64"]});
    let one = format!("{}/{}", path(&root), first["id"].as_str().expect("an id"));
    let third = world
        .put(&root.session, &one, value)
        .await
        .expect(200)
        .json();
    assert_eq!((&third["id"], &third["version"]), (&first["id"], &json!(3)));
    assert_eq!(data(world.get(&root.session, &path(&root)).await).len(), 2);
}

#[tokio::test]
async fn members_see_only_that_there_is_a_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let (admin, member) = (
        world.person(&root, "admin").await,
        world.person(&root, "member").await,
    );
    world.join(&root, &admin, "admin").await;
    world.join(&root, &member, "member").await;
    let backup = with(
        &world.raw("openai", OTHER_KEY).await,
        "label",
        json!("backup"),
    );
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    world
        .post(&admin.session, &path(&root), backup)
        .await
        .expect(201);
    assert_eq!(
        data(world.get(&admin.session, &path(&root)).await)[0]["mask"],
        "sk-t...mnop"
    );
    let seen = data(world.get(&member.session, &path(&root)).await);
    assert_eq!(seen, [json!({"provider": "openai", "available": true})]);
    let body = world.raw("openai", KEY).await;
    world
        .post(&member.session, &path(&root), body)
        .await
        .refused(403, "permission_denied");
}

#[tokio::test]
async fn keys_are_relabelled_ordered_disabled_and_removed_with_audit_rows() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    let changes = json!({"label": "main", "position": 7, "enabled": false});
    let changed = world
        .patch(&root.session, &one, changes)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["label"], &changed["position"], &changed["enabled"]),
        (&json!("main"), &json!(7), &json!(false))
    );
    world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", OTHER_KEY).await,
        )
        .await
        .expect(201);
    let taken = world
        .patch(&root.session, &one, json!({"label": "primary"}))
        .await;
    taken.refused(409, "conflict");
    world
        .patch(&root.session, &one, json!({"position": -1}))
        .await
        .refused(400, "invalid_request");
    world
        .patch(&root.session, &one, json!({"version": 9}))
        .await
        .refused(400, "invalid_request");
    world.delete(&root.session, &one).await.expect(200);
    world
        .delete(&root.session, &one)
        .await
        .refused(404, "not_found");
    let rows = world.audited(&root).await;
    let actions: Vec<_> = rows
        .iter()
        .map(|(action, _)| action.as_str())
        .filter(|action| action.starts_with("provider_key"))
        .collect();
    let expected = [
        "create",
        "set_label",
        "set_position",
        "disable",
        "create",
        "remove",
    ];
    assert_eq!(
        actions,
        expected.map(|action| format!("provider_key.{action}"))
    );
    let path = format!("/api/v1/workspaces/{}/audit", root.workspace);
    let log = world.get(&root.session, &path).await.expect(200);
    for hidden in ["sk-", "mnop", "mask"] {
        assert!(!log.text.contains(hidden), "{}", log.text);
    }
    let row = &log.json()["data"][0];
    assert_eq!(
        (&row["actor"], &row["provider"]),
        (&json!(root.id), &json!("openai"))
    );
}

#[tokio::test]
async fn rotations_at_once_end_with_one_value_and_no_half_row() {
    // T168
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201);
    let (a, b) = (
        world.raw("openai", KEY).await,
        world.raw("openai", OTHER_KEY).await,
    );
    let keys = path(&root);
    let (a, b) = tokio::join!(
        world.post(&root.session, &keys, a),
        world.post(&root.session, &keys, b)
    );
    assert_eq!((a.status, b.status), (200, 200), "{} {}", a.text, b.text);
    let listed = data(world.get(&root.session, &path(&root)).await);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["version"], 3);
}

#[tokio::test]
async fn anothers_key_is_not_there() {
    // T96
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let id = stored["id"].as_str().expect("an id");
    for path in [
        format!("{}/{id}", path(&root)),
        format!("{}/{id}", path(&other)),
    ] {
        world
            .delete(&other.session, &path)
            .await
            .refused(404, "not_found");
        world
            .patch(&other.session, &path, json!({"enabled": false}))
            .await
            .refused(404, "not_found");
    }
    let account = format!("/api/v1/accounts/{}/provider-keys/{id}", root.account);
    world
        .delete(&root.session, &account)
        .await
        .refused(404, "not_found");
    assert_eq!(data(world.get(&root.session, &path(&root)).await).len(), 1);
}
