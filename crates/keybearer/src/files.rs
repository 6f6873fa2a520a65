//! Files that are put in place as a whole.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Replaces a file, or makes it, with these permissions from its first byte: whoever reads it meets the old one or the new
/// one, whole, also after a power cut.
///
/// # Errors
/// The operating system's, behind the file that cannot be written; the old one is as it was.
pub(crate) fn replace(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // What was left behind by a process with the same number that was killed.
    let _ = std::fs::remove_file(&new);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_named_once_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().expect("a directory");
        let taken = home.path().join("taken");
        std::fs::create_dir(&taken).expect("made");
        let error = replace(&taken, 0o600, b"x").expect_err("a directory is in the way");
        let said = format!("{error:#}");
        assert!(
            said.starts_with(&format!("cannot write {}: ", taken.display())),
            "{said}"
        );
        assert_eq!(said.matches("cannot write").count(), 1, "{said}");
        assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 1);
    }
}
