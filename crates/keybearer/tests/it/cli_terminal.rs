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

fn at_terminal(fixture: &Fixture, arguments: &[&str], steps: &[(&str, &str)]) -> Output {
    std::process::Command::new("python3")
        .args(["-c", DRIVER, env!("CARGO_BIN_EXE_keybearer")])
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
