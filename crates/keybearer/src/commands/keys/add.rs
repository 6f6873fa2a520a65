//! `keybearer keys add` and `rotate`: seals a provider key on this machine and submits it.

use std::process::ExitCode;

use anyhow::Context;
use domain::{Label, ProviderId};
use llm::base_url::{Loopback, canonical_base_url};
use serde_json::{Value, json};
use vault::seal::WINDOW_MS;

use super::sealing::{field, known, read_and_seal};
use super::{Holder, HolderArgs, StoredKey, change, show};
use crate::client::Api;
use crate::commands::remark;
use crate::output::Out;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: SubmissionArgs,
    #[command(flatten)]
    holder: HolderArgs,
    /// The key's level: keys of one level take turns, lower levels serve first, keys without one last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=9999))]
    level: Option<i64>,
}

/// A key that is to be sealed, without the key.
#[derive(clap::Args)]
pub(crate) struct SubmissionArgs {
    /// The provider's id, such as `openai`; `keybearer provider list` shows them.
    provider: String,
    /// What to call the key.
    #[arg(long, default_value = "primary")]
    pub(crate) label: Label,
    /// Where the key is sent, where the instance allows other places than the provider's own.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    #[command(flatten)]
    trust: Trust,
}

/// A sealed key with all that a submission says of it.
pub(crate) struct Submission {
    pub(crate) provider: ProviderId,
    pub(crate) kek_id: String,
    pub(crate) ciphertext: String,
    /// Where the key is sent, if that is not the provider's own place.
    pub(crate) base_url: Option<String>,
}

/// StoredKey sealing key of the server is trusted.
#[derive(clap::Args)]
pub(crate) struct Trust {
    /// The fingerprint (`kek_id`) that the server's sealing key must have; it is pinned instead of the one that was
    /// seen first.
    #[arg(long)]
    pub(super) fingerprint: Option<String>,
}

pub(super) async fn add(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &args.holder).await?;
    let sealed = seal(api, holder, &args.what).await?;
    let stored = api.post(&holder.path(), &body(&sealed, &args)).await?;
    stored_remark(&stored, &sealed.kek_id, &sealed.provider);
    show(&stored, out);
    Ok(ExitCode::SUCCESS)
}

/// Seals a key and prints what would be submitted, for somebody else to submit.
pub(super) async fn print_sealed(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let holder = Holder::chosen(api, &args.holder).await?;
    let sealed = seal(api, holder, &args.what).await?;
    out.json(&body(&sealed, &args));
    remark(&format!(
        "Nothing was sent. Within {} minutes, once: keybearer api POST {} --input FILE",
        WINDOW_MS / 60_000,
        holder.path()
    ));
    Ok(ExitCode::SUCCESS)
}

fn body(sealed: &Submission, args: &Args) -> Value {
    let mut body = json!({
        "provider": sealed.provider, "label": args.what.label, "kek_id": sealed.kek_id,
        "ciphertext_b64": sealed.ciphertext,
    });
    if let Some(base_url) = &sealed.base_url {
        body["base_url"] = json!(base_url);
    }
    if let Some(level) = args.level {
        body["level"] = json!(level);
    }
    body
}

/// Reads a new key and seals it for its provider's place, or the one given.
pub(super) async fn seal(
    api: &Api,
    holder: Holder,
    args: &SubmissionArgs,
) -> anyhow::Result<Submission> {
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
    Ok(Submission {
        provider,
        kek_id: sealed.kek_id,
        ciphertext: sealed.ciphertext,
        base_url: custom,
    })
}

/// Puts a new key in the place of a stored one: same label, same level, same destination.
pub(super) async fn rotate(
    api: &Api,
    which: &StoredKey,
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
