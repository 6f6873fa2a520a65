//! The settings of the instance and the switches of its providers.

use http::Method;
use serde_json::{Value, json};

use super::{As, Person, World, data, path};

const SETTINGS: &str = "/api/v1/admin/settings";
const PROVIDERS: &str = "/api/v1/admin/providers";

/// The rows of the instance's audit log with this action, newest first.
async fn instance_audit(world: &World, root: &Person, action: &str) -> Vec<Value> {
    let mut rows = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
    rows.retain(|row| row["action"] == action);
    rows
}

async fn provider(world: &World, caller: &As, id: &str) -> Value {
    let listed = data(world.get(caller, PROVIDERS).await);
    let found = listed.into_iter().find(|it| it["id"] == id);
    found.expect("a provider of the registry")
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_brings_the_default_back() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let before = world.get(&root.session, SETTINGS).await.expect(200).json();
    assert_eq!(before["overuse"], "block");
    assert!(before.get("providers").is_none(), "{before}");
    let patch =
        json!({"overuse": "debt", "tiers": {"level_1": "openai/gpt-4o"}, "credit_factor": 1.5});
    let patched = world.patch(&root.session, SETTINGS, patch).await;
    let patched = patched.expect(200).json();
    let mut expected = before.clone();
    expected["overuse"] = json!("debt");
    expected["tiers"] = json!({"level_1": "openai/gpt-4o"});
    expected["credit_factor"] = json!("1.5");
    assert_eq!(patched, expected);
    let read = world.get(&root.session, SETTINGS).await.expect(200).json();
    assert_eq!(read, expected);
    let back = json!({"overuse": null, "tiers": {"level_1": null}, "credit_factor": null});
    let back = world.patch(&root.session, SETTINGS, back).await.expect(200);
    assert_eq!(back.json(), before);
    let rows = instance_audit(&world, &root, "settings.update").await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["subject"], "credit_factor overuse tiers");
    assert_eq!(rows[0]["actor"], root.id.as_str());

    let nothing = json!({"overuse": "block"});
    world
        .patch(&root.session, SETTINGS, nothing)
        .await
        .expect(200);
    let rows = instance_audit(&world, &root, "settings.update").await;
    assert_eq!(rows.len(), 2, "what changes nothing leaves no row");
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_whole_and_without_an_echo() {
    // T79
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let before = world.get(&root.session, SETTINGS).await.expect(200).json();
    let ratio = json!({"provider": "openai", "model": "*", "operation": "*", "ratio": "2"});
    for (patch, field) in [
        (json!({"modes": []}), "modes"),
        (
            json!({"modes": ["byok"], "new_workspace_mode": "auto"}),
            "new_workspace_mode",
        ),
        (json!({"default_plan": "gold"}), "default_plan"),
        (json!({"default_level": 10_000}), "default_level"),
        (json!({"managed_gateway": "openai"}), "managed_gateway"),
        (json!({"credit_ratios": [ratio]}), "credit_ratios"),
        (json!({"overuse": "sk-SECRET"}), "overuse"),
        (
            json!({"held_output_tokens": "sk-SECRET"}),
            "held_output_tokens",
        ),
        (
            json!({"providers": {"openai": {"byok": false}}}),
            "providers",
        ),
        (json!({"unknown": "sk-SECRET"}), "unknown"),
    ] {
        let patch = super::with(&patch, "mask", json!("none"));
        let refused = world.patch(&root.session, SETTINGS, patch).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field);
        assert!(!refused.to_string().contains("SECRET"), "{refused}");
    }
    let after = world.get(&root.session, SETTINGS).await.expect(200).json();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_are_both_kept() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for round in 0..20_i64 {
        let unpriced = ["block", "count_tokens"][usize::from(round % 2 == 0)];
        let (one, other) = tokio::join!(
            world.patch(&root.session, SETTINGS, json!({"default_level": round})),
            world.patch(
                &root.session,
                SETTINGS,
                json!({"unpriced_managed": unpriced})
            ),
        );
        assert_eq!(
            (one.status, other.status),
            (200, 200),
            "{} {}",
            one.text,
            other.text
        );
        let read = world.get(&root.session, SETTINGS).await.expect(200).json();
        assert_eq!(
            (&read["default_level"], &read["unpriced_managed"]),
            (&json!(round), &json!(unpriced))
        );
    }
}

