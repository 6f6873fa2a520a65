//! `keybearer keys add` and `rotate`: seals a provider key on this machine and submits it.

use std::process::ExitCode;

use anyhow::Context;
use domain::{Label, ProviderId};
use llm::base_url::{Loopback, canonical_base_url};
use serde_json::{Value, json};

use super::sealing::{Sealed, field, known, read_and_seal};
use super::{Holder, HolderArgs, Which, change, show};
use crate::client::Api;
use crate::commands::remark;
use crate::output::Out;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The provider's id, such as `openai`; `keybearer provider list` shows them.
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
    #[command(flatten)]
    trust: Trust,
}

/// Which sealing key of the server is trusted.
#[derive(clap::Args)]
pub(crate) struct Trust {
    /// The fingerprint (`kek_id`) that the server's sealing key must have; it is pinned instead of the one that was
    /// seen first.
    #[arg(long)]
    pub(super) fingerprint: Option<String>,
}

pub(super) async fn add(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &args.holder).await?;
    let (provider, sealed, base_url) = seal(api, holder, &args).await?;
    let mut body = json!({
        "provider": provider, "label": args.label, "kek_id": sealed.kek_id, "ciphertext_b64": sealed.ciphertext,
    });
    if let Some(base_url) = base_url {
        body["base_url"] = json!(base_url);
    }
    if let Some(level) = args.level {
        body["level"] = json!(level);
    }
    let stored = api.post(&holder.path(), &body).await?;
    stored_remark(&stored, &sealed.kek_id, &provider);
    show(&stored, out);
    Ok(ExitCode::SUCCESS)
}

/// Seals a key and prints what would be submitted, for somebody else to submit.
pub(super) async fn print_sealed(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &args.holder).await?;
    let (provider, sealed, base_url) = seal(api, holder, &args).await?;
    let mut body = json!({
        "provider": provider, "label": args.label, "kek_id": sealed.kek_id, "ciphertext_b64": sealed.ciphertext,
    });
    if let Some(base_url) = base_url {
        body["base_url"] = json!(base_url);
    }
    if let Some(level) = args.level {
        body["level"] = json!(level);
    }
    out.json(&body);
    remark(&format!(
        "Nothing was sent. Within 15 minutes, once: keybearer api POST {} --input FILE",
        holder.path()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Seals a new key for its provider's place, or the one given; the place is named only where it is another.
async fn seal(
    api: &Api,
    holder: Holder,
    args: &Args,
) -> anyhow::Result<(ProviderId, Sealed, Option<String>)> {
    let facts = known(api, &args.provider).await?;
    let provider: ProviderId = field(&facts, "id")?.parse().context("the provider's id")?;
    // Whether it may go there is the server's to say; the box names the place in its only spelling.
    let custom = args.base_url.as_deref();
    let custom = custom
        .map(|url| canonical_base_url(url, Loopback::AllowHttp))
        .transpose()?;
    let base_url = match &custom {
        None => field(&facts, "base_url")?,
        Some(custom) => custom,
    };
    let fingerprint = args.trust.fingerprint.as_deref();
    let sealed = read_and_seal(api, holder, &provider, base_url, fingerprint).await?;
    Ok((provider, sealed, custom))
}

/// Puts a new key in the place of a stored one: same label, same level, same destination.
pub(super) async fn rotate(
    api: &Api,
    which: &Which,
    trust: &Trust,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &which.holder).await?;
    let (key, path) = change::find(api, holder, which).await?;
    let provider: ProviderId = field(&key, "provider")?
        .parse()
        .context("the provider's id")?;
    let base_url = match key["base_url"].as_str() {
        Some(custom) => custom.to_owned(),
        None => field(&known(api, provider.as_str()).await?, "base_url")?.to_owned(),
    };
    let fingerprint = trust.fingerprint.as_deref();
    let sealed = read_and_seal(api, holder, &provider, &base_url, fingerprint).await?;
    let body = json!({ "kek_id": sealed.kek_id, "ciphertext_b64": sealed.ciphertext });
    let stored = api.put(&path, &body).await?;
    stored_remark(&stored, &sealed.kek_id, &provider);
    show(&stored, out);
    Ok(ExitCode::SUCCESS)
}

fn stored_remark(stored: &Value, kek_id: &str, provider: &ProviderId) {
    let tried = match stored["probed"].as_bool() {
        Some(true) => format!("tried at {provider}"),
        _ => "not tried".to_owned(),
    };
    remark(&format!("Sealed to {kek_id}, {tried}, stored."));
}
