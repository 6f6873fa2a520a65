//! The command line before servers that answer otherwise than they should, and before several of them.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::app::TestApp;
use testkit::provider::{Script, ScriptedProvider};

use crate::Fixture;
use crate::cli_shell::{lines, next, seen};

const WORKSPACE: &str = "ws_00000000000000000000000000";

impl Fixture {
    /// The same command line, to which another server is named.
    fn pointed_at(&mut self, server: &ScriptedProvider) {
        let builder = self.app.builder_mut();
        builder.set_env("KEYBEARER_URL", &server.url());
        builder.set_env("KEYBEARER_WORKSPACE", WORKSPACE);
    }
}

fn list(data: Value, next: Option<&str>) -> Script {
    Script::json(200, &json!({ "data": data, "next": next }))
}

#[tokio::test]
async fn what_is_no_answer_of_a_keybearer_is_an_error_and_not_an_empty_result() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let elsewhere = ScriptedProvider::start();
    let page = || Script::text(200, "text/html", "<html>log in first</html>");
    let cases = [
        (page(), "not in JSON"),
        (
            Script::json(200, &json!({"data": [{"id": "x"}]})).cut_after(80),
            "broke off",
        ),
        (Script::json(200, &json!({"answer": 42})), "without a list"),
        (Script::status(200), "without a list"),
        (
            Script::redirect(302, &format!("{}/api", elsewhere.url())),
            "redirect (302)",
        ),
        (Script::hang_up(), "no answer from"),
    ];
    for (script, said) in cases {
        server.always(script);
        for command in [
            &["usage"][..],
            &["member", "list"],
            &["keys", "list"],
            &["provider", "list"],
        ] {
            let exit = fixture.cli_ends(command, 7).await;
            assert!(exit.says(said), "{command:?}: {exit}");
            assert_eq!(exit.stdout, "", "{command:?}");
        }
    }
    server.always(page());
    fixture.cli_ends(&["workspace", "show"], 7).await;
    assert!(elsewhere.requests().is_empty(), "no redirect is followed");
    // An answer without a body is one.
    server.always(Script::status(204));
    fixture
        .cli(&["member", "uninvite", "inv_00000000000000000000000000"])
        .await;
    let answer = fixture
        .cli_json(&["api", "DELETE", "/api/v1/sessions/current"])
        .await;
    assert_eq!(answer, Value::Null);
}

#[tokio::test]
async fn an_address_with_a_path_is_refused_before_anything_is_sent() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    for rest in ["/keybearer", "/?x=1", "/#x"] {
        let url = format!("{}{rest}", server.url());
        fixture.app.builder_mut().set_env("KEYBEARER_URL", &url);
        fixture
            .cli_fails(&["whoami"], "scheme, host and port only")
            .await;
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_session_is_found_among_the_cookies_of_others() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let session = Script::json(200, &json!({}))
        .header("set-cookie", "balancer=1; Path=/")
        .header(
            "set-cookie",
            "__Host-keybearer_session=kbs_ours; Path=/; Secure",
        );
    server.on_path("/api/v1/sessions", session);
    server.on_path("/api/v1/whoami", Script::json(200, &json!({"kind": "x"})));
    server.on_path("/api/v1/sessions/current", Script::status(204));
    let whoami = ["whoami", "--email", "a@example.com"];
    let exit = fixture.app.run_with_input(&whoami, "a password\n").await;
    assert!(exit.status.success(), "{exit}");
    let last = server.last();
    assert_eq!(
        (last.method.as_str(), last.path(), last.header("cookie")),
        (
            "DELETE",
            "/api/v1/sessions/current",
            Some("__Host-keybearer_session=kbs_ours")
        )
    );
}

