//! Programs that run with a workspace's credentials: what they find, what they do not, and what ends with them.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::app::{Auth, Caller, Exit};

use crate::{Fixture, chat};

/// Programs see no more of the test's environment than this, unless they inherit it.
const WRONG: [(&str, &str); 7] = [
    ("OPENAI_BASE_URL", "http://evil.example"),
    ("ANTHROPIC_BASE_URL", "http://evil.example"),
    ("HTTPS_PROXY", "http://evil.example"),
    ("http_proxy", "http://evil.example"),
    ("REQUESTS_CA_BUNDLE", "/evil.pem"),
    ("NODE_OPTIONS", "--require=/evil.js"),
    ("GITHUB_TOKEN", "ghp_of_somebody_else"),
];

impl Fixture {
    /// An instance with an OpenAI key, to which the command line speaks with the owner's API key.
    async fn with_programs() -> Self {
        let mut fixture = Self::start().await;
        fixture.with_openai_key().await;
        let (url, owner) = (fixture.app.url(), &fixture.owner);
        let ours = [
            ("KEYBEARER_URL", url),
            ("KEYBEARER_API_KEY", owner.api_key.clone()),
            ("KEYBEARER_WORKSPACE", owner.workspace.clone()),
        ];
        let builder = fixture.app.builder_mut();
        for (name, value) in ours {
            builder.set_env(name, &value);
        }
        for (name, value) in WRONG {
            builder.set_env(name, value);
        }
        fixture
    }

    /// `keybearer run ARGUMENTS -- sh -c SCRIPT`.
    async fn run_script(&self, arguments: &[&str], script: &str) -> Exit {
        let all = [&["run"], arguments, &["--", "sh", "-c", script]].concat();
        self.app.run(&all).await
    }

    /// A file that a program writes. It stands where the search for leaked keys looks.
    fn file(&self, name: &str) -> PathBuf {
        self.app.dir().join(name)
    }

    /// The workspace's API keys that a program has or had, newest first.
    async fn program_keys(&self) -> Vec<Value> {
        let path = self.path("/api-keys?limit=100");
        let page = self.owner.person.session.get(&path).await.expect(200);
        let all = page.json()["data"].as_array().cloned().unwrap_or_default();
        let ours = |key: &Value| {
            let name = key["name"].as_str().unwrap_or_default();
            name.starts_with("keybearer ")
        };
        all.into_iter().filter(ours).collect()
    }

    fn bearer(&self, key: &str) -> Caller {
        self.app.caller("the program", Auth::Bearer(key.to_owned()))
    }
}

/// The text of a file, once it ends with a line break. Panics after 10 seconds.
pub(crate) async fn written(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => {}
        }
        assert!(Instant::now() < deadline, "{} is missing", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a process is gone. Panics after 10 seconds.
pub(crate) async fn gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let runs = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        status.is_ok_and(|text| !text.contains(") Z "))
    };
    while runs() {
        assert!(Instant::now() < deadline, "{pid} still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn signal(pid: &str, name: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status();
    assert!(status.expect("sh runs").success(), "kill -{name} {pid}");
}

/// The value of a variable in lines of `NAME=value`.
fn value<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    let mut found = lines.lines().filter_map(|line| line.split_once('='));
    found.find_map(|(it, value)| (it == name).then_some(value))
}

