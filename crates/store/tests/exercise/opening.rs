//! Opening a database: what is made, what is refused by name.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use domain::access::Action;
use store::{OpenError, Store, StoreError};

use crate::world::{NOW, World, on_both_engines};

/// Longer than a lock is waited for, shorter than a statement may take.
const PATIENCE: Duration = Duration::from_secs(20);

on_both_engines![
    a_database_opens_again_with_what_it_held,
    a_newer_schema_is_refused_by_its_number,
    a_changed_migration_is_refused,
    a_closed_store_is_unavailable,
    two_nodes_may_make_the_schema_at_once,
    a_hanging_change_holds_others_up_for_seconds_only,
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
    if !world.is_sqlite() {
        return Store::open(&world.url).await;
    }
    world.store.close().await;
    let path = world.folder().join("copy.db");
    std::fs::copy(world.folder().join("store.db"), &path).expect("copied");
    Store::open(&format!("sqlite://{}", path.display())).await
}

async fn a_newer_schema_is_refused_by_its_number(world: World) {
    world
        .raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 900, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await
        .expect("written");
    match reopen(&world).await.err() {
        Some(OpenError::NewerSchema { found, known }) => {
            assert_eq!((found, known), (900, 1));
        }
        other => panic!("{other:?}"),
    }
}

async fn a_changed_migration_is_refused(world: World) {
    let statement = if world.is_sqlite() {
        "UPDATE _sqlx_migrations SET checksum = X'00'"
    } else {
        "UPDATE _sqlx_migrations SET checksum = '\\x00'"
    };
    world.raw(statement).await.expect("written");
    match reopen(&world).await.err() {
        Some(OpenError::Migration(text)) => assert!(text.contains("modified"), "{text}"),
        other => panic!("{other:?}"),
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

#[tokio::test]
async fn a_sqlite_file_is_its_owners_alone() {
    let world = World::sqlite().await;
    world.first().await;
    let files = std::fs::read_dir(world.folder()).expect("the folder");
    let mut seen = Vec::new();
    for file in files {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
        seen.push(file.file_name().into_string().expect("a name"));
    }
    seen.sort();
    assert_eq!(
        seen,
        ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
    );
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
    // No error shows the password in a URL.
    let secret = "hunter2";
    let refused = Store::open(&format!("postgres://me:{secret}@127.0.0.1:1/none"))
        .await
        .err()
        .expect("nobody listens there");
    let text = format!("{refused} {refused:?}");
    assert!(!text.contains(secret), "{text}");
}
