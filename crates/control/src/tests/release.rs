//! Handing a workspace's own keys out: who may, what leaves, and what stays.

use domain::{ProviderId, Timestamp};
use serde_json::{Value, json};
use vault::{OneTimeKey, ReleaseContext};

use super::{As, KEY, OTHER_KEY, Person, World, data, path, with};

impl World {
    fn pair(&self) -> OneTimeKey {
        OneTimeKey::draw(&self.state.sources.random).expect("random bytes")
    }

    /// An instance and a workspace that let keys out, with an OpenAI key.
    async fn with_release() -> (Self, Person) {
        let world = Self::start().await;
        let (root, _) = world.set_up().await;
        world
            .settings(&root, json!({"release_keys_allowed": true}))
            .await;
        world.allow(&root, true).await;
        world.own_key(&root, "openai", "mine").await;
        (world, root)
    }

    async fn allow(&self, person: &Person, on: bool) {
        let body = json!({ "release_keys": on });
        self.patch(&person.session, &policy(person), body)
            .await
            .expect(200);
    }

    /// The keys in the answer, opened: provider and key.
    fn opened(&self, person: &Person, pair: &OneTimeKey, answer: &Value) -> Vec<(String, String)> {
        let keys = answer["keys"].as_array().expect("a list");
        let open = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().expect("a text");
            let provider: ProviderId = text("provider").parse().expect("a provider id");
            let about = ReleaseContext {
                node: self.deployment,
                workspace: person.workspace.parse().expect("an id"),
                key: text("id").parse().expect("an id"),
                version: entry["version"].as_i64().expect("a number"),
                provider: &provider,
            };
            let key = pair.open(text("ciphertext_b64"), &about, self.state.sources.now());
            (provider.to_string(), super::text(&key.expect("it opens")))
        };
        keys.iter().map(open).collect()
    }

    /// How often something was done with the outcome in a workspace.
    async fn count(&self, person: &Person, outcome: &str) -> usize {
        let rows = self.audited(person).await;
        let ours = |row: &&(String, String)| row.0 == "provider_key.release" && row.1 == outcome;
        rows.iter().filter(ours).count()
    }
}

fn policy(person: &Person) -> String {
    format!("/api/v1/workspaces/{}/policy", person.workspace)
}

fn release(person: &Person) -> String {
    format!("{}/release", path(person))
}

#[tokio::test]
async fn a_key_leaves_sealed_with_its_audit_row_where_everybody_allows_it() {
    let (world, root) = World::with_release().await;
    let pair = world.pair();
    world.pass_ms(1000);
    let answer = world
        .post(
            &root.session,
            &release(&root),
            json!({"public_key": pair.public_key()}),
        )
        .await
        .expect(200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.text.contains(KEY) && !answer.text.contains(&KEY[8..]));
    let body = answer.json();
    assert_eq!(
        world.opened(&root, &pair, &body),
        [("openai".to_owned(), KEY.to_owned())]
    );
    assert_eq!(body["keys"][0]["variables"], json!(["OPENAI_API_KEY"]));
    assert_eq!(world.count(&root, "ok").await, 1);
    let shown = &data(world.get(&root.session, &path(&root)).await)[0];
    let now = Timestamp::from_millis(super::BEGIN_MS + 1000).to_string();
    assert_eq!(shown["last_released_at"], now.as_str());
    assert_eq!(shown["last_used_at"], now.as_str());

    // What is released of a value says nothing of the next one.
    let body = json!({"key": OTHER_KEY});
    let one = format!("{}/{}", path(&root), shown["id"].as_str().expect("an id"));
    world.put(&root.session, &one, body).await.expect(200);
    let shown = &data(world.get(&root.session, &path(&root)).await)[0];
    assert_eq!(shown["last_released_at"], Value::Null);
}

