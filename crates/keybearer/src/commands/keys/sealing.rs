//! Sealing a provider key on this machine, to a server that is the one it was before.

use anyhow::{Context, bail};
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

/// Looks at the server's sealing key and pins it; used by `login`.
pub(crate) async fn seen_sealing_key(api: &Api, fingerprint: Option<&str>) -> anyhow::Result<()> {
    checked_sealing_key(api, fingerprint).await.map(drop)
}

/// The server's sealing key. It must match its id, not be of low order, and be the one that was seen first, unless
/// somebody names the new one's fingerprint.
async fn checked_sealing_key(api: &Api, fingerprint: Option<&str>) -> anyhow::Result<SealingKey> {
    let sealing = api.get("/v1/byok/encryption-pubkey").await?;
    let public_key: [u8; 32] = STANDARD
        .decode(field(&sealing, "public_key")?)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .context("the server's public key is not 32 bytes of base64")?;
    let id = field(&sealing, "kek_id")?.to_owned();
    check_public_key(&id, &public_key).context("the server's sealing key is refused")?;
    // The API also shows it in groups, which people copy.
    let expected = fingerprint.map(|text| text.split_whitespace().collect::<String>());
    if let Some(expected) = &expected
        && *expected != id
    {
        bail!("the server's sealing key has the fingerprint {id}, not {expected}");
    }
    let mut logins = Logins::load()?;
    let server = logins.servers.entry(api.origin()).or_default();
    match &server.sealing_key {
        Some(pinned) if *pinned == id => return Ok(SealingKey { id, public_key }),
        Some(pinned) if expected.is_none() => {
            let message = format!(
                "the sealing key of {} is not the one that was seen first: {pinned} became {id}; nothing was sealed",
                api.origin()
            );
            let failure = Failure::new(Sort::Failed, message);
            return Err(failure
                .hint(format!(
                    "it changes when it is rotated; ask an instance admin for the fingerprint \
                     (GET /api/v1/sealing-key), then: keybearer keys trust {id}"
                ))
                .into());
        }
        _ => {}
    }
    server.sealing_key = Some(id.clone());
    // Without a place to keep it the key is as good as it was for the first time.
    if let Err(error) = logins.save() {
        remark(&format!("the sealing key could not be pinned: {error:#}"));
    }
    Ok(SealingKey { id, public_key })
}

/// What the server says of the provider with this id.
pub(super) async fn known(api: &Api, id: &str) -> anyhow::Result<Value> {
    let providers = api.get("/v1/providers").await?;
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
            .hint("keybearer provider list shows those that it knows")
            .into(),
    })
}

pub(super) fn field<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    body[name]
        .as_str()
        .with_context(|| format!("the server's answer lacks {name}"))
}
