//! One connection to a provider for a request whose body flows, or that leaves HTTP, driven by the call that it serves.
//!
//! hyper's own client leaves each connection to a task, and wakes one task or another for each request, head and piece
//! of a body. Here whoever waits for an answer drives the connection that brings it, and whoever gives the answer up
//! closes the connection in that moment. Only a request whose body flows has a task for it: a client may read nothing of
//! the answer before it has sent all of the request.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::uri::Uri;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use tower_service::Service;

use super::pool::{Home, Kept};
use super::signal::Signal;
use super::wire::Wire;
use super::{Parting, SendError, classify};
use crate::BoxError;
use crate::connect::Connector;

/// Largest head of an answer.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most header lines of it.
pub(super) const MAX_HEADERS: usize = 100;
/// How often a connection is driven in one turn of a task at most.
const MOST_TURNS: usize = 8;
/// How long the rest of a request may take whose answer was read to its end.
const REST: Duration = Duration::from_secs(3);

/// A connection that serves one request at a time.
pub(super) struct Connection {
    requests: SendRequest<Parting>,
    /// What reads and writes; `None`: the connection is closed.
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send + Sync>>>,
    /// What the driver wakes.
    signal: Arc<Signal>,
    waker: Waker,
    home: Home,
}

/// Why a connection brought no answer.
pub(super) enum NoAnswer {
    /// Not a byte of the request went out, since the connection was closed.
    Unsent(Box<Request<Parting>>),
    /// It broke.
    Broken,
}

impl Connection {
    /// Makes a connection to the origin of `url`.
    pub(super) async fn open(
        mut connector: Connector,
        url: Uri,
        home: Home,
    ) -> Result<Self, SendError> {
        let io = connector.call(url).await;
        let io = io.map_err(|error| classify(error.as_ref()))?;
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS);
        let (requests, driver) = builder
            .handshake(io)
            .await
            .map_err(|_| SendError::Unreachable)?;
        let signal = Arc::new(Signal::new());
        Ok(Self {
            requests,
            driver: Some(Box::pin(driver.with_upgrades())),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            home,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn ask(
        mut self: Box<Self>,
        request: Box<Request<Parting>>,
    ) -> Result<Response<Answering>, NoAnswer> {
        let flows = request.body().flows();
        let asking = self.requests.try_send_request(*request);
        let (response, driven) = if flows {
            let apart = Apart::begin(self);
            (asking.await, Driven::Apart(apart))
        } else {
            let mut asking = pin!(asking);
            let response = poll_fn(|cx| self.feed(cx, || unwoken(asking.as_mut())));
            (response.await, Driven::Here(self))
        };
        match response {
            Ok(response) => Ok(response.map(|body| Answering::new(body, driven))),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => NoAnswer::Unsent(Box::new(request)),
                None => NoAnswer::Broken,
            }),
        }
    }

    /// Takes what the connection brings, and drives it as long as that brings more.
    ///
    /// The driver is polled only when it was woken: by the socket, or by `take`, which asks for more. The latter happens
    /// here and now, and need not wake the task once more as it would with a driver that has one of its own.
    fn feed<T>(&mut self, cx: &mut Context<'_>, mut take: impl FnMut() -> Poll<T>) -> Poll<T> {
        self.signal.attend(cx.waker());
        let mut taken = take();
        for _ in 0..MOST_TURNS {
            if taken.is_ready() || !self.signal.take() {
                break;
            }
            self.drive();
            taken = take();
        }
        if self.signal.leave() && taken.is_pending() {
            // There is more to do, and others have their turn first.
            cx.waker().wake_by_ref();
        }
        taken
    }

    /// Whether its driver was woken and not yet polled, as by a provider that has closed it.
    pub(super) fn is_woken(&self) -> bool {
        self.signal.is_woken()
    }

