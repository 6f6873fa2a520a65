//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use domain::credential::CredentialKind;
use url::Url;

use crate::commands::{Remote, RemoteGroup};
use crate::failure::{self, EXIT_CODES, Failure};
use crate::output::{Out, complain, delivered};
use crate::{commands, config, hardening, local, panics, serve, telemetry};

/// The AI gateway where every workspace brings its own provider keys.
///
/// Without a command it serves one person on this machine: see `keybearer local`.
#[derive(Parser)]
#[command(name = "keybearer", version, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// Print the result as one JSON document on standard output, and an error as JSON on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one person on this machine, with the provider keys of the environment.
    Local(local::Args),
    /// Tell the running local instance which provider keys this shell has now; connections are kept.
    Reload(local::ReloadArgs),
    /// Print a link into the console of the running local instance, and open it for a person at a terminal. It is good once,
    /// for five minutes.
    Console(local::ConsoleArgs),
    /// Run the server.
    Serve {
        #[command(flatten)]
        instance: Instance,
    },
    /// Open every stored record, check the ledger of credits and report on each; changes nothing. The server must not be
    /// running on SQLite. With --json each record is a JSON object in a line of its own, and the exit code is the verdict.
    ///
    /// Where no server's database is named or here, it looks at this user's local instance: its records where it does not run,
    /// else whether it answers, its keys, and whether the keys of this shell are those that it has.
    Doctor(commands::doctor::Args),
    /// Make a link to a new password at the server's machine: the way back in for an admin who forgot theirs.
    ///
    /// Needs the database and the root key, and nobody's leave. The link is good once, for an hour, and ends all sessions of its
    /// person; a link before it ends. The server must not be running on SQLite while the link is made, and must run when it is
    /// opened. The audit log has both.
    PasswordLink {
        #[command(flatten)]
        instance: Instance,
        /// The e-mail address of the person. Where nobody has it, the error names the admins of the instance.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
    },
    /// Manage the root key, under which everything is encrypted.
    #[command(subcommand)]
    RootKey(RootKeyCommand),
    /// Check or show the server's configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Create the first user of a new instance and print the variables that the other commands need.
    Init(commands::init::Args),
    /// Log in to a server, for the commands that follow.
    ///
    /// Without `--with-key` or `--email` a code is shown, and somebody who is logged in elsewhere approves it: nothing is typed
    /// here, and no password comes to this machine. At a terminal with a browser beside it (`BROWSER`, else the desktop's; not
    /// over SSH) Enter opens the page for it.
    ///
    /// What is kept (in `KEYBEARER_CONFIG_DIR`, else `keybearer` in the directory of configuration files) only its owner can
    /// read. `KEYBEARER_URL`, `KEYBEARER_API_KEY` and `KEYBEARER_WORKSPACE` win over it.
    Login(commands::login::Args),
    /// Forget a login, and end its session at the server.
    Logout(commands::login::LogoutArgs),
    /// Accept an invitation and log in. The invitation token, and for a new user a password on the next line, are read from
    /// the terminal or from standard input.
    Join(commands::join::Args),
    /// Show one's log-ins, and end them.
    Session(RemoteGroup<commands::session::Command>),
    /// Change one's password; ends one's other log-ins. The current and the new password are read from the terminal or, a line
    /// each, from standard input.
    Password(Remote<commands::Nothing>),
    /// Show who the commands act as, and where.
    Whoami(Remote<commands::Nothing>),
    /// Call any operation of the server that one is logged in to; `docs/openapi.json` has them all.
    Api(Remote<commands::api::Args>),
    /// Manage provider keys. Keys are sealed here before they leave.
    Keys(RemoteGroup<commands::keys::Command>),
    /// Manage the account's own keys, as the `/v1/byok` endpoints have them. Keys are sealed here before they leave.
    Byok(RemoteGroup<commands::byok::Command>),
    /// Seal a provider key here and print the submission, without sending it.
    Seal(Remote<commands::keys::SealArgs>),
    /// Manage one's workspaces.
    Workspace(RemoteGroup<commands::workspace::Command>),
    /// Manage the scripts that set a workspace's machines up. They run on every machine that does `workspace up`.
    Script(RemoteGroup<commands::script::Command>),
    /// Manage the services that a workspace's machines keep running.
    Service(RemoteGroup<commands::service::Command>),
    /// Manage who belongs to a workspace.
    Member(RemoteGroup<commands::member::Command>),
    /// Manage API keys, which programs present to this server.
    ApiKey(RemoteGroup<commands::api_key::Command>),
    /// Show or change who pays in a workspace.
    AiConfig(RemoteGroup<commands::ai_config::Command>),
    /// Show or change what calls of a workspace may do: models, fallbacks, prices.
    Policy(RemoteGroup<commands::policy::Command>),
    /// List the models that one's keys reach.
    Models(Remote<commands::models::Args>),
    /// Show the providers that the server knows.
    Provider(RemoteGroup<commands::models::ProviderCommand>),
    /// Explain which key would serve a model, who would pay, and why; calls no provider. Fails when none would.
    Resolve(Remote<commands::resolve::Args>),
    /// Make documents of prompts: generation runs, with a script, pictures or both.
    Generation(RemoteGroup<commands::generation::Command>),
    /// Show the calls of a workspace, or add them up. Neither prompts nor answers are kept.
    Usage(Remote<commands::usage::Args>),
    /// Show what goes through a workspace now and what it costs, once or as it happens.
    Status(Remote<commands::status::Args>),
    /// Show the credits of one's own account, and the last 30 days' usage.
    Credits(Remote<commands::credits::Args>),
    /// Show the plan of one's account, and the plans that there are.
    Plan(RemoteGroup<commands::policy::PlanCommand>),
    /// Show who did what.
    Audit(Remote<commands::audit::Args>),
    /// Run a program that finds the gateway under the names that SDKs read, with a key that ends with it.
    ///
    /// No provider key enters the program. It inherits of this environment only what says where and for whom it runs.
    Run(commands::run::Args),
    /// Start a tool with its own settings pointing at the gateway. Its files stay as they are.
    Launch(commands::run::LaunchArgs),
    /// Print how to point a tool at the gateway by hand.
    Setup(commands::run::SetupArgs),
    /// Print the variables that SDKs read, for a shell: `eval "$(keybearer env)"`. Their key can call models and ends by
    /// itself.
    Env(commands::run::EnvArgs),
    /// Become a program.
    #[command(hide = true, name = commands::run::STAGE)]
    Stage(commands::run::EnterArgs),
    /// Run a command whose end another process sees to.
    #[command(hide = true, name = commands::run::KEPT)]
    Kept(commands::run::KeptArgs),
    /// Make the instance behave like a product that people know. Needs an instance admin.
    Profile(RemoteGroup<commands::profile::Command>),
    /// Manage the instance. Needs an instance admin.
    Admin(RemoteGroup<commands::admin::Command>),
    /// Print what completes commands in a shell, such as: source <(keybearer completions bash)
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a manual page, such as: keybearer man keys add | man -l -
    Man(commands::shell::ManArgs),
}

