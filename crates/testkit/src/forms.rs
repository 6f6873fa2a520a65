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

/// One thing to look for, and the next one whose first four bytes fall into the same slot.
struct Needle {
    bytes: Vec<u8>,
    key: usize,
    form: Form,
    next: usize,
}

/// The end of a chain of needles.
const NONE: usize = usize::MAX;
const SLOT_BITS: u32 = 18;
/// Spreads neighbors over the slots (2^32 divided by the golden ratio).
const SPREAD: u32 = 0x9e37_79b1;
static ZEROS: [u8; 4096] = [0; 4096];

/// A search for many needles in one pass: a table of their first four bytes skips nearly every position.
pub(crate) struct Search {
    needles: Vec<Needle>,
    slots: Vec<usize>,
}

impl Search {
    /// Looks for every window of every key in every form.
    pub(crate) fn new<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut search = Self {
            needles: Vec::new(),
            slots: vec![NONE; 1 << SLOT_BITS],
        };
        for (key, text) in keys.enumerate() {
            for window in windows(text) {
                for (form, bytes) in spell(window) {
                    search.add(bytes, key, form);
                }
            }
        }
        search
    }

    fn add(&mut self, bytes: Vec<u8>, key: usize, form: Form) {
        let lead = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        let known = |needle: &Needle| needle.key == key && needle.bytes == bytes;
        if self.chain(lead).any(known) {
            return;
        }
        let next = std::mem::replace(&mut self.slots[slot(lead)], self.needles.len());
        self.needles.push(Needle {
            bytes,
            key,
            form,
            next,
        });
    }

    fn chain(&self, lead: u32) -> impl Iterator<Item = &Needle> {
        let at = |index: usize| self.needles.get(index);
        std::iter::successors(at(self.slots[slot(lead)]), move |needle| at(needle.next))
    }

    /// Calls `found(key, form, offset)` for each needle in `haystack`.
    pub(crate) fn run(&self, haystack: &[u8], mut found: impl FnMut(usize, Form, usize)) {
        for (number, page) in haystack.chunks(ZEROS.len()).enumerate() {
            // Databases leave whole pages empty, and no needle fits into one.
            if *page == ZEROS[..page.len()] {
                continue;
            }
            let from = number * ZEROS.len();
            // A needle that begins in the last bytes of the page goes on in the next.
            let to = (from + page.len() + 3).min(haystack.len());
            self.leads(&haystack[from..to], |at, lead| {
                for needle in self.chain(lead) {
                    if haystack[from + at..].starts_with(&needle.bytes) {
                        found(needle.key, needle.form, from + at);
                    }
                }
            });
        }
    }

    /// Calls `hit(offset, four bytes)` wherever four bytes fall into a slot that is taken. Written without
    /// iterators and calls: the tests run without optimization, and this sees every byte of every file.
    fn leads(&self, bytes: &[u8], mut hit: impl FnMut(usize, u32)) {
        let slots: &[usize] = &self.slots;
        let (mut at, mut lead) = (0, 0_u32);
        while at < bytes.len() {
            lead = (lead >> 8) | ((bytes[at] as u32) << 24);
            at += 1;
            if slots[(lead.wrapping_mul(SPREAD) >> (32 - SLOT_BITS)) as usize] != NONE && at >= 4 {
                hit(at - 4, lead);
            }
        }
    }
}

fn slot(lead: u32) -> usize {
    (lead.wrapping_mul(SPREAD) >> (32 - SLOT_BITS)) as usize
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
