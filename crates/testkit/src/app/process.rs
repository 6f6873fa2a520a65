//! The child process: its output goes to files, its first lines say where it listens.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
const LISTENING: &str = "listening on ";

/// A child that is killed, and waited for, when it is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` with its output appended to `dir/stdout` and `dir/stderr`.
    pub(crate) fn start(command: &mut Command, dir: &Path) -> Self {
        let child = command
            .stdout(append(&dir.join("stdout")))
            .stderr(append(&dir.join("stderr")))
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    /// Waits for the line that says where it listens, in the part of `stdout` past `skip` bytes.
    /// `Err` when the child ended instead.
    pub(crate) async fn listening(
        &mut self,
        stdout: &Path,
        skip: usize,
    ) -> Result<String, ExitStatus> {
        let deadline = Instant::now() + START;
        loop {
            // Asked before the file is read, so that the last lines of a child that ended are not missed.
            let ended = self.child.try_wait().expect("the child is ours");
            let text = read(stdout);
            let fresh = text.get(skip..).unwrap_or_default();
            let complete = fresh
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            for line in complete {
                if let Some((_, url)) = line.split_once(LISTENING) {
                    return Ok(url.trim().trim_end_matches('/').to_owned());
                }
            }
            if let Some(status) = ended {
                return Err(status);
            }
            assert!(
                Instant::now() < deadline,
                "not listening after {START:?}: {fresh}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the child is ours");
    }

    /// Waits for the end. Panics after a minute.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the child did not end within {END:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when the child has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file as text; empty while it does not exist.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn append(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
