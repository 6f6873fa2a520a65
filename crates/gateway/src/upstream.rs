//! The only place that names an HTTP client.
//!
//! HTTP/1.1 without redirects, cookies, decompression or a proxy from the environment; connections come from
//! the vetting connector alone. Each provider key has a pool of its own: whatever a provider leaves behind
//! on a connection can reach only the owner of the key that opened it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use scrub::Needles;
use tokio::time::Instant;
use tower_service::Service;
use zeroize::Zeroizing;

mod chunks;
mod connection;
mod pool;
mod signal;
mod wire;

pub(crate) use connection::{Answering, Switched};
use connection::{Connection, NoAnswer};
use pool::{Home, Pools};
use wire::{Unsent, Wire};

use crate::connect::{ConnectError, Connector};
use crate::headers;
use crate::health::KeyVersion;
use crate::upload::{Flowing, GivenUp};

/// How provider keys are presented.
#[derive(Debug, Clone)]
pub(crate) struct AuthPlace {
    /// The header that carries the key.
    pub(crate) header: HeaderName,
    /// The word before it.
    pub(crate) scheme: Option<String>,
}

/// A request to a provider.
pub(crate) struct Outgoing<'a> {
    /// Which pool: the key's id and the version of its value.
    pub(crate) pool: KeyVersion,
    pub(crate) method: Method,
    pub(crate) url: &'a Uri,
    /// The allowed headers of the client and the provider's extra ones.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Outbound,
    /// What the body is; `None`: there is none.
    pub(crate) media_type: Option<HeaderValue>,
    /// How many gateways it came through before this one.
    pub(crate) hops: u32,
    /// The moment by which the answer's head must be there; a body that flows knows by itself what is too late.
    pub(crate) deadline: Instant,
    pub(crate) departure: Departure,
}

/// Whether a request has left: its head was handed to a connection that stands. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Departure(Arc<AtomicBool>);

impl Departure {
    pub(crate) fn has_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It leaves, or did not leave after all.
    fn leaves(&self, has_left: bool) {
        self.0.store(has_left, Ordering::Relaxed);
    }
}

/// The body of a request to a provider.
pub(crate) enum Outbound {
    Whole(Bytes),
    Pieces(Pieces),
    /// It is on its way from the client.
    Flowing(Flowing),
}

/// A request's body that notes when it is asked for, which is after the connection was made.
struct Parting {
    body: Outbound,
    departure: Departure,
}

impl Parting {
    /// Whether it is on its way from the client.
    fn flows(&self) -> bool {
        matches!(self.body, Outbound::Flowing(_))
    }
}

/// A body that is there already, in pieces that need not be copied together.
pub(crate) struct Pieces {
    left: std::vec::IntoIter<Bytes>,
    left_bytes: u64,
}

impl Outbound {
    /// A body that is there already.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }

    /// A body of these pieces.
    pub(crate) fn pieces(pieces: Vec<Bytes>) -> Self {
        Self::Pieces(Pieces {
            left_bytes: pieces.iter().map(|piece| piece.len() as u64).sum(),
            left: pieces.into_iter(),
        })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Self::Pieces(body) => SizeHint::with_exact(body.left_bytes),
            Self::Flowing(body) => body.size_hint(),
        }
    }
}

impl Pieces {
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.left.find(|piece| !piece.is_empty())?;
        self.left_bytes -= piece.len() as u64;
        Some(piece)
    }
}

