//! Tables and lines that fit onto a screen, without a number that is cut.

use unicode_width::UnicodeWidthStr;

use super::{Out, fitted, printable};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
