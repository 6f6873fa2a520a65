//! Server-sent events, read from bytes that arrive in any pieces.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. Deliberately different: an
//! event that the stream's end cuts off before its blank line is reported, because providers leave the
//! last line break out; `id` and `retry` are not reported, because nobody here reconnects.

/// The longest line and the longest event, in bytes.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// What stood behind `event:`; empty if nothing did.
    pub name: &'a [u8],
    /// The data lines, joined by line feeds.
    pub data: &'a [u8],
}

/// What a stream says, one thing after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Event(Event<'a>),
    /// A comment, which says that the other side is alive.
    Comment,
}

/// A line or an event is longer than [`MAX_EVENT_BYTES`]. The decoder reads no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line or an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

/// Takes bytes, gives events. Any split of the same bytes gives the same events.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return; a line feed right after it belongs to it.
    after_return: bool,
    past_first_line: bool,
    too_long: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on and calls `on_event` for each event that ends in `bytes`.
    ///
    /// # Errors
    /// [`TooLong`], from then on for every call.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), TooLong> {
        self.read(bytes, |said| match said {
            Said::Event(event) => on_event(event),
            Said::Comment => {}
        })
    }

    /// As [`push`](Self::push), with the comments.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        mut on: impl FnMut(Said<'_>),
    ) -> Result<(), TooLong> {
        while !self.too_long && !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.hold(bytes);
                break;
            };
            self.after_return = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.end_line(&bytes[..end], &mut on);
            } else {
                self.hold(&bytes[..end]);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut on);
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        if self.too_long { Err(TooLong) } else { Ok(()) }
    }

    /// Ends the stream; an event without its blank line is still reported.
    ///
    /// # Errors
    /// [`TooLong`] if the stream was not read to its end.
    pub fn finish(mut self, on_event: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        self.push(b"\n\n", on_event)
    }

    /// As [`finish`](Self::finish), with the comments.
    pub(crate) fn read_last(mut self, on: impl FnMut(Said<'_>)) -> Result<(), TooLong> {
        self.read(b"\n\n", on)
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            self.stop();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, line: &[u8], on: &mut impl FnMut(Said<'_>)) {
        if line.len() > MAX_EVENT_BYTES {
            return self.stop();
        }
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if !self.past_first_line => rest,
            _ => line,
        };
        self.past_first_line = true;
        if line.is_empty() {
            return self.end_event(on);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() + 1 > MAX_EVENT_BYTES {
                    return self.stop();
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            b"" => on(Said::Comment),
            // `id`, `retry` and what the standard does not know.
            _ => {}
        }
    }

    fn end_event(&mut self, on: &mut impl FnMut(Said<'_>)) {
        if self.has_data {
            on(Said::Event(Event {
                name: &self.name,
                data: &self.data,
            }));
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
    }

    /// Gives the memory back; what the provider sends from here on is not looked at.
    fn stop(&mut self) {
        *self = Self {
            too_long: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    type Events = Vec<(String, String)>;

    /// The events of a stream that arrives in these pieces, and whether it was read to its end.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Events, Result<(), TooLong>) {
        let mut events = Events::new();
        let mut note = |event: Event<'_>| {
            events.push((
                String::from_utf8_lossy(event.name).into_owned(),
                String::from_utf8_lossy(event.data).into_owned(),
            ));
        };
        let mut decoder = Decoder::new();
        for piece in pieces {
            // An error repeats at the end.
            let _ = decoder.push(piece, &mut note);
        }
        let end = decoder.finish(&mut note);
        (events, end)
    }

    #[test]
    fn streams_are_read_as_the_standard_says() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("data: a\n\n", &[("", "a")]),
            ("data: a\r\n\r\n", &[("", "a")]),
            ("data: a\r\r", &[("", "a")]),
            ("data: a\r\n\ndata: b\n\r\n", &[("", "a"), ("", "b")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            ("data:a\n\ndata:  a\n\n", &[("", "a"), ("", " a")]),
            ("event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
            ("event: x\n\ndata: b\n\n", &[("", "b")]),
            ("event: x\r\ndata: a\r\ndata: b\r\n\r\n", &[("x", "a\nb")]),
            ("event: x\rdata: a\rdata: b\r\r", &[("x", "a\nb")]),
            ("data: a\ndata\ndata: b\n\n", &[("", "a\n\nb")]),
            ("data\n\n", &[("", "")]),
            (
                ": comment\n\n:\n\ndata: a\n: in between\nid: 7\nretry: 99999999999\nunknown: x\n\n",
                &[("", "a")],
            ),
            ("data: cut off", &[("", "cut off")]),
            ("data: cut off\n", &[("", "cut off")]),
            ("data: cut off\r", &[("", "cut off")]),
            ("data: a:b: c\n\n", &[("", "a:b: c")]),
        ];
        for (stream, expected) in cases {
            let expected: Events = expected
                .iter()
                .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
                .collect();
            assert_eq!(read([stream.as_bytes()]), (expected, Ok(())), "{stream:?}");
        }
    }

    #[test]
    fn comments_are_told_in_their_place() {
        for stream in [": a\n\n:\ndata: x\n: b\n\n:c", ":\r\r:\r\ndata: x\r:\r\r:"] {
            let mut told = Vec::new();
            let mut decoder = Decoder::new();
            let mut note = |said: Said<'_>| told.push(matches!(said, Said::Comment));
            for byte in stream.as_bytes().chunks(1) {
                decoder.read(byte, &mut note).expect("short");
            }
            decoder.read_last(&mut note).expect("short");
            assert_eq!(told, [true, true, true, false, true], "{stream:?}");
        }
    }

    #[test]
    fn a_line_or_event_beyond_the_cap_ends_the_reading() {
        // T59
        let first = "data: first\n\n";
        let after = "\n\ndata: after\n\n";
        let long = "x".repeat(MAX_EVENT_BYTES + 1);
        let half = "x".repeat(MAX_EVENT_BYTES / 2);
        for middle in [
            long.clone(),
            format!(":{long}"),
            format!("data: {half}\ndata: {half}\ndata: {half}"),
        ] {
            let stream = format!("{first}{middle}{after}");
            let only_first = vec![(String::new(), "first".to_owned())];
            let expected = (only_first, Err(TooLong));
            assert_eq!(read([stream.as_bytes()]), expected);
            assert_eq!(read(stream.as_bytes().chunks(1000)), expected);
        }
    }

    #[test]
    fn nothing_is_held_of_a_stream_that_was_given_up() {
        let mut decoder = Decoder::new();
        let piece = vec![b'x'; MAX_EVENT_BYTES];
        for _ in 0..3 {
            let _ = decoder.push(&piece, |_| ());
        }
        assert_eq!(decoder.push(b"\n", |_| ()), Err(TooLong));
        assert_eq!(decoder.line.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\n", "\r", "\r\n", "data", "data:", "data: ", "event: e", ":", " ", "x", "é", "\u{feff}", "id: 1",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream = parts.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let whole = read([stream.as_slice()]);
            prop_assert_eq!(&read(pieces), &whole);
            prop_assert_eq!(&read(stream.chunks(1)), &whole);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = read([bytes.as_slice()]);
            prop_assert_eq!(read(bytes.chunks(1)), whole);
        }
    }
}
