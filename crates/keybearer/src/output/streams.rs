//! Where lines go: the result to standard output, everything else to standard error.

use std::io::{ErrorKind, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use clap::builder::styling::{AnsiColor, Style};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use super::text::{PrintableStream, printable};
use crate::config::variable;

pub(super) fn colours_wanted() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb")
}

/// Prints a line of the command's result. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn say(line: &str) {
    write_out(&printable(line));
}

pub(super) fn write_out(line: &str) {
    let _ = deliver(format!("{line}\n").as_bytes());
}

/// The first error of standard output, if there was one.
static BROKEN: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes a part of the command's result, to the last byte.
///
/// # Errors
/// The operating system's. The command ends with a failure then, whatever it does itself, except after a reader that has
/// seen enough.
pub(crate) fn deliver(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    if let Err(error) = &written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| std::io::Error::new(error.kind(), error.to_string()));
    }
    written
}

/// Whether all of the result was written.
///
/// # Errors
/// The first of [`deliver`].
pub(crate) fn delivered() -> anyhow::Result<()> {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    broken.map_or(Ok(()), |error| Err(error).context("standard output"))
}

/// Prints a line that a program said, behind its name. A log keeps the line's bytes; a terminal gets none that it would obey.
pub(crate) fn say_of(name: &str, line: &[u8]) {
    if stdout().is_terminal() {
        let line = PrintableStream::default().with(line);
        return write_out(&format!("{name} | {line}"));
    }
    let _ = deliver(&[name.as_bytes(), b" | ", line, b"\n"].concat());
}

/// Whether there is nobody to read remarks: a program reads the result, and standard error is for its error alone.
pub(super) static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether a program reads the result.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a line for the person at the terminal, apart from the result.
pub(crate) fn remark(line: &str) {
    if !is_quiet() {
        tell(line);
    }
}

/// Prints a line that a person must see, also where a program reads the result.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(stderr(), "{}", printable(line));
}

/// Whether the whole screen is drawn by a live view, into which nothing else writes.
pub(super) static SCREEN_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal's second screen, without a cursor and without the echo of what is typed. Ends with its value, however that
/// comes about: whoever has it waits for the signals that are typed, which would leave no time for that.
pub(crate) struct Screen(Option<Termios>);

impl Screen {
    pub(crate) fn take() -> Self {
        let screen = Self(tcgetattr(stdin()).ok());
        screen.enter();
        screen
    }

    /// Gives the terminal back, stops this process until somebody continues it, and takes the terminal again.
    pub(crate) fn suspend(&self) {
        self.leave();
        runtime::program::suspend();
        self.enter();
    }

    fn enter(&self) {
        // First: who is continued in the background is stopped here, and has drawn nothing.
        if let Some(before) = &self.0 {
            let mut typed = before.clone();
            typed.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
            let _ = tcsetattr(stdin(), OptionalActions::Now, &typed);
        }
        SCREEN_TAKEN.store(true, Ordering::Relaxed);
        let _ = write!(stdout(), "\u{1b}[?1049h\u{1b}[?25l");
        let _ = stdout().flush();
    }

    fn leave(&self) {
        SCREEN_TAKEN.store(false, Ordering::Relaxed);
        let _ = write!(stdout(), "\u{1b}[?25h\u{1b}[?1049l");
        let _ = stdout().flush();
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }

    /// Comes true when somebody types `q`. Never where nobody types.
    pub(crate) fn quit(&self) -> std::io::Result<oneshot::Receiver<()>> {
        let (quit, told) = oneshot::channel();
        let is_typed = self.0.is_some();
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                let mut byte = [0];
                while is_typed && stdin().read(&mut byte).is_ok_and(|read| read > 0) {
                    if byte == *b"q" {
                        let _ = quit.send(());
                        return;
                    }
                }
            })?;
        Ok(told)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Prints an error, which may have several lines.
pub(crate) fn complain(text: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let colour = stderr().is_terminal() && colours_wanted();
    for line in text.lines() {
        let line = printable(line);
        let _ = match line.strip_prefix("error:") {
            Some(rest) if colour => writeln!(stderr(), "{style}error:{style:#}{rest}"),
            _ => writeln!(stderr(), "{line}"),
        };
    }
}
