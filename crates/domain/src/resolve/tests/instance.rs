//! What the instance offers: its modes, and its managed gateway.

use super::*;

#[test]
fn the_managed_gateway_serves_credits_and_never_an_own_key() {
    let mut world = World::new(Mode::Managed)
        .with(&[key(1, "openrouter", OURS), key(9, "openrouter", INSTANCE)]);
    world.gateway_candidates = vec![Candidate {
        provider: provider("openrouter"),
        model: "openai/m".to_owned(),
    }];
    let targets = world.resolve().outcome.expect("a target");
    assert_eq!((targets.len(), targets[0].model.as_str()), (1, "openai/m"));
    assert_eq!(targets[0].source, KeySource::Managed);
    world.policy.mode = Mode::Byok;
    assert_eq!(world.outcome(), "key_missing");
}

/// Lets the managed gateway have a name for the model, under this switch.
pub(super) fn relayed(world: &mut World, switch: ProviderSwitch) {
    world.gateway_candidates = vec![Candidate {
        provider: provider("openrouter"),
        model: "openai/m".to_owned(),
    }];
    let openrouter = provider("openrouter");
    world.settings.providers.insert(openrouter, switch);
}

#[test]
fn the_managed_gateway_is_bound_by_its_switch() {
    let platform = key(9, "openrouter", INSTANCE);
    let mut world = World::new(Mode::Managed).with(&[platform]);
    let only = |pattern: &str| ProviderSwitch {
        models: Some(vec![Glob::parse(pattern).expect("a pattern")]),
        ..ProviderSwitch::default()
    };
    relayed(&mut world, only("openai/*"));
    assert_eq!(world.order(), [9]);
    relayed(&mut world, only("mistral/*"));
    assert_eq!(world.outcome(), "managed_unavailable");
    let trace = world.resolve().trace;
    let closed = Step::new(
        12,
        Subject::Provider(provider("openrouter")),
        Verdict::SwitchedOff,
    );
    assert!(trace.contains(&closed), "{trace:?}");
    let off = ProviderSwitch {
        enabled: false,
        ..ProviderSwitch::default()
    };
    relayed(&mut world, off);
    assert_eq!(world.outcome(), "managed_unavailable");
}

#[test]
fn the_managed_gateway_serves_only_where_no_platform_key_of_a_provider_does() {
    let direct = key(8, "anthropic", INSTANCE);
    let relay = key(9, "openrouter", INSTANCE);
    let mut world = World::new(Mode::Managed).with(&[direct, relay]);
    world.candidates.push(candidate("anthropic"));
    relayed(&mut world, ProviderSwitch::default());
    assert_eq!(world.order(), [8]);
    let trace = world.resolve().trace;
    let spoken = |step: &Step| step.subject == Subject::Key(ProviderKeyId::from_bytes([9; 16]));
    assert!(!trace.iter().any(spoken), "{trace:?}");
    world.keys[0].enabled = false;
    assert_eq!(world.order(), [9]);
    // Consent to credits goes the same way.
    world.policy.mode = Mode::Auto;
    world.policy.managed_on_failure = true;
    world.keys.push(key(1, "openai", OURS));
    assert_eq!(world.order(), [1, 9]);
    world.keys[0].enabled = true;
    assert_eq!(world.order(), [1, 8]);
}

#[test]
fn a_mode_that_is_not_offered_binds_workspaces_that_have_it() {
    let said = |world: &World| {
        let trace = world.resolve().trace;
        let of = |verdict: Verdict| {
            let step = trace.iter().find(|step| step.verdict == verdict);
            step.map(|step| step.subject.clone())
        };
        (of(Verdict::NotOffered), of(Verdict::Applies))
    };
    let keys = [key(1, "openai", OURS), key(9, "openai", INSTANCE)];
    for mode in [Mode::Managed, Mode::Auto] {
        let mut world = World::new(mode).with(&keys);
        world.policy.managed_on_failure = true;
        world.settings.modes = vec![Mode::Byok];
        assert_eq!(world.order(), [1], "{mode}");
        let expected = (Some(Subject::Mode(mode)), Some(Subject::Mode(Mode::Byok)));
        assert_eq!(said(&world), expected);
        world.keys.remove(0);
        assert_eq!(world.outcome(), "key_missing", "{mode}");
        world.no_managed = true;
        assert_eq!(world.outcome(), "key_missing", "{mode}");
    }
    let mut world = World::new(Mode::Byok).with(&keys);
    world.settings.modes = vec![Mode::Managed];
    assert_eq!(world.outcome(), "mode_not_offered");
    assert_eq!(said(&world), (Some(Subject::Mode(Mode::Byok)), None));
    world.settings.modes = Mode::ALL.to_vec();
    assert_eq!(said(&world), (None, Some(Subject::Mode(Mode::Byok))));
}

#[test]
fn where_no_mode_with_credits_is_offered_no_rule_of_the_instance_spends_them() {
    let mut world = World::new(Mode::Byok).with(&[key(9, "openai", INSTANCE)]);
    world.removed.push(removed("openai"));
    world.settings.on_key_removed = OnKeyRemoved::Managed;
    assert_eq!(world.outcome(), "managed");
    world.settings.modes = vec![Mode::Byok];
    assert_eq!(world.outcome(), "key_revoked");
}
