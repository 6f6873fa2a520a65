//! Brings the schema up to date: one migration text, rendered for the engine at hand.

use std::borrow::Cow;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::error::OpenError;

/// Version, name and text of each migration. Append only: an applied one is never edited.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "foundation",
        include_str!("../migrations/0001_foundation.sql"),
    ),
    (
        2,
        "who_pays",
        include_str!("../migrations/0002_who_pays.sql"),
    ),
    (3, "credits", include_str!("../migrations/0003_credits.sql")),
    (
        4,
        "device_logins",
        include_str!("../migrations/0004_device_logins.sql"),
    ),
    (
        5,
        "services",
        include_str!("../migrations/0005_services.sql"),
    ),
    (6, "console", include_str!("../migrations/0006_console.sql")),
    (7, "runs", include_str!("../migrations/0007_runs.sql")),
    (
        8,
        "ended_api_keys",
        include_str!("../migrations/0008_ended_api_keys.sql"),
    ),
    (
        9,
        "released_keys",
        include_str!("../migrations/0009_released_keys.sql"),
    ),
    (
        10,
        "usage_groups",
        include_str!("../migrations/0010_usage_groups.sql"),
    ),
    (
        11,
        "key_scope",
        include_str!("../migrations/0011_key_scope.sql"),
    ),
    (
        12,
        "audit_by_subject",
        include_str!("../migrations/0012_audit_by_subject.sql"),
    ),
    (
        15,
        "kept_objects",
        include_str!("../migrations/0015_kept_objects.sql"),
    ),
    (
        16,
        "password_links",
        include_str!("../migrations/0016_password_links.sql"),
    ),
];

/// Where the driver keeps what it has applied.
const HISTORY: &str = "_sqlx_migrations";

/// The newest version.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, _, _)| *version)
}

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

/// Refuses a database whose schema is not exactly the one of `engine`'s migrations. Changes nothing.
///
/// `has_history`: whether there is a table of applied migrations at all.
pub(crate) async fn require<C: Migrate>(
    connection: &mut C,
    engine: Engine,
    has_history: bool,
) -> Result<(), OpenError> {
    let mut applied = Vec::new();
    if has_history {
        let dirty = connection.dirty_version(HISTORY).await.map_err(explain)?;
        if let Some(version) = dirty {
            return Err(explain(MigrateError::Dirty(version)));
        }
        let listed = connection.list_applied_migrations(HISTORY).await;
        applied = listed.map_err(explain)?;
    }
    compare(&applied, &migrator(engine))
}

/// Compares what was applied, in its order, with what this program knows.
fn compare(applied: &[AppliedMigration], known: &Migrator) -> Result<(), OpenError> {
    let Some(last) = applied.last() else {
        return Err(OpenError::NeverStarted {
            reason: "it has no schema".to_owned(),
        });
    };
    if let Some(newest) = known.iter().last()
        && last.version > newest.version
    {
        return Err(OpenError::NewerSchema {
            found: last.version,
            known: newest.version,
        });
    }
    for one in applied {
        let Some(same) = known.iter().find(|same| same.version == one.version) else {
            return Err(explain(MigrateError::VersionMissing(one.version)));
        };
        if same.checksum != one.checksum {
            return Err(explain(MigrateError::VersionMismatch(one.version)));
        }
    }
    match known.iter().last() {
        Some(newest) if applied.len() < known.iter().count() => Err(OpenError::OlderSchema {
            found: last.version,
            known: newest.version,
        }),
        _ => Ok(()),
    }
}

/// As [`explain`], for a database that tells which schema it has: the driver names the first version that it misses.
pub(crate) async fn explain_at<C: Migrate>(connection: &mut C, error: MigrateError) -> OpenError {
    let explained = explain(error);
    let OpenError::NewerSchema { known, .. } = explained else {
        return explained;
    };
    let applied = connection.list_applied_migrations(HISTORY).await;
    match applied.ok().as_ref().and_then(|applied| applied.last()) {
        Some(last) => OpenError::NewerSchema {
            found: last.version,
            known,
        },
        None => explained,
    }
}

/// Says by name what kept a migration from running.
pub(crate) fn explain(error: MigrateError) -> OpenError {
    let known = newest();
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
pub(crate) mod upgrade;

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

    fn applied(migrator: &Migrator, count: usize) -> Vec<AppliedMigration> {
        let applied = migrator.iter().take(count).map(|one| AppliedMigration {
            version: one.version,
            checksum: one.checksum.clone(),
        });
        applied.collect()
    }

    #[test]
    fn a_required_schema_is_neither_missing_older_newer_nor_another() {
        let migration = |version, text: &'static str| {
            Migration::new(
                version,
                Cow::Borrowed("name"),
                MigrationType::Simple,
                AssertSqlSafe(text).into_sql_str(),
                false,
            )
        };
        let known = Migrator::with_migrations(vec![migration(1, "a"), migration(2, "b")]);
        assert!(compare(&applied(&known, 2), &known).is_ok());
        assert!(matches!(
            compare(&[], &known),
            Err(OpenError::NeverStarted { .. })
        ));
        match compare(&applied(&known, 1), &known) {
            Err(OpenError::OlderSchema { found, known }) => assert_eq!((found, known), (1, 2)),
            other => panic!("{other:?}"),
        }
        let mut newer = applied(&known, 2);
        newer[1].version = 900;
        newer.push(AppliedMigration {
            version: 901,
            checksum: Cow::Borrowed(b"unknown"),
        });
        match compare(&newer, &known) {
            Err(OpenError::NewerSchema { found, known }) => assert_eq!((found, known), (901, 2)),
            other => panic!("{other:?}"),
        }
        let mut edited = applied(&known, 2);
        edited[0].checksum = Cow::Borrowed(b"another");
        assert!(matches!(
            compare(&edited, &known),
            Err(OpenError::Migration(_))
        ));
    }

    #[test]
    fn versions_rise() {
        assert!(MIGRATIONS.is_sorted_by(|(a, _, _), (b, _, _)| a < b));
    }
}
