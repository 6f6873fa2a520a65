//! Texts of other people on a terminal: without what it would obey, and no wider than it is.

use std::os::fd::AsFd;

use unicode_width::UnicodeWidthStr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
