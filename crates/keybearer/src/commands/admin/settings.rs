//! `keybearer admin settings`: the settings of the instance, and changes that lose nobody else's.

use serde_json::{Map, Value};

use crate::client::Api;
use crate::commands::api::BodyArgs;
use crate::failure::{Failure, Sort};
use crate::output::{Out, remark, say};

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
/// How often a change is tried again that others came before with changes of other settings.
const TRIES: u32 = 5;

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
            let changes = body.object()?;
            let after = match if_match {
                Some(tag) => send(api, &changes, &quoted(&tag)).await?,
                None => set(api, &changes).await?,
            };
            out.document(&after);
        }
    }
    Ok(())
}

/// Reads the settings, and changes them as long as the ones that are named are as they were read.
async fn set(api: &Api, changes: &Value) -> anyhow::Result<Value> {
    let read = match api.get_tagged(SETTINGS).await {
        // An API key may be allowed to write them only.
        Err(error) if Failure::sort_of(&error) == Sort::Denied => {
            let after = api.patch(SETTINGS, changes).await?;
            remark(
                "These credentials may not read the settings: they were changed whatever stood there, and what that was is not known.",
            );
            return Ok(after);
        }
        read => read?,
    };
    let (before, mut tag) = read;
    for _ in 1..TRIES {
        match send(api, changes, &tag).await {
            Err(error) if is_stale(&error) => {
                let (now, newer) = api.get_tagged(SETTINGS).await?;
                if !same(changes, &before, &now) {
                    return Err(error);
                }
                tag = newer;
            }
            after => {
                let after = after?;
                tell_changes(changes, &before, &after);
                return Ok(after);
            }
        }
    }
    let after = send(api, changes, &tag).await?;
    tell_changes(changes, &before, &after);
    Ok(after)
}

async fn send(api: &Api, changes: &Value, tag: &str) -> anyhow::Result<Value> {
    let answer = api.patch_if(SETTINGS, changes, tag).await;
    answer.map_err(|error| match is_stale(&error) {
        true => Failure::new(
            Sort::Failed,
            "somebody else changed the settings since they were read; nothing was changed",
        )
        .code(STALE)
        .hint("look at them again (keybearer admin settings show), then set what still fits")
        .into(),
        false => error,
    })
}

/// A tag as a header has it: quotation marks are easily lost in a shell.
fn quoted(tag: &str) -> String {
    match tag == "*" || tag.ends_with('"') {
        true => tag.to_owned(),
        false => format!("\"{tag}\""),
    }
}

const STALE: &str = "precondition_failed";

fn is_stale(error: &anyhow::Error) -> bool {
    Failure::has_code(error, STALE)
}

/// Whether the settings that are to be changed are the same in both.
fn same(changes: &Value, one: &Value, other: &Value) -> bool {
    names(changes).all(|name| one[name] == other[name])
}

fn names(changes: &Value) -> impl Iterator<Item = &String> {
    changes.as_object().into_iter().flat_map(Map::keys)
}

/// Says what was there before of what this command changed: a list that was replaced is gone.
fn tell_changes(changes: &Value, before: &Value, after: &Value) {
    for name in names(changes).filter(|name| before[*name] != after[*name]) {
        remark(&format!("{name} was {}", before[name]));
    }
}
