//! Every reply to every caller, kept for the canary.

use std::sync::Mutex;

/// More than this is a test that lost control.
const MAX_BYTES: usize = 512 << 20;

/// Replies in the order of arrival.
#[derive(Default)]
pub(crate) struct Record {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    replies: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Record {
    /// Keeps the bytes of a reply.
    pub(crate) fn keep(&self, place: &str, bytes: &[u8]) {
        let mut kept = self.kept.lock().expect("no panic while locked");
        kept.bytes += bytes.len();
        assert!(
            kept.bytes <= MAX_BYTES,
            "more than {MAX_BYTES} bytes of replies"
        );
        kept.replies.push((place.to_owned(), bytes.to_vec()));
    }

    /// Lends each reply to `look`.
    pub(crate) fn each(&self, mut look: impl FnMut(&str, &[u8])) {
        for (place, bytes) in &self.kept.lock().expect("no panic while locked").replies {
            look(place, bytes);
        }
    }
}
