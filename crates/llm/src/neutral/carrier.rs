//! How one maker's proof of thinking travels in a field of another's, and how data travels in an address.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::{Proof, Source};

/// A format's one opaque text beside what a model thought: Anthropic's `signature`, the `encrypted_content` of
/// OpenAI's responses, Gemini's `thoughtSignature`, which its clients take for base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Signature,
    EncryptedContent,
    ThoughtSignature,
}

/// Before a proof that is another maker's. No maker's own begin like this: theirs are base64.
const MARK: &str = "keybearer:";
const SIGNATURE: &str = "signature:";
const SEALED: &str = "sealed:";
const ENCRYPTED: &str = "encrypted:";
const THOUGHT: &str = "thought:";

impl Carrier {
    /// The text that carries `proof` to the client.
    pub(crate) fn write(self, proof: &Proof) -> String {
        let marked = match (self, proof) {
            (Self::Signature, Proof::Signature(text))
            | (Self::ThoughtSignature, Proof::Thought(text)) => return text.clone(),
            (Self::EncryptedContent, Proof::Encrypted { content, .. }) => return content.clone(),
            (_, Proof::Signature(text)) => format!("{MARK}{SIGNATURE}{text}"),
            (_, Proof::Sealed(text)) => format!("{MARK}{SEALED}{text}"),
            (_, Proof::Encrypted { id, content }) => format!("{MARK}{ENCRYPTED}{id}:{content}"),
            (_, Proof::Thought(text)) => format!("{MARK}{THOUGHT}{text}"),
        };
        match self {
            Self::Signature | Self::EncryptedContent => marked,
            Self::ThoughtSignature => STANDARD.encode(marked),
        }
    }

    /// The proof that the client sent back in this text. `id`: of the item in which it stood.
    pub(crate) fn read(self, text: &str, id: &str) -> Option<Proof> {
        match self {
            Self::Signature | Self::EncryptedContent => match text.strip_prefix(MARK) {
                Some(marked) => unmarked(marked),
                None => self.own(text, id),
            },
            Self::ThoughtSignature => match decoded(text) {
                Some(marked) => unmarked(&marked),
                None => self.own(text, id),
            },
        }
    }

    /// The format's own proof.
    fn own(self, text: &str, id: &str) -> Option<Proof> {
        (!text.is_empty()).then(|| match self {
            Self::Signature => Proof::Signature(text.to_owned()),
            Self::EncryptedContent => Proof::Encrypted {
                id: id.to_owned(),
                content: text.to_owned(),
            },
            Self::ThoughtSignature => Proof::Thought(text.to_owned()),
        })
    }
}

/// What stands behind the mark in base64, of whichever alphabet the client's library writes.
fn decoded(text: &str) -> Option<String> {
    // Most signatures are long and their maker's own: the mark shows in the first bytes already.
    let beginning = text.get(..MARK_BASE64.len())?;
    if beginning != MARK_BASE64 {
        return None;
    }
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let text = String::from_utf8(bytes.ok()?).ok()?;
    text.strip_prefix(MARK).map(str::to_owned)
}

/// The first bytes of the mark in base64.
const MARK_BASE64: &str = "a2V5YmVhcmVy";

fn unmarked(marked: &str) -> Option<Proof> {
    if let Some(text) = marked.strip_prefix(SIGNATURE) {
        return Some(Proof::Signature(text.to_owned()));
    }
    if let Some(text) = marked.strip_prefix(SEALED) {
        return Some(Proof::Sealed(text.to_owned()));
    }
    if let Some(text) = marked.strip_prefix(THOUGHT) {
        return Some(Proof::Thought(text.to_owned()));
    }
    let (id, content) = marked.strip_prefix(ENCRYPTED)?.split_once(':')?;
    Some(Proof::Encrypted {
        id: id.to_owned(),
        content: content.to_owned(),
    })
}

/// The source that an address names: an address of the web, or data that stands in it.
pub(crate) fn without_data_url(url: &str) -> Source {
    let data = url.strip_prefix("data:").and_then(|rest| {
        let (kind, base64) = rest.split_once(',')?;
        let media_type = kind.strip_suffix(";base64")?;
        // Parameters such as a file's name stand behind the type.
        let media_type = media_type.split(';').next()?;
        Some((media_type.to_owned(), base64.to_owned()))
    });
    match data {
        Some((media_type, base64)) => Source::Data { media_type, base64 },
        None => Source::Url(url.to_owned()),
    }
}

/// Data as an address.
pub(crate) fn to_data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

/// What a file's name says of its kind, for data that comes without one.
pub(crate) fn media_of(name: Option<&str>) -> &'static str {
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|it| it.1);
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("txt" | "md" | "csv") => "text/plain",
        _ => "application/pdf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_comes_back_from_every_carrier() {
        let proofs = [
            Proof::Signature("EqQB+/==".to_owned()),
            Proof::Sealed("Emxh".to_owned()),
            Proof::Encrypted {
                id: "rs_1".to_owned(),
                content: "gAAA:b".to_owned(),
            },
            Proof::Thought("CiQB-_==".to_owned()),
        ];
        for carrier in [
            Carrier::Signature,
            Carrier::EncryptedContent,
            Carrier::ThoughtSignature,
        ] {
            for proof in &proofs {
                let text = carrier.write(proof);
                assert_eq!(carrier.read(&text, "rs_1").as_ref(), Some(proof), "{text}");
            }
        }
        assert_eq!(Carrier::Signature.read("", ""), None);
        assert_eq!(Carrier::Signature.read("keybearer:other:x", ""), None);
        // Libraries write base64 in their own alphabet.
        let foreign = Proof::Signature("\u{3ff}\u{3fe}???>>>".to_owned());
        let text = Carrier::ThoughtSignature.write(&foreign);
        let other = text.replace('+', "-").replace('/', "_");
        assert_ne!(text, other);
        let read = Carrier::ThoughtSignature.read(&other, "");
        assert_eq!(read, Some(foreign));
    }

    #[test]
    fn data_is_taken_out_of_an_address() {
        for (url, expected) in [
            ("data:image/png;base64,AA==", Some(("image/png", "AA=="))),
            (
                "data:application/pdf;name=a.pdf;base64,AA==",
                Some(("application/pdf", "AA==")),
            ),
            ("data:text/plain,hi", None),
            ("https://example.com/a.png", None),
        ] {
            match (without_data_url(url), expected) {
                (Source::Data { media_type, base64 }, Some(it)) => {
                    assert_eq!((media_type.as_str(), base64.as_str()), it);
                }
                (Source::Url(it), None) => assert_eq!(it, url),
                (source, _) => panic!("{source:?}"),
            }
        }
    }
}
