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
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, Method, Uri, header};
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::connection::MAX_HEADERS;
    use super::super::pool::Pools;
    use super::super::pool::tests::home_of;
    use super::super::{AuthPlace, Departure, Outbound, Outgoing};
    use super::*;
    use crate::connect::tests::tls;
    use domain::{ProviderKeyId, Secret};
    use tower_service::Service;

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

    const URL: &str = "http://provider.example:80/v1/chat?a=b";

    fn outgoing(url: &Uri, body: Outbound) -> Outgoing<'_> {
        Outgoing {
            pool: key(),
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            body,
            media_type: None,
            hops: 0,
            deadline: tokio::time::Instant::now(),
            departure: Departure::default(),
        }
    }

    /// It as it is sent, with this key.
    fn unsent(outgoing: Outgoing<'_>, key: &str) -> Option<Box<Unsent>> {
        let auth = AuthPlace {
            header: header::AUTHORIZATION,
            scheme: Some("Bearer".to_owned()),
        };
        assert!(Unsent::suits(&outgoing));
        Unsent::of(outgoing, &auth, &Secret::new(key.as_bytes().to_vec()))
    }

    fn request(body: Outbound) -> Box<Unsent> {
        let url = Uri::from_static(URL);
        unsent(outgoing(&url, body), "secret").expect("a request")
    }

    /// A request as it is read at the other end.
    async fn written(outgoing: Outgoing<'_>) -> String {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let mut unsent = unsent(outgoing, "secret").expect("a request");
        poll_fn(|cx| unsent.poll_send(&mut near, cx))
            .await
            .expect("sent");
        drop(near);
        let mut text = String::new();
        far.read_to_string(&mut text).await.expect("text");
        text
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
            let response = wire.ask(request(Outbound::whole("hi".into())));
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
    async fn an_answer_comes_behind_few_others() {
        let interim = "HTTP/1.1 100 Go\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        let text = interim.repeat(MAX_INTERIM) + answer;
        assert_eq!(answered(&text).await, (Some((200, "hi".to_owned())), true));
        let text = interim.repeat(MAX_INTERIM + 1) + answer;
        assert_eq!(answered(&text).await, (None, false));
    }

    #[tokio::test]
    async fn what_comes_before_a_bad_chunk_is_given() {
        let (wire, mut far, pools, url) = connected().await;
        let answering = async {
            let mut some = [0; 1000];
            let _ = far.read(&mut some).await.expect("a request");
            let text =
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\nx";
            far.write_all(text.as_bytes()).await.expect("written");
        };
        let (response, ()) =
            tokio::join!(wire.ask(request(Outbound::whole("hi".into()))), answering);
        let mut body = response.unwrap_or_else(|_| panic!("no answer")).into_body();
        let first = body.frame().await.expect("a piece").expect("whole");
        assert_eq!(first.into_data().expect("data"), "hi!");
        // Although the provider keeps the connection open, and says nothing more.
        let second = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        assert!(second.expect("in time").is_some_and(|it| it.is_err()));
        drop(body);
        assert!(pools.take_wire(key(), &url).is_none(), "it is closed");
        drop(far);
    }

    #[tokio::test]
    async fn a_stray_byte_is_not_forgotten() {
        let (mut wire, mut far, _pools, _) = connected().await;
        assert!(wire.is_free());
        far.write_all(b"x").await.expect("written");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!wire.is_free());
        assert!(!wire.is_free(), "it was read, and nobody asked for it");
    }

    #[tokio::test]
    async fn a_request_that_may_have_left_through_tls_is_not_sent_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (go, is_gone) = std::sync::mpsc::channel::<()>();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let config = Arc::new(tls::config(tls::GOOD, tls::BOTH));
            let mut connection = rustls::ServerConnection::new(config).expect("a server");
            while !connection.wants_write() {
                connection.read_tls(&mut socket).expect("a hello");
                connection.process_new_packets().expect("a hello");
            }
            while connection.wants_write() {
                connection.write_tls(&mut socket).expect("sent");
            }
            is_gone.recv().expect("a client");
            // With bytes that it has not read it is reset, not closed.
            drop(socket);
        });
        let url: Uri = format!("https://provider.example:{port}/")
            .parse()
            .expect("a URL");
        let io = tls::trusting(tls::AUTHORITY).call(url.clone()).await;
        let wire = Box::new(Wire::new(io.expect("a connection"), home_of(&url)));
        go.send(()).expect("a server");
        serving.join().expect("no panic");
        let outgoing = outgoing(&url, Outbound::whole("hi".into()));
        let departure = outgoing.departure.clone();
        let outcome = wire
            .ask(unsent(outgoing, "secret").expect("a request"))
            .await;
        assert!(matches!(outcome, Err(None)), "it would be sent again");
        assert!(departure.has_left());
    }

    #[tokio::test]
    async fn a_request_is_written_whole_and_its_head_is_wiped() {
        let (wire, mut far, pools, url) = connected().await;
        let long = Bytes::from(vec![b'x'; 4 << 20]);
        let body = Outbound::pieces(vec![Bytes::from_static(b"a"), long.clone()]);
        let head = format!(
            "POST /v1/chat?a=b HTTP/1.1\r\nhost: provider.example\r\naccept-encoding: identity\r\nuser-agent: {}\r\n\
             content-length: 4194305\r\nauthorization: Bearer secret\r\n\r\na",
            crate::headers::user_agent(0).to_str().expect("text")
        );
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
        let (response, read) = tokio::join!(wire.ask(request(body)), reading);
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
    async fn a_request_says_how_long_its_body_is_where_one_is_expected() {
        let url = Uri::from_static("https://provider.example:8443");
        for (method, body, line) in [
            (Method::POST, "hi", Some("content-length: 2")),
            (Method::POST, "", Some("content-length: 0")),
            (Method::PUT, "", Some("content-length: 0")),
            (Method::PATCH, "", Some("content-length: 0")),
            (Method::GET, "", None),
            (Method::DELETE, "", None),
            (Method::DELETE, "hi", Some("content-length: 2")),
        ] {
            let text = written(Outgoing {
                method: method.clone(),
                ..outgoing(&url, Outbound::whole(body.into()))
            })
            .await;
            let (head, sent) = text.split_once("\r\n\r\n").expect("a head");
            let mut lines = head.lines();
            assert_eq!(lines.next(), Some(&*format!("{method} / HTTP/1.1")));
            assert_eq!(lines.next(), Some("host: provider.example:8443"));
            assert_eq!(lines.find(|it| it.starts_with("content-")), line);
            assert!(!head.contains("transfer-encoding"), "{head}");
            assert_eq!(sent, body);
        }
    }

    #[tokio::test]
    async fn what_is_ours_in_a_request_stands_there_once() {
        let url = Uri::from_static(URL);
        let mut headers = HeaderMap::new();
        for name in [
            "host",
            "content-type",
            "accept-encoding",
            "user-agent",
            "content-length",
            "transfer-encoding",
            "authorization",
            "x-mine",
        ] {
            headers.append(name, HeaderValue::from_static("theirs"));
        }
        let pieces = ["", "h", "", "i", ""].map(|it| Bytes::from_static(it.as_bytes()));
        let text = written(Outgoing {
            headers,
            media_type: Some(HeaderValue::from_static("text/plain")),
            hops: 2,
            ..outgoing(&url, Outbound::pieces(pieces.to_vec()))
        })
        .await;
        let expected = [
            "POST /v1/chat?a=b HTTP/1.1",
            "host: provider.example",
            "x-mine: theirs",
            "content-type: text/plain",
            "accept-encoding: identity",
            &format!(
                "user-agent: keybearer/{} (hop 3)",
                env!("CARGO_PKG_VERSION")
            ),
            "content-length: 2",
            "authorization: Bearer secret",
            "",
            "hi",
        ];
        assert_eq!(text, expected.join("\r\n"));
    }

    #[test]
    fn a_key_that_would_be_another_header_is_not_sent() {
        let url = Uri::from_static(URL);
        for key in ["a\r\nb: c", "a\nb", "a\0", "a\x7f", "a\rb"] {
            let outgoing = outgoing(&url, Outbound::whole(Bytes::new()));
            assert!(unsent(outgoing, key).is_none(), "{key:?}");
        }
        let outgoing = outgoing(&url, Outbound::whole(Bytes::new()));
        assert!(unsent(outgoing, "a\t~ \u{e9}").is_some());
    }

    #[tokio::test]
    async fn an_answer_that_comes_fast_is_read_in_large_pieces() {
        let (wire, mut far, pools, url) = connected().await;
        let long: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        let answering = async {
            let mut some = [0; 1000];
            let _ = far.read(&mut some).await.expect("a request");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
            far.write_all(head.as_bytes()).await.expect("written");
            far.write_all(&long).await.expect("written");
        };
        let asking = async {
            let response = wire.ask(request(Outbound::whole("hi".into()))).await;
            let response = response.unwrap_or_else(|_| panic!("no answer"));
            let mut body = response.into_body();
            let (mut read, mut most) = (Vec::new(), 0);
            while let Some(frame) = body.frame().await {
                let data = frame.expect("whole").into_data().expect("data");
                most = most.max(data.len());
                read.extend_from_slice(&data);
                // Until more is there.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (read, most)
        };
        let ((read, most), ()) = tokio::join!(asking, answering);
        assert!(read == long, "it is another");
        assert!(most > 2 * READ_BYTES, "{most}");
        assert!(pools.take_wire(key(), &url).is_some(), "it waits");
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
            let response = wire.ask(request(Outbound::whole(long))).await;
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
