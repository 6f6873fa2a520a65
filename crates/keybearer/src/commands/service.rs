//! `keybearer service`: services that a workspace's machines keep running.

use std::collections::BTreeMap;
use std::process::ExitCode;

use domain::service::{Restart, ServiceName};
use serde_json::{Map, Value, json};

use super::confirm;
use super::script::{find, put, show_tag, update};
use super::workspace::Which;
use crate::client::Api;
use crate::failure::Failure;
use crate::output::{Column, Out};

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
        /// Print the tag of its state instead, for `update --if-match`.
        #[arg(long)]
        tag: bool,
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
    ///
    /// Where somebody else changes the same of it at that moment, nothing is changed.
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
        /// Change it only if it is still in the state with this tag, as `show --tag` printed it before it was read.
        #[arg(long, value_name = "TAG")]
        if_match: Option<String>,
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
            out.list(&worded(api.get_list(&path).await?, out), COLUMNS);
        }
        Command::Show {
            name,
            which,
            tag: true,
        } => show_tag(api, &find(api, &which, "service", &name).await?, out).await?,
        Command::Show { name, which, .. } => {
            let path = find(api, &which, "service", &name).await?;
            out.facts(&worded(api.get(&path).await?, out), FACTS);
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
            out.facts(&worded(api.post(&path, &body).await?, out), FACTS);
        }
        Command::Update {
            name,
            variables,
            no_env,
            restart,
            auto_enable,
            rename,
            which,
            if_match,
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
            let changed = update(api, "service", &name, &path, body, if_match).await?;
            out.facts(&worded(changed, out), FACTS);
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

/// For a person a service, or a list of them, with its command as one would type it.
fn worded(mut answer: Value, out: Out) -> Value {
    if out.is_json() {
        return answer;
    }
    let services = match answer["data"].as_array_mut() {
        Some(list) => list.as_mut_slice(),
        None => std::slice::from_mut(&mut answer),
    };
    for service in services {
        if let Some(words) = service["command"].as_array() {
            let words = words.iter().filter_map(Value::as_str);
            let words: Vec<String> = words.map(runtime::variables::quoted).collect();
            service["command"] = Value::String(words.join(" "));
        }
    }
    answer
}

fn given(variables: &[String]) -> anyhow::Result<BTreeMap<&str, &str>> {
    let pairs = variables.iter().map(|text| {
        let pair = text.split_once('=');
        pair.ok_or_else(|| Failure::usage("--env takes NAME=VALUE").into())
    });
    pairs.collect()
}
