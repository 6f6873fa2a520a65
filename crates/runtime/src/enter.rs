//! The last steps before a program's first: they run in the process that becomes the program.
//!
//! What must be done between `fork` and `exec` cannot be done from safe code in the starter. So the starter starts this
//! binary once more; it gives up what it must, and becomes the program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::sandbox::{Held, Sandbox, SandboxError};
use crate::secrets;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// What to do, and what to become.
pub struct Entry {
    /// The process that started this one. When it is gone, so shall be the program.
    pub starter: u32,
    /// The descriptor from which it gets values for its environment that must not stand in this process's.
    pub secrets: Option<i32>,
    /// The walls around it, if any.
    pub sandbox: Option<Sandbox>,
    /// The program: a name that is looked for in `PATH`, or a path.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Why this process did not become the program.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The operating system's.
    #[error(transparent)]
    System(#[from] io::Error),
    /// There would be no walls.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Becomes the program; returns only when that fails. `weak` hears of a sandbox that the kernel holds only in part.
///
/// Must run before anything in this process opened a file: every descriptor but the first three is closed.
pub fn enter(entry: Entry, weak: impl FnOnce(Held)) -> EnterError {
    let prepared = prepare(&entry).map_err(EnterError::from);
    let walled = prepared.and_then(|secrets| match &entry.sandbox {
        None => Ok((Held::Wholly, secrets)),
        Some(sandbox) => Ok((sandbox.enter()?, secrets)),
    });
    match walled {
        Ok((held, secrets)) => {
            if held != Held::Wholly {
                weak(held);
            }
            let error = Command::new(entry.program)
                .args(entry.arguments)
                .envs(secrets)
                .exec();
            error.into()
        }
        Err(error) => error,
    }
}

/// The values that come through the pipe.
type Values = Vec<(OsString, OsString)>;

fn prepare(entry: &Entry) -> io::Result<Values> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above; then nobody will send the signal.
    let parent = getppid().map(Pid::as_raw_nonzero);
    if parent.is_none_or(|parent| parent.get().unsigned_abs() != entry.starter) {
        return Err(io::Error::other(
            "the process that started this one is gone",
        ));
    }
    let secrets = entry.secrets.map(secrets::receive).transpose()?;
    close_inherited()?;
    Ok(secrets.unwrap_or_default())
}

/// Closes what the starter's starter left open. What Rust opens is closed by `exec` as it is.
fn close_inherited() -> io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // The listing's own descriptor is among them and closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}
