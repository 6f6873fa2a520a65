//! `keybearer credits`: what is left, and where it went.

use std::process::ExitCode;

use domain::credits::EntryKind;
use serde_json::{Value, json};

use super::say;
use super::usage::{credits, money};
use super::when::Moment;
use crate::client::Api;
use crate::output::{Out, cell, counted, remark};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show the transactions of the account's ledger instead, the newest first.
    #[arg(long)]
    history: bool,
    /// Only transactions of this kind: `grant`, `charge`, `expiry`, `forgiveness` or `refund`.
    #[arg(long, value_name = "KIND", requires = "history")]
    kind: Option<EntryKind>,
    /// From when on: a date, or how long ago, such as `24h` or `30d`.
    #[arg(long, value_name = "WHEN", requires = "history")]
    since: Option<Moment>,
    /// Until when.
    #[arg(long, value_name = "WHEN", requires = "history")]
    until: Option<Moment>,
    /// The most transactions to show.
    #[arg(long, value_name = "N", default_value = "25", requires = "history",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

const TITLES: [&str; 6] = ["AT", "KIND", "CREDITS", "BALANCE", "FOR", "REQUEST"];

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    if args.history {
        let now = sources::system().now();
        let before = |moment: Option<Moment>| moment.map(|moment| moment.before(now));
        let query: Vec<(&str, String)> = [
            ("kind", args.kind.map(|kind| kind.to_string())),
            ("from", before(args.since)),
            ("to", before(args.until)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let list = api.list("/v1/billing/transactions", &query, args.limit as usize);
        let list = list.await?;
        if out.is_json() {
            out.json(&list);
        } else {
            let rows = list["data"].as_array().into_iter().flatten().map(row);
            out.table(&TITLES, &rows.collect::<Vec<_>>());
            if list["next"].is_string() {
                remark("There is more; --limit takes more.");
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let credits = api.get("/api/v1/users/me/credits").await?;
    let usage = api.get("/api/v1/users/me/ai-usage").await?;
    if out.is_json() {
        out.json(&json!({ "credits": credits, "usage": usage }));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "{} of {} credits left",
        cell(&credits["remaining"]),
        cell(&credits["total"])
    ));
    for of in usage["by_workspace"].as_array().into_iter().flatten() {
        say(&format!(
            "{}  {}, {} input and {} output tokens, {}",
            of["workspace_name"].as_str().unwrap_or("-"),
            counted(&of["requests"], "request", "requests"),
            of["input_tokens"],
            of["output_tokens"],
            counted(&of["credits"], "credit", "credits")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(transaction: &Value) -> Vec<String> {
    vec![
        cell(&transaction["created_at"]),
        cell(&transaction["kind"]),
        credits(money(transaction, "amount_nano_usd").unwrap_or_default()),
        credits(money(transaction, "balance_nano_usd").unwrap_or_default()),
        match transaction["card_kind"].as_str() {
            Some("included") => "included in the plan".to_owned(),
            _ => cell(&transaction["reference"]),
        },
        cell(&transaction["request_id"]),
    ]
}
