//! Where root keys may come from, and where they may not. T12.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::support::{random, random_failing_at, secret};
use crate::root_key::command::load_within;
use crate::{RootKeyError, RootKeySource};

const GOOD: [u8; 32] = *b"\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
                          \x90\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        set_mode(directory.path(), 0o700);
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("root.key")
    }

    fn with(content: &[u8], mode: u32) -> Self {
        let place = Self::new();
        fs::write(place.path(), content).expect("writes");
        set_mode(&place.path(), mode);
        place
    }

    fn error(&self) -> RootKeyError {
        load(&self.path()).expect_err("not a root key")
    }
}

fn load(path: &Path) -> Result<[u8; 32], RootKeyError> {
    let source = RootKeySource::File(path.to_owned());
    source.load().map(|key| *key.bytes())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
}

macro_rules! assert_error {
    ($result:expr, $pattern:pat) => {{
        let error: RootKeyError = $result;
        assert!(matches!(error, $pattern), "{error:?}");
        error
    }};
}

#[test]
fn an_owner_only_file_of_32_random_bytes_is_read() {
    for mode in [0o600, 0o400] {
        let loaded = load(&Place::with(&GOOD, mode).path());
        assert_eq!(loaded.expect("a root key"), GOOD);
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    for mode in [
        0o644, 0o640, 0o604, 0o660, 0o606, 0o620, 0o602, 0o700, 0o601, 0o4600, 0o2600, 0o000, 0o200,
    ] {
        let error = Place::with(&GOOD, mode).error();
        // Without the right to read it, only root gets as far as the mode.
        let denied = mode & 0o400 == 0 && matches!(error, RootKeyError::Io { .. });
        assert!(
            denied || matches!(error, RootKeyError::Permissions { .. }),
            "{mode:o}: {error:?}"
        );
    }
}

#[test]
fn a_file_in_a_directory_that_others_may_write_is_refused_unless_it_is_sticky() {
    let place = Place::with(&GOOD, 0o600);
    for mode in [0o777, 0o770, 0o707, 0o720, 0o702] {
        set_mode(place.directory.path(), mode);
        assert_error!(place.error(), RootKeyError::Permissions { .. });
    }
    for mode in [0o1777, 0o755, 0o700, 0o500] {
        set_mode(place.directory.path(), mode);
        assert!(load(&place.path()).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_strangers_file_or_directory_is_refused() {
    let place = Place::with(&GOOD, 0o600);
    // Only root may give files away; as anybody else there is nothing to try.
    if chown(place.path(), Some(12345), None).is_err() {
        return;
    }
    if rustix::process::geteuid().is_root() {
        assert_error!(place.error(), RootKeyError::Permissions { .. });
        chown(place.path(), Some(0), None).expect("root may");
        chown(place.directory.path(), Some(12345), None).expect("root may");
        assert_error!(place.error(), RootKeyError::Permissions { .. });
    }
}

#[test]
fn what_is_not_32_random_bytes_is_refused() {
    let hex: String = GOOD.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = STANDARD.encode(GOOD);
    for content in [
        &GOOD[..31],
        &[&GOOD[..], &[0x80]].concat(),
        &[&GOOD[..], b"\n"].concat(),
        &[&GOOD[..], b"\r\n"].concat(),
        hex.as_bytes(),
        text.as_bytes(),
        b"",
        &[0x5a; 1024 * 1024],
    ] {
        let error = Place::with(content, 0o600).error();
        assert_error!(error, RootKeyError::Length { .. });
    }
    for content in [
        [0; 32],
        [0xff; 32],
        *b"0123456789abcdef0123456789abcdef",
        *b"correct horse battery staple 42\n",
        *b"ABEiM0RVZneImaq7zN3u/wARIjNEVQ\r\n",
    ] {
        let error = assert_error!(
            Place::with(&content, 0o600).error(),
            RootKeyError::Weak { .. }
        );
        assert!(!error.to_string().contains("0123"));
    }
}

#[test]
fn what_is_not_a_plain_file_is_refused_without_waiting_for_it() {
    let place = Place::with(&GOOD, 0o600);
    let link = place.directory.path().join("link");
    symlink(place.path(), &link).expect("links");
    assert_error!(
        load(&link).expect_err("a link"),
        RootKeyError::Symlink { .. }
    );
    let dangling = place.directory.path().join("dangling");
    symlink("/nonexistent", &dangling).expect("links");
    assert_error!(
        load(&dangling).expect_err("a link"),
        RootKeyError::Symlink { .. }
    );

    let pipe = place.directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("makes a pipe");
    let started = Instant::now();
    assert_error!(
        load(&pipe).expect_err("a pipe"),
        RootKeyError::NotAFile { .. }
    );
    assert!(started.elapsed() < Duration::from_secs(5));

    for path in [place.directory.path(), Path::new("/dev/zero")] {
        assert_error!(
            load(path).expect_err("not a file"),
            RootKeyError::NotAFile { .. }
        );
    }
    for missing in ["missing", "missing/root.key"] {
        let path = place.directory.path().join(missing);
        let error = assert_error!(
            load(&path).expect_err("missing"),
            RootKeyError::Missing { .. }
        );
        assert!(error.to_string().contains(missing));
    }
}

#[test]
fn a_created_file_is_private_whole_and_never_replaced() {
    let place = Place::new();
    let path = place.directory.path().join("new/dir/root.key");
    let created = RootKeySource::create_file(&path, &random()).expect("creates");
    assert_eq!(load(&path).expect("a root key"), *created.bytes());
    let mode = |path: &Path| fs::metadata(path).expect("exists").mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("new/dir")), 0o700);

    let again = RootKeySource::create_file(&path, &random());
    assert_error!(again.expect_err("exists"), RootKeyError::Exists { .. });
    assert_eq!(load(&path).expect("a root key"), *created.bytes());
    // Neither is the target of a link.
    let link = place.directory.path().join("link");
    symlink(place.directory.path().join("target"), &link).expect("links");
    let linked = RootKeySource::create_file(&link, &random());
    assert_error!(linked.expect_err("a link"), RootKeyError::Exists { .. });
    assert!(!place.directory.path().join("target").exists());

    // T16
    let path = place.path();
    let failed = RootKeySource::create_file(&path, &random_failing_at(0));
    assert_error!(failed.expect_err("no randomness"), RootKeyError::Random(_));
    assert!(!path.exists());

    set_mode(place.directory.path(), 0o777);
    let exposed = RootKeySource::create_file(&path, &random());
    assert_error!(
        exposed.expect_err("anybody may write here"),
        RootKeyError::Permissions { .. }
    );
    assert!(!path.exists());
}

#[test]
fn the_environment_holds_canonical_base64_of_32_bytes() {
    let good = STANDARD.encode(GOOD);
    let from = |text: &str| RootKeySource::Env(secret(text)).load();
    assert_eq!(*from(&good).expect("a root key").bytes(), GOOD);
    let unpadded = good.trim_end_matches('=');
    // 32 bytes leave 2 bits over in the last digit; a digit with any of them set is not canonical.
    let noncanonical = format!("{}9=", &good[..42]);
    for text in [
        "",
        unpadded,
        &format!("{good}\n"),
        &format!(" {good}"),
        &format!("{good}="),
        &noncanonical,
        &good.replace('A', "-"),
        &STANDARD.encode(&GOOD[..31]),
        &STANDARD.encode([&GOOD[..], &[1]].concat()),
        &"\u{e9}".repeat(22),
    ] {
        let error = from(text).expect_err("not canonical");
        let error = assert_error!(error, RootKeyError::Encoding { .. });
        assert!(!error.to_string().contains(&good[..8]));
    }
    for weak in [[7; 32], *b"0123456789abcdef0123456789abcdef"] {
        let error = from(&STANDARD.encode(weak)).expect_err("weak");
        assert_error!(error, RootKeyError::Weak { .. });
    }
}

fn run(script: &str) -> Result<[u8; 32], RootKeyError> {
    let argv = ["sh", "-c", script].map(str::to_owned);
    load_within(&argv, Duration::from_secs(10)).map(|key| *key.bytes())
}

#[test]
fn a_program_writes_the_key_and_ends_well() {
    let good = STANDARD.encode(GOOD);
    for script in [
        format!("printf %s {good}"),
        format!("echo {good}"),
        format!("echo noise >&2; echo {good}"),
    ] {
        assert_eq!(run(&script).expect("a root key"), GOOD);
    }
    let argv = ["echo".to_owned(), good.clone()];
    let loaded = RootKeySource::Command(argv.to_vec()).load();
    assert_eq!(*loaded.expect("a root key").bytes(), GOOD);

    for script in [
        format!("echo {good}; echo"),
        format!("echo; echo {good}"),
        format!("printf '%s\\r\\n' {good}"),
        format!("echo {good} | tr -d ="),
        "true".to_owned(),
        "yes".to_owned(),
    ] {
        let error = run(&script).expect_err("not the one form");
        // A program that goes on writing is cut off and fails.
        assert!(
            matches!(
                error,
                RootKeyError::Encoding { .. } | RootKeyError::Command { .. }
            ),
            "{script}: {error:?}"
        );
    }
}

#[test]
fn a_program_that_fails_is_reported_without_its_words() {
    let good = STANDARD.encode(GOOD);
    let script = format!("echo {good}; echo secret-words >&2; exit 3");
    let error = assert_error!(
        run(&script).expect_err("fails"),
        RootKeyError::Command { .. }
    );
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("secret-words") && !shown.contains(&good));
    }
    for argv in [vec![], vec!["/nonexistent/program".to_owned()]] {
        let error = RootKeySource::Command(argv).load();
        assert_error!(error.expect_err("no program"), RootKeyError::Command { .. });
    }
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_what_it_started() {
    let place = Place::new();
    let mark = place.directory.path().join("mark");
    for script in [
        "sleep 60".to_owned(),
        // It lets go of its output but does not end.
        "exec >&-; sleep 60".to_owned(),
        // It ends, and leaves behind something that holds on to its output.
        format!("(sleep 2; touch {}) & exit 0", mark.display()),
    ] {
        let started = Instant::now();
        let argv = ["sh", "-c", &script].map(str::to_owned);
        let error = load_within(&argv, Duration::from_millis(300)).expect_err("too late");
        assert_error!(
            error,
            RootKeyError::Command { .. } | RootKeyError::Encoding { .. }
        );
        assert!(started.elapsed() < Duration::from_secs(30), "{script}");
    }
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!mark.exists(), "what it started was ended too");
}

#[test]
fn nothing_prints_a_key() {
    let source = RootKeySource::Env(secret(&STANDARD.encode(GOOD)));
    let key = source.load().expect("a root key");
    assert_eq!(format!("{source:?} {key:?}"), "Env(..) RootKey");
    let argv = vec!["prog".to_owned(), "--password=x".to_owned()];
    let shown = format!("{:?}", RootKeySource::Command(argv));
    assert!(shown.contains("prog") && !shown.contains("password"));
}
