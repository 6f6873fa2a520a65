//! The worker of a process: it takes runs that wait, makes their steps one after the other, and keeps each result
//! before the next step begins.
//!
//! A run belongs to the worker whose lease it has. The worker's beat says that it lives; where a beat stands still, the
//! run is another worker's. A worker that could not beat in time gives its call up before anybody else may begin, so no
//! step is made twice at once. What was not kept is made again: a step whose process died is called for once more.

use std::collections::HashMap;
use std::time::Duration;

use domain::RunId;
use store::{LeaseSeen, RunLease, StoreError};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::steps;
use crate::state::ControlState;

/// How many runs a process works on at once; each may have a picture of 8 MiB in memory, twice.
const AT_ONCE: usize = 8;
/// How many of them are one account's, at most.
const SHARE: i64 = 4;
/// How many places go to accounts alone of which none is worked on: two that have much to do leave some for a third.
const KEPT: usize = 2;
/// How often runs that wait, and leases that stand still, are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a worker says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// After so long without a beat that was written, a worker gives its run up, ...
const GIVES_UP_AFTER: Duration = Duration::from_secs(8);
/// ... and after so long without one that was seen, another takes it.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// How long a step may go on when the process is to end.
const GRACE: Duration = Duration::from_secs(10);

/// Works on runs until `shutdown` says so, then lets others have those that are not done.
pub(crate) async fn work(state: ControlState, shutdown: watch::Receiver<bool>) {
    let Ok(name) = state.sources.random.bytes::<16>() else {
        tracing::error!("no runs are worked on: the random source failed");
        return;
    };
    let worker: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    work_as(state, worker, shutdown).await;
}

/// Works under this name, which no other worker has.
pub(crate) async fn work_as(
    state: ControlState,
    worker: String,
    mut shutdown: watch::Receiver<bool>,
) {
    // No step begins while the server lets its requests end.
    let mut closing = state.stopping.subscribe();
    let stopping = closing.clone();
    let mut runs = JoinSet::new();
    // The claims of the tasks that live. A lease of this worker that is none of them is nobody's: its task gave it up, or
    // the answer that it was claimed never came.
    let mut live: HashMap<Id, String> = HashMap::new();
    let mut seen = Seen::default();
    let mut claims: u64 = 0;
    let mut turns = interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let is_turn = tokio::select! {
            stopped = shutdown.wait_for(|stop| *stop) => {
                drop(stopped);
                break;
            }
            closed = closing.wait_for(|closing| *closing) => {
                drop(closed);
                break;
            }
            _ = turns.tick() => true,
            () = state.runs.notified() => false,
            Some(ended) = runs.join_next_with_id() => {
                live.remove(&ended.map_or_else(|error| error.id(), |(task, ())| task));
                false
            }
        };
        if is_turn {
            let own = Own {
                worker: &worker,
                live: &live,
            };
            if let Err(error) = seen.free_dead(&state, &own).await {
                tracing::warn!(error = %error, "could not look for runs whose worker is gone: {error}");
            }
        }
        while runs.len() < AT_ONCE {
            // A lease of its own for each claim: a run that is cancelled and tried again at once may come back here while
            // its task of before has not noticed.
            claims += 1;
            let claim = format!("{worker}.{claims}");
            let (system, now) = (state.store.system(), state.sources.now());
            let share = share_of_next(runs.len());
            let run = match system.claim_run(&worker, &claim, share, now).await {
                Ok(Some(run)) => run,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(error = %error, "could not look for runs: {error}");
                    break;
                }
            };
            let lease = RunLease {
                run,
                worker: claim.clone(),
            };
            let place = Place {
                state: state.clone(),
                worker: worker.clone(),
                lease,
                stopping: stopping.clone(),
            };
            live.insert(runs.spawn(work_on(place)).id(), claim);
        }
    }
    let ended = async { while runs.join_next().await.is_some() {} };
    if timeout(GRACE, ended).await.is_err() {
        runs.shutdown().await;
    }
    if let Err(error) = state.store.system().release_runs(&worker).await {
        tracing::warn!(error = %error, "could not let go of runs: {error}");
    }
}

/// How many runs an account has at most, with the one that is taken next, where so many are worked on.
fn share_of_next(running: usize) -> i64 {
    if running + KEPT < AT_ONCE { SHARE } else { 1 }
}

/// What a worker knows of its own leases.
struct Own<'a> {
    worker: &'a str,
    /// The claims on which it works.
    live: &'a HashMap<Id, String>,
}

/// Whose a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A task of this worker.
    Task,
    /// None: its task has ended.
    Nobody,
    /// Another worker.
    Other,
}

impl Own<'_> {
    fn holder(&self, claim: &str) -> Holder {
        let of_worker = claim.strip_prefix(self.worker);
        if !of_worker.is_some_and(|rest| rest.starts_with('.')) {
            return Holder::Other;
        }
        match self.live.values().any(|live| live == claim) {
            true => Holder::Task,
            false => Holder::Nobody,
        }
    }
}

/// The leases of other workers, each with its beat and the moment at which that was new.
#[derive(Default)]
struct Seen(HashMap<(RunId, String), (i64, Instant)>);