impl HttpBody for Parting {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        self.departure.leaves(true);
        match &mut self.body {
            Outbound::Whole(body) => {
                let body = std::mem::take(body);
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Outbound::Pieces(body) => Poll::Ready(body.next().map(|piece| Ok(Frame::data(piece)))),
            Outbound::Flowing(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = match &self.body {
            Outbound::Whole(body) => body.is_empty(),
            Outbound::Pieces(body) => body.left_bytes == 0,
            Outbound::Flowing(body) => body.is_end_stream(),
        };
        if ended {
            // An empty body is never asked for, only whether it is empty: when the head is written.
            self.departure.leaves(true);
        }
        ended
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The address is not public; nothing was sent.
    #[error("the provider's address is refused")]
    Refused,
    /// The key cannot stand in a header, or the base URL is none.
    #[error("the stored key or its base URL cannot be used")]
    Unusable,
    /// No connection, or it broke before the answer's head.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// No connection in time.
    #[error("the provider could not be connected to in time")]
    TimedOut,
    /// No answer's head in time.
    #[error("the provider did not answer in time")]
    Silent,
}

/// Sends requests to providers. Clones share the connections that wait.
#[derive(Clone)]
pub(crate) struct Upstream {
    connector: Connector,
    pools: Arc<Pools>,
}

impl Upstream {
    /// At most `idle` connections wait for their next request.
    pub(crate) fn new(connector: Connector, idle: usize) -> Self {
        Self {
            connector,
            pools: Arc::new(Pools::new(idle)),
        }
    }

    /// Sends one request with `key` and returns the answer as soon as its head is there.
    ///
    /// Dropping the future or the answer's body ends the request at the provider.
    pub(crate) fn send<'a>(
        &'a self,
        outgoing: Outgoing<'a>,
        auth: &AuthPlace,
        key: Secret,
    ) -> impl Future<Output = Result<Response<Answering>, SendError>> + Send + use<'a> {
        let (pool, url, deadline) = (outgoing.pool, outgoing.url, outgoing.deadline);
        // Made before anything waits, and in boxes: they go through many hands, and each of them would copy them.
        let ready = match Unsent::suits(&outgoing) {
            true => Unsent::of(outgoing, auth, &key).map(Ready::Whole),
            false => Some(Ready::Other(Box::pin(
                self.send_other(outgoing, auth, &key),
            ))),
        };
        drop(key);
        async move {
            match ready.ok_or(SendError::Unusable)? {
                Ready::Whole(unsent) => {
                    // Where it stands, so that the alarm does not move it.
                    let asking = pin!(self.ask(pool, url, unsent));
                    tokio::time::timeout_at(deadline, asking)
                        .await
                        .unwrap_or(Err(SendError::Silent))
                }
                Ready::Other(sending) => sending.await,
            }
        }
    }

    /// Closes what waits and serves nothing more. How many wait then.
    #[cfg(test)]
    pub(crate) async fn swept(&self) -> usize {
        self.pools.swept().await
    }

    /// Asks on a connection that waits, or on a new one.
    async fn ask(
        &self,
        pool: KeyVersion,
        url: &Uri,
        mut unsent: Box<Unsent>,
    ) -> Result<Response<Answering>, SendError> {
        // Repeats a request only if not a byte of it was sent on a connection that turned out to be closed.
        while let Some(wire) = self.pools.take_wire(pool, url) {
            match wire.ask(unsent).await {
                Ok(response) => return Ok(response),
                Err(Some(whole)) => unsent = whole,
                Err(None) => return Err(SendError::Unreachable),
            }
        }
        // In a box, since most calls find a connection.
        let wire = Box::pin(self.open(pool, url)).await?;
        wire.ask(unsent).await.map_err(|_| SendError::Unreachable)
    }

    async fn open(&self, pool: KeyVersion, url: &Uri) -> Result<Box<Wire>, SendError> {
        let home = Home::new(&self.pools, pool, url);
        let io = self.connector.clone().call(url.clone()).await;
        let io = io.map_err(|error| classify(error.as_ref()))?;
        tracing::trace!(provider_key.id = %pool.0, "opened a connection to a provider");
        Ok(Box::new(Wire::new(io, home)))
    }

    /// Sends what hyper has to send: a body that flows, or a request that leaves HTTP.
    fn send_other<'a>(
        &'a self,
        outgoing: Outgoing<'a>,
        auth: &AuthPlace,
        key: &Secret,
    ) -> impl Future<Output = Result<Response<Answering>, SendError>> + Send + use<'a> {
        let (pool, url, deadline) = (outgoing.pool, outgoing.url, outgoing.deadline);
        let overdue = match &outgoing.body {
            Outbound::Whole(_) | Outbound::Pieces(_) => None,
            Outbound::Flowing(body) => Some(body.overdue()),
        };
        let request = request(outgoing, auth, key).map(Box::new);
        async move {
            let request = request.ok_or(SendError::Unusable)?;
            let asking = pin!(self.ask_hyper(pool, url, request));
            match overdue {
                None => tokio::time::timeout_at(deadline, asking)
                    .await
                    .unwrap_or(Err(SendError::Silent)),
                Some(overdue) => tokio::select! {
                    biased;
                    answer = asking => answer,
                    () = overdue => Err(SendError::Silent),
                },
            }
        }
    }

    /// The same as [`ask`](Self::ask) of connections that are hyper's.
    async fn ask_hyper(
        &self,
        pool: KeyVersion,
        url: &Uri,
        mut request: Box<Request<Parting>>,
    ) -> Result<Response<Answering>, SendError> {
        while let Some(connection) = self.pools.take(pool, url) {
            match connection.ask(request).await {
                Ok(response) => return Ok(response),
                Err(NoAnswer::Unsent(unsent)) => request = unsent,
                Err(NoAnswer::Broken) => return Err(SendError::Unreachable),
            }
        }
        let home = Home::new(&self.pools, pool, url);
        let connection = Connection::open(self.connector.clone(), url.clone(), home).await?;
        tracing::trace!(provider_key.id = %pool.0, "opened a connection to a provider");
        let answer = Box::new(connection).ask(request).await;
        answer.map_err(|_| SendError::Unreachable)
    }
}

