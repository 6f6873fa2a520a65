//! Programs in a sandbox: what the kernel keeps from them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::runtime::{gone, signal, written};
use crate::{Fixture, chat};

/// Tries what a program in a sandbox must not be able to do, and what it must. Prints one JSON object: each attempt with
/// `ok` or the name of its error.
const ATTEMPTS: &str = r#"
import ctypes, errno, json, os, socket, subprocess, sys, tempfile, urllib.request
import platform
facts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
done = {}
def attempt(name, action):
    try:
        action()
        done[name] = "ok"
    except OSError as error:
        done[name] = errno.errorcode.get(error.errno, str(error))
def call(*arguments):
    if libc.syscall(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
def unix():
    socket.socket(socket.AF_UNIX)
def connect(port):
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
def model():
    body = json.dumps(facts["body"]).encode()
    headers = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).read()
# Calls with arguments that change nothing where they are not refused.
x86 = platform.machine() == "x86_64"
ptrace, readv, mount, unshare, clone3, io_uring = (
    (101, 310, 165, 272, 435, 425) if x86 else (117, 270, 40, 97, 435, 425))
server = facts["server"]
attempt("root key", lambda: open(facts["data"] + "/root.key", "rb").read())
attempt("data", lambda: os.listdir(facts["data"]))
attempt("spool", lambda: open(facts["data"] + "/new", "w"))
attempt("server environment", lambda: open(f"/proc/{server}/environ", "rb").read())
attempt("server memory", lambda: open(f"/proc/{server}/mem", "rb").read(1))
attempt("server root", lambda: os.listdir(f"/proc/{server}/root"))
attempt("server signal", lambda: os.kill(server, 0))
attempt("starter environment", lambda: open(f"/proc/{os.getppid()}/environ", "rb").read())
attempt("ptrace", lambda: call(ptrace, 2, server, 0, 0))
attempt("process_vm_readv", lambda: call(readv, server, 0, 0, 0, 0, 0))
attempt("mount", lambda: call(mount, 0, 0, 0, 0, 0))
attempt("unshare", lambda: call(unshare, 0))
attempt("clone3", lambda: call(clone3, 0, 0))
attempt("io_uring", lambda: call(io_uring, 1, 0))
attempt("other workspace", lambda: open(facts["other"]).read())
attempt("home", lambda: os.listdir(os.environ["HOME"]))
attempt("etc shadow", lambda: open("/etc/shadow").read())
attempt("tmp", lambda: open("/tmp/keybearer-sandbox-test", "w"))
attempt("unix socket", unix)
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
attempt("other port", lambda: connect(facts["port"]))
attempt("fast open", lambda: socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", facts["port"])))
attempt("here", lambda: open("mine", "w").write("x"))
attempt("temporary", lambda: tempfile.NamedTemporaryFile().write(b"x"))
attempt("certificates", lambda: os.listdir("/etc/ssl/certs"))
attempt("child", lambda: subprocess.run(["/bin/true"], check=True))
attempt("gateway", model)
print(json.dumps(done))
"#;

impl Fixture {
    /// `keybearer ARGUMENTS` in `here`, as the owner. The server's files lie elsewhere.
    pub(crate) fn keybearer_in(&self, here: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybearer"));
        command
            .args(arguments)
            .current_dir(here)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent")
            .env("KEYBEARER_URL", self.app.url())
            .env("KEYBEARER_API_KEY", &self.owner.api_key)
            .env("KEYBEARER_WORKSPACE", &self.owner.workspace)
            .env("KEYBEARER_DATA_DIR", self.app.data_dir())
            .stdin(Stdio::null());
        command
    }

    /// Whether this kernel holds the sandbox. One that does not starts nothing, and says how it would.
    pub(crate) fn kernel_holds_it(&self) -> bool {
        let here = elsewhere();
        let run = |level: &str| {
            let output = self
                .keybearer_in(here.path(), &["run", level, "--", "echo", "ran"])
                .output();
            shown(&output.expect("the binary runs"))
        };
        let said = run("--sandbox");
        if said.contains("\nran\n") {
            return true;
        }
        assert!(
            said.contains("this kernel cannot hold the sandbox"),
            "{said}"
        );
        let said = run("--sandbox=best-effort");
        assert!(
            said.contains("\nran\n") && said.contains("warning"),
            "{said}"
        );
        false
    }

    fn attempts(&self, here: &Path, options: &[&str], port: u16) -> Value {
        let other = self.app.dir().join("other-workspace");
        std::fs::write(&other, "secret").expect("can be written");
        let facts = serde_json::json!({
            "data": self.app.data_dir(), "server": self.app.pid(), "other": other, "port": port,
            "body": chat("gpt-4o"),
        });
        let program = ["--", "python3", "-c", ATTEMPTS, &facts.to_string()];
        let arguments = [&["run"], options, &program[..]].concat();
        let output = self.keybearer_in(here, &arguments).output();
        let output = output.expect("the binary runs");
        assert!(output.status.success(), "{}", shown(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }
}

/// Whoever is killed of the two processes of `keybearer run`, the other one removes the program's temporary directory.
#[tokio::test]
async fn a_temporary_directory_goes_when_its_starter_is_killed() {
    let fixture = Fixture::start().await;
    let (here, place) = (elsewhere(), elsewhere());
    let script = "mkdir -p $TMPDIR/a/b; echo x > $TMPDIR/a/b/c; \
                  echo $PPID > pid.new; mv pid.new pid; while :; do sleep 0.05; done";
    for killed in ["keeper", "starter"] {
        let run = ["run", "--inject", "none", "--sandbox=best-effort", "--"];
        let arguments = [&run[..], &["sh", "-c", script]].concat();
        let mut command = fixture.keybearer_in(here.path(), &arguments);
        let command = command.env("TMPDIR", place.path()).stderr(Stdio::null());
        let mut running = command.spawn().expect("the binary runs");
        let pid = here.path().join("pid");
        let (keeper, starter) = (running.id().to_string(), written(&pid).await);
        let starter = starter.trim();
        let left = || std::fs::read_dir(place.path()).expect("reads").count();
        assert_eq!(left(), 1);
        signal(if killed == "keeper" { &keeper } else { starter }, "KILL");
        running.wait().expect("it ends");
        gone(starter).await;
        assert_eq!(left(), 0, "{killed}");
        std::fs::remove_file(pid).expect("is there");
    }
}

pub(crate) fn shown(output: &Output) -> String {
    let text = String::from_utf8_lossy;
    format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// A place for a program that no server's files lie in.
pub(crate) fn elsewhere() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// T178.
#[tokio::test]
async fn a_program_in_a_sandbox_reaches_its_directory_and_the_gateway() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let here = elsewhere();

    let done = fixture.attempts(here.path(), &["--sandbox"], port);
    let allowed = ["here", "temporary", "certificates", "child", "gateway"];
    let refused = done.as_object().expect("an object").iter();
    for (attempt, outcome) in refused {
        let outcome = outcome.as_str().expect("a word");
        assert_eq!(
            allowed.contains(&attempt.as_str()),
            outcome == "ok",
            "{done:#}"
        );
    }
    assert_eq!(done["clone3"], "ENOSYS");
    for call in ["ptrace", "process_vm_readv", "mount", "unshare"] {
        assert_eq!(done[call], "EPERM", "{call}");
    }
    // The temporary directory went with the program.
    let left = std::fs::read_dir(std::env::temp_dir()).expect("reads");
    let ours = |entry: &std::fs::DirEntry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("keybearer-run-")
            && std::fs::read_dir(entry.path()).is_ok_and(|mut it| it.next().is_some())
    };
    assert_eq!(left.flatten().filter(ours).count(), 0);

    // The same attempts without it, so that the test can fail: this user may do nearly all of it.
    let done = fixture.attempts(here.path(), &[], port);
    for attempt in [
        "root key",
        "data",
        "other workspace",
        "unix socket",
        "udp",
        "other port",
    ] {
        assert_eq!(done[attempt], "ok", "{attempt}: {done:#}");
    }
    for call in ["ptrace", "process_vm_readv", "mount", "unshare"] {
        assert_ne!(done[call], "EPERM", "{call}");
    }
    std::fs::remove_file("/tmp/keybearer-sandbox-test").expect("it was written");
    std::fs::remove_file(fixture.app.data_dir().join("new")).expect("it was written");

    // What is opened by name is open.
    let other = fixture.app.dir().join("other-workspace");
    let options = [
        "--sandbox",
        "--allow-read",
        other.to_str().expect("UTF-8"),
        "--allow-port",
        &port.to_string(),
    ];
    let done = fixture.attempts(here.path(), &options, port);
    for attempt in ["other workspace", "other port", "gateway"] {
        assert_eq!(done[attempt], "ok", "{attempt}: {done:#}");
    }
    assert_ne!(done["root key"], "ok");
    let done = fixture.attempts(here.path(), &["--sandbox", "--allow-network"], port);
    assert_eq!(done["other port"], "ok", "{done:#}");
    assert_eq!(done["udp"], "ok", "{done:#}");
    assert_eq!(done["unix socket"], "EPERM", "{done:#}");
    fixture.finish().await;
}

/// Row 142: two programs of the same user, each in its own sandbox.
#[tokio::test]
async fn programs_in_sandboxes_do_not_see_each_others_variables() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let (one, other) = (elsewhere(), elsewhere());
    let wait = "echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done";
    let arguments = ["run", "--sandbox", "--", "sh", "-c", wait];
    let mut first = fixture.keybearer_in(one.path(), &arguments);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let first = first.as_mut().expect("starts");
    let pid = crate::runtime::written(&one.path().join("pid")).await;
    let look = format!("cat /proc/{}/environ", pid.trim());
    let peep = |options: &[&str]| {
        let arguments = [&["run"], options, &["--", "sh", "-c", &look]].concat();
        let output = fixture.keybearer_in(other.path(), &arguments).output();
        output.expect("the binary runs")
    };
    let output = peep(&["--sandbox"]);
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{}",
        shown(&output)
    );
    // Without a sandbox the same user can look: that is what the documentation says.
    let output = peep(&[]);
    assert!(output.status.success(), "{}", shown(&output));
    std::fs::write(one.path().join("go"), "").expect("can be written");
    assert!(first.wait().expect("ends").success());
    fixture.finish().await;
}

