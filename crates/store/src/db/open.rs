//! Opens SQLite files and PostgreSQL databases, and sees to their schema.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::db::Db;
use crate::error::OpenError;
use crate::migrate::{self, Engine};

/// How long a caller waits for a connection before it is told that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 20;
/// A node that hangs or vanishes in the middle of a change holds up the others for this long at most.
const POSTGRES_LIMITS: &str = "SET lock_timeout = '5s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s'";
/// The permission bits that group and others have.
const NOT_THE_OWNERS: u32 = 0o077;

/// What to do about the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Make it, or bring it up to date.
    Update,
    /// Refuse a database that does not have exactly the schema of this program; make nothing.
    Require,
}

/// Opens the database that `url` names.
pub(crate) async fn open(url: &str, schema: Schema) -> Result<Db, OpenError> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        open_sqlite(Path::new(path), schema).await
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        open_postgres(url, schema).await
    } else {
        Err(OpenError::Url(
            "it must begin with sqlite:// or postgres://",
        ))
    }
}

async fn open_sqlite(path: &Path, schema: Schema) -> Result<Db, OpenError> {
    if !path.is_absolute() {
        return Err(OpenError::Url(
            "sqlite:// must be followed by an absolute path",
        ));
    }
    if schema == Schema::Update {
        create_private(path)?;
    }
    // By its real name, so that a link to the file leads to the same lock.
    let path = &path.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound if schema == Schema::Require => OpenError::NeverStarted {
            reason: format!("{} does not exist", path.display()),
        },
        _ => unopened(path, source),
    })?;
    let lock = lock_beside(path)?;
    for suffix in ["", "-wal", "-shm"] {
        make_private(&beside(path, suffix))?;
    }
    if schema == Schema::Require {
        require_sqlite_schema(path).await?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF");
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.clone())
        .await
        .map_err(unavailable)?;
    if schema == Schema::Update
        && let Err(error) = migrate::migrator(Engine::Sqlite).run(&writer).await
    {
        let mut connection = writer.acquire().await.map_err(unavailable)?;
        return Err(migrate::explain_at(&mut *connection, error).await);
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(unavailable)?;
    Ok(Db::Sqlite {
        readers,
        writer,
        _lock: lock,
    })
}

/// Looks at the schema with a connection that changes nothing: even setting the journal mode would write
/// a first page into an empty file.
async fn require_sqlite_schema(path: &Path) -> Result<(), OpenError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .connect()
        .await
        .map_err(unavailable)?;
    let (has_history,): (bool,) =
        sqlx::query_as("SELECT count(*) > 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut connection)
            .await
            .map_err(unavailable)?;
    let required = migrate::require(&mut connection, Engine::Sqlite, has_history).await;
    connection.close().await.map_err(unavailable)?;
    required
}

/// Takes the lock that keeps a second process away from the file.
fn lock_beside(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|source| unopened(&lock_path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(unopened(&lock_path, source)),
    }
}

/// The file of this name with something at its end.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the file readable by its owner alone before SQLite sees it; the log beside it inherits that.
fn create_private(path: &Path) -> Result<(), OpenError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| unopened(path, source))
}

/// Takes from group and others what they may do with a file that was made by other means.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let mode = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(unopened(path, source)),
    };
    if mode & NOT_THE_OWNERS == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|source| {
        OpenError::Exposed {
            path: path.display().to_string(),
            mode,
            source,
        }
    })?;
    tracing::warn!(
        path = %path.display(),
        "others had access to a database file (mode {mode:04o}); it is its owner's alone now"
    );
    Ok(())
}

async fn open_postgres(url: &str, schema: Schema) -> Result<Db, OpenError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url("it is not a PostgreSQL URL that the driver takes"))?;
    // One connection outside of any pool. It fails at once and says why, where a pool tries again until its
    // time is up and tells nothing; and it is free of the limits below, as migrations may take longer.
    let mut first = connect_once(&options).await?;
    warn_if_not_durable(&mut first).await?;
    match schema {
        Schema::Update => {
            // `run` takes a single connection, too, but makes a future that the compiler cannot show to be `Send`.
            let migrated = migrate::migrator(Engine::Postgres)
                .run_direct(None, &mut first, false)
                .await;
            if let Err(error) = migrated {
                return Err(migrate::explain_at(&mut first, error).await);
            }
        }
        Schema::Require => {
            let (has_history,): (bool,) =
                sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                    .fetch_one(&mut first)
                    .await
                    .map_err(unavailable)?;
            migrate::require(&mut first, Engine::Postgres, has_history).await?;
        }
    }
    first.close().await.map_err(unavailable)?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(POSTGRES_LIMITS).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(unavailable)?;
    Ok(Db::Postgres(pool))
}

async fn connect_once(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(unavailable),
        Err(_) => {
            let silent = io::Error::new(io::ErrorKind::TimedOut, "the server did not answer");
            Err(unavailable(sqlx::Error::Io(silent)))
        }
    }
}

/// A server that acknowledges what it may lose breaks the promise that an answered change is kept.
async fn warn_if_not_durable(connection: &mut PgConnection) -> Result<(), OpenError> {
    for (statement, setting) in [
        ("SHOW fsync", "fsync"),
        ("SHOW synchronous_commit", "synchronous_commit"),
    ] {
        let (value,): (String,) = sqlx::query_as(statement)
            .fetch_one(&mut *connection)
            .await
            .map_err(unavailable)?;
        if value == "off" {
            tracing::warn!(
                setting,
                "PostgreSQL runs with {setting} off: an answered change may be lost in a crash"
            );
        }
    }
    Ok(())
}

fn unopened(path: &Path, source: io::Error) -> OpenError {
    OpenError::File {
        path: path.display().to_string(),
        source,
    }
}

fn unavailable(error: sqlx::Error) -> OpenError {
    OpenError::Unavailable(error.into())
}
