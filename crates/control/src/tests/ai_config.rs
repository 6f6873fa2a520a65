//! The AI config of a workspace.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use http::Method;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{As, KEY, OTHER_KEY, Person, World, data, path};

pub(super) fn config(person: &Person) -> String {
    format!("/api/v1/workspaces/{}/ai-config", person.workspace)
}

pub(super) async fn get(world: &World, person: &Person) -> Value {
    let answer = world.get(&person.session, &config(person)).await;
    answer.expect(200).json()
}

pub(super) async fn put(world: &World, person: &Person, body: Value) -> Value {
    let answer = world.put(&person.session, &config(person), body).await;
    answer.expect(200).json()
}

/// Labels of the workspace's keys, with their providers.
pub(super) async fn keys(world: &World, person: &Person) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let keys = data(world.get(&person.session, &path(person)).await);
    let keys = keys.iter();
    keys.map(|key| (text(&key["provider"]), text(&key["label"])))
        .collect()
}

pub(super) fn held(provider: &str) -> (String, String) {
    (provider.to_owned(), "ai-config".to_owned())
}

#[tokio::test]
async fn the_status_says_what_a_call_meets_in_all_six_cases() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for has_key in [false, true] {
        if has_key {
            put(&world, &root, json!({"provider": "openai", "api_key": KEY})).await;
        }
        for (mode, without, with) in [
            ("managed", "managed_active", "managed_active"),
            ("byok", "invalid_missing_key", "byok_active"),
            ("auto", "managed_active", "byok_active"),
        ] {
            // Not through the AI config: there, the mode managed would remove the key.
            let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
            let body = json!({ "mode": mode });
            world.patch(&root.session, &policy, body).await.expect(200);
            let expected = if has_key { with } else { without };
            let shown = get(&world, &root).await;
            assert_eq!(shown["mode"], mode);
            assert_eq!(shown["status"], expected, "{mode}, key: {has_key}");
        }
    }
}

#[tokio::test]
async fn a_key_counts_only_for_the_provider_that_is_named_and_while_it_can_serve() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    put(&world, &root, json!({"mode": "byok"})).await;
    let key = world.own_key(&root, "openai", "primary").await;
    let status = async || get(&world, &root).await["status"].clone();
    assert_eq!(status().await, "byok_active");
    put(&world, &root, json!({"provider": "anthropic"})).await;
    assert_eq!(status().await, "invalid_missing_key");
    put(&world, &root, json!({"provider": "openai"})).await;
    assert_eq!(status().await, "byok_active");
    let one = format!("{}/{key}", path(&root));
    for (enabled, expected) in [(false, "invalid_missing_key"), (true, "byok_active")] {
        let body = json!({ "enabled": enabled });
        world.patch(&root.session, &one, body).await.expect(200);
        assert_eq!(status().await, expected);
    }
    world.switch(&root, "openai", json!({"byok": false})).await;
    assert_eq!(status().await, "invalid_missing_key");
    world.switch(&root, "openai", json!({"byok": true})).await;
    let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
    let forbidden = json!({"byok": "forbidden"});
    world
        .patch(&root.session, &policy, forbidden)
        .await
        .expect(200);
    assert_eq!(status().await, "invalid_missing_key");
}

#[tokio::test]
async fn credits_are_available_only_where_a_key_of_the_instance_would_serve_the_provider() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let available = async |provider: Value| {
        put(
            &world,
            &root,
            json!({"mode": "managed", "provider": provider}),
        )
        .await["managed_available"]
            .clone()
    };
    assert_eq!(available(Value::Null).await, false);
    world.platform_key(&root, "openrouter").await;
    assert_eq!(available(Value::Null).await, true);
    assert_eq!(available(json!("openrouter")).await, true);
    assert_eq!(available(json!("openai")).await, false);
    world
        .settings(&root, json!({"managed_gateway": "openrouter"}))
        .await;
    assert_eq!(available(json!("openai")).await, true);
    world
        .switch(&root, "openrouter", json!({"enabled": false}))
        .await;
    assert_eq!(available(json!("openai")).await, false);
    assert_eq!(available(Value::Null).await, false);
    world
        .switch(&root, "openrouter", json!({"enabled": true}))
        .await;
    // What else would hinder credits does not show: it is about the keys.
    put(&world, &root, json!({"mode": "byok"})).await;
    world.settings(&root, json!({"modes": ["byok"]})).await;
    assert_eq!(get(&world, &root).await["managed_available"], true);
}

