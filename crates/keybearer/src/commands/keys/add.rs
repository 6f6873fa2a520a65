//! `keybearer keys add` and `rotate`: seals a provider key on this machine and submits it.

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

use anyhow::Context;
use domain::{Label, ProviderId};
use llm::base_url::{Loopback, canonical_base_url};
use serde_json::{Value, json};
use vault::seal::WINDOW_MS;

use super::sealing::{field, known, read_and_seal};
use super::{Holder, HolderArgs, StoredKey, change, show};
use crate::client::Api;
use crate::commands::{confirm, remark};
use crate::failure::{Failure, Sort};
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
    /// What to call the key; `primary` unless given. Where there is such a key already it is replaced, and at a terminal only
    /// after a question unless this is said.
    #[arg(long)]
    label: Option<Label>,
    /// Where the key is sent, where the instance allows other places than the provider's own.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    #[command(flatten)]
    trust: Trust,
}

impl SubmissionArgs {
    pub(crate) fn label(&self) -> Label {
        self.label.clone().unwrap_or_default()
    }

    /// The stored key that this one replaces, as far as the caller may see it: `keys` are the holder's, in which `provider`
    /// and `mask` name those fields. Asks whoever may not know of it.
    pub(crate) fn replaced(
        &self,
        keys: &Value,
        provider: &str,
        mask: &str,
    ) -> anyhow::Result<Option<String>> {
        let label = self.label();
        let mut keys = keys["data"].as_array().into_iter().flatten();
        let same = keys
            .find(|key| key[provider] == self.provider.as_str() && key["label"] == label.as_str());
        let Some(same) = same else {
            return Ok(None);
        };
        let mask = same[mask].as_str().unwrap_or_default();
        let name = format!("{}/{label} {mask}", self.provider);
        let name = name.trim_end().to_owned();
        if self.label.is_none() && stdin().is_terminal() {
            let question = format!(
                "There is {name} already (--label adds another one beside it). Replace it for good?"
            );
            confirm(&question, false)?;
        }
        Ok(Some(name))
    }
}

/// The keys that are stored; none where the caller may not see them.
pub(crate) async fn stored(api: &Api, path: &str) -> anyhow::Result<Value> {
    match api.get_list(path).await {
        Err(error) if Failure::sort_of(&error) == Sort::Denied => Ok(Value::Null),
        listed => listed,
    }
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
    let keys = stored(api, &holder.path()).await?;
    let replaced = args.what.replaced(&keys, "provider", "mask")?;
    let sealed = seal(api, holder, &args.what).await?;
    let stored = api.post(&holder.path(), &body(&sealed, &args)).await?;
    if let Some(replaced) = replaced {
        remark(&format!("Replaced {replaced}, which is gone."));
    }
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
        "provider": sealed.provider, "label": args.what.label(), "kek_id": sealed.kek_id,
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
