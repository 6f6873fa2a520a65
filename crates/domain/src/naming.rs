//! From the name that a caller gives to the name that providers are looked up by.
//!
//! The closest that chose wins: request, conversation, API key, workspace, instance. A ranking at the end of what was
//! chosen is read, a preset stands for its models; then a tier stands for its model, and a mapping may put another in its
//! place. Each happens once.

use crate::plan::PlanTerms;
use crate::policy::{DELEGATED, ModelMapping, ModelName, Tier, WorkspacePolicy, words};
use crate::preset::{self, PresetName};
use crate::ranking::Ranking;
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
/// are no part of the name, and [`preset::MARK`] at its beginning makes it that of a preset. Every other text is a name.
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

/// Of a name with [`preset::MARK`] the preset's, and what stands behind the slash if there is one.
fn marked(name: &str, stands: impl Fn(&str) -> bool) -> Option<(&str, Option<&str>)> {
    let marked = name.strip_prefix(preset::MARK).filter(|_| !stands(name))?;
    Some(match marked.split_once('/') {
        Some((of_preset, base)) => (of_preset, Some(base)),
        None => (marked, None),
    })
}

/// The name and the ranking at its end, if it has one.
pub(crate) fn split(text: &str, stands: impl Fn(&str) -> bool) -> (&str, Option<Ranking>) {
    let ranked = || {
        let (name, word) = text.rsplit_once(':')?;
        let ranking: Ranking = word.parse().ok()?;
        (!name.is_empty() && !stands(text)).then_some((name, Some(ranking)))
    };
    ranked().unwrap_or((text, None))
}

