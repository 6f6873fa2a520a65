//! `keybearer session` and `keybearer password`: one's own log-ins.

use std::process::ExitCode;

use domain::SessionId;
use serde_json::json;

use super::{Nothing, read_new_password, read_text};
use crate::client::Api;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List one's log-ins.
    List,
    /// End one of one's log-ins.
    End {
        /// The session's id.
        id: SessionId,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("THIS ONE", "/current"),
    ("PROGRAM", "/user_agent"),
    ("BEGAN", "/created_at"),
    ("LAST SEEN", "/last_seen_at"),
    ("ENDS", "/expires_at"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => out.list(&api.get_list("/api/v1/sessions").await?, COLUMNS),
        Command::End { id } => {
            api.delete(&format!("/api/v1/sessions/{id}")).await?;
            out.done(&json!({ "ended": true }), "Ended.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `typed`: the password with which the person logged in for this one command, who need not type it again.
pub(crate) async fn change_password(
    api: &Api,
    _: Nothing,
    typed: Option<String>,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let current = match typed {
        Some(typed) => typed,
        None => read_text("Current password: ", "the password")?,
    };
    let new = read_new_password("New")?;
    let body = json!({ "current_password": current, "new_password": new });
    api.put("/api/v1/me/password", &body).await?;
    out.done(
        &json!({ "changed": true }),
        "Changed; your other log-ins have ended.",
    );
    Ok(ExitCode::SUCCESS)
}
