//! Numbers, moments and ids that are read are printed so that the same is read again; and a pattern fits what a matcher
//! fits that tries everything. The first line of the input is the word or the pattern, the rest is the name.

use domain::credential::{CredentialKind, is_well_formed};
use domain::glob::Glob;
use domain::money::Decimal;
use domain::{RequestId, Timestamp, WorkspaceId};

/// Whether the pattern fits, by a table of all beginnings of both.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut row = vec![false; name.len() + 1];
    row[0] = true;
    for byte in pattern {
        let before = row.clone();
        for at in 0..=name.len() {
            row[at] = match (byte, at) {
                (b'*', 0) => before[0],
                (b'*', _) => before[at] || row[at - 1],
                (_, 0) => false,
                (byte, _) => before[at - 1] && name[at - 1] == *byte,
            };
        }
    }
    row[name.len()]
}

pub(crate) fn holds(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let (word, name) = input.split_once('\n').unwrap_or((input, ""));
    if let Ok(number) = word.parse::<Decimal>() {
        assert_eq!(number.to_string().parse(), Ok(number));
    }
    if let Ok(moment) = word.parse::<Timestamp>() {
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }
    if let Ok(id) = word.parse::<WorkspaceId>() {
        assert_eq!(id.to_string(), word);
    }
    if let Ok(id) = word.parse::<RequestId>() {
        assert_eq!(id.to_string(), word);
    }
    if is_well_formed(CredentialKind::ApiKey, word) {
        assert!(word.is_ascii());
    }
    if let Ok(pattern) = Glob::parse(word) {
        assert_eq!(pattern.as_str(), word);
        let expected = fits(word.as_bytes(), name.as_bytes());
        assert_eq!(pattern.matches(name), expected, "{word:?} and {name:?}");
    }
}
