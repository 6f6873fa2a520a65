//! The control socket: whose it is, and what it bears.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::provider::Script;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::Local;

fn path(local: &Local) -> PathBuf {
    local.app.data_dir().join("keybearer.sock")
}

async fn with_openai() -> Local {
    Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key())).await
}

#[tokio::test]
async fn it_is_the_owners_and_goes_with_the_server() {
    // T179
    let mut local = with_openai().await;
    let metadata = path(&local).metadata().expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // What a killed process leaves is no hindrance.
    local.app.restart().await;
    let exit = local.app.run(&["reload"]).await;
    assert!(exit.status.success(), "{exit}");
    let status = local.app.terminate().await;
    assert!(status.success(), "{status}: {}", local.app.stderr());
    assert!(!path(&local).exists());
    let exit = local.app.run(&["reload"]).await;
    assert!(
        !exit.status.success() && exit.says("no local instance answers"),
        "{exit}"
    );
    local.finish().await;
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_files_let_them_in() {
    // T179
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let local = with_openai().await;
    let open = |path: PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    open(local.app.dir().to_owned(), 0o711);
    open(local.app.data_dir(), 0o711);
    open(path(&local), 0o666);
    let ask = |user: &str| {
        let program = "import os, socket, sys\nos.setuid(int(sys.argv[2]))\ns = socket.socket(socket.AF_UNIX)\n\
            s.connect(sys.argv[1])\ns.settimeout(10)\nprint(s.recv(100).decode()[:9])";
        let path = path(&local);
        let output = Command::new("python3")
            .args(["-c", program])
            .arg(path)
            .arg(user)
            .output()
            .expect("Python runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(ask("0"), "{\"names\":");
    assert_eq!(ask("65534"), "");
    local
        .wait_for_log("the other end belongs to user 65534")
        .await;
}

#[tokio::test]
async fn nonsense_and_crowds_change_nothing() {
    // T179
    let local = with_openai().await;
    let key = local.key_for("gpt-4o").await.expect("served");
    let connect = async || {
        let stream = UnixStream::connect(path(&local)).await.expect("connects");
        BufReader::new(stream)
    };
    let greeted = async |stream: &mut BufReader<UnixStream>| {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_line(&mut line));
        matches!(read.await, Ok(Ok(length)) if length > 0)
    };
    let secret = local.canary.key("sk-", 40);
    let long = "x".repeat(600 * 1024);
    for line in [
        "nonsense\n".to_owned(),
        format!(
            "{{\"reload\":{{\"exact\":true,\"variables\":{{\"OPENAI_API_KEY\":\"{secret}\"}},\"more\":1}}}}\n"
        ),
        format!("{{\"reload\":{{\"exact\":true,\"variables\":[\"{secret}\"]}}}}\n"),
        "{\"console_link\":{\"more\":1}}\n".to_owned(),
        long,
    ] {
        let mut stream = connect().await;
        assert!(greeted(&mut stream).await);
        // It may have hung up on the long one.
        let _ = stream.write_all(line.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "no answer");
    }
    assert_eq!(local.key_for("gpt-4o").await, Ok(key.clone()));
    // As many idle connections as there are places have them; more wait for theirs, and the server serves on.
    let mut idle = Vec::new();
    for _ in 0..32 {
        let mut stream = connect().await;
        assert!(greeted(&mut stream).await);
        idle.push(stream);
    }
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting.push(connect().await);
    }
    let mut byte = [0];
    let early = waiting[0].read(&mut byte);
    let early = tokio::time::timeout(Duration::from_millis(300), early).await;
    assert!(early.is_err(), "nobody's turn yet");
    assert_eq!(local.key_for("gpt-4o").await, Ok(key));
    drop(idle);
    assert!(greeted(&mut waiting[0]).await);
    drop(waiting);
    let exit = local.app.run(&["reload"]).await;
    assert!(exit.status.success(), "{exit}");
    local.finish().await;
}

#[tokio::test]
async fn who_only_reads_waits_for_no_change_of_keys() {
    let local = Local::start_with(|builder, canary| {
        builder
            .arguments(&["local", "--probe"])
            .env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await;
    let before = local.key_for("gpt-4o").await.expect("served");
    let probes = local.provider.requests().len();
    // Of a provider that takes its time to say whether a key is good.
    let slow = Script::json(200, &json!({})).delay(Duration::from_secs(8));
    local.provider.next(slow);
    let mut reload = Command::new(env!("CARGO_BIN_EXE_keybearer"));
    reload
        .arg("reload")
        .env_clear()
        .env("KEYBEARER_HOME", local.app.data_dir())
        .env("OPENAI_API_KEY", local.canary.openai_key())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut reloads: Vec<_> = (0..6).map(|_| reload.spawn().expect("starts")).collect();
    local.provider.wait_for_requests(probes + 1).await;
    let begun = Instant::now();
    for arguments in [
        &["whoami"][..],
        &["keys", "list"],
        &["console", "--no-open"],
        &["local", "new-api-key"],
    ] {
        let exit = local.app.run(arguments).await;
        assert!(exit.status.success(), "{exit}");
    }
    let exit = local.app.run(&["doctor"]).await;
    assert!(exit.says("the keys are being changed; ask again"), "{exit}");
    assert_eq!(local.key_for("gpt-4o").await, Ok(before));
    assert!(
        begun.elapsed() < Duration::from_secs(7),
        "{:?}",
        begun.elapsed()
    );
    for reload in &mut reloads {
        reload.wait().expect("ends");
    }
    local.finish().await;
}

#[tokio::test]
async fn many_at_once_are_all_answered_and_a_look_is_no_trouble() {
    let local = with_openai().await;
    let reload = || local.app.run(&["reload"]);
    let (one, two, three, four, five, six, seven, eight) = tokio::join!(
        reload(),
        reload(),
        reload(),
        reload(),
        reload(),
        reload(),
        reload(),
        reload(),
    );
    for exit in [one, two, three, four, five, six, seven, eight] {
        assert!(exit.status.success(), "{exit}");
    }
    // Both look first whether somebody answers.
    for _ in 0..5 {
        let exit = local.app.run(&["local"]).await;
        assert!(!exit.status.success() && exit.says("already;"), "{exit}");
        let exit = local.app.run(&["console", "--no-open"]).await;
        assert!(exit.status.success(), "{exit}");
    }
    let log = local.app.stderr();
    assert!(!log.contains("the control socket"), "{log}");
    local.finish().await;
}

#[tokio::test]
async fn a_path_that_is_too_long_costs_the_control_socket_alone() {
    // T179
    let long = format!("data/{}", "d".repeat(120));
    let local = Local::start_with(|builder, canary| {
        builder
            .env("KEYBEARER_DATA_DIR", &long)
            .env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await;
    local.wait_for_log("is too long for a socket").await;
    local.chat("gpt-4o").await.expect(200);
    let exit = local.app.run(&["reload"]).await;
    assert!(
        !exit.status.success() && exit.says("is too long for a socket"),
        "{exit}"
    );
}
