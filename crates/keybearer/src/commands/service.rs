//! `keybearer service`: services that a workspace's machines keep running.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use domain::WorkspaceId;
use domain::service::{Restart, ServiceName};
use serde_json::{Map, Value, json};

use super::run::up::plan::Plan;
use super::script::{find, put};
use super::workspace::Which;
use super::{chosen_workspace, confirm};
use crate::client::Api;
use crate::failure::Failure;
use crate::output::{Column, Out, remark};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the services.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Show a service.
    Show {
        /// The service's name.
        name: ServiceName,
        #[command(flatten)]
        which: Which,
    },
    /// Add a service.
    Create {
        /// What to call it: a-z, 0-9 and hyphens.
        name: ServiceName,
        /// A variable of its own, no secret: members see it. Can be given more than once.
        #[arg(long = "env", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        /// What happens when it ends by itself: `always`, `on-failure` or `no`.
        #[arg(long, default_value = "on-failure")]
        restart: Restart,
        /// Let `workspace up` start it.
        #[arg(long)]
        auto_enable: bool,
        #[command(flatten)]
        which: Which,
        /// The program and its arguments. No shell reads them.
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Change a service. Where it runs it goes on as it was started.
    Update {
        /// The service's name.
        name: ServiceName,
        /// A variable of its own; those that are given take the place of all that it has. Can be given more than once.
        #[arg(long = "env", value_name = "NAME=VALUE", conflicts_with = "no_env")]
        variables: Vec<String>,
        /// Leave it no variables of its own.
        #[arg(long)]
        no_env: bool,
        /// What happens when it ends by itself: `always`, `on-failure` or `no`.
        #[arg(long)]
        restart: Option<Restart>,
        /// Whether `workspace up` starts it.
        #[arg(long, value_name = "BOOL")]
        auto_enable: Option<bool>,
        /// Another name.
        #[arg(long, value_name = "NAME")]
        rename: Option<ServiceName>,
        #[command(flatten)]
        which: Which,
        /// The program and its arguments. No shell reads them.
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Delete a service. Where it runs it goes on until that ends. Asks.
    Delete {
        /// The service's name.
        name: ServiceName,
        #[command(flatten)]
        which: Which,
        /// Delete without asking.
        #[arg(long)]
        yes: bool,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("COMMAND", "/command"),
    ("RESTART", "/restart"),
    ("AUTO", "/auto_enable"),
    ("CHANGED", "/updated_at"),
    ("ID", "/id"),
];
const FACTS: &[Column] = &[
    ("NAME", "/name"),
    ("COMMAND", "/command"),
    ("ENV", "/env"),
    ("RESTART", "/restart"),
    ("AUTO", "/auto_enable"),
    ("SHA-256", "/content_sha256"),
    ("CHANGED", "/updated_at"),
    ("ID", "/id"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { which } => {
            let path = which.path(api, "/services").await?;
            out.list(&api.get_list(&path).await?, COLUMNS);
        }
        Command::Show { name, which } => {
            let path = find(api, &which, "service", &name).await?;
            out.facts(&api.get(&path).await?, FACTS);
        }
        Command::Create {
            name,
            variables,
            restart,
            auto_enable,
            which,
            command,
        } => {
            let body = json!({
                "name": name,
                "command": command,
                "env": given(&variables)?,
                "restart": restart,
                "auto_enable": auto_enable,
            });
            let path = which.path(api, "/services").await?;
            out.facts(&api.post(&path, &body).await?, FACTS);
        }
        Command::Update {
            name,
            variables,
            no_env,
            restart,
            auto_enable,
            rename,
            which,
            command,
        } => {
            let mut body = Map::new();
            if no_env || !variables.is_empty() {
                body.insert("env".to_owned(), json!(given(&variables)?));
            }
            put(&mut body, "restart", restart);
            put(&mut body, "auto_enable", auto_enable);
            put(&mut body, "name", rename);
            put(
                &mut body,
                "command",
                Some(command).filter(|it| !it.is_empty()),
            );
            if body.is_empty() {
                return Err(Failure::nothing_to_change("service update").into());
            }
            let path = find(api, &which, "service", &name).await?;
            out.facts(&api.patch(&path, &Value::Object(body)).await?, FACTS);
        }
        Command::Delete { name, which, yes } => {
            let path = find(api, &which, "service", &name).await?;
            confirm(&format!("Delete the service {name}?"), yes)?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), &format!("Deleted {name}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn given(variables: &[String]) -> anyhow::Result<BTreeMap<&str, &str>> {
    let pairs = variables.iter().map(|text| {
        let pair = text.split_once('=');
        pair.ok_or_else(|| Failure::usage("--env takes NAME=VALUE").into())
    });
    pairs.collect()
}

#[derive(clap::Args)]
pub(crate) struct RenderArgs {
    /// The workspace; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    workspace: Option<WorkspaceId>,
    /// Units for systemd, with the scripts beside them.
    #[arg(long, conflicts_with = "compose")]
    systemd: bool,
    /// A file for Compose.
    #[arg(long)]
    compose: bool,
    /// The directory to write into; it is made. Files of the same names are replaced.
    #[arg(long, value_name = "DIRECTORY")]
    to: PathBuf,
}

/// `keybearer workspace render`.
pub(super) async fn render(api: &Api, args: RenderArgs) -> anyhow::Result<()> {
    if !args.systemd && !args.compose {
        return Err(Failure::usage("for whom? give --systemd or --compose").into());
    }
    let workspace = chosen_workspace(api, args.workspace).await?;
    let plan = Plan::read(api, workspace).await?;
    let cannot = || format!("cannot write into {}", args.to.display());
    std::fs::create_dir_all(&args.to).with_context(cannot)?;
    let directory = args.to.canonicalize().with_context(cannot)?;
    let shown = directory.to_str().context("the directory is not UTF-8")?;
    let services: Vec<_> = plan.services.into_iter().map(|it| it.service).collect();
    let files = if args.systemd {
        let scripts: Vec<_> = plan.scripts.into_iter().map(|due| due.script).collect();
        runtime::render::systemd(workspace, shown, &scripts, &services)
    } else {
        vec![runtime::render::compose(workspace, &services)]
    };
    for file in &files {
        write(&directory.join(&file.name), &file.text).with_context(cannot)?;
        remark(&format!("Wrote {shown}/{}.", file.name));
    }
    remark("No key is in them; each begins with how to give one.");
    Ok(())
}

/// Puts a file in place as a whole.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    // A script is run by its own first line.
    let mode = match path.extension().is_some_and(|it| it == "script") {
        true => 0o755,
        false => 0o644,
    };
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}