#[tokio::test]
async fn the_mode_that_counts_is_an_offered_one() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    put(&world, &root, json!({"mode": "managed"})).await;
    for (modes, counts) in [
        (json!(["managed", "byok", "auto"]), json!("managed")),
        (json!(["byok", "auto"]), json!("byok")),
        (json!(["auto"]), Value::Null),
    ] {
        world.settings(&root, json!({ "modes": modes })).await;
        let shown = get(&world, &root).await;
        assert_eq!(shown["mode"], "managed");
        assert_eq!(shown["effective_mode"], counts, "{modes}");
    }
}

#[tokio::test]
async fn what_is_left_out_stays_null_clears_and_the_unknown_is_refused() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"mode": "byok", "provider": "openai", "api_key": KEY, "model": "gpt-4o"});
    let stored = put(&world, &root, body).await;
    assert_eq!(
        (
            &stored["mode"],
            &stored["provider"],
            &stored["model"],
            &stored["status"]
        ),
        (
            &json!("byok"),
            &json!("openai"),
            &json!("gpt-4o"),
            &json!("byok_active")
        )
    );
    let fields: Vec<_> = stored.as_object().expect("an object").keys().collect();
    assert_eq!(
        fields,
        [
            "credits_left",
            "effective_mode",
            "managed_available",
            "mode",
            "model",
            "offered_modes",
            "provider",
            "status",
            "updated_at"
        ]
    );
    assert_eq!(put(&world, &root, json!({})).await, stored);
    world.pass_ms(1_000);
    let shown = put(&world, &root, json!({"model": "gpt-4.1"})).await;
    assert_eq!(
        (&shown["model"], &shown["status"]),
        (&json!("gpt-4.1"), &json!("byok_active"))
    );
    assert_ne!(shown["updated_at"], stored["updated_at"]);
    let shown = put(&world, &root, json!({"model": null})).await;
    assert_eq!(
        (&shown["model"], &shown["provider"]),
        (&Value::Null, &json!("openai"))
    );

    world.pass_ms(1_000);
    let cleared = put(&world, &root, json!({"api_key": null})).await;
    assert_eq!(
        (&cleared["mode"], &cleared["status"]),
        (&json!("byok"), &json!("invalid_missing_key"))
    );
    assert_ne!(cleared["updated_at"], shown["updated_at"]);
    assert_eq!(keys(&world, &root).await, []);

    for (body, field) in [
        (json!({"foo": 1}), "foo"),
        (json!({"status": "byok_active"}), "status"),
        (json!({"mode": "sk-SECRET"}), "mode"),
        (json!({"mode": 1}), "mode"),
        (json!({"model": "a b"}), "model"),
        (json!({"api_key": 1}), "api_key"),
    ] {
        let answer = world.put(&root.session, &config(&root), body).await;
        assert!(!answer.text.contains("SECRET"), "{}", answer.text);
        let refused = answer.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field, "{refused}");
    }
    let answer = world
        .put(&root.session, &config(&root), json!({"provider": "OpenAI"}))
        .await;
    let refused = answer.refused(400, "unknown_provider");
    assert_eq!(refused["details"]["suggestion"], "openai");
    assert_eq!(get(&world, &root).await, cleared);
}

#[tokio::test]
async fn a_mode_that_is_cleared_spends_no_credits_and_keeps_the_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    // With a platform key a new workspace would begin as `managed`.
    world.platform_key(&root, "openai").await;
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY});
    put(&world, &root, body).await;
    let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
    for through_policy in [false, true] {
        put(&world, &root, json!({"mode": "auto"})).await;
        if through_policy {
            let body = json!({"mode": null});
            world.patch(&root.session, &policy, body).await.expect(200);
        } else {
            put(&world, &root, json!({"mode": null})).await;
        }
        assert_eq!(get(&world, &root).await["mode"], "byok");
        assert_eq!(keys(&world, &root).await, [held("openai")]);
    }
    world
        .settings(&root, json!({"modes": ["managed", "auto"]}))
        .await;
    for path in [&config(&root), &policy] {
        let body = json!({"mode": null});
        let answer = if *path == policy {
            world.patch(&root.session, path, body).await
        } else {
            world.put(&root.session, path, body).await
        };
        let refused = answer.refused(400, "mode_not_offered");
        assert_eq!(refused["details"]["allowed"], json!(["managed", "auto"]));
    }
    assert_eq!(keys(&world, &root).await, [held("openai")]);
    // Where the instance lets credits step in nowhere, `auto` spends none.
    world
        .settings(&root, json!({"managed_fallback_allowed": false}))
        .await;
    assert_eq!(
        put(&world, &root, json!({"mode": null})).await["mode"],
        "auto"
    );
    assert_eq!(keys(&world, &root).await, [held("openai")]);
}

