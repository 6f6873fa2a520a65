//! Scripts and services of a workspace: who may write them, and what a machine does with them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use testkit::app::{Auth, Exit, Reply};
use testkit::provider::{Script, ScriptedProvider};

use crate::Fixture;
use crate::runtime::{gone, signal, written};

impl Fixture {
    /// An instance to which the command line speaks with the owner's API key, and that keeps its state here.
    async fn with_machine() -> Self {
        let mut fixture = Self::start().await;
        fixture.with_openai_key().await;
        let state = fixture.app.dir().join("state");
        let (url, owner) = (fixture.app.url(), &fixture.owner);
        let ours = [
            ("KEYBEARER_URL", url),
            ("KEYBEARER_API_KEY", owner.api_key.clone()),
            ("KEYBEARER_WORKSPACE", owner.workspace.clone()),
            ("XDG_STATE_HOME", state.display().to_string()),
        ];
        let builder = fixture.app.builder_mut();
        for (name, value) in ours {
            builder.set_env(name, &value);
        }
        fixture
    }

    fn place(&self, name: &str) -> PathBuf {
        self.app.dir().join(name)
    }

    async fn script(&self, name: &str, run_on: &str, order: u16, content: &str) -> Value {
        let body = json!({"name": name, "run_on": run_on, "order": order, "content": content});
        let session = &self.owner.person.session;
        let made = session.post(&self.path("/scripts"), &body).await;
        made.expect(201).json()
    }

    async fn service(&self, name: &str, restart: &str, script: &str) -> Value {
        let body = json!({
            "name": name,
            "command": ["sh", "-c", script],
            "env": {"GREETING": "hello"},
            "restart": restart,
            "auto_enable": true,
        });
        let session = &self.owner.person.session;
        let made = session.post(&self.path("/services"), &body).await;
        made.expect(201).json()
    }

    async fn up(&self, arguments: &[&str]) -> Exit {
        let all = [&["workspace", "up"], arguments].concat();
        self.app.run(&all).await
    }

    /// What `workspace status` says, once it fits. Panics after 20 seconds.
    async fn status_that(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let shown = self.app.run(&["--json", "workspace", "status"]).await;
            let status: Value = serde_json::from_str(&shown.stdout).expect("JSON");
            let up = status["up"].as_bool().expect("a word");
            assert_eq!(shown.status.code(), Some(i32::from(!up)), "{status}");
            if fits(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn append(&self, word: &str, file: &str) -> String {
        format!("echo {word} >> {}", self.place(file).display())
    }
}

/// What is said of a program.
fn entry<'a>(status: &'a Value, name: &str) -> &'a Value {
    let mut programs = status["programs"].as_array().into_iter().flatten();
    let entry = programs.find(|entry| entry["name"] == name);
    entry.unwrap_or(&Value::Null)
}

fn runs(status: &Value, name: &str) -> bool {
    entry(status, name)["state"] == "running"
}

/// The hash of all of it, as `up` shows it.
fn hash_in(up: &Exit) -> String {
    let line = up.stderr.lines().find_map(|line| {
        let hash = line.strip_prefix("All of it together: sha256 ");
        hash.map(str::to_owned)
    });
    line.unwrap_or_else(|| panic!("no hash in {}", up.stderr))
}

#[tokio::test]
async fn scripts_are_written_read_changed_and_removed() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let made = fixture.script("tools", "first_boot", 7, "echo x\n").await;
    let id = made["id"].as_str().expect("an id");
    assert_eq!(made["content"], "echo x\n");
    // printf 'echo x\n' | sha256sum
    let hash = "641da915aff92d2166ad038a3cf184f73b47a8b3f5a508bad472ec531d8423a7";
    assert_eq!(made["content_sha256"], hash);
    let path = fixture.path(&format!("/scripts/{id}"));

    let list = session.get(&fixture.path("/scripts")).await.expect(200);
    let entry = &list.json()["data"][0];
    assert_eq!(
        (&entry["name"], &entry["order"]),
        (&json!("tools"), &json!(7))
    );
    assert_eq!(entry["content_bytes"], 7);
    assert!(entry.get("content").is_none(), "{entry}");

    let body = json!({"content": "echo y\n"});
    let changed = session.patch(&path, &body).await.expect(200).json();
    assert_eq!(
        (&changed["version"], &changed["name"]),
        (&json!(2), &json!("tools"))
    );
    assert_ne!(changed["content_sha256"], made["content_sha256"]);
    let read = session.get(&path).await.expect(200).json();
    assert_eq!(read["content"], "echo y\n");

    // Whoever edits a text that somebody else changed since overwrites nothing.
    let read = session.get(&path).await.expect(200);
    let edit = async |after: &Reply, order: u16| {
        let headers = [
            ("content-type", "application/json"),
            ("if-match", after.header("etag").expect("a tag")),
        ];
        let body = json!({"order": order}).to_string().into_bytes();
        session
            .send(Method::PATCH, &path, &headers, Some(body))
            .await
    };
    let written = edit(&read, 8).await.expect(200);
    let stale = edit(&read, 9).await;
    stale.expect_error(412, "precondition_failed");
    edit(&written, 9).await.expect(200);

    // The name is taken, and each field has its limit.
    let again = json!({"name": "tools", "run_on": "every_start", "content": "x"});
    let path_of_all = fixture.path("/scripts");
    let taken = session.post(&path_of_all, &again).await;
    taken.expect_error(409, "conflict");
    for (field, value) in [
        ("name", json!("../x")),
        ("name", json!("UP")),
        ("run_on", json!("never")),
        ("order", json!(10_000)),
        ("order", json!(-1)),
        ("content", json!("")),
        ("content", json!("x".repeat(65_537))),
        ("content", json!("a\u{0}b")),
    ] {
        let mut body = json!({"name": "b", "run_on": "every_start", "order": 0, "content": "x"});
        body[field] = value;
        let refused = session.post(&path_of_all, &body).await;
        let refused = refused.expect_error(400, "invalid_request").json();
        assert_eq!(refused["details"]["field"], field, "{refused}");
    }

    session.delete(&path).await.expect(204);
    session.get(&path).await.expect_error(404, "not_found");
    session.delete(&path).await.expect_error(404, "not_found");

    // Each change is there with the hash of what was written.
    let audit = session
        .get(&fixture.path("/audit"))
        .await
        .expect(200)
        .json();
    let rows = audit["data"].as_array().expect("rows");
    let of = |action: &str| {
        let row = rows.iter().find(|row| row["action"] == action);
        row.unwrap_or_else(|| panic!("{action} is missing")).clone()
    };
    assert_eq!(
        of("script.create")["content_sha256"],
        made["content_sha256"]
    );
    assert_eq!(
        of("script.update")["content_sha256"],
        changed["content_sha256"]
    );
    assert_eq!(of("script.delete")["subject"], id);
}

