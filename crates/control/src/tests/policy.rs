//! The policy of a workspace.

use http::Method;
use serde_json::{Value, json};

use super::{As, Person, World};

fn policy(person: &Person) -> String {
    format!("/api/v1/workspaces/{}/policy", person.workspace)
}

async fn get(world: &World, person: &Person) -> Value {
    let answer = world.get(&person.session, &policy(person)).await;
    answer.expect(200).json()
}

async fn patch(world: &World, person: &Person, body: Value) -> Value {
    let answer = world.patch(&person.session, &policy(person), body).await;
    answer.expect(200).json()
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_and_null_means_none_or_the_default() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let fresh = get(&world, &root).await;
    assert_eq!(
        (&fresh["mode"], &fresh["byok"]),
        (&json!("byok"), &json!("optional"))
    );
    assert_eq!(
        (&fresh["managed_on_failure"], &fresh["managed_on_denied"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(fresh["managed_fallback_cap_nano_usd"], 5_000_000_000_i64);
    let prices = json!([{"provider": "openai", "model": "gpt-4o*",
        "price": {"input": "2", "output": "8"}}]);
    let set = json!({
        "mode": "auto", "managed_on_failure": true, "managed_fallback_cap_nano_usd": 7,
        "hedge_after_ms": 100,
        "tiers": {"level_1": "gpt-4o-mini", "level_2": "gpt-4o"},
        "model_mappings": [{"pattern": "gpt-3.5*", "model": "gpt-4o-mini"}],
        "level_mappings": [{"pattern": "claude*", "level": 2}],
        "prices": prices, "model": "level_2", "provider": "openai",
    });
    world.pass_ms(1_000);
    let shown = patch(&world, &root, set.clone()).await;
    for (name, value) in set.as_object().expect("an object") {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert_ne!(shown["updated_at"], fresh["updated_at"]);
    assert_eq!(get(&world, &root).await, shown);
    assert_eq!(
        patch(&world, &root, json!({})).await,
        shown,
        "nothing is no change"
    );

    let shown = patch(
        &world,
        &root,
        json!({"tiers": {"level_1": null, "level_3": "o3"}}),
    )
    .await;
    assert_eq!(
        shown["tiers"],
        json!({"level_2": "gpt-4o", "level_3": "o3"})
    );
    let nulls = json!({
        "mode": null, "managed_on_failure": null, "managed_fallback_cap_nano_usd": null, "hedge_after_ms": null,
        "tiers": null, "model_mappings": null, "model": null, "provider": null,
    });
    let shown = patch(&world, &root, nulls).await;
    assert_eq!(shown["mode"], "byok");
    assert_eq!(shown["managed_on_failure"], false);
    for none in [
        "managed_fallback_cap_nano_usd",
        "hedge_after_ms",
        "model",
        "provider",
    ] {
        assert_eq!(shown[none], Value::Null, "{none}");
    }
    assert_eq!(
        (&shown["tiers"], &shown["model_mappings"]),
        (&json!({}), &json!([]))
    );
    assert_eq!(
        shown["level_mappings"], set["level_mappings"],
        "left out, so it stays"
    );
}

#[tokio::test]
async fn a_refusal_names_the_field_changes_nothing_and_echoes_no_value() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let rule = json!({"pattern": "a", "model": "b"});
    let price = |provider: &str, input: Value| json!([{"provider": provider, "model": "*", "price": {"input": input, "output": "1"}}]);
    let long = json!({"pattern": "p".repeat(256), "model": "m".repeat(256)});
    let with_brackets = |count: u64| {
        let rates = json!({"input": "1", "output": "2"});
        let bracket = |at| json!({"over_input_tokens": at, "rates": rates});
        let brackets: Vec<Value> = (0..count).map(bracket).collect();
        let mut price = price("openai", json!("1"));
        price[0]["price"]["brackets"] = json!(brackets);
        price
    };
    let fits = json!({"model_mappings": vec![long.clone(); 110], "prices": with_brackets(16)});
    patch(&world, &root, fits).await;
    let before = get(&world, &root).await;
    for (body, field) in [
        (json!({"mode": "sk-SECRET"}), "mode"),
        (json!({"byok": "sk-SECRET"}), "byok"),
        (
            json!({"managed_on_failure": "sk-SECRET"}),
            "managed_on_failure",
        ),
        (
            json!({"managed_fallback_cap_nano_usd": -1}),
            "managed_fallback_cap_nano_usd",
        ),
        (
            json!({"managed_fallback_cap_nano_usd": 0.5}),
            "managed_fallback_cap_nano_usd",
        ),
        (json!({"hedge_after_ms": 99}), "hedge_after_ms"),
        (json!({"hedge_after_ms": 60_001}), "hedge_after_ms"),
        (json!({"hedge_after_ms": 0.5}), "hedge_after_ms"),
        (json!({"hedge_after_ms": "sk-SECRET"}), "hedge_after_ms"),
        (json!({"tiers": {"sk-SECRET": "gpt-4o"}}), "tiers"),
        (json!({"tiers": {"level_1": "sk SECRET"}}), "tiers"),
        (json!({"tiers": {"level_1": "level_2"}}), "tiers"),
        (json!({"tiers": "sk-SECRET"}), "tiers"),
        (json!({"model": "default"}), "model"),
        (json!({"model": "sk SECRET"}), "model"),
        (
            json!({"model_mappings": [{"pattern": "**", "model": "sk-SECRET"}]}),
            "model_mappings",
        ),
        (json!({"model_mappings": vec![rule; 201]}), "model_mappings"),
        (
            json!({"level_mappings": [{"pattern": "a", "level": 10_000}]}),
            "level_mappings",
        ),
        (
            json!({"level_mappings": [{"pattern": "a", "level": -1}]}),
            "level_mappings",
        ),
        (json!({"presets": {"SECRET": {"models": ["a"]}}}), "presets"),
        (
            json!({"presets": {"fast": {"models": ["sk SECRET"]}}}),
            "presets",
        ),
        (
            json!({"presets": {"fast": {"models": ["a"], "SECRET": 1}}}),
            "presets",
        ),
        (json!({"presets": ["SECRET"]}), "presets"),
        (json!({"prices": price("openai", json!("-1"))}), "prices"),
        (
            json!({"prices": price("openai", json!("sk-SECRET"))}),
            "prices",
        ),
        (json!({"prices": price("nobody", json!("1"))}), "prices"),
        (json!({"prices": with_brackets(17)}), "prices"),
        (json!({"model_mappings": vec![long; 130]}), "model_mappings"),
        (json!({"foo": 1}), "foo"),
        (json!({"updated_at": "2026-01-01T00:00:00Z"}), "updated_at"),
    ] {
        // A good field beside the bad one is not taken either.
        let mut body = body;
        body["managed_on_denied"] = json!(true);
        let answer = world
            .patch(&root.session, &policy(&root), body.clone())
            .await;
        assert!(!answer.text.contains("SECRET"), "{}", answer.text);
        let refused = answer.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field, "{body}: {refused}");
    }
    let answer = world
        .patch(&root.session, &policy(&root), json!({"mode": "no"}))
        .await
        .json();
    assert_eq!(
        answer["details"]["allowed"],
        json!(["managed", "byok", "auto"])
    );
    let twice = r#"{"mode": "auto", "mode": "managed"}"#;
    let mut request = World::request(
        &root.session,
        http::Method::PATCH,
        &policy(&root),
        Some(&json!({})),
    );
    *request.body_mut() = twice.into();
    let refused = world.send(request).await.refused(400, "invalid_request");
    assert_eq!(refused["details"]["field"], "mode");
    let secret = json!({"sk-SECRET": 1});
    let answer = world.patch(&root.session, &policy(&root), secret).await;
    assert!(!answer.text.contains("SECRET"), "{}", answer.text);
    answer.refused(400, "invalid_request");
    let unknown = json!({"provider": "opanai"});
    let answer = world.patch(&root.session, &policy(&root), unknown).await;
    let refused = answer.refused(400, "unknown_provider");
    assert_eq!(refused["details"]["suggestion"], "openai");
    assert_eq!(get(&world, &root).await, before);
}

#[tokio::test]
async fn what_the_plan_does_not_open_cannot_be_set_and_what_is_set_may_stay() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let shown = get(&world, &ann).await;
    assert_eq!(
        (&shown["plan"], &shown["byok_allowed"]),
        (&json!("free"), &json!(true))
    );
    assert_eq!(shown["tiers_open"], json!(["level_1", "embeddings"]));
    for body in [
        json!({"tiers": {"level_2": "gpt-4o"}}),
        json!({"model": "level_2"}),
        json!({"model": "level_2:cost"}),
        json!({"tiers": {"level_1": "gpt-4o", "level_2": "gpt-4o"}}),
    ] {
        let answer = world.patch(&ann.session, &policy(&ann), body).await;
        let refused = answer.refused(403, "plan_required");
        assert_eq!(
            refused["details"]["plans"],
            json!(["pro", "ultra", "enterprise"])
        );
        assert_eq!(refused["details"]["tier"], "level_2");
    }
    patch(
        &world,
        &ann,
        json!({"tiers": {"level_1": "gpt-4o", "level_2": "managed"}}),
    )
    .await;
    world.subscribe(&root, &ann, "pro").await;
    let shown = patch(
        &world,
        &ann,
        json!({"tiers": {"level_2": "gpt-4o"}, "model": "level_2"}),
    )
    .await;
    assert_eq!(
        shown["tiers_open"],
        json!(["level_1", "level_2", "level_3", "embeddings"])
    );
    world.subscribe(&root, &ann, "free").await;
    let shown = patch(&world, &ann, json!({"managed_on_failure": true})).await;
    assert_eq!(
        shown["tiers"]["level_2"], "gpt-4o",
        "what was there may stay"
    );
}

#[tokio::test]
async fn only_modes_that_are_offered_can_be_set() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    patch(&world, &root, json!({"mode": "auto"})).await;
    world.settings(&root, json!({"modes": ["byok"]})).await;
    let shown = patch(&world, &root, json!({"managed_on_failure": true})).await;
    assert_eq!(shown["mode"], "auto", "what was there may stay");
    let answer = world
        .patch(&root.session, &policy(&root), json!({"mode": "managed"}))
        .await;
    let refused = answer.refused(400, "mode_not_offered");
    assert_eq!(refused["details"]["allowed"], json!(["byok"]));
    patch(&world, &root, json!({"mode": "byok"})).await;
}

