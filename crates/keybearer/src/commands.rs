//! The commands, one file each.

pub(crate) mod admin;
pub(crate) mod ai_config;
pub(crate) mod api;
pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod byok;
pub(crate) mod config;
pub(crate) mod credits;
pub(crate) mod doctor;
pub(crate) mod generation;
mod guarded;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod member;
pub(crate) mod models;
pub(crate) mod password_link;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod resolve;
pub(crate) mod root_key;
pub(crate) mod run;
pub(crate) mod script;
mod secret;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod whoami;
pub(crate) mod workspace;

mod people;
mod render;
mod when;

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::WorkspaceId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::client::{Api, Connection, NamedWorkspace};
use crate::failure::{Failure, INTERRUPTED, Sort};
use crate::output::{Out, printable, remark, say};
use secret::read_secret;

/// Who does it: the environment's API key, the login, or a person who logs in for this one command.
#[derive(clap::Args)]
pub(crate) struct LogIn {
    /// Log in with this e-mail address for this one command; the password is read from the terminal or from standard
    /// input. Without it `KEYBEARER_API_KEY` is used, else what `keybearer login` stored.
    #[arg(long, value_name = "ADDRESS", global = true)]
    email: Option<String>,
}

impl LogIn {
    /// Runs `command` with a connection and the password that was typed for it, if one was.
    pub(crate) async fn run_with_password<F>(self, command: F) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api, Option<String>) -> anyhow::Result<ExitCode>,
    {
        let Some(email) = self.email else {
            return self.run(async |api| command(api, None).await).await;
        };
        let api = Api::connect(&Connection::anonymous(None)?)?;
        let password = read_text("Password: ", "the password")?;
        as_person(api, &email, &password, async |api| {
            command(api, Some(password.clone())).await
        })
        .await
    }

    /// Runs `command` with a connection to the server. A session that was begun for it ends with it, also when somebody
    /// interrupts it.
    pub(crate) async fn run<F>(self, command: F) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api) -> anyhow::Result<ExitCode>,
    {
        let Some(email) = self.email else {
            let api = Api::connect(&Connection::chosen().await?)?;
            let result = command(&api).await;
            if let Err(error) = &result
                && Failure::sort_of(error) == Sort::Denied
                && api.has_api_key()
                && !api.is_local()
            {
                remark("with --email ADDRESS you log in for this one command");
            }
            return result;
        };
        let api = Api::connect(&Connection::anonymous(None)?)?;
        let password = read_text("Password: ", "the password")?;
        as_person(api, &email, &password, command).await
    }
}

/// Runs `command` in a session of its own.
async fn as_person<F>(
    mut api: Api,
    email: &str,
    password: &str,
    command: F,
) -> anyhow::Result<ExitCode>
where
    F: AsyncFnOnce(&Api) -> anyhow::Result<ExitCode>,
{
    api.log_in(email, password).await?;
    let api = Arc::new(api);
    let watch = end_when_interrupted(Arc::clone(&api))?;
    let result = command(&api).await;
    watch.abort();
    if let Err(error) = api.log_out().await {
        remark(&format!("the session could not be ended: {error:#}"));
    }
    result
}

/// Ends the session when the command is interrupted. In a task of its own, because a command that waits for somebody to
/// type notices nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread that would return from `main` waits for somebody to type; nothing is left to be dropped"
)]
fn end_when_interrupted(api: Arc<Api>) -> anyhow::Result<JoinHandle<()>> {
    secret::leave_end_to_others();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // A secret that was typed has left these two to others as well.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
        // A command that ends by itself ends its session too.
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::select! {
            _ = api.log_out() => {}
            // Somebody is in a hurry.
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
        std::process::exit(INTERRUPTED)
    }))
}

/// A command of a server, with who does it.
#[derive(clap::Args)]
pub(crate) struct Remote<T: clap::Args> {
    #[command(flatten)]
    log_in: LogIn,
    #[command(flatten)]
    args: T,
}

/// Commands of a server about one thing, with who does it.
#[derive(clap::Args)]
pub(crate) struct RemoteGroup<T: clap::Subcommand> {
    #[command(flatten)]
    log_in: LogIn,
    #[command(subcommand)]
    command: T,
}

impl<T: clap::Args> Remote<T> {
    pub(crate) async fn run<F>(self, run: F, out: Out) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api, T, Out) -> anyhow::Result<ExitCode>,
    {
        let args = self.args;
        self.log_in.run(async |api| run(api, args, out).await).await
    }

    /// The same for what takes the password that was typed for it, if one was.
    pub(crate) async fn run_with_password<F>(self, run: F, out: Out) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api, T, Option<String>, Out) -> anyhow::Result<ExitCode>,
    {
        let args = self.args;
        self.log_in
            .run_with_password(async |api, typed| run(api, args, typed, out).await)
            .await
    }
}

impl<T: clap::Subcommand> RemoteGroup<T> {
    pub(crate) async fn run<F>(self, run: F, out: Out) -> anyhow::Result<ExitCode>
    where
        F: AsyncFnOnce(&Api, T, Out) -> anyhow::Result<ExitCode>,
    {
        let command = self.command;
        self.log_in
            .run(async |api| run(api, command, out).await)
            .await
    }
}

/// A command that takes nothing.
#[derive(clap::Args)]
pub(crate) struct Nothing {}

/// Asks for a secret that is sent to the server as text.
fn read_text(prompt: &str, what: &str) -> anyhow::Result<String> {
    let secret = read_secret(prompt)?;
    let text = secret.expose(|bytes| String::from_utf8(bytes.to_vec()));
    // The error would hold the secret's bytes.
    text.ok().with_context(|| format!("{what} is not UTF-8"))
}

/// Asks for a password that is to be, on a terminal twice.
fn read_new_password(whose: &str) -> anyhow::Result<String> {
    let prompt = format!("{whose} password (10 characters or more): ");
    let password = read_text(&prompt, "the password")?;
    if stdin().is_terminal() {
        let again = read_text("Again: ", "the password")?;
        ensure!(password == again, "the two passwords differ");
    }
    Ok(password)
}

/// Goes on only if the person at the terminal agrees, or did so with `--yes`.
///
/// # Errors
/// When the answer is no, or there is nobody to ask.
fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        let message = "not a terminal, so nobody can agree; nothing was changed";
        let failure = Failure::new(Sort::Declined, message);
        return Err(failure.hint("--yes goes on without asking").into());
    }
    let _ = write!(stderr(), "{} [y/N] ", printable(question));
    let mut line = String::new();
    stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Sort::Declined, "not agreed; nothing was changed").into())
}

/// The workspace that a command is about: the one given, else the one that the connection knows.
async fn chosen_workspace(
    api: &Api,
    workspace: Option<&NamedWorkspace>,
) -> anyhow::Result<WorkspaceId> {
    match workspace {
        Some(workspace) => api.find_workspace(workspace).await,
        None => api.workspace().await,
    }
}
