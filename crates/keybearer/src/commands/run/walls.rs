//! The sandbox as the command line says it.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::num::ParseIntError;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, ensure};
use runtime::sandbox::{self, Sandbox};

use super::keeper;
use crate::client::Api;
use crate::config::{self, variable};
use crate::failure::{Failure, Sort};
use crate::logins;
use crate::sources;

/// Where providers are reached.
const HTTPS_PORT: u16 = 443;

/// How much of the sandbox the kernel must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Level {
    /// All of it; an older kernel starts nothing.
    Strict,
    /// What this kernel can.
    BestEffort,
}

#[derive(clap::Args)]
pub(crate) struct Walls {
    /// Run it in a sandbox: it can read the system's programs and write the working directory and a temporary one, and
    /// connect to the gateway's port. Takes Linux 6.12, unless `best-effort` is said.
    #[arg(long, value_enum, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "strict")]
    sandbox: Option<Level>,
    /// A file or directory that it may read in the sandbox. Can be given more than once.
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    allow_read: Vec<PathBuf>,
    /// A file or directory that it may read and write in the sandbox. Can be given more than once.
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    allow_write: Vec<PathBuf>,
    /// A TCP port that it may connect to in the sandbox, on any host. Can be given more than once.
    #[arg(long, value_name = "PORT", requires = "sandbox")]
    allow_port: Vec<u16>,
    /// Let it connect anywhere in the sandbox, local sockets excepted.
    #[arg(long, requires = "sandbox")]
    allow_network: bool,
}

/// A sandbox with its temporary directory, which goes when this does.
pub(super) struct Prepared {
    pub(super) sandbox: Sandbox,
    pub(super) temporary: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.temporary);
    }
}

/// The directory for a program's temporary files, by what nobody can guess of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Temporary(u128);

impl Temporary {
    /// Where it is, in this process as in its keeper.
    fn path(self) -> PathBuf {
        let place = variable("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
        Path::new(&place).join(format!("keybearer-run-{self}"))
    }

    /// Removes it with what is in it, if it is there. Where that cannot be removed nothing is to be done.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_dir_all(self.path());
    }
}

impl Display for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Temporary {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Walls {
    /// Whether all of the sandbox is asked for.
    pub(super) fn are_strict(&self) -> bool {
        self.sandbox == Some(Level::Strict)
    }

    /// The sandbox that was asked for, if one was; `providers`: open to the providers, too.
    pub(super) fn prepare(self, api: &Api, providers: bool) -> anyhow::Result<Option<Prepared>> {
        let Some(level) = self.sandbox else {
            return Ok(None);
        };
        for path in self.allow_read.iter().chain(&self.allow_write) {
            ensure!(path.exists(), "{} does not exist", path.display());
        }
        let mut sandbox = Sandbox {
            best_effort: level == Level::BestEffort,
            read: self.allow_read,
            write: self.allow_write,
            ports: self.allow_port,
            names: providers || api.host_is_a_name(),
            network: self.allow_network,
        };
        sandbox.ports.extend(api.port());
        sandbox.ports.extend(providers.then_some(HTTPS_PORT));
        sandbox.write.push(working_directory()?);
        // Looked at before anything is made: what is made now cannot hold a secret.
        sandbox::check(&sandbox, &secrets()?).map_err(|exposed| {
            Failure::new(Sort::Failed, exposed.to_string())
                .hint("run it from another directory, or move those files to a user of their own")
        })?;
        let temporary = temporary()?;
        sandbox.write.push(temporary.clone());
        Ok(Some(Prepared { sandbox, temporary }))
    }
}

/// The directory that the program starts in: its own place, so not one that everything lies in.
fn working_directory() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let home = variable("HOME").map(PathBuf::from);
    let home = home.and_then(|home| home.canonicalize().ok());
    let whole = here.parent().is_none() || home.is_some_and(|home| home.starts_with(&here));
    if whole {
        let message = format!("the sandbox would open all of {}", here.display());
        let failure = Failure::new(Sort::Failed, message);
        return Err(failure
            .hint("start it in the directory that it works on")
            .into());
    }
    Ok(here)
}

/// What of a server's files and of this user's logins can be found here, and what says which code may run here without
/// walls. A server that runs as another user is guarded by the file system.
///
/// Local mode and `workspace up` keep theirs in `local_homes`; where else a server of this user keeps its own, the
/// configuration says, for `serve` and local mode alike. One that cannot be read says nothing, so nothing is opened.
fn secrets() -> anyhow::Result<Vec<PathBuf>> {
    let mut secrets: Vec<PathBuf> = logins::directory().into_iter().collect();
    secrets.extend(config::local_homes());
    let loaded = config::load(None).map_err(|error| {
        let message = format!("the sandbox might open a server's files: {error:#}");
        let hint = "the configuration says where they lie; mend it, or unset its variables here";
        Failure::new(Sort::Failed, message).hint(hint)
    })?;
    let config = loaded.config;
    let database = config.database_url.as_deref();
    let database = database.and_then(|url| url.strip_prefix("sqlite://"));
    let database = database.and_then(|path| path.split('?').next());
    secrets.extend(database.map(PathBuf::from));
    secrets.extend(config.root_key_file);
    secrets.push(config.data_dir);
    Ok(secrets)
}

/// A new directory for the program's temporary files, which nobody else can open.
fn temporary() -> anyhow::Result<PathBuf> {
    let directory = Temporary(u128::from_be_bytes(sources::system().random.bytes()?));
    let path = directory.path();
    // Before it is there, so that no end comes between.
    keeper::made(directory);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
    made.with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// The sandbox as arguments of the stage.
pub(super) fn arguments(sandbox: &Sandbox) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--walls".into()];
    let mut flag = |name: &str, wanted: bool| {
        if wanted {
            arguments.push(name.into());
        }
    };
    flag("--best-effort", sandbox.best_effort);
    flag("--names", sandbox.names);
    flag("--network", sandbox.network);
    for (name, paths) in [("--read", &sandbox.read), ("--write", &sandbox.write)] {
        for path in paths {
            arguments.push(name.into());
            arguments.push(path.into());
        }
    }
    for port in &sandbox.ports {
        arguments.push("--port".into());
        arguments.push(port.to_string().into());
    }
    arguments
}
