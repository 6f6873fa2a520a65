//! `--json` on every command that there is: one document where it succeeds, one error where it does not. The commands are
//! asked of the command line itself, so a new one that is not here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::app::Exit;
use testkit::provider::wire::{TOKENS, chat, chat_error};

use crate::{Fixture, builder};

/// Commands whose result is not one document, and what it is instead; `docs/cli.md` says so. The errors of all are tested.
const OTHERS: [(&str, &str); 8] = [
    ("serve", "runs until it is ended"),
    ("local", "runs until it is ended; tested with local mode"),
    ("run", "prints what its program does"),
    ("launch", "prints what its program does"),
    ("workspace up", "prints what its programs do"),
    ("completions", "text for a shell"),
    ("man", "text for a reader of manual pages"),
    ("doctor", "a line for each thing that is looked at"),
];

/// A command as it was run: its arguments without `--json`, and what was typed.
type Row = (Vec<String>, String);

/// What was run of all that there is.
struct Sweep {
    fixture: Fixture,
    rows: BTreeMap<String, Row>,
}

/// The one document that was printed, and nothing beside it.
fn document(command: &str, exit: &Exit) -> Value {
    assert_eq!(exit.stderr, "", "{command}: remarks beside a document");
    assert_eq!(exit.stdout.matches('\n').count(), 1, "{command}: {exit}");
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{command}: {error}: {exit}"))
}

/// The one error that was printed, and no result.
fn error(command: &str, exit: &Exit) -> Value {
    assert_eq!(exit.stdout, "", "{command}: {exit}");
    let error: Value = serde_json::from_str(&exit.stderr)
        .unwrap_or_else(|error| panic!("{command}: {error}: {exit}"));
    let said = error["error"]["message"].as_str().unwrap_or_default();
    assert!(!said.is_empty(), "{command}: {error}");
    assert_eq!(
        error["error"]["exit_code"].as_i64(),
        exit.status.code().map(i64::from),
        "{command}: {error}"
    );
    error["error"].clone()
}

impl Sweep {
    /// Runs a command, which succeeds with a document.
    async fn with(&mut self, command: &str, rest: &[&str], typed: &str) -> Value {
        self.ending(0, command, rest, typed).await
    }

    async fn one(&mut self, command: &str, rest: &[&str]) -> Value {
        self.with(command, rest, "").await
    }

