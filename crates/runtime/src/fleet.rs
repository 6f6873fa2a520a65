//! Several programs that run side by side, each with its output in a pipe and in a process group of its own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, set_child_subreaper, waitid,
};

use crate::program::children;

/// How often a group that is ending is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The programs that this process has started. Beside them it may have no other children but what they left behind.
#[derive(Clone)]
pub struct Fleet(Arc<Mutex<HashSet<Pid>>>);

/// A program of a fleet, with its standard output and standard error.
pub struct Member {
    /// Its end and its signals.
    pub handle: Handle,
    /// What it says.
    pub stdout: Option<ChildStdout>,
    /// What it complains of.
    pub stderr: Option<ChildStderr>,
}

/// A program's process group: for as long as nobody has taken leave of the program, its number cannot be another's.
#[derive(Clone)]
pub struct Handle {
    pid: Pid,
    fleet: Fleet,
    /// Whether the group was asked to end. Many programs take a second time for impatience.
    asked: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
}

impl Fleet {
    /// A fleet without programs. From here on this process is the parent of whatever they leave behind.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self(Arc::default()))
    }

    /// Starts `stage` (this binary, told to [`enter`](crate::enter())) with exactly this environment and no input.
    ///
    /// The program ends with the thread that calls this, so that must be one that lasts.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(
        &self,
        stage: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> io::Result<Member> {
        // Not a path, which an update may have given to another file: the binary that runs.
        let mut command = Command::new("/proc/self/exe");
        command
            .args(stage)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // Held meanwhile, so that nobody takes it for something that was left behind.
        let mut running = self.running();
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        running.insert(pid);
        Ok(Member {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            handle: Handle {
                pid,
                fleet: self.clone(),
                asked: Arc::default(),
                killed: Arc::default(),
            },
        })
    }

    /// Takes leave of what programs left behind and has ended since.
    pub fn reap(&self) {
        let running = self.running();
        let left = children().into_iter().filter(|pid| !running.contains(pid));
        for pid in left {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _ = waitid(WaitId::Pid(pid), options);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// The program's process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Asks the program and what it started in its group to end (SIGTERM), once. A program that is gone needs none.
    pub fn ask_to_end(&self) {
        if !self.asked.swap(true, Ordering::Relaxed) {
            self.send(Signal::TERM);
        }
    }

    /// Ends them (SIGKILL).
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        self.send(Signal::KILL);
    }

    /// Whether one of them did not end until it was killed.
    pub fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    fn send(&self, signal: Signal) {
        if self.fleet.running().contains(&self.pid) {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Waits until the program ends, asks what is left of its group to end, kills that after `grace`, and returns the
    /// program's exit code, 128 and the signal's number where a signal ended it. Blocks.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&self, grace: Duration) -> io::Result<u8> {
        // It stays there as a zombie, so that its number is not given to another group before the last signal is sent.
        self.wait_for(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let ended_at = Instant::now();
        let mut left = lives(self.pid);
        while left && ended_at.elapsed() < grace {
            self.ask_to_end();
            std::thread::sleep(LOOK_EVERY);
            left = lives(self.pid);
        }
        if left {
            self.killed.store(true, Ordering::Relaxed);
        }
        let mut running = self.fleet.running();
        let _ = kill_process_group(self.pid, Signal::KILL);
        let code = self.wait_for(WaitIdOptions::EXITED);
        running.remove(&self.pid);
        code
    }

    fn wait_for(&self, options: WaitIdOptions) -> io::Result<u8> {
        loop {
            match waitid(WaitId::Pid(self.pid), options) {
                Ok(Some(status)) => {
                    let code = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => code,
                        (None, Some(signal)) => 128 + signal,
                        (None, None) => 1,
                    };
                    return Ok(u8::try_from(code & 0xff).unwrap_or(1));
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether anything in the group runs. What has ended and waits to be taken leave of does not, though signals reach it.
fn lives(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let group = group.as_raw_nonzero().get();
    processes.filter_map(Result::ok).any(|process| {
        let is_process = process.file_name().as_encoded_bytes()[0].is_ascii_digit();
        let stat = is_process.then(|| std::fs::read_to_string(process.path().join("stat")));
        stat.is_some_and(|stat| stat.is_ok_and(|stat| group_of_running(&stat) == Some(group)))
    })
}

/// The group of a process that has not ended, by its `stat` (proc_pid_stat(5)).
fn group_of_running(stat: &str) -> Option<i32> {
    // A program's name may hold anything, brackets and blanks too.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_does_not_run() {
        assert_eq!(group_of_running("7 (a) b) S 1 42 42 0"), Some(42));
        assert_eq!(group_of_running("7 (a) Z 1 42 42 0"), None);
        assert_eq!(group_of_running("7"), None);
        assert!(lives(rustix::process::getpgrp()));
    }
}
