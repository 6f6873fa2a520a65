//! Logs: to standard error, in text or JSON.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// What is logged.
///
/// # Errors
/// When the option is no filter.
pub(crate) fn filter(config: &Config) -> anyhow::Result<EnvFilter> {
    parse(&config.log)
}

/// What is logged; can change while the process runs.
pub(crate) struct Filter(Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>);

impl Filter {
    /// Logs what `text` says from now on. What cannot be read changes nothing.
    pub(crate) fn replace(&self, text: &str) -> anyhow::Result<()> {
        (self.0)(parse(text)?)
    }
}

/// Starts logging as configured. Called once.
pub(crate) fn start(config: &Config) -> anyhow::Result<Filter> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config)?)
        // It would tell of a line that cannot be written by another one to the same place, and panic if that cannot be
        // written either: a full disk under the log, or a closed pipe, would end the task that logs.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let reloading = "the log's filter cannot be replaced";
    Ok(match config.log_format {
        LogFormat::Text => {
            let builder = builder.with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Filter(Box::new(move |new| handle.reload(new).context(reloading)))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Filter(Box::new(move |new| handle.reload(new).context(reloading)))
        }
    })
}

fn parse(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).context("option log")
}
