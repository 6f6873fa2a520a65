//! `keybearer setup`: the first user, from the shell.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use domain::WorkspaceId;
use domain::credential::{CredentialKind, is_well_formed};
use serde_json::{Value, json};

use super::{read_secret, remark, say};
use crate::client::{Api, Connection, DEFAULT_URL};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server's address.
    #[arg(long, env = "KEYBEARER_URL", hide_env_values = true, default_value = DEFAULT_URL)]
    url: String,
    /// File with the set-up token, which the server writes at its start and this command removes when it is used.
    #[arg(long, value_name = "FILE", default_value = "data/setup-token")]
    token_file: PathBuf,
    /// E-mail address to log in with.
    #[arg(long)]
    email: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let token = std::fs::read_to_string(&args.token_file).with_context(|| {
        format!(
            "cannot read the set-up token from {}; a running server without users writes it",
            args.token_file.display()
        )
    })?;
    let api = Api::connect(&Connection {
        url: args.url,
        api_key: None,
    })?;
    let password = read_secret("Choose a password (10 characters or more): ")?;
    let password = password
        .expose(|bytes| String::from_utf8(bytes.to_vec()))
        .context("the password is not UTF-8")?;
    let body = json!({ "token": token.trim(), "email": args.email, "password": password });
    let created = api.post("/api/v1/setup", &body).await?;
    // Used up: a stale file would only mislead.
    let _ = std::fs::remove_file(&args.token_file);

    // The caller may `eval` what is printed, so nothing of the server's answer goes there unchecked.
    let api_key = text(&created, "/api_key/key")?;
    ensure!(
        is_well_formed(CredentialKind::ApiKey, &api_key),
        "the server's answer has no API key"
    );
    let workspace: WorkspaceId = text(&created, "/workspace_id")?
        .parse()
        .context("the server's answer has no workspace")?;
    remark("Created the first user and the workspace \"Personal\".");
    remark("The API key below is shown once; keep it like a password.");
    say(&format!("export KEYBEARER_URL='{}'", api.address()));
    say(&format!("export KEYBEARER_WORKSPACE={workspace}"));
    say(&format!("export KEYBEARER_API_KEY={api_key}"));
    Ok(ExitCode::SUCCESS)
}

fn text(body: &Value, pointer: &str) -> anyhow::Result<String> {
    let value = body.pointer(pointer).and_then(Value::as_str);
    value
        .map(str::to_owned)
        .with_context(|| format!("the server's answer lacks {pointer}"))
}
