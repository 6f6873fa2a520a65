//! The order in which ways are tried: the rules' own, with turns among keys that share the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::ProviderId;
use domain::resolve::Pool;
use moka::sync::Cache;

use crate::Plane;
use crate::health::Trial;
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

/// A call's ways in the order in which they are tried.
///
/// They are put in order part by part, when the first of a part is asked for, by how the keys fare then. Keys that sleep
/// stand back within a part: own keys, the instance's, own keys of the last resort. A key never stands back behind one of
/// another part, since others pay there, nor behind the ways to another model.
pub(super) struct Walk<'a> {
    /// The part that is walked.
    line: std::vec::IntoIter<&'a Way>,
    /// For the first of them.
    trial: Option<Trial>,
    /// The parts behind it.
    rest: &'a [Way],
}

impl<'a> Walk<'a> {
    pub(super) fn along(ways: &'a [Way]) -> Self {
        Self {
            line: Vec::new().into_iter(),
            trial: None,
            rest: ways,
        }
    }

    /// The next way, and the trial of its key if that has just woken.
    pub(super) fn next(&mut self, plane: &Plane) -> Option<(&'a Way, Option<Trial>)> {
        if self.line.as_slice().is_empty() {
            self.line_up(plane);
        }
        Some((self.line.next()?, self.trial.take()))
    }

    /// The way that comes next, if it `fits`. A part that begins with one that does not is not put in order.
    pub(super) fn peek(&mut self, plane: &Plane, fits: impl Fn(&Way) -> bool) -> Option<&'a Way> {
        self.ahead().next().filter(|way| fits(way))?;
        if self.line.as_slice().is_empty() {
            self.line_up(plane);
        }
        self.line
            .as_slice()
            .first()
            .copied()
            .filter(|way| fits(way))
    }

    /// Leaves the trial of the key that comes next to others.
    pub(super) fn forgo_trial(&mut self) {
        self.trial = None;
    }

    /// What comes behind the way that is tried.
    pub(super) fn ahead(&self) -> impl Iterator<Item = &'a Way> {
        self.line.as_slice().iter().copied().chain(self.rest)
    }

    fn line_up(&mut self, plane: &Plane) {
        let of = |way: &Way| (way.place, way.is_managed(), way.last_resort);
        let mut parts = self.rest.chunk_by(|a, b| of(a) == of(b));
        let Some(part) = parts.next() else {
            return;
        };
        self.rest = &self.rest[part.len()..];
        let (line, trial) = plane.health.line_up(
            part.iter().collect(),
            |way: &&Way| way.served_by(),
            plane.sources.now(),
            |awake| plane.pools.take_turns(awake),
        );
        self.line = line.into_iter();
        self.trial = trial;
    }
}
