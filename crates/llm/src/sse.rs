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
        mut bytes: &[u8],
        mut on_event: impl FnMut(Event<'_>),
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
                self.end_line(&bytes[..end], &mut on_event);
            } else {
                self.hold(&bytes[..end]);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut on_event);
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

    fn hold(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            self.stop();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        if line.len() > MAX_EVENT_BYTES {
            return self.stop();
        }
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if !self.past_first_line => rest,
            _ => line,
        };
        self.past_first_line = true;
        if line.is_empty() {
            return self.end_event(on_event);
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
            // Comments (an empty field name), `id`, `retry` and what the standard does not know.
            _ => {}
        }
    }

    fn end_event(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        if self.has_data {
            on_event(Event {
                name: &self.name,
                data: &self.data,
            });
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
