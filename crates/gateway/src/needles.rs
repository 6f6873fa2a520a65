//! The forms in which a provider may echo a key: what the scrubber searches for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// How many needles there are: the key itself, its hex form, its base64 form at three offsets.
pub(crate) const NEEDLES: usize = 5;

/// One searched text, with the links of the Knuth-Morris-Pratt search.
struct Needle {
    /// Folded characters; wiped when dropped.
    text: Zeroizing<Vec<u8>>,
    /// For each prefix, the length of its longest proper border. Says nothing of the characters.
    links: Vec<u16>,
    fold: fn(u8) -> u8,
}

/// Everything that is searched for on behalf of one key. Wiped when dropped; deliberately without `Debug`.
pub(crate) struct Needles {
    needles: [Needle; NEEDLES],
    /// Bytes with which some form may begin: everything else can be skipped at once.
    starts: Box<[bool; 256]>,
}

impl Needles {
    /// The forms of `key`. Percent-encoding and JSON escapes are undone by the scrubber, for each form.
    pub(crate) fn new(key: &[u8]) -> Self {
        let hex: Zeroizing<Vec<u8>> = Zeroizing::new(
            key.iter()
                .flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)])
                .collect(),
        );
        let needles = [
            Needle::new(Zeroizing::new(key.to_vec()), |byte| byte),
            Needle::new(hex, |byte| byte.to_ascii_lowercase()),
            Needle::new(base64_inside(key, 0), fold_base64),
            Needle::new(base64_inside(key, 1), fold_base64),
            Needle::new(base64_inside(key, 2), fold_base64),
        ];
        let mut starts = Box::new([false; 256]);
        for byte in 0..=u8::MAX {
            starts[usize::from(byte)] = matches!(byte, b'%' | b'\\')
                || needles
                    .iter()
                    .any(|needle| needle.text[0] == (needle.fold)(byte));
        }
        Self { needles, starts }
    }

    /// Whether a form may begin with `byte`.
    pub(crate) fn may_start(&self, byte: u8) -> bool {
        self.starts[usize::from(byte)]
    }

    /// How much of needle `at` is matched after `byte`, when `matched` characters were before it; the
    /// second value says whether that is all of it.
    pub(crate) fn step(&self, at: usize, matched: u16, byte: u8) -> (u16, bool) {
        let needle = &self.needles[at];
        let byte = (needle.fold)(byte);
        let mut matched = matched;
        while matched > 0 && needle.text[usize::from(matched)] != byte {
            matched = needle.links[usize::from(matched) - 1];
        }
        if needle.text[usize::from(matched)] == byte {
            matched += 1;
        }
        (matched, usize::from(matched) == needle.text.len())
    }
}

impl Needle {
    fn new(text: Zeroizing<Vec<u8>>, fold: fn(u8) -> u8) -> Self {
        let text = Zeroizing::new(text.iter().map(|byte| fold(*byte)).collect::<Vec<u8>>());
        let mut links = vec![0u16; text.len()];
        let mut border = 0u16;
        for at in 1..text.len() {
            while border > 0 && text[at] != text[usize::from(border)] {
                border = links[usize::from(border) - 1];
            }
            if text[at] == text[usize::from(border)] {
                border += 1;
            }
            links[at] = border;
        }
        Self { text, links, fold }
    }
}

/// The characters of the base64 text that depend on the key alone when `before` bytes (mod 3) precede it.
fn base64_inside(key: &[u8], before: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; before]);
    padded.extend_from_slice(key);
    let text = Zeroizing::new(STANDARD_NO_PAD.encode(padded.as_slice()));
    let first = (before * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    Zeroizing::new(text.as_bytes()[first..end].to_vec())
}

/// The standard and the URL-safe alphabet are one to the search.
fn fold_base64(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}
