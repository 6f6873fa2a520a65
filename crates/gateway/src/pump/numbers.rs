//! The numbers that a stream's events have in some formats. Whatever ends such a stream has the next one: some clients read
//! no event without a number.

use memchr::memmem;

/// What stands before a number. In a text of the answer the quotes would be escaped.
const NAME: &[u8] = b"\"sequence_number\":";
/// A name and its number fit into so many bytes.
const SEAM: usize = 64;

/// Reads the last number from the pieces of a stream.
#[derive(Default)]
pub(super) struct Numbers {
    last: Option<u64>,
    /// The end of what came, in which a name or a number may be cut off.
    seam: Vec<u8>,
}

impl Numbers {
    /// Reads on.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let begins = &piece[..piece.len().min(SEAM)];
        self.seam.extend_from_slice(begins);
        self.last = last_in(&self.seam).or(self.last);
        if begins.len() < piece.len() {
            self.last = last_in(piece).or(self.last);
            self.seam.clear();
            self.seam.extend_from_slice(&piece[piece.len() - SEAM..]);
        }
        let surplus = self.seam.len().saturating_sub(SEAM);
        self.seam.drain(..surplus);
    }

    /// The number of the event behind the last one; `None`: none had one.
    pub(super) fn next(&self) -> Option<u64> {
        self.last?.checked_add(1)
    }
}

/// The last number in it that is there to its end.
fn last_in(bytes: &[u8]) -> Option<u64> {
    let mut before = bytes;
    loop {
        let at = memmem::rfind(before, NAME)?;
        let number = bytes[at + NAME.len()..].trim_ascii_start();
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = number.split_at(digits.count());
        if !rest.is_empty()
            && let Ok(number) = std::str::from_utf8(digits).unwrap_or_default().parse()
        {
            return Some(number);
        }
        before = &before[..at];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_known_wherever_a_stream_is_cut() {
        let stream = "data: {\"type\":\"a\",\"sequence_number\":8}\n\n\
            data: {\"sequence_number\": 9,\"delta\":\"\\\"sequence_number\\\":77,\"}\n\n\
            data: {\"delta\":\"a text that is longer than what is kept of the end of a piece, by far\",\"sequence_number\":10}\n\n";
        for size in 1..stream.len() {
            let mut numbers = Numbers::default();
            assert_eq!(numbers.next(), None);
            for piece in stream.as_bytes().chunks(size) {
                numbers.push(piece);
            }
            assert_eq!(numbers.next(), Some(11), "{size}");
        }
        // What is cut off is none.
        let mut numbers = Numbers::default();
        numbers.push(&stream.as_bytes()[..stream.len() - 4]);
        assert_eq!(numbers.next(), Some(10));
        numbers.push(b"data: {\"sequence_number\":18446744073709551615}");
        assert_eq!(numbers.next(), None);
    }
}
