//! The `/v1/byok` endpoints and the account's provider keys.

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};
use vault::seal;

use super::{As, KEY, OTHER_KEY, World, data};

const PUBKEY: &str = "/v1/byok/encryption-pubkey";
const KEYS: &str = "/v1/byok/keys";

async fn submission(world: &World, provider: &str, key: &str) -> Value {
    let raw = world.raw(provider, key).await;
    json!({"provider_name": provider, "kek_id": raw["kek_id"], "ciphertext_b64": raw["ciphertext_b64"]})
}

#[tokio::test]
async fn the_public_key_is_cacheable_by_its_id() {
    // T27
    let world = World::start().await;
    let answer = world.get(&As::Nobody, PUBKEY).await.expect(200);
    let body = answer.json();
    let names: Vec<_> = body.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["kek_id", "public_key"]);
    let public_key = base64::engine::general_purpose::STANDARD
        .decode(body["public_key"].as_str().expect("a text"))
        .expect("base64");
    let public_key: [u8; 32] = public_key.try_into().expect("32 bytes");
    assert_eq!(body["kek_id"], seal::kek_id(&public_key));
    let tag = format!("\"{}\"", body["kek_id"].as_str().expect("a text"));
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=300"));
    let ask = async |method: Method, condition: &str| {
        let mut request = World::request(&As::Nobody, method, PUBKEY, None);
        request
            .headers_mut()
            .insert("if-none-match", condition.parse().expect("a value"));
        world.send(request).await
    };
    for (condition, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        (tag.replace('"', ""), 200),
        ("\"00112233445566778899aabbccddeeff\"".to_owned(), 200),
        ("x".repeat(64 * 1024), 200),
        (String::new(), 200),
    ] {
        let answer = ask(Method::GET, &condition).await.expect(status);
        assert_eq!(answer.text.is_empty(), status == 304, "{condition}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.header("cache-control"), Some("private, max-age=300"));
    }
    let head = ask(Method::HEAD, "\"other\"").await.expect(200);
    assert!(head.text.is_empty());
    ask(Method::HEAD, &tag).await.expect(304);
}

#[tokio::test]
async fn the_byok_endpoints_store_list_and_remove() {
    let world = World::start().await;
    let (_, key) = world.set_up().await;
    assert_eq!(
        world.get(&key, KEYS).await.expect(200).json(),
        json!({"data": []})
    );
    let mut body = submission(&world, "openai", KEY).await;
    body["key_prefix"] = json!("sk-lie");
    let stored = world
        .post(&key, KEYS, body.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(stored["provider_name"], "openai");
    assert_eq!(stored["key_prefix"], "sk-t...mnop");
    assert_eq!(stored["kek_id"], body["kek_id"]);
    let again = submission(&world, "openai", OTHER_KEY).await;
    let again = world.post(&key, KEYS, again).await.expect(200).json();
    assert_eq!(again["created_at"], stored["created_at"]);
    let listed = data(world.get(&key, KEYS).await);
    let expected = json!([{
        "provider_name": "openai", "kek_id": body["kek_id"], "key_prefix": "sk-t...dcba", "label": "primary",
        "api_base": null, "created_at": stored["created_at"], "updated_at": again["updated_at"],
        "last_used_at": null, "last_failure_at": null, "last_failure_kind": null,
    }]);
    assert_eq!(json!(listed), expected);
    let path = format!("{KEYS}/openai");
    world
        .delete(&key, &format!("{path}?label=backup"))
        .await
        .refused(404, "not_found");
    world
        .delete(&key, &format!("{KEYS}/anthropic"))
        .await
        .refused(404, "not_found");
    assert_eq!(
        world.delete(&key, &path).await.expect(200).json(),
        json!({"deleted": true})
    );
    world.delete(&key, &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn they_act_on_the_account_of_the_caller_if_it_is_the_callers() {
    // C5, T96
    let world = World::start().await;
    let (root, key) = world.set_up().await;
    let guest = world.person(&root, "guest").await;
    world.join(&root, &guest, "admin").await;
    world
        .post(&key, KEYS, submission(&world, "openai", KEY).await)
        .await
        .expect(200);
    assert_eq!(data(world.get(&root.session, KEYS).await).len(), 1);
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let listed = data(world.get(&root.session, &account).await);
    assert_eq!(listed[0]["scope"], "account");
    // A guest's session means the guest's own account; a guest's API key, the host's, which is not the guest's.
    assert_eq!(
        data(world.get(&guest.session, KEYS).await),
        Vec::<Value>::new()
    );
    let mut inside = guest.clone();
    inside.workspace = root.workspace.clone();
    let guest_key = world.api_key(&inside, &["byok:read", "byok:write"]).await;
    world.get(&guest_key, KEYS).await.refused(404, "not_found");
    world
        .post(
            &guest_key,
            KEYS,
            submission(&world, "openai", OTHER_KEY).await,
        )
        .await
        .refused(404, "not_found");
    // The workspace's own list does not show the account's keys.
    let workspace = format!("/api/v1/workspaces/{}/provider-keys", root.workspace);
    assert_eq!(
        data(world.get(&root.session, &workspace).await),
        Vec::<Value>::new()
    );
    let reader = world.api_key(&root, &["byok:read"]).await;
    world.get(&reader, KEYS).await.expect(200);
    world
        .post(&reader, KEYS, submission(&world, "openai", OTHER_KEY).await)
        .await
        .refused(403, "permission_denied");
}

#[tokio::test]
async fn account_keys_are_changed_and_removed_by_id() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let path = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let stored = world
        .post(&root.session, &path, world.raw("anthropic", KEY).await)
        .await
        .expect(201)
        .json();
    let one = format!("{path}/{}", stored["id"].as_str().expect("an id"));
    let changed = world
        .patch(&root.session, &one, json!({"enabled": false}))
        .await
        .expect(200)
        .json();
    assert_eq!(changed["enabled"], false);
    let mut value = world.raw("anthropic", OTHER_KEY).await;
    value.as_object_mut().expect("an object").remove("provider");
    let replaced = world
        .put(&root.session, &one, value.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(replaced["id"], stored["id"]);
    assert_eq!(
        (&replaced["version"], &replaced["probed"]),
        (&json!(2), &json!(true))
    );
    let unknown = format!("{path}/pk_00000000000000000000000000");
    world
        .put(&root.session, &unknown, value)
        .await
        .refused(404, "not_found");
    world
        .patch(&root.session, &one, json!({"base_url": null}))
        .await
        .expect(200);
    world
        .patch(&root.session, &one, json!({"base_url": "x"}))
        .await
        .refused(409, "resubmit_key");
    world.delete(&root.session, &one).await.expect(204);
    assert_eq!(
        data(world.get(&root.session, &path).await),
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn the_registry_and_the_instance_are_public() {
    let world = World::start().await;
    let providers = data(world.get(&As::Nobody, "/v1/providers").await);
    let openai = providers
        .iter()
        .find(|provider| provider["id"] == "openai")
        .expect("listed");
    assert!(
        openai["base_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    );
    assert!(
        openai["key"]["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://"))
    );
    let instance = world
        .get(&As::Nobody, "/api/v1/instance")
        .await
        .expect(200)
        .json();
    assert_eq!(instance["deployment_id"], world.deployment.to_string());
    let document = world
        .get(&As::Nobody, "/openapi.json")
        .await
        .expect(200)
        .json();
    assert_eq!(document["openapi"], "3.1.0");
}
