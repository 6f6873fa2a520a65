//! Walls around a program: which files it can open, where it can connect, which system calls it can make.
//!
//! The kernel holds them (Landlock and seccomp), for the program and everything that it starts, and nothing takes them
//! away again. They need no privilege. What a wall is for stands beside it; `docs/runtime.md` says it to users.

mod calls;
mod files;
mod rights;

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};

pub use files::{Exposed, check};

/// What the walls need of the kernel: files, TCP ports, and signals and abstract sockets (Linux 6.12).
const NEEDED: ABI = ABI::V6;

/// How a program is walled in.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// Whether a kernel that can do a part of it may do that part. Otherwise such a kernel starts nothing.
    pub best_effort: bool,
    /// Files and directories that it may read, beside the system's programs and libraries.
    pub read: Vec<PathBuf>,
    /// Files and directories that it may read and write.
    pub write: Vec<PathBuf>,
    /// TCP ports that it may connect to.
    pub ports: Vec<u16>,
    /// Whether it may ask for the address of a host.
    pub names: bool,
    /// Whether it may connect anywhere.
    pub network: bool,
}

/// Why there are no walls.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel is too old, or was built or started without Landlock.
    #[error(
        "this kernel cannot hold the sandbox: it takes Linux 6.12 or newer with Landlock (--sandbox=best-effort starts the program with what there is)"
    )]
    Kernel(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What root may do beyond others could not be given up.
    #[error("the program's capabilities cannot be given up; run it as another user than root")]
    Rights(#[source] std::io::Error),
    /// The walls of system calls could not be put up.
    #[error("the system calls of the program cannot be limited")]
    Calls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How much of the sandbox the kernel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// All of it.
    Wholly,
    /// Only a part; the system calls are limited in any case.
    Partly,
    /// Nothing but the limits on system calls.
    CallsOnly,
}

impl Sandbox {
    /// Puts up the walls around this process. There is no way back.
    ///
    /// # Errors
    /// [`SandboxError`]; then the program must not be started.
    pub fn enter(&self) -> Result<Held, SandboxError> {
        let status = self
            .restrict()
            .map_err(|error| SandboxError::Kernel(error.into()))?;
        rights::give_up().map_err(SandboxError::Rights)?;
        calls::limit(self.names, self.network).map_err(SandboxError::Calls)?;
        Ok(match status.ruleset {
            RulesetStatus::FullyEnforced => Held::Wholly,
            RulesetStatus::PartiallyEnforced => Held::Partly,
            RulesetStatus::NotEnforced => Held::CallsOnly,
        })
    }

    fn restrict(&self) -> Result<RestrictionStatus, landlock::RulesetError> {
        let level = if self.best_effort {
            CompatLevel::BestEffort
        } else {
            CompatLevel::HardRequirement
        };
        let read = AccessFs::from_read(NEEDED);
        let all = AccessFs::from_all(NEEDED);
        let mut rules = Ruleset::default()
            .set_compatibility(level)
            .handle_access(all)?
            .scope(Scope::from_all(NEEDED))?;
        if !self.network {
            rules = rules.handle_access(AccessNet::ConnectTcp)?;
        }
        let mut rules = rules
            .create()?
            .add_rules(path_beneath_rules(files::SYSTEM, read))?
            .add_rules(path_beneath_rules(files::DEVICES, device()))?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(&self.write, all))?;
        if !self.network {
            for port in &self.ports {
                rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
            }
        }
        rules.restrict_self()
    }
}

fn device() -> landlock::BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev
}

/// Whether `path` is `directory` or lies in it; both as the file system knows them.
fn lies_in(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory)
}
