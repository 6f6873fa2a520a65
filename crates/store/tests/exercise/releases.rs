//! Keys that leave: noted together with their audit rows while it is allowed, or not at all.

use domain::access::Action;
use domain::policy::WorkspacePolicy;
use domain::settings::Settings;
use store::{KeyChange, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![released_values_are_noted_with_their_audit_rows_or_not_at_all];

async fn released_values_are_noted_with_their_audit_rows_or_not_at_all(world: World) {
    let first = world.first().await;
    let admin = world.instance(&first).await;
    let scope = world.scope(&first, Action::ReleaseProviderKeys).await;
    let within = world.store.within(&scope);
    let keys = within.provider_keys();
    let one = world.put(&keys, "one").await;
    let two = world.put(&keys, "two").await;
    let later = NOW.plus_millis(5);
    let released = |first: i64, second: i64| {
        let note = world.note("provider_key.release");
        [
            (one.context.key, first, note.clone()),
            (two.context.key, second, note),
        ]
    };
    let refused = async |first, second, why: &str| {
        let before = world.traces().await;
        let noted = keys.note_released(&released(first, second), later).await;
        assert!(matches!(noted, Err(StoreError::Conflict(_))), "{why}");
        assert_eq!(world.traces().await, before, "{why}");
        let key = keys
            .get(one.context.key)
            .await
            .expect("asks")
            .expect("is there");
        assert_eq!(key.last_released_at, None, "{why}");
    };
    let settings = async |allowed: bool| {
        let system = world.store.system();
        let current = system.settings().await.expect("reads");
        let new = Settings {
            release_keys_allowed: allowed,
            ..current.clone()
        };
        let note = world.note("settings.update");
        let put = system
            .put_settings(&admin, &current, &new, &note, NOW)
            .await;
        put.expect("put");
    };
    let policy = async |on: bool| {
        let current = within.policy().await.expect("reads").policy;
        let new = WorkspacePolicy {
            release_keys: on,
            ..current.clone()
        };
        let note = world.note("policy.set_release_keys");
        let put = within.put_policy(&current, &new, &note, NOW).await;
        put.expect("put");
    };
    refused(1, 1, "nobody allows it").await;
    policy(true).await;
    refused(1, 1, "the instance does not").await;
    settings(true).await;
    refused(1, 2, "the second was replaced").await;
    let pause = |enabled| KeyChange {
        enabled: Some(enabled),
        ..KeyChange::default()
    };
    let note = world.note("provider_key.update");
    let paused = keys
        .update(two.context.key, &pause(false), &note, NOW)
        .await;
    paused.expect("paused");
    refused(1, 1, "the second is paused").await;
    let awake = keys.update(two.context.key, &pause(true), &note, NOW).await;
    awake.expect("awake");

    let noted = keys.note_released(&released(1, 1), later).await;
    noted.expect("allowed");
    for id in [one.context.key, two.context.key] {
        let key = keys.get(id).await.expect("asks").expect("is there");
        assert_eq!(key.last_released_at, Some(later));
        assert_eq!(key.last_used_at, Some(later));
    }
    let rows = world
        .number("SELECT count(*) FROM audit WHERE action = 'provider_key.release'")
        .await;
    assert_eq!(rows, 2);

    // An account's keys have no way out.
    let account = world.account(&first).await;
    let of_account = world.store.within_account(&account).provider_keys();
    let third = world.put(&of_account, "three").await;
    let note = world.note("provider_key.release");
    let noted = of_account
        .note_released(&[(third.context.key, 1, note)], later)
        .await;
    assert!(matches!(noted, Err(StoreError::NotFound)));
}
