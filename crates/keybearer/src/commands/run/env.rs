//! `keybearer env`: the variables for a shell, or in a file.

use std::io::{ErrorKind, IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use runtime::variables::{Form, Gateway, write};
use serde_json::{Map, Value, json};

use super::chosen_workspace;
use super::lease::{self, Lease};
use crate::client::{Api, Connection, NamedWorkspace};
use crate::files::replace;
use crate::output::{Out, deliver, remark};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    #[arg(long)]
    workspace: Option<NamedWorkspace>,
    /// Hours until the key ends, 1 to 24.
    #[arg(long, value_name = "HOURS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=24))]
    hours: u64,
    /// Write `NAME=value` lines to this file, for its owner only, in place of what it had; nothing is printed.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// `keybearer env`.
pub(crate) async fn run(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    // Looked at before there is a key.
    let file = args.file.as_deref().map(place).transpose()?;
    let api = Api::connect(&Connection::chosen().await?)?;
    let workspace = chosen_workspace(&api, args.workspace.as_ref()).await?;
    let life = Duration::from_secs(args.hours * 3600);
    let name = lease::name("env", "".as_ref());
    let lease = Lease::take(&api, workspace, &name, life).await?;
    let written = lease.key().expose(|key| {
        let gateway = Gateway {
            address: api.address(),
            key: str::from_utf8(key).context("the server's key is not text")?,
        };
        let variables = gateway.variables();
        match &file {
            Some(file) => replace(file, 0o600, write(&variables, Form::EnvFile).as_bytes()),
            None if out.is_json() => {
                let variables: Map<String, Value> = variables
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), Value::String(value)))
                    .collect();
                let shown = json!({
                    "variables": variables, "id": lease.id().to_string(),
                    "workspace_id": workspace, "expires_at": lease.ends_at,
                });
                deliver(format!("{shown}\n").as_bytes()).context("standard output")
            }
            None => {
                let text = write(&variables, Form::Shell);
                deliver(text.as_bytes()).context("standard output")
            }
        }
    });
    if let Err(error) = written {
        lease.give_back().await;
        return Err(error);
    }
    if let Some(file) = file.as_ref().filter(|_| out.is_json()) {
        out.json(&json!({
            "file": file, "id": lease.id().to_string(), "workspace_id": workspace, "expires_at": lease.ends_at,
        }));
    }
    if file.is_none() && stdout().is_terminal() {
        remark("Meant for a shell: eval \"$(keybearer env)\"");
    }
    remark(&format!(
        "The key {} can call models in {workspace} until {}.",
        lease.id(),
        lease.ends_at
    ));
    Ok(ExitCode::SUCCESS)
}

/// The file that is meant: a link's is what it leads to. What is no plain file is not replaced: a device or a pipe would be
/// gone, for everybody on the machine.
fn place(file: &Path) -> anyhow::Result<PathBuf> {
    let shown = || format!("cannot write {}", file.display());
    let file = match file.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(file.to_owned()),
        Ok(metadata) if metadata.is_symlink() => file.canonicalize(),
        known => known.map(|_| file.to_owned()),
    }
    .with_context(shown)?;
    let is_file = file.symlink_metadata().with_context(shown)?.is_file();
    ensure!(is_file, "{}: {} is no plain file", shown(), file.display());
    Ok(file)
}
