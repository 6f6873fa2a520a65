//! What programs say, without the keys that they were given.
//!
//! A program that prints its key, in an error or for debugging, would leave it in whatever log keeps what it says. This is
//! for such accidents: what a program wants to tell, it can write in a way that nobody searches for.

use std::io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use domain::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use scrub::{Needles, Scrubber};

/// The longest line that is passed on whole, in bytes.
const MAX_LINE_BYTES: u64 = 8 * 1024;
/// The most that is read at once, in bytes: what a pipe holds as a rule.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a beginning of a key waits for its rest: nobody who sees a prompt notices.
const RELEASE_AFTER: Duration = Duration::from_millis(100);

/// Where a program writes: its standard output and its standard error.
pub struct Output {
    /// Its standard output.
    pub stdout: PipeWriter,
    /// Its standard error.
    pub stderr: PipeWriter,
}

/// The keys that are taken out of what programs say, in each form that [`scrub`] knows. Wiped when dropped.
#[derive(Clone, Default)]
pub struct Hidden(Vec<Arc<Needles>>);

impl Hidden {
    /// Takes this key out, too.
    pub fn add(&mut self, key: &Secret) {
        self.0.push(Arc::new(key.expose(Needles::new)));
    }
}

/// Hands each line of a stream on, without its end; a long one in parts of 8 KiB. Blocks until the stream ends.
pub fn each_line(stream: impl Read, hidden: &Hidden, mut hand_on: impl FnMut(&[u8])) {
    let mut reader = BufReader::new(Filtered {
        stream,
        filter: Filter::new(hidden),
        ready: Bytes::new(),
        ended: false,
    });
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            Ok(_) => hand_on(line.strip_suffix(b"\n").unwrap_or(&line)),
        }
    }
}

