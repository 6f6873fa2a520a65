//! What happens while a program runs: its key is renewed, and signals are passed on.

use std::time::Duration;

use anyhow::Context;
use runtime::Program;
use runtime::program::{Signal, forward, terminal_signals_arrive};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::lease::{Lease, RENEW_EVERY};
use super::remark;

/// After a renewal that failed.
const RENEW_AGAIN: Duration = Duration::from_secs(20);

/// Waits for the program's end and returns its exit code.
pub(super) async fn supervise(program: Program, lease: &Lease<'_>) -> anyhow::Result<u8> {
    let mut signals = signals()?;
    let pid = program.pid();
    let (done, mut ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("wait".to_owned())
        .spawn(move || done.send(program.wait()))
        .context("cannot wait for the program")?;
    let mut renew_at = Instant::now() + RENEW_EVERY;
    let mut told = false;
    loop {
        tokio::select! {
            code = &mut ended => {
                return code.context("cannot wait for the program")?.context("cannot wait for the program");
            }
            Some(signal) = signals.recv() => {
                let from_terminal = matches!(signal, Signal::INT | Signal::QUIT);
                if !(from_terminal && terminal_signals_arrive()) {
                    forward(pid, signal);
                }
            }
            () = sleep_until(renew_at) => {
                let renewed = lease.renew().await;
                renew_at = Instant::now() + if renewed.is_ok() { RENEW_EVERY } else { RENEW_AGAIN };
                match renewed {
                    Ok(()) => told = false,
                    Err(error) if !told => {
                        told = true;
                        remark(&format!("the program's key could not be renewed: {error:#}"));
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

/// The signals that somebody may send to this process and mean the program by.
fn signals() -> anyhow::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(16);
    for (kind, signal) in [
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
    ] {
        let mut stream = unix::signal(kind).context("cannot listen for signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(signal).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}
