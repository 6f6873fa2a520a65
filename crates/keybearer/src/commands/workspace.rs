//! `keybearer workspace`: one's workspaces.

use std::process::ExitCode;

use domain::WorkspaceId;
use serde_json::json;

use super::{RemoteGroup, chosen_workspace, confirm};
use crate::client::{Api, NamedWorkspace};
use crate::failure::{Failure, Sort};
use crate::logins::Logins;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List one's workspaces. An API key has one only.
    List,
    /// Show a workspace.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Make a workspace of one's own account.
    Create {
        /// What to call it.
        name: String,
    },
    /// Rename a workspace.
    Rename {
        /// What to call it.
        name: String,
        #[command(flatten)]
        which: Which,
    },
    /// Make a workspace the one that the commands after this login are about.
    Use {
        /// The workspace, by its id or its name.
        workspace: NamedWorkspace,
    },
    /// Delete a workspace with its keys, for good. Asks.
    Delete {
        #[command(flatten)]
        which: Which,
        /// Delete without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Run the workspace's scripts and look after its services on this machine. Shows them, and asks.
    ///
    /// Scripts run in their order, those of the first boot once on each machine; then the services that start by themselves
    /// run until they end or this command is told to end (SIGTERM, Ctrl-C). All have a key that ends with this command.
    /// What they print comes behind their names; SIGUSR1 shows what each is doing.
    Up(super::run::up::Args),
    /// Show what `workspace up` is doing on this machine. Ends with 1 where it is not up.
    Status(super::run::up::StatusArgs),
    /// Write the workspace's services for another supervisor. No key stands in what is written.
    Render(super::render::Args),
    /// Leave a workspace. Asks.
    Leave {
        #[command(flatten)]
        which: Which,
        /// Leave without asking.
        #[arg(long)]
        yes: bool,
    },
}

/// The workspace that a command is about.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    #[arg(long)]
    pub(super) workspace: Option<NamedWorkspace>,
}

impl Which {
    /// The workspace's id.
    pub(super) async fn id(&self, api: &Api) -> anyhow::Result<WorkspaceId> {
        chosen_workspace(api, self.workspace.as_ref()).await
    }

    /// The workspace's path in the API, and what comes below it.
    pub(super) async fn path(&self, api: &Api, below: &str) -> anyhow::Result<String> {
        let workspace = self.id(api).await?;
        Ok(format!("/api/v1/workspaces/{workspace}{below}"))
    }
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("ACCOUNT", "/account_id"),
    ("CREATED", "/created_at"),
];

pub(crate) async fn run(group: RemoteGroup<Command>, out: Out) -> anyhow::Result<ExitCode> {
    // It runs for long and handles signals itself, which a session for one command does as well.
    if let Command::Up(args) = group.command {
        if group.log_in.email.is_some() {
            let failure = Failure::usage("up takes no --email");
            return Err(failure
                .hint("keybearer login first, or set KEYBEARER_API_KEY")
                .into());
        }
        return super::run::kept(super::run::up::run(args)).await;
    }
    group.run(run_with, out).await
}

async fn run_with(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => return super::run::up::run(args).await,
        Command::Status(args) => return super::run::up::status(api, args, out).await,
        Command::Render(args) => super::render::run(api, args, out).await?,
        Command::List => out.list(&api.workspaces().await?, COLUMNS),
        Command::Show { which } => {
            out.facts(&api.get(&which.path(api, "").await?).await?, COLUMNS);
        }
        Command::Create { name } => {
            let body = json!({ "name": name });
            out.facts(&api.post("/api/v1/workspaces", &body).await?, COLUMNS);
        }
        Command::Rename { name, which } => {
            let path = which.path(api, "").await?;
            let renamed = api.patch(&path, &json!({ "name": name })).await?;
            out.facts(&renamed, COLUMNS);
        }
        Command::Use { workspace } => {
            let id = api.find_workspace(&workspace).await?;
            let workspace = api.get(&format!("/api/v1/workspaces/{id}")).await?;
            Logins::change(|logins| {
                let server = logins.servers.get_mut(&api.origin());
                let server = server.filter(|server| server.credential.is_some());
                let server = server.ok_or_else(|| {
                    let message = format!("not logged in to {}", api.origin());
                    let failure = Failure::new(Sort::NotLoggedIn, message);
                    failure.hint("log in, or set KEYBEARER_WORKSPACE instead")
                })?;
                server.workspace = Some(id);
                Ok(())
            })?;
            out.facts(&workspace, COLUMNS);
        }
        Command::Delete { which, yes } => {
            let path = which.path(api, "").await?;
            let name = api.get(&path).await?["name"].to_string();
            confirm(
                &format!("Delete the workspace {name} with its keys for good?"),
                yes,
            )?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), &format!("Deleted {name}."));
        }
        Command::Leave { which, yes } => {
            let path = which.path(api, "").await?;
            let name = api.get(&path).await?["name"].to_string();
            confirm(&format!("Leave the workspace {name}?"), yes)?;
            api.post(&format!("{path}/leave"), &json!({})).await?;
            out.done(&json!({ "left": true }), &format!("Left {name}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}
