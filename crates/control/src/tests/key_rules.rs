//! Provider keys under the instance's settings, the provider's switches and the plan.

use domain::key::FailureKind;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{As, KEY, OTHER_KEY, Person, World, data, path, with};

fn price(provider: &str) -> Value {
    json!([{"provider": provider, "model": "gpt-4o*", "price": {"input": "2", "output": "8"}}])
}

async fn only(world: &World, person: &Person) -> Value {
    let mut keys = data(world.get(&person.session, &path(person)).await);
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

fn with_brackets(count: u64) -> Value {
    let rates = json!({"input": "1", "output": "2"});
    let bracket = |at| json!({"over_input_tokens": at, "rates": rates});
    let brackets: Vec<Value> = (0..count).map(bracket).collect();
    let mut price = price("openai");
    price[0]["price"]["brackets"] = json!(brackets);
    price
}

#[tokio::test]
async fn a_key_has_a_level_a_fallback_mark_and_prices() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"provider": "openai", "key": KEY, "level": 3, "fallback": true,
        "prices": price("openai")});
    let stored = world
        .post(&root.session, &path(&root), body)
        .await
        .expect(201)
        .json();
    let facts = |key: &Value| {
        (
            key["level"].clone(),
            key["fallback"].clone(),
            key["prices"].clone(),
        )
    };
    assert_eq!(facts(&stored), (json!(3), json!(true), price("openai")));
    assert_eq!(facts(&only(&world, &root).await), facts(&stored));
    // A replacement leaves what it does not name, and takes what it names.
    let body = json!({"provider": "openai", "key": OTHER_KEY});
    let stored = world
        .post(&root.session, &path(&root), body.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(facts(&stored), (json!(3), json!(true), price("openai")));
    let body = with(&with(&body, "level", Value::Null), "fallback", json!(false));
    let stored = world
        .post(&root.session, &path(&root), body)
        .await
        .expect(200)
        .json();
    assert_eq!(facts(&stored), (Value::Null, json!(false), price("openai")));
    let one = format!("{}/{}", path(&root), stored["id"].as_str().expect("an id"));
    let change = json!({"level": 9999, "fallback": true, "prices": []});
    let changed = world
        .patch(&root.session, &one, change)
        .await
        .expect(200)
        .json();
    assert_eq!(facts(&changed), (json!(9999), json!(true), json!([])));
    let changed = world
        .patch(&root.session, &one, json!({"level": null}))
        .await
        .expect(200)
        .json();
    assert_eq!(facts(&changed), (Value::Null, json!(true), json!([])));
    for (change, field) in [
        (json!({"level": -1}), "level"),
        (json!({"level": 10_000}), "level"),
        (json!({"prices": price("anthropic")}), "prices"),
        (
            json!({"prices": [{"provider": "openai", "model": "*", "price": {"input": "-1", "output": "1"}}]}),
            "prices",
        ),
        (
            json!({"prices": vec![price("openai")[0].clone(); 51]}),
            "prices",
        ),
        (json!({"prices": with_brackets(17)}), "prices"),
    ] {
        let refused = world.patch(&root.session, &one, change.clone()).await;
        assert_eq!(
            refused.refused(400, "invalid_request")["details"]["field"],
            field
        );
        let mut body = json!({"provider": "openai", "label": "new", "key": KEY});
        body[field] = change[field].clone();
        let refused = world.post(&root.session, &path(&root), body).await;
        assert_eq!(
            refused.refused(400, "invalid_request")["details"]["field"],
            field
        );
    }
    let many = vec![with_brackets(16)[0].clone(); 50];
    world
        .patch(&root.session, &one, json!({"prices": many}))
        .await
        .expect(200);
    let rows = world.audited(&root).await;
    for action in ["set_level", "set_fallback", "set_prices"] {
        let wanted = (format!("provider_key.{action}"), "ok".to_owned());
        assert!(rows.contains(&wanted), "{action}: {rows:?}");
    }
}

#[tokio::test]
async fn a_new_key_has_the_level_that_the_instance_says() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "before").await;
    assert_eq!(only(&world, &root).await["level"], Value::Null);
    world.settings(&root, json!({"default_level": 1})).await;
    for (label, level, expected) in [
        ("left-out", None, json!(1)),
        ("none", Some(Value::Null), Value::Null),
        ("two", Some(json!(2)), json!(2)),
    ] {
        let mut body = json!({"provider": "openai", "label": label, "key": KEY});
        if let Some(level) = level {
            body["level"] = level;
        }
        let stored = world
            .post(&root.session, &path(&root), body)
            .await
            .expect(201)
            .json();
        assert_eq!(stored["level"], expected, "{label}");
    }
}

