//! The file of `--env-file`: `KEY=value` lines, read strictly and watched.
//!
//! Nothing is expanded and nothing is run. What could be read in two ways is refused, and an error names the line and
//! never what stands in it. Only the variables that local mode looks for are taken; a base URL or a proxy that stands
//! beside them is without effect.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use domain::Secret;

use super::files;
use super::rotation::Variables;

/// A file of variables, and what it said when it was last whole.
pub(super) struct EnvFile {
    path: PathBuf,
    values: Variables,
    /// What was judged last, good or bad.
    judged: Option<u64>,
    /// What was seen last and may still be being written.
    pending: Option<Option<u64>>,
}

impl EnvFile {
    /// Reads the file for the first time; then it must be there and whole.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let mut file = Self {
            path,
            values: Variables::new(),
            judged: None,
            pending: None,
        };
        file.read()?;
        file.warn_if_open_to_others();
        Ok(file)
    }

    /// What it says.
    pub(super) fn values(&self) -> &Variables {
        &self.values
    }

    /// Reads the file now. After an error the values are those of before.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        let bytes = files::read(&self.path)?;
        self.take(bytes)
    }

    /// Looks whether the file changed, and reads it when it has stood still since the last look: somebody may have been
    /// writing it. `None`: nothing to do. What is wrong is said once.
    pub(super) fn look(&mut self) -> Option<anyhow::Result<()>> {
        let bytes = files::read(&self.path).ok().flatten();
        let now = bytes.as_deref().map(digest);
        if now == self.judged {
            self.pending = None;
            return None;
        }
        if self.pending.replace(now) != Some(now) {
            return None;
        }
        Some(self.take(bytes))
    }

    fn take(&mut self, bytes: Option<Vec<u8>>) -> anyhow::Result<()> {
        self.pending = None;
        self.judged = bytes.as_deref().map(digest);
        let bytes = bytes.with_context(|| format!("there is no {}", self.path.display()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| anyhow!("not UTF-8"));
        let values = text.and_then(parse);
        self.values = values.with_context(|| format!("env file {}", self.path.display()))?;
        Ok(())
    }

    fn warn_if_open_to_others(&self) {
        let metadata = self.path.metadata();
        if metadata.is_ok_and(|it| it.permissions().mode() & 0o077 != 0) {
            let path = self.path.display();
            tracing::warn!("{path} can be read by others; make it owner-only: chmod 600");
        }
    }
}

/// Tells contents apart; not for secrets' sake, and not kept.
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The variables of a file; an empty one counts as unset.
fn parse(text: &str) -> anyhow::Result<Variables> {
    let mut values = BTreeMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = assignment(line).with_context(|| format!("line {number}"))?;
        if values.insert(name.to_owned(), value).is_some() {
            bail!("line {number}: {name} is set a second time");
        }
    }
    values.retain(|_, value: &mut Secret| value.expose(|bytes| !bytes.is_empty()));
    Ok(values)
}

fn assignment(line: &str) -> anyhow::Result<(&str, Secret)> {
    let bare = match line.split_once(char::is_whitespace) {
        Some(("export", rest)) => rest.trim_start(),
        _ => line,
    };
    let (name, value) = bare.split_once('=').context("not KEY=value")?;
    let first = name.bytes().next();
    let fits = first.is_some_and(|it| it.is_ascii_alphabetic() || it == b'_')
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if !fits {
        bail!("what stands before `=` is not the name of a variable");
    }
    Ok((name, Secret::from_text(unquoted(value)?)))
}

/// The text that a value stands for.
fn unquoted(value: &str) -> anyhow::Result<String> {
    let (text, after) = match value.chars().next() {
        Some('\'') => {
            let inner = &value[1..];
            let (text, after) = inner.split_once('\'').context("a quote is not closed")?;
            (text.to_owned(), after)
        }
        Some('"') => double_quoted(&value[1..])?,
        _ => {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            let (text, after) = value.split_at(end);
            if text.contains(['\'', '"', '\\', '$', '`']) {
                bail!("quotes, `\\`, `$` and backticks stand within single quotes only");
            }
            (text.to_owned(), after)
        }
    };
    let rest = after.trim_start();
    let is_comment = rest.starts_with('#') && rest.len() < after.len();
    if !(rest.is_empty() || is_comment) {
        bail!("something follows the value; put a value with blanks in quotes");
    }
    Ok(text)
}

/// The text up to the closing quote, and what follows it. A backslash keeps the next `"`, `\`, `$` or backtick as it is.
fn double_quoted(inner: &str) -> anyhow::Result<(String, &str)> {
    let mut text = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((text, &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, kept @ ('"' | '\\' | '$' | '`'))) => text.push(kept),
                _ => bail!("an unknown escape in double quotes"),
            },
            '$' | '`' => bail!("nothing is expanded: put `$` and backticks in single quotes"),
            char => text.push(char),
        }
    }
    bail!("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let values = parse(text).map_err(|error| format!("{error:#}"))?;
        let plain = |value: &Secret| {
            value.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("UTF-8"))
        };
        Ok(values
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect())
    }

    #[test]
    fn each_way_to_write_a_value_is_read() {
        for (line, expected) in [
            ("K=sk-1", "sk-1"),
            ("  export   K=sk-1  ", "sk-1"),
            ("K=sk-1 # a comment", "sk-1"),
            ("K=sk#1", "sk#1"),
            ("K='a b$`\"\\'", "a b$`\"\\"),
            ("K=\"a b\"", "a b"),
            ("K=\"a\\\"b\\\\c\\$\"  # more", "a\"b\\c$"),
            ("K=a=b", "a=b"),
            ("\u{feff}K=x", "x"),
            ("# first\n\nK=x\r\n", "x"),
        ] {
            let one = vec![("K".to_owned(), expected.to_owned())];
            assert_eq!(read(line), Ok(one), "{line}");
        }
        assert_eq!(read("K=\nL=''\n"), Ok(Vec::new()), "empty is unset");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_by_its_line_and_not_shown() {
        for line in [
            "hunter2",
            "K =hunter2",
            "K= hunter2",
            "2K=hunter2",
            "K=hunter2 hunter2",
            "K=$hunter2",
            "K=`hunter2`",
            "K=\"$hunter2\"",
            "K=\"hunter2",
            "K='hunter2",
            "K='hunter2'x",
            "K='hunter2'#x",
            "K=\"hunter2\\n\"",
            "K=hunter2\\",
            "K=hun'ter2'",
            "set K=hunter2",
            "A=1\nA=hunter2",
        ] {
            let error = read(&format!("# a comment\n{line}\n")).expect_err(line);
            assert!(error.starts_with("line "), "{line}: {error}");
            assert!(!error.contains("hun"), "{line}: {error}");
        }
    }
}
