//! The owner-only files of local mode.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};
use domain::Secret;

use crate::files::replace;

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The bytes of a file; `None`: there is none. Only a plain file is read: others may block, or change as they are read.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let metadata = file
        .metadata()
        .with_context(|| path.display().to_string())?;
    ensure!(metadata.is_file(), "{} is not a plain file", path.display());
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        read as u64 <= MAX_BYTES,
        "{} is larger than {MAX_BYTES} bytes",
        path.display()
    );
    Ok(Some(bytes))
}

/// The one line of a file; `None`: there is none.
pub(super) fn read_secret(path: &Path) -> anyhow::Result<Option<Secret>> {
    let bytes = read(path)?;
    Ok(bytes.map(|bytes| Secret::new(bytes.trim_ascii_end().to_vec())))
}

/// Replaces a file with one line that only its owner can read.
pub(super) fn write_secret(path: &Path, secret: &Secret) -> anyhow::Result<()> {
    secret.expose(|bytes| write(path, &[bytes, b"\n"].concat()))
}

/// Replaces a file, which only its owner can read.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    replace(path, 0o600, bytes)
}
