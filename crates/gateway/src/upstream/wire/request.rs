//! A request as it is written: where the key stands in it, and how it leaves.

use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use domain::Secret;
use http::{Method, Uri, header};
use tokio::io::AsyncWrite;
use zeroize::Zeroize;

use super::super::{AuthPlace, Departure, Outbound, Outgoing, authority};
use crate::headers;

/// So many pieces of a request are written at once.
const PIECES: usize = 8;
/// The first line, and the headers that nearly every request has.
const USUAL_HEAD_BYTES: usize = 384;

/// What is yet to be sent of a request.
pub(in super::super) struct Unsent {
    head: Head,
    /// How much of the head is sent.
    sent: usize,
    /// What comes behind it: this piece first, and then those.
    piece: Bytes,
    pieces: std::vec::IntoIter<Bytes>,
    /// Whether a byte of it was sent, or may have been.
    begun: bool,
    departure: Departure,
}

/// The first lines of a request, of which the key is wiped.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    key: Range<usize>,
}

impl Drop for Head {
    fn drop(&mut self) {
        // Not all of it: that would cost as much as to write it.
        if let Some(key) = self.bytes.get_mut(self.key.clone()) {
            key.zeroize();
        }
    }
}

impl Unsent {
    /// Whether a request can be sent so: its body is there as a whole, it stays HTTP, and its method has no rule of its own.
    pub(in super::super) fn suits(outgoing: &Outgoing<'_>) -> bool {
        let plain = [
            Method::POST,
            Method::GET,
            Method::DELETE,
            Method::PUT,
            Method::PATCH,
        ];
        plain.contains(&outgoing.method)
            && !matches!(outgoing.body, Outbound::Flowing(_))
            && !outgoing.headers.contains_key(header::UPGRADE)
    }

    /// A request that [suits](Self::suits); `None`: its key cannot stand in a header, or its URL has no host. In a box: it
    /// goes through many hands.
    pub(in super::super) fn of(
        outgoing: Outgoing<'_>,
        auth: &AuthPlace,
        key: &Secret,
    ) -> Option<Box<Self>> {
        let (piece, pieces) = match outgoing.body {
            Outbound::Whole(body) => (body, Vec::new().into_iter()),
            Outbound::Pieces(body) => (Bytes::new(), body.left),
            Outbound::Flowing(_) => return None,
        };
        let behind: usize = pieces.as_slice().iter().map(Bytes::len).sum();
        let length = piece.len() + behind;
        let mut bytes = Vec::with_capacity(USUAL_HEAD_BYTES);
        let mut add = |text: &[u8]| bytes.extend_from_slice(text);
        add(outgoing.method.as_str().as_bytes());
        add(b" ");
        add(target(outgoing.url).as_bytes());
        add(b" HTTP/1.1\r\nhost: ");
        add(authority(outgoing.url)?.as_bytes());
        add(b"\r\n");
        let media_type = outgoing.media_type.as_ref();
        for (name, value) in &outgoing.headers {
            let is_ours = match *name {
                header::CONTENT_TYPE => media_type.is_some(),
                header::HOST
                | header::ACCEPT_ENCODING
                | header::USER_AGENT
                | header::CONTENT_LENGTH
                | header::TRANSFER_ENCODING => true,
                _ => *name == auth.header,
            };
            if !is_ours {
                add(name.as_str().as_bytes());
                add(b": ");
                add(value.as_bytes());
                add(b"\r\n");
            }
        }
        if let Some(media_type) = media_type {
            add(b"content-type: ");
            add(media_type.as_bytes());
            add(b"\r\n");
        }
        add(b"accept-encoding: identity\r\nuser-agent: ");
        add(headers::user_agent(outgoing.hops).as_bytes());
        add(b"\r\n");
        // RFC 9110, 8.6: none where nothing is expected.
        if length > 0 || ![Method::GET, Method::DELETE].contains(&outgoing.method) {
            // A vector takes it.
            let _ = write!(bytes, "content-length: {length}\r\n");
        }
        let head = key.expose(|key| with_key(bytes, auth, key))?;
        Some(Box::new(Self {
            head,
            sent: 0,
            piece,
            pieces,
            begun: false,
            departure: outgoing.departure,
        }))
    }

    /// A byte of it may have been sent.
    pub(super) fn begins(&mut self) {
        self.begun = true;
    }

    /// Whether nothing of it was sent.
    pub(super) fn is_whole(&self) -> bool {
        !self.begun
    }

    /// It leaves, or did not leave after all.
    pub(super) fn leaves(&self, has_left: bool) {
        self.departure.leaves(has_left);
    }

    /// Sends what the connection takes. Ready when that is all.
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.piece.is_empty()
                && let Some(next) = self.pieces.find(|it| !it.is_empty())
            {
                self.piece = next;
            }
            let mut slices = [IoSlice::new(&[]); PIECES];
            let (head, piece) = (&self.head.bytes[self.sent..], &self.piece[..]);
            let later = self.pieces.as_slice().iter().map(|it| &it[..]);
            let left = [head, piece].into_iter().chain(later);
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(left.filter(|it| !it.is_empty())) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            let taken = match &slices[..count] {
                [] => break,
                [one] => ready!(Pin::new(&mut *io).poll_write(cx, one))?,
                several => ready!(Pin::new(&mut *io).poll_write_vectored(cx, several))?,
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.took(taken);
        }
        Pin::new(io).poll_flush(cx)
    }

    /// So many bytes were sent.
    fn took(&mut self, mut count: usize) {
        self.begun = true;
        let head = count.min(self.head.bytes.len() - self.sent);
        self.sent += head;
        count -= head;
        if head > 0 && self.sent == self.head.bytes.len() {
            // Wiped.
            self.head = Head::default();
            self.sent = 0;
        }
        while count > 0 {
            let of_piece = count.min(self.piece.len());
            self.piece.advance(of_piece);
            count -= of_piece;
            if self.piece.is_empty() {
                match self.pieces.next() {
                    Some(next) => self.piece = next,
                    None => break,
                }
            }
        }
    }
}

/// What the first line of a request names.
fn target(url: &Uri) -> &str {
    url.path_and_query().map_or("/", |it| it.as_str())
}

/// A head that ends with the header of the key.
fn with_key(mut bytes: Vec<u8>, auth: &AuthPlace, key: &[u8]) -> Option<Head> {
    let scheme = auth.scheme.as_deref().unwrap_or_default();
    let name = auth.header.as_str();
    // What else could be said would be another header, or another request.
    let is_text = |it: &&u8| matches!(it, b'\t' | b' '..=b'~' | 0x80..);
    if !scheme.as_bytes().iter().chain(key).all(|it| is_text(&it)) {
        return None;
    }
    // Now, since a vector that grows leaves behind what was in it.
    bytes.reserve_exact(name.len() + scheme.len() + key.len() + 16);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    if !scheme.is_empty() {
        bytes.extend_from_slice(scheme.as_bytes());
        bytes.push(b' ');
    }
    let begin = bytes.len();
    bytes.extend_from_slice(key);
    let key = begin..bytes.len();
    bytes.extend_from_slice(b"\r\n\r\n");
    Some(Head { bytes, key })
}
