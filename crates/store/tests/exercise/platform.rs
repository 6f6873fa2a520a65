//! Platform keys, templates, what may change of a key, and what is left of removed ones.

use domain::access::{Action, Role};
use domain::policy::{Mode, WorkspacePolicy};
use domain::price::PriceOverride;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{DeploymentId, KeyOwner, ProviderId, WorkspaceId};
use store::{Expect, ProviderKeys, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    platform_keys_serve_everybody_and_belong_to_nobodys_account,
    platform_keys_take_an_admin_when_they_change,
    a_key_keeps_its_level_order_and_prices,
    a_template_is_seen_by_nobody_but_who_asks_for_it,
    a_new_workspace_gets_copies_of_the_templates_or_nothing,
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
    keys.set_enabled(stored.context.key, false, &note, at)
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
        keys.set_enabled(id, false, &note, NOW).await.err(),
        keys.set_level(id, Some(1), &note, NOW).await.err(),
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
    keys.set_level(id, None, &note, later).await.expect("set");
    keys.set_fallback(id, false, &note, later)
        .await
        .expect("set");
    keys.set_prices(id, &[], &note, later).await.expect("set");
    assert!(world.store.revision().floor(first.account) >= floor + 3);
    let changed = read().await;
    assert_eq!(
        (changed.level, changed.fallback, changed.prices.as_slice()),
        (None, false, [].as_slice())
    );
    assert_eq!(changed.updated_at, later);
    keys.set_level(id, Some(9_999), &note, later)
        .await
        .expect("set");
    keys.set_prices(id, &[price], &note, later)
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
        keys.set_level(none, Some(1), &note, NOW).await,
        keys.set_fallback(none, true, &note, NOW).await,
        keys.set_prices(none, &[], &note, NOW).await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)));
    }
}

/// Stores a template of an account.
async fn template(world: &World, keys: &ProviderKeys<'_>) -> ProviderKeyRecord {
    let data_key = world.data_key(keys).await;
    let mut record = world.record(keys.owner(), keys.account(), data_key, "ai-defaults");
    record.template = true;
    let note = world.note("provider_key.create");
    keys.put(&record, Expect::New, &note, NOW)
        .await
        .expect("a template");
    record
}

async fn a_template_is_seen_by_nobody_but_who_asks_for_it(world: World) {
    let first = world.first().await;
    let account = world.account(&first).await;
    let keys = world.store.within_account(&account).provider_keys();
    let stored = template(&world, &keys).await;
    let id = stored.context.key;
    let read = async || keys.template(&openai()).await.expect("reads");
    assert_eq!(read().await, Some(stored.clone()));
    assert!(keys.list().await.expect("lists").is_empty());
    assert_eq!(keys.get(id).await.expect("reads"), None);
    let found = keys.find(&openai(), &stored.label).await;
    assert_eq!(found.expect("reads"), None);
    let scope = world.scope(&first, Action::WriteApiKeys).await;
    let serving = world.store.within(&scope).serving_keys().await;
    assert!(serving.expect("reads").is_empty());
    let (_, hash) = world.api_key(&scope, first.user, &[]).await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    assert!(caller.expect("reads").expect("lives").keys.is_empty());

    // It takes no label away, and there is one for a provider.
    let ordinary = world.put(&keys, "ai-defaults").await;
    assert_eq!(
        keys.list().await.expect("lists"),
        std::slice::from_ref(&ordinary)
    );
    let note = world.note("provider_key.create");
    let before = world.traces().await;
    let mut second = stored.clone();
    second.context.key = world.id();
    second.label = "other".parse().expect("a label");
    let refused = keys.put(&second, Expect::New, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    // Neither becomes the other, and nothing lets a template serve.
    let mut turned = stored.clone();
    turned.template = false;
    turned.context.version = 2;
    for refused in [
        keys.put(&turned, Expect::Version(1), &note, NOW).await,
        keys.set_enabled(id, true, &note, NOW).await,
        keys.set_label(id, &second.label, &note, NOW).await,
        keys.set_level(id, Some(1), &note, NOW).await,
    ] {
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    assert_eq!(world.traces().await, before);
    let mut next = stored.clone();
    next.context.version = 2;
    keys.put(&next, Expect::Version(1), &note, NOW)
        .await
        .expect("replaced");
    assert_eq!(read().await.map(|it| it.context.version), Some(2));
    assert!(keys.remove(id, &note, NOW).await.expect("removes"));
    assert_eq!(read().await, None);
    let within = world.store.within(&scope);
    assert!(within.removed_keys().await.expect("reads").is_empty());
}

async fn a_new_workspace_gets_copies_of_the_templates_or_nothing(world: World) {
    let first = world.first().await;
    let scope = world.own(&first).await;
    let own = world.store.own(&scope);
    let id: WorkspaceId = world.id();
    let owner = KeyOwner::Workspace(id);
    let data_key = DataKeyRecord {
        id: world.id(),
        owner,
        kms_key: "local".to_owned(),
        wrapped: vec![1],
        created_at: NOW,
    };
    let copy = world.record(owner, Some(first.account), data_key.id, "primary");
    let mut new = world.workspace(id, "Team");
    new.policy = WorkspacePolicy {
        mode: Mode::Auto,
        ..WorkspacePolicy::default()
    };
    let note = world.note("workspace.create");
    let before = world.traces().await;
    let mut anothers = copy.clone();
    anothers.context.owner = KeyOwner::Workspace(first.workspace);
    let mut still_template = copy.clone();
    still_template.template = true;
    for (copies, data_key) in [
        (vec![copy.clone()], None),
        (vec![copy.clone(), anothers], Some(&data_key)),
        (vec![still_template], Some(&data_key)),
    ] {
        let refused = own
            .create_workspace(&new, &copies, data_key, &note, NOW)
            .await;
        assert!(matches!(refused, Err(StoreError::NotFound)));
    }
    let refused = own
        .create_workspace(
            &new,
            &[copy.clone(), copy.clone()],
            Some(&data_key),
            &note,
            NOW,
        )
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);
    own.create_workspace(
        &new,
        std::slice::from_ref(&copy),
        Some(&data_key),
        &note,
        NOW,
    )
    .await
    .expect("created");
    let within = world
        .store
        .authorize_workspace(&first.principal(), id, Action::WriteProviderKeys)
        .await
        .expect("the owner may");
    let within = world.store.within(&within);
    let policy = within.policy().await.expect("reads");
    assert_eq!((policy.policy, policy.updated_at), (new.policy, NOW));
    let keys = within.provider_keys();
    assert_eq!(keys.list().await.expect("lists"), [copy]);
    assert_eq!(keys.data_key().await.expect("reads"), Some(data_key));
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
        (keys, removed[0].label.to_string())
    };
    let (keys, removed) = read(&owner).await;
    let mask = theirs.mask.clone();
    assert_eq!(
        keys,
        [
            (
                "secret-project".to_owned(),
                mask.clone(),
                theirs.context.key
            ),
            ("shared".to_owned(), mask.clone(), shared.context.key),
        ]
    );
    assert_eq!(removed, "gone");
    let (keys, removed) = read(&first).await;
    assert_eq!(
        keys,
        [
            ("hidden".to_owned(), "...".to_owned(), theirs.context.key),
            ("shared".to_owned(), mask, shared.context.key),
        ]
    );
    assert_eq!(removed, "hidden");
}
