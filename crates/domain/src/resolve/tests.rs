use super::*;
use crate::glob::Glob;
use crate::id::DeploymentId;
use crate::plan;
use crate::policy::{ByokRule, LevelMapping, Mode};
use crate::settings::ProviderSwitch;
use crate::settings::{OnByokDisabled, OnKeyRemoved};
use crate::time::Timestamp;

mod instance;
mod properties;

const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([2; 16]);
const OURS: KeyOwner = KeyOwner::Workspace(WORKSPACE);
const ACCOUNTS: KeyOwner = KeyOwner::Account(ACCOUNT);
const INSTANCE: KeyOwner = KeyOwner::Instance(DeploymentId::from_bytes([3; 16]));

/// A call and everything that it points to.
#[derive(Debug, Clone)]
struct World {
    settings: Settings,
    policy: WorkspacePolicy,
    terms: PlanTerms,
    model: &'static str,
    candidates: Vec<Candidate>,
    gateway_candidates: Vec<Candidate>,
    keys: Vec<HeldKey>,
    removed: Vec<RemovedKey>,
    no_managed: bool,
}

impl World {
    fn new(mode: Mode) -> Self {
        Self {
            settings: Settings::default(),
            policy: WorkspacePolicy {
                mode,
                ..WorkspacePolicy::default()
            },
            terms: plan::shipped().remove(1).terms,
            model: "m",
            candidates: vec![candidate("openai")],
            gateway_candidates: Vec::new(),
            keys: Vec::new(),
            removed: Vec::new(),
            no_managed: false,
        }
    }

    fn with(mut self, keys: &[HeldKey]) -> Self {
        self.keys.extend_from_slice(keys);
        self
    }

    fn resolve(&self) -> Decision {
        resolve(&Call {
            workspace: WORKSPACE,
            account: ACCOUNT,
            settings: &self.settings,
            policy: &self.policy,
            terms: &self.terms,
            model: self.model,
            candidates: &self.candidates,
            gateway_candidates: &self.gateway_candidates,
            keys: &self.keys,
            removed: &self.removed,
            no_managed: self.no_managed,
        })
    }

    /// Ids of the keys that serve, in order.
    fn order(&self) -> Vec<u8> {
        let targets = self.resolve().outcome.expect("a target");
        targets.iter().map(|target| target.key.bytes()[0]).collect()
    }

    /// Who pays first, or the refusal in short.
    fn outcome(&self) -> &'static str {
        match self.resolve().outcome {
            Ok(targets) => targets[0].source.as_str(),
            Err(refusal) => short(&refusal),
        }
    }
}

fn short(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::ModelNotFound => "model_not_found",
        Refusal::ModeNotOffered => "mode_not_offered",
        Refusal::KeyMissing { .. } => "key_missing",
        Refusal::KeyDisabled { .. } => "key_disabled",
        Refusal::KeyRevoked { .. } => "key_revoked",
        Refusal::KeyDormant { .. } => "key_dormant",
        Refusal::ByokDisabled { .. } => "byok_disabled",
        Refusal::ByokRequired => "byok_required",
        Refusal::ByokForbidden => "byok_forbidden",
        Refusal::ManagedUnavailable { .. } => "managed_unavailable",
    }
}

fn provider(id: &str) -> ProviderId {
    id.parse().expect("a provider id")
}

fn candidate(id: &str) -> Candidate {
    Candidate {
        provider: provider(id),
        model: "m".to_owned(),
    }
}

fn key(id: u8, of: &str, owner: KeyOwner) -> HeldKey {
    HeldKey {
        id: ProviderKeyId::from_bytes([id; 16]),
        provider: provider(of),
        label: format!("label-{id}").parse().expect("a label"),
        owner,
        position: i64::from(id),
        level: None,
        fallback: false,
        enabled: true,
    }
}

