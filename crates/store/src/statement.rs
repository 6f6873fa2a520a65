//! One constant SQL text with typed arguments.
//!
//! Arguments are typed even when NULL, because PostgreSQL asks for the type.

use domain::Timestamp;

/// One argument of a statement, typed even when absent.
pub(crate) enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A constant SQL text and its arguments, in the order of `$1`, `$2`, ...
#[must_use]
pub(crate) struct Statement {
    /// The text for PostgreSQL.
    pub(crate) text: &'static str,
    /// The text for SQLite, the same but for [`InOrder`]'s.
    pub(crate) sqlite: &'static str,
    pub(crate) args: Vec<Arg>,
}

/// A long text that uses each argument once and in order. SQLite looks a numbered argument up among all others, so
/// that a thousand of them cost a million steps; there they have no numbers.
pub(crate) struct InOrder {
    numbered: String,
    plain: String,
    arguments: usize,
}

impl InOrder {
    /// In `text` each `$` is an argument.
    pub(crate) fn new(text: &str) -> Self {
        Self::with_index(text, None)
    }

    /// As [`InOrder::new`], and `{by}` behind a table's name makes SQLite read it by this index: without statistics it
    /// takes one index for as good as another. PostgreSQL knows.
    pub(crate) fn with_index(text: &str, index: Option<&str>) -> Self {
        let by = index.map_or(String::new(), |index| format!(" INDEXED BY {index}"));
        Self::by_engine(&text.replace("{by}", ""), &text.replace("{by}", &by))
    }

    /// A text for each engine, with the same arguments in the same order: for the rare question that they must be asked
    /// differently.
    pub(crate) fn by_engine(postgres: &str, sqlite: &str) -> Self {
        let arguments = postgres.matches('$').count();
        debug_assert_eq!(arguments, sqlite.matches('$').count());
        let parts = postgres.split('$').enumerate();
        let numbered = parts.map(|(number, part)| match number {
            0 => part.to_owned(),
            number => format!("${number}{part}"),
        });
        Self {
            numbered: numbered.collect(),
            plain: sqlite.replace('$', "?"),
            arguments,
        }
    }

    /// The statement, without arguments yet.
    pub(crate) fn statement(&'static self) -> Statement {
        Statement {
            text: &self.numbered,
            sqlite: &self.plain,
            args: Vec::with_capacity(self.arguments),
        }
    }
}

/// A statement without arguments yet.
pub(crate) fn sql(text: &'static str) -> Statement {
    Statement {
        text,
        sqlite: text,
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

impl From<&str> for Arg {
    /// PostgreSQL's texts cannot hold the character NUL; a replacement character stands in for it on both.
    fn from(value: &str) -> Self {
        Self::Text(Some(match value.contains('\0') {
            true => value.replace('\0', "\u{fffd}"),
            false => value.to_owned(),
        }))
    }
}

impl From<&String> for Arg {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Text(None), Self::from)
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

impl From<Option<&[u8; 32]>> for Arg {
    fn from(value: Option<&[u8; 32]>) -> Self {
        Self::Bytes(value.map(|value| value.to_vec()))
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
    domain::ScriptId,
    domain::ServiceId,
    domain::RunId,
    domain::SessionId,
    domain::UserId,
    domain::WorkspaceId,
    domain::access::Role,
    domain::policy::Mode,
    &domain::policy::ModelName,
    &domain::Label,
    &domain::PlanId,
    &domain::ProviderId,
);
