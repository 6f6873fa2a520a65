//! The edge: our own accept loop, in front of both planes.
//!
//! A ready-made server never times out a half-sent header and accepts requests without a `Host` or with two.
//! Here each phase has a limit: header, body, response, number of connections, and the drain at shutdown.
//! HTTP/1 only; where the service says so, a connection goes on without it. What a request means is decided by the service behind; the edge knows no route.

mod head;
mod inbound;
mod problem;
mod socket;
mod takeover;

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use domain::{RequestId, Sources};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
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
pub async fn serve<S, F, B>(
    listener: TcpListener,
    config: EdgeConfig,
    sources: Sources,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Fn(Request<Inbound>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
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
                    if shed.len() < 256 {
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

/// A connection that HTTP is about to leave, and who takes it.
type Upgrade = (OnUpgrade, Takeover);

struct Connection<S> {
    config: EdgeConfig,
    sources: Sources,
    service: S,
    peer: SocketAddr,
}

impl<S, F, B> Connection<S>
where
    S: Fn(Request<Inbound>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async fn run(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        // Small frames of a stream leave at once; a refusal to set the option costs only latency.
        let _ = stream.set_nodelay(true);
        let config = self.config.clone();
        let io = TokioIo::new(Socket::new(
            stream,
            Duration::from_millis(config.write_stall_ms),
        ));
        let upgrade = Mutex::new(None);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(config.header_ms))
            .max_headers(config.headers)
            .max_buf_size(config.header_bytes.max(8192))
            .serve_connection(io, service_fn(|request| self.answer(request, &upgrade)))
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
            return;
        }
        let upgrade = upgrade
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The session goes on in this task, so that it stays one of the connections.
        if let Some((upgraded, takeover)) = upgrade
            && let Ok(upgraded) = upgraded.await
        {
            let client = TokioIo::new(upgraded);
            takeover.run(Taken { client, stopping }).await;
        }
    }

    /// Answers a request. Where the answer leads to something else than HTTP, `upgrade` is set.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        upgrade: &Mutex<Option<Upgrade>>,
    ) -> Result<Response<Body>, BoxError> {
        let Ok(id) = self.sources.id::<RequestId>() else {
            return Ok(Problem::Random.response(None));
        };
        if let Err(problem) = head::check(&request) {
            return Ok(problem.response(Some(id)));
        }
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(self.peer);
        let mut request = request.map(|body| {
            Inbound::new(
                body,
                Duration::from_millis(self.config.body_idle_ms),
                Duration::from_millis(self.config.body_total_ms),
            )
        });
        let upgraded = request.extensions_mut().remove::<OnUpgrade>();
        // The call itself may panic, too.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| (self.service)(request)));
        let answer = match answer {
            Ok(answer) => CatchPanic(pin!(answer)).await,
            Err(_payload) => None,
        };
        match answer {
            Some(mut response) => {
                let takeover = response.extensions_mut().remove::<Takeover>();
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) =
                        upgraded.zip(takeover);
                }
                Ok(response.map(|body| Body::new(body.map_err(Into::into))))
            }
            None => {
                tracing::error!(request.id = %id, "a request handler panicked");
                Ok(Problem::Internal.response(Some(id)))
            }
        }
    }
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

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which happens only after the drain.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Tells a client beyond the connection cap to come back, without reading its request.
async fn refuse(stream: TcpStream) {
    use tokio::io::AsyncWriteExt;
    let mut socket = Socket::new(stream, Duration::from_secs(1));
    let answered = async {
        socket.write_all(&Problem::Overloaded.unread()).await?;
        socket.shutdown().await
    };
    // The client may be gone already; there is nobody to tell.
    let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
}

#[cfg(test)]
mod tests;
