//! Keys that change while the server runs: by the file, by `keybearer reload` and by SIGHUP, under a running stream.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::app::{Auth, Streaming};
use testkit::provider::Script;

use super::{Local, hang_up, wait_until};
use crate::{builder, chat_stream};

/// A stream that takes its time: 24 pieces in 6 seconds.
fn slow() -> Script {
    let piece = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let end = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":24}}\n\ndata: [DONE]\n\n";
    let pieces = std::iter::repeat_n(piece, 24).chain([end]);
    Script::stream(pieces).pace(Duration::from_millis(250))
}

/// A stream that has begun.
async fn begun(local: &Local) -> Streaming {
    local.provider.next(slow());
    let caller = local.app.anonymous();
    let mut stream = caller
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await;
    assert_eq!(stream.status, 200);
    stream.next().await.expect("a piece").expect("a piece");
    stream
}

/// The stream came whole, on the connection that it began on.
async fn ended(stream: Streaming) {
    let rest = stream.rest().await.expect("a whole stream");
    let text = String::from_utf8(rest).expect("UTF-8");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

/// Waits until calls are served with `key`.
async fn served_with(local: &Local, key: &str) {
    for _ in 0..200 {
        if local.key_for("gpt-4o").await.as_deref() == Ok(key) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the new key does not serve: {}", local.app.stderr());
}

fn env_file(local: &Local) -> PathBuf {
    local.app.dir().join("keys.env")
}

fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).expect("can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
}

/// A file of keys that does not stand still: it says the same in other bytes all the time.
struct Moving {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Moving {
    fn begin(local: &Local, text: &str) -> Self {
        let (path, text) = (env_file(local), text.to_owned());
        let mut number = 0;
        let mut step = move || {
            number += 1;
            // As a whole: whoever reads it in between finds all of it.
            let new = path.with_extension("new");
            write(&new, &format!("{text}# {number}\n"));
            std::fs::rename(&new, &path).expect("can be replaced");
        };
        step();
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                step();
            }
        });
        Self { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ended well");
    }
}

async fn with_file(text: impl FnOnce(&testkit::canary::Canary) -> String) -> Local {
    let mut text = Some(text);
    let dir = tempfile_dir();
    let path = dir.path().join("keys.env");
    Local::start_in(dir, |builder, canary| {
        let text = text.take().expect("once");
        write(&path, &text(canary));
        builder.arguments(&["local", "--env-file", "keys.env"])
    })
    .await
}

fn tempfile_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("kb-test-").tempdir();
    dir.expect("a temp dir")
}

#[tokio::test]
async fn a_changed_file_serves_the_next_request_and_streams_go_on() {
    let local = with_file(|canary| {
        format!(
            "# keys\nexport OPENAI_API_KEY='{}'\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\nHTTPS_PROXY=http://127.0.0.1:1\n",
            canary.openai_key()
        )
    })
    .await;
    // T181: what stands beside the keys redirects nothing.
    let first = local.key_for("gpt-4o").await.expect("served");
    let stream = begun(&local).await;
    let second = local.canary.openai_key();
    write(&env_file(&local), &format!("OPENAI_API_KEY={second}\n"));
    served_with(&local, &second).await;
    assert_ne!(first, second);
    ended(stream).await;

    // Another provider comes, and one goes.
    let anthropic = local.canary.anthropic_key();
    write(
        &env_file(&local),
        &format!("ANTHROPIC_API_KEY={anthropic}\n"),
    );
    local.wait_for_log("in OPENAI_API_KEY was removed").await;
    assert_eq!(
        local.key_for("anthropic/claude-haiku-4-5").await,
        Ok(anthropic)
    );
    local
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    local.finish().await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_keys_and_says_the_line_and_not_the_value() {
    let local = with_file(|canary| format!("OPENAI_API_KEY={}\n", canary.openai_key())).await;
    let key = local.key_for("gpt-4o").await.expect("served");
    let secret = local.canary.openai_key();
    write(
        &env_file(&local),
        &format!("# one\nOPENAI_API_KEY=\"{secret}\n"),
    );
    local.wait_for_log("line 2: a quote is not closed").await;
    local.wait_for_log("the keys stay as they were").await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(key.clone()));
    std::fs::remove_file(env_file(&local)).expect("removed");
    local.wait_for_log("there is no ").await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(key));
    // Mended, it counts again.
    write(&env_file(&local), &format!("OPENAI_API_KEY={secret}\n"));
    served_with(&local, &secret).await;
    local.finish().await;
}

