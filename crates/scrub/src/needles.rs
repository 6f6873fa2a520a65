//! The forms in which a key may be echoed: what the scrubber searches for.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use aho_corasick::packed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memchr3;
use zeroize::Zeroizing;

use crate::{ESC, NO_CHARACTER, hex_value, is_escape};

/// How many needles there are: the key itself, its hex form, its base64 form at three offsets.
pub(crate) const NEEDLES: usize = 5;

type Fold = fn(u8) -> u8;

/// One searched text, with the links of the Knuth-Morris-Pratt search.
struct Needle {
    /// Folded characters; wiped when dropped.
    text: Zeroizing<Vec<u8>>,
    /// For each prefix, the length of its longest proper border. Says nothing of the characters.
    links: Vec<u16>,
    fold: Fold,
}

/// Everything that is searched for on behalf of one key. Wiped when dropped; deliberately without `Debug`.
pub struct Needles {
    key: Zeroizing<Vec<u8>>,
    /// Made when something comes that may begin one of them, which is seldom.
    needles: OnceLock<[Needle; NEEDLES]>,
    openings: Arc<Openings>,
}

/// How the forms of keys begin that begin alike.
struct Openings {
    /// What a byte may be in the first three places of some form: most bytes can be skipped at once.
    places: [u8; 256],
    /// The beginning of the key.
    key: Zeroizing<Vec<u8>>,
    /// Finds the first three characters of any form. Made for the first long piece; `None`: it cannot be.
    searcher: OnceLock<Option<packed::Searcher>>,
    /// A piece of so many bytes is worth making it.
    long_bytes: usize,
}

/// Bits of [`Openings::places`].
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 4;
/// It begins an escape, which may stand for anything.
const ESCAPE: u8 = 8;
/// The first three characters of every form depend on no more of the key than this.
const OPENING_BYTES: usize = 3;
/// The search of longer pieces is worth its preparation, if that is for one key.
const LONG_BYTES: usize = 4096;
/// If it is made once for many, it is worth it as soon as vectors are of use.
const LONG_BYTES_SHARED: usize = 64;
/// Nearly all keys of a provider begin alike, with its own prefix. What is made of that is kept for the next call, of keys
/// that are so long that their masks show as much of them.
const SHARED_FROM_BYTES: usize = 24;
/// So many are kept, and no more.
const MOST_SHARED: usize = 256;
static SHARED: LazyLock<RwLock<HashMap<[u8; OPENING_BYTES], Arc<Openings>>>> =
    LazyLock::new(RwLock::default);

impl Openings {
    /// Those of this key's forms.
    fn of(key: &[u8]) -> Arc<Self> {
        let opening = &key[..key.len().min(OPENING_BYTES)];
        match <[u8; OPENING_BYTES]>::try_from(opening) {
            Ok(opening) if key.len() >= SHARED_FROM_BYTES => Self::shared(opening),
            _ => Arc::new(Self::new(opening, LONG_BYTES)),
        }
    }

