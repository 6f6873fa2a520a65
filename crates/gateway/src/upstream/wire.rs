//! A request that is there as a whole, and its answer, without hyper.
//!
//! For a connection hyper keeps three buffers of 8 KiB or more, with the key in one of them, until it is closed. That is
//! much for an answer that stays open for minutes and brings a few hundred bytes a second, of thousands of which each has
//! a connection of its own. Here the key is wiped when the request's head was sent, and what was read is with the client at
//! once: between two events a stream has no buffer. And what serves one request after the other needs no channels and
//! queues between who asks and who writes. The rules are hyper's, and where it closes a connection behind an answer, so does
//! this.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::SizeHint;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::Answering;
use super::connection::{MAX_HEAD_BYTES, unwoken};
use super::pool::{Home, Kept};
use crate::connect::Io;

mod head;
mod request;
mod socket;

use head::{Framing, Head, framing, has_end, parsed};
pub(super) use request::Unsent;

/// So much is read at once.
const READ_BYTES: usize = 8 * 1024;
/// The same where more than that comes.
const READ_MOST_BYTES: usize = 64 * 1024;

/// So many answers may come before the one proper.
const MAX_INTERIM: usize = 100;

/// A connection that serves one request at a time.
pub(super) struct Wire {
    io: TokioIo<Io>,
    /// What is yet to be sent of the request.
    unsent: Option<Box<Unsent>>,
    /// What was read, and belongs to the answer's body.
    ahead: Bytes,
    framing: Framing,
    /// Whether the last that was read was as much as could be.
    comes_fast: bool,
    /// Whether it serves nothing more behind the answer, and is closed.
    ends: bool,
    home: Home,
}

/// What was read where an answer begins.
#[derive(Default)]
struct Beginning {
    bytes: BytesMut,
    /// How many answers came before the one proper.
    interim: usize,
}

impl Wire {
    /// A new connection.
    pub(super) fn new(io: Io, home: Home) -> Self {
        Self {
            io: TokioIo::new(io),
            unsent: None,
            ahead: Bytes::new(),
            framing: Framing::Length(0),
            comes_fast: false,
            ends: false,
            home,
        }
    }

    /// Where it waits for the next call.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Sends a request and waits for the head of its answer. The error: the request, if not a byte of it went out, since
    /// the connection was closed.
    pub(super) async fn ask(
        mut self: Box<Self>,
        unsent: Box<Unsent>,
    ) -> Result<Response<Answering>, Option<Box<Unsent>>> {
        unsent.leaves(true);
        self.unsent = Some(unsent);
        let mut read = Beginning::default();
        let head = poll_fn(|cx| self.poll_head(cx, &mut read)).await;
        let Ok(head) = head else {
            let unsent = self.unsent.take().filter(|it| it.is_whole());
            return Err(unsent.inspect(|unsent| unsent.leaves(false)));
        };
        let mut response = Response::new(Answering::of_wire(self));
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        Ok(response)
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, read: &mut Beginning) -> Poll<io::Result<Head>> {
        // A provider may answer before it has read all.
        let sent = self.poll_unsent(cx);
        if let Poll::Ready(Err(error)) = sent {
            // Its answer may say why it takes no more.
            if self.unsent.as_ref().is_none_or(|it| it.is_whole()) {
                return Poll::Ready(Err(error));
            }
        }
        loop {
            let seen = read.bytes.len();
            let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.comes_fast = buffer.remaining() == 0;
            read.bytes.extend_from_slice(buffer.filled());
            // Not read again from its beginning for each byte that comes.
            if (seen == 0 || has_end(&read.bytes, seen))
                && let Some(head) = self.head(read)?
            {
                return Poll::Ready(Ok(head));
            }
            if read.bytes.len() >= MAX_HEAD_BYTES {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }

    /// The head of the answer proper; `None`: it is not all there.
    fn head(&mut self, read: &mut Beginning) -> io::Result<Option<Head>> {
        // What is kept of the head, and what came behind it, stays where it is.
        let mut all = std::mem::take(&mut read.bytes).freeze();
        while let Some((head, length)) = parsed(&all)? {
            all.advance(length);
            // What comes before the answer proper says nothing.
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                read.interim += 1;
                if read.interim > MAX_INTERIM {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                continue;
            }
            if self.unsent.as_ref().is_some_and(|it| it.is_whole()) {
                // It answers nothing that was asked: a provider tells so that it closes the connection.
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.ahead = all;
            self.begins(&head)?;
            return Ok(Some(head));
        }
        read.bytes = all.into();
        Ok(None)
    }

    /// Reads from an answer's head where its body ends, and whether the connection goes on.
    fn begins(&mut self, head: &Head) -> io::Result<()> {
        let (framing, closes) = framing(head)?;
        self.framing = framing;
        self.ends = closes || self.unsent.is_some();
        Ok(())
    }

    /// Sends what is left of the request.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(unsent) = &mut self.unsent {
            let sent = ready!(unsent.poll_send(&mut self.io, cx));
            if sent.is_err() && matches!(self.io.inner(), Io::Https(_)) {
                // TLS does not tell how much of it went out before.
                unsent.begins();
            }
            sent?;
            self.unsent = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether nothing more of the answer comes.
    pub(super) fn is_at_end(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.is_over(),
            Framing::ToEnd => false,
        }
    }

    /// How much of the answer is to come, if that is known.
    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunked(_) | Framing::ToEnd => SizeHint::default(),
        }
    }

