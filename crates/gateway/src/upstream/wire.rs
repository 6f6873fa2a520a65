//! A request whose answer is a stream, without hyper.
//!
//! For a connection hyper keeps three buffers of 8 KiB or more, with the key in one of them, until it is closed. That is
//! much for an answer that stays open for minutes and brings a few hundred bytes a second, of thousands of which each has
//! a connection of its own. Here the request's head is wiped when it was sent, and what was read is with the client at
//! once: between two events a stream has no buffer. The rules are hyper's, and where it closes a connection behind an
//! answer, so does this.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use super::connection::{MAX_HEAD_BYTES, unwoken};
use super::pool::{Home, Kept};
use super::{Answering, Departure, Parting};
use crate::connect::Io;

mod head;

use head::{Framing, Head, framing, has_end, parsed};

/// So much is read at once.
const READ_BYTES: usize = 8 * 1024;
/// A body up to this length leaves with the head.
const WITH_HEAD_BYTES: usize = 16 * 1024;

/// A connection that serves one request at a time.
pub(super) struct Wire {
    io: TokioIo<Io>,
    /// What is yet to be sent of the request.
    unsent: Option<Box<Unsent>>,
    /// What was read, and belongs to the answer's body.
    ahead: Bytes,
    framing: Framing,
    /// Where it goes when the answer is at its end; `None`: nowhere, it is closed.
    home: Option<Home>,
}

/// A request as it is sent.
pub(super) struct Unsent {
    /// With the key.
    head: Zeroizing<Vec<u8>>,
    sent: usize,
    /// What comes behind it.
    body: VecDeque<Bytes>,
    departure: Departure,
}

impl Unsent {
    /// Whether it can be sent so: its body is there as a whole, and no method has a rule of its own.
    pub(super) fn suits(request: &Request<Parting>) -> bool {
        request.method() == Method::POST && !request.body().flows()
    }

    /// A request that [suits](Self::suits), for a connection that stands.
    pub(super) fn of(request: Request<Parting>) -> Self {
        let (parts, mut body) = request.into_parts();
        let departure = body.departure.clone();
        let mut pieces = VecDeque::new();
        let mut cx = Context::from_waker(Waker::noop());
        // It is there as a whole, and never waits.
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
            pieces.extend(frame.into_data());
        }
        let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let with_head = length <= WITH_HEAD_BYTES;
        let lines = parts.headers.iter();
        let bytes: usize = lines
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let behind = if with_head { length } else { 0 };
        // Exactly, or more: a vector that grows would leave the key behind.
        let mut head = Zeroizing::new(Vec::with_capacity(bytes + target.len() + behind + 96));
        let mut add = |text: &[u8]| head.extend_from_slice(text);
        add(b"POST ");
        add(target.as_bytes());
        add(b" HTTP/1.1\r\n");
        for (name, value) in &parts.headers {
            if name != header::CONTENT_LENGTH {
                add(name.as_str().as_bytes());
                add(b": ");
                add(value.as_bytes());
                add(b"\r\n");
            }
        }
        add(b"content-length: ");
        add(length.to_string().as_bytes());
        add(b"\r\n\r\n");
        if with_head {
            for piece in pieces.drain(..) {
                add(&piece);
            }
        }
        Self {
            head,
            sent: 0,
            body: pieces,
            departure,
        }
    }

    /// Whether nothing of it was sent.
    fn is_whole(&self) -> bool {
        self.sent == 0 && !self.head.is_empty()
    }

    /// Sends what the connection takes. Ready when that is all.
    fn poll_send(&mut self, io: &mut TokioIo<Io>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let next: &[u8] = match self.body.front() {
                _ if self.sent < self.head.len() => &self.head[self.sent..],
                Some(piece) => piece,
                None => break,
            };
            let count = match next.is_empty() {
                true => 0,
                false => match ready!(Pin::new(&mut *io).poll_write(cx, next))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => count,
                },
            };
            if self.sent < self.head.len() {
                self.sent += count;
                if self.sent == self.head.len() {
                    // Wiped.
                    self.head = Zeroizing::default();
                    self.sent = 0;
                }
            } else if let Some(piece) = self.body.front_mut() {
                piece.advance(count);
                if piece.is_empty() {
                    self.body.pop_front();
                }
            }
        }
        Pin::new(io).poll_flush(cx)
    }
}

