//! The worker of a process: it takes runs that wait, makes their steps one after the other, and keeps each result
//! before the next step begins.
//!
//! A run belongs to the worker whose lease it has. The worker's beat says that it lives; where a beat stands still, the
//! run is another worker's. A worker that could not beat in time gives its call up before anybody else may begin, so no
//! step is made twice at once. What was not kept is made again: a step whose process died is called for once more.

use std::collections::HashMap;
use std::time::Duration;

use domain::run::{OutputType, RunPlan, RunStatus, StepFailure, StepStatus};
use domain::{RunId, Timestamp};
use store::{Claimed, LeaseSeen, RunLease, RunResult, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::make;
use crate::models::{CallFailure, ModelCall, Remedy};
use crate::state::ControlState;

/// How many runs a process works on at once.
const AT_ONCE: usize = 4;
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
/// How many calls a picture gets from each model.
const IMAGE_ATTEMPTS: usize = 3;

/// Works on runs until `shutdown` says so, then lets others have those that are not done.
pub(crate) async fn work(state: ControlState, mut shutdown: watch::Receiver<bool>) {
    let Ok(name) = state.sources.random.bytes::<16>() else {
        tracing::error!("no runs are worked on: the random source failed");
        return;
    };
    let worker: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    // No step begins while the server lets its requests end.
    let mut closing = state.stopping.subscribe();
    let stopping = closing.clone();
    let mut runs = JoinSet::new();
    let mut seen = Seen::default();
    let mut claims: u64 = 0;
    let mut turns = interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            stopped = shutdown.wait_for(|stop| *stop) => {
                drop(stopped);
                break;
            }
            closed = closing.wait_for(|closing| *closing) => {
                drop(closed);
                break;
            }
            _ = turns.tick() => {}
            () = state.runs.notified() => {}
            Some(_) = runs.join_next() => {}
        }
        while runs.len() < AT_ONCE {
            // A lease of its own for each claim: a run that is cancelled and tried again at once may come back here while
            // its task of before has not noticed.
            claims += 1;
            let claim = format!("{worker}.{claims}");
            let run = match seen.next(&state, &worker, &claim).await {
                Ok(Some(run)) => run,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(error = %error, "could not look for runs: {error}");
                    break;
                }
            };
            let lease = RunLease { run, worker: claim };
            runs.spawn(work_on(state.clone(), lease, stopping.clone()));
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

/// The leases of other workers, each with its beat and the moment at which that was new.
#[derive(Default)]
struct Seen(HashMap<(RunId, String), (i64, Instant)>);

impl Seen {
    /// A run for this worker: one that waits, or one whose worker is gone.
    async fn next(
        &mut self,
        state: &ControlState,
        worker: &str,
        claim: &str,
    ) -> Result<Option<RunId>, StoreError> {
        let (system, now) = (state.store.system(), state.sources.now());
        if let Some(run) = system.claim_run(claim, now).await? {
            return Ok(Some(run));
        }
        let leases = system.run_leases(worker).await?;
        for dead in self.dead(leases, state.store.is_exclusive(), Instant::now()) {
            if system.take_run_over(&dead, claim, now).await? {
                let run = dead.lease.run;
                tracing::warn!(run.id = %run, "goes on with {run}, whose worker is gone");
                return Ok(Some(run));
            }
        }
        Ok(None)
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

/// Works on a run for as long as the lease holds.
async fn work_on(state: ControlState, lease: RunLease, stopping: watch::Receiver<bool>) {
    // In a set, so that the steps end with this task; in a task, so that a panic is a failure.
    let mut steps = JoinSet::new();
    steps.spawn(make_steps(state.clone(), lease.clone(), stopping));
    tokio::select! {
        ended = steps.join_next() => {
            if matches!(ended, Some(Err(_))) {
                tracing::error!(run.id = %lease.run, "a step of {} panicked", lease.run);
                give_up(&state, &lease).await;
            }
        }
        () = lease_ends(&state, &lease) => {
            tracing::info!(run.id = %lease.run, "lets go of {}: it was cancelled, or is another's", lease.run);
        }
    }
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

async fn make_steps(state: ControlState, lease: RunLease, stopping: watch::Receiver<bool>) {
    let system = state.store.system();
    loop {
        let claimed = until_stored(|| async { system.claimed_run(&lease).await }).await;
        let Some(Some(claimed)) = claimed else { return };
        let mut plan = claimed.run.plan.clone();
        let Some(at) = plan.next() else {
            advance(&state, &lease, RunStatus::Succeeded, &plan, None).await;
            return;
        };
        if *stopping.borrow() {
            return;
        }
        begin(&state, &mut plan, at);
        if !advance(&state, &lease, RunStatus::Running, &plan, None).await {
            return;
        }
        let made = match plan.steps[at].output {
            OutputType::Script => script(&state, &claimed, &lease, &mut plan, at).await,
            OutputType::Image => image(&state, &claimed, &lease, &mut plan, at).await,
        };
        plan.steps[at].ended_at_ms = Some(state.sources.now().millis());
        let made = match made {
            Ok(made) => made,
            Err(failure) => {
                let step = &mut plan.steps[at];
                step.status = StepStatus::Failed;
                step.failure = Some(StepFailure {
                    code: failure.code,
                    message: failure.message,
                });
                advance(&state, &lease, RunStatus::Failed, &plan, None).await;
                return;
            }
        };
        plan.steps[at].status = StepStatus::Succeeded;
        let status = match plan.next() {
            Some(_) => RunStatus::Running,
            None => RunStatus::Succeeded,
        };
        if !advance(&state, &lease, status, &plan, Some(&made)).await {
            return;
        }
    }
}

fn begin(state: &ControlState, plan: &mut RunPlan, at: usize) {
    let step = &mut plan.steps[at];
    step.status = StepStatus::Running;
    step.attempts = 0;
    step.failure = None;
    step.ended_at_ms = None;
    step.started_at_ms = Some(state.sources.now().millis());
}

/// The script, by the run's own model and key.
async fn script(
    state: &ControlState,
    claimed: &Claimed,
    lease: &RunLease,
    plan: &mut RunPlan,
    at: usize,
) -> Result<RunResult, CallFailure> {
    let pinned = plan.pinned.clone().ok_or_else(lost)?;
    let body = make::script_request(&pinned, &claimed.run.prompt);
    let call = Asking {
        pinned: &pinned,
        body,
        max_answer_bytes: make::MAX_SCRIPT_ANSWER_BYTES,
    };
    let answer = ask(state, claimed, lease, plan, at, call).await?;
    Ok(RunResult {
        step: at,
        media_type: "text/markdown".to_owned(),
        content: make::script(&answer)?,
    })
}

/// A picture, by the first of the instance's models that makes one.
async fn image(
    state: &ControlState,
    claimed: &Claimed,
    lease: &RunLease,
    plan: &mut RunPlan,
    at: usize,
) -> Result<RunResult, CallFailure> {
    let settings = until_stored(|| async { state.store.system().settings().await }).await;
    let models = settings.ok_or_else(lost)?.image_models;
    let script = match plan.pinned.is_some() {
        true => {
            until_stored(|| async { state.store.system().run_result(claimed.run.id, 0).await })
                .await
        }
        false => None,
    };
    let script = script
        .flatten()
        .map(|it| String::from_utf8_lossy(&it.content).into_owned());
    let is_image = |output: OutputType| output == OutputType::Image;
    let count = plan.steps.iter().filter(|it| is_image(it.output)).count();
    let number = plan.steps[..=at]
        .iter()
        .filter(|it| is_image(it.output))
        .count();
    let mut last = CallFailure {
        code: "images_not_configured".to_owned(),
        message: "this instance has no image models any more".to_owned(),
        remedy: Remedy::Nothing,
    };
    for model in &models {
        let pinned = make::pinned(model);
        let prompt = &claimed.run.prompt;
        let body = make::image_request(&pinned, prompt, script.as_deref(), (number, count));
        for attempt in 0..IMAGE_ATTEMPTS {
            if let Some(before) = attempt.checked_sub(1) {
                let pauses = &state.config.image_pauses_ms;
                let pause = pauses.get(before).or(pauses.last()).copied();
                sleep(Duration::from_millis(pause.unwrap_or(0))).await;
            }
            let call = Asking {
                pinned: &pinned,
                body: body.clone(),
                max_answer_bytes: make::MAX_IMAGE_ANSWER_BYTES,
            };
            let answer = ask(state, claimed, lease, plan, at, call).await;
            let made = answer.and_then(|answer| make::image(&answer));
            match made {
                Ok((media_type, content)) => {
                    return Ok(RunResult {
                        step: at,
                        media_type: media_type.to_owned(),
                        content,
                    });
                }
                Err(failure) if failure.remedy == Remedy::Nothing => return Err(failure),
                Err(failure) => {
                    let next = failure.remedy == Remedy::Provider;
                    last = failure;
                    if next {
                        break;
                    }
                }
            }
        }
    }
    Err(last)
}

/// One call of a step.
struct Asking<'a> {
    pinned: &'a domain::run::Pinned,
    body: bytes::Bytes,
    max_answer_bytes: usize,
}

/// Notes that a call is made, and makes it.
async fn ask(
    state: &ControlState,
    claimed: &Claimed,
    lease: &RunLease,
    plan: &mut RunPlan,
    at: usize,
    asking: Asking<'_>,
) -> Result<bytes::Bytes, CallFailure> {
    let Ok(request) = state.sources.id() else {
        return Err(lost());
    };
    let step = &mut plan.steps[at];
    step.attempts = step.attempts.saturating_add(1);
    step.provider = Some(asking.pinned.provider.clone());
    step.model = Some(asking.pinned.model.clone());
    step.source = Some(asking.pinned.source);
    step.request = Some(request);
    let output = step.output;
    if !advance(state, lease, RunStatus::Running, plan, None).await {
        return Err(lost());
    }
    let call = ModelCall {
        request,
        api_key: &claimed.api_key_hash,
        output,
        pinned: asking.pinned,
        body: asking.body,
        max_answer_bytes: asking.max_answer_bytes,
    };
    state.models.call(call).await.map_err(|failure| match failure.code.as_str() {
        "api_key_invalid" => CallFailure {
            message: "the API key that the run was made with was revoked or has expired, or its owner left the workspace"
                .to_owned(),
            ..failure
        },
        _ => failure,
    })
}

/// Writes how far the run has come. `false`: it is this worker's no more.
async fn advance(
    state: &ControlState,
    lease: &RunLease,
    status: RunStatus,
    plan: &RunPlan,
    made: Option<&RunResult>,
) -> bool {
    let system = state.store.system();
    let now: Timestamp = state.sources.now();
    let written =
        until_stored(|| async { system.advance_run(lease, status, plan, made, now).await });
    written.await.unwrap_or(false)
}

/// Fails a run that this program cannot work on.
async fn give_up(state: &ControlState, lease: &RunLease) {
    let claimed = state.store.system().claimed_run(lease).await;
    let Ok(Some(claimed)) = claimed else { return };
    let mut plan = claimed.run.plan;
    if let Some(at) = plan.next() {
        let CallFailure { code, message, .. } = lost();
        plan.steps[at].status = StepStatus::Failed;
        plan.steps[at].failure = Some(StepFailure { code, message });
    }
    advance(state, lease, RunStatus::Failed, &plan, None).await;
}

/// Asks the store until it answers: what was paid for must not be lost because the database is away for a moment. The
/// lease ends this, if nothing else does. `None`: no other try makes it right.
async fn until_stored<T, F>(ask: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(error = %error, "the store did not answer a run's worker: {error}");
                sleep(BEAT_EVERY).await;
            }
            Err(error) => {
                tracing::error!(error = %error, "a run cannot be worked on: {error}");
                return None;
            }
        }
    }
}

/// What can only be seen where the lease is gone, or this program has a fault.
fn lost() -> CallFailure {
    CallFailure {
        code: "internal_error".to_owned(),
        message: "something went wrong in this instance".to_owned(),
        remedy: Remedy::Nothing,
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
    fn a_worker_gives_up_before_another_begins() {
        assert!(GIVES_UP_AFTER + BEAT_EVERY + LOOK_EVERY < DEAD_AFTER);
    }
}
