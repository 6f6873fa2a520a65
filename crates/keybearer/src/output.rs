//! How a command shows its result: a table or facts for a person, JSON for a program.
//!
//! The result is on standard output, everything else on standard error. On a terminal a table has a header and
//! aligned columns, and colours unless `NO_COLOR` is set; elsewhere a row is a line with tabs between its cells.

mod progress;

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::config::variable;

pub(crate) use progress::Progress;

/// A column of a table or a line of facts: its title, and where the value is (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

/// How this run of the program shows results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
    terminal: bool,
    colour: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        QUIET.store(json, Ordering::Relaxed);
        let terminal = stdout().is_terminal();
        Self {
            json,
            terminal,
            colour: terminal && colours_wanted(),
        }
    }

    /// Whether the result is for a program.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether the result is for a person at a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal && !self.json
    }

    /// Whether what is printed meets a terminal, whoever it is for.
    pub(crate) fn meets_terminal(self) -> bool {
        self.terminal
    }

    /// The result as it is, for a program.
    pub(crate) fn json(self, value: &Value) {
        let text = value.to_string();
        if self.terminal {
            say(&text);
        } else {
            write_out(&text);
        }
    }

    /// A piece of a result that is too long to be held, for a program.
    ///
    /// # Errors
    /// As of [`deliver`].
    pub(crate) fn json_piece(self, piece: &str) -> std::io::Result<()> {
        match self.terminal {
            true => deliver(PrintableStream::default().with(piece.as_bytes()).as_bytes()),
            false => deliver(piece.as_bytes()),
        }
    }

    /// The entries of a list (`data`), or the whole answer as JSON. Says so if the server has more (`next`).
    pub(crate) fn list(self, answer: &Value, columns: &[Column]) {
        if self.json {
            return self.json(answer);
        }
        let entries = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        let rows = entries.iter().map(|entry| cells(entry, columns));
        self.table(&titles(columns), &rows.collect::<Vec<_>>());
        if entries.is_empty() && self.terminal {
            remark("None.");
        }
        if answer["next"].is_string() {
            remark(&format!("There are more than these {}.", entries.len()));
        }
    }

    /// The facts of one thing, or the whole answer as JSON. What is not there is left out.
    pub(crate) fn facts(self, answer: &Value, columns: &[Column]) {
        if self.json {
            return self.json(answer);
        }
        let width = titles(columns).iter().map(|it| it.len()).max().unwrap_or(0);
        for (title, pointer) in columns {
            let value = answer.pointer(pointer).unwrap_or(&Value::Null);
            if !value.is_null() {
                let title = self.styled(&format!("{title:<width$}"), Style::new().bold());
                write_out(&format!("{title}  {}", printable(&cell(value))));
            }
        }
    }

    /// A document with parts of its own: indented for a person.
    pub(crate) fn document(self, answer: &Value) {
        if self.json {
            return self.json(answer);
        }
        for line in format!("{answer:#}").lines() {
            say(line);
        }
    }

    /// What a command without a result of its own has done: JSON for a program, a remark for a person.
    pub(crate) fn done(self, answer: &Value, sentence: &str) {
        if self.json {
            self.json(answer);
        }
        remark(sentence);
    }

    /// Rows under titles.
    pub(crate) fn table(self, titles: &[&str], rows: &[Vec<String>]) {
        for line in self.table_lines(titles, rows) {
            write_out(&line);
        }
    }

    /// The same as lines, which may hold colours.
    pub(crate) fn table_lines(self, titles: &[&str], rows: &[Vec<String>]) -> Vec<String> {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| printable(cell)).collect())
            .collect();
        if !self.terminal {
            return rows.iter().map(|row| row.join("\t")).collect();
        }
        if rows.is_empty() {
            return Vec::new();
        }
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let cells = cells.map(|cell| cell.width());
            cells.chain([titles[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..titles.len()).map(width).collect();
        let header: Vec<String> = titles.iter().map(|it| (*it).to_owned()).collect();
        let header = self.styled(&aligned(&header, &widths), Style::new().bold());
        let rows = rows.iter().map(|row| aligned(row, &widths));
        std::iter::once(header).chain(rows).collect()
    }

    /// Lines that may hold colours.
    pub(crate) fn lines(self, lines: &[String]) {
        for line in lines {
            write_out(line);
        }
    }

    fn styled(self, text: &str, style: Style) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

fn titles(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|(title, _)| *title).collect()
}

fn cells(entry: &Value, columns: &[Column]) -> Vec<String> {
    let at = |(_, pointer): &Column| cell(entry.pointer(pointer).unwrap_or(&Value::Null));
    columns.iter().map(at).collect()
}

