//! Provider keys for one program: handed out by the server, sealed to this process alone.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::variable::VariableName;
use domain::{DeploymentId, ProviderId, ProviderKeyId, Secret, WorkspaceId};
use runtime::Secrets;
use runtime::output::Hidden;
use runtime::variables::{bases_beside, keys_beside};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use vault::{OneTimeKey, ReleaseContext};

use super::supervise::WithKey;
use super::walls::Walls;
use super::{Environment, unset};
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::tell;
use crate::sources;

/// How long a look at the keys may take.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// Refuses to hand keys to a program that other programs of this user could read them from, or over a way on which somebody
/// could put another public key in the place of ours.
pub(super) fn check(api: &Api, walls: &Walls) -> anyhow::Result<()> {
    if !walls.are_strict() {
        let message = "--inject raw takes --sandbox (and not --sandbox=best-effort)";
        return Err(Failure::usage(message)
            .hint("other programs in sandboxes could read the provider keys out of one that is in none; without --inject raw the program gets a key of the gateway instead")
            .into());
    }
    if !api.is_confidential() {
        let message = "--inject raw takes a server that is reached over https or on this machine";
        return Err(Failure::new(Sort::Failed, message)
            .hint("whoever can change what is sent could have the keys sealed to himself")
            .into());
    }
    Ok(())
}

/// Keys that were released for a program that is not started yet.
pub(super) struct Released<'a> {
    keys: Vec<(Vec<String>, Secret)>,
    watch: Watch<'a>,
}

/// What tells whether the keys that a program holds are still in force.
pub(super) struct Watch<'a> {
    api: &'a Api,
    workspace: WorkspaceId,
    held: Vec<Held>,
    /// Whether the workspace was seen to release no keys any more.
    closed: bool,
    blind: bool,
}

struct Held {
    id: ProviderKeyId,
    provider: ProviderId,
    version: i64,
}

impl<'a> Released<'a> {
    /// Has the workspace's keys released, and says on standard error what that means.
    pub(super) async fn ask(api: &'a Api, workspace: WorkspaceId) -> anyhow::Result<Self> {
        let instance = api.get("/api/v1/instance").await?;
        let node = text(&instance, "deployment_id")?;
        let node: DeploymentId = node.parse().context("the server's deployment id")?;
        let pair = OneTimeKey::draw(&sources::system().random)?;
        let path = format!("/api/v1/workspaces/{workspace}/provider-keys/release");
        let body = json!({ "public_key": pair.public_key() });
        let answer = api.post(&path, &body).await;
        let answer = answer.context("no provider key was released")?;
        let mut keys = Vec::new();
        let mut held = Vec::new();
        for entry in answer["keys"].as_array().into_iter().flatten() {
            let (key, variables, secret) = opened(entry, &pair, node, workspace)?;
            keys.push((variables, secret));
            held.push(key);
        }
        for entry in answer["withheld"].as_array().into_iter().flatten() {
            let (provider, reason) = (&entry["provider"], &entry["reason"]);
            tell(&format!(
                "the key for {} is not handed out ({}); its calls go through the gateway",
                provider.as_str().unwrap_or("a provider"),
                reason.as_str().unwrap_or("no reason is said")
            ));
        }
        if keys.is_empty() {
            let message = "the workspace has no provider key that can be handed out";
            return Err(Failure::new(Sort::Missing, message)
                .hint("keys of the account and of the instance never are; keybearer keys list shows the workspace's")
                .into());
        }
        let names: Vec<&str> = held.iter().map(|it| it.provider.as_str()).collect();
        tell(&format!(
            "the program holds the provider keys of {}: its calls there pass the gateway by and are neither metered nor \
             limited; in the sandbox port 443 is open on every host, and names are looked up",
            names.join(", ")
        ));
        let watch = Watch {
            api,
            workspace,
            held,
            closed: false,
            blind: false,
        };
        Ok(Self { keys, watch })
    }

    /// The way of the keys into the program's environment, in which nothing of the gateway stands beside them.
    pub(super) fn secrets(&self, environment: &mut Environment) -> anyhow::Result<Secrets> {
        let mut variables = Vec::new();
        for (names, key) in &self.keys {
            let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
            all.extend(names.iter().flat_map(|name| keys_beside(name)));
            all.sort_unstable();
            all.dedup();
            for name in all {
                unset(environment, name);
                bases_beside(name).for_each(|base| unset(environment, base));
                variables.push((name, key));
            }
        }
        Secrets::new(&variables).context("cannot hand the keys to the program")
    }

