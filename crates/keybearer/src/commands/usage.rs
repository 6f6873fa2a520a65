//! `keybearer usage`: the calls of a workspace, one by one or added up.

mod export;
mod filter;
mod show;
mod summary;

use std::collections::BTreeMap;
use std::process::ExitCode;

use domain::NanoUsd;
use serde_json::{Value, json};

use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Out, cell, remark};
use crate::sources;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    which: Which,
    /// From when on: a date, or how long ago, such as `24h` or `30d`.
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// Until when.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// The most calls to show, or to add up: of more than this the newest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
    /// Add the calls up by this; up to 10000 of them unless --limit says more.
    #[arg(long)]
    by: Option<By>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what calls came to by day, model, key or whatever else, added up by the server however many they are.
    Summary(summary::Args),
    /// Show one call with all that was tried, by the id that its answer had in `x-keybearer-request-id`.
    Show(show::Args),
    /// Print the calls as comma-separated values, newest first; with --json as one document.
    Export(export::Args),
}

/// What calls are added up by.
#[derive(Clone, Copy, clap::ValueEnum)]
enum By {
    Model,
    Provider,
    /// Whose key served, and its label.
    Key,
    ApiKey,
    User,
    Day,
    Status,
}

pub(super) const TITLES: [&str; 9] = [
    "AT", "MODEL", "KEY", "STATUS", "IN", "OUT", "COST", "CREDITS", "MS",
];
pub(super) const SUM_TITLES: [&str; 7] = ["", "CALLS", "FAILED", "IN", "OUT", "COST", "CREDITS"];

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Summary(args)) => return summary::run(api, args, out).await,
        Some(Command::Show(args)) => return show::run(api, args, out).await,
        Some(Command::Export(args)) => return export::run(api, args, out).await,
        None => {}
    }
    let path = args.which.path(api, "/usage").await?;
    let now = sources::system().now();
    let mut query = vec![("from", args.since.before(now))];
    query.extend(args.until.map(|until| ("to", until.before(now))));
    let most = args
        .limit
        .unwrap_or(if args.by.is_some() { 10_000 } else { 25 });
    let usage = api.list(&path, &query, most as usize).await?;
    let calls = usage["data"].as_array().map_or(&[][..], Vec::as_slice);
    if usage["next"].is_string() {
        remark(&format!(
            "The newest {} calls; --limit takes more.",
            calls.len()
        ));
    }
    match args.by {
        None if out.is_json() => out.json(&usage),
        None => {
            if calls.is_empty() && out.is_terminal() {
                remark(&format!("No calls since {}.", args.since.before(now)));
            }
            let rows: Vec<Vec<String>> = calls.iter().map(row).collect();
            out.table(&TITLES, &rows);
        }
        Some(by) => add_up(calls, &usage["next"], by, out),
    }
    Ok(ExitCode::SUCCESS)
}

/// A call in cells.
pub(super) fn row(call: &Value) -> Vec<String> {
    let status = match call["error_code"].as_str() {
        Some(code) => format!("{} {code}", call["status"]),
        None => cell(&call["status"]),
    };
    vec![
        cell(&call["at"]),
        served(call),
        key(call),
        status,
        input_tokens(call).to_string(),
        output_tokens(call).to_string(),
        money(call, "cost_nano_usd").map_or_else(|| "-".to_owned(), dollars),
        credits(money(call, "charge_nano_usd").unwrap_or_default()),
        cell(&call["latency_ms"]),
    ]
}

/// The model that served, else the one that was asked for.
fn served(call: &Value) -> String {
    match (call["provider"].as_str(), call["model"].as_str()) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => cell(&call["model_requested"]),
    }
}

/// Whose key: its label, and where that is hidden, whose it is.
fn key(call: &Value) -> String {
    match (call["key_source"].as_str(), call["key_label"].as_str()) {
        (Some("managed"), _) => "credits".to_owned(),
        (_, Some(label)) => label.to_owned(),
        (Some(_), None) => match call["key_scope"].as_str() {
            Some("account") => "(the account's)".to_owned(),
            Some("workspace") => "(the workspace's)".to_owned(),
            _ => "(hidden)".to_owned(),
        },
        (None, None) => "-".to_owned(),
    }
}

/// All that was read: from the prompt, and from and to the provider's cache.
fn input_tokens(call: &Value) -> u64 {
    ["input_tokens", "cached_input_tokens", "cache_write_tokens"]
        .iter()
        .filter_map(|name| call["usage"][*name].as_u64())
        .sum()
}

fn output_tokens(call: &Value) -> u64 {
    call["usage"]["output_tokens"].as_u64().unwrap_or(0)
}

pub(super) fn money(call: &Value, field: &str) -> Option<NanoUsd> {
    call[field].as_i64().map(NanoUsd::new)
}

