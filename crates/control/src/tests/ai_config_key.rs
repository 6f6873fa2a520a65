//! The key that the AI config of a workspace holds.

use serde_json::{Value, json};

use super::ai_config::{config, get, held, keys, put};
use super::{KEY, OTHER_KEY, World, data, path};
use crate::{ControlConfig, SubmissionPolicy};

#[tokio::test]
async fn a_key_is_rotated_in_place_and_never_shown() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    put(&world, &root, json!({"provider": "openai", "api_key": KEY})).await;
    let first = data(world.get(&root.session, &path(&root)).await);
    let answer = world
        .put(&root.session, &config(&root), json!({"api_key": OTHER_KEY}))
        .await;
    let answer = answer.expect(200);
    assert!(!answer.text.contains(&OTHER_KEY[4..20]), "{}", answer.text);
    let second = data(world.get(&root.session, &path(&root)).await);
    assert_eq!(second.len(), 1);
    assert_eq!(
        (&second[0]["id"], &second[0]["version"]),
        (&first[0]["id"], &json!(2))
    );
    assert_ne!(second[0]["mask"], first[0]["mask"]);
}

#[tokio::test]
async fn managed_removes_the_key_of_the_config_and_leaves_labelled_ones() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "mine").await;
    put(
        &world,
        &root,
        json!({"mode": "byok", "provider": "openai", "api_key": KEY}),
    )
    .await;
    assert_eq!(keys(&world, &root).await.len(), 2);
    let shown = put(&world, &root, json!({"mode": "managed"})).await;
    assert_eq!(shown["status"], "managed_active");
    let mine = ("openai".to_owned(), "mine".to_owned());
    assert_eq!(keys(&world, &root).await, [mine]);
    let shown = put(&world, &root, json!({"mode": "byok"})).await;
    assert_eq!(
        shown["status"], "byok_active",
        "the labelled key is there again"
    );
    let body = json!({"mode": "managed", "api_key": KEY});
    let answer = world.put(&root.session, &config(&root), body).await;
    let refused = answer.refused(400, "invalid_request");
    assert_eq!(refused["details"]["field"], "api_key");
    assert_eq!(get(&world, &root).await["mode"], "byok");
}

#[tokio::test]
async fn another_provider_without_a_key_removes_the_key_of_the_old_one() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let answer = world
        .put(&root.session, &config(&root), json!({"api_key": KEY}))
        .await;
    let refused = answer.refused(400, "invalid_request");
    assert_eq!(refused["details"]["field"], "provider");
    put(&world, &root, json!({"provider": "openai", "api_key": KEY})).await;
    put(
        &world,
        &root,
        json!({"provider": "openai", "model": "gpt-4o"}),
    )
    .await;
    assert_eq!(
        keys(&world, &root).await,
        [held("openai")],
        "the same provider keeps it"
    );
    put(
        &world,
        &root,
        json!({"provider": "anthropic", "api_key": KEY}),
    )
    .await;
    assert_eq!(keys(&world, &root).await, [held("anthropic")]);
    put(&world, &root, json!({"provider": "mistral"})).await;
    assert_eq!(keys(&world, &root).await, []);
    put(&world, &root, json!({"api_key": KEY})).await;
    assert_eq!(keys(&world, &root).await, [held("mistral")]);
    let shown = put(&world, &root, json!({"provider": null})).await;
    assert_eq!(shown["provider"], Value::Null);
    assert_eq!(keys(&world, &root).await, []);
}

#[tokio::test]
async fn a_key_in_plain_text_is_refused_where_only_boxes_are_taken() {
    let sealed_only = ControlConfig {
        submission: SubmissionPolicy::SealedOnly,
        ..ControlConfig::default()
    };
    for (config_says, settings_say) in [(true, false), (false, true)] {
        let config_used = if config_says {
            sealed_only.clone()
        } else {
            ControlConfig::default()
        };
        let world = World::with(config_used).await;
        let (root, _) = world.set_up().await;
        if settings_say {
            world
                .settings(&root, json!({"submission": "sealed_only"}))
                .await;
        }
        let before = get(&world, &root).await;
        let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY});
        let answer = world.put(&root.session, &config(&root), body).await;
        let refused = answer.refused(400, "sealed_submission_required");
        let hint = refused["hint"].as_str().expect("a text");
        assert!(
            !hint.contains("loopback") && hint.contains("Seal the key"),
            "{hint}"
        );
        assert_eq!(get(&world, &root).await, before);
        let sealed = world.raw("openai", KEY).await;
        world
            .post(&root.session, &path(&root), sealed)
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn the_labels_of_configurations_are_kept() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let key = world.own_key(&root, "openai", "mine").await;
    let one = format!("{}/{key}", path(&root));
    for label in ["ai-config", "ai-defaults"] {
        let body = json!({"provider": "openai", "label": label, "key": KEY});
        for place in [&path(&root), &account] {
            let refused = world.post(&root.session, place, body.clone()).await;
            let refused = refused.refused(400, "invalid_request");
            assert_eq!(refused["details"]["field"], "label");
        }
        let refused = world
            .patch(&root.session, &one, json!({ "label": label }))
            .await;
        refused.refused(400, "invalid_request");
    }
}
