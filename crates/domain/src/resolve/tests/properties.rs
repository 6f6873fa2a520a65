//! What holds for every call.

use proptest::prelude::*;

use super::instance::relayed;
use super::*;

const PROVIDERS: [&str; 3] = ["openai", "anthropic", "openrouter"];

fn any_owner() -> impl Strategy<Value = KeyOwner> {
    prop_oneof![
        Just(OURS),
        Just(ACCOUNTS),
        Just(INSTANCE),
        Just(KeyOwner::Workspace(WorkspaceId::from_bytes([8; 16]))),
        Just(KeyOwner::Account(AccountId::from_bytes([8; 16]))),
    ]
}

fn any_key() -> impl Strategy<Value = HeldKey> {
    let of = prop::sample::select(PROVIDERS.to_vec());
    let flags = (any::<bool>(), any::<bool>());
    (
        any::<u8>(),
        of,
        any_owner(),
        0..4_i64,
        prop::option::of(1..3_i64),
        flags,
    )
        .prop_map(
            |(id, of, owner, position, level, (fallback, enabled))| HeldKey {
                position,
                level,
                fallback,
                enabled,
                ..key(id, of, owner)
            },
        )
}

fn any_world() -> impl Strategy<Value = World> {
    let words = (
        prop::sample::select(Mode::ALL.to_vec()),
        prop::sample::select(ByokRule::ALL.to_vec()),
        prop::sample::select(OnByokDisabled::ALL.to_vec()),
        prop::sample::select(OnKeyRemoved::ALL.to_vec()),
    );
    let flags = (any::<[bool; 6]>(), any::<[bool; 6]>());
    let modes = prop::sample::subsequence(Mode::ALL.to_vec(), 0..=3);
    let keys = prop::collection::vec(any_key(), 0..8);
    let gone = prop::collection::vec(prop::sample::select(PROVIDERS.to_vec()), 0..2);
    (words, flags, keys, 0..4_usize, gone, modes).prop_map(
        |(words, (flags, switches), mut keys, known, gone, modes)| {
            // An id names one key.
            keys.sort_by_key(|key| key.id);
            keys.dedup_by_key(|key| key.id);
            let mut world = World::new(words.0).with(&keys);
            world.policy.byok = words.1;
            world.settings.on_byok_disabled = words.2;
            world.settings.on_key_removed = words.3;
            world.policy.managed_on_failure = flags[0];
            world.policy.managed_on_denied = flags[1];
            world.settings.managed_fallback_allowed = flags[2];
            world.terms.byok = flags[3];
            world.no_managed = flags[4];
            world.settings.modes = modes;
            if flags[5] {
                relayed(&mut world, ProviderSwitch::default());
            }
            world.candidates = PROVIDERS[..known.min(3)]
                .iter()
                .map(|id| candidate(id))
                .collect();
            for (id, pair) in PROVIDERS.iter().zip(switches.chunks(2)) {
                let switch = ProviderSwitch {
                    enabled: pair[0],
                    byok: pair[1],
                    ..ProviderSwitch::default()
                };
                world.settings.providers.insert(provider(id), switch);
            }
            world.removed = gone.into_iter().map(removed).collect();
            world
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn credits_are_never_spent_without_consent_and_no_foreign_or_resting_key_serves(world in any_world()) {
        let decision = world.resolve();
        let Ok(targets) = &decision.outcome else { return Ok(()); };
        prop_assert!(!targets.is_empty());
        let mut own_before = false;
        let mode = world.settings.effective_mode(world.policy.mode);
        let direct = |key: &HeldKey| {
            let asked = world.candidates.iter().any(|it| it.provider == key.provider);
            key.owner == INSTANCE && key.enabled && asked && world.settings.switch(&key.provider).enabled
        };
        let has_direct = world.keys.iter().any(direct);
        prop_assert!(mode.is_some());
        for target in targets {
            let key = world.keys.iter().find(|key| key.id == target.key).expect("a key of the call");
            let switch = world.settings.switch(&target.provider);
            prop_assert!(key.enabled && switch.enabled && key.provider == target.provider);
            match target.source {
                KeySource::Byok => {
                    prop_assert!(key.owner == OURS || key.owner == ACCOUNTS);
                    prop_assert!(mode != Some(Mode::Managed) && world.policy.byok != ByokRule::Forbidden);
                    prop_assert!(world.terms.byok && switch.byok);
                    prop_assert!(target.when == When::InTurn);
                    own_before = true;
                }
                KeySource::Managed => {
                    prop_assert!(key.owner == INSTANCE);
                    prop_assert!(!world.no_managed && world.policy.byok != ByokRule::Required);
                    // The gateway's names have a slash.
                    prop_assert!(!(has_direct && target.model.contains('/')));
                    let offered = |mode| world.settings.modes.contains(&mode);
                    prop_assert!(offered(Mode::Managed) || offered(Mode::Auto));
                    let by_mode = mode == Some(Mode::Managed)
                        || (mode == Some(Mode::Auto) && world.settings.managed_fallback_allowed);
                    // The two rules with which an admin of the instance moves everybody to the instance's keys, and
                    // only those whose own key was switched off or is gone.
                    let switched_off = world.candidates.iter().any(|it| !world.settings.switch(&it.provider).byok);
                    let by_switch = world.settings.on_byok_disabled == OnByokDisabled::Managed && switched_off;
                    let by_removal =
                        world.settings.on_key_removed == OnKeyRemoved::Managed && !world.removed.is_empty();
                    let moved = world.settings.managed_fallback_allowed && (by_switch || by_removal);
                    prop_assert!(by_mode || moved);
                    if own_before {
                        prop_assert!(mode == Some(Mode::Auto) && world.policy.managed_on_failure);
                        prop_assert_ne!(target.when, When::InTurn);
                    }
                }
            }
        }
    }

    #[test]
    fn the_trace_explains_the_result(world in any_world()) {
        let decision = world.resolve();
        let said = |id: ProviderKeyId| decision.trace.iter().filter(move |step| step.subject == Subject::Key(id));
        let serves = |step: &Step| matches!(step.verdict, Verdict::Serves | Verdict::ServesLast);
        match &decision.outcome {
            Ok(targets) => {
                for target in targets {
                    prop_assert!(said(target.key).any(serves));
                }
                // Whoever is said to serve does.
                for step in decision.trace.iter().filter(|step| serves(step)) {
                    prop_assert!(targets.iter().any(|it| step.subject == Subject::Key(it.key)));
                }
            }
            Err(_) => prop_assert!(!decision.trace.iter().any(serves)),
        }
        prop_assert!(!decision.trace.is_empty());
    }
}
