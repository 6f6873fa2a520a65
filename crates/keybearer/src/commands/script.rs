//! `keybearer script`: scripts that set a workspace's machines up.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use domain::service::{MAX_ORDER, MAX_SCRIPT_BYTES, RunOn, ServiceName};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::confirm;
use super::guarded::Guarded;
use super::workspace::Which;
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{Column, Out, say};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the scripts in the order in which they run.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Print a script's text.
    Show {
        /// The script's name.
        name: ServiceName,
        #[command(flatten)]
        which: Which,
        /// Print the tag of its state instead, for `update --if-match`.
        #[arg(long)]
        tag: bool,
    },
    /// Add a script. It runs on every machine that does `workspace up` from then on.
    Create {
        /// What to call it: a-z, 0-9 and hyphens.
        name: ServiceName,
        /// The file with its text, at most 64 KiB; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// `first_boot`: once on each machine; `every_start`: at every start.
        #[arg(long, default_value = "first_boot")]
        run_on: RunOn,
        /// Its place, 0 to 9999: lower ones run first, equal ones by name.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_ORDER)))]
        order: u16,
        #[command(flatten)]
        which: Which,
    },
    /// Change a script. A machine on which it ran at the first boot does not run it again.
    ///
    /// Where somebody else changes the same of it at that moment, nothing is changed.
    Update {
        /// The script's name.
        name: ServiceName,
        /// The file with its text, at most 64 KiB; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// `first_boot`: once on each machine; `every_start`: at every start.
        #[arg(long)]
        run_on: Option<RunOn>,
        /// Its place, 0 to 9999: lower ones run first, equal ones by name.
        #[arg(long, value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_ORDER)))]
        order: Option<u16>,
        /// Another name.
        #[arg(long, value_name = "NAME")]
        rename: Option<ServiceName>,
        #[command(flatten)]
        which: Which,
        /// Change it only if it is still in the state with this tag, as `show --tag` printed it before it was read.
        #[arg(long, value_name = "TAG")]
        if_match: Option<String>,
    },
    /// Delete a script. Machines on which it ran stay as they are. Asks.
    Delete {
        /// The script's name.
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
    ("RUN ON", "/run_on"),
    ("ORDER", "/order"),
    ("BYTES", "/content_bytes"),
    ("SHA-256", "/content_sha256"),
    ("CHANGED", "/updated_at"),
    ("ID", "/id"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { which } => {
            let path = which.path(api, "/scripts").await?;
            out.list(&api.get_list(&path).await?, COLUMNS);
        }
        Command::Show {
            name,
            which,
            tag: true,
        } => show_tag(api, &find(api, &which, "script", &name).await?, out).await?,
        Command::Show { name, which, .. } => {
            let script = api.get(&find(api, &which, "script", &name).await?).await?;
            if out.is_json() {
                out.json(&script);
            } else {
                let text = script["content"].as_str();
                let text = text.context("the server's answer lacks the text")?;
                out.file(text)?;
            }
        }
        Command::Create {
            name,
            file,
            run_on,
            order,
            which,
        } => {
            let body = json!({
                "name": name,
                "run_on": run_on,
                "order": order,
                "content": read(&file)?,
            });
            let path = which.path(api, "/scripts").await?;
            out.facts(&api.post(&path, &body).await?, COLUMNS);
        }
        Command::Update {
            name,
            file,
            run_on,
            order,
            rename,
            which,
            if_match,
        } => {
            let mut body = Map::new();
            if let Some(file) = file {
                body.insert("content".to_owned(), json!(read(&file)?));
            }
            put(&mut body, "run_on", run_on);
            put(&mut body, "order", order);
            put(&mut body, "name", rename);
            if body.is_empty() {
                return Err(Failure::nothing_to_change("script update").into());
            }
            let path = find(api, &which, "script", &name).await?;
            let changed = update(api, "script", &name, &path, body, if_match).await?;
            out.facts(&changed, COLUMNS);
        }
        Command::Delete { name, which, yes } => {
            let path = find(api, &which, "script", &name).await?;
            confirm(&format!("Delete the script {name}?"), yes)?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), &format!("Deleted {name}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a field into the body of a change, if it is to change.
pub(super) fn put(
    body: &mut Map<String, Value>,
    field: &str,
    value: Option<impl serde::Serialize>,
) {
    if let Some(value) = value {
        body.insert(field.to_owned(), json!(value));
    }
}

/// The path of the `script` or `service` that has a name.
pub(super) async fn find(
    api: &Api,
    which: &Which,
    what: &str,
    name: &ServiceName,
) -> anyhow::Result<String> {
    let path = which.path(api, &format!("/{what}s")).await?;
    let list = api.get_list(&path).await?;
    let mut entries = list["data"].as_array().into_iter().flatten();
    let found = entries.find(|entry| entry["name"] == name.as_str());
    let id = found.and_then(|entry| entry["id"].as_str());
    id.map(|id| format!("{path}/{id}")).ok_or_else(|| {
        let failure = Failure::new(Sort::Missing, format!("there is no {what} {name}"));
        let hint = format!("keybearer {what} list shows those that there are");
        failure.hint(hint).into()
    })
}

/// Changes the `script` or `service` with this name and path.
pub(super) async fn update(
    api: &Api,
    what: &str,
    name: &ServiceName,
    path: &str,
    changes: Map<String, Value>,
    if_match: Option<String>,
) -> anyhow::Result<Value> {
    let guarded = Guarded {
        path,
        method: Method::PATCH,
        what: &format!("the {what} {name}"),
        show: &format!("keybearer {what} show {name}"),
    };
    let changes = Value::Object(changes);
    guarded.set(api, &changes, if_match.as_deref()).await
}

/// Prints the tag of what is at a path.
pub(super) async fn show_tag(api: &Api, path: &str, out: Out) -> anyhow::Result<()> {
    let (_, tag) = api.get_tagged(path).await?;
    match out.is_json() {
        true => out.json(&Value::from(tag)),
        false => say(&tag),
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read {}", file.display());
    let mut text = String::new();
    // One byte more than may be, so that the server's limit is not met by cutting.
    let most = MAX_SCRIPT_BYTES as u64 + 1;
    let read = match file == Path::new("-") {
        true => std::io::stdin().take(most).read_to_string(&mut text),
        false => std::fs::File::open(file)
            .with_context(cannot)?
            .take(most)
            .read_to_string(&mut text),
    };
    read.with_context(cannot)?;
    Ok(text)
}
