//! Platform keys, what may change of a key, and what is left of removed ones.

use domain::access::{Action, Role};
use domain::price::PriceOverride;
use domain::record::ProviderKeyRecord;
use domain::{DeploymentId, KeyOwner, ProviderId};
use store::{Expect, StoreError};

use crate::change;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    platform_keys_serve_everybody_and_belong_to_nobodys_account,
    platform_keys_take_an_admin_when_they_change,
    a_key_keeps_its_level_order_and_prices,
    a_removed_key_is_remembered_until_it_is_replaced,
    an_accounts_labels_are_for_its_owner,
];

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([9; 16]);

fn openai() -> ProviderId {
    "openai".parse().expect("a provider id")
}

async fn platform_keys_serve_everybody_and_belong_to_nobodys_account(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let system = world.store.system();
    assert!(!system.has_platform_keys().await.expect("reads"));
    let keys = system.platform_keys(&scope, DEPLOYMENT);
    assert_eq!(
        (keys.owner(), keys.account()),
        (KeyOwner::Instance(DEPLOYMENT), None)
    );
    let everybody = world.store.revision().everybody();
    let stored = world.put(&keys, "primary").await;
    assert!(world.store.revision().everybody() > everybody);
    assert!(system.has_platform_keys().await.expect("reads"));
    assert_eq!(
        keys.list().await.expect("lists"),
        std::slice::from_ref(&stored)
    );
    assert_eq!(
        keys.find(&openai(), &stored.label).await.expect("finds"),
        Some(stored.clone())
    );
    let instance = world.store.serving().instance().await.expect("reads");
    assert_eq!(instance.keys, std::slice::from_ref(&stored));
    assert_eq!(instance.data_keys[0].id, stored.data_key);
    // Doctor and rotation walk over them.
    assert_eq!(
        system.provider_keys(None, 10).await.expect("reads"),
        std::slice::from_ref(&stored)
    );
    assert_eq!(
        system.data_keys(None, 10).await.expect("reads"),
        instance.data_keys
    );

    // No caller has them among its own.
    let own = world.scope(&first, Action::WriteApiKeys).await;
    let (_, hash) = world.api_key(&own, first.user, &[]).await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    assert!(caller.expect("reads").expect("lives").keys.is_empty());

    // The data plane notes on them as on others.
    let at = NOW.plus_millis(1);
    let serving = world.store.serving();
    serving
        .mark_used(&[(stored.context.key, at)], &[])
        .await
        .expect("noted");
    let note = world.note("provider_key.disable");
    let everybody = world.store.revision().everybody();
    keys.update(stored.context.key, &change::enabled(false), &note, at)
        .await
        .expect("disabled");
    assert!(world.store.revision().everybody() > everybody);
    assert!(!system.has_platform_keys().await.expect("reads"));
    let instance = world.store.serving().instance().await.expect("reads");
    assert_eq!(instance.keys[0].last_used_at, Some(at));
    assert!(
        keys.remove(stored.context.key, &note, NOW)
            .await
            .expect("removes")
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM removed_provider_keys")
            .await,
        0
    );
}

