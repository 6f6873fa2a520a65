//! The order of an owner's keys for a provider: all of them at once, or none.

use domain::access::Action;
use domain::{ProviderId, ProviderKeyId};
use store::{PageRequest, ProviderKeys};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    keys_are_put_into_order_in_one_change,
    an_order_of_other_keys_changes_nothing,
];

async fn stand(keys: &ProviderKeys<'_>) -> Vec<(ProviderKeyId, i64)> {
    let all = keys.list().await.expect("lists");
    all.iter()
        .map(|key| (key.context.key, key.position))
        .collect()
}

async fn keys_are_put_into_order_in_one_change(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let within = world.store.within(&scope);
    for keys in [
        within.provider_keys(),
        world.store.within_account(&account).provider_keys(),
    ] {
        let mut ids = Vec::new();
        let mut provider: Option<ProviderId> = None;
        for label in ["a", "b", "c"] {
            let stored = world.put(&keys, label).await;
            ids.push(stored.context.key);
            provider = Some(stored.context.provider);
        }
        let provider = provider.expect("three keys");
        let before = world.traces().await;
        let order = [ids[2], ids[0], ids[1]];
        let note = world.note("provider_key.set_order");
        let later = NOW.plus_millis(5);
        assert!(
            keys.put_order(&provider, &order, &note, later)
                .await
                .expect("ordered")
        );
        assert_eq!(stand(&keys).await, [(ids[2], 0), (ids[0], 1), (ids[1], 2)]);
        let changed = keys.get(ids[1]).await.expect("asks").expect("is there");
        assert_eq!(changed.updated_at, later);
        let after = world.traces().await;
        let moved = (0..before.len()).filter(|n| before[*n] != after[*n]);
        assert_eq!(
            moved.count(),
            4,
            "a revision and a row, each with its number"
        );
        // As they stand already: nothing happens.
        let again = keys.put_order(&provider, &order, &note, later).await;
        assert!(again.expect("as they stand"));
        assert_eq!(world.traces().await, after);
    }
    let rows = within
        .audit(&store::AuditFilter::default(), &PageRequest::default())
        .await
        .expect("lists");
    let orders = rows.items.iter();
    let orders = orders.filter(|row| row.action == "provider_key.set_order");
    assert_eq!(orders.count(), 1, "of the workspace's keys");
}

async fn an_order_of_other_keys_changes_nothing(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account = world.account(&first).await;
    let keys = world.store.within(&scope).provider_keys();
    let a = world.put(&keys, "a").await.context;
    let b = world.put(&keys, "b").await.context.key;
    let foreign = world.store.within_account(&account).provider_keys();
    let foreign = world.put(&foreign, "a").await.context.key;
    let (before, stood) = (world.traces().await, stand(&keys).await);
    let none: ProviderId = "anthropic".parse().expect("an id");
    for (provider, order) in [
        (&a.provider, vec![b]),
        (&a.provider, vec![b, a.key, b]),
        (&a.provider, vec![b, a.key, foreign]),
        (&a.provider, vec![b, foreign]),
        (&none, vec![b, a.key]),
    ] {
        let note = world.note("provider_key.set_order");
        let ordered = keys.put_order(provider, &order, &note, NOW).await;
        assert!(!ordered.expect("asks"), "{order:?}");
    }
    assert_eq!(stand(&keys).await, stood);
    assert_eq!(world.traces().await, before);
}
