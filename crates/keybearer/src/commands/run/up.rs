//! `keybearer workspace up`: a workspace's scripts, then its services, on this machine.
//!
//! What runs here was written by the workspace's admins, so it is shown before it runs, and somebody agrees to it.

mod board;
mod machine;
pub(crate) mod plan;
mod status;
mod tend;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use runtime::fleet::Fleet;
use runtime::output::Hidden;
use runtime::program::Signal;
use runtime::variables::Gateway;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::lease::{self, Lease};
use super::walls::Walls;
use super::{Environment, chosen_workspace, declared, set, supervise};
use crate::client::{Api, Connection, NamedWorkspace};
use crate::commands::confirm;
use crate::config;
use crate::failure::{Failure, Sort};
use crate::output::{remark, tell};
use crate::sources;
use board::{Board, Entry, Kind, Report};
use machine::Machine;
use plan::Plan;
use tend::{Ended, Hand, Job};

pub(crate) use status::{Args as StatusArgs, run as status};

/// How often what programs left behind is looked at.
const REAP_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    workspace: Option<NamedWorkspace>,
    #[command(flatten)]
    agreement: Agreement,
    /// Another variable for all of it: `NAME` as it is here, or `NAME=VALUE`. Can be given more than once.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
    /// Seconds that the key lives on when nobody renews it, as when this machine sleeps; 3 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(3..=3600))]
    lease: u64,
    #[command(flatten)]
    walls: Walls,
}

/// What stands in for the question.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Agreement {
    /// Run whatever there is without asking. Without a terminal nothing runs unless this, --pin or --agreed is said.
    #[arg(long)]
    yes: bool,
    /// Run it without asking if all of it together has this hash, and nothing otherwise.
    #[arg(long, value_name = "SHA256", value_parser = hash)]
    pin: Option<String>,
    /// Run it without asking if it is what was agreed to here the last time, and nothing otherwise.
    #[arg(long)]
    agreed: bool,
}

fn hash(text: &str) -> Result<String, String> {
    let formed = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let hash = formed.then(|| text.to_ascii_lowercase());
    hash.ok_or_else(|| "a SHA-256 has 64 hexadecimal digits".to_owned())
}

impl Agreement {
    /// Makes sure that what has this hash may run, without asking. `None`: somebody must be asked.
    fn given(&self, hash: &str, machine: &Machine) -> anyhow::Result<Option<()>> {
        let expected = match (&self.pin, self.agreed) {
            (Some(pin), _) => Some(pin.as_str()),
            (None, true) => machine.agreed(),
            (None, false) if self.yes => return Ok(Some(())),
            (None, false) => return Ok(None),
        };
        if expected == Some(hash) {
            return Ok(Some(()));
        }
        let message = match expected {
            Some(_) => {
                format!("what there is to run is not what was agreed to: its hash is {hash}")
            }
            None => "nothing was agreed to on this machine".to_owned(),
        };
        Err(Failure::new(Sort::Declined, message)
            .hint("keybearer workspace up shows it and asks")
            .into())
    }
}

/// `keybearer workspace up`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let api = Api::connect(&Connection::chosen().await?)?;
    let workspace = chosen_workspace(&api, args.workspace.as_ref()).await?;
    let declared = declared(&args.variables)?;
    let mut machine = Machine::open(workspace).await?;
    let mut plan = Plan::read(&api, workspace).await?;
    let hash = plan.content_sha256();
    let given = args.agreement.given(&hash, &machine)?;
    plan.services.retain(|it| it.service.auto_enable);
    if plan.services.is_empty() && !plan.scripts.iter().any(|script| machine.wants(script)) {
        remark("There is nothing to run: no script is due, and no service starts by itself.");
        return Ok(ExitCode::SUCCESS);
    }
    // All that the hash covers: who agrees to it here may pin it where more of it is due.
    plan.show(|script| machine.wants(script));
    plan.scripts.retain(|script| machine.wants(script));
    tell(&format!("All of it together: sha256 {hash}"));
    if given.is_none() {
        confirm("Run this here, as you?", false)?;
    }
    // With --yes nobody has looked.
    if !args.agreement.yes {
        machine.agree(&hash)?;
    }
    let walls = args.walls.prepare(&api, false)?;
    // From here on a signal ends nothing half-way.
    let mut heard = supervise::listen()?;
    let name = lease::name("up", "".as_ref());
    let fleet = Fleet::new().context("cannot look after programs")?;
    let lease = Lease::take(&api, workspace, &name, Duration::from_secs(args.lease)).await?;
    let mut environment: Environment = runtime::inherited(config::environment()).collect();
    environment.extend(declared);
    if let Some(walls) = &walls {
        environment.retain(|(name, _)| name != "TMPDIR");
        environment.push(("TMPDIR".into(), walls.temporary.clone().into()));
    }
    let report = Report {
        workspace,
        process: std::process::id(),
        started_at: sources::system().now().to_string(),
        content_sha256: hash,
        sandbox: walls.is_some(),
        programs: entries(&plan),
    };
    let mut hidden = Hidden::default();
    hidden.add(lease.key());
    let ended = match with_gateway(&api, &lease, environment) {
        Ok(environment) => {
            let (stop, stopped) = watch::channel(false);
            let hand = Hand {
                fleet,
                environment: Arc::new(environment),
                hidden,
                sandbox: walls.as_ref().map(|it| Arc::new(it.sandbox.clone())),
                board: Board::new(report, machine.status()),
                stop,
                stopped,
            };
            up(hand, &mut machine, plan, &mut heard, &lease).await
        }
        Err(error) => Err(error),
    };
    lease.give_back().await;
    supervise::clean_up().await;
    ended
}