#[tokio::test]
async fn changes_are_audited_and_members_only_read() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    patch(&world, &root, json!({"managed_on_failure": true})).await;
    patch(
        &world,
        &root,
        json!({"mode": "auto", "managed_on_denied": true}),
    )
    .await;
    patch(&world, &root, json!({"mode": "auto"})).await;
    let rows = world.audited(&root).await;
    let of_policy = rows
        .iter()
        .filter(|(action, _)| action.starts_with("policy."));
    let actions: Vec<_> = of_policy
        .map(|(action, outcome)| (action.as_str(), outcome.as_str()))
        .collect();
    assert_eq!(
        actions,
        [("policy.update", "ok"), ("policy.set_mode", "ok")]
    );
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    world.get(&member.session, &policy(&root)).await.expect(200);
    let body = json!({"mode": "managed"});
    let refused = world
        .patch(&member.session, &policy(&root), body.clone())
        .await;
    refused.refused(403, "permission_denied");
    let reader = world.api_key(&root, &["policy:read"]).await;
    world.get(&reader, &policy(&root)).await.expect(200);
    world
        .patch(&reader, &policy(&root), body.clone())
        .await
        .refused(403, "permission_denied");
    world
        .patch(&As::Nobody, &policy(&root), body)
        .await
        .refused(401, "authentication_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_do_not_undo_each_other() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let one = async |body: Value| {
        world
            .patch(&root.session, &policy(&root), body)
            .await
            .status
    };
    let (a, b) = tokio::join!(
        one(json!({"managed_on_failure": true})),
        one(json!({"tiers": {"level_1": "gpt-4o"}}))
    );
    assert_eq!((a, b), (200, 200));
    let shown = get(&world, &root).await;
    assert_eq!(
        (&shown["managed_on_failure"], &shown["tiers"]["level_1"]),
        (&json!(true), &json!("gpt-4o"))
    );
}

