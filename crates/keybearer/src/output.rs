//! How a command shows its result: a table or facts for a person, JSON for a program.
//!
//! The result is on standard output, everything else on standard error. On a terminal a table has a header and
//! aligned columns, and colours unless `NO_COLOR` is set; elsewhere a row is a line with tabs between its cells.

mod progress;
mod streams;
mod text;

use std::io::{IsTerminal, stdout};
use std::sync::atomic::Ordering;

use clap::builder::styling::Style;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

pub(crate) use progress::Progress;
use streams::{QUIET, colours_wanted, write_out};
pub(crate) use streams::{
    Screen, complain, deliver, delivered, is_quiet, remark, say, say_of, tell,
};
pub(crate) use text::{PrintableStream, fitted, printable, screen};

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

/// Which columns of a table give way where it is too wide, by their titles.
pub(crate) struct Narrow {
    /// Left out first, in this order.
    pub(crate) first: &'static [&'static str],
    /// Then cut: texts.
    pub(crate) cut: &'static [&'static str],
    /// Left out where that is not enough, in this order.
    pub(crate) last: &'static [&'static str],
}

/// Rows under titles that may become narrower.
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// How narrow a text becomes at most.
    const LEAST: usize = 12;

    pub(crate) fn new(titles: &[&'static str], rows: Vec<Vec<String>>) -> Self {
        let titles = titles.to_vec();
        let row = |row: Vec<String>| row.iter().map(|cell| printable(cell)).collect();
        let rows = rows.into_iter().map(row).collect();
        Self { titles, rows }
    }

    /// The table as lines; where there are `columns`, as few of its own as `narrow` says.
    pub(crate) fn lines(mut self, out: Out, columns: Option<usize>, narrow: Narrow) -> Vec<String> {
        if let Some(columns) = columns {
            self.narrow(columns, &narrow);
        }
        out.table_lines(&self.titles, &self.rows)
    }

    fn narrow(&mut self, columns: usize, narrow: &Narrow) {
        for title in narrow.first {
            if self.excess(columns) == 0 {
                return;
            }
            self.leave_out(title);
        }
        while self.excess(columns) > 0 {
            let excess = self.excess(columns);
            let cut = narrow.cut.iter().filter_map(|title| self.at(title));
            let Some(widest) = cut.max_by_key(|at| self.width(*at)) else {
                break;
            };
            let width = self.width(widest);
            let least = Self::LEAST.max(self.titles[widest].len());
            if width <= least {
                break;
            }
            // One by one where there are two, so that both keep about as much.
            let to = if narrow.cut.len() > 1 {
                width - 1
            } else {
                width.saturating_sub(excess).max(least)
            };
            for row in &mut self.rows {
                if row[widest].width() > to {
                    row[widest] = shortened(&row[widest], to);
                }
            }
        }
        for title in narrow.last {
            if self.excess(columns) == 0 {
                return;
            }
            self.leave_out(title);
        }
    }

    fn at(&self, title: &str) -> Option<usize> {
        self.titles.iter().position(|it| *it == title)
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].width());
        cells.chain([self.titles[column].len()]).max().unwrap_or(0)
    }

    /// By how much it is too wide.
    fn excess(&self, columns: usize) -> usize {
        let widths = (0..self.titles.len()).map(|column| self.width(column) + 2);
        widths.sum::<usize>().saturating_sub(columns + 2)
    }

    fn leave_out(&mut self, title: &str) {
        if let Some(at) = self.at(title) {
            self.titles.remove(at);
            self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
        }
    }
}

/// The beginning of a text and a mark that there is more, in so many columns.
fn shortened(text: &str, columns: usize) -> String {
    // Of what was shortened before, the mark is no part.
    let text = text.strip_suffix('\u{2026}').unwrap_or(text);
    format!("{}\u{2026}", fitted(text, columns.saturating_sub(1)))
}

/// A sentence in lines of so many columns at most, broken between words.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one at least");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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
    fn one_thing_is_not_called_many() {
        let of = |count: u64| counted(count, "call", "calls");
        assert_eq!([of(0), of(1), of(11)], ["0 calls", "1 call", "11 calls"]);
    }

    #[test]
    fn a_table_becomes_narrower_and_no_number_is_cut() {
        let out = Out {
            json: false,
            terminal: true,
            colour: false,
        };
        const NARROW: Narrow = Narrow {
            first: &["MS"],
            cut: &["MODEL", "STATUS"],
            last: &["IN"],
        };
        let lines = |columns: usize| {
            let row = [
                "anthropic/claude-sonnet",
                "402 byok_key_missing",
                "12345",
                "$0.0002475",
                "17",
            ];
            let row = row.map(str::to_owned).to_vec();
            let table = Table::new(&["MODEL", "STATUS", "IN", "COST", "MS"], vec![row]);
            table.lines(out, Some(columns), NARROW)
        };
        for columns in 38..90 {
            let lines = lines(columns);
            let widest = lines.iter().map(|line| line.width()).max();
            assert!(widest <= Some(columns), "{columns}: {lines:#?}");
            assert!(lines[1].contains("  $0.0002475"), "{lines:#?}");
            assert!(
                !lines[0].contains("IN") || lines[1].contains("  12345"),
                "{lines:#?}"
            );
        }
        assert!(lines(90)[1].ends_with("  17"));
        let cut = &lines(52)[1];
        assert_eq!(
            cut,
            "anthropic/claud\u{2026}  402 byok_key_m\u{2026}  12345  $0.0002475"
        );
        assert_eq!(
            wrapped("since then: 1 call, $0.25", 12),
            ["since then:", "1 call,", "$0.25"]
        );
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
