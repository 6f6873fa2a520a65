//! Connections that wait for the next request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use domain::IdMap;
use http::uri::{Authority, Scheme, Uri};
use tokio::time::Instant;

use super::connection::Connection;
use super::wire::Wire;
use crate::health::KeyVersion;

/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(60);
/// How often those are looked for that waited for too long, or that the provider has closed.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How many connections of a key and of one sort wait for their next request. As many as it may have calls by default:
/// with fewer, a busy key would close and open connections all the time.
const MAX_OF_KEY: usize = 256;
/// How many are driven in one turn of that.
const SWEPT_TOGETHER: usize = 64;
/// The connections that wait, by key.
pub(super) struct Pools {
    waiting: Mutex<Waiting>,
    /// How many may wait in all.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    by_key: IdMap<KeyVersion, Vec<Idle>>,
    /// How many there are in all.
    count: usize,
    /// Whether a task looks after them.
    swept: bool,
}

/// A connection that waits.
pub(super) enum Kept {
    /// For requests whose bodies flow.
    Hyper(Box<Connection>),
    Wire(Box<Wire>),
}

impl Kept {
    /// Whether it has to be looked at. Reads nothing: that is asked where others wait.
    fn is_woken(&mut self) -> bool {
        match self {
            Self::Hyper(connection) => connection.is_woken(),
            Self::Wire(wire) => wire.is_woken(),
        }
    }

    fn is_free(&mut self) -> bool {
        match self {
            Self::Hyper(connection) => connection.is_free(),
            Self::Wire(wire) => wire.is_free(),
        }
    }

    fn home(&self) -> &Home {
        match self {
            Self::Hyper(connection) => connection.home(),
            Self::Wire(wire) => wire.home(),
        }
    }

    /// Whether both serve the same sort of requests.
    fn is_like(&self, other: &Self) -> bool {
        matches!(self, Self::Wire(_)) == matches!(other, Self::Wire(_))
    }

    /// Waits for the next call of its key.
    pub(super) fn waits(self) {
        let Home { pools, key, .. } = self.home();
        let (Some(pools), key) = (pools.upgrade(), *key) else {
            return;
        };
        let idle = Idle {
            connection: self,
            since: Instant::now(),
        };
        let mut waiting = pools.lock();
        let surplus = waiting.take_in(key, idle, pools.most);
        if !std::mem::replace(&mut waiting.swept, true) {
            drop(waiting);
            tokio::spawn(keep_swept(Arc::downgrade(&pools)));
        } else {
            drop(waiting);
        }
        // Closed where nobody waits for that.
        drop(surplus);
    }
}

struct Idle {
    connection: Kept,
    since: Instant,
}

/// The place in the pools to which a connection returns: that of its key, and of where it leads to. It does not keep the
/// pools, which hold it with the connection.
pub(super) struct Home {
    pools: Weak<Pools>,
    key: KeyVersion,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
}

impl Home {
    pub(super) fn new(pools: &Arc<Pools>, key: KeyVersion, url: &Uri) -> Self {
        Self {
            pools: Arc::downgrade(pools),
            key,
            scheme: url.scheme().cloned(),
            authority: url.authority().cloned(),
        }
    }

    fn leads_to(&self, url: &Uri) -> bool {
        self.authority.as_ref() == url.authority() && self.scheme.as_ref() == url.scheme()
    }
}

impl Waiting {
    /// Keeps one more. Returns what there is no room for: itself where its key has many, else the one that waits longest
    /// of the key that has most.
    fn take_in(&mut self, key: KeyVersion, idle: Idle, most: usize) -> Option<Idle> {
        // Those of one sort do not take the place of the other, and few keys have so many that they must be told apart.
        let alike = |its: &&Vec<Idle>| {
            let its = its.iter();
            its.filter(|it| it.connection.is_like(&idle.connection))
                .count()
        };
        let its = self.by_key.get(&key).filter(|its| its.len() >= MAX_OF_KEY);
        if its.as_ref().map_or(0, alike) >= MAX_OF_KEY {
            return Some(idle);
        }
        let surplus = if self.count < most {
            None
        } else {
            let most = self.by_key.values_mut().max_by_key(|its| its.len());
            match most.filter(|its| its.len() > 1) {
                Some(its) => Some(its.remove(0)),
                None => return Some(idle),
            }
        };
        let its = self.by_key.entry(key).or_default();
        let at = its.partition_point(|it| it.since <= idle.since);
        its.insert(at, idle);
        self.count = self.count + 1 - usize::from(surplus.is_some());
        surplus
    }

