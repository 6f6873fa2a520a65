//! `keybearer workspace status`: what `workspace up` is doing on this machine.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::machine::{Machine, Seen};
use crate::client::{Api, NamedWorkspace};
use crate::commands::chosen_workspace;
use crate::output::{Column, Out, remark};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    workspace: Option<NamedWorkspace>,
}

const FACTS: &[Column] = &[
    ("PROCESS", "/process"),
    ("STARTED", "/started_at"),
    ("SANDBOX", "/sandbox"),
    ("SHA-256", "/content_sha256"),
];
const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("PROCESS", "/process"),
    ("STARTS", "/starts"),
    ("EXIT", "/exit_code"),
    ("SINCE", "/since"),
];

/// Ends with 1 where nothing is up, so that a script can ask.
pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let workspace = chosen_workspace(api, args.workspace.as_ref()).await?;
    let report = match Machine::look(workspace)? {
        Seen::Up(report) => report,
        Seen::Down => {
            out.done(
                &json!({"up": false, "workspace": workspace}),
                &format!("{workspace} is not up on this machine."),
            );
            return Ok(ExitCode::from(1));
        }
        Seen::Beginning => {
            out.done(
                &json!({"up": true, "workspace": workspace, "programs": []}),
                "It is being started: nothing runs yet.",
            );
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut answer = serde_json::to_value(report)?;
    answer["up"] = Value::Bool(true);
    if out.is_json() {
        out.json(&answer);
    } else {
        out.facts(&answer, FACTS);
        remark("");
        out.list(&json!({"data": answer["programs"]}), COLUMNS);
    }
    Ok(ExitCode::SUCCESS)
}
