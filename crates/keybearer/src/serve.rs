//! Puts the crates together and serves until told to stop.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context;
use control::error::Problem;
use control::{ControlConfig, ControlState, Peer, ProbePolicy, SubmissionPolicy, Traffic};
use domain::Secret;
use gateway::edge::{self, EdgeConfig, Inbound};
use gateway::{AddressPolicy, Body, Gateway, GatewayConfig, Limits, Spool, Timeouts};
use http::{Request, Response};
use llm::registry::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::config::{Config, Loaded, Probe, Submission};
use crate::failure::{Failure, Sort};
use crate::hangup::Hangups;
use crate::hardening;
use crate::local::Local;
use crate::model_calls::ThroughGateway;
use crate::open_files::{self, Shares};
use crate::telemetry::Filter;
use crate::{console, memory, open, sources};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Runs the server until `SIGTERM` or `SIGINT` or the end of its terminal, then lets running requests finish. `local`: for one person, whose keys
/// come from the environment; else for those who are let in.
pub(crate) async fn serve(
    loaded: Loaded,
    filter: Filter,
    local: Option<Local>,
) -> anyhow::Result<()> {
    let sources = sources::system();
    let hangups = Hangups::begin(loaded.origin.clone(), filter)?;
    let config = loaded.config.clone();
    // Before there is a key in it.
    match config.lock_memory {
        true => hardening::lock_memory()?,
        false if local.is_none() => hardening::warn_of_swap(),
        false => {}
    }
    let shares = open_files::share(config.max_connections)?;
    let registry = Arc::new(registry(config.providers_dir.as_deref())?);
    // Bound before anything is made, so that a taken port leaves nothing behind.
    let listener = listen(&config.listen).await.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let message = format!("cannot listen on {}: {error}", config.listen);
        let failure = Failure::new(Sort::Failed, message);
        match taken {
            true => failure.hint(
                "another program has this port; KEYBEARER_LISTEN=127.0.0.1:PORT takes another",
            ),
            false => failure,
        }
    })?;
    let instance = open::open_or_create(loaded, &sources).await?;
    let address = listener.local_addr().context("the listening address")?;

    let spool = Spool::open(&config.data_dir);
    let spool = spool.with_context(|| format!("usage spool in {}", config.data_dir.display()))?;
    let gateway = Gateway::new(
        GatewayConfig {
            keys_from_environment: local.is_some(),
            ..gateway_config(&config, shares)
        },
        spool,
        instance.store.clone(),
        instance.root.opener(),
        instance.root.hasher(),
        Arc::clone(&registry),
        sources.clone(),
    )
    .context("cannot prepare the data plane")?;
    let control = ControlState::new(
        control_config(&config, address),
        instance.store.clone(),
        instance.root.intake(),
        instance.root.rotator(),
        instance.root.releaser(),
        instance.root.hasher(),
        gateway.probe(),
        Arc::new(ThroughGateway(gateway.clone())),
        registry,
        sources.clone(),
        instance.deployment.id,
    );
    let watched = gateway.clone();
    control.watch_traffic(move || {
        let load = watched.load();
        Traffic {
            calls: load.calls,
            calls_limit: load.calls_limit,
            spool_bytes: load.spool_bytes,
            spool_limit_bytes: load.spool_limit_bytes,
            spool_ready: load.spool_ready,
        }
    });
    control::jobs::ensure_sealing_key(&control)
        .await
        .map_err(|problem| refused("prepare the sealing key", &problem))?;
    let recovered = gateway.recover_usage().await;
    let recovered = recovered.context("cannot write the usage of the process before")?;
    if recovered > 0 {
        tracing::warn!(
            calls = recovered,
            "wrote the usage of {recovered} calls that an instance left when it died"
        );
    }
    if instance.store.is_exclusive() {
        // Whoever made them is dead: nobody else can have this database open.
        let reaped = gateway.reap_others().await;
        let reaped = reaped.context("cannot settle the calls of the process before")?;
        if reaped > 0 {
            tracing::warn!(
                calls = reaped,
                "settled {reaped} managed calls that were cut off when this instance died"
            );
        }
    }
    let usage = gateway.spawn_jobs();
    let memory = tokio::spawn(memory::keep_giving_back());
    let (stop, stopping) = watch::channel(false);
    let jobs = tokio::spawn(control::jobs::run(control.clone(), stopping));

    // Before anything is offered: it takes a moment in which nobody would be answered and SIGTERM would kill.
    let router = control::router(control.clone(), console::pages());
    let service = service(gateway.clone(), router);
    let local = match local {
        Some(local) => Some(Box::pin(local.begin(&config, &control, &gateway, address)).await?),
        None => {
            let setup = control::auth::setup::offer(&control).await;
            let setup = setup.map_err(|problem| refused("offer set-up", &problem))?;
            announce(&config, address, setup)?;
            None
        }
    };
    let drained = edge::serve(
        listener,
        edge_config(&config, shares),
        sources,
        service,
        async {
            told_to_stop(Box::pin(hangups.until_terminal_closes(local.as_ref()))).await;
            control.end_streams();
        },
    )
    .await;
    if drained.cut > 0 {
        tracing::warn!(
            connections = drained.cut,
            "cut {} connections at the end of the drain",
            drained.cut
        );
    }
    if let Some(local) = local {
        local.stop().await;
    }
    // The receiver ends only with the task.
    let _ = stop.send(true);
    jobs.await.context("the background jobs panicked")?;
    if !gateway.drain().await {
        tracing::error!(
            "the database did not take the last usage records; the next start writes them"
        );
    }
    drop(gateway);
    usage.abort();
    memory.abort();
    tracing::info!("stopped");
    Ok(())
}