impl Wire {
    /// A new connection.
    pub(super) fn new(io: Io, home: Home) -> Self {
        Self {
            io: TokioIo::new(io),
            unsent: None,
            ahead: Bytes::new(),
            framing: Framing::Length(0),
            home: Some(home),
        }
    }

    /// Sends a request and waits for the head of its answer. The error: the request, if not a byte of it went out, since
    /// the connection was closed.
    pub(super) async fn ask(
        mut self: Box<Self>,
        unsent: Unsent,
    ) -> Result<Response<Answering>, Option<Unsent>> {
        unsent.departure.leaves(true);
        self.unsent = Some(Box::new(unsent));
        let mut read = Vec::new();
        let head = poll_fn(|cx| self.poll_head(cx, &mut read)).await;
        let head = match head {
            Ok(head) => head,
            Err(_) => {
                let unsent = self.unsent.take().filter(|it| it.is_whole());
                return Err(unsent.map(|unsent| {
                    unsent.departure.leaves(false);
                    *unsent
                }));
            }
        };
        drop(read);
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        Ok(response.map(|()| Answering::of_wire(self)))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, read: &mut Vec<u8>) -> Poll<io::Result<Head>> {
        // A provider may answer before it has read all.
        let sent = self.poll_unsent(cx);
        if let Poll::Ready(Err(error)) = sent {
            // Its answer may say why it takes no more.
            if self.unsent.as_ref().is_none_or(|it| it.is_whole()) {
                return Poll::Ready(Err(error));
            }
        }
        loop {
            let mut seen = read.len();
            let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            read.extend_from_slice(buffer.filled());
            // Not read again from its beginning for each byte that comes.
            while has_end(&read[..], seen) {
                let Some((head, length)) = parsed(read)? else {
                    break;
                };
                // What comes before the answer proper says nothing.
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS
                {
                    read.drain(..length);
                    seen = 0;
                    continue;
                }
                if self.unsent.as_ref().is_some_and(|it| it.is_whole()) {
                    // It answers nothing that was asked: a provider tells so that it closes the connection.
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                self.ahead = Bytes::copy_from_slice(&read[length..]);
                self.begins(&head)?;
                return Poll::Ready(Ok(head));
            }
            if read.len() >= MAX_HEAD_BYTES {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }

    /// Reads from an answer's head where its body ends, and whether the connection goes on.
    fn begins(&mut self, head: &Head) -> io::Result<()> {
        let (framing, closes) = framing(head)?;
        self.framing = framing;
        if closes || self.unsent.is_some() {
            self.home = None;
        }
        Ok(())
    }

    /// Sends what is left of the request.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(unsent) = &mut self.unsent {
            ready!(unsent.poll_send(&mut self.io, cx))?;
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
            if !self.ahead.is_empty() {
                let ahead = std::mem::take(&mut self.ahead);
                match self.take(&ahead) {
                    Ok(piece) if piece.is_empty() => continue,
                    piece => return Poll::Ready(Some(self.given(piece))),
                }
            }
            let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            let bytes = buffer.filled();
            let piece = match read {
                Err(error) => Err(error),
                Ok(()) if bytes.is_empty() => match self.framing {
                    Framing::ToEnd => {
                        self.framing = Framing::Length(0);
                        self.home = None;
                        continue;
                    }
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                },
                Ok(()) => self.take(bytes),
            };
            match piece {
                Ok(piece) if piece.is_empty() => {}
                piece => return Poll::Ready(Some(self.given(piece))),
            }
        }
    }

    /// A piece on its way out. Behind an error nobody knows what comes, so the connection serves nothing more.
    fn given(&mut self, piece: io::Result<Bytes>) -> io::Result<Bytes> {
        if piece.is_err() {
            self.home = None;
        }
        piece
    }

    /// What stands of the body in bytes that were read.
    fn take(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let mut rest = bytes;
        let piece = match &mut self.framing {
            Framing::ToEnd => {
                rest = &[];
                Bytes::copy_from_slice(bytes)
            }
            Framing::Length(left) => {
                let length = usize::try_from(*left).map_or(rest.len(), |it| it.min(rest.len()));
                *left -= length as u64;
                let (piece, behind) = rest.split_at(length);
                rest = behind;
                Bytes::copy_from_slice(piece)
            }
            Framing::Chunked(chunks) => chunks.take(&mut rest)?,
        };
        if !rest.is_empty() {
            // Nobody asked for what comes behind the answer.
            self.home = None;
        }
        Ok(piece)
    }

    /// Leaves it to the next call of the same key, if it can serve that.
    pub(super) fn returns(mut self: Box<Self>) {
        if self.unsent.is_none()
            && self.ahead.is_empty()
            && self.is_free()
            && let Some(home) = self.home.clone()
        {
            home.take_in(Kept::Wire(self));
        }
    }

    /// Whether it can take a request now: the provider has neither closed it nor sent anything.
    pub(super) fn is_free(&mut self) -> bool {
        let mut space = [const { MaybeUninit::uninit() }; 1];
        let mut buffer = ReadBuf::uninit(&mut space);
        let io = &mut self.io;
        let mut read = poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, &mut buffer));
        self.home.is_some() && unwoken(Pin::new(&mut read)).is_pending()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::Uri;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::connection::MAX_HEADERS;
    use super::super::pool::Pools;
    use super::super::{Outbound, Parting};
    use super::*;
    use domain::ProviderKeyId;

