//! The command line at a terminal: what it asks, and what fits onto the screen.

use std::process::Output;

use serde_json::json;

use crate::Fixture;

/// Runs a command on a terminal of 24 lines and 80 columns. Each step waits for a text and types another.
const DRIVER: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
binary, directory, steps, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(directory)
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(binary, [binary] + arguments)
shown, deadline = b"", time.time() + 20
def read():
    global shown
    if not select.select([terminal], [], [], 0.1)[0]:
        return True
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        return False
    shown += piece
    return bool(piece)
for text, typed in steps:
    while text.encode() not in shown:
        if not read() or time.time() > deadline:
            sys.exit("waited for %r: %r" % (text, shown))
    os.write(terminal, typed.encode())
while time.time() < deadline and read():
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// The same below a shell: it tells when the command stops or ends, and whether the terminal was left as it was found, which it
/// sees to itself then; it continues the command at a line that is typed. A step `kill NAME` sends a signal to the command.
const SHELL: &str = r#"
import ctypes, fcntl, json, os, pty, select, signal, struct, sys, termios, time
binary, directory, steps, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    own = termios.tcgetattr(0)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.chdir(directory)
        os.execv(binary, [binary] + arguments)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        left = "as found" if termios.tcgetattr(0)[3] == own[3] else "changed"
        os.tcsetpgrp(0, os.getpid())
        termios.tcsetattr(0, termios.TCSANOW, own)
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            os.write(1, ("[ended %d, %s]" % (code, left)).encode())
            os._exit(0)
        os.write(1, ("[%d stopped, %s]" % (child, left)).encode())
        os.read(0, 100)
        os.tcsetpgrp(0, child)
        os.kill(child, signal.SIGCONT)
shown, at, deadline = b"", 0, time.time() + 60
def read():
    global shown
    if not select.select([terminal], [], [], 0.1)[0]:
        return True
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        return False
    shown += piece
    return bool(piece)
name = ctypes.CDLL(None).ptsname
name.restype = ctypes.c_char_p
def is_read_unseen():
    # Not kept open: its end would not be seen.
    other = os.open(name(terminal), os.O_RDONLY | os.O_NOCTTY)
    left, = struct.unpack("i", fcntl.ioctl(other, termios.FIONREAD, bytes(4)))
    seen = termios.tcgetattr(other)[3] & termios.ECHO
    os.close(other)
    return not seen and not left
for text, typed in steps:
    while shown.find(text.encode(), at) < 0:
        if not read() or time.time() > deadline:
            sys.exit("waited for %r: %r" % (text, shown))
    at = shown.find(text.encode(), at) + len(text)
    if not typed:
        continue
    # A prompt is there before who reads what is typed, and what was typed before has to be read: the shell would take it.
    time.sleep(0.1)
    while not (" stopped, " in text or is_read_unseen()):
        if not read() or time.time() > deadline:
            sys.exit("nobody reads at %r: %r" % (text, shown))
    if typed.startswith("kill "):
        group = os.tcgetpgrp(terminal)
        os.kill(group, getattr(signal, "SIG" + typed[5:]))
    else:
        os.write(terminal, typed.encode())
while time.time() < deadline and read():
    pass
sys.stdout.buffer.write(shown)
"#;

fn at_terminal(fixture: &Fixture, arguments: &[&str], steps: &[(&str, &str)]) -> Output {
    driven(DRIVER, fixture, arguments, steps)
}

