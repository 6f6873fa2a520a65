//! The key that the AI config of a workspace holds.

use domain::access::Action;
use http::Method;
use serde_json::{Value, json};
use tower::ServiceExt;

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

/// What another admin sets while a key is tried, which takes as long as its provider does.
#[tokio::test]
async fn what_was_set_while_a_key_was_tried_is_neither_overwritten_nor_removed() {
    for of_workspace in [true, false] {
        let world = World::start().await;
        let (root, _) = world.set_up().await;
        let place = if of_workspace {
            config(&root)
        } else {
            "/api/v1/users/me/ai-defaults".to_owned()
        };
        let principal = world.principal(&root).await;
        let account = root.account.parse().expect("an id");
        let store = &world.state.store;
        let scope = store
            .authorize_account(&principal, account, Action::ReadAccountProviderKeys)
            .await
            .expect("allowed");
        let providers = async || {
            let mut providers: Vec<String> = if of_workspace {
                let keys = keys(&world, &root).await;
                keys.into_iter().map(|(provider, _)| provider).collect()
            } else {
                let keys = store.within_account(&scope).provider_keys();
                let keys = keys.templates().await.expect("answers");
                keys.iter()
                    .map(|key| key.context.provider.to_string())
                    .collect()
            };
            providers.sort();
            providers.join(" ")
        };
        let meanwhile = |body: Value| {
            let request = World::request(&root.session, Method::PUT, &place, Some(&body));
            let router = world.router.clone();
            let set = async move {
                let answer = router.oneshot(request).await.expect("infallible");
                assert_eq!(answer.status(), 200);
            };
            *world.probe.meanwhile.lock().expect("not poisoned") = Some(Box::pin(set));
        };
        let own = json!({"provider": "anthropic", "api_key": KEY});
        // A provider, with its key.
        meanwhile(json!({"provider": "openai", "api_key": OTHER_KEY}));
        let answer = world.put(&root.session, &place, own.clone()).await;
        answer.refused(409, "conflict");
        assert_eq!(providers().await, "openai", "{place}");
        let answer = world.get(&root.session, &place).await;
        assert_eq!(answer.json()["provider"], "openai");
        // Who means one state is told so.
        let tag = answer.headers["etag"].to_str().expect("ASCII").to_owned();
        meanwhile(json!({"provider": "mistral"}));
        let mut request = World::request(&root.session, Method::PUT, &place, Some(&own));
        let headers = request.headers_mut();
        headers.insert("if-match", tag.parse().expect("a tag"));
        let answer = world.send(request).await;
        answer.refused(412, "precondition_failed");
        assert_eq!(providers().await, "", "{place}");
        // Another value of the key that would have gone.
        let body = json!({"provider": "openai", "api_key": KEY});
        world.put(&root.session, &place, body).await.expect(200);
        meanwhile(json!({"api_key": OTHER_KEY}));
        let answer = world.put(&root.session, &place, own).await.expect(200);
        assert_eq!(answer.json()["provider"], "anthropic");
        assert_eq!(providers().await, "anthropic openai", "{place}");
    }
}