impl Default for Command {
    fn default() -> Self {
        Self::Local(local::Args::default())
    }
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

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read the configuration as `serve` would, provider files included, and say what is wrong with it. Opens neither the
    /// database nor the root key.
    Validate {
        #[command(flatten)]
        instance: Instance,
    },
    /// Show every option with its value; passwords and the root key's command are hidden.
    Show {
        #[command(flatten)]
        instance: Instance,
    },
}

/// Where a server's configuration comes from.
#[derive(clap::Args)]
struct Instance {
    /// Configuration file; the environment (`KEYBEARER_*`) wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Parses the arguments and runs the command. The exit codes stand in `EXIT_CODES`.
pub fn run() -> ExitCode {
    panics::withhold_texts();
    hardening::apply();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_arguments(&error),
    };
    let cli = match cli.command {
        // Before anything is open here.
        Some(Command::Stage(args)) => return commands::run::enter(args, cli.json),
        Some(Command::Kept(args)) => match commands::run::begin_kept(args) {
            Ok(words) => match Cli::try_parse_from(words) {
                Ok(cli) => cli,
                Err(error) => return wrong_arguments(&error),
            },
            Err(error) => return fail(&error, cli.json),
        },
        _ => cli,
    };
    let command = cli.command.unwrap_or_default();
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
    let done = runtime.block_on(dispatch(command, Out::new(cli.json)));
    // A result that nobody got is none.
    match done.and_then(|code| delivered().map(|()| code)) {
        Ok(code) => code,
        Err(error) => fail(&error, cli.json),
    }
}

