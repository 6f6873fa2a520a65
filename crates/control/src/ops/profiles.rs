//! Profiles: bundles of settings and plans that make an instance behave like a product that people know.
//!
//! A profile is a function of what is there: `bundles` says what it wants, `diff` what that changes. What an
//! instance has to know to serve at all (prices, names of models, the gateway, credit ratios) is no matter of style and
//! stays as it is.

mod bundles;
mod diff;

use std::str::FromStr;

use domain::plan::Plan;
use domain::settings::Settings;
use store::InstanceScope;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::{ControlConfig, ControlState, ProbePolicy};

pub use diff::Change;

/// A bundle that one operation applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What a new instance has.
    Default,
    /// The instance's keys or one's own, never both.
    Rigbox,
    /// One key for everybody, and own keys where an admin lets them.
    Aikeedo,
    /// Own keys in sealed boxes, and no other key behind them.
    Bitrouter,
    /// Own keys alone, in pools of levels.
    Xai,
    /// Own keys as part of a plan, credits where there are none.
    Oxagen,
}

impl Profile {
    /// All profiles, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Default,
        Self::Rigbox,
        Self::Aikeedo,
        Self::Bitrouter,
        Self::Xai,
        Self::Oxagen,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Rigbox => "rigbox",
            Self::Aikeedo => "aikeedo",
            Self::Bitrouter => "bitrouter",
            Self::Xai => "xai",
            Self::Oxagen => "oxagen",
        }
    }

    /// What it is; one line.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Default => "The settings and plans of a new instance.",
            Self::Rigbox => {
                "A workspace is served by the instance and pays with credits, or by its own key; no mixture."
            }
            Self::Aikeedo => {
                "OpenAI and Anthropic with the instance's keys; own keys where an admin switches them on."
            }
            Self::Bitrouter => {
                "Own keys, submitted in sealed boxes only; when a key is gone, calls are refused."
            }
            Self::Xai => "Own keys only, in pools by level, also for endpoints of one's own.",
            Self::Oxagen => {
                "Own keys from the plan Pro on; where there is none, the instance serves and credits pay."
            }
        }
    }
}

impl FromStr for Profile {
    type Err = Problem;

    /// # Errors
    /// `not_found`, with the names that there are.
    fn from_str(name: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            Problem::new(Code::NotFound)
                .because(format!("the profiles are {}", names.join(", ")))
                .advise("")
                .with("profiles", names.to_vec())
        })
    }
}

/// What an instance decides for everybody, as far as profiles speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The settings.
    pub settings: Settings,
    /// The plans.
    pub plans: Vec<Plan>,
}

/// An option of the server's configuration that a profile relies on. No operation changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// Its name in the configuration file.
    pub option: &'static str,
    /// What the profile relies on.
    pub wanted: &'static str,
    /// What the server has.
    pub actual: &'static str,
}

/// What a profile does to this instance.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Everything that it changes, by path.
    pub changes: Vec<Change>,
    /// The options that it relies on, met or not.
    pub requires: Vec<Requirement>,
    /// Whether the instance is as the profile wants it now.
    pub applied: bool,
}

/// What `profile` makes of `current`. Made of its own result it is the same again.
pub fn wanted(profile: Profile, current: &Bundle) -> Bundle {
    bundles::wanted(profile, current)
}

/// The options of the configuration that `profile` relies on.
pub fn requirements(profile: Profile, config: &ControlConfig) -> Vec<Requirement> {
    let actual = match config.probe {
        ProbePolicy::Required => "required",
        ProbePolicy::Off => "off",
    };
    match profile {
        Profile::Oxagen => vec![Requirement {
            option: "probe",
            wanted: "required",
            actual,
        }],
        _ => Vec::new(),
    }
}

/// Says what `profile` changes, and changes it unless this is a dry run. Existing subscriptions keep their terms.
///
/// # Errors
/// `conflict` when somebody changed the settings in the same moment, twice.
pub async fn apply(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    profile: Profile,
    dry_run: bool,
) -> Result<Outcome, Problem> {
    match attempt(state, call, scope, profile, dry_run).await {
        Err(problem) if problem.code() == Code::Conflict => {
            attempt(state, call, scope, profile, dry_run).await
        }
        outcome => outcome,
    }
}

async fn attempt(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    profile: Profile,
    dry_run: bool,
) -> Result<Outcome, Problem> {
    let system = state.store.system();
    let current = Bundle {
        settings: system.settings().await?,
        plans: system.plans().await?,
    };
    let wanted = wanted(profile, &current);
    let changes = diff::changes(&current, &wanted);
    if !dry_run && !changes.is_empty() {
        let note = call.note_on("profile.apply", profile.as_str());
        let old = (&current.settings, current.plans.as_slice());
        let new = (&wanted.settings, wanted.plans.as_slice());
        system
            .put_settings_and_plans(scope, old, new, &note, call.now)
            .await?;
    }
    Ok(Outcome {
        applied: !dry_run,
        requires: requirements(profile, &state.config),
        changes,
    })
}
