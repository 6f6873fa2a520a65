//! `keybearer ai-config`: who pays in a workspace.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Map, Value};

use super::guarded::Guarded;
use super::read_text;
use super::workspace::Which;
use crate::client::Api;
use crate::failure::Failure;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the workspace's mode, provider, model and whether it can serve.
    Show {
        #[command(flatten)]
        which: Which,
        /// What new workspaces of one's account start with, instead of a workspace.
        #[arg(long, conflicts_with = "workspace")]
        defaults: bool,
    },
    /// Change what is named and keep the rest. The next call follows it.
    ///
    /// Where somebody else changes the same, or its key, at that moment, nothing is changed.
    Set {
        #[command(flatten)]
        which: Which,
        /// What new workspaces of one's account start with, instead of a workspace.
        #[arg(long, conflicts_with = "workspace")]
        defaults: bool,
        /// `managed`: credits pay; `byok`: own keys only; `auto`: own keys, else credits.
        #[arg(long)]
        mode: Option<String>,
        /// The provider of the key.
        #[arg(long)]
        provider: Option<String>,
        /// The model that serves when a call says `default`.
        #[arg(long)]
        model: Option<String>,
        /// Read a provider key from the terminal or from standard input. It crosses to the server as it is, so only over
        /// TLS or loopback; `keybearer keys add` seals it first.
        #[arg(long)]
        key: bool,
        /// Remove the key that was set here; the mode stays.
        #[arg(long, conflicts_with = "key")]
        clear_key: bool,
        /// Forget the model.
        #[arg(long, conflicts_with = "model")]
        clear_model: bool,
    },
}

const FACTS: &[Column] = &[
    ("mode", "/mode"),
    ("provider", "/provider"),
    ("model", "/model"),
    ("status", "/status"),
    ("updated at", "/updated_at"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    let answer = match command {
        Command::Show { which, defaults } => api.get(&path(api, &which, defaults).await?).await?,
        Command::Set {
            which,
            defaults,
            mode,
            provider,
            model,
            key,
            clear_key,
            clear_model,
        } => {
            let path = path(api, &which, defaults).await?;
            let mut body = Map::new();
            let mut set = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    body.insert(name.to_owned(), value);
                }
            };
            set("mode", mode.map(Value::from));
            set("provider", provider.map(Value::from));
            set("model", model.map(Value::from));
            if clear_model {
                set("model", Some(Value::Null));
            }
            if clear_key {
                set("api_key", Some(Value::Null));
            }
            if key {
                let key = read_text("Provider key: ", "the key")?;
                set("api_key", Some(Value::from(key)));
            }
            if body.is_empty() {
                return Err(Failure::nothing_to_change("ai-config set").into());
            }
            let (what, show) = match defaults {
                true => ("the defaults", "keybearer ai-config show --defaults"),
                false => ("the AI config", "keybearer ai-config show"),
            };
            let config = Guarded {
                path: &path,
                method: Method::PUT,
                what,
                show,
            };
            config.set(api, &Value::Object(body), None).await?
        }
    };
    out.facts(&answer, FACTS);
    Ok(ExitCode::SUCCESS)
}

async fn path(api: &Api, which: &Which, defaults: bool) -> anyhow::Result<String> {
    if defaults {
        return Ok("/api/v1/users/me/ai-defaults".to_owned());
    }
    which.path(api, "/ai-config").await
}
