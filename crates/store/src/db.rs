//! The two engines. This file alone names a SQL driver.
//!
//! A [`Statement`] is one constant text with typed arguments; [`Db`] reads with it and [`Tx`] writes with it,
//! the same on both engines. Arguments are typed even when NULL, because PostgreSQL asks for the type.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use domain::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{FromRow, Postgres, Sqlite, Transaction};

use crate::error::{OpenError, StoreError};
use crate::migrate::{self, Engine};

/// How long a caller waits for a connection before it is told that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 20;

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

/// One argument of a statement, typed even when absent.
pub(crate) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A constant SQL text and its arguments, in the order of `$1`, `$2`, ...
#[must_use]
pub(crate) struct Statement {
    text: &'static str,
    args: Vec<Arg>,
}

/// A row type that both engines can fill.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// A statement without arguments yet.
pub(crate) fn sql(text: &'static str) -> Statement {
    Statement {
        text,
        args: Vec::new(),
    }
}

impl Statement {
    /// Adds the next argument.
    pub(crate) fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }
}

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
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
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
        Ok(match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        })
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.millis()))
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(Timestamp::millis))
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<&[u8; 32]> for Arg {
    fn from(value: &[u8; 32]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

macro_rules! written_as_text {
    ($($name:ty),* $(,)?) => {$(
        impl From<$name> for Arg {
            fn from(value: $name) -> Self {
                Self::Text(Some(value.to_string()))
            }
        }

        impl From<Option<$name>> for Arg {
            fn from(value: Option<$name>) -> Self {
                Self::Text(value.map(|value| value.to_string()))
            }
        }
    )*};
}

written_as_text!(
    domain::AccountId,
    domain::ApiKeyId,
    domain::DataKeyId,
    domain::DeploymentId,
    domain::InvitationId,
    domain::KeyOwner,
    domain::ProviderKeyId,
    domain::RequestId,
    domain::SessionId,
    domain::UserId,
    domain::WorkspaceId,
    domain::access::Role,
    &domain::Label,
    &domain::ProviderId,
);

async fn open_sqlite(path: &Path) -> Result<Db, OpenError> {
    if !path.is_absolute() {
        return Err(OpenError::Url(
            "sqlite:// must be followed by an absolute path",
        ));
    }
    let lock = lock_beside(path)?;
    create_private(path)?;
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
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(unavailable)?;
    warn_if_not_durable(&pool).await?;
    migrate::migrator(Engine::Postgres)
        .run(&pool)
        .await
        .map_err(migrate::explain)?;
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
