//! The end of an answer that credits pay for, held back until the call is settled.

use bytes::{Bytes, BytesMut};
use llm::format::WireFormat;

use crate::send::Kind;

/// What is held back of an answer: without it no client takes the answer for whole.
pub(super) struct Tail {
    /// Of a stream: what its last event begins with. `None`: a body, of which the last byte is held.
    mark: Option<&'static [u8]>,
    held: BytesMut,
}

impl Tail {
    pub(super) fn new(kind: Kind, format: &dyn WireFormat) -> Self {
        Self {
            mark: (kind == Kind::EventStream).then(|| format.last_event_mark()),
            held: BytesMut::new(),
        }
    }

    /// Takes the next piece and returns what may go out.
    ///
    /// Of a stream nothing is held before its last event begins: every earlier event passes at once. A mark that is
    /// cut between two pieces is not seen, and then only the end of the stream is held back.
    pub(super) fn hold_back(&mut self, piece: Bytes) -> Bytes {
        if piece.is_empty() {
            return piece;
        }
        match self.mark {
            None => {
                self.held.extend_from_slice(&piece);
                let last = self.held.len() - 1;
                self.held.split_to(last).freeze()
            }
            Some(_) if !self.held.is_empty() => {
                self.held.extend_from_slice(&piece);
                Bytes::new()
            }
            Some(mark) => {
                let found = piece.windows(mark.len()).position(|it| it == mark);
                let at = found.unwrap_or(piece.len());
                self.held.extend_from_slice(&piece[at..]);
                piece.slice(..at)
            }
        }
    }

    /// Adds what came last.
    pub(super) fn append(&mut self, rest: &[u8]) {
        self.held.extend_from_slice(rest);
    }

    /// How many bytes are held.
    pub(super) fn len(&self) -> u64 {
        self.held.len() as u64
    }

    /// What was held back.
    pub(super) fn finish(self) -> Bytes {
        self.held.freeze()
    }
}

#[cfg(test)]
mod tests {
    use llm::format::{AnthropicMessages, OpenaiChat};

    use super::*;

    fn passed(tail: &mut Tail, pieces: &[&'static str]) -> Vec<String> {
        let pass = |piece: &&'static str| {
            let passed = tail.hold_back(Bytes::from_static(piece.as_bytes()));
            String::from_utf8(passed.to_vec()).expect("text")
        };
        pieces.iter().map(pass).collect()
    }

    #[test]
    fn of_a_body_the_last_byte_is_held() {
        let mut tail = Tail::new(Kind::Json, &OpenaiChat);
        assert_eq!(
            passed(&mut tail, &["{\"a\"", "", ":1", "}"]),
            ["{\"a", "", "\":", "1"]
        );
        assert_eq!(tail.finish(), "}");
    }

    #[test]
    fn of_a_stream_the_last_event_is_held_and_nothing_before_it() {
        let mut tail = Tail::new(Kind::EventStream, &OpenaiChat);
        let pieces = ["data: {}\n\n", "data: {}\n\ndata: [DO", "NE]\n\n"];
        assert_eq!(passed(&mut tail, &pieces), pieces, "a mark in two pieces");
        let mut tail = Tail::new(Kind::EventStream, &OpenaiChat);
        let pieces = ["data: {}\n\n", "data: {}\n\ndata: [DONE]", "\n\n"];
        assert_eq!(
            passed(&mut tail, &pieces),
            ["data: {}\n\n", "data: {}\n\n", ""]
        );
        assert_eq!((tail.len(), tail.finish()), (14, "data: [DONE]\n\n".into()));
        let mut tail = Tail::new(Kind::EventStream, &AnthropicMessages);
        let last = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        assert_eq!(passed(&mut tail, &[last]), [""]);
        assert_eq!(tail.finish(), last);
    }
}
