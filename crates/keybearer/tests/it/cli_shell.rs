//! The command line in a shell and on a terminal: completions, manual pages, tables, questions, the live view.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Fixture;

impl Fixture {
    /// A command that a test runs itself, as the owner's API key.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybearer"));
        command.args(arguments);
        self.as_key(&mut command);
        command
    }

    /// The same on a terminal of its own, which `script` makes (util-linux).
    pub(crate) fn on_terminal(&self, arguments: &[&str]) -> Command {
        // Without a shell in between, which would answer signals too.
        let line = [&["exec", env!("CARGO_BIN_EXE_keybearer")], arguments].concat();
        let mut command = Command::new("script");
        command.args(["-qec", &line.join(" "), "/dev/null"]);
        self.as_key(&mut command);
        command.env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        command
    }

    fn as_key(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.app.dir())
            .env("KEYBEARER_URL", self.app.url())
            .env("KEYBEARER_API_KEY", &self.owner.api_key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }
}

/// What a command that ends printed on its terminal.
pub(crate) fn seen(mut command: Command, typed: &str) -> (Option<i32>, String) {
    let mut child = command.spawn().expect("script is installed");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(typed.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    drop(input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

/// The next lines of a child that goes on, read beside the test so that a missing one fails instead of hanging.
pub(crate) fn lines(child: &mut Child) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let output = child.stdout.take().expect("a pipe");
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

pub(crate) fn next(lines: &std::sync::mpsc::Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(20)).expect("a line")
}

#[tokio::test]
async fn shells_complete_commands_and_every_command_has_a_manual_page() {
    let fixture = Fixture::with_cli().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = fixture.cli(&["completions", shell]).await.stdout;
        assert!(
            text.contains("api-key") && text.contains("rotate"),
            "{shell}"
        );
    }
    fixture.cli_ends(&["completions", "cobol"], 2).await;
    let page = fixture.cli(&["man"]).await.stdout;
    assert!(
        page.contains(".TH keybearer 1") && page.contains("Exit codes"),
        "{page}"
    );
    let page = fixture.cli(&["man", "keys", "add"]).await.stdout;
    assert!(page.contains(".TH keybearer-keys-add 1"), "{page}");
    fixture.cli_ends(&["man", "keys", "fly"], 6).await;
    let pages = fixture.app.dir().join("man");
    fixture
        .cli(&["man", "--dir", pages.to_str().expect("UTF-8")])
        .await;
    let reference = include_str!("../../../../docs/cli.md");
    let commands = reference
        .lines()
        .filter(|line| line.starts_with("## `keybearer"));
    let written = std::fs::read_dir(&pages).expect("the pages").count();
    assert_eq!(written, commands.count());
    assert!(pages.join("keybearer-admin-user-create.1").exists());
}

#[tokio::test]
async fn the_completions_are_valid_for_their_shell() {
    let fixture = Fixture::with_cli().await;
    let text = fixture.cli(&["completions", "bash"]).await.stdout;
    let mut bash = Command::new("bash");
    let mut bash = bash.arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    let mut input = bash.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("written");
    drop(input);
    assert!(bash.wait().expect("ended").success());
}

#[tokio::test]
async fn a_terminal_gets_a_table_with_colours_unless_it_wants_none() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let (code, text) = seen(fixture.on_terminal(&["keys", "list"]), "");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("\u{1b}[1mID  "), "{text:?}");
    assert!(text.contains("  openai    primary  "), "{text:?}");
    let mut plain = fixture.on_terminal(&["keys", "list"]);
    plain.env("NO_COLOR", "1");
    let (_, text) = seen(plain, "");
    assert!(
        text.starts_with("ID  ") && !text.contains('\u{1b}'),
        "{text:?}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn what_is_empty_or_missing_is_said() {
    let fixture = Fixture::with_cli().await;
    for (command, said) in [
        (&["member", "invitations"][..], "None."),
        (&["usage"], "No calls since 20"),
        (&["keys", "list"], "No provider keys. Add one"),
    ] {
        let (code, text) = seen(fixture.on_terminal(command), "");
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with(said), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    // In a pipe nothing is a list without lines.
    let empty = fixture.cli(&["member", "invitations"]).await;
    assert_eq!((empty.stdout.as_str(), empty.stderr.as_str()), ("", ""));
    let exit = fixture.cli_ends(&["keys", "add", "openai"], 1).await;
    assert!(exit.says("standard input is at its end"), "{exit}");
    assert!(exit.says("hint: type it at a terminal"), "{exit}");
    // A command as one would type it.
    let service = json!({"name": "web", "command": ["sh", "-c", "echo a; exit 1"]});
    let session = &fixture.owner.person.session;
    let made = session.post(&fixture.path("/services"), &service).await;
    made.expect(201);
    let shown = fixture.as_owner(&["service", "show", "web"], "").await;
    assert!(
        shown.stdout.contains("COMMAND  sh -c 'echo a; exit 1'\n"),
        "{shown}"
    );
    assert!(shown.stdout.contains("ENV      -\n"), "{shown}");
    let listed = fixture.as_owner(&["service", "list"], "").await.stdout;
    assert!(listed.contains("\tsh -c 'echo a; exit 1'\t"), "{listed}");
}

#[tokio::test]
async fn a_question_is_asked_on_a_terminal_and_no_is_no() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let remove = ["keys", "remove", "openai"];
    let (code, text) = seen(fixture.on_terminal(&remove), "n\n");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("[y/N]"), "{text}");
    assert_eq!(
        fixture.cli(&["keys", "list"]).await.stdout.lines().count(),
        1
    );
    // The question says what it is about, also where a program reads the result.
    let json = [&remove[..], &["--json"]].concat();
    let (code, text) = seen(fixture.on_terminal(&json), "n\n");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("openai/primary"), "{text}");
    assert!(text.contains("will be refused with 402. Remove"), "{text}");
    let (code, text) = seen(fixture.on_terminal(&remove), "y\n");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fixture.cli(&["keys", "list"]).await.stdout, "");
    fixture.finish().await;
}

