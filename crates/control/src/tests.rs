//! The control plane as a whole: its router over a real database and a real vault, with a scripted probe.

mod account;
mod ai_config;
mod ai_config_key;
mod ai_defaults;
mod api_keys;
mod authz;
mod boxes;
mod byok;
mod choice;
mod console_link;
mod device_logins;
mod doubles;
mod edge;
mod hands;
mod helping;
mod instance_keys;
mod key_rules;
mod keys;
mod matrix;
mod people;
mod plans;
mod platform_keys;
mod policy;
mod profiles;
mod release;
mod resolution;
mod runs;
mod sessions;
mod settings;
mod status;
mod submission;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use axum::response::Response;
use domain::{DeploymentId, KeyOwner, Secret};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use llm::registry::Registry;
use serde_json::{Value, json};
use store::Store;
use tempfile::TempDir;
use tower::ServiceExt as _;
use vault::kms::local::LocalKms;
use vault::seal::{BoxContext, seal_raw, seal_v1};
use vault::{KeyProbe, Root, RootKeySource};

use crate::{ControlConfig, ControlState, Peer};
use doubles::{Answer, ScriptedProbe, sources};

/// A provider key, long enough to have a mask.
const KEY: &str = "sk-test-0123456789abcdefghijklmnop";
/// Another one.
const OTHER_KEY: &str = "sk-test-zyxwvutsrqponmlkjihgfedcba";
/// Everybody's password.
const PASSWORD: &str = "correct horse battery";
/// When the tests begin.
const BEGIN_MS: i64 = 1_790_000_000_000;

/// One instance.
struct World {
    state: ControlState,
    router: axum::Router,
    probe: Arc<ScriptedProbe>,
    /// What the control plane itself does not have.
    opener: vault::Opener,
    now_ms: Arc<AtomicI64>,
    deployment: DeploymentId,
    _dir: TempDir,
}

/// Who calls.
#[derive(Clone, Debug)]
enum As {
    Nobody,
    Cookie(String),
    Key(String),
}

/// A person with everything that belongs to them.
#[derive(Clone, Debug)]
struct Person {
    id: String,
    email: String,
    account: String,
    workspace: String,
    session: As,
}

impl World {
    async fn start() -> Self {
        Self::with(ControlConfig::default()).await
    }

    async fn with(config: ControlConfig) -> Self {
        let registry = Registry::bundled().expect("the bundled registry");
        Self::with_registry(config, registry).await
    }

    async fn with_registry(config: ControlConfig, registry: Registry) -> Self {
        let dir = TempDir::new().expect("a directory");
        let now_ms = Arc::new(AtomicI64::new(BEGIN_MS));
        let sources = sources(&now_ms);
        let key_file = dir.path().join("keys/root.key");
        let root_key = RootKeySource::create_file(&key_file, &sources.random).expect("a root key");
        let kms = Arc::new(LocalKms::new(root_key, sources.random.clone()));
        let (root, record) = Root::create(kms, sources.clone()).await.expect("a root");
        let url = format!("sqlite://{}/kb.db", dir.path().display());
        let store = Store::open(&url).await.expect("a database");
        store
            .system()
            .insert_deployment(&record)
            .await
            .expect("stored");
        let probe = Arc::new(ScriptedProbe::default());
        let state = ControlState::new(
            config,
            store,
            root.intake(),
            root.rotator(),
            root.releaser(),
            root.hasher(),
            Arc::clone(&probe) as Arc<dyn KeyProbe>,
            Arc::new(doubles::NoModels),
            Arc::new(registry),
            sources,
            record.id,
        );
        crate::jobs::ensure_sealing_key(&state)
            .await
            .expect("a sealing key");
        Self {
            router: crate::router(state.clone(), axum::Router::new()),
            state,
            probe,
            opener: root.opener(),
            now_ms,
            deployment: record.id,
            _dir: dir,
        }
    }