#[tokio::test]
async fn services_refuse_variables_that_decide_too_much() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let made = fixture.service("web", "always", "exit 0").await;
    let path = fixture.path(&format!(
        "/services/{}",
        made["id"].as_str().expect("an id")
    ));
    for name in [
        "LD_PRELOAD",
        "PATH",
        "OPENAI_BASE_URL",
        "HTTPS_PROXY",
        "OPENAI_API_KEY",
        "a",
    ] {
        let body = json!({"env": {name: "x"}});
        let refused = session.patch(&path, &body).await;
        let refused = refused.expect_error(400, "invalid_request").json();
        assert_eq!(refused["details"]["field"], "env", "{refused}");
    }
    for command in [json!([]), json!([""]), json!(["a\nb"]), json!("sh -c x")] {
        let body = json!({"command": command});
        let refused = session.patch(&path, &body).await;
        let refused = refused.expect_error(400, "invalid_request").json();
        assert_eq!(refused["details"]["field"], "command", "{refused}");
    }
    let body = json!({"restart": "no", "auto_enable": false, "env": {}});
    let changed = session.patch(&path, &body).await.expect(200).json();
    assert_eq!(changed["env"], json!({}));
    assert_eq!(
        (&changed["restart"], &changed["auto_enable"]),
        (&json!("no"), &json!(false))
    );
    let audit = session
        .get(&fixture.path("/audit"))
        .await
        .expect(200)
        .json();
    assert_eq!(audit["data"][0]["action"], "service.update");
    assert_eq!(
        audit["data"][0]["content_sha256"],
        changed["content_sha256"]
    );
    session.delete(&path).await.expect(204);
}

#[tokio::test]
async fn only_admins_and_keys_with_the_scope_write_what_machines_run() {
    let fixture = Fixture::start().await;
    let (app, owner) = (&fixture.app, &fixture.owner);
    let body = json!({"name": "x", "run_on": "every_start", "content": "x"});
    let path = fixture.path("/scripts");
    let member = app.member(owner).await;
    member.session.get(&path).await.expect(200);
    let refused = member.session.post(&path, &body).await;
    refused.expect_error(403, "permission_denied");
    let outsider = app.outsider(owner).await;
    outsider
        .session
        .get(&path)
        .await
        .expect_error(404, "not_found");
    let workspace = &owner.workspace;
    // Neither of the scopes that could change a workspace before.
    let scopes = ["workspace:write", "policy:write", "services:read"];
    let key = app.api_key(&owner.person.session, workspace, &scopes).await;
    key.post(&path, &body)
        .await
        .expect_error(403, "permission_denied");
    let key = app
        .api_key(&owner.person.session, workspace, &["services:write"])
        .await;
    key.post(&path, &body).await.expect(201);
}

