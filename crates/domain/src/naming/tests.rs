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
