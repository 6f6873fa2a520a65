//! `keybearer launch` and `keybearer setup`: known tools with their own settings pointing at the gateway.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use runtime::tool::{Launch, Tool, Value};
use serde_json::{Value as Json, json};

use super::{Inject, With, set, unset};
use crate::client::{Api, Connection};
use crate::config::variable;
use crate::failure::{Failure, Sort};
use crate::output::{Out, remark, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    with: With,
    /// Start it although a file of the project could send the key elsewhere, and let it read the project's settings.
    #[arg(long)]
    trust_project: bool,
    /// The tool.
    #[arg(value_parser = names())]
    tool: String,
    /// The tool's own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

#[derive(clap::Args)]
pub(crate) struct SetupArgs {
    /// The tool.
    #[arg(value_parser = names())]
    tool: String,
}

fn names() -> PossibleValuesParser {
    Tool::ALL.map(Tool::name).into()
}

/// `keybearer launch`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let api = Api::connect(&Connection::chosen().await?)?;
    let tool = tool(&args.tool)?;
    if !args.trust_project {
        check_project(tool)?;
    }
    let launch = tool.launch(api.address(), api.host());
    let wary: &[&str] = if args.trust_project { &[] } else { launch.wary };
    let arguments = launch.arguments.into_iter().map(OsString::from);
    let arguments = arguments.chain(wary.iter().map(OsString::from));
    let arguments = arguments.chain(args.arguments).collect();
    let change = |changes: &mut super::Changes<'_>| {
        for (name, value) in &launch.set {
            let value = match value {
                Value::Text(text) => text,
                Value::Key => changes.key,
            };
            set(changes.environment, name, value);
        }
        for name in launch.unset {
            unset(changes.environment, name);
        }
        Ok(())
    };
    let program = launch.program.into();
    // A tool is pointed at the gateway by its own settings; a provider's key would be of no use to it.
    let inject = Inject::Broker;
    args.with
        .start(&api, inject, program, arguments, change)
        .await
}

/// A tool that obeys a project's file would send the key where that says. Nothing is started then; where it is only told
/// to leave the project's files alone, that is said.
fn check_project(tool: Tool) -> anyhow::Result<()> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let home = variable("HOME").map(PathBuf::from);
    let home = home.and_then(|home| home.canonicalize().ok());
    let Some(file) = tool.obeyed_file(&here, home.as_deref()) else {
        if let Some(file) = tool.unread_file(&here, home.as_deref()) {
            remark(&format!(
                "{} is not read, since a project's files could make {} send the key elsewhere; --trust-project reads them",
                file.display(),
                tool.name()
            ));
        }
        return Ok(());
    };
    let message = format!(
        "{} could make {} send the key elsewhere",
        file.display(),
        tool.name()
    );
    let failure = Failure::new(Sort::Failed, message);
    Err(failure
        .hint("read it, and start again with --trust-project")
        .into())
}

/// `keybearer setup`. Asks no server, only the socket of a local instance where it is.
pub(crate) async fn setup(args: &SetupArgs, out: Out) -> anyhow::Result<ExitCode> {
    let connection = Connection::without_credential().await?;
    let api = Api::connect(&connection)?;
    let tool = tool(&args.tool)?;
    if connection.has_strange_key {
        remark(&format!(
            "These settings lead to {}, where you are logged in. KEYBEARER_API_KEY is set without KEYBEARER_URL and may be another server's: put an API key of this one there.",
            api.address()
        ));
    }
    if out.is_json() {
        let launch = tool.launch(api.address(), api.host());
        out.json(&described(&launch, connection.has_strange_key));
        return Ok(ExitCode::SUCCESS);
    }
    if connection.is_local {
        say(
            "# A local instance takes any placeholder for a key, unless it was started with --require-key:",
        );
        say("# export KEYBEARER_API_KEY=local");
    }
    if connection.has_strange_key {
        // What a shell reads as it stands must not give the key to a server that it may not be for.
        say("# It may be another server's here:");
        // Empty: it can be told so to every shell, also to one that ends at a variable that is not set.
        say("export KEYBEARER_API_KEY=''");
    }
    let text = tool.by_hand(api.address(), api.host());
    text.lines().for_each(say);
    Ok(ExitCode::SUCCESS)
}

/// How a tool is started, for a program: `set` has the variables' values, `set_to_api_key` names those that take an API key,
/// which is not the one of the environment where that may be another server's.
fn described(launch: &Launch, has_strange_key: bool) -> Json {
    let mut set = serde_json::Map::new();
    let mut set_to_api_key = Vec::new();
    for (name, value) in &launch.set {
        match value {
            Value::Text(text) => {
                set.insert((*name).to_owned(), json!(text));
            }
            Value::Key => set_to_api_key.push(name),
        }
    }
    let arguments = launch.arguments.iter().map(String::as_str);
    let arguments: Vec<&str> = arguments.chain(launch.wary.iter().copied()).collect();
    json!({
        "program": launch.program, "arguments": arguments,
        "set": set, "set_to_api_key": set_to_api_key, "unset": launch.unset,
        "api_key_may_be_of_another_server": has_strange_key,
    })
}

fn tool(name: &str) -> anyhow::Result<Tool> {
    Tool::from_name(name).ok_or_else(|| anyhow::anyhow!("there is no tool {name}"))
}
