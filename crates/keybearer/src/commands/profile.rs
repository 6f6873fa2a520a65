//! `keybearer profile`: bundles of settings that make an instance behave like a product people know.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{confirm, remark, say};
use crate::client::Api;
use crate::failure::Failure;
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
            out.list(&api.get_list("/api/v1/admin/profiles").await?, COLUMNS);
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
        let failure = Failure::usage(format!("{name:?} is not the name of a profile"));
        return Err(failure.hint("keybearer profile list shows them").into());
    }
    let path = format!("/api/v1/admin/profiles/{name}");
    let planned = api.post(&path, &json!({ "dry_run": true })).await?;
    let changes = planned["changes"].as_array().cloned().unwrap_or_default();
    for change in &changes {
        if !out.is_json() {
            say(&one_line(change));
        }
    }
    let mut unmet = Vec::new();
    for option in planned["requires"].as_array().into_iter().flatten() {
        if option["wanted"] != option["actual"] {
            let name = option["option"].as_str().unwrap_or("-");
            let line = format!(
                "the server's option `{name}` is {}; this profile needs {}",
                option["actual"], option["wanted"]
            );
            remark(&line);
            unmet.push(line);
        }
    }
    if changes.is_empty() {
        remark(&format!(
            "Nothing to change: the instance is as {name} has it."
        ));
        return shown(&planned, unmet.is_empty(), out);
    }
    if dry_run {
        return shown(&planned, unmet.is_empty(), out);
    }
    let mut question = format!("Apply these {} changes of {name}?", changes.len());
    if out.is_json() {
        // Nothing was shown so far.
        let shown = changes.iter().map(one_line).chain(unmet.iter().cloned());
        question = format!("{}. {question}", shown.collect::<Vec<_>>().join("; "));
    }
    confirm(&question, yes)?;
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
    shown(&applied, unmet.is_empty(), out)
}

fn one_line(change: &Value) -> String {
    let path = change["path"].as_str().unwrap_or("-");
    format!("{path}: {} -> {}", change["from"], change["to"])
}

/// Shows a program the server's answer; fails where an option of the server is not as the profile needs it.
fn shown(answer: &Value, fits: bool, out: Out) -> anyhow::Result<ExitCode> {
    if out.is_json() {
        out.json(answer);
    }
    Ok(if fits {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
