//! The data plane: one request from client to provider and back.
//!
//! It reads callers and provider keys, opens a key for the length of one call, and writes usage. It must
//! never change configuration, store or log a prompt, an answer or a key, or call an address that was not
//! vetted at the moment of the connection.
//!
//! Start reading at `proxy.rs`: a request goes through `caller`, `admit`, `plan`, `attempts`, `pump` and
//! `settle`, each in its own file, each taking what the one before made. [`edge`] is the accept loop in
//! front of both planes.

mod admit;
mod attempts;
mod bill;
mod caller;
mod calls;
mod config;
mod connect;
pub mod edge;
mod endpoint;
mod error;
mod headers;
mod health;
mod hold;
mod inner;
mod kept;
mod lease;
mod models;
mod pace;
mod pass;
mod plan;
mod probe;
mod proxy;
mod pump;
mod realtime;
mod room;
mod send;
mod settle;
mod snapshot;
mod spool;
#[cfg(test)]
mod tests;
mod upload;
mod upstream;

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::{RandomError, Sources};
use http::{Method, Request, Response};
use llm::catalog::{Catalog, CatalogError};
use llm::registry::Registry;
use moka::sync::Cache;
use store::{Store, StoreError};
use tokio::sync::Semaphore;
use vault::{Hasher, KeyProbe, Opener};

pub use config::{GatewayConfig, Limits, Timeouts};
pub use connect::AddressPolicy;
pub use endpoint::Endpoint;
pub use error::error_reference;
pub use inner::{InnerCall, InnerFailure, Remedy};
pub use spool::Spool;

use attempts::{Pools, Repeats};
use calls::Calls;
use connect::{Connector, VettedConnector};
use health::{Health, KeyVersion};
use kept::Makers;
use pace::Paces;
use settle::{Books, Queue};
use snapshot::Snapshot;
use upstream::Upstream;

/// An error of any kind, from the libraries below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a response of either plane.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// The data plane. Clones share everything.
#[derive(Clone)]
pub struct Gateway(Arc<Plane>);

/// What a data plane has to do and to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many calls run, or have ended and are not yet written to the store.
    pub calls: usize,
    /// How many there may be.
    pub calls_limit: usize,
    /// The length of the spool's files of this process.
    pub spool_bytes: u64,
    /// How long they may become.
    pub spool_limit_bytes: u64,
    /// Whether the last row could be appended.
    pub spool_ready: bool,
}

/// Why the data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The crypto library offers no TLS.
    #[error("TLS to providers cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The price catalog that comes with the program cannot be read.
    #[error("the price catalog cannot be read")]
    Catalog(#[from] CatalogError),
    /// There is no randomness for the name under which this process holds credits.
    #[error("the random source failed")]
    Random(#[from] RandomError),
}

/// How many values of keys are remembered to have been noted in the audit log.
const MAX_NOTED: u64 = 10_000;

/// What all steps of a call share.
pub(crate) struct Plane {
    pub(crate) config: GatewayConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) opener: Opener,
    pub(crate) hasher: Hasher,
    pub(crate) sources: Sources,
    pub(crate) snapshot: Snapshot,
    pub(crate) upstream: Upstream,
    pub(crate) books: Books,
    /// How provider keys fare.
    pub(crate) health: Health,
    /// How quick providers are.
    pub(crate) paces: Paces,
    /// Whose turn it is among keys that share the load.
    pub(crate) pools: Pools,
    /// Which key made what providers keep.
    pub(crate) makers: Makers,
    /// How often failing providers may be asked once more.
    pub(crate) repeats: Repeats,
    /// Own keys for which the audit log says that credits stood in.
    pub(crate) noted: Cache<KeyVersion, ()>,
    /// The name under which this process holds credits, another one at each start.
    pub(crate) node: String,
    /// The keyed hash of the API key for which calls without one count; unset: there are none.
    pub(crate) anonymous: OnceLock<[u8; 32]>,
    /// How many calls each API key makes.
    pub(crate) calls: Calls,
    /// The memory for request bodies, in KiB.
    pub(crate) body_memory: Arc<Semaphore>,
    store: Store,
    /// Taken by the writer when it starts.
    queue: Mutex<Option<Queue>>,
}

impl Gateway {
    /// Puts the data plane together. It serves at once; [`Gateway::spawn_jobs`] must run beside it.
    ///
    /// # Errors
    /// [`GatewayError`]; nothing was opened.
    pub fn new(
        config: GatewayConfig,
        spool: Spool,
        store: Store,
        opener: Opener,
        hasher: Hasher,
        registry: Arc<Registry>,
        sources: Sources,
    ) -> Result<Self, GatewayError> {
        let tcp = VettedConnector::new(config.addresses.clone());
        let connect_within = Duration::from_millis(config.timeouts.connect_ms);
        let connector = Connector::new(tcp, connect_within).map_err(GatewayError::Tls)?;
        let (books, queue) = Books::new(config.limits.waiting_usage_rows, spool);
        let max_staleness = Duration::from_millis(config.max_staleness_ms);
        let body_kib = (config.limits.all_bodies_bytes / 1024).min(Semaphore::MAX_PERMITS);
        let node: [u8; 16] = sources.random.bytes()?;
        Ok(Self(Arc::new(Plane {
            registry,
            catalog: Arc::new(Catalog::bundled()?),
            paces: Paces::new(sources.clone()),
            opener,
            hasher,
            sources,
            snapshot: Snapshot::new(store.clone(), max_staleness),
            upstream: Upstream::new(connector, config.limits.idle_connections),
            books,
            health: Health::default(),
            pools: Pools::new(),
            makers: Makers::new(!store.is_exclusive()),
            repeats: Repeats::new(),
            noted: Cache::new(MAX_NOTED),
            node: node.iter().map(|byte| format!("{byte:02x}")).collect(),
            anonymous: OnceLock::new(),
            calls: Calls::new(config.limits.calls_per_key),
            body_memory: Arc::new(Semaphore::new(body_kib)),
            store,
            queue: Mutex::new(Some(queue)),
            config,
        })))
    }

