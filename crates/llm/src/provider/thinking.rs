//! How a provider's models are asked to think in Anthropic's messages and in Gemini's content.
//!
//! Source: <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking> and `effort` beside it. From Claude 4.6 on a
//! model thinks as it sees fit, with an effort; those before know a budget of tokens and no effort. So it is with Gemini 3,
//! <https://ai.google.dev/gemini-api/docs/thinking>, where an effort is a level.

use domain::glob::Glob;
use serde::Deserialize;

/// How a model is asked to think.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thinking {
    /// As it sees fit, with an effort.
    #[default]
    Adaptive,
    /// So, and it cannot be told not to.
    Always,
    /// Within a budget of tokens.
    Budget,
    /// So, and it cannot be told not to.
    BudgetAlways,
    /// It cannot.
    Never,
}

/// The models that are asked otherwise than as they see fit, by the provider's own names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkingRules {
    /// Those that cannot be told not to think.
    #[serde(default)]
    pub always: Vec<Glob>,
    /// Those that know only a budget.
    #[serde(default)]
    pub budget: Vec<Glob>,
    /// Those that know only a budget and cannot be told not to think.
    #[serde(default)]
    pub budget_always: Vec<Glob>,
    /// Those that do not think.
    #[serde(default)]
    pub never: Vec<Glob>,
}

impl ThinkingRules {
    /// How `model` is asked to think: as the closest pattern says.
    pub(super) fn of(&self, model: &str) -> Thinking {
        let rules = [
            (&self.always, Thinking::Always),
            (&self.budget, Thinking::Budget),
            (&self.budget_always, Thinking::BudgetAlways),
            (&self.never, Thinking::Never),
        ];
        let fitting = rules.into_iter().flat_map(|(patterns, thinking)| {
            let fitting = patterns.iter().filter(|it| it.matches(model));
            fitting.map(move |it| (it.specificity(), thinking))
        });
        let closest = fitting.max_by_key(|(specificity, _)| *specificity);
        closest.map_or(Thinking::Adaptive, |(_, thinking)| thinking)
    }
}
