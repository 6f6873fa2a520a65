//! The instance's rules and keys, as of one revision.

use std::sync::{Arc, PoisonError, RwLock};

use domain::ProviderKeyId;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::resolve::HeldKey;
use store::InstanceRecord;

use super::flights::Flights;
use super::{Away, Snapshot, find};

/// What an instance's admins decide, and the keys that serve managed calls.
pub(crate) struct Instance {
    pub(crate) record: InstanceRecord,
    /// What the rules need to know of the platform keys.
    pub(crate) held: Vec<HeldKey>,
    /// The newest change that was known before the load began.
    revision: i64,
}

impl Instance {
    fn new(record: InstanceRecord, revision: i64) -> Self {
        Self {
            held: record.keys.iter().map(HeldKey::from).collect(),
            record,
            revision,
        }
    }

    /// The platform key with this id, and the data key that opens it.
    pub(super) fn key(&self, id: ProviderKeyId) -> Option<(&ProviderKeyRecord, &DataKeyRecord)> {
        find(&self.record.keys, &self.record.data_keys, id)
    }
}

/// The one entry, and who loads it. Whoever asks after a change must not get what was read before it, so loads are
/// told apart by the newest change that was known when they began.
pub(super) struct InstanceCache {
    entry: RwLock<Option<Arc<Instance>>>,
    loading: Flights<i64, Result<Arc<Instance>, Away>>,
}

impl Default for InstanceCache {
    fn default() -> Self {
        Self {
            entry: RwLock::new(None),
            loading: Flights::new(),
        }
    }
}

impl Snapshot {
    /// The instance's rules. Valid until something changes for everybody, and while the store is away for as long
    /// as callers are.
    pub(crate) async fn instance(&self) -> Result<Arc<Instance>, Away> {
        if let Some(known) = self.cached_instance() {
            return Ok(known);
        }
        // Read before the query, as for callers.
        let revision = self.store.revision().latest();
        let load = || async {
            match self.cached_instance() {
                Some(known) => Ok(known),
                None => self.load_instance(revision).await,
            }
        };
        Box::pin(self.instance.loading.join(revision, load)).await
    }

    fn cached_instance(&self) -> Option<Arc<Instance>> {
        let revisions = self.store.revision();
        if revisions.synced_at().elapsed() > self.max_staleness {
            return None;
        }
        let entry = self.instance.entry.read();
        let entry = entry.unwrap_or_else(PoisonError::into_inner);
        entry
            .as_ref()
            .filter(|it| revisions.everybody() <= it.revision)
            .cloned()
    }

    async fn load_instance(&self, revision: i64) -> Result<Arc<Instance>, Away> {
        #[cfg(test)]
        self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        match self.store.serving().instance().await {
            Ok(record) => {
                let loaded = Arc::new(Instance::new(record, revision));
                let entry = self.instance.entry.write();
                let mut entry = entry.unwrap_or_else(PoisonError::into_inner);
                // A load that took long must not replace a newer one.
                if entry.as_ref().is_none_or(|it| it.revision <= revision) {
                    *entry = Some(Arc::clone(&loaded));
                }
                Ok(loaded)
            }
            Err(error) => {
                tracing::warn!(%error, "the instance's settings could not be read from the store");
                Err(Away)
            }
        }
    }
}
