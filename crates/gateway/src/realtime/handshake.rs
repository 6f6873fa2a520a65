//! The opening handshake (RFC 6455, section 4), towards the client and towards the provider.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::fixed;
use crate::error::Failure;

/// The subprotocol of OpenAI's realtime API.
const REALTIME: &str = "realtime";
/// Names another version of it.
const BETA: &str = "openai-beta.realtime-v1";
/// Behind this browsers write the API key, since they can set no header.
const KEY: &str = "openai-insecure-api-key.";
/// The subprotocols that reach the provider. The key is none of them, nor is the organization.
const TO_UPSTREAM: [&str; 2] = [REALTIME, BETA];

/// What the client asked for.
pub(super) struct Handshake {
    /// A number used once by which the client knows the answer to its request. It is no secret.
    nonce: HeaderValue,
    /// The subprotocols that were offered and are known; `None`: none was offered.
    protocols: Option<Vec<&'static str>>,
}

impl Handshake {
    /// Reads the client's request.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let upgrades = says(headers, &header::CONNECTION, "upgrade")
            && says(headers, &header::UPGRADE, "websocket")
            && only(headers, &header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
        if !upgrades {
            return Err(Failure::UpgradeRequired);
        }
        let nonce = only(headers, &header::SEC_WEBSOCKET_KEY)
            .filter(|nonce| decoded_bytes(nonce) == Some(16))
            .ok_or(Failure::InvalidHeader(header::SEC_WEBSOCKET_KEY))?;
        let protocols = match headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
            false => None,
            true => {
                let offered: Vec<&str> = protocols(headers).collect();
                let known = TO_UPSTREAM.into_iter().filter(|it| offered.contains(it));
                let known: Vec<&'static str> = known.collect();
                if !known.contains(&REALTIME) {
                    return Err(Failure::InvalidHeader(header::SEC_WEBSOCKET_PROTOCOL));
                }
                Some(known)
            }
        };
        Ok(Self {
            nonce: nonce.clone(),
            protocols,
        })
    }

    /// Asks the provider for the same. No extension is asked for, so that frames can be read.
    pub(super) fn ask(&self, to_upstream: &mut HeaderMap) {
        to_upstream.insert(header::CONNECTION, fixed("Upgrade"));
        to_upstream.insert(header::UPGRADE, fixed("websocket"));
        to_upstream.insert(header::SEC_WEBSOCKET_VERSION, fixed("13"));
        to_upstream.insert(header::SEC_WEBSOCKET_KEY, self.nonce.clone());
        let protocols = self.protocols.iter().flatten();
        for protocol in protocols {
            to_upstream.append(header::SEC_WEBSOCKET_PROTOCOL, fixed(protocol));
        }
    }

    /// Completes the answer that switches protocols.
    pub(super) fn answer(&self, to_client: &mut HeaderMap) {
        to_client.insert(header::CONNECTION, fixed("Upgrade"));
        to_client.insert(header::UPGRADE, fixed("websocket"));
        if self.protocols.is_some() {
            to_client.insert(header::SEC_WEBSOCKET_PROTOCOL, fixed(REALTIME));
        }
    }
}

/// The provider's proof that it read the handshake, which the client checks; `None`: it did not switch to what was
/// asked for.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<HeaderValue> {
    let switches = says(headers, &header::UPGRADE, "websocket")
        && !headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
        && protocols(headers).all(|it| TO_UPSTREAM.contains(&it));
    let proof = only(headers, &header::SEC_WEBSOCKET_ACCEPT)?;
    (switches && decoded_bytes(proof) == Some(20)).then(|| proof.clone())
}

/// The API key among the subprotocols.
pub(crate) fn key_in_protocols(headers: &HeaderMap) -> Option<&str> {
    protocols(headers).find_map(|protocol| protocol.strip_prefix(KEY))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
}

fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    list(headers, name).any(|it| it.eq_ignore_ascii_case(word))
}

/// The elements of a header that is a list.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The header's value, if it stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => value,
        _ => None,
    }
}

/// How many bytes a base64 text stands for.
fn decoded_bytes(value: &HeaderValue) -> Option<usize> {
    // Longer ones are none of a handshake.
    let text = Some(value.as_bytes()).filter(|text| text.len() <= 64)?;
    STANDARD.decode(text).ok().map(|bytes| bytes.len())
}
