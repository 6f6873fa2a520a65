//! Answers of events, written without hyper.
//!
//! A stream stays open for minutes and brings a few hundred bytes a second. hyper keeps two buffers of 8 KiB for each
//! connection, and a turn of it takes longer than the event. So once the request was read to its end and such an answer
//! begins, hyper gives the socket back, and gets it again for the next request.

use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use domain::Timestamp;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;
use crate::Body;

/// How far hyper is with a connection, as the sockets and the bodies that it uses see it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether the socket took less than it was given.
    unwritten: AtomicBool,
    /// How many requests have begun.
    begun: AtomicU64,
    /// The last request whose body came to its end. By number: the body of an earlier one may be asked late.
    read: AtomicU64,
    /// The last request that was answered before its body was at its end, and the body that its reader left there.
    unread: Mutex<(u64, Option<Incoming>)>,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn writes(&self, unwritten: bool) {
        self.unwritten.store(unwritten, Ordering::Relaxed);
    }

    /// A request begins. Returns its number.
    pub(super) fn begins(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The body of this request is at its end.
    pub(super) fn ends(&self, request: u64) {
        self.read.fetch_max(request, Ordering::Relaxed);
    }

    /// The body of this request is left before its end. It is kept until the answer is there, and no longer: hyper ends a
    /// connection on which nobody reads, and waits for whoever might.
    pub(super) fn leaves(&self, request: u64, body: Incoming) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.0 < request {
            unread.1 = Some(body);
        }
    }

    /// This request is answered before its body is at its end. Returns the body, if its reader left it.
    pub(super) fn answers_unread(&self, request: u64) -> Option<Incoming> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.0 = request;
        unread.1.take()
    }

    /// Whether all that hyper had to write before is with the socket.
    pub(super) fn is_written(&self) -> bool {
        !self.unwritten.load(Ordering::Relaxed)
    }

    /// Whether nothing more of this request comes.
    pub(super) fn is_read(&self, request: u64) -> bool {
        self.read.load(Ordering::Relaxed) == request
    }
}

/// An answer of events that waits for the socket.
pub(super) struct Streamed {
    head: Vec<u8>,
    body: Body,
}

/// Whether the answer to a request may be written here: of those after which the connection goes on, by no other rule than
/// that of HTTP/1.1. A request with a coding of its transfer is left to hyper, which knows when nothing behind it counts.
pub(super) fn may_stream<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let mut connection = headers.get_all(header::CONNECTION).iter();
    request.version() == Version::HTTP_11
        && [Method::GET, Method::POST].contains(request.method())
        && connection.all(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && !headers.contains_key(header::UPGRADE)
}

/// Whether it is an answer of events whose length nobody knows.
pub(super) fn is_stream(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let is_of_events = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
    let framing = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TRAILER,
    ];
    response.status() == StatusCode::OK
        && headers.get(header::CONTENT_TYPE).is_some_and(is_of_events)
        && !framing.iter().any(|name| headers.contains_key(name))
        && !response.body().is_end_stream()
        && response.body().size_hint().exact().is_none()
}

impl Streamed {
    pub(super) fn new(response: Response<Body>, now: Timestamp) -> Self {
        let (Parts { headers, .. }, body) = response.into_parts();
        Self {
            head: head(&headers, now),
            body,
        }
    }
}

