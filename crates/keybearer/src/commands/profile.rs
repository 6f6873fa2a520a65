//! `keybearer profile`: bundles of settings that make an instance behave like a product people know.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::{agreed, remark, say};
use crate::client::Api;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the profiles.
    List,
    /// Show what a profile would change, ask, and apply it.
    Apply {
        /// The profile's name; `keybearer profile list` shows them.
        name: String,
        /// Apply without asking.
        #[arg(long)]
        yes: bool,
        /// Only show what would change.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
    },
}

pub(crate) async fn run(api: &Api, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => list(api).await,
        Command::Apply { name, yes, dry_run } => apply(api, &name, yes, dry_run).await,
    }
}

async fn list(api: &Api) -> anyhow::Result<ExitCode> {
    let profiles = api.get("/api/v1/admin/profiles").await?;
    for profile in profiles["data"].as_array().into_iter().flatten() {
        let text = |field: &str| profile[field].as_str().unwrap_or("-").to_owned();
        say(&format!("{:<10} {}", text("name"), text("description")));
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(api: &Api, name: &str, yes: bool, dry_run: bool) -> anyhow::Result<ExitCode> {
    let fits = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        bail!("not the name of a profile; `keybearer profile list` shows them");
    }
    let path = format!("/api/v1/admin/profiles/{name}");
    let planned = api.post(&path, &json!({ "dry_run": true })).await?;
    let changes = planned["changes"].as_array().cloned().unwrap_or_default();
    for change in &changes {
        let path = change["path"].as_str().unwrap_or("-");
        say(&format!("{path}: {} -> {}", change["from"], change["to"]));
    }
    let mut unmet = 0;
    for option in planned["requires"].as_array().into_iter().flatten() {
        if option["wanted"] != option["actual"] {
            unmet += 1;
            let name = option["option"].as_str().unwrap_or("-");
            remark(&format!(
                "the server's option `{name}` is {}; this profile needs {}",
                option["actual"], option["wanted"]
            ));
        }
    }
    if changes.is_empty() {
        remark(&format!(
            "Nothing to change: the instance is as {name} has it."
        ));
        return Ok(met(unmet));
    }
    if dry_run {
        return Ok(met(unmet));
    }
    if !yes && !agreed(&format!("Apply these {} changes?", changes.len()))? {
        remark("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    let applied = api.post(&path, &json!({ "dry_run": false })).await?;
    let raced = applied["changes"].as_array().map(Vec::as_slice) != Some(&changes[..]);
    if raced {
        remark("The settings changed in the meantime; what was applied:");
        for change in applied["changes"].as_array().into_iter().flatten() {
            remark(&one_line(change));
        }
    }
    remark(&format!(
        "Applied the profile {name}; it takes effect with the next call."
    ));
    Ok(met(unmet))
}

fn one_line(change: &Value) -> String {
    let path = change["path"].as_str().unwrap_or("-");
    format!("{path}: {} -> {}", change["from"], change["to"])
}

fn met(unmet: usize) -> ExitCode {
    if unmet == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