#[tokio::test]
async fn the_status_counts_what_went_through() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    fixture.chat("gpt-4o").await.expect(200);
    fixture.chat("no-such-model").await;
    fixture.app.usage(&fixture.owner, 2).await;
    let status = fixture.cli_json(&["status"]).await;
    assert_eq!(
        (&status["total"]["calls"], &status["total"]["failed"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(status["recent"].as_array().map(Vec::len), Some(2));
    let text = fixture.cli(&["status", "--since", "10m"]).await.stdout;
    assert!(text.contains(": 2 calls, 1 failed, "), "{text}");
    assert!(text.contains("\topenai/gpt-4o\tprimary\t200\t"), "{text}");
    fixture.finish().await;
}

#[tokio::test]
async fn the_live_view_is_a_line_for_each_call_on_a_pipe() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    fixture.chat("gpt-4o").await.expect(200);
    fixture.app.usage(&fixture.owner, 1).await;
    let mut child = fixture
        .command(&["status", "--watch", "--interval", "1", "--json"])
        .spawn()
        .expect("started");
    let lines = lines(&mut child);
    let first: Value = serde_json::from_str(&next(&lines)).expect("JSON");
    assert_eq!(first["model"], "gpt-4o");
    fixture.chat("gpt-4o-mini").await.expect(200);
    let second: Value = serde_json::from_str(&next(&lines)).expect("JSON");
    assert_eq!(second["model"], "gpt-4o-mini");
    // Each call once.
    assert!(lines.recv_timeout(Duration::from_secs(3)).is_err());
    child.kill().expect("ours");
    child.wait().expect("ended");
    fixture.finish().await;
}

#[tokio::test]
async fn the_live_view_is_redrawn_on_a_terminal_and_leaves_it_as_it_was() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let (mut child, mut screen) = fixture.watched();
    screen.until("\u{1b}[?1049h");
    screen.until(" 0 calls, ");
    fixture.chat("gpt-4o").await.expect(200);
    screen.until(" 1 call, ");
    // Control-C.
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&[3]).expect("written");
    screen.until("\u{1b}[?25h\u{1b}[?1049l");
    let status = child.wait().expect("ended");
    assert!(status.success(), "{status}");
    // The same for whoever ends programs.
    let (mut child, mut screen) = fixture.watched();
    screen.until(" 1 call, ");
    let [viewer] = crate::cli_login::children_of(child.id())[..] else {
        panic!("script started something else");
    };
    let viewer = i32::try_from(viewer).ok();
    let viewer = viewer.and_then(rustix::process::Pid::from_raw);
    let viewer = viewer.expect("a process");
    rustix::process::kill_process(viewer, rustix::process::Signal::TERM).expect("ours");
    screen.until("\u{1b}[?25h\u{1b}[?1049l");
    let status = child.wait().expect("ended");
    assert!(status.success(), "{status}");
    fixture.finish().await;
}