#[tokio::test]
async fn what_others_wrote_does_nothing_to_the_terminal() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let evil = "evil\u{1b}[2J\u{9b}2J\u{202e}name";
    server.always(list(json!([{"id": "x", "name": evil}]), None));
    let harmless = "evil\u{fffd}[2J\u{fffd}2J\u{fffd}name";
    let shown = fixture.cli(&["api-key", "list"]).await.stdout;
    assert!(shown.contains(harmless), "{shown:?}");
    for command in [
        &["api-key", "list"][..],
        &["api", "GET", "/api/v1/x"],
        &["api", "GET", "/api/v1/x", "--json"],
        &["api", "GET", "/api/v1/text"],
    ] {
        let text = Script::text(200, "text/plain", format!("a\tb\n{evil}\n"));
        server.on_path("/api/v1/text", text);
        let mut terminal = fixture.on_terminal(command);
        terminal
            .env("KEYBEARER_URL", server.url())
            .env("KEYBEARER_WORKSPACE", WORKSPACE)
            .env("NO_COLOR", "1");
        let (code, text) = seen(terminal, "");
        assert_eq!(code, Some(0), "{text:?}");
        for bad in ['\u{1b}', '\u{9b}', '\u{202e}'] {
            assert!(!text.contains(bad), "{command:?}: {text:?}");
        }
        assert!(text.contains("evil"), "{text:?}");
    }
    // Also where calls are exported: their models are what callers wrote.
    let csv = Script::text(200, "text/csv", format!("at,model\r\n1,{evil}\r\n"));
    server.on_path(&format!("/api/v1/workspaces/{WORKSPACE}/usage.csv"), csv);
    let mut terminal = fixture.on_terminal(&["usage", "export"]);
    terminal
        .env("KEYBEARER_URL", server.url())
        .env("KEYBEARER_WORKSPACE", WORKSPACE);
    let (code, text) = seen(terminal, "");
    assert_eq!(code, Some(0), "{text:?}");
    assert!(text.contains(harmless), "{text:?}");
    // For a program the bytes are the server's.
    let raw = fixture.cli(&["api", "GET", "/api/v1/text"]).await.stdout;
    assert_eq!(raw, format!("a\tb\n{evil}\n"));
}

#[tokio::test]
async fn a_change_of_settings_gives_way_to_one_of_the_same_setting_only() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let state = |tag: &str, a: i64, b: i64| {
        Script::json(200, &json!({"a": a, "b": b})).header("etag", &format!("\"{tag}\""))
    };
    let stale = || Script::json(412, &json!({"code": "precondition_failed", "detail": "x"}));
    let set = ["admin", "settings", "set", "-F", "a=9"];
    // Somebody changes another setting in between: it is tried again over the new state.
    server
        .next(state("one", 1, 1))
        .next(stale())
        .next(state("two", 1, 2))
        .next(state("three", 9, 2));
    let exit = fixture.cli(&set).await;
    assert!(exit.says("a was 1"), "{exit}");
    assert!(!exit.says("b was"), "{exit}");
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|it| it.header("if-match").map(str::to_owned))
        .collect();
    let tag = |it: &str| Some(format!("\"{it}\""));
    assert_eq!(sent, [None, tag("one"), None, tag("two")]);
    assert_eq!(server.last().json(), json!({"a": 9}));
    // The same setting: it stays as somebody else wants it.
    server
        .reset()
        .next(state("one", 1, 1))
        .next(stale())
        .next(state("two", 5, 1));
    let exit = fixture.cli_ends(&set, 1).await;
    assert!(exit.says("nothing was changed"), "{exit}");
    assert_eq!(server.requests().len(), 3);
    // An API key that may write and not read.
    server
        .reset()
        .next(Script::json(403, &json!({"code": "permission_denied"})))
        .next(state("one", 9, 1));
    let exit = fixture.cli(&set).await;
    assert!(exit.says("may not read the settings"), "{exit}");
    assert_eq!(server.last().header("if-match"), None);
}