    /// Takes out what waited for too long, or has something to do.
    fn take_due(&mut self, now: Instant) -> Vec<(KeyVersion, Idle)> {
        let mut due = Vec::new();
        self.by_key.retain(|key, its| {
            let its_due =
                its.extract_if(.., |idle| idle.is_over(now) || idle.connection.is_woken());
            due.extend(its_due.map(|idle| (*key, idle)));
            !its.is_empty()
        });
        self.count -= due.len();
        due
    }
}

impl Idle {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= IDLE
    }
}

impl Pools {
    /// Pools in which at most so many connections wait.
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
        }
    }

    /// A connection of this key to the origin of `url`, for a request whose body flows: the one that was used last, which is
    /// the least likely to be closed soon.
    pub(super) fn take(&self, key: KeyVersion, url: &Uri) -> Option<Box<Connection>> {
        loop {
            if let Kept::Hyper(mut connection) =
                self.take_any(key, url, |it| matches!(it, Kept::Hyper(_)))?
                && connection.is_free()
            {
                return Some(connection);
            }
        }
    }

    /// The same for a request that is there as a whole.
    pub(super) fn take_wire(&self, key: KeyVersion, url: &Uri) -> Option<Box<Wire>> {
        loop {
            if let Kept::Wire(mut wire) =
                self.take_any(key, url, |it| matches!(it, Kept::Wire(_)))?
                && wire.is_free()
            {
                return Some(wire);
            }
        }
    }

    fn take_any(
        &self,
        key: KeyVersion,
        url: &Uri,
        is_sought: impl Fn(&Kept) -> bool,
    ) -> Option<Kept> {
        let mut waiting = self.lock();
        let its = waiting.by_key.get_mut(&key)?;
        let leads = |it: &Idle| is_sought(&it.connection) && it.connection.home().leads_to(url);
        let at = its.iter().rposition(leads)?;
        let idle = its.remove(at);
        waiting.count -= 1;
        Some(idle.connection)
    }

    /// Closes what nobody needs. Whether something is left.
    async fn sweep(&self, now: Instant) -> bool {
        let due = self.lock().take_due(now);
        // Driven while calls find the others, and with a rest after some of them, since a large provider may have closed
        // thousands.
        for (at, (key, mut idle)) in due.into_iter().enumerate() {
            if at % SWEPT_TOGETHER == SWEPT_TOGETHER - 1 {
                tokio::task::yield_now().await;
            }
            if !idle.is_over(now) && idle.connection.is_free() {
                let surplus = self.lock().take_in(key, idle, self.most);
                drop(surplus);
            }
        }
        let mut waiting = self.lock();
        waiting.swept = waiting.count > 0;
        waiting.swept
    }

    /// Closes what nobody needs. How many are left.
    #[cfg(test)]
    pub(super) async fn swept(&self) -> usize {
        self.sweep(Instant::now()).await;
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes now and then what nobody needs, until nothing is left.
async fn keep_swept(pools: Weak<Pools>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pools) = pools.upgrade() else {
            return;
        };
        if !pools.sweep(Instant::now()).await {
            return;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::convert::Infallible;

    use domain::ProviderKeyId;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;
    use tower_service::Service;

    use super::*;
    use crate::connect::{AddressPolicy, Connector, VettedConnector};

    const MOST: usize = 16_384;

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
        (url.parse().expect("a URL"), connector())
    }

    /// A connector to this machine.
    pub(in super::super) fn connector() -> Connector {
        let policy = AddressPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a range")],
        };
        Connector::new(VettedConnector::new(policy), Duration::from_secs(5)).expect("TLS")
    }

    /// A place in pools that are gone.
    pub(in super::super) fn home_of(url: &Uri) -> Home {
        Home::new(
            &Arc::new(Pools::new(0)),
            (ProviderKeyId::from_bytes([1; 16]), 1),
            url,
        )
    }

    #[tokio::test]
    async fn what_waits_for_too_long_is_closed() {
        let (url, connector) = server().await;
        let pools = Arc::new(Pools::new(MOST));
        let key = (ProviderKeyId::from_bytes([1; 16]), 1);
        let open = || async {
            let home = Home::new(&pools, key, &url);
            let opened = Connection::open(connector.clone(), url.clone(), home);
            let mut connection = Box::new(opened.await.expect("a connection"));
            assert!(connection.is_free());
            Kept::Hyper(connection).waits();
        };
        open().await;
        open().await;
        assert!(pools.sweep(Instant::now()).await);
        assert_eq!(pools.lock().count, 2);
        // Another version of the key, and another place, have none.
        assert!(pools.take((key.0, 2), &url).is_none());
        let elsewhere = Uri::from_static("https://127.0.0.1/");
        assert!(pools.take(key, &elsewhere).is_none());
        assert!(pools.take(key, &url).is_some());
        assert_eq!(pools.lock().count, 1);

        assert!(!pools.sweep(Instant::now() + IDLE).await);
        assert!(pools.lock().by_key.is_empty());
        assert!(pools.take(key, &url).is_none());
    }

    #[tokio::test]
    async fn connections_end_with_their_pools() {
        let (url, connector) = server().await;
        let pools = Arc::new(Pools::new(MOST));
        let home = Home::new(&pools, (ProviderKeyId::from_bytes([1; 16]), 1), &url);
        let opened = Connection::open(connector, url, home).await;
        let mut connection = Box::new(opened.expect("a connection"));
        assert!(connection.is_free());
        Kept::Hyper(connection).waits();
        let weak = Arc::downgrade(&pools);
        drop(pools);
        assert!(weak.upgrade().is_none());
    }

    #[tokio::test]
    async fn a_key_with_many_connections_makes_room_for_one_with_few() {
        let (url, connector) = server().await;
        let key = |number| (ProviderKeyId::from_bytes([number; 16]), 1);
        let mut waiting = Waiting::default();
        let begun = Instant::now();
        for (at, number) in [1, 1, 1, 2, 3].into_iter().enumerate() {
            let home = home_of(&url);
            let opened = Connection::open(connector.clone(), url.clone(), home).await;
            let idle = Idle {
                connection: Kept::Hyper(Box::new(
                    opened.unwrap_or_else(|_| panic!("no connection")),
                )),
                since: begun + Duration::from_secs(at as u64),
            };
            let since = idle.since;
            let surplus = waiting.take_in(key(number), idle, 3);
            // The first one in is the first one out.
            assert_eq!(surplus.is_some(), at >= 3, "{at}");
            if let Some(surplus) = surplus {
                let age = since - surplus.since;
                assert_eq!(age.as_secs(), 3, "{at}");
            }
        }
        assert_eq!(waiting.count, 3);
        let has = |number| waiting.by_key.get(&key(number)).map_or(0, Vec::len);
        assert_eq!([has(1), has(2), has(3)], [1, 1, 1]);
    }

    #[tokio::test]
    async fn connections_of_one_sort_leave_room_for_those_of_the_other() {
        let (url, mut connector) = server().await;
        let key = (ProviderKeyId::from_bytes([1; 16]), 1);
        let mut waiting = Waiting::default();
        let idle = |connection| Idle {
            connection,
            since: Instant::now(),
        };
        for at in 0..=MAX_OF_KEY {
            let io = connector.call(url.clone()).await.expect("a connection");
            let wire = Kept::Wire(Box::new(Wire::new(io, home_of(&url))));
            let surplus = waiting.take_in(key, idle(wire), MOST);
            assert_eq!(surplus.is_some(), at == MAX_OF_KEY, "{at}");
        }
        let opened = Connection::open(connector, url.clone(), home_of(&url)).await;
        let opened = Kept::Hyper(Box::new(opened.unwrap_or_else(|_| panic!("no connection"))));
        assert!(waiting.take_in(key, idle(opened), MOST).is_none());
        assert_eq!(waiting.count, MAX_OF_KEY + 1);
    }
}
