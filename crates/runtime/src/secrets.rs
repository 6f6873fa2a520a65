//! Values that a program finds in its environment and its starter keeps no copy of: they go through a pipe to the process
//! that becomes the program, which puts them into the environment that it begins with.
//!
//! The environment of a process that is being started cannot be wiped by its starter: the standard library keeps copies.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use domain::Secret;
use rustix::io::{FdFlags, fcntl_setfd};

/// The most bytes that are read: some hundreds of keys.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Values on their way to a program that is not started yet.
pub struct Secrets {
    reader: PipeReader,
    writer: PipeWriter,
    text: Secret,
}

impl Secrets {
    /// Prepares the way for these variables. A value with a NUL byte in it would end early.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(variables: &[(&str, &Secret)]) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // The one descriptor that the next process inherits; it closes it before it becomes the program.
        fcntl_setfd(&reader, FdFlags::empty())?;
        let bytes = variables.iter().map(|(name, it)| name.len() + it.len() + 2);
        // Reserved at once: growing would leave copies behind.
        let mut text = Vec::with_capacity(bytes.sum());
        for (name, value) in variables {
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            value.expose(|value| text.extend_from_slice(value));
            text.push(0);
        }
        Ok(Self {
            reader,
            writer,
            text: Secret::new(text),
        })
    }

    /// The number of the descriptor that the next process reads from.
    pub fn descriptor(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Hands the values to the process that was started, and forgets them. One that is gone needs none.
    pub(crate) fn hand_over(mut self) {
        drop(self.reader);
        let _ = self.text.expose(|text| self.writer.write_all(text));
    }
}

/// Reads what [`Secrets`] wrote, in the process that becomes the program.
pub(crate) fn receive(descriptor: i32) -> io::Result<Vec<(OsString, OsString)>> {
    let mut text = Vec::new();
    let pipe = File::open(format!("/proc/self/fd/{descriptor}"))?;
    // The descriptor itself can go only when the name was opened; both go before the program begins.
    pipe.take(MAX_BYTES).read_to_end(&mut text)?;
    let pairs = text.split(|byte| *byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        Some((
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value.to_vec()),
        ))
    });
    Ok(pairs.collect())
}