/// What is on the terminal at the end.
fn below_shell(fixture: &Fixture, arguments: &[&str], steps: &[(&str, &str)]) -> String {
    let output = driven(SHELL, fixture, arguments, steps);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn driven(driver: &str, fixture: &Fixture, arguments: &[&str], steps: &[(&str, &str)]) -> Output {
    std::process::Command::new("python3")
        .args(["-c", driver, env!("CARGO_BIN_EXE_keybearer")])
        .arg(fixture.app.dir())
        .arg(json!(steps).to_string())
        .args(arguments)
        .env("HOME", fixture.app.dir())
        .env("TERM", "xterm")
        .env("KEYBEARER_URL", fixture.app.url())
        .env("KEYBEARER_API_KEY", &fixture.owner.api_key)
        .env("KEYBEARER_WORKSPACE", &fixture.owner.workspace)
        .output()
        .expect("python3 runs")
}

#[tokio::test]
async fn a_key_is_replaced_only_by_somebody_who_knows_that_there_is_one() {
    let fixture = Fixture::with_cli().await;
    let (first, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success() && !exit.says("Replaced"), "{exit}");
    for add in [
        &["keys", "add", "openai"][..],
        &["keys", "add", "openai", "--level", "1"],
    ] {
        let asked = at_terminal(&fixture, add, &[("Replace it for good? [y/N]", "n\n")]);
        assert_eq!(asked.status.code(), Some(3), "{asked:?}");
        let said = String::from_utf8_lossy(&asked.stdout);
        assert!(said.contains("openai/primary sk-"), "{said}");
    }
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(first.as_str()));
    // Who says the label, or is no person, is not asked, and is told.
    let second = fixture.canary.openai_key();
    let add = ["keys", "add", "openai", "--label", "primary"];
    let typed = format!("{second}\n");
    let added = at_terminal(&fixture, &add, &[("openai key: ", &typed)]);
    assert!(added.status.success(), "{added:?}");
    let said = String::from_utf8_lossy(&added.stdout);
    assert!(said.contains("Replaced openai/primary sk-"), "{said}");
    let (third, exit) = fixture.cli_add(&["openai"]).await;
    assert!(
        exit.status.success() && exit.says("Replaced openai/primary sk-"),
        "{exit}"
    );
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(third.as_str()));
    let (_, exit) = fixture.cli_add(&["openai", "--label", "other"]).await;
    assert!(exit.status.success() && !exit.says("Replaced"), "{exit}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_live_view_of_80_columns_shows_every_amount_whole_and_ends_with_q() {
    let fixture = Fixture::with_cli().await;
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    for _ in 0..3 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    fixture.app.usage(&fixture.owner, 4).await;
    let all = fixture.cli_json(&["status"]).await;
    let cost = all["total"]["cost_nano_usd"].as_i64().expect("an amount");
    let cost = format!("${}", domain::NanoUsd::new(cost));
    assert!(cost.len() > 6, "{cost}");
    let viewed = at_terminal(&fixture, &["status", "--watch"], &[("STATUS", "xyzzyq")]);
    assert!(viewed.status.success(), "{viewed:?}");
    let shown = String::from_utf8_lossy(&viewed.stdout);
    assert!(!shown.contains("xyzzy"), "{shown}");
    let (_, frame) = shown.split_once("\u{1b}[H").expect("a frame");
    let (frame, _) = frame.split_once("\u{1b}[J").expect("its end");
    let frame = frame
        .replace("\u{1b}[K", "")
        .replace("\u{1b}[1m", "")
        .replace("\u{1b}[0m", "");
    let lines: Vec<&str> = frame.lines().map(str::trim_end).collect();
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{frame}"
    );
    let titles = lines
        .iter()
        .find(|line| line.starts_with("AT "))
        .expect("titles");
    for title in ["MODEL", "STATUS", "COST"] {
        assert!(titles.contains(title), "{frame}");
    }
    // In the sum of all and in that of the model.
    let whole = lines
        .iter()
        .filter(|line| line.split([' ', ',']).any(|it| it == cost));
    assert!(whole.count() >= 2, "{cost}: {frame:?}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_live_view_that_is_suspended_or_quit_gives_the_terminal_back() {
    let fixture = Fixture::with_cli().await;
    let watch = ["status", "--watch"];
    let (taken, left) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    for suspend in ["\u{1a}", "kill TSTP"] {
        let steps = [
            (taken, ""),
            ("since ", suspend),
            (left, ""),
            (" stopped, as found]", "fg\n"),
            // Drawn again at once, and then as it was.
            (taken, ""),
            ("since ", suspend),
            (" stopped, as found]", "fg\n"),
            ("since ", "q"),
            ("[ended 0, as found]", ""),
        ];
        below_shell(&fixture, &watch, &steps);
    }
    for end in ["\u{1c}", "\u{3}", "kill QUIT", "kill TERM"] {
        let steps = [("since ", end), (left, ""), ("[ended 0, as found]", "")];
        below_shell(&fixture, &watch, &steps);
    }
    // Without a shell nobody would continue it.
    let viewed = at_terminal(&fixture, &watch, &[("since ", "\u{1a}"), ("since ", "q")]);
    assert!(viewed.status.success(), "{viewed:?}");
}

#[tokio::test]
async fn a_secret_is_not_shown_after_its_prompt_was_suspended() {
    let fixture = Fixture::with_cli().await;
    let add = ["keys", "add", "openai", "--label", "primary"];
    let ask = "openai key: ";
    for (stop, left) in [
        ("kill TSTP", " stopped, as found]"),
        ("kill STOP", " stopped, changed]"),
    ] {
        let key = fixture.canary.openai_key();
        let (first, rest) = key.split_at(7);
        let typed = format!("{rest}\n");
        let steps = [
            // Control-Z and Control-\\ are no part of a secret, and nothing else.
            (ask, "\u{1a}\u{1c}"),
            ("", first),
            ("", stop),
            (left, "fg\n"),
            (ask, &typed),
            ("[ended 0, as found]", ""),
        ];
        let shown = below_shell(&fixture, &add, &steps);
        assert!(!shown.contains(&key[4..12]), "{shown}");
        assert!(shown.contains("Control-U clears it"), "{shown}");
        fixture.chat("gpt-4o").await.expect(200);
        assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    }
    // What was typed wrong before is gone where somebody wants that.
    let key = fixture.canary.openai_key();
    let typed = format!("\u{15}{key}\n");
    let steps = [
        (ask, "wrong"),
        ("", "kill TSTP"),
        (" stopped, as found]", "fg\n"),
        (ask, &typed),
        ("[ended 0, as found]", ""),
    ];
    below_shell(&fixture, &add, &steps);
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    for (end, code) in [
        ("kill QUIT", 131),
        ("kill TERM", 143),
        ("\u{3}", 130),
        ("\u{4}", 1),
    ] {
        let ended = format!("[ended {code}, as found]");
        let shown = below_shell(&fixture, &add, &[(ask, end), (&ended, "")]);
        assert!(!shown.contains("openai key: error"), "{shown}");
    }
    // Without a shell nobody would continue it.
    let key = fixture.canary.openai_key();
    let added = at_terminal(&fixture, &add, &[(ask, &format!("{key}\n"))]);
    assert!(added.status.success(), "{added:?}");
    fixture.finish().await;
}