    fn shared(opening: [u8; OPENING_BYTES]) -> Arc<Self> {
        let known = SHARED.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&opening) {
            return Arc::clone(known);
        }
        drop(known);
        let made = Arc::new(Self::new(&opening, LONG_BYTES_SHARED));
        let mut known = SHARED.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_SHARED {
            // Keys that begin at random: each would be made for one call.
            return Arc::new(Self::new(&opening, LONG_BYTES));
        }
        known.insert(opening, Arc::clone(&made));
        made
    }

    fn new(opening: &[u8], long_bytes: usize) -> Self {
        let mut places = [0; 256];
        for (form, fold) in forms(opening) {
            for (at, bit) in [(0, FIRST), (1, SECOND), (2, THIRD)] {
                match form.get(at) {
                    Some(character) => mark(fold(*character), fold, bit, &mut places),
                    // It is complete before: whatever follows, nothing may be skipped.
                    None => places.iter_mut().for_each(|place| *place |= bit),
                }
            }
        }
        for (byte, place) in (0..=u8::MAX).zip(&mut places) {
            if is_escape(byte) {
                *place |= ESCAPE;
            }
        }
        Self {
            places,
            key: Zeroizing::new(opening.to_vec()),
            searcher: OnceLock::new(),
            long_bytes,
        }
    }

    /// Where the next escape stands that may stand for a character of some beginning.
    fn next_escape(&self, piece: &[u8], mut from: usize) -> usize {
        while let Some(at) = memchr3(b'%', b'\\', ESC, &piece[from..]) {
            let escape = from + at;
            match self.meaningless(&piece[escape..]) {
                0 => return escape,
                bytes => from = escape + bytes,
            }
        }
        piece.len()
    }

    /// How many of these bytes, of which the first may begin an escape, stand for themselves alone or for a character that no
    /// form has in its beginning; 0: that is not so, or not known. A text has line breaks and quotes that JSON escapes.
    fn meaningless(&self, bytes: &[u8]) -> usize {
        let begins = bytes[0];
        if begins == ESC || self.places[usize::from(begins)] != ESCAPE {
            return 0;
        }
        let run = bytes.iter().take_while(|byte| **byte == begins).count();
        let behind = &bytes[run..];
        let (escape, character) = match (begins, behind) {
            (b'%', [a, b, ..]) if is_hex(&[*a, *b]) => (&behind[..2], hex_byte(*a, *b)),
            (b'%', [next, ..]) if !next.is_ascii_hexdigit() => return run,
            (b'\\', [b'u', a, b, c, d, ..]) if is_hex(&[*a, *b, *c, *d]) => {
                let character = match (a, b) {
                    (b'0', b'0') => hex_byte(*c, *d),
                    _ => NO_CHARACTER,
                };
                (&behind[..5], character)
            }
            (b'\\', [b'/', ..]) => (&behind[..1], b'/'),
            (b'\\', [next, ..]) if *next != b'u' => return run,
            _ => return 0,
        };
        // Nor may a form begin within it, for whoever reads on there would take its bytes for characters.
        let may_begin = |byte: &u8| self.places[usize::from(*byte)] & FIRST != 0;
        match self.places[usize::from(character)] == 0 && !escape.iter().any(may_begin) {
            true => run + escape.len(),
            false => 0,
        }
    }

    /// How many bytes at the beginning of `piece` cannot belong to an echo if nothing before them does. `plain` is where
    /// [`next_escape`](Self::next_escape) stands: what escapes there are before it stand for no character that is among the
    /// first three of a form, which looking at every third place rests upon.
    ///
    /// Where no next bytes can tell, the ones that are there decide.
    fn skip(&self, piece: &[u8], plain: usize) -> usize {
        if plain >= self.long_bytes
            && let Some(searcher) = self.searcher.get_or_init(|| searcher(&self.key))
        {
            return self.skip_long(searcher, piece, plain);
        }
        // Of three characters in a row one stands at every third place.
        for last in (2..plain).step_by(3) {
            if self.places[usize::from(piece[last])] & (FIRST | SECOND | THIRD) != 0 {
                let begins = (last - 2..=last).find(|at| self.may_begin(piece, *at));
                if let Some(begins) = begins {
                    return begins;
                }
            }
        }
        let rest = plain - plain % 3..plain;
        rest.into_iter()
            .find(|at| self.may_begin(piece, *at))
            .unwrap_or(plain)
    }

    /// As [`skip`](Self::skip), of a long piece.
    fn skip_long(&self, searcher: &packed::Searcher, piece: &[u8], plain: usize) -> usize {
        let whole = searcher.find(&piece[..plain]).map(|found| found.start());
        // The last two could begin one that goes on behind.
        let mut last = plain.saturating_sub(2)..plain;
        whole
            .or_else(|| last.find(|at| self.may_begin(piece, *at)))
            .unwrap_or(plain)
    }

    /// Whether a form may begin at this place, as far as the bytes behind it tell.
    fn may_begin(&self, piece: &[u8], at: usize) -> bool {
        // What comes behind an escape is not known; neither is what comes behind the end.
        let next = |at: usize| piece.get(at).map(|byte| self.places[usize::from(*byte)]);
        let ends = |place: Option<u8>| place.is_none_or(|it| it & ESCAPE != 0);
        let fits = |place: Option<u8>, bit: u8| place.is_some_and(|it| it & bit != 0);
        let (second, third) = (next(at + 1), next(at + 2));
        fits(next(at), FIRST)
            && (ends(second) || fits(second, SECOND) && (ends(third) || fits(third, THIRD)))
    }
}

