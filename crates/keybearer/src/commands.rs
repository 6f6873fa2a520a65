//! The commands, one file each.

pub(crate) mod ai_config;
pub(crate) mod credits;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod profile;
pub(crate) mod resolve;
pub(crate) mod root_key;

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context, bail};
use domain::{Secret, WorkspaceId};

use crate::client::{Api, Connection};
use crate::config::{WORKSPACE_VARIABLE, variable};

/// Who does it: an API key, or a person who logs in for this one command.
#[derive(clap::Args)]
pub(crate) struct LogIn {
    /// Log in with this e-mail address for this one command, as for what only an instance admin may do; the password
    /// is read from the terminal or from standard input. Without it `KEYBEARER_API_KEY` is used.
    #[arg(long, value_name = "ADDRESS", global = true)]
    email: Option<String>,
}

impl LogIn {
    /// Runs `command` with a connection to the server. A session that was begun for it ends with it.
    pub(crate) async fn run<F>(self, command: F) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api) -> anyhow::Result<ExitCode>,
    {
        let Some(email) = self.email else {
            let api = Api::connect(&Connection::from_environment()?)?;
            let result = command(&api).await;
            if result
                .as_ref()
                .is_err_and(|error| error.to_string().contains("(permission_denied)"))
            {
                remark("with --email ADDRESS you log in for this one command");
            }
            return result;
        };
        let mut api = Api::connect(&Connection::anonymous())?;
        let password = read_secret("Password: ")?;
        let password = password
            .expose(|bytes| String::from_utf8(bytes.to_vec()))
            .context("the password is not UTF-8")?;
        api.log_in(&email, &password).await?;
        let result = command(&api).await;
        if let Err(error) = api.log_out().await {
            remark(&format!("the session could not be ended: {error:#}"));
        }
        result
    }
}

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

/// Asks the person at the terminal whether to go on. Without a terminal there is nobody to agree, and this fails.
fn agreed(question: &str) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        bail!("not a terminal, so nobody can agree; give --yes to go on without asking");
    }
    remark(&format!("{question} [y/N]"));
    let mut line = String::new();
    stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// The workspace that a command is about: the one given, else the environment's.
fn chosen_workspace(workspace: Option<WorkspaceId>) -> anyhow::Result<WorkspaceId> {
    if let Some(workspace) = workspace {
        return Ok(workspace);
    }
    let text = variable(WORKSPACE_VARIABLE);
    let text = text.with_context(|| {
        format!("which workspace? give --workspace or set {WORKSPACE_VARIABLE}")
    })?;
    text.parse().context(WORKSPACE_VARIABLE)
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
