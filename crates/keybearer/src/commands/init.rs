//! `keybearer init`: the first user, from the shell.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use domain::credential::{CredentialKind, is_well_formed};
use domain::{Secret, WorkspaceId};
use serde_json::{Value, json};

use super::login::keep;
use super::{read_new_password, remark, say};
use crate::client::{Api, Connection, DEFAULT_URL};
use crate::config::{URL_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::logins::Credential;
use crate::output::Out;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server's address; `KEYBEARER_URL` or http://127.0.0.1:4356 unless given.
    #[arg(long)]
    url: Option<String>,
    /// File with the set-up token, which the server writes at its start and this command removes when it is used.
    #[arg(long, value_name = "FILE", default_value = "data/setup-token")]
    token_file: PathBuf,
    /// E-mail address to log in with.
    #[arg(long)]
    email: String,
    /// Keep the API key as this machine's login instead of printing it.
    #[arg(long)]
    login: bool,
}

pub(crate) async fn run(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    // Not the login's: a new instance is not the one that was logged in to.
    let url = args.url.or_else(|| variable(URL_VARIABLE));
    let url = url.unwrap_or_else(|| DEFAULT_URL.to_owned());
    let mut api = Api::connect(&Connection::anonymous(Some(url))?)?;
    let status = api.get("/api/v1/setup").await?;
    if status["needed"] != Value::Bool(true) {
        let failure = Failure::new(Sort::Failed, "this instance has its first user already");
        return Err(failure.hint("log in instead: keybearer login").into());
    }
    let token = std::fs::read_to_string(&args.token_file).map_err(|error| {
        let file = args.token_file.display();
        let message = format!("cannot read the set-up token from {file}: {error}");
        let failure = Failure::new(Sort::Failed, message);
        failure.hint("the server writes it to `setup-token` in its data_dir; --token-file names it")
    })?;
    let password = read_new_password("Choose a")?;
    let body = json!({ "token": token.trim(), "email": args.email, "password": password });
    let created = api.set_up(&body).await?;
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
    if args.login {
        let credential = Credential::ApiKey(Secret::from_text(api_key));
        let connection = Connection {
            url: api.address().to_owned(),
            credential: Some(credential.copy()),
            workspace: None,
            is_local: false,
            has_strange_key: false,
        };
        keep(&Api::connect(&connection)?, credential, None, out).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if out.is_json() {
        out.json(&json!({
            "url": api.address(), "workspace_id": workspace, "api_key": api_key,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    if stdout().is_terminal() {
        remark("The API key below is shown once; keep it like a password.");
    } else {
        remark(
            "The API key is shown once: keep a copy of $KEYBEARER_API_KEY where you keep passwords.",
        );
    }
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
