//! A program that runs with a workspace's credentials, from its start to its end.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::output::Output;
use crate::secrets::Secrets;
pub use rustix::process::Signal;
use rustix::process::{
    Pid, PidfdFlags, WaitOptions, WaitStatus, getpgid, getpgrp, getpid, getppid, getsid,
    kill_process, pidfd_open, pidfd_send_signal, set_child_subreaper, wait,
};

/// How long what a program left behind has to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// How long one that was killed may take to be gone.
const KILLED: Duration = Duration::from_secs(1);

/// A running program.
pub struct Program {
    pid: Pid,
    handle: Arc<OwnedFd>,
    /// Never waited for through this value: [`Program::wait`] reaps every child of this process.
    _child: Child,
}

/// Sends signals to a program. Holds on to the process itself: another one that gets its number is never meant.
#[derive(Clone)]
pub struct Signals(Arc<OwnedFd>);

impl Signals {
    /// Passes a signal on. A program that is gone needs none.
    pub fn send(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.0, signal);
    }
}

impl Program {
    /// Starts `stage` (this binary, told to [`enter`](crate::enter())) with exactly this environment, and what `secrets`
    /// adds to the program's. It writes to `output`; without one, to where this process does.
    ///
    /// From here on this process is the parent of whatever the program leaves behind. It may have no other children.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(
        stage: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        secrets: Option<Secrets>,
        output: Option<Output>,
    ) -> Result<Self, io::Error> {
        set_child_subreaper(Some(getpid()))?;
        // Not a path, which an update may have given to another file: the binary that runs.
        let mut command = Command::new("/proc/self/exe");
        command.args(stage).env_clear().envs(environment);
        if let Some(output) = output {
            command.stdout(output.stdout).stderr(output.stderr);
        }
        let mut child = command.spawn()?;
        if let Some(secrets) = secrets {
            secrets.hand_over();
        }
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Ok(Self {
                pid,
                handle: Arc::new(handle),
                _child: child,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// Its signals.
    pub fn signals(&self) -> Signals {
        Signals(Arc::clone(&self.handle))
    }

    /// Waits until it ends and returns its exit code, 128 and the signal's number where a signal ended it. Blocks.
    ///
    /// What it left behind still runs: see [`end_the_rest`].
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(self) -> io::Result<u8> {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.pid => return Ok(exit_code(status)),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the terminal itself sends its signals (`Ctrl-C`) to the program: it does to the whole foreground group.
///
/// The terminal is asked by its own name: standard input may be anything.
pub fn terminal_signals_arrive() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|it| rustix::termios::tcgetpgrp(it).is_ok_and(|group| group == getpgrp()))
}

/// Stops this process, as Control-Z stops one that does nothing about it, until somebody continues it.
///
/// Nothing happens where nobody would, as under what starts a container: the kernel has this rule for Control-Z (an orphaned
/// process group, POSIX), and not for the one signal that is left to who catches that.
pub fn suspend() {
    if is_continued_by_somebody() {
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

/// Whether above this process's group there is one of the same session, such as a shell.
fn is_continued_by_somebody() -> bool {
    let (group, session) = (getpgrp(), getsid(None).ok());
    let mut above = getppid();
    while let Some(pid) = above {
        if session.is_none() || getsid(Some(pid)).ok() != session {
            return false;
        }
        if getpgid(Some(pid)).is_ok_and(|it| it != group) {
            return true;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
        above = stat.ok().as_deref().and_then(parent_of);
    }
    false
}

/// The parent in a line of `/proc/PID/stat`. The name in it is in parentheses, and may have some.
fn parent_of(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// Ends every process that came to be ours because its parent ended: each is asked once, and killed after two seconds.
/// Blocks. Returns false where one is left that cannot be killed, such as another user's.
pub fn end_the_rest() -> bool {
    let mut asked = HashSet::new();
    let start = Instant::now();
    while any_left() {
        let waited = start.elapsed();
        if waited > GRACE + KILLED {
            return false;
        }
        // Those whose parent lives are that parent's until it ends, and ours in a later round.
        for pid in children() {
            if waited > GRACE {
                let _ = kill_process(pid, Signal::KILL);
            } else if asked.insert(pid) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Takes leave of those that ended, and says whether others have not.
fn any_left() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

pub(crate) fn children() -> Vec<Pid> {
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
