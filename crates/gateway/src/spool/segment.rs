//! One file of the spool.
//!
//! It begins with eight bytes, `KBROWS2` and a line feed. Then come records: the length of the row and the CRC-32 of its
//! bytes, four bytes each with the lowest first, and the row. A record that is cut or damaged ends the file: that
//! is where the process died while it wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use store::UsageRow;

const HEADER: &[u8; 8] = b"KBROWS2\n";
/// A row has some hundred bytes, and a few thousand after many attempts.
const MAX_ROW_BYTES: u32 = 1 << 20;
/// The length and the sum of a row, before it.
const HEAD_BYTES: usize = 8;
/// A record of one attempt is no longer.
const USUAL_BYTES: usize = 768;
/// What is written, and taken back, to see whether the disk takes something: records of no bytes.
const TRIAL: [u8; 16 << 10] = [0; 16 << 10];

/// A segment that this process writes.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// `None`: it takes no more rows.
    file: Option<File>,
    bytes: u64,
    appended: u64,
    /// How many bytes were written since it was made, and how many of them the disk is known to keep. Those that were
    /// taken back count, too.
    pub(super) written: u64,
    pub(super) synced: u64,
    /// How many rows there were when [`waits_on`](Self::waits_on) was asked before.
    seen: u64,
    /// How many of the rows the store has.
    pub(super) stored: u64,
    /// Whether rows are not kept in memory, so that the file must be read.
    pub(super) put_off: bool,
    /// Whether half a record stands at its end.
    pub(super) is_torn: bool,
    /// Whether the store refuses a row of it, so that a person must look.
    pub(super) is_kept: bool,
}

impl Segment {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
        let mut segment = Self::of(path, file);
        if let Err(error) = segment.write(HEADER) {
            // Nobody would remove it before the next start, and the next try makes another.
            let _ = std::fs::remove_file(&segment.path);
            return Err(error);
        }
        Ok(segment)
    }

    /// A segment in a file that was opened already.
    pub(super) fn of(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file: Some(file),
            bytes: 0,
            appended: 0,
            written: 0,
            synced: 0,
            seen: 0,
            stored: 0,
            put_off: false,
            is_torn: false,
            is_kept: false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the store has all of it, as far as rows came from memory.
    pub(super) fn is_stored(&self) -> bool {
        self.stored == self.appended && !self.put_off
    }

    /// Whether the store still lacks a row that was there when this was asked before.
    pub(super) fn waits_on(&mut self) -> bool {
        let seen = std::mem::replace(&mut self.seen, self.appended);
        self.stored < seen || self.put_off && seen > 0
    }

    /// Appends a record whole or, as far as the disk allows, not at all.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.write(record)?;
        self.appended += 1;
        Ok(())
    }

    /// Writes something and takes it back.
    pub(super) fn try_out(&mut self) -> io::Result<()> {
        let before = self.bytes;
        self.write(&TRIAL)?;
        self.cut(before)
    }

    /// Begins anew: the store has all of it.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.cut(HEADER.len() as u64)?;
        (self.appended, self.stored, self.seen) = (0, 0, 0);
        Ok(())
    }

    /// Takes no more rows from now on.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.bytes;
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        if let Err(error) = file.write_all(bytes) {
            // A part of it may be there.
            let _ = self.cut(before);
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let outcome = file.set_len(length);
        self.is_torn = outcome.is_err();
        if outcome.is_ok() {
            self.bytes = length;
        }
        outcome
    }
}

/// A row as it stands in a segment.
pub(super) fn record(row: &UsageRow) -> Vec<u8> {
    let mut record = Vec::with_capacity(USUAL_BYTES);
    record.extend_from_slice(&[0; HEAD_BYTES]);
    row.write_to(&mut record);
    let (head, row) = record.split_at_mut(HEAD_BYTES);
    let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(row).to_le_bytes());
    record
}

/// Reads the rows of a segment, in their order.
pub(crate) struct Rows {
    path: PathBuf,
    /// `None`: at its end.
    file: Option<BufReader<File>>,
    /// Whether something in it is no row.
    pub(crate) is_damaged: bool,
    /// Whether the disk did not give all of it; another try may.
    pub(crate) is_unread: bool,
}

impl Rows {
    /// Opens a segment.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut header = [0; HEADER.len()];
        let begun = file.read_exact(&mut header).is_ok();
        Ok(Self {
            path: path.to_owned(),
            // A process that died before it had written the header has written no row.
            file: (begun && &header == HEADER).then_some(file),
            is_damaged: begun && &header != HEADER,
            is_unread: false,
        })
    }

    /// The bytes of the next row; `None`: no more.
    fn record(&mut self) -> Option<Vec<u8>> {
        let file = self.file.as_mut()?;
        // An error counts as more: the next read meets it again.
        if file.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return None;
        }
        match read_record(file) {
            Ok(row) => Some(row),
            Err(error) => {
                let whole = [ErrorKind::UnexpectedEof, ErrorKind::InvalidData];
                let is_damaged = whole.contains(&error.kind());
                self.is_damaged |= is_damaged;
                self.is_unread |= !is_damaged;
                tracing::error!(%error, "{} cannot be read to its end", self.path.display());
                None
            }
        }
    }
}

fn read_record(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head)?;
    let [a, b, c, d, crc @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > MAX_ROW_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut row = vec![0; length as usize];
    file.read_exact(&mut row)?;
    match crc32fast::hash(&row) == u32::from_le_bytes(crc) {
        true => Ok(row),
        false => Err(ErrorKind::InvalidData.into()),
    }
}

impl Iterator for Rows {
    type Item = UsageRow;

    fn next(&mut self) -> Option<UsageRow> {
        while let Some(bytes) = self.record() {
            // A trial that was not taken back.
            if bytes.is_empty() {
                continue;
            }
            match UsageRow::from_bytes(&bytes) {
                Ok(row) => return Some(row),
                Err(error) => {
                    tracing::error!(%error, "a row in {} cannot be read", self.path.display());
                    self.is_damaged = true;
                }
            }
        }
        self.file = None;
        None
    }
}