/// T170, T173, T181, rows 142 and 143.
#[tokio::test]
async fn a_program_finds_the_gateway_and_no_other_credential() {
    let fixture = Fixture::with_programs().await;
    let (environ, go) = (fixture.file("environ"), fixture.file("go"));
    let script = "tr '\\0' '\\n' < /proc/$$/environ > environ.new; mv environ.new environ; \
                  ls /proc/$$/fd; echo said; while [ ! -e go ]; do sleep 0.05; done; exit 7";
    let program = fixture.run_script(&["--env", "GREETING=hello there"], script);
    let watch = async {
        let lines = written(&environ).await;
        let key = value(&lines, "OPENAI_API_KEY").expect("a key").to_owned();
        for name in ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"] {
            assert_eq!(value(&lines, name), Some(key.as_str()), "{name}");
        }
        let url = fixture.app.url();
        let v1 = format!("{url}/v1");
        assert_eq!(value(&lines, "OPENAI_BASE_URL"), Some(v1.as_str()));
        assert_eq!(value(&lines, "OPENROUTER_BASE_URL"), Some(v1.as_str()));
        assert_eq!(value(&lines, "ANTHROPIC_BASE_URL"), Some(url.as_str()));
        assert_eq!(value(&lines, "GOOGLE_GEMINI_BASE_URL"), Some(url.as_str()));
        assert_eq!(value(&lines, "GREETING"), Some("hello there"));
        assert!(value(&lines, "PATH").is_some() && value(&lines, "HOME").is_some());
        assert!(
            !lines.contains("evil") && !lines.contains("GITHUB_TOKEN"),
            "{lines}"
        );
        assert!(!lines.contains("KEYBEARER_"), "{lines}");
        assert!(!lines.contains(&fixture.owner.api_key), "{lines}");

        // What it holds calls models here, and does nothing else.
        let bearer = fixture.bearer(&key);
        let call = async || bearer.post("/v1/chat/completions", &chat("gpt-4o")).await;
        call().await.expect(200);
        let keys = fixture.path("/api-keys");
        bearer.get(&keys).await.expect(403);
        bearer
            .get(&fixture.path("/provider-keys"))
            .await
            .expect(403);
        // T176: nor anything of another workspace, whoever owns it.
        let session = &fixture.owner.person.session;
        let made = session
            .post("/api/v1/workspaces", &json!({ "name": "Other" }))
            .await;
        let other = made.expect(201).json()["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        for of_it in ["", "/api-keys", "/provider-keys", "/usage"] {
            let reply = bearer
                .get(&format!("/api/v1/workspaces/{other}{of_it}"))
                .await;
            assert!(
                [403, 404].contains(&reply.status),
                "{of_it}: {}",
                reply.status
            );
        }
        let listed = fixture.program_keys().await;
        assert_eq!(listed[0]["name"], "keybearer run sh");
        assert_eq!(listed[0]["scopes"], json!(["inference:invoke"]));
        std::fs::write(&go, "").expect("can be written");
        bearer
    };
    let (exit, bearer) = tokio::join!(program, watch);
    assert_eq!(exit.status.code(), Some(7), "{exit}");
    assert_eq!(exit.stdout, "0\n1\n2\nsaid\n");
    assert_eq!(exit.stderr, "");
    // T176: it died with the program.
    bearer
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(401);
    assert!(fixture.program_keys().await[0]["revoked_at"].is_string());
    fixture.finish().await;
}

/// A provider key is replaced while a program runs: it goes on with what it has.
#[tokio::test]
async fn a_provider_key_rotates_under_a_running_program() {
    let fixture = Fixture::with_programs().await;
    let (environ, go) = (fixture.file("environ"), fixture.file("go"));
    let script =
        "env > environ.new; mv environ.new environ; while [ ! -e go ]; do sleep 0.05; done";
    let program = fixture.run_script(&[], script);
    let watch = async {
        let lines = written(&environ).await;
        let bearer = fixture.bearer(value(&lines, "OPENAI_API_KEY").expect("a key"));
        let call = async || bearer.post("/v1/chat/completions", &chat("gpt-4o")).await;
        call().await.expect(200);
        let first = fixture.provider.last().key().map(str::to_owned);
        let rotated = fixture.with_openai_key().await;
        call().await.expect(200);
        assert_ne!(first.as_deref(), Some(rotated.as_str()));
        assert_eq!(fixture.provider.last().key(), Some(rotated.as_str()));
        std::fs::write(&go, "").expect("can be written");
    };
    let (exit, ()) = tokio::join!(program, watch);
    assert!(exit.status.success(), "{exit}");
    fixture.finish().await;
}

/// T173: files that the starter's starter left open stay behind.
#[tokio::test]
async fn a_program_inherits_no_open_file() {
    let fixture = Fixture::with_programs().await;
    let binary = env!("CARGO_BIN_EXE_keybearer");
    let (url, owner) = (fixture.app.url(), &fixture.owner);
    let script = format!("exec 7</dev/null 9>/dev/null; {binary} run -- sh -c 'ls /proc/$$/fd'");
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .env("KEYBEARER_URL", url)
        .env("KEYBEARER_API_KEY", &owner.api_key)
        .env("KEYBEARER_WORKSPACE", &owner.workspace)
        .output()
        .expect("bash runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0\n1\n2\n",
        "{output:?}"
    );
    fixture.finish().await;
}

