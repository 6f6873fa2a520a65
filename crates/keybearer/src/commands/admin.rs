//! `keybearer admin`: what instance admins manage.

mod account;
mod instance;
mod user;

use std::process::ExitCode;

use crate::client::Api;
use crate::output::Out;

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
    Settings(instance::SettingsCommand),
    /// Switch providers, their models and own keys for them on and off.
    #[command(subcommand)]
    Provider(instance::ProviderCommand),
    /// Show or rotate the key that provider keys are sealed to.
    #[command(subcommand)]
    SealingKey(instance::SealingKeyCommand),
}

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::User(command) => user::run(api, command, out).await?,
        Command::Account(command) => account::run(api, command, out).await?,
        Command::Plan(command) => account::run_plan(api, command, out).await?,
        Command::Settings(command) => instance::run_settings(api, command, out).await?,
        Command::Provider(command) => instance::run_provider(api, command, out).await?,
        Command::SealingKey(command) => instance::run_sealing_key(api, command, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}
