//! The spellings in which a key can get out, and a search for many spellings at once.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Raw,
    /// Base64, at any of the three offsets.
    Base64,
    /// Base64 for URLs, at any of the three offsets.
    Base64Url,
    /// Hex digits in either case.
    Hex,
    /// `%41%42`: every byte percent-encoded. (A text that is only partly encoded holds raw stretches.)
    Percent,
    /// `\u0041\u0042`: every character escaped as JSON allows.
    JsonEscaped,
    /// UTF-16, little-endian.
    Utf16,
}

/// How many bytes of a key one needle covers. A leak of any `2 * WINDOW - 1` bytes in a row holds one whole.
pub(crate) const WINDOW: usize = 12;

/// Every spelling of `text`, whole.
pub(crate) fn spell(text: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut all = vec![
        (Form::Raw, text.to_vec()),
        (Form::Hex, each(text, |byte| format!("{byte:02x}"))),
        (Form::Hex, each(text, |byte| format!("{byte:02X}"))),
        (Form::Percent, each(text, |byte| format!("%{byte:02x}"))),
        (Form::Percent, each(text, |byte| format!("%{byte:02X}"))),
        (
            Form::JsonEscaped,
            each(text, |byte| format!("\\u00{byte:02x}")),
        ),
        (
            Form::JsonEscaped,
            each(text, |byte| format!("\\u00{byte:02X}")),
        ),
        (
            Form::Utf16,
            text.iter().flat_map(|byte| [*byte, 0]).collect(),
        ),
    ];
    for offset in 0..3 {
        let standard = base64_core(text, offset);
        let url = standard
            .iter()
            .map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect::<Vec<_>>();
        // Where the two agree, the hit is called base64.
        all.push((Form::Base64, standard));
        all.push((Form::Base64Url, url));
    }
    all
}

/// The digits of base64 that depend on `text` alone when `offset` bytes (mod 3) come before it.
fn base64_core(text: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(text);
    let encoded = STANDARD.encode(&padded).into_bytes();
    let start = (offset * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    encoded[start..end].to_vec()
}

fn each(text: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| write(*byte).into_bytes())
        .collect()
}

/// Writes `text` in a form, as a leak would. For tests of the search.
pub fn leak(form: Form, text: &str) -> Vec<u8> {
    match form {
        Form::Base64 => STANDARD.encode(text).into_bytes(),
        Form::Base64Url => URL_SAFE.encode(text).into_bytes(),
        other => spell(text.as_bytes())
            .into_iter()
            .find(|(form, _)| *form == other)
            .map(|(_, bytes)| bytes)
            .expect("every form is spelled"),
    }
}

/// One thing to look for.
struct Needle {
    bytes: Vec<u8>,
    key: usize,
    form: Form,
}

static ZEROS: [u8; 4096] = [0; 4096];

/// A search for many needles in one pass: a table of two leading bytes skips nearly every position.
#[derive(Default)]
pub(crate) struct Search {
    needles: Vec<Needle>,
    by_lead: Vec<Vec<u32>>,
}

impl Search {
    /// Looks for every window of every key in every form.
    pub(crate) fn new<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut search = Self {
            needles: Vec::new(),
            by_lead: vec![Vec::new(); 1 << 16],
        };
        for (index, key) in keys.enumerate() {
            for window in windows(key) {
                for (form, bytes) in spell(window) {
                    search.add(Needle {
                        bytes,
                        key: index,
                        form,
                    });
                }
            }
        }
        search
    }

    fn add(&mut self, needle: Needle) {
        let known = |other: &Needle| other.bytes == needle.bytes && other.key == needle.key;
        if self.needles.iter().any(known) {
            return;
        }
        let at = u32::try_from(self.needles.len()).expect("fewer needles than 2^32");
        self.by_lead[lead(&needle.bytes)].push(at);
        self.needles.push(needle);
    }

    /// Calls `found(key, form, offset)` for each needle in `haystack`.
    pub(crate) fn run(&self, haystack: &[u8], mut found: impl FnMut(usize, Form, usize)) {
        if self.needles.is_empty() || haystack.len() < 2 {
            return;
        }
        let mut at = 0;
        while at < haystack.len() - 1 {
            // Databases leave whole pages empty; no needle begins with two zeros.
            if at.is_multiple_of(ZEROS.len()) && haystack[at..].starts_with(&ZEROS) {
                at += ZEROS.len() - 1;
                continue;
            }
            let candidates = &self.by_lead[lead(&haystack[at..])];
            for needle in candidates
                .iter()
                .map(|index| &self.needles[*index as usize])
            {
                if haystack[at..].starts_with(&needle.bytes) {
                    found(needle.key, needle.form, at);
                }
            }
            at += 1;
        }
    }
}

fn lead(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Stretches of a key that may never be seen. Left out are the first and last 4 characters, which the mask
/// shows, and a vendor prefix, which is in every example.
fn windows(key: &[u8]) -> Vec<&[u8]> {
    let start = 4.max(vendor_prefix(key));
    let end = key.len().saturating_sub(4);
    let secret = key.get(start..end).unwrap_or_default();
    if secret.len() < WINDOW {
        return vec![key];
    }
    let mut windows: Vec<_> = secret.chunks_exact(WINDOW).collect();
    windows.push(&secret[secret.len() - WINDOW..]);
    windows
}

fn vendor_prefix(key: &[u8]) -> usize {
    let head = &key[..key.len().min(14)];
    head.iter()
        .rposition(|byte| matches!(byte, b'-' | b'_'))
        .map_or(0, |at| at + 1)
}