/// What a command that goes on draws on its terminal.
struct Drawn {
    pieces: std::sync::mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl Drawn {
    /// Waits until this was drawn.
    fn until(&mut self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.text.contains(what) {
            let left = deadline.saturating_duration_since(Instant::now());
            let piece = self.pieces.recv_timeout(left);
            let piece = piece.unwrap_or_else(|_| panic!("no {what:?} in {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
    }
}

impl Fixture {
    /// The live view on a terminal, and what it draws there.
    fn watched(&self) -> (Child, Drawn) {
        let mut child = self
            .on_terminal(&["status", "--watch", "--interval", "1"])
            .spawn()
            .expect("script is installed");
        let mut output = child.stdout.take().expect("a pipe");
        let (sender, pieces) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let text = String::new();
        (child, Drawn { pieces, text })
    }
}

#[tokio::test]
async fn a_new_password_is_asked_for_twice_where_nobody_sees_it() {
    let fixture = Fixture::with_cli().await;
    let token = fixture.cli(&["member", "invite", "new@example.com"]).await;
    let typed = format!(
        "{}\na long password\na long passwort\n",
        token.stdout.trim()
    );
    let (code, text) = seen(fixture.on_terminal(&["join"]), &typed);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the two passwords differ"), "{text}");
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_a_failure_and_no_key_is_lost() {
    let fixture = Fixture::with_cli().await;
    let full = |arguments: &[&str]| {
        let full = std::fs::File::create("/dev/full").expect("a device");
        let mut command = fixture.command(arguments);
        let output = command.stdout(full).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("standard output"), "{arguments:?}: {said}");
        said
    };
    full(&["provider", "list", "--all"]);
    full(&["--json", "provider", "list", "--all"]);
    full(&["completions", "bash"]);
    full(&["man"]);
    full(&["api", "GET", "/api/v1/whoami"]);
    let keys = async || fixture.cli_json(&["api-key", "list"]).await["data"].clone();
    let before = keys().await.as_array().map_or(0, Vec::len);
    let said = full(&["env"]);
    assert!(!said.contains("kb_"), "{said}");
    for arguments in [
        &["api-key", "create", "ci"][..],
        &["--json", "api-key", "create", "ci"],
    ] {
        let said = full(arguments);
        let key = said.split_whitespace().find(|word| word.starts_with("kb_"));
        let key = key.expect("the key, which is shown once");
        let caller = fixture
            .app
            .caller("ci", testkit::app::Auth::Bearer(key.to_owned()));
        caller.get("/v1/models").await.expect(200);
    }
    let after = keys().await.as_array().map_or(0, Vec::len);
    assert_eq!(after, before + 2, "the key of env was given back");
    // Who has seen enough is no failure.
    let mut command = fixture.command(&["provider", "list", "--all"]);
    let mut child = command.spawn().expect("starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("ends").success());
}

#[tokio::test]
async fn a_signal_at_a_secret_gives_the_terminal_its_echo_back() {
    let fixture = Fixture::with_cli().await;
    let driver = "
import fcntl, os, pty, signal, sys, termios, time
master, slave = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in range(3): os.dup2(slave, number)
    os.execv(sys.argv[2], sys.argv[2:])
echoes = lambda: bool(termios.tcgetattr(slave)[3] & termios.ECHO)
until = time.time() + 20
while echoes() and time.time() < until: time.sleep(0.02)
print('asked', not echoes())
if sys.argv[1] == 'key': os.write(master, b'\x03')
else: os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), echoes())
";
    for (way, code) in [("key", 130), ("signal", 143)] {
        let command = fixture.command(&[]);
        let mut python = Command::new("python3");
        python.args([
            "-c",
            driver,
            way,
            env!("CARGO_BIN_EXE_keybearer"),
            "keys",
            "add",
            "openai",
        ]);
        python.env_clear().env("PATH", "/usr/bin:/bin");
        for (name, value) in command.get_envs() {
            python.env(name, value.expect("only set"));
        }
        let output = python.output().expect("Python runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("asked True\n{code} True\n"), "{output:?}");
    }
}

#[tokio::test]
async fn json_says_all_that_is_wrong_and_what_a_tool_needs() {
    let fixture = Fixture::with_cli().await;
    let refused = async |arguments: &[&str], code: i32| -> Value {
        let exit = fixture
            .cli_ends(&[&["--json"], arguments].concat(), code)
            .await;
        let error: Value = serde_json::from_str(&exit.stderr).expect("JSON");
        assert_eq!(error["error"]["exit_code"], code, "{error}");
        error["error"].clone()
    };
    let error = refused(&["keys", "add"], 2).await;
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("<PROVIDER>"), "{error}");
    let error = refused(&["models", "--al"], 2).await;
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|it| it.contains("'--al'")),
        "{error}"
    );
    assert!(
        error["suggestion"]
            .as_str()
            .is_some_and(|it| it.contains("'--all'")),
        "{error}"
    );
    let error = refused(&["run", "--", "no-such-program"], 127).await;
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.starts_with("cannot run no-such-program: "),
        "{error}"
    );
    let error = refused(&["session", "list"], 5).await;
    assert!(
        error["hint"]
            .as_str()
            .is_some_and(|it| it.contains("keybearer login")),
        "{error}"
    );

    let env = fixture.cli_json(&["env"]).await;
    assert_eq!(
        env["variables"]["ANTHROPIC_BASE_URL"],
        fixture.app.url().as_str()
    );
    assert!(
        env["variables"]["OPENAI_API_KEY"]
            .as_str()
            .is_some_and(|it| it.starts_with("kb_"))
    );
    assert!(
        env["id"].is_string() && env["expires_at"].is_string(),
        "{env}"
    );
    let file = fixture.app.dir().join("ci.env");
    let env = fixture
        .cli_json(&["env", "--file", file.to_str().expect("UTF-8")])
        .await;
    assert!(env["variables"].is_null() && env["id"].is_string(), "{env}");
    let setup = fixture.cli_json(&["setup", "claude"]).await;
    assert_eq!(
        setup["set"]["ANTHROPIC_BASE_URL"],
        fixture.app.url().as_str()
    );
    assert_eq!(setup["set_to_api_key"], json!(["ANTHROPIC_AUTH_TOKEN"]));
    let arguments = setup["arguments"].to_string();
    assert!(
        arguments.contains(r#""--setting-sources","user""#),
        "{setup}"
    );
}