async fn dispatch(command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Local(args) => match args.command {
            Some(local::Command::NewApiKey(args)) => local::new_api_key(args, out).await,
            None => {
                local::run(args).await?;
                Ok(ExitCode::SUCCESS)
            }
        },
        Command::Reload(args) => local::reload(args, out).await,
        Command::Console(args) => local::console(args, out).await,
        Command::Serve { instance } => {
            let loaded = config::load(instance.config.as_deref())?;
            let filter = telemetry::start(&loaded.config)?;
            serve::serve(loaded, filter, None).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(args) => commands::doctor::run(args, out).await,
        Command::PasswordLink { instance, email } => {
            let loaded = config::load(instance.config.as_deref())?;
            commands::password_link::run(loaded, &email, out).await
        }
        Command::RootKey(RootKeyCommand::Rotate { instance, to }) => {
            commands::root_key::rotate(config::load(instance.config.as_deref())?, &to, out).await
        }
        Command::Config(ConfigCommand::Validate { instance }) => {
            commands::config::validate(config::load(instance.config.as_deref())?, out)
        }
        Command::Config(ConfigCommand::Show { instance }) => {
            commands::config::show(config::load(instance.config.as_deref())?, out)
        }
        Command::Init(args) => commands::init::run(args, out).await,
        Command::Login(args) => commands::login::log_in(args, out).await,
        Command::Logout(args) => commands::login::log_out(args, out).await,
        Command::Join(args) => commands::join::run(args, out).await,
        Command::Session(it) => it.run(commands::session::run, out).await,
        Command::Password(it) => {
            it.run_with_password(commands::session::change_password, out)
                .await
        }
        Command::Whoami(it) => it.run(commands::whoami::run, out).await,
        Command::Api(it) => it.run(commands::api::run, out).await,
        Command::Keys(it) => commands::keys::run(it, out).await,
        Command::Byok(it) => it.run(commands::byok::run, out).await,
        Command::Seal(it) => it.run(commands::keys::seal, out).await,
        Command::Workspace(it) => commands::workspace::run(it, out).await,
        Command::Script(it) => it.run(commands::script::run, out).await,
        Command::Service(it) => it.run(commands::service::run, out).await,
        Command::Member(it) => it.run(commands::member::run, out).await,
        Command::ApiKey(it) => it.run(commands::api_key::run, out).await,
        Command::AiConfig(it) => it.run(commands::ai_config::run, out).await,
        Command::Policy(it) => it.run(commands::policy::run, out).await,
        Command::Models(it) => it.run(commands::models::run, out).await,
        Command::Provider(it) => it.run(commands::models::run_provider, out).await,
        Command::Resolve(it) => it.run(commands::resolve::run, out).await,
        Command::Generation(it) => it.run(commands::generation::run, out).await,
        Command::Usage(it) => it.run(commands::usage::run, out).await,
        Command::Status(it) => it.run(commands::status::run, out).await,
        Command::Credits(it) => it.run(commands::credits::run, out).await,
        Command::Plan(it) => it.run(commands::policy::run_plan, out).await,
        Command::Audit(it) => it.run(commands::audit::run, out).await,
        Command::Run(args) => commands::run::kept(commands::run::run(args)).await,
        Command::Launch(args) => commands::run::kept(commands::run::launch(args)).await,
        Command::Setup(args) => commands::run::setup(&args, out).await,
        Command::Env(args) => commands::run::env(args, out).await,
        // Done before the runtime began.
        Command::Stage(args) => Ok(commands::run::enter(args, out.is_json())),
        Command::Kept(_) => Err(anyhow::anyhow!(
            "this command is called by this binary alone"
        )),
        Command::Profile(it) => it.run(commands::profile::run, out).await,
        Command::Admin(it) => it.run(commands::admin::run, out).await,
        Command::Completions { shell } => Ok(commands::shell::completions(Cli::command(), shell)),
        Command::Man(args) => commands::shell::man(Cli::command(), &args),
    }
}

