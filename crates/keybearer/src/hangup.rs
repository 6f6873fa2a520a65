//! What `SIGHUP` does: what can be read again is, and the end of the terminal is the end of the server.

use std::fs::File;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Origin;
use crate::local::Running;
use crate::telemetry::Filter;

/// Waits for `SIGHUP`, from when it is made.
pub(crate) struct Hangups {
    signal: Signal,
    /// Whether the server ends with its terminal: it had one at the start, and was not told to outlive it (`nohup`).
    terminal: bool,
    origin: Origin,
    filter: Filter,
}

impl Hangups {
    /// From now on `SIGHUP` does not end the process.
    pub(crate) fn begin(origin: Origin, filter: Filter) -> anyhow::Result<Self> {
        // Asked before the signal is ours.
        let terminal = has_terminal() && !is_ignored();
        Ok(Self {
            signal: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?,
            terminal,
            origin,
            filter,
        })
    }

    /// Reads again at each signal; returns when the terminal was closed, for then the signal is the system's.
    pub(crate) async fn until_terminal_closes(mut self, local: Option<&Running>) {
        while self.signal.recv().await.is_some() {
            if self.terminal && !has_terminal() {
                return;
            }
            self.read_configuration();
            if let Some(local) = local {
                local.hang_up().await;
            }
        }
        std::future::pending().await
    }

    /// The configuration as it is now. What cannot change while the server runs is named; a broken one changes nothing.
    fn read_configuration(&mut self) {
        let (config, changed) = match self.origin.again() {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("{error:#}; the configuration stays as it was");
                return;
            }
        };
        let (live, rest): (Vec<_>, Vec<_>) = changed.into_iter().partition(|name| *name == "log");
        if !live.is_empty() {
            match self.filter.replace(&config.log) {
                Ok(()) => {
                    self.origin.took_log(&config.log);
                    tracing::info!("option log is {} now", config.log);
                }
                Err(error) => tracing::error!("{error:#}; it stays as it was"),
            }
        }
        match rest.as_slice() {
            [] => tracing::info!("read the configuration again: nothing needs a restart"),
            rest => tracing::warn!(
                "read the configuration again; to take effect, these options need a restart: {}",
                rest.join(", ")
            ),
        }
    }
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether `SIGHUP` is ignored, where the operating system shows it (Linux does).
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    // The first signal is the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}
