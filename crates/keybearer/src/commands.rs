//! The commands, one file each.

pub(crate) mod doctor;
pub(crate) mod keys;
pub(crate) mod root_key;
pub(crate) mod setup;

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};

use anyhow::Context;
use domain::Secret;

/// Asks for a secret: without echo on a terminal, else one line of standard input.
///
/// The line break that ends the line is not part of the secret; everything else is.
fn read_secret(prompt: &str) -> anyhow::Result<Secret> {
    if stdin().is_terminal() {
        return Ok(Secret::from_text(
            rpassword::prompt_password(prompt).context("cannot read from the terminal")?,
        ));
    }
    let mut line = String::new();
    stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(Secret::from_text(line))
}

/// Prints a line of the command's result. A reader that has seen enough (`| head`) is no failure.
fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line for the person at the terminal, apart from the result.
#[expect(clippy::print_stderr, reason = "standard error is where remarks go")]
fn remark(line: &str) {
    eprintln!("{line}");
}
