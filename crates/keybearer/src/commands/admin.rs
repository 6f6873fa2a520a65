//! `keybearer admin`: what instance admins manage.

mod account;
mod instance;
mod settings;
mod user;

use std::process::ExitCode;

use crate::client::Api;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Manage who can log in.
    #[command(subcommand)]
    User(user::Command),
    /// Manage accounts: their plan, their credits, their rate.
    #[command(subcommand)]
    Account(account::Command),
    /// Manage the plans that there are.
    #[command(subcommand)]
    Plan(account::PlanCommand),
    /// Show or change the settings of the instance; `docs/settings.md` explains them.
    #[command(subcommand)]
    Settings(settings::Command),
    /// Switch providers, their models and own keys for them on and off.
    #[command(subcommand)]
    Provider(instance::ProviderCommand),
    /// Show how the server fares: version, database, what waits to be written, the sealing key's age.
    Health,
    /// Show or rotate the key that provider keys are sealed to.
    #[command(subcommand)]
    SealingKey(instance::SealingKeyCommand),
}

const HEALTH: &[Column] = &[
    ("version", "/version"),
    ("database", "/engine"),
    ("schema", "/schema_version"),
    ("revision", "/revision"),
    ("changes read, ms ago", "/changes_read_ms_ago"),
    ("started", "/started_at"),
    ("tidied up", "/tidied_at"),
    ("sealing key since", "/sealing_key_created_at"),
    ("sealing key until", "/sealing_key_expires_at"),
    ("event streams", "/streams"),
    ("calls", "/traffic/calls"),
    ("calls at most", "/traffic/calls_limit"),
    ("spool bytes", "/traffic/spool_bytes"),
    ("spool bytes at most", "/traffic/spool_limit_bytes"),
    ("spool takes more", "/traffic/spool_ready"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::User(command) => user::run(api, command, out).await?,
        Command::Account(command) => account::run(api, command, out).await?,
        Command::Plan(command) => account::run_plan(api, command, out).await?,
        Command::Settings(command) => settings::run(api, command, out).await?,
        Command::Provider(command) => instance::run_provider(api, command, out).await?,
        Command::Health => out.facts(&api.get("/api/v1/admin/health").await?, HEALTH),
        Command::SealingKey(command) => instance::run_sealing_key(api, command, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}