/// T172.
#[tokio::test]
async fn variables_that_redirect_or_run_code_are_refused() {
    let fixture = Fixture::with_programs().await;
    for name in [
        "LD_PRELOAD=/x.so",
        "NODE_OPTIONS",
        "HTTPS_PROXY",
        "PATH=/tmp",
        "ANTHROPIC_UNIX_SOCKET=/tmp/evil.sock",
        "AWS_ENDPOINT_URL=http://evil.example",
        "AWS_ENDPOINT_URL_S3=http://evil.example",
        "AWS_CONFIG_FILE=/tmp/evil",
        "DOCKER_HOST=tcp://evil.example",
        "KUBECONFIG=/tmp/evil",
        "PYTEST_PLUGINS=evil",
        "WGETRC=/tmp/evil",
        "OPENAI_BASE_URL=http://evil.example",
        "OPENAI_API_KEY=sk-other",
        "KEYBEARER_API_KEY",
        "lower=1",
        "=1",
        "NOT_SET_ANYWHERE",
    ] {
        let exit = fixture.run_script(&["--env", name], "echo ran").await;
        assert_eq!(exit.status.code(), Some(2), "{name}: {exit}");
        assert!(
            exit.stdout.is_empty() && exit.says("--env"),
            "{name}: {exit}"
        );
    }
    assert!(fixture.program_keys().await.is_empty());
    fixture.finish().await;
}

#[tokio::test]
async fn what_gets_no_key_needs_no_login() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keybearer"))
        .args(["run", "--inject", "none", "--", "sh", "-c", "echo hi"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"hi\n", "{output:?}");
}

/// An API key that may be another server's is sent nowhere, and hinders nothing that sends none.
#[tokio::test]
async fn a_key_without_a_server_goes_nowhere_and_is_in_nobodys_way() {
    let mut fixture = Fixture::logged_in().await;
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_API_KEY", "kb_of_elsewhere");
    fixture.cli_ends(&["whoami"], 2).await;
    let run = ["run", "--inject", "none", "--", "sh", "-c", "echo hi"];
    assert_eq!(fixture.cli(&run).await.stdout, "hi\n");
    let setup = fixture.cli(&["setup", "claude"]).await;
    let url = fixture.app.url();
    let line = format!("export ANTHROPIC_BASE_URL={url}\n");
    assert!(setup.stdout.contains(&line), "{setup}");
    assert!(setup.says("may be another server's"), "{setup}");
    // Read as it stands, it does not give that key to this server.
    let script = setup.stdout.replace("\nclaude ", "\n: ");
    let script = format!("{script}\necho \"token: $ANTHROPIC_AUTH_TOKEN\"");
    let read = std::process::Command::new("sh")
        .args(["-euc", &script])
        .env("KEYBEARER_API_KEY", "kb_of_elsewhere")
        .output()
        .expect("sh runs");
    assert_eq!(read.stdout, b"token: \n", "{read:?}");
    let described = fixture.cli_json(&["setup", "claude"]).await;
    assert_eq!(described["set"]["ANTHROPIC_BASE_URL"], url);
    assert_eq!(described["api_key_may_be_of_another_server"], true);
    // Named, it is the server's.
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_URL", &url);
    let setup = fixture.cli(&["setup", "claude"]).await;
    assert!(!setup.stdout.contains("KEYBEARER_API_KEY=''"), "{setup}");
    let described = fixture.cli_json(&["setup", "claude"]).await;
    assert_eq!(described["api_key_may_be_of_another_server"], false);
}

#[tokio::test]
async fn a_program_that_cannot_start_leaves_no_key() {
    let fixture = Fixture::with_programs().await;
    let exit = fixture.app.run(&["run", "--", "no-such-program"]).await;
    assert_eq!(exit.status.code(), Some(127), "{exit}");
    assert!(exit.says("cannot run no-such-program"), "{exit}");
    let keys = fixture.program_keys().await;
    assert!(keys.len() == 1 && keys[0]["revoked_at"].is_string());
    // Nothing runs without a key.
    let mut fixture = fixture;
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", "kb_wrong");
    let exit = fixture.run_script(&[], "echo ran").await;
    assert!(!exit.status.success() && exit.stdout.is_empty(), "{exit}");
    fixture.finish().await;
}

#[tokio::test]
async fn signals_reach_the_program_and_its_exit_code_comes_back() {
    let fixture = Fixture::with_programs().await;
    let pids = fixture.file("pids");
    let script =
        "trap 'exit 9' TERM; echo $PPID > pids.new; mv pids.new pids; while :; do sleep 0.05; done";
    let program = fixture.run_script(&[], script);
    let watch = async { signal(written(&pids).await.trim(), "TERM") };
    let (exit, ()) = tokio::join!(program, watch);
    assert_eq!(exit.status.code(), Some(9), "{exit}");
    // As a shell says it.
    let exit = fixture.run_script(&[], "kill -9 $$").await;
    assert_eq!(exit.status.code(), Some(137), "{exit}");
    fixture.finish().await;
}

