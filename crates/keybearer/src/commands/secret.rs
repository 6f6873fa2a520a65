//! Secrets that somebody types.

use std::fs::File;
use std::io::{BufRead, ErrorKind, IsTerminal, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use domain::Secret;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, INTERRUPTED, Sort};

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
            .and_then(|it| tcgetattr(it).ok());
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
        return Ok(Secret::from_text(
            typed.context("cannot read from the terminal")?,
        ));
    }
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line);
    if read.context("cannot read standard input")? == 0 {
        let message = format!(
            "{} was to be read, and standard input is at its end",
            prompt.trim_end_matches([':', ' '])
        );
        return Err(Failure::new(Sort::Failed, message)
            .hint("type it at a terminal, or hand it in: ... < FILE")
            .into());
    }
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(Secret::from_text(line))
}

/// The terminal as it was before its echo was switched off.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);

fn terminal() -> std::sync::MutexGuard<'static, Option<Termios>> {
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
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread that would return from `main` waits for somebody to type; nothing is left to be dropped"
)]
fn end(code: i32) {
    if let Some(before) = terminal().take()
        && let Ok(terminal) = File::open("/dev/tty")
    {
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
    if !LEFT_TO_OTHERS.load(Ordering::Relaxed) {
        std::process::exit(code);
    }
}
