//! Logs: to standard error, in text or JSON.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// What is logged.
///
/// # Errors
/// When the option is no filter.
pub(crate) fn filter(config: &Config) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&config.log).context("option log")
}

/// Starts logging as configured. Called once.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = filter(config)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would tell of a line that cannot be written by another one to the same place, and panic if that cannot be
        // written either: a full disk under the log, or a closed pipe, would end the task that logs.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
