//! `keybearer launch` and `keybearer setup`: known tools with their own settings pointing at the gateway.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use runtime::tool::{Tool, Value};

use super::{With, set, unset};
use crate::client::{Api, Connection};
use crate::output::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    with: With,
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
    let api = Api::connect(&Connection::chosen()?)?;
    let launch = tool(&args.tool)?.launch(api.address(), api.host());
    let arguments = launch.arguments.into_iter().map(OsString::from);
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
    args.with.start(&api, program, arguments, change).await
}

/// `keybearer setup`. Asks no server.
pub(crate) fn setup(args: &SetupArgs) -> anyhow::Result<ExitCode> {
    let api = Api::connect(&Connection::anonymous(None)?)?;
    let text = tool(&args.tool)?.by_hand(api.address(), api.host());
    text.lines().for_each(say);
    Ok(ExitCode::SUCCESS)
}

fn tool(name: &str) -> anyhow::Result<Tool> {
    Tool::from_name(name).ok_or_else(|| anyhow::anyhow!("there is no tool {name}"))
}