#[tokio::test]
async fn a_start_with_a_broken_file_or_none_is_refused() {
    for (text, said) in [
        (Some("OPENAI_API_KEY=\"hunter2hunter2"), "line 1"),
        (None, "there is no"),
    ] {
        let dir = tempfile_dir();
        if let Some(text) = text {
            write(&dir.path().join("keys.env"), text);
        }
        let builder = builder().arguments(&["local", "--env-file", "keys.env"]);
        let exit = builder.try_start_in(dir).await.err().expect("refused");
        assert!(exit.says(said) && !exit.says("hunter2"), "{exit}");
    }
}

#[tokio::test]
async fn a_variable_of_the_file_wins_over_the_environment_and_a_prefix_over_both() {
    let mut local = with_file(|canary| format!("OPENAI_API_KEY={}\n", canary.openai_key())).await;
    let of_file = local.key_for("gpt-4o").await.expect("served");
    let plain = local.canary.openai_key();
    local.app.builder_mut().set_env("OPENAI_API_KEY", &plain);
    local.app.restart().await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(of_file));
    let prefixed = local.canary.openai_key();
    let builder = local.app.builder_mut();
    builder.set_env("KEYBEARER_OPENAI_API_KEY", &prefixed);
    local.app.restart().await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(prefixed));
    local.finish().await;
}

#[tokio::test]
async fn reload_forwards_what_the_shell_has_and_streams_go_on() {
    let mut local = Local::start_with(|builder, canary| {
        builder
            .env("OPENAI_API_KEY", &canary.openai_key())
            .env("ANTHROPIC_API_KEY", &canary.anthropic_key())
    })
    .await;
    let stream = begun(&local).await;
    let second = local.canary.openai_key();
    let other = local.canary.key("not-for-anybody-", 30);
    let builder = local.app.builder_mut();
    builder.set_env("OPENAI_API_KEY", &second);
    builder.remove_env("ANTHROPIC_API_KEY");
    builder.set_env("GOOGLE_API_KEY", "short");
    // Not recognised, and not sent.
    builder.set_env("MY_PROVIDER_API_KEY", &other);
    let exit = local.app.run(&["reload"]).await;
    for said in [
        "openai       replaced  OPENAI_API_KEY\n",
        "anthropic    unchanged ANTHROPIC_API_KEY\n",
        "google       refused   GOOGLE_API_KEY: ",
        "kept, though this shell has none (--exact lets them go): ANTHROPIC_API_KEY\n",
    ] {
        assert!(exit.stdout.contains(said), "{said}: {exit}");
    }
    assert_eq!(exit.status.code(), Some(1), "one was refused: {exit}");
    assert_eq!(local.key_for("gpt-4o").await, Ok(second.clone()));
    ended(stream).await;

    // SIGHUP does not go back to what the parent had long ago.
    local.hang_up();
    local.wait_for_log("read the configuration again").await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(second));

    local.app.builder_mut().remove_env("GOOGLE_API_KEY");
    let exit = local.app.run(&["reload", "--exact"]).await;
    assert!(exit.status.success(), "{exit}");
    let said = "anthropic    removed   ANTHROPIC_API_KEY\n";
    assert!(exit.stdout.contains(said), "{exit}");
    local
        .chat("anthropic/claude-haiku-4-5")
        .await
        .expect_error(402, "byok_key_revoked");
    // Who changed what stands in the audit log.
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let audit = owner.get(&local.path("/audit")).await.expect(200).text();
    for action in [
        "provider_key.create",
        "provider_key.replace",
        "provider_key.remove",
    ] {
        assert!(audit.contains(action), "{audit}");
    }
    local.finish().await;
}

