//! A program that runs with a workspace's credentials, from its start to its end.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{
    Pid, WaitOptions, WaitStatus, getpgrp, getpid, kill_process, set_child_subreaper, wait,
};

/// How long what a program left behind has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A running program.
pub struct Program {
    pid: Pid,
    /// Never waited for through this value: [`Program::wait`] reaps every child of this process.
    _child: Child,
}

impl Program {
    /// Starts `stage` (this binary, told to [`enter`](crate::enter)) with exactly this environment.
    ///
    /// From here on this process is the parent of whatever the program leaves behind. It may have no other children.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(
        stage: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, io::Error> {
        set_child_subreaper(Some(getpid()))?;
        // Not a path, which an update may have given to another file: the binary that runs.
        let mut command = Command::new("/proc/self/exe");
        command.args(stage).env_clear().envs(environment);
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid, _child: child })
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it ends and returns its exit code, 128 and the signal's number where a signal ended it.
    ///
    /// Blocks. What it left behind is ended, too: first it is asked, and after two seconds it is not asked any more.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(self) -> io::Result<u8> {
        let code = loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.pid => break exit_code(status),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        end_the_rest();
        Ok(code)
    }
}

/// Passes a signal on to a program. One that is gone needs none.
pub fn forward(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// Whether the terminal itself sends its signals (`Ctrl-C`) to the program: it does to the whole foreground group.
pub fn terminal_signals_arrive() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp())
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// Ends every process that came to be ours because its parent ended.
fn end_the_rest() {
    let deadline = Instant::now() + GRACE;
    loop {
        // Those whose parent lives are that parent's until it ends, and ours in a later round.
        let left = children();
        if left.is_empty() {
            return;
        }
        let signal = if Instant::now() < deadline {
            Signal::TERM
        } else {
            Signal::KILL
        };
        for pid in left {
            let _ = kill_process(pid, signal);
        }
        std::thread::sleep(Duration::from_millis(20));
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

fn children() -> Vec<Pid> {
    // Every thread has its own.
    let Ok(threads) = std::fs::read_dir(Path::new("/proc/self/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
                .collect::<Vec<_>>()
        })
        .collect()
}
