//! Credits are held before the first managed attempt of a call, so that parallel calls cannot spend them twice.

use domain::settings::{Settings, UNKNOWN_OUTPUT_TOKENS};
use domain::{NanoUsd, Terms, Usage};
use llm::head::Head;
use store::{MAX_CREDITS, ManagedFallback, NewHold, Reservation, StoreError, UsageRow};

use crate::Plane;
use crate::bill::Bill;
use crate::error::Failure;
use crate::plan::way::Way;
use crate::settle::{self, Aimed, Settlement};
use crate::snapshot::View;

/// How many bytes of a request stand for one model token.
const BYTES_PER_TOKEN: u64 = 4;

/// What becomes of the attempt that runs when the process dies.
const INTERRUPTED: &str = "interrupted";

/// Holds the credits that the call is expected to take, `at_least` so many.
///
/// The settlement comes back with the outcome, unless the task that asks the store died; then it is settled. It
/// goes with the question, so that a call which is given up meanwhile is settled only after the hold is there, and
/// releases it.
pub(crate) async fn take(
    plane: &Plane,
    view: &View,
    aimed: &Aimed<'_>,
    sent: &Sent,
    at_least: NanoUsd,
    settlement: Settlement,
) -> (Option<Settlement>, Result<(), Failure>) {
    let amount = expected(plane, view, aimed.way, aimed.bill, sent).max(at_least);
    let hold = new_hold(plane, view, aimed, amount, settlement.row().clone());
    let workspace = hold.row.workspace;
    let (store, now) = (plane.store.clone(), plane.sources.now());
    let asking = tokio::spawn(async move {
        let outcome = store.serving().reserve(&hold, now).await;
        (settlement, outcome)
    });
    let Ok((settlement, outcome)) = asking.await else {
        return (None, Err(Failure::Internal));
    };
    let outcome = match outcome {
        Ok(Reservation::Reserved) => Ok(()),
        Ok(Reservation::CreditsExhausted {
            available,
            needed,
            resets_at,
        }) => Err(Failure::CreditsExhausted {
            needed,
            available,
            resets_at,
        }),
        Ok(Reservation::FallbackCapReached {
            cap,
            spent,
            resets_at,
        }) => Err(Failure::FallbackCapReached {
            cap,
            spent,
            resets_at,
            workspace,
        }),
        Err(error) => Err(not_held(&error)),
    };
    (Some(settlement), outcome)
}

/// Notes that credits stand in for own keys that failed, before anything is forwarded.
pub(crate) async fn note_fallback(
    plane: &Plane,
    view: &View,
    failed: &[&Way],
    settlement: &Settlement,
) -> Result<(), Failure> {
    for way in failed {
        if plane.noted.contains_key(&way.key) {
            continue;
        }
        let (key, version) = way.key;
        let fallback = ManagedFallback {
            key,
            version,
            account: view.caller.record.account,
            workspace: view.caller.record.workspace,
            provider: way.target.provider.clone(),
            label: way.label.clone(),
            request: settlement.request(),
        };
        let serving = plane.store.serving();
        serving
            .note_managed_fallback(&fallback, plane.sources.now())
            .await
            .map_err(|error| not_held(&error))?;
        plane.noted.insert(way.key, ());
    }
    Ok(())
}

/// What a call that is served this way is expected to take.
pub(crate) fn expected(plane: &Plane, view: &View, way: &Way, bill: &Bill, sent: &Sent) -> NanoUsd {
    let settings = &view.instance.record.settings;
    let unlimited = unlimited(plane, settings, way).min(sent.most_output.unwrap_or(u64::MAX));
    bill.charge(&Usage {
        output_tokens: sent.head.expected_output(unlimited),
        ..input_only(sent.bytes)
    })
}

/// What a provider is sent, as far as it decides what the call is expected to take.
pub(crate) struct Sent {
    /// How many bytes of it the input is estimated by.
    pub(crate) bytes: u64,
    /// The client's wishes, with the limit of the output as a translation wrote it.
    pub(crate) head: Head,
    /// The limit that a translation sets where the client sets none.
    pub(crate) most_output: Option<u64>,
}

fn input_only(bytes: u64) -> Usage {
    Usage {
        input_tokens: bytes.div_ceil(BYTES_PER_TOKEN),
        ..Usage::default()
    }
}

fn new_hold(
    plane: &Plane,
    view: &View,
    aimed: &Aimed<'_>,
    amount: NanoUsd,
    mut row: UsageRow,
) -> NewHold {
    let settings = &view.instance.record.settings;
    let Aimed { way, bill, .. } = aimed;
    aimed.write(&mut row);
    // A picture that was not delivered is not paid for: its run asks for another one.
    if !bill.is_by_picture() {
        bill.write(
            &mut row,
            input_only(aimed.sent_bytes),
            &Terms::default(),
            true,
        );
    }
    row.attempts.push(settle::begun(way, INTERRUPTED));
    let cap = view.caller.record.policy.managed_fallback_cap_nano_usd;
    NewHold {
        request: row.request,
        node: plane.node.clone(),
        amount: amount.clamp(NanoUsd::new(1), MAX_CREDITS),
        overuse: settings.overuse,
        interrupted: row.charge.min(MAX_CREDITS),
        // Without a cap it is counted all the same: one may be set in the middle of the month.
        fallback_cap: way.is_fallback().then(|| cap.unwrap_or(NanoUsd::MAX)),
        row,
    }
}

/// How many output tokens an answer may have for which the call sets no limit.
///
/// The model's own limit, so that the answer cannot take more than what is held for it.
fn unlimited(plane: &Plane, settings: &Settings, way: &Way) -> u64 {
    let of_model = || {
        let target = &way.target;
        plane
            .registry
            .max_output_tokens(&target.provider, &target.model)
    };
    let chosen = settings.held_output_tokens.map(u64::from);
    chosen
        .or_else(of_model)
        .unwrap_or(UNKNOWN_OUTPUT_TOKENS.into())
}

pub(crate) fn not_held(error: &StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "the store did not answer for a managed call");
            Failure::StoreUnavailable
        }
        error => {
            tracing::error!(%error, "the store refused a managed call");
            Failure::Internal
        }
    }
}
