//! What the data plane knows of callers and of the instance's rules: a bounded cache over the store, valid until
//! something changes.
//!
//! An entry is used while no change of its account came after it was loaded, so a revoked key is refused and
//! a new provider key serves with the next request. While the database is away, entries go on serving for a
//! bounded time; after that the answer is that the database is away, never that the API key is wrong.

mod flights;
mod instance;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use domain::policy::KeySource;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::resolve::{HeldKey, Target};
use domain::{RandomlyKeyed, Timestamp};
use moka::sync::Cache;
use store::{CallerRecord, Store};

use flights::Flights;
pub(crate) use instance::Instance;
use instance::InstanceCache;

use crate::plan::plans::Plans;

/// A caller with everything that serves it, as of one revision.
pub(crate) struct Loaded {
    pub(crate) record: CallerRecord,
    /// What the rules need to know of the provider keys.
    pub(crate) held: Vec<HeldKey>,
    /// How its last calls were served.
    pub(crate) plans: Plans,
    /// The newest change that was known before the load began.
    revision: i64,
}

/// Everything that decides how a call is served: the caller, and the instance's rules.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) caller: Arc<Loaded>,
    pub(crate) instance: Arc<Instance>,
}

impl View {
    /// The record of a target's key, and the data key that opens it. An own key is looked for among the
    /// caller's alone, a platform key among the instance's.
    pub(crate) fn key(&self, target: &Target) -> Option<(&ProviderKeyRecord, &DataKeyRecord)> {
        match target.source {
            KeySource::Byok => self.caller.key(target.key),
            KeySource::Managed => self.instance.key(target.key),
        }
    }
}

impl Loaded {
    fn new(record: CallerRecord, revision: i64) -> Self {
        Self {
            held: record.keys.iter().map(HeldKey::from).collect(),
            record,
            plans: Plans::default(),
            revision,
        }
    }

    /// The provider key with this id, and the data key that opens it.
    pub(crate) fn key(
        &self,
        id: domain::ProviderKeyId,
    ) -> Option<(&ProviderKeyRecord, &DataKeyRecord)> {
        find(&self.record.keys, &self.record.data_keys, id)
    }

    fn expired(&self, now: Timestamp) -> bool {
        self.record.expires_at.is_some_and(|end| end <= now)
    }

    /// Roughly how many bytes the entry holds.
    fn weight(&self) -> u32 {
        u32::try_from(weight::of(&self.record) + Plans::BYTES).unwrap_or(u32::MAX)
    }
}

fn find<'a>(
    keys: &'a [ProviderKeyRecord],
    data_keys: &'a [DataKeyRecord],
    id: domain::ProviderKeyId,
) -> Option<(&'a ProviderKeyRecord, &'a DataKeyRecord)> {
    let key = keys.iter().find(|key| key.context.key == id)?;
    let data_key = data_keys.iter().find(|it| it.id == key.data_key)?;
    Some((key, data_key))
}

/// The store did not answer, and what is cached does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store is away")]
pub(crate) struct Away;

/// The cache. Clones share it.
#[derive(Clone)]
pub(crate) struct Snapshot {
    store: Store,
    max_staleness: Duration,
    callers: Cache<[u8; 32], Arc<Loaded>, RandomlyKeyed>,
    /// Hashes that no caller has, with the newest change known then.
    strangers: Cache<[u8; 32], i64, RandomlyKeyed>,
    loading: Arc<Flights<Load, Found>>,
    instance: Arc<InstanceCache>,
    #[cfg(test)]
    reads: Arc<std::sync::atomic::AtomicUsize>,
}

/// Whose row is loaded, and the newest change that was known when the load began: who asks after a change
/// must not get what was read before it.
type Load = ([u8; 32], i64);
type Found = Result<Option<Arc<Loaded>>, Away>;

/// How many bytes of callers are kept in all, as [`weight`] counts them: 256 MiB. What tenants store decides how many
/// callers that is.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How many unknown API keys are remembered, and for how long: a misconfigured client asks again and again.
const MAX_STRANGERS: u64 = 10_000;
const STRANGER_FOR: Duration = Duration::from_secs(2);

impl Snapshot {
    pub(crate) fn new(store: Store, max_staleness: Duration) -> Self {
        Self {
            store,
            max_staleness,
            callers: Cache::builder()
                .max_capacity(MAX_BYTES)
                .weigher(|_, loaded: &Arc<Loaded>| loaded.weight())
                .build_with_hasher(RandomlyKeyed::default()),
            strangers: Cache::builder()
                .max_capacity(MAX_STRANGERS)
                .time_to_live(STRANGER_FOR)
                .build_with_hasher(RandomlyKeyed::default()),
            loading: Arc::new(Flights::new()),
            instance: Arc::default(),
            #[cfg(test)]
            reads: Arc::default(),
        }
    }

    /// The caller whose API key has this keyed hash. `None`: no such key, or it is expired or revoked, or
    /// who minted it may not use the workspace any more.
    ///
    /// Who asks for the same one at the same time shares one load, and its failure.
    pub(crate) async fn find(&self, hash: &[u8; 32], now: Timestamp) -> Found {
        if let Some(known) = self.cached(hash, now) {
            return Ok(known);
        }
        // Read before the query: a change in between makes the entry look older than it is, never newer.
        let revision = self.store.revision().latest();
        let load = || async {
            // Another load may have ended since the look above.
            match self.cached(hash, now) {
                Some(known) => Ok(known),
                None => self.load(hash, now, revision).await,
            }
        };
        // In the heap, since most callers are known and would carry it for nothing.
        let found = Box::pin(self.loading.join((*hash, revision), load)).await?;
        // The load may have begun a little earlier.
        Ok(found.filter(|loaded| !loaded.expired(now)))
    }

    /// How often the store was asked.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// What is known without asking; `None`: it must be asked.
    fn cached(&self, hash: &[u8; 32], now: Timestamp) -> Option<Option<Arc<Loaded>>> {
        let revisions = self.store.revision();
        if revisions.synced_at().elapsed() > self.max_staleness {
            return None;
        }
        if let Some(loaded) = self.callers.get(hash) {
            let valid = revisions.floor(loaded.record.account) <= loaded.revision;
            return valid.then(|| (!loaded.expired(now)).then_some(loaded));
        }
        let stranger = self.strangers.get(hash)?;
        (revisions.latest() <= stranger).then_some(None)
    }

    async fn load(&self, hash: &[u8; 32], now: Timestamp, revision: i64) -> Found {
        #[cfg(test)]
        self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        match self.store.serving().caller(hash, now).await {
            Ok(Some(record)) => {
                let loaded = Arc::new(Loaded::new(record, revision));
                self.callers.insert(*hash, Arc::clone(&loaded));
                Ok(Some(loaded))
            }
            Ok(None) => {
                self.callers.invalidate(hash);
                self.strangers.insert(*hash, revision);
                Ok(None)
            }
            Err(error) => {
                tracing::warn!(%error, "a caller could not be read from the store");
                Err(Away)
            }
        }
    }
}
