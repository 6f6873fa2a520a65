//! `keybearer keys`: provider keys, sealed on this machine.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::key::check_key;
use domain::{DeploymentId, KeyOwner, Label, ProviderId, WorkspaceId};
use serde_json::{Value, json};
use vault::seal::{BoxContext, check_public_key, seal_v1};

use super::{chosen_workspace, read_secret, remark, say};
use crate::client::Api;
use crate::sources;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add a provider key, or replace the one with the same label. The key is read from the terminal or from standard input.
    Add {
        /// The provider's id, such as `openai`; `GET /v1/providers` lists them.
        provider: ProviderId,
        /// What to call the key.
        #[arg(long, default_value = "primary")]
        label: Label,
        /// The workspace that the key serves; `KEYBEARER_WORKSPACE` unless given.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
        /// Add a platform key: the instance's own, which serves managed calls. Needs an instance admin.
        #[arg(long, conflicts_with = "workspace")]
        platform: bool,
        /// The fingerprint (`kek_id`) that the server's sealing key must have.
        #[arg(long)]
        fingerprint: Option<String>,
    },
    /// List the workspace's provider keys.
    List {
        /// The workspace; `KEYBEARER_WORKSPACE` unless given.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
        /// List the instance's platform keys instead. Needs an instance admin.
        #[arg(long, conflicts_with = "workspace")]
        platform: bool,
    },
}

pub(crate) async fn run(api: &Api, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add {
            provider,
            label,
            workspace,
            platform,
            fingerprint,
        } => {
            let holder = Holder::chosen(workspace, platform)?;
            add(api, &provider, &label, holder, fingerprint.as_deref()).await?;
        }
        Command::List {
            workspace,
            platform,
        } => list(api, Holder::chosen(workspace, platform)?).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose keys a command is about.
#[derive(Clone, Copy)]
enum Holder {
    Workspace(WorkspaceId),
    Instance,
}

impl Holder {
    fn chosen(workspace: Option<WorkspaceId>, platform: bool) -> anyhow::Result<Self> {
        if platform {
            return Ok(Self::Instance);
        }
        chosen_workspace(workspace).map(Self::Workspace)
    }

    /// Where its keys are in the API.
    fn path(self) -> String {
        match self {
            Self::Workspace(id) => format!("/api/v1/workspaces/{id}/provider-keys"),
            Self::Instance => "/api/v1/admin/platform-keys".to_owned(),
        }
    }
}

async fn add(
    api: &Api,
    provider: &ProviderId,
    label: &Label,
    holder: Holder,
    fingerprint: Option<&str>,
) -> anyhow::Result<()> {
    let instance = api.get("/api/v1/instance").await?;
    let node: DeploymentId = field(&instance, "deployment_id")?
        .parse()
        .context("the server's deployment id")?;
    let providers = api.get("/v1/providers").await?;
    let known = providers["data"].as_array().into_iter().flatten();
    let facts = known
        .into_iter()
        .find(|entry| entry["id"] == provider.as_str());
    let facts = facts.with_context(|| format!("the server knows no provider {provider}"))?;
    let base_url = field(facts, "base_url")?;

    let sealing = api.get("/v1/byok/encryption-pubkey").await?;
    let public_key: [u8; 32] = STANDARD
        .decode(field(&sealing, "public_key")?)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .context("the server's public key is not 32 bytes of base64")?;
    let id = field(&sealing, "kek_id")?;
    check_public_key(id, &public_key).context("the server's sealing key is refused")?;
    if let Some(expected) = fingerprint {
        // The API also shows it in groups, which people copy.
        let expected: String = expected.split_whitespace().collect();
        ensure!(
            expected == id,
            "the server's sealing key has the fingerprint {id}, not {expected}"
        );
    }

    let key = read_secret(&format!("{provider} key: "))?;
    key.expose(check_key)?;
    let sources = sources::system();
    let context = BoxContext {
        node,
        owner: match holder {
            Holder::Workspace(id) => KeyOwner::Workspace(id),
            Holder::Instance => KeyOwner::Instance(node),
        },
        provider,
        base_url,
        issued_at: sources.now(),
        jti: sources.random.bytes()?,
    };
    let sealed = seal_v1(&public_key, &key, &context)?;
    drop(key);
    let body =
        json!({ "provider": provider, "label": label, "kek_id": id, "ciphertext_b64": sealed });
    let stored = api.post(&holder.path(), &body).await?;
    let tried = match stored["probed"].as_bool() {
        Some(true) => format!("tried at {provider}"),
        _ => "not tried".to_owned(),
    };
    remark(&format!("Sealed to {id}, {tried}, stored."));
    say(&row(&stored));
    Ok(())
}

async fn list(api: &Api, holder: Holder) -> anyhow::Result<()> {
    let keys = api.get(&holder.path()).await?;
    let keys = keys["data"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if keys.is_empty() {
        remark("No provider keys. Add one: keybearer keys add openai");
    }
    for key in keys {
        say(&row(key));
    }
    Ok(())
}

fn row(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    // A member learns that there is a key, and nothing of it.
    if let Some(available) = key["available"].as_bool() {
        let state = if available {
            "available"
        } else {
            "not available"
        };
        return format!("{}  {state}", text("provider"));
    }
    let state = if key["enabled"] == Value::Bool(false) {
        "disabled"
    } else {
        "enabled"
    };
    format!(
        "{}  {}/{}  {}  {state}",
        text("id"),
        text("provider"),
        text("label"),
        text("mask")
    )
}

fn field<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    body[name]
        .as_str()
        .with_context(|| format!("the server's answer lacks {name}"))
}
