//! Looks after programs: their lines, their ends, their next starts.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::service::{Restart, Service};
use runtime::fleet::{Fleet, Handle};
use runtime::output::{Hidden, each_line};
use runtime::sandbox::Sandbox;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::super::pause::Pauses;
use super::super::{Environment, enter, in_thread, set};
use super::board::{Board, Event, Kind};
use crate::output::say_of;

/// How long a program that is asked to end may take, and what it leaves in its group when it ends.
const GRACE: Duration = Duration::from_secs(10);
/// How long a program that has ended is waited for to be read to its last line: what it left behind may hold the pipe.
const LAST_LINE_WITHIN: Duration = Duration::from_secs(1);

/// What it takes to start programs.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) fleet: Fleet,
    /// Holds the key.
    pub(super) environment: Arc<Environment>,
    /// The key, which is taken out of what they say.
    pub(super) hidden: Hidden,
    /// The walls around each of them.
    pub(super) sandbox: Option<Arc<Sandbox>>,
    pub(super) board: Board,
    pub(super) stop: watch::Sender<bool>,
    /// True from the moment in which everything is to end.
    pub(super) stopped: watch::Receiver<bool>,
}

/// How a program ended.
pub(super) enum Ended {
    /// By itself, with this exit code.
    Itself(u8),
    /// Because everything was to end.
    Stopped,
}

/// A program to start.
pub(super) struct Job<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) words: Vec<OsString>,
    /// Its own variables.
    pub(super) own: Vec<(&'a str, &'a str)>,
    /// Its text, which it can read in a sandbox too.
    pub(super) file: Option<&'a Path>,
}

impl Hand {
    /// Runs a program to its end.
    pub(super) async fn run_once(&self, job: &Job<'_>) -> anyhow::Result<Ended> {
        let mut stopped = self.stopped.clone();
        if *stopped.borrow() {
            return Ok(Ended::Stopped);
        }
        let (handle, lines) = self.start(job)?;
        let note = |event| self.board.note(job.kind, job.name, event);
        note(Event::Runs(handle.id()));
        let mut ended = watch_over(handle.clone())?;
        let code = tokio::select! {
            code = &mut ended => Some(code),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        if let Some(code) = code {
            let code = code.context("cannot wait for a program")??;
            all_said(lines).await;
            note(Event::EndedItself(code));
            return Ok(Ended::Itself(code));
        }
        handle.ask_to_end();
        if timeout(GRACE, &mut ended).await.is_err() {
            handle.kill();
            let _ = ended.await;
        }
        all_said(lines).await;
        // What it left behind may have been killed in the same moment by whoever waits for it.
        note(if handle.was_killed() {
            Event::WasKilled
        } else {
            Event::WasEnded
        });
        Ok(Ended::Stopped)
    }

    fn start(&self, job: &Job<'_>) -> anyhow::Result<(Handle, Lines)> {
        let mut environment = (*self.environment).clone();
        for (name, value) in &job.own {
            set(&mut environment, name, value);
        }
        let mut sandbox = self.sandbox.as_deref().cloned();
        if let (Some(sandbox), Some(file)) = (&mut sandbox, job.file) {
            sandbox.read.push(file.to_owned());
        }
        let (program, arguments) = job.words.split_first().context("a command has no words")?;
        let stage = enter::stage(sandbox.as_ref(), None, program.clone(), arguments.to_vec());
        let member = self.fleet.start(&stage, environment);
        let member = member.context("cannot be started")?;
        let lines = [
            print_lines(job.name, member.stdout, &self.hidden)?,
            print_lines(job.name, member.stderr, &self.hidden)?,
        ];
        Ok((member.handle, lines))
    }

    /// Keeps a service running as its policy says. Returns whether it ended well.
    pub(super) async fn tend(self, service: Service) -> bool {
        let job = Job {
            kind: Kind::Service,
            name: service.name.as_str(),
            words: service.command.words().iter().map(OsString::from).collect(),
            own: service.env.iter().collect(),
            file: None,
        };
        let note = |event| self.board.note(job.kind, job.name, event);
        let mut pauses = Pauses::new();
        loop {
            let start = Instant::now();
            let code = match self.run_once(&job).await {
                Ok(Ended::Itself(code)) => code,
                Ok(Ended::Stopped) => return true,
                Err(error) => {
                    note(Event::CannotStart(format!("{error:#}")));
                    126
                }
            };
            let again = match service.restart {
                Restart::Always => true,
                Restart::OnFailure => code != 0,
                Restart::No => false,
            };
            if !again {
                return code == 0;
            }
            let pause = pauses.after(start.elapsed());
            note(Event::StartsAgainIn(pause));
            let mut stopped = self.stopped.clone();
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return true,
            }
        }
    }
}

/// The two streams of a program, while its lines are printed.
type Lines = [oneshot::Receiver<()>; 2];

/// Prints a program's lines, each behind its name, until it says no more.
fn print_lines(
    name: &str,
    stream: Option<impl Read + Send + 'static>,
    hidden: &Hidden,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let (name, hidden) = (name.to_owned(), hidden.clone());
    let reading = in_thread("lines", move || {
        if let Some(stream) = stream {
            each_line(stream, &hidden, |line| say_of(&name, line));
        }
    });
    reading.context("cannot read what a program says")
}

/// Waits until a program that has ended was read to its last line.
async fn all_said(lines: Lines) {
    let all = async {
        for ended in lines {
            // Also where the thread panicked.
            let _ = ended.await;
        }
    };
    let _ = timeout(LAST_LINE_WITHIN, all).await;
}

/// Waits for a program's end in a thread of its own.
fn watch_over(handle: Handle) -> anyhow::Result<oneshot::Receiver<std::io::Result<u8>>> {
    in_thread("wait", move || handle.wait(GRACE)).context("cannot wait for a program")
}
