//! What the owner of a local instance gets over its control socket: a way into the console, and API keys.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::app::{Auth, Reply};

use super::Local;
use crate::{Fixture, chat};

const TAKE: &str = "/api/v1/console-links/session";

async fn local() -> Local {
    Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key())).await
}

/// The link that `keybearer console` prints.
async fn link(local: &Local) -> String {
    let exit = local.app.run(&["console"]).await;
    assert!(exit.status.success(), "{exit}");
    assert!(exit.says("good once"), "{exit}");
    exit.stdout.trim_end().to_owned()
}

fn token(link: &str) -> &str {
    link.split_once("#token=").expect("a token").1
}

async fn take(local: &Local, token: &str) -> Reply {
    let body = json!({ "token": token });
    local.app.anonymous().post(TAKE, &body).await
}

#[tokio::test]
async fn a_link_lets_the_owner_in_once() {
    let local = local().await;
    assert!(local.app.stdout().contains("keybearer console\n"));
    let link = link(&local).await;
    let url = local.app.url();
    assert!(
        link.starts_with(&format!("{url}/console/enter#token=kbconsole_")),
        "{link}"
    );
    let page = local.app.anonymous().get("/console/enter").await;
    assert_eq!(page.status, 200);
    let taken = take(&local, token(&link)).await.expect(201);
    assert_eq!(taken.json()["email"], "local@localhost");
    assert_eq!(taken.json()["instance_admin"], true);
    let cookie = taken.header("set-cookie").expect("a session");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let session = Auth::Cookie(taken.cookie().expect("a session"));
    let caller = local.app.caller("the owner", session);
    let me = caller.get("/api/v1/me").await.expect(200).json();
    assert_eq!(me["workspaces"][0]["name"], "local");
    take(&local, token(&link))
        .await
        .expect_error(401, "invalid_console_link");
    // It is nowhere but where it was printed.
    assert!(!local.app.stderr().contains(token(&link)));
    local.finish().await;
}

#[tokio::test]
async fn only_the_newest_link_is_good_and_a_wrong_one_spoils_nothing() {
    let local = local().await;
    let old = link(&local).await;
    let exit = local.app.run(&["console", "--json"]).await;
    let new: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert!(new["expires_at"].is_string(), "{new}");
    assert_eq!(exit.stderr, "");
    let new = new["url"].as_str().expect("a link");
    for wrong in ["", "kbconsole_", token(&old)] {
        take(&local, wrong)
            .await
            .expect_error(401, "invalid_console_link");
    }
    // A page of another site cannot spend it.
    let body = json!({ "token": token(new) }).to_string().into_bytes();
    let elsewhere = [
        ("content-type", "application/json"),
        ("sec-fetch-site", "cross-site"),
    ];
    let caller = local.app.anonymous();
    let reply = caller
        .send(http::Method::POST, TAKE, &elsewhere, Some(body))
        .await;
    reply.expect_error(403, "cross_site_request");
    take(&local, token(new)).await.expect(201);
    local.finish().await;
}

#[tokio::test]
async fn a_link_ends_with_its_instance() {
    let mut local = local().await;
    let link = link(&local).await;
    local.app.restart().await;
    take(&local, token(&link))
        .await
        .expect_error(401, "invalid_console_link");
    local.finish().await;
}

#[tokio::test]
async fn elsewhere_there_is_no_link_and_the_command_says_what_to_do() {
    let fixture = Fixture::with_cli().await;
    let exit = fixture.cli_ends(&["console"], 7).await;
    assert!(exit.says("no local instance answers"), "{exit}");
    let hint = format!("{}/console/", fixture.app.url());
    assert!(
        exit.says(&hint) && exit.says("e-mail and password"),
        "{exit}"
    );
    let body = json!({ "token": "kbconsole_" });
    let reply = fixture.app.anonymous().post(TAKE, &body).await;
    reply.expect_error(401, "invalid_console_link");
    let exit = fixture.cli_ends(&["local", "new-api-key"], 7).await;
    assert!(exit.says("start one with `keybearer`"), "{exit}");
}

