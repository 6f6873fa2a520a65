//! `keybearer audit`: who did what.

use std::process::ExitCode;

use super::workspace::Which;
use crate::client::Api;
use crate::output::{Column, Out, remark};

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
    let events = api.list(&path, &[], args.limit as usize).await?;
    out.list(&events, COLUMNS);
    if events["next"].is_string() {
        remark("--limit takes more.");
    }
    Ok(ExitCode::SUCCESS)
}
