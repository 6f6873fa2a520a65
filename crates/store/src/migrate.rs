//! Brings the schema up to date: one migration text, rendered for the engine at hand.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::error::OpenError;

/// Version, name and text of each migration. Append only: an applied one is never edited.
const MIGRATIONS: &[(i64, &str, &str)] = &[(
    1,
    "foundation",
    include_str!("../migrations/0001_foundation.sql"),
)];

/// Which dialect of the shared text is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// All migrations, rendered for `engine`.
pub(crate) fn migrator(engine: Engine) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
        Migration::new(
            *version,
            Cow::Borrowed(*name),
            MigrationType::Simple,
            // Safe: rendered from constant text alone.
            AssertSqlSafe(render(text, engine)).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// Says by name what kept a migration from running.
pub(crate) fn explain(error: MigrateError) -> OpenError {
    let known = MIGRATIONS.last().map_or(0, |(version, _, _)| *version);
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            OpenError::NewerSchema { found, known }
        }
        MigrateError::Execute(source) => OpenError::Unavailable(source.into()),
        other => OpenError::Migration(other.to_string()),
    }
}

/// Writes the shared text the way `engine` wants it.
fn render(text: &str, engine: Engine) -> String {
    let mut rendered = String::with_capacity(text.len() * 2);
    let mut only: Option<Engine> = None;
    for line in text.lines() {
        match line {
            "-- @sqlite" => only = Some(Engine::Sqlite),
            "-- @postgres" => only = Some(Engine::Postgres),
            "-- @both" => only = None,
            _ if line.starts_with("--") || only.is_some_and(|only| only != engine) => {}
            _ if only.is_some() => rendered.push_str(line),
            ");" if engine == Engine::Sqlite => rendered.push_str(") STRICT;"),
            _ => render_types(line, engine, &mut rendered),
        }
        rendered.push('\n');
    }
    rendered
}

/// Copies a line and puts the engine's own names in place of the shared names of types.
fn render_types(line: &str, engine: Engine, rendered: &mut String) {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut rest = line;
    while !rest.is_empty() {
        let word_len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_len);
        rendered.push_str(match (word, engine) {
            ("BIGINT", Engine::Sqlite) => "INTEGER",
            ("BYTEA", Engine::Sqlite) => "BLOB",
            ("TEXT", Engine::Postgres) => "TEXT COLLATE \"C\"",
            _ => word,
        });
        let gap_len = after.find(is_word).unwrap_or(after.len());
        let (gap, next) = after.split_at(gap_len);
        rendered.push_str(gap);
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "-- note\nCREATE TABLE t (\n    a_TEXT TEXT NOT NULL,\n    b BIGINT, c BYTEA\n);\n-- @sqlite\nonly sqlite TEXT\n-- @postgres\nonly postgres BIGINT\n-- @both\nCREATE INDEX i ON t (b);\n";

    #[test]
    fn sqlite_gets_its_own_types_and_strict_tables() {
        let rendered = render(SHARED, Engine::Sqlite);
        assert!(rendered.contains("a_TEXT TEXT NOT NULL"));
        assert!(rendered.contains("b INTEGER, c BLOB\n) STRICT;"));
        assert!(rendered.contains("only sqlite TEXT") && !rendered.contains("only postgres"));
        assert!(rendered.contains("CREATE INDEX i ON t (b);"));
    }

    #[test]
    fn postgres_texts_sort_by_bytes() {
        let rendered = render(SHARED, Engine::Postgres);
        assert!(rendered.contains("a_TEXT TEXT COLLATE \"C\" NOT NULL"));
        assert!(rendered.contains("b BIGINT, c BYTEA\n);"));
        assert!(rendered.contains("only postgres BIGINT") && !rendered.contains("only sqlite"));
    }

    #[test]
    fn versions_rise() {
        assert!(MIGRATIONS.is_sorted_by(|(a, _, _), (b, _, _)| a < b));
    }
}
