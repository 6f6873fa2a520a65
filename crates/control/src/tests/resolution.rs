//! Explain, and what the removal of a key means.

use domain::Timestamp;
use serde_json::{Value, json};

use super::{As, KEY, Person, World, path};

pub(super) async fn resolve(world: &World, caller: &As, person: &Person, body: Value) -> Value {
    let path = format!("/api/v1/workspaces/{}/resolve", person.workspace);
    world.post(caller, &path, body).await.expect(200).json()
}

pub(super) async fn policy(world: &World, person: &Person, body: Value) {
    let path = format!("/api/v1/workspaces/{}/policy", person.workspace);
    world.patch(&person.session, &path, body).await.expect(200);
}

fn gpt() -> Value {
    json!({"model": "gpt-4o"})
}

#[tokio::test]
async fn an_own_key_is_named_with_the_rules_that_spoke_and_no_provider_is_asked() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let key = world.own_key(&root, "openai", "mine").await;
    let asked = world.probe.asked.load(std::sync::atomic::Ordering::SeqCst);
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    assert_eq!(
        (&shown["requested"], &shown["chosen_by"], &shown["model"]),
        (&json!("gpt-4o"), &json!("request"), &json!("gpt-4o"))
    );
    assert_eq!(
        (&shown["tier"], &shown["mapped_by"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(shown["refusal"], Value::Null);
    let target = json!({
        "provider": "openai", "model": "gpt-4o", "key_id": key, "key_label": "mine",
        "key_scope": "workspace", "key_source": "byok", "level": null, "when": "in_turn", "sleeping_until": null, "ranked_by": null,
    });
    assert_eq!(shown["targets"], json!([target]));
    assert_eq!(
        (&shown["preset"], &shown["ranking"]),
        (&Value::Null, &Value::Null)
    );
    let mode =
        json!({"rule": 7, "subject": {"kind": "mode", "mode": "byok"}, "verdict": "applies"});
    let of_key = json!({"rule": 9, "verdict": "serves",
        "subject": {"kind": "key", "provider": "openai", "key_id": key, "key_label": "mine", "key_scope": "workspace"}});
    let trace = shown["trace"].as_array().expect("a list");
    assert!(
        trace.contains(&mode) && trace.contains(&of_key),
        "{trace:?}"
    );
    assert_eq!(
        world.probe.asked.load(std::sync::atomic::Ordering::SeqCst),
        asked
    );
    let asleep = Timestamp::from_millis(super::BEGIN_MS + 60_000);
    let id = key.parse().expect("an id");
    world.put_to_sleep(id, asleep);
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    assert_eq!(shown["targets"][0]["sleeping_until"], asleep.to_string());
}

#[tokio::test]
async fn several_models_are_explained_each_in_its_turn() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "mine").await;
    let asked = json!({
        "model": "gpt-4o", "models": ["anthropic/claude-haiku-4-5", "gpt-4o", "openai/gpt-4o", "openai/gpt-4o-mini"],
    });
    let shown = resolve(&world, &root.session, &root, asked).await;
    let models = shown["models"].as_array().expect("a list");
    let names = models.iter().map(|it| it["requested"].as_str());
    let names: Vec<_> = names.map(|it| it.expect("a name")).collect();
    assert_eq!(
        names,
        [
            "gpt-4o",
            "anthropic/claude-haiku-4-5",
            "openai/gpt-4o",
            "openai/gpt-4o-mini"
        ]
    );
    let served = |it: &Value| {
        let targets = it["targets"].as_array().expect("a list");
        let models = targets.iter().map(|it| it["model"].clone());
        models.collect::<Vec<_>>()
    };
    assert_eq!(served(&models[0]), ["gpt-4o"]);
    assert_eq!(models[1]["refusal"]["code"], "byok_key_missing");
    // The key is asked for it already.
    assert_eq!(
        (served(&models[2]), &models[2]["refusal"]),
        (vec![], &Value::Null)
    );
    assert_eq!(served(&models[3]), ["gpt-4o-mini"]);
    assert_eq!(served(&shown), ["gpt-4o", "gpt-4o-mini"]);
    assert_eq!(
        (&shown["requested"], &shown["refusal"]),
        (&json!("gpt-4o"), &Value::Null)
    );
    // The list in place of a model; one name is one model.
    let shown = resolve(&world, &root.session, &root, json!({"models": ["gpt-4o"]})).await;
    assert_eq!(
        (&shown["requested"], served(&shown)),
        (&json!("gpt-4o"), vec![json!("gpt-4o")])
    );
    assert_eq!(shown.get("models"), None);
    // If none serves, the refusal is the first one's.
    let none = json!({"models": ["anthropic/a", "nobody-knows-it"]});
    let shown = resolve(&world, &root.session, &root, none).await;
    assert_eq!(shown["refusal"]["code"], "byok_key_missing");
    assert_eq!(shown["models"][1]["refusal"]["code"], "model_not_found");
    let path = format!("/api/v1/workspaces/{}/resolve", root.workspace);
    for list in [json!([]), json!(["a", "a"]), json!([""])] {
        let body = json!({"model": "a", "models": list});
        let refused = world.post(&root.session, &path, body).await.expect(400);
        assert_eq!(refused.json()["details"]["field"], "models");
    }
}