#[tokio::test]
async fn a_mode_that_is_not_offered_is_refused() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world
        .settings(&root, json!({"modes": ["managed", "byok"]}))
        .await;
    let body = json!({"mode": "auto", "model": "gpt-4o"});
    let answer = world.put(&root.session, &config(&root), body).await;
    let refused = answer.refused(400, "mode_not_offered");
    assert_eq!(refused["details"]["allowed"], json!(["managed", "byok"]));
    assert_eq!(get(&world, &root).await["model"], Value::Null);
}

#[tokio::test]
async fn a_key_that_is_refused_changes_nothing() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let before = put(
        &world,
        &root,
        json!({"provider": "anthropic", "api_key": OTHER_KEY}),
    )
    .await;
    world.next_probe(ProbeFailure::Rejected(FailureKind::InvalidKey));
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY, "model": "gpt-4o"});
    let answer = world.put(&root.session, &config(&root), body.clone()).await;
    assert!(!answer.text.contains(KEY));
    assert_eq!(
        answer.refused(422, "probe_failed")["details"]["reason"],
        "invalid_key"
    );
    assert_eq!(get(&world, &root).await, before);
    assert_eq!(keys(&world, &root).await, [held("anthropic")]);
    let rows = world.audited(&root).await;
    let failed = ("provider_key.create".to_owned(), "probe_failed".to_owned());
    assert_eq!(rows.last(), Some(&failed), "{rows:?}");

    // Nor does a change whose other half is refused leave a key behind.
    let asked = world.probe.asked.load(Ordering::SeqCst);
    let mut refused = body.clone();
    refused["model"] = json!("level_3");
    world.subscribe(&root, &root, "free").await;
    let answer = world.put(&root.session, &config(&root), refused).await;
    answer.refused(403, "plan_required");
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), asked);
    assert_eq!(keys(&world, &root).await, [held("anthropic")]);

    let after = put(&world, &root, body).await;
    assert_eq!(
        (&after["mode"], &after["model"]),
        (&json!("auto"), &json!("gpt-4o"))
    );
    assert_eq!(keys(&world, &root).await, [held("openai")]);
}

#[tokio::test]
async fn both_paths_are_the_same_configuration_and_stand_in_the_document() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let short = format!("/api/workspaces/{}/ai-config", root.workspace);
    let body = json!({"mode": "auto", "model": "gpt-4o"});
    let put = world
        .put(&root.session, &short, body)
        .await
        .expect(200)
        .json();
    assert_eq!(put, get(&world, &root).await);
    assert_eq!(
        world.get(&root.session, &short).await.expect(200).json(),
        put
    );
    world
        .get(&As::Nobody, &short)
        .await
        .refused(401, "authentication_required");
    let document = world.get(&As::Nobody, "/openapi.json").await.json();
    for path in [
        "/workspaces/{workspace_id}/ai-config",
        "/users/me/credits",
        "/users/me/limits",
    ] {
        let operation = |prefix: &str| document["paths"][format!("{prefix}{path}")]["get"].clone();
        let (plain, alias) = (operation("/api/v1"), operation("/api"));
        assert_eq!(plain["x-action"], alias["x-action"], "{path}");
        assert_eq!(plain["summary"], alias["summary"], "{path}");
        let id = format!(
            "{}_unversioned",
            plain["operationId"].as_str().expect("an id")
        );
        assert_eq!(alias["operationId"], id.as_str());
        assert_eq!(alias["deprecated"], false, "{path}");
        let says = alias["description"].as_str().expect("a text");
        assert!(
            says.contains(&format!("The same as `/api/v1{path}`")),
            "{says}"
        );
    }
}

#[tokio::test]
async fn a_body_with_a_key_takes_the_right_to_submit_keys_too() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let narrow = world.api_key(&root, &["policy:read", "policy:write"]).await;
    let wide = world.api_key(&root, &["policy:write", "byok:write"]).await;
    let send = async |caller: &As, body: Value| world.put(caller, &config(&root), body).await;
    send(&narrow, json!({"mode": "byok", "provider": "openai"}))
        .await
        .expect(200);
    for body in [json!({"api_key": KEY}), json!({"api_key": null})] {
        let refused = send(&narrow, body).await.refused(403, "permission_denied");
        assert_eq!(refused["details"]["needs"], "the scope byok:write");
    }
    send(&wide, json!({"api_key": KEY})).await.expect(200);
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    world.get(&member.session, &config(&root)).await.expect(200);
    send(&member.session, json!({"mode": "auto"}))
        .await
        .refused(403, "permission_denied");
    let other = world.person(&root, "other").await;
    world
        .get(&other.session, &config(&root))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn changes_are_audited_without_the_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY});
    put(&world, &root, body).await;
    put(&world, &root, json!({"model": "gpt-4o"})).await;
    put(&world, &root, json!({"api_key": null})).await;
    put(&world, &root, json!({"model": "gpt-4o"})).await;
    let audit = format!("/api/v1/workspaces/{}/audit?limit=100", root.workspace);
    let answer = world.get(&root.session, &audit).await.expect(200);
    assert!(!answer.text.contains(KEY) && !answer.text.contains("mnop"));
    let rows = world.audited(&root).await;
    let actions: Vec<&str> = rows.iter().map(|(action, _)| action.as_str()).collect();
    let since = actions
        .iter()
        .position(|action| *action == "provider_key.create");
    assert_eq!(
        actions[since.expect("the key is audited")..],
        [
            "provider_key.create",
            "policy.set_mode",
            "policy.update",
            "provider_key.remove"
        ]
    );
    let mode = answer.json()["data"].as_array().expect("a list").clone();
    let mode = mode.iter().find(|row| row["action"] == "policy.set_mode");
    assert_eq!(mode.expect("the mode is audited")["subject"], "auto");
}

