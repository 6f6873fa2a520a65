//! Who chooses the model of a call.

use serde_json::{Value, json};

use super::resolution::{policy, resolve};
use super::{As, World};

#[tokio::test]
async fn the_levels_of_choice_are_said() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .settings(
            &root,
            json!({"tiers": {"level_1": "gpt-4o-mini", "level_2": "gpt-4.1"}}),
        )
        .await;
    let chosen = async |caller: &As, body: Value| {
        let shown = resolve(&world, caller, &root, body).await;
        (
            shown["chosen_by"].clone(),
            shown["model"].clone(),
            shown["tier"].clone(),
        )
    };
    let said = |level: &str, model: &str| (json!(level), json!(model), Value::Null);
    assert_eq!(
        chosen(&root.session, json!({})).await,
        said("instance", "gpt-4o-mini")
    );
    policy(&world, &root, json!({"model": "gpt-4o"})).await;
    assert_eq!(
        chosen(&root.session, json!({})).await,
        said("workspace", "gpt-4o")
    );
    let keys = format!("/api/v1/workspaces/{}/api-keys", root.workspace);
    let body = json!({"name": "agent", "scopes": ["policy:read", "keys:write"], "default_model": "level_2"});
    let minted = world
        .post(&root.session, &keys, body)
        .await
        .expect(201)
        .json();
    assert_eq!(minted["default_model"], "level_2");
    let tier = (json!("api_key"), json!("gpt-4.1"), json!("level_2"));
    let id = minted["id"].as_str().expect("an id");
    assert_eq!(chosen(&root.session, json!({"api_key_id": id})).await, tier);
    let agent = As::Key(minted["key"].as_str().expect("the key").to_owned());
    assert_eq!(
        chosen(&agent, json!({})).await,
        tier,
        "a key explains itself"
    );
    let body = json!({"api_key_id": id, "conversation_model": "o3"});
    assert_eq!(
        chosen(&root.session, body).await,
        said("conversation", "o3")
    );
    let body = json!({"api_key_id": id, "conversation_model": "o3", "model": "gpt-4.1-mini"});
    assert_eq!(
        chosen(&root.session, body).await,
        said("request", "gpt-4.1-mini")
    );
    let mapping = json!([{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}]);
    policy(&world, &root, json!({"model_mappings": mapping})).await;
    let shown = resolve(
        &world,
        &root.session,
        &root,
        json!({"model": "gpt-3.5-turbo"}),
    )
    .await;
    assert_eq!(
        shown["mapped_by"],
        json!({"pattern": "gpt-3.5*", "model": "gpt-4o-mini"})
    );
    assert_eq!(
        (&shown["requested"], &shown["model"]),
        (&json!("gpt-3.5-turbo"), &json!("gpt-4o-mini"))
    );

    let one = format!("{keys}/{id}");
    for (model, level) in [
        (json!("gpt-4o-mini"), "api_key"),
        (Value::Null, "workspace"),
    ] {
        let body = json!({ "default_model": model });
        let changed = world.patch(&agent, &one, body).await.expect(200).json();
        assert_eq!(changed["default_model"], model);
        assert_eq!(chosen(&agent, json!({})).await.0, level);
    }
    for bad in [
        json!({}),
        json!({"default_model": "a b"}),
        json!({"name": "x"}),
    ] {
        world
            .patch(&root.session, &one, bad)
            .await
            .refused(400, "invalid_request");
    }
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let body = json!({"default_model": "gpt-4o"});
    world
        .patch(&member.session, &one, body)
        .await
        .refused(403, "permission_denied");
    let explain = format!("/api/v1/workspaces/{}/resolve", root.workspace);
    for (caller, id) in [(&member, id), (&root, "ak_00000000000000000000000000")] {
        let body = json!({ "api_key_id": id });
        world
            .post(&caller.session, &explain, body)
            .await
            .refused(404, "not_found");
    }
}