/// What is wrong with the arguments, or the help that was asked for.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    // Parsing failed, so this is read by hand; what stands behind `--` is no option.
    let mut options = std::env::args_os().take_while(|argument| argument != "--");
    if let Some(text) = without_secrets(&error.to_string()) {
        let failure = usage_failure(&text).hint(
            "a secret is no argument, which everybody on this machine can read: it is typed at a prompt, or read from standard input; if that was one, replace it",
        );
        return fail(
            &failure.into(),
            options.any(|argument| argument == "--json"),
        );
    }
    if !error.use_stderr() || !options.any(|argument| argument == "--json") {
        let _ = error.print();
        if let Some(meant) = of_local_mode(error) {
            complain(&format!("hint: {meant}"));
        }
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = match error.kind() {
        // The text would be the whole help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => error.to_string(),
    };
    let failure = usage_failure(&text);
    let failure = match of_local_mode(error) {
        Some(meant) => failure.hint(meant),
        None => failure,
    };
    fail(&failure.into(), true)
}

/// What is wrong, without those of the arguments that look like a secret; `None`: none of those is in it.
fn without_secrets(text: &str) -> Option<String> {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.filter_map(|it| it.into_string().ok());
    let clean = redacted(text, arguments);
    (clean != text).then_some(clean)
}

/// `text` without those of these arguments, and of their words and values, that look like a secret.
fn redacted(text: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut clean = text.to_owned();
    for argument in arguments {
        for word in argument.split_whitespace() {
            let value = word.split_once('=').map(|(_, value)| value);
            for secret in [Some(word), value].into_iter().flatten() {
                if looks_secret(secret) {
                    clean = clean.replace(secret, "[redacted]");
                }
            }
        }
    }
    clean
}

/// Whether it begins as keys do (providers' and ours), has a password for a URL, or could be little else: ids here and nearly
/// all names of models are shorter.
fn looks_secret(text: &str) -> bool {
    const BEGINNINGS: [&str; 22] = [
        CredentialKind::ApiKey.prefix(),
        CredentialKind::Session.prefix(),
        CredentialKind::Invitation.prefix(),
        CredentialKind::DeviceCode.prefix(),
        CredentialKind::RunLink.prefix(),
        CredentialKind::Setup.prefix(),
        CredentialKind::ConsoleLink.prefix(),
        CredentialKind::PasswordLink.prefix(),
        "sk-",
        "sk_",
        "AIza",
        "ya29.",
        "gsk_",
        "xai-",
        "pplx-",
        "csk-",
        "fw_",
        "jina_",
        "hf_",
        "r8_",
        "nvapi-",
        "ghp_",
    ];
    // With the alphabets of base64, and the points between the parts of a signed token.
    let is_of_word = |it: u8| it.is_ascii_alphanumeric() || b"-_./+=~:".contains(&it);
    if text.starts_with("--") {
        return false;
    }
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        return !url.username().is_empty() || url.password().is_some();
    }
    if text.len() < 8 || !text.bytes().all(is_of_word) {
        return false;
    }
    let has = |which: fn(&u8) -> bool| text.bytes().any(|it| which(&it));
    let is_random = text.len() >= 32 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let begins = BEGINNINGS.iter().any(|it| text.starts_with(it));
    begins || (is_random && !Path::new(text).exists())
}

