//! `keybearer usage show`: one call.

use std::process::ExitCode;

use domain::RequestId;
use serde_json::Value;

use super::{TITLES, key, row};
use crate::client::Api;
use crate::commands::workspace::Which;
use crate::output::{Out, cell};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The call's id.
    #[arg(value_name = "ID")]
    request: RequestId,
    #[command(flatten)]
    which: Which,
}

const ATTEMPT_TITLES: [&str; 5] = ["TRIED", "KEY", "STATUS", "OUTCOME", "MS"];

pub(super) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let path = format!("/usage/{}", args.request);
    let call = api.get(&args.which.path(api, &path).await?).await?;
    if out.is_json() {
        out.json(&call);
        return Ok(ExitCode::SUCCESS);
    }
    out.table(&TITLES, &[row(&call)]);
    let attempts = call["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    if !attempts.is_empty() {
        crate::output::say("");
        let rows: Vec<Vec<String>> = attempts.iter().map(attempt).collect();
        out.table(&ATTEMPT_TITLES, &rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn attempt(tried: &Value) -> Vec<String> {
    vec![
        format!("{}/{}", cell(&tried["provider"]), cell(&tried["model"])),
        key(tried),
        cell(&tried["status"]),
        cell(&tried["outcome"]),
        cell(&tried["latency_ms"]),
    ]
}
