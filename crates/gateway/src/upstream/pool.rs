//! Connections that wait for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use tokio::time::Instant;

use super::connection::Connection;
use crate::health::KeyVersion;

/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(60);
/// How often those are looked for that waited for too long, or that the provider has closed.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How many connections of a key wait for their next request. As many as it may have calls by default: with fewer, a
/// busy key would close and open connections all the time.
const MAX_OF_KEY: usize = 256;
/// How many wait in all.
const MAX_IDLE: usize = 16_384;

/// The connections that wait, by key.
#[derive(Default)]
pub(super) struct Pools(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_key: HashMap<KeyVersion, Vec<Idle>>,
    /// How many there are in all.
    count: usize,
    /// Whether a task looks after them.
    swept: bool,
}

struct Idle {
    connection: Box<Connection>,
    origin: Origin,
    since: Instant,
}

/// Where a connection leads to.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    scheme: Option<Scheme>,
    authority: Option<Authority>,
}

/// The place in the pools to which a connection returns. It does not keep the pools, which hold it with the connection.
#[derive(Clone)]
pub(super) struct Home {
    pools: Weak<Pools>,
    key: KeyVersion,
    origin: Origin,
}

impl Home {
    pub(super) fn new(pools: &Arc<Pools>, key: KeyVersion, url: &Uri) -> Self {
        Self {
            pools: Arc::downgrade(pools),
            key,
            origin: Origin {
                scheme: url.scheme().cloned(),
                authority: url.authority().cloned(),
            },
        }
    }

    /// Keeps a connection for the next call.
    pub(super) fn take_in(self, connection: Box<Connection>) {
        let Self { pools, key, origin } = self;
        let Some(pools) = pools.upgrade() else {
            return;
        };
        let now = Instant::now();
        let idle = Idle {
            connection,
            origin,
            since: now,
        };
        let mut waiting = pools.lock();
        if waiting.count >= MAX_IDLE {
            return;
        }
        let its = waiting.by_key.entry(key).or_default();
        if its.len() >= MAX_OF_KEY {
            return;
        }
        its.push(idle);
        waiting.count += 1;
        if !std::mem::replace(&mut waiting.swept, true) {
            drop(waiting);
            tokio::spawn(keep_swept(Arc::downgrade(&pools)));
        }
    }
}

impl Pools {
    /// A connection of this key to the origin of `url`: the one that was used last, which is the least likely to be closed
    /// soon.
    pub(super) fn take(&self, key: KeyVersion, url: &Uri) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.take_any(key, url)?;
            if connection.is_free() {
                return Some(connection);
            }
        }
    }

    fn take_any(&self, key: KeyVersion, url: &Uri) -> Option<Box<Connection>> {
        let mut waiting = self.lock();
        let its = waiting.by_key.get_mut(&key)?;
        let leads = |it: &Idle| {
            it.origin.authority.as_ref() == url.authority()
                && it.origin.scheme.as_ref() == url.scheme()
        };
        let at = its.iter().rposition(leads)?;
        let idle = its.remove(at);
        waiting.count -= 1;
        Some(idle.connection)
    }

    /// Closes what nobody needs. Whether something is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut closed = Vec::new();
        let mut waiting = self.lock();
        waiting.by_key.retain(|_, its| {
            let left = its.extract_if(.., |idle| {
                now.duration_since(idle.since) >= IDLE || !idle.connection.is_free()
            });
            closed.extend(left);
            !its.is_empty()
        });
        waiting.count -= closed.len();
        waiting.swept = waiting.count > 0;
        waiting.swept
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes now and then what nobody needs, until nothing is left.
async fn keep_swept(pools: Weak<Pools>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let is_done = pools
            .upgrade()
            .is_none_or(|pools| !pools.sweep(Instant::now()));
        if is_done {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use domain::ProviderKeyId;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;

    use super::*;
    use crate::connect::{AddressPolicy, Connector, VettedConnector};

    async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::default()))
    }

    /// A server, and a connector that reaches it.
    async fn server() -> (Uri, Connector) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(serving);
            }
        });
        let policy = AddressPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a range")],
        };
        let tcp = VettedConnector::new(policy);
        let connector = Connector::new(tcp, Duration::from_secs(5)).expect("TLS");
        (url.parse().expect("a URL"), connector)
    }

    #[tokio::test]
    async fn what_waits_for_too_long_is_closed() {
        let (url, connector) = server().await;
        let pools = Arc::new(Pools::default());
        let key = (ProviderKeyId::from_bytes([1; 16]), 1);
        let open = || async {
            let home = Home::new(&pools, key, &url);
            let opened = Connection::open(connector.clone(), url.clone(), home.clone());
            let mut connection = Box::new(opened.await.expect("a connection"));
            assert!(connection.is_free());
            home.take_in(connection);
        };
        open().await;
        open().await;
        assert!(pools.sweep(Instant::now()));
        assert_eq!(pools.lock().count, 2);
        // Another version of the key, and another place, have none.
        assert!(pools.take((key.0, 2), &url).is_none());
        let elsewhere = Uri::from_static("https://127.0.0.1/");
        assert!(pools.take(key, &elsewhere).is_none());
        assert!(pools.take(key, &url).is_some());
        assert_eq!(pools.lock().count, 1);

        assert!(!pools.sweep(Instant::now() + IDLE));
        assert!(pools.lock().by_key.is_empty());
        assert!(pools.take(key, &url).is_none());
    }

    #[tokio::test]
    async fn connections_end_with_their_pools() {
        let (url, connector) = server().await;
        let pools = Arc::new(Pools::default());
        let home = Home::new(&pools, (ProviderKeyId::from_bytes([1; 16]), 1), &url);
        let opened = Connection::open(connector, url, home.clone()).await;
        let mut connection = Box::new(opened.expect("a connection"));
        assert!(connection.is_free());
        home.take_in(connection);
        let weak = Arc::downgrade(&pools);
        drop(pools);
        assert!(weak.upgrade().is_none());
    }
}
