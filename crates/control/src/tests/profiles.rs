//! Profiles: what each changes, exactly, and that it does so once.

use serde_json::{Value, json};

use super::{Person, World, data};
use crate::{ControlConfig, ProbePolicy};

const PROFILES: &str = "/api/v1/admin/profiles";
const SETTINGS: &str = "/api/v1/admin/settings";
const NAMES: [&str; 6] = ["default", "rigbox", "aikeedo", "bitrouter", "xai", "oxagen"];

async fn apply(world: &World, root: &Person, name: &str, dry_run: bool) -> Value {
    let path = format!("{PROFILES}/{name}");
    let body = json!({"dry_run": dry_run});
    let answer = world
        .post(&root.session, &path, body)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&answer["profile"], &answer["applied"]),
        (&json!(name), &json!(!dry_run))
    );
    answer
}

/// What each profile changes of a fresh instance: path, before, after.
fn expected(name: &str) -> Vec<(String, Value, Value)> {
    let change = |path: &str, from: Value, to: Value| (path.to_owned(), from, to);
    let switch = |byok: bool| json!({"enabled": true, "byok": byok, "custom_base_urls": null, "models": null});
    let all = || json!(["managed", "byok", "auto"]);
    match name {
        "rigbox" => vec![change("settings.modes", all(), json!(["managed", "byok"]))],
        "aikeedo" => vec![
            change("settings.mask_visible_to", json!("admin"), json!("owner")),
            change("settings.new_workspace_mode", Value::Null, json!("auto")),
            change(
                "settings.on_byok_disabled",
                json!("follow_mode"),
                json!("managed"),
            ),
            change("settings.other_providers.byok", json!(true), json!(false)),
            change(
                "settings.other_providers.enabled",
                json!(true),
                json!(false),
            ),
            change("settings.overuse", json!("block"), json!("debt")),
            change("settings.providers.anthropic", Value::Null, switch(false)),
            change("settings.providers.openai", Value::Null, switch(false)),
        ],
        "bitrouter" => vec![
            change("settings.mask", json!("first4_last4"), json!("prefix")),
            change("settings.new_workspace_mode", Value::Null, json!("byok")),
            change(
                "settings.on_key_removed",
                json!("follow_mode"),
                json!("refuse"),
            ),
            change("settings.submission", json!("both"), json!("sealed_only")),
        ],
        "xai" => vec![
            change("settings.custom_base_urls", Value::Null, json!(true)),
            change("settings.default_level", Value::Null, json!(1)),
            change(
                "settings.managed_fallback_allowed",
                json!(true),
                json!(false),
            ),
            change("settings.modes", all(), json!(["byok"])),
            change("settings.new_workspace_mode", Value::Null, json!("byok")),
        ],
        "oxagen" => vec![
            change("settings.audit_detail", json!("standard"), json!("minimal")),
            change("settings.new_workspace_mode", Value::Null, json!("auto")),
            change("settings.other_providers.byok", json!(true), json!(false)),
            change("settings.providers.anthropic", Value::Null, switch(true)),
            change("settings.providers.google", Value::Null, switch(true)),
            change("settings.providers.mistral", Value::Null, switch(true)),
            change("settings.providers.openai", Value::Null, switch(true)),
            change("settings.providers.xai", Value::Null, switch(true)),
            change("plans.free.terms.byok", json!(true), json!(false)),
        ],
        _ => Vec::new(),
    }
}

fn changes(answer: &Value) -> Vec<(String, Value, Value)> {
    let list = answer["changes"].as_array().expect("a list");
    let change = |it: &Value| {
        let path = it["path"].as_str().expect("a path").to_owned();
        (path, it["from"].clone(), it["to"].clone())
    };
    list.iter().map(change).collect()
}

#[tokio::test]
async fn each_profile_changes_exactly_its_bundle_and_nothing_the_second_time() {
    for name in NAMES {
        let world = World::start().await;
        let (root, _) = world.set_up().await;
        let fresh = world.get(&root.session, SETTINGS).await.expect(200).json();
        let planned = apply(&world, &root, name, true).await;
        assert_eq!(changes(&planned), expected(name), "{name}");
        let still = apply(&world, &root, name, true).await;
        assert_eq!(still, planned, "a dry run changes nothing: {name}");
        let applied = apply(&world, &root, name, false).await;
        assert_eq!(applied["changes"], planned["changes"], "{name}");
        let again = apply(&world, &root, name, false).await;
        assert_eq!(changes(&again), [], "{name}");
        let audit = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
        let rows = audit.iter().filter(|row| row["action"] == "profile.apply");
        let subjects: Vec<_> = rows.map(|row| row["subject"].clone()).collect();
        let rows = usize::from(!expected(name).is_empty());
        assert_eq!(subjects, vec![json!(name); rows], "{name}");
        // The way back leads to where it began.
        apply(&world, &root, "default", false).await;
        let settings = world.get(&root.session, SETTINGS).await;
        assert_eq!(settings.expect(200).json(), fresh, "{name}");
    }
}