/// Passes a stream on as it comes: a beginning of a key is kept back for a tenth of a second at most. Blocks until the
/// stream ends, or until the other end of `program` is closed: then what was written by that moment is passed on, and
/// nothing else. A process that the program left behind may have the stream open for ever.
///
/// # Errors
/// The operating system's, as when nobody reads on. What the program writes from then on fails, too.
pub fn pass_on(
    mut stream: PipeReader,
    program: &PipeReader,
    hidden: &Hidden,
    mut sink: impl Write,
) -> io::Result<()> {
    let mut filter = Filter::new(hidden);
    let mut piece = vec![0; PIECE_BYTES];
    let mut write = |bytes: Bytes| {
        sink.write_all(&bytes)?;
        sink.flush()
    };
    // How much is left to read, once that is known.
    let mut left = None;
    loop {
        if left.is_none() {
            match next(&stream, program, filter.holds())? {
                Next::Piece => {}
                Next::Nothing => {
                    write(filter.release())?;
                    continue;
                }
                Next::Last => left = Some(waiting(&stream)?),
            }
        }
        let most = left.unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        if most == 0 {
            return write(filter.finish());
        }
        match stream.read(&mut piece[..most]) {
            Ok(0) => return write(filter.finish()),
            Ok(length) => {
                left = left.map(|left| left.saturating_sub(length));
                write(filter.push(Bytes::copy_from_slice(&piece[..length])))?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What happens to a stream next.
enum Next {
    /// There is something to read, or its end.
    Piece,
    /// What is kept back has to go.
    Nothing,
    /// The program has ended: only what waits to be read counts.
    Last,
}

/// Waits for what comes next; for a tenth of a second where something is kept back.
fn next(stream: &PipeReader, program: &PipeReader, holds: bool) -> io::Result<Next> {
    let wait = Timespec::try_from(RELEASE_AFTER).map_err(io::Error::other)?;
    let wait = holds.then_some(&wait);
    loop {
        let mut watched = [
            PollFd::new(stream, PollFlags::IN),
            PollFd::new(program, PollFlags::IN),
        ];
        match poll(&mut watched, wait) {
            Ok(0) => return Ok(Next::Nothing),
            Ok(_) if watched[1].revents().is_empty() => return Ok(Next::Piece),
            Ok(_) => return Ok(Next::Last),
            Err(rustix::io::Errno::INTR) if holds => return Ok(Next::Nothing),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How many bytes wait in a pipe.
fn waiting(stream: &PipeReader) -> io::Result<usize> {
    let bytes = rustix::io::ioctl_fionread(stream)?;
    usize::try_from(bytes).map_err(io::Error::other)
}

/// Takes the keys out one after the other.
struct Filter(Vec<Scrubber>);

impl Filter {
    fn new(hidden: &Hidden) -> Self {
        Self(hidden.0.iter().cloned().map(Scrubber::new).collect())
    }

    fn push(&mut self, piece: Bytes) -> Bytes {
        let scrubbers = self.0.iter_mut();
        scrubbers.fold(piece, |piece, scrubber| scrubber.push(piece))
    }

    fn finish(&mut self) -> Bytes {
        self.drain(Scrubber::finish)
    }

    fn release(&mut self) -> Bytes {
        self.drain(Scrubber::release)
    }

    fn holds(&self) -> bool {
        self.0.iter().any(|it| it.held_bytes() > 0)
    }

    /// What they hold; what one gives back, the next ones search.
    fn drain(&mut self, give_back: impl Fn(&mut Scrubber) -> Bytes) -> Bytes {
        self.0.iter_mut().fold(Bytes::new(), |piece, scrubber| {
            let mut all = BytesMut::from(scrubber.push(piece));
            all.extend_from_slice(&give_back(scrubber));
            all.freeze()
        })
    }
}

/// A stream without the keys.
struct Filtered<R> {
    stream: R,
    filter: Filter,
    /// What was not read yet.
    ready: Bytes,
    ended: bool,
}

impl<R: Read> Read for Filtered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended {
            let length = self.stream.read(buffer)?;
            self.ended = length == 0;
            self.ready = match length {
                0 => self.filter.finish(),
                _ => self.filter.push(Bytes::copy_from_slice(&buffer[..length])),
            };
        }
        (&mut self.ready).reader().read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    const KEYS: [&str; 2] = ["kb_0123456789abcdef", "sk-0123456789-kb_0"];

    fn hidden() -> Hidden {
        let mut hidden = Hidden::default();
        for key in KEYS {
            hidden.add(&Secret::from_text(key.to_owned()));
        }
        hidden
    }

    /// A stream that comes in these pieces.
    struct Pieces<'a>(std::slice::Chunks<'a, u8>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.next().unwrap_or_default();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn lines(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        each_line(Pieces(text.chunks(size)), &hidden(), |line| {
            lines.push(line.to_vec());
        });
        lines
    }

    #[test]
    fn lines_are_handed_on_and_long_ones_cut() {
        let long = "x".repeat(MAX_LINE_BYTES as usize + 1);
        let text = format!("a\n\n{long}\nlast");
        let lines = lines(text.as_bytes(), 1000);
        let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 0, MAX_LINE_BYTES as usize, 1, 4]);
        assert_eq!(lines.last().map(Vec::as_slice), Some(&b"last"[..]));
    }

    /// T175: also where a long line is cut.
    #[test]
    fn lines_have_no_keys_however_they_come() {
        let [one, other] = KEYS;
        let long = "x".repeat(MAX_LINE_BYTES as usize - 4);
        let text = format!("a {one} b\n{other}{one}\n{one}0\n{long}{one}\nkb_");
        let part = format!("{long}[red");
        let expected = [
            "a [redacted] b",
            "[redacted][redacted]",
            "[redacted]0",
            &part,
            "acted]",
            "kb_",
        ];
        for size in [1, 2, 3, 7, 19, 1000] {
            let lines = lines(text.as_bytes(), size);
            let lines: Vec<_> = lines.iter().map(|it| String::from_utf8_lossy(it)).collect();
            assert_eq!(lines, expected, "pieces of {size}");
        }
    }

    proptest! {
        /// T175
        #[test]
        fn what_has_no_key_is_passed_on_as_it_is(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            size in 1usize..300,
        ) {
            let (reader, mut writer) = io::pipe().expect("a pipe");
            let (program, _running) = io::pipe().expect("a pipe");
            let mut passed = Vec::new();
            thread::scope(|scope| {
                scope.spawn(|| {
                    bytes.chunks(size).for_each(|it| writer.write_all(it).expect("is read"));
                    drop(writer);
                });
                pass_on(reader, &program, &hidden(), &mut passed).expect("is passed on");
            });
            prop_assert_eq!(passed, bytes);
        }
    }

    /// T175
    #[test]
    fn a_prompt_is_seen_although_a_key_may_begin_there() {
        let (reader, mut program) = io::pipe().expect("a pipe");
        let (mut screen, sink) = io::pipe().expect("a pipe");
        let (running, _program) = io::pipe().expect("a pipe");
        let passing = thread::spawn(move || pass_on(reader, &running, &hidden(), sink));
        let mut seen = |length: usize| {
            let mut text = vec![0; length];
            screen.read_exact(&mut text).expect("is written");
            String::from_utf8(text).expect("text")
        };
        let mut say = |text: &str| program.write_all(text.as_bytes()).expect("is read");
        say("Continue? k");
        assert_eq!(seen(11), "Continue? k");
        say("\nkey: ");
        assert_eq!(seen(6), "\nkey: ");
        say("kb_0123456789abcdef.");
        assert_eq!(seen(11), "[redacted].");
        // Of one that comes slowly the rest is taken out.
        say("kb_012");
        assert_eq!(seen(6), "kb_012");
        say("3456789abcdef.");
        assert_eq!(seen(11), "[redacted].");
        drop(screen);
        say("nobody reads this");
        let error = passing.join().expect("no panic").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    /// T175: also of what waits when the program ends, and whoever it left behind.
    #[test]
    fn what_was_written_by_the_end_is_passed_on_whole_while_somebody_holds_the_stream() {
        let (reader, mut left_behind) = io::pipe().expect("a pipe");
        let (running, program) = io::pipe().expect("a pipe");
        // More than is read at once, and the beginning of a key, which nothing follows.
        let text = format!("{}{} kb_01", "x".repeat(PIECE_BYTES - 30), KEYS[0]);
        left_behind.write_all(text.as_bytes()).expect("it has room");
        drop(program);
        let mut passed = Vec::new();
        pass_on(reader, &running, &hidden(), &mut passed).expect("is passed on");
        let expected = format!("{}[redacted] kb_01", "x".repeat(PIECE_BYTES - 30));
        assert_eq!(String::from_utf8(passed).expect("text"), expected);
        // Whoever is left writes to nobody.
        let error = left_behind.write_all(b"more").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
