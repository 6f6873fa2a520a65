//! `keybearer profile`: bundles of settings that make an instance behave like a product people know.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::{confirm, remark, say};
use crate::client::Api;
use crate::output::{Column, Out};

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

const COLUMNS: &[Column] = &[("NAME", "/name"), ("DESCRIPTION", "/description")];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => {
            out.list(&api.get("/api/v1/admin/profiles").await?, COLUMNS);
            Ok(ExitCode::SUCCESS)
        }
        Command::Apply { name, yes, dry_run } => apply(api, &name, yes, dry_run, out).await,
    }
}

async fn apply(
    api: &Api,
    name: &str,
    yes: bool,
    dry_run: bool,
    out: Out,
) -> anyhow::Result<ExitCode> {
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
        if !out.is_json() {
            say(&one_line(change));
        }
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
        return shown(&planned, unmet, out);
    }
    if dry_run {
        return shown(&planned, unmet, out);
    }
    confirm(&format!("Apply these {} changes?", changes.len()), yes)?;
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
    shown(&applied, unmet, out)
}

fn one_line(change: &Value) -> String {
    let path = change["path"].as_str().unwrap_or("-");
    format!("{path}: {} -> {}", change["from"], change["to"])
}

/// Shows a program the server's answer; fails where an option of the server is not as the profile needs it.
fn shown(answer: &Value, unmet: usize, out: Out) -> anyhow::Result<ExitCode> {
    if out.is_json() {
        out.json(answer);
    }
    Ok(if unmet == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
