//! From the name that a caller gives to the name that providers are looked up by.
//!
//! The closest that chose wins: request, conversation, API key, workspace, instance. Then a tier stands for its
//! model, and a mapping may put another in its place. Each happens once.

use crate::plan::PlanTerms;
use crate::policy::{DELEGATED, ModelMapping, ModelName, Tier, WorkspacePolicy, words};
use crate::settings::Settings;

/// What a request says in place of a model when it leaves the choice to the levels above it.
pub const UNCHOSEN: &str = "default";

words! {
    /// Who chose the model. Each level comes before those below it.
    ChosenBy("chooser") {
        /// The request itself.
        Request = "request",
        /// The conversation that the request belongs to.
        Conversation = "conversation",
        /// The API key: an agent, a connector, a job.
        ApiKey = "api_key",
        /// The workspace.
        Workspace = "workspace",
        /// The instance.
        Instance = "instance",
    }
}

/// What was asked for, from the closest level on. [`UNCHOSEN`] counts as none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices<'a> {
    /// By the request.
    pub request: Option<&'a str>,
    /// By the conversation.
    pub conversation: Option<&'a str>,
    /// By the API key.
    pub api_key: Option<&'a str>,
}

/// A name, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who chose.
    pub chosen_by: ChosenBy,
    /// What was chosen.
    pub chosen: String,
    /// The tier that it is, if it is one.
    pub tier: Option<Tier>,
    /// The mapping that put another model in its place.
    pub mapped_by: Option<ModelMapping>,
    /// The name that providers are looked up by.
    pub model: String,
}

/// Why there is no name to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoName {
    /// Nobody chose, at any level.
    NotChosen,
    /// Neither the workspace nor the instance says which model the tier is.
    TierUnset(Tier),
    /// The account's plan does not open the tier.
    TierLocked(Tier),
}

impl NoName {
    /// The code of the answer, the same in the refusal of a call and in its explanation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotChosen => "model_not_chosen",
            // What the name stands for is not there; that it could be is a hint beside the code.
            Self::TierUnset(_) => "model_not_found",
            Self::TierLocked(_) => "plan_required",
        }
    }
}

/// Finds the name that providers are looked up by.
///
/// # Errors
/// [`NoName`]: nothing was chosen, or the tier that was chosen is locked or stands for nothing.
pub fn name(
    choices: &Choices<'_>,
    policy: &WorkspacePolicy,
    settings: &Settings,
    terms: &PlanTerms,
) -> Result<Named, NoName> {
    let (chosen_by, chosen) = choose(choices, policy, settings).ok_or(NoName::NotChosen)?;
    let tier: Option<Tier> = chosen.parse().ok();
    let model = match tier {
        None => chosen,
        // A default is somebody else's choice: only a tier that the caller names is gated.
        Some(tier)
            if chosen_by != ChosenBy::Workspace
                && chosen_by != ChosenBy::Instance
                && !terms.opens(tier) =>
        {
            return Err(NoName::TierLocked(tier));
        }
        Some(tier) => behind(tier, policy, settings).ok_or(NoName::TierUnset(tier))?,
    };
    let mapped_by = mapping(model, policy, settings);
    Ok(Named {
        chosen_by,
        chosen: chosen.to_owned(),
        tier,
        mapped_by: mapped_by.cloned(),
        model: mapped_by.map_or(model, |it| it.model.as_str()).to_owned(),
    })
}

/// The model behind a tier: the workspace's, or the instance's where the workspace delegates.
pub fn behind<'a>(
    tier: Tier,
    policy: &'a WorkspacePolicy,
    settings: &'a Settings,
) -> Option<&'a str> {
    let own = policy.tiers.get(&tier).map(ModelName::as_str);
    let own = own.filter(|model| *model != DELEGATED);
    let shared = settings.tiers.get(&tier).map(ModelName::as_str);
    // A tier behind a tier would be a chain that nobody sees.
    own.or(shared)
        .filter(|model| *model != DELEGATED && model.parse::<Tier>().is_err())
}

fn choose<'a>(
    choices: &Choices<'a>,
    policy: &'a WorkspacePolicy,
    settings: &'a Settings,
) -> Option<(ChosenBy, &'a str)> {
    let workspace = policy.model.as_ref().map(ModelName::as_str);
    // The default tier is what a workspace has chosen that has chosen nothing else.
    let default_of = |tiers: &'a crate::policy::Tiers| {
        let model = tiers.get(&Tier::Level1).map(ModelName::as_str);
        model.filter(|model| *model != DELEGATED)
    };
    let levels = [
        (ChosenBy::Request, choices.request),
        (ChosenBy::Conversation, choices.conversation),
        (ChosenBy::ApiKey, choices.api_key),
        (
            ChosenBy::Workspace,
            workspace.or_else(|| default_of(&policy.tiers)),
        ),
        (ChosenBy::Instance, default_of(&settings.tiers)),
    ];
    levels.into_iter().find_map(|(level, model)| {
        let model = model.filter(|model| !model.is_empty() && *model != UNCHOSEN)?;
        Some((level, model))
    })
}

