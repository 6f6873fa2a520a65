//! The usage spool: the rows of ended calls in files of this process, until the store has them.
//!
//! A row is appended before the end of its answer reaches the client, so that a process that is killed loses
//! none: the next one writes what it finds. What the store has already it ignores, so each call counts once. Nobody
//! waits until the disk has them: what the store does not take within a second is synced (`sync.rs`), so a power cut can take
//! the last moments.
//!
//! ```text
//! usage-spool/0/lock              held by the process whose folder this is
//! usage-spool/0/0000000001.rows   see segment.rs
//! ```

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::UsageRow;

mod segment;
pub(crate) mod sync;
#[cfg(test)]
mod tests;

pub(crate) use segment::Rows;
use segment::{Segment, record};

/// The folder below the data directory.
const FOLDER: &str = "usage-spool";
/// The end of a segment's name.
const SUFFIX: &str = ".rows";
/// What cannot be read is kept under this name for a person to look at.
const UNREADABLE: &str = "unreadable";
/// A segment of so many bytes takes no more rows.
const SEGMENT_BYTES: u64 = 4 << 20;
/// The most that waits in all segments; further calls are refused.
const MOST_BYTES: u64 = 1 << 30;
/// More processes than this do not share a data directory.
const MAX_FOLDERS: usize = 64;
/// How often a disk that took nothing is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// The files of this process.
#[derive(Debug)]
pub struct Spool {
    files: Mutex<Files>,
    /// Whether the last row could be appended.
    ready: AtomicBool,
    _lock: File,
}

/// The number of a segment.
pub(crate) type Number = u64;

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    /// Takes rows.
    active: Option<(Number, Segment)>,
    /// Take no more.
    sealed: BTreeMap<Number, Segment>,
    next: Number,
    most_bytes: u64,
    tried_at: Option<Instant>,
    left: Option<Left>,
}

/// What processes that ended left behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) segments: Vec<PathBuf>,
    /// So that nobody else takes them too.
    _locks: Vec<File>,
}

