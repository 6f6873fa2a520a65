//! Where an instance keeps its rows: a SQLite file of its own, or a database of its own on a throw-away server.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, Row};

use crate::{canary, random};

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// The server at `KEYBEARER_TEST_POSTGRES_URL`.
    Postgres,
}

impl Engine {
    /// The engine that the test run asks for with `KEYBEARER_TEST_DATABASE`; SQLite unless told otherwise.
    pub fn from_environment() -> Self {
        match variable("KEYBEARER_TEST_DATABASE").as_deref() {
            None | Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            Some(other) => panic!("KEYBEARER_TEST_DATABASE is {other}, not sqlite or postgres"),
        }
    }

    /// Whether a test can run on this engine here.
    pub fn is_available(self) -> bool {
        self == Self::Sqlite || variable("KEYBEARER_TEST_POSTGRES_URL").is_some()
    }
}

/// A database. One on PostgreSQL is dropped with its value.
pub(crate) enum Database {
    Sqlite,
    Postgres { server: String, name: String },
}

impl Database {
    /// Creates an empty one.
    pub(crate) async fn create(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::Sqlite;
        }
        let server = variable("KEYBEARER_TEST_POSTGRES_URL").expect(
            "KEYBEARER_TEST_POSTGRES_URL names a throw-away server; see scripts/with_postgres.py",
        );
        let name = format!("kb_test_{}", random::hex_name());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        Self::Postgres { server, name }
    }

    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    pub(crate) fn url(&self, dir: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}/data/keybearer.db", dir.display()),
            Self::Postgres { server, name } => on_server(server, name),
        }
    }

    /// The server's files that can hold this database's rows: its own, the shared ones and the write-ahead log.
    /// Empty on SQLite, and where the server's files cannot be read.
    pub(crate) async fn files(&self, dir: &Path) -> Vec<PathBuf> {
        let (Self::Postgres { .. }, Some(data)) = (self, canary::postgres_data()) else {
            return Vec::new();
        };
        let statement =
            "SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database()";
        let oid: String = sqlx::query(statement)
            .fetch_one(&mut connect(&self.url(dir)).await)
            .await
            .expect("the catalog can be read")
            .get(0);
        vec![
            data.join("base").join(oid),
            data.join("global"),
            data.join("pg_wal"),
        ]
    }

    /// Every row of every table as text, for the search. SQLite's files are searched as they are, so it has
    /// none. On PostgreSQL a checkpoint brings the heap files up to date as well.
    pub(crate) async fn dump(&self, dir: &Path) -> Vec<(String, Vec<u8>)> {
        let Self::Postgres { server, .. } = self else {
            return Vec::new();
        };
        execute(server, "CHECKPOINT".to_owned()).await;
        let mut connection = connect(&self.url(dir)).await;
        let tables = sqlx::query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut connection)
            .await
            .expect("the catalog can be read");
        let mut dump = Vec::new();
        for table in tables {
            let table: String = table.get(0);
            let statement = format!("SELECT CAST(t AS TEXT) FROM \"{table}\" AS t");
            let rows = sqlx::query(AssertSqlSafe(statement))
                .fetch_all(&mut connection)
                .await
                .unwrap_or_else(|error| panic!("{table}: {error}"));
            let mut text = Vec::new();
            for row in rows {
                text.extend_from_slice(row.get::<String, _>(0).as_bytes());
                text.push(b'\n');
            }
            dump.push((format!("table {table}"), text));
        }
        dump
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { server, name } = self else {
            return;
        };
        let (server, statement) = (server.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
        // A drop cannot wait on the test's own runtime.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts")
                .block_on(execute(&server, statement));
        });
        // The server is thrown away anyway; a panic here would hide the test's own.
        let _ = dropped.join();
    }
}

/// The same server's URL with another database.
fn on_server(server: &str, name: &str) -> String {
    let (base, query) = server
        .split_once('?')
        .map_or((server, None), |(b, q)| (b, Some(q)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..end])
}

async fn connect(url: &str) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(url)
        .await
        .expect("the throw-away server answers")
}

async fn execute(url: &str, statement: String) {
    let what = statement.clone();
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connect(url).await)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test run says which database to use"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_replaced_in_any_url() {
        for (server, expected) in [
            (
                "postgres://u@127.0.0.1:5/postgres",
                "postgres://u@127.0.0.1:5/x",
            ),
            ("postgres://u@127.0.0.1:5", "postgres://u@127.0.0.1:5/x"),
            (
                "postgres://u@h/p?sslmode=disable",
                "postgres://u@h/x?sslmode=disable",
            ),
        ] {
            assert_eq!(on_server(server, "x"), expected);
        }
    }
}