async fn platform_keys_take_an_admin_when_they_change(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let keys = world.store.system().platform_keys(&scope, DEPLOYMENT);
    let stored = world.put(&keys, "primary").await;
    world
        .raw("UPDATE users SET instance_admin = 0")
        .await
        .expect("demoted");
    let before = world.traces().await;
    let note = world.note("provider_key.update");
    let (id, record) = (stored.context.key, stored.clone());
    let more = ProviderKeyRecord {
        label: "more".parse().expect("a label"),
        ..record
    };
    for refused in [
        keys.put(&more, Expect::New, &note, NOW).await.err(),
        keys.update(id, &change::enabled(false), &note, NOW)
            .await
            .err(),
        keys.update(id, &change::level(Some(1)), &note, NOW)
            .await
            .err(),
        keys.remove(id, &note, NOW).await.err(),
    ] {
        assert!(
            matches!(refused, Some(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(world.traces().await, before);
}

async fn a_key_keeps_its_level_order_and_prices(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let data_key = world.data_key(&keys).await;
    let price: PriceOverride = serde_json::from_str(
        r#"{"provider":"openai","model":"gpt-*","price":{"input":"1.25","output":"10"}}"#,
    )
    .expect("a price");
    let mut stored = world.record(keys.owner(), keys.account(), data_key, "primary");
    stored.level = Some(3);
    stored.fallback = true;
    stored.prices = vec![price.clone()];
    let note = world.note("provider_key.create");
    keys.put(&stored, Expect::New, &note, NOW)
        .await
        .expect("stored");
    let id = stored.context.key;
    let read = async || keys.get(id).await.expect("reads").expect("is there");
    assert_eq!(read().await, stored);

    let floor = world.store.revision().floor(first.account);
    let later = NOW.plus_millis(7);
    keys.update(id, &change::level(None), &note, later)
        .await
        .expect("set");
    keys.update(id, &change::fallback(false), &note, later)
        .await
        .expect("set");
    keys.update(id, &change::prices(&[]), &note, later)
        .await
        .expect("set");
    assert!(world.store.revision().floor(first.account) >= floor + 3);
    let changed = read().await;
    assert_eq!(
        (changed.level, changed.fallback, changed.prices.as_slice()),
        (None, false, [].as_slice())
    );
    assert_eq!(changed.updated_at, later);
    keys.update(id, &change::level(Some(9_999)), &note, later)
        .await
        .expect("set");
    keys.update(id, &change::prices(&[price]), &note, later)
        .await
        .expect("set");

    // A new value changes none of it.
    let mut next = stored.clone();
    next.context.version = 2;
    next.level = Some(1);
    next.fallback = true;
    next.prices = vec![];
    keys.put(&next, Expect::Version(1), &note, later)
        .await
        .expect("replaced");
    let replaced = read().await;
    assert_eq!(
        (replaced.level, replaced.fallback, &replaced.prices),
        (Some(9_999), false, &stored.prices)
    );
    let none = world.id();
    for refused in [
        keys.update(none, &change::level(Some(1)), &note, NOW).await,
        keys.update(none, &change::fallback(true), &note, NOW).await,
        keys.update(none, &change::prices(&[]), &note, NOW).await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)));
    }
}

async fn a_removed_key_is_remembered_until_it_is_replaced(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let within = world.store.within(&scope);
    let of_workspace = within.provider_keys();
    let of_account = world.store.within_account(&account).provider_keys();
    let (_, hash) = world.api_key(&scope, first.user, &[]).await;
    let note = world.note("provider_key.remove");
    for keys in [&of_workspace, &of_account] {
        let stored = world.put(keys, "work").await;
        let at = NOW.plus_millis(3);
        assert!(
            keys.remove(stored.context.key, &note, at)
                .await
                .expect("removes")
        );
        let removed = within.removed_keys().await.expect("reads");
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].owner, keys.owner());
        assert_eq!(removed[0].provider, openai());
        assert_eq!(removed[0].label, stored.label);
        assert_eq!(removed[0].removed_at, at);
        let caller = world.store.serving().caller(&hash, NOW).await;
        let caller = caller.expect("reads").expect("lives");
        assert_eq!(caller.removed, removed);
        world.put(keys, "again").await;
        assert_eq!(within.removed_keys().await.expect("reads"), []);
    }
    let stored = of_workspace.list().await.expect("lists").remove(0);
    of_workspace
        .remove(stored.context.key, &note, NOW)
        .await
        .expect("removes");
    within.delete(&note, NOW).await.expect("deleted");
    let left = world
        .number("SELECT count(*) FROM removed_provider_keys")
        .await;
    assert_eq!(left, 0);
}

async fn an_accounts_labels_are_for_its_owner(world: World) {
    let first = world.first().await;
    let owner = world.person(&first, "owner@example.com").await;
    world
        .join(&owner, &first, "first@example.com", Role::Admin)
        .await;
    let account = world.account(&owner).await;
    let of_account = world.store.within_account(&account).provider_keys();
    let scope = world.scope(&owner, Action::WriteProviderKeys).await;
    let of_workspace = world.store.within(&scope).provider_keys();
    let theirs = world.put(&of_account, "secret-project").await;
    let shared = world.put(&of_workspace, "shared").await;
    let note = world.note("provider_key.remove");
    let gone = {
        let mut record = world.record(
            of_account.owner(),
            of_account.account(),
            theirs.data_key,
            "gone",
        );
        record.context.provider = "mistral".parse().expect("a provider");
        of_account
            .put(&record, Expect::New, &note, NOW)
            .await
            .expect("stored");
        of_account
            .remove(record.context.key, &note, NOW)
            .await
            .expect("removes")
    };
    assert!(gone);
    let read = async |who: &crate::world::Person| {
        let scope = world
            .store
            .authorize_workspace(&who.principal(), owner.workspace, Action::ReadPolicy)
            .await
            .expect("a member may");
        let within = world.store.within(&scope);
        let mut keys: Vec<_> = within
            .serving_keys()
            .await
            .expect("reads")
            .into_iter()
            .map(|key| (key.label.to_string(), key.mask, key.context.key))
            .collect();
        keys.sort();
        let removed = within.removed_keys().await.expect("reads");
        let sees = within.sees_account_labels().await.expect("reads");
        (keys, removed[0].label.to_string(), sees)
    };
    let mask = theirs.mask.clone();
    let keys = vec![
        (
            "secret-project".to_owned(),
            mask.clone(),
            theirs.context.key,
        ),
        ("shared".to_owned(), mask, shared.context.key),
    ];
    // A decision is the same whoever asks for it; what is shown of it is not.
    for (who, sees) in [(&owner, true), (&first, false)] {
        assert_eq!(read(who).await, (keys.clone(), "gone".to_owned(), sees));
    }
}