/// Whether a mapping has the text as it is in the place of a name.
fn is_spelled_out(text: &str, policy: &WorkspacePolicy, settings: &Settings) -> bool {
    let mut rules = policy.model_mappings.iter().chain(&settings.model_mappings);
    rules.any(|rule| rule.pattern.as_str() == text && !text.contains('*'))
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

/// The tier that a text names by itself, a ranking at its end or not.
pub fn tier_in(text: &str) -> Option<Tier> {
    split(text, |_| false).0.parse().ok()
}

/// Whether a text leaves the choice to others, a ranking at its end or not.
pub fn is_unchosen(text: &str) -> bool {
    split(text, |_| false).0 == UNCHOSEN
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
mod tests {
    use super::*;
    use crate::glob::Glob;
    use crate::plan;

    fn model(name: &str) -> ModelName {
        name.parse().expect("a model")
    }

    /// For names of which none is listed and none a preset of several models.
    fn name(
        choices: &Choices<'_>,
        policy: &WorkspacePolicy,
        settings: &Settings,
        terms: &PlanTerms,
    ) -> Result<Named, NoName> {
        names(choices, policy, settings, terms, |_| false).remove(0)
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

    /// What comes of a name: models with their rankings, or the code of the refusal.
    fn read(text: &str) -> Vec<String> {
        let preset = |json: &str| serde_json::from_str(json).expect("a preset");
        let policy = WorkspacePolicy {
            presets: [
                (
                    "fast".parse().expect("a name"),
                    preset(r#"{"models":["gpt-4o-mini:latency","level_1"]}"#),
                ),
                (
                    "cf".parse().expect("a name"),
                    preset(r#"{"models":["one"]}"#),
                ),
            ]
            .into(),
            model_mappings: vec![
                ModelMapping {
                    pattern: Glob::parse("my:cost").expect("a pattern"),
                    model: model("mapped"),
                },
                ModelMapping {
                    pattern: Glob::parse("old*").expect("a pattern"),
                    model: model("new:cost"),
                },
            ],
            tiers: [(Tier::Level1, model("small"))].into(),
            ..WorkspacePolicy::default()
        };
        let choices = Choices {
            request: Some(text),
            ..Choices::default()
        };
        let listed = ["host:latency", "@cf/listed", "org/x:cost"];
        let names = names(&choices, &policy, &Settings::default(), &free(), |it| {
            listed.contains(&it)
        });
        let show = |named: &Result<Named, NoName>| match named {
            Err(no_name) => no_name.code().to_owned(),
            Ok(named) => match named.ranking {
                None => named.model.clone(),
                Some(ranking) => format!("{} by {ranking}", named.model),
            },
        };
        names.iter().map(show).collect()
    }

    #[test]
    fn a_name_is_read_by_one_grammar() {
        let not_found = "model_not_found";
        for (text, expected) in [
            ("gpt-4o", &["gpt-4o"][..]),
            ("openai/gpt-4o", &["openai/gpt-4o"]),
            ("gpt-4o:cost", &["gpt-4o by cost"]),
            ("openai/gpt-4o:latency", &["openai/gpt-4o by latency"]),
            ("org/model:throughput", &["org/model by throughput"]),
            (
                "relay/openai/gpt-4o:balanced",
                &["relay/openai/gpt-4o by balanced"],
            ),
            // Only the four words are rankings, in this spelling.
            ("gpt-4o:Cost", &["gpt-4o:Cost"]),
            ("gpt-4o:quality", &["gpt-4o:quality"]),
            ("gpt-4o:", &["gpt-4o:"]),
            (":cost", &[":cost"]),
            ("ft:gpt-4o:org::id", &["ft:gpt-4o:org::id"]),
            ("ft:gpt-4o:org::id:cost", &["ft:gpt-4o:org::id by cost"]),
            ("llama3:8b", &["llama3:8b"]),
            ("llama3:8b:cost", &["llama3:8b by cost"]),
            ("openrouter/x/y:free", &["openrouter/x/y:free"]),
            (
                "openrouter/x/y:free:latency",
                &["openrouter/x/y:free by latency"],
            ),
            ("anthropic.claude-v1:0", &["anthropic.claude-v1:0"]),
            // Once.
            ("gpt-4o:cost:latency", &["gpt-4o:cost by latency"]),
            // What exists as it stands is that.
            ("host:latency", &["host:latency"]),
            ("host:latency:cost", &["host:latency by cost"]),
            ("org/x:cost", &["org/x:cost"]),
            ("my:cost", &["mapped"]),
            // What a mapping puts in the place is a name, and nothing else.
            ("old:latency", &["new:cost by latency"]),
            ("level_1:cost", &["small by cost"]),
            ("@fast", &["gpt-4o-mini by latency", "small"]),
            ("@fast:cost", &["gpt-4o-mini by cost", "small by cost"]),
            ("@fast/other", &["other"]),
            ("@fast/level_1:cost", &["small by cost"]),
            ("@fast/", &["gpt-4o-mini by latency", "small"]),
            ("@slow", &[not_found]),
            ("@slow:cost", &[not_found]),
            ("@Fast", &[not_found]),
            ("@fast:quality", &[not_found]),
            ("@", &[not_found]),
            // Names of models that begin with the mark.
            ("@cf/listed", &["@cf/listed"]),
            ("@hf/thebloke/x", &["@hf/thebloke/x"]),
            ("@hf/thebloke/x:cost", &["@hf/thebloke/x by cost"]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_ranking_behind_default_ranks_what_was_chosen_elsewhere() {
        let policy = WorkspacePolicy {
            model: Some(model("gpt-4o:latency")),
            ..WorkspacePolicy::default()
        };
        for (request, api_key, expected) in [
            ("default:cost", None, ("gpt-4o", Some(Ranking::Cost))),
            ("default", None, ("gpt-4o", Some(Ranking::Latency))),
            (
                "default",
                Some("default:cost"),
                ("gpt-4o", Some(Ranking::Cost)),
            ),
            (
                "default:cost",
                Some("o3:throughput"),
                ("o3", Some(Ranking::Cost)),
            ),
            ("default:other", None, ("default:other", None)),
        ] {
            let choices = Choices {
                request: Some(request),
                api_key,
                ..Choices::default()
            };
            let named = name(&choices, &policy, &Settings::default(), &free()).expect("a name");
            assert_eq!((named.model.as_str(), named.ranking), expected, "{request}");
        }
        assert!(is_unchosen("default:cost") && is_unchosen("default"));
        assert!(!is_unchosen("default:other"));
    }

    #[test]
    fn a_preset_opens_no_tier_that_the_plan_locks() {
        let preset = r#"{"models":["level_2","free"]}"#;
        let policy = WorkspacePolicy {
            presets: [(
                "fast".parse().expect("a name"),
                serde_json::from_str(preset).expect("a preset"),
            )]
            .into(),
            tiers: [(Tier::Level2, model("dear"))].into(),
            ..WorkspacePolicy::default()
        };
        let choices = Choices {
            request: Some("@fast"),
            ..Choices::default()
        };
        let names = names(&choices, &policy, &Settings::default(), &free(), |_| false);
        let models: Vec<_> = names
            .iter()
            .map(|it| it.as_ref().map(|it| it.model.as_str()))
            .collect();
        assert_eq!(models, [Err(&NoName::TierLocked(Tier::Level2)), Ok("free")]);
        let paid = PlanTerms {
            tiers: vec![Tier::Level2],
            ..free()
        };
        let opened = super::names(&choices, &policy, &Settings::default(), &paid, |_| false);
        let gated = opened.into_iter().map(|it| it.map(|it| it.gated_tier()));
        assert_eq!(
            gated.collect::<Vec<_>>(),
            [Ok(Some(Tier::Level2)), Ok(None)]
        );
        // Nor where it is the workspace's default, which its admins could not set to the tier itself.
        let policy = WorkspacePolicy {
            model: Some(model("@fast")),
            ..policy
        };
        let none = Choices::default();
        let names = super::names(&none, &policy, &Settings::default(), &free(), |_| false);
        assert_eq!(names[0], Err(NoName::TierLocked(Tier::Level2)));
        assert_eq!(tier_in("level_2:cost"), Some(Tier::Level2));
        assert_eq!(tier_in("level_2:other"), None);
    }
}
