//! The chunked coding of a body (RFC 9112, 7.1), taken off.

use std::io;

use bytes::Bytes;

/// The most bytes of extensions in a body, and of its trailers.
const MOST_EXTRA_BYTES: u32 = 16 * 1024;

/// How far a body is that comes in chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// How much of the present chunk is to come; in its first line, its length so far.
    left: u64,
    /// How much came that is of no use.
    extra_bytes: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a length.
    #[default]
    Start,
    Length,
    /// Behind the digits.
    Blank,
    Extension,
    LengthEnd,
    Data,
    DataReturn,
    DataEnd,
    /// At the start of a line behind the last chunk.
    Trailers,
    Trailer,
    TrailerEnd,
    LastEnd,
    Over,
}

impl Chunks {
    /// Whether the last chunk came, with all that belongs to it.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes the data out of what was read. What is left in `bytes` came behind the end, or is wrong: then it is left
    /// only behind data, and taken alone it is an error.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> io::Result<Bytes> {
        let mut data = Bytes::new();
        let mut joined = Vec::new();
        loop {
            let piece = match self.next(bytes) {
                Ok(Some(piece)) => piece,
                Err(error) if data.is_empty() => return Err(error),
                // What came before it is good.
                Ok(None) | Err(_) => break,
            };
            // One piece is the rule.
            if data.is_empty() {
                data = Bytes::copy_from_slice(piece);
                continue;
            }
            if joined.is_empty() {
                joined.extend_from_slice(&data);
            }
            joined.extend_from_slice(piece);
        }
        Ok(if joined.is_empty() {
            data
        } else {
            joined.into()
        })
    }

    /// The next piece of data; `None`: there is none in these bytes.
    fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> io::Result<Option<&'a [u8]>> {
        while let (false, Some((first, rest))) = (self.is_over(), bytes.split_first()) {
            if self.state == State::Data {
                let length =
                    usize::try_from(self.left).map_or(bytes.len(), |it| it.min(bytes.len()));
                let (piece, rest) = bytes.split_at(length);
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
                *bytes = rest;
                return Ok(Some(piece));
            }
            self.state = self.behind(*first).ok_or(io::ErrorKind::InvalidData)?;
            *bytes = rest;
        }
        Ok(None)
    }

    /// The state behind this byte, which is no data; `None`: it cannot stand there.
    fn behind(&mut self, byte: u8) -> Option<State> {
        Some(match (self.state, byte) {
            (State::Start | State::Length, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(digit.into())?;
                State::Length
            }
            (State::Length | State::Blank, b' ' | b'\t') => {
                self.counts()?;
                State::Blank
            }
            (State::Length | State::Blank, b';') => State::Extension,
            (State::Length | State::Blank | State::Extension, b'\r') => State::LengthEnd,
            (State::Extension | State::Trailers | State::Trailer, b'\n') => return None,
            (State::Extension, _) => {
                self.counts()?;
                State::Extension
            }
            (State::LengthEnd, b'\n') if self.left == 0 => State::Trailers,
            (State::LengthEnd, b'\n') => State::Data,
            (State::DataReturn, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Start,
            (State::Trailers, b'\r') => State::LastEnd,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailers | State::Trailer, _) => {
                self.counts()?;
                State::Trailer
            }
            (State::TrailerEnd, b'\n') => State::Trailers,
            (State::LastEnd, b'\n') => State::Over,
            _ => return None,
        })
    }

    /// Counts a byte that is of no use; `None`: there were too many.
    fn counts(&mut self) -> Option<()> {
        self.extra_bytes += 1;
        (self.extra_bytes < MOST_EXTRA_BYTES).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read when it comes in pieces of this length, and how much came behind the end.
    fn read(text: &str, size: usize) -> Option<(String, bool, usize)> {
        let (mut chunks, mut data, mut behind) = (Chunks::default(), Vec::new(), 0);
        for piece in text.as_bytes().chunks(size) {
            let mut rest = piece;
            data.extend_from_slice(&chunks.take(&mut rest).ok()?);
            if !chunks.is_over() && !rest.is_empty() {
                let alone = chunks.take(&mut rest);
                assert!(alone.is_err(), "it is wrong: {rest:?}");
                return None;
            }
            behind += rest.len();
        }
        let data = String::from_utf8(data).expect("text");
        Some((data, chunks.is_over(), behind))
    }

    #[test]
    fn a_body_is_the_same_however_it_is_split() {
        let text = "5\r\nhello\r\n1 \t;a=\"b\"\r\n,\r\n00C;c\r\n wide\r\nworld\r\n000\r\nA: b\r\nC:\r\n\r\nHTTP";
        for size in 1..=text.len() {
            let expected = Some(("hello, wide\r\nworld".to_owned(), true, 4));
            assert_eq!(read(text, size), expected, "{size}");
        }
        assert_eq!(read("5\r\nhel", 64), Some(("hel".to_owned(), false, 0)));
        assert_eq!(read("0\r\n\r", 64), Some((String::new(), false, 0)));
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for text in [
            "\r\n",
            "5\nhello",
            "5\rhello",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 2\r\n",
            ";a\r\n",
            "1;a\nb\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\rb",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\n\ra",
            "0\r\nA: b\ra\r\n",
        ] {
            assert_eq!(read(text, 64), None, "{text:?}");
            assert_eq!(read(text, 1), None, "{text:?}");
        }
        let long = "a".repeat(MOST_EXTRA_BYTES as usize);
        assert_eq!(read(&format!("1;{long}\r\na\r\n"), 64), None);
        assert_eq!(read(&format!("0\r\nA: {long}\r\n\r\n"), 64), None);
    }
}
