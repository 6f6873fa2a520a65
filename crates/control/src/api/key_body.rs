//! What clients send about provider keys, and whether anybody on the way could read it.

use axum::extract::FromRequestParts;
use domain::price::PriceOverride;
use domain::{Label, ProviderId, ProviderKeyId, Secret};
use http::request::Parts;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use store::KeyChange;
use utoipa::ToSchema;

use crate::body::given;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::provider_keys::check_label;
use crate::ops::submission::{Material, NewKey};
use crate::schema::shapes::PriceOverrideShape;
use crate::state::ControlState;

/// A key in plain text on its way in.
pub struct PlainKey(Secret);

impl<'de> Deserialize<'de> for PlainKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from_text(text)))
    }
}

impl PlainKey {
    /// The key as a submission takes it.
    pub(crate) fn material(self, Confidential(confidential): Confidential) -> Material {
        Material::Plain {
            key: self.0,
            confidential,
        }
    }
}

/// A provider key to store: exactly one of `kek_id` with `ciphertext_b64`, and `key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProviderKey {
    /// The provider's id, exactly as listed.
    #[schema(example = "openai")]
    provider: String,
    /// What to call it; `primary` when left out. A key with the same label is replaced.
    #[serde(default)]
    #[schema(value_type = String, default = "primary")]
    label: Label,
    /// Where to send it, where the instance allows other places than the provider's own.
    #[serde(default)]
    base_url: Option<String>,
    /// The pool that it belongs to, 0 to 9999: keys of one level take turns, lower levels come first, and keys
    /// without one (`null`) last. Left out: as the instance says, or as the key that is replaced.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9999)]
    level: Option<Option<i64>>,
    /// Whether it serves only after everything else failed, credits too.
    #[serde(default)]
    fallback: Option<bool>,
    /// Prices that were negotiated for it, in USD per million tokens. At most 50; none for a platform key.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PriceOverrideShape>>,
        example = json!([{"provider": "openai", "model": "gpt-4o", "price": {"input": "2", "output": "8"}}]))]
    prices: Option<Vec<PriceOverride>>,
    /// The sealing key that the box is sealed to.
    #[serde(default)]
    kek_id: Option<String>,
    /// The sealed box in padded standard base64.
    #[serde(default)]
    ciphertext_b64: Option<String>,
    /// The key in plain text, where the instance takes it and nobody on the way can read it.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<PlainKey>,
}

/// A new value for a provider key: exactly one of `kek_id` with `ciphertext_b64`, and `key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewValue {
    /// The sealing key that the box is sealed to.
    #[serde(default)]
    kek_id: Option<String>,
    /// The sealed box in padded standard base64.
    #[serde(default)]
    ciphertext_b64: Option<String>,
    /// The key in plain text, where the instance takes it and nobody on the way can read it.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<PlainKey>,
}

impl NewValue {
    /// The key, if there is exactly one.
    ///
    /// # Errors
    /// As [`material`].
    pub(crate) fn material(self, confidential: Confidential) -> Result<Material, Problem> {
        let Self {
            kek_id,
            ciphertext_b64,
            key,
        } = self;
        material(confidential, kek_id, ciphertext_b64, key)
    }
}

/// What may change of a provider key without its value. Where it is sent may not.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    /// A new label.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    label: Option<Label>,
    /// Whether it may serve.
    #[serde(default)]
    enabled: Option<bool>,
    /// Its place among the keys for the provider, 0 to 9999.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9999)]
    position: Option<i64>,
    /// The pool that it belongs to, 0 to 9999; `null`: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9999)]
    level: Option<Option<i64>>,
    /// Whether it serves only after everything else failed, credits too.
    #[serde(default)]
    fallback: Option<bool>,
    /// Prices that were negotiated for it, in USD per million tokens, at most 50; they replace those that are there.
    /// None for a platform key.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PriceOverrideShape>>)]
    prices: Option<Vec<PriceOverride>>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    provider: Option<IgnoredAny>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    base_url: Option<IgnoredAny>,
    /// Refused: submit the key again.
    #[serde(default)]
    #[schema(ignore)]
    auth_header: Option<IgnoredAny>,
}

impl KeyPatch {
    /// The changes, if they are among those that are possible.
    ///
    /// # Errors
    /// `resubmit_key` for a change of where the key is sent.
    pub(crate) fn changes(self) -> Result<KeyChange, Problem> {
        if self.provider.is_some() || self.base_url.is_some() || self.auth_header.is_some() {
            return Err(Problem::new(Code::ResubmitKey));
        }
        Ok(KeyChange {
            label: self.label,
            enabled: self.enabled,
            position: self.position,
            level: self.level,
            fallback: self.fallback,
            prices: self.prices,
        })
    }
}

/// The order of the keys for one provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyOrder {
    /// The provider's id.
    #[schema(value_type = String, example = "openai")]
    pub(crate) provider: ProviderId,
    /// The ids of all keys for the provider that are here, each once: the first serves first.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1000, example = json!(["pk_06evr40e1m73fwp2hw6n0xq8kc"]))]
    pub(crate) key_ids: Vec<ProviderKeyId>,
}

/// Whether nobody between the client and this process can read the request.
pub struct Confidential(bool);

impl Confidential {
    /// Whether that is so.
    pub(crate) fn is(&self) -> bool {
        self.0
    }
}

impl FromRequestParts<ControlState> for Confidential {
    type Rejection = Problem;

    /// Over loopback, or over TLS that a proxy ends which the operator trusts to say so. Signs of a proxy
    /// that is not trusted mean that loopback is only the last step of the way.
    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, state).await?;
        let protocols = parts.headers.get_all("x-forwarded-proto");
        let proxied = ["forwarded", "x-forwarded-for", "x-forwarded-proto"];
        let proxied = proxied.iter().any(|name| parts.headers.contains_key(*name));
        let over_tls = state.config.trust_forwarded_proto
            && protocols.iter().next().is_some()
            && protocols.iter().all(|protocol| protocol == "https");
        let loopback = call
            .peer
            .is_some_and(|peer| peer.to_canonical().is_loopback());
        Ok(Self(over_tls || (loopback && !proxied)))
    }
}

/// The key of a body, if it has exactly one. Whether it is accepted in this form is the submission's to say.
fn material(
    Confidential(confidential): Confidential,
    kek_id: Option<String>,
    ciphertext_b64: Option<String>,
    key: Option<PlainKey>,
) -> Result<Material, Problem> {
    match (kek_id, ciphertext_b64, key) {
        (Some(kek_id), Some(ciphertext_b64), None) => Ok(Material::Sealed {
            kek_id,
            ciphertext_b64,
        }),
        (None, None, Some(PlainKey(key))) => Ok(Material::Plain { key, confidential }),
        _ => Err(Problem::new(Code::InvalidRequest)
            .because("give either kek_id and ciphertext_b64, or key")),
    }
}

/// What the body of a submission asks for.
pub(crate) fn new_key(confidential: Confidential, body: NewProviderKey) -> Result<NewKey, Problem> {
    let material = material(confidential, body.kek_id, body.ciphertext_b64, body.key)?;
    check_label(&body.label)?;
    Ok(NewKey {
        base_url: body.base_url,
        level: body.level,
        fallback: body.fallback,
        prices: body.prices,
        ..NewKey::plain(body.provider, body.label, material)
    })
}