#[tokio::test]
async fn a_key_says_whether_it_serves_and_why_not() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let key = world.own_key(&root, "openai", "mine").await;
    let one = format!("{}/{key}", path(&root));
    let state = async || only(&world, &root).await["state"].clone();
    assert_eq!(state().await, "active");
    world.switch(&root, "openai", json!({"byok": false})).await;
    assert_eq!(state().await, "resting");
    world
        .switch(&root, "openai", json!({"byok": true, "enabled": false}))
        .await;
    assert_eq!(state().await, "resting");
    world
        .switch(&root, "openai", json!({"enabled": true}))
        .await;
    let no_byok = json!({"name": "None", "rank": 0, "terms": {
        "monthly_credits": 1, "byok": false, "tiers": [], "limits": {}}});
    world
        .put(&root.session, "/api/v1/admin/plans/none", no_byok)
        .await
        .expect(201);
    world.subscribe(&root, &root, "none").await;
    assert_eq!(state().await, "dormant");
    let disabled = world
        .patch(&root.session, &one, json!({"enabled": false}))
        .await;
    assert_eq!(disabled.expect(200).json()["state"], "disabled");
    world
        .patch(&root.session, &one, json!({"enabled": true}))
        .await
        .expect(200);
    world.subscribe(&root, &root, "enterprise").await;
    assert_eq!(state().await, "active");
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "member").await;
    for (byok, available) in [(false, false), (true, true)] {
        world.switch(&root, "openai", json!({ "byok": byok })).await;
        let shown = data(world.get(&member.session, &path(&root)).await);
        assert_eq!(
            shown,
            [json!({"provider": "openai", "available": available})]
        );
    }
}

#[tokio::test]
async fn the_instance_says_what_is_shown_of_a_key_and_to_whom() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "mine").await;
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let body = json!({"provider": "openai", "key": KEY});
    world.post(&root.session, &account, body).await.expect(201);
    for (style, mask) in [
        ("first4_last4", "sk-t...mnop"),
        ("prefix", "sk-t..."),
        ("none", "..."),
    ] {
        world.settings(&root, json!({ "mask": style })).await;
        assert_eq!(only(&world, &root).await["mask"], mask);
        assert_eq!(
            data(world.get(&root.session, &account).await)[0]["mask"],
            mask
        );
        let byok = data(world.get(&root.session, "/v1/byok/keys").await);
        assert_eq!(byok[0]["key_prefix"], mask);
    }
    world.settings(&root, json!({"mask": "first4_last4"})).await;
    let (admin, member) = (
        world.person(&root, "admin").await,
        world.person(&root, "member").await,
    );
    world.join(&root, &admin, "admin").await;
    world.join(&root, &member, "member").await;
    for (least, sees) in [
        ("owner", [true, false, false]),
        ("admin", [true, true, false]),
        ("member", [true; 3]),
    ] {
        world
            .settings(&root, json!({ "mask_visible_to": least }))
            .await;
        for (caller, sees) in [&root, &admin, &member].into_iter().zip(sees) {
            let shown = data(world.get(&caller.session, &path(&root)).await);
            assert_eq!(
                shown[0].get("mask").is_some(),
                sees,
                "{least} {}",
                caller.email
            );
            assert_eq!(
                shown[0].get("label").is_some(),
                sees,
                "{least} {}",
                caller.email
            );
        }
    }
    world
        .settings(&root, json!({"mask_visible_to": "owner"}))
        .await;
    let id = only(&world, &root).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let one = format!("{}/{id}", path(&root));
    let changed = world
        .patch(&admin.session, &one, json!({"position": 3}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        changed["mask"], "...",
        "who may not see it does not see it by changing it"
    );
}

#[tokio::test]
async fn what_the_plan_or_the_provider_does_not_let_in_is_refused_before_anybody_is_asked() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let refused_rows = async || {
        let rows = world.audited(&root).await;
        let refused = ("provider_key.create".to_owned(), "refused".to_owned());
        rows.into_iter().filter(|row| *row == refused).count()
    };
    let post = async |body: Value| world.post(&root.session, &path(&root), body).await;
    let sealed = world.raw("openai", KEY).await;
    world.switch(&root, "openai", json!({"byok": false})).await;
    let refused = post(sealed.clone()).await;
    let refused = refused.refused(403, "byok_disabled_for_provider");
    assert_eq!(refused["details"]["provider"], "openai");
    world
        .switch(&root, "openai", json!({"byok": true, "enabled": false}))
        .await;
    let refused = post(sealed.clone()).await;
    let refused = refused.refused(403, "byok_disabled_for_provider");
    let detail = "the provider is switched off on this instance";
    assert_eq!(
        (&refused["detail"], &refused["details"]["provider"]),
        (&json!(detail), &json!("openai"))
    );
    world
        .switch(&root, "openai", json!({"enabled": true}))
        .await;
    let plan = |byok: bool| {
        json!({"name": "Small", "rank": 0, "terms": {
        "monthly_credits": 1, "byok": byok, "tiers": [], "limits": {"provider_keys": 1}}})
    };
    world
        .put(&root.session, "/api/v1/admin/plans/small", plan(false))
        .await
        .expect(201);
    world.subscribe(&root, &root, "small").await;
    let refused = post(sealed.clone()).await.refused(403, "plan_required");
    assert_eq!(
        refused["details"]["plans"],
        json!(["free", "pro", "ultra", "enterprise"])
    );
    let account = json!({"provider": "openai", "key": KEY});
    let path_of_account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let refused = world.post(&root.session, &path_of_account, account).await;
    refused.refused(403, "plan_required");
    assert_eq!(
        world.probe.asked.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
    assert_eq!(refused_rows().await, 3);

    world
        .put(&root.session, "/api/v1/admin/plans/small", plan(true))
        .await
        .expect(200);
    world.subscribe(&root, &root, "small").await;
    // The box that was refused before it was opened is still good.
    post(sealed).await.expect(201);
    let second = json!({"provider": "openai", "label": "second", "key": KEY});
    let refused = post(second).await.refused(402, "limit_exceeded");
    assert_eq!(
        refused["details"],
        json!({"resource": "provider_keys", "limit": 1, "used": 1})
    );
    assert_eq!(refused_rows().await, 4);
    post(json!({"provider": "openai", "key": OTHER_KEY}))
        .await
        .expect(200);
}

