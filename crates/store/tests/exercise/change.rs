//! What changes of a provider key without its value: one thing, or several at once.

use domain::access::Action;
use domain::price::PriceOverride;
use domain::record::ProviderKeyRecord;
use domain::{Label, ProviderKeyId};
use store::{AuditNote, Expect, KeyChange, PageRequest, StoreError};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    several_changes_are_one_revision_with_a_row_each,
    of_several_changes_all_come_or_none,
    an_empty_change_leaves_no_trace,
    a_replacement_and_its_changes_are_one,
];

pub(crate) fn label(label: &Label) -> KeyChange {
    KeyChange {
        label: Some(label.clone()),
        ..KeyChange::default()
    }
}

pub(crate) fn enabled(enabled: bool) -> KeyChange {
    KeyChange {
        enabled: Some(enabled),
        ..KeyChange::default()
    }
}

pub(crate) fn position(position: i64) -> KeyChange {
    KeyChange {
        position: Some(position),
        ..KeyChange::default()
    }
}

pub(crate) fn level(level: Option<i64>) -> KeyChange {
    KeyChange {
        level: Some(level),
        ..KeyChange::default()
    }
}

pub(crate) fn fallback(fallback: bool) -> KeyChange {
    KeyChange {
        fallback: Some(fallback),
        ..KeyChange::default()
    }
}

pub(crate) fn prices(prices: &[PriceOverride]) -> KeyChange {
    KeyChange {
        prices: Some(prices.to_vec()),
        ..KeyChange::default()
    }
}

/// Everything changes.
fn whole() -> KeyChange {
    let price = r#"{"provider":"openai","model":"*","price":{"input":"1","output":"2"}}"#;
    KeyChange {
        label: Some("second".parse().expect("a label")),
        enabled: Some(false),
        position: Some(5),
        level: Some(Some(2)),
        fallback: Some(true),
        prices: Some(vec![serde_json::from_str(price).expect("a price")]),
    }
}

fn about(world: &World, action: &'static str, key: &ProviderKeyRecord) -> AuditNote {
    AuditNote {
        provider: Some(key.context.provider.clone()),
        label: Some(key.label.clone()),
        kek_id: Some("sealed-to".to_owned()),
        subject: Some(key.context.key.to_string()),
        ..world.note(action)
    }
}

/// What the newest rows say, oldest first: action, label, sealing key.
async fn audited(
    world: &World,
    person: &Person,
    rows: usize,
) -> Vec<(String, String, Option<String>)> {
    let scope = world.scope(person, Action::ReadAudit).await;
    let page = world
        .store
        .within(&scope)
        .audit(&store::AuditFilter::default(), &PageRequest::default())
        .await;
    let mut newest: Vec<_> = page.expect("lists").items.into_iter().take(rows).collect();
    newest.reverse();
    let told = |row: store::AuditRow| {
        let label = row.label.expect("of a key").to_string();
        (row.action, label, row.kek_id)
    };
    newest.into_iter().map(told).collect()
}

async fn several_changes_are_one_revision_with_a_row_each(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    let id = stored.context.key;
    let (latest, audited_before) = (world.store.revision().latest(), rows(&world).await);
    let later = NOW.plus_millis(3);
    let note = about(&world, "ignored", &stored);
    keys.update(id, &whole(), &note, later)
        .await
        .expect("changed");
    assert_eq!(world.store.revision().latest(), latest + 1);
    assert_eq!(rows(&world).await, audited_before + 6);
    let actions = [
        "set_label",
        "set_position",
        "set_level",
        "set_fallback",
        "set_prices",
        "disable",
    ];
    let expected = actions.map(|action| {
        let action = format!("provider_key.{action}");
        (action, "second".to_owned(), None)
    });
    assert_eq!(audited(&world, &first, 6).await, expected);
    let whole = whole();
    let changed = ProviderKeyRecord {
        label: whole.label.expect("changes"),
        enabled: false,
        position: 5,
        level: Some(2),
        fallback: true,
        prices: whole.prices.expect("change"),
        updated_at: later,
        ..stored
    };
    assert_eq!(keys.get(id).await.expect("reads"), Some(changed.clone()));

    // What is not named stays; none is a level, too.
    keys.update(id, &level(None), &note, later)
        .await
        .expect("changed");
    let changed = ProviderKeyRecord {
        level: None,
        ..changed
    };
    assert_eq!(keys.get(id).await.expect("reads"), Some(changed));
    assert_eq!(
        audited(&world, &first, 1).await,
        [(
            "provider_key.set_level".to_owned(),
            "primary".to_owned(),
            None
        )]
    );
}

async fn of_several_changes_all_come_or_none(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    world.put(&keys, "second").await;
    let before = (world.traces().await, keys.list().await.expect("lists"));
    let note = about(&world, "ignored", &stored);
    let taken = keys.update(stored.context.key, &whole(), &note, NOW).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    let nobody: ProviderKeyId = world.id();
    let gone = keys.update(nobody, &whole(), &note, NOW).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    let after = (world.traces().await, keys.list().await.expect("lists"));
    assert_eq!(after, before);
}

async fn an_empty_change_leaves_no_trace(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    let before = world.traces().await;
    let note = about(&world, "ignored", &stored);
    let later = NOW.plus_millis(3);
    keys.update(stored.context.key, &KeyChange::default(), &note, later)
        .await
        .expect("nothing to do");
    assert_eq!(world.traces().await, before);
    assert_eq!(keys.list().await.expect("lists"), [stored]);
}

async fn a_replacement_and_its_changes_are_one(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "primary").await;
    world.put(&keys, "second").await;
    let mut next = stored.clone();
    next.context.version = 2;
    next.envelope = b"another envelope".to_vec();
    let note = about(&world, "provider_key.replace", &stored);
    let before = (world.traces().await, keys.list().await.expect("lists"));
    // The label is another key's: the value must stay, too.
    let refused = keys
        .put_with(&next, Expect::Version(1), &whole(), &note, NOW)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let after = (world.traces().await, keys.list().await.expect("lists"));
    assert_eq!(after, before);

    let latest = world.store.revision().latest();
    keys.put_with(&next, Expect::Version(1), &level(Some(7)), &note, NOW)
        .await
        .expect("replaced");
    assert_eq!(world.store.revision().latest(), latest + 1);
    let sealed_to = Some("sealed-to".to_owned());
    let label = || "primary".to_owned();
    assert_eq!(
        audited(&world, &first, 2).await,
        [
            ("provider_key.replace".to_owned(), label(), sealed_to),
            ("provider_key.set_level".to_owned(), label(), None),
        ]
    );
    let replaced = ProviderKeyRecord {
        level: Some(7),
        ..next
    };
    let read = keys.get(stored.context.key).await.expect("reads");
    assert_eq!(read, Some(replaced));
}

async fn rows(world: &World) -> i64 {
    world.number("SELECT count(*) FROM audit").await
}
