//! What can go wrong, named by what the caller does next.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::error::ErrorKind;

/// Why a store operation did nothing. A failed operation leaves no trace: neither change nor audit row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer or refused; answer 503. Worth another try.
    #[error("the database is not available")]
    Unavailable(#[source] DatabaseError),
    /// It contradicts what is stored; the text says what, and holds no stored value. Answer 409.
    #[error("{0}")]
    Conflict(&'static str),
    /// The instance would have no admin any more. Answer 409.
    #[error("the instance would have no admin any more")]
    LastAdmin,
    /// There is no such thing where the scope may look. Answer 404.
    #[error("not found")]
    NotFound,
    /// This sealed box was taken before. Answer 409 and ask for a fresh one.
    #[error("this sealed box was submitted before")]
    Replayed,
    /// The account's plan gives no more of it. Answer 402.
    #[error("the plan gives {limit} {resource}, and there are {used}")]
    LimitExceeded {
        /// `workspaces`, `members`, `api_keys` or `provider_keys`.
        resource: &'static str,
        /// How many there may be.
        limit: i64,
        /// How many there are.
        used: i64,
    },
    /// The account's plan does not have the feature. Answer 403 and name the plans that do.
    #[error("the plan does not have {feature}")]
    PlanRequired {
        /// `byok`.
        feature: &'static str,
    },
    /// `after` is not a cursor of this list. Answer 400.
    #[error("not a cursor of this list")]
    InvalidCursor,
    /// A stored row cannot be read; the text names table, id and column, never contents. Somebody must act.
    #[error("stored row is corrupt: {0}")]
    Corrupt(String),
}

/// What the database said, without the values that the statement carried.
pub struct DatabaseError(sqlx::Error);

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DatabaseError {
    /// As [`Display`](fmt::Display): a driver's own debug text may quote the row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for DatabaseError {}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl From<sqlx::Error> for StoreError {
    /// A broken reference means that the row's owner is gone.
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Conflict("it exists already")
            }
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
                Self::NotFound
            }
            // What is wrong is the value: no other try makes it right.
            sqlx::Error::Database(database) if forbids(database.as_ref()) => {
                Self::Conflict("a rule of the database forbids it")
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// Whether the database refuses a value: by a rule of the table, or because no such value can be stored.
fn forbids(error: &dyn sqlx::error::DatabaseError) -> bool {
    let is_data_exception = || {
        let code = error.code();
        code.is_some_and(|code| code.len() == 5 && code.starts_with("22"))
    };
    matches!(
        error.kind(),
        ErrorKind::NotNullViolation | ErrorKind::CheckViolation
    ) || is_data_exception()
}

impl StoreError {
    /// Says which thing exists already, when that is what went wrong.
    pub(crate) fn or_conflict(self, what: &'static str) -> Self {
        match self {
            Self::Conflict(_) => Self::Conflict(what),
            other => other,
        }
    }
}

/// The place of a row, for errors about it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
}

impl Place<'_> {
    /// Reads a column's text as a `T`.
    pub(crate) fn parse<T: FromStr>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.corrupt(column))
    }

    /// Reads an optional column's text as a `T`.
    pub(crate) fn parse_optional<T: FromStr>(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// Reads a column's JSON as a `T`.
    pub(crate) fn json<T: DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|_| self.corrupt(column))
    }

    /// The error that names this column of this row.
    pub(crate) fn corrupt(self, column: &'static str) -> StoreError {
        StoreError::Corrupt(format!("{} {}, column {column}", self.table, self.id))
    }
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is neither `sqlite:///path` nor `postgres://...`, or the driver does not take it.
    #[error("database URL: {0}")]
    Url(&'static str),
    /// Another process has this SQLite file open.
    #[error("{path} is in use by another process: it holds the lock on {path}.lock")]
    InUse {
        /// The database file.
        path: String,
    },
    /// The SQLite file or its lock file could not be made or opened.
    #[error("{path} cannot be opened")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others have access to a file of the database, and it could not be taken from them.
    #[error("{path} is open to others (mode {mode:04o}) and cannot be made its owner's alone")]
    Exposed {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no database, or it has no schema, and none was to be made.
    #[error("the database was never started: {reason}; start the server once")]
    NeverStarted {
        /// What is missing.
        reason: String,
    },
    /// An older version of Keybearer wrote this database, and it was not to be migrated.
    #[error(
        "the database has schema version {found}; its schema is older than this program, which needs version {known}; start the server once"
    )]
    OlderSchema {
        /// What the database has.
        found: i64,
        /// The newest that this program has.
        known: i64,
    },
    /// A newer version of Keybearer wrote this database. Start that version.
    #[error(
        "the database has schema version {found}, newer than version {known} that this program knows"
    )]
    NewerSchema {
        /// What the database has.
        found: i64,
        /// The newest that this program has.
        known: i64,
    },
    /// A migration that was applied differs from the one in this program, or one failed.
    #[error("the database schema cannot be brought up to date: {0}")]
    Migration(String),
    /// The database did not answer, or refused; the source says which.
    #[error("the database is not available")]
    Unavailable(#[source] DatabaseError),
}
