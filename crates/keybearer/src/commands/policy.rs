//! `keybearer policy`: what a workspace's calls may do, as one document; and `keybearer plan`: what the account has.

use std::process::ExitCode;

use serde_json::json;

use super::api::BodyArgs;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the workspace's policy.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Change what is named and keep the rest. The next call follows it.
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        body: BodyArgs,
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
        Command::Show { which } => {
            out.document(&api.get(&which.path(api, "/policy").await?).await?);
        }
        Command::Set { which, body } => {
            let path = which.path(api, "/policy").await?;
            out.document(&api.patch(&path, &body.object()?).await?);
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
