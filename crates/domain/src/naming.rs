//! From the name that a caller gives to the name that providers are looked up by.
//!
//! The closest that chose wins: request, conversation, API key, workspace, instance. A ranking at the end of what was
//! chosen is read, a preset stands for its models; then a tier stands for its model, and a mapping may put another in its
//! place. Each happens once.

mod grammar;

use crate::plan::PlanTerms;
use crate::policy::{DELEGATED, ModelMapping, ModelName, Tier, WorkspacePolicy, words};
use crate::preset::PresetName;
use crate::ranking::Ranking;
use crate::settings::Settings;

pub(crate) use grammar::split;
use grammar::{is_spelled_out, marked};
pub use grammar::{is_unchosen, tier_in};

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
    /// The preset that it is, if it is one.
    pub preset: Option<PresetName>,
    /// By what the providers of the model are put in order; none: as they stand.
    pub ranking: Option<Ranking>,
    /// The tier that it is, if it is one.
    pub tier: Option<Tier>,
    /// The mapping that put another model in its place.
    pub mapped_by: Option<ModelMapping>,
    /// The name that providers are looked up by.
    pub model: String,
}

impl Named {
    /// The tier that the account's plan must open. A default is somebody else's choice: of tiers only one that the caller
    /// names is gated, or one that a preset does, which is looked at when it is called alone.
    pub fn gated_tier(&self) -> Option<Tier> {
        self.tier
            .filter(|_| is_gated(self.chosen_by, self.preset.as_ref()))
    }
}

fn is_gated(chosen_by: ChosenBy, preset: Option<&PresetName>) -> bool {
    let is_default = matches!(chosen_by, ChosenBy::Workspace | ChosenBy::Instance);
    !is_default || preset.is_some()
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
    /// The workspace has no such preset, but these.
    PresetUnknown(Vec<PresetName>),
}

impl NoName {
    /// The code of the answer, the same in the refusal of a call and in its explanation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotChosen => "model_not_chosen",
            // What the name stands for is not there; that it could be is a hint beside the code.
            Self::TierUnset(_) | Self::PresetUnknown(_) => "model_not_found",
            Self::TierLocked(_) => "plan_required",
        }
    }
}

/// Finds the names that providers are looked up by, in the order in which they are tried and never none: a preset may
/// stand for several models. `is_listed` says whether the registry has a text as the name of a model.
///
/// A text that is a model's name as it stands is that name, whatever it looks like. Else `:` and a [`Ranking`] at its end
/// are no part of the name, and [`MARK`](crate::preset::MARK) at its beginning makes it that of a preset. Every other text is a name.
///
/// # Errors
/// Each is [`NoName`] where nothing was chosen, or what was chosen is locked or stands for nothing.
pub fn names(
    choices: &Choices<'_>,
    policy: &WorkspacePolicy,
    settings: &Settings,
    terms: &PlanTerms,
    is_listed: impl Fn(&str) -> bool,
) -> Vec<Result<Named, NoName>> {
    let stands = |text: &str| is_listed(text) || is_spelled_out(text, policy, settings);
    let Some(Chosen {
        by: chosen_by,
        text: chosen,
        name,
        ranking,
    }) = choose(choices, policy, settings, stands)
    else {
        return vec![Err(NoName::NotChosen)];
    };
    let named = |model: &str, preset: Option<&PresetName>, ranking: Option<Ranking>| {
        let is_open = |tier| !is_gated(chosen_by, preset) || terms.opens(tier);
        let name = name_of(model, is_open, policy, settings)?;
        Ok(Named {
            chosen_by,
            chosen: chosen.to_owned(),
            preset: preset.cloned(),
            ranking,
            tier: name.tier,
            mapped_by: name.mapped_by.cloned(),
            model: name.model.to_owned(),
        })
    };
    let Some((of_preset, base)) = marked(name, stands) else {
        return vec![named(name, None, ranking)];
    };
    let Some((of_preset, preset)) = policy.presets.get_key_value(of_preset) else {
        // Some makers begin the names of their models with the same mark.
        return vec![match base {
            Some(_) => named(name, None, ranking),
            None => Err(NoName::PresetUnknown(
                policy.presets.keys().cloned().collect(),
            )),
        }];
    };
    let base = base.filter(|it| !it.is_empty());
    if let Some(base) = base {
        return vec![named(base, Some(of_preset), ranking)];
    }
    let each = preset.models.iter().map(|model| {
        let (model, own) = split(model.as_str(), stands);
        named(model, Some(of_preset), ranking.or(own))
    });
    each.collect()
}

/// The preset that the choices come to, whether anything of it may serve or not. As [`names`] finds it.
pub fn preset_of<'a>(
    choices: &Choices<'_>,
    policy: &'a WorkspacePolicy,
    settings: &Settings,
    is_listed: impl Fn(&str) -> bool,
) -> Option<&'a PresetName> {
    let stands = |text: &str| is_listed(text) || is_spelled_out(text, policy, settings);
    let chosen = choose(choices, policy, settings, stands)?;
    let (of_preset, _) = marked(chosen.name, stands)?;
    let (name, _) = policy.presets.get_key_value(of_preset)?;
    Some(name)
}

/// The name that providers are looked up by, and how it came about.
struct Name<'a> {
    tier: Option<Tier>,
    mapped_by: Option<&'a ModelMapping>,
    model: &'a str,
}

fn name_of<'a>(
    chosen: &'a str,
    is_open: impl Fn(Tier) -> bool,
    policy: &'a WorkspacePolicy,
    settings: &'a Settings,
) -> Result<Name<'a>, NoName> {
    let tier: Option<Tier> = chosen.parse().ok();
    let model = match tier {
        None => chosen,
        Some(tier) if !is_open(tier) => return Err(NoName::TierLocked(tier)),
        Some(tier) => behind(tier, policy, settings).ok_or(NoName::TierUnset(tier))?,
    };
    let mapped_by = mapping(model, policy, settings);
    Ok(Name {
        tier,
        mapped_by,
        model: mapped_by.map_or(model, |it| it.model.as_str()),
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

/// What was chosen.
struct Chosen<'a> {
    by: ChosenBy,
    /// As it stands.
    text: &'a str,
    /// Without its ranking.
    name: &'a str,
    /// Its ranking, or that of a level above, which left only the name to others.
    ranking: Option<Ranking>,
}

fn choose<'a>(
    choices: &Choices<'a>,
    policy: &'a WorkspacePolicy,
    settings: &'a Settings,
    stands: impl Fn(&str) -> bool,
) -> Option<Chosen<'a>> {
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
    let mut ranking = None;
    levels.into_iter().find_map(|(by, text)| {
        let text = text.filter(|text| !text.is_empty())?;
        let (name, own) = split(text, &stands);
        ranking = ranking.or(own);
        (name != UNCHOSEN).then_some(Chosen {
            by,
            text,
            name,
            ranking,
        })
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
mod tests;
