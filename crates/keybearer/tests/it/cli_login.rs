//! The command line as a client: what `login` keeps and to whom it shows it, how failures end, and where a provider
//! key never stands.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::app::Exit;
use testkit::provider::{Script, ScriptedProvider};

use crate::Fixture;
use crate::cli_shell::{lines, next};

const VARIABLES: [&str; 3] = ["KEYBEARER_URL", "KEYBEARER_API_KEY", "KEYBEARER_WORKSPACE"];

impl Fixture {
    /// An instance that the command line knows by a login only, with the owner's API key: the environment names nothing.
    pub(crate) async fn logged_in() -> Self {
        let fixture = Self::without_variables().await;
        let key = fixture.owner.api_key.clone();
        fixture.log_in(&["--with-key"], &key).await;
        fixture
    }

    /// The same, as the owner in person.
    pub(crate) async fn logged_in_as_owner() -> Self {
        let fixture = Self::without_variables().await;
        let person = fixture.owner.person.clone();
        fixture
            .log_in(&["--email", &person.email], &person.password)
            .await;
        fixture
    }

    async fn without_variables() -> Self {
        let mut fixture = Self::with_cli().await;
        for name in VARIABLES {
            fixture.app.builder_mut().remove_env(name);
        }
        fixture
    }

    async fn log_in(&self, how: &[&str], typed: &str) {
        let url = self.app.url();
        let arguments = [&["login", "--url", &url], how].concat();
        let typed = format!("{typed}\n");
        let exit = self.app.run_with_input(&arguments, &typed).await;
        assert!(exit.status.success(), "{exit}");
    }

