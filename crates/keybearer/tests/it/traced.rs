//! The commands that are given a secret, watched at the system's own boundary: every program that they start, every file
//! that they open and every byte that they write, be it to a file or to the network.

use std::io::{Seek, Write, stderr};
use std::path::Path;
use std::process::{Command, Output};

use testkit::canary::{Canary, Hit};

use crate::Fixture;
use crate::sandbox::{elsewhere, shown};

/// The calls by which something could get out of a process, or into a name.
const CALLS: &str = "execve,execveat,open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,\
    sendmmsg,sendfile,splice,copy_file_range,link,linkat,symlink,symlinkat,rename,renameat,renameat2,mkdir,mkdirat";

/// What `keybearer` asks of the system, a line for each call; `typed` is its standard input, `home` where it keeps files.
fn traced(keybearer: &Command, home: &Path, typed: &str) -> Vec<String> {
    let (output, log) = trace(keybearer, home, typed);
    assert!(output.status.success(), "{keybearer:?}: {}", shown(&output));
    log.lines().map(str::to_owned).collect()
}

/// How a command ended under strace, and what strace saw.
fn trace(keybearer: &Command, home: &Path, typed: &str) -> (Output, String) {
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
    (output, std::fs::read_to_string(log.path()).expect("a log"))
}

/// Why strace does not see here what the test asks of it; `None`: it does. Root always can, so there it is never a reason to
/// leave the test out.
fn cannot_trace(keybearer: &Command, home: &Path) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("strace is Linux's".to_owned());
    }
    if rustix::process::geteuid().is_root() {
        return None;
    }
    let (output, log) = trace(keybearer, home, "");
    if !output.status.success() {
        return Some(format!("strace may not trace: {}", shown(&output)));
    }
    // What a file's number stands for is known to root only: the binary lets nobody else look into it.
    let named = log.contains("write(1<");
    (!named)
        .then(|| "strace sees no names of files in a process that nobody may look into".to_owned())
}

/// Where a secret stands in the files under a directory.
fn found_in(directory: &Path, secret: &str) -> Vec<Hit> {
    let canary = Canary::new();
    canary.register(secret);
    let mut sweep = canary.sweep();
    sweep.path(directory);
    sweep.hits().to_vec()
}

/// Where a call writes to: `</path/of/the/file>, "..."` of `1234 write(7</path/of/the/file>, "..."`.
fn goes_to(call: &str) -> &str {
    let to = call.split_once('(').map_or("", |(_, rest)| rest);
    to.trim_start_matches(|it: char| it.is_ascii_digit())
}

fn is_sent(call: &str) -> bool {
    let to = goes_to(call);
    to.starts_with("<socket:") || to.starts_with("<TCP:")
}

/// T174: no argument, no environment, no name, no temporary file, no history; and a provider key, which is sealed before
/// it leaves, in nothing that is written at all.
#[tokio::test]
async fn a_secret_that_is_typed_stands_in_no_call_to_the_system() {
    let fixture = Fixture::start().await;
    let home = elsewhere();
    let any = fixture.keybearer_in(home.path(), &["--version"]);
    if let Some(why) = cannot_trace(&any, home.path()) {
        // Past the test harness, which shows what a test prints only where it fails.
        let _ = writeln!(stderr(), "T174 was left out, run it as root: {why}");
        return;
    }
    for arguments in [
        &["keys", "add", "openai"][..],
        &["keys", "rotate", "openai"],
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
        assert_eq!(found_in(home.path(), &key), [], "{arguments:?}");
    }

    // What crosses to the server as it is goes there, and nowhere else.
    let person = fixture.owner.person.clone();
    let (provider_key, password) = (fixture.canary.openai_key(), "quite another password");
    // Asked for once: it logs in, and is changed.
    let change = format!("{}\n{password}", person.password);
    let ai_config = ["ai-config", "set", "--provider", "openai", "--key"];
    let as_owner = ["--email", &person.email];
    for (arguments, typed, secrets) in [
        (&ai_config[..], &provider_key, vec![provider_key.as_str()]),
        (
            &[&["workspace", "list"][..], &as_owner].concat(),
            &person.password,
            vec![person.password.as_str()],
        ),
        (
            &[&["password"][..], &as_owner].concat(),
            &change,
            vec![person.password.as_str(), password],
        ),
    ] {
        let command = fixture.keybearer_in(home.path(), arguments);
        let calls = traced(&command, home.path(), typed);
        for secret in secrets {
            let mut with_it = calls.iter().filter(|call| call.contains(secret)).peekable();
            assert!(with_it.peek().is_some(), "{arguments:?}: it was not sent");
            for call in with_it {
                assert!(is_sent(call), "{arguments:?}: {call}");
            }
            assert_eq!(found_in(home.path(), secret), [], "{arguments:?}");
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
        if is_sent(call) {
            sent += 1;
        } else {
            assert!(goes_to(call).starts_with(&place), "{call}");
            written += 1;
        }
    }
    assert!(sent > 0 && written > 0, "{sent} and {written}: {calls:#?}");
    let found = found_in(home.path(), key);
    assert!(!found.is_empty(), "the file of logins has it");
    for hit in found {
        let is_kept = hit.place.ends_with("/.config/keybearer/logins.json");
        assert!(is_kept, "{hit}");
    }
    fixture.finish().await;
}
