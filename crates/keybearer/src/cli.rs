//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{commands, config, hardening, serve, telemetry};

/// The AI gateway where every workspace brings its own provider keys.
#[derive(Parser)]
#[command(name = "keybearer", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        #[command(flatten)]
        instance: Instance,
    },
    /// Open every stored record, check the ledger of credits and report on each; changes nothing. The server must not be running on SQLite.
    Doctor {
        #[command(flatten)]
        instance: Instance,
        /// Print one JSON object a record.
        #[arg(long)]
        json: bool,
    },
    /// Manage the root key, under which everything is encrypted.
    #[command(subcommand)]
    RootKey(RootKeyCommand),
    /// Create the first user of a new instance and print the variables that the other commands need.
    Init(commands::init::Args),
    /// Manage provider keys. Keys are sealed here before they leave.
    ///
    /// Needs `KEYBEARER_API_KEY`, and `KEYBEARER_URL` where the server is not at http://127.0.0.1:4356.
    Keys {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(subcommand)]
        command: commands::keys::Command,
    },
    /// Show or change who pays in a workspace.
    AiConfig {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(subcommand)]
        command: commands::ai_config::Command,
    },
    /// Explain which key would serve a model, who would pay, and why; calls no provider. Fails when none would.
    Resolve {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(flatten)]
        args: commands::resolve::Args,
    },
    /// Show the credits of the workspace's account, and the last 30 days' usage.
    Credits {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(flatten)]
        args: commands::credits::Args,
    },
    /// Make the instance behave like a product that people know. Needs an instance admin.
    Profile {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(subcommand)]
        command: commands::profile::Command,
    },
}

#[derive(Subcommand)]
enum RootKeyCommand {
    /// Put everything under another root key. Stop every server of this database first. Can be run again when it was
    /// interrupted; until it is through, both keys are needed.
    Rotate {
        #[command(flatten)]
        instance: Instance,
        /// The file with the new root key: 32 raw bytes, owner-only; made if it does not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Where a server's configuration comes from.
#[derive(clap::Args)]
struct Instance {
    /// Configuration file; the environment (`KEYBEARER_*`) wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Parses the arguments and runs the command. Exit codes: 0 done, 1 failed, 2 wrong arguments.
pub fn run() -> ExitCode {
    hardening::apply();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match runtime.block_on(dispatch(cli.command)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { instance } => {
            let loaded = config::load(instance.config.as_deref())?;
            telemetry::start(&loaded.config)?;
            serve::serve(loaded).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { instance, json } => {
            commands::doctor::run(config::load(instance.config.as_deref())?, json).await
        }
        Command::RootKey(RootKeyCommand::Rotate { instance, to }) => {
            commands::root_key::rotate(config::load(instance.config.as_deref())?, &to).await
        }
        Command::Init(args) => commands::init::run(args).await,
        Command::Keys { log_in, command } => {
            log_in
                .run(async |api| commands::keys::run(api, command).await)
                .await
        }
        Command::AiConfig { log_in, command } => {
            log_in
                .run(async |api| commands::ai_config::run(api, command).await)
                .await
        }
        Command::Resolve { log_in, args } => {
            log_in
                .run(async |api| commands::resolve::run(api, args).await)
                .await
        }
        Command::Credits { log_in, args } => {
            log_in
                .run(async |api| commands::credits::run(api, args).await)
                .await
        }
        Command::Profile { log_in, command } => {
            log_in
                .run(async |api| commands::profile::run(api, command).await)
                .await
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the command line speaks to its user here"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// `docs/cli.md`: every command's help.
pub fn reference() -> String {
    use clap::CommandFactory;

    let mut text =
        String::from("# Command line\n\n<!-- Generated by `make generate`; do not edit. -->\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut queue = vec![root];
    while let Some(mut command) = queue.pop() {
        let name = command
            .get_bin_name()
            .unwrap_or_else(|| command.get_name())
            .to_owned();
        // The environment's values must not enter a committed file.
        let help = command.render_long_help().to_string();
        let help = help
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n");
        text.push_str(&format!(
            "\n## `{name}`\n\n```text\n{}\n```\n",
            help.trim_end()
        ));
        let children = command
            .get_subcommands()
            .filter(|child| child.get_name() != "help")
            .cloned();
        queue.extend(children.collect::<Vec<_>>().into_iter().rev());
    }
    text
}
