//! The steps of a run that a worker has: each is called for within its time, and its result is kept before the next one
//! begins.

use std::time::Duration;

use domain::Timestamp;
use domain::run::{MAX_BEGUN, OutputType, RunPlan, RunStatus, StepFailure, StepStatus};
use domain::settings::Settings;
use store::{Claimed, RunLease, RunResult, StoreError};
use tokio::time::{sleep, timeout};

use super::make;
use super::work::Place;
use crate::models::{CallFailure, ModelCall, Remedy};
use crate::state::ControlState;

/// How many calls a picture gets from each model.
const IMAGE_ATTEMPTS: usize = 3;
/// The pause after a question that the store did not answer.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Makes the steps of a run, one after the other, until it has ended or another's turn has come.
pub(super) async fn make(place: Place) {
    let Place {
        state,
        worker,
        lease,
        stopping,
    } = place;
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
        if plan.steps[at].begun >= MAX_BEGUN {
            fail(&state, &lease, &mut plan, at, interrupted()).await;
            return;
        }
        let settings = until_stored(|| async { system.settings().await }).await;
        let Some(settings) = settings else {
            return fail(&state, &lease, &mut plan, at, lost()).await;
        };
        begin(&state, &mut plan, at);
        if !advance(&state, &lease, RunStatus::Running, &plan, None).await {
            return;
        }
        let limit = Duration::from_millis(settings.run_step_timeout_ms.into());
        let step = make_step(&state, &claimed, &lease, &settings, &mut plan, at);
        let made = match timeout(limit, step).await {
            Ok(Ok(made)) => made,
            Ok(Err(failure)) => return fail(&state, &lease, &mut plan, at, failure).await,
            // Its call was dropped and is given up, as when a client goes away.
            Err(_) => return fail(&state, &lease, &mut plan, at, timed_out(limit)).await,
        };
        plan.steps[at].ended_at_ms = Some(state.sources.now().millis());
        plan.steps[at].status = StepStatus::Succeeded;
        let status = match plan.next() {
            Some(_) => RunStatus::Running,
            None => RunStatus::Succeeded,
        };
        if !advance(&state, &lease, status, &plan, Some(&made)).await
            || status == RunStatus::Succeeded
        {
            return;
        }
        // Those of others wait for no longer than a step.
        let now = state.sources.now();
        match system.yield_run(&lease, &worker, now).await {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                tracing::warn!(error = %error, "could not see whether runs of others wait: {error}");
            }
        }
    }
}

async fn make_step(
    state: &ControlState,
    claimed: &Claimed,
    lease: &RunLease,
    settings: &Settings,
    plan: &mut RunPlan,
    at: usize,
) -> Result<RunResult, CallFailure> {
    match plan.steps[at].output {
        OutputType::Script => script(state, claimed, lease, plan, at).await,
        OutputType::Image => image(state, claimed, lease, settings, plan, at).await,
    }
}

/// Fails the run with this step.
async fn fail(
    state: &ControlState,
    lease: &RunLease,
    plan: &mut RunPlan,
    at: usize,
    failure: CallFailure,
) {
    let CallFailure {
        code,
        message,
        hint,
        remedy: _,
    } = failure;
    let step = &mut plan.steps[at];
    step.ended_at_ms = Some(state.sources.now().millis());
    step.status = StepStatus::Failed;
    step.failure = Some(StepFailure {
        code,
        message,
        hint: Some(hint),
    });
    advance(state, lease, RunStatus::Failed, plan, None).await;
}

fn begin(state: &ControlState, plan: &mut RunPlan, at: usize) {
    let step = &mut plan.steps[at];
    step.status = StepStatus::Running;
    step.begun = step.begun.saturating_add(1);
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
    settings: &Settings,
    plan: &mut RunPlan,
    at: usize,
) -> Result<RunResult, CallFailure> {
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
        hint: "ask an admin of the instance to set image_models, then try the run again".to_owned(),
        remedy: Remedy::Nothing,
    };
    for model in &settings.image_models {
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
    state.models.call(call).await
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
pub(super) async fn give_up(state: &ControlState, lease: &RunLease) {
    let claimed = state.store.system().claimed_run(lease).await;
    let Ok(Some(claimed)) = claimed else { return };
    let mut plan = claimed.run.plan;
    if let Some(at) = plan.next() {
        fail(state, lease, &mut plan, at, lost()).await;
    }
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
                sleep(ASK_AGAIN_AFTER).await;
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
        hint: "try the run again, and tell the operator of this instance if that does not help"
            .to_owned(),
        remedy: Remedy::Nothing,
    }
}

fn timed_out(limit: Duration) -> CallFailure {
    let limit = limit.as_secs_f64();
    CallFailure {
        code: "step_timeout".to_owned(),
        message: format!("the step took longer than {limit} s, which is this instance's limit"),
        hint: "try the run again or make one with a faster model; an admin of the instance can raise run_step_timeout_ms"
            .to_owned(),
        remedy: Remedy::Nothing,
    }
}

/// Whatever it is that breaks the step off, the end of the process or a database that is away, it is not tried, and paid,
/// for ever.
fn interrupted() -> CallFailure {
    CallFailure {
        code: "step_interrupted".to_owned(),
        message: format!("the step was begun {MAX_BEGUN} times, and each time it was broken off"),
        hint: "tell the operator of this instance, then try the run again".to_owned(),
        remedy: Remedy::Nothing,
    }
}