/// How many connections wait to be accepted: as many as are served at once by default. Where the queue is full, a client
/// waits for seconds before it tries again. The kernel may have a lower limit.
const WAITING_CONNECTIONS: u32 = 4096;

/// Listens at the first of the addresses that can be listened at.
async fn listen(addresses: &str) -> io::Result<TcpListener> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in tokio::net::lookup_host(addresses).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        outcome = socket
            .bind(address)
            .and_then(|()| socket.listen(WAITING_CONNECTIONS));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The data plane answers what it knows; everything else is the control plane's.
fn service(
    gateway: Gateway,
    control: axum::Router,
) -> impl Fn(Request<Inbound>) -> Answer + Clone + Send + Sync + 'static {
    move |mut request: Request<Inbound>| {
        if let Some(endpoint) = Gateway::endpoint(request.method(), request.uri().path()) {
            let gateway = gateway.clone();
            return Box::pin(async move { gateway.handle(endpoint, request).await });
        }
        let control = control.clone();
        Box::pin(async move {
            if let Some(peer) = request.extensions().get::<SocketAddr>().copied() {
                request.extensions_mut().insert(Peer(peer));
            }
            let answer = control.oneshot(request.map(axum::body::Body::new)).await;
            let response = answer.unwrap_or_else(|never| match never {});
            response.map(|body| Body::new(http_body_util::BodyExt::map_err(body, Into::into)))
        })
    }
}

/// An answer of either plane, on its way.
type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

pub(crate) fn refused(what: &str, problem: &Problem) -> anyhow::Error {
    anyhow::anyhow!("cannot {what}: {}", problem.code().meaning())
}

async fn told_to_stop(terminal_closed: impl Future<Output = ()>) {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "cannot wait for SIGTERM; stop with Ctrl-C");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
        () = terminal_closed => {}
    }
    tracing::info!("stopping: no new connections, running requests may finish");
}

/// Prints where the server listens and, while there is no user, how to create one.
#[expect(clippy::print_stdout, reason = "whoever starts the server reads this")]
fn announce(config: &Config, address: SocketAddr, setup: Option<Secret>) -> anyhow::Result<()> {
    let origin = origin(config, &address.to_string());
    let token_file = config.data_dir.join("setup-token");
    // A token of an earlier start is dead.
    let _ = std::fs::remove_file(&token_file);
    println!("listening on http://{address}");
    if let Some(token) = setup {
        token.expose(|token| write_token(&token_file, token))?;
        token.expose(|token| {
            println!(
                "set-up link: {origin}/console/setup#token={}",
                String::from_utf8_lossy(token)
            )
        });
        println!(
            "or from the shell: {} init --url {origin} --token-file {} --email you@example.com",
            program(),
            token_file.display()
        );
    } else {
        println!("console: {origin}/console/");
    }
    std::io::stdout().flush().context("standard output")
}

