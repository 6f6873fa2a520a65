//! `keybearer run`, `launch` and `env`: programs with a workspace's credentials.

mod enter;
mod env;
mod keeper;
mod launch;
mod lease;
mod masked;
mod pause;
mod release;
mod supervise;
pub(crate) mod up;
mod walls;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::WorkspaceId;
use domain::variable::{self, RefusedVariable, VariableName};
use runtime::output::Hidden;
use runtime::variables::{self, Gateway};
use tokio::sync::oneshot;

use super::chosen_workspace;
use crate::client::{Api, Connection, NamedWorkspace};
use crate::config;
use crate::failure::{Failure, Sort};
use crate::output::tell;

pub(crate) use enter::Args as EnterArgs;
pub(crate) use env::Args as EnvArgs;
pub(crate) use launch::{Args as LaunchArgs, SetupArgs};
use lease::Lease;
use masked::Masked;
use pause::Pauses;
use release::Released;
use supervise::Heard;
use walls::{Prepared, Walls};

pub(crate) use enter::{NAME as STAGE, run as enter};
pub(crate) use env::run as env;
pub(crate) use keeper::{Args as KeptArgs, NAME as KEPT, begin as begin_kept, kept};
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
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    #[arg(long)]
    workspace: Option<NamedWorkspace>,
    /// Another variable for the program: `NAME` as it is here, or `NAME=VALUE`. Can be given more than once.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
    /// Seconds that the program's key lives on when nobody renews it, as when this machine sleeps; 3 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(3..=3600))]
    lease: u64,
    /// End the program when its key cannot be renewed (it was revoked or has ended, or the credential of this command was), and with `--inject raw`
    /// when a provider key that it holds was replaced, paused or removed, for a supervisor that starts it again. Otherwise
    /// it runs on with what it has.
    #[arg(long)]
    end_with_key: bool,
    /// End the program as --end-with-key does, and start it again with what holds then: after one second, and later each
    /// time, up to a minute. What it ends by itself is its end.
    #[arg(long, conflicts_with = "end_with_key")]
    restart_with_key: bool,
    /// Replace the keys that the program was given by `[redacted]` in what it says, as for a log. Its standard output and
    /// its standard error are then pipes, never the terminal.
    #[arg(long)]
    mask_output: bool,
    #[command(flatten)]
    walls: Walls,
}

/// `keybearer run`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut command = args.command;
    let program = command.remove(0);
    let connection = match args.inject {
        // No server is asked: only a sandbox wants to know where one is.
        Inject::None => Connection::without_credential().await?,
        Inject::Broker | Inject::Raw => Connection::chosen().await?,
    };
    let api = Api::connect(&connection)?;
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
        change: impl Fn(&mut Changes<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        if inject == Inject::Raw {
            release::check(api, &self.walls)?;
        }
        let workspace = match inject {
            Inject::None => None,
            Inject::Broker | Inject::Raw => {
                Some(chosen_workspace(api, self.workspace.as_ref()).await?)
            }
        };
        let declared = declared(&self.variables)?;
        let walls = self.walls.prepare(api, inject == Inject::Raw)?;
        let start = Start {
            api,
            raw: inject == Inject::Raw,
            workspace,
            declared,
            walls,
            life: Duration::from_secs(self.lease),
            end_with_key: self.end_with_key || self.restart_with_key,
            mask_output: self.mask_output,
            program,
            arguments,
            change,
        };
        let mut heard = None;
        let mut pauses = Pauses::new();
        let mut is_again = false;
        loop {
            let begun_at = Instant::now();
            let ended = start.once(&mut heard).await;
            let Some(heard) = &mut heard else {
                // It did not come to a start.
                return ended.map(|it| ExitCode::from(it.code));
            };
            match ended {
                Ok(ended) if !(ended.by_key && self.restart_with_key) => {
                    return Ok(ExitCode::from(ended.code));
                }
                Ok(_) => {}
                // It ran, and may have been ended because nobody answered.
                Err(error) if is_again && Failure::sort_of(&error) == Sort::Unreachable => {
                    tell(&format!("the program cannot be started again: {error:#}"));
                }
                Err(error) => return Err(error),
            }
            is_again = true;
            let pause = pauses.after(begun_at.elapsed());
            tell(&format!(
                "the program is started again in {} s",
                pause.as_secs()
            ));
            if let Some(signal) = supervise::pause(heard, pause).await {
                return Ok(ExitCode::from(signal));
            }
        }
    }
}

