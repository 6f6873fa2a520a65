//! What the control plane does by itself: follows other processes, works on runs, renews the sealing key, tidies up.

use std::time::Duration;

use store::StoreError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::Problem;
use crate::ops::runs::work::work;
use crate::ops::sealing_key;
use crate::state::ControlState;

/// How often changes of other processes are looked for.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often everything else is done.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long an API key that has ended is still listed: 90 days. Each program that `keybearer run` starts leaves one.
const KEEP_ENDED_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How long it is known with which key something was made that a provider keeps: 90 days.
const KEEP_MAKERS_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// Makes the first sealing key, or replaces one whose time is over. To be called before the first request.
///
/// # Errors
/// When the store, the KMS or the random source does not answer.
pub async fn ensure_sealing_key(state: &ControlState) -> Result<(), Problem> {
    sealing_key::rotate_if_due(state).await
}

/// Runs the jobs until `shutdown` says `true` or its sender is gone. A job that fails is tried again at its
/// next turn.
///
/// Each job has a task of its own: views count as stale when changes were not looked for, so nothing that waits for
/// the database may come between.
pub async fn run(state: ControlState, shutdown: watch::Receiver<bool>) {
    let follower = state.clone();
    let worker = tokio::spawn(work(state.clone(), shutdown.clone()));
    side_by_side(
        shutdown,
        move || {
            let state = follower.clone();
            async move { follow(&state).await }
        },
        move || {
            let state = state.clone();
            async move { tidy(&state).await }
        },
    )
    .await;
    if worker.await.is_err() {
        tracing::error!("the worker of runs panicked");
    }
}

/// Runs both jobs at their pace, each in a task of its own.
async fn side_by_side<F, T>(
    shutdown: watch::Receiver<bool>,
    follow: impl Fn() -> F + Send + 'static,
    tidy: impl Fn() -> T + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    tasks.spawn(every(POLL_EVERY, shutdown.clone(), follow));
    tasks.spawn(every(TIDY_EVERY, shutdown, tidy));
    tasks.join_all().await;
}

/// Does `job` now and then once in each `period`, until `shutdown` says so. One that takes longer skips its turns.
async fn every<F>(period: Duration, mut shutdown: watch::Receiver<bool>, job: impl Fn() -> F)
where
    F: Future<Output = ()>,
{
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            stopped = shutdown.wait_for(|stop| *stop) => {
                drop(stopped);
                return;
            }
            _ = turns.tick() => {}
        }
        job().await;
    }
}

/// Reads what other processes changed.
async fn follow(state: &ControlState) {
    if let Err(error) = state.store.poll_changes().await {
        tracing::warn!(error = %error, "could not look for changes: {error}");
    }
}

/// Renews the sealing key when it is due and drops what nobody can use any more: sessions and links to new passwords that
/// ended, API keys that ended long ago, what is older than a day of how keys fared, with which keys old objects were made, runs that were kept long enough, and all but the newest changes.
/// The hashes of submitted boxes stay for ever: a box without context has no time in it, so it must never be taken twice.
async fn tidy(state: &ControlState) {
    if let Err(problem) = sealing_key::rotate_if_due(state).await {
        let cause = problem.cause.as_deref().unwrap_or(problem.code().as_str());
        tracing::error!(error = %cause, "could not renew the sealing key: {cause}");
    }
    let system = state.store.system();
    let now = state.sources.now();
    if let Err(error) = system.prune_sessions(now).await {
        tracing::warn!(error = %error, "could not prune sessions: {error}");
    }
    if let Err(error) = system.prune_password_links(now).await {
        tracing::warn!(error = %error, "could not prune links to new passwords: {error}");
    }
    if let Err(error) = system.prune_api_keys(now.plus_millis(-KEEP_ENDED_MS)).await {
        tracing::warn!(error = %error, "could not prune API keys: {error}");
    }
    if let Err(error) = system.prune_key_hours(now).await {
        tracing::warn!(error = %error, "could not prune the hours of provider keys: {error}");
    }
    if let Err(error) = system.prune_kept(now.plus_millis(-KEEP_MAKERS_MS)).await {
        tracing::warn!(error = %error, "could not forget with which keys objects were made: {error}");
    }
    if let Err(error) = prune_runs(state).await {
        tracing::warn!(error = %error, "could not prune runs: {error}");
    }
    if let Err(error) = system.prune_changes().await {
        tracing::warn!(error = %error, "could not prune the list of changes: {error}");
    } else {
        state.tidied();
    }
}

/// Removes the runs that were kept as long as the instance says.
async fn prune_runs(state: &ControlState) -> Result<(), StoreError> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let system = state.store.system();
    let days = i64::from(system.settings().await?.run_retention_days);
    let before = state.sources.now().plus_millis(-days * DAY_MS);
    let removed = system.prune_runs(before).await?;
    if removed > 0 {
        tracing::info!(runs = removed, "removed {removed} runs after {days} days");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_job_that_hangs_delays_no_other_and_all_end_at_shutdown() {
        let (stop, shutdown) = watch::channel(false);
        let followed = Arc::new(AtomicU64::new(0));
        let free = Arc::new(Notify::new());
        let (count, freed) = (Arc::clone(&followed), Arc::clone(&free));
        let follow = move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        };
        let tidy = move || Arc::clone(&freed).notified_owned();
        let jobs = tokio::spawn(side_by_side(shutdown, follow, tidy));
        tokio::time::sleep(POLL_EVERY + POLL_EVERY / 2).await;
        assert!(followed.load(Ordering::SeqCst) >= 2);
        stop.send(true).expect("the jobs listen");
        free.notify_one();
        jobs.await.expect("they end");
    }
}