fn mapping<'a>(
    model: &str,
    policy: &'a WorkspacePolicy,
    settings: &'a Settings,
) -> Option<&'a ModelMapping> {
    let mut rules = policy.model_mappings.iter().chain(&settings.model_mappings);
    rules.find(|rule| rule.fits(model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Glob;
    use crate::plan;

    fn model(name: &str) -> ModelName {
        name.parse().expect("a model")
    }

    fn free() -> PlanTerms {
        plan::shipped().remove(0).terms
    }

    #[test]
    fn the_closest_level_that_chose_wins_in_all_sixteen_cases() {
        let settings = Settings {
            tiers: [(Tier::Level1, model("platform"))].into(),
            ..Settings::default()
        };
        for set in 0..16_u8 {
            let has = |bit: u8| set & (1 << bit) != 0;
            let choices = Choices {
                request: has(0).then_some("request"),
                conversation: has(1).then_some("conversation"),
                api_key: has(2).then_some("agent"),
            };
            let policy = WorkspacePolicy {
                model: has(3).then(|| model("workspace")),
                ..WorkspacePolicy::default()
            };
            let expected = match set.trailing_zeros() {
                0 => ("request", ChosenBy::Request),
                1 => ("conversation", ChosenBy::Conversation),
                2 => ("agent", ChosenBy::ApiKey),
                3 => ("workspace", ChosenBy::Workspace),
                _ => ("platform", ChosenBy::Instance),
            };
            let named = name(&choices, &policy, &settings, &free()).expect("a name");
            assert_eq!(
                (named.model.as_str(), named.chosen_by),
                expected,
                "{set:04b}"
            );
        }
        let nothing = name(
            &Choices {
                request: Some(UNCHOSEN),
                ..Choices::default()
            },
            &WorkspacePolicy::default(),
            &Settings::default(),
            &free(),
        );
        assert_eq!(nothing, Err(NoName::NotChosen));
    }

    #[test]
    fn a_tier_stands_for_the_workspaces_model_or_the_instances_where_it_delegates() {
        let settings = Settings {
            tiers: [(Tier::Level1, model("small")), (Tier::Level2, model("mid"))].into(),
            ..Settings::default()
        };
        let mut policy = WorkspacePolicy::default();
        let terms = PlanTerms {
            tiers: Tier::ALL.to_vec(),
            ..free()
        };
        let ask = |policy: &WorkspacePolicy, tier: &str| {
            let choices = Choices {
                request: Some(tier),
                ..Choices::default()
            };
            name(&choices, policy, &settings, &terms).map(|named| named.model)
        };
        assert_eq!(ask(&policy, "level_2"), Ok("mid".to_owned()));
        policy.tiers.insert(Tier::Level2, model("mine"));
        assert_eq!(ask(&policy, "level_2"), Ok("mine".to_owned()));
        policy.tiers.insert(Tier::Level2, model(DELEGATED));
        assert_eq!(ask(&policy, "level_2"), Ok("mid".to_owned()));
        assert_eq!(
            ask(&policy, "level_3"),
            Err(NoName::TierUnset(Tier::Level3))
        );
        policy.tiers.insert(Tier::Level3, model("level_2"));
        assert_eq!(
            ask(&policy, "level_3"),
            Err(NoName::TierUnset(Tier::Level3))
        );
        let choices = Choices {
            request: Some("level_2"),
            ..Choices::default()
        };
        let locked = name(&choices, &policy, &settings, &free());
        assert_eq!(locked, Err(NoName::TierLocked(Tier::Level2)));
    }

    #[test]
    fn mappings_apply_once_the_workspaces_first() {
        let rule = |pattern: &str, to: &str| ModelMapping {
            pattern: Glob::parse(pattern).expect("a pattern"),
            model: model(to),
        };
        let settings = Settings {
            model_mappings: vec![rule("gpt-3.5*", "instance"), rule("o1", "o3")],
            ..Settings::default()
        };
        let policy = WorkspacePolicy {
            model_mappings: vec![
                rule("gpt-3.5*", "gpt-4o-mini"),
                rule("gpt-4o-mini", "never"),
            ],
            ..WorkspacePolicy::default()
        };
        for (asked, expected) in [
            ("gpt-3.5-turbo", "gpt-4o-mini"),
            ("openai/gpt-3.5-turbo", "gpt-4o-mini"),
            ("o1", "o3"),
            ("openai/o1", "o3"),
            ("relay/openai/o1", "relay/openai/o1"),
            ("x", "x"),
        ] {
            let choices = Choices {
                request: Some(asked),
                ..Choices::default()
            };
            let named = name(&choices, &policy, &settings, &free()).expect("a name");
            assert_eq!(
                (named.model.as_str(), named.chosen.as_str()),
                (expected, asked)
            );
        }
    }
}