fn entries(plan: &Plan) -> Vec<Entry> {
    let scripts = plan.scripts.iter().map(|it| &it.script.name);
    let scripts = scripts.map(|name| Entry::waiting(Kind::Script, name.as_str()));
    let services = plan.services.iter().map(|it| &it.service.name);
    let services = services.map(|name| Entry::waiting(Kind::Service, name.as_str()));
    scripts.chain(services).collect()
}

/// The environment with the gateway's address and the key in it.
fn with_gateway(
    api: &Api,
    lease: &Lease<'_>,
    mut environment: Environment,
) -> anyhow::Result<Environment> {
    lease.key().expose(|key| {
        let gateway = Gateway {
            address: api.address(),
            key: str::from_utf8(key).context("the server's key is not text")?,
        };
        for (name, value) in gateway.variables() {
            set(&mut environment, name, &value);
        }
        Ok(environment)
    })
}

/// Does all of it, until it has ended or is ended.
async fn up(
    hand: Hand,
    machine: &mut Machine,
    plan: Plan,
    heard: &mut supervise::Heard,
    lease: &Lease<'_>,
) -> anyhow::Result<ExitCode> {
    let (fleet, board, stop) = (hand.fleet.clone(), hand.board.clone(), hand.stop.clone());
    let work = work(hand, machine, plan);
    tokio::pin!(work);
    let renewed = supervise::renew(lease);
    tokio::pin!(renewed);
    let mut reap = tokio::time::interval(REAP_EVERY);
    let lost = loop {
        tokio::select! {
            ended = &mut work => return ended,
            error = &mut renewed => break Some(error),
            _ = reap.tick() => fleet.reap(),
            signal = heard.next() => match signal {
                Signal::USR1 => board.show(),
                Signal::USR2 => {}
                _ => break None,
            },
        }
    };
    stop.send_replace(true);
    let ended = work.await;
    match lost {
        None => ended.map(|_| ExitCode::SUCCESS),
        Some(error) => {
            let message = format!("the key cannot be renewed: {error:#}; all was ended");
            let failure = Failure::new(Sort::Failed, message);
            Err(failure
                .hint("start it again for another key; a supervisor such as systemd can")
                .into())
        }
    }
}

async fn work(hand: Hand, machine: &mut Machine, plan: Plan) -> anyhow::Result<ExitCode> {
    for script in &plan.scripts {
        let name = script.script.name.as_str();
        let file = machine.write(script)?;
        let words: Vec<OsString> = match script.script.content.as_str().starts_with("#!") {
            true => vec![file.path().into()],
            false => vec!["sh".into(), file.path().into()],
        };
        let job = Job {
            kind: Kind::Script,
            name,
            words,
            own: Vec::new(),
            file: Some(file.path()),
        };
        let ended = hand.run_once(&job).await;
        match ended.with_context(|| format!("the script {name}"))? {
            Ended::Itself(0) => machine.ran(script)?,
            Ended::Itself(code) => {
                let message =
                    format!("the script {name} ended with {code}; nothing after it was started");
                return Err(Failure::new(Sort::Failed, message).into());
            }
            Ended::Stopped => return Ok(ExitCode::SUCCESS),
        }
    }
    let mut tended = JoinSet::new();
    for defined in plan.services {
        tended.spawn(hand.clone().tend(defined.service));
    }
    let mut well = true;
    while let Some(ended) = tended.join_next().await {
        well &= ended.context("a service cannot be looked after")?;
    }
    if !well {
        tell("not every service ended well");
    }
    Ok(ExitCode::from(u8::from(!well)))
}