#[tokio::test]
async fn reload_says_which_values_do_not_count() {
    let mut local = with_file(|canary| format!("OPENAI_API_KEY={}\n", canary.openai_key())).await;
    let of_file = local.key_for("gpt-4o").await.expect("served");
    let anthropic = local.canary.anthropic_key();
    let builder = local.app.builder_mut();
    builder.set_env("KEYBEARER_ANTHROPIC_API_KEY", &anthropic);
    let exit = local.app.run(&["reload"]).await;
    assert!(
        exit.status.success() && !exit.says("without effect"),
        "{exit}"
    );

    // By the file; and by another name, which this shell does not have any more.
    let (of_shell, plain) = (local.canary.openai_key(), local.canary.anthropic_key());
    let builder = local.app.builder_mut();
    builder.set_env("OPENAI_API_KEY", &of_shell);
    builder.set_env("ANTHROPIC_API_KEY", &plain);
    builder.remove_env("KEYBEARER_ANTHROPIC_API_KEY");
    let exit = local.app.run(&["reload"]).await;
    for said in [
        "without effect: OPENAI_API_KEY, since the env file sets it, too\n",
        "without effect: ANTHROPIC_API_KEY, since KEYBEARER_ANTHROPIC_API_KEY is set there and comes first\n",
    ] {
        assert!(exit.stdout.contains(said), "{said}: {exit}");
    }
    assert_eq!(local.key_for("gpt-4o").await, Ok(of_file.clone()));
    let exit = local.app.run(&["reload", "--json"]).await;
    let report: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    let overridden = json!([
        { "variable": "ANTHROPIC_API_KEY", "by": "KEYBEARER_ANTHROPIC_API_KEY", "in_env_file": false },
        { "variable": "OPENAI_API_KEY", "by": "OPENAI_API_KEY", "in_env_file": true },
    ]);
    assert_eq!(report["overridden"], overridden, "{exit}");

    // The value that counts anyway, and a shell that says itself which of two comes first.
    let builder = local.app.builder_mut();
    builder.set_env("OPENAI_API_KEY", &of_file);
    builder.set_env("KEYBEARER_ANTHROPIC_API_KEY", &anthropic);
    let exit = local.app.run(&["reload"]).await;
    assert!(
        exit.status.success() && !exit.says("without effect"),
        "{exit}"
    );
    local.finish().await;
}

#[tokio::test]
async fn a_value_that_another_shell_had_does_not_fail_a_reload() {
    let mut local = Local::start_with(|builder, canary| {
        builder
            .env("OPENAI_API_KEY", &canary.openai_key())
            .env("ANTHROPIC_API_KEY", "local")
    })
    .await;
    let second = local.canary.openai_key();
    let builder = local.app.builder_mut();
    builder.set_env("OPENAI_API_KEY", &second);
    builder.remove_env("ANTHROPIC_API_KEY");
    let exit = local.app.run(&["reload"]).await;
    let said = "anthropic    refused   ANTHROPIC_API_KEY: ";
    assert!(
        exit.status.success() && exit.stdout.contains(said),
        "{exit}"
    );
    assert_eq!(local.key_for("gpt-4o").await, Ok(second));
    // This shell's own is one.
    let builder = local.app.builder_mut();
    builder.set_env("ANTHROPIC_API_KEY", "local");
    let exit = local.app.run(&["reload"]).await;
    assert!(
        exit.status.code() == Some(1) && exit.stdout.contains(said),
        "{exit}"
    );
    local.finish().await;
}

