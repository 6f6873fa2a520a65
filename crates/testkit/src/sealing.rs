//! Seals provider keys as a client would, written apart from the binary's own client on purpose: two
//! implementations that agree say more than one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use serde_json::Value;

use crate::random;

/// Where a box of form 1 says that it belongs.
#[derive(Debug, Clone)]
pub struct BoxContext {
    /// The installation's id, `dep_...`.
    pub node: String,
    /// The owner's id, `ws_...` or `acc_...`.
    pub owner: String,
    /// The provider's id.
    pub provider: String,
    /// The base URL to which the key will be sent, whole.
    pub base_url: String,
    /// When it was sealed, in Unix seconds.
    pub issued_at: i64,
    /// Makes the box unique: 32 hex digits.
    pub jti: String,
}

impl BoxContext {
    /// A context with a fresh `jti`, issued now.
    pub fn now(node: &str, owner: &str, provider: &str, base_url: &str) -> Self {
        Self {
            node: node.to_owned(),
            owner: owner.to_owned(),
            provider: provider.to_owned(),
            base_url: base_url.to_owned(),
            issued_at: unix_seconds(),
            jti: random::bytes::<16>()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }
}

/// The public sealing key as `GET /v1/byok/encryption-pubkey` gives it.
#[derive(Debug, Clone)]
pub struct SealingKey {
    /// Names the key pair; goes into the submission.
    pub kek_id: String,
    /// X25519.
    pub public_key: [u8; 32],
}

impl SealingKey {
    /// Reads the answer of `GET /v1/byok/encryption-pubkey`. Panics on any other shape.
    pub fn from_reply(body: &Value) -> Self {
        let text = |name: &str| {
            body[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {body}"))
        };
        let public_key = STANDARD
            .decode(text("public_key"))
            .expect("public_key is base64");
        Self {
            kek_id: text("kek_id").to_owned(),
            public_key: public_key.try_into().expect("public_key has 32 bytes"),
        }
    }

    /// Base64 of a sealed box over `plaintext`.
    pub fn seal_bytes(&self, plaintext: &[u8]) -> String {
        let sealed = PublicKey::from(self.public_key)
            .seal(&mut OsRng, plaintext)
            .expect("sealing never fails for a valid public key");
        STANDARD.encode(sealed)
    }

    /// The raw form: a box that holds the key and nothing else.
    pub fn seal_raw(&self, key: &str) -> String {
        self.seal_bytes(key.as_bytes())
    }

    /// Form 1: the key with its context, padded to 256-byte steps.
    pub fn seal_v1(&self, key: &str, context: &BoxContext) -> String {
        self.seal_bytes(&v1_plaintext(key, context))
    }

    /// The body of `POST /v1/byok/keys` with a raw box.
    pub fn submission(&self, provider: &str, key: &str) -> Value {
        serde_json::json!({
            "provider_name": provider,
            "kek_id": self.kek_id,
            "ciphertext_b64": self.seal_raw(key),
            "key_prefix": key.get(..4).unwrap_or_default(),
        })
    }
}

/// The plaintext of a box of form 1: JSON in a fixed order without blanks, padded with spaces.
pub fn v1_plaintext(key: &str, context: &BoxContext) -> Vec<u8> {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut plaintext = format!(
        r#"{{"v":1,"node":{},"ws":{},"provider":{},"base_url":{},"iat":{},"jti":{},"key":{}}}"#,
        quoted(&context.node),
        quoted(&context.owner),
        quoted(&context.provider),
        quoted(&context.base_url),
        context.issued_at,
        quoted(&context.jti),
        quoted(key),
    )
    .into_bytes();
    plaintext.resize(plaintext.len().next_multiple_of(256), b' ');
    plaintext
}

/// The system's time in Unix seconds; tests of the real binary share its clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the binary under test reads the system clock, so must its client"
)]
pub fn unix_seconds() -> i64 {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(elapsed.as_secs()).expect("seconds fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_box::SecretKey;

    #[test]
    fn boxes_open_with_the_private_key_and_are_padded() {
        let private = SecretKey::generate(&mut OsRng);
        let key = SealingKey {
            kek_id: "k".into(),
            public_key: *private.public_key().as_bytes(),
        };
        let open = |sealed: &str| {
            private
                .unseal(&STANDARD.decode(sealed).expect("base64"))
                .expect("opens")
        };
        assert_eq!(open(&key.seal_raw("sk-1")), b"sk-1");

        let context = BoxContext::now("dep_1", "ws_1", "openai", "https://example.com/v1");
        let plaintext = open(&key.seal_v1("sk-\"2", &context));
        assert_eq!(plaintext.len() % 256, 0);
        let parsed: Value = serde_json::from_slice(&plaintext).expect("JSON");
        assert_eq!(parsed["key"], "sk-\"2");
        assert!(plaintext.starts_with(br#"{"v":1,"node":"dep_1","ws":"ws_1","#));
    }
}