#[tokio::test]
async fn members_see_which_modes_there_are_and_why_not_the_others() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let member = world.person(&root, "member").await;
    world.join(&ann, &member, "member").await;
    let modes = async |caller: &As, path: &str| -> Value {
        let shown = world.get(caller, path).await.expect(200).json();
        shown["offered_modes"].clone()
    };
    let free = |mode: &str| json!({"mode": mode, "available": true, "reason": null, "plans": []});
    let all = json!([free("managed"), free("byok"), free("auto")]);
    let defaults = "/api/v1/users/me/ai-defaults";
    assert_eq!(modes(&member.session, &config(&ann)).await, all);
    assert_eq!(modes(&ann.session, defaults).await, all);

    let offered = json!({"modes": ["byok", "auto"], "new_workspace_mode": "byok"});
    world.settings(&root, offered).await;
    let none = json!({"name": "None", "rank": 0, "terms": {
        "monthly_credits": 1, "byok": false, "tiers": [], "limits": {}}});
    let plan = "/api/v1/admin/plans/none";
    world.put(&root.session, plan, none).await.expect(201);
    world.subscribe(&root, &ann, "none").await;
    for (caller, path) in [
        (&member.session, config(&ann)),
        (&ann.session, defaults.to_owned()),
    ] {
        let shown = modes(caller, &path).await;
        let managed = json!({"mode": "managed", "available": false, "reason": "mode_not_offered", "plans": []});
        assert_eq!(shown[0], managed);
        assert_eq!(shown[1]["available"], false);
        assert_eq!(shown[1]["reason"], "plan_required");
        let plans = shown[1]["plans"].as_array().expect("plans");
        assert!(!plans.is_empty() && !plans.contains(&json!("none")));
        // Credits may still pay there.
        assert_eq!(shown[2], free("auto"));
    }
    let alone = json!({"managed_fallback_allowed": false});
    world.settings(&root, alone).await;
    let shown = modes(&member.session, &config(&ann)).await;
    assert_eq!(shown[2]["reason"], "plan_required");
}

#[tokio::test]
async fn a_change_that_is_meant_for_another_state_changes_nothing_and_tries_no_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for path in [config(&root), "/api/v1/users/me/ai-defaults".to_owned()] {
        let change = async |tag: &str, body: Value| {
            world
                .change_if(&root.session, Method::PUT, &path, body, tag)
                .await
        };
        let fresh = world.tag(&root.session, &path).await;
        let key = json!({"mode": "byok", "provider": "openai", "api_key": KEY});
        let first = change(&fresh, key).await.expect(200);
        let with_key = world.tag(&root.session, &path).await;
        assert_eq!(first.header("etag"), Some(with_key.as_str()));
        let probes = world.probe.asked.load(Ordering::SeqCst);
        let other = json!({"mode": "byok", "provider": "openai", "api_key": OTHER_KEY});
        for body in [&other, &json!({"model": "o3"}), &json!({"api_key": null})] {
            change(&fresh, body.clone())
                .await
                .refused(412, "precondition_failed");
        }
        assert_eq!(world.probe.asked.load(Ordering::SeqCst), probes);
        // Another key is another state, though nothing else that is shown changed.
        change(&with_key, other).await.expect(200);
        let model = json!({"model": "o3"});
        change(&with_key, model.clone())
            .await
            .refused(412, "precondition_failed");
        let now = world.tag(&root.session, &path).await;
        change(&now, model).await.expect(200);
    }
    // Presets are no part of it.
    let read = world.tag(&root.session, &config(&root)).await;
    let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
    let presets = json!({"presets": {"fast": {"models": ["gpt-4o"]}}});
    world
        .patch(&root.session, &policy, presets)
        .await
        .expect(200);
    assert_eq!(world.tag(&root.session, &config(&root)).await, read);
}
