//! Plans as data: what an admin may make of them, and which of them an account has.

use domain::plan::{MAX_MONTHLY_CREDITS, Plan, PlanTerms, ResourceLimits};
use domain::{AccountId, PlanId};
use store::{InstanceScope, StoreError, SubscriptionRow};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;
use crate::text;

/// The most plans that an instance has.
const MAX_PLANS: usize = 100;
/// The highest place among the plans.
const MAX_RANK: i64 = 9_999;
/// The highest limit of a resource; without one, the software's own bounds hold.
const MAX_LIMIT: i64 = 1_000_000;

/// So often a change is made anew after somebody else was faster.
const TRIES: u32 = 3;

/// The plan with this id.
///
/// # Errors
/// `not_found`.
pub async fn get(state: &ControlState, id: &PlanId) -> Result<Plan, Problem> {
    let plans = state.store.system().plans().await?;
    let found = plans.into_iter().find(|it| it.id == *id);
    found.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Makes a plan, or gives the one with this id another name, rank or terms; true if it is new. Subscriptions keep
/// the terms that they have. `seen` refuses where the stored plan is not the one that is to be changed.
///
/// # Errors
/// `invalid_request` for a plan that breaks a rule, and for one too many; what `seen` refuses.
pub async fn put(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    plan: Plan,
    seen: impl Fn(Option<&Plan>) -> Result<(), Problem>,
) -> Result<(Plan, bool), Problem> {
    let plan = checked(plan)?;
    let system = state.store.system();
    for tried in 1.. {
        let plans = system.plans().await?;
        let stored = plans.iter().find(|it| it.id == plan.id);
        seen(stored)?;
        let Some(stored) = stored else {
            if plans.len() >= MAX_PLANS {
                let rule = "the instance has 100 plans already, and must not have more";
                return Err(Problem::field("plan", rule));
            }
            let note = call.note_on("plan.create", &plan.id);
            system.put_plan(scope, &plan, &note, call.now).await?;
            return Ok((plan, true));
        };
        if *stored == plan {
            break;
        }
        let note = call.note_on("plan.update", &plan.id);
        let replaced = system.replace_plan(scope, stored, &plan, &note, call.now);
        match replaced.await {
            Err(StoreError::Conflict(_)) if tried < TRIES => {}
            replaced => {
                replaced?;
                break;
            }
        }
    }
    Ok((plan, false))
}

/// Removes a plan that nobody has.
///
/// # Errors
/// `not_found`; `conflict` when an account has it or new accounts get it.
pub async fn remove(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    plan: &PlanId,
) -> Result<(), Problem> {
    let note = call.note_on("plan.remove", plan);
    let system = state.store.system();
    Ok(system.remove_plan(scope, plan, &note, call.now).await?)
}

/// Gives an account a plan with the terms that it has now; also the plan that the account has, to take its new terms.
///
/// # Errors
/// `invalid_request` when there is no such plan; `not_found` when there is no such account.
pub async fn subscribe(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    account: AccountId,
    plan: &PlanId,
) -> Result<SubscriptionRow, Problem> {
    let system = state.store.system();
    // Asked for first, so that a plan that is missing and an account that is missing are told apart.
    system.subscription(scope, account).await?;
    let plans = system.plans().await?;
    if !plans.iter().any(|it| it.id == *plan) {
        let known: Vec<&str> = plans.iter().map(|it| it.id.as_str()).collect();
        return Err(
            Problem::field("plan", "plan must be a plan of this instance").with("allowed", known),
        );
    }
    let note = call.note_on("subscription.update", plan);
    system
        .subscribe(scope, account, plan, &note, call.now)
        .await?;
    Ok(system.subscription(scope, account).await?)
}

/// The plan as it is stored, if it breaks no rule.
fn checked(mut plan: Plan) -> Result<Plan, Problem> {
    plan.name = text::name(&plan.name)?;
    if !(0..=MAX_RANK).contains(&plan.rank) {
        return Err(Problem::field(
            "rank",
            "rank must be a number from 0 to 9999",
        ));
    }
    let PlanTerms {
        monthly_credits,
        byok: _,
        tiers,
        limits,
    } = &mut plan.terms;
    if !(0..=MAX_MONTHLY_CREDITS).contains(monthly_credits) {
        let rule = "monthly_credits must be a number from 0 to 100000000";
        return Err(Problem::field("terms", rule));
    }
    tiers.sort_unstable();
    tiers.dedup();
    let ResourceLimits {
        workspaces,
        members,
        api_keys,
        provider_keys,
    } = limits;
    // An account has a workspace and a workspace its owner from the start, so a lower limit would be broken at once.
    for (limit, least) in [
        (workspaces, 1),
        (members, 1),
        (api_keys, 0),
        (provider_keys, 0),
    ] {
        if limit.is_some_and(|limit| !(least..=MAX_LIMIT).contains(&limit)) {
            let rule = "a limit must be null or a number up to 1000000, of workspaces and members at least 1";
            return Err(Problem::field("terms", rule));
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plan::shipped;
    use domain::policy::Tier;

    #[test]
    fn plans_that_break_a_rule_are_refused_by_field() {
        type Edit = fn(&mut Plan);
        let edits: [(&str, Edit); 7] = [
            ("name", |plan| plan.name = " ".to_owned()),
            ("rank", |plan| plan.rank = -1),
            ("terms", |plan| plan.terms.monthly_credits = -1),
            ("terms", |plan| {
                plan.terms.monthly_credits = MAX_MONTHLY_CREDITS + 1;
            }),
            ("terms", |plan| plan.terms.limits.workspaces = Some(0)),
            ("terms", |plan| plan.terms.limits.api_keys = Some(-1)),
            ("terms", |plan| {
                plan.terms.limits.provider_keys = Some(MAX_LIMIT + 1);
            }),
        ];
        for (field, edit) in edits {
            let mut plan = shipped().remove(0);
            edit(&mut plan);
            let refusal = checked(plan).expect_err("refused").body("req");
            assert_eq!(refusal.details["field"], field);
        }
        for mut plan in shipped() {
            plan.terms.limits.api_keys = Some(0);
            plan.terms.tiers = vec![Tier::Level2, Tier::Level1, Tier::Level2];
            let stored = checked(plan).expect("fits");
            assert_eq!(stored.terms.tiers, [Tier::Level1, Tier::Level2]);
        }
    }
}