#[tokio::test]
async fn custom_base_urls_follow_the_provider_then_the_instance_then_the_server() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let url = "https://llm.example.com/v1";
    let submit = async || {
        let body = world.boxed(&root.workspace, "openai", url, KEY).await;
        let body = with(&body, "base_url", json!(url));
        world.post(&root.session, &path(&root), body).await
    };
    // What a form has to know before a key is sealed.
    let told = async || {
        let list = world.get(&As::Nobody, "/v1/providers").await;
        let list = list.expect(200).json();
        let providers = list["data"].as_array().expect("a list").clone();
        let openai = providers.iter().find(|it| it["id"] == "openai");
        openai.expect("is listed")["custom_base_urls"].clone()
    };
    submit().await.refused(403, "custom_base_url_not_allowed");
    assert_eq!(told().await, false);
    world
        .settings(&root, json!({"custom_base_urls": true}))
        .await;
    assert_eq!(told().await, true);
    submit().await.expect(201);
    world
        .switch(&root, "openai", json!({"custom_base_urls": false}))
        .await;
    assert_eq!(told().await, false);
    let refused = submit().await.refused(403, "custom_base_url_not_allowed");
    let hint = refused["hint"].as_str().expect("a hint");
    assert!(hint.contains("the provider's switch"), "{hint}");
    assert_eq!(refused["details"]["provider"], "openai");
    world
        .settings(&root, json!({"custom_base_urls": false}))
        .await;
    world
        .switch(&root, "openai", json!({"custom_base_urls": true}))
        .await;
    assert_eq!(told().await, true);
    submit().await.expect(200);
}

#[tokio::test]
async fn api_keys_and_workspaces_end_where_the_plan_says() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let small = json!({"name": "Small", "rank": 0, "terms": {"monthly_credits": 1, "byok": true, "tiers": [],
        "limits": {"api_keys": 1, "workspaces": 1, "members": 1}}});
    world
        .put(&root.session, "/api/v1/admin/plans/small", small)
        .await
        .expect(201);
    let ann = world.person(&root, "ann").await;
    world.subscribe(&root, &ann, "small").await;
    world.api_key(&ann, &["workspace:read"]).await;
    let keys = format!("/api/v1/workspaces/{}/api-keys", ann.workspace);
    let body = json!({"name": "second", "scopes": ["workspace:read"]});
    let refused = world
        .post(&ann.session, &keys, body)
        .await
        .refused(402, "limit_exceeded");
    assert_eq!(refused["details"]["resource"], "api_keys");
    let body = json!({"name": "Second"});
    let refused = world.post(&ann.session, "/api/v1/workspaces", body).await;
    let refused = refused.refused(402, "limit_exceeded");
    assert_eq!(
        refused["details"],
        json!({"resource": "workspaces", "limit": 1, "used": 1})
    );
    let bob = world.person(&root, "bob").await;
    let invitations = format!("/api/v1/workspaces/{}/invitations", ann.workspace);
    let body = json!({"email": bob.email, "role": "member"});
    let refused = world.post(&ann.session, &invitations, body).await;
    let refused = refused.refused(402, "limit_exceeded");
    assert_eq!(refused["details"]["resource"], "members");
    let limits = world
        .get(&ann.session, "/api/v1/users/me/limits")
        .await
        .expect(200)
        .json();
    let used = json!([
        {"resource": "workspaces", "used": 1, "allowed": 1},
        {"resource": "members", "used": 1, "allowed": 1},
        {"resource": "api_keys", "used": 1, "allowed": 1},
        {"resource": "provider_keys", "used": 0, "allowed": null},
    ]);
    assert_eq!(limits["resources"], used);
    assert_eq!(
        (&limits["plan"], &limits["byok"]),
        (&json!("small"), &json!(true))
    );
    assert_eq!(limits["tiers"], json!(["level_1", "embeddings"]));
}

#[tokio::test]
async fn a_refused_probe_of_a_replacement_leaves_level_and_key_as_they_were() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "primary").await;
    let before = only(&world, &root).await;
    world.next_probe(ProbeFailure::Rejected(FailureKind::NoQuota));
    let body = json!({"provider": "openai", "key": OTHER_KEY, "level": 5});
    world
        .post(&root.session, &path(&root), body)
        .await
        .refused(422, "probe_failed");
    assert_eq!(only(&world, &root).await, before);
}
