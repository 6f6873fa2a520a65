//! The root key in a file. Every check is made on the file that is then read, not on its name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use domain::Random;
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::{ROOT_KEY_BYTES, RootKey, RootKeyError};

const STICKY: u32 = 0o1000;
const OTHERS_MAY_WRITE: u32 = 0o022;

pub(super) fn load(path: &Path) -> Result<RootKey, RootKeyError> {
    let place = place(path);
    // Looked at first, because opening a device may already do something.
    let named = fs::symlink_metadata(path).map_err(|error| failed(&place, error))?;
    check_kind(&named, &place)?;
    check_directory(path, &place)?;
    // The name may have changed hands since: never follow a link, never wait for a pipe's writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => RootKeyError::Symlink {
            place: place.clone(),
        },
        other => failed(&place, other.into()),
    })?;
    let mut file = File::from(opened);
    let metadata = file.metadata().map_err(|error| failed(&place, error))?;
    check_kind(&metadata, &place)?;
    if !belongs_to_us(&metadata) {
        return Err(permissions(
            &place,
            "it must belong to this user or to root",
        ));
    }
    if !matches!(metadata.mode() & 0o7777, 0o600 | 0o400) {
        return Err(permissions(&place, "its mode must be 0600 or 0400"));
    }
    read(&mut file, &place)
}

pub(super) fn create(path: &Path, random: &Random) -> Result<RootKey, RootKeyError> {
    let place = place(path);
    let mut bytes = Box::new(Zeroizing::new([0; ROOT_KEY_BYTES]));
    **bytes = random.bytes()?;
    let key = RootKey::checked(bytes, &place)?;

    let directory = directory(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| failed(&place, error))?;
    check_directory(path, &place)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened =
        rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| match error {
            rustix::io::Errno::EXIST => RootKeyError::Exists {
                place: place.clone(),
            },
            other => failed(&place, other.into()),
        })?;
    if let Err(error) = write(File::from(opened), &key, directory) {
        // Half a key must not look like a key at the next start. If this fails too, the length tells.
        let _ = fs::remove_file(path);
        return Err(failed(&place, error));
    }
    Ok(key)
}

fn write(mut file: File, key: &RootKey, directory: &Path) -> io::Result<()> {
    // The process's umask may have taken the owner's own rights away.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(key.bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

fn read(file: &mut File, place: &str) -> Result<RootKey, RootKeyError> {
    let length = || RootKeyError::Length {
        place: place.to_owned(),
    };
    let mut bytes = Box::new(Zeroizing::new([0; ROOT_KEY_BYTES]));
    file.read_exact(bytes.as_mut().as_mut())
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => length(),
            _ => failed(place, error),
        })?;
    match file.read(&mut [0]) {
        Ok(0) => RootKey::checked(bytes, place),
        Ok(_) => Err(length()),
        Err(error) => Err(failed(place, error)),
    }
}

fn check_kind(metadata: &fs::Metadata, place: &str) -> Result<(), RootKeyError> {
    let place = place.to_owned();
    if metadata.is_symlink() {
        return Err(RootKeyError::Symlink { place });
    }
    if !metadata.is_file() {
        return Err(RootKeyError::NotAFile { place });
    }
    Ok(())
}

/// Whoever may write the directory may put another file in this one's place. In a sticky directory, only
/// the owners of file and directory may.
fn check_directory(path: &Path, place: &str) -> Result<(), RootKeyError> {
    let metadata = fs::metadata(directory(path)).map_err(|error| failed(place, error))?;
    if !belongs_to_us(&metadata) {
        return Err(permissions(
            place,
            "its directory must belong to this user or to root",
        ));
    }
    if metadata.mode() & OTHERS_MAY_WRITE != 0 && metadata.mode() & STICKY == 0 {
        return Err(permissions(
            place,
            "its directory must not be writable by others",
        ));
    }
    Ok(())
}

fn belongs_to_us(metadata: &fs::Metadata) -> bool {
    let owner = metadata.uid();
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn place(path: &Path) -> String {
    format!("file {}", path.display())
}

fn permissions(place: &str, rule: &'static str) -> RootKeyError {
    RootKeyError::Permissions {
        place: place.to_owned(),
        rule,
    }
}

fn failed(place: &str, source: io::Error) -> RootKeyError {
    let place = place.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => RootKeyError::Missing { place },
        _ => RootKeyError::Io { place, source },
    }
}
