//! What workers need of generation runs, and what holders of a link may read.

use domain::run::{RunPlan, RunStatus};
use domain::{RunId, Timestamp};

use super::System;
use crate::error::StoreError;
use crate::run::work;
use crate::run::{self, Claimed, LeaseSeen, RunLease, RunResult, RunRow};

impl System<'_> {
    /// Takes the oldest run that waits, for this worker. Of two at once, one gets it.
    ///
    /// # Errors
    /// As every function here.
    pub async fn claim_run(
        &self,
        worker: &str,
        now: Timestamp,
    ) -> Result<Option<RunId>, StoreError> {
        work::claim(self.store, worker, now).await
    }

    /// The leases of other workers.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_leases(&self, worker: &str) -> Result<Vec<LeaseSeen>, StoreError> {
        work::others(self.store, worker).await
    }

    /// Takes a run over whose lease is still as it was seen.
    ///
    /// # Errors
    /// As every function here.
    pub async fn take_run_over(
        &self,
        seen: &LeaseSeen,
        worker: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        work::take_over(self.store, seen, worker, now).await
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

    /// What a run made.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_results(&self, run: RunId) -> Result<Vec<RunResult>, StoreError> {
        run::results(self.store, run).await
    }

    /// Removes runs that ended before `before`, at most 1000, and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_runs(&self, before: Timestamp) -> Result<u64, StoreError> {
        run::prune(self.store, before).await
    }
}
