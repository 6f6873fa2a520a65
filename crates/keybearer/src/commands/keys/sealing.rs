//! Sealing a provider key on this machine, to a server that is the one it was before.

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::key::check_key;
use domain::{DeploymentId, KeyOwner, ProviderId};
use llm::registry::Registry;
use serde_json::Value;
use vault::seal::{BoxContext, check_public_key, seal_v1};

use super::Holder;
use crate::client::Api;
use crate::commands::{read_secret, remark};
use crate::failure::{Failure, Sort};
use crate::logins::Logins;
use crate::output::tell;
use crate::sources;

/// A sealed box, and the id of the key that it is sealed to.
pub(super) struct Sealed {
    pub(super) kek_id: String,
    pub(super) ciphertext: String,
}

/// The server's sealing key, after every check that a client can make.
pub(super) struct SealingKey {
    id: String,
    public_key: [u8; 32],
}

/// Reads a provider key and seals it for its place.
pub(super) async fn read_and_seal(
    api: &Api,
    holder: Holder,
    provider: &ProviderId,
    base_url: &str,
    fingerprint: Option<&str>,
) -> anyhow::Result<Sealed> {
    let instance = api.get("/api/v1/instance").await?;
    let node: DeploymentId = field(&instance, "deployment_id")?
        .parse()
        .context("the server's deployment id")?;
    let to = checked_sealing_key(api, fingerprint).await?;
    let key = read_secret(&format!("{provider} key: "))?;
    key.expose(check_key)?;
    let sources = sources::system();
    let context = BoxContext {
        node,
        owner: match holder {
            Holder::Workspace(id) => KeyOwner::Workspace(id),
            Holder::Account(id) => KeyOwner::Account(id),
            Holder::Instance => KeyOwner::Instance(node),
        },
        provider,
        base_url,
        issued_at: sources.now(),
        jti: sources.random.bytes()?,
    };
    let ciphertext = seal_v1(&to.public_key, &key, &context)?;
    Ok(Sealed {
        kek_id: to.id,
        ciphertext,
    })
}

/// Pins the server's sealing key if none is; another one than the pinned is remarked on and changes nothing.
///
/// Logging in seals nothing, and whoever is to trust a new key may have to be logged in to learn of it.
pub(crate) async fn pin_at_login(api: &Api) -> anyhow::Result<()> {
    let seen = fetched(api).await?;
    match pinned(api)? {
        None => pin(api, &seen.id),
        Some(pinned) if pinned != seen.id => remark(&format!(
            "The sealing key is not the one that was seen first: {pinned} became {}; nothing is sealed to it until it is trusted.",
            seen.id
        )),
        Some(_) => {}
    }
    Ok(())
}

/// Pins the server's sealing key, which must have this fingerprint. Returns its id.
pub(super) async fn trust(api: &Api, fingerprint: &str) -> anyhow::Result<String> {
    let seen = fetched(api).await?;
    seen.must_be(fingerprint)?;
    // Here the pin is what was asked for.
    Logins::change(|logins| {
        let server = logins.servers.entry(api.origin()).or_default();
        server.sealing_key = Some(seen.id.clone());
        Ok(())
    })?;
    Ok(seen.id)
}

/// The sealing key to seal to: the one that was seen first, unless somebody names the new one's fingerprint.
async fn checked_sealing_key(api: &Api, fingerprint: Option<&str>) -> anyhow::Result<SealingKey> {
    let seen = fetched(api).await?;
    if let Some(fingerprint) = fingerprint {
        seen.must_be(fingerprint)?;
    }
    match pinned(api)? {
        Some(pinned) if pinned == seen.id => {}
        Some(pinned) if fingerprint.is_none() => {
            let message = format!(
                "the sealing key of {} is not the one that was seen first: {pinned} became {}; nothing was sealed",
                api.origin(),
                seen.id
            );
            // What the server itself says must not stand where somebody pastes it from.
            let failure = Failure::new(Sort::Failed, message);
            return Err(failure
                .hint(
                    "it changes when it is rotated; ask an instance admin for the fingerprint, whom keybearer admin \
                     sealing-key show tells it, then: keybearer keys trust FINGERPRINT",
                )
                .into());
        }
        _ => pin(api, &seen.id),
    }
    Ok(seen)
}

/// The server's sealing key, which must match its id and not be of low order.
async fn fetched(api: &Api) -> anyhow::Result<SealingKey> {
    let sealing = api.get("/v1/byok/encryption-pubkey").await?;
    let public_key: [u8; 32] = STANDARD
        .decode(field(&sealing, "public_key")?)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .context("the server's public key is not 32 bytes of base64")?;
    let id = field(&sealing, "kek_id")?.to_owned();
    check_public_key(&id, &public_key).context("the server's sealing key is refused")?;
    Ok(SealingKey { id, public_key })
}

impl SealingKey {
    fn must_be(&self, fingerprint: &str) -> anyhow::Result<()> {
        // The API also shows it in groups, which people copy.
        let expected: String = fingerprint.split_whitespace().collect();
        ensure!(
            expected == self.id,
            "the server's sealing key has the fingerprint {}, not {expected}",
            self.id
        );
        Ok(())
    }
}

/// The id of the server's sealing key that was seen first, or trusted since.
fn pinned(api: &Api) -> anyhow::Result<Option<String>> {
    let mut logins = Logins::load()?;
    let known = logins.servers.remove(&api.origin());
    Ok(known.and_then(|server| server.sealing_key))
}

/// Pins a sealing key. Without a place to keep the pin the key is as good as it was for the first time, which is said.
fn pin(api: &Api, id: &str) {
    let pinned = Logins::change(|logins| {
        let server = logins.servers.entry(api.origin()).or_default();
        server.sealing_key = Some(id.to_owned());
        Ok(())
    });
    if let Err(error) = pinned {
        tell(&format!(
            "the sealing key could not be pinned, so another one would not be noticed: {error:#}"
        ));
    }
}

/// What the server says of the provider with this id.
pub(crate) async fn known(api: &Api, id: &str) -> anyhow::Result<Value> {
    let providers = api.get_list("/v1/providers?all=true").await?;
    let data = providers["data"].as_array().cloned().unwrap_or_default();
    if let Some(facts) = data.iter().find(|entry| entry["id"] == id) {
        return Ok(facts.clone());
    }
    // The bundled registry knows how people misspell; only what this server has is worth naming.
    let bundled = Registry::bundled().ok();
    let meant = bundled.as_ref().and_then(|registry| registry.suggest(id));
    let meant = meant.filter(|it| data.iter().any(|entry| entry["id"] == it.as_str()));
    let failure = Failure::new(Sort::Missing, format!("the server knows no provider {id}"));
    Err(match meant {
        Some(meant) => failure.suggestion(meant.as_str()).into(),
        None => failure
            .hint("keybearer provider list --all shows those that it knows")
            .into(),
    })
}

pub(super) fn field<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    body[name]
        .as_str()
        .with_context(|| format!("the server's answer lacks {name}"))
}
