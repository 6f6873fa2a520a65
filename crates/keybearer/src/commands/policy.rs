//! `keybearer policy`: what a workspace's calls may do, as one document; and `keybearer plan`: what the account has.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::api::BodyArgs;
use super::guarded::Guarded;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Column, Out, say};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the workspace's policy.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print the tag of its state instead, for `set --if-match`.
        #[arg(long)]
        tag: bool,
    },
    /// Change what is named and keep the rest. The next call follows it.
    ///
    /// A list is replaced as a whole. Where somebody else changes one of the same fields at that moment, nothing is changed.
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        body: BodyArgs,
        /// Change it only if it is still in the state with this tag, as `show --tag` printed it before it was read.
        #[arg(long, value_name = "TAG")]
        if_match: Option<String>,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum PlanCommand {
    /// Show what the plan of one's account gives, and what is used of it.
    Show,
    /// List the plans that there are.
    List,
}

const PLAN_FACTS: &[Column] = &[
    ("plan", "/plan"),
    ("since", "/since"),
    ("monthly credits", "/monthly_credits"),
    ("own keys", "/byok"),
    ("tiers", "/tiers"),
];
const LIMIT_COLUMNS: &[Column] = &[
    ("RESOURCE", "/resource"),
    ("USED", "/used"),
    ("ALLOWED", "/allowed"),
];
pub(super) const PLAN_COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("RANK", "/rank"),
    ("CREDITS", "/terms/monthly_credits"),
    ("OWN KEYS", "/terms/byok"),
    ("TIERS", "/terms/tiers"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show { which, tag: false } => {
            out.document(&api.get(&which.path(api, "/policy").await?).await?);
        }
        Command::Show { which, tag: true } => {
            let path = which.path(api, "/policy").await?;
            let (_, tag) = api.get_tagged(&path).await?;
            match out.is_json() {
                true => out.json(&Value::from(tag)),
                false => say(&tag),
            }
        }
        Command::Set {
            which,
            body,
            if_match,
        } => {
            let changes = body.object()?;
            let policy = Guarded {
                path: &which.path(api, "/policy").await?,
                method: Method::PATCH,
                what: "the policy",
                show: "keybearer policy show",
            };
            out.document(&policy.set(api, &changes, if_match.as_deref()).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run_plan(
    api: &Api,
    command: PlanCommand,
    out: Out,
) -> anyhow::Result<ExitCode> {
    match command {
        PlanCommand::Show => {
            let limits = api.get("/api/v1/users/me/limits").await?;
            out.facts(&limits, PLAN_FACTS);
            if !out.is_json() {
                out.list(&json!({ "data": limits["resources"] }), LIMIT_COLUMNS);
            }
        }
        PlanCommand::List => out.list(&api.get_list("/api/v1/plans").await?, PLAN_COLUMNS),
    }
    Ok(ExitCode::SUCCESS)
}