#[tokio::test]
async fn a_workspaces_documents_are_changed_from_what_was_read() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let state = |tag: &str, model: &str| {
        let document = json!({"model": model, "mode": "byok", "workspace_id": WORKSPACE});
        Script::json(200, &document).header("etag", &format!("\"{tag}\""))
    };
    let stale = || Script::json(412, &json!({"code": "precondition_failed", "detail": "x"}));
    let here = ["--workspace", WORKSPACE];
    for (set, what) in [
        (&["policy", "set", "-F", "model=b"][..], "the policy"),
        (&["ai-config", "set", "--model", "b"], "the AI config"),
        (
            &["ai-config", "set", "--model", "b", "--defaults"],
            "the defaults",
        ),
    ] {
        let set = match set.contains(&"--defaults") {
            true => set.to_vec(),
            false => [set, &here].concat(),
        };
        server
            .reset()
            .next(state("one", "a"))
            .next(state("two", "b"));
        let exit = fixture.cli(&set).await;
        assert!(exit.says("model was \"a\""), "{exit}");
        assert_eq!(server.last().header("if-match"), Some("\"one\""));
        assert_eq!(server.last().json(), json!({"model": "b"}));
        // Somebody else gave it another one in between.
        server
            .reset()
            .next(state("one", "a"))
            .next(stale())
            .next(state("two", "c"));
        let exit = fixture.cli_ends(&set, 1).await;
        let says = format!("somebody else changed {what} in the meantime; nothing was changed");
        assert!(exit.says(&says), "{exit}");
        assert_eq!(server.requests().len(), 3);
    }
    // Nobody sees whether a key is still the one that was there, and what was asked about is in the state that was read first.
    let held = json!([{"label": "ai-config", "provider": "openai", "mask": "sk-...1"}]);
    for change in [
        &["--clear-key"][..],
        &["--mode", "managed"],
        &["--provider", "anthropic"],
    ] {
        server
            .reset()
            .next(state("one", "a"))
            .next(list(held.clone(), None))
            .next(stale());
        let set = [&["ai-config", "set", "--yes"][..], change, &here].concat();
        let exit = fixture.cli_ends(&set, 1).await;
        assert!(exit.says("openai/ai-config sk-...1"), "{exit}");
        assert!(exit.says("nothing was changed"), "{exit}");
        assert_eq!(server.requests().len(), 3);
        assert_eq!(server.last().header("if-match"), Some("\"one\""));
    }
}

#[tokio::test]
async fn calls_are_exported_as_they_come() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let export = ["usage", "export", "--json"];
    server
        .next(list(json!([{"n": 1}, {"n": 2}]), Some("more")))
        .next(list(json!([{"n": 3}]), None));
    let exit = fixture.cli(&export).await;
    assert_eq!(
        exit.stdout,
        "{\"data\":[{\"n\":1},{\"n\":2},{\"n\":3}],\"next\":null}\n"
    );
    server.reset().next(list(json!([]), None));
    let exit = fixture.cli(&export).await;
    assert_eq!(exit.stdout, "{\"data\":[],\"next\":null}\n");
    // What came before a failure was written.
    server
        .reset()
        .next(list(json!([{"n": 1}]), Some("more")))
        .next(Script::status(500));
    let exit = fixture.cli_ends(&export, 1).await;
    assert_eq!(exit.stdout, "{\"data\":[{\"n\":1}");
}

#[tokio::test]
async fn a_run_is_tried_again_in_the_workspace_that_was_found_once() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let run = "run_00000000000000000000000000";
    let path = format!("/api/v1/workspaces/{WORKSPACE}/runs/{run}");
    let ended = json!({"id": run, "status": "succeeded"});
    server
        .on_path(&format!("{path}/retry"), Script::json(200, &ended))
        .on_path(&path, Script::json(200, &ended))
        .always(Script::json(
            200,
            &json!({"workspace_id": WORKSPACE, "id": WORKSPACE, "name": "mine"}),
        ));
    let retry = ["generation", "retry", run, "--wait", "--workspace", "mine"];
    fixture.cli(&retry).await;
    let of_runs = server
        .requests()
        .iter()
        .filter(|it| it.path().starts_with(&path))
        .count();
    // Two for the name, which a key's workspace has.
    assert_eq!((of_runs, server.requests().len()), (2, 4));
}

#[tokio::test]
async fn what_was_not_read_is_said() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let call =
        json!({"at": "2026-01-01T00:00:00Z", "request_id": "r", "status": 200, "model": "m"});
    let calls: Vec<_> = std::iter::repeat_n(call, 100).collect();
    server.always(list(json!(calls), Some("more")));
    server.on_path("/api/v1/users/me/credits", Script::status(403));
    let status = fixture.cli_json(&["status"]).await;
    assert_eq!(status["truncated"], true);
    let text = fixture.cli(&["status"]).await.stdout;
    assert!(text.contains(": the newest "), "{text}");
    assert!(text.contains("your account's credits are not"), "{text}");
    let by = fixture
        .cli_json(&["usage", "--by", "model", "--limit", "100"])
        .await;
    assert_eq!(by["next"], "more");
    let members = fixture.cli(&["member", "list"]).await;
    assert!(members.says("more than these 10000"), "{members}");
    let audit = fixture.cli(&["audit", "--limit", "100"]).await;
    assert!(audit.says("more than these 100"), "{audit}");
    server.always(list(json!(calls), None));
    let status = fixture.cli_json(&["status"]).await;
    assert_eq!(status["truncated"], false);
    // Not to be allowed is one thing, a broken answer another.
    server.on_path("/api/v1/users/me/credits", Script::status(500));
    fixture.cli_ends(&["status"], 1).await;
}

