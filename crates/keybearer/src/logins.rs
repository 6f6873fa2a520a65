//! The servers that this person has logged in to: one file, which nobody else can read.
//!
//! It holds, for each server, the credential that `login` was given or made, the workspace that commands are about,
//! and the fingerprint of the sealing key that provider keys were sealed to first.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use domain::{Secret, WorkspaceId};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::config::{CONFIG_DIR_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::files::replace;

const FILE: &str = "logins.json";

/// All logins, as the file has them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Logins {
    /// The server that commands talk to unless told otherwise.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// What is known of each server, by its origin.
    #[serde(default)]
    pub(crate) servers: BTreeMap<String, Server>,
}

/// What is known of a server.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Server {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<Credential>,
    /// Who logged in, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<WorkspaceId>,
    /// The id (fingerprint) of the sealing key that was seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealing_key: Option<String>,
}

/// What is presented to a server.
pub(crate) enum Credential {
    /// An API key that somebody minted; logging out leaves it be.
    ApiKey(Secret),
    /// A session that `login` began; logging out ends it.
    Session(Secret),
}

/// The credential in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    ApiKey(String),
    Session(String),
}

impl Serialize for Credential {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text =
            |secret: &Secret| secret.expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match self {
            Self::ApiKey(secret) => Written::ApiKey(text(secret)),
            Self::Session(secret) => Written::Session(text(secret)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::ApiKey(text) => Self::ApiKey(Secret::from_text(text)),
            Written::Session(text) => Self::Session(Secret::from_text(text)),
        })
    }
}

impl Credential {
    /// A second one of the same, for who both presents it and keeps it.
    pub(crate) fn copy(&self) -> Self {
        let copy = |secret: &Secret| secret.expose(|bytes| Secret::new(bytes.to_vec()));
        match self {
            Self::ApiKey(secret) => Self::ApiKey(copy(secret)),
            Self::Session(secret) => Self::Session(copy(secret)),
        }
    }
}

impl Logins {
    /// Reads the file; without one nobody has logged in.
    ///
    /// # Errors
    /// When it can be read by others, or is not what [`Logins::change`] writes.
    pub(crate) fn load() -> anyhow::Result<Self> {
        match directory() {
            Some(directory) => Self::load_from(&directory),
            None => Ok(Self::default()),
        }
    }

    fn load_from(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(FILE);
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        ensure!(
            metadata.is_file(),
            "{} is a link or no file; it must be a file of its own",
            path.display()
        );
        if metadata.mode() & 0o077 != 0 {
            let message = format!("{} can be read by others", path.display());
            let hint = format!("log in again after: chmod 600 {}", path.display());
            return Err(Failure::new(Sort::Failed, message).hint(hint).into());
        }
        ensure!(
            metadata.uid() == rustix::process::geteuid().as_raw(),
            "{} belongs to somebody else",
            path.display()
        );
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        // The parser's own text could repeat a credential.
        match serde_json::from_str(&text) {
            Ok(logins) => Ok(logins),
            Err(error) => {
                let message = format!("{} is damaged in line {}", path.display(), error.line());
                let failure = Failure::new(Sort::Failed, message);
                Err(failure.hint("remove it and log in again").into())
            }
        }
    }

    /// Changes the file: whole or not at all, for its owner only, one program after the other. Nothing that takes
    /// long, such as a call of the server, belongs into `change`.
    pub(crate) fn change<T>(
        change: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let Some(directory) = directory() else {
            let message = "no place to keep the login: HOME is not set";
            let failure = Failure::new(Sort::Failed, message);
            return Err(failure
                .hint("set KEYBEARER_CONFIG_DIR to a directory")
                .into());
        };
        Self::change_in(&directory, change)
    }

    fn change_in<T>(
        directory: &Path,
        change: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let cannot = || format!("cannot write {}", directory.join(FILE).display());
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.with_context(cannot)?;
        // The file itself is replaced, so the lock is on its directory; it ends with the handle.
        let lock = File::open(directory).with_context(cannot)?;
        flock(&lock, FlockOperation::LockExclusive).with_context(cannot)?;
        let mut logins = Self::load_from(directory)?;
        let result = change(&mut logins)?;
        logins.save_in(directory)?;
        Ok(result)
    }

    fn save_in(&self, directory: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        replace(&directory.join(FILE), 0o600, &text)
    }
}

/// Where the file is, for messages.
pub(crate) fn place() -> Option<PathBuf> {
    directory().map(|directory| directory.join(FILE))
}

/// `KEYBEARER_CONFIG_DIR`, else `keybearer` under the XDG base directory of configuration.
pub(crate) fn directory() -> Option<PathBuf> {
    if let Some(directory) = variable(CONFIG_DIR_VARIABLE) {
        return Some(PathBuf::from(directory));
    }
    // A relative path there is invalid and ignored: XDG Base Directory Specification 0.8.
    let base = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(base.join("keybearer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn logins() -> Logins {
        let server = Server {
            credential: Some(Credential::Session(Secret::from_text("kbs_x".to_owned()))),
            sealing_key: Some("abc".to_owned()),
            ..Server::default()
        };
        Logins {
            current: Some("http://127.0.0.1:1".to_owned()),
            servers: [("http://127.0.0.1:1".to_owned(), server)].into(),
        }
    }

    #[test]
    fn the_file_is_its_owners_alone_and_comes_back_as_it_was() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("deep/er");
        for _ in 0..2 {
            let written = Logins::change_in(&directory, |it| {
                *it = logins();
                Ok(())
            });
            written.expect("written");
        }
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join(FILE)), 0o600);
        assert_eq!(std::fs::read_dir(&directory).expect("readable").count(), 1);
        let read = Logins::load_from(&directory).expect("readable");
        let server = &read.servers["http://127.0.0.1:1"];
        assert!(
            matches!(&server.credential, Some(Credential::Session(it)) if it.expose(|it| it == b"kbs_x"))
        );
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_damaged_is_refused_without_an_echo() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(FILE);
        logins().save_in(home.path()).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = Logins::load_from(home.path()).err().expect("refused");
        let said = crate::failure::text(&error, false);
        assert!(
            said.contains("hint: log in again after: chmod 600"),
            "{said}"
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        std::fs::write(&path, r#"{"current": 1, "x": "kbs_secret"}"#).expect("written");
        let error = Logins::load_from(home.path()).err().expect("refused");
        assert!(!format!("{error:#}").contains("kbs_secret"), "{error:#}");
    }

    #[test]
    fn a_link_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let elsewhere = home.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).expect("made");
        logins().save_in(&elsewhere).expect("written");
        std::os::unix::fs::symlink(elsewhere.join(FILE), home.path().join(FILE)).expect("linked");
        let error = Logins::load_from(home.path()).err().expect("refused");
        assert!(error.to_string().contains("is a link"), "{error}");
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for name in 0..20 {
                let home = home.path();
                scope.spawn(move || {
                    Logins::change_in(home, |it| {
                        it.servers.insert(name.to_string(), Server::default());
                        Ok(())
                    })
                    .expect("changed");
                });
            }
        });
        let read = Logins::load_from(home.path()).expect("readable");
        assert_eq!(read.servers.len(), 20);
    }
}