fn removed(of: &str) -> RemovedKey {
    RemovedKey {
        owner: OURS,
        provider: provider(of),
        label: Label::default(),
        removed_at: Timestamp::from_millis(0),
    }
}

/// The state matrix: provider X, P = platform key, K = own key.
#[test]
fn the_state_matrix_holds() {
    let own = || key(1, "openai", OURS);
    let platform = || key(9, "openai", INSTANCE);
    type State = (&'static str, fn(World) -> World, Vec<HeldKey>);
    let states: [State; 6] = [
        ("K", |world| world, vec![own()]),
        ("P", |world| world, vec![platform()]),
        ("none", |world| world, vec![]),
        (
            "revoked, P",
            |mut world| {
                world.removed.push(removed("openai"));
                world
            },
            vec![platform()],
        ),
        (
            "switched off, K, P",
            |mut world| {
                let off = ProviderSwitch {
                    byok: false,
                    ..ProviderSwitch::default()
                };
                world.settings.providers.insert(provider("openai"), off);
                world
            },
            vec![own(), platform()],
        ),
        (
            "plan without byok, K, P",
            |mut world| {
                world.terms.byok = false;
                world
            },
            vec![own(), platform()],
        ),
    ];
    let expected = [
        // managed, byok, auto
        ["managed_unavailable", "byok", "byok"],
        ["managed", "key_missing", "managed"],
        ["managed_unavailable", "key_missing", "managed_unavailable"],
        ["managed", "key_revoked", "managed"],
        ["managed", "byok_disabled", "managed"],
        ["managed", "key_dormant", "managed"],
    ];
    for ((state, prepare, keys), row) in states.into_iter().zip(expected) {
        for (mode, outcome) in Mode::ALL.iter().zip(row) {
            let world = prepare(World::new(*mode).with(&keys));
            assert_eq!(world.outcome(), outcome, "{state} in mode {mode}");
        }
    }
    let both = World::new(Mode::Managed).with(&[own(), platform()]);
    assert_eq!(both.order(), [9], "an own key rests in the mode managed");
}

#[test]
fn own_keys_of_every_candidate_come_before_any_platform_key() {
    let mut world =
        World::new(Mode::Auto).with(&[key(9, "openai", INSTANCE), key(2, "openrouter", OURS)]);
    world.candidates.push(candidate("openrouter"));
    assert_eq!(world.order(), [2]);
    world.policy.managed_on_failure = true;
    assert_eq!(world.order(), [2, 9]);
}

#[test]
fn workspace_keys_come_before_account_keys_whatever_their_position() {
    let mut first = key(1, "openai", ACCOUNTS);
    first.position = 0;
    let world =
        World::new(Mode::Byok).with(&[first, key(3, "openai", OURS), key(2, "openai", OURS)]);
    assert_eq!(world.order(), [2, 3, 1]);
}

#[test]
fn levels_come_in_order_before_keys_without_one_and_the_mapped_level_first() {
    let at = |id, level| HeldKey {
        level,
        ..key(id, "openai", OURS)
    };
    let mut world =
        World::new(Mode::Byok).with(&[at(1, None), at(2, Some(2)), at(3, Some(1)), at(4, Some(1))]);
    assert_eq!(world.order(), [3, 4, 2, 1]);
    world.policy.level_mappings.push(LevelMapping {
        pattern: Glob::parse("m*").expect("a pattern"),
        level: 2,
    });
    assert_eq!(world.order(), [2, 3, 4, 1]);
    let targets = world.resolve().outcome.expect("targets");
    assert_eq!(targets[1].pool, targets[2].pool);
    assert_ne!(targets[0].pool, targets[1].pool);
    assert_eq!(targets[3].pool, None);
}

#[test]
fn a_level_is_mapped_however_the_model_is_spelled() {
    let at = |id, level| HeldKey {
        level: Some(level),
        ..key(id, "openai", OURS)
    };
    let mut world = World::new(Mode::Byok).with(&[at(1, 1), at(2, 2)]);
    world.candidates[0].model = "sonnet-dated".to_owned();
    for (model, pattern, fits) in [
        ("sonnet", "sonnet", true),
        ("openai/sonnet", "sonnet", true),
        ("openai/sonnet", "openai/*", true),
        ("level", "*-dated", true),
        ("a/openai/sonnet", "sonnet", false),
        ("sonnet", "openai/*", false),
    ] {
        world.model = model;
        world.policy.level_mappings = vec![LevelMapping {
            pattern: Glob::parse(pattern).expect("a pattern"),
            level: 2,
        }];
        let expected = if fits { [2, 1] } else { [1, 2] };
        assert_eq!(world.order(), expected, "{model} {pattern}");
    }
}

#[test]
fn credits_follow_a_failed_own_key_only_by_consent_on_top_of_the_mode() {
    let keys = [key(1, "openai", OURS), key(9, "openai", INSTANCE)];
    for mode in Mode::ALL {
        for consent in [false, true] {
            for allowed in [false, true] {
                let mut world = World::new(*mode).with(&keys);
                world.policy.managed_on_failure = consent;
                world.settings.managed_fallback_allowed = allowed;
                let expected: &[u8] = match mode {
                    Mode::Managed => &[9],
                    Mode::Auto if consent && allowed => &[1, 9],
                    Mode::Auto | Mode::Byok => &[1],
                };
                assert_eq!(world.order(), expected, "{mode} {consent} {allowed}");
            }
        }
    }
    let mut world = World::new(Mode::Auto).with(&keys);
    world.policy.managed_on_failure = true;
    let targets = world.resolve().outcome.expect("targets");
    assert_eq!(targets[1].when, When::OwnKeysFailed { denied_too: false });
    world.no_managed = true;
    assert_eq!(world.order(), [1], "a request may tighten");
}

#[test]
fn a_request_and_a_workspace_may_forbid_credits_and_own_keys() {
    let platform = key(9, "openai", INSTANCE);
    let mut world = World::new(Mode::Managed).with(std::slice::from_ref(&platform));
    world.no_managed = true;
    assert_eq!(world.outcome(), "byok_required");
    let mut world = World::new(Mode::Auto).with(std::slice::from_ref(&platform));
    world.no_managed = true;
    assert_eq!(world.outcome(), "key_missing");
    world.no_managed = false;
    world.policy.byok = ByokRule::Required;
    assert_eq!(world.outcome(), "byok_required");
    let mut world = World::new(Mode::Auto).with(&[key(1, "openai", OURS), platform]);
    world.policy.byok = ByokRule::Forbidden;
    assert_eq!(world.outcome(), "managed");
    world.policy.mode = Mode::Byok;
    assert_eq!(world.outcome(), "byok_forbidden");
}

#[test]
fn the_instances_rules_for_switched_off_and_removed_keys_hold() {
    let platform = key(9, "openai", INSTANCE);
    let mut world = World::new(Mode::Byok).with(&[key(1, "openai", OURS), platform.clone()]);
    world.settings.other_providers.byok = false;
    world.settings.on_byok_disabled = OnByokDisabled::Managed;
    assert_eq!(world.outcome(), "managed");
    world.policy.mode = Mode::Auto;
    world.settings.on_byok_disabled = OnByokDisabled::Refuse;
    assert_eq!(world.outcome(), "byok_disabled");

    let mut world = World::new(Mode::Auto).with(&[platform]);
    world.removed.push(removed("openai"));
    world.settings.on_key_removed = OnKeyRemoved::Refuse;
    assert_eq!(world.outcome(), "key_revoked");
    world.policy.mode = Mode::Byok;
    world.settings.on_key_removed = OnKeyRemoved::Managed;
    assert_eq!(world.outcome(), "managed");
}

#[test]
fn a_disabled_own_key_is_left_for_credits_only_by_consent() {
    let disabled = HeldKey {
        enabled: false,
        ..key(1, "openai", OURS)
    };
    let mut world = World::new(Mode::Auto).with(&[disabled, key(9, "openai", INSTANCE)]);
    assert_eq!(world.outcome(), "key_disabled");
    world.policy.managed_on_failure = true;
    assert_eq!(world.outcome(), "managed");
    world.keys[0].enabled = true;
    assert_eq!(world.outcome(), "byok");
}

#[test]
fn who_never_brought_a_key_is_not_moved_to_credits_by_a_switch() {
    let mut world = World::new(Mode::Byok).with(&[key(9, "openai", INSTANCE)]);
    world.settings.other_providers.byok = false;
    world.settings.on_byok_disabled = OnByokDisabled::Managed;
    assert_eq!(world.outcome(), "byok_disabled");
    world.keys.push(key(1, "openai", OURS));
    assert_eq!(world.outcome(), "managed");
}

#[test]
fn keys_marked_as_fallback_serve_after_credits() {
    let last = HeldKey {
        fallback: true,
        ..key(1, "openai", OURS)
    };
    let mut world =
        World::new(Mode::Auto).with(&[last, key(2, "openai", OURS), key(9, "openai", INSTANCE)]);
    assert_eq!(world.order(), [2, 1]);
    world.policy.managed_on_failure = true;
    assert_eq!(world.order(), [2, 9, 1]);
}

#[test]
fn a_model_further_back_is_no_way_around_consent() {
    let mut world = World::new(Mode::Auto).with(&[key(9, "openai", INSTANCE)]);
    let alone = world.resolve();
    world.keys.push(key(1, "openai", OURS));
    let own = world.resolve();
    let left = |world: &World, decisions: [&Decision; 3]| {
        let mut several = Several::new(&world.settings, &world.policy);
        let mut place = 0;
        decisions.map(|decision| {
            let mut decision = decision.clone();
            if let Ok(targets) = &mut decision.outcome {
                // The last model is the second one again.
                targets[0].model = format!("m{}", place.min(1));
                place += 1;
            }
            several.leave(&mut decision);
            let targets = decision.outcome.expect("served");
            let when = targets.iter().map(|it| (it.source, it.when));
            (when.collect::<Vec<_>>(), decision.trace.last().cloned())
        })
    };
    let managed = |when| vec![(KeySource::Managed, when)];
    let said = |verdict| Some(Step::new(14, Subject::Workspace, verdict));
    let [first, second, third] = left(&world, [&alone, &alone, &alone]);
    assert_eq!(
        (first.0, second.0),
        (managed(When::InTurn), managed(When::InTurn))
    );
    assert!(third.0.is_empty(), "the same key is asked for it already");
    let [first, second, _] = left(&world, [&own, &alone, &own]);
    assert_eq!(first.0, [(KeySource::Byok, When::InTurn)]);
    assert_eq!(second, (Vec::new(), said(Verdict::NoConsent)));
    world.policy.managed_on_failure = true;
    let [_, second, third] = left(&world, [&own, &alone, &alone]);
    let failed = When::OwnKeysFailed { denied_too: false };
    assert_eq!(second, (managed(failed), said(Verdict::Consents)));
    assert!(third.0.is_empty());
}

#[test]
fn a_provider_or_model_that_is_switched_off_is_not_there() {
    let mut world =
        World::new(Mode::Auto).with(&[key(1, "openai", OURS), key(9, "openai", INSTANCE)]);
    let only = ProviderSwitch {
        models: Some(vec![Glob::parse("other").expect("a pattern")]),
        ..ProviderSwitch::default()
    };
    world.settings.providers.insert(provider("openai"), only);
    assert_eq!(world.outcome(), "model_not_found");
    world.candidates.push(candidate("mistral"));
    assert_eq!(world.outcome(), "managed_unavailable");
}