#[tokio::test]
async fn up_runs_scripts_in_order_and_the_first_boot_once() {
    let fixture = Fixture::with_machine().await;
    let said = fixture.place("said");
    let say = |word: &str| format!("echo {word} >> {}\n", said.display());
    fixture
        .script("late", "every_start", 20, &say("late"))
        .await;
    fixture
        .script("first", "first_boot", 10, &say("first"))
        .await;
    fixture
        .script(
            "shebang",
            "every_start",
            15,
            &format!("#!/bin/sh\n{}", say("shebang")),
        )
        .await;

    // Nobody agreed: nothing runs.
    let asked = fixture.app.run(&["workspace", "up"]).await;
    assert_eq!(asked.status.code(), Some(3), "{}", asked.stderr);
    assert!(asked.stderr.contains("echo first"), "{}", asked.stderr);
    assert!(!said.exists());

    for expected in [
        "first\nshebang\nlate\n",
        "first\nshebang\nlate\nshebang\nlate\n",
    ] {
        let up = fixture.app.run(&["workspace", "up", "--yes"]).await;
        assert!(up.status.success(), "{}", up.stderr);
        assert_eq!(std::fs::read_to_string(&said).expect("said"), expected);
    }
    let state = fixture
        .place("state/keybearer/workspaces")
        .join(&fixture.owner.workspace);
    for entry in std::fs::read_dir(&state).expect("state") {
        let mode = entry
            .expect("an entry")
            .metadata()
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    // What others could have written decides nothing.
    let mut open = std::fs::metadata(&state).expect("state").permissions();
    open.set_mode(0o777);
    std::fs::set_permissions(&state, open.clone()).expect("set");
    let refused = fixture.app.run(&["workspace", "up", "--yes"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("open to others"),
        "{}",
        refused.stderr
    );
    open.set_mode(0o700);
    std::fs::set_permissions(&state, open).expect("set");
    fixture.finish().await;
}

#[tokio::test]
async fn a_script_that_fails_keeps_services_from_starting_and_runs_again() {
    let fixture = Fixture::with_machine().await;
    let started = fixture.place("started");
    fixture
        .script("bad", "first_boot", 0, "echo tried; exit 9\n")
        .await;
    fixture
        .service("web", "no", &format!("echo yes > {}", started.display()))
        .await;
    for _ in 0..2 {
        let up = fixture.app.run(&["workspace", "up", "--yes"]).await;
        assert_eq!(up.status.code(), Some(1), "{}", up.stderr);
        assert!(
            up.stderr.contains("the script bad ended with 9"),
            "{}",
            up.stderr
        );
        assert!(up.stdout.contains("bad | tried"), "{}", up.stdout);
    }
    assert!(!started.exists());
    fixture.finish().await;
}

#[tokio::test]
async fn services_start_again_and_end_with_up_and_so_does_their_key() {
    let fixture = Fixture::with_machine().await;
    let (log, key_file) = (fixture.place("log"), fixture.place("key"));
    // Ends badly the first time.
    let script = format!(
        "echo start $GREETING; echo $PPID >> {log}; \
         if [ $(wc -l < {log}) -lt 2 ]; then exit 4; fi; \
         printf '%s\\n' \"$OPENAI_API_KEY\" > {key}.new; mv {key}.new {key}; \
         sleep 600 & wait",
        log = log.display(),
        key = key_file.display(),
    );
    fixture.service("web", "on-failure", &script).await;
    fixture.service("once", "no", "echo bye; exit 0").await;
    let up = fixture.app.run(&["workspace", "up", "--yes"]);
    let watch = async {
        let key = written(&key_file).await.trim().to_owned();
        let program = fixture.app.caller("a service", Auth::Bearer(key));
        program.get("/v1/models").await.expect(200);
        let pid = std::fs::read_to_string(&log).expect("a log");
        let pid = pid.lines().next().expect("a pid").to_owned();
        let begun = Instant::now();
        let sent = std::process::Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status();
        assert!(sent.expect("sh runs").success());
        (program, begun)
    };
    let (up, (program, begun)) = tokio::join!(up, watch);
    assert!(begun.elapsed() < Duration::from_secs(9), "it was killed");
    assert!(up.status.success(), "{}", up.stderr);
    assert_eq!(
        up.stdout.matches("web | start hello").count(),
        2,
        "{}",
        up.stdout
    );
    assert!(up.stdout.contains("once | bye"), "{}", up.stdout);
    assert!(
        up.stderr.contains("web: starts again in 1 s"),
        "{}",
        up.stderr
    );
    program.get("/v1/models").await.expect(401);
    let _ = std::fs::remove_file(&key_file);
    fixture.finish().await;
}

#[tokio::test]
async fn what_was_not_agreed_to_does_not_run() {
    let fixture = Fixture::with_machine().await;
    let ran = fixture.place("ran");
    let ran = || std::fs::read_to_string(&ran).unwrap_or_default();
    let script = fixture
        .script("a", "every_start", 0, &fixture.append("one", "ran"))
        .await;
    let service = fixture
        .service("web", "no", &fixture.append("web", "ran"))
        .await;
    let asked = fixture.up(&[]).await;
    assert_eq!(asked.status.code(), Some(3), "{}", asked.stderr);
    for part in [&script, &service] {
        let hash = part["content_sha256"].as_str().expect("a hash");
        assert!(
            asked.stderr.contains(&format!("sha256 {hash}")),
            "{}",
            asked.stderr
        );
    }
    let hash = hash_in(&asked);
    // Anybody can compute it from what the API says.
    let lines = format!(
        "printf 'script a every_start {}\\nservice web {}\\n' | sha256sum",
        script["content_sha256"].as_str().expect("a hash"),
        service["content_sha256"].as_str().expect("a hash"),
    );
    let sum = std::process::Command::new("sh")
        .args(["-c", &lines])
        .output()
        .expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&sum.stdout), format!("{hash}  -\n"));

    // `--yes` runs what there is, and is nobody's agreement to just this.
    assert!(fixture.up(&["--yes"]).await.status.success());
    assert_eq!(ran(), "one\nweb\n");
    let nothing = fixture.up(&["--agreed"]).await;
    assert_eq!(nothing.status.code(), Some(3), "{}", nothing.stderr);
    for arguments in [["--pin", &hash].as_slice(), &["--agreed"]] {
        let up = fixture.up(arguments).await;
        assert!(up.status.success(), "{}", up.stderr);
    }
    assert_eq!(ran(), "one\nweb\n".repeat(3));

    // A service that nothing starts changes nothing.
    let session = &fixture.owner.person.session;
    let aside = json!({"name": "aside", "command": ["true"]});
    let aside = session.post(&fixture.path("/services"), &aside).await;
    aside.expect(201);
    assert!(fixture.up(&["--agreed"]).await.status.success());
    let before = ran();

    let id = |part: &Value| part["id"].as_str().expect("an id").to_owned();
    let script = fixture.path(&format!("/scripts/{}", id(&script)));
    let service = fixture.path(&format!("/services/{}", id(&service)));
    let text = fixture.append("one", "ran");
    for (path, change, back) in [
        (
            &script,
            json!({"content": "echo two"}),
            json!({"content": text}),
        ),
        (
            &script,
            json!({"run_on": "first_boot"}),
            json!({"run_on": "every_start"}),
        ),
        (
            &service,
            json!({"env": {"GREETING": "bye"}}),
            json!({"env": {"GREETING": "hello"}}),
        ),
        (
            &service,
            json!({"restart": "always"}),
            json!({"restart": "no"}),
        ),
        (
            &service,
            json!({"auto_enable": false}),
            json!({"auto_enable": true}),
        ),
    ] {
        session.patch(path, &change).await.expect(200);
        for arguments in [["--pin", &hash].as_slice(), &["--agreed"]] {
            let refused = fixture.up(arguments).await;
            assert_eq!(refused.status.code(), Some(3), "{}", refused.stderr);
            assert!(
                refused.stderr.contains("is not what was agreed to"),
                "{}",
                refused.stderr
            );
        }
        session.patch(path, &back).await.expect(200);
    }
    assert_eq!(ran(), before);
    for wrong in [["--pin", "abc"].as_slice(), &["--yes", "--agreed"]] {
        assert_eq!(fixture.up(wrong).await.status.code(), Some(2));
    }
    assert!(fixture.up(&["--agreed"]).await.status.success());
    fixture.finish().await;
}

