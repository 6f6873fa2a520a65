//! Secrets that somebody types.

use std::fs::File;
use std::io::{BufRead, ErrorKind, IsTerminal, Write, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use domain::Secret;
use runtime::program::{Signal, suspend};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, INTERRUPTED, Sort};
use crate::output::tell;

/// How long others may take to end the process, such as for the end of a session.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Asks for a secret: without echo on a terminal, else one line of standard input.
///
/// The line break that ends the line is not part of the secret; everything else is.
pub(super) fn read_secret(prompt: &str) -> anyhow::Result<Secret> {
    if stdin().is_terminal() {
        watch_signals()?;
        *terminal() = File::open("/dev/tty")
            .ok()
            .and_then(|it| tcgetattr(it).ok())
            .map(|before| Asking {
                before,
                prompt: prompt.to_owned(),
            });
        let typed = rpassword::prompt_password(prompt);
        *terminal() = None;
        if typed
            .as_ref()
            .is_err_and(|it| it.kind() == ErrorKind::Interrupted)
        {
            // It was typed, and has become a signal that is on its way to whoever ends the process: this must not come first
            // with an error.
            end(INTERRUPTED);
            std::thread::sleep(ENDED_WITHIN);
        }
        if typed
            .as_ref()
            .is_err_and(|it| it.kind() == ErrorKind::UnexpectedEof)
        {
            // Control-D, with nothing before it: the prompt's line has no end.
            tell("");
            let message = format!("{} was to be typed, and nothing was", named(prompt));
            return Err(Failure::new(Sort::Failed, message).into());
        }
        return Ok(Secret::from_text(
            typed.context("cannot read from the terminal")?,
        ));
    }
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line);
    if read.context("cannot read standard input")? == 0 {
        let message = format!(
            "{} was to be read, and standard input is at its end",
            named(prompt)
        );
        return Err(Failure::new(Sort::Failed, message)
            .hint("type it at a terminal, or hand it in: ... < FILE")
            .into());
    }
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(Secret::from_text(line))
}

/// What a prompt asks for.
fn named(prompt: &str) -> &str {
    prompt.trim_end_matches([':', ' '])
}

/// A question that stands on the terminal.
struct Asking {
    /// The terminal as it was before its echo was switched off.
    before: Termios,
    prompt: String,
}

impl Asking {
    /// Gives the terminal its echo back.
    fn give_back(&self) {
        if let Ok(terminal) = File::open("/dev/tty") {
            let _ = tcsetattr(terminal, OptionalActions::Now, &self.before);
        }
    }

    /// Takes the echo again, as who reads did (`rpassword`, which notices nothing of this), and asks once more: a shell that
    /// was there in the meantime has left the terminal as it likes it, and what is typed would be shown. The reader has kept
    /// what was typed before, of which nothing is to be seen.
    fn take_again(&self) {
        let mut typed = self.before.clone();
        typed.local_modes -=
            LocalModes::ECHO | LocalModes::ICANON | LocalModes::ECHONL | LocalModes::ISIG;
        typed.special_codes[SpecialCodeIndex::VMIN] = 1;
        typed.special_codes[SpecialCodeIndex::VTIME] = 0;
        let terminal = File::options().read(true).write(true).open("/dev/tty");
        if let Ok(mut terminal) = terminal {
            let _ = tcsetattr(&terminal, OptionalActions::Now, &typed);
            let _ = write!(
                terminal,
                "What was typed is kept; Control-U clears it.\n{}",
                self.prompt
            );
        }
    }
}

static TERMINAL: Mutex<Option<Asking>> = Mutex::new(None);

fn terminal() -> std::sync::MutexGuard<'static, Option<Asking>> {
    TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody else ends the process when a signal comes.
static LEFT_TO_OTHERS: AtomicBool = AtomicBool::new(false);

/// From now on somebody else ends the process when a signal comes: here it only gets its terminal back.
pub(super) fn leave_end_to_others() {
    LEFT_TO_OTHERS.store(true, Ordering::Relaxed);
}

/// From now on the signals that end the process give the terminal its echo back first: who reads notices nothing of them,
/// and the shell that is there afterwards would show nothing of what is typed.
fn watch_signals() -> anyhow::Result<()> {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ] {
        let mut signal = signal(kind).context("cannot listen for signals")?;
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                end(128 + kind.as_raw_value());
            }
        });
    }
    let kind = |it: Signal| SignalKind::from_raw(it.as_raw());
    let mut suspended = signal(kind(Signal::TSTP)).context("cannot listen for signals")?;
    let mut continued = signal(kind(Signal::CONT)).context("cannot listen for signals")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = suspended.recv() => {
                    terminal().iter().for_each(Asking::give_back);
                    suspend();
                }
                // Also after a stop that cannot be caught.
                _ = continued.recv() => terminal().iter().for_each(Asking::take_again),
            }
        }
    });
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that would return from `main` waits for somebody to type; nothing is left to be dropped"
)]
fn end(code: i32) {
    if let Some(asking) = terminal().take() {
        asking.give_back();
    }
    if !LEFT_TO_OTHERS.load(Ordering::Relaxed) {
        std::process::exit(code);
    }
}
