//! The process above `run`, `launch` and `workspace up`. When one of those is killed it can end nothing itself, and what its
//! programs had started would go on, with a key that is good until its lease ends. So the process that somebody starts
//! starts itself once more, does nothing but wait, and ends what is left. When it is killed itself, the other one notices
//! and ends all as it would anyway.

use std::ffi::OsString;
use std::future::Future;
use std::io::{BufRead, BufReader, PipeReader};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use domain::{ApiKeyId, WorkspaceId};
use runtime::Program;
use runtime::keeper::{Kept, Leash};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{in_thread, lease, supervise, walls};
use crate::client::{Api, Connection};
use crate::config;
use crate::output::tell;

/// What [`keep`] writes. Nobody else calls this command.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    notes: i32,
    #[arg(long)]
    life: i32,
    #[arg(required = true, last = true)]
    words: Vec<OsString>,
}

/// The name of the command; nothing that anybody would type.
pub(crate) const NAME: &str = "run-kept";

/// How long the notes of a process that is gone may take to end.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What connects this process with its keeper, if it has one.
static KEPT: OnceLock<Kept> = OnceLock::new();

/// The last note: all was ended in order.
const DONE: &str = "done";

/// Begins to be kept. Returns the words of the command, the binary's name first.
pub(crate) fn begin(args: Args) -> anyhow::Result<Vec<OsString>> {
    let kept = Kept::take(args.notes, args.life);
    let kept = kept.context("this command is called by this binary alone")?;
    KEPT.get_or_init(|| kept);
    Ok(args.words)
}

/// Runs a command under a keeper: in this process where it has one, else in another one, whose keeper this becomes.
pub(crate) async fn kept(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let Some(kept) = KEPT.get() else {
        return keep().await;
    };
    let done = Box::pin(command).await;
    kept.note(DONE);
    done
}

/// A key was minted that is to end with its program.
pub(super) fn took(workspace: WorkspaceId, id: ApiKeyId) {
    if let Some(kept) = KEPT.get() {
        kept.note(&format!("took {workspace} {id}"));
    }
}

/// A key was revoked, or that it was not has been said.
pub(super) fn gave_back(id: ApiKeyId) {
    if let Some(kept) = KEPT.get() {
        kept.note(&format!("gave {id}"));
    }
}

/// A directory was made that is to go when all of this ends.
pub(super) fn made(directory: walls::Temporary) {
    if let Some(kept) = KEPT.get() {
        kept.note(&format!("made {directory}"));
    }
}

/// Comes true when the keeper is gone. `None`: there never was one.
pub(super) fn lost() -> std::io::Result<Option<oneshot::Receiver<()>>> {
    let kept = KEPT.get();
    kept.map(|kept| in_thread("keeper", move || kept.wait_for_loss()))
        .transpose()
}

/// What a process that is gone has left to others.
#[derive(Default, Debug, PartialEq, Eq)]
struct Left {
    keys: Vec<(WorkspaceId, ApiKeyId)>,
    directories: Vec<walls::Temporary>,
    is_done: bool,
}

impl Left {
    /// Reads the notes to their end. Blocks.
    fn read(notes: impl BufRead) -> Self {
        let mut left = Self::default();
        for line in notes.lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["took", workspace, id] => {
                    left.keys
                        .extend(workspace.parse().ok().zip(id.parse().ok()));
                }
                ["gave", id] => left.keys.retain(|(_, it)| it.to_string() != id),
                ["made", directory] => left
                    .directories
                    .extend(directory.parse::<walls::Temporary>()),
                [DONE] => left.is_done = true,
                _ => {}
            }
        }
        left
    }
}

/// Starts this command once more, and sees to its end.
async fn keep() -> anyhow::Result<ExitCode> {
    let leash = Leash::new().context("cannot make a pipe")?;
    let (notes, life) = leash.descriptors();
    let mut stage: Vec<OsString> = vec![
        NAME.into(),
        "--notes".into(),
        notes.to_string().into(),
        "--life".into(),
        life.to_string().into(),
        "--".into(),
    ];
    stage.extend(std::env::args_os());
    let mut heard = supervise::listen()?;
    let program = Program::start(&stage, config::environment(), None, None);
    let program = program.context("cannot start this binary once more")?;
    let (notes, life) = leash.held();
    let left = in_thread("notes", move || {
        Left::read(BufReader::<PipeReader>::new(notes))
    });
    let left = left.context("cannot wait for the command")?;
    let ended = supervise::supervise(program, &mut heard, None, None, false).await?;
    drop(life);
    let left = timeout(READ_WITHIN, left).await;
    let left = left.ok().and_then(Result::ok).unwrap_or_default();
    if !left.is_done {
        // First the keys, as otherwise, and not after who may take seconds to end.
        let (revoked, ()) = tokio::join!(revoke(&left.keys), supervise::clean_up());
        if let Err(error) = revoked {
            tell(&format!(
                "a program's key could not be revoked ({error:#}); it ends by itself when its lease does"
            ));
        }
        // Nobody writes there any more.
        left.directories.iter().for_each(walls::Temporary::remove);
    }
    Ok(ExitCode::from(ended.code))
}

/// Ends keys with the credential that this command would use: the keeper holds none before.
async fn revoke(keys: &[(WorkspaceId, ApiKeyId)]) -> anyhow::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let all = async {
        let api = Api::connect(&Connection::chosen().await?)?;
        for (workspace, id) in keys {
            api.delete(&lease::path(*workspace, *id)).await?;
        }
        Ok::<(), anyhow::Error>(())
    };
    let revoked = timeout(lease::GIVE_BACK_WITHIN, all).await;
    revoked.context("no answer in time")?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_not_given_back_is_left() {
        let workspace = WorkspaceId::from_bytes([1; 16]);
        let [one, two] = [1, 2].map(|it| ApiKeyId::from_bytes([it; 16]));
        let directory = "0123456789abcdef0123456789abcdef";
        let notes = format!(
            "took {workspace} {one}\ntook {workspace} {two}\nmade {directory}\nmade ../etc\ngave {one}\nodd\n"
        );
        let left = Left::read(notes.as_bytes());
        let directories = left.directories.iter().map(ToString::to_string);
        assert_eq!(directories.collect::<Vec<_>>(), [directory]);
        assert_eq!(left.keys, [(workspace, two)]);
        assert!(!left.is_done);
        assert!(Left::read(format!("{notes}{DONE}\n").as_bytes()).is_done);
    }
}