    /// Moves the clock.
    fn pass_ms(&self, millis: i64) {
        self.now_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sends a request as it is.
    async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router is infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("bodies are UTF-8"),
        }
    }

    /// A request from this machine, as `caller`, with these headers on top.
    fn request(caller: &As, method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "kb.test");
        match caller {
            As::Nobody => {}
            As::Cookie(cookie) => request = request.header("cookie", cookie),
            As::Key(key) => request = request.header("authorization", format!("Bearer {key}")),
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).expect("a request");
        let peer = Peer(([127, 0, 0, 1], 50_000).into());
        request.extensions_mut().insert(peer);
        request
    }

    async fn get(&self, caller: &As, path: &str) -> Answer {
        self.send(Self::request(caller, Method::GET, path, None))
            .await
    }

    async fn post(&self, caller: &As, path: &str, body: Value) -> Answer {
        self.send(Self::request(caller, Method::POST, path, Some(&body)))
            .await
    }

    async fn patch(&self, caller: &As, path: &str, body: Value) -> Answer {
        self.send(Self::request(caller, Method::PATCH, path, Some(&body)))
            .await
    }

    async fn put(&self, caller: &As, path: &str, body: Value) -> Answer {
        self.send(Self::request(caller, Method::PUT, path, Some(&body)))
            .await
    }

    /// The tag of the state of what is there.
    async fn tag(&self, caller: &As, path: &str) -> String {
        let read = self.get(caller, path).await.expect(200);
        read.header("etag").expect("a tag").to_owned()
    }

    /// A change that is meant for the state with this tag.
    async fn change_if(
        &self,
        caller: &As,
        method: Method,
        path: &str,
        body: Value,
        tag: &str,
    ) -> Answer {
        let mut request = Self::request(caller, method, path, Some(&body));
        let tag = tag.parse().expect("a header's value");
        request.headers_mut().insert("if-match", tag);
        self.send(request).await
    }

    async fn delete(&self, caller: &As, path: &str) -> Answer {
        self.send(Self::request(caller, Method::DELETE, path, None))
            .await
    }

    /// The set-up credential of this start.
    async fn setup_token(&self) -> String {
        let offered = crate::auth::setup::offer(&self.state)
            .await
            .expect("the store answers");
        text(&offered.expect("there is no user yet"))
    }

    /// The first user, an instance admin, and the API key that set-up made.
    async fn set_up(&self) -> (Person, As) {
        let email = "root@example.test";
        let body = json!({"token": self.setup_token().await, "email": email, "password": PASSWORD});
        let answer = self
            .post(&As::Nobody, "/api/v1/setup", body)
            .await
            .expect(201);
        let session = answer.cookie();
        let body = answer.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let person = Person {
            id: text(&body["user"]["id"]),
            email: email.to_owned(),
            account: text(&body["account_id"]),
            workspace: text(&body["workspace_id"]),
            session,
        };
        (person, As::Key(text(&body["api_key"]["key"])))
    }

    /// A further person, created by the instance admin and logged in.
    async fn person(&self, root: &Person, name: &str) -> Person {
        let email = format!("{name}@example.test");
        let body = json!({"email": email, "password": PASSWORD});
        self.post(&root.session, "/api/v1/users", body.clone())
            .await
            .expect(201);
        let session = self
            .post(&As::Nobody, "/api/v1/sessions", body)
            .await
            .expect(201)
            .cookie();
        let me = self.get(&session, "/api/v1/me").await.expect(200).json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Person {
            id: text(&me["user"]["id"]),
            account: text(&me["user"]["account_id"]),
            workspace: text(&me["workspaces"][0]["id"]),
            email,
            session,
        }
    }

    /// Makes `guest` a member of `host`'s workspace.
    async fn join(&self, host: &Person, guest: &Person, role: &str) {
        let path = format!("/api/v1/workspaces/{}/invitations", host.workspace);
        let body = json!({"email": guest.email, "role": role});
        let invited = self
            .post(&host.session, &path, body)
            .await
            .expect(201)
            .json();
        let body = json!({"token": invited["token"]});
        self.post(&guest.session, "/api/v1/invitations/accept", body)
            .await
            .expect(200);
    }

    /// Mints an API key of the person's workspace.
    async fn api_key(&self, person: &Person, scopes: &[&str]) -> As {
        let path = format!("/api/v1/workspaces/{}/api-keys", person.workspace);
        let body = json!({"name": "a key", "scopes": scopes});
        let minted = self
            .post(&person.session, &path, body)
            .await
            .expect(201)
            .json();
        As::Key(minted["key"].as_str().expect("the key").to_owned())
    }

    /// The current sealing key: its id and public half.
    async fn sealing_key(&self) -> (String, [u8; 32]) {
        let record = self
            .state
            .store
            .system()
            .active_sealing_key()
            .await
            .expect("the store answers");
        let record = record.expect("there is a sealing key");
        (record.kek_id, record.public_key)
    }

    /// The body of a submission without its context.
    async fn raw(&self, provider: &str, key: &str) -> Value {
        let (kek_id, public_key) = self.sealing_key().await;
        let sealed = seal_raw(&public_key, &Secret::from_text(key.to_owned())).expect("seals");
        json!({"provider": provider, "kek_id": kek_id, "ciphertext_b64": sealed})
    }

    /// The body of a submission with its context inside the box.
    async fn boxed(&self, owner: &str, provider: &str, base_url: &str, key: &str) -> Value {
        let (kek_id, public_key) = self.sealing_key().await;
        let owner: KeyOwner = owner.parse().expect("an owner");
        let provider = provider.parse().expect("a provider id");
        let context = BoxContext {
            node: self.deployment,
            owner,
            provider: &provider,
            base_url,
            issued_at: self.state.sources.now(),
            jti: self.state.sources.random.bytes().expect("random bytes"),
        };
        let key = Secret::from_text(key.to_owned());
        let sealed = seal_v1(&public_key, &key, &context).expect("seals");
        json!({"provider": provider, "kek_id": kek_id, "ciphertext_b64": sealed})
    }

    /// The actions and outcomes in a workspace's audit log, oldest first.
    async fn audited(&self, person: &Person) -> Vec<(String, String)> {
        let path = format!("/api/v1/workspaces/{}/audit?limit=100", person.workspace);
        let rows = self.get(&person.session, &path).await.expect(200).json();
        let rows = rows["data"].as_array().expect("a list").iter().rev();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        rows.map(|row| (text(&row["action"]), text(&row["outcome"])))
            .collect()
    }
}

/// The list in an answer.
fn data(answer: Answer) -> Vec<Value> {
    answer.expect(200).json()["data"]
        .as_array()
        .expect("a list")
        .clone()
}

fn text(secret: &Secret) -> String {
    secret.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("credentials are ASCII"))
}

/// Where a person's workspace has its provider keys.
fn path(person: &Person) -> String {
    format!("/api/v1/workspaces/{}/provider-keys", person.workspace)
}

/// A body with another field or value.
fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}
