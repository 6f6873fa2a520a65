//! How a command shows its result: a table or facts for a person, JSON for a program.
//!
//! The result is on standard output, everything else on standard error. On a terminal a table has a header and
//! aligned columns, and colours unless `NO_COLOR` is set; elsewhere a row is a line with tabs between its cells.

mod progress;
mod streams;
mod table;
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
pub(crate) use table::{Narrow, Table, wrapped};
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

    /// The text of a file: every byte of it, since it may become one again; on a terminal what that would obey is not.
    ///
    /// # Errors
    /// As of [`deliver`].
    pub(crate) fn file(self, text: &str) -> std::io::Result<()> {
        if !self.terminal {
            return deliver(text.as_bytes());
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let shown = PrintableStream::default().with(text.as_bytes());
        deliver(format!("{shown}{end}").as_bytes())
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
    fn table_lines(self, titles: &[&str], rows: &[Vec<String>]) -> Vec<String> {
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