fn head(headers: &HeaderMap, now: Timestamp) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    if !headers.contains_key(header::DATE) {
        let since = Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0));
        let date = httpdate::HttpDate::from(SystemTime::UNIX_EPOCH + since);
        // A vector takes everything.
        let _ = write!(head, "date: {date}\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// So much is written at once, if it is there at once.
const MOST_BYTES: usize = 16 * 1024;
/// A buffer of this size is kept for the next event.
const KEPT_BYTES: usize = 2 * 1024;

/// Writes an answer to its end. An error: the answer was cut off, or the client has gone, and the connection is of no use.
pub(super) async fn write(socket: &mut Socket, streamed: Streamed) -> io::Result<()> {
    let Streamed { head, body } = streamed;
    let mut writing = Writing {
        out: head,
        written: 0,
        body,
        end: None,
    };
    poll_fn(|cx| writing.poll(socket, cx)).await
}

struct Writing {
    /// What is on its way.
    out: Vec<u8>,
    /// How much of that the socket has.
    written: usize,
    body: Body,
    /// How the body ended. What it gave before is written first, also where it broke: a client is told why by its last event.
    end: Option<io::Result<()>>,
}

impl Writing {
    fn poll(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.fill(cx);
            if self.out.is_empty() {
                match self.end.take() {
                    Some(end) => return Poll::Ready(end),
                    None => break,
                }
            }
            match Pin::new(&mut *socket).poll_write(cx, &self.out[self.written..]) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written += count,
            }
            if self.written < self.out.len() {
                continue;
            }
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES {
                self.out = Vec::new();
            }
        }
        socket.poll_gone(cx).map(Err)
    }

    /// Takes what is there of the body, unless something is on its way that the socket did not take yet.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.written == 0 && self.end.is_none() && self.out.len() < MOST_BYTES {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.add(&data);
                    }
                }
                Poll::Ready(Some(Err(error))) => self.end = Some(Err(io::Error::other(error))),
                Poll::Ready(None) => {
                    self.out.extend_from_slice(b"0\r\n\r\n");
                    self.end = Some(Ok(()));
                }
            }
        }
    }

    fn add(&mut self, data: &Bytes) {
        // An empty chunk would be the last one.
        if data.has_remaining() {
            // A vector takes everything.
            let _ = write!(self.out, "{:X}\r\n", data.len());
            self.out.extend_from_slice(data);
            self.out.extend_from_slice(b"\r\n");
        }
    }
}

impl Socket {
    /// Ready when the client has gone. What it sends ahead of its turn is kept for the next request.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.is_ahead() {
            return Poll::Pending;
        }
        let mut space = [0; 256];
        let mut buffer = ReadBuf::new(&mut space);
        match Pin::new(&mut *self).poll_read(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                Poll::Ready(io::ErrorKind::UnexpectedEof.into())
            }
            Poll::Ready(Ok(())) => {
                self.unread(buffer.filled());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxError;

    /// A body that is not at its end yet.
    struct Flowing;

    impl HttpBody for Flowing {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }

    fn request(method: &str, version: Version, pairs: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).version(version);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        may_stream(&request.body(()).expect("a request"))
    }

    #[test]
    fn a_late_end_of_an_earlier_request_says_nothing_of_a_later_one() {
        let progress = Progress::new();
        let [first, second] = [(); 2].map(|()| progress.begins());
        progress.ends(first);
        assert!(!progress.is_read(second));
        progress.ends(second);
        progress.ends(first);
        assert!(progress.is_read(second));
    }

    #[test]
    fn only_after_plain_requests_a_connection_is_taken_from_hyper() {
        let plain = |pairs: &[(&str, &str)]| request("POST", Version::HTTP_11, pairs);
        assert!(plain(&[]) && plain(&[("connection", "Keep-Alive"), ("content-length", "3")]));
        assert!(request("GET", Version::HTTP_11, &[]));
        assert!(!request("HEAD", Version::HTTP_11, &[]));
        assert!(!request(
            "POST",
            Version::HTTP_10,
            &[("connection", "keep-alive")]
        ));
        for pair in [
            ("connection", "close"),
            ("connection", "keep-alive, close"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(!plain(&[pair]), "{pair:?}");
        }
    }

    #[test]
    fn only_answers_of_events_without_a_length_are_written_here() {
        let flowing = || Body::new(Flowing);
        let stream = |body: Body, status: u16, pairs: &[(&str, &str)]| {
            let mut response = Response::builder().status(status);
            for (name, value) in pairs {
                response = response.header(*name, *value);
            }
            is_stream(&response.body(body).expect("a response"))
        };
        let events = ("content-type", "text/event-stream; charset=utf-8");
        assert!(stream(flowing(), 200, &[events]));
        assert!(!stream(
            flowing(),
            200,
            &[("content-type", "application/json")]
        ));
        assert!(!stream(flowing(), 503, &[events]));
        assert!(!stream(
            crate::full(Bytes::from_static(b"data: 1\n\n")),
            200,
            &[events]
        ));
        for pair in [("content-length", "3"), ("connection", "close")] {
            assert!(!stream(flowing(), 200, &[events, pair]), "{pair:?}");
        }
    }
}
