//! Boxes with any content, also such as our own client would not seal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::support::{NOW, World};
use crate::{IntakeError, RawBox, seal};

/// The key that the tests submit.
pub(crate) const KEY_TEXT: &str = "sk-proj-0123456789abcdefghijWXYZ";

/// A box, in base64, for the active sealing key.
pub(crate) fn sealed(world: &World, content: &[u8]) -> String {
    let ephemeral = world.sources.random.bytes().expect("random bytes");
    let sealed = seal::seal_with(&world.sealing_key.public_key, content, ephemeral.into());
    STANDARD.encode(sealed.expect("a good public key"))
}

pub(crate) fn padded(json: &str) -> Vec<u8> {
    let mut content = json.as_bytes().to_vec();
    content.resize(content.len().next_multiple_of(256), b' ');
    content
}

/// The content of a good box of version 1, without its padding.
pub(crate) fn good_json(world: &World) -> String {
    format!(
        "{{\"v\":1,\"node\":\"{}\",\"ws\":\"{}\",\"provider\":\"openai\",\
         \"base_url\":\"https://api.openai.com/v1\",\"iat\":{},\"jti\":\"{}\",\"key\":\"{KEY_TEXT}\"}}",
        world.deployment.id,
        world.context.owner,
        NOW.millis() / 1000,
        "07".repeat(16),
    )
}

pub(crate) fn refused(world: &World, ciphertext_b64: &str, what: &str) {
    for raw_box in [RawBox::Accept, RawBox::Refuse] {
        let answer = world.submit(ciphertext_b64, raw_box);
        assert_eq!(answer.err(), Some(IntakeError::Refused), "{what}");
    }
}
