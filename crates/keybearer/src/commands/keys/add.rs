//! `keybearer keys add`: seals a provider key on this machine and submits it.

use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::key::check_key;
use domain::{DeploymentId, KeyOwner, Label, ProviderId};
use llm::base_url::{Loopback, canonical_base_url};
use llm::registry::Registry;
use serde_json::{Value, json};
use vault::seal::{BoxContext, check_public_key, seal_v1};

use super::{Holder, HolderArgs, row};
use crate::client::Api;
use crate::commands::{read_secret, remark, say};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The provider's id, such as `openai`; `GET /v1/providers` lists them.
    provider: String,
    /// What to call the key.
    #[arg(long, default_value = "primary")]
    label: Label,
    #[command(flatten)]
    holder: HolderArgs,
    /// Where the key is sent, where the instance allows other places than the provider's own.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The key's level: keys of one level take turns, lower levels serve first, keys without one last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=9999))]
    level: Option<i64>,
    /// The fingerprint (`kek_id`) that the server's sealing key must have.
    #[arg(long)]
    fingerprint: Option<String>,
}

pub(super) async fn add(api: &Api, args: Args) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(&args.holder)?;
    let instance = api.get("/api/v1/instance").await?;
    let node: DeploymentId = field(&instance, "deployment_id")?
        .parse()
        .context("the server's deployment id")?;
    let facts = known(api, &args.provider).await?;
    let provider: ProviderId = field(&facts, "id")?.parse().context("the provider's id")?;
    // Whether it may go there is the server's to say; the box names the place in its only spelling.
    let base_url = match &args.base_url {
        None => field(&facts, "base_url")?.to_owned(),
        Some(custom) => canonical_base_url(custom, Loopback::AllowHttp)?,
    };

    let sealing = api.get("/v1/byok/encryption-pubkey").await?;
    let public_key: [u8; 32] = STANDARD
        .decode(field(&sealing, "public_key")?)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .context("the server's public key is not 32 bytes of base64")?;
    let id = field(&sealing, "kek_id")?;
    check_public_key(id, &public_key).context("the server's sealing key is refused")?;
    if let Some(expected) = &args.fingerprint {
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
        provider: &provider,
        base_url: &base_url,
        issued_at: sources.now(),
        jti: sources.random.bytes()?,
    };
    let sealed = seal_v1(&public_key, &key, &context)?;
    drop(key);
    let mut body = json!({
        "provider": provider, "label": args.label, "kek_id": id, "ciphertext_b64": sealed,
    });
    if args.base_url.is_some() {
        body["base_url"] = json!(base_url);
    }
    if let Some(level) = args.level {
        body["level"] = json!(level);
    }
    let stored = api.post(&holder.path(), &body).await?;
    let tried = match stored["probed"].as_bool() {
        Some(true) => format!("tried at {provider}"),
        _ => "not tried".to_owned(),
    };
    remark(&format!("Sealed to {id}, {tried}, stored."));
    say(&row(&stored));
    Ok(ExitCode::SUCCESS)
}

/// What the server says of the provider with this id.
async fn known(api: &Api, id: &str) -> anyhow::Result<Value> {
    let providers = api.get("/v1/providers").await?;
    let data = providers["data"].as_array().cloned().unwrap_or_default();
    if let Some(facts) = data.iter().find(|entry| entry["id"] == id) {
        return Ok(facts.clone());
    }
    // The bundled registry knows how people misspell; only what this server has is worth naming.
    let bundled = Registry::bundled().ok();
    let meant = bundled.as_ref().and_then(|registry| registry.suggest(id));
    let meant = meant.filter(|it| data.iter().any(|entry| entry["id"] == it.as_str()));
    match meant {
        Some(meant) => bail!("the server knows no provider {id}\ndid you mean {meant}?"),
        None => bail!("the server knows no provider {id}"),
    }
}

fn field<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    body[name]
        .as_str()
        .with_context(|| format!("the server's answer lacks {name}"))
}