impl Fixture {
    /// `run --sandbox` with these options and variables starts nothing, and says `text`.
    fn refused_in(&self, here: &Path, options: &[&str], variables: &[(&str, &str)], text: &str) {
        let arguments = [&["run", "--sandbox"], options, &["--", "echo", "ran"]].concat();
        let mut command = self.keybearer_in(here, &arguments);
        let output = command.envs(variables.iter().copied()).output();
        let said = shown(&output.expect("the binary runs"));
        assert!(
            said.starts_with("exit status: 1\n") && said.contains(text),
            "{said}"
        );
        assert!(!said.contains("ran\n"), "{said}");
    }
}

#[tokio::test]
async fn a_sandbox_that_would_open_a_servers_files_is_refused() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let data = fixture.app.data_dir();
    let here = elsewhere();
    let refused = |here: &Path, options: &[&str], text: &str| {
        fixture.refused_in(here, options, &[], text);
    };
    refused(fixture.app.dir(), &[], "the sandbox would open");
    refused(&data, &[], "the sandbox would open");
    let data = data.to_str().expect("UTF-8");
    refused(
        here.path(),
        &["--allow-read", data],
        "the sandbox would open",
    );
    refused(
        here.path(),
        &["--allow-write", "/"],
        "the sandbox would open",
    );
    refused(Path::new("/"), &[], "all of /");
    refused(
        here.path(),
        &["--allow-read", "/no/such/file"],
        "does not exist",
    );
    // Options of a sandbox that is not there.
    let output = fixture
        .keybearer_in(here.path(), &["run", "--allow-network", "--", "true"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    // What it cannot open it cannot start, and says how.
    let program = here
        .path()
        .parent()
        .expect("a parent")
        .join("kb-no-program");
    std::fs::copy("/bin/true", &program).expect("can be copied");
    let inside = here.path().join("work");
    std::fs::create_dir(&inside).expect("can be made");
    let arguments = ["run", "--sandbox", "--", program.to_str().expect("UTF-8")];
    let output = fixture.keybearer_in(&inside, &arguments).output();
    let said = shown(&output.expect("the binary runs"));
    assert!(
        said.contains("exit status: 126") && said.contains("--allow-read"),
        "{said}"
    );
    std::fs::remove_file(&program).expect("is there");
    fixture.finish().await;
}

/// T178: local mode has its root key, its database and its owner's API key in a directory that no variable need name.
#[tokio::test]
async fn a_sandbox_that_would_open_local_modes_files_is_refused() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let (home, named, here) = (elsewhere(), elsewhere(), elsewhere());
    let state = home.path().join(".local/state/keybearer");
    std::fs::create_dir_all(&state).expect("can be made");
    let local = home.path().join(".local");
    let [of_home, of_local, of_named] = [home.path(), local.as_path(), named.path()].map(|path| {
        std::fs::canonicalize(path)
            .expect("is there")
            .into_os_string()
            .into_string()
            .expect("UTF-8")
    });
    let opens = "the sandbox would open";
    // The server's own directory is not what is opened.
    let at_home = [("HOME", of_home.as_str()), ("KEYBEARER_DATA_DIR", "")];
    let at_named = [
        at_home[0],
        at_home[1],
        ("KEYBEARER_HOME", of_named.as_str()),
    ];
    for variables in [&at_home[..], &at_named[..]] {
        for opened in [&of_local, &of_home] {
            fixture.refused_in(here.path(), &["--allow-read", opened], variables, opens);
        }
        fixture.refused_in(&state, &[], variables, opens);
    }
    fixture.refused_in(named.path(), &[], &at_named, opens);
    let at_xdg = [
        at_home[0],
        at_home[1],
        ("XDG_STATE_HOME", of_named.as_str()),
    ];
    std::fs::create_dir(named.path().join("keybearer")).expect("can be made");
    fixture.refused_in(named.path(), &[], &at_xdg, opens);
    fixture.refused_in(&state, &[], &at_xdg, opens);

    // What cannot be read might name any place.
    let data = fixture.app.data_dir();
    let data = data.to_str().expect("UTF-8");
    let misspelt = [("KEYBEARER_LSTEN", "127.0.0.1:1")];
    let said = "might open a server's files: KEYBEARER_LSTEN is not an option";
    fixture.refused_in(here.path(), &["--allow-read", data], &misspelt, said);
    let missing = [("KEYBEARER_CONFIG", "/no/such/file.toml")];
    let said = "might open a server's files: cannot read the configuration file /no/such/file";
    fixture.refused_in(here.path(), &[], &missing, said);

    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    // What lies beside is opened as before.
    let tools = home.path().join(".local/bin");
    std::fs::create_dir(&tools).expect("can be made");
    let tools = tools.to_str().expect("UTF-8");
    let arguments = [
        "run",
        "--sandbox",
        "--allow-read",
        tools,
        "--",
        "echo",
        "ran",
    ];
    let mut command = fixture.keybearer_in(here.path(), &arguments);
    let output = command.envs(at_home).output();
    let said = shown(&output.expect("the binary runs"));
    assert!(said.contains("\nran\n"), "{said}");
    fixture.finish().await;
}