#[tokio::test]
async fn whose_labels_one_may_not_see_are_hidden() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let own = world.own_key(&root, "openai", "secret-name").await;
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let body = json!({"provider": "openai", "label": "account-name", "key": KEY});
    world.post(&root.session, &account, body).await.expect(201);
    let (admin, member) = (
        world.person(&root, "admin").await,
        world.person(&root, "member").await,
    );
    world.join(&root, &admin, "admin").await;
    world.join(&root, &member, "member").await;
    for (caller, of_workspace, of_account) in [
        (&root, json!("secret-name"), json!("account-name")),
        (&admin, json!("secret-name"), Value::Null),
        (&member, Value::Null, Value::Null),
    ] {
        let shown = resolve(&world, &caller.session, &root, gpt()).await;
        let targets = shown["targets"].as_array().expect("a list");
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0]["key_id"], own.as_str());
        assert_eq!(targets[0]["key_label"], of_workspace);
        assert_eq!(targets[1]["key_label"], of_account);
        let text = shown.to_string();
        assert_eq!(text.contains("account-name"), of_account != Value::Null);
        assert_eq!(text.contains("secret-name"), of_workspace != Value::Null);
    }
    world
        .patch(
            &root.session,
            &format!("{}/{own}", path(&root)),
            json!({"enabled": false}),
        )
        .await
        .expect(200);
    let listed = world.get(&root.session, &account).await.expect(200).json();
    let other = listed["data"][0]["id"].as_str().expect("an id");
    world
        .delete(&root.session, &format!("{account}/{other}"))
        .await
        .expect(204);
    let shown = resolve(&world, &member.session, &root, gpt()).await;
    assert_eq!(
        shown["refusal"],
        json!({"code": "byok_key_disabled", "providers": ["openai"]})
    );
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    assert_eq!(shown["refusal"]["key_label"], "secret-name");
}

#[tokio::test]
async fn a_refusal_names_the_accounts_key_to_the_owner_of_the_account_alone() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let body = json!({"provider": "openai", "label": "account-name", "key": KEY});
    let stored = world.post(&root.session, &account, body).await.expect(201);
    let admin = world.person(&root, "admin").await;
    world.join(&root, &admin, "admin").await;
    let id = stored.json()["id"].as_str().expect("an id").to_owned();
    let one = format!("{account}/{id}");
    let disabled = json!({"enabled": false});
    world.patch(&root.session, &one, disabled).await.expect(200);
    for code in ["byok_key_disabled", "byok_key_revoked"] {
        let shown = resolve(&world, &root.session, &root, gpt()).await;
        let named = json!({"code": code, "providers": ["openai"], "key_label": "account-name"});
        assert_eq!(shown["refusal"], named);
        let shown = resolve(&world, &admin.session, &root, gpt()).await;
        assert_eq!(
            shown["refusal"],
            json!({"code": code, "providers": ["openai"]})
        );
        let text = shown.to_string();
        assert!(!text.contains("account-name"), "{text}");
        if code == "byok_key_disabled" {
            world.delete(&root.session, &one).await.expect(204);
        }
    }
}

