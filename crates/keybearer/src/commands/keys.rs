//! `keybearer keys`: provider keys of a workspace, of an account, and the instance's own.

mod add;
mod change;
mod sealing;

use std::process::ExitCode;

use anyhow::Context;
use domain::{AccountId, Label, WorkspaceId};
use serde_json::{Value, json};

use super::{RemoteGroup, chosen_workspace, remark};
use crate::client::{Api, Connection, NamedWorkspace};
use crate::output::{Column, Out};

pub(crate) use add::{Args as SealArgs, Submission, SubmissionArgs, stored};
pub(crate) use sealing::{known, pin_at_login};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add a provider key, or replace the one with the same label. The key is read from the terminal or from standard input.
    Add(add::Args),
    /// List the provider keys, each with its state.
    ///
    /// `active` keys serve; a key is `disabled` by its owner, `dormant` where the account's plan lets no own key serve,
    /// `resting` where an instance admin switched its provider, or own keys for it, off.
    List {
        #[command(flatten)]
        holder: HolderArgs,
    },
    /// Put a new key in the place of a stored one, which is gone with the next call. The key is read from the terminal or
    /// from standard input.
    Rotate {
        #[command(flatten)]
        which: StoredKey,
        #[command(flatten)]
        trust: add::Trust,
    },
    /// Remove a provider key for good. Says first what its calls will meet, and asks.
    Remove {
        #[command(flatten)]
        which: StoredKey,
        /// Remove without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Let a disabled provider key serve again, from the next call on.
    Enable {
        #[command(flatten)]
        which: StoredKey,
    },
    /// Keep a provider key and let it serve no more, from the next call on.
    Disable {
        #[command(flatten)]
        which: StoredKey,
    },
    /// Change what is named of a stored key and keep the rest: its label, its level, its place.
    Change {
        #[command(flatten)]
        which: StoredKey,
        #[command(flatten)]
        changes: change::Changes,
    },
    /// Put all keys for a provider into the order in which they serve: the first label first.
    ///
    /// Levels come first: the order counts among keys of one level. Refused where the labels are not those of all keys for the
    /// provider.
    Order {
        /// The provider's id, such as `openai`.
        provider: String,
        /// The labels of all its keys.
        #[arg(required = true, value_name = "LABEL")]
        labels: Vec<Label>,
        #[command(flatten)]
        holder: HolderArgs,
    },
    /// Pin the server's sealing key, which must have this fingerprint, in the place of the one that was seen first. Needs
    /// no login.
    Trust {
        /// The fingerprint (`kek_id`), as an instance admin sees it; blanks may stand in it.
        #[arg(required = true)]
        fingerprint: Vec<String>,
    },
}

/// Whose keys a command is about, as its options say it.
#[derive(clap::Args)]
pub(crate) struct HolderArgs {
    /// The workspace that holds the key, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    #[arg(long)]
    workspace: Option<NamedWorkspace>,
    /// A key of one's own account, which serves all its workspaces.
    #[arg(long, conflicts_with = "workspace")]
    account: bool,
    /// A platform key: the instance's own, which serves managed calls. Needs an instance admin.
    #[arg(long, conflicts_with_all = ["workspace", "account"])]
    platform: bool,
}

/// The key that a command is about.
#[derive(clap::Args)]
pub(crate) struct StoredKey {
    /// The provider's id, such as `openai`.
    provider: String,
    /// What the key is called.
    #[arg(long, default_value = "primary")]
    label: Label,
    #[command(flatten)]
    holder: HolderArgs,
}

pub(crate) async fn run(group: RemoteGroup<Command>, out: Out) -> anyhow::Result<ExitCode> {
    if let Command::Trust { fingerprint } = group.command {
        let api = Api::connect(&Connection::without_credential().await?)?;
        return trust(&api, &fingerprint.join(" "), out).await;
    }
    group.run(run_with, out).await
}