    /// A connection, its other end, and the pools to which it returns.
    async fn connected() -> (Box<Wire>, TcpStream, Arc<Pools>, Uri) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url: Uri = format!("http://{address}/").parse().expect("a URL");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let pools = Arc::new(Pools::default());
        let home = Home::new(&pools, key(), &url);
        let io = Io::Http(TokioIo::new(near.expect("a connection")));
        let (far, _) = far.expect("a client");
        (Box::new(Wire::new(io, home)), far, pools, url)
    }

    fn key() -> crate::health::KeyVersion {
        (ProviderKeyId::from_bytes([1; 16]), 1)
    }

    fn request(body: Outbound) -> Request<Parting> {
        let departure = Departure::default();
        Request::post("/v1/chat?a=b")
            .header("authorization", "Bearer secret")
            .body(Parting { body, departure })
            .expect("a request")
    }

    /// What is read of an answer; `None`: it is broken. And whether the connection waits for the next request then.
    async fn answered(text: &str) -> (Option<(u16, String)>, bool) {
        let (wire, mut far, pools, url) = connected().await;
        let answering = async {
            let mut some = [0; 1000];
            let _ = far.read(&mut some).await.expect("a request");
            for piece in text.as_bytes().chunks(7) {
                // It may be closed already.
                let _ = far.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            if !text.contains("chunked\r\n") && !text.contains("-length: 2") {
                let _ = far.shutdown().await;
            }
        };
        let asking = async {
            let response = wire.ask(Unsent::of(request(Outbound::whole("hi".into()))));
            let response = tokio::time::timeout(Duration::from_secs(5), response);
            let response = response.await.expect("in time").ok()?;
            let status = response.status().as_u16();
            let body = response.into_body().collect();
            let body = tokio::time::timeout(Duration::from_secs(5), body);
            let body = body.await.expect("in time").ok()?.to_bytes();
            Some((status, String::from_utf8(body.to_vec()).expect("text")))
        };
        let (answer, ()) = tokio::join!(asking, answering);
        // Until what came behind the answer is seen.
        tokio::time::sleep(Duration::from_millis(20)).await;
        (answer, pools.take_wire(key(), &url).is_some())
    }

    #[tokio::test]
    async fn the_end_of_an_answer_is_where_hyper_sees_it() {
        let whole = |status, body: &str| Some((status, body.to_owned()));
        for (text, answer, waits) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
                whole(200, "hi"),
                true,
            ),
            (
                "HTTP/1.1 200\ncontent-length: 2\n\nhi",
                whole(200, "hi"),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nhi",
                whole(200, "hi"),
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
                whole(200, "hi"),
                false,
            ),
            // What comes behind it is nobody's.
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK",
                whole(200, "hi"),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                whole(200, "hi"),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nconTent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                whole(200, "hi"),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                whole(200, "hi"),
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nhi", whole(200, "hi"), false),
            (
                "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n",
                whole(204, ""),
                true,
            ),
            (
                "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hi\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
                whole(200, "hi"),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
                None,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
                None,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi",
                None,
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                None,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nx\r\n",
                None,
                false,
            ),
            ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", None, false),
            ("HTTP/1.1 200 OK\r\na", None, false),
            ("SSH-2.0\r\n\r\n", None, false),
            ("", None, false),
        ] {
            assert_eq!(answered(text).await, (answer, waits), "{text:?}");
        }
        let many: String = (0..=MAX_HEADERS)
            .map(|at| format!("a{at}: b\r\n"))
            .collect();
        let long = format!("a: {}\r\n", "b".repeat(MAX_HEAD_BYTES));
        for lines in [many, long] {
            let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
            assert_eq!(answered(&text).await, (None, false));
        }
    }

    #[tokio::test]
    async fn a_request_is_written_whole_and_its_head_is_wiped() {
        let (wire, mut far, pools, url) = connected().await;
        let long = Bytes::from(vec![b'x'; 4 << 20]);
        let body = Outbound::pieces(vec![Bytes::from_static(b"a"), long.clone()]);
        let head = "POST /v1/chat?a=b HTTP/1.1\r\nauthorization: Bearer secret\r\ncontent-length: 4194305\r\n\r\na";
        let reading = async {
            let mut read = Vec::new();
            while read.len() < head.len() + long.len() {
                far.read_buf(&mut read).await.expect("readable");
            }
            far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .expect("written");
            read
        };
        let (response, read) = tokio::join!(wire.ask(Unsent::of(request(body))), reading);
        assert!(response.is_ok_and(|response| response.status() == 200));
        assert!(read.starts_with(head.as_bytes()));
        assert_eq!(read.len(), head.len() + long.len());
        let mut wire = pools.take_wire(key(), &url).expect("it waits");
        assert!(wire.unsent.is_none(), "the head is kept");

        drop(far);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!wire.is_free(), "the provider has closed it");
    }

    #[tokio::test]
    async fn the_rest_of_a_request_goes_out_while_it_is_answered() {
        let (wire, mut far, pools, url) = connected().await;
        let long = Bytes::from(vec![b'x'; 64 << 20]);
        let answering = async {
            far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
                .await
                .expect("written");
            let mut read = 0;
            let mut some = vec![0; 1 << 20];
            while read < 64 << 20 {
                read += far.read(&mut some).await.expect("readable");
            }
            far.write_all(b"0\r\n\r\n").await.expect("written");
        };
        let asking = async {
            let response = wire.ask(Unsent::of(request(Outbound::whole(long)))).await;
            let response = response.unwrap_or_else(|_| panic!("no answer"));
            response.into_body().collect().await.map(|it| it.to_bytes())
        };
        let both = async { tokio::join!(asking, answering) };
        let (body, ()) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("in time");
        assert_eq!(body.expect("whole"), "hi");
        assert!(pools.take_wire(key(), &url).is_none(), "it is closed");
    }
}