/// T177: asked once, then killed; the key is dead before.
#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it_and_without_a_key() {
    let fixture = Fixture::with_programs().await;
    let call = "import os, urllib.request as r, urllib.error as e\n\
                q = r.Request(os.environ['OPENAI_BASE_URL'] + '/models', headers={'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']})\n\
                try: print(r.urlopen(q).status)\n\
                except e.HTTPError as error: print(error.code)\n";
    std::fs::write(fixture.file("call.py"), call).expect("can be written");
    let left = "trap \"echo asked >> asked\" TERM; python3 call.py > before; : > ready; \
                while [ ! -e asked ]; do sleep 0.05; done; python3 call.py > after; while :; do sleep 0.05; done";
    let script = format!(
        "setsid sh -c '{left}' >/dev/null 2>&1 & echo $! > left; while [ ! -e ready ]; do sleep 0.05; done"
    );
    let exit = fixture.run_script(&[], &script).await;
    assert!(exit.status.success() && exit.stderr.is_empty(), "{exit}");
    let read = |name: &str| std::fs::read_to_string(fixture.file(name)).unwrap_or_default();
    gone(read("left").trim()).await;
    assert_eq!(read("asked"), "asked\n");
    assert_eq!(
        (read("before").as_str(), read("after").as_str()),
        ("200\n", "401\n")
    );
    fixture.finish().await;
}

