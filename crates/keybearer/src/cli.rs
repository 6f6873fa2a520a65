//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{self, EXIT_CODES};
use crate::output::{Out, complain};
use crate::{commands, config, hardening, serve, telemetry};

/// The AI gateway where every workspace brings its own provider keys.
#[derive(Parser)]
#[command(name = "keybearer", version, arg_required_else_help = true, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// Print the result as JSON on standard output, and an error as JSON on standard error.
    #[arg(long, global = true)]
    json: bool,
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
    },
    /// Manage the root key, under which everything is encrypted.
    #[command(subcommand)]
    RootKey(RootKeyCommand),
    /// Create the first user of a new instance and print the variables that the other commands need.
    Init(commands::init::Args),
    /// Log in to a server, for the commands that follow.
    ///
    /// What is kept (in `KEYBEARER_CONFIG_DIR`, else `keybearer` in the directory of configuration files) only its owner can
    /// read. `KEYBEARER_URL`, `KEYBEARER_API_KEY` and `KEYBEARER_WORKSPACE` win over it.
    Login(commands::login::Args),
    /// Forget a login, and end its session at the server.
    Logout(commands::login::LogoutArgs),
    /// Show who the commands act as, and where.
    Whoami {
        #[command(flatten)]
        log_in: commands::LogIn,
    },
    /// Call any operation of the server that one is logged in to; `docs/openapi.json` has them all.
    Api {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(flatten)]
        args: commands::api::Args,
    },
    /// Manage provider keys. Keys are sealed here before they leave.
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
    /// Seal a provider key here and print the submission, without sending it.
    Seal {
        #[command(flatten)]
        log_in: commands::LogIn,
        #[command(flatten)]
        args: commands::keys::SealArgs,
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

/// Parses the arguments and runs the command. The exit codes stand in [`EXIT_CODES`].
pub fn run() -> ExitCode {
    hardening::apply();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = anyhow::Error::new(error).context("cannot start the runtime");
            return fail(&error, cli.json);
        }
    };
    match runtime.block_on(dispatch(cli.command, Out::new(cli.json))) {
        Ok(code) => code,
        Err(error) => fail(&error, cli.json),
    }
}

async fn dispatch(command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { instance } => {
            let loaded = config::load(instance.config.as_deref())?;
            telemetry::start(&loaded.config)?;
            serve::serve(loaded).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { instance } => {
            commands::doctor::run(config::load(instance.config.as_deref())?, out).await
        }
        Command::RootKey(RootKeyCommand::Rotate { instance, to }) => {
            commands::root_key::rotate(config::load(instance.config.as_deref())?, &to).await
        }
        Command::Init(args) => commands::init::run(args, out).await,
        Command::Login(args) => commands::login::log_in(args, out).await,
        Command::Logout(args) => commands::login::log_out(args, out).await,
        Command::Whoami { log_in } => {
            log_in
                .run(async |api| commands::whoami::run(api, out).await)
                .await
        }
        Command::Api { log_in, args } => {
            log_in
                .run(async |api| commands::api::run(api, args, out).await)
                .await
        }
        Command::Keys { log_in, command } => {
            log_in
                .run(async |api| commands::keys::run(api, command, out).await)
                .await
        }
        Command::Seal { log_in, args } => {
            log_in
                .run(async |api| commands::keys::seal(api, args, out).await)
                .await
        }
        Command::AiConfig { log_in, command } => {
            log_in
                .run(async |api| commands::ai_config::run(api, command, out).await)
                .await
        }
        Command::Resolve { log_in, args } => {
            log_in
                .run(async |api| commands::resolve::run(api, args, out).await)
                .await
        }
        Command::Credits { log_in } => {
            log_in
                .run(async |api| commands::credits::run(api, out).await)
                .await
        }
        Command::Profile { log_in, command } => {
            log_in
                .run(async |api| commands::profile::run(api, command, out).await)
                .await
        }
    }
}

fn fail(error: &anyhow::Error, as_json: bool) -> ExitCode {
    complain(&failure::text(error, as_json));
    failure::exit_code(error)
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
