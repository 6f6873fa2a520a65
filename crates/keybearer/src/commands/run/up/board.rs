//! What each program is doing: told as it changes, and kept in a file for `workspace status`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::files::replace;
use crate::output::tell;
use crate::sources;

/// What the file says. Read by another process of this binary, and printed by it as it is.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) workspace: WorkspaceId,
    /// The process that looks after all of it.
    pub(super) process: u32,
    pub(super) started_at: String,
    /// The hash of what was agreed to.
    pub(super) content_sha256: String,
    pub(super) sandbox: bool,
    /// Scripts in their order, then services by name.
    pub(super) programs: Vec<Entry>,
}

/// A program.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) name: String,
    state: State,
    /// The process id of one that runs.
    process: Option<i32>,
    /// How it ended the last time by itself.
    exit_code: Option<u8>,
    /// How often it was started.
    starts: u32,
    /// Since when it does what it does.
    since: String,
    /// When one that ended is started again.
    next_start_at: Option<String>,
    /// The same for a person.
    says: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Script,
    Service,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Waiting,
    Running,
    Restarting,
    Ended,
}

/// What happened to a program.
pub(super) enum Event {
    Runs(i32),
    EndedItself(u8),
    CannotStart(String),
    StartsAgainIn(Duration),
    WasEnded,
    WasKilled,
}

impl Entry {
    pub(super) fn waiting(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            state: State::Waiting,
            process: None,
            exit_code: None,
            starts: 0,
            since: sources::system().now().to_string(),
            next_start_at: None,
            says: "waits for its turn".to_owned(),
        }
    }

    fn took(&mut self, event: Event, now: Timestamp) {
        self.since = now.to_string();
        self.process = None;
        self.next_start_at = None;
        self.state = State::Ended;
        self.says = match event {
            Event::Runs(process) => {
                self.state = State::Running;
                self.process = Some(process);
                self.starts = self.starts.saturating_add(1);
                format!("runs as process {process}")
            }
            Event::EndedItself(code) => {
                self.exit_code = Some(code);
                format!("ended with {code}")
            }
            Event::CannotStart(why) => why,
            Event::StartsAgainIn(pause) => {
                self.state = State::Restarting;
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                let at = now.millis().saturating_add(pause_ms);
                self.next_start_at = Some(Timestamp::from_millis(at).to_string());
                format!("starts again in {} s", pause.as_secs())
            }
            Event::WasEnded => "was ended".to_owned(),
            Event::WasKilled => "was killed".to_owned(),
        };
    }
}

/// The report, while programs run.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<Kept>>);

struct Kept {
    report: Report,
    file: PathBuf,
    /// Whether it was said that the file cannot be written.
    told: bool,
}

impl Board {
    pub(super) fn new(report: Report, file: PathBuf) -> Self {
        let kept = Kept {
            report,
            file,
            told: false,
        };
        let board = Self(Arc::new(Mutex::new(kept)));
        board.kept().write();
        board
    }

    /// Says and writes down what happened to a program.
    pub(super) fn note(&self, kind: Kind, name: &str, event: Event) {
        let mut kept = self.kept();
        let mut entries = kept.report.programs.iter_mut();
        let entry = entries.find(|entry| entry.kind == kind && entry.name == name);
        if let Some(entry) = entry {
            entry.took(event, sources::system().now());
            tell(&format!("{name}: {}", entry.says));
            kept.write();
        }
    }

    /// Shows what each is doing.
    pub(super) fn show(&self) {
        for entry in &self.kept().report.programs {
            tell(&format!("{}: {}", entry.name, entry.says));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write(&mut self) {
        let text = serde_json::to_vec(&self.report).context("the state is plain data");
        let written = text.and_then(|text| replace(&self.file, 0o600, &text));
        // Programs run on without it.
        if let Err(error) = written
            && !std::mem::replace(&mut self.told, true)
        {
            tell(&format!("workspace status will not be right: {error:#}"));
        }
    }
}