    /// Has the keys taken out of what the program says.
    pub(super) fn hide(&self, hidden: &mut Hidden) {
        self.keys.iter().for_each(|(_, key)| hidden.add(key));
    }

    /// Wipes the keys.
    pub(super) fn forget(self) -> Watch<'a> {
        self.watch
    }
}

/// A key out of its box, after every check that can be made.
fn opened(
    entry: &Value,
    pair: &OneTimeKey,
    node: DeploymentId,
    workspace: WorkspaceId,
) -> anyhow::Result<(Held, Vec<String>, Secret)> {
    let provider: ProviderId = text(entry, "provider")?
        .parse()
        .context("a provider's id")?;
    let id: ProviderKeyId = text(entry, "id")?.parse().context("a provider key's id")?;
    let version = entry["version"].as_i64().context("a key's version")?;
    let about = ReleaseContext {
        node,
        workspace,
        key: id,
        version,
        provider: &provider,
    };
    let now = sources::system().now();
    let Some(key) = pair.open(text(entry, "ciphertext_b64")?, &about, now) else {
        let message =
            format!("the box with the key for {provider} is not the one that was asked for");
        return Err(Failure::new(Sort::Failed, message)
            .hint("something between this machine and the server changes answers, or a clock is wrong by 15 minutes")
            .into());
    };
    let names = entry["variables"].as_array().into_iter().flatten();
    let names = names.map(|name| variable(name.as_str().unwrap_or_default()));
    let names = names.collect::<anyhow::Result<Vec<String>>>()?;
    let held = Held {
        id,
        provider,
        version,
    };
    Ok((held, names, key))
}

/// A variable's name, if a key may stand in it: a server must not choose what decides which code runs.
fn variable(name: &str) -> anyhow::Result<String> {
    let known: VariableName = name
        .parse()
        .context("the server names a variable that no key may stand in")?;
    let ends = ["_KEY", "_TOKEN"].iter().any(|end| name.ends_with(end));
    if !ends || name.starts_with("KEYBEARER_") {
        bail!("the server names a variable that no key may stand in");
    }
    Ok(known.as_str().to_owned())
}

impl Watch<'_> {
    /// Looks at the keys again and again, and says once of each that it changed. The program keeps what it has, unless it is
    /// to end then.
    pub(super) async fn keep(&mut self, pause: Duration, end: Option<&WithKey<'_>>) -> Infallible {
        let then = match end {
            Some(_) => "the program is ended",
            None => "the program holds the old one until it is started again",
        };
        loop {
            sleep(pause).await;
            match timeout(LOOK_WITHIN, self.look(then)).await {
                Ok(Ok(true)) => {
                    if let Some(end) = end {
                        end.end().await;
                    }
                }
                // A server that cannot be reached is the lease's to speak of.
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => self.cannot_look(&error),
            }
        }
    }

    /// Whether anything changed since the last look.
    async fn look(&mut self, then: &str) -> anyhow::Result<bool> {
        let base = format!("/api/v1/workspaces/{}", self.workspace);
        let policy = self.api.get(&format!("{base}/policy")).await?;
        let mut changed = false;
        if policy["release_keys"] == false && !self.closed {
            self.closed = true;
            changed = true;
            tell(&format!(
                "the workspace does not release provider keys any more; {then}"
            ));
        }
        let listed = self.api.get_list(&format!("{base}/provider-keys")).await?;
        let listed = listed["data"].as_array().cloned().unwrap_or_default();
        self.held.retain(|held| {
            let id = held.id.to_string();
            let found = listed.iter().find(|key| key["id"] == id.as_str());
            let what = match found {
                None => "removed",
                Some(key) if key["version"] != held.version => "replaced",
                Some(key) if key["enabled"] == false => "paused",
                Some(_) => return true,
            };
            changed = true;
            tell(&format!("the key for {} was {what}; {then}", held.provider));
            false
        });
        Ok(changed)
    }

    fn cannot_look(&mut self, error: &anyhow::Error) {
        if Failure::sort_of(error) == Sort::Denied && !self.blind {
            self.blind = true;
            tell(
                "whether its provider keys change cannot be seen (that takes the scopes byok:read and policy:read)",
            );
        }
    }
}

fn text<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    let value = body[name].as_str();
    value.with_context(|| format!("the server's answer lacks {name}"))
}
