//! Where the root key comes from, and the rules that keep a weak or exposed one out.

pub(crate) mod command;
mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Random, RandomError, Secret};
use zeroize::Zeroizing;

/// Length of a root key in bytes.
pub const ROOT_KEY_BYTES: usize = 32;

/// The key from which everything else can be opened, wiped when dropped.
pub struct RootKey(Box<Zeroizing<[u8; ROOT_KEY_BYTES]>>);

/// Where the operator keeps the root key.
pub enum RootKeySource {
    /// A file of exactly 32 raw bytes, a regular file (no link) that only its owner may read.
    File(PathBuf),
    /// The value of an environment variable: 32 bytes in canonical padded standard base64.
    Env(Secret),
    /// A program and its arguments; it writes the key in the form of [`RootKeySource::Env`], with at most
    /// one line break behind it, to its standard output within ten seconds.
    Command(Vec<String>),
}

/// Why there is no root key. Names the source and the rule, never the value.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// There is no such file.
    #[error("root key {place}: does not exist")]
    Missing {
        /// The source.
        place: String,
    },
    /// Somebody else may read or replace it.
    #[error("root key {place}: {rule}")]
    Permissions {
        /// The source.
        place: String,
        /// What is asked.
        rule: &'static str,
    },
    /// A directory, a pipe, a socket or a device.
    #[error("root key {place}: is not a regular file")]
    NotAFile {
        /// The source.
        place: String,
    },
    /// A symbolic link.
    #[error("root key {place}: is a symbolic link")]
    Symlink {
        /// The source.
        place: String,
    },
    /// Not 32 bytes.
    #[error("root key {place}: is not {ROOT_KEY_BYTES} bytes long")]
    Length {
        /// The source.
        place: String,
    },
    /// Not drawn at random.
    #[error("root key {place}: {rule}")]
    Weak {
        /// The source.
        place: String,
        /// What is asked.
        rule: &'static str,
    },
    /// Not canonical base64.
    #[error("root key {place}: is not canonical padded base64 of {ROOT_KEY_BYTES} bytes")]
    Encoding {
        /// The source.
        place: String,
    },
    /// The program failed.
    #[error("root key {place}: {rule}")]
    Command {
        /// The source.
        place: String,
        /// What went wrong.
        rule: &'static str,
    },
    /// [`RootKeySource::create_file`] never replaces a file.
    #[error("root key {place}: exists already")]
    Exists {
        /// The source.
        place: String,
    },
    /// The file could not be read or written.
    #[error("root key {place}: could not be read or written")]
    Io {
        /// The source.
        place: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The random source failed; no file was made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl RootKey {
    /// Takes 32 bytes that are fit to be a key.
    ///
    /// # Errors
    /// [`RootKeyError::Weak`] when all bytes are equal, or all of them are text.
    pub fn from_bytes(bytes: Zeroizing<[u8; ROOT_KEY_BYTES]>) -> Result<Self, RootKeyError> {
        Self::checked(Box::new(bytes), "in memory")
    }

    pub(crate) fn bytes(&self) -> &[u8; ROOT_KEY_BYTES] {
        &self.0
    }

    fn checked(
        bytes: Box<Zeroizing<[u8; ROOT_KEY_BYTES]>>,
        place: &str,
    ) -> Result<Self, RootKeyError> {
        let rule = if bytes.iter().all(|byte| *byte == bytes[0]) {
            "all its bytes are equal"
        } else if bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        {
            // Digits or a password. 32 random bytes look like this once in 10^13 keys.
            "it is text, not random bytes"
        } else {
            return Ok(Self(bytes));
        };
        Err(RootKeyError::Weak {
            place: place.to_owned(),
            rule,
        })
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey")
    }
}

impl RootKeySource {
    /// Reads the root key.
    ///
    /// Blocks: up to ten seconds for a program, not at all for a file that turns out to be a pipe.
    ///
    /// # Errors
    /// [`RootKeyError`] names the source and the rule that it breaks.
    pub fn load(&self) -> Result<RootKey, RootKeyError> {
        match self {
            Self::File(path) => file::load(path),
            Self::Env(text) => text.expose(|text| decode(text, "in the environment")),
            Self::Command(argv) => command::load(argv),
        }
    }

    /// Draws a root key and writes it to a new file that only its owner may read.
    ///
    /// Missing directories are made, for their owner only. The file is on disk when the call returns.
    ///
    /// # Errors
    /// [`RootKeyError::Exists`] if there is anything at `path`; otherwise as [`load`](Self::load).
    pub fn create_file(path: &Path, random: &Random) -> Result<RootKey, RootKeyError> {
        file::create(path, random)
    }
}

impl fmt::Debug for RootKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(_) => f.write_str("Env(..)"),
            Self::Command(argv) => f.debug_tuple("Command").field(&argv.first()).finish(),
        }
    }
}

/// Reads the one text form of a key.
fn decode(text: &[u8], place: &str) -> Result<RootKey, RootKeyError> {
    let encoding = || RootKeyError::Encoding {
        place: place.to_owned(),
    };
    // base64 wants room for whole groups of three bytes. Whatever needs more is no root key.
    let mut decoded = Zeroizing::new([0; ROOT_KEY_BYTES.next_multiple_of(3)]);
    let len = STANDARD
        .decode_slice(text, decoded.as_mut())
        .map_err(|_| encoding())?;
    if len != ROOT_KEY_BYTES {
        return Err(encoding());
    }
    let mut bytes = Box::new(Zeroizing::new([0; ROOT_KEY_BYTES]));
    bytes.copy_from_slice(&decoded[..ROOT_KEY_BYTES]);
    RootKey::checked(bytes, place)
}
