//! Reads JSON strictly, and fast where a value is only passed over: request bodies are long texts around a few facts.
//!
//! It judges as serde_json does when that has to decode every text and number: an escape must mean a character, a number fit
//! a double, and lists and objects are counted. It says only that a document breaks a rule; which one and where, serde_json
//! is asked then.

pub(crate) mod scan;
pub(crate) mod split;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// More lists and objects within each other are not read, as by serde_json.
const MAX_DEPTH: usize = 127;
/// A number of so many bytes without an exponent fits a double; the greatest has 309 digits.
const SAFE_NUMBER_BYTES: usize = 300;

/// The document breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    List,
    Text,
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// Reads one value after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// How many of them are read.
    at: usize,
    /// How many lists and objects are open.
    depth: usize,
}

/// A text that was passed over.
struct Text<'a> {
    /// What stands between its quotes.
    inner: &'a [u8],
    has_escapes: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (at, depth) = (0, 0);
        Self { bytes, at, depth }
    }

    /// What the next value is.
    pub(crate) fn kind(&mut self) -> Result<Kind, Broken> {
        Ok(match self.next()? {
            b'{' => Kind::Object,
            b'[' => Kind::List,
            b'"' => Kind::Text,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' | b'f' | b'n' => Kind::Word,
            _ => return Err(Broken),
        })
    }

    /// Passes over a value, and returns it as it is written.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Broken> {
        let kind = self.kind()?;
        let from = self.at;
        match kind {
            Kind::Text => self.skip_text().map(drop)?,
            Kind::Number => self.skip_number()?,
            Kind::Word => self.skip_word()?,
            Kind::List => self.list(|reader| reader.skip().map(drop))?,
            Kind::Object => self.members(b'}', |reader| {
                reader.skip_text()?;
                reader.colon()?;
                reader.skip().map(drop)
            })?,
        }
        Ok(&self.bytes[from..self.at])
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Broken> {
        let text = self.skip_text()?;
        if text.has_escapes {
            let quoted = &self.bytes[self.at - text.inner.len() - 2..self.at];
            let text = serde_json::from_slice(quoted).map_err(|_| Broken)?;
            return Ok(Cow::Owned(text));
        }
        str::from_utf8(text.inner)
            .map(Cow::Borrowed)
            .map_err(|_| Broken)
    }

    /// Reads a number.
    pub(crate) fn number(&mut self) -> Result<Number, Broken> {
        serde_json::from_slice(self.skip()?).map_err(|_| Broken)
    }

    /// Reads an object. `field` gets each name and must read its value.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.next()? != b'{' {
            return Err(Broken);
        }
        self.members(b'}', |reader| {
            let name = reader.text()?;
            reader.colon()?;
            field(reader, &name)
        })
    }

    /// Reads a list. `item` must read each value.
    pub(crate) fn list(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.next()? != b'[' {
            return Err(Broken);
        }
        self.members(b']', item)
    }

    /// Nothing stands behind the value.
    pub(crate) fn end(&mut self) -> Result<(), Broken> {
        self.next().map_or(Ok(()), |_| Err(Broken))
    }

    /// The next byte that is no white space. It is not taken.
    fn next(&mut self) -> Result<u8, Broken> {
        let rest = &self.bytes[self.at..];
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let space = rest.iter().take_while(|byte| is_space(byte)).count();
        self.at += space;
        rest.get(space).copied().ok_or(Broken)
    }

    /// Reads all of a list or of an object that begins here and ends with `end`.
    fn members(
        &mut self,
        end: u8,
        mut member: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Broken);
        }
        if self.next()? != end {
            loop {
                member(self)?;
                match self.next()? {
                    b',' => self.at += 1,
                    byte if byte == end => break,
                    _ => return Err(Broken),
                }
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Broken> {
        if self.next()? != b':' {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_text(&mut self) -> Result<Text<'a>, Broken> {
        if self.next()? != b'"' {
            return Err(Broken);
        }
        let from = self.at + 1;
        let (mut at, mut is_ascii, mut has_escapes) = (from, true, false);
        loop {
            let rest = &self.bytes[at..];
            at += match is_ascii {
                true => Pass::Ascii.of(rest),
                false => Pass::Any.of(rest),
            };
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    at += 1 + escape(&self.bytes[at + 1..])?;
                }
                Some(0x80..) => is_ascii = false,
                // Control characters are written with escapes.
                Some(_) | None => return Err(Broken),
            }
        }
        let inner = &self.bytes[from..at];
        if !is_ascii && simdutf8::basic::from_utf8(inner).is_err() {
            return Err(Broken);
        }
        self.at = at + 1;
        Ok(Text { inner, has_escapes })
    }

    fn skip_number(&mut self) -> Result<(), Broken> {
        let from = self.at;
        self.at += usize::from(self.stands(b"-"));
        match self.stands(b"0") {
            true => self.at += 1,
            false => self.skip_digits()?,
        }
        if self.stands(b".") {
            self.at += 1;
            self.skip_digits()?;
        }
        let has_exponent = self.stands(b"eE");
        if has_exponent {
            self.at += 1;
            self.at += usize::from(self.stands(b"+-"));
            self.skip_digits()?;
        }
        let number = &self.bytes[from..self.at];
        let may_be_too_great = has_exponent || number.len() > SAFE_NUMBER_BYTES;
        if may_be_too_great && serde_json::from_slice::<Number>(number).is_err() {
            return Err(Broken);
        }
        Ok(())
    }

    /// Passes over digits, of which there must be one at least.
    fn skip_digits(&mut self) -> Result<(), Broken> {
        let rest = self.bytes[self.at..].iter();
        let digits = rest.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(Broken) } else { Ok(()) }
    }

    fn skip_word(&mut self) -> Result<(), Broken> {
        let rest = &self.bytes[self.at..];
        let mut words = [&b"true"[..], b"false", b"null"].into_iter();
        let word = words.find(|word| rest.starts_with(word)).ok_or(Broken)?;
        self.at += word.len();
        Ok(())
    }

    /// Whether one of these is the next byte.
    fn stands(&self, bytes: &[u8]) -> bool {
        let next = self.bytes.get(self.at);
        next.is_some_and(|byte| bytes.contains(byte))
    }
}