#[tokio::test]
async fn services_start_again_as_their_policy_says_and_later_each_time() {
    let fixture = Fixture::with_machine().await;
    let times = fixture.place("always");
    let always = format!("date +%s%3N >> {}", times.display());
    fixture.service("always", "always", &always).await;
    let well = fixture.append("x", "well");
    fixture.service("well", "on-failure", &well).await;
    let badly = fixture.append("x", "badly");
    fixture
        .service("badly", "no", &format!("{badly}; exit 3"))
        .await;
    let watch = async {
        let status = fixture
            .status_that(|it| entry(it, "always")["starts"].as_u64() >= Some(3))
            .await;
        for (name, code) in [("well", 0), ("badly", 3)] {
            let entry = entry(&status, name);
            assert_eq!(entry["state"], "ended", "{entry}");
            assert_eq!(
                (&entry["starts"], &entry["exit_code"]),
                (&json!(1), &json!(code))
            );
        }
        let status = fixture
            .status_that(|it| entry(it, "always")["state"] == "restarting")
            .await;
        assert!(entry(&status, "always")["next_start_at"].is_string());
        signal(&status["process"].to_string(), "TERM");
    };
    let (up, ()) = tokio::join!(fixture.up(&["--yes"]), watch);
    assert!(up.status.success(), "{}", up.stderr);
    for pause in ["1 s", "2 s", "4 s"] {
        let said = format!("always: starts again in {pause}");
        assert!(up.stderr.contains(&said), "{}", up.stderr);
    }
    let times = std::fs::read_to_string(&times).expect("times");
    let times: Vec<u64> = times.lines().map(|it| it.parse().expect("ms")).collect();
    assert!(
        times[1] - times[0] >= 1_000 && times[2] - times[1] >= 2_000,
        "{times:?}"
    );
    for name in ["well", "badly"] {
        let starts = std::fs::read_to_string(fixture.place(name)).expect("a start");
        assert_eq!(starts, "x\n", "{name}");
    }

    // When all have ended, it says whether they ended well.
    let session = &fixture.owner.person.session;
    let list = session.get(&fixture.path("/services")).await.expect(200);
    let always = &list.json()["data"][0];
    let path = fixture.path(&format!(
        "/services/{}",
        always["id"].as_str().expect("an id")
    ));
    session.delete(&path).await.expect(204);
    let up = fixture.up(&["--yes"]).await;
    assert_eq!(up.status.code(), Some(1), "{}", up.stderr);
    assert!(up.stderr.contains("not every service ended well"));
    fixture.finish().await;
}

#[tokio::test]
async fn one_up_at_a_time_which_shows_what_it_does() {
    let fixture = Fixture::with_machine().await;
    let left = fixture.place("left");
    let leaves = format!(
        "setsid sh -c 'echo $$ > {left}.new; mv {left}.new {left}; exec sleep 601' & exec sleep 600",
        left = left.display(),
    );
    fixture.service("same", "no", &leaves).await;
    fixture.script("same", "every_start", 0, "true\n").await;
    let down = fixture.status_that(|_| true).await;
    assert_eq!(down["up"], false);
    let watch = async {
        let running = |status: &Value| status["programs"][1]["state"] == "running";
        let status = fixture.status_that(running).await;
        let script = &status["programs"][0];
        assert_eq!(
            (&script["kind"], &script["state"]),
            (&json!("script"), &json!("ended"))
        );
        assert_eq!(status["programs"][1]["kind"], "service");
        assert_eq!(status["sandbox"], false);
        assert_eq!(status["content_sha256"].as_str().map(str::len), Some(64));
        let shown = fixture.app.run(&["workspace", "status"]).await;
        assert!(
            shown.stdout.contains("\nsame\tservice\trunning\t"),
            "{}",
            shown.stdout
        );

        let second = fixture.up(&["--yes"]).await;
        assert_eq!(second.status.code(), Some(1), "{}", second.stderr);
        assert!(
            second.stderr.contains("is up on this machine already"),
            "{}",
            second.stderr
        );
        let pid = status["process"].to_string();
        signal(&pid, "USR1");
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal(&pid, "KILL");
        (pid, status["programs"][1]["process"].to_string())
    };
    let (up, (pid, program)) = tokio::join!(fixture.up(&["--yes"]), watch);
    // Said at the start, and asked for.
    let said = format!("same: runs as process {program}");
    assert_eq!(up.stderr.matches(&said).count(), 2, "{}", up.stderr);
    // The machine knows that it is gone, and so are its programs.
    gone(&pid).await;
    gone(&program).await;
    // T177: nor is anything left of what those had started.
    gone(written(&left).await.trim()).await;
    let down = fixture.status_that(|_| true).await;
    assert_eq!(down["up"], false);
    let watch = async {
        let status = fixture
            .status_that(|it| it["programs"][1]["state"] == "running")
            .await;
        signal(&status["process"].to_string(), "INT");
    };
    let (up, ()) = tokio::join!(fixture.up(&["--yes"]), watch);
    assert!(up.status.success(), "{}", up.stderr);
    fixture.finish().await;
}

