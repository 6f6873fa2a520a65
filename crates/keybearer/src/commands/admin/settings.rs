//! `keybearer admin settings`: the settings of the instance, and changes that lose nobody else's.

use reqwest::Method;
use serde_json::Value;

use crate::client::Api;
use crate::commands::api::BodyArgs;
use crate::commands::guarded::Guarded;
use crate::output::{Out, say};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the settings.
    Show {
        /// Print the tag of their state instead, for `set --if-match`.
        #[arg(long)]
        tag: bool,
    },
    /// Change what is named and keep the rest. The next call follows it.
    ///
    /// A list is replaced as a whole. Where somebody else changes one of the same settings at that moment, nothing is changed.
    Set {
        #[command(flatten)]
        body: BodyArgs,
        /// Change them only if they are still in the state with this tag, as `show --tag` printed it before they were read.
        #[arg(long, value_name = "TAG")]
        if_match: Option<String>,
    },
}

const SETTINGS: &str = "/api/v1/admin/settings";

pub(super) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<()> {
    match command {
        Command::Show { tag: false } => out.document(&api.get(SETTINGS).await?),
        Command::Show { tag: true } => {
            let (_, tag) = api.get_tagged(SETTINGS).await?;
            match out.is_json() {
                true => out.json(&Value::from(tag)),
                false => say(&tag),
            }
        }
        Command::Set { body, if_match } => {
            let settings = Guarded {
                path: SETTINGS,
                method: Method::PATCH,
                what: "the settings",
                show: "keybearer admin settings show",
            };
            let tag = if_match.as_deref();
            out.document(&settings.set(api, &body.object()?, tag).await?);
        }
    }
    Ok(())
}
