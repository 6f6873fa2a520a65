//! The root key from a program, for password managers and hardware.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use zeroize::Zeroizing;

use super::{RootKey, RootKeyError, decode};

const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Longer than any right answer.
const MAX_OUTPUT_BYTES: u64 = 64;

pub(super) fn load(argv: &[String]) -> Result<RootKey, RootKeyError> {
    load_within(argv, TIMEOUT)
}

pub(crate) fn load_within(argv: &[String], timeout: Duration) -> Result<RootKey, RootKeyError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(RootKeyError::Command {
            place: "command".to_owned(),
            rule: "no program is named",
        });
    };
    // Arguments may hold secrets of the program; its name does not.
    let place = format!("command {program}");
    let failed = |rule| RootKeyError::Command {
        place: place.clone(),
        rule,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What a program says when it fails may be what it should have kept.
        .stderr(Stdio::null())
        // A group of its own, so that what it started ends with it.
        .process_group(0)
        .spawn()
        .map_err(|_| failed("it does not start"))?;
    let output = output(&mut child, timeout);
    if output.is_err() {
        end(&mut child);
    }
    let output = output.map_err(failed)?;
    let text = output.strip_suffix(b"\n").unwrap_or(&output);
    decode(text, &place)
}

/// Everything the program wrote, if it ended well and in time.
fn output(child: &mut Child, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const LATE: &str = "it did not end in time";
    let deadline = Instant::now() + timeout;
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let (sender, receiver) = mpsc::channel();
    // Not joined: a grandchild may hold the pipe open for ever.
    thread::spawn(move || sender.send(read(stdout)));
    let output = receiver
        .recv_timeout(timeout)
        .map_err(|_| LATE)?
        .map_err(|_| "its output could not be read")?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(output),
            Ok(Some(_)) => return Err("it failed"),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) => return Err(LATE),
            Err(_) => return Err("its end could not be awaited"),
        }
    }
}

fn read(stdout: ChildStdout) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut output = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT_BYTES as usize));
    stdout.take(MAX_OUTPUT_BYTES).read_to_end(&mut output)?;
    Ok(output)
}

/// Ends the program and what it started. Failures mean that it has ended already.
fn end(child: &mut Child) {
    if let Ok(raw) = i32::try_from(child.id())
        && let Some(group) = Pid::from_raw(raw)
    {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
