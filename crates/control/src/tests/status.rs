//! The status of an AI config says what a call of its provider's models meets.

use serde_json::{Value, json};

use super::ai_config::{get, put};
use super::resolution::{policy, resolve};
use super::{KEY, Person, World, path};

/// A workspace whose AI config names openai and holds a key for it, beside a platform key.
async fn begin() -> (World, Person) {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.platform_key(&root, "openai").await;
    let body = json!({"mode": "byok", "provider": "openai", "api_key": KEY});
    put(&world, &root, body).await;
    (world, root)
}

/// The status, which is what the explanation of a call says.
async fn status(world: &World, person: &Person) -> Value {
    let shown = resolve(world, &person.session, person, json!({"model": "gpt-4o"})).await;
    let explained = match (&shown["refusal"], &shown["targets"][0]["key_source"]) {
        (Value::Null, source) if source == "byok" => "byok_active",
        (Value::Null, _) => "managed_active",
        _ => "invalid_missing_key",
    };
    let status = get(world, person).await["status"].clone();
    assert_eq!(status, explained, "{shown}");
    status
}

#[tokio::test]
async fn a_key_that_rests_is_served_as_the_instance_says() {
    let (world, root) = begin().await;
    assert_eq!(status(&world, &root).await, "byok_active");
    world.switch(&root, "openai", json!({"byok": false})).await;
    for (rule, byok, auto) in [
        ("follow_mode", "invalid_missing_key", "managed_active"),
        ("managed", "managed_active", "managed_active"),
        ("refuse", "invalid_missing_key", "invalid_missing_key"),
    ] {
        world
            .settings(&root, json!({ "on_byok_disabled": rule }))
            .await;
        for (mode, expected) in [("byok", byok), ("auto", auto)] {
            policy(&world, &root, json!({ "mode": mode })).await;
            assert_eq!(status(&world, &root).await, expected, "{rule} {mode}");
        }
    }
}

#[tokio::test]
async fn a_key_that_was_removed_is_followed_by_what_the_instance_says() {
    let (world, root) = begin().await;
    put(&world, &root, json!({"api_key": null})).await;
    for (rule, byok, auto) in [
        ("follow_mode", "invalid_missing_key", "managed_active"),
        ("managed", "managed_active", "managed_active"),
        ("refuse", "invalid_missing_key", "invalid_missing_key"),
    ] {
        world
            .settings(&root, json!({ "on_key_removed": rule }))
            .await;
        for (mode, expected) in [("byok", byok), ("auto", auto)] {
            policy(&world, &root, json!({ "mode": mode })).await;
            assert_eq!(status(&world, &root).await, expected, "{rule} {mode}");
        }
    }
}

#[tokio::test]
async fn guardrails_and_consent_of_the_instance_count() {
    let (world, root) = begin().await;
    policy(&world, &root, json!({"mode": "auto", "byok": "forbidden"})).await;
    assert_eq!(status(&world, &root).await, "managed_active");
    world
        .settings(&root, json!({"managed_fallback_allowed": false}))
        .await;
    assert_eq!(status(&world, &root).await, "invalid_missing_key");
    let without = json!({"mode": "managed", "byok": "required"});
    policy(&world, &root, without).await;
    assert_eq!(status(&world, &root).await, "invalid_missing_key");
    policy(&world, &root, json!({"byok": "optional"})).await;
    assert_eq!(status(&world, &root).await, "managed_active");
    policy(&world, &root, json!({"mode": "auto"})).await;
    world
        .switch(&root, "openai", json!({"enabled": false}))
        .await;
    assert_eq!(get(&world, &root).await["status"], "invalid_missing_key");
}

#[tokio::test]
async fn without_a_provider_any_own_key_counts() {
    let (world, root) = begin().await;
    world.own_key(&root, "anthropic", "mine").await;
    put(&world, &root, json!({"provider": null})).await;
    assert_eq!(get(&world, &root).await["status"], "byok_active");
    // That own keys of some provider are switched off says nothing of the others.
    world.switch(&root, "openai", json!({"byok": false})).await;
    assert_eq!(get(&world, &root).await["status"], "byok_active");
    let rule = json!({"on_byok_disabled": "managed"});
    world.settings(&root, rule).await;
    let keys = super::data(world.get(&root.session, &path(&root)).await);
    let id = keys[0]["id"].as_str().expect("an id");
    let one = format!("{}/{id}", path(&root));
    world.delete(&root.session, &one).await.expect(200);
    assert_eq!(get(&world, &root).await["status"], "invalid_missing_key");
}

#[tokio::test]
async fn a_mode_that_is_not_offered_any_more_counts_as_the_explanation_has_it() {
    let (world, root) = begin().await;
    for modes in [json!(["managed"]), json!(["auto"]), json!(["byok"])] {
        for mode in ["managed", "byok", "auto"] {
            world.settings(&root, json!({"modes": null})).await;
            policy(&world, &root, json!({ "mode": mode })).await;
            world.settings(&root, json!({ "modes": modes })).await;
            status(&world, &root).await;
        }
    }
}

#[tokio::test]
async fn the_defaults_tell_what_a_new_workspace_would_meet() {
    let (world, root) = begin().await;
    let path = "/api/v1/users/me/ai-defaults";
    let body = json!({"mode": "byok", "provider": "openai", "api_key": KEY});
    let shown = world.put(&root.session, path, body).await.expect(200);
    assert_eq!(shown.json()["status"], "byok_active");
    world.switch(&root, "openai", json!({"byok": false})).await;
    let shown = async || world.get(&root.session, path).await.json()["status"].clone();
    assert_eq!(shown().await, "invalid_missing_key");
    let rule = json!({"on_byok_disabled": "managed"});
    world.settings(&root, rule).await;
    assert_eq!(shown().await, "managed_active");
}