#[tokio::test]
async fn the_key_lives_with_the_services_and_they_end_with_it() {
    let fixture = Fixture::with_machine().await;
    let key_file = fixture.place("key");
    let script = format!(
        "printf '%s\\n' \"$OPENAI_API_KEY\" > {key}.new; mv {key}.new {key}; exec sleep 600",
        key = key_file.display(),
    );
    fixture.service("web", "always", &script).await;
    let watch = async {
        let key = written(&key_file).await.trim().to_owned();
        let program = fixture.app.caller("a service", Auth::Bearer(key));
        // Longer than its life of three seconds.
        tokio::time::sleep(Duration::from_secs(5)).await;
        program.get("/v1/models").await.expect(200);
        let status = fixture.status_that(|it| runs(it, "web")).await;
        let session = &fixture.owner.person.session;
        let keys = session.get(&fixture.path("/api-keys?limit=100")).await;
        let keys = keys.expect(200).json();
        let mut keys = keys["data"].as_array().expect("keys").iter();
        let ours = keys.find(|key| key["name"] == "keybearer up");
        let id = ours.expect("the key of up")["id"].as_str().expect("an id");
        let path = fixture.path(&format!("/api-keys/{id}"));
        session.delete(&path).await.expect(204);
        gone(&entry(&status, "web")["process"].to_string()).await;
    };
    let (up, ()) = tokio::join!(fixture.up(&["--yes", "--lease", "3"]), watch);
    assert_eq!(up.status.code(), Some(1), "{}", up.stderr);
    assert!(
        up.stderr.contains("the key cannot be renewed"),
        "{}",
        up.stderr
    );
    let _ = std::fs::remove_file(&key_file);
    fixture.finish().await;
}

