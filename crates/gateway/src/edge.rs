//! The edge: our own accept loop, in front of both planes.
//!
//! A ready-made server never times out a half-sent header and accepts requests without a `Host` or with two.
//! Here each phase has a limit: header, body, response, number of connections, and the drain at shutdown.
//! HTTP/1 only; where the service says so, a connection goes on without it. What a request means is decided by the service behind; the edge knows no route.

mod head;
mod inbound;
mod problem;
mod socket;
mod stream;
mod takeover;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::{RequestId, Sources};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use inbound::{Inbound, InboundError};
pub(crate) use problem::Problem;
pub(crate) use takeover::{Taken, Takeover};

use crate::{Body, BoxError};
use socket::Socket;
use stream::{Progress, Streamed};

/// The limits of the edge. Times in milliseconds.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// How long a client may take to send a request head, and how long a connection may stay idle.
    pub header_ms: u64,
    /// The longest request head in bytes; at least 8192.
    pub header_bytes: usize,
    /// The most header lines of a request.
    pub headers: usize,
    /// How many connections are served at once; further ones get 503 and are closed.
    pub connections: usize,
    /// How many further clients are being told so at once; beyond this they find the connection closed.
    pub refusals: usize,
    /// How long a request body may stand still.
    pub body_idle_ms: u64,
    /// How long a request body may take in all.
    pub body_total_ms: u64,
    /// How long a client may refuse to take bytes of the response.
    pub write_stall_ms: u64,
    /// How long running requests may go on after the order to stop.
    pub drain_ms: u64,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            header_ms: 10_000,
            header_bytes: 64 * 1024,
            headers: 100,
            connections: 4096,
            refusals: 256,
            body_idle_ms: 30_000,
            body_total_ms: 300_000,
            write_stall_ms: 60_000,
            drain_ms: 30_000,
        }
    }
}

/// How the edge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because they were still busy at the end of the drain.
    pub cut: usize,
}

