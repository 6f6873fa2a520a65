//! `keybearer api-key`: API keys of a workspace, which programs present.

use std::process::ExitCode;

use anyhow::Context;
use domain::access::ApiScope;
use domain::credential::{CredentialKind, is_well_formed};
use domain::{ApiKeyId, Secret};
use serde_json::{Value, json};

use super::confirm;
use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::config::{API_KEY_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::logins::{Credential, Logins};
use crate::output::{Column, Out, deliver, printable, remark, tell};
use crate::sources;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the API keys that are in force; admins see everybody's.
    List {
        /// Also those that were revoked.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Mint an API key and print it: it is shown once.
    Create {
        /// What to call it.
        name: String,
        /// What it may do; can be repeated.
        #[arg(long, value_name = "SCOPE", default_value = "inference:invoke")]
        scope: Vec<ApiScope>,
        /// When it ends by itself: a date, or a time span such as `30d`.
        #[arg(long, value_name = "WHEN")]
        expires: Option<Moment>,
        /// The model that serves when a call with it says `default` or none.
        #[arg(long)]
        model: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Choose the model that serves when a call with an API key says `default` or none.
    SetModel {
        /// The id, or the name if only one has it.
        key: String,
        /// The model; without one the workspace's choice serves.
        model: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Replace the API key that the commands use by a new one, and print it or keep it with the login. The old one ends at
    /// once.
    Rotate,
    /// Revoke an API key with all that it minted. Asks.
    Revoke {
        /// The id, or the name if only one has it.
        key: String,
        #[command(flatten)]
        which: Which,
        /// Revoke without asking.
        #[arg(long)]
        yes: bool,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("KEY", "/prefix"),
    ("EXPIRES", "/expires_at"),
    ("LAST USED", "/last_used_at"),
    ("SCOPES", "/scopes"),
    ("REVOKED", "/revoked_at"),
];
/// More API keys are not shown at once.
const MOST: usize = 10_000;

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { all, which } => {
            let path = which.path(api, "/api-keys").await?;
            let mut keys = api.list(&path, &[], MOST).await?;
            if let Some(data) = keys["data"].as_array_mut() {
                data.retain(|key| all || key["revoked_at"].is_null());
            }
            // Nobody wants a column of dashes.
            let columns = if all { COLUMNS } else { &COLUMNS[..6] };
            out.list(&keys, columns);
        }
        Command::Create {
            name,
            scope,
            expires,
            model,
            which,
        } => {
            let path = which.path(api, "/api-keys").await?;
            let mut body = json!({ "name": name, "scopes": scope });
            if let Some(expires) = expires {
                body["expires_at"] = json!(expires.after(sources::system().now()));
            }
            if let Some(model) = model {
                body["default_model"] = json!(model);
            }
            let made = api.post(&path, &body).await?;
            print(&made, out)?;
        }
        Command::SetModel { key, model, which } => {
            let (_, path) = find(api, &which, &key).await?;
            let changed = api.patch(&path, &json!({ "default_model": model })).await?;
            out.facts(
                &changed,
                &[("API key", "/name"), ("model", "/default_model")],
            );
        }
        Command::Rotate => rotate(api, out).await?,
        Command::Revoke { key, which, yes } => {
            let (name, path) = find(api, &which, &key).await?;
            confirm(&format!("Revoke {name} with all that it minted?"), yes)?;
            api.delete(&path).await?;
            out.done(&json!({ "revoked": true }), &format!("Revoked {name}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The new key, if it has the form of one.
fn minted(made: &Value) -> anyhow::Result<&str> {
    let key = made["key"].as_str();
    key.filter(|key| is_well_formed(CredentialKind::ApiKey, key))
        .context("the server's answer has no API key")
}

/// The key alone on standard output, so that a script can take it.
pub(crate) fn print(made: &Value, out: Out) -> anyhow::Result<()> {
    let key = minted(made)?;
    let line = match out.is_json() {
        true if out.meets_terminal() => printable(&made.to_string()),
        true => made.to_string(),
        false => key.to_owned(),
    };
    if let Err(error) = deliver(format!("{line}\n").as_bytes()) {
        // It will not be shown again, and what it replaced may be dead.
        tell(&format!("standard output: {error}; the key is {key}"));
    }
    remark(&format!(
        "Minted {}. It is shown once; keep it like a password.",
        made["id"].as_str().unwrap_or("-")
    ));
    Ok(())
}

async fn rotate(api: &Api, out: Out) -> anyhow::Result<()> {
    let workspace = api.workspace().await?;
    let path = format!("/api/v1/workspaces/{workspace}/api-keys/self/rotate");
    let made = api.post(&path, &json!({})).await?;
    let key = minted(&made)?;
    // Only now, so that nothing that another program writes in the meantime is lost.
    let kept = Logins::change(|logins| {
        let server = logins.servers.get_mut(&api.origin());
        let kept = server.filter(
            |server| matches!(&server.credential, Some(Credential::ApiKey(old)) if api.presents(old)),
        );
        let Some(server) = kept else { return Ok(false) };
        server.credential = Some(Credential::ApiKey(Secret::from_text(key.to_owned())));
        Ok(true)
    });
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => {
            // The old one is gone: better on the terminal than nowhere.
            print(&made, out)?;
            return Err(error);
        }
    };
    if kept {
        let shown = json!({ "id": made["id"], "prefix": made["prefix"] });
        out.done(&shown, "Rotated; the login has the new key.");
    } else {
        print(&made, out)?;
    }
    if variable(API_KEY_VARIABLE).is_some() {
        remark("KEYBEARER_API_KEY still has the old one, which ended.");
    }
    Ok(())
}

/// A key by id, or by a name that only one has: its name, and its path in the API.
async fn find(api: &Api, which: &Which, key: &str) -> anyhow::Result<(String, String)> {
    let path = which.path(api, "/api-keys").await?;
    let keys = api.list(&path, &[], MOST).await?;
    let keys = keys["data"].as_array().cloned().unwrap_or_default();
    let in_force = |entry: &&Value| entry["revoked_at"].is_null();
    let by_id = key.parse::<ApiKeyId>().is_ok();
    let field = if by_id { "id" } else { "name" };
    let found: Vec<&Value> = keys
        .iter()
        .filter(in_force)
        .filter(|entry| entry[field] == key)
        .collect();
    match found[..] {
        [one] => {
            let text = |field: &str| one[field].as_str().unwrap_or("-").to_owned();
            let name = format!("{:?} ({})", text("name"), text("prefix"));
            Ok((name, format!("{path}/{}", text("id"))))
        }
        [] => {
            let failure = Failure::new(Sort::Missing, format!("there is no API key {key}"));
            Err(failure.hint("keybearer api-key list shows them").into())
        }
        _ => {
            let ids: Vec<_> = found.iter().filter_map(|it| it["id"].as_str()).collect();
            let message = format!("several API keys have this name: {}", ids.join(", "));
            Err(Failure::new(Sort::Failed, message).into())
        }
    }
}