/// Where people reach a server that listens at `listening`, without a slash at the end.
pub(crate) fn origin(config: &Config, listening: &str) -> String {
    let here = || match listening.parse() {
        Ok(address) => format!("http://{}", reachable(address)),
        // A name.
        Err(_) => format!("http://{listening}"),
    };
    let origin = config.public_url.clone().unwrap_or_else(here);
    origin.trim_end_matches('/').to_owned()
}

/// How this program was called, so that the printed line can be pasted.
fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "keybearer".to_owned())
}

/// An address that listens everywhere is reached at loopback from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

fn write_token(path: &Path, token: &[u8]) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(token))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Whether the address to listen on has the form of one; whether it is this machine's shows when it is bound.
pub(crate) fn check_listen(config: &Config) -> anyhow::Result<()> {
    let text = &config.listen;
    let is_named = || {
        let (host, port) = text.rsplit_once(':')?;
        (!host.is_empty() && !host.contains(':')).then(|| port.parse::<u16>().ok())?
    };
    anyhow::ensure!(
        text.parse::<SocketAddr>().is_ok() || is_named().is_some(),
        "option listen: {text:?} is not an address with a port, such as 127.0.0.1:4356"
    );
    Ok(())
}

/// The providers that come with the binary, and those in `directory` over them.
pub(crate) fn registry(directory: Option<&Path>) -> anyhow::Result<Registry> {
    let bundled = Registry::bundled().context("the bundled providers")?;
    let Some(directory) = directory else {
        return Ok(bundled);
    };
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("providers_dir {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("provider file {}", path.display()))?;
        anyhow::Ok((name, text))
    };
    let files: Vec<(String, String)> = paths.iter().map(read).collect::<Result<_, _>>()?;
    bundled.with_files(&files).context("option providers_dir")
}

fn gateway_config(config: &Config, shares: Shares) -> GatewayConfig {
    GatewayConfig {
        limits: Limits {
            body_bytes: usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX),
            calls_per_key: config.max_calls_per_key as usize,
            idle_connections: shares.idle,
            ..Limits::default()
        },
        timeouts: Timeouts {
            connect_ms: config.connect_timeout_ms,
            first_byte_ms: config.first_byte_timeout_ms,
            idle_ms: config.idle_timeout_ms,
            total_ms: config.total_timeout_ms,
            ..Timeouts::default()
        },
        addresses: AddressPolicy {
            allow: config.allow_addresses.clone(),
        },
        max_staleness_ms: config.max_staleness_ms,
        keys_from_environment: false,
    }
}

fn edge_config(config: &Config, shares: Shares) -> EdgeConfig {
    EdgeConfig {
        connections: shares.connections,
        refusals: shares.refusals,
        drain_ms: config.drain_timeout_ms,
        ..EdgeConfig::default()
    }
}

fn control_config(config: &Config, address: SocketAddr) -> ControlConfig {
    // Without a public name only loopback names are answered, so that a page elsewhere cannot rebind to us.
    let allowed_hosts = (config.public_url.is_none() && address.ip().is_loopback()).then(|| {
        let port = address.port();
        ["127.0.0.1", "localhost", "[::1]"]
            .map(|host| format!("{host}:{port}"))
            .to_vec()
    });
    ControlConfig {
        submission: match config.submission {
            Submission::Both => SubmissionPolicy::Both,
            Submission::SealedOnly => SubmissionPolicy::SealedOnly,
        },
        probe: match config.probe {
            Probe::Required => ProbePolicy::Required,
            Probe::Off => ProbePolicy::Off,
        },
        custom_base_urls: config.custom_base_urls,
        allow_addresses: config.allow_addresses.clone(),
        trust_forwarded_proto: config.trust_forwarded_proto,
        allowed_hosts,
        sealing_key_lifetime_ms: i64::from(config.sealing_key_days) * DAY_MS,
        image_pauses_ms: ControlConfig::IMAGE_PAUSES_MS,
    }
}
