//! Two pipes between a starter of programs and its parent, its keeper: each of the two learns at once that the other is gone,
//! however it went, and the keeper knows then what is left to be ended.
//!
//! A program cannot outlive its starter, but what it has started can. The keeper is an ancestor of all of it, so what loses
//! its parents becomes the keeper's.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

use rustix::io::{FdFlags, fcntl_setfd};

/// The keeper's ends, and until the starter runs those that it inherits.
pub struct Leash {
    notes: PipeReader,
    life: PipeWriter,
    theirs: (PipeWriter, PipeReader),
}

impl Leash {
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Self> {
        let (notes, their_notes) = io::pipe()?;
        let (their_life, life) = io::pipe()?;
        // What the next process inherits; it keeps them from the one after it.
        fcntl_setfd(&their_notes, FdFlags::empty())?;
        fcntl_setfd(&their_life, FdFlags::empty())?;
        Ok(Self {
            notes,
            life,
            theirs: (their_notes, their_life),
        })
    }

    /// The numbers of the descriptors for [`Kept::take`].
    pub fn descriptors(&self) -> (i32, i32) {
        (self.theirs.0.as_raw_fd(), self.theirs.1.as_raw_fd())
    }

    /// What the starter, which runs now, writes; it ends with the starter. The second value is to be held as long as the
    /// keeper lives.
    pub fn held(self) -> (PipeReader, PipeWriter) {
        drop(self.theirs);
        (self.notes, self.life)
    }
}

/// The starter's ends.
pub struct Kept {
    notes: File,
    life: File,
}

impl Kept {
    /// Takes over what the keeper's [`Leash::descriptors`] are here.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take(notes: i32, life: i32) -> io::Result<Self> {
        let path = |number: i32| format!("/proc/self/fd/{number}");
        let kept = Self {
            notes: File::options().write(true).open(path(notes))?,
            life: File::open(path(life))?,
        };
        // Opened under their names, they go no further than this process.
        nix::unistd::close(notes)?;
        nix::unistd::close(life)?;
        Ok(kept)
    }

    /// Tells the keeper something. One that is gone needs to know nothing.
    pub fn note(&self, line: &str) {
        let _ = (&self.notes).write_all(format!("{line}\n").as_bytes());
    }

    /// Waits until the keeper is gone. Blocks.
    pub fn wait_for_loss(&self) {
        let mut byte = [0];
        while (&self.life)
            .read(&mut byte)
            .is_err_and(|it| it.kind() == io::ErrorKind::Interrupted)
        {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    #[test]
    fn each_end_learns_that_the_other_is_gone() {
        let leash = Leash::new().expect("pipes");
        let (notes, life) = leash.descriptors();
        // Not `take`: the numbers are this process's own, and `held` closes them.
        let open = |number: i32| {
            File::options()
                .write(true)
                .open(format!("/proc/self/fd/{number}"))
        };
        let kept = Kept {
            notes: open(notes).expect("the pipe"),
            life: File::open(format!("/proc/self/fd/{life}")).expect("the pipe"),
        };
        let (notes, life) = leash.held();
        kept.note("one");
        drop(life);
        kept.wait_for_loss();
        drop(kept);
        let lines: Vec<String> = io::BufReader::new(notes)
            .lines()
            .map_while(Result::ok)
            .collect();
        assert_eq!(lines, ["one"]);
    }
}