#[tokio::test]
async fn the_live_view_outlives_a_look_that_fails_and_ends_when_it_is_told_to() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let path = format!("/api/v1/workspaces/{WORKSPACE}/usage");
    let call =
        |name: &str| json!({"at": "2026-01-01T00:00:00Z", "request_id": name, "status": 200});
    server.on_path("/api/v1/users/me/credits", Script::status(403));
    server.on_path(&path, list(json!([call("first")]), None));
    let mut command = fixture.command(&["status", "--watch", "--interval", "1"]);
    command
        .env("KEYBEARER_URL", server.url())
        .env("KEYBEARER_WORKSPACE", WORKSPACE);
    let mut child = command.spawn().expect("started");
    let output = lines(&mut child);
    assert!(next(&output).starts_with("2026-01-01"));
    server.on_path(&path, Script::status(503));
    let asked = server.requests().len();
    server.wait_for_requests(asked + 2).await;
    server.on_path(&path, list(json!([call("first"), call("second")]), None));
    assert!(next(&output).starts_with("2026-01-01"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("ours");
    let ended = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {said}", ended.status);
    assert!(said.contains("503"), "{said}");
    assert!(said.contains("answers again"), "{said}");
}

/// Two servers that one command line is logged in to, the second one last.
async fn two_logins() -> (Fixture, TestApp) {
    let fixture = Fixture::logged_in().await;
    let second = crate::builder().start().await;
    let owner = second.setup().await;
    let url = second.url();
    let login = ["login", "--url", &url, "--with-key"];
    let typed = format!("{}\n", owner.api_key);
    let exit = fixture.app.run_with_input(&login, &typed).await;
    assert!(exit.status.success(), "{exit}");
    (fixture, second)
}

#[tokio::test]
async fn logging_out_ends_the_login_of_the_server_that_is_meant() {
    let (mut fixture, second) = two_logins().await;
    let first = fixture.app.url();
    let key = fixture.owner.api_key.clone();
    fixture.app.builder_mut().set_env("KEYBEARER_URL", &first);
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    let exit = fixture.cli(&["logout"]).await;
    assert!(exit.says(&format!("Logged out of {first}.")), "{exit}");
    assert!(exit.says("KEYBEARER_API_KEY is set and wins"), "{exit}");
    fixture.app.builder_mut().remove_env("KEYBEARER_API_KEY");
    fixture.cli_ends(&["whoami"], 4).await;
    fixture.cli_ends(&["logout"], 4).await;
    fixture.app.builder_mut().remove_env("KEYBEARER_URL");
    let who = fixture.cli_json(&["whoami"]).await;
    assert_eq!(who["server"], second.url());
    let exit = fixture.cli(&["logout"]).await;
    assert!(exit.says(&second.url()), "{exit}");
}

#[tokio::test]
async fn the_environments_api_key_goes_to_no_server_that_the_environment_does_not_name() {
    let mut fixture = Fixture::logged_in().await;
    let (first, key) = (fixture.app.url(), fixture.owner.api_key.clone());
    let server = ScriptedProvider::start();
    let other = json!({"current": server.url(), "servers": {}});
    std::fs::write(fixture.logins_file(), other.to_string()).expect("written");
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    let exit = fixture.cli_ends(&["whoami"], 2).await;
    assert!(
        exit.says("set KEYBEARER_URL") && exit.says(&server.url()),
        "{exit}"
    );
    assert!(server.requests().is_empty());
    fixture.app.builder_mut().set_env("KEYBEARER_URL", &first);
    fixture.cli(&["whoami"]).await;
}

#[tokio::test]
async fn a_session_for_one_command_ends_with_it_also_when_it_is_interrupted() {
    let fixture = Fixture::with_cli().await;
    let person = fixture.owner.person.clone();
    let add = ["keys", "add", "openai", "--email", &person.email];
    let mut command = fixture.command(&add);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("started");
    let mut typed = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut typed, format!("{}\n", person.password).as_bytes())
        .expect("written");
    let sessions = async || {
        let sessions = person.session.get("/api/v1/sessions").await;
        sessions.text().matches("keybearer/").count()
    };
    let mut tries = 0;
    while sessions().await == 0 {
        tries += 1;
        assert!(tries < 400, "no session");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It waits for the key now, which nobody types.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("ours");
    let status = child.wait().expect("ended");
    drop(typed);
    assert_eq!(status.code(), Some(130), "{status}");
    assert_eq!(sessions().await, 0);
}

#[tokio::test]
async fn a_sealing_key_that_cannot_be_pinned_is_said_also_to_who_reads_json() {
    let mut fixture = Fixture::with_cli().await;
    fixture.app.builder_mut().set_env("HOME", "");
    let (_, exit) = fixture.cli_add(&["openai", "--json"]).await;
    assert!(exit.status.success(), "{exit}");
    let stored: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(stored["provider"], "openai");
    assert!(exit.stderr.contains("could not be pinned"), "{exit}");
    let trust = [
        "keys",
        "trust",
        &fixture.app.sealing_key(&fixture.owner.key).await.kek_id,
    ];
    let exit = fixture.cli_fails(&trust, "no place to keep").await;
    assert!(exit.says("hint: set KEYBEARER_CONFIG_DIR"), "{exit}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_run_is_followed_across_a_server_that_starts_again() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let event = |status: &str| {
        let step = json!({"output_type": "script", "status": status, "provider": "openai", "model": "gpt-4o"});
        let run = json!({"status": status, "steps": [step]});
        format!("retry: 2000\n\n: \n\nevent: run\nid: 1\ndata: {run}\n\n")
    };
    let follow = ["generation", "follow", "run_00000000000000000000000000"];
    server
        .next(Script::stream([event("running")]))
        .next(Script::hang_up())
        .next(Script::status(503))
        .next(Script::stream([event("running")]).cut_after(20))
        .next(Script::stream([event("succeeded")]).pieces_of(7));
    let exit = fixture.cli(&follow).await;
    let shown = "1 script: running (openai/gpt-4o)\n1 script: succeeded (openai/gpt-4o)\n";
    assert_eq!(exit.stdout, shown, "{exit}");
    assert_eq!(server.requests().len(), 5);
    // One that stays away is given up, and one that refuses is not asked again.
    server.reset().always(Script::hang_up());
    fixture.cli_ends(&follow, 7).await;
    assert_eq!(server.requests().len(), 5);
    server.reset().always(Script::json(
        404,
        &json!({"code": "not_found", "title": "Not there."}),
    ));
    fixture.cli_ends(&follow, 6).await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn waiting_for_a_run_shows_a_bar_to_a_person_and_nothing_to_a_program() {
    let mut fixture = Fixture::with_cli().await;
    let server = ScriptedProvider::start();
    fixture.pointed_at(&server);
    let run = "run_00000000000000000000000000";
    let step = |status: &str| json!({"status": status});
    let running = json!({
        "id": run, "status": "running",
        "steps": [step("succeeded"), step("running"), step("pending"), step("pending")],
    });
    let scripted = || {
        server.reset();
        // Started, and then looked at until it has ended.
        for _ in 0..4 {
            server.next(Script::json(200, &running));
        }
        server.next(Script::json(
            200,
            &json!({"id": run, "status": "succeeded"}),
        ));
    };
    let retry = [
        "generation",
        "retry",
        run,
        "--wait",
        "--workspace",
        WORKSPACE,
    ];
    scripted();
    let mut terminal = fixture.on_terminal(&retry);
    terminal.env("KEYBEARER_URL", server.url());
    let (code, text) = seen(terminal, "");
    assert_eq!(code, Some(0), "{text:?}");
    let bar = "[#####---------------]  25 %  running, 1 of 4 steps done, ";
    assert!(text.contains(bar), "{text:?}");
    for more in [&[][..], &["--json"]] {
        scripted();
        let exit = fixture.cli(&[&retry, more].concat()).await;
        assert!(!exit.stderr.contains('%'), "{exit}");
    }
}