    /// Reads and writes what can be read and written now.
    fn drive(&mut self) {
        if let Some(driver) = &mut self.driver
            && driver
                .as_mut()
                .poll(&mut Context::from_waker(&self.waker))
                .is_ready()
        {
            // What waits for it in hyper's channels learns of the end when it is dropped.
            self.driver = None;
        }
    }

    /// Whether it can take a request now.
    pub(super) fn is_free(&mut self) -> bool {
        if self.signal.take() {
            self.drive();
        }
        self.driver.is_some() && self.requests.is_ready()
    }

    /// Goes on until `done`, or until it is closed.
    async fn goes_on(&mut self, mut done: impl FnMut(&mut Self, &mut Context<'_>) -> bool) {
        poll_fn(|cx| {
            self.signal.attend(cx.waker());
            if self.signal.take() {
                self.drive();
            }
            let ends = done(self, cx) || self.driver.is_none();
            if self.signal.leave() {
                cx.waker().wake_by_ref();
            }
            if ends { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Leaves it to the next call of the same key, if it can serve that.
    fn returns(mut self: Box<Self>) {
        if self.is_free() {
            self.signal.dismiss();
            Kept::Hyper(self).waits();
        }
    }

    /// Where it waits for the next call.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }
}

/// Polls what the driver of a connection feeds, and nobody else: it is polled again when the driver was. Unconstrained,
/// since a budget that is used up would have to wake.
pub(super) fn unwoken<F: Future>(fed: Pin<&mut F>) -> Poll<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    pin!(unconstrained(fed)).poll(&mut cx)
}

/// A connection with a task that drives it.
pub(super) struct Apart {
    /// Told when the answer is at its end. Dropped before, it closes the connection.
    done: oneshot::Sender<()>,
}

impl Apart {
    fn begin(mut connection: Box<Connection>) -> Self {
        let (done, mut is_done) = oneshot::channel();
        tokio::spawn(async move {
            let mut done = None;
            connection
                .goes_on(|_, cx| match Pin::new(&mut is_done).poll(cx) {
                    Poll::Ready(outcome) => {
                        done = Some(outcome);
                        true
                    }
                    Poll::Pending => false,
                })
                .await;
            if let Some(Ok(())) = done {
                // What is left of the request goes out yet, if the provider that has answered takes it.
                let rest = connection.goes_on(|connection, _| connection.requests.is_ready());
                if tokio::time::timeout(REST, rest).await.is_ok() {
                    connection.returns();
                }
            }
        });
        Self { done }
    }
}

/// Who drives the connection of an answer.
enum Driven {
    Here(Box<Connection>),
    Apart(Apart),
    /// Nobody: the answer is at its end.
    Over,
}

/// The body of an answer. Dropped before its end, it closes the connection, and so ends the request at the provider.
pub(crate) struct Answering(Source);

/// An answer that hyper reads.
struct Hyper {
    body: Incoming,
    driven: Driven,
}

/// Where an answer comes from.
enum Source {
    Hyper(Box<Hyper>),
    Wire(Box<Wire>),
    /// Nowhere: it is at its end.
    Over,
}

impl Answering {
    fn new(body: Incoming, driven: Driven) -> Self {
        let mut answering = Self(Source::Hyper(Box::new(Hyper { body, driven })));
        answering.end_in_time();
        answering
    }

    pub(super) fn of_wire(wire: Box<Wire>) -> Self {
        let mut answering = Self(Source::Wire(wire));
        answering.end_in_time();
        answering
    }

    /// Leaves the connection to others as soon as nothing more comes.
    fn end_in_time(&mut self) {
        if self.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        match &mut self.0 {
            Source::Hyper(hyper) => match std::mem::replace(&mut hyper.driven, Driven::Over) {
                Driven::Here(connection) => connection.returns(),
                // An error: it has broken meanwhile.
                Driven::Apart(apart) => drop(apart.done.send(())),
                Driven::Over => {}
            },
            Source::Wire(_) => {
                if let Source::Wire(wire) = std::mem::replace(&mut self.0, Source::Over) {
                    wire.returns();
                }
            }
            Source::Over => {}
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = match &mut self.0 {
            Source::Hyper(hyper) => {
                let Hyper { body, driven } = &mut **hyper;
                match driven {
                    Driven::Here(connection) => connection.feed(cx, || {
                        let mut next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
                        unwoken(Pin::new(&mut next))
                    }),
                    Driven::Apart(_) | Driven::Over => Pin::new(body).poll_frame(cx),
                }
            }
            Source::Wire(wire) => {
                let next = ready!(wire.poll_next(cx));
                return Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes?))));
            }
            Source::Over => return Poll::Ready(None),
        };
        polled.map_err(Into::into)
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.poll_next(cx));
        match &frame {
            None => self.end(),
            Some(Ok(_)) => self.end_in_time(),
            // It is closed with the answer.
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Hyper(hyper) => hyper.body.is_end_stream(),
            Source::Wire(wire) => wire.is_at_end(),
            Source::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Hyper(hyper) => hyper.body.size_hint(),
            Source::Wire(wire) => wire.size_hint(),
            Source::Over => SizeHint::with_exact(0),
        }
    }
}