/// In dollars, what is owed with its sign in front.
pub(super) fn dollars(amount: NanoUsd) -> String {
    let text = amount.to_string();
    match text.strip_prefix('-') {
        Some(owed) => format!("-${owed}"),
        None => format!("${text}"),
    }
}

pub(super) fn credits(amount: NanoUsd) -> String {
    amount.credits().to_string()
}

/// What some calls come to.
#[derive(Default, Clone)]
pub(super) struct Sum {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cost: NanoUsd,
    pub(super) unpriced: u64,
    pub(super) charge: NanoUsd,
}

impl Sum {
    pub(super) fn add(&mut self, call: &Value) {
        self.calls += 1;
        self.failed += u64::from(call["status"].as_i64().is_none_or(|status| status >= 400));
        self.input_tokens += input_tokens(call);
        self.output_tokens += output_tokens(call);
        let cost = money(call, "cost_nano_usd").unwrap_or_default();
        self.cost = self.cost.plus(cost);
        // A call that was refused costs nothing; this one cost something.
        self.unpriced += u64::from(call["pricing"] == "unpriced");
        let charge = money(call, "charge_nano_usd").unwrap_or_default();
        self.charge = self.charge.plus(charge);
    }

    /// The sum under its name, in cells.
    pub(super) fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            self.calls.to_string(),
            self.failed.to_string(),
            self.input_tokens.to_string(),
            self.output_tokens.to_string(),
            dollars(self.cost),
            credits(self.charge),
        ]
    }

    pub(super) fn json(&self, name: &str) -> Value {
        json!({
            "name": name, "calls": self.calls, "failed": self.failed, "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "cost_nano_usd": self.cost, "unpriced": self.unpriced,
            "charge_nano_usd": self.charge,
        })
    }
}

/// What the calls of each model come to, most calls first.
pub(super) fn sums_by_model<'a>(calls: impl Iterator<Item = &'a Value>) -> Vec<(String, Sum)> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for call in calls {
        sums.entry(served(call)).or_default().add(call);
    }
    let mut sums: Vec<(String, Sum)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.calls));
    sums
}

/// The key that served: its provider, whose it is and its label.
fn whose(call: &Value) -> String {
    let scope = match (call["key_scope"].as_str(), call["key_label"].as_str()) {
        (Some("account"), Some(_)) => "the account's ",
        _ => "",
    };
    format!("{}/{scope}{}", cell(&call["provider"]), key(call))
}

/// `next` is there where the server has more calls than were added up.
fn add_up(calls: &[Value], next: &Value, by: By, out: Out) {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for call in calls {
        let name = match by {
            By::Model => served(call),
            By::Provider => cell(&call["provider"]),
            By::Key => whose(call),
            By::ApiKey => cell(&call["api_key_id"]),
            By::User => cell(&call["user_id"]),
            By::Day => cell(&call["at"]).chars().take(10).collect(),
            By::Status => cell(&call["status"]),
        };
        sums.entry(name).or_default().add(call);
    }
    if out.is_json() {
        let all = sums.iter().map(|(name, sum)| sum.json(name));
        return out.json(&json!({ "data": all.collect::<Vec<_>>(), "next": next }));
    }
    let rows = sums.iter().map(|(name, sum)| sum.row(name));
    let rows: Vec<Vec<String>> = rows.collect();
    out.table(&SUM_TITLES, &rows);
    let unpriced: u64 = sums.values().map(|sum| sum.unpriced).sum();
    if unpriced > 0 {
        remark(&without_price(unpriced));
    }
}

/// What a sum of costs leaves out.
fn without_price(calls: impl std::fmt::Display) -> String {
    match calls.to_string().as_str() {
        "1" => "1 call has no price and is not in the cost.".to_owned(),
        more => format!("{more} calls have no price and are not in the cost."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_digits_that_it_has() {
        assert_eq!(dollars(NanoUsd::ZERO), "$0");
        assert_eq!(dollars(NanoUsd::new(-42)), "-$0.000000042");
        assert_eq!(credits(NanoUsd::from_credits(1)), "1");
        assert_eq!(credits(NanoUsd::new(1)), "0.0000001");
    }

    #[test]
    fn what_has_no_price_is_counted_apart() {
        let mut sum = Sum::default();
        sum.add(&json!({"status": 200, "cost_nano_usd": 5, "usage": {"input_tokens": 2, "cached_input_tokens": 3}}));
        sum.add(&json!({"status": 402, "cost_nano_usd": null, "pricing": null, "usage": null}));
        assert_eq!((sum.calls, sum.failed, sum.unpriced), (2, 1, 0));
        sum.add(
            &json!({"status": 200, "cost_nano_usd": null, "pricing": "unpriced", "usage": null}),
        );
        assert_eq!((sum.calls, sum.failed, sum.unpriced), (3, 1, 1));
        assert!(without_price(sum.unpriced).starts_with("1 call has"));
        assert_eq!((sum.input_tokens, sum.cost), (5, NanoUsd::new(5)));
    }
}
