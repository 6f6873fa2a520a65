//! Opening a database: what is made, what is refused by name.

use std::time::Duration;

use domain::access::Action;
use store::{OpenError, Store, StoreError};

use crate::files::names;
use crate::world::{NOW, World, on_both_engines};

/// Longer than a lock is waited for, shorter than a statement may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shorter than a pool tries to connect.
const AT_ONCE: Duration = Duration::from_secs(5);

on_both_engines![
    a_database_opens_again_with_what_it_held,
    a_newer_schema_is_refused_by_its_number,
    a_changed_migration_is_refused,
    a_closed_store_is_unavailable,
    two_nodes_may_make_the_schema_at_once,
    a_hanging_change_holds_others_up_for_seconds_only,
    an_existing_database_opens_without_being_made_or_migrated,
    a_database_without_a_schema_was_never_started,
];

async fn a_database_opens_again_with_what_it_held(world: World) {
    let first = world.first().await;
    let latest = world.store.revision().latest();
    world.store.close().await;
    if world.is_sqlite() {
        // The lock goes with the last clone of the store, so look at the file from another folder.
        let copy = tempfile::tempdir().expect("a folder");
        let path = copy.path().join("store.db");
        std::fs::copy(world.folder().join("store.db"), &path).expect("copied");
        check(&format!("sqlite://{}", path.display()), &first, latest).await;
    } else {
        check(&world.url, &first, latest).await;
    }
}

async fn check(url: &str, first: &crate::world::Person, latest: i64) {
    let store = Store::open(url).await.expect("opens");
    assert_eq!(store.system().user_count().await.expect("counts"), 1);
    assert_eq!(store.revision().latest(), latest);
    assert_eq!(store.revision().floor(first.account), latest);
    store
        .authorize_workspace(&first.principal(), first.workspace, Action::DeleteWorkspace)
        .await
        .expect("still the owner");
    store.close().await;
}

/// Opens the same database anew, as another process would.
async fn reopen(world: &World) -> Result<Store, OpenError> {
    Store::open(&elsewhere(world, "again.db").await).await
}

/// The same, for a command beside the server.
async fn reopen_existing(world: &World) -> Result<Store, OpenError> {
    Store::open_existing(&elsewhere(world, "existing.db").await).await
}

/// Where another process finds the database: on SQLite a copy, because the store holds the file's lock.
async fn elsewhere(world: &World, name: &str) -> String {
    if !world.is_sqlite() {
        return world.url.to_string();
    }
    world.store.close().await;
    let path = world.folder().join(name);
    std::fs::copy(world.folder().join("store.db"), &path).expect("copied");
    format!("sqlite://{}", path.display())
}

