//! `run --inject`: the provider key itself in a program's environment, and how little of it is anywhere else.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use domain::{Random, RandomError};
use serde_json::json;
use vault::OneTimeKey;

use crate::Fixture;
use crate::runtime::written;
use crate::sandbox::{elsewhere, shown};
use crate::tampering::sql;

/// Variables as a program finds them, in its directory, which is none that the search for leaked keys looks into.
const SHOW: &str = "tr '\\0' '\\n' < /proc/$$/environ > environ.new; mv environ.new environ";

impl Fixture {
    /// An instance and a workspace that release keys, with an OpenAI key and an API key that may have it released.
    pub(crate) async fn with_release(&self) -> (String, String) {
        self.allow_release().await;
        let key = self.canary.openai_key();
        self.workspace_key("openai", "mine", &key).await;
        let scopes = [
            "inference:invoke",
            "keys:write",
            "keys:release",
            "byok:read",
            "policy:read",
        ];
        let session = &self.owner.person.session;
        let workspace = &self.owner.workspace;
        let caller = self.app.api_key(session, workspace, &scopes).await;
        let api_key = caller.api_key().expect("it has one").to_owned();
        (key, api_key)
    }

    async fn allow_release(&self) {
        let session = &self.owner.person.session;
        let allowed = json!({"release_keys_allowed": true});
        session
            .patch("/api/v1/admin/settings", &allowed)
            .await
            .expect(200);
        session
            .patch(&self.path("/policy"), &json!({"release_keys": true}))
            .await
            .expect(200);
    }

    /// `keybearer run ...` with this API key.
    pub(crate) fn raw(
        &self,
        here: &Path,
        api_key: &str,
        options: &[&str],
        script: &str,
    ) -> Command {
        let arguments = [&["run"], options, &["--", "sh", "-c", script]].concat();
        let mut command = self.keybearer_in(here, &arguments);
        command.env("KEYBEARER_API_KEY", api_key);
        command
    }