#[tokio::test]
async fn nothing_leaves_unless_the_instance_and_the_workspace_allow_it() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "mine").await;
    let ask = async || {
        let body = json!({"public_key": world.pair().public_key()});
        world.post(&root.session, &release(&root), body).await
    };
    ask().await.refused(403, "key_release_not_allowed");
    // A workspace cannot open what the instance keeps closed.
    world
        .patch(&root.session, &policy(&root), json!({"release_keys": true}))
        .await
        .refused(403, "key_release_not_allowed");
    world
        .settings(&root, json!({"release_keys_allowed": true}))
        .await;
    ask().await.refused(403, "key_release_not_allowed");
    world.allow(&root, true).await;
    ask().await.expect(200);
    // Either can close it again.
    world
        .settings(&root, json!({"release_keys_allowed": false}))
        .await;
    ask().await.refused(403, "key_release_not_allowed");
    world
        .settings(&root, json!({"release_keys_allowed": true}))
        .await;
    world.allow(&root, false).await;
    ask().await.refused(403, "key_release_not_allowed");
    world.allow(&root, true).await;
    let forbidden = json!({"byok": "forbidden"});
    world
        .patch(&root.session, &policy(&root), forbidden)
        .await
        .expect(200);
    ask().await.refused(403, "key_release_not_allowed");
    assert_eq!(world.count(&root, "ok").await, 1);
    assert_eq!(world.count(&root, "refused").await, 5);
    let changes = world.audited(&root).await;
    let switched = changes
        .iter()
        .filter(|row| row.0 == "policy.set_release_keys");
    assert_eq!(switched.count(), 3);
}

#[tokio::test]
async fn a_release_takes_the_role_or_the_scope_for_it() {
    // T93, T95
    let (world, root) = World::with_release().await;
    let body = json!({"public_key": world.pair().public_key()});
    let guest = world.person(&root, "guest").await;
    let path = release(&root);
    world
        .post(&guest.session, &path, body.clone())
        .await
        .refused(404, "not_found");
    world.join(&root, &guest, "member").await;
    world
        .post(&guest.session, &path, body.clone())
        .await
        .refused(403, "permission_denied");
    // Not even the right to write keys is the right to get them out.
    let all: Vec<&str> = domain::access::ApiScope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .filter(|scope| *scope != "keys:release")
        .collect();
    let without = world.api_key(&root, &all).await;
    world
        .post(&without, &path, body.clone())
        .await
        .refused(403, "permission_denied");
    // Nor the right to change who pays the right to open this.
    world.allow(&root, false).await;
    let open = json!({"release_keys": true});
    world
        .patch(&without, &policy(&root), open.clone())
        .await
        .refused(403, "permission_denied");
    world
        .patch(&without, &policy(&root), json!({"mode": "auto"}))
        .await
        .expect(200);
    let both = world
        .api_key(&root, &["policy:write", "keys:release"])
        .await;
    world.patch(&both, &policy(&root), open).await.expect(200);
    world.post(&both, &path, body.clone()).await.expect(200);
    // Who does not hold it cannot mint it.
    let minter = world.api_key(&root, &["keys:write"]).await;
    let keys = format!("/api/v1/workspaces/{}/api-keys", root.workspace);
    let wanted = json!({"name": "more", "scopes": ["keys:release"]});
    for caller in [&minter, &guest.session] {
        world
            .post(caller, &keys, wanted.clone())
            .await
            .refused(403, "scope_not_held");
    }
    assert_eq!(world.count(&root, "ok").await, 1);
}

