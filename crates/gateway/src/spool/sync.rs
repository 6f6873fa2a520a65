//! Having the disk keep what the store is slow to take, once a second and beside all calls.
//!
//! A row that the store takes within moments is not worth it: the store syncs it itself, and while the disk is at work
//! appending may take as long.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Files, Number, Segment, Spool};
use crate::Plane;

/// How often. What has waited for the store from one time to the next is synced.
const EVERY: Duration = Duration::from_secs(1);

/// A segment with bytes that the disk may not keep yet.
pub(super) struct Unsynced {
    number: Number,
    path: PathBuf,
    /// How much was written to it by now.
    written: u64,
    /// Whether its folder may not have it yet.
    is_new: bool,
}

impl Unsynced {
    fn sync(&self, folder: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_data()?;
        if self.is_new {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// Syncs once a second until the gateway is gone.
pub(crate) async fn keep(plane: Weak<Plane>) {
    let mut failed = false;
    while let Some(plane) = plane.upgrade() {
        let spool = Arc::clone(plane.books.spool());
        drop(plane);
        let due = spool.due();
        if !due.is_empty() {
            let synced = tokio::task::spawn_blocking(move || spool.sync(&due)).await;
            let outcome = synced.unwrap_or_else(|error| Err(io::Error::other(error)));
            if let Err(error) = &outcome
                && !failed
            {
                tracing::warn!(%error, "the disk does not say that it keeps usage; a power cut could take what the database does not have");
            }
            failed = outcome.is_err();
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl Spool {
    /// The segments with rows that waited for the store when this was asked before, and that the disk may not keep yet.
    pub(super) fn due(&self) -> Vec<Unsynced> {
        self.files().due()
    }

    /// Has the disk keep them. Waits for the disk, during which rows are appended as ever. One that fails keeps no other
    /// from being synced; the first error is returned.
    pub(super) fn sync(&self, due: &[Unsynced]) -> io::Result<()> {
        let folder = self.files().folder.clone();
        let mut outcome = Ok(());
        for segment in due {
            match segment.sync(&folder) {
                Ok(()) => {
                    if let Some(synced) = self.files().segment(segment.number) {
                        synced.synced = segment.written;
                    }
                }
                // The store has all of it by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Whether the disk keeps all that waits.
    #[cfg(test)]
    pub(crate) fn is_synced(&self) -> bool {
        let mut files = self.files();
        let mut segments = files.segments();
        segments.all(|(_, it)| it.synced == it.written || it.is_stored())
    }
}

impl Files {
    fn segments(&mut self) -> impl Iterator<Item = (Number, &mut Segment)> {
        let active = self.active.iter_mut();
        let active = active.map(|(number, segment)| (*number, segment));
        let sealed = self.sealed.iter_mut();
        active.chain(sealed.map(|(number, segment)| (*number, segment)))
    }

    fn due(&mut self) -> Vec<Unsynced> {
        let mut due = Vec::new();
        for (number, segment) in self.segments() {
            if segment.waits_on() && segment.synced < segment.written {
                due.push(Unsynced {
                    number,
                    path: segment.path.clone(),
                    written: segment.written,
                    is_new: segment.synced == 0,
                });
            }
        }
        due
    }
}
