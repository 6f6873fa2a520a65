//! Platform keys: the instance's own keys, on the way in and afterwards.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use llm::registry::Registry;
use serde_json::json;
use vault::ProbeFailure;

use super::{KEY, OTHER_KEY, World, data, with};
use crate::ControlConfig;

const KEYS: &str = "/api/v1/admin/platform-keys";

#[tokio::test]
async fn a_platform_key_comes_in_as_every_key_and_is_the_instances() {
    // T78, T87
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = world.raw("openai", KEY).await;
    let stored = world
        .post(&root.session, KEYS, body.clone())
        .await
        .expect(201);
    assert!(!stored.text.contains(&KEY[4..30]));
    let stored = stored.json();
    assert_eq!(
        (&stored["scope"], &stored["label"], &stored["probed"]),
        (&json!("instance"), &json!("primary"), &json!(true))
    );
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 1);
    let listed = data(world.get(&root.session, KEYS).await);
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &stored["id"]));
    // The same box again is one that somebody caught.
    world
        .post(&root.session, KEYS, body)
        .await
        .refused(422, "invalid_sealed_box");
    let audit = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
    let row = audit
        .iter()
        .find(|row| row["action"] == "provider_key.create");
    let row = row.expect("the instance's log has it");
    assert_eq!(
        (&row["actor"], &row["provider"]),
        (&json!(root.id), &json!("openai"))
    );
    let providers = data(world.get(&root.session, "/api/v1/admin/providers").await);
    let openai = providers.iter().find(|it| it["id"] == "openai");
    assert_eq!(openai.expect("openai")["platform_keys"], 1);
}

#[tokio::test]
async fn a_box_names_the_deployment_as_the_owner_of_a_platform_key() {
    // T23
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let base_url = world
        .state
        .registry
        .get(&"openai".parse().expect("an id"))
        .expect("a bundled provider")
        .base_url
        .clone();
    let deployment = world.deployment.to_string();
    let own = world.boxed(&deployment, "openai", &base_url, KEY).await;
    world.post(&root.session, KEYS, own).await.expect(201);
    for owner in [&root.workspace, &root.account] {
        let foreign = world.boxed(owner, "openai", &base_url, KEY).await;
        world
            .post(&root.session, KEYS, foreign)
            .await
            .refused(422, "invalid_sealed_box");
    }
    let workspace = world.boxed(&deployment, "openai", &base_url, KEY).await;
    world
        .post(&root.session, &super::path(&root), workspace)
        .await
        .refused(422, "invalid_sealed_box");
}

#[tokio::test]
async fn neither_switch_nor_plan_keeps_a_platform_key_out() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let switch = json!({"byok": false});
    world
        .patch(&root.session, "/api/v1/admin/providers/openai", switch)
        .await
        .expect(200);
    let terms =
        json!({"monthly_credits": 0, "byok": false, "tiers": [], "limits": {"provider_keys": 0}});
    let plan = json!({"name": "None", "rank": 0, "terms": terms});
    world
        .put(&root.session, "/api/v1/admin/plans/none", plan)
        .await
        .expect(201);
    let path = format!("/api/v1/admin/accounts/{}/subscription", root.account);
    world
        .put(&root.session, &path, json!({"plan": "none"}))
        .await
        .expect(200);
    for provider in ["openai", "anthropic"] {
        let own = world.raw(provider, KEY).await;
        let refused = world.post(&root.session, &super::path(&root), own).await;
        refused.expect(403);
        let platform = world.raw(provider, KEY).await;
        world.post(&root.session, KEYS, platform).await.expect(201);
    }
}

