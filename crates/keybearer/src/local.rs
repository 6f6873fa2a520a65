//! Local mode: the same server for one person on one machine, whose provider keys are in the environment.
//!
//! It is a configuration: other defaults ([`config::load_local`]), one user made at the first start
//! (`control::ops::local`), and calls without an API key taken as that user's (`gateway`). What is found in the
//! environment is kept in step by `rotation`.

mod ask;
mod env_file;
mod examine;
mod exchange;
mod files;
mod rotation;
mod socket;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use control::ControlState;
use control::ops::local::{self, Change, What};
use domain::ProviderId;
use gateway::Gateway;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::config::{self, Config, Probe};
use crate::output::{deliver, is_quiet};
use crate::serve::{self, refused};
use crate::telemetry;

pub(crate) use ask::{
    ConsoleArgs, NewApiKeyArgs, ReloadArgs, connection, console, directory, new_api_key, reload,
};
use env_file::EnvFile;
pub(crate) use examine::examine;
use exchange::{Instance, Line, Names};
use rotation::Rotation;

#[derive(clap::Args, Default)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Configuration file; the environment (`KEYBEARER_*`) wins over it. None is needed.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with `KEY=value` lines. It is watched: a changed key serves the next request. What it sets wins over the
    /// environment.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Ask every caller for the API key that is printed, instead of taking calls from programs of this machine as they
    /// come.
    #[arg(long)]
    require_key: bool,
    /// Try each key with one token at its provider before it is stored.
    #[arg(long)]
    probe: bool,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Mint an API key of the running local instance's workspace and print it: it is shown once.
    ///
    /// It takes no login. The key stays good when the instance starts again; `keybearer api-key revoke` ends it.
    NewApiKey(NewApiKeyArgs),
}

/// What local mode adds to a server.
pub(crate) struct Local {
    /// Where its configuration was read from, if anything was said.
    config_file: Option<PathBuf>,
    require_key: bool,
    env_file: Option<EnvFile>,
}

/// Whether an instance with this data directory runs.
pub(crate) async fn runs_in(directory: &Path) -> bool {
    socket::answers(directory).await
}

/// What keeps the keys in step while the server runs. Ends with its value.
pub(crate) struct Running {
    rotation: Arc<Mutex<Rotation>>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Reads again what can be read again.
    pub(crate) async fn hang_up(&self) {
        let rotation = Arc::clone(&self.rotation);
        // To its end, also when the server is told to stop meanwhile.
        let hung_up = tokio::spawn(async move { rotation.lock().await.hang_up().await });
        if hung_up.await.is_err() {
            tracing::error!("reading the keys again panicked");
        }
    }

    /// Ends, and waits for a change that is under way.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        drop(self.rotation.lock().await);
    }
}

/// Serves until told to stop.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut loaded = config::load_local(args.config.as_deref())?;
    if args.probe {
        loaded.config.probe = Probe::Required;
    }
    check(&loaded.config)?;
    let directory = &loaded.config.data_dir;
    ensure!(
        !socket::answers(directory).await,
        "a local instance runs on {} already; `keybearer reload` tells it which keys this shell has",
        directory.display()
    );
    let filter = telemetry::start(&loaded.config)?;
    let local = Local {
        config_file: args.config,
        require_key: args.require_key,
        env_file: args.env_file.map(EnvFile::open).transpose()?,
    };
    serve::serve(loaded, filter, Some(local)).await
}

/// Refuses what would let others in: there is no log-in in front of the person's keys.
fn check(config: &Config) -> anyhow::Result<()> {
    let listen = &config.listen;
    let host = listen.rsplit_once(':').map_or(listen.as_str(), |it| it.0);
    let address: Option<SocketAddr> = listen.parse().ok();
    ensure!(
        host == "localhost" || address.is_some_and(|it| it.ip().is_loopback()),
        "local mode listens at a loopback address only, not at {listen}; `keybearer serve` serves others"
    );
    ensure!(
        config.public_url.is_none(),
        "local mode has no public_url: it is for this machine only; `keybearer serve` serves others"
    );
    Ok(())
}

