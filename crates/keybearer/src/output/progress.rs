//! How far long work is, for whoever waits for it.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::streams::{QUIET, SCREEN_TAKEN};
use super::text::{fitted, printable, screen};

/// Work that is done before this needs no line.
const SHOW_AFTER: Duration = Duration::from_millis(500);
/// A line that changes more often cannot be read.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// How many columns a bar has.
const BAR: u64 = 20;

/// One line on a terminal that says how far long work is and how long it has taken, and is gone when the work is done. Where it
/// is known how much there is, it begins with a bar. None where a program reads the result, or nobody looks.
pub(crate) struct Progress {
    terminal: bool,
    since: Instant,
    shown_at: Option<Instant>,
    read_bytes: u64,
    expected_bytes: Option<u64>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let quiet = QUIET.load(Ordering::Relaxed) || SCREEN_TAKEN.load(Ordering::Relaxed);
        Self {
            terminal: stderr().is_terminal() && !quiet,
            since: Instant::now(),
            shown_at: None,
            read_bytes: 0,
            expected_bytes: None,
        }
    }

    /// The same beside a result that is being printed: only where that does not go to a terminal itself.
    pub(crate) fn beside_output() -> Self {
        let mut progress = Self::start();
        progress.terminal &= !stdout().is_terminal();
        progress
    }

    /// Says how far it is, unless that was said a moment ago.
    pub(crate) fn show(&mut self, text: &str) {
        if !self.terminal || self.since.elapsed() < SHOW_AFTER {
            return;
        }
        if self.shown_at.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown_at = Some(Instant::now());
        let line = format!("{}, {}", printable(text), span(self.since.elapsed()));
        let (_, columns) = screen(stderr());
        // The last column stays free: some terminals would begin another line.
        let line = fitted(&line, usize::from(columns).saturating_sub(1));
        let _ = write!(stderr(), "\r\u{1b}[K{line}");
    }

    /// Whether anybody sees it: what only a bar needs is not asked for otherwise.
    pub(crate) fn is_seen(&self) -> bool {
        self.terminal
    }

    /// Says how far it is where it is known how much there is.
    pub(crate) fn show_of(&mut self, done: u64, all: u64, text: &str) {
        self.show(&format!("{}{text}", bar(done, all)));
    }

    /// How much there is to be read, where the server says that.
    pub(crate) fn expect_bytes(&mut self, all: Option<u64>) {
        self.expected_bytes = all;
    }

    /// Says how much was read, this piece included.
    pub(crate) fn read(&mut self, piece: &[u8]) {
        self.read_bytes += piece.len() as u64;
        let read = size(self.read_bytes);
        match self.expected_bytes {
            Some(all) => {
                let text = format!("{read} of {} read", size(all));
                self.show_of(self.read_bytes, all, &text);
            }
            None => self.show(&format!("{read} read")),
        }
    }

    /// How much that was in all.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The same as [`Self::wait`] where it is known how many of how many steps are done.
    pub(crate) async fn wait_at(&mut self, time: Duration, (done, all): (u64, u64), text: &str) {
        self.wait(time, &format!("{}{text}", bar(done, all))).await;
    }

    /// Waits, and goes on saying how long it has taken.
    pub(crate) async fn wait(&mut self, time: Duration, text: &str) {
        let until = Instant::now() + time;
        loop {
            self.show(text);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    }
}

/// `[#####---------------]  25 %  ` of so much; nothing where there is nothing to do. More than all is all: a list may grow
/// while it is read.
fn bar(done: u64, all: u64) -> String {
    if all == 0 {
        return String::new();
    }
    let part = |of: u64| u128::from(done.min(all)) * u128::from(of) / u128::from(all);
    let filled = part(BAR) as usize;
    let left = BAR as usize - filled;
    format!(
        "[{}{}] {:>3} %  ",
        "#".repeat(filled),
        "-".repeat(left),
        part(100)
    )
}

/// A span of time: `12 s`, `3 min 5 s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {} s", seconds % 60),
    }
}

/// A number of bytes: `812 B`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    while value >= 1024.0
        && let Some(larger) = units.next()
    {
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown_at.is_some() {
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_and_never_before() {
        for (done, all, shown) in [
            (0, 3, "[--------------------]   0 %  "),
            (1, 4, "[#####---------------]  25 %  "),
            (999, 1000, "[###################-]  99 %  "),
            (1000, 1000, "[####################] 100 %  "),
            (1001, 1000, "[####################] 100 %  "),
            (u64::MAX, u64::MAX, "[####################] 100 %  "),
            (0, 0, ""),
        ] {
            assert_eq!(bar(done, all), shown);
        }
    }

    #[test]
    fn spans_and_sizes_are_read_at_a_glance() {
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(185)), "3 min 5 s");
        for (bytes, text) in [
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (5 << 40, "5120.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