/// The sealing key is public; whoever must trust a new one need not be logged in.
async fn trust(api: &Api, fingerprint: &str, out: Out) -> anyhow::Result<ExitCode> {
    let id = sealing::trust(api, fingerprint).await?;
    let answer = json!({ "server": api.origin(), "kek_id": id });
    out.done(&answer, "Pinned: keys are sealed to this one from now on.");
    Ok(ExitCode::SUCCESS)
}

async fn run_with(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(args) => add::add(api, args, out).await,
        Command::List { holder } => list(api, Holder::chosen(api, &holder).await?, out).await,
        Command::Rotate { which, trust } => add::rotate(api, &which, &trust, out).await,
        Command::Remove { which, yes } => change::remove(api, &which, yes, out).await,
        Command::Enable { which } => change::set_enabled(api, &which, true, out).await,
        Command::Disable { which } => change::set_enabled(api, &which, false, out).await,
        Command::Change { which, changes } => change::change(api, &which, &changes, out).await,
        Command::Order {
            provider,
            labels,
            holder,
        } => change::order(api, &provider, &labels, &holder, out).await,
        Command::Trust { fingerprint } => trust(api, &fingerprint.join(" "), out).await,
    }
}

/// Seals a key and prints the submission.
pub(crate) async fn seal(api: &Api, args: SealArgs, out: Out) -> anyhow::Result<ExitCode> {
    add::print_sealed(api, args, out).await
}

/// Seals a key for one's own account.
pub(crate) async fn submission(api: &Api, args: &SubmissionArgs) -> anyhow::Result<Submission> {
    add::seal(api, Holder::own_account(api).await?, args).await
}

/// Whose keys a command is about.
#[derive(Clone, Copy)]
enum Holder {
    Workspace(WorkspaceId),
    Account(AccountId),
    Instance,
}

impl Holder {
    async fn chosen(api: &Api, args: &HolderArgs) -> anyhow::Result<Self> {
        if args.platform {
            return Ok(Self::Instance);
        }
        if args.account {
            return Self::own_account(api).await;
        }
        chosen_workspace(api, args.workspace.as_ref())
            .await
            .map(Self::Workspace)
    }

    async fn own_account(api: &Api) -> anyhow::Result<Self> {
        let identity = api.identity().await?;
        let account = identity["account_id"].as_str().unwrap_or_default();
        let account = account.parse().context("the server's answer")?;
        Ok(Self::Account(account))
    }

    /// Where its keys are in the API.
    fn path(self) -> String {
        match self {
            Self::Workspace(id) => format!("/api/v1/workspaces/{id}/provider-keys"),
            Self::Account(id) => format!("/api/v1/accounts/{id}/provider-keys"),
            Self::Instance => "/api/v1/admin/platform-keys".to_owned(),
        }
    }
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("PROVIDER", "/provider"),
    ("LABEL", "/label"),
    ("KEY", "/mask"),
    ("STATE", "/state"),
    ("LEVEL", "/level"),
    ("LAST USED", "/last_used_at"),
    ("BASE URL", "/base_url"),
];
/// What a member learns: that there is a key, and nothing of it.
const MEMBERS_COLUMNS: &[Column] = &[("PROVIDER", "/provider"), ("AVAILABLE", "/available")];

async fn list(api: &Api, holder: Holder, out: Out) -> anyhow::Result<ExitCode> {
    let answer = api.get_list(&holder.path()).await?;
    let first = &answer["data"][0];
    if first.is_null() {
        remark(match holder {
            Holder::Workspace(_) => "No provider keys. Add one: keybearer keys add openai",
            Holder::Account(_) => "No provider keys. Add one: keybearer keys add openai --account",
            Holder::Instance => "No platform keys. Add one: keybearer keys add openai --platform",
        });
        if !out.is_json() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let columns = match first["available"] {
        Value::Bool(_) => MEMBERS_COLUMNS,
        _ => COLUMNS,
    };
    out.list(&answer, columns);
    Ok(ExitCode::SUCCESS)
}

/// Shows one key as the list would.
fn show(key: &Value, out: Out) {
    if out.is_json() {
        out.json(key);
    } else {
        out.list(&json!({ "data": [key] }), COLUMNS);
    }
}