#[tokio::test]
async fn a_misspelt_variable_of_a_key_is_named() {
    let dir = tempfile_dir();
    write(&dir.path().join("keys.env"), "# none yet\n");
    let local = Local::start_in(dir, |builder, canary| {
        builder
            .arguments(&["local", "--env-file", "keys.env"])
            .env("KEYBEARER_OPNAI_API_KEY", &canary.openai_key())
            .env("BITROUTER_QQQQQQQQ_API_KEY", &canary.key("q-", 30))
            .env("KEYBEARER_API_KEY", "kb_something")
            .env("SOMEBODYS_API_KEY", "somebody's")
    })
    .await;
    let unknown = "is of no use: it names no provider that takes a key";
    let opnai =
        format!("KEYBEARER_OPNAI_API_KEY {unknown}; did you mean KEYBEARER_OPENAI_API_KEY?");
    local.wait_for_log(&opnai).await;
    local
        .wait_for_log(&format!("BITROUTER_QQQQQQQQ_API_KEY {unknown}\n"))
        .await;
    let key = local.canary.anthropic_key();
    write(
        &env_file(&local),
        &format!("BITROUTER_ANTROPIC_API_KEY={key}\n"),
    );
    local
        .wait_for_log("did you mean BITROUTER_ANTHROPIC_API_KEY?")
        .await;
    assert_eq!(local.app.stderr().matches(unknown).count(), 3);
    let exit = local.app.run(&["reload"]).await;
    let said = "KEYBEARER_OPNAI_API_KEY is not sent: it names no provider that takes a key";
    assert!(exit.status.success() && exit.says(said), "{exit}");
    assert!(
        !exit.says("KEYBEARER_API_KEY is") && !exit.says("SOMEBODYS"),
        "{exit}"
    );
    local.finish().await;
}

#[tokio::test]
async fn sighup_reads_the_file_at_once_and_streams_go_on() {
    let local = with_file(|canary| format!("OPENAI_API_KEY={}\n", canary.openai_key())).await;
    let stream = begun(&local).await;
    let second = local.canary.openai_key();
    // As long as it is being written, whoever only watches the file leaves it alone.
    let moving = Moving::begin(&local, &format!("OPENAI_API_KEY={second}\n"));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_ne!(local.key_for("gpt-4o").await, Ok(second.clone()));
    local.hang_up();
    served_with(&local, &second).await;
    moving.end();
    ended(stream).await;
    let moving = Moving::begin(&local, "nonsense\n");
    local.hang_up();
    local.wait_for_log("line 1: not KEY=value").await;
    moving.end();
    assert_eq!(local.key_for("gpt-4o").await, Ok(second));
    local.finish().await;
}

/// The server behind a script, which the app's own process is not.
struct Behind(u32);

impl Drop for Behind {
    fn drop(&mut self) {
        let process = i32::try_from(self.0).ok();
        let process = process.and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    }
}

#[tokio::test]
async fn sighup_sees_a_parent_that_became_another_program_and_nothing_else() {
    // A shell that starts the server and later execs something with another environment.
    let script = "#!/bin/sh\n\"$BINARY\" \"$@\" &\necho $! > pid\nuntil [ -e new-key ]; do sleep 0.05; done\n\
        OPENAI_API_KEY=$(cat new-key); export OPENAI_API_KEY\ntouch exported\nuntil [ -e go ]; do sleep 0.05; done\n\
        exec sleep 120\n";
    let dir = tempfile_dir();
    let path = dir.path().join("parent.sh");
    std::fs::write(&path, script).expect("can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    let local = Local::start_binary_in(path, dir, |builder, canary| {
        builder
            .env("BINARY", env!("CARGO_BIN_EXE_keybearer"))
            .env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await;
    let dir = local.app.dir().to_owned();
    let process = std::fs::read_to_string(dir.join("pid")).expect("the server's id");
    let server = Behind(process.trim().parse().expect("a process id"));
    let first = local.key_for("gpt-4o").await.expect("served");

    // The shell exports another value: nobody else can see that.
    let second = local.canary.openai_key();
    std::fs::write(dir.join("new-key"), &second).expect("can be written");
    wait_until("the export", || dir.join("exported").exists()).await;
    hang_up(server.0);
    local.wait_for_log("read the configuration again").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(first));

    // Now it is another program, started with the new one.
    let stream = begun(&local).await;
    std::fs::write(dir.join("go"), "").expect("can be written");
    let program = format!("/proc/{}/comm", local.app.pid());
    wait_until("the exec", || {
        std::fs::read_to_string(&program).is_ok_and(|name| name.trim() == "sleep")
    })
    .await;
    hang_up(server.0);
    served_with(&local, &second).await;
    ended(stream).await;
    drop(server);
}
