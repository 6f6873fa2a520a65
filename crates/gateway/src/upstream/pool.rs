//! Connections that wait for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// The place in the pools to which a connection returns.
#[derive(Clone)]
pub(super) struct Home {
    pools: Arc<Pools>,
    key: KeyVersion,
    origin: Origin,
}

impl Home {
    pub(super) fn new(pools: &Arc<Pools>, key: KeyVersion, url: &Uri) -> Self {
        Self {
            pools: Arc::clone(pools),
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
            tokio::spawn(async move { pools.keep_swept().await });
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

    /// Closes what nobody needs, until nothing is left.
    async fn keep_swept(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let mut closed = Vec::new();
            let mut waiting = self.lock();
            let now = Instant::now();
            waiting.by_key.retain(|_, its| {
                let left = its.extract_if(.., |idle| {
                    now.duration_since(idle.since) >= IDLE || !idle.connection.is_free()
                });
                closed.extend(left);
                !its.is_empty()
            });
            waiting.count -= closed.len();
            if waiting.count == 0 {
                waiting.swept = false;
                return;
            }
            drop(waiting);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