/// A value in words.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        // A sum that happens to be whole.
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.is_empty() => "-".to_owned(),
        Value::Object(fields) if !fields.values().any(has_parts) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", cell(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn has_parts(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        let missing = width.saturating_sub(cell.width()) + 2;
        line.extend(std::iter::repeat_n(' ', missing));
    }
    line.trim_end().to_owned()
}

/// A number of things: `1 call`, `2 calls`.
pub(crate) fn counted(count: impl std::fmt::Display, one: &str, more: &str) -> String {
    let count = count.to_string();
    let what = if count == "1" { one } else { more };
    format!("{count} {what}")
}

/// The text without what a terminal would obey, and without what makes a name look like another one: names are written by
/// other people.
pub(crate) fn printable(text: &str) -> String {
    let shown = |char| match control::text::hides(char) {
        true => char::REPLACEMENT_CHARACTER,
        false => harmless(char),
    };
    text.chars().map(shown).collect()
}

fn harmless(char: char) -> char {
    // Those that turn the direction of writing (Unicode 16, Bidi_Control) make a name look like another one.
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if char.is_control() || turns {
        '\u{fffd}'
    } else {
        char
    }
}

/// Text that comes in pieces, for a terminal: lines and tabs stay, everything else that it would obey does not.
#[derive(Default)]
pub(crate) struct PrintableStream {
    /// The beginning of a character whose rest has not come.
    begun: Vec<u8>,
}

impl PrintableStream {
    /// What can be printed once this piece has come.
    pub(crate) fn with(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(piece);
        let mut text = String::new();
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.extend(chunk.valid().chars().filter_map(|char| match char {
                '\n' | '\t' => Some(char),
                '\r' => None,
                other => Some(harmless(other)),
            }));
            let odd = chunk.invalid();
            if odd.is_empty() {
                continue;
            }
            let has_begun = std::str::from_utf8(odd).is_err_and(|it| it.error_len().is_none());
            if has_begun && chunks.peek().is_none() {
                self.begun = odd.to_vec();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

/// Rows and columns of a terminal; 24 and 80 where it does not say.
pub(crate) fn screen(terminal: impl AsFd) -> (u16, u16) {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// The beginning of a line that fits into so many columns; what switches colours takes none.
pub(crate) fn fitted(line: &str, columns: usize) -> String {
    let mut fitted = String::new();
    // What takes columns. How many they are is a matter of the text: a character may join those before it.
    let mut shown = String::new();
    let mut is_full = false;
    let mut in_sequence = false;
    for char in line.chars() {
        match char {
            '\u{1b}' => in_sequence = true,
            'm' if in_sequence => {
                in_sequence = false;
                fitted.push(char);
                continue;
            }
            _ => {}
        }
        if !in_sequence {
            if is_full {
                continue;
            }
            shown.push(char);
            // Marks without a column of their own could go on for ever.
            is_full = shown.width() > columns || shown.len() > columns.saturating_mul(16);
            if is_full {
                continue;
            }
        }
        fitted.push(char);
    }
    fitted
}

fn colours_wanted() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb")
}

/// Prints a line of the command's result. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn say(line: &str) {
    write_out(&printable(line));
}

fn write_out(line: &str) {
    let _ = deliver(format!("{line}\n").as_bytes());
}

/// The first error of standard output, if there was one.
static BROKEN: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes a part of the command's result, to the last byte.
///
/// # Errors
/// The operating system's. The command ends with a failure then, whatever it does itself, except after a reader that has
/// seen enough.
pub(crate) fn deliver(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    if let Err(error) = &written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| std::io::Error::new(error.kind(), error.to_string()));
    }
    written
}

/// Whether all of the result was written.
///
/// # Errors
/// The first of [`deliver`].
pub(crate) fn delivered() -> anyhow::Result<()> {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    broken.map_or(Ok(()), |error| Err(error).context("standard output"))
}

/// Prints a line that a program said, behind its name. A log keeps the line's bytes; a terminal gets none that it would obey.
pub(crate) fn say_of(name: &str, line: &[u8]) {
    if stdout().is_terminal() {
        let line = PrintableStream::default().with(line);
        return write_out(&format!("{name} | {line}"));
    }
    let _ = deliver(&[name.as_bytes(), b" | ", line, b"\n"].concat());
}

/// Whether there is nobody to read remarks: a program reads the result, and standard error is for its error alone.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether a program reads the result.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a line for the person at the terminal, apart from the result.
pub(crate) fn remark(line: &str) {
    if !is_quiet() {
        tell(line);
    }
}

/// Prints a line that a person must see, also where a program reads the result.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(stderr(), "{}", printable(line));
}