    async fn ending(&mut self, code: i32, command: &str, rest: &[&str], typed: &str) -> Value {
        // `--` ends the options.
        let words: Vec<&str> = std::iter::once("--json")
            .chain(command.split(' '))
            .chain(rest.iter().copied())
            .collect();
        let exit = self.fixture.app.run_with_input(&words, typed).await;
        assert_eq!(exit.status.code(), Some(code), "{command}: {exit}");
        let arguments = words.iter().map(|it| (*it).to_owned()).collect();
        self.rows
            .insert(command.to_owned(), (arguments, typed.to_owned()));
        document(command, &exit)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Everything that a person does with a server, in an order in which it works.
#[tokio::test]
async fn every_command_of_a_server_prints_one_document_and_one_error() {
    let mut fixture = Fixture::logged_in_as_owner().await;
    let reply = chat("gpt-4o", "# The sea", TOKENS);
    fixture.provider.on_path("/v1/chat/completions", reply);
    let dir = fixture.app.dir().join("made");
    std::fs::create_dir(&dir).expect("made");
    let file = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    let key = fixture.canary.openai_key();
    let typed = format!("{key}\n");
    let (owner, other) = (fixture.owner.person.clone(), fixture.owner.clone());
    let first = other.workspace.clone();
    let member = fixture.app.member(&fixture.owner).await;
    let leaver = fixture.app.member(&fixture.owner).await;
    let (url, api_key) = (fixture.app.url(), other.api_key.clone());
    fixture.app.builder_mut().set_env("KEYBEARER_URL", &url);
    let mut it = Sweep {
        fixture,
        rows: BTreeMap::new(),
    };

    it.one("whoami", &[]).await;
    it.one("api", &["GET", "/api/v1/me"]).await;
    it.one("workspace list", &[]).await;
    let second = it.one("workspace create", &["Second"]).await;
    let second = text(&second, "/id").to_owned();
    it.one("workspace use", &["Second"]).await;
    it.one("workspace rename", &["Renamed", "--workspace", &second])
        .await;
    it.one("workspace show", &[]).await;
    it.one("workspace use", &[&first]).await;
    it.ending(1, "workspace status", &[], "").await;

    it.with("keys add", &["openai"], &typed).await;
    it.with("keys rotate", &["openai"], &typed).await;
    it.one("keys disable", &["openai"]).await;
    it.one("keys enable", &["openai"]).await;
    it.one("keys change", &["openai", "--level", "2"]).await;
    it.one("keys order", &["openai", "primary"]).await;
    it.one("keys list", &[]).await;
    it.with("seal", &["openai"], &typed).await;
    let sealing = it.fixture.app.sealing_key(&it.fixture.owner.key).await;
    it.one("keys trust", &[&sealing.kek_id]).await;
    it.with("byok set", &["openai", "--label", "mine"], &typed)
        .await;
    it.one("byok list", &[]).await;
    it.one("byok delete", &["openai", "--label", "mine", "--yes"])
        .await;

    it.one("ai-config set", &["--mode", "byok"]).await;
    it.one("ai-config show", &[]).await;
    it.one("policy set", &["-F", "managed_on_failure=true"])
        .await;
    it.one("policy show", &[]).await;
    it.one("models", &[]).await;
    it.one("provider list", &[]).await;
    it.one("provider show", &["openai"]).await;
    it.one("resolve", &["openai/gpt-4o"]).await;
    it.one("setup", &["claude"]).await;
    it.one("env", &[]).await;

    let create = ["The sea.", "--model", "gpt-4o", "--wait"];
    let run = it.one("generation create", &create).await;
    let run = text(&run, "/id").to_owned();
    it.one("generation list", &[]).await;
    it.one("generation show", &[&run]).await;
    it.one("generation follow", &[&run]).await;
    it.one("generation options", &[]).await;
    it.one("generation share", &[&run, "workspace"]).await;
    it.one("generation export", &[&run]).await;
    it.one("generation delete", &[&run, "--yes"]).await;
    let slow = chat("gpt-4o", "# The sea", TOKENS).delay(std::time::Duration::from_secs(30));
    it.fixture.provider.on_path("/v1/chat/completions", slow);
    let run = it.one("generation create", &create[..3]).await;
    let run = text(&run, "/id").to_owned();
    it.one("generation cancel", &[&run]).await;
    let refused = chat_error(400, "bad", "no");
    it.fixture.provider.on_path("/v1/chat/completions", refused);
    it.one("generation retry", &[&run]).await;

    it.fixture.chat("gpt-4o").await;
    let calls = it.fixture.app.usage(&it.fixture.owner, 2).await;
    it.one("usage", &[]).await;
    it.one("usage summary", &[]).await;
    it.one("usage show", &[text(&calls[0], "/request_id")])
        .await;
    let exported = it.one("usage export", &[]).await;
    assert!(exported["data"][0]["request_id"].is_string(), "{exported}");
    it.one("status", &[]).await;
    it.one("credits", &[]).await;
    it.one("plan show", &[]).await;
    it.one("plan list", &[]).await;
    it.one("audit", &[]).await;
    it.one("keys remove", &["openai", "--yes"]).await;

    let script = file("script");
    std::fs::write(&script, "true\n").expect("written");
    it.one("script create", &["setup", "--file", &script]).await;
    it.one("script update", &["setup", "--order", "7"]).await;
    it.one("script list", &[]).await;
    it.one("script show", &["setup"]).await;
    it.one("service create", &["web", "--", "sleep", "1"]).await;
    it.one("service update", &["web", "--restart", "no"]).await;
    it.one("service list", &[]).await;
    it.one("service show", &["web"]).await;
    let units = file("units");
    it.one("workspace render", &["--compose", "--to", &units])
        .await;
    it.one("script delete", &["setup", "--yes"]).await;
    it.one("service delete", &["web", "--yes"]).await;

    let invited = it.one("member invite", &["new@example.com"]).await;
    let token = text(&invited, "/token").to_owned();
    let void = it.one("member invite", &["void@example.com"]).await;
    it.one("member invitations", &[]).await;
    it.one("member uninvite", &[text(&void, "/id")]).await;
    it.one("member list", &[]).await;
    it.one("member role", &[&member.email, "admin"]).await;
    it.one("member remove", &[&member.email, "--yes"]).await;
    let leave = ["--yes", "--workspace", &first, "--email", &leaver.email];
    let password = format!("{}\n", leaver.password);
    it.with("workspace leave", &leave, &password).await;
    it.one("workspace delete", &["--workspace", &second, "--yes"])
        .await;

    it.one("api-key create", &["ci"]).await;
    it.one("api-key list", &[]).await;
    it.one("api-key set-model", &["ci", "gpt-4o"]).await;
    it.one("api-key revoke", &["ci", "--yes"]).await;

    it.one("profile list", &[]).await;
    it.one("profile apply", &["bitrouter", "--yes"]).await;
    it.one("admin user list", &[]).await;
    let new = ["made@example.com"];
    it.with("admin user create", &new, "a long password\n")
        .await;
    it.one("admin user suspend", &["made@example.com", "--yes"])
        .await;
    it.one("admin user restore", &["made@example.com"]).await;
    it.one("admin user promote", &["made@example.com", "--yes"])
        .await;
    it.one("admin user demote", &["made@example.com", "--yes"])
        .await;
    let link = it
        .one("admin user password-link", &["made@example.com"])
        .await;
    let page = format!("/console/password#token={}", text(&link, "/token"));
    assert!(text(&link, "/url").ends_with(&page), "{link}");
    it.one("admin account list", &[]).await;
    it.one("admin account show", &[&other.account]).await;
    let grant = [&other.account, "5", "--reference", "r"];
    it.one("admin account grant", &grant).await;
    it.one("admin account set-plan", &[&other.account, "free"])
        .await;
    it.one("admin account set-rate", &[&other.account, "1.5"])
        .await;
    let terms = r#"{"name": "Team", "rank": 7, "terms": {"monthly_credits": 5, "byok": true, "tiers": []}}"#;
    it.with("admin plan set", &["team", "--input", "-"], terms)
        .await;
    it.one("admin plan list", &[]).await;
    it.one("admin plan delete", &["team", "--yes"]).await;
    it.one("admin settings set", &["-F", "audit_detail=minimal"])
        .await;
    it.one("admin settings show", &[]).await;
    it.one("admin provider list", &[]).await;
    it.one("admin provider models", &["openai"]).await;
    it.one("admin provider set", &["openai", "--byok", "false"])
        .await;
    it.one("admin health", &[]).await;
    it.one("admin sealing-key show", &[]).await;
    it.one("admin sealing-key rotate", &["--yes"]).await;

    for command in ["login approve", "login refuse"] {
        let asked = it.fixture.app.anonymous();
        let asked = asked
            .post(
                "/api/v1/device-logins",
                &serde_json::json!({"client": "a test"}),
            )
            .await
            .json();
        let code = text(&asked, "/user_code").to_owned();
        let yes: &[&str] = match command {
            "login approve" => &["--yes"],
            _ => &[],
        };
        it.one(command, &[&[code.as_str()][..], yes].concat()).await;
    }
    it.one("session list", &[]).await;
    let body = serde_json::json!({"email": owner.email, "password": owner.password});
    let made = it.fixture.app.anonymous();
    made.post("/api/v1/sessions", &body).await.expect(201);
    let sessions = it.one("session list", &[]).await;
    let sessions = sessions["data"].as_array().expect("sessions").iter();
    let mut others = sessions.filter(|it| it["current"] == false);
    let session = text(others.next().expect("another one"), "/id").to_owned();
    it.one("session end", &[&session]).await;
    let both = format!("{}\nquite another password\n", owner.password);
    it.with("password", &[], &both).await;
    it.one("logout", &[]).await;
    let joined = format!("{token}\na long password\n");
    it.with("join", &[], &joined).await;
    let login = ["--email", &owner.email];
    it.with("login", &login, "quite another password\n").await;
    let builder = it.fixture.app.builder_mut();
    builder.set_env("KEYBEARER_API_KEY", &api_key);
    it.one("api-key rotate", &[]).await;

    it.one("config validate", &[]).await;
    it.one("config show", &[]).await;

    // The same where no server answers: an error, as JSON, that says so.
    let of_server = it.rows.clone();
    let nowhere = "http://127.0.0.1:9";
    it.fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_URL", nowhere);
    let without_server = ["config validate", "config show", "setup", "logout"];
    for (command, (arguments, typed)) in of_server {
        if without_server.contains(&command.as_str()) {
            continue;
        }
        // A file of its own, so that what is there does not come first.
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let exit = it.fixture.app.run_with_input(&arguments, &typed).await;
        assert_eq!(exit.status.code(), Some(7), "{command}: {exit}");
        let error = error(&command, &exit);
        assert!(text(&error, "/message").contains(nowhere), "{error}");
    }
    let exit = it
        .fixture
        .app
        .run(&["--json", "logout", "--url", nowhere])
        .await;
    assert_eq!(exit.status.code(), Some(4), "{exit}");
    error("logout", &exit);

    let mut done: BTreeSet<String> = it.rows.into_keys().collect();
    done.extend(the_rest().await);
    done.extend(OTHERS.map(|(command, _)| command.to_owned()));
    let all: BTreeSet<String> = keybearer::cli::commands().into_iter().collect();
    let missing: Vec<_> = all.difference(&done).collect();
    assert!(missing.is_empty(), "not tried: {missing:?}");
    let gone: Vec<_> = done.difference(&all).collect();
    assert!(gone.is_empty(), "no commands: {gone:?}");
}

fn json<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--json"], arguments].concat()
}

/// What takes an instance of its own: a new one, one that does not run, and a local one.
async fn the_rest() -> Vec<String> {
    let mut app = builder().start().await;
    let url = app.url();
    app.builder_mut().set_env("KEYBEARER_URL", &url);
    let init = json(&["init", "--email", "first@example.com"]);
    let exit = app.run_with_input(&init, "a long password\n").await;
    assert!(exit.status.success(), "{exit}");
    document("init", &exit);
    // It left no session behind that nobody has: only that of the command that asks is there.
    let list = json(&["session", "list", "--email", "first@example.com"]);
    let sessions = app.run_with_input(&list, "a long password\n").await;
    let sessions = document("session list", &sessions);
    assert_eq!(
        sessions["data"].as_array().map(Vec::len),
        Some(1),
        "{sessions}"
    );
    let exit = app.run_with_input(&init, "a long password\n").await;
    error("init", &exit);
    app.terminate().await;
    let link = json(&["password-link", "--email", "first@example.com"]);
    document("password-link", &app.run(&link).await);
    let new = app.dir().join("new.key");
    let new = new.to_str().expect("UTF-8").to_owned();
    let rotate = json(&["root-key", "rotate", "--to", &new]);
    document("root-key rotate", &app.run(&rotate).await);
    // The old key is the one that is configured.
    error("password-link", &app.run(&link).await);
    let exit = app.run(&json(&["doctor"])).await;
    error("doctor", &exit);

    let local = builder().arguments(&["local"]).start().await;
    for arguments in [&["reload"][..], &["console"], &["local", "new-api-key"]] {
        let exit = local.run(&json(arguments)).await;
        assert!(exit.status.success(), "{exit}");
        document(arguments[0], &exit);
    }
    let exit = local.run(&json(&["doctor"])).await;
    assert!(exit.status.success(), "{exit}");
    for line in exit.stdout.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is a document");
        assert!(line["verdict"].is_string(), "{line}");
    }
    let names = [
        "init",
        "password-link",
        "root-key rotate",
        "reload",
        "console",
        "local new-api-key",
    ];
    names.map(str::to_owned).to_vec()
}

