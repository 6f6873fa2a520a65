//! Scripts and services of a workspace: who may write them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Fixture;

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
async fn the_command_line_manages_scripts_and_services() {
    let fixture = Fixture::with_machine().await;
    let app = &fixture.app;
    let file = fixture.place("tools.sh");
    std::fs::write(&file, "echo x\n").expect("a file");
    let file = file.display().to_string();
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
        listed
            .stdout
            .starts_with("web\tsleep, 9\ton-failure\tyes\t"),
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