#[tokio::test]
async fn a_platform_key_serves_without_a_name() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.platform_key(&root, "openai").await;
    policy(&world, &root, json!({"mode": "managed"})).await;
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    let target = &shown["targets"][0];
    assert_eq!(
        (&target["provider"], &target["key_source"]),
        (&json!("openai"), &json!("managed"))
    );
    assert_eq!(
        (&target["key_id"], &target["key_label"]),
        (&Value::Null, &Value::Null)
    );
    let text = shown.to_string();
    assert!(!text.contains("pk_") && !text.contains("primary"), "{text}");
    let platform = json!({"kind": "platform_key", "provider": "openai"});
    let trace = shown["trace"].as_array().expect("a list");
    assert!(
        trace.iter().any(|step| step["subject"] == platform),
        "{trace:?}"
    );
    let body = json!({"model": "gpt-4o", "no_managed": true});
    let shown = resolve(&world, &root.session, &root, body).await;
    assert_eq!(
        (&shown["targets"], &shown["refusal"]["code"]),
        (&json!([]), &json!("byok_required"))
    );
    world.own_key(&root, "openai", "mine").await;
    policy(
        &world,
        &root,
        json!({"mode": "auto", "managed_on_failure": true}),
    )
    .await;
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    let ways: Vec<_> = shown["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["key_source"].clone(), it["when"].clone()))
        .collect();
    assert_eq!(
        ways,
        [
            (json!("byok"), json!("in_turn")),
            (json!("managed"), json!("own_keys_failed"))
        ]
    );
    policy(&world, &root, json!({"managed_on_denied": true})).await;
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    assert_eq!(shown["targets"][1]["when"], "own_keys_failed_or_denied");
}

#[tokio::test]
async fn a_managed_gateway_serves_models_of_providers_without_a_platform_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.platform_key(&root, "openrouter").await;
    policy(&world, &root, json!({"mode": "managed"})).await;
    let code = async || {
        let shown = resolve(&world, &root.session, &root, gpt()).await;
        (
            shown["targets"][0]["provider"].clone(),
            shown["refusal"]["code"].clone(),
        )
    };
    assert_eq!(code().await, (Value::Null, json!("managed_unavailable")));
    world
        .settings(&root, json!({"managed_gateway": "openrouter"}))
        .await;
    assert_eq!(code().await, (json!("openrouter"), Value::Null));
    let shown = resolve(&world, &root.session, &root, gpt()).await;
    assert_eq!(shown["targets"][0]["model"], "openai/gpt-4o");
}

