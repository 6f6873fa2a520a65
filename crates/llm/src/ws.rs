//! The frames of a WebSocket (RFC 6455), read as they stream by from a server that was granted no extension.
//!
//! Nothing is kept but a frame's head: frames and messages may have any length.

/// What a part of a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// A frame between those of messages: close, ping, pong.
    Control,
}

/// What ends with a part of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing.
    Open,
    /// The frame; the message goes on.
    Frame,
    /// The frame, and the message with it. A control frame is a message of its own.
    Message,
}

/// A part of a frame's payload. Each frame has at least one, if only an empty one at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it belongs to.
    pub kind: Kind,
    /// Where it begins in the bytes that were given.
    pub at: usize,
    /// The bytes.
    pub payload: &'a [u8],
    /// What ends with it.
    pub end: End,
}

/// Why bytes are no frames of such a server. What comes behind cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no frames of a WebSocket server without extensions")]
pub struct FrameError;

/// Longest head of a frame without a mask.
const MAX_HEAD_BYTES: usize = 10;
/// Longest payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

/// Reads frames without masks. Any split of the same bytes gives the same frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    head: [u8; MAX_HEAD_BYTES],
    head_bytes: usize,
    /// The frame whose payload is due.
    frame: Option<Frame>,
    /// The message that has begun and not ended.
    message: Option<Kind>,
    broken: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    last: bool,
    left: u64,
}

impl FrameReader {
    /// A reader at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every frame that began has ended, so that another may be put behind it.
    pub fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.head_bytes == 0 && !self.broken
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`FrameError`] from the first offence on: a mask, a reserved bit or opcode, a control frame that is long or in
    /// fragments, a message inside another, a fragment of none, a length of 2^63 or more.
    pub fn push(&mut self, bytes: &[u8], mut part: impl FnMut(Part<'_>)) -> Result<(), FrameError> {
        if self.broken {
            return Err(FrameError);
        }
        let mut at = 0;
        loop {
            let Some(frame) = &mut self.frame else {
                while self.head_bytes < self.head_length() && at < bytes.len() {
                    self.head[self.head_bytes] = bytes[at];
                    self.head_bytes += 1;
                    at += 1;
                }
                if self.head_bytes < self.head_length() {
                    return Ok(());
                }
                let Some(frame) = self.begin() else {
                    self.broken = true;
                    return Err(FrameError);
                };
                self.frame = Some(frame);
                continue;
            };
            if at == bytes.len() && frame.left > 0 {
                return Ok(());
            }
            let rest = bytes.len() - at;
            let taken = usize::try_from(frame.left).map_or(rest, |left| left.min(rest));
            frame.left -= taken as u64;
            let end = match (frame.left, frame.last) {
                (0, true) => End::Message,
                (0, false) => End::Frame,
                _ => End::Open,
            };
            part(Part {
                kind: frame.kind,
                at,
                payload: &bytes[at..at + taken],
                end,
            });
            at += taken;
            if end != End::Open {
                self.frame = None;
            }
        }
    }

    /// How long the head is, as far as it is known.
    fn head_length(&self) -> usize {
        match (self.head_bytes, self.head[1]) {
            (0 | 1, _) => 2,
            (_, 126) => 4,
            (_, 127) => 10,
            _ => 2,
        }
    }

    /// Reads the head; `None` for what no such server sends.
    fn begin(&mut self) -> Option<Frame> {
        let [first, length, ..] = self.head;
        let extended = &self.head[2..self.head_length()];
        let left = match length {
            0..=125 => u64::from(length),
            126 | 127 => extended
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            // It is masked.
            _ => return None,
        };
        let last = first & 0x80 != 0;
        let kind = match (first & 0x7f, self.message) {
            (0, Some(kind)) => kind,
            (1, None) => Kind::Text,
            (2, None) => Kind::Binary,
            (8..=10, _) if last && left <= MAX_CONTROL_BYTES => Kind::Control,
            _ => return None,
        };
        if left >> 63 != 0 {
            return None;
        }
        if kind != Kind::Control {
            self.message = (!last).then_some(kind);
        }
        self.head_bytes = 0;
        Some(Frame { kind, last, left })
    }
}

/// Why a side ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// It goes away.
    GoingAway,
    /// It met what it cannot go on with.
    InternalError,
}

/// The close frame of a server.
pub fn close_frame(code: CloseCode) -> [u8; 4] {
    let [high, low] = match code {
        CloseCode::GoingAway => 1001_u16,
        CloseCode::InternalError => 1011,
    }
    .to_be_bytes();
    [0x88, 2, high, low]
}

#[cfg(test)]
mod tests;
