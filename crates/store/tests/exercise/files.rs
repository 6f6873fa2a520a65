//! The files of a SQLite database: which there are, and who may read them.

use std::os::unix::fs::PermissionsExt;

use store::Store;

use crate::world::World;

#[tokio::test]
async fn a_sqlite_file_is_its_owners_alone() {
    let world = World::sqlite().await;
    world.first().await;
    assert_eq!(
        names(world.folder()),
        ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
    );
    for name in names(world.folder()) {
        assert_eq!(mode(&world.folder().join(&name)), 0o600, "{name}");
    }
}

fn mode(path: &std::path::Path) -> u32 {
    let metadata = path.metadata().expect("its mode");
    metadata.permissions().mode() & 0o777
}

#[tokio::test]
async fn a_file_that_others_could_read_is_taken_from_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let url = format!("sqlite://{}", path.display());
    Store::open(&url).await.expect("opens").close().await;
    for (number, wide) in [0o644, 0o660, 0o604].into_iter().enumerate() {
        // Under another name each time: the lock goes with the last connection, which may take a moment.
        let copy = folder.path().join(format!("{number}.db"));
        std::fs::copy(&path, &copy).expect("copied");
        let log = folder.path().join(format!("{number}.db-wal"));
        std::fs::write(&log, b"").expect("written");
        for file in [&copy, &log] {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(wide)).expect("opened");
        }
        let url = format!("sqlite://{}", copy.display());
        let store = if number == 0 {
            Store::open(&url).await
        } else {
            Store::open_existing(&url).await
        };
        let store = store.expect("opens");
        assert_eq!(mode(&copy), 0o600, "{wide:o}");
        assert_eq!(mode(&log), 0o600, "{wide:o}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_missing_file_was_never_started_and_stays_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let refused = Store::open_existing(&format!("sqlite://{}", path.display())).await;
    let text = refused.err().expect("there is none").to_string();
    assert!(text.contains("was never started"), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert_eq!(names(folder.path()), [""; 0]);
}

/// The names of all files in a folder, in order.
pub(crate) fn names(folder: &std::path::Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("the folder");
    let name = |file: std::io::Result<std::fs::DirEntry>| {
        let name = file.expect("a file").file_name();
        name.into_string().expect("a name")
    };
    let mut names: Vec<_> = files.map(name).collect();
    names.sort();
    names
}
