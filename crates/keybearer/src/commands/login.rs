//! `keybearer login` and `keybearer logout`: a server and a credential for it, kept for the commands that follow.

mod device;

use std::process::ExitCode;

use anyhow::ensure;
use control::auth::session::LIFETIME_MS;
use domain::credential::{CredentialKind, is_well_formed};
use serde_json::{Value, json};

use super::{LogIn, read_secret, read_text, remark};
use crate::client::{Api, Connection, NamedWorkspace, chosen_url, only_workspace, origin};
use crate::commands::keys::pin_at_login;
use crate::config::{API_KEY_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::logins::{Credential, Logins, place};
use crate::output::Out;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The server's address; `KEYBEARER_URL`, the last login's or http://127.0.0.1:4356 unless given.
    #[arg(long)]
    url: Option<String>,
    /// Log in with an API key, as in CI: it is read from the terminal or from standard input.
    #[arg(long, conflicts_with = "email")]
    with_key: bool,
    /// Show the code and leave the browser alone.
    #[arg(long, conflicts_with_all = ["with_key", "email"])]
    no_browser: bool,
    // The text names what the server has.
    #[arg(long, value_name = "ADDRESS", help = format!(
        "Log in as this person for {} days; the password is read from the terminal or from standard input",
        LIFETIME_MS / (24 * 60 * 60 * 1000)
    ))]
    email: Option<String>,
    /// The workspace that commands are about unless told otherwise, by its id or its name. An API key has its own; a person's
    /// only one is taken.
    #[arg(long)]
    workspace: Option<NamedWorkspace>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Let a program that shows this code log in as the person who is logged in here. Asks.
    Approve {
        #[command(flatten)]
        log_in: LogIn,
        /// The code, such as `BCDF-GHJK`.
        code: String,
        /// Approve without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Refuse the program that shows this code.
    Refuse {
        #[command(flatten)]
        log_in: LogIn,
        /// The code, such as `BCDF-GHJK`.
        code: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct LogoutArgs {
    /// The server to log out of; `KEYBEARER_URL` or the last login's unless given.
    #[arg(long)]
    url: Option<String>,
}

pub(crate) async fn log_in(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Approve { log_in, code, yes }) => {
            return log_in
                .run(async |api| device::approve(api, &code, yes, out).await)
                .await;
        }
        Some(Command::Refuse { log_in, code }) => {
            return log_in
                .run(async |api| device::refuse(api, &code, out).await)
                .await;
        }
        None => {}
    }
    let mut connection = Connection::anonymous(args.url)?;
    let (api, credential) = match &args.email {
        Some(email) => {
            let mut api = Api::connect(&connection)?;
            let password = read_text("Password: ", "the password")?;
            let session = api.log_in(email, &password).await?;
            (api, Credential::Session(session))
        }
        None if !args.with_key => {
            let mut api = Api::connect(&connection)?;
            let session = device::wait(&mut api, !args.no_browser && !out.is_json()).await?;
            (api, Credential::Session(session))
        }
        None => {
            let key = read_secret("API key: ")?;
            let ours = key.expose(|bytes| {
                std::str::from_utf8(bytes)
                    .is_ok_and(|text| is_well_formed(CredentialKind::ApiKey, text))
            });
            ensure!(
                ours,
                "this is not an API key of a Keybearer, or one with a typing error"
            );
            let key = connection.credential.insert(Credential::ApiKey(key));
            let copy = key.copy();
            (Api::connect(&connection)?, copy)
        }
    };
    keep(&api, credential, args.workspace, out).await?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps a credential that was given, or a session that was begun, and says so.
pub(super) async fn keep(
    api: &Api,
    credential: Credential,
    workspace: Option<NamedWorkspace>,
    out: Out,
) -> anyhow::Result<()> {
    let session = matches!(credential, Credential::Session(_));
    match remember(api, credential, workspace).await {
        Ok(identity) => {
            report(api, &identity, out);
            Ok(())
        }
        Err(error) => {
            // What cannot be kept must not live on unseen.
            if session {
                let _ = api.log_out().await;
            }
            Err(error)
        }
    }
}

/// Verifies the credential at the server and writes it down.
async fn remember(
    api: &Api,
    credential: Credential,
    workspace: Option<NamedWorkspace>,
) -> anyhow::Result<Value> {
    let mut identity = api.identity().await?;
    let workspace = match workspace {
        Some(workspace) => Some(api.find_workspace(&workspace).await?),
        None => only_workspace(&identity)?,
    };
    identity["workspace_id"] = json!(workspace);
    // Pinned now, so that a key that is sealed later goes to the server that was logged in to.
    pin_at_login(api).await?;
    let former = Logins::change(|logins| {
        let server = logins.servers.entry(api.origin()).or_default();
        let former = server.credential.replace(credential);
        server.workspace = workspace;
        server.who = identity["user"]["email"].as_str().map(str::to_owned);
        logins.current = Some(api.origin());
        Ok(former)
    })?;
    if let Some(Credential::Session(former)) = former {
        end_session(api.address(), Credential::Session(former)).await;
    }
    Ok(identity)
}

const ENVIRONMENT_WINS: &str = "KEYBEARER_API_KEY is set and wins over every login.";

fn report(api: &Api, identity: &Value, out: Out) {
    if out.is_json() {
        out.json(identity);
    }
    let who = match identity["user"]["email"].as_str() {
        Some(email) => email.to_owned(),
        None => format!("API key {}", identity["api_key_id"].as_str().unwrap_or("-")),
    };
    remark(&format!("Logged in to {} as {who}.", api.address()));
    match identity["workspace_id"].as_str() {
        Some(workspace) => remark(&format!("Commands are about the workspace {workspace}.")),
        None => remark("You have several workspaces: give --workspace, or log in with it."),
    }
    if let Some(place) = place() {
        remark(&format!("Kept in {}.", place.display()));
    }
    if variable(API_KEY_VARIABLE).is_some() {
        remark(ENVIRONMENT_WINS);
    }
}

pub(crate) async fn log_out(args: LogoutArgs, out: Out) -> anyhow::Result<ExitCode> {
    // Forgotten first: what the server says of it changes nothing here.
    let (address, credential) = Logins::change(|logins| {
        let address = origin(&chosen_url(args.url, logins))?;
        let server = logins.servers.get_mut(&address);
        let credential = server.and_then(|server| {
            server.workspace = None;
            server.who = None;
            server.credential.take()
        });
        let Some(credential) = credential else {
            let message = format!("not logged in to {address}");
            return Err(Failure::new(Sort::NotLoggedIn, message).into());
        };
        if logins.current.as_ref() == Some(&address) {
            logins.current = None;
        }
        Ok((address, credential))
    })?;
    let ended = match credential {
        Credential::ApiKey(_) => {
            remark(
                "The API key was forgotten here and is still valid; revoke it: keybearer api-key revoke",
            );
            false
        }
        session => end_session(&address, session).await,
    };
    if out.is_json() {
        out.json(&json!({ "server": address, "ended": ended }));
    }
    remark(&format!("Logged out of {address}."));
    if variable(API_KEY_VARIABLE).is_some() {
        remark(ENVIRONMENT_WINS);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the server to end a session; says so if it does not.
async fn end_session(address: &str, credential: Credential) -> bool {
    let connection = Connection {
        url: address.to_owned(),
        credential: Some(credential),
        workspace: None,
        is_local: false,
        has_strange_key: false,
    };
    let ended = match Api::connect(&connection) {
        Ok(api) => api.log_out().await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => true,
        // It was over already.
        Err(error) if Failure::sort_of(&error) == Sort::NotLoggedIn => true,
        Err(error) => {
            remark(&format!(
                "the server was not told, so the session lives until its end: {error:#}"
            ));
            false
        }
    }
}
