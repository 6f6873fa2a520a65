//! The canary: keys that exist nowhere else, and a search for them in everything the binary left behind.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use crate::forms::{Form, leak};

use crate::forms::Search;
use crate::random;

/// How much of a file is in memory at once; stretches overlap by more than the longest needle.
const STRETCH: usize = 4 << 20;
const OVERLAP: usize = 512;

/// Keys that must not be seen again, and the search for them.
#[derive(Default)]
pub struct Canary {
    keys: Mutex<Vec<String>>,
}

/// A key that got out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where: a path, or the name of a reply.
    pub place: String,
    /// In which spelling.
    pub form: Form,
    /// How many bytes into the place.
    pub offset: usize,
    /// Which key, by the order of registration.
    pub key: usize,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key {} as {:?} at byte {} of {}",
            self.key, self.form, self.offset, self.place
        )
    }
}

impl Canary {
    /// A canary that knows no key yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fresh key in the shape of OpenAI's project keys.
    pub fn openai_key(&self) -> String {
        self.key("sk-proj-", 48)
    }

    /// A fresh key in the shape of Anthropic's.
    pub fn anthropic_key(&self) -> String {
        self.key("sk-ant-api03-", 93)
    }

    /// A fresh key: `prefix` and `length` random letters and digits.
    pub fn key(&self, prefix: &str, length: usize) -> String {
        let key = format!("{prefix}{}", random::alphanumeric(length));
        self.register(&key);
        key
    }

    /// Adds a secret that was made elsewhere. At least 8 characters, or the search would find it by chance.
    pub fn register(&self, secret: &str) {
        assert!(secret.len() >= 8, "too short to search for");
        self.keys
            .lock()
            .expect("no panic while locked")
            .push(secret.to_owned());
    }

    /// A search over all keys that were registered so far.
    pub fn sweep(&self) -> Sweep {
        let keys = self.keys.lock().expect("no panic while locked");
        assert!(!keys.is_empty(), "a canary without a key proves nothing");
        Sweep {
            search: Search::new(keys.iter().map(|key| key.as_bytes())),
            hits: Vec::new(),
            places: 0,
            bytes: 0,
        }
    }
}

/// One search through many places. Counts what it read, so that a search of nothing is noticed.
pub struct Sweep {
    search: Search,
    hits: Vec<Hit>,
    places: usize,
    bytes: u64,
}

impl Sweep {
    /// Searches bytes, for example a reply with its headers.
    pub fn bytes(&mut self, place: &str, bytes: &[u8]) -> &mut Self {
        self.places += 1;
        self.stretch(place, bytes, 0);
        self
    }

    /// Searches a file, or every file under a directory. A file that is gone by now is passed over (a
    /// database's own temporary files come and go); anything else unreadable is a panic.
    pub fn path(&mut self, path: &Path) -> &mut Self {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            match std::fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => match std::fs::read_dir(&path) {
                    Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => panic!("{}: {error}", path.display()),
                },
                Ok(meta) if meta.is_file() => self.file(&path),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
        self
    }

    /// Where a key was seen, each place once per key and form.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// How many places and bytes were searched.
    pub fn searched(&self) -> (usize, u64) {
        (self.places, self.bytes)
    }

    /// Panics with the list when any key was seen.
    pub fn assert_clean(&self) {
        let list: Vec<_> = self.hits.iter().map(ToString::to_string).collect();
        assert!(
            list.is_empty(),
            "provider keys got out:\n{}",
            list.join("\n")
        );
        assert!(self.bytes > 0, "nothing was searched");
    }

    fn file(&mut self, path: &Path) {
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let place = path.display().to_string();
        self.places += 1;
        let mut buffer: Vec<u8> = Vec::new();
        let mut start = 0;
        loop {
            let kept = buffer.len();
            let read = (&mut file)
                .take(STRETCH as u64)
                .read_to_end(&mut buffer)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            if read == 0 {
                return;
            }
            self.bytes -= kept as u64;
            self.stretch(&place, &buffer, start);
            let keep = buffer.len().min(OVERLAP);
            start += buffer.len() - keep;
            buffer.drain(..buffer.len() - keep);
        }
    }

    fn stretch(&mut self, place: &str, bytes: &[u8], start: usize) {
        self.bytes += bytes.len() as u64;
        let hits = &mut self.hits;
        self.search.run(bytes, |key, form, offset| {
            let seen = |hit: &Hit| hit.place == place && hit.key == key && hit.form == form;
            if !hits.iter().any(seen) {
                hits.push(Hit {
                    place: place.to_owned(),
                    form,
                    offset: start + offset,
                    key,
                });
            }
        });
    }
}

/// The data directory of the throw-away PostgreSQL server, when the test run names one that can be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the test run says where its server is"
)]
pub fn postgres_data() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("KEYBEARER_TEST_POSTGRES_DATA")?);
    std::fs::read_dir(&path).is_ok().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 7] = [
        Form::Raw,
        Form::Base64,
        Form::Base64Url,
        Form::Hex,
        Form::Percent,
        Form::JsonEscaped,
        Form::Utf16,
    ];

    fn found(canary: &Canary, bytes: &[u8]) -> Vec<Form> {
        canary
            .sweep()
            .bytes("here", bytes)
            .hits()
            .iter()
            .map(|hit| hit.form)
            .collect()
    }

    // T71: a search that finds nothing must be one that can find something.
    #[test]
    fn a_planted_leak_is_found_in_every_form() {
        let canary = Canary::new();
        // In these characters the two kinds of base64 differ.
        let key = format!("sk-{}", "~?>".repeat(9));
        canary.register(&key);
        for form in FORMS {
            let mut haystack = b"{\"error\":\"".to_vec();
            haystack.extend(leak(form, &key));
            haystack.extend(b"\"}");
            assert!(found(&canary, &haystack).contains(&form), "{form:?}");
        }
    }

    #[test]
    fn base64_is_found_at_every_offset() {
        let canary = Canary::new();
        let key = canary.anthropic_key();
        for offset in 0..6 {
            let text = format!("{}{key}tail", &"prefix"[..offset]);
            assert_eq!(
                found(&canary, &leak(Form::Base64, &text))[0],
                Form::Base64,
                "{offset}"
            );
        }
    }

    #[test]
    fn part_of_a_key_is_found_but_not_its_mask_or_another_key() {
        let canary = Canary::new();
        let key = canary.openai_key();
        for start in 8..30 {
            assert!(
                !found(&canary, &key.as_bytes()[start..start + 23]).is_empty(),
                "{start}"
            );
        }
        let mask = format!("{}...{}", &key[..4], &key[key.len() - 4..]);
        assert!(found(&canary, mask.as_bytes()).is_empty());
        assert!(found(&canary, Canary::new().openai_key().as_bytes()).is_empty());
    }

    #[test]
    fn files_are_searched_across_stretches_and_directories() {
        let canary = Canary::new();
        let key = canary.openai_key();
        let dir = tempfile::tempdir().expect("temp dir");
        // A page of zeros before the key must not hide it.
        let nested = dir.path().join("a/b");
        std::fs::create_dir_all(&nested).expect("create");
        let mut bytes = vec![0; STRETCH - 20];
        bytes.extend(key.as_bytes());
        std::fs::write(nested.join("file-wal"), &bytes).expect("write");
        let mut sweep = canary.sweep();
        sweep.path(dir.path());
        assert_eq!(sweep.hits().len(), 1);
        assert_eq!(sweep.searched(), (1, bytes.len() as u64));
        assert!(sweep.hits()[0].offset >= STRETCH - 20);
    }
}
