//! What the control plane does by itself: follows other processes, renews the sealing key, tidies up.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::Problem;
use crate::ops::sealing_key;
use crate::state::ControlState;

/// How often changes of other processes are looked for.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often everything else is done.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Makes the first sealing key, or replaces one whose time is over. To be called before the first request.
///
/// # Errors
/// When the store, the KMS or the random source does not answer.
pub async fn ensure_sealing_key(state: &ControlState) -> Result<(), Problem> {
    sealing_key::rotate_if_due(state).await
}

/// Runs the jobs until `shutdown` says `true` or its sender is gone. A job that fails is tried again at its
/// next turn.
pub async fn run(state: ControlState, mut shutdown: watch::Receiver<bool>) {
    let mut poll = interval(POLL_EVERY);
    poll.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last_tidied: Option<Instant> = None;
    loop {
        tokio::select! {
            stopped = shutdown.wait_for(|stop| *stop) => {
                drop(stopped);
                return;
            }
            _ = poll.tick() => {}
        }
        if let Err(error) = state.store.poll_changes().await {
            tracing::warn!(error = %error, "could not look for changes: {error}");
        }
        if last_tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            last_tidied = Some(Instant::now());
            tidy(&state).await;
        }
    }
}

/// Renews the sealing key when it is due and drops what nobody can use any more: sessions that ended and
/// all but the newest changes. The hashes of submitted boxes stay for ever: a box without context has no time in
/// it, so it must never be taken twice.
async fn tidy(state: &ControlState) {
    if let Err(problem) = sealing_key::rotate_if_due(state).await {
        let cause = problem.cause.as_deref().unwrap_or(problem.code().as_str());
        tracing::error!(error = %cause, "could not renew the sealing key: {cause}");
    }
    let system = state.store.system();
    if let Err(error) = system.prune_sessions(state.sources.now()).await {
        tracing::warn!(error = %error, "could not prune sessions: {error}");
    }
    if let Err(error) = system.prune_changes().await {
        tracing::warn!(error = %error, "could not prune the list of changes: {error}");
    }
}
