//! `keybearer doctor` beside a running local instance: whether it answers, what it has, and how this shell fits to it.

use std::collections::BTreeMap;
use std::path::Path;

use domain::Secret;
use domain::credential::{CredentialKind, is_well_formed};
use llm::provider::prefixed_key_variable;
use serde_json::Value;

use super::exchange::{Asked, Compared, Verdict};
use super::{ask, socket};
use crate::client::{Api, Connection, origin};
use crate::commands::doctor::Report;
use crate::config;
use crate::output::remark;

/// What the start prints in a key's place for clients that want one.
pub(super) const PLACEHOLDER: &str = "local";

/// Reports on the instance that runs with this data directory. False where something is wrong.
pub(crate) async fn examine(directory: &Path, report: &mut Report) -> anyhow::Result<bool> {
    let mut strangers = Vec::new();
    let mut no_keys = Vec::new();
    let compared: Compared = socket::ask(directory, |names| {
        let set = config::environment().filter_map(|(name, _)| name.into_string().ok());
        let alike = |name: &String| prefixed_key_variable(name).is_some() && !names.contains(name);
        strangers.extend(set.filter(alike));
        let mut variables = BTreeMap::new();
        for (name, value) in config::secrets(names.iter().map(String::as_str)) {
            match is_for_clients(&value) {
                true => no_keys.push(name),
                false => {
                    let text = value.expose(|it| String::from_utf8_lossy(it).into_owned());
                    variables.insert(name, text);
                }
            }
        }
        Asked::Compare { variables }
    })
    .await?;
    let connection = ask::connection_in(directory).await?;
    let api = Api::connect(&connection)?;
    let mut well = true;
    match keys(&api).await {
        Ok(keys) => {
            report.line("instance", api.address(), "ok");
            for key in keys {
                let why = key.failure.as_deref();
                report.line_with("provider_key", &key.name, key.verdict(), why);
                if let Some(why) = why {
                    well = false;
                    remark(&format!("The provider turned {} away: {why}", key.name));
                }
            }
        }
        Err(error) => {
            well = false;
            report.line("instance", api.address(), "no_answer");
            remark(&format!("{error:#}"));
        }
    }
    for name in no_keys {
        report.line("variable", &name, "for_clients");
    }
    for name in strangers {
        report.line("variable", &name, "names_no_provider");
    }
    let mut reload = false;
    for one in &compared.variables {
        let (verdict, why) = (one.verdict.as_str(), one.why.as_deref());
        report.line_with("variable", &one.variable, verdict, why);
        match (one.verdict, &one.why) {
            (Verdict::InUse | Verdict::WithoutEffect, _) => continue,
            (Verdict::Refused | Verdict::Deferred, Some(why)) => {
                remark(&format!("{} is {verdict}: {why}", one.variable));
            }
            _ => reload = true,
        }
        well = false;
    }
    if reload {
        remark(
            "The instance has other keys than this shell; keybearer reload tells it this shell's.",
        );
    }
    tell_where_commands_go(&connection).await?;
    remark(
        "Stored records are looked at where the instance does not run: stop it, then keybearer doctor --local.",
    );
    Ok(well)
}

/// Whether a value stands there for clients of the instance, and is no provider's key.
fn is_for_clients(value: &Secret) -> bool {
    value.expose(|bytes| {
        let text = str::from_utf8(bytes).unwrap_or_default();
        text == PLACEHOLDER || is_well_formed(CredentialKind::ApiKey, text)
    })
}

/// A provider key of the instance's workspace.
struct Key {
    name: String,
    state: String,
    /// Why the provider turned it away, if it did and the key has not served since.
    failure: Option<String>,
}

impl Key {
    fn verdict(&self) -> &str {
        match self.failure {
            Some(_) => "failing",
            None => &self.state,
        }
    }

    /// Too many requests, or a provider that is out of order, say nothing of a key.
    fn failure_of(key: &Value) -> Option<String> {
        let failure = &key["last_failure"];
        let kind = match failure["kind"].as_str()? {
            kind @ ("invalid_key" | "no_permission" | "no_quota") => kind,
            _ => return None,
        };
        let served = key["last_used_at"].as_str().unwrap_or_default();
        let is_later = failure["at"].as_str()? >= served;
        (key["state"] == "active" && is_later).then(|| {
            let refused = key["health"]["failed"].as_u64().unwrap_or_default();
            let calls = key["health"]["calls"].as_u64().unwrap_or_default();
            format!("{kind}; {refused} of {calls} tries failed in the last 24 hours")
        })
    }
}

/// The provider keys of the instance's workspace with their states.
async fn keys(api: &Api) -> anyhow::Result<Vec<Key>> {
    let workspace = api.workspace().await?;
    let path = format!("/api/v1/workspaces/{workspace}/provider-keys");
    let keys = api.get_list(&path).await?;
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let keys = keys["data"].as_array().into_iter().flatten();
    let keys = keys.map(|key| Key {
        name: format!("{}/{}", text(&key["provider"]), text(&key["label"])),
        state: text(&key["state"]),
        failure: Key::failure_of(key),
    });
    Ok(keys.collect())
}

/// Says so where the other commands of this shell do not go to the local instance.
async fn tell_where_commands_go(local: &Connection) -> anyhow::Result<()> {
    // What is wrong with a login is said by the command that needs it.
    if let Ok(chosen) = Connection::chosen().await
        && origin(&chosen.url)? != origin(&local.url)?
    {
        remark(&format!(
            "The other commands of this shell go to {}, as KEYBEARER_URL, KEYBEARER_API_KEY or the login says.",
            chosen.url
        ));
    }
    Ok(())
}
