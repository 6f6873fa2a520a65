//! The content of a sealed box of version 1: one line of JSON in one form only, padded with spaces.

use std::io;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto;
use crate::seal::{BoxContext, WINDOW_MS};

/// The content is padded to a multiple of this.
const STEP_BYTES: usize = 256;

/// The fields, in the order in which they are written. Texts are borrowed, so that reading makes no copy
/// of the key; a text with an escape in it cannot be, and is refused: a canonical box has none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    v: u8,
    node: &'a str,
    ws: &'a str,
    provider: &'a str,
    base_url: &'a str,
    /// Unix time in whole seconds.
    iat: i64,
    jti: &'a str,
    key: &'a str,
}

/// What a box must say to be accepted.
pub(crate) struct Expected<'a> {
    pub(crate) node: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) base_url: &'a str,
    pub(crate) now: Timestamp,
}

/// Writes the content for a key that was checked.
pub(crate) fn write(key: &[u8], context: &BoxContext<'_>) -> Zeroizing<Vec<u8>> {
    let (node, owner) = (context.node.to_string(), context.owner.to_string());
    let content = Content {
        v: 1,
        node: &node,
        ws: &owner,
        provider: context.provider.as_str(),
        base_url: context.base_url,
        iat: context.issued_at.millis().div_euclid(1000),
        jti: &crypto::hex(&context.jti),
        key: std::str::from_utf8(key).expect("a checked key is ASCII"),
    };
    // Reserved for the worst case of escapes at once: growing would leave copies of the key behind.
    let capacity = 6 * (key.len() + context.base_url.len()) + 4 * STEP_BYTES;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    serde_json::to_writer(&mut *bytes, &content).expect("texts and numbers are valid JSON");
    let padded = bytes.len().next_multiple_of(STEP_BYTES);
    bytes.resize(padded, b' ');
    bytes
}

/// Reads content that begins with `{`: the key and the `jti`, or `None` if anything is not as expected.
pub(crate) fn read<'a>(bytes: &'a [u8], expected: &Expected<'_>) -> Option<(&'a [u8], [u8; 16])> {
    let content: Content<'a> = serde_json::from_slice(bytes).ok()?;
    let jti = crypto::unhex(content.jti)?;
    let age_ms = i128::from(expected.now.millis()) - i128::from(content.iat) * 1000;
    let fits = content.v == 1
        && is_canonical(bytes, &content)
        && content.node == expected.node
        && content.ws == expected.owner
        && content.provider == expected.provider
        && content.base_url == expected.base_url
        && age_ms.abs() <= WINDOW_MS;
    fits.then_some((content.key.as_bytes(), jti))
}

fn is_canonical(bytes: &[u8], content: &Content<'_>) -> bool {
    let mut rest = Rest(bytes);
    serde_json::to_writer(&mut rest, content).is_ok()
        && bytes.len().is_multiple_of(STEP_BYTES)
        && rest.0.len() < STEP_BYTES
        && rest.0.iter().all(|byte| *byte == b' ')
}

/// Compares what is written with what is there, without a second copy of it.
struct Rest<'a>(&'a [u8]);

impl io::Write for Rest<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .strip_prefix(written)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