impl Local {
    /// Prepares the owner and the keys, and says how to use them. What it gives keeps the keys in step as long as it
    /// lives.
    pub(crate) async fn begin(
        self,
        config: &Config,
        control: &ControlState,
        gateway: &Gateway,
        address: SocketAddr,
    ) -> anyhow::Result<Running> {
        // What the name of `listen` stood for.
        ensure!(
            address.ip().is_loopback(),
            "local mode listens at a loopback address only, and {address} is none"
        );
        let directory = &config.data_dir;
        let key_file = directory.join("local-api-key");
        let owner = local::owner(control, files::read_secret(&key_file)?).await;
        let owner = owner.map_err(|problem| refused("prepare the local workspace", &problem))?;
        files::write_secret(&key_file, &owner.api_key)?;
        if !self.require_key {
            gateway.take_anonymous_calls(owner.api_key_hash);
        }
        let said = Said {
            config_file: self.config_file,
            address,
            key_file,
            workspace: owner.workspace.to_string(),
            require_key: self.require_key,
        };
        let owner = Arc::new(owner);
        let rotation = Rotation::begin(control, Arc::clone(&owner), directory, self.env_file);
        let (rotation, changes) = rotation.await?;
        said.print(&changes, &rotation.not_found())?;
        let names = rotation.names().map(str::to_owned).collect();
        let rotation = Arc::new(Mutex::new(rotation));
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(Arc::clone(&rotation)));
        match socket::Listening::begin(directory) {
            Ok(socket) => {
                let instance = Instance {
                    control: control.clone(),
                    owner,
                    address,
                    names: Names { names },
                    rotation: Arc::clone(&rotation),
                };
                tasks.spawn(socket.serve(Arc::new(instance)));
            }
            Err(error) => tracing::warn!(
                "`keybearer reload`, `console` and `local new-api-key` cannot reach this instance, and other commands do not find it by themselves: {error:#}"
            ),
        }
        Ok(Running { rotation, tasks })
    }
}

/// Looks at the file of `--env-file` every second.
async fn watch(rotation: Arc<Mutex<Rotation>>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let rotation = Arc::clone(&rotation);
        // To its end, also when the server is told to stop meanwhile.
        let looked = tokio::spawn(async move { rotation.lock().await.look().await });
        if looked.await.is_err() {
            tracing::error!("looking for changed keys panicked");
        }
    }
}

/// What is printed at the start.
struct Said {
    config_file: Option<PathBuf>,
    address: SocketAddr,
    key_file: PathBuf,
    workspace: String,
    require_key: bool,
}

impl Said {
    #[expect(clippy::print_stdout, reason = "whoever starts the server reads this")]
    fn print(
        &self,
        changes: &[Change],
        not_found: &[(ProviderId, Vec<String>)],
    ) -> anyhow::Result<()> {
        let url = format!("http://{}", self.address);
        if is_quiet() {
            let found = changes.iter().map(Line::from);
            let missing = not_found.iter().map(
                |(provider, variables)| json!({ "provider": provider, "variables": variables }),
            );
            let said = json!({
                "url": url, "workspace_id": self.workspace, "api_key_file": self.key_file,
                "found": found.collect::<Vec<_>>(), "not_found": missing.collect::<Vec<_>>(),
            });
            return deliver(format!("{said}\n").as_bytes()).context("standard output");
        }
        println!("listening on {url}\n");
        for change in changes {
            println!("  {}", line(change));
        }
        if !changes.iter().any(|it| it.what != What::Removed) {
            println!("  no provider key was found");
        }
        println!("\nnot found:");
        for (provider, variables) in not_found {
            println!("  {:<12} {}", provider.as_str(), variables.join(", "));
        }
        let file = runtime::variables::quoted(&self.key_file.to_string_lossy());
        let key = match self.require_key {
            true => format!("\"$(cat {file})\""),
            // Clients want some key; what it is, nobody looks at.
            false => examine::PLACEHOLDER.to_owned(),
        };
        println!(
            "\nfor clients of OpenAI's API:     export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}"
        );
        println!(
            "for clients of Anthropic's API:  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}"
        );
        println!(
            "for `keybearer`'s own commands:  export KEYBEARER_URL={url} KEYBEARER_WORKSPACE={} KEYBEARER_API_KEY=\"$(cat {file})\"",
            self.workspace
        );
        let config = self.config_file.as_ref().map(|file| {
            let file = runtime::variables::quoted(&file.to_string_lossy());
            format!(" --config {file}")
        });
        let config = config.unwrap_or_default();
        println!("for the console in a browser:    keybearer console{config}");
        println!("for an API key of your own:      keybearer local new-api-key{config}");
        std::io::stdout().flush().context("standard output")
    }
}

/// A change in a line: the provider, the variable and what happened; never the value.
fn line(change: &Change) -> String {
    let what = match &change.what {
        What::Added | What::Replaced | What::Same => "",
        What::Removed => ": is gone, and the key was removed",
        What::Refused(why) => &format!(": refused, {why}"),
        What::Deferred(why) => &format!(": is tried again, {why}"),
    };
    format!("{:<12} {}{what}", change.provider.as_str(), change.variable)
}