/// Whether the whole screen is drawn by a live view, into which nothing else writes.
static SCREEN_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal's second screen, without a cursor. Ends with its value, however that comes about.
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn take() -> Self {
        SCREEN_TAKEN.store(true, Ordering::Relaxed);
        let _ = write!(stdout(), "\u{1b}[?1049h\u{1b}[?25l");
        Self(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        SCREEN_TAKEN.store(false, Ordering::Relaxed);
        let _ = write!(stdout(), "\u{1b}[?25h\u{1b}[?1049l");
        let _ = stdout().flush();
    }
}

/// Prints an error, which may have several lines.
pub(crate) fn complain(text: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let colour = stderr().is_terminal() && colours_wanted();
    for line in text.lines() {
        let line = printable(line);
        let _ = match line.strip_prefix("error:") {
            Some(rest) if colour => writeln!(stderr(), "{style}error:{style:#}{rest}"),
            _ => writeln!(stderr(), "{line}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = ["ab".to_owned(), "c".to_owned()];
        assert_eq!(aligned(&row, &[4, 1]), "ab    c");
    }

    #[test]
    fn columns_are_as_wide_as_a_terminal_shows_them() {
        let out = Out {
            json: false,
            terminal: true,
            colour: false,
        };
        // Wide characters, a mark that joins the letter before it, an emoji of two characters, one that a selector widens.
        let names = [
            "ascii",
            "日本",
            "e\u{301}e\u{301}",
            "\u{1f469}\u{1f3fd}",
            "\u{260e}\u{fe0f}",
        ];
        let rows = names.map(|name| vec![name.to_owned(), "|".to_owned()]);
        let lines = out.table_lines(&["NAME", "B"], &rows);
        let spaces = |line: &String| line.chars().filter(|it| *it == ' ').count();
        let spaces: Vec<usize> = lines.iter().map(spaces).collect();
        assert_eq!(spaces, [3, 2, 3, 5, 5, 5], "{lines:#?}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        assert_eq!(
            printable("a\u{1b}[31mb\u{9b}c\r"),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}"
        );
        assert_eq!(
            printable("a\u{202e}b\u{2066}c\u{200f}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}"
        );
        for hidden in ['\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{61c}'] {
            assert_eq!(printable(&format!("a{hidden}b")), "a\u{fffd}b");
        }
        // In a text the joiners are letters' own.
        let joined = "\u{645}\u{6cc}\u{200c}\u{62e}";
        assert_eq!(PrintableStream::default().with(joined.as_bytes()), joined);
    }

    #[test]
    fn one_thing_is_not_called_many() {
        let of = |count: u64| counted(count, "call", "calls");
        assert_eq!([of(0), of(1), of(11)], ["0 calls", "1 call", "11 calls"]);
    }

    #[test]
    fn a_stream_is_printable_however_it_is_cut() {
        let whole = "é\u{1b}[2J\t€\r\n\u{9b}ü".as_bytes();
        for size in 1..whole.len() {
            let mut stream = PrintableStream::default();
            let text: String = whole.chunks(size).map(|it| stream.with(it)).collect();
            assert_eq!(text, "é\u{fffd}[2J\t€\n\u{fffd}ü", "pieces of {size}");
        }
        assert_eq!(PrintableStream::default().with(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn a_line_is_cut_at_the_edge_and_its_colours_are_not() {
        assert_eq!(
            fitted("\u{1b}[1mabcdef\u{1b}[0m", 3),
            "\u{1b}[1mabc\u{1b}[0m"
        );
        assert_eq!(fitted("ab", 3), "ab");
        // Half of a wide character cannot be shown.
        assert_eq!(fitted("a日本", 4), "a日");
        assert_eq!(fitted("日本", 4), "日本");
        assert_eq!(fitted("e\u{301}e\u{301}x", 2), "e\u{301}e\u{301}");
        let astronaut = "\u{1f469}\u{1f3fd}";
        assert_eq!(fitted(&format!("{astronaut}x"), 2), astronaut);
        let marks = "\u{301}".repeat(1000);
        assert!(fitted(&marks, 80).len() <= 80 * 16);
    }

    #[test]
    fn values_are_words() {
        assert_eq!(cell(&json!(["a", 1])), "a, 1");
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!("")), "-");
        assert_eq!(cell(&json!({})), "-");
        assert_eq!(cell(&json!({"A": "b", "C": 1})), "A=b, C=1");
        assert_eq!(cell(&json!({"A": {"b": 1}})), r#"{"A":{"b":1}}"#);
        assert_eq!(cell(&json!(true)), "yes");
        assert_eq!(cell(&json!(50.0)), "50");
        assert_eq!(cell(&json!(0.5)), "0.5");
    }
}