#[tokio::test]
async fn a_switch_holds_for_one_provider_and_null_follows_the_others() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let openai = provider(&world, &root.session, "openai").await;
    assert_eq!(
        (
            &openai["enabled"],
            &openai["byok"],
            &openai["models"],
            &openai["listed"]
        ),
        (&json!(true), &json!(true), &Value::Null, &json!(false))
    );
    assert_eq!(openai["platform_keys"], 0);
    let one = format!("{PROVIDERS}/openai");
    let body = json!({"enabled": true, "byok": false, "models": ["gpt-4o*"]});
    let switched = world
        .patch(&root.session, &one, body)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&switched["byok"], &switched["models"], &switched["listed"]),
        (&json!(false), &json!(["gpt-4o*"]), &json!(true))
    );
    assert_eq!(provider(&world, &root.session, "openai").await, switched);
    let own = world.raw("openai", super::KEY).await;
    world
        .post(&root.session, &path(&root), own)
        .await
        .refused(403, "byok_disabled_for_provider");

    let others = json!({"other_providers": {"enabled": false}});
    world
        .patch(&root.session, SETTINGS, others)
        .await
        .expect(200);
    let enabled = |view: Value| view["enabled"].clone();
    assert_eq!(
        enabled(provider(&world, &root.session, "mistral").await),
        false
    );
    assert_eq!(
        enabled(provider(&world, &root.session, "openai").await),
        true
    );
    let some = json!({"byok": null, "models": null, "custom_base_urls": null});
    let reset = world
        .patch(&root.session, &one, some)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &reset["enabled"],
            &reset["byok"],
            &reset["models"],
            &reset["listed"]
        ),
        (&json!(true), &json!(true), &Value::Null, &json!(true))
    );
    let last = json!({"enabled": null});
    let reset = world
        .patch(&root.session, &one, last)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&reset["enabled"], &reset["listed"]),
        (&json!(false), &json!(false))
    );
    let rows = instance_audit(&world, &root, "provider_switch.update").await;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["provider"], "openai");
}

#[tokio::test]
async fn what_anybody_may_know_follows_the_switches() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let known = async |id: &str| {
        let listed = data(world.get(&As::Nobody, "/v1/providers").await);
        let found = listed.into_iter().find(|it| it["id"] == id);
        found.map(|it| it["byok"].clone())
    };
    assert_eq!(known("openai").await, Some(json!(true)));
    let one = format!("{PROVIDERS}/openai");
    let byok = json!({"byok": false});
    world.patch(&root.session, &one, byok).await.expect(200);
    assert_eq!(known("openai").await, Some(json!(false)));
    let off = json!({"enabled": false});
    world.patch(&root.session, &one, off).await.expect(200);
    assert_eq!(known("openai").await, None);

    let instance = async || {
        world
            .get(&As::Nobody, "/api/v1/instance")
            .await
            .expect(200)
            .json()
    };
    let before = instance().await;
    assert_eq!(
        (&before["submission"], &before["custom_base_urls"]),
        (&json!("both"), &json!(false))
    );
    let patch = json!({"submission": "sealed_only", "custom_base_urls": true});
    world
        .patch(&root.session, SETTINGS, patch)
        .await
        .expect(200);
    let after = instance().await;
    assert_eq!(
        (&after["submission"], &after["custom_base_urls"]),
        (&json!("sealed_only"), &json!(true))
    );
}

#[tokio::test]
async fn whoever_names_what_was_read_changes_nothing_else() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let tag = async || world.tag(&root.session, SETTINGS).await;
    let change = async |tag: &str, patch: Value| {
        world
            .change_if(&root.session, Method::PATCH, SETTINGS, patch, tag)
            .await
    };
    let mapping =
        |pattern: &str| json!({"model_mappings": [{"pattern": pattern, "model": "gpt-4o"}]});
    let read = tag().await;
    let first = change(&read, mapping("first")).await.expect(200);
    assert_eq!(first.header("etag"), Some(tag().await.as_str()));
    change(&read, mapping("second"))
        .await
        .refused(412, "precondition_failed");
    // What would change nothing is refused, too: it was meant for other settings.
    change(&read, mapping("first"))
        .await
        .refused(412, "precondition_failed");
    let now = world.get(&root.session, SETTINGS).await.expect(200).json();
    assert_eq!(now["model_mappings"][0]["pattern"], "first");

    // The switches of providers are no part of them.
    let read = tag().await;
    world.switch(&root, "openai", json!({"byok": false})).await;
    change(&read, mapping("third")).await.expect(200);
    let weak = format!("\"other\", W/{}", tag().await);
    change(&weak, mapping("fourth")).await.expect(200);
    change("*", mapping("fifth")).await.expect(200);
}