impl Needles {
    /// The forms of `key`. Percent-encoding, JSON escapes and colours are undone by the scrubber, for each form.
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: Zeroizing::new(key.to_vec()),
            needles: OnceLock::new(),
            openings: Openings::of(key),
        }
    }

    /// Where the next escape stands in `piece`, from `from` on.
    pub(crate) fn next_escape(&self, piece: &[u8], from: usize) -> usize {
        self.openings.next_escape(piece, from)
    }

    /// How many bytes at the beginning of `piece`, whose next escape stands at `plain`, cannot belong to an echo if nothing
    /// before them does.
    pub(crate) fn skip(&self, piece: &[u8], plain: usize) -> usize {
        self.openings.skip(piece, plain)
    }

    /// How much of needle `at` is matched after `byte`, when `matched` characters were before it; the
    /// second value says whether that is all of it.
    pub(crate) fn step(&self, at: usize, matched: u16, byte: u8) -> (u16, bool) {
        let needles = self
            .needles
            .get_or_init(|| forms(&self.key).map(|(form, fold)| Needle::new(form, fold)));
        let needle = &needles[at];
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
    fn new(text: Zeroizing<Vec<u8>>, fold: Fold) -> Self {
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

/// The texts that are searched for, and what makes equal what stands for the same.
fn forms(key: &[u8]) -> [(Zeroizing<Vec<u8>>, Fold); NEEDLES] {
    let mut hex = Zeroizing::new(Vec::with_capacity(key.len() * 2));
    for byte in key {
        hex.extend([hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    [
        (Zeroizing::new(key.to_vec()), |byte| byte),
        (hex, |byte| byte.to_ascii_lowercase()),
        (base64_inside(key, 0), fold_base64),
        (base64_inside(key, 1), fold_base64),
        (base64_inside(key, 2), fold_base64),
    ]
}

/// Sets `bit` for each byte that folds to `character`.
fn mark(character: u8, fold: Fold, bit: u8, places: &mut [u8; 256]) {
    for byte in spellings(character, fold) {
        places[usize::from(byte)] |= bit;
    }
}

/// The bytes that fold to `character`: itself, or what one of the folds changes.
fn spellings(character: u8, fold: Fold) -> impl Iterator<Item = u8> + Clone {
    let upper = character.to_ascii_uppercase();
    let others = [upper, b'+', b'/'];
    let others = others.into_iter().filter(move |byte| *byte != character);
    std::iter::once(character).chain(others.filter(move |byte| fold(*byte) == character))
}

/// What finds the first three characters of any form, in every spelling; `None`: some form is shorter, or this machine
/// has no instructions for it.
fn searcher(opening: &[u8]) -> Option<packed::Searcher> {
    let mut builder = packed::Config::new().builder();
    for (form, fold) in forms(opening) {
        let [first, second, third] = *form.first_chunk::<3>()?;
        let of = |character| spellings(fold(character), fold);
        for a in of(first) {
            for b in of(second) {
                for c in of(third) {
                    builder.add([a, b, c]);
                }
            }
        }
    }
    builder.build()
}

/// The characters of the base64 text that depend on the key alone when `before` bytes (mod 3) precede it.
fn base64_inside(key: &[u8], before: usize) -> Zeroizing<Vec<u8>> {
    // With room for all of it, so that no piece of the key is left behind where they grew.
    let mut padded = Zeroizing::new(Vec::with_capacity(before + key.len()));
    padded.resize(before, 0);
    padded.extend_from_slice(key);
    let mut text = Zeroizing::new(vec![0; padded.len().div_ceil(3) * 4]);
    STANDARD_NO_PAD
        .encode_slice(padded.as_slice(), &mut text)
        .expect("four characters hold three bytes");
    text.truncate(padded.len() * 8 / 6);
    text.drain(..(before * 8).div_ceil(6));
    text
}

/// The standard and the URL-safe alphabet are one to the search.
fn fold_base64(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// The byte that two digits stand for.
fn hex_byte(high: u8, low: u8) -> u8 {
    (hex_value(high) << 4) | hex_value(low)
}

fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_skipped_that_may_begin_a_form(
            key in "[a-c]{1,9}",
            piece in prop::collection::vec(prop::sample::select(b"abcYWJ6%\\\x1bx".to_vec()), 0..60),
            noise in any::<u8>(),
        ) {
            let openings = Openings::of(key.as_bytes());
            let mut piece = piece;
            piece.push(noise);
            let begins = |at: &usize| {
                openings.places[usize::from(piece[*at])] & ESCAPE != 0 || openings.may_begin(&piece, *at)
            };
            let first = (0..piece.len()).find(begins).unwrap_or(piece.len());
            let plain = piece.iter().position(|byte| b"%\\\x1b".contains(byte)).unwrap_or(piece.len());
            prop_assert_eq!(openings.skip(&piece, plain), first);
            prop_assert!(openings.next_escape(&piece, 0) >= plain);
        }

        #[test]
        fn the_search_of_long_pieces_stops_where_a_form_begins(
            key in "[a-c+/?]{3,9}",
            piece in prop::collection::vec(prop::sample::select(b"abc+/-_?YWJjKz636AaBb".to_vec()), 0..90),
            escape in prop::sample::select(vec![&b""[..], b"%61", b"\\u0061", b"\x1b[mb"]),
        ) {
            let openings = Openings::of(key.as_bytes());
            let plain = piece.len();
            let piece = [&piece, escape].concat();
            let searcher = searcher(&openings.key).expect("this machine has it");
            let skipped = openings.skip_long(&searcher, &piece, plain);
            let begins = |at: &usize| {
                forms(key.as_bytes()).iter().any(|(form, fold)| {
                    let plain = piece[*at..plain].iter().take(form.len());
                    plain.zip(form.iter()).take(3).all(|(byte, character)| fold(*byte) == fold(*character))
                })
            };
            let first = (0..plain).find(begins).unwrap_or(plain);
            prop_assert!(skipped <= first, "{skipped} {first}");
            // And not much earlier: only at the end may it be careful.
            prop_assert!(skipped == first || skipped >= plain.saturating_sub(2), "{skipped} {first}");
        }
    }

    #[test]
    fn only_what_masks_show_of_keys_is_kept_and_shared() {
        let of = |key: &str| Openings::of(key.as_bytes());
        let long = of("kq-0123456789abcdefghijk");
        let other = of("kq-zyxwvutsrqponmlkjihgfe");
        assert!(Arc::ptr_eq(&long, &other));
        assert_eq!(long.key.as_slice(), b"kq-");
        assert!(!Arc::ptr_eq(&long, &of("kr-0123456789abcdefghijk")));
        // The mask of a shorter one shows nothing of its beginning.
        let short = "kq-0123456789abcdefghij";
        assert!(!Arc::ptr_eq(&of(short), &of(short)));
        for number in 0..2 * MOST_SHARED {
            of(&format!("{number:03}456789abcdefghijklmnop"));
        }
        let kept = SHARED.read().unwrap_or_else(PoisonError::into_inner);
        assert!(kept.len() <= MOST_SHARED);
    }
}
