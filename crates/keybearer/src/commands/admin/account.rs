//! `keybearer admin account` and `plan`: what accounts have and may.

use domain::{AccountId, PlanId};
use serde_json::json;

use crate::client::Api;
use crate::commands::api::BodyArgs;
use crate::commands::confirm;
use crate::commands::policy::PLAN_COLUMNS;
use crate::commands::when::Moment;
use crate::failure::Failure;
use crate::output::{Column, Out};
use crate::sources;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the accounts, or those whose owner's e-mail has a part.
    List {
        /// The part.
        #[arg(long, value_name = "PART")]
        search: Option<String>,
    },
    /// Show an account with its plan, its credits and its rate.
    Show {
        /// The account's id.
        id: AccountId,
    },
    /// Give credits to an account; with a reference once, however often it is run.
    Grant {
        /// The account's id.
        id: AccountId,
        /// How many credits, of 0.01 USD at list price.
        credits: String,
        /// Where they come from: `grant`, `top_up` or `refund`.
        #[arg(long, default_value = "grant")]
        kind: String,
        /// What they are for, such as the number of a payment; the same reference is given once.
        #[arg(long)]
        reference: Option<String>,
        /// When what is left of them lapses: a date, or a time span such as `90d`; with a reference a date, which is the
        /// same each time.
        #[arg(long, value_name = "WHEN")]
        expires: Option<Moment>,
    },
    /// Put an account on a plan, on the plan's terms of today.
    SetPlan {
        /// The account's id.
        id: AccountId,
        /// The plan's id.
        plan: PlanId,
    },
    /// Change what an account's charges are multiplied by, from the next call on.
    SetRate {
        /// The account's id.
        id: AccountId,
        /// 0 to 1000.
        rate: String,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum PlanCommand {
    /// List the plans.
    List,
    /// Make or replace a plan; accounts that have it keep their terms.
    Set {
        /// The plan's id.
        id: PlanId,
        #[command(flatten)]
        body: BodyArgs,
    },
    /// Delete a plan. Asks.
    Delete {
        /// The plan's id.
        id: PlanId,
        /// Delete without asking.
        #[arg(long)]
        yes: bool,
    },
}

const PATH: &str = "/api/v1/admin/accounts";
const PLANS: &str = "/api/v1/admin/plans";
const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("OWNER", "/owner_email"),
    ("PLAN", "/plan"),
    ("CREATED", "/created_at"),
];
const FACTS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("owner", "/owner_email"),
    ("plan", "/subscription/plan"),
    ("plan since", "/subscription/started_at"),
    ("credits available", "/credits/available/credits"),
    ("credits reserved", "/credits/reserved/credits"),
    ("credits owed", "/credits/debt/credits"),
    ("rate", "/credit_rate"),
    ("created", "/created_at"),
];
const CARD_FACTS: &[Column] = &[
    ("card", "/id"),
    ("kind", "/kind"),
    ("granted", "/granted/credits"),
    ("remaining", "/remaining/credits"),
    ("expires", "/expires_at"),
    ("reference", "/reference"),
];
/// More accounts are not shown.
const MOST: usize = 100_000;

pub(super) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<()> {
    match command {
        Command::List { search } => {
            let query: Vec<_> = search.map(|part| ("q", part)).into_iter().collect();
            out.list(&api.list(PATH, &query, MOST).await?, COLUMNS);
        }
        Command::Show { id } => out.facts(&api.get(&format!("{PATH}/{id}")).await?, FACTS),
        Command::Grant {
            id,
            credits,
            kind,
            reference,
            expires,
        } => {
            let mut body = json!({ "credits": credits, "kind": kind });
            let reference_is_none = reference.is_none();
            if let Some(reference) = reference {
                body["reference"] = json!(reference);
            }
            if let Some(expires) = expires {
                if !reference_is_none && expires.is_span() {
                    let message = "with --reference give --expires as a date: a time span would end elsewhere each time";
                    return Err(Failure::usage(message).into());
                }
                body["expires_at"] = json!(expires.after(sources::system().now()));
            }
            let card = api.post(&format!("{PATH}/{id}/credits"), &body).await?;
            out.facts(&card, CARD_FACTS);
        }
        Command::SetPlan { id, plan } => {
            let path = format!("{PATH}/{id}/subscription");
            let subscription = api.put(&path, &json!({ "plan": plan })).await?;
            out.facts(
                &subscription,
                &[("plan", "/plan"), ("since", "/started_at")],
            );
        }
        Command::SetRate { id, rate } => {
            let body = json!({ "credit_rate": rate });
            out.facts(&api.patch(&format!("{PATH}/{id}"), &body).await?, FACTS);
        }
    }
    Ok(())
}

pub(super) async fn run_plan(api: &Api, command: PlanCommand, out: Out) -> anyhow::Result<()> {
    match command {
        PlanCommand::List => out.list(&api.get_list(PLANS).await?, PLAN_COLUMNS),
        PlanCommand::Set { id, body } => {
            let plan = api.put(&format!("{PLANS}/{id}"), &body.object()?).await?;
            out.facts(&plan, PLAN_COLUMNS);
        }
        PlanCommand::Delete { id, yes } => {
            confirm(&format!("Delete the plan {id}?"), yes)?;
            api.delete(&format!("{PLANS}/{id}")).await?;
            out.done(&json!({ "deleted": true }), &format!("Deleted {id}."));
        }
    }
    Ok(())
}