async fn a_newer_schema_is_refused_by_its_number(world: World) {
    world
        .raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 900, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1;
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 901, 'last', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await
        .expect("written");
    for refused in [reopen(&world).await, reopen_existing(&world).await] {
        match refused.err() {
            Some(OpenError::NewerSchema { found, known }) => {
                assert_eq!((found, known), (901, store::schema_version()));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A database without anything in it, apart from the world's own.
async fn emptied(world: &World) -> String {
    if world.is_sqlite() {
        let path = world.folder().join("empty.db");
        std::fs::write(&path, b"").expect("written");
        return format!("sqlite://{}", path.display());
    }
    world
        .raw("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .expect("emptied");
    world.url.to_string()
}

async fn an_existing_database_opens_without_being_made_or_migrated(world: World) {
    let first = world.first().await;
    let url = elsewhere(&world, "copy.db").await;
    let store = Store::open_existing(&url).await.expect("opens");
    assert_eq!(store.system().user_count().await.expect("counts"), 1);
    let scope = store
        .authorize_workspace(&first.principal(), first.workspace, Action::UpdateWorkspace)
        .await
        .expect("the owner may");
    let note = world.note("workspace.update");
    let renamed = store.within(&scope).rename("x", &note, NOW).await;
    renamed.expect("it can be written as well");
    if world.is_sqlite() {
        let again = Store::open_existing(&url).await.err();
        assert!(matches!(again, Some(OpenError::InUse { .. })), "{again:?}");
    }
    store.close().await;
    let files = world.is_sqlite().then(|| names(world.folder()));
    if let Some(files) = files {
        let left = files.iter().any(|name| name.starts_with("copy.db-"));
        assert!(!left, "{files:?}");
    }
}

async fn a_database_without_a_schema_was_never_started(world: World) {
    let url = emptied(&world).await;
    let refused = Store::open_existing(&url).await.err();
    match &refused {
        Some(error @ OpenError::NeverStarted { .. }) => {
            assert!(error.to_string().contains("was never started"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    if world.is_sqlite() {
        let content = std::fs::read(world.folder().join("empty.db")).expect("is there");
        assert!(content.is_empty(), "nothing was written");
    } else {
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(world.number(tables).await, 0);
    }
    // And a start makes it one.
    Store::open(&url).await.expect("is made").close().await;
    if !world.is_sqlite() {
        let again = Store::open_existing(&url).await.expect("opens");
        again.close().await;
    }
}

async fn a_changed_migration_is_refused(world: World) {
    let statement = if world.is_sqlite() {
        "UPDATE _sqlx_migrations SET checksum = X'00'"
    } else {
        "UPDATE _sqlx_migrations SET checksum = '\\x00'"
    };
    world.raw(statement).await.expect("written");
    for refused in [reopen(&world).await, reopen_existing(&world).await] {
        match refused.err() {
            Some(OpenError::Migration(text)) => assert!(text.contains("modified"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_closed_store_is_unavailable(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::UpdateWorkspace).await;
    world.store.close().await;
    let read = world.store.within(&scope).workspace().await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let note = world.note("workspace.update");
    let write = world.store.within(&scope).rename("x", &note, NOW).await;
    assert!(
        matches!(write, Err(StoreError::Unavailable(_))),
        "{write:?}"
    );
    let before = world.store.revision().synced_at();
    assert!(world.store.poll_changes().await.is_err());
    assert_eq!(world.store.revision().synced_at(), before);
}

async fn two_nodes_may_make_the_schema_at_once(world: World) {
    if world.is_sqlite() {
        // One process has the file: the second is refused by name.
        // T151
        let path = world.folder().join("store.db");
        let link = world.folder().join("link.db");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        for name in [&path, &link] {
            match Store::open(&format!("sqlite://{}", name.display()))
                .await
                .err()
            {
                Some(OpenError::InUse { path: named }) => {
                    assert_eq!(named, path.display().to_string());
                }
                other => panic!("{other:?}"),
            }
        }
        return;
    }
    world
        .raw("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .expect("emptied");
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let url = world.url.clone();
            tokio::spawn(async move { Store::open(&url).await.expect("opens") })
        })
        .collect();
    for task in tasks {
        let store = task.await.expect("ran");
        assert_eq!(store.system().user_count().await.expect("counts"), 0);
        store.close().await;
    }
}

async fn a_hanging_change_holds_others_up_for_seconds_only(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::UpdateWorkspace).await;
    let before = world.traces().await;
    let hanging = world.hang().await;
    let note = world.note("workspace.update");
    let within = world.store.within(&scope);
    let refused = tokio::time::timeout(PATIENCE, within.rename("x", &note, NOW))
        .await
        .expect("an answer in time");
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    within.workspace().await.expect("readers go on");
    drop(hanging);
    assert_eq!(world.traces().await, before);
    within
        .rename("y", &note, NOW)
        .await
        .expect("and so do changes");
}

/// An error and everything behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source} {source:?}"));
        next = source.source();
    }
    text
}

#[tokio::test]
async fn a_server_that_does_not_take_us_is_named_at_once() {
    const SECRET: &str = "hunter2";
    let mut cases = vec![(
        format!("postgres://me:{SECRET}@127.0.0.1:1/none"),
        "refused",
    )];
    if let Some(world) = World::postgres().await {
        let (scheme, rest) = world.url.split_once("://").expect("a URL");
        let (_, rest) = rest.split_once('@').expect("a role");
        let (host, _) = rest.split_once('/').expect("a database");
        cases.push((
            format!("{scheme}://postgres:{SECRET}@{host}/nowhere"),
            "database \"nowhere\" does not exist",
        ));
        cases.push((
            format!("{scheme}://nobody:{SECRET}@{host}/postgres"),
            "role \"nobody\" does not exist",
        ));
        world.run(async |_| {}).await;
    }
    for (url, reason) in cases {
        for existing in [false, true] {
            let opening = async {
                if existing {
                    Store::open_existing(&url).await
                } else {
                    Store::open(&url).await
                }
            };
            let refused = tokio::time::timeout(AT_ONCE, opening).await;
            let refused = refused.expect("an answer at once").err();
            let text = chain(&refused.expect("nobody lets us in"));
            assert!(text.contains(reason), "{text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

#[tokio::test]
async fn an_odd_url_or_folder_is_refused_by_name() {
    for url in [
        "",
        "store.db",
        "sqlite://store.db",
        "mysql://x",
        "sqlite::memory:",
    ] {
        let refused = Store::open(url).await.err();
        assert!(
            matches!(refused, Some(OpenError::Url(_))),
            "{url}: {refused:?}"
        );
    }
    let refused = Store::open("sqlite:///nowhere/at/all/store.db").await.err();
    match refused {
        Some(OpenError::File { path, .. }) => {
            assert_eq!(path, "/nowhere/at/all/store.db");
        }
        other => panic!("{other:?}"),
    }
}
