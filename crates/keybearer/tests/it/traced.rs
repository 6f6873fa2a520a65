//! The commands that are given a secret, watched at the system's own boundary: every program that they start, every file
//! that they open and every byte that they write, be it to a file or to the network.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;

use crate::Fixture;
use crate::sandbox::{elsewhere, shown};

/// The calls by which something could get out of a process, or into a name.
const CALLS: &str = "execve,execveat,open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,\
    sendmmsg,sendfile,splice,copy_file_range,link,linkat,symlink,symlinkat,rename,renameat,renameat2,mkdir,mkdirat";

/// What `keybearer` asks of the system, a line for each call; `typed` is its standard input, `home` where it keeps files.
fn traced(keybearer: &Command, home: &Path, typed: &str) -> Vec<String> {
    let log = tempfile::NamedTempFile::new().expect("a temp file");
    let mut input = tempfile::tempfile().expect("a temp file");
    writeln!(input, "{typed}")
        .and_then(|()| input.rewind())
        .expect("written");
    let calls = format!("trace={CALLS}");
    let mut strace = Command::new("strace");
    strace
        // All threads and children; what the number of a file stands for; environments and texts as a whole.
        .args(["-f", "-qq", "-y", "-v", "-s", "1000000", "-e", &calls, "-o"])
        .arg(log.path())
        .arg("--")
        .arg(keybearer.get_program())
        .args(keybearer.get_args())
        .current_dir(home)
        .env_clear()
        .stdin(input);
    for (name, value) in keybearer.get_envs() {
        strace.envs(value.map(|value| (name, value)));
    }
    let output = strace.env("HOME", home).env("TMPDIR", home).output();
    let output = output.expect("strace runs; scripts/install_test_requisites.sh installs it");
    assert!(output.status.success(), "{keybearer:?}: {}", shown(&output));
    let log = std::fs::read_to_string(log.path()).expect("a log");
    log.lines().map(str::to_owned).collect()
}

/// The files under a directory, with what is in them.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// T174: no argument, no environment, no name, no temporary file, no history; and a provider key, which is sealed before
/// it leaves, in nothing that is written at all.
#[tokio::test]
async fn a_secret_that_is_typed_stands_in_no_call_to_the_system() {
    if File::open("/proc/self/status").is_err() {
        // strace is Linux's.
        return;
    }
    let fixture = Fixture::start().await;
    let home = elsewhere();
    for arguments in [
        &["keys", "add", "openai"][..],
        &["byok", "set", "openai", "--label", "mine"],
        &["seal", "openai"],
    ] {
        let key = fixture.canary.openai_key();
        let command = fixture.keybearer_in(home.path(), arguments);
        let calls = traced(&command, home.path(), &key);
        // It was watched: a program, a file and a request.
        for seen in [" execve(", " openat(", "/v1/byok/encryption-pubkey"] {
            assert!(
                calls.iter().any(|call| call.contains(seen)),
                "{arguments:?}: no {seen} in {calls:#?}"
            );
        }
        let found: Vec<_> = calls.iter().filter(|call| call.contains(&key)).collect();
        assert!(found.is_empty(), "{arguments:?}: {found:#?}");
        for (path, bytes) in files(home.path()) {
            assert!(!holds(&bytes, &key), "{arguments:?}: {path}");
        }
    }

    // An API key is sent to its server and kept in the file of logins, and is nowhere else.
    let key = &fixture.owner.api_key;
    let url = fixture.app.url();
    let login = ["login", "--url", &url, "--with-key"];
    let mut command = fixture.keybearer_in(home.path(), &login);
    command.env_remove("KEYBEARER_API_KEY");
    let calls = traced(&command, home.path(), key);
    let kept = home.path().join(".config/keybearer");
    // The file, and the new one that takes its place.
    let place = format!("<{}/", kept.canonicalize().expect("made").display());
    let (mut sent, mut written) = (0, 0);
    for call in calls.iter().filter(|call| call.contains(key.as_str())) {
        // `1234 write(7</path/of/the/file>, "..."`
        let to = call.split_once('(').map_or("", |(_, rest)| rest);
        let to = to.trim_start_matches(|it: char| it.is_ascii_digit());
        if to.starts_with("<socket:") || to.starts_with("<TCP:") {
            sent += 1;
        } else {
            assert!(to.starts_with(&place), "{call}");
            written += 1;
        }
    }
    assert!(sent > 0 && written > 0, "{sent} and {written}: {calls:#?}");
    for (path, bytes) in files(home.path()) {
        assert!(
            path.ends_with("/.config/keybearer/logins.json") || !holds(&bytes, key),
            "{path}"
        );
    }
    fixture.finish().await;
}