/// Serves `listener` until `shutdown` resolves, then lets running requests end for at most `drain_ms`.
///
/// Each request carries its [`RequestId`] and the peer's [`SocketAddr`] in its extensions. A request whose
/// head is ambiguous (no or several `Host`s, an absolute URI) gets 400 before `service` sees it. When
/// `service` panics, the client gets 500 with the request's id and the process lives.
pub async fn serve<S, F>(
    listener: TcpListener,
    config: EdgeConfig,
    sources: Sources,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Fn(Request<Inbound>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    let mut shed = JoinSet::new();
    let (stop, stopping) = watch::channel(false);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            Some(_) = shed.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() < config.connections => {
                    let connection = Connection {
                        config: config.clone(),
                        sources: sources.clone(),
                        service: service.clone(),
                        peer,
                    };
                    connections.spawn(connection.run(stream, stopping.clone()));
                }
                Ok((stream, _)) => {
                    // Beyond this even the refusal is too much work.
                    if shed.len() < config.refusals {
                        shed.spawn(refuse(stream));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    // Out of file descriptors: do not spin until some are closed.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    // Nobody listening means that no connection is left.
    let _ = stop.send(true);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(config.drain_ms);
    while let Ok(Some(_)) = tokio::time::timeout_at(deadline, connections.join_next()).await {}
    let cut = connections.len();
    connections.shutdown().await;
    Drained { cut }
}

/// How a connection goes on, if not with what hyper makes of an answer.
enum Next {
    /// HTTP is about to leave it, and this takes it.
    Upgrade(OnUpgrade, Takeover),
    /// With a stream.
    Stream(Streamed),
}

/// What is agreed on about a connection while hyper has it.
struct Terms {
    next: Mutex<Option<Next>>,
    progress: Arc<Progress>,
}

impl Terms {
    fn goes_on_with(&self, next: Next) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    fn take(&self) -> Option<Next> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }

    /// The stream that is to be written, as soon as everything before it is.
    fn stream(&self) -> Option<Streamed> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match next.take_if(|it| matches!(it, Next::Stream(_)) && self.progress.is_written())? {
            Next::Stream(streamed) => Some(streamed),
            Next::Upgrade(..) => None,
        }
    }
}

/// What hyper is done with.
enum Left {
    /// The connection.
    Ended(hyper::Result<()>),
    /// The requests up to this answer.
    Stream(Streamed),
}

struct Connection<S> {
    config: EdgeConfig,
    sources: Sources,
    service: S,
    peer: SocketAddr,
}

impl<S, F> Connection<S>
where
    S: Fn(Request<Inbound>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn run(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        // Small frames of a stream leave at once; a refusal to set the option costs only latency.
        let _ = stream.set_nodelay(true);
        let terms = Terms {
            next: Mutex::new(None),
            progress: Progress::new(),
        };
        let stall = Duration::from_millis(self.config.write_stall_ms);
        let mut socket = Socket::new(stream, stall, Arc::clone(&terms.progress));
        loop {
            let mut connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_millis(self.config.header_ms))
                .max_headers(self.config.headers)
                .max_buf_size(self.config.header_bytes.max(8192))
                .serve_connection(
                    TokioIo::new(socket),
                    service_fn(|request| self.answer(request, &terms)),
                )
                .with_upgrades();
            let left = tokio::select! {
                left = driven(&mut connection, &terms) => left,
                () = stopped(&mut stopping) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    driven(&mut connection, &terms).await
                }
            };
            let streamed = match left {
                Left::Stream(streamed) => streamed,
                Left::Ended(Ok(())) => break,
                Left::Ended(Err(error)) => {
                    tracing::debug!(%error, "a connection ended early");
                    return;
                }
            };
            let Some(parts) = connection.into_parts() else {
                return;
            };
            socket = parts.io.into_inner();
            socket.unread(&parts.read_buf);
            drop(parts.read_buf);
            if let Err(error) = stream::write(&mut socket, streamed).await {
                tracing::debug!(%error, "a connection ended early");
                return;
            }
            if *stopping.borrow() {
                // Nobody is left to tell.
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut socket).await;
                return;
            }
        }
        // The session goes on in this task, so that it stays one of the connections.
        if let Some(Next::Upgrade(upgraded, takeover)) = terms.take()
            && let Ok(upgraded) = upgraded.await
        {
            let client = TokioIo::new(upgraded);
            takeover.run(Taken { client, stopping }).await;
        }
    }

    /// Answers a request. Where hyper shall not write the answer, or not go on with it, `terms` say so.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        terms: &Terms,
    ) -> Result<Response<Body>, BoxError> {
        let version = request.version();
        let refused = |problem: Problem, id| {
            let mut refusal = problem.response(id);
            close(&mut refusal, version);
            Ok(refusal)
        };
        let Ok(id) = self.sources.id::<RequestId>() else {
            return refused(Problem::Random, None);
        };
        if let Err(problem) = head::check(&request) {
            return refused(problem, Some(id));
        }
        // A body that waits to be asked for is not asked for to be thrown away.
        let asks = request.headers().contains_key(header::EXPECT);
        let may_stream = stream::may_stream(&request);
        let number = terms.progress.begins();
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(self.peer);
        let mut request = request.map(|body| {
            Inbound::new(
                body,
                Duration::from_millis(self.config.body_idle_ms),
                Duration::from_millis(self.config.body_total_ms),
                Arc::clone(&terms.progress),
                number,
            )
        });
        let upgraded = request.extensions_mut().remove::<OnUpgrade>();
        // The call itself may panic, too.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| (self.service)(request)));
        let answer = match answer {
            Ok(answer) => CatchPanic(pin!(answer)).await,
            Err(_payload) => None,
        };
        let mut response = answer.unwrap_or_else(|| {
            tracing::error!(request.id = %id, "a request handler panicked");
            Problem::Internal.response(Some(id))
        });
        let takeover = response.extensions_mut().remove::<Takeover>();
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switches && let Some((upgraded, takeover)) = upgraded.zip(takeover) {
            terms.goes_on_with(Next::Upgrade(upgraded, takeover));
        }
        if !terms.progress.is_read(number) {
            // Seldom, and not a part of every connection's task.
            if Box::pin(ends_unread(terms, number, asks)).await && !switches {
                close(&mut response, version);
            }
        } else if may_stream && stream::is_stream(&response) {
            let streamed = Streamed::new(response, self.sources.now());
            terms.goes_on_with(Next::Stream(streamed));
            // Until hyper is left.
            return std::future::pending().await;
        }
        Ok(response)
    }
}

/// Whether the connection ends with this answer to a request whose body is not at its end. If it is short, it is read: clients
/// send it behind the head, and use the connection again. `asks`: its client waits until it is asked for it.
async fn ends_unread(terms: &Terms, number: u64, asks: bool) -> bool {
    match terms.progress.answers_unread(number) {
        Some(body) => asks || !inbound::read_rest(body).await,
        // Whoever reads on passes it on to a provider, and stops when the answer ends at the latest.
        None => true,
    }
}

/// Tells the client that the connection ends, which hyper would do without a word.
fn close(response: &mut Response<Body>, version: Version) {
    // Else hyper would promise an older client in the same line that it goes on.
    *response.version_mut() = version;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Resolves to `None` when the future panics. The future is not polled again after that.
struct CatchPanic<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for CatchPanic<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Unwind safety: whatever the handler shared is behind locks and guards that survive unwinding.
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_payload) => Poll::Ready(None),
        }
    }
}

/// Lets hyper go on with a connection until it is left.
async fn driven<C>(connection: &mut C, terms: &Terms) -> Left
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Left::Ended(ended)),
        Poll::Pending => terms.stream().map_or(Poll::Pending, |streamed| {
            Poll::Ready(Left::Stream(streamed))
        }),
    })
    .await
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which happens only after the drain.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Tells a client beyond the connection cap to come back, without reading its request.
async fn refuse(stream: TcpStream) {
    use tokio::io::AsyncWriteExt;
    let mut socket = Socket::new(stream, Duration::from_secs(1), Progress::new());
    let answered = async {
        socket.write_all(&Problem::Overloaded.unread()).await?;
        socket.shutdown().await
    };
    // The client may be gone already; there is nobody to tell.
    let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
}

#[cfg(test)]
mod tests;