/// What was meant by an option of local mode without its command, which can be left out alone.
fn of_local_mode(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let first = std::env::args_os().nth(1)?;
    if !first.to_str()?.starts_with('-') {
        return None;
    }
    let command = Cli::command();
    let mut options = command.find_subcommand("local")?.get_arguments();
    let is_known = options.any(|it| it.get_long().is_some_and(|it| option == &format!("--{it}")));
    is_known.then(|| format!("keybearer local {option} ... has it"))
}

/// What the parser says to a person, in parts: what is wrong stands before the first blank line, a tip after it.
fn usage_failure(text: &str) -> Failure {
    let lines = text.lines().map(str::trim);
    let wrong: Vec<&str> = lines.clone().take_while(|line| !line.is_empty()).collect();
    let wrong = wrong.join(" ");
    let message = wrong.strip_prefix("error: ").unwrap_or(&wrong);
    let failure = Failure::usage(message).hint("--help shows what there is");
    match lines.clone().find_map(|line| line.strip_prefix("tip: ")) {
        Some(tip) => failure.suggestion(tip),
        None => failure,
    }
}

fn fail(error: &anyhow::Error, as_json: bool) -> ExitCode {
    complain(&failure::text(error, as_json));
    failure::exit_code(error)
}

/// What `docs/cli.md` says before the commands.
const INTRODUCTION: &str = "
One binary is the server and its command line. The commands of a server find it, and who they act as, in this order:

| | environment | else | else |
|---|---|---|---|
| server | `KEYBEARER_URL` | the current login | without a credential, where the local instance of this user listens, if it runs; else `http://127.0.0.1:4356` |
| credential | `KEYBEARER_API_KEY`, for `KEYBEARER_URL` or the default only | the login to that very server | the local instance of this user, if it runs and no other server is named; none: exit code 4 |
| workspace | `KEYBEARER_WORKSPACE` | the login's, or the local instance's | the API key's own, or a person's only one |

`--workspace` and `--email` win over all of these. A workspace is named by its id or by its name, there and in
`KEYBEARER_WORKSPACE`; where several of one's workspaces have the name, the error lists their ids. `keybearer login` shows a code to approve elsewhere; with `--email` it
takes a password, with `--with-key` an API key, which cannot do all that a person can. What it keeps is `logins.json` in
`KEYBEARER_CONFIG_DIR`, else in `keybearer` under `XDG_CONFIG_HOME` or `~/.config`, for its owner only; a file that others
can read is refused. Nothing is sent over plain HTTP except to this machine, nothing follows a redirect, and a credential
goes to no other server than its own: a login's to the server that was logged in to, the environment's to the one that
the environment names. `KEYBEARER_API_KEY` without `KEYBEARER_URL` is refused while the login is to another server than
the default; what sends no credential (`setup`, `run --inject none`, `keys trust`) takes the login's address then.

Provider keys are sealed on this machine before they are sent (except by `ai-config set --key`, which sends the key as
it is, over TLS or to this machine), to the sealing key that was seen first: if the server comes with another one,
nothing is sealed until `keybearer keys trust FINGERPRINT`, with a fingerprint from an instance admin. Secrets are typed
without echo, or read from standard input or a file; no option takes one, because arguments are seen by everybody on the
machine.

A list is a table on a terminal; elsewhere each entry is a line with tabs between its cells and without a header. `--json`
prints one JSON document: what the server answers, or what the command made of it where it does more than one call or
adds up (`status`, `usage --by`, `credits`, `models --all`, and what was deleted, left or rotated). Where `next` in it is
not null, or `truncated` is true, there was more than was read. `doctor`, `status --watch` and `api` of a stream print as
they go: the first two a JSON object in each line, `api` what the server sends. `run`, `launch` and `workspace up` print what their
programs do, `completions` and `man` text for other programs; of these `--json` changes the errors. Colours are left out where `NO_COLOR` is
set.
";

