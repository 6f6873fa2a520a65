//! The control socket: how `keybearer reload` tells a running local instance what its shell has.
//!
//! It lies in the data directory, so that each instance has its own, can be opened by its owner only, and both ends
//! check that the other one is the same user. One exchange a connection, a line of JSON each: the server says the names
//! that it looks for, the client says what it has of them, the server says what changed.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use control::ops::local::{Change, What};
use domain::Secret;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};

use super::rotation::Rotation;

/// The longest line, in bytes: a hundred keys of the longest kind.
const MAX_LINE_BYTES: u64 = 512 * 1024;
/// How many connections are served at once; further ones are closed.
const AT_ONCE: usize = 4;
/// How long one line may take.
const WITHIN: Duration = Duration::from_secs(30);
/// The longest path of a socket that Linux and macOS both take, in bytes.
const MAX_PATH_BYTES: usize = 103;

/// The socket of the instance with this data directory.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("keybearer.sock")
}

#[derive(Serialize, Deserialize)]
struct Names {
    names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    exact: bool,
    variables: BTreeMap<String, String>,
}

/// What a reload changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) changes: Vec<Line>,
    /// Set in the instance and not in the shell.
    pub(super) stay: Vec<String>,
    /// Why nothing was done.
    pub(super) error: Option<String>,
}

/// One change.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) provider: String,
    pub(super) variable: String,
    pub(super) what: String,
    /// Why it was refused.
    pub(super) why: Option<String>,
}

impl From<Change> for Line {
    fn from(change: Change) -> Self {
        Self {
            provider: change.provider.to_string(),
            variable: change.variable,
            what: change.what.as_str().to_owned(),
            why: match change.what {
                What::Refused(why) | What::Deferred(why) => Some(why),
                _ => None,
            },
        }
    }
}

/// The socket, which is gone when this is dropped.
pub(super) struct Listening {
    path: PathBuf,
    listener: UnixListener,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listening {
    /// Listens in this data directory, of which this process is the only server.
    pub(super) fn begin(directory: &Path) -> anyhow::Result<Self> {
        let path = path(directory);
        check_length(&path)?;
        if let Ok(metadata) = path.symlink_metadata() {
            ensure!(
                metadata.file_type().is_socket(),
                "{} is in the way: it is no socket",
                path.display()
            );
            // Of a process that was killed.
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only).with_context(|| path.display().to_string())?;
        Ok(Self { path, listener })
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self, rotation: Arc<Mutex<Rotation>>) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection of the control socket failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else {
                continue;
            };
            let rotation = Arc::clone(&rotation);
            tokio::spawn(async move {
                if let Err(error) = exchange(stream, rotation).await {
                    tracing::warn!("the control socket: {error:#}");
                }
                drop(turn);
            });
        }
    }
}

async fn exchange(stream: UnixStream, rotation: Arc<Mutex<Rotation>>) -> anyhow::Result<()> {
    check_peer(&stream)?;
    let mut stream = BufReader::new(stream);
    let names = rotation.lock().await.names().map(str::to_owned).collect();
    write(&mut stream, &Names { names }).await?;
    let told: Told = read(&mut stream).await?;
    let variables = told.variables.into_iter();
    let variables = variables.map(|(name, value)| (name, Secret::from_text(value)));
    let variables = variables.collect();
    // To its end, whoever goes away meanwhile.
    let taken = tokio::spawn(async move {
        let mut rotation = rotation.lock().await;
        rotation.take(variables, told.exact).await
    });
    let taken = taken.await.context("the reload panicked")?;
    let report = match taken {
        Ok((changes, stay)) => Report {
            changes: changes.into_iter().map(Line::from).collect(),
            stay,
            error: None,
        },
        Err(error) => Report {
            changes: Vec::new(),
            stay: Vec::new(),
            error: Some(format!("{error:#}")),
        },
    };
    write(&mut stream, &report).await
}

/// Whether an instance with this data directory runs.
pub(super) async fn answers(directory: &Path) -> bool {
    UnixStream::connect(path(directory)).await.is_ok()
}

/// Tells the instance with this data directory what `have` says of the names that it looks for.
pub(super) async fn tell(
    directory: &Path,
    exact: bool,
    have: impl FnOnce(&[String]) -> BTreeMap<String, Secret>,
) -> anyhow::Result<Report> {
    let path = path(directory);
    check_length(&path)?;
    let stream = UnixStream::connect(&path).await.with_context(|| {
        format!(
            "no local instance answers at {}; start one with `keybearer`",
            path.display()
        )
    })?;
    check_peer(&stream)?;
    let mut stream = BufReader::new(stream);
    let exchange: anyhow::Result<Report> = async {
        let Names { names } = read(&mut stream).await?;
        let text = |secret: Secret| secret.expose(|it| String::from_utf8_lossy(it).into_owned());
        let variables = have(&names).into_iter();
        let variables = variables.map(|(name, value)| (name, text(value))).collect();
        write(&mut stream, &Told { exact, variables }).await?;
        read(&mut stream).await
    }
    .await;
    exchange.context("the instance broke off; its log says why")
}

/// Refuses a peer that is another user: a socket's mode says who may connect, not who does.
fn check_peer(stream: &UnixStream) -> anyhow::Result<()> {
    let peer = stream.peer_cred().context("who is at the other end")?;
    let own = rustix::process::geteuid().as_raw();
    ensure!(
        peer.uid() == own,
        "the other end belongs to user {}, not to {own}",
        peer.uid()
    );
    Ok(())
}

fn check_length(path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.as_os_str().len() <= MAX_PATH_BYTES,
        "{} is too long for a socket: {MAX_PATH_BYTES} bytes at most; set KEYBEARER_HOME to a shorter path",
        path.display()
    );
    Ok(())
}

async fn write(stream: &mut BufReader<UnixStream>, value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value).context("plain data")?;
    line.push(b'\n');
    let written = tokio::time::timeout(WITHIN, stream.write_all(&line)).await;
    written.context("it took too long")?.context("cannot write")
}

async fn read<T: for<'de> Deserialize<'de>>(
    stream: &mut BufReader<UnixStream>,
) -> anyhow::Result<T> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_LINE_BYTES);
    let read = tokio::time::timeout(WITHIN, bounded.read_until(b'\n', &mut line)).await;
    read.context("it took too long")?.context("cannot read")?;
    if line.last() != Some(&b'\n') {
        bail!("a line is cut or longer than {MAX_LINE_BYTES} bytes");
    }
    // The error's own text may show a value.
    let value = serde_json::from_slice(&line).ok();
    value.context("a line is not what it should be")
}
