//! What the scripted provider does with one request.

use std::time::Duration;

use serde_json::Value;

/// Stands for the key that the request carried, in any header value or body of a script.
pub const KEY: &str = "{{key}}";

/// An answer: head, body in pieces, delays, and how it ends.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) piece_bytes: Option<usize>,
    pub(crate) framing: Framing,
    pub(crate) before: Duration,
    pub(crate) between: Duration,
    pub(crate) end: End,
}

/// How the length of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `content-length` of the whole body.
    Length,
    /// `content-length` of this many bytes, whatever the body has.
    Lie(usize),
    /// `transfer-encoding: chunked`, one chunk for each piece.
    Chunked,
    /// Neither: the body ends with the connection.
    UntilClose,
    /// No head at all: the pieces are the bytes on the wire.
    Raw,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As HTTP says; the connection may carry the next request.
    Complete,
    /// The connection is closed after this many bytes of head and body together.
    CutAfter(usize),
    /// Nothing more is sent after this many pieces; the connection stays open.
    StallAfter(usize),
}

impl Script {
    /// An answer with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            pieces: Vec::new(),
            piece_bytes: None,
            framing: Framing::Length,
            before: Duration::ZERO,
            between: Duration::ZERO,
            end: End::Complete,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// An answer of any type.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut script = Self::status(status).header("content-type", content_type);
        script.pieces = vec![body.into()];
        script
    }

    /// A stream of events, each in a chunk of its own.
    pub fn stream<P: Into<Vec<u8>>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let mut script = Self::status(200).header("content-type", "text/event-stream");
        script.pieces = pieces.into_iter().map(Into::into).collect();
        script.framing = Framing::Chunked;
        script
    }

    /// These bytes on the wire and nothing else, then the connection is closed.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let mut script = Self::status(200);
        script.pieces = vec![bytes.into()];
        script.framing = Framing::Raw;
        script.end = End::CutAfter(usize::MAX);
        script
    }

    /// Reads the request and never answers.
    pub fn silence() -> Self {
        let mut script = Self::status(200);
        script.framing = Framing::Raw;
        script.end = End::StallAfter(0);
        script
    }

    /// Reads the request and closes the connection without an answer.
    pub fn hang_up() -> Self {
        let mut script = Self::status(200);
        script.end = End::CutAfter(0);
        script
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Adds a header. [`KEY`] in the value becomes the key that was received.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn delay(mut self, before: Duration) -> Self {
        self.before = before;
        self
    }

    /// Waits between pieces.
    #[must_use]
    pub fn pace(mut self, between: Duration) -> Self {
        self.between = between;
        self
    }

    /// Sends the body in pieces of `bytes` bytes, wherever that cuts, a received key included.
    #[must_use]
    pub fn pieces_of(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a piece has at least one byte");
        self.piece_bytes = Some(bytes);
        self
    }

    /// Closes the connection after this many bytes of head and body together.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::CutAfter(bytes);
        self
    }

    /// Sends this many pieces, then nothing more, with the connection open.
    #[must_use]
    pub fn stall_after(mut self, pieces: usize) -> Self {
        self.end = End::StallAfter(pieces);
        self
    }

    /// Announces this many bytes, whatever the body has.
    #[must_use]
    pub fn content_length(mut self, bytes: usize) -> Self {
        self.framing = Framing::Lie(bytes);
        self
    }

    /// Sends the body in chunks.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Ends the body with the connection.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// The script with the received key in place of [`KEY`], cut into its pieces.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        let mut script = self.clone();
        for (_, value) in &mut script.headers {
            *value = value.replace(KEY, key);
        }
        for piece in &mut script.pieces {
            if piece.windows(KEY.len()).any(|part| part == KEY.as_bytes()) {
                *piece = String::from_utf8_lossy(piece)
                    .replace(KEY, key)
                    .into_bytes();
            }
        }
        if let Some(bytes) = self.piece_bytes {
            let whole = script.pieces.concat();
            script.pieces = whole.chunks(bytes).map(<[u8]>::to_vec).collect();
        }
        script
    }

    /// The bytes of the head.
    pub(crate) fn head(&self) -> Vec<u8> {
        let length = match self.framing {
            Framing::Length => Some(self.pieces.iter().map(Vec::len).sum()),
            Framing::Lie(bytes) => Some(bytes),
            Framing::Chunked | Framing::UntilClose => None,
            Framing::Raw => return Vec::new(),
        };
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        match self.framing {
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilClose => head.push_str("connection: close\r\n"),
            Framing::Length | Framing::Lie(_) | Framing::Raw => {}
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}