impl Spool {
    /// Takes a folder below `data_dir` for this process, and what other processes left that run no more.
    ///
    /// # Errors
    /// The folder cannot be made, locked or read.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let all = data_dir.join(FOLDER);
        make_folder(&all)?;
        let mut ours = None;
        let mut left = Left::default();
        let mut next = 1;
        for number in 0..MAX_FOLDERS {
            let folder = all.join(number.to_string());
            if ours.is_some() && !folder.is_dir() {
                continue;
            }
            make_folder(&folder)?;
            let Some(lock) = lock(&folder.join("lock"))? else {
                continue;
            };
            for (number, segment) in segments(&folder)? {
                next = next.max(number + 1);
                left.segments.push(segment);
            }
            match ours {
                None => ours = Some((folder, lock)),
                Some(_) => left._locks.push(lock),
            }
        }
        let (folder, lock) = ours.ok_or_else(|| {
            let text = "every folder of the usage spool is in use by another process";
            io::Error::new(io::ErrorKind::ResourceBusy, text)
        })?;
        Ok(Self {
            files: Mutex::new(Files {
                folder,
                active: None,
                sealed: BTreeMap::new(),
                next,
                most_bytes: MOST_BYTES,
                tried_at: None,
                left: Some(left),
            }),
            ready: AtomicBool::new(true),
            _lock: lock,
        })
    }

    /// What other processes left; once.
    pub(crate) fn left(&self) -> Option<Left> {
        self.files().left.take()
    }

    /// Whether rows can be appended. A disk that took none is tried again once a second.
    pub(crate) fn is_ready(&self) -> bool {
        if self.ready.load(Ordering::Relaxed) {
            return true;
        }
        let now = Instant::now();
        let mut files = self.files();
        let tried = files.tried_at.replace(now);
        if tried.is_some_and(|at| now.duration_since(at) < TRY_EVERY) {
            files.tried_at = tried;
            return false;
        }
        let works = files.try_out().is_ok();
        if works {
            tracing::warn!("usage can be kept again; calls are served");
        }
        self.ready.store(works, Ordering::Relaxed);
        works
    }

    /// How many bytes wait for the store, how many may, and whether the last row could be appended.
    pub(crate) fn fill(&self) -> (u64, u64, bool) {
        let files = self.files();
        let ready = self.ready.load(Ordering::Relaxed);
        (files.bytes(), files.most_bytes, ready)
    }

    /// Appends a row and says where; `None`: the disk takes none, and until it does calls are refused.
    pub(crate) fn append(&self, row: &UsageRow) -> Option<Number> {
        let record = record(row);
        let appended = self.files().append(&record);
        if let Err(error) = &appended
            && self.ready.swap(false, Ordering::Relaxed)
        {
            tracing::error!(%error, "usage cannot be kept in the data directory; calls are refused until it can");
        }
        appended.ok()
    }

    /// The store has one more row of each of these segments, but for one that it refuses, if `gave_up`: nobody says
    /// in which, so all of them are kept.
    pub(crate) fn stored(&self, numbers: impl IntoIterator<Item = Number>, gave_up: bool) {
        let mut files = self.files();
        for number in numbers {
            files.stored(number, gave_up);
        }
    }

    /// A row of this segment is not kept in memory: the segment will be read.
    pub(crate) fn put_off(&self, number: Number) {
        let mut files = self.files();
        if let Some(segment) = files.segment(number) {
            segment.put_off = true;
        }
    }

    /// A segment that must be read. It takes no more rows.
    pub(crate) fn next_put_off(&self) -> Option<(Number, PathBuf)> {
        let mut files = self.files();
        if files.active.as_ref().is_some_and(|(_, it)| it.put_off) {
            files.seal();
        }
        let mut sealed = files.sealed.iter();
        let (number, segment) = sealed.find(|(_, segment)| segment.put_off)?;
        Some((*number, segment.path.clone()))
    }

    /// The store has all rows of this segment that can be read.
    pub(crate) fn read_through(&self, number: Number, is_damaged: bool) {
        if let Some(segment) = self.files().sealed.remove(&number) {
            // Half a row whose writing failed was kept in memory.
            let is_damaged = is_damaged && !segment.is_torn;
            done_with(&segment.path, is_damaged || segment.is_kept);
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn append(&mut self, record: &[u8]) -> io::Result<Number> {
        if self.bytes() + record.len() as u64 > self.most_bytes {
            let text = format!("{} bytes of usage wait for the store", self.bytes());
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let full = |segment: &Segment| segment.bytes() >= SEGMENT_BYTES;
        if self.active.as_ref().is_some_and(|(_, it)| full(it)) {
            self.seal();
        }
        let (number, segment) = self.active()?;
        let number = *number;
        let appended = segment.append(record);
        if appended.is_err() && segment.is_torn {
            // What is in it can be read up to the tear; nothing may come after.
            self.seal();
        }
        appended.map(|()| number)
    }

    /// The segment that takes rows.
    fn active(&mut self) -> io::Result<&mut (Number, Segment)> {
        let active = match self.active.take() {
            Some(active) => active,
            None => {
                let number = self.next;
                let path = self.folder.join(format!("{number:010}{SUFFIX}"));
                self.next += 1;
                (number, Segment::create(path)?)
            }
        };
        Ok(self.active.insert(active))
    }

    fn segment(&mut self, number: Number) -> Option<&mut Segment> {
        match &mut self.active {
            Some((active, segment)) if *active == number => Some(segment),
            _ => self.sealed.get_mut(&number),
        }
    }

    fn seal(&mut self) {
        if let Some((number, mut segment)) = self.active.take() {
            segment.close();
            if segment.is_stored() {
                done_with(&segment.path, segment.is_kept);
            } else {
                self.sealed.insert(number, segment);
            }
        }
    }

    fn stored(&mut self, number: Number, gave_up: bool) {
        let Some(segment) = self.segment(number) else {
            return;
        };
        segment.stored += 1;
        segment.is_kept |= gave_up;
        if !segment.is_stored() {
            return;
        }
        if let Some(segment) = self.sealed.remove(&number) {
            done_with(&segment.path, segment.is_kept);
        } else if let Some((_, segment)) = &mut self.active
            && (segment.is_kept || segment.empty().is_err())
        {
            self.seal();
        }
    }

    /// Whether the disk takes some more. Too much must have become half as much, so that calls are not refused and
    /// served by turns.
    fn try_out(&mut self) -> io::Result<()> {
        if self.bytes() > self.most_bytes / 2 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (_, segment) = self.active()?;
        let tried = segment.try_out();
        if tried.is_err() && segment.is_torn {
            self.seal();
        }
        tried
    }

    fn bytes(&self) -> u64 {
        let active = self.active.iter().map(|(_, it)| it.bytes());
        active.chain(self.sealed.values().map(Segment::bytes)).sum()
    }
}

/// Removes a segment of which the store has all, or keeps what cannot be read for a person to look at.
pub(crate) fn done_with(segment: &Path, is_damaged: bool) {
    if !is_damaged {
        return remove(segment);
    }
    let aside = segment.with_extension(UNREADABLE);
    match std::fs::rename(segment, &aside) {
        Ok(()) => tracing::error!("{} holds usage that cannot be written", aside.display()),
        Err(error) => tracing::error!(%error, "cannot set aside {}", segment.display()),
    }
}

/// One that stays is read again at the next start, for nothing.
fn remove(segment: &Path) {
    if let Err(error) = std::fs::remove_file(segment) {
        tracing::warn!(%error, "cannot remove {}", segment.display());
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The lock; `None`: another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The segments in a folder, oldest first.
fn segments(folder: &Path) -> io::Result<BTreeMap<Number, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        found.extend(number.map(|number: Number| (number, path)));
    }
    Ok(found)
}
