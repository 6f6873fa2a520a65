//! Documents that several people change: a change is made of what was read, so that nobody's is undone unseen.

use reqwest::Method;
use serde_json::{Map, Value};

use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::remark;

/// A document with a tag for each of its states.
pub(super) struct Guarded<'a> {
    pub(super) path: &'a str,
    /// How it is changed: what is left out stays.
    pub(super) method: Method,
    /// What it is called.
    pub(super) what: &'static str,
    /// The command that shows it.
    pub(super) show: &'static str,
}

/// How often a change is tried again that others came before with changes of something else.
const TRIES: u32 = 5;
const STALE: &str = "precondition_failed";
/// What no answer shows, so that nobody can see whether it is what it was.
const HIDDEN: &str = "api_key";

impl Guarded<'_> {
    /// Changes what is in the state with this tag; else whatever is there, as long as what is named is as it was read.
    pub(super) async fn set(
        &self,
        api: &Api,
        changes: &Value,
        if_match: Option<&str>,
    ) -> anyhow::Result<Value> {
        if let Some(tag) = if_match {
            return self.send(api, changes, &quoted(tag)).await;
        }
        let (before, mut tag) = match api.get_tagged(self.path).await {
            // An API key may be allowed to write only.
            Err(error) if Failure::sort_of(&error) == Sort::Denied => {
                let after = api.change(&self.method, self.path, changes, None).await?;
                remark(&format!(
                    "These credentials may not read {}: the change was made whatever stood there, and what that was is not known.",
                    self.what
                ));
                return Ok(after);
            }
            read => read?,
        };
        for _ in 1..TRIES {
            match self.send(api, changes, &tag).await {
                Err(error) if Failure::has_code(&error, STALE) => {
                    let (now, newer) = api.get_tagged(self.path).await?;
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
        let after = self.send(api, changes, &tag).await?;
        tell_changes(changes, &before, &after);
        Ok(after)
    }

    async fn send(&self, api: &Api, changes: &Value, tag: &str) -> anyhow::Result<Value> {
        let answer = api
            .change(&self.method, self.path, changes, Some(tag))
            .await;
        answer.map_err(|error| match Failure::has_code(&error, STALE) {
            true => Failure::new(
                Sort::Failed,
                format!(
                    "somebody else changed {} in the meantime; nothing was changed",
                    self.what
                ),
            )
            .code(STALE)
            .hint(format!(
                "look again ({}), then set what still fits",
                self.show
            ))
            .into(),
            false => error,
        })
    }
}

/// A tag as a header has it: quotation marks are easily lost in a shell.
fn quoted(tag: &str) -> String {
    match tag == "*" || tag.ends_with('"') {
        true => tag.to_owned(),
        false => format!("\"{tag}\""),
    }
}

/// Whether what is to be changed is the same in both, as far as that can be seen.
fn same(changes: &Value, one: &Value, other: &Value) -> bool {
    names(changes).all(|name| name != HIDDEN && one[name] == other[name])
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
