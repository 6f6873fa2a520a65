//! The two engines. This file alone names a SQL driver.
//!
//! [`Db`] reads with a [`Statement`] and [`Tx`] writes with one, the same on both engines.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{FromRow, Postgres, Sqlite, Transaction};

use crate::error::{OpenError, StoreError};
use crate::migrate::{self, Engine};
use crate::statement::{Arg, Statement};

/// How long a caller waits for a connection before it is told that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 20;
/// A node that hangs or vanishes in the middle of a change holds up the others for this long at most.
const POSTGRES_LIMITS: &str = "SET lock_timeout = '5s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s'";

/// An open database.
pub(crate) enum Db {
    /// One file, one process: readers beside a single writer.
    Sqlite {
        /// Connections that refuse to write.
        readers: SqlitePool,
        /// The one connection that writes, so that writers queue here and not in the file.
        writer: SqlitePool,
        /// Held for as long as the database is open.
        _lock: File,
    },
    /// A server that several nodes share.
    Postgres(PgPool),
}

/// A transaction that writes. Dropped without [`Tx::commit`] it leaves nothing.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A row type that both engines can fill.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// Binds a statement's arguments to a query of either engine.
macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Text(value) => query.bind(value),
                Arg::Int(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

/// Runs a statement that returns rows on whichever engine a [`Db`] has.
macro_rules! on_pool {
    ($db:expr, $statement:expr, $row:ty, $fetch:ident) => {{
        let Statement { text, args } = $statement;
        let result = match $db {
            Db::Sqlite { readers, .. } => {
                bound!(sqlx::query_as::<Sqlite, $row>(text), args)
                    .$fetch(readers)
                    .await
            }
            Db::Postgres(pool) => {
                bound!(sqlx::query_as::<Postgres, $row>(text), args)
                    .$fetch(pool)
                    .await
            }
        };
        result.map_err(StoreError::from)
    }};
}

/// Runs a statement that returns rows inside a transaction of either engine.
macro_rules! in_tx {
    ($tx:expr, $statement:expr, $row:ty, $fetch:ident) => {{
        let Statement { text, args } = $statement;
        let result = match $tx {
            Tx::Sqlite(tx) => {
                bound!(sqlx::query_as::<Sqlite, $row>(text), args)
                    .$fetch(&mut **tx)
                    .await
            }
            Tx::Postgres(tx) => {
                bound!(sqlx::query_as::<Postgres, $row>(text), args)
                    .$fetch(&mut **tx)
                    .await
            }
        };
        result.map_err(StoreError::from)
    }};
}

impl Db {
    /// Opens and migrates the database that `url` names.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            open_sqlite(Path::new(path)).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url).await
        } else {
            Err(OpenError::Url(
                "it must begin with sqlite:// or postgres://",
            ))
        }
    }

    /// All rows.
    pub(crate) async fn all<T: Row>(&self, statement: Statement) -> Result<Vec<T>, StoreError> {
        on_pool!(self, statement, T, fetch_all)
    }

    /// The first row, if there is one.
    pub(crate) async fn optional<T: Row>(
        &self,
        statement: Statement,
    ) -> Result<Option<T>, StoreError> {
        on_pool!(self, statement, T, fetch_optional)
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one<T: Row>(&self, statement: Statement) -> Result<T, StoreError> {
        on_pool!(self, statement, T, fetch_one)
    }

    /// Begins to write. SQLite takes the write lock at once: a read first could not be upgraded later.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            // Named, because a server may be set to another isolation, in which a change that waited
            // for the one before would fail instead of seeing it.
            Self::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .await?,
            ),
        })
    }

    /// Empties SQLite's write-ahead log, which may still hold what was just destroyed.
    ///
    /// Only an attempt: a reader in the way leaves the log to the next checkpoint.
    pub(crate) async fn forget_log(&self) {
        if let Self::Sqlite { writer, .. } = self
            && let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(writer)
                .await
        {
            tracing::warn!(%error, "the write-ahead log could not be emptied");
        }
    }

    /// Closes all connections, after the running statements.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite {
                readers, writer, ..
            } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// The first row, if there is one.
    pub(crate) async fn optional<T: Row>(
        &mut self,
        statement: Statement,
    ) -> Result<Option<T>, StoreError> {
        in_tx!(self, statement, T, fetch_optional)
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one<T: Row>(&mut self, statement: Statement) -> Result<T, StoreError> {
        in_tx!(self, statement, T, fetch_one)
    }

    /// Runs a statement without rows and says how many it touched.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let Statement { text, args } = statement;
        Ok(match self {
            Self::Sqlite(tx) => bound!(sqlx::query::<Sqlite>(text), args)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
            Self::Postgres(tx) => bound!(sqlx::query::<Postgres>(text), args)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
        })
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

async fn open_sqlite(path: &Path) -> Result<Db, OpenError> {
    if !path.is_absolute() {
        return Err(OpenError::Url(
            "sqlite:// must be followed by an absolute path",
        ));
    }
    create_private(path)?;
    // By its real name, so that a link to the file leads to the same lock.
    let path = &path.canonicalize().map_err(|source| OpenError::File {
        path: path.display().to_string(),
        source,
    })?;
    let lock = lock_beside(path)?;
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
    migrate::migrator(Engine::Sqlite)
        .run(&writer)
        .await
        .map_err(migrate::explain)?;
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

/// Takes the lock that keeps a second process away from the file.
fn lock_beside(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|source| OpenError::File {
            path: lock_path.display().to_string(),
            source,
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(OpenError::File {
            path: lock_path.display().to_string(),
            source,
        }),
    }
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
        .map_err(|source| OpenError::File {
            path: path.display().to_string(),
            source,
        })
}

async fn open_postgres(url: &str) -> Result<Db, OpenError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url("it is not a PostgreSQL URL that the driver takes"))?;
    // Migrations may take longer than any other statement, so they have a connection without limits.
    let migrating = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.clone())
        .await
        .map_err(unavailable)?;
    warn_if_not_durable(&migrating).await?;
    migrate::migrator(Engine::Postgres)
        .run(&migrating)
        .await
        .map_err(migrate::explain)?;
    migrating.close().await;
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

/// A server that acknowledges what it may lose breaks the promise that an answered change is kept.
async fn warn_if_not_durable(pool: &PgPool) -> Result<(), OpenError> {
    for (statement, setting) in [
        ("SHOW fsync", "fsync"),
        ("SHOW synchronous_commit", "synchronous_commit"),
    ] {
        let (value,): (String,) = sqlx::query_as(statement)
            .fetch_one(pool)
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

fn unavailable(error: sqlx::Error) -> OpenError {
    OpenError::Unavailable(error.into())
}
