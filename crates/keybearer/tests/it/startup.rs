//! Starting: the root key that must fit, one process a database, set-up, and stopping.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use sqlx::Connection;
use testkit::app::Engine;

use crate::{Fixture, builder};

const OTHER_KEY: &str = "Bxjrxcc8tquEKBYP5PRKOP13Y9ZBGWtpExAHHV5uEI8=";

#[tokio::test]
async fn the_root_key_is_created_owner_only_and_must_come_back() {
    // T11
    let mut fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let path = fixture.app.data_dir().join("root.key");
    assert_eq!(
        path.metadata().expect("the root key").permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read(&path).expect("the root key").len(), 32);
    fixture.app.terminate().await;

    let kept = fixture.app.data_dir().join("kept");
    std::fs::rename(&path, &kept).expect("renamed");
    let exit = fixture.app.run(&["serve"]).await;
    assert!(
        !exit.status.success() && exit.says("root key is missing"),
        "{exit}"
    );
    assert!(
        !path.exists(),
        "a missing root key is not replaced by a new one"
    );

    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_ROOT_KEY", OTHER_KEY);
    let exit = fixture.app.run(&["serve"]).await;
    assert!(
        !exit.status.success() && exit.says("local:"),
        "the key ids are named: {exit}"
    );
    assert!(!exit.says(OTHER_KEY), "{exit}");
    fixture.app.builder_mut().remove_env("KEYBEARER_ROOT_KEY");

    std::fs::rename(&kept, &path).expect("renamed");
    fixture.app.restart().await;
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn the_root_key_rotates_and_only_the_new_one_opens() {
    // T13
    let mut fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    fixture
        .workspace_key("openai", "team", &fixture.canary.openai_key())
        .await;
    fixture.app.terminate().await;
    let old = fixture.app.data_dir().join("root.key");
    let new = fixture.app.data_dir().join("new.key");
    let new = new.to_str().expect("UTF-8").to_owned();
    let exit = fixture.app.run(&["root-key", "rotate", "--to", &new]).await;
    assert!(
        exit.status.success() && exit.says("Moved 2 data keys"),
        "{exit}"
    );
    // The old key opens nothing any more, and says so before anything else.
    let exit = fixture.app.run(&["serve"]).await;
    assert!(!exit.status.success() && exit.says("root key"), "{exit}");
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_ROOT_KEY_FILE", &new);
    let exit = fixture.app.run(&["root-key", "rotate", "--to", &new]).await;
    assert!(exit.status.success() && exit.says("already"), "{exit}");
    let exit = fixture.app.run(&["doctor"]).await;
    assert!(
        exit.status.success() && exit.says("2 provider keys open, 0 records do not"),
        "{exit}"
    );
    std::fs::remove_file(&old).expect("removed");
    fixture.app.restart().await;
    let member = fixture
        .app
        .anonymous()
        .get("/v1/byok/encryption-pubkey")
        .await
        .expect(200);
    assert!(member.json()["kek_id"].is_string());
    fixture.chat("gpt-4o").await.expect(200);
    fixture.with_openai_key().await;
    assert_ne!(fixture.provider.last().key(), Some(key.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn the_doctor_makes_nothing() {
    let app = builder().start().await;
    let dir = app.dir().join("nothing");
    let args = ["doctor"];
    let mut app = app;
    app.terminate().await;
    let empty = dir.to_str().expect("UTF-8").to_owned();
    std::fs::create_dir(&dir).expect("made");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    app.builder_mut().set_env("KEYBEARER_DATA_DIR", &empty);
    app.builder_mut().set_env(
        "KEYBEARER_DATABASE_URL",
        &format!("sqlite://{empty}/keybearer.db"),
    );
    let exit = app.run(&args).await;
    assert!(!exit.status.success(), "{exit}");
    assert_eq!(
        std::fs::read_dir(&dir).expect("readable").count(),
        0,
        "{exit}"
    );
}

#[tokio::test]
async fn a_badly_guarded_root_key_is_refused() {
    // T12
    let mut fixture = Fixture::start().await;
    fixture.app.terminate().await;
    let path = fixture.app.data_dir().join("root.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let exit = fixture.app.run(&["serve"]).await;
    assert!(!exit.status.success() && exit.says("root.key"), "{exit}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    std::fs::write(&path, [0; 32]).expect("written");
    let exit = fixture.app.run(&["serve"]).await;
    assert!(!exit.status.success(), "{exit}");
}

#[tokio::test]
async fn the_root_key_may_come_from_the_environment_or_a_command() {
    for (name, value) in [
        ("KEYBEARER_ROOT_KEY", OTHER_KEY.to_owned()),
        ("KEYBEARER_ROOT_KEY_COMMAND", format!("echo,{OTHER_KEY}")),
    ] {
        let app = builder().env(name, &value).start().await;
        app.setup().await;
        assert!(!app.data_dir().join("root.key").exists());
    }
    for (name, value) in [
        ("KEYBEARER_ROOT_KEY", "short"),
        (
            "KEYBEARER_ROOT_KEY",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        ("KEYBEARER_ROOT_KEY_COMMAND", "false"),
        ("KEYBEARER_ROOT_KEY_COMMAND", "/no/such/program"),
    ] {
        let exit = builder()
            .env(name, value)
            .try_start()
            .await
            .err()
            .expect("the start is refused");
        assert!(!exit.status.success(), "{name}={value}: {exit}");
        assert!(exit.says("root key"), "{name}={value}: {exit}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_sqlite_file_is_refused() {
    // T151
    let app = builder().engine(Engine::Sqlite).start().await;
    let exit = app.run(&["serve"]).await;
    assert!(
        !exit.status.success() && exit.says("another process"),
        "{exit}"
    );
    app.anonymous().get("/health").await.expect(200);
}

#[tokio::test]
async fn unknown_configuration_is_refused_by_name() {
    let exit = builder()
        .env("KEYBEARER_PROBE", "sometimes")
        .try_start()
        .await
        .err()
        .expect("refused");
    assert!(exit.says("KEYBEARER_PROBE"), "{exit}");
    let exit = builder()
        .env("KEYBEARER_SUBMISION", "sealed_only")
        .try_start()
        .await
        .err()
        .expect("refused");
    assert!(exit.says("KEYBEARER_SUBMISSION"), "{exit}");
    let exit = builder()
        .provider_text("mine", "id = 'mine'\nnme = 'x'")
        .try_start()
        .await
        .err()
        .expect("refused");
    assert!(exit.says("mine.toml") && exit.says("nme"), "{exit}");
}

#[tokio::test]
async fn set_up_works_once_with_the_printed_token_only() {
    // T99
    let app = builder().start().await;
    let anonymous = app.anonymous();
    assert_eq!(
        anonymous.get("/api/v1/setup").await.expect(200).json()["needed"],
        true
    );
    let body = |token: &str| json!({"token": token, "email": "first@example.com", "password": "a long password"});
    for token in ["", "changeme", "kbsetup_0000", "admin"] {
        anonymous
            .post("/api/v1/setup", &body(token))
            .await
            .expect_error(401, "invalid_setup_token");
    }
    anonymous
        .post("/api/v1/setup", &body(&app.setup_token()))
        .await
        .expect(201);
    anonymous
        .post("/api/v1/setup", &body(&app.setup_token()))
        .await
        .expect_error(409, "already_set_up");
    assert_eq!(
        anonymous.get("/api/v1/setup").await.expect(200).json()["needed"],
        false
    );
}

#[tokio::test]
async fn the_shell_can_do_what_the_page_does() {
    let provider = testkit::provider::ScriptedProvider::start();
    let mut app = builder().provider("openai", &provider).start().await;
    let canary = testkit::canary::Canary::new();
    let url = app.url();
    let token_file = app.data_dir().join("setup-token");
    assert_eq!(
        token_file
            .metadata()
            .expect("a token file")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let token_file = token_file.to_str().expect("UTF-8").to_owned();
    let arguments = [
        "init",
        "--url",
        &url,
        "--token-file",
        &token_file,
        "--email",
        "me@example.com",
    ];
    let exit = app.run_with_input(&arguments, "a long password\n").await;
    assert!(exit.status.success(), "{exit}");
    for line in exit.stdout.lines() {
        let (name, value) = line
            .strip_prefix("export ")
            .and_then(|rest| rest.split_once('='))
            .expect("an export");
        app.builder_mut().set_env(name, value.trim_matches('\''));
    }
    assert!(
        !std::path::Path::new(&token_file).exists(),
        "the token file is removed"
    );
    let key = canary.openai_key();
    let exit = app
        .run_with_input(&["keys", "add", "openai"], &format!("{key}\n"))
        .await;
    assert!(
        exit.status.success() && exit.says("openai\tprimary"),
        "{exit}"
    );
    let sealed_to = [
        "keys",
        "add",
        "openai",
        "--fingerprint",
        "00112233445566778899aabbccddeeff",
    ];
    let exit = app.run_with_input(&sealed_to, &format!("{key}\n")).await;
    assert!(!exit.status.success() && exit.says("fingerprint"), "{exit}");
    let exit = app.run(&["keys", "list"]).await;
    assert!(
        exit.says(&format!("{}...{}", &key[..4], &key[key.len() - 4..])),
        "{exit}"
    );
    assert_eq!(provider.last().key(), Some(key.as_str()));
    app.assert_no_leak(&canary).await;
}

#[tokio::test]
async fn the_first_user_can_be_logged_in_without_an_api_key_on_the_screen() {
    let app = builder().start().await;
    let url = app.url();
    let token_file = app.data_dir().join("setup-token");
    let token_file = token_file.to_str().expect("UTF-8");
    let arguments = [
        "init",
        "--login",
        "--url",
        &url,
        "--token-file",
        token_file,
        "--email",
        "me@example.com",
    ];
    let exit = app.run_with_input(&arguments, "a long password\n").await;
    assert!(exit.status.success() && !exit.says("kb_"), "{exit}");
    let exit = app.run(&["whoami", "--json"]).await;
    assert!(exit.status.success() && exit.says("\"api_key\""), "{exit}");
}

#[tokio::test]
async fn stopping_lets_a_running_stream_finish() {
    let mut fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let script = testkit::provider::wire::chat_stream("gpt-4o", "a slow answer to wait for", None);
    fixture
        .provider
        .next(script.pace(std::time::Duration::from_millis(100)));
    let mut stream = fixture
        .owner
        .key
        .stream("/v1/chat/completions", &crate::chat_stream("gpt-4o"))
        .await;
    stream.next().await.expect("no error").expect("a piece");
    let reading = tokio::spawn(stream.rest());
    let status = fixture.app.terminate().await;
    assert!(status.success(), "{status}");
    let body = reading.await.expect("no panic").expect("a whole stream");
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    // What it used was written before the process ended.
    fixture.app.restart().await;
    let rows = fixture.app.usage(&fixture.owner, 1).await;
    assert_eq!(rows[0]["status"], 200);
    fixture.finish().await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().expect("a folder");
    // Every write there fails, as on a full disk.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut child = Command::new(env!("CARGO_BIN_EXE_keybearer"))
        .arg("serve")
        .current_dir(folder.path())
        .env_clear()
        .env("KEYBEARER_LISTEN", "127.0.0.1:0")
        .env("KEYBEARER_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(full.expect("the device"))
        .spawn()
        .expect("started");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on http://");
    let answered = address.map(|address| {
        let mut socket = std::net::TcpStream::connect(address).expect("connected");
        let request =
            format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    });
    child.kill().expect("killed");
    child.wait().expect("ended");
    let answered = answered.unwrap_or_else(|| panic!("it did not start: {line:?}"));
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
}

#[tokio::test]
async fn no_core_of_the_server_is_written() {
    // T72: nor given to a program of `core_pattern`, which a limit alone does not stop.
    let mut fixture = Fixture::start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", fixture.app.pid()));
    let limits = limits.expect("the limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.expect("one of them").split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{words:?}");
    let pid = i32::try_from(fixture.app.pid()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("sent");
    let status = fixture.app.terminate().await;
    assert!(
        status.signal().is_some() && !status.core_dumped(),
        "{status}"
    );
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_keybearer");

/// A program that runs this binary with these words in front.
pub(crate) fn wrapped(
    folder: &std::path::Path,
    before: &str,
    binary: &std::path::Path,
) -> std::path::PathBuf {
    let script = folder.join("wrapped");
    let text = format!("#!/bin/sh\nexec {before} {} \"$@\"\n", binary.display());
    std::fs::write(&script, text).expect("written");
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&script, executable).expect("executable");
    script
}

#[tokio::test]
async fn memory_is_locked_where_that_is_asked_for_or_nothing_starts() {
    // T81
    let folder = tempfile::tempdir().expect("a folder");
    // Without a right that only root has, and with a limit.
    let is_root = rustix::process::geteuid().is_root();
    let without = match is_root {
        true => "setpriv --bounding-set=-ipc_lock prlimit --memlock=65536:65536",
        false => "prlimit --memlock=65536:65536",
    };
    let limited = wrapped(folder.path(), without, BINARY.as_ref());
    let limited = testkit::app::TestApp::builder(limited).env("KEYBEARER_LOCK_MEMORY", "true");
    let exit = limited.try_start().await.err().expect("it does not start");
    assert!(
        exit.says("lock_memory") && exit.says("LimitMEMLOCK=infinity"),
        "{exit}"
    );
    assert!(!exit.stdout.contains("listening"), "{exit}");
    let locked = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|it| it.strip_prefix("VmLck:"));
        let words = line.expect("a line").split_whitespace().next();
        words.expect("a number").parse::<u64>().expect("a number")
    };
    // Nobody asked for it: then there is no such limit either.
    let app = builder().start().await;
    assert_eq!(locked(app.pid()), 0);
    if !is_root {
        return;
    }
    let mut fixture =
        Fixture::start_with(|builder| builder.env("KEYBEARER_LOCK_MEMORY", "true")).await;
    assert!(locked(fixture.app.pid()) > 10_000);
    // What is only reserved takes no memory, and what comes later is locked and is there.
    fixture.with_openai_key().await;
    fixture.chat("gpt-4o").await.expect(200);
    let resident = fixture.app.resident_bytes();
    assert!(resident < 256 << 20, "{resident}");
    fixture.app.terminate().await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone_and_told_by_its_number() {
    // T163
    let mut fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    fixture.chat("gpt-4o").await.expect(200);
    fixture.app.usage(&fixture.owner, 1).await;
    fixture.app.terminate().await;
    // What a later version would leave in the spool is for that version.
    let spool = fixture.app.data_dir().join("usage-spool/0/0000000009.rows");
    let rows = b"KBROWS2\n\x01\x00\x00\x00\x00\x00\x00\x00x";
    std::fs::write(&spool, rows).expect("written");
    let later =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 900, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let url = fixture.app.database_url();
    let change = async |text: &'static str| match fixture.app.engine() {
        Engine::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(&url)
                .await
                .expect("connects");
            let done = sqlx::query(text).execute(&mut connection).await;
            done.expect("changed");
            connection.close().await.expect("closed");
        }
        Engine::Postgres => {
            let mut connection = sqlx::PgConnection::connect(&url).await.expect("connects");
            let done = sqlx::query(text).execute(&mut connection).await;
            done.expect("changed");
            connection.close().await.expect("closed");
        }
    };
    change(later).await;
    for command in [
        &["serve"][..],
        &["doctor"],
        &["root-key", "rotate", "--to", "new.key"],
    ] {
        let exit = fixture.app.run(command).await;
        assert!(
            exit.status.code() == Some(1) && exit.says("900"),
            "{command:?}: {exit}"
        );
        assert!(!exit.stdout.contains("listening"), "{exit}");
    }
    assert_eq!(std::fs::read(&spool).expect("still there"), rows);
    assert!(!fixture.app.data_dir().join("new.key").exists());
    // Behind the later version nothing is lost.
    std::fs::remove_file(&spool).expect("removed");
    change("DELETE FROM _sqlx_migrations WHERE version = 900").await;
    fixture.app.restart().await;
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.app.usage(&fixture.owner, 2).await.len(), 2);
    fixture.finish().await;
}

#[tokio::test]
async fn other_processes_of_the_same_user_cannot_look_into_the_server() {
    // T73
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().expect("a folder");
    let is_root = rustix::process::geteuid().is_root();
    // Root may look anywhere, so both are somebody else then.
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --";
    let (before, binary) = match is_root {
        false => ("", std::path::PathBuf::from(BINARY)),
        true => {
            // Where it was built nobody may be allowed to go.
            let binary = dir.path().join("keybearer");
            std::fs::copy(BINARY, &binary).expect("copied");
            for path in [dir.path(), &binary] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
            }
            (as_nobody, binary)
        }
    };
    let scripts = tempfile::tempdir().expect("a folder");
    let script = wrapped(scripts.path(), before, &binary);
    let app = testkit::app::TestApp::builder(script)
        .engine(Engine::Sqlite)
        .try_start_in(dir)
        .await
        .unwrap_or_else(|exit| panic!("{exit}"));
    let looks = |pid: u32| {
        let text = format!(
            "for it in environ mem maps auxv; do head -c 1 /proc/{pid}/$it >/dev/null 2>&1 && echo $it; done; \
             ls /proc/{pid}/fd >/dev/null 2>&1 && echo fd; ls /proc/{pid}/cwd/ >/dev/null 2>&1 && echo cwd; true"
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("{before} sh -c '{text}'")])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert_eq!(looks(app.pid()), "");
    // The same look finds all of it in a process that is not guarded.
    let mut other = std::process::Command::new("sh")
        .args(["-c", &format!("exec {before} sleep 60")])
        .spawn()
        .expect("it runs");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let seen = looks(other.id());
    other.kill().expect("ended");
    other.wait().expect("gone");
    assert!(seen.contains("environ") && seen.contains("fd"), "{seen}");
}
