//! What new workspaces of an account start with.

use domain::key::FailureKind;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{As, KEY, OTHER_KEY, Person, World, data, path};

const DEFAULTS: &str = "/api/v1/users/me/ai-defaults";
const MODE: &str = "/api/v1/users/me/ai-mode";

async fn put(world: &World, person: &Person, body: Value) -> Value {
    world
        .put(&person.session, DEFAULTS, body)
        .await
        .expect(200)
        .json()
}

/// A new workspace of the person, as if it were the only one.
async fn workspace(world: &World, person: &Person) -> Person {
    let body = json!({"name": "New"});
    let made = world
        .post(&person.session, "/api/v1/workspaces", body)
        .await;
    Person {
        workspace: made.expect(201).json()["id"]
            .as_str()
            .expect("an id")
            .to_owned(),
        ..person.clone()
    }
}

async fn config(world: &World, person: &Person) -> Value {
    let path = format!("/api/v1/workspaces/{}/ai-config", person.workspace);
    world.get(&person.session, &path).await.expect(200).json()
}

#[tokio::test]
async fn new_workspaces_start_with_the_defaults_and_old_ones_stay() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let fresh = world.get(&root.session, DEFAULTS).await.expect(200).json();
    assert_eq!(
        (&fresh["mode"], &fresh["provider"], &fresh["model"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let old = workspace(&world, &root).await;
    let before = config(&world, &old).await;
    world.pass_ms(1_000);
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY, "model": "gpt-4o"});
    let answer = world.put(&root.session, DEFAULTS, body).await.expect(200);
    assert!(!answer.text.contains(&KEY[4..20]), "{}", answer.text);
    assert_eq!(answer.json()["status"], "byok_active");
    let new = workspace(&world, &root).await;
    let shown = config(&world, &new).await;
    assert_eq!(
        (
            &shown["mode"],
            &shown["provider"],
            &shown["model"],
            &shown["status"]
        ),
        (
            &json!("auto"),
            &json!("openai"),
            &json!("gpt-4o"),
            &json!("byok_active")
        )
    );
    let keys = data(world.get(&new.session, &path(&new)).await);
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (&keys[0]["label"], &keys[0]["scope"]),
        (&json!("ai-config"), &json!("workspace"))
    );
    assert_eq!(
        (&keys[0]["mask"], &keys[0]["version"]),
        (&json!("sk-t...mnop"), &json!(1))
    );
    for one in [&old, &root] {
        assert_eq!(
            data(world.get(&one.session, &path(one)).await),
            Vec::<Value>::new()
        );
    }
    assert_eq!(config(&world, &old).await, before);
    // The template serves nobody and stands in no list.
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    assert_eq!(
        data(world.get(&root.session, &account).await),
        Vec::<Value>::new()
    );
    let explain = format!("/api/v1/workspaces/{}/resolve", old.workspace);
    let shown = world
        .post(&root.session, &explain, json!({"model": "gpt-4o"}))
        .await
        .json();
    assert_eq!(shown["refusal"]["code"], "byok_key_missing");

    // What the copy becomes is its own workspace's business.
    let second = workspace(&world, &root).await;
    let config_path = format!("/api/v1/workspaces/{}/ai-config", new.workspace);
    world
        .put(&root.session, &config_path, json!({"mode": "managed"}))
        .await
        .expect(200);
    assert_eq!(
        data(world.get(&new.session, &path(&new)).await),
        Vec::<Value>::new()
    );
    assert_eq!(config(&world, &second).await["status"], "byok_active");
    let third = workspace(&world, &root).await;
    assert_eq!(config(&world, &third).await["status"], "byok_active");
}

#[tokio::test]
async fn a_copied_key_is_the_same_key_under_the_workspaces_own_data_key() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    put(
        &world,
        &root,
        json!({"mode": "byok", "provider": "openai", "api_key": KEY}),
    )
    .await;
    let new = workspace(&world, &root).await;
    let id = new.workspace.parse().expect("an id");
    let owner = domain::KeyOwner::Workspace(id);
    let principal = world.principal(&root).await;
    let action = domain::access::Action::WriteProviderKeys;
    let store = &world.state.store;
    let scope = store
        .authorize_workspace(&principal, id, action)
        .await
        .expect("allowed");
    let keys = store.within(&scope).provider_keys();
    let copy = keys.list().await.expect("keys").remove(0);
    let data_key = keys.data_key().await.expect("answers").expect("a data key");
    assert_eq!((copy.context.owner, data_key.owner), (owner, owner));
    assert_eq!(copy.data_key, data_key.id);
    let opened = world
        .opener
        .open(&copy.envelope, &copy.context, &data_key)
        .await;
    let opened = opened.expect("opens");
    opened.expose(|bytes| assert!(bytes == KEY.as_bytes()));
}