#[tokio::test]
async fn each_refusal_has_the_code_of_the_call() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let refusal =
        async |body: Value| resolve(&world, &root.session, &root, body).await["refusal"].clone();
    let code = async || refusal(gpt()).await["code"].clone();
    assert_eq!(
        refusal(json!({})).await,
        json!({"code": "model_not_chosen"})
    );
    assert_eq!(
        refusal(json!({"model": "default"})).await["code"],
        "model_not_chosen"
    );
    assert_eq!(
        refusal(json!({"model": "nobody-has-this"})).await,
        json!({"code": "model_not_found"})
    );
    assert_eq!(
        refusal(json!({"model": "level_3"})).await,
        json!({"code": "model_not_found", "tier": "level_3"})
    );
    assert_eq!(
        refusal(gpt()).await,
        json!({"code": "byok_key_missing", "providers": ["openai"]})
    );
    let key = world.own_key(&root, "openai", "mine").await;
    assert_eq!(code().await, Value::Null);
    world.switch(&root, "openai", json!({"byok": false})).await;
    assert_eq!(
        refusal(gpt()).await,
        json!({"code": "byok_disabled_for_provider", "providers": ["openai"]})
    );
    world
        .switch(&root, "openai", json!({"byok": true, "enabled": false}))
        .await;
    assert_eq!(code().await, "model_not_found");
    world
        .switch(&root, "openai", json!({"enabled": true}))
        .await;
    policy(&world, &root, json!({"byok": "forbidden"})).await;
    assert_eq!(code().await, "byok_forbidden");
    policy(
        &world,
        &root,
        json!({"byok": "required", "mode": "managed"}),
    )
    .await;
    assert_eq!(code().await, "byok_required");
    policy(&world, &root, json!({"byok": "optional"})).await;
    assert_eq!(code().await, "managed_unavailable");
    policy(&world, &root, json!({"mode": "byok"})).await;
    let no_byok = json!({"name": "None", "rank": 0, "terms": {
        "monthly_credits": 1, "byok": false, "tiers": [], "limits": {}}});
    world
        .put(&root.session, "/api/v1/admin/plans/none", no_byok)
        .await
        .expect(201);
    world.subscribe(&root, &root, "none").await;
    let dormant = refusal(gpt()).await;
    assert_eq!(dormant["code"], "byok_key_dormant");
    assert_eq!(
        dormant["plans"],
        json!(["free", "pro", "ultra", "enterprise"])
    );
    assert_eq!(dormant["key_label"], "mine");
    let locked = refusal(json!({"model": "level_2"})).await;
    assert_eq!(
        (&locked["code"], &locked["tier"]),
        (&json!("plan_required"), &json!("level_2"))
    );
    assert_eq!(locked["plans"], json!(["pro", "ultra", "enterprise"]));
    world.subscribe(&root, &root, "pro").await;
    assert_eq!(
        code().await,
        Value::Null,
        "a dormant key wakes up with the plan"
    );
    world
        .delete(&root.session, &format!("{}/{key}", path(&root)))
        .await
        .expect(200);
    assert_eq!(
        refusal(gpt()).await,
        json!({"code": "byok_key_revoked", "providers": ["openai"], "key_label": "mine"})
    );
}

#[tokio::test]
async fn the_removal_of_a_key_says_what_calls_meet_next() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let remove = async |label: &str, keep: bool| {
        let id = world.own_key(&root, "openai", label).await;
        let before = resolve(&world, &root.session, &root, gpt()).await;
        let one = format!("{}/{id}", path(&root));
        let shown = world.get(&root.session, &one).await.expect(200).json();
        assert_eq!((&shown["id"], &shown["label"]), (&json!(id), &json!(label)));
        let removed = world.delete(&root.session, &one).await.expect(200).json();
        assert_eq!(removed["deleted"], true);
        assert_eq!(shown["if_removed"], removed["then"]);
        let after = resolve(&world, &root.session, &root, gpt()).await;
        assert!(keep || after != before);
        (
            removed["then"].clone(),
            after["targets"][0]["key_source"].clone(),
        )
    };
    assert_eq!(
        remove("a", false).await,
        (json!("refused_402"), Value::Null)
    );
    world.own_key(&root, "openai", "other").await;
    assert_eq!(
        remove("b", false).await,
        (json!("other_own_key"), json!("byok"))
    );
    policy(&world, &root, json!({"mode": "managed"})).await;
    assert_eq!(remove("c", true).await, (json!("refused_402"), Value::Null));
    world.platform_key(&root, "openai").await;
    assert_eq!(
        remove("d", true).await,
        (json!("managed_credits"), json!("managed"))
    );
    let broke = json!({"name": "Broke", "rank": 0, "terms": {
        "monthly_credits": 0, "byok": true, "tiers": [], "limits": {}}});
    world
        .put(&root.session, "/api/v1/admin/plans/broke", broke)
        .await
        .expect(201);
    world.subscribe(&root, &root, "broke").await;
    let (then, _) = remove("e", true).await;
    assert_eq!(then, "refused_402", "credits would pay, and there are none");
    let of = |part: &str| format!("/api/v1/workspaces/{}/{part}", root.workspace);
    let models = world.get(&root.session, &of("models")).await.json();
    let models = models["models"].as_array().expect("models");
    let gpt = models.iter().find(|it| it["id"] == "openai/gpt-4o");
    assert_eq!(
        gpt.map(|it| (&it["refusal"], &it["key_source"])),
        Some((&json!("credits_exhausted"), &Value::Null))
    );
    let config = world.get(&root.session, &of("ai-config")).await.json();
    assert_eq!(
        (&config["status"], &config["credits_left"]),
        (&json!("managed_active"), &json!(false))
    );
    policy(&world, &root, json!({"byok": "required"})).await;
    assert_eq!(remove("f", true).await, (json!("refused"), Value::Null));
}

