//! `keybearer usage summary`: what calls came to, added up by the server, however many they are.

use std::process::ExitCode;

use anyhow::Context;
use domain::AccountId;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::filter::Filter;
use super::{credits, dollars, money, without_price};
use crate::client::Api;
use crate::commands::when::Moment;
use crate::commands::workspace::Which;
use crate::output::{Out, cell, remark};
use crate::sources;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Of all workspaces of one's own account instead, or of the one that --workspace names, deleted ones too.
    #[arg(long, conflicts_with = "instance")]
    account: bool,
    /// Of the whole instance instead, or of the workspace that --workspace names; for its admins.
    #[arg(long)]
    instance: bool,
    /// Of the instance's only the calls of this account.
    #[arg(long, value_name = "ID", requires = "instance")]
    account_id: Option<AccountId>,
    /// From which UTC day on: a date, or how long ago, such as `30d`.
    #[arg(long, value_name = "WHEN", default_value = "29d")]
    since: Moment,
    /// To which UTC day, it included; today unless given.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// What the sums are told apart by, one or two with a comma between them.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1..=2)]
    by: Vec<By>,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum By {
    Day,
    Model,
    Provider,
    Key,
    ApiKey,
    Member,
    #[value(name = "paid-by")]
    Payer,
    Workspace,
    Account,
}

impl By {
    /// The word of the API.
    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Key => "provider_key",
            Self::ApiKey => "api_key",
            Self::Member => "member",
            Self::Payer => "key_source",
            Self::Workspace => "workspace",
            Self::Account => "account",
        }
    }

    /// The title of its column, and what stands in it: the name of what has one and is still there, else the id.
    fn column(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Day => ("DAY", &["day"]),
            Self::Model => ("MODEL", &["model"]),
            Self::Provider => ("PROVIDER", &["provider"]),
            Self::Key => ("KEY", &["key_label", "provider_key_id"]),
            Self::ApiKey => ("API KEY", &["api_key_name", "api_key_id"]),
            Self::Member => ("MEMBER", &["user_email", "user_id"]),
            Self::Payer => ("PAID BY", &["key_source"]),
            Self::Workspace => ("WORKSPACE", &["workspace_name", "workspace_id"]),
            Self::Account => ("ACCOUNT", &["account_name", "account_id"]),
        }
    }
}

const SUMS: [&str; 8] = [
    "CALLS", "FAILED", "OWN KEYS", "IN", "OUT", "COST", "CREDITS", "MS",
];

pub(super) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let path = match (args.account, args.instance) {
        (true, _) => {
            let identity = api.identity().await?;
            let account = identity["account_id"].as_str();
            let account = account.context("the server names no account of the caller")?;
            format!("/api/v1/accounts/{account}/usage/summary")
        }
        (_, true) => "/api/v1/admin/usage/summary".to_owned(),
        _ => args.which.path(api, "/usage/summary").await?,
    };
    let now = sources::system().now();
    let day = |moment: &Moment| moment.before(now).chars().take(10).collect::<String>();
    let mut query = Serializer::new(String::new());
    query.append_pair("from", &day(&args.since));
    if let Some(until) = &args.until {
        query.append_pair("to", &day(until));
    }
    if !args.by.is_empty() {
        let words: Vec<&str> = args.by.iter().map(|by| by.word()).collect();
        query.append_pair("group_by", &words.join(","));
    }
    args.filter.add_to(&mut query);
    if args.which.workspace.is_some() && (args.account || args.instance) {
        let workspace = args.which.id(api).await?;
        query.append_pair("workspace_id", &workspace.to_string());
    }
    if let Some(account) = args.account_id {
        query.append_pair("account_id", &account.to_string());
    }
    let summary = api.get(&format!("{path}?{}", query.finish())).await?;
    if out.is_json() {
        out.json(&summary);
        return Ok(ExitCode::SUCCESS);
    }
    let mut titles: Vec<&str> = args.by.iter().map(|by| by.column().0).collect();
    titles.extend(SUMS);
    let groups = summary["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let mut rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let names = args.by.iter().map(|by| name(group, by.column().1));
            names.chain(sums(group)).collect()
        })
        .collect();
    let total = (0..args.by.len()).map(|column| match column {
        0 => "total".to_owned(),
        _ => String::new(),
    });
    rows.push(total.chain(sums(&summary["total"])).collect());
    out.table(&titles, &rows);
    if summary["truncated"] == true {
        remark("There are more groups; a shorter time or a filter shows them.");
    }
    let unpriced = summary["total"]["unpriced"].as_i64().unwrap_or(0);
    if unpriced > 0 {
        remark(&without_price(unpriced));
    }
    Ok(ExitCode::SUCCESS)
}

fn name(group: &Value, fields: &[&str]) -> String {
    let given = fields.iter().find(|field| group[**field].is_string());
    given.map_or_else(|| "-".to_owned(), |field| cell(&group[*field]))
}

fn sums(sums: &Value) -> Vec<String> {
    let input = ["input_tokens", "cached_input_tokens", "cache_write_tokens"];
    let input: i64 = input.iter().filter_map(|name| sums[*name].as_i64()).sum();
    vec![
        cell(&sums["calls"]),
        cell(&sums["failed"]),
        cell(&sums["own_key_calls"]),
        input.to_string(),
        cell(&sums["output_tokens"]),
        dollars(money(sums, "cost_nano_usd").unwrap_or_default()),
        credits(money(sums, "charge_nano_usd").unwrap_or_default()),
        cell(&sums["latency_ms"]),
    ]
}
