//! What happens while a program runs: its key is renewed, and signals are passed on.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::Context;
use runtime::Program;
use runtime::program::{Signal, Signals, end_the_rest, terminal_signals_arrive};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::lease::Lease;
use super::release::Watch;
use super::{in_thread, keeper};
use crate::failure::{Failure, Sort};
use crate::output::tell;

/// How long a renewal may take.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How long a program that is ended may take for it.
const END_WITHIN: Duration = Duration::from_secs(10);

/// How soon after each other one signal comes that was sent once.
const TOGETHER: Duration = Duration::from_millis(100);

/// The signals that somebody may send to this process and mean the program by. Who has this is not ended by them.
pub(super) struct Heard(mpsc::Receiver<Signal>);

impl Heard {
    /// The next signal.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// The next signal by which somebody wants an end.
    pub(super) async fn end(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if ends(signal) {
                return signal;
            }
        }
    }
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) code: u8,
    /// It was ended because of a key, and by nothing else that somebody did.
    pub(super) by_key: bool,
}

/// A program that is to end with its key.
pub(super) struct WithKey<'a> {
    signals: &'a Signals,
    ended_at: Cell<Option<Instant>>,
}

impl WithKey<'_> {
    /// Ends the program. It has its time.
    pub(super) async fn end(&self) {
        self.ended_at.set(Some(Instant::now()));
        self.signals.send(Signal::TERM);
        sleep(END_WITHIN).await;
        self.signals.send(Signal::KILL);
    }
}

/// Waits for the program's end. What it left behind may still run. `end_with_key`: the program is ended when its key cannot
/// be renewed, or a provider key that it holds changed.
pub(super) async fn supervise(
    program: Program,
    heard: &mut Heard,
    lease: Option<&Lease<'_>>,
    watch: Option<&mut Watch<'_>>,
    end_with_key: bool,
) -> anyhow::Result<Ended> {
    let signals = program.signals();
    let ended = in_thread("wait", move || program.wait());
    let ended = ended.context("cannot wait for the program")?;
    let with_key = end_with_key.then(|| WithKey {
        signals: &signals,
        ended_at: Cell::new(None),
    });
    let told_at = Cell::new(None);
    let code = tokio::select! {
        code = ended => code.context("cannot wait for the program")?.context("cannot wait for the program")?,
        never = forward(heard, &signals, &told_at) => match never {},
        never = keep(lease, watch, with_key.as_ref()) => match never {},
    };
    // A program may go on after a signal, as one that reads its settings again: only what somebody said just before the key
    // ended it, or since then, means that it is to stay ended.
    let ended_at = with_key.and_then(|it| it.ended_at.get());
    let told_at: Option<Instant> = told_at.get();
    let by_key = ended_at.is_some_and(|ended| told_at.is_none_or(|told| told + END_WITHIN < ended));
    Ok(Ended { code, by_key })
}

/// Waits. `Some`: somebody ended the wait by a signal; the exit code that goes with it.
pub(super) async fn pause(heard: &mut Heard, time: Duration) -> Option<u8> {
    let ended = timeout(time, heard.end()).await;
    let signal = ended.ok()?;
    Some(128 + u8::try_from(signal.as_raw()).unwrap_or(0))
}

/// Whether who sends this signal wants the program's end.
fn ends(signal: Signal) -> bool {
    !matches!(signal, Signal::USR1 | Signal::USR2)
}

/// Ends what the program left behind; says so where something cannot be ended.
pub(super) async fn clean_up() {
    let ended = tokio::task::spawn_blocking(end_the_rest).await;
    let ended = ended.unwrap_or(false);
    if !ended {
        tell("a process that the program started could not be ended; its key is revoked");
    }
}

async fn forward(
    heard: &mut Heard,
    signals: &Signals,
    told_at: &Cell<Option<Instant>>,
) -> Infallible {
    let mut last = None;
    while let Some(signal) = heard.0.recv().await {
        if ends(signal) {
            let now = Instant::now();
            // Sent to a whole group, it comes from the sender and from the keeper.
            let before = last.replace((signal, now));
            if before.is_some_and(|(it, at)| it == signal && now - at < TOGETHER) {
                continue;
            }
            told_at.set(Some(now));
        }
        let from_terminal = matches!(signal, Signal::INT | Signal::QUIT);
        if !(from_terminal && terminal_signals_arrive()) {
            signals.send(signal);
        }
    }
    std::future::pending().await
}

/// Renews the key and, as often, looks whether the provider keys that the program holds are still in force.
async fn keep(
    lease: Option<&Lease<'_>>,
    watch: Option<&mut Watch<'_>>,
    end: Option<&WithKey<'_>>,
) -> Infallible {
    match (lease, watch) {
        (Some(lease), Some(watch)) => {
            tokio::select! {
                never = renew_or_tell(lease, end) => never,
                never = watch.keep(lease.life() / 3, end) => never,
            }
        }
        (Some(lease), None) => renew_or_tell(lease, end).await,
        (None, _) => std::future::pending().await,
    }
}

async fn renew_or_tell(lease: &Lease<'_>, end: Option<&WithKey<'_>>) -> Infallible {
    let error = renew(lease).await;
    let then = match end {
        Some(_) => "it is ended",
        None => "start the program again for another",
    };
    tell(&format!(
        "the program's key cannot be renewed: {error:#}; {then}"
    ));
    if let Some(end) = end {
        end.end().await;
    }
    std::future::pending().await
}

/// Renews the key three times in its life. A server that does not answer is asked again sooner; with one that refuses this
/// ends.
pub(super) async fn renew(lease: &Lease<'_>) -> anyhow::Error {
    let mut told = false;
    let mut pause = lease.life() / 3;
    loop {
        sleep(pause).await;
        let renewed = timeout(RENEW_WITHIN, lease.renew()).await;
        let error = match renewed {
            Ok(Ok(())) => {
                told = false;
                pause = lease.life() / 3;
                continue;
            }
            Ok(Err(error)) => error,
            Err(_) => anyhow::anyhow!("no answer in time"),
        };
        if is_final(&error) {
            return error;
        }
        if !told {
            tell(&format!(
                "the program's key could not be renewed: {error:#}"
            ));
        }
        told = true;
        pause = lease.life() / 30;
    }
}

/// Whether the answer will be the same next time: the key has ended, as after a long sleep of this machine, or was revoked.
fn is_final(error: &anyhow::Error) -> bool {
    let sort = Failure::sort_of(error);
    matches!(sort, Sort::Denied | Sort::Missing | Sort::NotLoggedIn)
        || Failure::has_code(error, "conflict")
}

/// Begins to listen for signals.
pub(super) fn listen() -> anyhow::Result<Heard> {
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
    if let Some(lost) = keeper::lost().context("cannot look after the keeper")? {
        // As a program dies whose starter is killed.
        tokio::spawn(async move {
            if lost.await.is_ok() {
                let _ = sender.send(Signal::KILL).await;
            }
        });
    }
    Ok(Heard(receiver))
}
