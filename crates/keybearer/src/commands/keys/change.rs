//! `keybearer keys change`, `remove`, `enable` and `disable`: stored keys, found by provider and label.

use std::process::ExitCode;

use anyhow::Context;
use domain::Label;
use serde_json::{Value, json};

use super::{COLUMNS, Holder, HolderArgs, StoredKey, show};
use crate::client::Api;
use crate::commands::{confirm, remark};
use crate::failure::{Failure, Sort};
use crate::output::Out;

/// What of a stored key can change without the key.
#[derive(clap::Args)]
pub(crate) struct Changes {
    /// A new label.
    #[arg(long, value_name = "LABEL")]
    rename: Option<Label>,
    /// The key's level: keys of one level take turns, lower levels serve first, keys without one last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=9999))]
    level: Option<i64>,
    /// The key has no level any more.
    #[arg(long, conflicts_with = "level")]
    clear_level: bool,
    /// Its place among the keys for the provider.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=9999))]
    position: Option<i64>,
    /// Whether it serves only after everything else failed.
    #[arg(long, value_name = "BOOL")]
    fallback: Option<bool>,
}

/// Changes what is named of a stored key.
pub(super) async fn change(
    api: &Api,
    which: &StoredKey,
    changes: &Changes,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let mut body = json!({});
    if let Some(label) = &changes.rename {
        body["label"] = json!(label);
    }
    if changes.clear_level {
        body["level"] = Value::Null;
    }
    let numbers = [("level", changes.level), ("position", changes.position)];
    for (name, number) in numbers {
        if let Some(number) = number {
            body[name] = json!(number);
        }
    }
    if let Some(fallback) = changes.fallback {
        body["fallback"] = json!(fallback);
    }
    if body == json!({}) {
        return Err(Failure::nothing_to_change("keys change").into());
    }
    let holder = Holder::chosen(api, &which.holder).await?;
    let (_, path) = find(api, holder, which).await?;
    show(&api.patch(&path, &body).await?, out);
    Ok(ExitCode::SUCCESS)
}

/// Removes a key after saying what its calls will meet.
pub(super) async fn remove(
    api: &Api,
    which: &StoredKey,
    yes: bool,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &which.holder).await?;
    let (key, path) = find(api, holder, which).await?;
    let ahead = match holder {
        Holder::Instance => {
            let provider = &which.provider;
            format!("managed calls of {provider}'s models lose this key")
        }
        Holder::Account(_) => {
            let provider = &which.provider;
            format!("calls of {provider}'s models lose this key in all workspaces of the account")
        }
        Holder::Workspace(_) => {
            // Only a forecast: without it the removal still says what came of it.
            let shown = api.get(&path).await.unwrap_or(Value::Null);
            let then = shown["if_removed"].as_str();
            then.map_or_else(
                || "what calls will meet is not known".to_owned(),
                |then| meets(then, &which.provider),
            )
        }
    };
    let name = format!(
        "{}/{} {}",
        which.provider,
        which.label,
        key["mask"].as_str().unwrap_or("")
    );
    let ahead = format!("{}: without it {ahead}.", name.trim_end());
    if yes {
        remark(&ahead);
    }
    // In one piece with what it is about: remarks are silent where the result is for a program.
    confirm(&format!("{ahead} Remove it for good?"), yes)?;
    let removed = api.delete(&path).await?;
    match removed["then"].as_str() {
        Some(then) => remark(&format!("Removed: {}.", meets(then, &which.provider))),
        None => remark("Removed."),
    }
    if out.is_json() {
        out.json(&removed);
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a key serve or not, from the next call on.
pub(super) async fn set_enabled(
    api: &Api,
    which: &StoredKey,
    enabled: bool,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &which.holder).await?;
    let (_, path) = find(api, holder, which).await?;
    let key = api.patch(&path, &json!({ "enabled": enabled })).await?;
    show(&key, out);
    Ok(ExitCode::SUCCESS)
}

/// Puts all keys for a provider into order.
pub(super) async fn order(
    api: &Api,
    provider: &str,
    labels: &[Label],
    holder: &HolderArgs,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, holder).await?;
    let answer = api.get_list(&holder.path()).await?;
    let keys = seen(&answer)?;
    let ids: Vec<&str> = labels
        .iter()
        .map(|label| id(of(keys, provider, label)?))
        .collect::<anyhow::Result<_>>()?;
    let body = json!({ "provider": provider, "key_ids": ids });
    let path = format!("{}/order", holder.path());
    out.list(&api.put(&path, &body).await?, COLUMNS);
    Ok(ExitCode::SUCCESS)
}

/// The key, and where it is in the API.
pub(super) async fn find(
    api: &Api,
    holder: Holder,
    which: &StoredKey,
) -> anyhow::Result<(Value, String)> {
    let answer = api.get_list(&holder.path()).await?;
    let key = of(seen(&answer)?, &which.provider, &which.label)?;
    Ok((key.clone(), format!("{}/{}", holder.path(), id(key)?)))
}

/// The keys of a list, if their labels are shown.
fn seen(answer: &Value) -> anyhow::Result<&[Value]> {
    let keys = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
    if keys.iter().any(|key| key["available"].is_boolean()) {
        let message =
            "the labels of these keys are hidden from you; an admin of the workspace can do this";
        return Err(Failure::new(Sort::Denied, message).into());
    }
    Ok(keys)
}

/// The key for this provider with this label.
fn of<'a>(keys: &'a [Value], provider: &str, label: &Label) -> anyhow::Result<&'a Value> {
    let label = label.as_str();
    let found = keys
        .iter()
        .find(|key| key["provider"] == provider && key["label"] == label);
    found.ok_or_else(|| {
        let name = |key: &Value| {
            let text = |field: &str| key[field].as_str().unwrap_or("-").to_owned();
            format!("{}/{}", text("provider"), text("label"))
        };
        let names: Vec<String> = keys.iter().map(name).collect();
        let others = match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        let message = format!("there is no key {provider}/{label}; there are {others}");
        Failure::new(Sort::Missing, message).into()
    })
}

fn id(key: &Value) -> anyhow::Result<&str> {
    key["id"]
        .as_str()
        .context("the server's answer lacks the key's id")
}

/// What calls of the provider's models meet once the key is gone.
fn meets(then: &str, provider: &str) -> String {
    match then {
        "other_own_key" => format!("another own key serves calls of {provider}'s models"),
        "managed_credits" => format!("credits will pay for calls of {provider}'s models"),
        "refused_402" => format!("calls of {provider}'s models will be refused with 402"),
        "refused" => {
            format!("calls of {provider}'s models will be refused, by a guardrail or a switch")
        }
        other => format!("calls of {provider}'s models: {other}"),
    }
}
