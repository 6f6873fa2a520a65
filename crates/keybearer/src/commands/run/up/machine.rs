//! What this machine knows of a workspace: which scripts it ran at its first boot, what was agreed to, what runs. One
//! directory for each workspace, which is its owner's only.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::service::RunOn;
use domain::{ScriptId, WorkspaceId};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::board::Report;
use super::plan::Due;
use crate::config;
use crate::failure::{Failure, Sort};
use crate::files::replace;

/// How often, and in which distance, the lock is tried: whoever looks at the status holds it for a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The machine, for as long as this process looks after the workspace on it.
pub(super) struct Machine {
    files: Files,
    known: Known,
    /// Held: one process at a time looks after a workspace.
    _lock: File,
}

/// Where it is all kept. Machines can share a home, so files have the machine's id in their names.
struct Files {
    directory: PathBuf,
    known: PathBuf,
    status: PathBuf,
    lock: PathBuf,
}

/// What is remembered from one start to the next.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// The scripts that ran at the first boot, with the hash of what ran.
    first_boot: BTreeMap<ScriptId, String>,
    /// The hash of what somebody looked at and agreed to.
    agreed: Option<String>,
}

/// What is seen from outside.
pub(super) enum Seen {
    /// Nobody looks after the workspace here.
    Down,
    /// Somebody does, and nothing has been started yet.
    Beginning,
    /// Somebody does.
    Up(Report),
}

/// A script's file, which goes when this does.
pub(super) struct Written(PathBuf);

impl Written {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.files.status);
    }
}

impl Machine {
    /// Opens what is known, or begins it.
    ///
    /// # Errors
    /// When others can write there, or another process looks after the workspace here.
    pub(super) async fn open(workspace: WorkspaceId) -> anyhow::Result<Self> {
        let files = Files::of(workspace)?;
        let directory = &files.directory;
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.with_context(|| format!("cannot make {}", directory.display()))?;
        ours(directory)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&files.lock)
            .with_context(|| format!("cannot open {}", files.lock.display()))?;
        let mut tries = 0;
        while !locked(&lock, FlockOperation::NonBlockingLockExclusive)? {
            tries += 1;
            if tries == LOCK_TRIES {
                let message = format!("{workspace} is up on this machine already");
                let failure = Failure::new(Sort::Failed, message);
                return Err(failure.hint("keybearer workspace status shows it").into());
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        // Of a process that was killed.
        let _ = std::fs::remove_file(&files.status);
        Ok(Self {
            known: load(&files.known)?.unwrap_or_default(),
            files,
            _lock: lock,
        })
    }

    /// Looks from outside at what is going on.
    pub(super) fn look(workspace: WorkspaceId) -> anyhow::Result<Seen> {
        let files = Files::of(workspace)?;
        let lock = match OpenOptions::new().read(true).write(true).open(&files.lock) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seen::Down),
            lock => lock.with_context(|| format!("cannot open {}", files.lock.display()))?,
        };
        if locked(&lock, FlockOperation::NonBlockingLockShared)? {
            return Ok(Seen::Down);
        }
        ours(&files.directory)?;
        Ok(load(&files.status)?.map_or(Seen::Beginning, Seen::Up))
    }

    /// Whether a script is due here.
    pub(super) fn wants(&self, due: &Due) -> bool {
        match due.script.run_on {
            RunOn::EveryStart => true,
            RunOn::FirstBoot => !self.known.first_boot.contains_key(&due.id),
        }
    }

    /// The hash of what was agreed to last.
    pub(super) fn agreed(&self) -> Option<&str> {
        self.known.agreed.as_deref()
    }

    /// Notes what was agreed to.
    pub(super) fn agree(&mut self, hash: &str) -> anyhow::Result<()> {
        self.known.agreed = Some(hash.to_owned());
        self.save()
    }

    /// Where the status is written.
    pub(super) fn status(&self) -> PathBuf {
        self.files.status.clone()
    }

    /// Writes a script's text to a file that can be run.
    pub(super) fn write(&self, due: &Due) -> anyhow::Result<Written> {
        // Machines may share a home, and start at once.
        let name = format!("{}-{}.script", due.script.name, machine_id());
        let path = self.files.directory.join(name);
        replace(&path, 0o700, due.script.content.as_str().as_bytes())?;
        Ok(Written(path))
    }

    /// Notes that a script ran to its end.
    pub(super) fn ran(&mut self, due: &Due) -> anyhow::Result<()> {
        if due.script.run_on == RunOn::EveryStart {
            return Ok(());
        }
        let hash = due.content_sha256.clone();
        self.known.first_boot.insert(due.id, hash);
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&self.known).context("the state is plain data")?;
        replace(&self.files.known, 0o600, &text)
    }
}

impl Files {
    fn of(workspace: WorkspaceId) -> anyhow::Result<Self> {
        let home = home().context("no place to keep which scripts ran: HOME is not set")?;
        let directory = home.join(workspace.to_string());
        let machine = machine_id();
        let file = |name: &str| directory.join(format!("{name}-{machine}"));
        Ok(Self {
            known: file("known"),
            status: file("status"),
            lock: file("lock"),
            directory,
        })
    }
}

/// Where all workspaces' state is kept.
fn home() -> Option<PathBuf> {
    Some(config::state_home()?.join("workspaces"))
}

/// What tells this machine from its clones and from others with the same home; `unknown` where there is nothing.
fn machine_id() -> String {
    let text = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = text.trim();
    let formed = (1..=64).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_hexdigit());
    if formed { id } else { "unknown" }.to_owned()
}

/// Whether the lock could be had.
fn locked(lock: &File, operation: FlockOperation) -> anyhow::Result<bool> {
    match flock(lock, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error).context("the state directory cannot be locked"),
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        Ok(_) => ours(path)?,
    }
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let read = serde_json::from_str(&text);
    read.with_context(|| format!("{} is damaged", path.display()))
}

/// Makes sure that nobody else could have written there.
fn ours(path: &Path) -> anyhow::Result<()> {
    let metadata = path.symlink_metadata();
    let metadata = metadata.with_context(|| format!("cannot read {}", path.display()))?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    ensure!(
        !metadata.is_symlink() && own,
        "{} is a link or belongs to somebody else",
        path.display()
    );
    if metadata.mode() & 0o077 != 0 {
        let message = format!("{} is open to others", path.display());
        let hint = format!("look into it, then: chmod go= {}", path.display());
        return Err(Failure::new(Sort::Failed, message).hint(hint).into());
    }
    Ok(())
}