    /// Takes calls without an API key of ours as calls with the one that has this keyed hash; only those that programs
    /// of this machine make. Meant for a server that listens at loopback for one person. The first call counts.
    pub fn take_anonymous_calls(&self, api_key: [u8; 32]) {
        let _ = self.0.anonymous.set(api_key);
    }

    /// The data plane's endpoint of this method and path; `None`: the path is not the data plane's.
    pub fn endpoint(method: &Method, path: &str) -> Option<Endpoint> {
        endpoint::find(method, path)
    }

    /// Answers a request, always: failures are written in the client's format.
    pub async fn handle<B>(&self, endpoint: Endpoint, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        proxy::handle(&self.0, endpoint, request).await
    }

    /// Makes a call for a generation run, as every other call is made, and waits for the whole answer.
    ///
    /// # Errors
    /// [`InnerFailure`]; the call is in the usage all the same.
    pub async fn call(&self, call: InnerCall<'_>) -> Result<Bytes, InnerFailure> {
        inner::call(&self.0, call).await
    }

    /// Asks providers whether they accept a key, for the control plane.
    pub fn probe(&self) -> Arc<dyn KeyProbe> {
        Arc::new(self.prober(probe::WITHIN))
    }

    fn prober(&self, within: Duration) -> probe::Prober {
        probe::Prober {
            registry: Arc::clone(&self.0.registry),
            opener: self.0.opener.clone(),
            upstream: self.0.upstream.clone(),
            health: self.0.health.clone(),
            paces: self.0.paces.clone(),
            sources: self.0.sources.clone(),
            within,
            reaches_private: !self.0.config.addresses.allow.is_empty(),
        }
    }

    /// The task that writes usage to the store; run it once, beside the server. It ends with the gateway.
    /// Without it calls are refused as soon as the queue is full.
    pub fn write_usage(&self) -> impl Future<Output = ()> + Send + 'static {
        let queue = self
            .0
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (store, spool) = (self.0.store.clone(), Arc::clone(self.0.books.spool()));
        async move {
            if let Some(queue) = queue {
                settle::write(store, spool, queue).await;
            }
        }
    }

    /// Writes the usage that processes before this one left in the spool, and says how many rows that were; before
    /// [`Gateway::reap_others`], which would write an estimate for calls that ended well.
    ///
    /// # Errors
    /// As the store's; nothing is lost, and the next start tries again.
    pub async fn recover_usage(&self) -> Result<u64, StoreError> {
        settle::recover(&self.0.store, self.0.books.spool()).await
    }

    /// The task that says every three seconds that this process lives, so that nobody else settles the calls for
    /// which it holds credits, and settles those of processes that died. Run it once; it ends with the gateway.
    pub fn keep_lease(&self) -> impl Future<Output = ()> + Send + 'static {
        lease::keep(Arc::downgrade(&self.0))
    }

    /// Settles the calls of every other process at once, and says how many; for the start of a server that has the
    /// database to itself, as with SQLite.
    ///
    /// # Errors
    /// As the store's.
    pub async fn reap_others(&self) -> Result<u64, StoreError> {
        let now = self.0.sources.now();
        let system = self.0.store.system();
        system.reap_others(&self.0.node, now).await
    }

    /// The task that has the disk keep the usage that waits for the store. Run it once; it ends with the gateway.
    pub fn sync_spool(&self) -> impl Future<Output = ()> + Send + 'static {
        spool::sync::keep(Arc::downgrade(&self.0))
    }

    /// Starts [`Gateway::write_usage`], [`Gateway::keep_lease`] and [`Gateway::sync_spool`] on the current runtime.
    pub fn spawn_jobs(&self) -> tokio::task::JoinHandle<()> {
        let (write, keep, sync) = (self.write_usage(), self.keep_lease(), self.sync_spool());
        tokio::spawn(async move {
            tokio::join!(write, keep, sync);
        })
    }

    /// What this process has to do and to write.
    pub fn load(&self) -> Load {
        let books = &self.0.books;
        let (spool_bytes, spool_limit_bytes, spool_ready) = books.spool().fill();
        Load {
            calls: books.waiting(),
            calls_limit: books.capacity(),
            spool_bytes,
            spool_limit_bytes,
            spool_ready,
        }
    }

    /// Returns when the usage of all ended calls is written, for the shutdown. `false`: the store did not
    /// take it within 10 seconds, and what was waiting stays in the spool for the next start.
    pub async fn drain(&self) -> bool {
        const WITHIN: Duration = Duration::from_secs(10);
        tokio::time::timeout(WITHIN, self.0.books.flush())
            .await
            .is_ok()
    }
}

/// A body that is there already.
pub(crate) fn full(bytes: Bytes) -> Body {
    use http_body_util::BodyExt;
    Body::new(http_body_util::Full::new(bytes).map_err(|never| match never {}))
}