#[tokio::test]
async fn what_is_left_out_stays_null_clears_and_the_key_goes_with_its_provider() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let key_of_new = async || {
        let new = workspace(&world, &root).await;
        let keys = data(world.get(&new.session, &path(&new)).await);
        let provider = keys.first().map(|key| key["provider"].clone());
        (keys.len(), provider.unwrap_or_default())
    };
    let stored = put(
        &world,
        &root,
        json!({"mode": "byok", "provider": "openai", "api_key": KEY}),
    )
    .await;
    assert_eq!(put(&world, &root, json!({})).await, stored);
    let shown = put(&world, &root, json!({"model": "gpt-4o"})).await;
    assert_eq!(
        (&shown["provider"], &shown["model"]),
        (&json!("openai"), &json!("gpt-4o"))
    );
    assert_eq!(key_of_new().await, (1, json!("openai")));
    put(&world, &root, json!({"api_key": null})).await;
    assert_eq!(key_of_new().await, (0, Value::Null));
    assert_eq!(
        world.get(&root.session, DEFAULTS).await.json()["status"],
        "invalid_missing_key"
    );
    put(&world, &root, json!({"api_key": OTHER_KEY})).await;
    put(&world, &root, json!({"provider": "anthropic"})).await;
    assert_eq!(key_of_new().await, (0, Value::Null));
    put(&world, &root, json!({"provider": "openai"})).await;
    assert_eq!(
        key_of_new().await,
        (0, Value::Null),
        "the key went with its provider"
    );
    put(&world, &root, json!({"api_key": KEY})).await;
    put(&world, &root, json!({"mode": "managed"})).await;
    put(&world, &root, json!({"mode": null})).await;
    assert_eq!(
        key_of_new().await,
        (0, Value::Null),
        "the key went with the mode managed"
    );
    for (body, field) in [
        (json!({"foo": 1}), "foo"),
        (json!({"mode": "managed", "api_key": KEY}), "api_key"),
        (json!({"provider": null, "api_key": KEY}), "provider"),
    ] {
        let refused = world
            .put(&root.session, DEFAULTS, body)
            .await
            .refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field);
    }
}

#[tokio::test]
async fn a_key_that_is_refused_changes_nothing() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let before = put(&world, &root, json!({"provider": "anthropic"})).await;
    world.next_probe(ProbeFailure::Rejected(FailureKind::InvalidKey));
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY});
    let refused = world.put(&root.session, DEFAULTS, body).await;
    refused.refused(422, "probe_failed");
    assert_eq!(world.get(&root.session, DEFAULTS).await.json(), before);
    world
        .settings(&root, json!({"submission": "sealed_only"}))
        .await;
    let body = json!({"mode": "auto", "provider": "openai", "api_key": KEY});
    let refused = world.put(&root.session, DEFAULTS, body).await;
    refused.refused(400, "sealed_submission_required");
    assert_eq!(world.get(&root.session, DEFAULTS).await.json(), before);
}

#[tokio::test]
async fn the_mode_is_the_accounts_or_the_instances_and_never_one_that_is_not_offered() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let mode = async || config(&world, &workspace(&world, &root).await).await["mode"].clone();
    assert_eq!(mode().await, "byok");
    world.platform_key(&root, "openai").await;
    assert_eq!(mode().await, "managed");
    let shown = world
        .put(&root.session, MODE, json!({"mode": "auto"}))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["mode"], "auto");
    assert_eq!(mode().await, "auto");
    world
        .settings(&root, json!({"modes": ["managed", "byok"]}))
        .await;
    assert_eq!(mode().await, "managed");
    let refused = world
        .put(&root.session, MODE, json!({"mode": "auto"}))
        .await;
    refused.refused(400, "mode_not_offered");
    for bad in [
        json!({}),
        json!({"mode": null}),
        json!({"mode": "x"}),
        json!({"mode": "byok", "x": 1}),
    ] {
        world
            .put(&root.session, MODE, bad)
            .await
            .refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn defaults_are_the_owners_and_of_keys_with_the_scope() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let member = world.person(&root, "member").await;
    world.join(&root, &member, "admin").await;
    put(&world, &root, json!({"model": "gpt-4o"})).await;
    let own = world
        .get(&member.session, DEFAULTS)
        .await
        .expect(200)
        .json();
    assert_eq!(
        own["model"],
        Value::Null,
        "everybody sees their own account's"
    );
    let inside = Person {
        workspace: root.workspace.clone(),
        ..member.clone()
    };
    let foreign = world.api_key(&inside, &["policy:read"]).await;
    world
        .get(&foreign, DEFAULTS)
        .await
        .refused(404, "not_found");
    let reader = world.api_key(&root, &["policy:read"]).await;
    assert_eq!(
        world.get(&reader, DEFAULTS).await.expect(200).json()["model"],
        "gpt-4o"
    );
    world
        .put(&reader, DEFAULTS, json!({}))
        .await
        .refused(403, "permission_denied");
    let writer = world.api_key(&root, &["policy:write"]).await;
    let short = "/api/users/me/ai-defaults";
    world
        .put(&writer, short, json!({"provider": "openai"}))
        .await
        .expect(200);
    let refused = world.put(&writer, short, json!({"api_key": KEY})).await;
    let refused = refused.refused(403, "permission_denied");
    assert_eq!(refused["details"]["needs"], "the scope byok:write");
    world
        .get(&As::Nobody, short)
        .await
        .refused(401, "authentication_required");
}

#[tokio::test]
async fn a_key_that_comes_or_goes_moves_the_moment_of_the_last_change() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let provider = json!({"mode": "byok", "provider": "openai"});
    put(&world, &root, provider).await;
    for body in [
        json!({"api_key": KEY}),
        json!({"api_key": OTHER_KEY}),
        json!({"api_key": null}),
        json!({"api_key": KEY}),
    ] {
        world.pass_ms(1_000);
        let now = world.state.sources.now().to_string();
        let shown = put(&world, &root, body.clone()).await;
        assert_eq!(shown["updated_at"], now, "{body}");
    }
    world.pass_ms(1_000);
    let last = put(&world, &root, json!({"api_key": null})).await["updated_at"].clone();
    world.pass_ms(1_000);
    let again = put(&world, &root, json!({"api_key": null})).await;
    assert_eq!(again["updated_at"], last, "there was nothing to remove");
}