/// Wrong arguments, and nothing there to begin with.
#[test]
fn every_command_says_in_json_what_is_wrong_with_its_arguments() {
    let home = tempfile::tempdir().expect("a directory");
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keybearer"))
            .args(words)
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Exit {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    };
    let all = keybearer::cli::commands();
    assert!(all.len() > 100, "{}", all.len());
    for command in &all {
        let words: Vec<&str> = command.split(' ').collect();
        for wrong in [
            [&["--json"], &words[..], &["--no-such-option"]].concat(),
            [&words[..], &["--no-such-option", "--json"]].concat(),
        ] {
            let exit = run(&wrong);
            assert_eq!(exit.status.code(), Some(2), "{command}: {exit}");
            let error = error(command, &exit);
            assert!(
                text(&error, "/message").contains("--no-such-option"),
                "{error}"
            );
        }
    }
    for (words, code) in [
        (&["man", "fly"][..], 6),
        (&["doctor"], 6),
        (&["doctor", "--config", "missing.toml"], 1),
        (&["serve", "--config", "missing.toml"], 1),
        (&["local", "--config", "missing.toml"], 1),
        (&["config", "show", "--config", "missing.toml"], 1),
        (&["config", "validate", "--config", "missing.toml"], 1),
        (&["root-key", "rotate", "--to", "new.key"], 1),
        (&["reload"], 7),
        (&["console"], 7),
        (&["local", "new-api-key"], 7),
        (&["run", "--", "true"], 4),
        (&["launch", "claude"], 4),
        (&["workspace", "up"], 4),
        (&["env"], 4),
        (&["whoami"], 4),
        (&["logout"], 4),
        (&["setup", "claude"], 0),
    ] {
        let exit = run(&[&["--json"], words].concat());
        assert_eq!(exit.status.code(), Some(code), "{words:?}: {exit}");
        match code {
            0 => document(words[0], &exit),
            _ => error(words[0], &exit),
        };
    }
}
