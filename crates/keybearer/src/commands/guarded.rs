//! Documents that several people change: a change is made of what was read, so that nobody's is undone unseen.

use reqwest::Method;
use serde_json::{Map, Value};

use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::remark;

/// A document as it was read, with its tag. `None`: these credentials may not read it.
pub(super) type Seen = Option<(Value, String)>;

/// A document with a tag for each of its states.
pub(super) struct Guarded<'a> {
    pub(super) path: &'a str,
    /// How it is changed: what is left out stays.
    pub(super) method: Method,
    /// What it is called.
    pub(super) what: &'a str,
    /// The command that shows it.
    pub(super) show: &'a str,
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
        let seen = self.read(api).await?;
        self.set_seen(api, changes, seen, false).await
    }

    /// Reads it, for [`set_seen`](Self::set_seen).
    pub(super) async fn read(&self, api: &Api) -> anyhow::Result<Seen> {
        match api.get_tagged(self.path).await {
            Ok(seen) => Ok(Some(seen)),
            // An API key may be allowed to write only.
            Err(error) if Failure::sort_of(&error) == Sort::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes it as [`set`](Self::set) does without a tag, from what was read. `exactly`: only if all of it is as it was read,
    /// and not only what is named.
    pub(super) async fn set_seen(
        &self,
        api: &Api,
        changes: &Value,
        seen: Seen,
        exactly: bool,
    ) -> anyhow::Result<Value> {
        let Some((before, mut tag)) = seen else {
            let after = api.change(&self.method, self.path, changes, None).await?;
            remark(&format!(
                "These credentials may not read {}: the change was made whatever stood there, and what that was is not known.",
                self.what
            ));
            return Ok(after);
        };
        for _ in 1..TRIES {
            match self.send(api, changes, &tag).await {
                Err(error) if !exactly && Failure::has_code(&error, STALE) => {
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
        match &before[format!("{name}_sha256")] {
            // A whole file.
            Value::String(hash) => remark(&format!("{name} was another text, of SHA-256 {hash}")),
            _ => remark(&format!("{name} was {}", before[name])),
        }
    }
}