#[tokio::test]
async fn nothing_outlives_up() {
    let fixture = Fixture::with_machine().await;
    let file = |name: &str| fixture.place(name).display().to_string();
    // One in the service's group, one that left it and does not listen, one whose parent is gone.
    let script = format!(
        "sh -c 'echo $$ > {child}; sleep 600; :' & \
         setsid sh -c 'trap \"\" TERM; echo $$ > {apart}; while :; do sleep 1; done' & \
         (setsid sh -c 'echo $$ > {orphan}; sleep 600; :' &) ; wait",
        child = file("child"),
        apart = file("apart"),
        orphan = file("orphan"),
    );
    fixture.service("web", "always", &script).await;
    let watch = async {
        let mut pids = Vec::new();
        for name in ["child", "apart", "orphan"] {
            let pid = written(&fixture.place(name)).await;
            pids.push(pid.trim().to_owned());
        }
        let status = fixture.status_that(|it| runs(it, "web")).await;
        signal(&status["process"].to_string(), "TERM");
        pids
    };
    let (up, pids) = tokio::join!(fixture.up(&["--yes"]), watch);
    assert!(up.status.success(), "{}", up.stderr);
    for pid in pids {
        let path = format!("/proc/{pid}");
        assert!(!std::path::Path::new(&path).exists(), "{pid} outlived it");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn in_a_sandbox_nothing_reaches_what_decides_what_runs() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let (here, state) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let known = state.path().join("keybearer/workspaces");
    let known = known.join(&fixture.owner.workspace);
    let attempts = |name: &str| {
        format!(
            "cat {data}/root.key && echo opened >> {name}; \
             cat {known}/known-* && echo read >> {name}; \
             echo x > {known}/new && echo written >> {name}; \
             echo x > $TMPDIR/x && echo temporary >> {name}; \
             echo done >> {name}",
            data = fixture.app.data_dir().display(),
            known = known.display(),
        )
    };
    fixture.script("first", "first_boot", 0, "true\n").await;
    let script = format!("#!/bin/sh\n{}", attempts("script"));
    fixture.script("try", "every_start", 1, &script).await;
    fixture.service("web", "no", &attempts("service")).await;
    let up = |arguments: &[&str]| {
        let all = [&["workspace", "up", "--yes"], arguments].concat();
        let mut command = fixture.keybearer_in(here.path(), &all);
        command
            .env("XDG_STATE_HOME", state.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.output().expect("the binary runs")
    };
    let walled = up(&["--sandbox"]);
    let said = String::from_utf8_lossy(&walled.stderr);
    assert!(walled.status.success(), "{said}");
    for name in ["script", "service"] {
        let done = std::fs::read_to_string(here.path().join(name)).expect("it ran");
        assert_eq!(done, "temporary\ndone\n", "{said}");
    }
    // Outside of it they can do all of it.
    let open = up(&[]);
    assert!(open.status.success());
    let done = std::fs::read_to_string(here.path().join("service")).expect("it ran");
    assert!(done.contains("opened\nread\nwritten\n"), "{done}");
    // A sandbox that would open the state is refused.
    let exposing = up(&[
        "--sandbox",
        "--allow-write",
        &state.path().display().to_string(),
    ]);
    let said = String::from_utf8_lossy(&exposing.stderr);
    assert_eq!(exposing.status.code(), Some(1), "{said}");
    assert!(said.contains("the sandbox would open"), "{said}");
    fixture.finish().await;
}

#[tokio::test]
async fn what_is_rendered_for_others_has_no_key() {
    let fixture = Fixture::with_machine().await;
    fixture.script("tools", "first_boot", 0, "echo x\n").await;
    fixture.service("web", "always", "exec sleep 1").await;
    let to = fixture.place("units");
    let directory = to.display().to_string();
    for form in ["--systemd", "--compose"] {
        let rendered = ["workspace", "render", form, "--to", &directory];
        let rendered = fixture.app.run(&rendered).await;
        assert!(rendered.status.success(), "{}", rendered.stderr);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&to).expect("units") {
        let entry = entry.expect("an entry");
        let text = std::fs::read_to_string(entry.path()).expect("text");
        let has_key = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let has_key = has_key
            .into_iter()
            .any(|word| word.starts_with("kb_") && word.len() > 8);
        assert!(!has_key, "{text}");
        let is_script = entry.path().extension().is_some_and(|it| it == "script");
        assert!(is_script || text.contains("--mask-output"), "{text}");
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let workspace = &fixture.owner.workspace;
    let expected = [
        "compose.yaml".to_owned(),
        format!("keybearer-{workspace}-script-tools.script"),
        format!("keybearer-{workspace}-script-tools.service"),
        format!("keybearer-{workspace}-service-web.service"),
    ];
    assert_eq!(names, expected);
    // A Compose file is one, and can be looked at first; units belong somewhere.
    let compose = std::fs::read_to_string(to.join("compose.yaml")).expect("text");
    let printed = fixture.app.run(&["workspace", "render", "--compose"]).await;
    assert_eq!(printed.stdout, compose);
    let units = fixture.app.run(&["workspace", "render", "--systemd"]).await;
    assert_eq!(units.status.code(), Some(2), "{units}");
    // Read by what they are for, where that is installed.
    let verified = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(expected[2..].iter().map(|name| to.join(name)))
        .env("SYSTEMD_UNIT_PATH", format!("{directory}:"))
        .output();
    if let Ok(verified) = verified {
        assert!(verified.status.success(), "{verified:?}");
    }
    let compose = |arguments: &[&str]| {
        let mut command = std::process::Command::new("docker");
        command.arg("compose").args(arguments).current_dir(&to);
        command.output().ok()
    };
    if compose(&["version"]).is_some_and(|it| it.status.success()) {
        std::fs::write(to.join("keybearer.env"), "").expect("can be written");
        let read = compose(&["config", "--quiet"]).expect("it runs");
        assert!(read.status.success(), "{read:?}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn rendering_again_removes_what_it_wrote_itself_and_nothing_else() {
    let fixture = Fixture::with_machine().await;
    let script = fixture.script("tools", "first_boot", 0, "echo x\n").await;
    let service = fixture.service("web", "always", "exec sleep 1").await;
    fixture.service("api", "always", "exec sleep 1").await;
    let to = fixture.place("units");
    let directory = to.display().to_string();
    let render = [
        "--json",
        "workspace",
        "render",
        "--systemd",
        "--to",
        &directory,
    ];
    let first = fixture.app.run(&render).await;
    let first: Value = serde_json::from_str(&first.stdout).expect("JSON");
    assert_eq!(first["removed"], json!([]));
    let workspace = &fixture.owner.workspace;
    let name = |rest: &str| format!("keybearer-{workspace}-{rest}");
    // Of somebody who writes units by hand, and of another workspace.
    let by_hand = to.join(name("service-mine.service"));
    std::fs::write(&by_hand, "[Service]\nExecStart=/bin/true\n").expect("written");
    let unit = std::fs::read_to_string(to.join(name("service-web.service"))).expect("a unit");
    let other = "ws_00000000000000000000000000";
    let others = to.join(format!("keybearer-{other}-service-web.service"));
    std::fs::write(&others, unit.replace(workspace, other)).expect("written");
    let session = &fixture.owner.person.session;
    for (kind, made) in [("scripts", &script), ("services", &service)] {
        let id = made["id"].as_str().expect("an id");
        let path = fixture.path(&format!("/{kind}/{id}"));
        session.delete(&path).await.expect(204);
    }
    let again = fixture.app.run(&render).await;
    let again: Value = serde_json::from_str(&again.stdout).expect("JSON");
    let gone = [name("script-tools.service"), name("service-web.service")];
    assert_eq!(again["removed"], json!(gone));
    assert_eq!(again["written"], json!([name("service-api.service")]));
    let mut left: Vec<String> = std::fs::read_dir(&to)
        .expect("units")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    left.sort();
    let mut expected = vec![
        name("service-api.service"),
        name("service-mine.service"),
        format!("keybearer-{other}-service-web.service"),
    ];
    expected.sort();
    assert_eq!(left, expected);
    // What is there under a name of ours and is not ours stays, and nothing is written.
    std::fs::write(to.join(name("service-api.service")), "# mine\n").expect("written");
    let refused = fixture.app.run(&render[1..]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused.says("was not rendered for this workspace"),
        "{refused}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn what_a_program_started_has_its_time_to_end_too() {
    let fixture = Fixture::with_machine().await;
    let file = |name: &str| fixture.place(name).display().to_string();
    // Leaders that go at once. What they started needs a while, or does not listen.
    let careful = format!(
        "sh -c 'trap \"echo asked >> {asked}; sleep 2; echo saved >> {asked}; exit\" TERM; echo $$ > {child}; \
         while :; do sleep 0.1; done' & wait",
        asked = file("asked"),
        child = file("careful"),
    );
    let deaf = format!(
        "sh -c 'trap \"\" TERM; echo $$ > {child}; while :; do sleep 0.1; done' & wait",
        child = file("deaf"),
    );
    let left = format!(
        "sh -c 'trap \"sleep 1; echo left >> {asked}; exit\" TERM; echo $$ > {child}; while :; do sleep 0.1; done' & \
         while ! [ -s {child} ]; do sleep 0.1; done",
        asked = file("asked"),
        child = file("left"),
    );
    fixture.service("careful", "always", &careful).await;
    fixture.service("deaf", "always", &deaf).await;
    // This one ends by itself, and something of it stays.
    fixture.service("left", "no", &left).await;
    let watch = async {
        for name in ["careful", "deaf"] {
            written(&fixture.place(name)).await;
        }
        let ended = |it: &Value| entry(it, "left")["state"] == "ended";
        let status = fixture.status_that(ended).await;
        let asked = std::fs::read_to_string(fixture.place("asked"));
        assert_eq!(asked.expect("it was asked"), "left\n");
        signal(&status["process"].to_string(), "TERM");
        Instant::now()
    };
    let (up, stopped_at) = tokio::join!(fixture.up(&["--yes"]), watch);
    let took = stopped_at.elapsed();
    assert!(up.status.success(), "{up}");
    let asked = std::fs::read_to_string(fixture.place("asked")).expect("it was asked");
    assert_eq!(asked, "left\nasked\nsaved\n", "once, and with its time");
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(
        up.says("deaf: was killed") && up.says("careful: was ended"),
        "{up}"
    );
    let pid = std::fs::read_to_string(fixture.place("deaf")).expect("a number");
    let path = format!("/proc/{}", pid.trim());
    assert!(!std::path::Path::new(&path).exists(), "it outlived it");
    fixture.finish().await;
}

#[tokio::test]
async fn a_log_has_the_bytes_of_what_programs_say() {
    let fixture = Fixture::with_machine().await;
    fixture
        .service("web", "no", "printf 'a\\033[31m\\tb\\n'")
        .await;
    let up = fixture.up(&["--yes"]).await;
    assert!(up.status.success(), "{up}");
    assert_eq!(up.stdout, "web | a\u{1b}[31m\tb\n");
    // Where somebody looks, none of it moves the cursor or colours what others say.
    let driver =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let output = std::process::Command::new("python3")
        .args(["-c", driver, env!("CARGO_BIN_EXE_keybearer")])
        .args(["workspace", "up", "--yes"])
        .env("KEYBEARER_URL", fixture.app.url())
        .env("KEYBEARER_API_KEY", &fixture.owner.api_key)
        .env("KEYBEARER_WORKSPACE", &fixture.owner.workspace)
        .env("XDG_STATE_HOME", fixture.place("state"))
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("web | a\u{fffd}[31m\tb"), "{shown}");
    fixture.finish().await;
}

#[tokio::test]
async fn the_command_line_manages_scripts_and_services() {
    let mut fixture = Fixture::with_machine().await;
    let app = &fixture.app;
    let file = fixture.place("tools.sh");
    std::fs::write(&file, "echo x\n").expect("a file");
    let file = file.display().to_string();
    // Whoever finds the first API key in some program's environment writes no code for machines with it.
    let refused = app
        .run(&["script", "create", "tools", "--file", &file, "--order", "3"])
        .await;
    assert!(
        refused.stderr.contains("services:write"),
        "{}",
        refused.stderr
    );
    let workspace = fixture.owner.workspace.clone();
    let scopes = ["workspace:read", "services:read", "services:write"];
    let key = app
        .api_key(&fixture.owner.person.session, &workspace, &scopes)
        .await;
    let key = key.api_key().expect("an API key").to_owned();
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    let app = &fixture.app;
    let made = app
        .run(&["script", "create", "tools", "--file", &file, "--order", "3"])
        .await;
    assert!(made.status.success(), "{}", made.stderr);
    let shown = app.run(&["script", "show", "tools"]).await;
    assert_eq!(shown.stdout, "echo x\n");
    let renamed = app
        .run(&["script", "update", "tools", "--rename", "kit"])
        .await;
    assert!(renamed.status.success(), "{}", renamed.stderr);
    let listed = app.run(&["script", "list"]).await;
    assert!(
        listed.stdout.starts_with("kit\tfirst_boot\t3\t7\t"),
        "{}",
        listed.stdout
    );
    let gone = app.run(&["script", "delete", "tools", "--yes"]).await;
    assert_eq!(gone.status.code(), Some(6), "{}", gone.stderr);
    let deleted = app.run(&["script", "delete", "kit", "--yes"]).await;
    assert!(deleted.status.success(), "{}", deleted.stderr);

    let create = [
        "service", "create", "web", "--env", "PORT=1", "--", "sleep", "9",
    ];
    let made = app.run(&create).await;
    assert!(made.status.success(), "{}", made.stderr);
    let update = [
        "service",
        "update",
        "web",
        "--no-env",
        "--auto-enable",
        "true",
    ];
    let updated = app.run(&[&["--json"], &update[..]].concat()).await;
    let updated: Value = serde_json::from_str(&updated.stdout).expect("JSON");
    assert_eq!(
        (&updated["env"], &updated["auto_enable"]),
        (&json!({}), &json!(true))
    );
    assert_eq!(updated["command"], json!(["sleep", "9"]));
    let nothing = app.run(&["service", "update", "web"]).await;
    assert_eq!(nothing.status.code(), Some(2), "{}", nothing.stderr);
    let listed = app.run(&["service", "list"]).await;
    assert!(
        listed.stdout.starts_with("web\tsleep 9\ton-failure\tyes\t"),
        "{}",
        listed.stdout
    );
    let shown = app.run(&["service", "show", "web"]).await;
    let hash = updated["content_sha256"].as_str().expect("a hash");
    assert!(shown.stdout.contains(hash), "{}", shown.stdout);
    let deleted = app.run(&["service", "delete", "web", "--yes"]).await;
    assert!(deleted.status.success(), "{}", deleted.stderr);
    let gone = app.run(&["service", "show", "web"]).await;
    assert_eq!(gone.status.code(), Some(6), "{}", gone.stderr);
    fixture.finish().await;
}

/// Whoever edits what somebody else changed since overwrites nothing.
#[tokio::test]
async fn scripts_and_services_are_changed_from_what_was_read() {
    let mut fixture = Fixture::logged_in_as_owner().await;
    let file = fixture.app.dir().join("text");
    let text = |text: &str| std::fs::write(&file, text).expect("can be written");
    let path = file.to_str().expect("a path").to_owned();
    text("echo first\n");
    let create = ["script", "create", "tools", "--file", &path];
    let made = fixture.cli_json(&create).await;
    let service = ["service", "create", "web", "--", "true"];
    fixture.cli(&service).await;
    for (kind, name, change, other) in [
        ("script", "tools", ["--file", &path], ["--order", "7"]),
        ("service", "web", ["--env", "A=1"], ["--restart", "always"]),
    ] {
        let tag = fixture.cli(&[kind, "show", name, "--tag"]).await.stdout;
        let tag = tag.trim();
        let shown = fixture.cli_json(&[kind, "show", name, "--tag"]).await;
        assert_eq!(shown, tag);
        text("echo second\n");
        let update = [&[kind, "update", name][..], &change].concat();
        let exit = fixture.cli(&update).await;
        let was = match kind {
            "script" => made["content_sha256"].as_str().expect("a hash").to_owned(),
            _ => "env was {}".to_owned(),
        };
        assert!(exit.says(&was) && !exit.says("echo first"), "{exit}");
        // What was edited is from before.
        let bare = tag.trim_matches('"');
        let stale = [&update[..], &["--if-match", bare]].concat();
        let exit = fixture.cli_ends(&stale, 1).await;
        let says = format!("somebody else changed the {kind} {name} in the meantime");
        assert!(exit.says(&says), "{exit}");
        let fresh = fixture.cli(&[kind, "show", name, "--tag"]).await.stdout;
        let set = [&[kind, "update", name][..], &other].concat();
        let set = [&set[..], &["--if-match", fresh.trim()]].concat();
        fixture.cli(&set).await;
    }
    // Without a tag the one of what it is at that moment is sent.
    let server = ScriptedProvider::start();
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_URL", &server.url());
    builder.set_env("KEYBEARER_API_KEY", &fixture.owner.api_key);
    let here = ["--workspace", "ws_00000000000000000000000000"];
    let state = |order: u64| {
        let script = json!({"id": "x", "name": "tools", "order": order, "run_on": "every_start"});
        Script::json(200, &script).header("etag", &format!("\"{order}\""))
    };
    let stale = || Script::json(412, &json!({"code": "precondition_failed"}));
    let found = || Script::json(200, &json!({"data": [{"id": "x", "name": "tools"}]}));
    let set = ["script", "update", "tools", "--run-on", "first_boot"];
    let set = [&set[..], &here].concat();
    server
        .next(found())
        .next(state(1))
        .next(stale())
        .next(state(2))
        .next(state(2));
    fixture.cli(&set).await;
    assert_eq!(server.last().header("if-match"), Some("\"2\""));
    let set = ["script", "update", "tools", "--order", "9"];
    let set = [&set[..], &here].concat();
    server
        .reset()
        .next(found())
        .next(state(1))
        .next(stale())
        .next(state(2));
    fixture.cli_ends(&set, 1).await;
}

/// Who edits a script gets its text, and not what a terminal would show of it.
#[tokio::test]
async fn a_script_is_printed_byte_by_byte() {
    let fixture = Fixture::logged_in_as_owner().await;
    let text = "#!/bin/sh\n\tcat <<-END\r\n\u{1b}[1mx\nlast";
    let file = fixture.app.dir().join("text");
    std::fs::write(&file, text).expect("can be written");
    let path = file.to_str().expect("a path");
    fixture
        .cli(&["script", "create", "tools", "--file", path])
        .await;
    let shown = fixture.cli(&["script", "show", "tools"]).await;
    assert_eq!(shown.stdout, text);
    let mut terminal = fixture.on_terminal(&["script", "show", "tools"]);
    terminal.env_remove("KEYBEARER_API_KEY");
    let (code, seen) = crate::cli_shell::seen(terminal, "");
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(
        !seen.contains('\u{1b}') && seen.ends_with("last\r\n"),
        "{seen:?}"
    );
    assert!(seen.contains("\tcat"), "{seen:?}");
}