#[tokio::test]
async fn profiles_are_listed_and_others_are_not_found() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let listed = data(world.get(&root.session, PROFILES).await);
    let names: Vec<_> = listed.iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, NAMES);
    assert!(listed.iter().all(|it| it["description"].is_string()));
    let refused = world
        .post(&root.session, &format!("{PROFILES}/openrouter"), json!({}))
        .await
        .refused(404, "not_found");
    assert_eq!(refused["details"]["profiles"], json!(NAMES));
    let path = format!("{PROFILES}/rigbox");
    world
        .post(&root.session, &path, json!({"dryrun": true}))
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn what_a_profile_relies_on_is_reported_and_not_changed() {
    for (probe, actual) in [
        (ProbePolicy::Required, "required"),
        (ProbePolicy::Off, "off"),
    ] {
        let world = World::with(ControlConfig {
            probe,
            ..ControlConfig::default()
        })
        .await;
        let (root, _) = world.set_up().await;
        for name in NAMES {
            let planned = apply(&world, &root, name, true).await;
            let requires = match name {
                "oxagen" => json!([{"option": "probe", "wanted": "required", "actual": actual}]),
                _ => json!([]),
            };
            assert_eq!(planned["requires"], requires, "{name}");
        }
    }
}

#[tokio::test]
async fn a_profile_replaces_the_terms_of_its_plans_and_leaves_names_others_and_subscriptions() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let terms = json!({"monthly_credits": 7, "byok": true, "tiers": []});
    for (id, name) in [("free", "Gratis"), ("gold", "Gold")] {
        let plan = json!({"name": name, "rank": 1, "terms": terms});
        let path = format!("/api/v1/admin/plans/{id}");
        let status = if id == "free" { 200 } else { 201 };
        world.put(&root.session, &path, plan).await.expect(status);
    }
    apply(&world, &root, "oxagen", false).await;
    let plans = data(world.get(&root.session, "/api/v1/admin/plans").await);
    let plan = |id: &str| {
        plans
            .iter()
            .find(|it| it["id"] == id)
            .expect("a plan")
            .clone()
    };
    let free = plan("free");
    assert_eq!(
        (
            &free["name"],
            &free["terms"]["monthly_credits"],
            &free["terms"]["byok"]
        ),
        (&json!("Gratis"), &json!(250), &json!(false))
    );
    assert_eq!(plan("gold")["terms"]["monthly_credits"], 7);
    for paid in ["pro", "ultra", "enterprise"] {
        assert_eq!(plan(paid)["terms"]["byok"], true);
    }
    let path = format!("/api/v1/admin/accounts/{}", ann.account);
    let shown = world.get(&root.session, &path).await.expect(200).json();
    assert_eq!(shown["subscription"]["terms"]["byok"], true);
    // With a plan of the new terms a key is refused, and the refusal names the plans that take it.
    let subscription = format!("{path}/subscription");
    world
        .put(&root.session, &subscription, json!({"plan": "free"}))
        .await
        .expect(200);
    let own = world.raw("openai", super::KEY).await;
    let refused = world.post(&ann.session, &super::path(&ann), own).await;
    let refused = refused.refused(403, "plan_required");
    let plans = &refused["details"]["plans"];
    assert!(
        plans
            .as_array()
            .is_some_and(|it| it.contains(&json!("pro"))),
        "{refused}"
    );
    // A product that gates keys by no plan opens them again.
    apply(&world, &root, "bitrouter", false).await;
    let plans = data(world.get(&root.session, "/api/v1/admin/plans").await);
    assert!(
        plans.iter().all(|plan| plan["terms"]["byok"] == true),
        "{plans:?}"
    );
}

#[tokio::test]
async fn what_an_instance_knows_of_prices_and_models_survives_a_profile() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ratio = json!({"provider": "*", "model": "*", "operation": "*", "ratio": "1.2"});
    let price =
        json!({"provider": "openai", "model": "gpt-4o", "price": {"input": "2", "output": "8"}});
    let known = json!({
        "tiers": {"level_1": "openai/gpt-4o-mini"}, "managed_gateway": "openrouter", "credit_factor": "1.5",
        "credit_ratios": [ratio], "prices": [price], "held_output_tokens": 99,
        "model_mappings": [{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}],
        "level_mappings": [{"pattern": "claude*", "level": 2}],
    });
    let before = world.patch(&root.session, SETTINGS, known.clone()).await;
    let before = before.expect(200).json();
    for name in NAMES {
        apply(&world, &root, name, false).await;
        let after = world.get(&root.session, SETTINGS).await.expect(200).json();
        for field in known.as_object().expect("an object").keys() {
            assert_eq!(after[field], before[field], "{name} {field}");
        }
    }
}
