//! The running binary over HTTP: everything that users rely on, against a scripted provider.
//!
//! Runs on the engine that `KEYBEARER_TEST_DATABASE` names (`sqlite` unless told otherwise); `make test` runs it on
//! both. Every app that a test starts is searched for leaked keys at the end ([`Fixture::finish`]).

mod ai_config;
mod audit;
mod authz;
mod bad_input;
mod canary;
mod cli;
mod cli_json;
mod cli_login;
mod cli_resources;
mod cli_server;
mod cli_shell;
mod cli_terminal;
mod console;
mod console_pages;
mod crash;
mod credits;
mod data_plane;
mod destination;
mod edge;
mod hangup;
mod hedging;
mod kept;
mod key_order;
mod keys;
mod local;
mod memory;
mod model_names;
mod own_usage;
mod people;
mod plans;
mod profiles;
mod program_keys;
mod release;
mod replicas;
mod runtime;
mod sandbox;
mod services;
mod smuggling;
mod startup;
mod streaming;
mod studio;
mod tampering;
mod traced;
mod uploads;
mod usage_spool;
mod who_pays;

use serde_json::{Value, json};
use testkit::app::{Builder, Owner, Reply, TestApp};
use testkit::canary::Canary;
use testkit::provider::ScriptedProvider;

/// The binary under test.
fn builder() -> Builder {
    TestApp::builder(env!("CARGO_BIN_EXE_keybearer"))
}

/// A running instance whose OpenAI and Anthropic are one scripted provider, and its first user.
struct Fixture {
    app: TestApp,
    owner: Owner,
    provider: ScriptedProvider,
    canary: Canary,
}

impl Fixture {
    async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let provider = ScriptedProvider::start();
        let builder = builder()
            .provider("openai", &provider)
            .provider("anthropic", &provider);
        let app = configure(builder).start().await;
        let owner = app.setup().await;
        Self {
            app,
            owner,
            provider,
            canary: Canary::new(),
        }
    }

    /// Brings an OpenAI key for the owner's account and returns it.
    async fn with_openai_key(&self) -> String {
        let key = self.canary.openai_key();
        self.app
            .submit(&self.owner.key, "openai", &key)
            .await
            .expect(200);
        key
    }

    /// Brings an Anthropic key for the owner's account and returns it.
    async fn with_anthropic_key(&self) -> String {
        let key = self.canary.anthropic_key();
        self.app
            .submit(&self.owner.key, "anthropic", &key)
            .await
            .expect(200);
        key
    }

    /// Asks OpenAI's model `model` for a chat completion with the owner's API key.
    async fn chat(&self, model: &str) -> Reply {
        self.owner
            .key
            .post("/v1/chat/completions", &chat(model))
            .await
    }

    /// A path under the owner's workspace.
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/workspaces/{}{rest}", self.owner.workspace)
    }

    /// Submits a key to the owner's workspace, sealed (raw form).
    async fn workspace_key(&self, provider: &str, label: &str, key: &str) -> Value {
        let sealing_key = self.app.sealing_key(&self.owner.key).await;
        let body = json!({
            "provider": provider, "label": label, "kek_id": sealing_key.kek_id, "ciphertext_b64": sealing_key.seal_raw(key),
        });
        let reply = self
            .owner
            .person
            .session
            .post(&self.path("/provider-keys"), &body)
            .await;
        assert!(
            reply.status == 201 || reply.status == 200,
            "{}: {}",
            reply.status,
            reply.text()
        );
        reply.json()
    }

    /// No key that the test used stands anywhere.
    async fn finish(self) {
        self.app.assert_no_leak(&self.canary).await;
    }
}

/// The body of a chat completion.
fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Say hello."}]})
}

/// The same, asking for a stream.
fn chat_stream(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// The body of an Anthropic message.
fn message(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 16, "stream": stream, "messages": [{"role": "user", "content": "Say hello."}]})
}
