//! Keys that are copied into new workspaces.

use domain::access::Action;
use domain::policy::{Mode, WorkspacePolicy};
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{KeyOwner, ProviderId, WorkspaceId};
use store::{Expect, ProviderKeys, StoreError};

use crate::change;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_template_is_seen_by_nobody_but_who_asks_for_it,
    a_new_workspace_gets_copies_of_the_templates_or_nothing,
];

fn openai() -> ProviderId {
    "openai".parse().expect("a provider id")
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
        keys.update(id, &change::enabled(true), &note, NOW).await,
        keys.update(id, &change::label(&second.label), &note, NOW)
            .await,
        keys.update(id, &change::level(Some(1)), &note, NOW).await,
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
