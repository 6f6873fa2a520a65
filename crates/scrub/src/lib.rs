//! Removes echoes of a key from bytes that stream by.
//!
//! A provider, or a proxy on the way, may repeat the key in an error, a header or a debug field; a program that was
//! given one may print it. As it is, in base64, hex, percent-encoded, JSON-escaped, or with a terminal's colours in it.
//! Each such echo becomes `[redacted]`; every other byte stays as it is. Only a suffix that may be the beginning of an
//! echo is held back until the next bytes decide.
//!
//! Does no I/O, has no clock, and does not know whose key it is or what the bytes are. Start reading at [`Scrubber`].

mod needles;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

pub use needles::Needles;

use needles::NEEDLES;

/// What stands in place of an echo. Harmless inside a JSON string, an SSE line and a header.
pub const REDACTED: &[u8] = b"[redacted]";

/// Searches one body. The answer does not depend on how the body is cut into pieces.
pub struct Scrubber {
    needles: Arc<Needles>,
    /// The first one speaks for all until an escape comes, which they read each in its own way.
    readings: [Reading; 4],
    apart: bool,
    /// Bytes that came in and did not go out yet.
    held: BytesMut,
    /// Position of the first held byte in the body.
    held_from: u64,
    /// Position of the next byte of the body.
    next: u64,
    /// How many echoes were removed.
    removed: u64,
}

impl Scrubber {
    /// A scrubber for the key behind `needles`.
    pub fn new(needles: Arc<Needles>) -> Self {
        Self {
            needles,
            readings: [
                Reading::new(Encoding::Plain),
                Reading::new(Encoding::Percent),
                Reading::new(Encoding::Json),
                Reading::new(Encoding::Terminal),
            ],
            apart: false,
            held: BytesMut::new(),
            held_from: 0,
            next: 0,
            removed: 0,
        }
    }

    /// Takes the next piece and returns what may go out. A piece without a trace of the key is returned as
    /// it came, without a copy.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let echoes = self.search(&piece);
        self.next += piece.len() as u64;
        // What was released cannot be taken back.
        let hold_from = self.hold_from().max(self.held_from);
        if self.held.is_empty() && echoes.is_empty() && hold_from == self.next {
            self.held_from = self.next;
            return piece;
        }
        self.held.extend_from_slice(&piece);
        let mut out = BytesMut::with_capacity(self.held.len());
        for (start, end) in echoes {
            let start = start.max(self.held_from);
            let before = self.held.split_to((start - self.held_from) as usize);
            out.extend_from_slice(&before);
            out.extend_from_slice(REDACTED);
            let echo = self.held.split_to((end - start) as usize);
            sequences(&echo).for_each(|it| out.extend_from_slice(it));
            self.held_from = end;
        }
        let ready = self.held.split_to((hold_from - self.held_from) as usize);
        self.held_from = hold_from;
        out.extend_from_slice(&ready);
        out.freeze()
    }

    /// What was held back, when the body is at its end.
    pub fn finish(&mut self) -> Bytes {
        self.reset();
        self.release()
    }

    /// What was held back, for a reader who shall not wait for what comes next. The search goes on: should an echo have
    /// begun there, the rest of it is removed.
    pub fn release(&mut self) -> Bytes {
        self.held_from = self.next;
        self.held.split().freeze()
    }

    /// How many bytes are held back.
    pub fn held_bytes(&self) -> u64 {
        self.held.len() as u64
    }

    /// How many echoes were removed so far.
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// Searches a whole text: `Some` with the echoes removed, `None` if there were none.
    pub fn whole(needles: &Arc<Needles>, text: &[u8]) -> Option<Bytes> {
        let mut scrubber = Self::new(Arc::clone(needles));
        let mut out = BytesMut::from(scrubber.push(Bytes::copy_from_slice(text)).as_ref());
        out.extend_from_slice(&scrubber.finish());
        (scrubber.removed > 0).then(|| out.freeze())
    }

    /// The echoes that end in `piece`, as positions in the body, in order and apart.
    fn search(&mut self, piece: &[u8]) -> Vec<(u64, u64)> {
        let mut echoes = Vec::new();
        let mut at = 0;
        // Looked for once, however often the search has to stop before it.
        let mut escape = None;
        while at < piece.len() {
            if self.of_use().iter().all(Reading::rests) {
                self.apart = false;
                let known = escape.filter(|escape| *escape >= at);
                let next = known.unwrap_or_else(|| self.needles.next_escape(piece, at));
                escape = Some(next);
                at += self.needles.skip(&piece[at..], next - at);
                if at == piece.len() {
                    break;
                }
            }
            let position = self.next + at as u64;
            if let Some(echo) = self.read(piece[at], position) {
                echoes.push(echo);
                self.removed += 1;
                self.reset();
            }
            at += 1;
        }
        echoes
    }

    /// Reads the byte at `position`; returns the echo that it completes.
    fn read(&mut self, byte: u8, position: u64) -> Option<(u64, u64)> {
        if !self.apart && is_escape(byte) {
            self.part();
        }
        let many = if self.apart { self.readings.len() } else { 1 };
        let mut readings = self.readings[..many].iter_mut();
        readings.find_map(|reading| reading.read(&self.needles, byte, position))
    }

    /// Lets each reading speak for itself, from where the first one is.
    fn part(&mut self) {
        let [first, others @ ..] = &mut self.readings;
        for other in others {
            other.matched = first.matched;
            other.starts.clone_from(&first.starts);
        }
        self.apart = true;
    }

    /// The readings that say something.
    fn of_use(&self) -> &[Reading] {
        match self.apart {
            true => &self.readings,
            false => &self.readings[..1],
        }
    }

    /// Position of the first byte that may belong to an echo.
    fn hold_from(&self) -> u64 {
        let starts = self.of_use().iter().filter_map(Reading::begins_at);
        starts.min().unwrap_or(self.next)
    }

    fn reset(&mut self) {
        self.apart = false;
        for reading in &mut self.readings {
            *reading = Reading::new(reading.encoding);
        }
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    /// Each byte is a character.
    Plain,
    /// `%41` is a character.
    Percent,
    /// `\u0041` and `\/` are characters, also inside JSON that is itself a JSON string (more backslashes).
    Json,
    /// What switches a terminal's colours and the like is no character (ECMA-48, 5.4: `ESC [ ... m`).
    Terminal,
}

