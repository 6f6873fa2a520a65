//! Plans: what an account may do and what is included, as data that admins edit.
//!
//! A subscription keeps a copy of its plan's terms, so that editing a plan changes nobody's.

use serde::{Deserialize, Serialize};

use crate::key::PlanId;
use crate::policy::Tier;

/// How much an account may have; none: as much as the software bears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceLimits {
    /// Workspaces of the account.
    pub workspaces: Option<i64>,
    /// Members of each workspace, the owner included.
    pub members: Option<i64>,
    /// API keys of each workspace that are not revoked.
    pub api_keys: Option<i64>,
    /// Provider keys of the account and of each of its workspaces.
    pub provider_keys: Option<i64>,
}

/// What a plan gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// Credits included each month, from one anchor day to the next; what is left then ends.
    pub monthly_credits: i64,
    /// Whether own keys serve. Without it none can be added, and those that are there rest.
    pub byok: bool,
    /// The tiers that may be called by name, [`Tier::Level1`] and [`Tier::Embeddings`] whether listed or not.
    pub tiers: Vec<Tier>,
    /// How much the account may have.
    #[serde(default)]
    pub limits: ResourceLimits,
}

impl PlanTerms {
    /// Whether the tier may be called by name.
    pub fn opens(&self, tier: Tier) -> bool {
        matches!(tier, Tier::Level1 | Tier::Embeddings) || self.tiers.contains(&tier)
    }
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its id: `pro`.
    pub id: PlanId,
    /// What people call it.
    pub name: String,
    /// Its place among the plans; a higher plan has a higher rank.
    pub rank: i64,
    /// What it gives.
    pub terms: PlanTerms,
}

/// The most credits that a plan may include: a million dollars a month.
pub const MAX_MONTHLY_CREDITS: i64 = 100_000_000;

/// The plans that a new instance has. Own keys are part of each: whoever hosts the gateway pays nobody for them.
pub fn shipped() -> Vec<Plan> {
    let plan = |id: &str, name: &str, rank, monthly_credits, tiers: &[Tier], limits| Plan {
        id: id.parse().expect("a valid id"),
        name: name.to_owned(),
        rank,
        terms: PlanTerms {
            monthly_credits,
            byok: true,
            tiers: tiers.to_vec(),
            limits,
        },
    };
    let limits = |workspaces, members, api_keys, provider_keys| ResourceLimits {
        workspaces: Some(workspaces),
        members: Some(members),
        api_keys: Some(api_keys),
        provider_keys: Some(provider_keys),
    };
    let all = [Tier::Level1, Tier::Level2, Tier::Level3, Tier::Embeddings];
    let basic = [Tier::Level1, Tier::Embeddings];
    vec![
        plan("free", "Free", 0, 250, &basic, limits(2, 5, 20, 20)),
        plan("pro", "Pro", 1, 2_000, &all, limits(10, 25, 100, 100)),
        plan("ultra", "Ultra", 2, 10_000, &all, limits(50, 100, 500, 500)),
        plan(
            "enterprise",
            "Enterprise",
            3,
            50_000,
            &all,
            ResourceLimits::default(),
        ),
    ]
}

/// The plan of the first user's account: the person who runs the instance is not limited by it.
pub const OPERATOR_PLAN: &str = "enterprise";

/// The plans, best known first, that have what `fits` asks for: for refusals that name them.
pub fn that(plans: &[Plan], fits: impl Fn(&PlanTerms) -> bool) -> Vec<PlanId> {
    let mut fitting: Vec<&Plan> = plans.iter().filter(|plan| fits(&plan.terms)).collect();
    fitting.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.id.cmp(&b.id)));
    fitting.into_iter().map(|plan| plan.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_plans_rise_with_their_rank() {
        let plans = shipped();
        for pair in plans.windows(2) {
            assert!(pair[0].rank < pair[1].rank);
            assert!(pair[0].terms.monthly_credits < pair[1].terms.monthly_credits);
        }
        assert!(plans.iter().any(|plan| plan.id.as_str() == OPERATOR_PLAN));
        assert!(!plans[0].terms.opens(Tier::Level2));
        assert!(plans[1].terms.opens(Tier::Level3));
    }

    #[test]
    fn refusals_name_the_plans_that_help_cheapest_first() {
        let names = that(&shipped(), |terms| terms.opens(Tier::Level2));
        let names: Vec<&str> = names.iter().map(PlanId::as_str).collect();
        assert_eq!(names, ["pro", "ultra", "enterprise"]);
    }
}