/// A connection to a provider that leaves HTTP.
pub(crate) struct Switched {
    upgrade: OnUpgrade,
    driven: Driven,
}

impl Switched {
    /// That of an answer with status 101.
    pub(crate) fn of(mut response: Response<Answering>) -> Self {
        let driven = match &mut response.body_mut().0 {
            Source::Hyper(hyper) => std::mem::replace(&mut hyper.driven, Driven::Over),
            Source::Wire(_) | Source::Over => Driven::Over,
        };
        Self {
            upgrade: hyper::upgrade::on(&mut response),
            driven,
        }
    }

    /// The connection; `None`: it broke.
    pub(crate) async fn taken(mut self) -> Option<impl AsyncRead + AsyncWrite + Send + Unpin> {
        let upgraded = poll_fn(|cx| match &mut self.driven {
            Driven::Here(connection) => {
                connection.feed(cx, || unwoken(Pin::new(&mut self.upgrade)))
            }
            Driven::Apart(_) | Driven::Over => Pin::new(&mut self.upgrade).poll(cx),
        });
        upgraded.await.ok().map(TokioIo::new)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::pool::tests::{connector, home_of};
    use super::super::{Departure, Outbound};
    use super::*;

    #[tokio::test]
    async fn a_provider_that_answers_and_takes_no_more_holds_no_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url: Uri = format!("http://{address}/").parse().expect("a URL");
        let opened = Connection::open(connector(), url.clone(), home_of(&url));
        let (opened, accepted) = tokio::join!(opened, listener.accept());
        let mut connection = Box::new(opened.unwrap_or_else(|_| panic!("no connection")));
        let (mut provider, _) = accepted.expect("a client");
        let known = Arc::downgrade(&connection.signal);

        let body = Parting {
            body: Outbound::whole(Bytes::from(vec![b'a'; 64 << 20])),
            departure: Departure::default(),
        };
        let request = Request::post(url).body(body).expect("a request");
        let asking = connection.requests.try_send_request(request);
        let apart = Apart::begin(connection);
        let answering = async {
            let mut some = [0; 1000];
            provider.read_exact(&mut some).await.expect("a head");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            provider.write_all(answer).await.expect("written");
        };
        let (answer, ()) = tokio::join!(asking, answering);
        assert!(answer.is_ok_and(|answer| answer.status() == 200));
        apart.done.send(()).expect("a task");

        let begun = tokio::time::Instant::now();
        while known.upgrade().is_some() {
            assert!(begun.elapsed() < 10 * REST, "it is held for ever");
            tokio::time::sleep(REST / 30).await;
        }
        assert!(begun.elapsed() >= REST / 2, "the rest had no time");
    }
}