#[tokio::test]
async fn whoever_names_what_was_read_undoes_nothing_of_somebody_else() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let path = policy(&root);
    let change = async |tag: &str, patch: Value| {
        world
            .change_if(&root.session, Method::PATCH, &path, patch, tag)
            .await
    };
    let preset = |model: &str| json!({"presets": {"fast": {"models": [model]}}});
    let read = world.tag(&root.session, &path).await;
    let first = change(&read, preset("gpt-4o")).await.expect(200);
    let now = world.tag(&root.session, &path).await;
    assert_eq!(first.header("etag"), Some(now.as_str()));
    assert_ne!(read, now);
    // What would change nothing is refused, too: it was meant for another policy.
    for model in ["gpt-4o", "o3"] {
        change(&read, preset(model))
            .await
            .refused(412, "precondition_failed");
    }
    let shown = get(&world, &root).await;
    assert_eq!(shown["presets"]["fast"]["models"], json!(["gpt-4o"]));
    change(&now, preset("o3")).await.expect(200);
    // What the plan says is no part of what is guarded.
    let read = world.tag(&root.session, &path).await;
    let plan = format!("/api/v1/admin/accounts/{}/subscription", root.account);
    let other = json!({"plan": "ultra"});
    world.put(&root.session, &plan, other).await.expect(200);
    change(&read, preset("gpt-4o")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_meant_for_one_state_one_is_refused() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let path = policy(&root);
    let read = world.tag(&root.session, &path).await;
    let one = async |model: &str| {
        let patch = json!({"tiers": {"level_1": model}});
        let session = &root.session;
        let answer = world
            .change_if(session, Method::PATCH, &path, patch, &read)
            .await;
        answer.status
    };
    let (a, b) = tokio::join!(one("gpt-4o"), one("o3"));
    assert_eq!(u16::min(a, b), 200, "{a}, {b}");
    assert_eq!(u16::max(a, b), 412, "{a}, {b}");
}

