use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const LIMITED: Strain = Strain::Limited {
    retry_after_ms: None,
};
const FAILED: Strain = Strain::Failed {
    retry_after_ms: None,
};

fn key(id: u8) -> KeyVersion {
    (ProviderKeyId::from_bytes([id; 16]), 1)
}

fn used(id: u8) -> KeyUse {
    with_model(id, "m")
}

fn with_model(id: u8, model: &str) -> KeyUse {
    KeyUse {
        key: key(id),
        model: model.to_owned(),
    }
}

fn at(millis: i64) -> Timestamp {
    NOW.plus_millis(millis)
}

/// The order of keys 1, 2 and 3, and whether the first is on trial.
fn order(health: &Health, now: Timestamp) -> (Vec<u8>, Option<Trial>) {
    health.line_up(vec![1, 2, 3], |id| used(*id), now, |_| {})
}

#[test]
fn a_limited_key_goes_behind_the_others_until_it_wakes() {
    let health = Health::default();
    assert_eq!(order(&health, NOW).0, [1, 2, 3]);
    health.failed(used(1), LIMITED, NOW);
    assert_eq!(health.sleeping_until(key(1), NOW), Some(at(1_000)));
    assert_eq!(order(&health, at(999)).0, [2, 3, 1]);
    assert_eq!(order(&health, at(1_000)).0, [1, 2, 3]);
    // Another value of the same key never failed.
    assert_eq!(health.sleeping_until((key(1).0, 2), NOW), None);
}

#[test]
fn a_rest_is_bounded_and_no_failure() {
    let health = Health::default();
    health.rests(used(1), 20, NOW);
    health.rests(used(2), 1 << 40, NOW);
    assert_eq!(health.sleeping_until(key(1), NOW), Some(at(1_000)));
    assert_eq!(health.sleeping_until(key(2), NOW), Some(at(60_000)));
    assert_eq!(order(&health, NOW).0, [3, 1, 2]);
    // It shortens no sleep, and the first failure after it begins at the beginning.
    health.rests(used(2), 1_000, NOW);
    assert_eq!(health.sleeping_until(key(2), NOW), Some(at(60_000)));
    health.failed(used(1), LIMITED, at(1_000));
    assert_eq!(health.sleeping_until(key(1), at(1_000)), Some(at(2_000)));
    health.rests(with_model(3, "other"), 5_000, NOW);
    assert_eq!(order(&health, at(2_000)).0[0], 1);
}

#[test]
fn when_all_sleep_the_one_that_wakes_first_comes_first() {
    let health = Health::default();
    for (id, retry_after_ms) in [(1, 9_000), (2, 3_000), (3, 6_000)] {
        let strain = Strain::Limited {
            retry_after_ms: Some(retry_after_ms),
        };
        health.failed(used(id), strain, NOW);
    }
    assert_eq!(order(&health, at(1)).0, [2, 3, 1]);
}

#[test]
fn a_woken_key_is_tried_by_one_call_and_recovers_or_sleeps_twice_as_long() {
    let health = Health::default();
    health.failed(used(1), LIMITED, NOW);
    let (line, trial) = order(&health, at(1_000));
    assert!(line[0] == 1 && trial.is_some());
    // Meanwhile others pass it by.
    let (line, second) = order(&health, at(1_001));
    assert!(line == [2, 3, 1] && second.is_none());
    health.failed(used(1), LIMITED, at(1_002));
    drop(trial);
    assert_eq!(health.sleeping_until(key(1), at(1_002)), Some(at(3_002)));
    let (line, trial) = order(&health, at(3_002));
    assert!(line[0] == 1 && trial.is_some());
    // A call that was given up says nothing: the next one tries.
    drop(trial);
    let (_, trial) = order(&health, at(3_003));
    assert!(trial.is_some());
    health.succeeded(|| used(1));
    drop(trial);
    let (line, trial) = order(&health, at(3_004));
    assert!(line == [1, 2, 3] && trial.is_none());
    health.failed(used(1), LIMITED, at(3_005));
    assert_eq!(health.sleeping_until(key(1), at(3_005)), Some(at(4_005)));
}

#[test]
fn sleeps_grow_to_a_minute_and_named_ones_are_bounded() {
    let health = Health::default();
    let mut now = NOW;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        health.failed(used(1), LIMITED, now);
        let until = health.sleeping_until(key(1), now).expect("it sleeps");
        assert_eq!(until.millis_since(now), seconds * 1_000);
        now = until;
    }
    for (named, slept) in [(0, 1_000), (50_000, 50_000), (86_400_000, 60_000)] {
        let strain = Strain::Limited {
            retry_after_ms: Some(named),
        };
        health.failed(used(2), strain, NOW);
        assert_eq!(health.sleeping_until(key(2), NOW), Some(at(slept)));
    }
}

#[test]
fn other_failures_put_a_key_to_sleep_only_when_they_repeat() {
    let health = Health::default();
    health.failed(used(1), FAILED, NOW);
    assert_eq!(health.sleeping_until(key(1), NOW), None);
    health.succeeded(|| used(1));
    health.failed(used(1), FAILED, NOW);
    assert_eq!(health.sleeping_until(key(1), NOW), None);
    health.failed(used(1), FAILED, at(10));
    assert_eq!(health.sleeping_until(key(1), at(10)), Some(at(1_010)));
    // Late news of calls that began before says nothing new.
    health.failed(used(1), FAILED, at(20));
    assert_eq!(health.sleeping_until(key(1), at(20)), Some(at(1_010)));
    health.failed(used(1), FAILED, at(1_010));
    assert_eq!(health.sleeping_until(key(1), at(1_010)), Some(at(3_010)));
}

#[test]
fn a_clock_that_is_set_back_wakes_everybody() {
    let health = Health::default();
    health.failed(used(1), LIMITED, NOW);
    assert_eq!(health.sleeping_until(key(1), at(-3_600_000)), None);
}

#[test]
fn a_key_that_is_limited_for_one_model_serves_others_and_one_that_fails_serves_none() {
    let health = Health::default();
    let order = |model: &str, now| {
        let (line, _) = health.line_up(vec![1, 2], |id| with_model(*id, model), now, |_| {});
        line
    };
    health.failed(with_model(1, "a"), LIMITED, NOW);
    assert_eq!((order("a", NOW), order("b", NOW)), (vec![2, 1], vec![1, 2]));
    assert_eq!(health.sleeping_until(key(1), NOW), Some(at(1_000)));
    // Success with one model says nothing of the limit of another.
    health.succeeded(|| with_model(1, "b"));
    assert_eq!(order("a", NOW), [2, 1]);
    health.failed(with_model(1, "a"), FAILED, NOW);
    health.failed(with_model(1, "b"), FAILED, NOW);
    assert_eq!(order("c", NOW), [2, 1]);
    health.succeeded(|| with_model(1, "a"));
    assert_eq!((order("a", NOW), order("c", NOW)), (vec![1, 2], vec![1, 2]));
}
