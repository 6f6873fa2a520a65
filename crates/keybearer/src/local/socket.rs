//! The control socket: how `keybearer reload`, `console` and `local new-api-key` reach a running local instance, and how
//! the other commands find it.
//!
//! It lies in the data directory, so that each instance has its own, can be opened by its owner only, and both ends
//! check that the other one is the same user. One exchange a connection, a line of JSON each: the server says the names
//! that it looks for, the client asks for something, the server says what came of it.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::exchange::{Answer, Asked, Instance, Names};
use crate::failure::{Failure, Sort};

/// The longest line, in bytes: a hundred keys of the longest kind.
const MAX_LINE_BYTES: u64 = 512 * 1024;
/// How many connections are served at once; further ones wait in the kernel's queue. More than shells reload at once: a
/// reload waits for the one before it, and what only reads is not to wait behind them.
const AT_ONCE: usize = 32;
/// How long one line may take.
const WITHIN: Duration = Duration::from_secs(30);
/// The longest path of a socket that Linux and macOS both take, in bytes.
const MAX_PATH_BYTES: usize = 103;

/// The socket of the instance with this data directory.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("keybearer.sock")
}

/// The socket, which is gone when this is dropped.
pub(super) struct Listening {
    path: PathBuf,
    listener: UnixListener,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        // It led to this instance.
        let _ = std::fs::remove_file(self.path.with_file_name(super::ask::PAGE));
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
    pub(super) async fn serve(self, instance: Arc<Instance>) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let turn = Arc::clone(&turns).acquire_owned().await;
            let turn = turn.expect("nobody closes it");
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection of the control socket failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let instance = Arc::clone(&instance);
            tokio::spawn(async move {
                if let Err(error) = exchange(stream, instance).await {
                    tracing::warn!("the control socket: {error:#}");
                }
                drop(turn);
            });
        }
    }
}

async fn exchange(stream: UnixStream, instance: Arc<Instance>) -> anyhow::Result<()> {
    check_peer(&stream)?;
    let mut stream = BufReader::new(stream);
    let names = json(&instance.names)?;
    let asked: anyhow::Result<Asked> = async {
        write(&mut stream, names).await?;
        read(&mut stream).await
    }
    .await;
    let asked = match asked {
        // Whoever only looks whether somebody answers goes without a word.
        Err(error) if went_away(&error) => return Ok(()),
        asked => asked?,
    };
    // To its end, whoever goes away meanwhile.
    let answered = tokio::spawn(async move { instance.answer(asked).await });
    let answer = answered.await.context("what was asked for panicked")??;
    write(&mut stream, answer).await
}

/// Whether the other end closed the connection before it said anything.
fn went_away(error: &anyhow::Error) -> bool {
    let gone = [
        ErrorKind::BrokenPipe,
        ErrorKind::ConnectionReset,
        ErrorKind::UnexpectedEof,
    ];
    let error = error.chain().find_map(|it| it.downcast_ref::<io::Error>());
    error.is_some_and(|error| gone.contains(&error.kind()))
}

/// Whether an instance with this data directory runs.
pub(super) async fn answers(directory: &Path) -> bool {
    UnixStream::connect(path(directory)).await.is_ok()
}

/// What there is to say where no instance answers.
pub(super) fn nobody(directory: &Path) -> Failure {
    let path = path(directory);
    let message = format!("no local instance answers at {}", path.display());
    Failure::new(Sort::Unreachable, message).hint("start one with `keybearer`")
}

/// Asks the instance with this data directory for something. `what` sees the variables that it looks for.
pub(super) async fn ask<T: DeserializeOwned>(
    directory: &Path,
    what: impl FnOnce(&[String]) -> Asked,
) -> anyhow::Result<T> {
    let path = path(directory);
    check_length(&path)?;
    let stream = UnixStream::connect(&path).await;
    let stream = stream.map_err(|_| nobody(directory))?;
    check_peer(&stream)?;
    let mut stream = BufReader::new(stream);
    let greeted = read(&mut stream).await;
    let Names { names } = greeted.context(
        "the instance does not say anything: it has its hands full, or its log says why",
    )?;
    let exchange: anyhow::Result<Answer<T>> = async {
        write(&mut stream, json(&what(&names))?).await?;
        read(&mut stream).await
    }
    .await;
    match exchange.context("the instance broke off; its log says why")? {
        Answer::Done(done) => Ok(done),
        Answer::Refused(why) => bail!("{why}"),
    }
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

fn json(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(value).context("plain data")
}

async fn write(stream: &mut BufReader<UnixStream>, mut line: Vec<u8>) -> anyhow::Result<()> {
    line.push(b'\n');
    let written = tokio::time::timeout(WITHIN, stream.write_all(&line)).await;
    written.context("it took too long")?.context("cannot write")
}

async fn read<T: DeserializeOwned>(stream: &mut BufReader<UnixStream>) -> anyhow::Result<T> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_LINE_BYTES);
    let read = tokio::time::timeout(WITHIN, bounded.read_until(b'\n', &mut line)).await;
    read.context("it took too long")?.context("cannot read")?;
    if line.is_empty() {
        return Err(io::Error::from(ErrorKind::UnexpectedEof)).context("cannot read");
    }
    if line.last() != Some(&b'\n') {
        bail!("a line is cut or longer than {MAX_LINE_BYTES} bytes");
    }
    // The error's own text may show a value.
    let value = serde_json::from_slice(&line).ok();
    value.context("a line is not what it should be")
}