#[tokio::test]
async fn admins_see_what_the_models_of_a_provider_cost() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let path = format!("{PROVIDERS}/openai/models");
    let model = async || {
        let listed = data(world.get(&root.session, &path).await);
        let found = listed.into_iter().find(|it| it["id"] == "gpt-4o");
        found.expect("it is listed")
    };
    let before = model().await;
    assert!(before["list_price"]["input"].is_string(), "{before}");
    assert_eq!(before["price"], before["list_price"]);
    assert_eq!(
        (&before["priced_by"], &before["available"]),
        (&Value::Null, &json!(true))
    );

    let price = |pattern: &str, input: &str| json!({"provider": "openai", "model": pattern, "price": {"input": input, "output": "9"}});
    let prices = json!([price("*", "1"), price("gpt-4*", "2"), price("*4o", "3")]);
    let change = world.patch(&root.session, SETTINGS, json!({"prices": prices}));
    change.await.expect(200);
    let off = json!({"enabled": false, "models": ["gpt-5*"]});
    let one = format!("{PROVIDERS}/openai");
    world.patch(&root.session, &one, off).await.expect(200);
    let after = model().await;
    assert_eq!(
        (&after["priced_by"], &after["price"]["input"]),
        (&json!("gpt-4*"), &json!("2"))
    );
    assert_eq!(after["list_price"], before["list_price"]);
    assert_eq!(after["available"], false);

    let missing = format!("{PROVIDERS}/OpenAI/models");
    let refused = world.get(&root.session, &missing).await;
    let refused = refused.refused(404, "not_found");
    assert_eq!(refused["details"]["suggestion"], "openai");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_not_found_with_a_suggestion() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for (name, suggestion) in [("OpenAI", json!("openai")), ("nobody-at-all", Value::Null)] {
        let one = format!("{PROVIDERS}/{name}");
        let refused = world
            .patch(&root.session, &one, json!({"byok": true}))
            .await;
        let refused = refused.refused(404, "not_found");
        assert_eq!(refused["details"]["suggestion"], suggestion);
    }
    let one = format!("{PROVIDERS}/openai");
    let many = json!({"models": vec!["m"; 201]});
    for (body, field) in [
        (json!({"byok": "sk-SECRET"}), "byok"),
        (json!({"models": ["**"]}), "models"),
        (many, "models"),
        (json!({"status": "active"}), "status"),
    ] {
        let refused = world.patch(&root.session, &one, body).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field);
        assert!(!refused.to_string().contains("SECRET"), "{refused}");
    }
}

#[tokio::test]
async fn minimal_audit_detail_hides_who_acted_except_from_the_instance() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .post(
            &root.session,
            &path(&root),
            world.raw("openai", super::KEY).await,
        )
        .await
        .expect(201);
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    world
        .post(
            &root.session,
            &account,
            world.raw("openai", super::KEY).await,
        )
        .await
        .expect(201);
    let logs = [
        format!("/api/v1/workspaces/{}/audit", root.workspace),
        format!("/api/v1/accounts/{}/audit", root.account),
    ];
    let newest = async |log: &str| {
        let mut rows = data(world.get(&root.session, log).await);
        rows.retain(|row| row["action"] == "provider_key.create");
        rows.remove(0)
    };
    for log in &logs {
        let row = newest(log).await;
        assert_eq!(row["actor"], root.id.as_str());
        assert!(row["kek_id"].is_string(), "{row}");
    }
    let minimal = json!({"audit_detail": "minimal"});
    world
        .patch(&root.session, SETTINGS, minimal)
        .await
        .expect(200);
    for log in &logs {
        let row = newest(log).await;
        assert!(row["actor"].is_null() && row["kek_id"].is_null(), "{row}");
        assert_eq!(
            (&row["provider"], &row["label"]),
            (&json!("openai"), &json!("primary"))
        );
    }
    let rows = instance_audit(&world, &root, "settings.update").await;
    assert_eq!(rows[0]["actor"], root.id.as_str());
}
