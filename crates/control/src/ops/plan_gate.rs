//! Refusals by plan, which name the plans that would help.

use domain::PlanId;
use domain::plan::{self, PlanTerms};
use serde_json::Value;
use store::StoreError;

use crate::error::{Code, Problem};
use crate::state::ControlState;

/// The refusal of what the account's plan does not have, with the plans that do.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn required(
    state: &ControlState,
    fits: impl Fn(&PlanTerms) -> bool,
) -> Result<Problem, Problem> {
    let plans = state.store.system().plans().await?;
    let plans = plan::that(&plans, fits);
    let names: Vec<&str> = plans.iter().map(PlanId::as_str).collect();
    let problem = Problem::new(Code::PlanRequired).with("plans", names.clone());
    Ok(match names.as_slice() {
        [] => problem.because("no plan of this instance has this"),
        names => problem.because(format!("this takes the plan {}", names.join(" or "))),
    })
}

/// A failure of the store as a refusal; one because of own keys names the plans that have them.
pub(crate) async fn explained(state: &ControlState, error: StoreError) -> Problem {
    match error {
        StoreError::PlanRequired { .. } => required(state, |terms| terms.byok)
            .await
            .unwrap_or_else(|problem| problem),
        error => error.into(),
    }
}

/// What a limit of a plan refused, in the words of the refusal.
pub(crate) fn exceeded(resource: &'static str, limit: i64, used: i64) -> Problem {
    let what = resource.replace('_', " ");
    Problem::new(Code::LimitExceeded)
        .because(format!(
            "the account's plan allows {limit} {what}, and {used} are there"
        ))
        .with("resource", resource)
        .with("limit", Value::from(limit))
        .with("used", Value::from(used))
}
