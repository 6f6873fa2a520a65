//! Local mode: the keys of the environment, without an account, a database or a configuration file.

mod callers;
mod console;
mod examined;
mod found;
mod rotation;
mod socket;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::app::{Builder, Reply, TestApp};
use testkit::canary::Canary;
use testkit::provider::ScriptedProvider;

use crate::{chat, message};

/// A local instance whose providers are one scripted provider.
struct Local {
    app: TestApp,
    provider: ScriptedProvider,
    canary: Canary,
}

/// The model that each provider is asked for, and one that is not bundled.
const MODELS: [(&str, &str); 4] = [
    ("openai", "gpt-4o"),
    ("anthropic", "anthropic/claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
    ("my-provider", "my-provider/mine"),
];

/// A provider of the operator's own whose file declares no variable.
fn mine(provider: &ScriptedProvider) -> String {
    mine_at(&provider.url())
}

fn mine_at(url: &str) -> String {
    format!(
        "id = 'my-provider'\nname = 'Mine'\nbase_url = '{}'\nstatus = 'active'\nkind = 'third_party'\n\
         [payment]\nmodes = ['byok']\n[auth]\nheader = 'authorization'\nscheme = 'Bearer'\n\
         [key]\nurl = 'https://mine.example/keys'\n[[formats]]\nformat = 'openai_chat'\npath = '/v1/chat/completions'\n",
        url
    )
}

impl Local {
    async fn start_with(configure: impl FnOnce(Builder, &Canary) -> Builder) -> Self {
        let dir = tempfile::Builder::new().prefix("kb-test-").tempdir();
        Self::start_in(dir.expect("a temp dir"), configure).await
    }

    /// Starts in a directory that the test has prepared.
    async fn start_in(
        dir: tempfile::TempDir,
        configure: impl FnOnce(Builder, &Canary) -> Builder,
    ) -> Self {
        Self::start_binary_in(env!("CARGO_BIN_EXE_keybearer"), dir, configure).await
    }

    /// Starts something that starts the binary.
    async fn start_binary_in(
        binary: impl Into<PathBuf>,
        dir: tempfile::TempDir,
        configure: impl FnOnce(Builder, &Canary) -> Builder,
    ) -> Self {
        let provider = ScriptedProvider::start();
        let canary = Canary::new();
        let mut builder = TestApp::builder(binary).arguments(&["local"]);
        for id in ["openai", "anthropic", "google"] {
            builder = builder.provider(id, &provider);
        }
        let builder = builder.provider_text("my-provider", &mine(&provider));
        let app = configure(builder, &canary).try_start_in(dir).await;
        Self {
            app: app.unwrap_or_else(|exit| panic!("the binary did not start: {exit}")),
            provider,
            canary,
        }
    }

    /// A chat completion without any credential.
    async fn chat(&self, model: &str) -> Reply {
        let caller = self.app.anonymous();
        caller.post("/v1/chat/completions", &chat(model)).await
    }

    /// The key that the provider gets for a chat completion of `model`; else the variables that are named.
    async fn key_for(&self, model: &str) -> Result<String, Vec<String>> {
        let reply = self.chat(model).await;
        if reply.status == 200 {
            return Ok(self.provider.last().key().expect("a key").to_owned());
        }
        let reply = reply.expect_error(402, "byok_key_missing");
        Err(names(&reply.json()["error"]["variables"]))
    }

    /// The API key that the instance made for its owner.
    fn api_key(&self) -> String {
        let file = self.app.data_dir().join("local-api-key");
        let text = std::fs::read_to_string(file).expect("the API key's file");
        text.trim_end().to_owned()
    }

    /// Sends SIGHUP to the instance.
    fn hang_up(&self) {
        hang_up(self.app.pid());
    }

    /// Waits until the log says `text`.
    async fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.app.stderr().contains(text)).await;
    }

    /// A path under the owner's workspace, which the start prints.
    fn path(&self, rest: &str) -> String {
        let said = self.app.stdout();
        let (_, after) = said
            .split_once("KEYBEARER_WORKSPACE=")
            .expect("the workspace");
        let workspace = after.split_whitespace().next().expect("an id");
        format!("/api/v1/workspaces/{workspace}{rest}")
    }

    /// No key stands anywhere but in the environment that the test gave to the process.
    async fn finish(self) {
        let sweep = self.app.sweep(&self.canary).await;
        let hits: Vec<_> = sweep
            .hits()
            .iter()
            .filter(|hit| !hit.place.ends_with("/environ") && !hit.place.ends_with("/keys.env"))
            .map(ToString::to_string)
            .collect();
        assert!(hits.is_empty(), "{}", hits.join("\n"));
    }
}

fn names(value: &Value) -> Vec<String> {
    let names = value.as_array().map(Vec::as_slice).unwrap_or_default();
    names
        .iter()
        .map(|name| name.as_str().expect("text").to_owned())
        .collect()
}

/// Sends SIGHUP to a process that the test started.
pub(crate) fn hang_up(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(process.expect("a process id"), Signal::HUP).expect("the process is ours");
}

/// Waits until `done` holds. Panics after 20 seconds.
pub(crate) async fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited 20 s for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