    /// The rows of the workspace's audit log with this action and outcome.
    async fn releases(&self, outcome: &str) -> usize {
        let session = &self.owner.person.session;
        let page = session
            .get(&self.path("/audit?limit=100"))
            .await
            .expect(200);
        let rows = page.json()["data"].as_array().cloned().unwrap_or_default();
        let ours = |row: &&serde_json::Value| {
            row["action"] == "provider_key.release" && row["outcome"] == outcome
        };
        rows.iter().filter(ours).count()
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

fn pair() -> OneTimeKey {
    let random = Random::new(|buffer| aws_lc_rs::rand::fill(buffer).map_err(|_| RandomError));
    OneTimeKey::draw(&random).expect("random bytes")
}

/// T171, row 142.
#[tokio::test]
async fn a_program_holds_the_provider_key_and_nobody_else_sees_it() {
    let fixture = Fixture::start().await;
    let (key, api_key) = fixture.with_release().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let (one, other) = (elsewhere(), elsewhere());
    let script = format!("{SHOW}; echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done");
    let options = ["--sandbox", "--inject", "raw", "--lease", "3"];
    let mut first = fixture.raw(one.path(), &api_key, &options, &script);
    first.stdout(Stdio::null()).stderr(Stdio::piped());
    let first = first.spawn().expect("starts");
    let pid = written(&one.path().join("pid")).await;
    let pid = pid.trim();
    let lines = written(&one.path().join("environ")).await;
    let has = |name: &str| {
        let mut pairs = lines.lines().filter_map(|line| line.split_once('='));
        pairs.find_map(|(it, value)| (it == name).then_some(value))
    };
    assert_eq!(has("OPENAI_API_KEY"), Some(key.as_str()));
    assert_eq!(has("OPENAI_BASE_URL"), None);
    assert_eq!(has("OPENAI_API_BASE"), None);
    // The others are the gateway's.
    let gateways = has("ANTHROPIC_API_KEY").expect("a key of the gateway");
    assert!(gateways.starts_with("kb_") && !lines.contains(&api_key));
    assert_eq!(has("ANTHROPIC_BASE_URL"), Some(fixture.app.url().as_str()));

    // Not in an argument of anybody, and not in what its starter was started with.
    for entry in std::fs::read_dir("/proc").expect("reads").flatten() {
        for file in ["cmdline", "environ"] {
            let path = entry.path().join(file);
            let own = entry.file_name().to_string_lossy() == *pid || is_under(&entry.path(), pid);
            if own && file == "environ" {
                continue;
            }
            let text = std::fs::read(&path).unwrap_or_default();
            let found = text.windows(key.len()).any(|part| part == key.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
    // T171: another program of the same user in a sandbox cannot read it.
    let look = format!("cat /proc/{pid}/environ");
    for inject in ["broker", "raw"] {
        let options = ["--sandbox", "--inject", inject];
        let output = run(&mut fixture.raw(other.path(), &api_key, &options, &look));
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{}",
            shown(&output)
        );
    }
    // One that is in none can, which is what the documentation says.
    let output = run(&mut fixture.raw(other.path(), &api_key, &[], &look));
    assert!(output.status.success(), "{}", shown(&output));

    // The key is replaced under it: that is said, once.
    fixture
        .workspace_key("openai", "mine", &fixture.canary.openai_key())
        .await;
    let deadline = Instant::now() + Duration::from_secs(4);
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    std::fs::write(one.path().join("go"), "").expect("can be written");
    let ended = first.wait_with_output().expect("ends");
    let said = shown(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("neither metered nor"), "{said}");
    assert_eq!(said.matches("was replaced").count(), 1, "{said}");
    assert!(!said.contains(&key), "{said}");
    assert_eq!(fixture.releases("ok").await, 2);
    fixture.finish().await;
}

/// With `--end-with-key` a program does not outlive the provider key that it holds.
#[tokio::test]
async fn a_program_ends_when_its_provider_key_is_replaced_or_removed() {
    let fixture = Fixture::start().await;
    let (_, api_key) = fixture.with_release().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let here = elsewhere();
    let options = [
        "--sandbox",
        "--inject",
        "raw",
        "--lease",
        "3",
        "--end-with-key",
    ];
    let script =
        "trap 'echo asked > asked; exit 7' TERM; echo $$ > pid; while :; do sleep 0.05; done";
    let mut program = fixture.raw(here.path(), &api_key, &options, script);
    program.stdout(Stdio::null()).stderr(Stdio::piped());
    let program = program.spawn().expect("starts");
    written(&here.path().join("pid")).await;
    fixture
        .workspace_key("openai", "mine", &fixture.canary.openai_key())
        .await;
    let waited = tokio::task::spawn_blocking(move || program.wait_with_output());
    let ended = tokio::time::timeout(Duration::from_secs(20), waited).await;
    let ended = ended
        .expect("it is ended")
        .expect("no panic")
        .expect("ends");
    let said = shown(&ended);
    assert_eq!(ended.status.code(), Some(7), "{said}");
    assert!(
        said.contains("was replaced; the program is ended"),
        "{said}"
    );
    assert!(here.path().join("asked").exists());
    fixture.finish().await;
}

/// Whether a process is a child of `parent`, such as its `sleep`.
fn is_under(process: &Path, parent: &str) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let behind = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    behind.split_whitespace().nth(1) == Some(parent)
}

/// T171: without walls, or with some of them only, nothing is released.
#[tokio::test]
async fn a_provider_key_takes_a_whole_sandbox() {
    let fixture = Fixture::start().await;
    let (_, api_key) = fixture.with_release().await;
    let here = elsewhere();
    for options in [
        &["--inject", "raw"][..],
        &["--inject", "raw", "--sandbox=best-effort"],
    ] {
        let output = run(&mut fixture.raw(here.path(), &api_key, options, "echo ran"));
        let said = shown(&output);
        assert!(
            !output.status.success() && said.contains("--sandbox"),
            "{said}"
        );
        assert!(said.contains("hint:") && !said.contains("ran\n"), "{said}");
    }
    assert_eq!(fixture.releases("ok").await, 0);
    fixture.finish().await;
}

#[tokio::test]
async fn a_program_is_not_started_where_no_key_is_released() {
    let fixture = Fixture::start().await;
    let here = elsewhere();
    let options = ["--inject", "raw", "--sandbox"];
    let refused = |api_key: &str, text: &str| {
        let output = run(&mut fixture.raw(here.path(), api_key, &options, "echo ran"));
        let said = shown(&output);
        assert!(!output.status.success() && said.contains(text), "{said}");
        assert!(!said.contains("\nran\n"), "{said}");
    };
    // The first API key of an instance has no such scope.
    refused(&fixture.owner.api_key, "keys:release");
    let session = &fixture.owner.person.session;
    let scopes = ["inference:invoke", "keys:write", "keys:release"];
    let workspace = &fixture.owner.workspace;
    let caller = fixture.app.api_key(session, workspace, &scopes).await;
    let api_key = caller.api_key().expect("it has one").to_owned();
    refused(&api_key, "does not let provider keys out");
    fixture.allow_release().await;
    // The account's key is never the workspace's to hand out.
    fixture.with_openai_key().await;
    refused(&api_key, "no provider key that can be handed out");
    assert_eq!(fixture.releases("refused").await, 1);
    assert_eq!(fixture.releases("ok").await, 0);
    fixture.finish().await;
}

/// A box leaves with its audit row or not at all, on either engine.
#[tokio::test]
async fn no_audit_row_no_key() {
    let fixture = Fixture::start().await;
    let (key, api_key) = fixture.with_release().await;
    let caller = fixture
        .app
        .caller("the starter", testkit::app::Auth::Bearer(api_key));
    let path = fixture.path("/provider-keys/release");
    let ask = async || {
        let body = json!({"public_key": pair().public_key()});
        caller.post(&path, &body).await
    };
    let breaks = match fixture.app.engine() {
        testkit::app::Engine::Sqlite => &[
            "CREATE TRIGGER test_no_release BEFORE INSERT ON audit WHEN NEW.action = 'provider_key.release' \
             BEGIN SELECT RAISE(ABORT, 'full'); END",
        ][..],
        testkit::app::Engine::Postgres => &[
            "CREATE FUNCTION test_no_release() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'full'; END $$",
            "CREATE TRIGGER test_no_release BEFORE INSERT ON audit FOR EACH ROW \
             WHEN (NEW.action = 'provider_key.release') EXECUTE FUNCTION test_no_release()",
        ],
    };
    for statement in breaks {
        sql(&fixture.app, statement).await.expect("a trigger");
    }
    let reply = ask().await;
    assert!(reply.status >= 400, "{}", reply.text());
    assert!(!reply.text().contains("ciphertext_b64"), "{}", reply.text());
    let session = &fixture.owner.person.session;
    let listed = session
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200);
    assert!(listed.json()["data"][0]["last_released_at"].is_null());
    let undo = match fixture.app.engine() {
        testkit::app::Engine::Sqlite => "DROP TRIGGER test_no_release",
        testkit::app::Engine::Postgres => "DROP TRIGGER test_no_release ON audit",
    };
    sql(&fixture.app, undo).await.expect("it is there");
    let reply = ask().await.expect(200);
    assert_eq!(reply.json()["keys"].as_array().map(Vec::len), Some(1));
    assert!(!reply.text().contains(&key));
    assert_eq!(fixture.releases("ok").await, 1);
    let listed = session
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200);
    assert!(listed.json()["data"][0]["last_released_at"].is_string());
    fixture.finish().await;
}

#[tokio::test]
async fn nothing_is_injected_where_nothing_is_wanted() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let here = elsewhere();
    // No server is asked.
    let script = format!("{SHOW}; cat environ; exit 3");
    let mut command = fixture.raw(here.path(), "kb_wrong", &["--inject", "none"], &script);
    let output = run(&mut command);
    let said = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("PATH=") && !said.contains("_API_KEY"),
        "{said}"
    );
    assert!(!said.contains("BASE_URL"), "{said}");
    fixture.finish().await;
}