/// Begins what a terminal obeys.
const ESC: u8 = 0x1b;
/// More bytes than this are no control sequence: two colours with three components each have 38.
const MAX_SEQUENCE_BYTES: usize = 64;

/// Whether some reading takes this byte for the beginning of an escape.
fn is_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | ESC)
}

/// A character that no key and no form of one contains.
const NO_CHARACTER: u8 = 0;
/// More backslashes in a row than this are not an escape: JSON nested five levels deep has 31.
const MAX_BACKSLASHES: u64 = 31;

/// One way to read the bytes as characters, and how far each needle is matched by them.
struct Reading {
    encoding: Encoding,
    /// Bytes of an escape that is not complete.
    escape: Vec<u8>,
    escape_from: u64,
    matched: [u16; NEEDLES],
    /// Where the last characters began; as many as the longest match has.
    starts: VecDeque<u64>,
}

impl Reading {
    fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            escape: Vec::new(),
            escape_from: 0,
            matched: [0; NEEDLES],
            starts: VecDeque::new(),
        }
    }

    /// Whether no byte before the next one matters.
    fn rests(&self) -> bool {
        self.escape.is_empty() && self.starts.is_empty()
    }

    /// Where the earliest possible echo begins.
    fn begins_at(&self) -> Option<u64> {
        let escape = (!self.escape.is_empty()).then_some(self.escape_from);
        self.starts.front().copied().or(escape)
    }

    /// Reads the byte at `position`; returns the echo that it completes.
    fn read(&mut self, needles: &Needles, byte: u8, position: u64) -> Option<(u64, u64)> {
        match self.encoding {
            Encoding::Plain => self.feed(needles, byte, position, position + 1),
            Encoding::Percent => self.read_percent(needles, byte, position),
            Encoding::Json => self.read_json(needles, byte, position),
            Encoding::Terminal => self.read_terminal(needles, byte, position),
        }
    }

    fn read_percent(&mut self, needles: &Needles, byte: u8, position: u64) -> Option<(u64, u64)> {
        if self.escape.is_empty() {
            if byte == b'%' {
                self.begin_escape(byte, position);
                return None;
            }
            return self.feed(needles, byte, position, position + 1);
        }
        if byte.is_ascii_hexdigit() {
            self.escape.push(byte);
            if self.escape.len() < 3 {
                return None;
            }
            let character = (hex_value(self.escape[1]) << 4) | hex_value(self.escape[2]);
            self.escape.clear();
            return self.feed(needles, character, self.escape_from, position + 1);
        }
        self.give_up_escape(needles)
            .or_else(|| self.read_percent(needles, byte, position))
    }

    fn read_json(&mut self, needles: &Needles, byte: u8, position: u64) -> Option<(u64, u64)> {
        if self.escape.is_empty() {
            if byte == b'\\' {
                self.begin_escape(byte, position);
                return None;
            }
            return self.feed(needles, byte, position, position + 1);
        }
        let backslashes = self.escape.iter().take_while(|b| **b == b'\\').count();
        if backslashes == self.escape.len() {
            match byte {
                b'\\' if (backslashes as u64) < MAX_BACKSLASHES => {
                    self.escape.push(byte);
                    return None;
                }
                b'u' => {
                    self.escape.push(byte);
                    return None;
                }
                b'/' => {
                    self.escape.clear();
                    return self.feed(needles, b'/', self.escape_from, position + 1);
                }
                _ => {}
            }
        } else if byte.is_ascii_hexdigit() {
            self.escape.push(byte);
            let digits = &self.escape[backslashes + 1..];
            if digits.len() < 4 {
                return None;
            }
            let character = if digits[..2] == *b"00" {
                (hex_value(digits[2]) << 4) | hex_value(digits[3])
            } else {
                NO_CHARACTER
            };
            self.escape.clear();
            return self.feed(needles, character, self.escape_from, position + 1);
        }
        self.give_up_escape(needles)
            .or_else(|| self.read_json(needles, byte, position))
    }

    fn read_terminal(&mut self, needles: &Needles, byte: u8, position: u64) -> Option<(u64, u64)> {
        match (self.escape.len(), byte) {
            (0, ESC) => {
                self.begin_escape(byte, position);
                None
            }
            (0, _) => self.feed(needles, byte, position, position + 1),
            (1, b'[') | (2..MAX_SEQUENCE_BYTES, 0x20..=0x3f) => {
                self.escape.push(byte);
                None
            }
            (2.., 0x40..=0x7e) => {
                self.escape.clear();
                None
            }
            _ => self
                .give_up_escape(needles)
                .or_else(|| self.read_terminal(needles, byte, position)),
        }
    }

    fn begin_escape(&mut self, byte: u8, position: u64) {
        self.escape.push(byte);
        self.escape_from = position;
    }

    /// The bytes were no escape: each is a character.
    fn give_up_escape(&mut self, needles: &Needles) -> Option<(u64, u64)> {
        let escape = std::mem::take(&mut self.escape);
        let from = self.escape_from;
        let mut positions = (from..).zip(escape);
        positions.find_map(|(at, byte)| self.feed(needles, byte, at, at + 1))
    }

    /// Takes one character that stands at `start..end`.
    fn feed(&mut self, needles: &Needles, byte: u8, start: u64, end: u64) -> Option<(u64, u64)> {
        self.starts.push_back(start);
        let mut longest = 0;
        for at in 0..NEEDLES {
            let (matched, complete) = needles.step(at, self.matched[at], byte);
            if complete {
                let first = self.starts.len() - usize::from(matched);
                return Some((self.starts[first], end));
            }
            self.matched[at] = matched;
            longest = longest.max(usize::from(matched));
        }
        let settled = self.starts.len() - longest;
        self.starts.drain(..settled);
        None
    }
}

/// The control sequences in an echo, which a terminal misses when they are gone: one of them may end a colour.
fn sequences(echo: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr_iter(ESC, echo).filter_map(|at| {
        let rest = &echo[at..];
        let end = rest
            .iter()
            .skip(2)
            .position(|byte| (0x40..=0x7e).contains(byte))?;
        Some(&rest[..end + 3])
    })
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests;
