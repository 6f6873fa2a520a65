//! `keybearer run`, `launch` and `env`: programs with a workspace's credentials.

mod enter;
mod env;
mod launch;
mod lease;
mod release;
mod supervise;
pub(crate) mod up;
mod walls;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::WorkspaceId;
use domain::variable::{self, VariableName};
use runtime::variables::{self, Gateway};

use super::chosen_workspace;
use crate::client::{Api, Connection};
use crate::config;
use crate::output::remark;

pub(crate) use enter::Args as EnterArgs;
pub(crate) use env::Args as EnvArgs;
pub(crate) use launch::{Args as LaunchArgs, SetupArgs};
use lease::Lease;
use release::Released;
use walls::Walls;

pub(crate) use enter::{NAME as STAGE, run as enter};
pub(crate) use env::run as env;
pub(crate) use launch::{run as launch, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    with: With,
    /// What the program finds: the gateway with a key of the gateway, the workspace's provider keys themselves, or nothing.
    /// `raw` takes `--sandbox`, opens port 443 in it, and calls then pass the gateway by: not metered, not limited.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Inject::Broker)]
    inject: Inject,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What stands in the variables that SDKs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Inject {
    /// The gateway's address and a key of the gateway.
    Broker,
    /// The workspace's own provider keys, where instance and workspace release them; the gateway for the rest.
    Raw,
    /// Nothing.
    None,
}

/// With what a program runs.
#[derive(clap::Args)]
struct With {
    /// The workspace; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// Another variable for the program: `NAME` as it is here, or `NAME=VALUE`. Can be given more than once.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
    /// Seconds that the program's key lives on when nobody renews it, as when this machine sleeps; 3 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(3..=3600))]
    lease: u64,
    /// End the program when its key cannot be renewed (it was revoked or replaced, or has ended), and with `--inject raw`
    /// when a provider key that it holds was replaced, paused or removed, for a supervisor that starts it again. Otherwise
    /// it runs on with what it has.
    #[arg(long)]
    end_with_key: bool,
    #[command(flatten)]
    walls: Walls,
}

/// `keybearer run`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = args.command;
    let program = command.remove(0);
    let api = Api::connect(&Connection::chosen()?)?;
    let change = |_: &mut Changes<'_>| Ok(());
    args.with
        .start(&api, args.inject, program, command, change)
        .await
}

/// A program's environment, while it is put together.
type Environment = Vec<(OsString, OsString)>;

impl With {
    /// Runs a program to its end. `change` sees the environment last, and the gateway's key in it, if it gets one.
    async fn start(
        self,
        api: &Api,
        inject: Inject,
        program: OsString,
        arguments: Vec<OsString>,
        change: impl FnOnce(&mut Changes<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        if inject == Inject::Raw {
            release::check(api, &self.walls)?;
        }
        let workspace = match inject {
            Inject::None => None,
            Inject::Broker | Inject::Raw => Some(chosen_workspace(api, self.workspace).await?),
        };
        let declared = declared(&self.variables)?;
        let prepared = self.walls.prepare(api, inject == Inject::Raw)?;
        let mut environment: Environment = runtime::inherited(config::environment()).collect();
        environment.extend(declared);
        let released = match (inject, workspace) {
            (Inject::Raw, Some(workspace)) => Some(Released::ask(api, workspace).await?),
            _ => None,
        };
        let name = lease::name("run", &program);
        // From here on a signal ends nothing half-way.
        let mut heard = supervise::listen()?;
        let life = Duration::from_secs(self.lease);
        let lease = match workspace {
            Some(workspace) => Some(Lease::take(api, workspace, &name, life).await?),
            None => None,
        };
        let filled = match &lease {
            Some(lease) => lease
                .key()
                .expose(|key| fill(&mut environment, api, key, change)),
            None => Ok(()),
        };
        let started = filled.and_then(|()| {
            if let Some(prepared) = &prepared {
                environment.retain(|(name, _)| name != "TMPDIR");
                environment.push(("TMPDIR".into(), prepared.temporary.clone().into()));
            }
            let secrets = released.as_ref().map(|it| it.secrets(&mut environment));
            let secrets = secrets.transpose()?;
            let sandbox = prepared.as_ref().map(|it| &it.sandbox);
            let descriptor = secrets.as_ref().map(runtime::Secrets::descriptor);
            let stage = enter::stage(sandbox, descriptor, program, arguments);
            let program = runtime::Program::start(&stage, environment, secrets);
            program.context("the program cannot be started")
        });
        // What is left of the keys here is what tells whether they were replaced.
        let mut watch = released.map(Released::forget);
        let ended = match started {
            Ok(program) => {
                let lease = lease.as_ref();
                let end = self.end_with_key;
                supervise::supervise(program, &mut heard, lease, watch.as_mut(), end).await
            }
            Err(error) => Err(error),
        };
        if let Some(lease) = lease {
            lease.give_back().await;
        }
        supervise::clean_up().await;
        ended.map(ExitCode::from)
    }
}

/// Puts the gateway's address and its key into an environment.
fn fill(
    environment: &mut Environment,
    api: &Api,
    key: &[u8],
    change: impl FnOnce(&mut Changes<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let key = str::from_utf8(key).context("the server's key is not text")?;
    let gateway = Gateway {
        address: api.address(),
        key,
    };
    for (name, value) in gateway.variables() {
        set(environment, name, &value);
    }
    change(&mut Changes { environment, key })
}

/// What a tool's own settings change in an environment.
struct Changes<'a> {
    environment: &'a mut Environment,
    key: &'a str,
}

/// Gives a variable a value, whatever it had.
fn set(environment: &mut Environment, name: &str, value: &str) {
    unset(environment, name);
    environment.push((name.into(), value.into()));
}

fn unset(environment: &mut Environment, name: &str) {
    environment.retain(|(it, _)| it != name);
}

/// The variables that `--env` names.
fn declared(arguments: &[String]) -> anyhow::Result<Environment> {
    arguments.iter().map(|text| one(text)).collect()
}

fn one(argument: &str) -> anyhow::Result<(OsString, OsString)> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (argument, config::variable_as_it_is(argument)),
    };
    let refused = || {
        format!(
            "--env {name} (what the program itself may set, it can: keybearer run -- env {name}=... COMMAND)"
        )
    };
    if variables::is_pinned(name) {
        bail!("--env {name}: the gateway's address and key stand there");
    }
    let name: VariableName = name.parse().with_context(refused)?;
    let Some(value) = value else {
        bail!("--env {name}: there is no such variable here; give {name}=VALUE");
    };
    variable::check_value(&value).with_context(|| format!("--env {name}"))?;
    Ok((name.as_str().into(), value.into()))
}