impl Seen {
    /// Puts the runs of workers that are gone, and those that this one gave up, back among those that wait.
    async fn free_dead(&mut self, state: &ControlState, own: &Own<'_>) -> Result<(), StoreError> {
        let (system, now) = (state.store.system(), state.sources.now());
        let (mut free, mut others) = (Vec::new(), Vec::new());
        for seen in system.run_leases().await? {
            match own.holder(&seen.lease.worker) {
                Holder::Task => {}
                Holder::Nobody => free.push(seen),
                Holder::Other => others.push(seen),
            }
        }
        free.extend(self.dead(others, state.store.is_exclusive(), Instant::now()));
        for dead in free {
            if system.free_run(&dead, now).await? {
                let run = dead.lease.run;
                tracing::warn!(run.id = %run, "{run} waits again, for its worker is gone");
            }
        }
        Ok(())
    }

    /// Those that have not moved for too long. Where nobody else can have the database open, all of them.
    fn dead(&mut self, leases: Vec<LeaseSeen>, alone: bool, now: Instant) -> Vec<LeaseSeen> {
        let before = std::mem::take(&mut self.0);
        let mut dead = Vec::new();
        for seen in leases {
            let key = (seen.lease.run, seen.lease.worker.clone());
            let since = match before.get(&key) {
                Some((beat, since)) if *beat == seen.beat => *since,
                _ => now,
            };
            self.0.insert(key, (seen.beat, since));
            if alone || now.duration_since(since) >= DEAD_AFTER {
                dead.push(seen);
            }
        }
        dead
    }
}

/// A place of this process, and the run that has it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) state: ControlState,
    pub(super) worker: String,
    pub(super) lease: RunLease,
    /// Becomes `true` when no step begins any more.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Works on a run for as long as the lease holds. What is not done then, and is still this worker's, the next look puts
/// back among those that wait: a second later at most, so that a run that cannot be read is no endless loop.
async fn work_on(place: Place) {
    // In a set, so that the steps end with this task; in a task, so that a panic is a failure.
    let mut making = JoinSet::new();
    making.spawn(steps::make(place.clone()));
    let Place { state, lease, .. } = place;
    tokio::select! {
        ended = making.join_next() => {
            if matches!(ended, Some(Err(_))) {
                tracing::error!(run.id = %lease.run, "a step of {} panicked", lease.run);
                steps::give_up(&state, &lease).await;
            }
        }
        () = lease_ends(&state, &lease) => {
            tracing::info!(
                run.id = %lease.run,
                "lets go of {}: it was cancelled, is another's, or its beat could not be written",
                lease.run
            );
        }
    }
    // Its steps have ended before anybody may take the run again.
    making.shutdown().await;
}

/// Beats until the run is this worker's no more, or could be another's.
async fn lease_ends(state: &ControlState, lease: &RunLease) {
    let mut last = Instant::now();
    loop {
        sleep(BEAT_EVERY).await;
        let began = Instant::now();
        let system = state.store.system();
        let beat = system.beat_run(lease);
        match timeout_at(last + GIVES_UP_AFTER, beat).await {
            Ok(Ok(true)) => last = began,
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a beat of a run could not be written: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(beat: i64) -> Vec<LeaseSeen> {
        vec![LeaseSeen {
            lease: RunLease {
                run: RunId::from_bytes([1; 16]),
                worker: "other".to_owned(),
            },
            beat,
        }]
    }

    #[test]
    fn a_lease_ends_when_its_beat_stands_still_and_not_before() {
        let begin = Instant::now();
        let after = |time: Duration| begin + time;
        let mut leases = Seen::default();
        assert!(leases.dead(seen(1), false, begin).is_empty());
        let almost = after(DEAD_AFTER - Duration::from_millis(1));
        assert!(leases.dead(seen(1), false, almost).is_empty());
        assert!(leases.dead(seen(2), false, almost).is_empty(), "it moved");
        let late = almost + DEAD_AFTER;
        assert_eq!(leases.dead(seen(2), false, late), seen(2));
        let alone = Seen::default().dead(seen(1), true, begin);
        assert_eq!(alone, seen(1), "nobody else lives");
    }

    #[test]
    fn the_last_places_are_for_accounts_that_have_none() {
        let shares: Vec<i64> = (0..AT_ONCE).map(share_of_next).collect();
        assert_eq!(shares, [4, 4, 4, 4, 4, 4, 1, 1]);
    }

    #[test]
    fn a_lease_whose_task_has_ended_is_nobodys() {
        let mut live = HashMap::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        live.insert(runtime.spawn(async {}).id(), "me.1".to_owned());
        let own = Own {
            worker: "me",
            live: &live,
        };
        assert_eq!(own.holder("me.1"), Holder::Task);
        assert_eq!(own.holder("me.2"), Holder::Nobody);
        assert_eq!(own.holder("me.11"), Holder::Nobody);
        assert_eq!(own.holder("mean.1"), Holder::Other);
        assert_eq!(own.holder("other.1"), Holder::Other);
    }

    #[test]
    fn a_worker_gives_up_before_another_begins() {
        assert!(GIVES_UP_AFTER + BEAT_EVERY + LOOK_EVERY < DEAD_AFTER);
    }
}
