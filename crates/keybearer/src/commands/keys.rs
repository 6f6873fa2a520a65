//! `keybearer keys`: provider keys of a workspace, and the instance's own.

mod add;
mod change;

use std::process::ExitCode;

use domain::{Label, WorkspaceId};
use serde_json::Value;

use super::{chosen_workspace, remark, say};
use crate::client::Api;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add a provider key, or replace the one with the same label. The key is read from the terminal or from standard input.
    Add(add::Args),
    /// List the workspace's provider keys, each with its state.
    ///
    /// `active` keys serve; a key is `disabled` by its owner, `dormant` where the account's plan lets no own key serve,
    /// `resting` where an instance admin switched its provider, or own keys for it, off.
    List {
        #[command(flatten)]
        holder: HolderArgs,
    },
    /// Remove a provider key for good. Says first what its calls will meet, and asks.
    Remove {
        #[command(flatten)]
        which: Which,
        /// Remove without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Let a disabled provider key serve again, from the next call on.
    Enable {
        #[command(flatten)]
        which: Which,
    },
    /// Keep a provider key and let it serve no more, from the next call on.
    Disable {
        #[command(flatten)]
        which: Which,
    },
}

/// Whose keys a command is about, as its options say it.
#[derive(clap::Args)]
pub(crate) struct HolderArgs {
    /// The workspace that holds the key; `KEYBEARER_WORKSPACE` unless given.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// A platform key: the instance's own, which serves managed calls. Needs an instance admin.
    #[arg(long, conflicts_with = "workspace")]
    platform: bool,
}

/// The key that a command is about.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// The provider's id, such as `openai`.
    provider: String,
    /// What the key is called.
    #[arg(long, default_value = "primary")]
    label: Label,
    #[command(flatten)]
    holder: HolderArgs,
}

pub(crate) async fn run(api: &Api, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(args) => add::add(api, args).await,
        Command::List { holder } => list(api, Holder::chosen(&holder)?).await,
        Command::Remove { which, yes } => change::remove(api, &which, yes).await,
        Command::Enable { which } => change::set_enabled(api, &which, true).await,
        Command::Disable { which } => change::set_enabled(api, &which, false).await,
    }
}

/// Whose keys a command is about.
#[derive(Clone, Copy)]
enum Holder {
    Workspace(WorkspaceId),
    Instance,
}

impl Holder {
    fn chosen(args: &HolderArgs) -> anyhow::Result<Self> {
        if args.platform {
            return Ok(Self::Instance);
        }
        chosen_workspace(args.workspace).map(Self::Workspace)
    }

    /// Where its keys are in the API.
    fn path(self) -> String {
        match self {
            Self::Workspace(id) => format!("/api/v1/workspaces/{id}/provider-keys"),
            Self::Instance => "/api/v1/admin/platform-keys".to_owned(),
        }
    }
}

async fn list(api: &Api, holder: Holder) -> anyhow::Result<ExitCode> {
    let keys = all(api, holder).await?;
    if keys.is_empty() {
        remark(match holder {
            Holder::Workspace(_) => "No provider keys. Add one: keybearer keys add openai",
            Holder::Instance => "No platform keys. Add one: keybearer keys add openai --platform",
        });
    }
    for key in &keys {
        say(&row(key));
    }
    Ok(ExitCode::SUCCESS)
}

/// The holder's keys as the server shows them to this caller.
async fn all(api: &Api, holder: Holder) -> anyhow::Result<Vec<Value>> {
    let answer = api.get(&holder.path()).await?;
    Ok(answer["data"].as_array().cloned().unwrap_or_default())
}

/// A key in one line.
fn row(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    // A member learns that there is a key, and nothing of it.
    if let Some(available) = key["available"].as_bool() {
        let state = if available {
            "available"
        } else {
            "not available"
        };
        return format!("{}  {state}", text("provider"));
    }
    let state = match key["state"].as_str() {
        Some(state) => state,
        None if key["enabled"] == Value::Bool(false) => "disabled",
        None => "enabled",
    };
    let mut row = format!(
        "{}  {}/{}  {}  {state}",
        text("id"),
        text("provider"),
        text("label"),
        text("mask")
    );
    if let Some(level) = key["level"].as_i64() {
        row.push_str(&format!("  level {level}"));
    }
    if let Some(base_url) = key["base_url"].as_str() {
        row.push_str(&format!("  at {base_url}"));
    }
    row
}