    /// The next piece of the answer; `None`: it is at its end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Poll::Ready(Err(_)) = self.poll_unsent(cx) {
            // The provider takes no more of the request, and may answer all the same.
            self.unsent = None;
        }
        loop {
            if self.is_at_end() {
                return Poll::Ready(None);
            }
            let mut bytes = std::mem::take(&mut self.ahead);
            if bytes.is_empty() {
                bytes = match ready!(self.poll_read(cx)) {
                    Ok(bytes) => bytes,
                    error => return Poll::Ready(Some(self.given(error))),
                };
                if bytes.is_empty() {
                    if let Framing::ToEnd = self.framing {
                        self.framing = Framing::Length(0);
                        self.ends = true;
                        continue;
                    }
                    let error = io::ErrorKind::UnexpectedEof.into();
                    return Poll::Ready(Some(self.given(Err(error))));
                }
            }
            match self.take(bytes) {
                Ok(piece) if piece.is_empty() => {}
                piece => return Poll::Ready(Some(self.given(piece))),
            }
        }
    }

    /// What there is to be read; nothing: it is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.comes_fast {
            // Many polls find nothing, and need no room for it.
            ready!(socket::poll_readable(self.io.inner_mut(), cx));
            let mut read = BytesMut::with_capacity(READ_MOST_BYTES);
            let count = ready!(pin!(self.io.read_buf(&mut read)).poll(cx))?;
            self.comes_fast = count >= READ_BYTES;
            // What waits for a client that reads slowly has no more room than it needs.
            return Poll::Ready(Ok(match count < READ_MOST_BYTES / 2 {
                true => Bytes::copy_from_slice(&read),
                false => read.freeze(),
            }));
        }
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        self.comes_fast = buffer.remaining() == 0;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    }

    /// A piece on its way out. Behind an error nobody knows what comes, so the connection serves nothing more.
    fn given(&mut self, piece: io::Result<Bytes>) -> io::Result<Bytes> {
        self.ends |= piece.is_err();
        piece
    }

    /// What stands of the body in bytes that were read.
    fn take(&mut self, mut bytes: Bytes) -> io::Result<Bytes> {
        match &mut self.framing {
            Framing::ToEnd => Ok(bytes),
            Framing::Length(left) => {
                let length = usize::try_from(*left).map_or(bytes.len(), |it| it.min(bytes.len()));
                *left -= length as u64;
                if length < bytes.len() {
                    // Nobody asked for what comes behind the answer.
                    self.ends = true;
                    bytes.truncate(length);
                }
                Ok(bytes)
            }
            Framing::Chunked(chunks) => {
                let mut rest = &bytes[..];
                let piece = chunks.take(&mut rest)?;
                if chunks.is_over() {
                    self.ends |= !rest.is_empty();
                } else {
                    // It is wrong, which is said when what came before it is with the client.
                    self.ahead = bytes.slice_ref(rest);
                }
                Ok(piece)
            }
        }
    }

    /// Leaves it to the next call of the same key, if it can serve that.
    pub(super) fn returns(mut self: Box<Self>) {
        if self.unsent.is_none() && self.ahead.is_empty() && self.is_free() {
            Kept::Wire(self).waits();
        }
    }

    /// Whether it has to be looked at. Reads nothing.
    pub(super) fn is_woken(&mut self) -> bool {
        let io = self.io.inner_mut();
        let mut readable = poll_fn(|cx| socket::poll_readable(io, cx));
        unwoken(Pin::new(&mut readable)).is_ready()
    }

    /// Whether it can take a request now: the provider has neither closed it nor sent anything.
    pub(super) fn is_free(&mut self) -> bool {
        // What was read to see that is gone, so it is never free again.
        self.ends = self.ends || !socket::is_quiet(self.io.inner_mut());
        !self.ends
    }
}

#[cfg(test)]
mod tests;