#[tokio::test]
async fn a_key_is_shown_with_what_its_removal_means_to_those_who_see_labels() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let key = world.own_key(&root, "openai", "mine").await;
    let one = format!("{}/{key}", path(&root));
    let listed = world.get(&root.session, &path(&root)).await.json();
    let mut shown = world.get(&root.session, &one).await.expect(200).json();
    let fields = shown.as_object_mut().expect("an object");
    assert_eq!(fields.remove("if_removed"), Some(json!("refused_402")));
    assert_eq!(shown, listed["data"][0]);
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    let refused = world.get(&member.session, &one).await;
    let refused = refused.refused(403, "permission_denied");
    assert_eq!(refused["details"]["needs"], "the role admin");
    let other = world.person(&root, "other").await;
    world
        .get(&other.session, &one)
        .await
        .refused(404, "not_found");
    world
        .settings(&root, json!({"mask_visible_to": "member"}))
        .await;
    world.get(&member.session, &one).await.expect(200);
}

#[tokio::test]
async fn a_ranking_orders_what_may_serve_and_says_what_it_looked_at() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for provider in ["groq", "openrouter"] {
        world.own_key(&root, provider, "mine").await;
    }
    let price = |provider: &str, rate: &str| json!({"provider": provider, "model": "*", "price": {"input": rate, "output": rate}});
    let prices = json!({"prices": [price("groq", "2"), price("openrouter", "1")], "presets": {"oss": {
        "models": ["openai/gpt-oss-120b:cost", "nobody-knows-it"]}}});
    policy(&world, &root, prices).await;
    let ask = async |model: &str| {
        let shown = resolve(&world, &root.session, &root, json!({ "model": model })).await;
        let targets = shown["targets"].as_array().expect("a list").iter();
        let order: Vec<String> = targets
            .map(|it| it["provider"].as_str().expect("a text").to_owned())
            .collect();
        (order, shown)
    };
    let (order, _) = ask("openai/gpt-oss-120b").await;
    assert_eq!(order, ["groq", "openrouter"]);
    let (order, shown) = ask("openai/gpt-oss-120b:cost").await;
    assert_eq!(order, ["openrouter", "groq"]);
    assert_eq!(
        (&shown["ranking"], &shown["model"]),
        (&json!("cost"), &json!("openai/gpt-oss-120b"))
    );
    let looked = json!({"cost_nano_usd": 4_000_000, "first_byte_ms": null, "answer_ms": null,
        "output_tokens_per_second": null});
    assert_eq!(shown["targets"][0]["ranked_by"], looked);
    let (order, _) = ask("openai/gpt-oss-120b:throughput").await;
    assert_eq!(order, ["groq", "openrouter"]);
    let (order, shown) = ask("@oss").await;
    assert_eq!(order, ["openrouter", "groq"]);
    assert_eq!(shown["preset"], "oss");
    assert_eq!(shown["models"][0]["requested"], "@oss");
    assert_eq!(shown["models"][1]["refusal"]["code"], "model_not_found");
    let (_, shown) = ask("@other").await;
    assert_eq!(
        shown["refusal"],
        json!({"code": "model_not_found", "presets": ["oss"]})
    );
    assert_eq!(shown["trace"][0]["verdict"], "not_known");
}