#[tokio::test]
async fn presets_are_merged_by_their_names_and_bounded() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let fast = json!({"models": ["gpt-4o:cost", "level_1"], "parameters": {"temperature": 0.5, "max_tokens": 9}});
    let set = json!({"presets": {"fast": fast, "slow": {"models": ["o3"]}}});
    let shown = patch(&world, &root, set).await;
    let stored = json!({"models": ["gpt-4o:cost", "level_1"], "parameters": {"temperature": "0.5", "max_tokens": 9}});
    assert_eq!(shown["presets"]["fast"], stored);
    let slow = json!({"models": ["o3"], "parameters": {}});
    assert_eq!(shown["presets"]["slow"], slow);
    // A merge goes into the preset; null takes out what it stands at.
    let change = json!({"presets": {"fast": {"parameters": {"temperature": null, "top_p": "1"}}, "slow": null}});
    let shown = patch(&world, &root, change).await;
    let stored = json!({"models": ["gpt-4o:cost", "level_1"], "parameters": {"max_tokens": 9, "top_p": "1"}});
    assert_eq!(shown["presets"], json!({ "fast": stored }));
    let many = |count: usize| {
        let each = (0..count).map(|at| (format!("p{at}"), json!({"models": ["a"]})));
        json!({ "presets": each.collect::<serde_json::Map<_, _>>() })
    };
    let models: Vec<String> = (0..9).map(|at| format!("m{at}")).collect();
    let parameters =
        |parameters: Value| json!({"presets": {"x": {"models": ["a"], "parameters": parameters}}});
    for (body, field) in [
        (
            json!({"presets": {"x": {"models": []}}}),
            "presets.x.models",
        ),
        (json!({"presets": {"x": {}}}), "presets.x.models"),
        (
            json!({"presets": {"x": {"models": models}}}),
            "presets.x.models",
        ),
        (
            json!({"presets": {"x": {"models": ["a", "a"]}}}),
            "presets.x.models",
        ),
        (
            json!({"presets": {"x": {"models": ["@fast"]}}}),
            "presets.x.models",
        ),
        (
            json!({"presets": {"x": {"models": ["default"]}}}),
            "presets.x.models",
        ),
        (
            parameters(json!({"temperature": 2.5})),
            "presets.x.parameters.temperature",
        ),
        (
            parameters(json!({"top_p": "1.1"})),
            "presets.x.parameters.top_p",
        ),
        (
            parameters(json!({"max_tokens": 0})),
            "presets.x.parameters.max_tokens",
        ),
        (
            parameters(json!({"system_prompt": "x".repeat(4097)})),
            "presets.x.parameters.system_prompt",
        ),
        (many(50), "presets"),
    ] {
        let answer = world.patch(&root.session, &policy(&root), body).await;
        let refused = answer.expect(400).json();
        assert_eq!(refused["code"], "invalid_request");
        assert_eq!(refused["details"]["field"], field, "{refused}");
    }
    assert_eq!(get(&world, &root).await, shown);
    patch(&world, &root, many(49)).await;
    let cleared = patch(&world, &root, json!({"presets": null})).await;
    assert_eq!(cleared["presets"], json!({}));
}