/// Every command that does something by itself, as it is typed (`keys add`), so that who goes through all of them leaves none
/// out.
pub fn commands() -> Vec<String> {
    fn below(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        let children = command
            .get_subcommands()
            .filter(|it| it.get_name() != "help" && !it.is_hide_set());
        for child in children {
            let name = format!("{name} {}", child.get_name());
            if !child.is_subcommand_required_set() {
                found.push(name.trim_start().to_owned());
            }
            below(child, &name, found);
        }
    }
    let mut found = Vec::new();
    below(&Cli::command(), "", &mut found);
    found
}

/// `docs/cli.md`: every command's help.
pub fn reference() -> String {
    let mut text =
        String::from("# Command line\n\n<!-- Generated by `make generate`; do not edit. -->\n");
    text.push_str(INTRODUCTION);
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
            .filter(|child| child.get_name() != "help" && !child.is_hide_set())
            .cloned();
        queue.extend(children.collect::<Vec<_>>().into_iter().rev());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(command: &clap::Command, check: &mut impl FnMut(&clap::Command)) {
        check(command);
        for child in command.get_subcommands() {
            every(child, check);
        }
    }

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_takes_a_secret() {
        // T174
        let mut seen = 0;
        every(&Cli::command(), &mut |command| {
            for argument in command.get_arguments() {
                seen += 1;
                let name = argument.get_id().as_str();
                let alarming = ["key", "password", "secret", "token", "credential"];
                let alarming = alarming.iter().any(|word| name.contains(word));
                let takes_value = argument.get_action().takes_values();
                // A file, and the name of an API key.
                let of_key = ["revoke", "set-model"].contains(&command.get_name());
                // An id, which no secret is read as.
                let by_id = ["usage", "list", "summary", "export"].contains(&command.get_name());
                let harmless = match name {
                    "token_file" => true,
                    "key" => of_key || by_id,
                    "api_key" => by_id,
                    // The number of a pipe.
                    "secrets" => command.get_name() == "run-stage",
                    _ => false,
                };
                assert!(
                    !(alarming && takes_value) || harmless,
                    "{} of {}",
                    name,
                    command.get_name()
                );
            }
        });
        assert!(seen > 50, "{seen} options");
    }

    #[test]
    fn what_looks_like_a_secret_is_not_repeated() {
        for secret in [
            "sk-abcdefgh",
            "kb_abcdefgh",
            "kbs_abcdefgh",
            "kbi_abcdefgh",
            "kbd_abcdefgh",
            "kbl_abcdefgh",
            "kbsetup_abcdefgh",
            "kbconsole_abcdefgh",
            "kbpassword_abcdefgh",
            "ya29.a0ARrdaM",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
            "aGVsbG8gd29ybGQgMTIzNDU2Nzg5MCBhYmM=",
            "aGVsbG8+d29ybGQ/MTIzNDU2Nzg5MCBhYmM/==",
            "0123456789abcdef0123456789abcdef",
            "postgres://keybearer:pass@localhost/keybearer",
        ] {
            for argument in [
                secret.to_owned(),
                format!("--key={secret}"),
                format!("OPENAI_API_KEY={secret}"),
                format!("Authorization: Bearer {secret}"),
            ] {
                let text = format!("unexpected argument '{argument}' found");
                let clean = redacted(&text, std::iter::once(argument));
                assert!(!clean.contains(secret), "{clean}");
            }
        }
        let path = format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        for harmless in [
            "openai/gpt-4o-2024-11-20",
            "--a-long-option-of-more-than-32-letters",
            "https://gateway.example.org:4356/api/v1/workspaces",
            "2026-11-20T20:00:00.000Z",
            "skip",
            &path,
        ] {
            let clean = redacted(harmless, std::iter::once(harmless.to_owned()));
            assert_eq!(clean, harmless);
        }
    }
}