/// The key lives on because it is renewed: it was minted for three seconds.
#[tokio::test]
async fn a_programs_key_is_renewed_while_it_runs() {
    let fixture = Fixture::with_programs().await;
    let (environ, go) = (fixture.file("environ"), fixture.file("go"));
    let script =
        "env > environ.new; mv environ.new environ; while [ ! -e go ]; do sleep 0.05; done";
    let program = fixture.run_script(&["--lease", "3"], script);
    let watch = async {
        let lines = written(&environ).await;
        let bearer = fixture.bearer(value(&lines, "OPENAI_API_KEY").expect("a key"));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let call = async || bearer.post("/v1/chat/completions", &chat("gpt-4o")).await;
        call().await.expect(200);
        // Somebody revokes it: the program is told, and not left with attempts for ever.
        let id = fixture.program_keys().await[0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let path = fixture.path(&format!("/api-keys/{id}"));
        fixture.owner.person.session.delete(&path).await.expect(204);
        call().await.expect(401);
        tokio::time::sleep(Duration::from_secs(2)).await;
        std::fs::write(&go, "").expect("can be written");
    };
    let (exit, ()) = tokio::join!(program, watch);
    assert!(exit.status.success(), "{exit}");
    assert_eq!(
        exit.stderr.matches("cannot be renewed").count(),
        1,
        "{exit}"
    );
    fixture.finish().await;
}

/// A supervisor starts it again: `--end-with-key` lets no program run on with a key that somebody revoked.
#[tokio::test]
async fn a_program_ends_with_its_key_where_that_is_asked_for() {
    let fixture = Fixture::with_programs().await;
    let ready = fixture.file("ready");
    let script =
        "trap 'echo asked > asked; exit 7' TERM; echo > ready; while :; do sleep 0.05; done";
    let program = fixture.run_script(&["--lease", "3", "--end-with-key"], script);
    let watch = async {
        written(&ready).await;
        let id = fixture.program_keys().await[0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let path = fixture.path(&format!("/api-keys/{id}"));
        fixture.owner.person.session.delete(&path).await.expect(204);
    };
    let (exit, ()) = tokio::join!(program, watch);
    assert_eq!(exit.status.code(), Some(7), "{exit}");
    assert!(
        exit.says("cannot be renewed") && exit.says("it is ended"),
        "{exit}"
    );
    assert!(fixture.file("asked").exists());
    fixture.finish().await;
}

/// The same without a supervisor: the program finds another key each time.
#[tokio::test]
async fn a_program_is_started_again_with_another_key_until_somebody_ends_it() {
    let fixture = Fixture::with_programs().await;
    let (runs, ready) = (fixture.file("runs"), fixture.file("ready"));
    let script = "echo $PPID $OPENAI_API_KEY >> runs; trap : HUP; trap 'exit 7' TERM; echo > ready; while :; do sleep 0.05; done";
    let program = fixture.run_script(&["--lease", "3", "--restart-with-key"], script);
    let watch = async {
        written(&ready).await;
        std::fs::remove_file(&ready).expect("it is there");
        // It goes on after a signal, which then is no wish for its end.
        let starter = written(&runs).await;
        let starter = starter.split_whitespace().next().expect("a process");
        signal(starter, "HUP");
        tokio::time::sleep(Duration::from_secs(11)).await;
        let id = fixture.program_keys().await[0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let path = fixture.path(&format!("/api-keys/{id}"));
        fixture.owner.person.session.delete(&path).await.expect(204);
        written(&ready).await;
        let starter = written(&runs).await;
        let starter = starter.split_whitespace().next().expect("a process");
        signal(starter, "TERM");
    };
    let (exit, ()) = tokio::join!(program, watch);
    // It was told to end, so its own end is the end.
    assert_eq!(exit.status.code(), Some(7), "{exit}");
    assert!(exit.says("started again in 1 s"), "{exit}");
    let runs = std::fs::read_to_string(&runs).expect("it ran");
    let lines: Vec<&str> = runs.lines().collect();
    assert_eq!(lines.len(), 2, "{runs}");
    let key = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    assert!(
        key(lines[0]).is_some() && key(lines[0]) != key(lines[1]),
        "another key"
    );
    fixture.finish().await;
}

/// The terminal sends `Ctrl-C` to the whole group; it must not arrive twice, whatever standard input is.
#[tokio::test]
async fn the_terminals_interrupt_arrives_once() {
    const DRIVER: &str = r#"
import os, pty, sys, time
binary, directory = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(directory)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    script = "trap 'echo interrupted >> interrupts' INT; : > ready; n=0; while [ $n -lt 60 ]; do sleep 0.05; n=$((n+1)); done; exit 5"
    os.execv(binary, [binary, "run", "--", "sh", "-c", script])
while not os.path.exists(directory + "/ready"):
    time.sleep(0.05)
os.write(terminal, b"\x03")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let fixture = Fixture::with_programs().await;
    let output = std::process::Command::new("python3")
        .args(["-c", DRIVER, env!("CARGO_BIN_EXE_keybearer")])
        .arg(fixture.app.dir())
        .env("KEYBEARER_URL", fixture.app.url())
        .env("KEYBEARER_API_KEY", &fixture.owner.api_key)
        .env("KEYBEARER_WORKSPACE", &fixture.owner.workspace)
        .output()
        .expect("python3 runs");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let interrupts = std::fs::read_to_string(fixture.file("interrupts"));
    assert_eq!(interrupts.expect("it arrived"), "interrupted\n");
    fixture.finish().await;
}

/// T181: a project's file that a tool would obey.
#[tokio::test]
async fn a_project_cannot_make_a_tool_send_the_key_elsewhere() {
    let mut fixture = Fixture::with_programs().await;
    let (bin, project) = (fixture.file("bin"), fixture.file("project/part"));
    std::fs::create_dir_all(&bin).expect("can be made");
    std::fs::create_dir_all(&project).expect("can be made");
    for tool in ["claude", "opencode", "aider"] {
        let path = bin.join(tool);
        std::fs::write(&path, "#!/bin/sh\necho started\n").expect("can be written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("can be set");
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    fixture.app.builder_mut().set_env("PATH", &path);
    let launch = |options: &[&str], tool: &str| {
        let arguments = [&["launch"], options, &[tool]].concat();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_keybearer"))
            .args(arguments)
            .current_dir(&project)
            .env_clear()
            .env("PATH", &path)
            .env("KEYBEARER_URL", fixture.app.url())
            .env("KEYBEARER_API_KEY", &fixture.owner.api_key)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy;
        (
            output.status.success(),
            format!("{}{}", text(&output.stdout), text(&output.stderr)),
        )
    };
    std::fs::create_dir(fixture.file("project/.git")).expect("can be made");
    // Above the repository nothing counts.
    std::fs::write(fixture.file("opencode.json"), "{}").expect("can be written");
    for tool in ["opencode", "aider"] {
        assert_eq!(launch(&[], tool), (true, "started\n".to_owned()));
    }
    let before = fixture.program_keys().await.len();
    for (tool, file) in [
        ("opencode", "opencode.json"),
        ("opencode", "opencode.jsonc"),
        ("opencode", ".opencode"),
        ("aider", ".aider.model.settings.yml"),
        ("aider", ".aider.model.metadata.json"),
        ("aider", ".aider.conf.yml"),
        ("aider", ".env"),
        ("opencode", ".env"),
        ("opencode", ".env.local"),
    ] {
        for place in ["project", "project/part"] {
            let file = fixture.file(place).join(file);
            std::fs::write(&file, "{}").expect("can be written");
            let (started, said) = launch(&[], tool);
            assert!(!started && said.contains("--trust-project"), "{said}");
            assert!(launch(&["--trust-project"], tool).0);
            std::fs::remove_file(&file).expect("is there");
        }
    }
    // Nothing was minted for what was refused: one key for each that was trusted.
    assert_eq!(fixture.program_keys().await.len(), before + 18);
    // Claude Code starts, reads nothing of the project, and that is said.
    std::fs::write(fixture.file("project/CLAUDE.md"), "").expect("can be written");
    let (started, said) = launch(&[], "claude");
    assert!(
        started && said.contains("CLAUDE.md is not read, since"),
        "{said}"
    );
    let (started, said) = launch(&["--trust-project"], "claude");
    assert!(started && !said.contains("is not read"), "{said}");
    fixture.finish().await;
}

/// T177: who starts it is killed, and has no time to end anything: neither the program, nor what that put into a session of its
/// own, nor the key outlives it. `killed` says whom of the two processes of `keybearer run`.
async fn all_end_with(killed: &str) {
    let fixture = Fixture::with_programs().await;
    let (pids, other) = (fixture.file("pids"), fixture.file("other"));
    let script = "(trap '' TERM HUP; exec setsid sh -c 'echo $$ > other.new; mv other.new other; while :; do sleep 0.05; done') & \
                  read -r _ _ _ above _ < /proc/$PPID/stat; \
                  echo $above $PPID $$ $OPENAI_API_KEY > pids.new; mv pids.new pids; while :; do sleep 0.05; done";
    let program = fixture.run_script(&[], script);
    let watch = async {
        let (text, other) = (written(&pids).await, written(&other).await);
        let words: Vec<&str> = text.split_whitespace().collect();
        let [keeper, starter, program, key] = words[..] else {
            panic!("{text}");
        };
        let bearer = fixture.bearer(key);
        let call = async || bearer.post("/v1/chat/completions", &chat("gpt-4o")).await;
        call().await.expect(200);
        let pid = if killed == "keeper" { keeper } else { starter };
        let binary = std::fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
        assert!(binary.ends_with("keybearer"), "{killed}: {binary:?}");
        signal(pid, "KILL");
        gone(program).await;
        gone(other.trim()).await;
        gone(starter).await;
        gone(keeper).await;
        call().await.expect(401);
    };
    let (exit, ()) = tokio::join!(program, watch);
    assert!(!exit.status.success(), "{exit}");
    assert!(fixture.program_keys().await[0]["revoked_at"].is_string());
    fixture.finish().await;
}

#[tokio::test]
async fn programs_and_their_children_and_key_end_with_a_starter_that_is_killed() {
    all_end_with("starter").await;
}

#[tokio::test]
async fn programs_and_their_children_and_key_end_with_a_keeper_that_is_killed() {
    all_end_with("keeper").await;
}

/// T177: where nobody is left to revoke it, the key ends with its lease.
#[tokio::test]
async fn a_key_that_nobody_renews_ends_with_its_lease() {
    let fixture = Fixture::with_programs().await;
    let pids = fixture.file("pids");
    let script = "read -r _ _ _ above _ < /proc/$PPID/stat; \
                  echo $above $PPID $OPENAI_API_KEY > pids.new; mv pids.new pids; while :; do sleep 0.05; done";
    let program = fixture.run_script(&["--lease", "3"], script);
    let watch = async {
        let text = written(&pids).await;
        let words: Vec<&str> = text.split_whitespace().collect();
        // Renewed meanwhile.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let bearer = fixture.bearer(words[2]);
        let call = async || bearer.post("/v1/chat/completions", &chat("gpt-4o")).await;
        call().await.expect(200);
        signal(&format!("{} {}", words[0], words[1]), "KILL");
        tokio::time::sleep(Duration::from_secs(4)).await;
        call().await.expect(401);
    };
    let (exit, ()) = tokio::join!(program, watch);
    assert!(!exit.status.success(), "{exit}");
    assert!(fixture.program_keys().await[0]["revoked_at"].is_null());
    fixture.finish().await;
}

/// Row 144.
#[tokio::test]
async fn a_shell_evaluates_the_variables() {
    let fixture = Fixture::with_programs().await;
    let exit = fixture.app.run(&["env", "--hours", "2"]).await;
    assert!(exit.status.success(), "{exit}");
    let shell = format!("{}\nenv", exit.stdout);
    let output = std::process::Command::new("sh")
        .args(["-c", &shell])
        .env_clear()
        .output()
        .expect("sh runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let key = value(&lines, "OPENAI_API_KEY").expect("a key");
    let v1 = format!("{}/v1", fixture.app.url());
    assert_eq!(value(&lines, "OPENAI_BASE_URL"), Some(v1.as_str()));
    let bearer = fixture.bearer(key);
    bearer
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    let keys = fixture.program_keys().await;
    assert!(exit.says(keys[0]["id"].as_str().expect("an id")), "{exit}");

    let file = fixture.file("program.env");
    std::fs::write(&file, "OLD=1\n").expect("can be written");
    let exit = fixture.app.run(&["env", "--file", "program.env"]).await;
    assert!(exit.status.success() && exit.stdout.is_empty(), "{exit}");
    let lines = written(&file).await;
    assert_eq!(value(&lines, "OPENAI_BASE_URL"), Some(v1.as_str()));
    assert!(!lines.contains("OLD") && !exit.says(value(&lines, "OPENAI_API_KEY").expect("a key")));
    let mode = std::fs::metadata(&file).expect("is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    for hours in ["0", "25"] {
        let exit = fixture.app.run(&["env", "--hours", hours]).await;
        assert_eq!(exit.status.code(), Some(2), "{exit}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn variables_are_written_where_a_link_leads_and_over_nothing_but_a_plain_file() {
    let fixture = Fixture::with_programs().await;
    let make = |name: &str, leads: &str| {
        std::os::unix::fs::symlink(leads, fixture.file(name)).expect("can be made");
    };
    std::fs::create_dir(fixture.file("shared")).expect("can be made");
    std::fs::write(fixture.file("shared/real.env"), "OLD=1\n").expect("can be written");
    make("first", "shared/second");
    make("shared/second", "real.env");
    let exit = fixture.app.run(&["env", "--file", "first"]).await;
    assert!(exit.status.success(), "{exit}");
    let text = std::fs::read_to_string(fixture.file("shared/real.env")).expect("is there");
    assert!(value(&text, "OPENAI_API_KEY").is_some() && !text.contains("OLD"));
    for link in ["first", "shared/second"] {
        assert!(fixture.file(link).is_symlink(), "{link}");
    }

    let before = fixture.program_keys().await.len();
    let pipe = fixture.file("pipe");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("makes a pipe");
    make("to-pipe", "pipe");
    make("to-nothing", "nothing");
    for (name, said) in [
        ("pipe", "is no plain file"),
        ("to-pipe", "is no plain file"),
        ("shared", "is no plain file"),
        ("to-nothing", "cannot write to-nothing"),
    ] {
        let exit = fixture.app.run(&["env", "--file", name]).await;
        assert!(
            exit.status.code() == Some(1) && exit.says(said),
            "{name}: {exit}"
        );
    }
    assert!(pipe.metadata().expect("is there").file_type().is_fifo());
    assert!(fixture.file("to-pipe").is_symlink() && !fixture.file("nothing").exists());
    // Nothing was minted for what was refused.
    assert_eq!(fixture.program_keys().await.len(), before);
    fixture.finish().await;
}

#[tokio::test]
async fn a_tool_is_started_with_its_own_settings() {
    let mut fixture = Fixture::with_programs().await;
    let bin = fixture.file("bin");
    std::fs::create_dir(&bin).expect("can be made");
    for tool in ["claude", "codex", "opencode", "aider"] {
        let path = bin.join(tool);
        let script = "#!/bin/sh\nfor a in \"$@\"; do echo \"arg=$a\"; done; env\n";
        std::fs::write(&path, script).expect("can be written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("can be set");
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    fixture.app.builder_mut().set_env("PATH", &path);
    let url = fixture.app.url();
    let launch = async |tool: &str| {
        let exit = fixture.app.run(&["launch", tool, "-p", "hi there"]).await;
        assert!(exit.status.success(), "{exit}");
        let lines = exit.stdout;
        assert!(lines.contains("arg=-p\narg=hi there\n"), "{lines}");
        // T174: everybody can read a command line.
        let key = value(&lines, "OPENAI_API_KEY").expect("a key");
        let arguments = lines.lines().filter(|line| line.starts_with("arg="));
        assert!(arguments.clone().all(|line| !line.contains(key)), "{lines}");
        assert!(!lines.contains("evil"), "{lines}");
        lines
    };
    let claude = launch("claude").await;
    assert_eq!(value(&claude, "ANTHROPIC_BASE_URL"), Some(url.as_str()));
    assert!(value(&claude, "ANTHROPIC_AUTH_TOKEN").is_some());
    assert_eq!(value(&claude, "ANTHROPIC_API_KEY"), None);
    assert!(claude.contains(&format!("\"ANTHROPIC_BASE_URL\":\"{url}\"")));
    // T181: a project's settings are read where somebody says so.
    let wary = "arg=--setting-sources\narg=user\n";
    assert!(claude.contains(wary), "{claude}");
    let trusted = ["launch", "--trust-project", "claude"];
    let trusted = fixture.app.run(&trusted).await;
    assert!(trusted.status.success() && !trusted.says(wary), "{trusted}");
    let codex = launch("codex").await;
    assert!(codex.contains(&format!("base_url=\"{url}/v1\"")), "{codex}");
    let opencode = launch("opencode").await;
    let config = value(&opencode, "OPENCODE_CONFIG_CONTENT").expect("a configuration");
    let config: Value = serde_json::from_str(config).expect("JSON");
    let options = &config["provider"]["openai"]["options"];
    assert_eq!(options["baseURL"], format!("{url}/v1"));
    assert_eq!(options["apiKey"], "{env:OPENAI_API_KEY}");
    let aider = launch("aider").await;
    assert!(aider.contains(&format!("arg=--openai-api-base\narg={url}/v1\n")));
    let keys = fixture.program_keys().await;
    assert_eq!(keys.len(), 5);
    assert!(keys.iter().all(|key| key["revoked_at"].is_string()));

    // By hand: no server is asked and no key is shown.
    let exit = fixture.app.run(&["setup", "claude"]).await;
    assert!(
        exit.says(&format!("export ANTHROPIC_BASE_URL={url}\n")),
        "{exit}"
    );
    assert!(
        exit.says("export ANTHROPIC_AUTH_TOKEN=\"$KEYBEARER_API_KEY\""),
        "{exit}"
    );
    assert!(!exit.says("kb_"), "{exit}");
    let exit = fixture.app.run(&["launch", "emacs"]).await;
    assert!(
        exit.status.code() == Some(2) && exit.says("claude"),
        "{exit}"
    );
    assert_eq!(fixture.program_keys().await.len(), 5);
    fixture.finish().await;
}

/// What renews a program's key: no key prolongs itself.
#[tokio::test]
async fn an_api_key_is_renewed_by_another_and_not_by_itself() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let owner = &fixture.owner.person.session;
    let path = fixture.path("/api-keys");
    let scopes = ["inference:invoke", "keys:write"];
    let body = json!({"name": "short", "scopes": scopes, "expires_in_s": 2});
    let minted = owner.post(&path, &body).await.expect(201).json();
    let key = fixture.bearer(minted["key"].as_str().expect("the key"));
    let own = format!("{path}/{}", minted["id"].as_str().expect("an id"));
    let longer = json!({"expires_in_s": 600});
    key.patch(&own, &longer).await.expect_error(409, "conflict");
    let renewed = owner.patch(&own, &longer).await.expect(200).json();
    assert!(renewed["expires_at"].as_str() > minted["expires_at"].as_str());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let call = async || key.post("/v1/chat/completions", &chat("gpt-4o")).await;
    call().await.expect(200);
    // One that has ended stays so.
    let minted = owner.post(&path, &body).await.expect(201).json();
    let ended = format!("{path}/{}", minted["id"].as_str().expect("an id"));
    tokio::time::sleep(Duration::from_millis(2200)).await;
    owner
        .patch(&ended, &longer)
        .await
        .expect_error(409, "conflict");
    for wrong in [
        json!({}),
        json!({"expires_in_s": 0}),
        json!({"expires_in_s": 5, "expires_at": "2099-01-01T00:00:00Z"}),
        json!({"expires_at": "2001-01-01T00:00:00Z"}),
        json!({"expires_in_s": 5, "default_model": "gpt-4o"}),
        json!({"expires_at": null, "expires_in_s": null}),
    ] {
        owner.patch(&own, &wrong).await.expect(400);
    }
    let audit = fixture.path("/audit?limit=100");
    let audit = owner.get(&audit).await.expect(200).json();
    let renewals = audit["data"].as_array().into_iter().flatten();
    let renewals = renewals.filter(|row| row["action"] == "api_key.renew");
    assert_eq!(renewals.count(), 1);
    fixture.finish().await;
}
