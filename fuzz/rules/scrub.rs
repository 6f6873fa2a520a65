//! A key that is echoed does not come through, however the text is split, and without an echo nothing changes. Most bytes
//! of the input stand for themselves; one with the high bit is a part of the key in one of its forms.

use std::sync::Arc;

use bytes::Bytes;
use scrub::{Needles, Scrubber};

const KEY: &[u8] = b"sk-0aB/1%+aB/1%+aB9";
const HEX: &[u8] = b"736b2d3061422f31252b61422f31252b614239";
const BASE64: &[u8] = b"c2stMGFCLzElK2FCLzElK2FCO";
const PERCENT: &[u8] = b"sk-0aB%2F1%25%2BaB%2F1%25%2BaB9";
const JSON: &[u8] = br"sk-0aB\/1\u0025+aB\/1\u0025+aB9";

fn text_of(input: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in input {
        if byte.is_ascii() {
            text.push(*byte);
            continue;
        }
        let form = [KEY, HEX, PERCENT, JSON][usize::from(byte >> 5 & 3)];
        match usize::from(byte & 31) {
            0 => text.extend_from_slice(form),
            1 => text.extend_from_slice(BASE64),
            until => text.extend_from_slice(&form[..until.min(form.len())]),
        }
    }
    text
}

fn scrubbed<'a>(needles: &Arc<Needles>, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
    let mut scrubber = Scrubber::new(Arc::clone(needles));
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&scrubber.finish());
    (out, scrubber.removed())
}

pub(crate) fn holds(input: &[u8]) {
    let needles = Arc::new(Needles::new(KEY));
    let text = text_of(input);
    let (whole, removed) = scrubbed(&needles, [&text[..]].into_iter());
    if removed == 0 {
        assert_eq!(whole, text);
    }
    for form in [KEY, HEX, BASE64, PERCENT, JSON] {
        let comes_through = whole.windows(form.len()).any(|it| it == form);
        assert!(!comes_through, "{}", String::from_utf8_lossy(form));
    }
    assert_eq!(scrubbed(&needles, text.chunks(1)), (whole.clone(), removed));
    let at = usize::from(input.first().copied().unwrap_or(0)) % (text.len() + 1);
    let pieces = [&text[..at], &text[at..]].into_iter();
    assert_eq!(scrubbed(&needles, pieces), (whole.clone(), removed));
    let changed = Scrubber::whole(&needles, &text);
    assert_eq!(changed.as_deref(), (removed > 0).then_some(&whole[..]));
}