#[tokio::test]
async fn the_ways_to_pay_of_a_provider_say_whose_keys_it_takes() {
    let file = include_str!("../../../../providers/openai.toml");
    let both = "modes = [\"byok\", \"managed\"]";
    assert!(file.contains(both));
    for (modes, platform, own) in [
        ("[\"byok\"]", 201, 201),
        ("[\"managed\"]", 201, 400),
        ("[]", 400, 400),
    ] {
        let file = file.replacen(both, &format!("modes = {modes}"), 1);
        let bundled = Registry::bundled().expect("the bundled registry");
        let registry = bundled.with_files(&[("openai.toml".to_owned(), file)]);
        let registry = registry.expect("a provider file");
        let world = World::with_registry(ControlConfig::default(), registry).await;
        let (root, _) = world.set_up().await;
        for (path, status) in [(KEYS.to_owned(), platform), (super::path(&root), own)] {
            let body = world.raw("openai", KEY).await;
            let answer = world.post(&root.session, &path, body).await;
            let answer = answer.expect(status);
            if status == 400 {
                answer.refused(400, "byok_not_supported");
            }
        }
    }
}

#[tokio::test]
async fn a_failed_probe_or_an_unknown_provider_stores_nothing() {
    // T35
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let failure = ProbeFailure::Rejected(FailureKind::InvalidKey);
    let script = &world.probe.script;
    script.lock().expect("not poisoned").push_back(failure);
    world
        .post(&root.session, KEYS, world.raw("openai", KEY).await)
        .await
        .refused(422, "probe_failed");
    let unknown = with(&world.raw("openai", KEY).await, "provider", json!("OpenAI"));
    let refused = world.post(&root.session, KEYS, unknown).await;
    let refused = refused.refused(400, "unknown_provider");
    assert_eq!(refused["details"]["suggestion"], "openai");
    assert!(data(world.get(&root.session, KEYS).await).is_empty());
    let audit = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
    let failed = audit.iter().filter(|row| row["outcome"] == "probe_failed");
    assert_eq!(failed.count(), 1);
}

#[tokio::test]
async fn a_platform_key_is_replaced_changed_and_removed() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, KEYS, world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    let one = format!("{KEYS}/{}", stored["id"].as_str().expect("an id"));
    let value = world.raw("openai", OTHER_KEY).await;
    let value = json!({"kek_id": value["kek_id"], "ciphertext_b64": value["ciphertext_b64"]});
    let replaced = world
        .put(&root.session, &one, value)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&replaced["id"], &replaced["version"]),
        (&stored["id"], &json!(2))
    );
    let price =
        json!({"provider": "openai", "model": "gpt-4o", "price": {"input": "2", "output": "8"}});
    // Nobody is charged by them, so that nobody is told that they were taken.
    let priced = with(&world.raw("openai", KEY).await, "prices", json!([price]));
    let refusals = [
        world.post(&root.session, KEYS, priced).await,
        world
            .patch(&root.session, &one, json!({"prices": [price]}))
            .await,
    ];
    for refused in refusals {
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], "prices");
    }
    let changes =
        json!({"label": "pool-a", "level": 2, "position": 3, "enabled": false, "prices": []});
    let changed = world
        .patch(&root.session, &one, changes)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &changed["label"],
            &changed["level"],
            &changed["position"],
            &changed["enabled"]
        ),
        (&json!("pool-a"), &json!(2), &json!(3), &json!(false))
    );
    let level = json!({"level": 10_000});
    world
        .patch(&root.session, &one, level)
        .await
        .refused(400, "invalid_request");
    let moved = json!({"base_url": "https://elsewhere.example.com"});
    world
        .patch(&root.session, &one, moved)
        .await
        .refused(409, "resubmit_key");
    // A workspace's path does not lead to it.
    let id = stored["id"].as_str().expect("an id");
    world
        .delete(&root.session, &format!("{}/{id}", super::path(&root)))
        .await
        .refused(404, "not_found");
    world.delete(&root.session, &one).await.expect(204);
    world
        .delete(&root.session, &one)
        .await
        .refused(404, "not_found");
    assert!(data(world.get(&root.session, KEYS).await).is_empty());
}