/// Whether the document allows a value, by the words of JSON Schema that it uses.
fn allows(document: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(path) = schema["$ref"].as_str() {
        let named = document.pointer(path.trim_start_matches('#'));
        return allows(document, named.expect("it is defined"), value);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        return all.iter().any(|one| allows(document, one, value));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |wanted: &Value| *wanted == kind || *wanted == "number" && kind == "integer";
    let fits = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is),
        one => is(one),
    };
    let among = |all: &Vec<Value>| all.contains(value);
    let bound = |name: &str, keeps: fn(f64, f64) -> bool| {
        let length = value.as_array().map(|it| it.len() as f64);
        match (schema[name].as_f64(), value.as_f64().or(length)) {
            (Some(bound), Some(value)) => keeps(value, bound),
            _ => true,
        }
    };
    let within = match value {
        Value::Array(items) => items
            .iter()
            .all(|item| allows(document, &schema["items"], item)),
        Value::Object(fields) => {
            let required = schema["required"].as_array();
            let has = |name: &Value| fields.contains_key(name.as_str().unwrap_or_default());
            let known = |(name, value): (&String, &Value)| {
                let of_name = schema["properties"].get(name);
                let of_all = schema.get("additionalProperties");
                let schema = of_name.or(of_all.filter(|it| it.is_object()));
                schema.is_some_and(|schema| allows(document, schema, value))
            };
            required.is_none_or(|all| all.iter().all(has)) && fields.iter().all(known)
        }
        _ => true,
    };
    fits && within
        && schema["enum"].as_array().is_none_or(among)
        && bound("minimum", |value, least| value >= least)
        && bound("maximum", |value, most| value <= most)
        && bound("minItems", |value, least| value >= least)
        && bound("maxItems", |value, most| value <= most)
}

#[tokio::test]
async fn the_document_allows_what_is_taken_and_nothing_else() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let document = serde_json::to_value(crate::openapi()).expect("plain data");
    let schema = &document["components"]["schemas"]["PolicyPatch"];
    let preset = |fields: Value| json!({"presets": {"x": fields}});
    let parameters = |fields: Value| preset(json!({"models": ["a"], "parameters": fields}));
    for (body, is_taken) in [
        (parameters(json!({"temperature": 0.5, "top_p": 1})), true),
        (
            parameters(json!({"temperature": "0.5", "top_p": "1"})),
            true,
        ),
        (
            parameters(
                json!({"temperature": null, "top_p": null, "max_tokens": null, "reasoning_effort": null,
            "system_prompt": null}),
            ),
            true,
        ),
        (
            parameters(json!({"reasoning_effort": "high", "max_tokens": 5, "system_prompt": "x"})),
            true,
        ),
        (parameters(Value::Null), true),
        (preset(json!({"parameters": {"max_tokens": 7}})), true),
        (preset(json!({})), true),
        (preset(Value::Null), true),
        (
            json!({"presets": null, "tiers": null, "prices": null, "mode": null, "byok": null}),
            true,
        ),
        (json!({"tiers": {"level_1": "a", "level_2": null}}), true),
        (
            json!({"managed_on_failure": null, "hedge_after_ms": null, "model": null, "release_keys": null}),
            true,
        ),
        (parameters(json!({"temperature": 2.5})), false),
        (parameters(json!({"temperature": -1})), false),
        (parameters(json!({"top_p": 1.5})), false),
        (parameters(json!({"temperature": true})), false),
        (parameters(json!({"max_tokens": "5"})), false),
        (parameters(json!({"max_tokens": 0})), false),
        (parameters(json!({"reasoning_effort": "most"})), false),
        (parameters(json!({"system_prompt": 5})), false),
        (parameters(json!({"seed": 5})), false),
        (preset(json!({"models": "a"})), false),
        (preset(json!({"models": []})), false),
        (preset(json!({"models": null})), false),
        (json!({"presets": []}), false),
        (json!({"tiers": {"level_1": 1}}), false),
        (json!({"mode": "other"}), false),
        (json!({"unknown": 1}), false),
    ] {
        assert_eq!(allows(&document, schema, &body), is_taken, "{body}");
        let answer = world
            .patch(&root.session, &policy(&root), body.clone())
            .await;
        let expected = if is_taken { 200 } else { 400 };
        assert_eq!(answer.status, expected, "{body}: {}", answer.text);
    }
}
