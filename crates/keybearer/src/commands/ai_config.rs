//! `keybearer ai-config`: who pays in a workspace.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Map, Value};

use super::guarded::{Guarded, Seen};
use super::workspace::Which;
use super::{confirm, read_text};
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{Column, Out, remark};

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
    ///
    /// Asks before it removes a key for good: the one that was set here goes with --clear-key, with the mode `managed` and with
    /// another provider.
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
        /// Remove the key without asking.
        #[arg(long)]
        yes: bool,
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
            yes,
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
            if body.is_empty() && !key {
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
            // First: what is asked about below is in this state, or nothing is changed.
            let seen = config.read(api).await?;
            let lost = match removal(&body, key) {
                Some(removal) if defaults => removal.of_defaults(&seen),
                Some(removal) => removal.of_workspace(api, &which).await?,
                None => None,
            };
            if let Some(lost) = lost {
                if yes {
                    remark(&lost);
                }
                confirm(&format!("{lost} Go on?"), yes)?;
            }
            if key {
                let key = read_text("Provider key: ", "the key")?;
                body.insert("api_key".to_owned(), Value::from(key));
            }
            // Which key goes is in no answer that could be compared: only the tag tells.
            let exactly = removal(&body, key).is_some();
            let body = Value::Object(body);
            config.set_seen(api, &body, seen, exactly).await?
        }
    };
    out.facts(&answer, FACTS);
    Ok(ExitCode::SUCCESS)
}

/// The label of the key that a workspace's configuration holds.
const LABEL: &str = "ai-config";

const UNSEEN: &str = "The provider key that was set here, if there is one, is removed for good.";

/// Which keys a change removes for good.
#[derive(Clone, Copy)]
enum Removal<'a> {
    All,
    /// Those of all other providers.
    Except(&'a str),
}

/// What a change removes; `None`: nothing. `with_key`: it comes with another key.
fn removal(body: &Map<String, Value>, with_key: bool) -> Option<Removal<'_>> {
    let managed = body.get("mode").and_then(Value::as_str) == Some("managed");
    if (managed || body.contains_key("api_key")) && !with_key {
        return Some(Removal::All);
    }
    let provider = body.get("provider").and_then(Value::as_str);
    provider.map(Removal::Except)
}

impl Removal<'_> {
    fn goes(self, of: &str) -> bool {
        match self {
            Self::All => true,
            Self::Except(provider) => provider != of,
        }
    }

    /// What goes of the defaults, in words. The key among them is a template, which no list shows; there is none without a
    /// provider.
    fn of_defaults(self, seen: &Seen) -> Option<String> {
        let goes = match seen {
            Some((defaults, _)) => defaults["provider"]
                .as_str()
                .is_some_and(|of| self.goes(of)),
            None => true,
        };
        goes.then(|| UNSEEN.to_owned())
    }

    /// What goes of a workspace's keys, in words.
    async fn of_workspace(self, api: &Api, which: &Which) -> anyhow::Result<Option<String>> {
        let path = which.path(api, "/provider-keys").await?;
        let listed = match api.get_list(&path).await {
            Ok(listed) => listed,
            // Who may change the configuration need not be allowed to see keys.
            Err(error) if Failure::sort_of(&error) == Sort::Denied => {
                return Ok(Some(UNSEEN.to_owned()));
            }
            Err(error) => return Err(error),
        };
        let keys = listed["data"].as_array().into_iter().flatten();
        let lost = keys.filter(|key| {
            key["label"] == LABEL && self.goes(key["provider"].as_str().unwrap_or_default())
        });
        let lost: Vec<String> = lost
            .map(|key| {
                let text = |field: &str| key[field].as_str().unwrap_or_default();
                format!("{}/{LABEL} {}", text("provider"), text("mask"))
                    .trim_end()
                    .to_owned()
            })
            .collect();
        let named = lost.join(", ");
        Ok((!lost.is_empty()).then(|| {
            format!("{named}: the key is removed for good, and serves no call from then on.")
        }))
    }
}

async fn path(api: &Api, which: &Which, defaults: bool) -> anyhow::Result<String> {
    if defaults {
        return Ok("/api/v1/users/me/ai-defaults".to_owned());
    }
    which.path(api, "/ai-config").await
}