#[tokio::test]
async fn the_owner_gets_an_api_key_that_outlives_the_instances_own() {
    let mut local = local().await;
    let exit = local.app.run(&["local", "new-api-key", "editor"]).await;
    assert!(exit.status.success(), "{exit}");
    let key = exit.stdout.trim_end().to_owned();
    assert!(key.starts_with("kb_") && key != local.api_key(), "{exit}");
    let served = async |local: &Local, key: &str| {
        let caller = local.app.caller("editor", Auth::Bearer(key.to_owned()));
        caller.post("/v1/chat/completions", &chat("gpt-4o")).await
    };
    served(&local, &key).await.expect(200);
    let exit = local
        .app
        .run(&["local", "new-api-key", "--json", "--scope", "usage:read"])
        .await;
    let made: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(made["name"], "personal");
    assert_eq!(made["scopes"], json!(["usage:read"]));
    assert!(
        made["key"]
            .as_str()
            .is_some_and(|key| key.starts_with("kb_")),
        "{made}"
    );
    // The instance's own may go, and it may start again.
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let listed = owner.get(&local.path("/api-keys")).await.expect(200).json();
    let listed = listed["data"].as_array().expect("keys").clone();
    let own = listed
        .iter()
        .find(|it| it["name"] == "Local")
        .expect("its own");
    let path = format!("/api-keys/{}", own["id"].as_str().expect("an id"));
    owner.delete(&local.path(&path)).await.expect(204);
    local.app.restart().await;
    served(&local, &key).await.expect(200);
    local.finish().await;
}

#[tokio::test]
async fn a_browser_is_led_by_a_file_that_is_its_owners_alone() {
    let dir = tempfile::Builder::new()
        .prefix("kb-test-")
        .tempdir()
        .expect("a temp dir");
    // Stands in for the program that opens pages.
    let opener = dir.path().join("bin/xdg-open");
    std::fs::create_dir(dir.path().join("bin")).expect("a directory");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$(dirname \"$0\")/opened\"\n";
    std::fs::write(&opener, script).expect("a script");
    std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).expect("chmod");
    let bin = dir.path().join("bin").display().to_string();
    let mut local = Local::start_in(dir, |builder, canary| {
        builder.env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await;
    let opened = local.app.dir().join("bin/opened");
    // A pipe is no person.
    link(&local).await;
    assert!(!opened.exists());
    let driver =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let output = Command::new("python3")
        .args(["-c", driver, env!("CARGO_BIN_EXE_keybearer"), "console"])
        .env_clear()
        .env("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin"))
        .env("HOME", local.app.dir())
        .env("KEYBEARER_DATA_DIR", local.app.data_dir())
        .env("DISPLAY", ":0")
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("opened in the browser"), "{output:?}");
    let argument = std::fs::read_to_string(&opened).expect("it was called");
    let page = local.app.data_dir().join("console.html");
    assert_eq!(argument.trim_end(), page.display().to_string());
    let mode = page.metadata().expect("the page").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let html = std::fs::read_to_string(&page).expect("the page");
    let (_, rest) = html.split_once("#token=").expect("a token");
    let token = rest.split('"').next().expect("a token");
    take(&local, token).await.expect(201);
    let status = local.app.terminate().await;
    assert!(status.success() && !page.exists(), "{status}");
}

#[tokio::test]
async fn commands_find_the_running_instance_and_give_its_key_to_no_other_server() {
    let mut local = local().await;
    let said = local.app.stdout();
    let workspace = said.split("KEYBEARER_WORKSPACE=").nth(1).expect("a line");
    let workspace = workspace.split(' ').next().expect("an id").to_owned();
    let exit = local.app.run(&["whoami", "--json"]).await;
    assert!(exit.status.success(), "{exit}");
    let known: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(known["workspace_id"], workspace.as_str(), "{known}");
    let show = ["run", "--", "sh", "-c", "echo $OPENAI_BASE_URL"];
    let exit = local.app.run(&show).await;
    assert_eq!(exit.stdout, format!("{}/v1\n", local.app.url()), "{exit}");
    let by_hand = local.app.run(&["setup", "claude"]).await;
    let line = format!("export ANTHROPIC_BASE_URL={}\n", local.app.url());
    assert!(by_hand.stdout.contains(&line), "{by_hand}");

    let other = testkit::provider::ScriptedProvider::start();
    let builder = local.app.builder_mut();
    builder.set_env("KEYBEARER_URL", &other.url());
    let exit = local.app.run(&["whoami"]).await;
    assert_eq!(exit.status.code(), Some(4), "{exit}");
    assert!(
        exit.says(&format!("not logged in to {}", other.url())),
        "{exit}"
    );
    assert!(other.requests().is_empty());
    let url = local.app.url();
    local.app.builder_mut().set_env("KEYBEARER_URL", &url);
    assert!(local.app.run(&["whoami"]).await.status.success());
    // It ends with the instance.
    local.app.builder_mut().remove_env("KEYBEARER_URL");
    local.app.terminate().await;
    let exit = local.app.run(&["whoami"]).await;
    assert_eq!(exit.status.code(), Some(4), "{exit}");
    local.app.restart().await;
    local.finish().await;
}