/// A request with its key, and how it is sent.
enum Ready<F> {
    Whole(Box<Unsent>),
    Other(Pin<Box<F>>),
}

/// The needles for the echoes of `key`.
pub(crate) fn needles(key: &Secret) -> Arc<Needles> {
    Arc::new(key.expose(Needles::new))
}

/// The URL of `path` below `base_url`, which came from the registry or passed its rules when it was saved.
pub(crate) fn url(base_url: &str, path: &str, query: Option<&str>) -> Option<Uri> {
    // Not parsed a second time: what would change the meaning of what is put behind it cannot be in it.
    if base_url.contains(['?', '#', '@', '\\']) || !path.starts_with('/') {
        return None;
    }
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let mut text = format!("{base_url}{path}");
    if let Some(query) = query {
        text.push(if path.contains('?') { '&' } else { '?' });
        text.push_str(query);
    }
    text.parse().ok()
}

fn request(outgoing: Outgoing<'_>, auth: &AuthPlace, key: &Secret) -> Option<Request<Parting>> {
    let mut value = key.expose(|key| {
        let scheme = auth.scheme.as_deref();
        let mut value = Zeroizing::new(Vec::with_capacity(key.len() + 16));
        if let Some(scheme) = scheme {
            value.extend_from_slice(scheme.as_bytes());
            value.push(b' ');
        }
        value.extend_from_slice(key);
        HeaderValue::from_bytes(&value).ok()
    })?;
    value.set_sensitive(true);
    // Said here: with some methods the client takes a body of unknown length for none, and sends nothing of it.
    let in_chunks = outgoing.body.size_hint().exact().is_none();
    let mut request = Request::new(Parting {
        body: outgoing.body,
        departure: outgoing.departure,
    });
    *request.method_mut() = outgoing.method;
    let host = HeaderValue::from_str(authority(outgoing.url)?).ok()?;
    *request.uri_mut() = target(outgoing.url);
    let all = request.headers_mut();
    *all = outgoing.headers;
    if let Some(media_type) = outgoing.media_type {
        all.insert(header::CONTENT_TYPE, media_type);
    }
    if in_chunks {
        all.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    all.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    all.insert(header::USER_AGENT, headers::user_agent(outgoing.hops));
    all.insert(header::HOST, host);
    all.insert(&auth.header, value);
    Some(request)
}

/// What the first line of a request names.
fn target(url: &Uri) -> Uri {
    match url.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    }
}

/// The host, and the port if it is not the scheme's own.
fn authority(url: &Uri) -> Option<&str> {
    let authority = url.authority()?;
    let own = match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    Some(match authority.port_u16() {
        Some(port) if port != own => authority.as_str(),
        _ => authority.host(),
    })
}

/// Why there is no connection, from the chain of causes. Their texts are not passed on.
fn classify(error: &(dyn std::error::Error + 'static)) -> SendError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<ConnectError>() {
            Some(ConnectError::Refused | ConnectError::Scheme) => return SendError::Refused,
            Some(ConnectError::TimedOut) => return SendError::TimedOut,
            Some(ConnectError::NoHost) => return SendError::Unusable,
            Some(ConnectError::Resolve(_) | ConnectError::Dial(_)) => {
                return SendError::Unreachable;
            }
            None => cause = error.source(),
        }
    }
    SendError::Unreachable
}