    /// `keybearer ARGUMENTS --json`, which succeeds with one JSON document.
    pub(crate) async fn cli_json(&self, arguments: &[&str]) -> Value {
        let exit = self.cli(&[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {exit}"))
    }

    /// `keybearer ARGUMENTS`, which ends with this code.
    pub(crate) async fn cli_ends(&self, arguments: &[&str], code: i32) -> Exit {
        let exit = self.app.run(arguments).await;
        assert_eq!(exit.status.code(), Some(code), "{arguments:?}: {exit}");
        exit
    }

    pub(crate) fn logins_file(&self) -> std::path::PathBuf {
        self.app.dir().join(".config/keybearer/logins.json")
    }
}

#[tokio::test]
async fn an_api_key_is_kept_for_its_owner_alone_and_serves_the_commands_that_follow() {
    let fixture = Fixture::logged_in().await;
    let mode = fixture.logins_file().metadata().expect("the file");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let who = fixture.cli_json(&["whoami"]).await;
    assert_eq!(who["kind"], "api_key");
    assert_eq!(who["workspace_id"], fixture.owner.workspace.as_str());
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let keys = fixture.cli_json(&["keys", "list"]).await;
    assert_eq!(keys["data"][0]["provider"], "openai");
    // Somebody opened it to others: it is not used until it is closed again.
    let open = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(fixture.logins_file(), open).expect("chmod");
    fixture.cli_fails(&["whoami"], "chmod 600").await;
    let closed = PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(fixture.logins_file(), closed).expect("chmod");
    // What was not made by the login is not ended by logging out, and that is said.
    let out = fixture.cli(&["logout"]).await;
    assert!(out.says("still valid"), "{out}");
    let exit = fixture.cli_ends(&["whoami"], 4).await;
    assert!(exit.says("keybearer login"), "{exit}");
    let file = std::fs::read_to_string(fixture.logins_file()).expect("the file");
    assert!(!file.contains(&fixture.owner.api_key), "{file}");
    fixture.owner.key.get("/api/v1/whoami").await.expect(200);
    fixture.cli_ends(&["logout"], 4).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_persons_login_is_a_session_that_logging_out_ends_at_the_server() {
    let fixture = Fixture::logged_in_as_owner().await;
    let who = fixture.cli_json(&["whoami"]).await;
    assert_eq!(who["user"]["email"], fixture.owner.person.email.as_str());
    // What an API key may not do: the session acts as the person.
    fixture.cli_json(&["api", "GET", "/api/v1/me"]).await;
    fixture.cli_json(&["profile", "list"]).await;
    // The only workspace is the one that commands are about.
    fixture.cli_json(&["ai-config", "show"]).await;
    let kept = std::fs::read_to_string(fixture.logins_file()).expect("the file");
    let agents = async || {
        let sessions = fixture.owner.person.session.get("/api/v1/sessions").await;
        sessions.text().matches("keybearer/").count()
    };
    assert_eq!(agents().await, 1);
    fixture.cli(&["logout"]).await;
    assert_eq!(agents().await, 0);
    // Somebody who kept a copy of the file has nothing.
    std::fs::write(fixture.logins_file(), kept).expect("written");
    fixture.cli_ends(&["whoami"], 4).await;
}

#[tokio::test]
async fn a_login_is_refused_with_a_credential_that_the_server_does_not_know() {
    let fixture = Fixture::with_cli().await;
    let typo = format!("{}x\n", fixture.owner.api_key);
    let exit = fixture
        .app
        .run_with_input(&["login", "--with-key"], &typo)
        .await;
    assert!(
        !exit.status.success() && exit.says("typing error"),
        "{exit}"
    );
    assert!(!exit.says(&fixture.owner.api_key), "{exit}");
    let minted = json!({"name": "short", "scopes": ["inference:invoke"]});
    let session = &fixture.owner.person.session;
    let minted = session.post(&fixture.path("/api-keys"), &minted).await;
    let minted = minted.expect(201).json();
    let id = minted["id"].as_str().expect("an id");
    let path = fixture.path(&format!("/api-keys/{id}"));
    session.delete(&path).await.expect(204);
    let key = format!("{}\n", minted["key"].as_str().expect("the key"));
    let exit = fixture
        .app
        .run_with_input(&["login", "--with-key"], &key)
        .await;
    assert_eq!(exit.status.code(), Some(4), "{exit}");
    assert!(!fixture.logins_file().exists(), "nothing is kept");
}

#[tokio::test]
async fn a_credential_is_shown_to_the_server_that_was_logged_in_to_and_to_no_other() {
    let mut fixture = Fixture::logged_in().await;
    let elsewhere = ScriptedProvider::start();
    let other = elsewhere.address();
    for path in [
        format!("http://{other}/api/v1/me"),
        format!("//{other}/api/v1/me"),
        format!("/\\{other}/api/v1/me"),
        "https://example.com/".to_owned(),
    ] {
        fixture
            .cli_fails(&["api", "GET", &path], "leads to another server")
            .await;
    }
    // Its own whole address is fine.
    let own = format!("{}/api/v1/whoami", fixture.app.url());
    fixture.cli(&["api", "GET", &own]).await;
    // Another server by the environment gets nothing of the login.
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_URL", &elsewhere.url());
    let exit = fixture.cli_ends(&["whoami"], 4).await;
    assert!(exit.says("not logged in"), "{exit}");
    assert!(elsewhere.requests().is_empty());
    // T30: over plain HTTP to another machine nothing is sent at all.
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_URL", "http://192.0.2.1:4356");
    for arguments in [&["whoami"][..], &["keys", "add", "openai"]] {
        fixture.cli_fails(arguments, "not an https address").await;
    }
}

#[tokio::test]
async fn nothing_is_sealed_to_another_key_than_the_one_that_was_seen_first() {
    // T30
    let mut fixture = Fixture::logged_in().await;
    // Logging in pinned it, before anything was sealed.
    let file = std::fs::read_to_string(fixture.logins_file()).expect("the file");
    let kept: Value = serde_json::from_str(&file).expect("JSON");
    let first = fixture.app.sealing_key(&fixture.owner.key).await.kek_id;
    let pinned = &kept["servers"][fixture.app.url()]["sealing_key"];
    assert_eq!(pinned, first.as_str());
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let admin = &fixture.owner.person.session;
    let rotated = admin.post("/api/v1/sealing-key/rotate", &json!({})).await;
    let rotated = rotated.expect(200).json();
    let id = rotated["kek_id"].as_str().expect("an id");
    let probes = fixture.provider.requests().len();
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(
        !exit.status.success() && exit.says("nothing was sealed"),
        "{exit}"
    );
    assert!(exit.says(id), "{exit}");
    // What the suspect says of itself does not stand where it is pasted from.
    assert!(exit.says("keys trust FINGERPRINT"), "{exit}");
    assert!(!exit.says(&format!("trust {id}")), "{exit}");
    let (_, exit) = fixture.cli_add(&["openai", "--fingerprint", "0123"]).await;
    assert!(!exit.status.success(), "{exit}");
    assert_eq!(fixture.provider.requests().len(), probes);
    fixture
        .cli_fails(&["keys", "trust", "0123"], "fingerprint")
        .await;
    // Logging in again, which seals nothing, is no trust.
    let key = fixture.owner.api_key.clone();
    let url = fixture.app.url();
    let again = ["login", "--url", &url, "--with-key"];
    let exit = fixture
        .app
        .run_with_input(&again, &format!("{key}\n"))
        .await;
    assert!(
        exit.status.success() && exit.says("not the one that was seen first"),
        "{exit}"
    );
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(!exit.status.success(), "{exit}");
    // Who is logged out can trust: it takes the fingerprint and nothing else.
    fixture.cli(&["logout"]).await;
    fixture.app.builder_mut().set_env("KEYBEARER_URL", &url);
    // As `admin sealing-key show` prints it.
    let words = id
        .as_bytes()
        .chunks(4)
        .map(|it| str::from_utf8(it).expect("ASCII"));
    let trust: Vec<&str> = ["keys", "trust"].into_iter().chain(words).collect();
    fixture.cli(&trust).await;
    fixture.cli(&["keys", "trust", id]).await;
    let exit = fixture
        .app
        .run_with_input(&again, &format!("{key}\n"))
        .await;
    assert!(exit.status.success() && !exit.says("seen first"), "{exit}");
    let (key, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn failures_have_their_exit_codes_and_are_json_where_json_was_asked_for() {
    let mut fixture = Fixture::with_cli().await;
    fixture.cli_ends(&["nonsense"], 2).await;
    fixture
        .cli_ends(&["keys", "add", "openai", "sk-abc"], 2)
        .await;
    for wrong in [
        &["nonsense", "--json"][..],
        &["keys", "--json"],
        &["usage", "--since", "never", "--json"],
    ] {
        let exit = fixture.cli_ends(wrong, 2).await;
        let error: Value = serde_json::from_str(&exit.stderr).expect("nothing but JSON");
        assert_eq!(error["error"]["exit_code"], 2, "{exit}");
        assert_ne!(error["error"]["message"], "", "{exit}");
    }
    // What only the command itself can see of its arguments.
    for wrong in [
        &["ai-config", "set"][..],
        &["policy", "set"],
        &["keys", "change", "openai"],
        &["admin", "provider", "set", "openai"],
        &["profile", "apply", "UPPER"],
        &["api", "POST", "/x", "-F", "nothing"],
        &["api", "GET", "http://evil.example/x"],
        &["run", "--env", "lower=1", "--", "true"],
        &["run", "--inject", "raw", "--", "true"],
    ] {
        let exit = fixture.cli_ends(wrong, 2).await;
        assert!(exit.says("error: "), "{exit}");
    }
    fixture
        .cli_ends(&["workspace", "use", &fixture.owner.workspace.clone()], 4)
        .await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    fixture.cli_ends(&["keys", "remove", "openai"], 3).await;
    let denied = ["profile", "apply", "default", "--yes"];
    fixture.cli_ends(&denied, 5).await;
    let denied = ["profile", "list", "--json"];
    let exit = fixture.cli_ends(&denied, 5).await;
    let error: Value = serde_json::from_str(&exit.stderr).expect("nothing but JSON");
    assert_eq!(error["error"]["code"], "permission_denied");
    let missing = ["keys", "enable", "openai", "--label", "nowhere"];
    fixture.cli_ends(&missing, 6).await;
    let exit = fixture
        .cli_ends(&[&missing[..], &["--json"]].concat(), 6)
        .await;
    assert_eq!(exit.stdout, "");
    let error: Value = serde_json::from_str(&exit.stderr).expect("JSON");
    assert_eq!(error["error"]["exit_code"], 6);
    let provider = ["api", "GET", "/api/v1/no/such/thing", "--json"];
    let exit = fixture.cli_ends(&provider, 6).await;
    let error: Value = serde_json::from_str(&exit.stderr).expect("JSON");
    assert_eq!(error["error"]["code"], "not_found");
    // One in thirty-two ends with any letter.
    let (most, last) = fixture
        .owner
        .api_key
        .split_at(fixture.owner.api_key.len() - 1);
    let other = format!("{most}{}", if last == "x" { "y" } else { "x" });
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", &other);
    fixture.cli_ends(&["whoami"], 4).await;
    // As a file with more than the key in it would fill it.
    let two = format!("{other}\nsecond");
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &two);
    let exit = fixture.app.run(&["whoami"]).await;
    assert_eq!(exit.status.code(), Some(4), "{exit}");
    assert!(exit.says("KEYBEARER_API_KEY"), "{exit}");
    assert!(!exit.says(&other) && !exit.says("second"), "{exit}");
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", &other);
    fixture.app.terminate().await;
    fixture.cli_ends(&["whoami"], 7).await;
    fixture.finish().await;
}

/// Whoever gives a secret as an argument must not find it in a log besides.
#[tokio::test]
async fn a_secret_among_the_arguments_is_not_repeated() {
    let fixture = Fixture::with_cli().await;
    let key = fixture.canary.openai_key();
    for arguments in [
        &["keys", "add", "openai", &key][..],
        &["keys", "add", "openai", &format!("--key={key}")],
        &["ai-config", "set", "--key", &key],
        &["login", "--with-key", &key],
        &["login", &fixture.owner.api_key],
        &["login", "kbsetup_abcdefgh"],
        &["whoami", "0123456789abcdefghijklmnopqrstuvwxyz"],
        &["whoami", "aGVsbG8+d29ybGQ/MTIzNDU2Nzg5MCBhYmM="],
    ] {
        let exit = fixture.cli_ends(arguments, 2).await;
        let secret = arguments.last().expect("there is one");
        assert!(!exit.says(secret) && !exit.says(&key), "{exit}");
        let exit = fixture
            .cli_ends(&[arguments, &["--json"]].concat(), 2)
            .await;
        let error: Value = serde_json::from_str(&exit.stderr).expect("JSON");
        assert!(!exit.says(&key), "{exit}");
        assert_eq!(error["error"]["exit_code"], 2);
    }
    for word in [
        "primry",
        &fixture.owner.workspace,
        "claude-sonnet-4-5-20250929",
    ] {
        let add = ["keys", "add", "openai", word];
        let exit = fixture.cli_ends(&add, 2).await;
        assert!(exit.says(&format!("'{word}'")), "{exit}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn any_operation_can_be_called_and_secrets_are_no_arguments() {
    let fixture = Fixture::with_cli().await;
    let path = "/api/v1/workspaces/{workspace}";
    let renamed = ["api", "patch", path, "-F", "name=New name"];
    let shown: Value = serde_json::from_str(&fixture.cli(&renamed).await.stdout).expect("JSON");
    assert_eq!(shown["name"], "New name");
    let body = "{\"name\": \"From a file\"}";
    let input = ["api", "PATCH", path, "--input", "-"];
    let exit = fixture.app.run_with_input(&input, body).await;
    assert!(exit.status.success() && exit.says("From a file"), "{exit}");
    let text = ["api", "PATCH", path, "-F", "name=@-"];
    let exit = fixture.app.run_with_input(&text, "From a line\n").await;
    assert!(exit.status.success() && exit.says("From a line"), "{exit}");
    let keys = "/api/v1/workspaces/{workspace}/provider-keys";
    let plain = [
        "api",
        "POST",
        keys,
        "-F",
        "provider=openai",
        "-F",
        "key=abc",
    ];
    fixture.cli_fails(&plain, "is a secret").await;
    fixture.cli_ends(&["api", "BREW", "/"], 2).await;
    // A refusal is an error with the server's reason.
    let wrong = ["api", "PATCH", path, "-F", "name="];
    fixture.cli_fails(&wrong, "invalid_request").await;
}

#[tokio::test]
async fn a_sealed_submission_can_be_sent_by_somebody_else() {
    let fixture = Fixture::with_cli().await;
    let key = fixture.canary.openai_key();
    let exit = fixture
        .app
        .run_with_input(&["seal", "openai"], &format!("{key}\n"))
        .await;
    assert!(exit.status.success(), "{exit}");
    assert!(fixture.provider.requests().is_empty());
    let path = "/api/v1/workspaces/{workspace}/provider-keys";
    let send = ["api", "POST", path, "--input", "-"];
    let sent = fixture.app.run_with_input(&send, &exit.stdout).await;
    assert!(sent.status.success(), "{sent}");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    let again = fixture.app.run_with_input(&send, &exit.stdout).await;
    assert!(!again.status.success(), "a box is good once: {again}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_rotated_key_serves_in_the_place_of_the_old_one() {
    let fixture = Fixture::with_cli().await;
    let (old, exit) = fixture.cli_add(&["openai", "--level", "3"]).await;
    assert!(exit.status.success(), "{exit}");
    let new = fixture.canary.openai_key();
    let rotate = ["keys", "rotate", "openai"];
    let exit = fixture
        .app
        .run_with_input(&rotate, &format!("{new}\n"))
        .await;
    assert!(exit.status.success(), "{exit}");
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(new.as_str()));
    assert_ne!(old, new);
    let keys = fixture.cli_json(&["keys", "list"]).await;
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(keys["data"][0]["level"], 3);
    let missing = ["keys", "rotate", "openai", "--label", "nowhere"];
    fixture.cli_ends(&missing, 6).await;
    fixture.finish().await;
}

/// The processes that another one started and that still run.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("readable");
    let numbers = processes.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |process: &u32| {
        // One that ended in the meantime has none.
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.unwrap_or_default();
        status
            .lines()
            .any(|line| line == format!("PPid:\t{parent}"))
    };
    numbers.filter(is_child).collect()
}

#[tokio::test]
async fn a_provider_key_stands_in_no_argument_no_environment_and_no_file_while_it_is_added() {
    // T174
    let fixture = Fixture::with_cli().await;
    let key = fixture.canary.openai_key();
    let slow = Script::json(200, &json!({})).delay(Duration::from_secs(3));
    fixture.provider.always(slow);
    let home = fixture.app.dir().join("home");
    std::fs::create_dir(&home).expect("made");
    let mut child = Command::new(env!("CARGO_BIN_EXE_keybearer"))
        .args(["keys", "add", "openai"])
        .env_clear()
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("KEYBEARER_URL", fixture.app.url())
        .env("KEYBEARER_API_KEY", &fixture.owner.api_key)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut typed = child.stdin.take().expect("a pipe");
    writeln!(typed, "{key}").expect("written");
    drop(typed);
    // The server tries the key now: the command holds, or held, it.
    fixture.provider.wait_for_requests(1).await;
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    assert!(child.try_wait().expect("ours").is_none(), "still running");
    let process = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    let mut sweep = fixture.canary.sweep();
    let arguments = std::fs::read(process.join("cmdline")).expect("readable");
    assert!(arguments.starts_with(env!("CARGO_BIN_EXE_keybearer").as_bytes()));
    sweep.bytes("cmdline", &arguments);
    match std::fs::read(process.join("environ")) {
        Ok(environment) => {
            sweep.bytes("environ", &environment);
        }
        // The command hides it, from everybody.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    assert_eq!(children_of(child.id()), Vec::<u32>::new());
    assert!(children_of(std::process::id()).contains(&child.id()));
    sweep.path(&home);
    sweep.assert_clean();
    child.wait().expect("ended");
    fixture.finish().await;
}

#[tokio::test]
async fn a_machine_without_a_browser_is_logged_in_by_a_code_that_somebody_approves() {
    let fixture = Fixture::logged_in_as_owner().await;
    // Another machine, which knows the address alone.
    let elsewhere = fixture.app.dir().join("elsewhere");
    let on_the_other = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybearer"));
        command
            .args(arguments)
            .env_clear()
            .env("KEYBEARER_CONFIG_DIR", &elsewhere)
            .env("KEYBEARER_URL", fixture.app.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("started")
    };
    let code_of = |child: &mut std::process::Child| {
        let mut output = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        let code = line.trim().strip_prefix("Your code is ").expect("a code");
        let mut link = String::new();
        std::io::BufRead::read_line(&mut output, &mut link).expect("a line");
        let page = format!("{}/console/device?code={code}", fixture.app.url());
        assert!(link.trim().ends_with(&page), "{link}");
        // Kept open: the command goes on speaking.
        (code.to_owned(), output)
    };
    let mut child = on_the_other(&["login"]);
    let (code, mut output) = code_of(&mut child);
    // Nobody is asked here, so it takes --yes; what is shown is who asks.
    let exit = fixture.cli_ends(&["login", "approve", &code], 3).await;
    assert!(exit.stdout.contains("keybearer on "), "{exit}");
    fixture
        .cli_ends(&["login", "approve", "nothing/../x"], 6)
        .await;
    fixture
        .cli_ends(&["login", "approve", "BCDF-GHJK"], 6)
        .await;
    fixture.cli(&["login", "approve", &code, "--yes"]).await;
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).expect("text");
    assert!(child.wait().expect("ended").success(), "{rest}");
    assert!(rest.contains(&fixture.owner.person.email), "{rest}");
    let who = on_the_other(&["whoami", "--json"]).wait_with_output();
    let who: Value = serde_json::from_slice(&who.expect("ended").stdout).expect("JSON");
    assert_eq!(who["user"]["email"], fixture.owner.person.email.as_str());

    let mut child = on_the_other(&["login"]);
    let (code, _output) = code_of(&mut child);
    fixture.cli(&["login", "refuse", &code]).await;
    assert_eq!(child.wait().expect("ended").code(), Some(4));
}

#[tokio::test]
async fn enter_opens_the_page_in_a_browser_where_there_is_one() {
    let fixture = Fixture::logged_in_as_owner().await;
    let dir = fixture.app.dir();
    // Stands in for a browser.
    let browser = dir.join("browser");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.new\" && mv \"$0.new\" \"$0.opened\"\n";
    std::fs::write(&browser, script).expect("a script");
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).expect("chmod");
    let opened = dir.join("browser.opened");
    let log_in = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = fixture.on_terminal(&[&["login"], arguments].concat());
        command
            .env_remove("KEYBEARER_API_KEY")
            .env("KEYBEARER_CONFIG_DIR", dir.join("elsewhere"))
            .env("BROWSER", format!("{} --new", browser.display()))
            .env("DISPLAY", ":0")
            .envs(variables.iter().copied());
        let mut child = command.spawn().expect("script is installed");
        let lines = lines(&mut child);
        let code = next(&lines);
        let code = code.trim().strip_prefix("Your code is ").expect("a code");
        next(&lines);
        next(&lines);
        (child, lines, code.to_owned())
    };
    let asks = |lines: &std::sync::mpsc::Receiver<String>| {
        let line = lines.recv_timeout(Duration::from_secs(2));
        line.is_ok_and(|it| it.contains("Press Enter"))
    };

    let (mut child, lines, code) = log_in(&[], &[]);
    assert!(asks(&lines));
    assert!(!opened.exists());
    let input = child.stdin.as_mut().expect("a pipe");
    input.write_all(b"\n").expect("typed");
    let written = async || {
        while !opened.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written())
        .await
        .expect("it was opened");
    // Without the code, which everybody on the machine could read there.
    let page = format!("--new\n{}/console/device\n", fixture.app.url());
    let got = std::fs::read_to_string(&opened).expect("its arguments");
    assert_eq!(got, page);
    fixture.cli(&["login", "approve", &code, "--yes"]).await;
    assert!(child.wait().expect("ended").success());
    std::fs::remove_file(&opened).expect("removed");

    // Nobody has to press anything: it may be approved elsewhere.
    let (mut child, lines, code) = log_in(&[], &[]);
    assert!(asks(&lines));
    fixture.cli(&["login", "approve", &code, "--yes"]).await;
    assert!(child.wait().expect("ended").success());

    for (arguments, variables) in [
        (&["--no-browser"][..], &[][..]),
        (&["--json"], &[]),
        (&[], &[("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")]),
        (&[], &[("DISPLAY", "")]),
    ] {
        let (mut child, lines, code) = log_in(arguments, variables);
        assert!(!asks(&lines), "{arguments:?} {variables:?}");
        fixture.cli(&["login", "refuse", &code]).await;
        assert_eq!(child.wait().expect("ended").code(), Some(4));
    }
    assert!(!opened.exists());
}

/// RFC 8628, 3.5: who is told to slow down waits five seconds longer from then on.
#[tokio::test]
async fn a_log_in_that_is_told_to_slow_down_waits_longer() {
    let fixture = Fixture::without_variables().await;
    let server = ScriptedProvider::start();
    let in_an_hour = "2999-01-01T00:00:00Z";
    let begun = json!({
        "device_code": "kbd_x", "user_code": "BCDF-GHJK", "expires_at": in_an_hour, "interval_s": 1,
    });
    let problem = |code: &str| json!({ "code": code, "detail": "not yet" });
    server.next(Script::json(201, &begun));
    server.next(Script::json(400, &problem("slow_down")));
    server.next(Script::json(400, &problem("authorization_pending")));
    server.next(Script::json(401, &problem("invalid_device_code")));
    let since = std::time::Instant::now();
    let exit = fixture
        .cli_ends(&["login", "--url", &server.url()], 4)
        .await;
    assert!(exit.says("BCDF-GHJK"), "{exit}");
    assert_eq!(server.requests().len(), 4);
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(1 + 6 + 6), "{took:?}");
}