/// Which bytes of a text are passed over at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Those that stand for themselves and are ASCII.
    Ascii,
    /// All that stand for themselves.
    Any,
}

impl Pass {
    fn admits(self, byte: u8) -> bool {
        match self {
            // The quote changes places with the space, behind the control characters; what is not ASCII is negative.
            Self::Ascii => (byte ^ QUOTE) as i8 > b' ' as i8 && byte != b'\\',
            Self::Any => byte ^ QUOTE > b' ' && byte != b'\\',
        }
    }

    /// How many of eight bytes it admits up to the first that it does not.
    fn of_eight(self, eight: [u8; 8]) -> usize {
        const EACH: u64 = u64::MAX / 0xff;
        let bytes = u64::from_le_bytes(eight);
        let swapped = bytes ^ (EACH * QUOTE as u64);
        let backslash = bytes ^ (EACH * b'\\' as u64);
        // The highest bit of a byte is set where it is less than what is taken away, if no byte before it is.
        let special = swapped.wrapping_sub(EACH * (b' ' as u64 + 1)) & !swapped
            | backslash.wrapping_sub(EACH) & !backslash;
        let other = match self {
            Self::Ascii => bytes,
            Self::Any => 0,
        };
        let stops = (special | other) & (EACH << 7);
        stops.trailing_zeros() as usize / 8
    }

    /// How many bytes it admits up to the first that it does not.
    #[inline(always)]
    fn of(self, bytes: &[u8]) -> usize {
        // Names, short texts, and what stands between the escapes of a program end here.
        let short = &bytes[..bytes.len().min(SHORT)];
        let mut at = self.of_eights(short);
        if at == SHORT {
            // Without a branch for each byte, so that the compiler makes vectors of it.
            let all = |step: &&[u8]| step.iter().fold(true, |all, byte| all & self.admits(*byte));
            let steps = bytes[at..].chunks_exact(STEP).take_while(all).count();
            at += steps * STEP;
            at += self.of_eights(&bytes[at..]);
        }
        at
    }

    #[inline(always)]
    fn of_eights(self, bytes: &[u8]) -> usize {
        let (eights, rest) = bytes.as_chunks();
        for (at, eight) in eights.iter().enumerate() {
            let admitted = self.of_eight(*eight);
            if admitted < 8 {
                return 8 * at + admitted;
            }
        }
        let admitted = rest.iter().take_while(|byte| self.admits(**byte)).count();
        8 * eights.len() + admitted
    }
}

/// How many bytes of a text come before the first that JSON must escape.
pub(crate) fn plain(text: &str) -> usize {
    Pass::Any.of(text.as_bytes())
}

/// What turns the quote into the space, which has the least code that stands for itself.
const QUOTE: u8 = b'"' ^ b' ';
/// So many bytes are looked at before a search by vectors begins.
const SHORT: usize = 16;
/// So many are looked at by it at once.
const STEP: usize = 32;

/// How many bytes an escape has behind its backslash.
fn escape(rest: &[u8]) -> Result<usize, Broken> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(1),
        [b'u', high @ ..] => match (hex(high)?, high.get(4..)) {
            (0xdc00..0xe000, _) => Err(Broken),
            (0xd800..0xdc00, Some([b'\\', b'u', low @ ..])) => match hex(low)? {
                0xdc00..0xe000 => Ok(11),
                _ => Err(Broken),
            },
            (0xd800..0xdc00, _) => Err(Broken),
            _ => Ok(5),
        },
        _ => Err(Broken),
    }
}

/// The value of four digits.
fn hex(digits: &[u8]) -> Result<u32, Broken> {
    let digits = digits.first_chunk::<4>().ok_or(Broken)?;
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(Broken)?;
        Ok(value << 4 | digit)
    })
}

/// What serde_json finds wrong with an object that [`Reader`] has refused; `None`: nothing, which cannot be as long as both
/// judge alike.
pub(crate) fn fault(object: &[u8]) -> Option<serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(object);
    let read = parser.deserialize_map(Strict);
    read.and_then(|()| parser.end()).err()
}

/// Any value. Unlike serde's `IgnoredAny` it makes the parser decode texts and numbers and count the depth.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(Self)?.is_some() {
            fields.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
