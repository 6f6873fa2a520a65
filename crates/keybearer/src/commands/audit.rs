//! `keybearer audit`: who did what.

use std::process::ExitCode;

use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Column, Out, remark};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Of one's own account instead of a workspace.
    #[arg(long, conflicts_with = "workspace")]
    account: bool,
    /// Of the whole instance. Needs an instance admin.
    #[arg(long, conflicts_with_all = ["workspace", "account"])]
    instance: bool,
    /// Only this action, such as `provider_key.create`, or all of one sort of thing: `provider_key`.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what this user or API key did, by its id, or `system`.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only what was done to the thing with this id.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// From when on: a date, or how long ago, such as `24h` or `30d`.
    #[arg(long, value_name = "WHEN")]
    since: Option<Moment>,
    /// Until when.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// The most events to show; the newest.
    #[arg(long, value_name = "N", default_value = "25", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

const COLUMNS: &[Column] = &[
    ("AT", "/at"),
    ("ACTION", "/action"),
    ("OUTCOME", "/outcome"),
    ("ACTOR", "/actor"),
    ("SUBJECT", "/subject"),
    ("PROVIDER", "/provider"),
    ("LABEL", "/label"),
    ("REQUEST", "/request_id"),
];

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let path = if args.instance {
        "/api/v1/audit".to_owned()
    } else if args.account {
        let identity = api.identity().await?;
        let account = identity["account_id"].as_str().unwrap_or("-");
        format!("/api/v1/accounts/{account}/audit")
    } else {
        args.which.path(api, "/audit").await?
    };
    let now = sources::system().now();
    let before = |moment: Option<Moment>| moment.map(|moment| moment.before(now));
    let query: Vec<(&str, String)> = [
        ("action", args.action),
        ("actor", args.actor),
        ("subject", args.subject),
        ("from", before(args.since)),
        ("to", before(args.until)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let events = api.list(&path, &query, args.limit as usize).await?;
    out.list(&events, COLUMNS);
    if events["next"].is_string() {
        remark("--limit takes more.");
    }
    Ok(ExitCode::SUCCESS)
}