#[tokio::test]
async fn only_keys_of_the_workspace_that_serve_at_their_provider_leave() {
    let (world, root) = World::with_release().await;
    let account = format!("/api/v1/accounts/{}/provider-keys", root.account);
    let body = json!({"provider": "anthropic", "key": OTHER_KEY});
    world.post(&root.session, &account, body).await.expect(201);
    world.platform_key(&root, "mistral").await;
    let ask = async |providers: Value| {
        let pair = world.pair();
        let mut body = json!({"public_key": pair.public_key()});
        if !providers.is_null() {
            body["providers"] = providers;
        }
        let answer = world.post(&root.session, &release(&root), body).await;
        let answer = answer.expect(200).json();
        let opened = world.opened(&root, &pair, &answer);
        opened
            .into_iter()
            .map(|(provider, _)| provider)
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(Value::Null).await, ["openai"]);
    assert!(ask(json!(["anthropic", "mistral"])).await.is_empty());
    assert_eq!(ask(json!(["openai"])).await, ["openai"]);
    // A paused key stays; so does one whose provider is switched off.
    let id = data(world.get(&root.session, &path(&root)).await)[0]["id"].clone();
    let one = format!("{}/{}", path(&root), id.as_str().expect("an id"));
    for (enabled, count) in [(false, 0), (true, 1)] {
        let body = json!({ "enabled": enabled });
        world.patch(&root.session, &one, body).await.expect(200);
        assert_eq!(ask(Value::Null).await.len(), count);
    }
    world.switch(&root, "openai", json!({"byok": false})).await;
    assert!(ask(Value::Null).await.is_empty());
    let body = json!({"public_key": world.pair().public_key(), "providers": ["opnai"]});
    world
        .post(&root.session, &release(&root), body)
        .await
        .refused(400, "unknown_provider");
}

#[tokio::test]
async fn a_key_with_a_base_url_of_its_own_stays() {
    let config = crate::ControlConfig {
        custom_base_urls: true,
        ..crate::ControlConfig::default()
    };
    let world = World::with(config).await;
    let (root, _) = world.set_up().await;
    world
        .settings(&root, json!({"release_keys_allowed": true}))
        .await;
    world.allow(&root, true).await;
    let elsewhere = "https://proxy.example.com/v1";
    let body = world.boxed(&root.workspace, "openai", elsewhere, KEY).await;
    let body = with(&body, "base_url", json!(elsewhere));
    world
        .post(&root.session, &path(&root), body)
        .await
        .expect(201);
    let body = json!({"public_key": world.pair().public_key()});
    let answer = world.post(&root.session, &release(&root), body).await;
    let answer = answer.expect(200).json();
    assert_eq!(answer["keys"], json!([]));
    assert_eq!(
        answer["withheld"],
        json!([{"provider": "openai", "reason": "custom_base_url"}])
    );
    assert_eq!(world.count(&root, "ok").await, 0);
}

#[tokio::test]
async fn a_recipient_to_whom_anybody_could_open_is_refused() {
    let (world, root) = World::with_release().await;
    let low_order = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for bad in ["", "AAAA", low_order] {
        let answer = world
            .post(&root.session, &release(&root), json!({"public_key": bad}))
            .await
            .refused(400, "invalid_request");
        assert_eq!(answer["details"]["field"], "public_key", "{bad}");
    }
    assert_eq!(world.count(&root, "ok").await, 0);
}

#[tokio::test]
async fn a_key_leaves_only_where_nobody_can_change_the_request_on_its_way() {
    let (world, root) = World::with_release().await;
    let body = json!({"public_key": world.pair().public_key()});
    let mut request = World::request(
        &root.session,
        http::Method::POST,
        &release(&root),
        Some(&body),
    );
    let peer = crate::Peer(([192, 0, 2, 1], 50_000).into());
    request.extensions_mut().insert(peer);
    let answer = world.send(request).await;
    answer.refused(403, "key_release_not_allowed");
    assert_eq!(world.count(&root, "ok").await, 0);
}

#[tokio::test]
async fn releases_are_bounded_for_each_workspace() {
    // T90
    let (world, root) = World::with_release().await;
    let ask = async || {
        let body = json!({"public_key": world.pair().public_key(), "providers": []});
        world.post(&root.session, &release(&root), body).await
    };
    for _ in 0..100 {
        ask().await.expect(200);
    }
    ask().await.refused(429, "too_many_attempts");
    world.pass_ms(15 * 60 * 1000);
    ask().await.expect(200);
}

#[tokio::test]
async fn the_first_key_cannot_release() {
    let world = World::start().await;
    let (root, key) = world.set_up().await;
    assert!(matches!(key, As::Key(_)));
    let body = json!({"public_key": world.pair().public_key()});
    world
        .post(&key, &release(&root), body)
        .await
        .refused(403, "permission_denied");
}