/// All that it takes to start a program, once or again.
struct Start<'a, C> {
    api: &'a Api,
    raw: bool,
    /// `None`: it gets no key.
    workspace: Option<WorkspaceId>,
    declared: Environment,
    walls: Option<Prepared>,
    life: Duration,
    end_with_key: bool,
    mask_output: bool,
    program: OsString,
    arguments: Vec<OsString>,
    change: C,
}

impl<C: Fn(&mut Changes<'_>) -> anyhow::Result<()>> Start<'_, C> {
    /// Starts the program with a key of its own, and sees it to its end. From the moment in which `heard` is filled a signal
    /// ends nothing half-way.
    async fn once(&self, heard: &mut Option<Heard>) -> anyhow::Result<supervise::Ended> {
        let mut environment: Environment = runtime::inherited(config::environment()).collect();
        environment.extend(self.declared.iter().cloned());
        let released = match (self.raw, self.workspace) {
            (true, Some(workspace)) => Some(Released::ask(self.api, workspace).await?),
            _ => None,
        };
        let name = lease::name("run", &self.program);
        let heard = match heard {
            Some(heard) => heard,
            None => heard.insert(supervise::listen()?),
        };
        let lease = match self.workspace {
            Some(workspace) => Some(Lease::take(self.api, workspace, &name, self.life).await?),
            None => None,
        };
        let filled = match &lease {
            Some(lease) => lease
                .key()
                .expose(|key| fill(&mut environment, self.api, key, &self.change)),
            None => Ok(()),
        };
        let started = filled.and_then(|()| {
            if let Some(walls) = &self.walls {
                environment.retain(|(name, _)| name != "TMPDIR");
                environment.push(("TMPDIR".into(), walls.temporary.clone().into()));
            }
            let secrets = released.as_ref().map(|it| it.secrets(&mut environment));
            let secrets = secrets.transpose()?;
            let masked = self.mask_output.then(|| {
                let mut hidden = Hidden::default();
                lease.iter().for_each(|it| hidden.add(it.key()));
                released.iter().for_each(|it| it.hide(&mut hidden));
                Masked::begin(hidden)
            });
            let (masked, output) = masked.transpose()?.unzip();
            let sandbox = self.walls.as_ref().map(|it| &it.sandbox);
            let descriptor = secrets.as_ref().map(runtime::Secrets::descriptor);
            let (program, arguments) = (self.program.clone(), self.arguments.clone());
            let stage = enter::stage(sandbox, descriptor, program, arguments);
            let program = runtime::Program::start(&stage, environment, secrets, output);
            let program = program.context("the program cannot be started")?;
            Ok((program, masked))
        });
        // What is left of the keys here is what tells whether they were replaced.
        let mut watch = released.map(Released::forget);
        let (ended, masked) = match started {
            Ok((program, masked)) => {
                let (lease, end) = (lease.as_ref(), self.end_with_key);
                let ended = supervise::supervise(program, heard, lease, watch.as_mut(), end).await;
                (ended, masked)
            }
            Err(error) => (Err(error), None),
        };
        if let Some(lease) = lease {
            lease.give_back().await;
        }
        supervise::clean_up().await;
        // Who is left could keep the pipes open for ever, and is not waited for.
        if let Some(masked) = masked {
            tokio::select! {
                () = masked.end() => {}
                _ = heard.end() => {}
            }
        }
        ended
    }
}

/// Does what blocks in a thread of its own, for which the end of the process does not wait. Gives what came of it.
fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<T>> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Perhaps nobody waits any more.
            let _ = done.send(work());
        })?;
    Ok(ended)
}

/// Puts the gateway's address and its key into an environment.
fn fill(
    environment: &mut Environment,
    api: &Api,
    key: &[u8],
    change: impl Fn(&mut Changes<'_>) -> anyhow::Result<()>,
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
    let wrong = |why: &dyn Display| Failure::usage(format!("--env {name}: {why}"));
    if variables::is_pinned(name) {
        return Err(wrong(&"the gateway's address and key stand there").into());
    }
    let name: VariableName = name.parse().map_err(|why: RefusedVariable| {
        wrong(&why).hint(format!(
            "what the program itself may set, it can: keybearer run -- env {name}=... COMMAND"
        ))
    })?;
    let Some(value) = value else {
        let why = format!(
            "there is no such variable here; give {}=VALUE",
            name.as_str()
        );
        return Err(wrong(&why).into());
    };
    variable::check_value(&value).map_err(|why| wrong(&why))?;
    Ok((name.as_str().into(), value.into()))
}
