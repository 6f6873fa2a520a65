//! What workers need of generation runs, and what holders of a link may read.

use domain::run::{RunPlan, RunStatus};
use domain::{RunId, Timestamp};

use super::System;
use crate::error::StoreError;
use crate::run::work;
use crate::run::{self, Claimed, LeaseSeen, Piece, RunLease, RunPart, RunResult, RunRow};

impl System<'_> {
    /// Takes a run that waits, for this worker and under the name `claim`: one of the account of which the worker has the
    /// fewest, and none of an account of which it has `share`. Of two workers at once, one gets it.
    ///
    /// # Errors
    /// As every function here.
    pub async fn claim_run(
        &self,
        worker: &str,
        claim: &str,
        share: i64,
        now: Timestamp,
    ) -> Result<Option<RunId>, StoreError> {
        work::claim(self.store, worker, claim, share, now).await
    }

    /// Lets go of a run between two steps if one of an account waits of which this worker has none, and it has more of the
    /// run's; whether it did.
    ///
    /// # Errors
    /// As every function here.
    pub async fn yield_run(
        &self,
        lease: &RunLease,
        worker: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        work::yield_run(self.store, lease, worker, now).await
    }

    /// The leases of all workers.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_leases(&self) -> Result<Vec<LeaseSeen>, StoreError> {
        work::leases(self.store).await
    }

    /// Puts a run back among those that wait whose lease is still as it was seen.
    ///
    /// # Errors
    /// As every function here.
    pub async fn free_run(&self, seen: &LeaseSeen, now: Timestamp) -> Result<bool, StoreError> {
        work::free(self.store, seen, now).await
    }

    /// The run that a worker has; `None`: it has it no more.
    ///
    /// # Errors
    /// As every function here.
    pub async fn claimed_run(&self, lease: &RunLease) -> Result<Option<Claimed>, StoreError> {
        work::claimed(self.store, lease).await
    }

    /// Says that the worker lives. `false`: it has the run no more.
    ///
    /// # Errors
    /// As every function here.
    pub async fn beat_run(&self, lease: &RunLease) -> Result<bool, StoreError> {
        work::beat(self.store, lease).await
    }

    /// Lets other workers have the runs of this one, which ends, and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn release_runs(&self, worker: &str) -> Result<u64, StoreError> {
        work::release(self.store, worker).await
    }

    /// Writes how far a run has come, with what a step made. `false`: the worker has it no more; nothing was written.
    ///
    /// # Errors
    /// As every function here.
    pub async fn advance_run(
        &self,
        lease: &RunLease,
        status: RunStatus,
        plan: &RunPlan,
        made: Option<&RunResult>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        work::advance(self.store, lease, (status, plan), made, now).await
    }

    /// What a step of the run made, for the worker that has it.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_result(
        &self,
        run: RunId,
        step: usize,
    ) -> Result<Option<RunResult>, StoreError> {
        run::one_result(self.store, run, step).await
    }

    /// The run that succeeded and whose link has this keyed hash, with what it made.
    ///
    /// # Errors
    /// As every function here.
    pub async fn shared_run(&self, link_hash: &[u8; 32]) -> Result<Option<RunRow>, StoreError> {
        run::by_link(self.store, link_hash).await
    }

    /// What there is of what a run made.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_parts(&self, run: RunId) -> Result<Vec<RunPart>, StoreError> {
        run::parts(self.store, run).await
    }

    /// A piece of what a step made of the run whose link has this keyed hash; empty behind its end. `None`: the link has
    /// ended.
    ///
    /// # Errors
    /// As every function here.
    pub async fn shared_piece(
        &self,
        link_hash: &[u8; 32],
        piece: Piece,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        run::piece_by_link(self.store, link_hash, piece).await
    }

    /// Removes runs that ended before `before`, at most 1000, and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_runs(&self, before: Timestamp) -> Result<u64, StoreError> {
        run::prune(self.store, before).await
    }
}
