//! The two engines. Outside of this module nothing asks which of them it has.
//!
//! [`Db`] reads with a [`Statement`] and [`Tx`] writes with one, the same on both engines. `db/open.rs`
//! opens them.

pub(crate) mod open;

use std::fs::File;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{FromRow, Postgres, Sqlite, Transaction};

use crate::error::StoreError;
use crate::statement::{Arg, Statement};

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
///
/// The library's futures are some thousand bytes long and stand in the heap: callers that seldom reach the database
/// would carry them around all the same.
macro_rules! on_pool {
    ($db:expr, $statement:expr, $row:ty, $fetch:ident) => {{
        let Statement { text, sqlite, args } = $statement;
        let result = match $db {
            Db::Sqlite { readers, .. } => {
                let query = bound!(sqlx::query_as::<Sqlite, $row>(sqlite), args);
                Box::pin(query.$fetch(readers)).await
            }
            Db::Postgres(pool) => {
                let query = bound!(sqlx::query_as::<Postgres, $row>(text), args);
                Box::pin(query.$fetch(pool)).await
            }
        };
        result.map_err(StoreError::from)
    }};
}

/// Runs a statement that returns rows inside a transaction of either engine.
macro_rules! in_tx {
    ($tx:expr, $statement:expr, $row:ty, $fetch:ident) => {{
        let Statement { text, sqlite, args } = $statement;
        let result = match $tx {
            Tx::Sqlite(tx) => {
                let query = bound!(sqlx::query_as::<Sqlite, $row>(sqlite), args);
                Box::pin(query.$fetch(&mut **tx)).await
            }
            Tx::Postgres(tx) => {
                let query = bound!(sqlx::query_as::<Postgres, $row>(text), args);
                Box::pin(query.$fetch(&mut **tx)).await
            }
        };
        result.map_err(StoreError::from)
    }};
}

impl Db {
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
            Self::Sqlite { writer, .. } => Tx::Sqlite(begin_sqlite(writer).await?),
            Self::Postgres(pool) => {
                // Named, because a server may be set to another isolation, in which a change that waited
                // for the one before would fail instead of seeing it.
                let begin = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED");
                Tx::Postgres(Box::pin(begin).await?)
            }
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

/// Begins to write, with another connection where the one that is there cannot.
///
/// SQLite ends a transaction by itself when a write fails, as on a full disk. The driver (sqlx 0.9) then fails to end it
/// once more, takes it for open, and never begins another one on that connection, which is the only one.
async fn begin_sqlite(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    const BEGIN: &str = "BEGIN IMMEDIATE";
    match Box::pin(writer.begin_with(BEGIN)).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            tracing::warn!("a connection whose transaction failed is replaced");
            writer.acquire().await?.close().await?;
            Box::pin(writer.begin_with(BEGIN)).await
        }
        begun => begun,
    }
}

impl Tx {
    /// All rows.
    pub(crate) async fn all<T: Row>(&mut self, statement: Statement) -> Result<Vec<T>, StoreError> {
        in_tx!(self, statement, T, fetch_all)
    }

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
        let Statement { text, sqlite, args } = statement;
        Ok(match self {
            Self::Sqlite(tx) => {
                let query = bound!(sqlx::query::<Sqlite>(sqlite), args);
                Box::pin(query.execute(&mut **tx)).await?.rows_affected()
            }
            Self::Postgres(tx) => {
                let query = bound!(sqlx::query::<Postgres>(text), args);
                Box::pin(query.execute(&mut **tx)).await?.rows_affected()
            }
        })
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => Box::pin(tx.commit()).await?,
            Self::Postgres(tx) => Box::pin(tx.commit()).await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn writing_goes_on_after_the_database_ended_a_transaction_by_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let store = Store::open(&url).await.expect("opened");
        for _ in 0..2 {
            let mut tx = store.db().begin().await.expect("begun");
            // As a failed write does.
            let ended = match &mut tx {
                Tx::Sqlite(tx) => sqlx::query("ROLLBACK").execute(&mut **tx).await,
                Tx::Postgres(_) => unreachable!("it is SQLite"),
            };
            ended.expect("ended");
            assert!(tx.commit().await.is_err());
        }
        let tx = store.db().begin().await.expect("begun");
        tx.commit().await.expect("committed");
    }
}
