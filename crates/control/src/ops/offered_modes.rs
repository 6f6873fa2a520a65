//! Which modes a workspace can have, and why not the others.

use domain::PlanId;
use domain::policy::Mode;

use crate::ops::policy::is_own_keys_alone;
use crate::ops::resolution::Facts;

/// A mode, and whether calls can be served in it as far as the instance and the account's plan go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedMode {
    /// The mode.
    pub mode: Mode,
    /// What stands in its way; `None`: nothing does.
    pub obstacle: Option<Obstacle>,
    /// The plans that would clear it away, the lowest first.
    pub plans: Vec<PlanId>,
}

/// What stands in the way of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The instance does not offer it.
    Instance,
    /// The account's plan lets no own key serve, and nothing else may serve in this mode.
    Plan,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Instance, Self::Plan];

    /// The name in the API: the code of the refusal for the same reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "mode_not_offered",
            Self::Plan => "plan_required",
        }
    }
}

/// All modes in their order. Whether there are keys and credits does not show.
pub(crate) fn offered_modes(facts: &Facts) -> Vec<OfferedMode> {
    let settings = facts.settings();
    let offered = |mode: &Mode| {
        let obstacle = if !settings.modes.contains(mode) {
            Some(Obstacle::Instance)
        } else if is_own_keys_alone(settings, *mode) && !facts.plan.1.byok {
            Some(Obstacle::Plan)
        } else {
            None
        };
        let plans = match obstacle {
            Some(Obstacle::Plan) => facts.plans_with(|terms| terms.byok),
            Some(Obstacle::Instance) | None => Vec::new(),
        };
        OfferedMode {
            mode: *mode,
            obstacle,
            plans,
        }
    };
    Mode::ALL.iter().map(offered).collect()
}
