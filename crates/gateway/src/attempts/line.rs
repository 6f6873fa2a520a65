//! The order in which ways are tried: the rules' own, with turns among keys that share the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::ProviderId;
use domain::resolve::Pool;
use moka::sync::Cache;

use crate::plan::way::Way;

/// Whose turn it is in each pool of keys. In memory only, so each process has turns of its own.
pub(crate) struct Pools(Cache<(Pool, ProviderId), Arc<AtomicUsize>>);

/// How many pools have turns at once.
const MAX_POOLS: u64 = 10_000;

impl Pools {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_POOLS))
    }

    /// Puts another key of each pool first than the last time. Neighbors of one pool, provider and model share the
    /// load.
    pub(super) fn take_turns(&self, line: &mut [&Way]) {
        let shares = |a: &&Way, b: &&Way| {
            let of = |way: &Way| {
                let target = &way.target;
                (target.pool, target.provider.clone(), target.model.clone())
            };
            a.target.pool.is_some() && of(a) == of(b)
        };
        for pool in line.chunk_by_mut(shares) {
            let Some(name) = pool[0].target.pool else {
                continue;
            };
            let provider = pool[0].target.provider.clone();
            let turns = self.0.get_with((name, provider), Arc::default);
            let turn = turns.fetch_add(1, Ordering::Relaxed);
            let length = pool.len();
            pool.rotate_left(turn % length);
        }
    }
}

/// The parts within which keys that sleep stand back: own keys, the instance's, own keys of the last resort. A key
/// never stands back behind one of another part, since others pay there, nor behind the ways to another model.
pub(super) fn segments(ways: &[Way]) -> impl Iterator<Item = &[Way]> {
    let part = |way: &Way| (way.place, way.is_managed(), way.last_resort);
    ways.chunk_by(move |a, b| part(a) == part(b))
}
